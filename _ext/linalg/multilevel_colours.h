/* Rows of a level whose red and black cells are kept apart, in the memory of a pass. For both float widths. */
#ifndef SOLVERS_LINALG_MULTILEVEL_COLOURS_H
#define SOLVERS_LINALG_MULTILEVEL_COLOURS_H

#include "multilevel_rows.h"
#include "simd_pairs.h"

/* The place of a row's first red cell. Cell 2 m + s of a row whose cells of one colour begin at s lies at place m. */
INLINE int first_red(ptrdiff_t k, ptrdiff_t j) { return (int)((k + j) & 1); }

/* Cells of a row of one colour; where nx is odd there may be one less, and the last is 0. */
INLINE ptrdiff_t half_of(const struct sv_level *g) { return (g->n[0] + 1) / 2; }

/* A ring of three planes, of cells of one colour. */
INLINE real *ring_row(const struct sv_level *g, real *ring, ptrdiff_t k, ptrdiff_t j)
{
    return ring + ((k % 3 + 3) % 3 * g->n[1] + j) * sv_half_pitch(g) + MULTILEVEL_LEAD;
}

INLINE const real *ring_of(const struct sv_level *g, real *ring, ptrdiff_t k, ptrdiff_t j)
{
    j = on_axis(j, g->n[1], g->periodic[1]);
    return j < 0 || on_axis(k, g->n[2], g->periodic[2]) < 0 ? no_row(g) : ring_row(g, ring, k, j);
}

/* Around the cells of a row that begin at s; the ring holds the other colour. */
INLINE struct around ring_around(const struct sv_level *g, real *ring, ptrdiff_t k, ptrdiff_t j, int s, int axes,
                                 int constant)
{
    struct around a = {.own = ring_row(g, ring, k, j) + s}; /* the cell after; the one before lies before it */
    if (axes > 1)
        a.z[0] = ring_of(g, ring, k - 1, j), a.z[1] = ring_of(g, ring, k + 1, j);
    if (axes > 2)
        a.y[0] = ring_of(g, ring, k, j - 1), a.y[1] = ring_of(g, ring, k, j + 1);
    couple(&a, g, on_axis(k, g->n[2], g->periodic[2]), j, axes, constant);
    return a;
}

/* From place m on of a row of all cells. */
INLINE vreal pick(const real *row, ptrdiff_t m, int s) { return v_load_pairs(row + 2 * m, s); }

/* sum + the couplings times the values around the cells from place m on. */
INLINE vreal add_around(const struct around *a, ptrdiff_t m, int s, vreal sum, int axes, int constant)
{
    struct values v = {.x = {v_load(a->own + m - 1), v_load(a->own + m)}}, c;
    for (int side = 0; side < 2 && axes > 1; side++)
        v.z[side] = v_load(a->z[side] + m);
    for (int side = 0; side < 2 && axes > 2; side++)
        v.y[side] = v_load(a->y[side] + m);
    c = v;
    if (!constant) {
        c.x[0] = pick(a->cx, m, s), c.x[1] = pick(a->cx, m + s, 1 - s);
        for (int side = 0; side < 2 && axes > 1; side++)
            c.z[side] = pick(a->cz[side], m, s);
        for (int side = 0; side < 2 && axes > 2; side++)
            c.y[side] = pick(a->cy[side], m, s);
    }
    return add_values(a, &c, &v, sum, axes, constant);
}

/* Zeros beside so many rows of a ring, which the kernels read past a row's ends; the cells are written before. */
static void clear_beside(const struct sv_level *g, real *ring, ptrdiff_t rows)
{
    const ptrdiff_t pitch = sv_half_pitch(g), count = half_of(g);
    memset(ring, 0, MULTILEVEL_LEAD * sizeof(real));
    for (real *end = ring + MULTILEVEL_LEAD + count; rows > 0; rows--, end += pitch)
        memset(end, 0, (size_t)(pitch - count) * sizeof(real));
}

/* What lies beside a row of one colour, or of coarse cells, where x is periodic. */
INLINE void close_half(const struct sv_level *g, real *row, ptrdiff_t count)
{
    if (g->periodic[0])
        row[-1] = row[count - 1], row[count] = row[0];
}

/* ---- rows on their way ---- */

/* Row j + AHEAD of plane k. */
INLINE void fetch_row(const struct sv_level *g, const void *field, ptrdiff_t k, ptrdiff_t j)
{
    if (field && j + AHEAD < g->n[1])
        fetch((const real *)field + row_at(g, k, j + AHEAD), (size_t)g->n[0] * sizeof(real));
}

/* The same, unless it is shared with row j. */
INLINE void fetch_shared(const struct sv_level *g, int which, const void *field, ptrdiff_t k, ptrdiff_t j)
{
    if (field && j + AHEAD < g->n[1] && shared_row(g, which, field, k, j + AHEAD) != shared_row(g, which, field, k, j))
        fetch(shared_row(g, which, field, k, j + AHEAD), (size_t)g->n[0] * sizeof(real));
}

INLINE void fetch_interpolation(const struct sv_level *g, ptrdiff_t k, ptrdiff_t j)
{
    fetch_shared(g, SHARED_SCALE, g->scale, k, j);
    for (int axis = 0; axis < 3; axis++)
        fetch_shared(g, SHARED_SHARES + axis, g->share[axis], k, j);
}

#endif
