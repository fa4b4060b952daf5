/* Restoration of feasibility: a local minimiser of the violation, from a point where a method's own steps fail.
 *
 *     min 1/2 |v(x)|^2   with lower <= x <= upper,     v_i = what c_i(x) is above row_upper_i or below row_lower_i
 *
 * by Newton's method with Levenberg and Marquardt's shift: (S + lambda) d + J'w = -z-part, J d - w = -v on the violated rows,
 * S = sum v_i grad^2 c_i while that keeps m negative eigenvalues, else 0. Variables at a bound that the descent leaves
 * stay there (a projected method). Rows count in the scales in force.
 */
#ifndef SOLVERS_OPTIMIZE_RESTORATION_H
#define SOLVERS_OPTIMIZE_RESTORATION_H

#include "nlp.h"

struct sv_restoration {
    double violation;    /* max |v_i| at x */
    double stationarity; /* largest entry of the projected gradient J'v, over max(1, the largest row) |v| */
    int64_t steps;
};

/* SV_RESTORED: violation <= target. SV_INFEASIBLE: x is stationary for the violation (stationarity <= tol) and violated by
 * more than target. SV_RESTORATION_STUCK: neither within max_steps, or no step brings anything any more. */
enum { SV_RESTORED = 0, SV_INFEASIBLE = 4, SV_RESTORATION_STUCK = 5 };

SV_BINDING int64_t sv_restoration_work(int64_t n, int64_t m);

/* x is changed in place, and is within the sides of the variables all the way. f, c, J and H end as those of other points:
 * evaluate anew. */
SV_BINDING int sv_restore(const sv_nlp *nlp, const struct sv_sides *sides, double target, double tol, int64_t max_steps,
                          double *x, double *work, struct sv_restoration *out);

#endif
