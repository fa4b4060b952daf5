/* Part of softmax.c: columns, a lane each. Their rows are read twice, as they lie: once for the sums, once for the
 * results.
 *
 * Sums are relative to a window that follows the largest elements of each column seen so far: where one exceeds it by
 * much, the window moves, and the sum with it. Steps of COLUMN_STEP rows share the reading and writing of a column's
 * state. A column's bits depend on nothing but its own elements. For log_softmax the largest element stays out of the
 * sum: where a larger one comes, the former joins the others.
 *
 * Operations a float32 vector with AVX-512: sums 18, quotients 15. To let the terms wait for their sums in a room in
 * the second cache takes 25 in all, but then the rows of x are read in pieces of some cache lines each, which all fall
 * on a few sets of the caches: measured 1.7 times as slow for 4096 x 4096.
 */
#ifndef SOLVERS_SOFTMAX_COLUMNS_H
#define SOLVERS_SOFTMAX_COLUMNS_H

#include "lane_logarithms.h"

/* Sums start here on each grid: terms may exceed the window's top as those of a chunk may. */
#define COLUMN_START raised(2 * BLOCK << HEADROOM)

/* Where a word of the state of the columns from `c` on lies. */
#define WORD(word) (state + (word) * pitch + c)

static void open_columns(size_t columns, size_t pitch, real *state)
{
    const struct window window = window_by_lane(v_set1(0));
    const vreal nothing = v_set1(-INFINITY), zero = v_set1(0), start = v_set1(COLUMN_START);
    for (size_t c = 0; c < columns; c += SV_W) {
        v_store(WORD(COLUMN_LOWEST_X), window.lowest_x);
        v_store(WORD(COLUMN_TO_GRID), window.to_grid);
        v_store(WORD(COLUMN_LOWER), window.lower);
        v_store(WORD(COLUMN_LIMIT), nothing);
        v_store(WORD(COLUMN_TOP), nothing);
        v_store(WORD(COLUMN_ON_GRID), start);
        v_store(WORD(COLUMN_LOST), zero);
        v_store(WORD(COLUMN_SUM), zero);
        v_store(WORD(COLUMN_ERROR), zero);
    }
}

/* What a vector of columns has on the grid joins its sum. */
INLINE void close_block(real *state, size_t pitch, size_t c)
{
    const struct grid_sum block = {v_load(WORD(COLUMN_ON_GRID)), v_load(WORD(COLUMN_LOST))};
    vreal sum = v_load(WORD(COLUMN_SUM)), error = v_load(WORD(COLUMN_ERROR));
    add_grid_sum(block, COLUMN_START, &sum, &error);
    v_store(WORD(COLUMN_SUM), sum);
    v_store(WORD(COLUMN_ERROR), error);
    v_store(WORD(COLUMN_ON_GRID), v_set1(COLUMN_START));
    v_store(WORD(COLUMN_LOST), v_set1(0));
}

#if SV_REAL == 32 && defined(V_HAS_LOOKUP)
#define COLUMN_COMMON ((real)LN2_LO)
#else
#define COLUMN_COMMON ((real)0)
#endif

/* Where these elements exceed the limit, the window moves up to them; the other lanes stay as they are. */
static void move_window(real *state, size_t pitch, size_t c, vreal highest)
{
    const vreal start = v_set1(COLUMN_START), zero = v_set1(0), nothing = v_set1(-INFINITY);
    const vreal limit = v_load(WORD(COLUMN_LIMIT)), lower = v_load(WORD(COLUMN_LOWER));
    const vreal higher = v_max(highest, limit);
    const vreal top = v_min(v_set1(-LOWEST_X), v_max(v_set1((real)0.9 * LOWEST_X), highest));
    const struct window window = window_by_lane(top);
    const vreal change = v_sub(lower, window.lower);
    vreal sum = v_load(WORD(COLUMN_SUM)), error = v_load(WORD(COLUMN_ERROR));
    const struct grid_sum block = {v_load(WORD(COLUMN_ON_GRID)), v_load(WORD(COLUMN_LOST))};
    add_grid_sum(block, COLUMN_START, &sum, &error);
    /* what was added before the first element that counts is not to be raised */
    sum = v_if_equal(limit, nothing, zero, v_ldexp(sum, change));
    error = v_if_equal(limit, nothing, zero, v_ldexp(error, change));
    error = v_fnma(sum, v_mul(change, v_set1(COLUMN_COMMON)), error); /* see split_for_columns */
#define MOVED(word, value) v_store(WORD(word), v_if_equal(higher, limit, v_load(WORD(word)), value))
    MOVED(COLUMN_SUM, sum);
    MOVED(COLUMN_ERROR, error);
    MOVED(COLUMN_ON_GRID, start);
    MOVED(COLUMN_LOST, zero);
    MOVED(COLUMN_LOWEST_X, window.lowest_x);
    MOVED(COLUMN_TO_GRID, window.to_grid);
    MOVED(COLUMN_LOWER, window.lower);
    MOVED(COLUMN_LIMIT, v_add(top, v_set1((real)(0.69 * HEADROOM))));
#undef MOVED
}

/* v_exp_split_fine of what is in a window. In float32 beside a table as v_exp_split_near: what k ln2_lo has in common,
 * counted from the window's largest exponents on, is left aside, in the sums and in the results alike. */
INLINE void split_for_columns(vreal to_grid, vreal x, vreal *s, vreal *low, vreal *on_grid)
{
#if SV_REAL == 32 && defined(V_HAS_LOOKUP)
    const v_fractions rests = v_exp_rests(v_set1(TO_GRID + TERM_EXPONENT));
    *on_grid = v_fma(x, v_set1(LOG2_E), to_grid);
    const vreal t = v_fnma(v_sub(*on_grid, to_grid), v_set1(LN2_HI), x);
    const vreal rest = v_fnma(*on_grid, v_set1(LN2_LO), v_pick(rests, *on_grid)); /* on_grid counts from `lower` on */
    *s = v_fma(t, v_fma(v_exp_tail(t), t, v_set1(1)), rest);
    *low = v_set1(0);
#else
    v_exp_split_fine(to_grid, x, s, low, on_grid);
#endif
}

/* The same for sums, of which no rest is wanted without a table. */
INLINE void split_for_sums(vreal to_grid, vreal x, vreal *s, vreal *on_grid)
{
#ifdef V_HAS_LOOKUP
    vreal low; /* 0 */
    split_for_columns(to_grid, x, s, &low, on_grid);
#else
    v_exp_split_above(to_grid, x, s, on_grid);
#endif
}

/* Up to COLUMN_STEP rows of a vector of columns, the lines `ahead` of theirs being called. */
INLINE void step_columns(const real *x, ptrdiff_t stride, size_t rows, size_t left, ptrdiff_t ahead, real *state,
                         size_t pitch, size_t c, int others)
{
    const v_fractions base = v_exp_base(0);
    vreal v[COLUMN_STEP], highest = v_set1(-INFINITY), top = v_load(WORD(COLUMN_TOP));
#pragma GCC unroll 8
    for (size_t k = 0; k < COLUMN_STEP; k++) {
        if (k < rows)
            __builtin_prefetch(x + (ptrdiff_t)k * stride + ahead);
        v[k] = k < rows ? v_load_some(x + (ptrdiff_t)k * stride, left, 0) : v_set1(-INFINITY);
        if (others) {
            const vreal lesser = v_min(top, v[k]); /* NaN where v is */
            top = v_max(v[k], top);
            v[k] = lesser;
        }
        highest = v_max(v[k], highest);
    }
    v_store(WORD(COLUMN_TOP), others ? top : v_max(highest, top));
    if (v_at_least(highest, v_load(WORD(COLUMN_LIMIT))))
        move_window(state, pitch, c, highest);
    const vreal lowest_x = v_load(WORD(COLUMN_LOWEST_X)), to_grid = v_load(WORD(COLUMN_TO_GRID));
    struct grid_sum block = {v_load(WORD(COLUMN_ON_GRID)), v_load(WORD(COLUMN_LOST))};
#pragma GCC unroll 8
    for (size_t k = 0; k < COLUMN_STEP; k++) {
        vreal s, on_grid;
        split_for_sums(to_grid, v_max(lowest_x, v[k]), &s, &on_grid);
        add_power(&block, s, v_exp_power(base, on_grid));
    }
    v_store(WORD(COLUMN_ON_GRID), block.sum);
    v_store(WORD(COLUMN_LOST), block.lost);
}

INLINE void add_rows(const real *x, ptrdiff_t stride, size_t first, size_t length, size_t columns, size_t pitch,
                     real *state, int others)
{
    enum { AHEAD = NEAR_BYTES / sizeof(real) };
    for (size_t i = 0; i < length; i += COLUMN_STEP, x += COLUMN_STEP * stride) {
        const size_t rows = length - i < COLUMN_STEP ? length - i : COLUMN_STEP;
        if ((first + i) % BLOCK == 0)
            for (size_t c = 0; c < columns; c += SV_W)
                close_block(state, pitch, c);
        for (size_t c = 0; c < columns; c += SV_W) {
            const ptrdiff_t ahead = columns - c > AHEAD ? AHEAD : COLUMN_STEP * stride + AHEAD - (ptrdiff_t)columns;
            if (rows == COLUMN_STEP && columns - c >= SV_W)
                step_columns(x + c, stride, COLUMN_STEP, SV_W, ahead, state, pitch, c, others);
            else
                step_columns(x + c, stride, rows, columns - c, ahead, state, pitch, c, others);
        }
    }
}

static void add_columns(const real *x, ptrdiff_t stride, size_t first, size_t length, size_t columns, size_t pitch,
                        real *state, int others)
{
    if (others)
        add_rows(x, stride, first, length, columns, pitch, state, 1);
    else
        add_rows(x, stride, first, length, columns, pitch, state, 0);
}

/* The error of a column's sum with what its terms have in common, e^((lower + TERM_EXPONENT) COLUMN_COMMON), taken off. */
static vreal without_column_common(vreal sum, vreal error, vreal lower)
{
    const vreal z = v_mul(v_add(lower, v_set1(TERM_EXPONENT)), v_set1(COLUMN_COMMON)); /* at most 2^-10 */
    return v_fnma(sum, v_fnma(v_mul(z, z), v_set1((real)0.5), z), error);
}

static void close_columns(size_t columns, size_t pitch, real *state, enum column_end end)
{
    const vreal nothing = v_set1(-INFINITY), zero = v_set1(0);
    for (size_t c = 0; c < columns; c += SV_W) {
        close_block(state, pitch, c);
        const vreal limit = v_load(WORD(COLUMN_LIMIT));
        vreal sum = v_load(WORD(COLUMN_SUM)), error = v_load(WORD(COLUMN_ERROR));
        sum = v_if_equal(limit, nothing, v_mul(sum, zero), sum); /* of nothing but -inf: 0, and NaN stays */
        error = v_if_equal(limit, nothing, v_mul(error, zero), error);
        if (end != COLUMN_QUOTIENTS)
            error = without_column_common(sum, error, v_load(WORD(COLUMN_LOWER)));
        v_store(WORD(COLUMN_SUM), sum);
        v_store(WORD(COLUMN_ERROR), error);
        if (end == COLUMN_LOGARITHM) {
            real logs[SV_W];
            lane_logs(sum, error, v_load(WORD(COLUMN_LOWER)), LN2, logs);
            v_store(WORD(COLUMN_LOG), v_load(logs));
        } else if (end == COLUMN_DIFFERENCES) {
            const vreal top = v_min(v_set1(-LOWEST_X), v_max(v_set1(LOWEST_X), v_load(WORD(COLUMN_TOP))));
            const struct two tops = {top, v_set1(-INFINITY)};
            real logs[SV_W];
            log1p_ratios(tops, sum, error, v_load(WORD(COLUMN_LOWER)), logs);
            v_store(WORD(COLUMN_OFFSET), v_load(logs));
        } else {
            const struct scale scale = scale_by_lane(sum, error, no_least());
            v_store(WORD(COLUMN_SCALE), scale.hi);
            v_store(WORD(COLUMN_SCALE_LOW), scale.lo);
        }
    }
}

/* ---- results --------------------------------------------------------------------------------------------- */

/* How far above a window's lowest x quotients may be subnormal, or what is made on the way, in columns of up to 2^30. */
#define SMALL_COLUMN_X                                                                                              \
    ((real)(0.6931472 * (TERM_EXPONENT + HEADROOM + 30 + R_MANTISSA_BITS + 3 - (GUARD_BITS + 2))))

static vreal small_column_quotient(vreal x, const real *state, size_t pitch, size_t c)
{
    const vreal raise = v_set1((real)ldexp(1, RAISED)), to_grid = v_load(WORD(COLUMN_TO_GRID));
    const vreal hi = v_mul(v_load(WORD(COLUMN_SCALE)), raise), lo = v_mul(v_load(WORD(COLUMN_SCALE_LOW)), raise);
    const struct scale scale = {hi, lo, 1};
    vreal s, low, on_grid;
#if defined(V_HAS_SCALEF) && defined(V_HAS_LOOKUP)
    split_for_columns(to_grid, v_max(v_set1(LOWEST_X), x), &s, &low, &on_grid);
    const vreal term = rounded_term(s, low, v_exp_root(on_grid)), power = v_sub(on_grid, v_set1(TO_GRID));
    /* the least power gives 0 */
    return lowered(v_ldexp(plainly_scaled(term, &scale), v_max(v_set1(TERM_EXPONENT - LEAST_UNIT - 16), power)));
#else
    split_for_columns(to_grid, v_max(v_load(WORD(COLUMN_LOWEST_X)), x), &s, &low, &on_grid);
    return scaled(rounded_term(s, low, v_exp_power(v_exp_base(0), on_grid)), &scale);
#endif
}

INLINE vreal column_quotient(vreal x, const real *state, size_t pitch, size_t c)
{
    const struct scale scale = {v_load(WORD(COLUMN_SCALE)), v_load(WORD(COLUMN_SCALE_LOW)), 0};
    vreal s, low, on_grid;
    split_for_columns(v_load(WORD(COLUMN_TO_GRID)), x, &s, &low, &on_grid);
    return plainly_scaled(above_window(rounded_term(s, low, v_exp_power(v_exp_base(0), on_grid))), &scale);
}

/* The results of `rows` vectors of some columns, one below the other (a constant at each call): side by side they take
 * less time, and share the reading of the state. */
INLINE void column_results_at(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t c, size_t left,
                              const real *state, size_t pitch, int logarithm, int stream, int ahead, int rows)
{
    const vreal small_x = v_add(v_load(WORD(COLUMN_LOWEST_X)), v_set1(SMALL_COLUMN_X));
    vreal v[ROWS_TOGETHER];
    unsigned small = 0;
    for (int k = 0; k < rows; k++) {
        const real *at = x + k * x_stride + c;
        __builtin_prefetch((const char *)at + ahead);
        v[k] = v_load_some(at, left, 0);
        small |= v_at_least(small_x, v[k]);
    }
    if (logarithm) {
        for (int k = 0; k < rows; k++)
            v[k] = v_sub(v_sub(v[k], v_load(WORD(COLUMN_TOP))), v_load(WORD(COLUMN_OFFSET)));
    } else if (small) {
        for (int k = 0; k < rows; k++)
            v[k] = v_at_least(small_x, v[k]) ? small_column_quotient(v[k], state, pitch, c)
                                             : column_quotient(v[k], state, pitch, c);
    } else {
        for (int k = 0; k < rows; k++)
            v[k] = column_quotient(v[k], state, pitch, c);
    }
    for (int k = 0; k < rows; k++) {
        if (left < SV_W)
            v_store_n(y + k * y_stride + c, v[k], left);
        else
            store(y + k * y_stride + c, v[k], stream);
    }
}

/* Some rows of results; whole aligned vectors of them past the cache where `stream`, and then all rows lie alike within
 * their cache lines. */
INLINE void result_rows_at(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t columns,
                           const real *state, size_t pitch, int logarithm, int stream, int rows)
{
    const size_t head = stream ? unaligned_head(y, columns) : 0, whole = (columns - head) / SV_W;
    const size_t tail = head + whole * SV_W;
    if (head)
        column_results_at(x, x_stride, y, y_stride, 0, head, state, pitch, logarithm, stream, 0, rows);
    if (x != y && follows_in_page(y, x)) {
        for (size_t c = tail; c > head; c -= SV_W)
            column_results_at(x, x_stride, y, y_stride, c - SV_W, SV_W, state, pitch, logarithm, stream,
                              -NEAR_BYTES, rows);
    } else {
        for (size_t c = head; c < tail; c += SV_W)
            column_results_at(x, x_stride, y, y_stride, c, SV_W, state, pitch, logarithm, stream, NEAR_BYTES, rows);
    }
    if (tail < columns)
        column_results_at(x, x_stride, y, y_stride, tail, columns - tail, state, pitch, logarithm, stream, 0, rows);
}

INLINE void result_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t length, size_t columns,
                        const real *state, size_t pitch, int logarithm, int stream)
{
    const int alike = !stream || y_stride % SV_W == 0;
    size_t i = 0;
    for (; alike && i + ROWS_TOGETHER <= length; i += ROWS_TOGETHER)
        result_rows_at(x + (ptrdiff_t)i * x_stride, x_stride, y + (ptrdiff_t)i * y_stride, y_stride, columns, state,
                       pitch, logarithm, stream, ROWS_TOGETHER);
    for (; i < length; i++)
        result_rows_at(x + (ptrdiff_t)i * x_stride, x_stride, y + (ptrdiff_t)i * y_stride, y_stride, columns, state,
                       pitch, logarithm, stream, 1);
    if (stream)
        v_stream_fence();
}

static void column_results(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t length,
                           size_t columns, const real *state, size_t pitch, int logarithm, int stream)
{
    if (logarithm && stream)
        result_rows(x, x_stride, y, y_stride, length, columns, state, pitch, 1, 1);
    else if (logarithm)
        result_rows(x, x_stride, y, y_stride, length, columns, state, pitch, 1, 0);
    else if (stream)
        result_rows(x, x_stride, y, y_stride, length, columns, state, pitch, 0, 1);
    else
        result_rows(x, x_stride, y, y_stride, length, columns, state, pitch, 0, 0);
}

#undef WORD
#endif
