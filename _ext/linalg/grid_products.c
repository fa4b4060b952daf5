/* Products with a stencil, for both layouts: y = A x, r = b - A x, Jacobi's and Chebyshev's step.
 *
 * Rows are cut into blocks whose number depends on the grid alone; each block's sum is kept, and they are added in
 * order: the same bits for any count of threads.
 */
#include "grid_parts.h"

enum product { MULTIPLY, RESIDUAL, JACOBI };

struct product_call {
    const struct sv_operand *A;
    const double *b, *x;
    double *out;
    double omega, momentum, sum[SUM_BLOCKS];
    size_t blocks;
};

INLINE vreal product_row(const struct around *a, const vreal coupling[3], const real *diagonal, const real *inverse,
                         const real *b, const real *x, real *out, ptrdiff_t n, double omega, double momentum,
                         vreal total,
                         enum product kind, int axes, int constant)
{
    const vreal w = v_set1(omega), back = v_set1(momentum);
    for (ptrdiff_t i = 0; i < n; i += SV_W) {
        vreal here = v_load(x + i), start = kind == MULTIPLY ? v_set1(0) : v_load(b + i);
        vreal r = v_fnma(v_load(diagonal + i), here, add_around(a, i, coupling, start, axes, constant));
        r = kept(r, n - i);
        if (kind == MULTIPLY) {
            r = v_sub(v_set1(0), r);
            total = v_fma(here, r, total);
            v_store(out + i, r);
            continue;
        }
        total = v_fma(r, r, total);
        if (kind == JACOBI) {
            vreal step = v_fma(v_mul(w, v_load(inverse + i)), r, here);
            r = momentum == 0 ? step : v_fma(back, v_sub(here, v_load(out + i)), step);
            r = kept(r, n - i);
        }
        v_store(out + i, r);
    }
    return total;
}

INLINE void product_block(struct product_call *call, size_t block, enum product kind, int axes, int constant)
{
    const struct sv_grid *g = call->A->matrix;
    ptrdiff_t rows = g->n[1] * g->n[2], colours = g->half ? 2 : 1;
    ptrdiff_t from = block_start(block, rows, call->blocks), to = block_start(block + 1, rows, call->blocks);
    vreal total = v_set1(0), coupling[3];
    load_couplings(g, coupling);
    for (ptrdiff_t row = from; row < to; row++)
        for (int colour = 0; colour < colours; colour++) {
            ptrdiff_t j = row % g->n[1], k = row / g->n[1], place = row_place(g, j, k);
            ptrdiff_t parity = parity_of(colour, j, k);
            ptrdiff_t own = place + colour * g->half, other = g->half ? place + (1 - colour) * g->half : place;
            ptrdiff_t n = g->half ? cells_of(g, parity) : g->n[0], n_other = g->half ? cells_of(g, 1 - parity) : n;
            ptrdiff_t shift = constant && g->half ? parity * g->half : 0;
            ptrdiff_t at = constant ? place : own;
            struct around a = look_around(g, call->x, j, k, own, other, g->half ? parity - 1 : -1, axes, constant);
            show_ends(g, call->x + other, n_other);
            total = product_row(&a, coupling, diagonal_row(g, g->diagonal, j, k, at) + shift,
                                diagonal_row(g, g->inverse, j, k, at) + shift, call->b + own, call->x + own,
                                call->out + own, n, call->omega, call->momentum, total, kind, axes, constant);
            hide_ends(g, call->x + other, n_other);
            finish_row(call->out + own, n, g->half ? (colour ? g->pitch - g->half : g->half) : g->pitch);
        }
    call->sum[block] = v_sum_lanes(total);
}

#define MAKE_PRODUCTS(kind, axes, constant)                                           \
    static void product_##kind##_##axes##_##constant(void *call, size_t block)        \
    {                                                                                 \
        product_block(call, block, kind, axes, constant);                             \
    }
#define MAKE_PRODUCT(axes, constant)           \
    MAKE_PRODUCTS(MULTIPLY, axes, constant)    \
    MAKE_PRODUCTS(RESIDUAL, axes, constant)    \
    MAKE_PRODUCTS(JACOBI, axes, constant)
GRID_EACH(MAKE_PRODUCT)

static double product_of(struct product_call *call, sv_task task)
{
    const struct sv_grid *g = call->A->matrix;
    call->blocks = sum_blocks(g);
    clear_between(g, call->out);
    sv_parallel_for(call->A->threads, call->blocks, task, call);
    double total = 0;
    for (size_t block = 0; block < call->blocks; block++)
        total += call->sum[block];
    return total;
}

double SV_TABLE(grid_multiply)(const struct sv_operand *A, const double *x, double *out)
{
    struct product_call call = {A, x, x, out, 0, 0, {0}, 0};
    return product_of(&call, GRID_PICK(product_MULTIPLY, (const struct sv_grid *)A->matrix));
}

double SV_TABLE(grid_residual)(const struct sv_operand *A, const double *b, const double *x, double *r)
{
    struct product_call call = {A, b, x, r, 0, 0, {0}, 0};
    return product_of(&call, GRID_PICK(product_RESIDUAL, (const struct sv_grid *)A->matrix));
}

double SV_TABLE(grid_jacobi)(const struct sv_operand *A, double omega, double momentum, const double *b, const double *x,
                     double *out)
{
    struct product_call call = {A, b, x, out, omega, momentum, {0}, 0};
    return product_of(&call, GRID_PICK(product_JACOBI, (const struct sv_grid *)A->matrix));
}
