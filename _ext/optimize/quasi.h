/* Approximations B of the Hessian of sigma f + y'c from gradients at the points that a method visits.
 *
 * A step s = x - x_before and q, the change of the gradient of sigma f + y'c along it for the present y, teach B:
 *
 *     BFGS     B += r r'/(s'r) - B s s'B/(s'B s), with Powell's r = t q + (1 - t) B s in the place of q, the largest t <= 1
 *              that keeps s'r >= 0.2 s'B s: B stays positive definite
 *     SR1      B += v v'/(v's) with v = q - B s, unless |v's| < 1e-8 |v| |s|: B may become indefinite, as the Hessian may
 *     L-BFGS   BFGS over the last SV_QUASI_PAIRS pairs (s, r) from a multiple of I
 *
 * B begins as I, and as (q'q / s'q) I once there is a step (SR1: twice that). With sigma = 0 it is 0. An update costs 4 n^2 to 8 n^2 flops and
 * 2 n m, L-BFGS that for each pair. Sources: Powell, LNM 630 (1978); Nocedal and Wright, Numerical Optimization, chapters 6,
 * 7 and 18.
 */
#ifndef SOLVERS_OPTIMIZE_QUASI_H
#define SOLVERS_OPTIMIZE_QUASI_H

#include <stdint.h>

#include "runtime.h"

enum { SV_QUASI_NONE, SV_QUASI_BFGS, SV_QUASI_SR1, SV_QUASI_LBFGS };
enum { SV_QUASI_PAIRS = 10 };

/* Numbers that an approximation consists of, zeros at the start; and those of work. */
SV_BINDING int64_t sv_quasi_size(int kind, int64_t n, int64_t m);
SV_BINDING int64_t sv_quasi_work(int64_t n);

/* Learns from the point x, where f has the gradient g and c the Jacobian J (m x n); H (n x n) becomes B. */
SV_BINDING void sv_quasi_update(int kind, int64_t n, int64_t m, const double *x, const double *g, const double *J,
                                double sigma, const double *y, double *numbers, double *work, double *H);

#endif
