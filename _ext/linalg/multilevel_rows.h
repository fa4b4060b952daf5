/* Rows of a level, and the cells around them. For both float widths. */
#ifndef SOLVERS_LINALG_MULTILEVEL_ROWS_H
#define SOLVERS_LINALG_MULTILEVEL_ROWS_H

#include "multilevel.h"
#include "simd.h"

/* One copy of a kernel for each number of axes, with constant couplings and without. */
#define LEVEL_EACH(MAKE) MAKE(1, 0) MAKE(2, 0) MAKE(3, 0) MAKE(1, 1) MAKE(2, 1) MAKE(3, 1)
#define LEVEL_PICK(name, g)                                                                                         \
    ((g)->constant ? ((g)->axes == 1 ? name##_1_1 : (g)->axes == 2 ? name##_2_1 : name##_3_1)                       \
                   : ((g)->axes == 1 ? name##_1_0 : (g)->axes == 2 ? name##_2_0 : name##_3_0))

INLINE ptrdiff_t row_at(const struct sv_level *g, ptrdiff_t k, ptrdiff_t j)
{
    return (k * g->n[1] + j) * g->pitch + MULTILEVEL_LEAD;
}

INLINE const real *no_row(const struct sv_level *g) { return (const real *)g->zeros + MULTILEVEL_LEAD; }

/* The cell that k stands for on an axis of n, or -1 where there is none. */
INLINE ptrdiff_t on_axis(ptrdiff_t k, ptrdiff_t n, int periodic)
{
    if (k >= 0 && k < n)
        return k;
    return periodic ? (k % n + n) % n : -1;
}

/* Row (k, j) of a field, of zeros where the grid has none. */
INLINE const real *row_of(const struct sv_level *g, const void *field, ptrdiff_t k, ptrdiff_t j)
{
    k = on_axis(k, g->n[2], g->periodic[2]), j = on_axis(j, g->n[1], g->periodic[1]);
    return !field || k < 0 || j < 0 ? no_row(g) : (const real *)field + row_at(g, k, j);
}

/* The same of a field whose rows are shared; the grid has that row. */
INLINE const real *shared_row(const struct sv_level *g, int which, const void *field, ptrdiff_t k, ptrdiff_t j)
{
    ptrdiff_t row = k * g->n[1] + j;
    if (!field)
        return no_row(g);
    return (const real *)field + (g->same[which] ? g->same[which][row] : row) * g->pitch + MULTILEVEL_LEAD;
}

INLINE const real *inverse_row(const struct sv_level *g, ptrdiff_t k, ptrdiff_t j)
{
    return shared_row(g, SHARED_INVERSE, g->inverse, k, j);
}

INLINE const real *scale_row(const struct sv_level *g, ptrdiff_t k, ptrdiff_t j)
{
    return shared_row(g, SHARED_SCALE, g->scale, k, j);
}

INLINE const real *share_row(const struct sv_level *g, int axis, ptrdiff_t k, ptrdiff_t j)
{
    return shared_row(g, SHARED_SHARES + axis, g->share[axis], k, j);
}

/* What lies before and after a row's cells, where x is periodic. */
INLINE void close_row(const struct sv_level *g, real *row)
{
    if (g->periodic[0])
        row[-1] = row[g->n[0] - 1], row[g->n[0]] = row[0];
}

/* The values beside a row's cells along y and z, before and after, and the couplings with all around. */
struct around {
    const real *own, *y[2], *z[2];
    const real *cx, *cy[2], *cz[2];
    vreal coupling[3];
};

INLINE void couple(struct around *a, const struct sv_level *g, ptrdiff_t k, ptrdiff_t j, int axes, int constant)
{
    for (int axis = 0; axis < 3; axis++)
        a->coupling[axis] = v_set1((real)g->coupling[axis]);
    if (constant)
        return;
    a->cx = row_of(g, g->face[0], k, j);
    if (axes > 1)
        a->cz[0] = row_of(g, g->face[2], k, j), a->cz[1] = row_of(g, g->face[2], k + 1, j);
    if (axes > 2)
        a->cy[0] = row_of(g, g->face[1], k, j), a->cy[1] = row_of(g, g->face[1], k, j + 1);
}

/* The values themselves, or the couplings with them: x[0] before the cells, x[1] after them, and so on. */
struct values {
    vreal x[2], y[2], z[2];
};

/* The couplings of the cells from i on, where they are not constant. */
INLINE struct values couplings(const struct around *a, ptrdiff_t i, int axes)
{
    struct values c = {.x = {v_load(a->cx + i), v_load(a->cx + i + 1)}};
    for (int side = 0; side < 2 && axes > 1; side++)
        c.z[side] = v_load(a->cz[side] + i);
    for (int side = 0; side < 2 && axes > 2; side++)
        c.y[side] = v_load(a->cy[side] + i);
    return c;
}

/* sum + the couplings times the values. c is not read where they are constant. */
INLINE vreal add_values(const struct around *a, const struct values *c, const struct values *v, vreal sum, int axes,
                        int constant)
{
    if (constant) {
        if (axes > 1)
            sum = v_fma(a->coupling[2], v_add(v->z[0], v->z[1]), sum);
        if (axes > 2)
            sum = v_fma(a->coupling[1], v_add(v->y[0], v->y[1]), sum);
        return v_fma(a->coupling[0], v_add(v->x[0], v->x[1]), sum);
    }
    for (int side = 0; side < 2 && axes > 1; side++)
        sum = v_fma(c->z[side], v->z[side], sum);
    for (int side = 0; side < 2 && axes > 2; side++)
        sum = v_fma(c->y[side], v->y[side], sum);
    sum = v_fma(c->x[0], v->x[0], sum);
    return v_fma(c->x[1], v->x[1], sum);
}

/* The passes read too many rows side by side, each too short, for the hardware to see what comes next: so they ask for
 * what is so many rows ahead. */
enum { AHEAD = 4, CACHE_LINE = 64 };

INLINE void fetch(const void *row, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CACHE_LINE)
        __builtin_prefetch((const char *)row + at);
}

/* Parts that a pass over so many planes is cut into. Results do not depend on it. */
INLINE ptrdiff_t parts_of(const struct sv_level *g, ptrdiff_t planes, int threads)
{
    ptrdiff_t worth = (ptrdiff_t)(g->size >> 13), most = planes / 4;
    ptrdiff_t parts = threads < worth ? threads : worth;
    parts = parts < most ? parts : most;
    return parts < 1 ? 1 : parts;
}

#endif
