/* What the parts of the set-up share. For both float widths. */
#ifndef SOLVERS_LINALG_MULTILEVEL_SETUP_H
#define SOLVERS_LINALG_MULTILEVEL_SETUP_H

#include <string.h>

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

/* A row of cells. */
struct place {
    ptrdiff_t k, j;
};

INLINE struct place moved(struct place at, int axis, ptrdiff_t by)
{
    return (struct place){at.k + (axis == 2) * by, at.j + (axis == 1) * by};
}

INLINE ptrdiff_t along(struct place at, int axis) { return axis == 2 ? at.k : at.j; }

/* ---- rows that come out as one before them did: away from obstacles and walls nearly all ---- */

/* The row that a row is like, of one kind; -1 where the grid has none. */
INLINE int32_t kind_of(const struct sv_level *g, int which, ptrdiff_t k, ptrdiff_t j)
{
    k = on_axis(k, g->n[2], g->periodic[2]), j = on_axis(j, g->n[1], g->periodic[1]);
    return k < 0 || j < 0 ? -1 : g->alike[which][k * g->n[1] + j];
}

/* Whether what a row is made from is like what another was made from. */
typedef int (*compare_rows)(const struct setup *s, struct place row, struct place other);

/* Whether a row, of a level whose rows the pass makes in their order, comes out as the one before in its plane, or in the
 * plane before. A part looks at its own planes alone, from `first` on. */
INLINE int find_like(const struct setup *s, compare_rows compare, ptrdiff_t first, struct place row, struct place *like)
{
    for (int axis = 1; axis < 3 && s->g->alike[0]; axis++) {
        *like = moved(row, axis, -1);
        if (like->j >= 0 && like->k >= first && compare(s, row, *like))
            return 1;
    }
    return 0;
}

INLINE void copy_row(const struct sv_level *g, void *field, struct place from, struct place to)
{
    if (field)
        memcpy(row_in(g, field, to.k, to.j), row_in(g, field, from.k, from.j), (size_t)g->n[0] * sizeof(real));
}

/* The row's number, or that of the one which `like` stands for. */
INLINE void note_kind(const struct sv_level *g, int which, struct place row, const struct place *like)
{
    const ptrdiff_t n = g->n[1];
    if (g->alike[which])
        g->alike[which][row.k * n + row.j] = like ? g->alike[which][like->k * n + like->j] : (int32_t)(row.k * n + row.j);
}
#endif
