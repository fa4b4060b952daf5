/* Sweeps with a stencil in lexicographic order: see grid_natural.c. */
#include "grid_natural.h"

#define MAKE_SWEEPS(axes, constant)                                                                         \
    static void sweep_##axes##_##constant(const struct sv_operand *A, const struct lex_call *c, int down)   \
    {                                                                                                       \
        down ? lex_rows(A, c, SWEEP, 1, 0, axes, constant) : lex_rows(A, c, SWEEP, 0, 0, axes, constant);   \
    }                                                                                                       \
    static void measured_##axes##_##constant(const struct sv_operand *A, const struct lex_call *c, int down) \
    {                                                                                                       \
        down ? lex_rows(A, c, MEASURED, 1, 0, axes, constant) : lex_rows(A, c, MEASURED, 0, 0, axes, constant); \
    }
GRID_EACH(MAKE_SWEEPS)

void SV_TABLE(grid_natural_sweep)(const struct sv_operand *A, double omega, enum sv_direction direction,
                                  const double *b, double *x)
{
    struct lex_call call = {.omega = omega, .rhs = b, .t = x, .x = x, .d = x};
    GRID_PICK(sweep, GRID)(A, &call, direction == SV_BACKWARD);
}

void SV_TABLE(grid_natural_measured)(const struct sv_operand *A, double omega, enum sv_direction direction,
                                     const double *b, double *x, double *d)
{
    struct lex_call call = {.omega = omega, .rhs = b, .t = x, .x = x, .d = d};
    clear_between(GRID, d);
    GRID_PICK(measured, GRID)(A, &call, direction == SV_BACKWARD);
}
