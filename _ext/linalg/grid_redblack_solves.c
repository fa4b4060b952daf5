/* Triangular solves with a stencil in red-black order, and Eisenstat's product: see grid_redblack.c. */
#include "grid_redblack.h"

#define MAKE_BOTH(axes, constant)                                                                     \
    static double solve_##axes##_##constant(const struct call *call)                                  \
    {                                                                                                 \
        return both_colours(call, TRIANGULAR, axes, constant);                                        \
    }                                                                                                 \
    static double eisenstat_##axes##_##constant(const struct call *call)                              \
    {                                                                                                 \
        return both_colours(call, EISENSTAT, axes, constant);                                         \
    }
GRID_EACH(MAKE_BOTH)

void SV_TABLE(grid_redblack_lower)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    struct call call = {A, omega, 0, rhs, NULL, out, NULL};
    clear_between(GRID, out);
    GRID_PICK(solve, GRID)(&call);
}

void SV_TABLE(grid_redblack_upper)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    struct call call = {A, omega, 1, rhs, NULL, out, NULL};
    clear_between(GRID, out);
    GRID_PICK(solve, GRID)(&call);
}

double SV_TABLE(grid_redblack_eisenstat)(const struct sv_operand *A, double omega, const double *v, const double *t,
                                         double *q)
{
    struct call call = {A, omega, 0, v, t, q, NULL};
    clear_between(GRID, q);
    return GRID_PICK(eisenstat, GRID)(&call);
}
