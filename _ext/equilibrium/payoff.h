/* A dense matrix game as it was given: what a pair of strategies is worth, and how it is shifted and scaled. */
#ifndef SOLVERS_EQUILIBRIUM_PAYOFF_H
#define SOLVERS_EQUILIBRIUM_PAYOFF_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

struct sv_payoff {
    size_t m, n;
    const double *A; /* A_ij at A[i row_stride + j column_stride] */
    ptrdiff_t row_stride, column_stride;
    const double *linear_x, *linear_y; /* n and m; NULL: none */
};

/* G = A'y + linear_x + linear_y'y and H = A x + linear_y + linear_x'x. list: max(m, n). */
SV_BINDING void sv_payoff_against(const struct sv_payoff *game, const double *x, const double *y, double *G, double *H,
                                  int32_t *list);

/* The strategy that a vector is meant to be: its positive part over the sum of that. */
SV_BINDING void sv_payoff_strategy(const double *values, size_t length, double *strategy);

/* A power of two not below `size` > 0, so that dividing by it rounds nothing; neither it nor its inverse overflows. 1 for
 * size 0. */
SV_BINDING double sv_payoff_scale(double size);

#endif
