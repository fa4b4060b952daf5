/* What a pass over the coordinates tells of a penalty on groups: see _groups.py. */
#ifndef SOLVERS_LEARNING_GROUPED_H
#define SOLVERS_LEARNING_GROUPED_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* sum_k norm_k |w_k|_2 + sum_j l1_j |w_j|, low_j <= w_j <= high_j, each bound 0 or infinite. Group k has the coordinates
 * order[start[k]] to order[start[k + 1]], and may have none. */
struct sv_grouped {
    size_t count;
    const int32_t *start, *order;
    const double *norm;             /* one a group */
    const double *l1, *low, *high;  /* one a coordinate */
};

/* At w, where the loss has the gradient g. */
struct sv_grouped_measures {
    double value;
    double kkt;   /* the largest violation of a coordinate's equation */
    double above; /* for t from 0 to `above` the conjugate at -t g is finite */
};

SV_BINDING void sv_grouped_measure(const struct sv_grouped *penalty, const double *w, const double *g,
                                   struct sv_grouped_measures *measures);

SV_BINDING double sv_grouped_value(const struct sv_grouped *penalty, const double *w);

/* The 2-norm of each group's violations. */
SV_BINDING void sv_grouped_violations(const struct sv_grouped *penalty, const double *w, const double *g,
                                      double *violation);

/* The largest t for which the conjugate at -t g is finite, where g is known to `slack` (NULL: exactly). */
SV_BINDING double sv_grouped_limit(const struct sv_grouped *penalty, const double *g, const double *slack);

#endif
