/* What the parts of the set-up share. For both float widths. */
#ifndef SOLVERS_LINALG_MULTILEVEL_SETUP_H
#define SOLVERS_LINALG_MULTILEVEL_SETUP_H

#include "multilevel_rows.h"

/* A pass over planes: what it reads and writes, and how it is cut. */
struct setup {
    const struct sv_level *g, *coarse;
    const struct sv_cells *cells;
    const double *from;
    real *to;
    double scale;
    int close;
    struct sv_ways ways; /* NULL along axes that are not halved, and where the coefficient is constant */
    ptrdiff_t parts, planes;
};

INLINE void range_of(const struct setup *s, size_t index, ptrdiff_t *from, ptrdiff_t *to)
{
    *from = (ptrdiff_t)index * s->planes / s->parts;
    *to = ((ptrdiff_t)index + 1) * s->planes / s->parts;
}

INLINE void over_planes(struct setup *s, ptrdiff_t planes, sv_task task, int threads)
{
    s->planes = planes;
    s->parts = parts_of(s->g, planes, threads);
    sv_parallel_for(threads, (size_t)s->parts, task, s);
}

INLINE real *row_in(const struct sv_level *g, void *field, ptrdiff_t k, ptrdiff_t j)
{
    return (real *)field + row_at(g, k, j);
}
#endif
