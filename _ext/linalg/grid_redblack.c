/* The kernels of a stencil in red-black order: all red cells come before all black ones.
 *
 * Cells of one colour do not touch, so there is no recurrence: each kernel is loads, multiply-adds and a store, with
 * unit stride. Sweeps are in grid_sweeps.c. Here a colour is a pass of its own but where noted; bytes as in
 * grid_natural.c. Accuracy: each cell within 2 axes + 6 roundings of its largest term.
 * In NumPy: y[red] = omega / D[red] * rhs[red]; y[black] = omega / D[black] * (rhs[black] - (A @ y)[black])
 */
#include "grid_redblack.h"

#define MAKE_BOTH(axes, constant)                                                                     \
    static double measured_##axes##_##constant(const struct call *call)                               \
    {                                                                                                 \
        return both_colours(call, MEASURED, axes, constant);                                          \
    }                                                                                                 \
    static double triangle_##axes##_##constant(const struct call *call)                               \
    {                                                                                                 \
        return both_colours(call, TRIANGLE, axes, constant);                                          \
    }
GRID_EACH(MAKE_BOTH)

static void sweeps(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b, double *x,
                   int count)
{
    sv_grid_layout(0)->sweeps(GRID, omega, direction == SV_BACKWARD, (size_t)count, 0, A->threads, b, x);
}

static void sweep(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b, double *x)
{
    sweeps(A, omega, direction, b, x, 1);
}

/* d = (K + L)^-1 r, so the residual before the sweep is (K + L) d. */
static double measured_sweep(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b,
                             double *x, double *d)
{
    struct call sweep = {A, omega, direction == SV_BACKWARD, b, NULL, x, d};
    clear_between(GRID, d);
    GRID_PICK(measured, GRID)(&sweep);
    struct call product = {A, omega, direction == SV_BACKWARD, NULL, d, NULL, NULL};
    return GRID_PICK(triangle, GRID)(&product);
}

static double lower_product(const struct sv_operand *A, double omega, const double *r, double *out)
{
    struct call call = {A, omega, 0, NULL, r, out, NULL};
    clear_between(GRID, out);
    return GRID_PICK(triangle, GRID)(&call);
}

const struct sv_operand_kernels SV_TABLE(grid_redblack_kernels) = {
    SV_TABLE(grid_multiply), SV_TABLE(grid_residual), sweep, measured_sweep, SV_TABLE(grid_jacobi),
    SV_TABLE(grid_redblack_lower), SV_TABLE(grid_redblack_upper), SV_TABLE(grid_redblack_eisenstat), lower_product,
    sweeps, NULL, NULL,
};
