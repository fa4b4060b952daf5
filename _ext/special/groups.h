/* Part of softmax.c: rows of few vectors, as many at a time as a vector has lanes.
 *
 * What is one number a row (its maximum, its sum, their exponents and reciprocals) is worked out for all rows of the
 * group at once, a lane each: alone it would cost as much as the row's own vectors. The quotients of a group leave
 * while the terms of the next one are made: streaming stores on their own wait for the memory. So do loads that come all
 * at once (a core keeps some 16 lines in flight), so each vector of terms also calls one of the group after the next.
 *
 * Bound, float32 with AVX-512 on Zen 4, in operations of a vector of a row of 4: 2 for the maximum, 20 for the term, its
 * sum and its minimum, 2 for the quotient, some 4 for what is one number a row: 28, of which products (10) and the rest
 * have two pipes each, so 14 cycles at best; a streaming copy takes 8.6. Reached in cache, with 29 operations: maximum
 * 1.7, terms 13.6, quotients 2.7, in all 22 with the stores. The sum without lost digits is 4 of the 28.
 */
#ifndef SOLVERS_SOFTMAX_GROUPS_H
#define SOLVERS_SOFTMAX_GROUPS_H

#include "lanes.h"

#ifdef V_HAS_TRANSPOSE

/* Sums of a row's lanes start here: so coarse a grid that the lanes too add up exactly. */
enum { GROUP_START = 2 * REGISTER_ROW * SV_W };

/* Whole vectors on their way past the cache, `left` numbers, the last ones first: see follows_in_page. */
struct drip {
    const real *from;
    real *to;
    size_t left;
};

INLINE void drip(struct drip *pending)
{
    if (pending->left) {
        pending->left -= SV_W;
        v_stream(pending->to + pending->left, v_load(pending->from + pending->left));
    }
}

/* n numbers begin to leave; what does not fill a vector is held. A whole vector can be read from `from` in any case. */
INLINE struct drip start_drip(struct outflow *out, const real *from, size_t n)
{
    size_t taken = complete(out, v_load(from)), whole = (n - taken) / SV_W * SV_W;
    struct drip pending = {from + taken, out->to, whole};
    out->to += whole;
    hold(out, v_load(from + taken + whole), n - taken - whole);
    return pending;
}

/* A row's k-th vector of `count`. */
INLINE vreal load_of(const real *row, size_t n, int k, int count)
{
    return k < count - 1 ? v_load(row + k * SV_W) : v_load_n(row + k * SV_W, n - (size_t)k * SV_W, -INFINITY);
}

/* The maximum of each row. */
INLINE vreal group_tops(const real *x, ptrdiff_t stride, size_t n, int count)
{
    vreal tops[SV_W];
    for (int r = 0; r < SV_W; r++) {
        const real *row = x + r * stride;
        tops[r] = load_of(row, n, 0, count);
#pragma GCC unroll 8
        for (int k = 0; k < count; k++) {
            tops[r] = v_max(load_of(row, n, k, count), tops[r]);
        }
    }
    return v_fold(tops, v_max);
}

/* The terms of a group of rows with these maxima, a vector leaving for each. */
INLINE struct scale group_terms(const real *x, ptrdiff_t stride, size_t n, vreal top, real *terms, struct drip *pending,
                                int count)
{
    const struct window lanes = window_by_lane(top);
    const real start = raised(GROUP_START);
    real to_grid[SV_W], lowest_x[SV_W];
    vreal sums[SV_W], lost[SV_W], least = no_least();
    v_store(to_grid, lanes.to_grid);
    v_store(lowest_x, lanes.lowest_x);
    for (int r = 0; r < SV_W; r++) {
        const struct window window = {.lowest_x = v_set1(lowest_x[r]), .to_grid = v_set1(to_grid[r])};
        struct grid_sum row = empty_sum(start);
#pragma GCC unroll 8
        for (int k = 0; k < count; k++) {
            vreal term = add_fine_term(&row, &least, load_of(x + r * stride, n, k, count), &window);
            v_store(terms + (r * count + k) * SV_W, term);
            __builtin_prefetch(x + (2 * SV_W + r) * stride + k * SV_W);
            drip(pending);
        }
        sums[r] = v_sub(row.sum, v_set1(start));
        lost[r] = row.lost;
    }
    return scale_by_lane(v_fold(sums, v_add), v_fold(lost, v_add), least);
}

/* Terms in whole vectors become quotients without gaps between the rows, in place. */
INLINE void scale_group(real *terms, size_t n, struct scale scale, int count)
{
    real hi[SV_W], lo[SV_W];
    v_store(hi, scale.hi);
    v_store(lo, scale.lo);
    for (int r = 0; r < SV_W; r++) {
        const struct scale by = {v_set1(hi[r]), v_set1(lo[r]), scale.raised};
#pragma GCC unroll 8
        for (int k = 0; k < count; k++)
            v_store(terms + r * n + k * SV_W, scaled(v_load(terms + (r * count + k) * SV_W), &by));
    }
}

/* Softmax of groups of SV_W rows of `count` vectors (a constant at each call) until one has a row that needs the safe
 * path. Results are contiguous. */
INLINE size_t groups_of(const real *x, ptrdiff_t x_stride, real *y, size_t rows, size_t n, int stream,
                        struct outflow *out, real *room, int count)
{
    struct drip pending = {NULL, NULL, 0};
    size_t done = 0;
    if (rows < SV_W)
        return 0;
    vreal top = group_tops(x, x_stride, n, count);
    for (; done + SV_W <= rows && all_near(top); done += SV_W, x += SV_W * x_stride, y += SV_W * n) {
        real *terms = room + done / SV_W % 2 * (ROOM_BYTES / 2 / sizeof(real));
        const struct scale scale = group_terms(x, x_stride, n, top, terms, &pending, count);
        while (pending.left)
            drip(&pending);
        if (done + 2 * SV_W <= rows)
            top = group_tops(x + SV_W * x_stride, x_stride, n, count);
        scale_group(terms, n, scale, count);
        if (stream)
            pending = start_drip(out, terms, SV_W * n);
        else
            copy(terms, y, SV_W * n);
    }
    while (pending.left)
        drip(&pending);
    return done;
}

static size_t grouped_rows(const real *x, ptrdiff_t x_stride, real *y, size_t rows, size_t n, int stream,
                           struct outflow *out, real *room)
{
    switch ((n + SV_W - 1) / SV_W) {
#define GROUPS_OF(count) \
    case count: return groups_of(x, x_stride, y, rows, n, stream, out, room, count)
        GROUPS_OF(1);
        GROUPS_OF(2);
        GROUPS_OF(3);
        GROUPS_OF(4);
        GROUPS_OF(5);
        GROUPS_OF(6);
        GROUPS_OF(7);
        GROUPS_OF(8);
    default: return 0;
    }
}

#endif
#endif
