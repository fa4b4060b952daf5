/* Part of softmax.c: rows of few vectors, as many at a time as a vector has lanes.
 *
 * What is one number a row (its maximum, its sum, their exponents and reciprocals) is worked out for all rows of the
 * group at once, a lane each: alone it would cost as much as the row's own vectors. The quotients of a group leave
 * while the terms of the next one are made: streaming stores on their own wait for the memory. So do loads that come all
 * at once (a core keeps some 16 lines in flight), so each vector of terms also calls one of the group after the next.
 *
 * Bound, float32 with AVX-512, in operations of a vector of a row of 4: 2 for the two ends, 17 for the term and its sum,
 * 2 for the quotient, some 6 for what is one number a row (three folds over lanes among it, at two shuffles for each
 * join): 27, so 13.5 cycles at best where there are two pipes for them; Sapphire Rapids takes 18 in the first cache. The
 * sum without lost digits is 4 of the 27; where a group is narrow (see enum spread) there are 25.
 */
#ifndef SOLVERS_SOFTMAX_GROUPS_H
#define SOLVERS_SOFTMAX_GROUPS_H

#include "lanes.h"

#ifdef V_HAS_TRANSPOSE

/* Sums of a row's lanes start here: so coarse a grid that the lanes too add up exactly. */
enum { GROUP_START = 2 * REGISTER_ROW * SV_W };
_Static_assert(REGISTER_ROW == 2 * TOGETHER, "the steps of group_terms");

/* What turns the terms of each row of a group into quotients. Aligned: what is stored across two lines is not seen by
 * loads that follow until it has left for the cache, after all results before it. */
struct scales {
    _Alignas(SV_W * sizeof(real)) real hi[SV_W], lo[SV_W];
    int raised;
};

INLINE struct scale scale_of_row(const struct scales *scales, size_t r)
{
    return (struct scale){v_set1(scales->hi[r]), v_set1(scales->lo[r]), scales->raised};
}

/* Whole vectors on their way past the cache, `left` numbers, the last ones first: see follows_in_page. With `scales`
 * they are terms of whole rows, whose quotients need not be raised, and become these on the way: `from` is `held` numbers
 * before the first row, results that wait for their line to fill, and so each row begins within a vector. */
struct drip {
    const real *from;
    real *to;
    size_t left, held;
    const struct scales *scales;
};

/* Of the row of `count` vectors that leaves next; anything where there are no scales. */
INLINE struct scale scale_of_leaving(const struct drip *pending, int count)
{
    if (!pending->scales || !pending->left)
        return (struct scale){v_set1(1), v_set1(0), 0};
    return scale_of_row(pending->scales, pending->left / (size_t)(count * SV_W) - 1);
}

/* The scale of a row's first vector of `count`, which the end of the row before is in too. */
INLINE struct scale scale_of_first(const struct drip *pending, int count)
{
    const struct scales *scales = pending->scales;
    const size_t r = pending->left / (size_t)(count * SV_W);
    const real hi = r ? scales->hi[r - 1] : 1, lo = r ? scales->lo[r - 1] : 0;
    return (struct scale){v_keep(v_set1(hi), pending->held, scales->hi[r]),
                          v_keep(v_set1(lo), pending->held, scales->lo[r]), 0};
}

/* A vector leaves, which `last` says is the last one of a row. */
INLINE void drip(struct drip *pending, const struct scale *by, int last, int count)
{
    if (pending->left) {
        pending->left -= SV_W;
        vreal v = v_load(pending->from + pending->left);
        if (pending->scales && last && pending->held) {
            const struct scale first = scale_of_first(pending, count);
            v = plainly_scaled(v, &first);
        } else if (pending->scales)
            v = plainly_scaled(v, by);
        v_stream(pending->to + pending->left, v);
    }
}

INLINE void leave_rest(struct drip *pending, int count)
{
    while (pending->left) {
        const struct scale by = scale_of_leaving(pending, count);
        for (int k = 0; k < count; k++)
            drip(pending, &by, k == count - 1, count);
    }
}

/* The quotients of a group of whole rows of `count` vectors begin to leave; those that fill no line are held. Of `terms`
 * a vector before the first is free. */
INLINE struct drip start_scaled_drip(struct outflow *out, real *terms, const struct scales *scales, int count)
{
    const size_t n = (size_t)count * SV_W * SV_W, held = out->held;
    const struct drip pending = {terms - held, out->to, n, held, scales};
    if (held) {
        const struct scale by = scale_of_row(scales, SV_W - 1);
        real last[2 * SV_W];
        v_store(last, plainly_scaled(v_load(terms + n - SV_W), &by));
        v_store_n(terms - held, v_load(out->numbers), held);
        v_store(out->numbers, v_load(last + SV_W - held));
    }
    out->to += n;
    return pending;
}

/* n numbers begin to leave; what does not fill a vector is held. A whole vector can be read from `from` in any case. */
INLINE struct drip start_drip(struct outflow *out, const real *from, size_t n)
{
    size_t taken = complete(out, v_load(from)), whole = (n - taken) / SV_W * SV_W;
    struct drip pending = {from + taken, out->to, whole, 0, NULL};
    out->to += whole;
    hold(out, v_load(from + taken + whole), n - taken - whole);
    return pending;
}

/* A row's k-th vector of `count`. */
INLINE vreal load_filled(const real *row, size_t n, int k, int count, real fill)
{
    return k < count - 1 ? v_load(row + k * SV_W) : v_load_n(row + k * SV_W, n - (size_t)k * SV_W, fill);
}

INLINE vreal load_of(const real *row, size_t n, int k, int count) { return load_filled(row, n, k, count, -INFINITY); }

/* What is known of a group before its terms are made: the maximum of each row, and whether all rows are plain or narrow.
 * To look at a group takes the pipes that have least to do, and brings all of it into the first cache at once: taken for
 * narrow unseen, as longer rows are, groups from memory would take as long. */
struct group {
    vreal top;
    enum spread spread;
};

/* Of the elements of a row, all lanes of which add up exactly in a narrow group. */
INLINE int row_bits(int count)
{
    const int of_lane = SV_W == 16 ? 4 : 3;
    return of_lane + (count > 4 ? 3 : count > 2 ? 2 : count > 1);
}

INLINE struct group look_at_group(const real *x, ptrdiff_t stride, size_t n, int count)
{
    vreal tops[SV_W], leasts = v_set1(INFINITY);
    for (int r = 0; r < SV_W; r++) {
        const real *row = x + r * stride;
        tops[r] = load_of(row, n, 0, count);
#pragma GCC unroll 8
        for (int k = 0; k < count; k++) {
            const vreal v = load_filled(row, n, k, count, row[0]);
            tops[r] = v_max(v, tops[r]);
            leasts = v_min(v, leasts);
        }
    }
    const vreal top = v_fold(tops, v_max);
    const real highest = v_max_lanes(top), least = -v_max_lanes(v_sub(v_set1(0), leasts));
    /* the grid is what 0.0625 is for, with as much to spare */
    const double exact = R_MANTISSA_BITS + 1 - SHORT_BITS - row_bits(count) - 0.125;
    const int narrow = least > highest - (real)(exact * 0.69314718055994530942);
    return (struct group){top, narrow ? NARROW : spread_of(highest, least)};
}

/* The terms of a row's vectors from the k-th of `count` on, TOGETHER or what there is (constants at each call), one
 * vector leaving for each; lines of a row that comes later are called `ahead`. */
INLINE void step_of_group(const real *x, const real *ahead, size_t n, real *terms, const struct window *window,
                          struct grid_sum *sum, vreal *seen, struct drip *pending, const struct scale *by,
                          enum spread spread, int k, int count)
{
    const int some = count - k < TOGETHER ? count - k : TOGETHER;
    vreal v[TOGETHER];
    if (some <= 0)
        return;
    for (int j = 0; j < some; j++)
        v[j] = load_filled(x, n, k + j, count, filler(x, spread));
    if (k + some < count || n == (size_t)count * SV_W)
        add_terms(sum, seen, v, SV_W, window, spread, some);
    else
        add_terms(sum, seen, v, n - (size_t)(count - 1) * SV_W, window, spread, some);
    for (int j = 0; j < some; j++)
        v_store(terms + (k + j) * SV_W, v[j]);
    for (int j = 0; j < some; j++) {
        __builtin_prefetch(ahead + (k + j) * SV_W);
        drip(pending, by, k + j == count - 1, count);
    }
}

/* The terms of a group of rows with these maxima, a vector leaving for each. */
INLINE struct scale group_terms(const real *x, ptrdiff_t stride, size_t n, vreal top, real *terms, struct drip *pending,
                                enum spread spread, int count)
{
    const struct window lanes = window_by_lane(top);
    const real start = raised(GROUP_START);
    real to_grid[SV_W], lowest_x[SV_W], middle[SV_W];
    vreal sums[SV_W], lost[SV_W], least = no_least();
    v_store(to_grid, lanes.to_grid);
    v_store(lowest_x, lanes.lowest_x);
    v_store(middle, v_add(lanes.lower, v_set1(TERM_EXPONENT)));
    for (int r = 0; r < SV_W; r++) {
        const real *row = x + r * stride, *ahead = row + 2 * SV_W * stride;
        real *to = terms + r * count * SV_W;
        const struct window window = {.lowest_x = v_set1(lowest_x[r]), .to_grid = v_set1(to_grid[r]),
                                      .rests = v_exp_rests(v_set1(middle[r]))};
        const struct scale by = scale_of_leaving(pending, count);
        struct grid_sum sum = empty_sum(start);
        /* no loop: what is indexed in one, even where compilers unroll it, stays in memory */
#define STEP(k) step_of_group(row, ahead, n, to, &window, &sum, &least, pending, &by, spread, k, count)
        STEP(0);
        STEP(TOGETHER);
#undef STEP
        sums[r] = v_sub(sum.sum, v_set1(start));
        lost[r] = sum.lost;
    }
    return scale_by_lane(v_fold(sums, v_add), v_fold(lost, v_add), least);
}

/* The narrow terms of a row's vectors from the k-th of `count` on, as by step_of_group. */
INLINE void narrow_step_of_group(const real *x, const real *ahead, size_t n, real *terms, vreal to_grid, vreal *sum,
                                 vreal *lost, struct drip *pending, const struct scale *by, int k, int count)
{
    const int some = count - k < TOGETHER ? count - k : TOGETHER, last = k + some == count;
    vreal v[TOGETHER];
    if (some <= 0)
        return;
    for (int j = 0; j < some; j++)
        v[j] = load_filled(x, n, k + j, count, x[0]);
    struct grid_sum acc = {*sum, *lost};
    vreal strays = nothing_seen(NARROW); /* there are none */
    if (!last || n == (size_t)count * SV_W)
        add_narrow_terms(&acc, &strays, v, SV_W, to_grid, some);
    else
        add_narrow_terms(&acc, &strays, v, n - (size_t)(count - 1) * SV_W, to_grid, some);
    *sum = acc.sum, *lost = acc.lost;
    for (int j = 0; j < some; j++)
        v_store(terms + (k + j) * SV_W, v[j]);
    for (int j = 0; j < some; j++) {
        __builtin_prefetch(ahead + (k + j) * SV_W);
        drip(pending, by, k + j == count - 1, count);
    }
}

/* The same of a narrow group. */
INLINE struct scale narrow_group_terms(const real *x, ptrdiff_t stride, size_t n, vreal top, real *terms,
                                       struct drip *pending, int count)
{
    const vreal exponent = v_rint(v_mul(top, v_set1((real)LOG2_E)));
    real to_grid[SV_W];
    vreal sums[SV_W], lost[SV_W];
    v_store(to_grid, v_sub(v_set1(TO_GRID), exponent));
    for (int r = 0; r < SV_W; r++) {
        const real *row = x + r * stride, *ahead = row + 2 * SV_W * stride;
        real *to = terms + r * count * SV_W;
        const vreal grid = v_set1(to_grid[r]);
        const struct scale by = scale_of_leaving(pending, count);
        vreal total = v_set1(0), rest = v_set1(0);
        narrow_step_of_group(row, ahead, n, to, grid, &total, &rest, pending, &by, 0, count);
        narrow_step_of_group(row, ahead, n, to, grid, &total, &rest, pending, &by, TOGETHER, count);
        sums[r] = total;
        lost[r] = rest;
    }
    return scale_by_lane(v_fold(sums, v_add), v_fold(lost, v_add), no_least());
}

static inline struct scales scales_of(struct scale scale)
{
    struct scales scales = {.raised = scale.raised};
    v_store(scales.hi, scale.hi);
    v_store(scales.lo, scale.lo);
    return scales;
}

/* Terms in whole vectors become quotients without gaps between the rows, where they are or in y. */
INLINE void scale_group(const real *terms, real *y, size_t n, const struct scales *scales, int count)
{
    for (int r = 0; r < SV_W; r++) {
        const struct scale by = scale_of_row(scales, (size_t)r);
#pragma GCC unroll 8
        for (int k = 0; k < count; k++)
            v_store(y + r * n + k * SV_W, scaled(v_load(terms + (r * count + k) * SV_W), &by));
    }
}

/* Softmax of groups of SV_W rows of `count` vectors (a constant at each call) until one has a row that needs the safe
 * path. Results are contiguous. */
INLINE size_t groups_of(const real *x, ptrdiff_t x_stride, real *y, size_t rows, size_t n, int stream,
                        struct outflow *out, real *room, int count)
{
    const int whole = n == (size_t)count * SV_W;
    struct drip pending = {NULL, NULL, 0, 0, NULL};
    struct scales scales[2];
    size_t done = 0;
    if (rows < SV_W)
        return 0;
    struct group group = look_at_group(x, x_stride, n, count);
    for (; done + SV_W <= rows && all_near(group.top); done += SV_W, x += SV_W * x_stride, y += SV_W * n) {
        real *terms = room + SV_W + done / SV_W % 2 * (ROOM_BYTES / 2 / sizeof(real) + SV_W);
        const struct scale scale =
            group.spread == NARROW  ? narrow_group_terms(x, x_stride, n, group.top, terms, &pending, count)
            : group.spread == PLAIN ? group_terms(x, x_stride, n, group.top, terms, &pending, PLAIN, count)
                                    : group_terms(x, x_stride, n, group.top, terms, &pending, WIDE, count);
        if (done + 2 * SV_W <= rows)
            group = look_at_group(x + SV_W * x_stride, x_stride, n, count);
        struct scales *by = &scales[done / SV_W % 2];
        *by = scales_of(scale);
        if (stream && whole && !out->foreign && !by->raised) {
            pending = start_scaled_drip(out, terms, by, count);
            continue;
        }
        scale_group(terms, whole && !stream ? y : terms, n, by, count);
        if (stream)
            pending = start_drip(out, terms, SV_W * n);
        else if (!whole)
            copy(terms, y, SV_W * n);
    }
    leave_rest(&pending, count);
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
