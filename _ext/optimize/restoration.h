/* Restoration of feasibility: a local minimiser of the violation, from a point where a method's own steps fail.
 *
 *     min 1/2 |v(x)|^2   with lower <= x <= upper,     v_i = what c_i(x) is above row_upper_i or below row_lower_i
 *
 * by Levenberg and Marquardt's method, projected: d solves (S + lambda) d + J'w = 0, J d - w = -v over the violated rows and
 * the variables that are not held at a bound; S = sum v_i grad^2 c_i where `curved`, while that leaves m negative
 * eigenvalues (the convergence to points where v stays is quadratic then), else 0. Rows count in the scales in force.
 * A step costs one values(), slopes() and factorisation where it is taken, and one values() and factorisation more for each
 * time that lambda rises first. Source: Nocedal and Wright, Numerical Optimization, 10.3, with lambda from the ratio of what
 * is gained to what the model promised.
 */
#ifndef SOLVERS_OPTIMIZE_RESTORATION_H
#define SOLVERS_OPTIMIZE_RESTORATION_H

#include "nlp.h"

struct sv_restoration {
    double violation;    /* max |v_i| at x */
    double stationarity; /* largest entry of the projected gradient J'v, over |v| */
    int64_t steps;
};

/* SV_RESTORED: violation <= target. SV_RESTORATION_INFEASIBLE: x is stationary for the violation (stationarity <= tol) and violated by
 * more than target. SV_RESTORATION_STUCK: neither within max_steps, or no step brings anything any more. */
enum { SV_RESTORED = 0, SV_RESTORATION_INFEASIBLE = 4, SV_RESTORATION_STUCK = 5 };

SV_BINDING int64_t sv_restoration_work(int64_t n, int64_t m);

/* `curved`: curvature() serves any weights (it is no quasi-Newton matrix of one Lagrangian). With it, a stationary point that
 * is no minimiser is left again. x is changed in place, and is within the sides of the variables all the way. f, c, J and H end as those of other points:
 * evaluate anew. */
SV_BINDING int sv_restore(const sv_nlp *nlp, const struct sv_sides *sides, int curved, double target, double tol,
                          int64_t max_steps, double *x, double *work, struct sv_restoration *out);

#endif
