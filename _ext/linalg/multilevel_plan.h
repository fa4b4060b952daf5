/* What a hierarchy is to be: its levels, its scale, the inverse of its last level. See multilevel_plan.c. */
#ifndef SOLVERS_LINALG_MULTILEVEL_PLAN_H
#define SOLVERS_LINALG_MULTILEVEL_PLAN_H

#include "multilevel.h"

/* Of the grid, along (x, y, z); 1 cell where an axis is not there. */
struct sv_plan {
    ptrdiff_t n[3];
    int periodic[3];
    double strength[3]; /* of the couplings */
    int line;           /* the axis whose lines are relaxed at once: its strength does not count; -1: none */
};

struct sv_planned {
    int levels;
    int odd;            /* whether the cycle must go step by step: periodic axes are odd, or hardly divisible by 2 */
    ptrdiff_t n[MULTILEVEL_MOST][3];
    int halved[MULTILEVEL_MOST][3];
};

/* 0 where it would be more levels than may be. */
SV_BINDING int sv_plan_levels(const struct sv_plan *plan, struct sv_planned *planned);

/* How far apart the couplings of `size` cells lie of which sv_plan_strength takes some thousands. */
SV_BINDING size_t sv_plan_stride(size_t size);
/* The median of those that are positive, 0 where none is; their order is lost. */
SV_BINDING double sv_plan_strength(double *couplings, size_t count);

/* About 1 / size, exactly representable. */
SV_BINDING double sv_plan_scale(double size);

/* The inverse of the last level's matrix, (cells, cells), where its cells take part; zeros elsewhere. Where `singular`,
 * parts of it without sinks get the pseudo-inverse. 0 where there is no memory. */
SV_BINDING int sv_plan_last(const struct sv_multilevel *M, int singular, double *inverse);

/* The cells (NULL: all from 0 on) of a vector less their mean. */
SV_BINDING void sv_plan_project(const ptrdiff_t *cells, size_t count, double *vector);

#endif
