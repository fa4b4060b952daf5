/* The passes of certificate.c over all rows. */
#include "blocks.h"
#include "certificate.h"

SV_DISPATCH(struct ot_certificate_kernels, kernels, ot_certificate_kernels_f64)

struct certificate {
    const struct sv_ot_cost *cost;
    double scale;
    const double *a, *u, *v, *y;
    double *x, *row_sums, *product;
    double *sums, *room; /* for each block m column sums, and room for one row */
    double paid[MAX_BLOCKS];
    size_t blocks;
};

static size_t start(const struct certificate *pass, size_t block) { return pass->cost->n * block / pass->blocks; }

static void scale_block(void *context, size_t block)
{
    struct certificate *pass = context;
    const size_t m = pass->cost->m;
    double *sums = pass->sums + block * m;
    fill(sums, m, 0);
    pass->paid[block] = kernels()->scale_below(pass->cost, pass->scale, pass->a, pass->u, pass->v, pass->y, pass->x,
                                               pass->row_sums, sums, pass->room + block * ot_row_room(m),
                                               start(pass, block), start(pass, block + 1));
}

double sv_ot_scale_below(const struct sv_ot_cost *cost, double scale, const double *a, const double *u,
                         const double *v, const double *y, double *x, double *row_sums, double *column_sums,
                         double *work, int threads)
{
    const size_t blocks = blocks_of(cost->n);
    struct certificate pass = {.cost = cost, .scale = scale, .a = a, .u = u, .v = v, .y = y, .x = x,
                               .row_sums = row_sums, .sums = work, .room = work + blocks * cost->m, .blocks = blocks};
    run_blocks(cost->n * cost->m, blocks, scale_block, &pass, threads);
    sum_blocks(pass.sums, blocks, cost->m, cost->m, column_sums);
    double paid = 0;
    for (size_t block = 0; block < blocks; block++)
        paid += pass.paid[block];
    return paid;
}

static void row_max_block(void *context, size_t block)
{
    struct certificate *pass = context;
    kernels()->row_max(pass->cost, pass->scale, pass->v, pass->y, pass->row_sums, pass->product, start(pass, block),
                       start(pass, block + 1));
}

void sv_ot_row_max(const struct sv_ot_cost *cost, double scale, const double *v, const double *w, double *row_max,
                   double *product, int threads)
{
    struct certificate pass = {.cost = cost, .scale = scale, .v = v, .y = w, .row_sums = row_max, .product = product,
                               .blocks = blocks_of(cost->n)};
    run_blocks(cost->n * cost->m, pass.blocks, row_max_block, &pass, threads);
}
