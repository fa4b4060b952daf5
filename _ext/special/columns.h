/* Part of softmax.c: columns, a lane each, their rows read once.
 *
 * Some rows of a vector of columns are looked at together. Their terms are relative to a window that follows the
 * largest elements seen so far: where one exceeds it by too much, the window moves, and the sum with it. The terms wait
 * in a room in the second cache, without gaps: rows that lie a multiple of a page apart would drive each other out of
 * the cache. Their quotients then leave past the cache, where they come in whole lines.
 *
 * Operations a float32 vector with AVX-512: 1 for the maximum, 19 for the term and its sum, 4 for the quotient. Beside
 * memory (a read and a streaming write) a store to the second cache and a load from it. Reached: the time of rows where
 * all is in cache (200 x 1000); about twice that of rows for 1024 x 3072, where a third of the time passes at the
 * loads of x (512 bytes of a row at a time; neither wider panels nor prefetching further ahead shortened it).
 */
#ifndef SOLVERS_SOFTMAX_COLUMNS_H
#define SOLVERS_SOFTMAX_COLUMNS_H

#include "lanes.h"

enum { PANEL_VECTORS = COLUMNS / SV_W, COLUMNS_AHEAD = 24 /* rows */ };

/* Sums start here on each grid: terms may exceed the window's top as those of a chunk may. */
#define COLUMN_START raised(2 * BLOCK << HEADROOM)

/* The sum of a vector of columns on its way, at the exponent of its window. */
struct column_sum {
    struct window window;
    struct grid_sum block;
    vreal sum, error, top, limit; /* limit: what exceeds it moves the window */
};

static inline struct column_sum empty_column_sum(void)
{
    const vreal zero = v_set1(0), least = v_set1(-INFINITY);
    return (struct column_sum){window_by_lane(zero), empty_sum(COLUMN_START), zero, zero, least, least};
}

INLINE void close_block(struct column_sum *column)
{
    add_grid_sum(column->block, COLUMN_START, &column->sum, &column->error);
    column->block = empty_sum(COLUMN_START);
}

/* Where these elements exceed the limit, the window moves up to them. The other lanes stay as they are to the last bit:
 * which columns are neighbours, the place of the output decides. */
static void move_window(struct column_sum *column, vreal highest)
{
    const struct column_sum old = *column;
    const vreal higher = v_max(highest, old.limit), top = v_max(v_set1((real)0.9 * LOWEST_X), highest);
    const struct window window = window_by_lane(top);
    const vreal change = v_sub(old.window.lower, window.lower), limit = v_add(top, v_set1((real)(0.69 * HEADROOM)));
    close_block(column);
#define MOVED(member, value) column->member = v_if_equal(higher, old.limit, old.member, value)
    MOVED(sum, v_ldexp(column->sum, change));
    MOVED(error, v_ldexp(column->error, change));
    MOVED(block.sum, column->block.sum);
    MOVED(block.lost, column->block.lost);
    MOVED(window.lowest_x, window.lowest_x);
    MOVED(window.lower, window.lower);
    MOVED(window.to_grid, window.to_grid);
    MOVED(top, highest);
    MOVED(limit, limit);
#undef MOVED
}

/* The terms of up to COLUMN_STEP rows of a vector of columns, to `terms`. */
INLINE void step_columns(const real *x, ptrdiff_t stride, size_t rows, size_t columns, real *terms, size_t pitch,
                         struct column_sum *column)
{
    vreal v[COLUMN_STEP], highest = v_set1(-INFINITY);
#pragma GCC unroll 8
    for (size_t k = 0; k < COLUMN_STEP; k++) {
        v[k] = k < rows ? v_load_some(x + (ptrdiff_t)k * stride, columns, 0) : v_set1(-INFINITY);
        __builtin_prefetch(x + (ptrdiff_t)(COLUMNS_AHEAD + k) * stride);
        highest = v_max(v[k], highest);
    }
    if (v_at_least(highest, column->limit))
        move_window(column, highest);
    const struct window window = column->window;
    struct grid_sum block = column->block;
#pragma GCC unroll 8
    for (size_t k = 0; k < COLUMN_STEP; k++) {
        vreal term = add_fine_term(&block, v[k], &window);
        if (k < rows)
            v_store(terms + k * pitch, term);
    }
    column->block = block;
}

/* The sums of up to COLUMNS columns; 0 where one needs the safe path. Their terms go to `terms`, a vector of columns
 * beside the other, and for each step and vector the window's exponent to `lowers`. */
INLINE int sum_columns(const real *x, ptrdiff_t stride, size_t length, size_t columns, real *terms, real *lowers,
                       struct column_sum *sums)
{
    const size_t vectors = (columns + SV_W - 1) / SV_W, pitch = vectors * SV_W;
    int near = 1;
    for (size_t c = 0; c < vectors; c++)
        sums[c] = empty_column_sum();
    for (size_t i = 0; i < length; i += COLUMN_STEP) {
        const size_t rows = length - i < COLUMN_STEP ? length - i : COLUMN_STEP;
        for (size_t c = 0; c < vectors; c++) {
            const size_t left = columns - c * SV_W;
            const real *at = x + (ptrdiff_t)i * stride + c * SV_W;
            real *to = terms + i * pitch + c * SV_W;
            if (i % BLOCK == 0)
                close_block(&sums[c]);
            if (rows == COLUMN_STEP && left >= SV_W)
                step_columns(at, stride, COLUMN_STEP, SV_W, to, pitch, &sums[c]);
            else
                step_columns(at, stride, rows, left, to, pitch, &sums[c]);
            v_store(lowers + (i / COLUMN_STEP * vectors + c) * SV_W, sums[c].window.lower);
        }
    }
    for (size_t c = 0; c < vectors; c++) {
        close_block(&sums[c]);
        near &= all_near(sums[c].top);
    }
    return near;
}

/* What turns the terms of each column into quotients; `moved`: by how much its window moved since. */
struct column_scales {
    real hi[COLUMNS], lo[COLUMNS], moved[COLUMNS];
};

INLINE vreal column_quotient(const real *terms, const struct column_scales *by, size_t c, int moved)
{
    const struct scale scale = {v_load(by->hi + c), v_load(by->lo + c)};
    vreal quotient = scaled(v_load(terms + c), &scale);
    return moved ? v_ldexp(quotient, v_load(by->moved + c)) : quotient;
}

/* The quotients of some rows; streamed, each row of y begins at a cache line. */
INLINE void store_quotients(const real *terms, size_t rows, size_t columns, const struct column_scales *by, int moved,
                            real *y, ptrdiff_t stride, int stream)
{
    const size_t pitch = (columns + SV_W - 1) / SV_W * SV_W;
    for (size_t k = 0; k < rows; k++, terms += pitch, y += stride) {
        size_t c = 0;
        for (; c + SV_W <= columns; c += SV_W)
            store(y + c, column_quotient(terms, by, c, moved), stream);
        if (c < columns)
            v_store_n(y + c, column_quotient(terms, by, c, moved), columns - c);
    }
}

/* Softmax along the rows of up to COLUMNS columns; 0, and nothing written, where one needs the safe path. */
static int softmax_columns(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t length,
                           size_t columns, real *room, int stream)
{
#ifndef V_HAS_FMA /* as in softmax_rows */
    return 0;
#endif
    struct column_sum sums[PANEL_VECTORS];
    struct column_scales by;
    const size_t vectors = (columns + SV_W - 1) / SV_W, pitch = vectors * SV_W;
    const unsigned all = (unsigned)((1ul << SV_W) - 1);
    real *lowers = room + length * pitch;
    if (!sum_columns(x, x_stride, length, columns, room, lowers, sums))
        return 0;
    for (size_t c = 0; c < vectors; c++) {
        const struct scale scale = scale_by_lane(sums[c].sum, sums[c].error);
        v_store(by.hi + c * SV_W, scale.hi);
        v_store(by.lo + c * SV_W, scale.lo);
    }
    for (size_t i = 0; i < length; i += COLUMN_STEP, y += COLUMN_STEP * y_stride, lowers += pitch) {
        const size_t rows = length - i < COLUMN_STEP ? length - i : COLUMN_STEP;
        unsigned same = all;
        for (size_t c = 0; c < vectors; c++) {
            const vreal moved = v_sub(v_load(lowers + c * SV_W), sums[c].window.lower);
            v_store(by.moved + c * SV_W, moved);
            same &= v_at_least(moved, v_set1(0));
        }
        if (same != all)
            store_quotients(room + i * pitch, rows, columns, &by, 1, y, y_stride, stream);
        else if (stream)
            store_quotients(room + i * pitch, rows, columns, &by, 0, y, y_stride, 1);
        else
            store_quotients(room + i * pitch, rows, columns, &by, 0, y, y_stride, 0);
    }
    if (stream)
        v_stream_fence();
    return 1;
}

#endif
