/* The products of products.c over all rows. */
#include "blocks.h"
#include "products.h"

SV_DISPATCH(struct ot_product_kernels, kernels, ot_product_kernels_f64)

struct product {
    const struct sv_ot_cost *cost;
    double scale;
    const double *u, *v, *x;
    double *out, *sums, *room; /* for each block k m sums, and room for one row */
    size_t k, blocks;
};

/* Fewer blocks for more vectors: the sums of all blocks take no more room than for one vector. */
static size_t product_blocks(size_t n, size_t k)
{
    size_t blocks = blocks_of(n), most = MAX_BLOCKS / k;
    return blocks < most ? blocks : most;
}

size_t sv_ot_product_worksize(size_t n, size_t m, size_t k) { return product_blocks(n, k) * (k * m + ot_row_room(m)); }

static struct product prepare(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                              const double *x, size_t k, double *out, double *work)
{
    struct product pass = {.cost = cost, .scale = scale, .u = u, .v = v, .x = x, .out = out, .sums = work, .k = k,
                           .blocks = product_blocks(cost->n, k)};
    pass.room = work + pass.blocks * k * cost->m;
    return pass;
}

static size_t start(const struct product *pass, size_t block) { return pass->cost->n * block / pass->blocks; }

static void apply_block(void *context, size_t block)
{
    struct product *pass = context;
    kernels()->apply(pass->cost, pass->scale, pass->u, pass->v, pass->x, pass->k, pass->out,
                     pass->room + block * ot_row_room(pass->cost->m), start(pass, block), start(pass, block + 1));
}

void sv_ot_apply(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *x,
                 size_t k, double *out, double *work, int threads)
{
    struct product pass = prepare(cost, scale, u, v, x, k, out, work);
    run_blocks(cost->n * cost->m, pass.blocks, apply_block, &pass, threads);
}

static void transposed_block(void *context, size_t block)
{
    struct product *pass = context;
    double *sums = pass->sums + block * pass->k * pass->cost->m;
    fill(sums, pass->k * pass->cost->m, 0);
    kernels()->apply_transposed(pass->cost, pass->scale, pass->u, pass->v, pass->x, pass->k, sums,
                                pass->room + block * ot_row_room(pass->cost->m), start(pass, block),
                                start(pass, block + 1));
}

void sv_ot_apply_transposed(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                            const double *x, size_t k, double *out, double *work, int threads)
{
    struct product pass = prepare(cost, scale, u, v, x, k, out, work);
    run_blocks(cost->n * cost->m, pass.blocks, transposed_block, &pass, threads);
    sum_blocks(pass.sums, pass.blocks, k * cost->m, k * cost->m, out);
}
