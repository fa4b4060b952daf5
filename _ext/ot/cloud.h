/* What a transport problem between points needs to know of them before it is solved. */
#ifndef SOLVERS_OT_CLOUD_H
#define SOLVERS_OT_CLOUD_H

#include "ot.h"

/* An upper bound of all distances between the points of a cost: that of the corners of their box. */
SV_BINDING double sv_ot_cloud_span(const struct sv_ot_cost *cost);

/* The points (n, d) scaled to length sqrt(1/2), so that half the squared distance of two is 1 - cos. Returns the first that
 * is zero, n where none is. out may be points. */
SV_BINDING size_t sv_ot_directions(const double *points, size_t n, size_t d, double *out);

#endif
