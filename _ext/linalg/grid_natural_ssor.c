/* The two passes of SSOR-CG with a stencil in lexicographic order: see grid_natural.c.
 *
 * Bytes a cell and iteration: 72 for x, r, v and t, read and written, and q, read; 24 for v and t, read, and q, written;
 * where couplings vary 8 more a pass for each array of faces and for the diagonal. Measured on one core of a Zen 5 at
 * 99^2, from the second cache: 0.72 ns a cell for both with constant couplings, and from the first cache no less: some 16
 * operations a vector of 8 and pass, multiply-adds and moves between lanes, at two a cycle. Grids whose diagonal is one
 * number have a layout with fewer of these: grid_slanted.c.
 * In NumPy: x += alpha * t; r -= alpha * q; v = D @ r + beta * v; t = solve(K + U, v); q = eisenstat(v, t)
 */
#include "grid_natural.h"

#define MAKE_PASSES(axes, constant)                                                                             \
    static struct sums eisenstat_##axes##_##constant(const struct sv_operand *A, const struct lex_call *c)       \
    {                                                                                                            \
        return WIDE(GRID, constant) ? lex_rows(A, c, EISENSTAT, 0, 0, axes, constant)                           \
                                    : lex_rows(A, c, EISENSTAT, 0, 1, axes, constant);                          \
    }                                                                                                            \
    static struct sums advance_##axes##_##constant(const struct sv_operand *A, const struct lex_call *c)         \
    {                                                                                                            \
        return WIDE(GRID, constant) ? lex_rows(A, c, ADVANCE, 1, 0, axes, constant)                             \
                                    : lex_rows(A, c, ADVANCE, 1, 1, axes, constant);                            \
    }                                                                                                            \
    static struct sums begin_##axes##_##constant(const struct sv_operand *A, const struct lex_call *c)           \
    {                                                                                                            \
        return WIDE(GRID, constant) ? lex_rows(A, c, BEGIN, 0, 0, axes, constant)                               \
                                    : lex_rows(A, c, BEGIN, 0, 1, axes, constant);                              \
    }
LEX_EACH(MAKE_PASSES)

double SV_TABLE(grid_natural_eisenstat)(const struct sv_operand *A, double omega, const double *v, const double *t,
                                        double *q, double *square)
{
    struct lex_call call = {.omega = omega, .rhs = v, .t = t, .x = q, .d = q};
    clear_between(GRID, q);
    struct sums sums = LEX_PICK(eisenstat, GRID)(A, &call);
    *square = v_sum_lanes(sums.square) + sums.ends[1];
    return v_sum_lanes(sums.product) + sums.ends[0];
}

double SV_TABLE(grid_natural_advance)(const struct sv_operand *A, double omega, double alpha, double beta,
                                      const struct sv_ssor_vectors *s)
{
    struct lex_call call = {.omega = omega, .alpha = alpha, .beta = beta, .rhs = s->v, .t = s->v, .x = s->t, .d = s->t,
                            .s = s};
    struct sums sums = LEX_PICK(advance, GRID)(A, &call);
    return v_sum_lanes(sums.square);
}

double SV_TABLE(grid_natural_begin)(const struct sv_operand *A, double omega, const double *b, const double *x,
                                    double *r, double *v, double *rho)
{
    const struct sv_ssor_vectors s = {.x = (double *)x, .v = v};
    struct lex_call call = {.omega = omega, .rhs = b, .t = r, .x = r, .d = r, .s = &s};
    clear_between(GRID, r), clear_between(GRID, v);
    struct sums sums = LEX_PICK(begin, GRID)(A, &call);
    *rho = v_sum_lanes(sums.square) + sums.ends[1];
    return sums.total + v_sum_lanes(sums.product);
}
