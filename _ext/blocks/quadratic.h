/* Steps on quadratic functions with a penalty of each coordinate's own: l1 |u| on lower <= u <= upper. */
#ifndef SOLVERS_QUADRATIC_H
#define SOLVERS_QUADRATIC_H

#include "forest.h"

struct sv_box {
    const double *l1, *lower, *upper;
};

/* g += A[:, block] s for a symmetric A in rows. */
SV_BINDING void sv_add_columns(const struct sv_rows *A, size_t count, const int64_t *block, const double *s, double *g);

/* H = A[block][:, block], count x count. work: an entry for each row of A, 0 before and after. */
SV_BINDING void sv_block_of(const struct sv_rows *A, size_t count, const int64_t *block, int32_t *work, double *H);

/* Sweeps of coordinate descent on 1/2 u'H u + ... over a dense block of n: u and its gradient g are kept together; a
 * coordinate that stays costs O(1). Returns the largest change of the last sweep, in the scale of the gradient. */
SV_BINDING double sv_block_sweeps(size_t n, const double *H, const struct sv_box *box, int sweeps, double *u, double *g);

#endif
