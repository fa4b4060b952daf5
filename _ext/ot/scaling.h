/* Sinkhorn in the kernel domain: a stored plan P and scalings of its rows and columns.
 *
 * Where the plan is stored an iteration needs no exponentials: with column scalings y the row scalings that meet the
 * rows are x_i = a_i / (P y)_i, and the column sums then y_j (P' x)_j. The plan is that of potentials that are nearly
 * right, so that scalings stay near 1 and what underflowed in P does not matter.
 */
#ifndef SOLVERS_OT_SCALING_H
#define SOLVERS_OT_SCALING_H

#include <stddef.h>

#include "runtime.h"

struct sv_ot_stored_plan {
    size_t n, m;
    const double *p; /* (n, stride), at a cache line, 0 from column m on */
    size_t stride;   /* sv_ot_scaling_stride(m) */
    const double *a; /* (n,): row sums to meet */
};

/* m rounded up to whole cache lines. */
size_t sv_ot_scaling_stride(size_t m);

/* Doubles of work space, at a cache line, that the calls below need. */
size_t sv_ot_scaling_worksize(size_t n, size_t m);

/* Iterations before their rate is judged. */
#define OT_RATE_SWEEPS 4

/* At most `count` iterations: y_j becomes y_j b_j / c_j and is extrapolated from the last ones by Anderson's method, then x
 * meets the rows and c are the column sums. c holds the column sums at y on entry. Ends once sum |c - b| <= enough, before a
 * column sum that is not positive and finite, and where the rate says that more than `patience` more are needed; returns
 * the iterations done. work: sv_ot_scaling_sweeps_worksize doubles. */
size_t sv_ot_scaling_sweeps_worksize(size_t n, size_t m);
int sv_ot_scaling_sweeps(const struct sv_ot_stored_plan *plan, const double *b, double *x, double *y, double *c, int count,
                         int patience, double enough, double *work, int threads);

/* x meets the rows at y, and the column sums then. */
void sv_ot_scaling_update(const struct sv_ot_stored_plan *plan, double *x, const double *y, double *c,
                                     double *work, int threads);

/* Conjugate gradients for the semi-dual Newton system (diag(diagonal) - Q' diag(1/a) Q) z = rhs, Q = diag(x) P diag(y),
 * from 0, preconditioned by `diagonal`, until the residual's 2-norm is at most `goal`. Returns the iterations taken;
 * *residual becomes that norm. work: sv_ot_scaling_cg_worksize doubles. */
size_t sv_ot_scaling_cg_worksize(size_t n, size_t m);
int sv_ot_scaling_cg(const struct sv_ot_stored_plan *plan, const double *x, const double *y,
                                const double *diagonal, const double *rhs, double *z, double goal, int max_iter,
                                double *residual, double *work, int threads);

/* What a level provides (y and sums: `stride` entries at a cache line, y 0 from m on), for the rows [first, last): with s_i = (P y)_i, x_i = a_i / s_i, or weights_i s_i where there
 * are weights; then P' x is added to `sums`. */
struct ot_scaling_kernels {
    void (*pass)(const struct sv_ot_stored_plan *plan, const double *weights, const double *y, double *x, double *sums,
                 size_t first, size_t last);
};

#endif
