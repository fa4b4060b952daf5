/* Certificates of penalties that are sums over the coordinates, and of bounds: see _penalty.py. */
#ifndef SOLVERS_LEARNING_SEPARABLE_H
#define SOLVERS_LEARNING_SEPARABLE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* sum_j l1_j |w_j| + l2_j w_j^2 / 2, low_j <= w_j <= high_j; low <= 0 <= high. */
struct sv_separable {
    size_t d;
    const double *l1, *l2, *low, *high;
};

/* At w, where the loss has the gradient g. */
struct sv_separable_measures {
    double value;
    double kkt;      /* the largest violation of a coordinate's equation */
    double below, above; /* for t from `below` <= 0 to `above` the conjugate at -t g is finite */
};

/* What holds of the penalty at all. */
struct sv_separable_kind {
    double largest_l1;
    int has_l2;   /* some l2 term */
    int is_gauge; /* the penalty of t w is t times that of w for t >= 0 */
    int has_dual; /* every coordinate has a penalty or two finite bounds */
};

SV_BINDING struct sv_separable_kind sv_separable_kind(const struct sv_separable *penalty);

SV_BINDING void sv_separable_measure(const struct sv_separable *penalty, const double *w, const double *g,
                                     struct sv_separable_measures *measures);

/* The violation of each coordinate's equation. */
SV_BINDING void sv_separable_violations(const struct sv_separable *penalty, const double *w, const double *g,
                                        double *violation);

/* max of u w - penalty over coordinate j, 0 where that is infinite. */
SV_BINDING double sv_separable_conjugate_of(const struct sv_separable *penalty, size_t j, double u);

/* Where sum_j norms_j |w'_j| <= r, a convex objective is no lower at w' than at w but for sum + r * steepest: the coordinates'
 * own terms with their conjugates, and the steepest way where these are infinite, in units of the norms. */
struct sv_separable_slopes {
    double sum, steepest;
};
SV_BINDING struct sv_separable_slopes sv_separable_slopes(const struct sv_separable *penalty, const double *norms,
                                                          const double *w, const double *g);

/* The conjugate at u = -share g, share within the limits: max over w within the bounds of u'w - penalty. */
SV_BINDING double sv_separable_conjugate(const struct sv_separable *penalty, const double *g, double share);

#endif
