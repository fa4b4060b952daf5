/* Triangular solves with a stencil in lexicographic order: see grid_natural.c. */
#include "grid_natural.h"

#define MAKE_SOLVES(axes, constant)                                                                              \
    static struct sums solve_##axes##_##constant(const struct sv_operand *A, const struct lex_call *c, int down) \
    {                                                                                                            \
        if (WIDE(GRID, constant))                                                                                \
            return down ? lex_rows(A, c, TRIANGULAR, 1, 0, axes, constant)                                       \
                        : lex_rows(A, c, TRIANGULAR, 0, 0, axes, constant);                                      \
        return down ? lex_rows(A, c, TRIANGULAR, 1, 1, axes, constant)                                           \
                    : lex_rows(A, c, TRIANGULAR, 0, 1, axes, constant);                                          \
    }
LEX_EACH(MAKE_SOLVES)

static void solve(const struct sv_operand *A, double omega, const double *rhs, double *out, int down)
{
    struct lex_call call = {.omega = omega, .rhs = rhs, .t = rhs, .x = out, .d = out};
    clear_between(GRID, out);
    LEX_PICK(solve, GRID)(A, &call, down);
}

void SV_TABLE(grid_natural_lower)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    solve(A, omega, rhs, out, 0);
}

void SV_TABLE(grid_natural_upper)(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    solve(A, omega, rhs, out, 1);
}
