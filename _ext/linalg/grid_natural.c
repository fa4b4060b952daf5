/* Sweeps and triangular solves with a stencil in lexicographic order.
 *
 * A row's sums are formed vector by vector; what is left of each is x_i = t_i + c_i x_(i-1), which a prefix scheme
 * solves within the vector in log2(SV_W) steps, so that the chain from cell to cell is one multiply-add and one lane
 * broadcast a vector. c = omega coupling / diagonal is at most 1 in all that converges: its powers do not grow.
 *
 * Bytes a cell: 24 for a sweep (x read and written, b read), 16 for a triangular solve, 24 for Eisenstat's product, +
 * 8 a face array and 8 for the diagonal where couplings vary. About 12 (constant) or 20 operations a vector of cells.
 * Measured on one core of a Zen 4 at 256^2 and 2048^2, ns a cell: sweep 0.48 and 1.2, triangular solve 0.37 and 1.0,
 * Eisenstat's product 0.50 and 1.5; the same with the matrix in compressed rows, one at a time: 10, 6.5 and 6 to 9.
 * Accuracy: each cell within some 3 axes + 8 roundings of its largest term.
 * In NumPy: x = t.copy(); for i in range(1, n): x[i] += c[i] * x[i - 1]      # t from the row's other neighbours
 */
#include "grid_natural.h"

/* The row of (K + L) x, or of (K + U) x. */
INLINE vreal triangle_row(const struct lex *r, const struct constants *K, const real *diagonal, real *out, ptrdiff_t n,
                          int periodic, vreal total, int upper, int nears, int constant)
{
    const vreal inverse_omega = v_set1(1 / K->relax);
    ptrdiff_t end = upper ? 0 : n - 1, vectors = (n + SV_W - 1) / SV_W;
    vreal round = v_set1(0);
    if (periodic)
        round = one_lane(end % SV_W, (constant ? K->along : r->west[0]) * r->x[n - 1 - end]);
    for (ptrdiff_t v = 0; v < vectors; v++) {
        ptrdiff_t i = v * SV_W;
        vreal y = v_mul(v_mul(inverse_omega, v_load(diagonal + i)), v_load(r->x + i));
        y = v_fnma(constant ? K->side : v_load(r->west + i + upper), v_load(r->x + i + (upper ? 1 : -1)), y);
        for (int m = 0; m < nears; m++)
            y = v_fnma(constant ? K->near[m] : v_load(r->faces[m] + i), v_load(r->near[m] + i), y);
        if (v == end / SV_W)
            y = v_sub(y, round);
        y = kept(y, n - i);
        total = v_fma(y, y, total);
        if (out)
            v_store(out + i, y);
    }
    return total;
}

INLINE double triangle(const struct sv_operand *A, double omega, const real *x, real *out, int upper, int narrow,
                       int axes, int constant)
{
    const struct sv_grid *g = A->matrix;
    const struct constants K = constants_of(g, omega, upper, narrow);
    vreal total = v_set1(0);
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            ptrdiff_t own = row_place(g, j, k);
            struct lex r;
            r.x = (real *)x + own, r.west = constant ? NULL : (const real *)g->faces[0] + own;
            near_rows(g, x, NULL, j, k, own, TRIANGULAR, upper, narrow, axes, constant, &r);
            total = triangle_row(&r, &K, diagonal_row(g, g->diagonal, j, k, own), out ? out + own : NULL, g->n[0],
                                 g->periodic[0], total, upper, narrow ? axes - 1 : 2 * (axes - 1), constant);
            if (out)
                finish_row(out + own, g->n[0], g->pitch);
        }
    return v_sum_lanes(total);
}

#define MAKE_TRIANGLE(axes, constant)                                                                               \
    static double triangle_##axes##_##constant(const struct sv_operand *A, double omega, const real *x, real *out,  \
                                               int upper)                                                           \
    {                                                                                                               \
        return PERIODIC_LAYERS(GRID) ? triangle(A, omega, x, out, upper, 0, axes, constant)                         \
                                     : triangle(A, omega, x, out, upper, 1, axes, constant);                        \
    }
GRID_EACH(MAKE_TRIANGLE)

/* d = (K + L)^-1 r, so the residual before the sweep is (K + L) d. */
static double measured_sweep(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b,
                             double *x, double *d)
{
    SV_TABLE(grid_natural_measured)(A, omega, direction, b, x, d);
    return GRID_PICK(triangle, GRID)(A, omega, d, NULL, direction == SV_BACKWARD);
}

static double eisenstat(const struct sv_operand *A, double omega, const double *v, const double *t, double *q)
{
    double square;
    return SV_TABLE(grid_natural_eisenstat)(A, omega, v, t, q, &square);
}

static double lower_product(const struct sv_operand *A, double omega, const double *r, double *out)
{
    if (out)
        clear_between(GRID, out);
    return GRID_PICK(triangle, GRID)(A, omega, r, out, 0);
}

const struct sv_operand_kernels SV_TABLE(grid_natural_kernels) = {
    SV_TABLE(grid_multiply), SV_TABLE(grid_residual), SV_TABLE(grid_natural_sweep), measured_sweep,
    SV_TABLE(grid_jacobi), SV_TABLE(grid_natural_lower), SV_TABLE(grid_natural_upper), eisenstat, lower_product, NULL,
    SV_TABLE(grid_natural_eisenstat), SV_TABLE(grid_natural_advance), SV_TABLE(grid_natural_begin),
};
