/* A dictionary of a linear program with a parametric right side and cost, and pivots that take the parameter to zero.
 *
 *     basic_i = b_i + mu b'_i + sum_j D_ij nonbasic_j >= 0,   nonbasic_j >= 0
 *     minimise  value + sum_j (c_j + mu c'_j) nonbasic_j
 *
 * For a large mu it is optimal, where b', c' > 0. */
#ifndef SOLVERS_EQUILIBRIUM_TABLEAU_H
#define SOLVERS_EQUILIBRIUM_TABLEAU_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

struct sv_tableau {
    size_t rows, columns;
    double *D;                              /* rows x columns, contiguous */
    double *b, *b_moving, *c, *c_moving;    /* rows; columns */
    int64_t *row_label, *column_label;      /* what is basic in a row, what is not in a column */
    double *row, *column;                   /* work: columns; rows */
    int64_t pivots;
};

enum sv_tableau_end { SV_TABLEAU_OPTIMAL, SV_TABLEAU_STUCK, SV_TABLEAU_TIRED };

/* The parametric self-dual simplex method: b and c down to -tol count as nonnegative. */
SV_BINDING int sv_tableau_minimise(struct sv_tableau *t, double tol, int64_t most_pivots);

/* Pivots on the largest entry between rows and columns that are marked (and not yet pivoted on), until none is larger
 * than `least`. */
SV_BINDING void sv_tableau_enter(struct sv_tableau *t, uint8_t *row_marked, uint8_t *column_marked, double least);

struct tableau_kernels {
    /* D_i += column_i row for all rows i but `pivot`. */
    void (*eliminate)(struct sv_tableau *t, size_t pivot);
};

#endif
