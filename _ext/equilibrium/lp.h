/* Restarted reflected Halpern steps of the primal-dual hybrid gradient method for
 *     min c'x  subject to  l <= K x <= u,  lb <= x <= ub,
 * by one sweep over the rows of K a step. */
#ifndef SOLVERS_EQUILIBRIUM_LP_H
#define SOLVERS_EQUILIBRIUM_LP_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

struct sv_lp {
    size_t m, n;
    const int32_t *starts, *index; /* of K in CSR, indices rising */
    const double *value;
    const double *c, *l, *u, *lb, *ub; /* the sides and bounds may be infinite */
};

/* Where the iteration is: z = (x, y), K'y, and the anchor; xbar: n doubles of work. */
struct sv_lp_state {
    double *x, *y, *kty, *xbar;
    const double *anchor_x, *anchor_y;
};

/* `count` > 0 steps, the first of which is step `after` (from 0) since the anchor. tau and sigma are positive. The last
 * step's T(z), of the z that it began with, is written to (tx, ty), and z - T(z) to (dx, dy). */
SV_BINDING void sv_equilibrium_lp_steps(const struct sv_lp *lp, const struct sv_lp_state *state, double tau,
                                        double sigma, int64_t after, int64_t count, double *tx, double *ty, double *dx,
                                        double *dy);

/* out = K x, and out = K'y. */
SV_BINDING void sv_equilibrium_lp_product(const struct sv_lp *lp, const double *x, double *out);
SV_BINDING void sv_equilibrium_lp_transposed(const struct sv_lp *lp, const double *y, double *out);

struct lp_kernels {
    void (*steps)(const struct sv_lp *lp, const struct sv_lp_state *state, double tau, double sigma, int64_t after,
                  int64_t count, double *tx, double *ty, double *dx, double *dy);
    void (*product)(const struct sv_lp *lp, const double *x, double *out);
    void (*transposed)(const struct sv_lp *lp, const double *y, double *out);
};

#endif
