/* The Newton system of the semi-dual of entropic transport, thinned, and its approximate factor.
 *
 * With the rows of the plan met (P 1 = a) and the row potentials eliminated, the Newton matrix in the column potentials is
 *
 *     S = diag(diagonal) - P' diag(1/a) P,
 *
 * P thinned to its large entries, the diagonal the full column sums plus a damping: what was dropped stays in the diagonal,
 * so that S is diagonally dominant. S is the Schur complement of [diag(a) P; P' diag(diagonal)].
 */
#ifndef SOLVERS_OT_ELIMINATION_H
#define SOLVERS_OT_ELIMINATION_H

#include <stddef.h>

#include "runtime.h"

struct sv_ot_thinned {
    size_t n, m;
    const ptrdiff_t *row_starts; /* an entry of row i and column `columns[k]` at row_starts[i] <= k < row_starts[i + 1] */
    const int *columns;
    const double *values;
    const double *a;        /* (n,): full row sums */
    const double *diagonal; /* (m,) */
};

/* L D L' in the order of elimination: for each step the vertex, 1/D, and its column of -L as (vertex, value). */
struct sv_ot_factor {
    size_t size, capacity;
    int *order;        /* (n + m,) */
    ptrdiff_t *starts; /* (n + m + 1,) */
    double *inverse;   /* (n + m,) */
    int *vertices;     /* (capacity,) */
    double *values;    /* (capacity,) */
};

/* Doubles of work space that sv_ot_factorise needs for so many entries. */
size_t sv_ot_factor_worksize(size_t n, size_t m, size_t entries);

/* Makes the factor in memory of its own, which sv_ot_factor_free gives back in any case: 1, 0 where it grows too large,
 * -1 where there is no memory. */
int sv_ot_factor_make(const struct sv_ot_thinned *p, struct sv_ot_factor *factor);
void sv_ot_factor_free(struct sv_ot_factor *factor);

/* Factor the bipartite system; 0 where the capacity does not suffice, else 1. */
int sv_ot_factorise(const struct sv_ot_thinned *p, struct sv_ot_factor *factor, double *work);

/* x (n + m,) becomes the factor's solution of [diag(a) -P; -P' diag(diagonal)] z = x. */
void sv_ot_factor_solve(const struct sv_ot_factor *factor, double *x);

/* Conjugate gradients for S x = rhs from x, preconditioned by the factor, or by S's diagonal where it is NULL, until
 * the residual's 2-norm is at most `goal`. Returns the iterations taken; *residual becomes that norm.
 * work: sv_ot_schur_cg_worksize doubles. */
size_t sv_ot_schur_cg_worksize(size_t n, size_t m);
int sv_ot_schur_cg(const struct sv_ot_thinned *p, const double *rhs, double *x, double goal, int max_iter,
                              const struct sv_ot_factor *factor, double *residual, double *work);

#endif
