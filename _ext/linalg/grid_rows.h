/* Where the rows of a grid lie, and the cells around them. For both float widths. */
#ifndef SOLVERS_LINALG_GRID_ROWS_H
#define SOLVERS_LINALG_GRID_ROWS_H

#include "grid.h"
#include "simd.h"

/* One copy of a kernel for two axes and for three, with constant couplings and without. One axis is two, the second of
 * them one cell long. */
#define GRID_EACH(MAKE) MAKE(2, 0) MAKE(3, 0) MAKE(2, 1) MAKE(3, 1)
#define GRID_PICK(name, g)                                                                                          \
    ((g)->constant ? ((g)->axes == 3 ? name##_3_1 : name##_2_1) : ((g)->axes == 3 ? name##_3_0 : name##_2_0))

INLINE ptrdiff_t row_place(const struct sv_grid *g, ptrdiff_t j, ptrdiff_t k)
{
    return g->lead + k * g->plane + j * g->pitch;
}

/* From row j to the one before or after it on an axis of n; 0: there is none. */
INLINE ptrdiff_t step_before(ptrdiff_t j, ptrdiff_t n, ptrdiff_t pitch, int periodic)
{
    return j > 0 ? -pitch : periodic ? (n - 1) * pitch : 0;
}

INLINE ptrdiff_t step_after(ptrdiff_t j, ptrdiff_t n, ptrdiff_t pitch, int periodic)
{
    return j + 1 < n ? pitch : periodic ? -(n - 1) * pitch : 0;
}

/* A row of the diagonal or of its inverse. */
INLINE const real *diagonal_row(const struct sv_grid *g, const void *values, ptrdiff_t j, ptrdiff_t k, ptrdiff_t place)
{
    if (!g->constant)
        return (const real *)values + place;
    ptrdiff_t at_y = (j == 0) + 2 * (j == g->n[1] - 1), at_z = (k == 0) + 2 * (k == g->n[2] - 1);
    return (const real *)values + (at_y + 4 * at_z) * g->pitch;
}

/* The cells before and after those of a row along each axis, and the couplings with them. */
struct around {
    const real *x[6], *c[6];
};

/* own: the row's cells; other: those beside them in x (natural: the same); west: from the latter to those before. */
INLINE struct around look_around(const struct sv_grid *g, const real *x, ptrdiff_t j, ptrdiff_t k, ptrdiff_t own,
                                 ptrdiff_t other, ptrdiff_t west, int axes, int constant)
{
    struct around a;
    ptrdiff_t to[6] = {west, west + (g->half ? 1 : 2),
                       step_before(j, g->n[1], g->pitch, g->periodic[1]),
                       step_after(j, g->n[1], g->pitch, g->periodic[1]),
                       step_before(k, g->n[2], g->plane, g->periodic[2]),
                       step_after(k, g->n[2], g->plane, g->periodic[2])};
    for (int side = 0; side < 2 * axes; side++) {
        int there = side < 2 || to[side];
        a.x[side] = there ? x + other + to[side] : g->zeros;
        if (!constant)
            a.c[side] = there ? (const real *)g->faces[side / 2] + (side % 2 ? other + to[side] : own) : g->zeros;
    }
    return a;
}

/* The blocks of rows over which products sum, and where each begins. */
enum { SUM_BLOCKS = 64, BLOCK_CELLS = 1 << 14 };

INLINE size_t sum_blocks(const struct sv_grid *g)
{
    const size_t rows = (size_t)(g->n[1] * g->n[2]), fit = g->size / BLOCK_CELLS, blocks = fit < rows ? fit : rows;
    return blocks < 1 ? 1 : blocks > SUM_BLOCKS ? SUM_BLOCKS : blocks;
}

INLINE ptrdiff_t block_start(size_t block, ptrdiff_t rows, size_t blocks)
{
    return (ptrdiff_t)(block * (size_t)rows / blocks);
}

INLINE vreal kept(vreal v, ptrdiff_t left) { return left < SV_W ? v_keep(v, (size_t)left, 0) : v; }

/* start + sum of coupling times neighbour, for a vector of cells. */
INLINE vreal add_around(const struct around *a, ptrdiff_t i, const vreal coupling[3], vreal start, int axes,
                        int constant)
{
    for (int axis = axes - 1; axis >= 0; axis--) {
        vreal before = v_load(a->x[2 * axis] + i), after = v_load(a->x[2 * axis + 1] + i);
        if (constant)
            start = v_fma(coupling[axis], v_add(before, after), start);
        else
            start = v_fma(v_load(a->c[2 * axis] + i), before, v_fma(v_load(a->c[2 * axis + 1] + i), after, start));
    }
    return start;
}

INLINE void load_couplings(const struct sv_grid *g, vreal coupling[3])
{
    for (int axis = 0; axis < 3; axis++)
        coupling[axis] = v_set1((real)g->coupling[axis]);
}

/* Red-black: of a row's cells of one colour, the first has i = parity; how many there are. */
INLINE ptrdiff_t parity_of(int colour, ptrdiff_t j, ptrdiff_t k) { return (colour + j + k) & 1; }
INLINE ptrdiff_t cells_of(const struct sv_grid *g, ptrdiff_t parity) { return (g->n[0] + 1 - parity) / 2; }

/* With x periodic, the ends of a row are shown beside its other ends while neighbours are read, then hidden again. */
INLINE void show_ends(const struct sv_grid *g, const real *row, ptrdiff_t n)
{
    if (g->periodic[0])
        ((real *)row)[-1] = row[n - 1], ((real *)row)[n] = row[0];
}

INLINE void hide_ends(const struct sv_grid *g, const real *row, ptrdiff_t n)
{
    if (g->periodic[0])
        ((real *)row)[-1] = ((real *)row)[n] = 0;
}

/* A row's vectors have been written, zeros past its n cells among them: the zeros up to the next. */
INLINE void finish_row(real *row, ptrdiff_t n, ptrdiff_t pitch)
{
    for (ptrdiff_t i = (n + SV_W - 1) / SV_W * SV_W; i < pitch; i++)
        row[i] = 0;
}

/* The zeros that belong to no row. */
static inline void clear_between(const struct sv_grid *g, real *x)
{
    memset(x, 0, (size_t)g->lead * sizeof(real));
    for (ptrdiff_t k = 0; k < g->n[2]; k++) {
        ptrdiff_t from = row_place(g, g->n[1], k), to = k + 1 < g->n[2] ? row_place(g, 0, k + 1) : (ptrdiff_t)g->size;
        memset(x + from, 0, (size_t)(to - from) * sizeof(real));
    }
}

#endif
