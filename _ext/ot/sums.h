/* Sums, products and norms of vectors for the drivers of this family: what decides on steps and ends in results. */
#ifndef SOLVERS_OT_SUMS_H
#define SOLVERS_OT_SUMS_H

#include <stddef.h>

#include "runtime.h"

/* sum x */
SV_BINDING double sv_ot_sum(const double *x, size_t size);
/* sum x y */
double sv_ot_dot(const double *x, const double *y, size_t size);
/* sum w (x - y) */
double sv_ot_dot_change(const double *w, const double *x, const double *y, size_t size);
/* sum w |x| */
double sv_ot_dot_size(const double *w, const double *x, size_t size);
/* sum w log w over the w > 0 */
double sv_ot_entropy(const double *w, size_t size);
/* sum x log y */
double sv_ot_dot_log(const double *x, const double *y, size_t size);
/* sum |x - y|, sum (unit (x - y))^2, max |x - y| (NaN where one is); y may be NULL: 0 */
double sv_ot_distance_l1(const double *x, const double *y, size_t size);
double sv_ot_distance_squared(const double *x, const double *y, double unit, size_t size);
double sv_ot_distance_linf(const double *x, const double *y, size_t size);
double sv_ot_least(const double *x, size_t size);
double sv_ot_largest(const double *x, size_t size);
int sv_ot_all_finite(const double *x, size_t size);

#endif
