/* Part of softmax.c: logarithms of columns, and of short rows, a lane each. */
#ifndef SOLVERS_SOFTMAX_LANE_LOGARITHMS_H
#define SOLVERS_SOFTMAX_LANE_LOGARITHMS_H

#include "groups.h"

/* The two largest numbers: one twice where it occurs twice. */
struct two {
    vreal top, next;
};

static inline struct two no_two(void) { return (struct two){v_set1(-INFINITY), v_set1(LOWEST_X)}; }

INLINE struct two with_number(struct two tops, vreal v)
{
    return (struct two){v_max(v, tops.top), v_max(v_min(v, tops.top), tops.next)};
}

INLINE struct two with_two(struct two a, struct two b)
{
    return (struct two){v_max(a.top, b.top), v_max(v_min(a.top, b.top), v_max(a.next, b.next))};
}

/* What the sum of the others leaves out: the top, unless it occurs twice (see log1p_ratios). */
static inline vreal left_out(struct two tops) { return v_if_equal(tops.top, tops.next, v_set1(INFINITY), tops.top); }

/* log(1 + z), z >= 0, to 2^-33: enough for floats, and without a call or a branch. */
static inline double log1p_near(double z)
{
    const double one = 1.0, half_root = 0.70710678118654752;
    double u = one + z, rest = z - (u - one), m;
    int64_t bits, low;
    memcpy(&bits, &u, sizeof bits);
    memcpy(&low, &half_root, sizeof low);
    int64_t e = (bits - low) >> 52;
    bits -= e * ((int64_t)1 << 52);
    memcpy(&m, &bits, sizeof m);
    double s = (m - one) / (m + one), s2 = s * s;
    double p = s2 * (1.0 / 3 + s2 * (1.0 / 5 + s2 * (1.0 / 7 + s2 * (1.0 / 9 + s2 * (1.0 / 11)))));
    return (double)e * 0.69314718055994531 + (2 * s * (one + p) + rest / u);
}

/* 2^d, d <= 0 and whole; a number that does not count where it is far below. */
static inline double power_near(double d)
{
    double power;
    int64_t bits = (int64_t)(1023 + (d > -1000 ? d : -1000)) * ((int64_t)1 << 52);
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* log1p(others / e^top) by lane, the others being (sum + error) 2^lower. Where the top occurs twice they have it once
 * too often: then they are so large that taking it off loses nothing. */
static void log1p_ratios(struct two tops, vreal sum, vreal error, vreal lower, real *logs)
{
    enum { SUM, ERROR, LOWER, TIED, S, LOW, POWER, TOP_LOWER, WORDS };
    const struct window largest = window_by_lane(tops.top);
    real words[WORDS][SV_W];
    vreal s, low, on_grid;
    v_exp_split_fine(largest.to_grid, tops.top, &s, &low, &on_grid);
    const vreal all[WORDS] = {sum, error, lower, v_if_equal(tops.top, tops.next, v_set1(1), v_set1(0)), s, low,
                              v_exp_power(largest.base, on_grid), largest.lower};
    for (int w = 0; w < WORDS; w++)
        v_store(words[w], all[w]);
    for (int k = 0; k < SV_W; k++) {
        double e_top = words[POWER][k] + (double)words[POWER][k] * ((double)words[S][k] + words[LOW][k]);
        double ratio = ((double)words[SUM][k] + words[ERROR][k]) / e_top;
#if SV_REAL == 32
        ratio = ratio * power_near((double)words[LOWER][k] - words[TOP_LOWER][k]) - words[TIED][k];
        logs[k] = (real)log1p_near(ratio);
#else
        ratio = ldexp(ratio, (int)(words[LOWER][k] - words[TOP_LOWER][k])) - words[TIED][k];
        logs[k] = log1p(ratio);
#endif
    }
}

/* ---- columns ---------------------------------------------------------------------------------------- */

/* Sums of the columns' exponentials, at the window's `lower`, without what equals `except`. */
INLINE void lane_sums(const real *room, size_t length, const struct window *window, vreal except, vreal *sum,
                      vreal *error)
{
    const real start = raised(2 * BLOCK);
    *sum = *error = v_set1(0);
    for (size_t j = 0; j < length; j += BLOCK) {
        struct grid_sum block = empty_sum(start);
        size_t end = length - j < BLOCK ? length : j + BLOCK;
        for (size_t i = j; i < end; i++) {
            vreal v = v_load(room + i * SV_W), s, on_grid;
            v = v_max(window->lowest_x, v_if_equal(v, except, window->lowest_x, v));
            v_exp_split_above(window->to_grid, v, &s, &on_grid);
            add_term(&block, s, v_exp_power(window->base, on_grid));
        }
        add_grid_sum(block, start, sum, error);
    }
}

/* x - top and this are log_softmax: see log_softmax_rows. */
INLINE vreal lane_offsets(const real *room, size_t length, struct two tops)
{
    const struct window others = window_by_lane(tops.next);
    real logs[SV_W];
    vreal sum, error;
    lane_sums(room, length, &others, left_out(tops), &sum, &error);
    log1p_ratios(tops, sum, error, others.lower, logs);
    return v_load(logs);
}

/* As softmax_columns. */
static int log_softmax_columns(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t length,
                               size_t columns, real *room, int stream)
{
    (void)stream; /* ordinary stores */
    struct two tops[COLUMNS / SV_W];
    vreal offsets[COLUMNS / SV_W];
    const size_t vectors = (columns + SV_W - 1) / SV_W;
    for (size_t c = 0; c < vectors; c++)
        tops[c] = no_two();
    for (size_t i = 0; i < length; i++) {
        const real *row = x + (ptrdiff_t)i * x_stride;
        for (size_t c = 0; c < vectors; c++) {
            __builtin_prefetch((const char *)(row + PREFETCH_ROWS * x_stride + (ptrdiff_t)(c * SV_W)));
            vreal v = v_load_some(row + c * SV_W, columns - c * SV_W, 0);
            tops[c] = with_number(tops[c], v);
            v_store(room + (c * length + i) * SV_W, v);
        }
    }
    for (size_t c = 0; c < vectors; c++)
        if (!all_near(tops[c].top))
            return 0;
    for (size_t c = 0; c < vectors; c++)
        offsets[c] = lane_offsets(room + c * length * SV_W, length, tops[c]);
    for (size_t i = 0; i < length; i++, y += y_stride)
        for (size_t c = 0; c < vectors; c++) {
            vreal v = v_sub(v_sub(v_load(room + (c * length + i) * SV_W), tops[c].top), offsets[c]);
            v_store_some(y + c * SV_W, v, columns - c * SV_W);
        }
    return 1;
}

#ifdef V_HAS_TRANSPOSE
/* ---- short rows turned into columns ----------------------------------------------------------------- */

static size_t transposed_log_softmax(const real *x, ptrdiff_t x_stride, real *y, size_t rows, size_t length, int stream)
{
    char space[2 * TRANSPOSED_ROW * SV_W * SV_W * sizeof(real) + PAGE_BYTES + 64];
    real *room = away_from(x, space), *results = room + TRANSPOSED_ROW * SV_W * SV_W;
    struct outflow out = outflow_to(y);
    size_t done = 0;
    for (; done + SV_W <= rows; done += SV_W, x += SV_W * x_stride, y += SV_W * length) {
        vreal top = rows_to_columns(x, x_stride, (rows - done - 1) * (size_t)x_stride + length, length, room);
        struct two tops = no_two();
        if (!all_near(top))
            break;
        for (size_t j = 0; j < length; j++)
            tops = with_number(tops, v_load(room + j * SV_W));
        vreal offsets = lane_offsets(room, length, tops);
        for (size_t j = 0; j < length; j++)
            v_store(room + j * SV_W, v_sub(v_sub(v_load(room + j * SV_W), top), offsets));
        columns_to_rows(room, length, NULL, length % SV_W || stream ? results : y);
        if (stream)
            flow_all(&out, results, SV_W * length);
        else if (length % SV_W)
            copy(results, y, SV_W * length);
    }
    if (stream)
        finish(&out);
    return done;
}

/* The sums of groups of SV_W rows until one is not near. */
static size_t transposed_sums(const real *x, ptrdiff_t x_stride, size_t rows, size_t length, struct scaled_sum *sums)
{
    char space[TRANSPOSED_ROW * SV_W * SV_W * sizeof(real) + PAGE_BYTES + 64];
    real *room = away_from(x, space), hi[SV_W], lo[SV_W], lower[SV_W];
    size_t done = 0;
    for (; done + SV_W <= rows; done += SV_W, x += SV_W * x_stride) {
        vreal sum, error;
        vreal top = rows_to_columns(x, x_stride, (rows - done - 1) * (size_t)x_stride + length, length, room);
        if (!all_near(top))
            break;
        const struct window window = window_by_lane(top);
        lane_sums(room, length, &window, v_set1(INFINITY), &sum, &error);
        v_store(hi, sum);
        v_store(lo, error);
        v_store(lower, window.lower);
        for (int k = 0; k < SV_W; k++) {
            double total = (double)hi[k] + lo[k];
            sums[done + k] = (struct scaled_sum){total, lo[k] - (total - hi[k]), lower[k]};
        }
    }
    return done;
}

/* ---- rows of few vectors ------------------------------------------------------------------------------ */

/* The two largest of each row, a lane each. */
INLINE struct two group_two(const real *x, ptrdiff_t stride, size_t n, int count)
{
    struct two tops[SV_W];
    for (int r = 0; r < SV_W; r++) {
        tops[r] = no_two();
#pragma GCC unroll 8
        for (int k = 0; k < count; k++) {
            __builtin_prefetch(x + (r + SV_W) * stride + k * SV_W);
            tops[r] = with_number(tops[r], load_of(x + r * stride, n, k, count));
        }
    }
#pragma GCC unroll 4
    for (int s = 0; s < TRANSPOSE_STEPS; s++) /* as in v_fold */
#pragma GCC unroll 16
        for (int k = 0; k < SV_W; k += 2 << s) {
            const struct two a = tops[k], b = tops[k + (1 << s)];
            tops[k] = with_two((struct two){v_choose(a.top, b.top, V_LOW[s]), v_choose(a.next, b.next, V_LOW[s])},
                               (struct two){v_choose(a.top, b.top, V_HIGH[s]), v_choose(a.next, b.next, V_HIGH[s])});
        }
    return tops[0];
}

/* log1p_ratios of a group of rows, a vector leaving for each of theirs. */
INLINE void group_offsets(const real *x, ptrdiff_t stride, size_t n, struct two tops, struct drip *pending, real *logs,
                          int count)
{
    const struct window lanes = window_by_lane(tops.next);
    const real start = raised(GROUP_START);
    real to_grid[SV_W], lowest_x[SV_W], except[SV_W];
    vreal sums[SV_W], lost[SV_W];
    v_store(to_grid, lanes.to_grid);
    v_store(lowest_x, lanes.lowest_x);
    v_store(except, left_out(tops));
    for (int r = 0; r < SV_W; r++) {
        const vreal grid = v_set1(to_grid[r]), lowest = v_set1(lowest_x[r]), without = v_set1(except[r]);
        struct grid_sum row = empty_sum(start);
#pragma GCC unroll 8
        for (int k = 0; k < count; k++) {
            vreal v = load_of(x + r * stride, n, k, count), s, on_grid;
            v_exp_split_above(grid, v_max(lowest, v_if_equal(v, without, lowest, v)), &s, &on_grid);
            add_term(&row, s, v_exp_power(lanes.base, on_grid));
            drip(pending);
        }
        sums[r] = v_sub(row.sum, v_set1(start));
        lost[r] = row.lost;
    }
    log1p_ratios(tops, v_fold(sums, v_add), v_fold(lost, v_add), lanes.lower, logs);
}

/* log_softmax as softmax by groups_of. */
INLINE size_t log_groups_of(const real *x, ptrdiff_t x_stride, real *y, size_t rows, size_t n, int stream, int count)
{
    char space[ROOM_BYTES + PAGE_BYTES + 64];
    real *room = away_from(x, space), offsets[SV_W], highest[SV_W];
    struct outflow out = outflow_to(y);
    struct drip pending = {NULL, NULL, 0};
    size_t done = 0;
    for (; done + SV_W <= rows; done += SV_W, x += SV_W * x_stride, y += SV_W * n) {
        real *results = room + done / SV_W % 2 * (ROOM_BYTES / 2 / sizeof(real));
        const struct two tops = group_two(x, x_stride, n, count);
        if (!all_near(tops.top))
            break;
        group_offsets(x, x_stride, n, tops, &pending, offsets, count);
        while (pending.left)
            drip(&pending);
        v_store(highest, tops.top);
        for (int r = 0; r < SV_W; r++) {
            const vreal top = v_set1(highest[r]), offset = v_set1(offsets[r]);
#pragma GCC unroll 8
            for (int k = 0; k < count; k++)
                v_store(results + r * n + k * SV_W, v_sub(v_sub(load_of(x + r * x_stride, n, k, count), top), offset));
        }
        if (stream)
            pending = start_drip(&out, results, SV_W * n);
        else
            copy(results, y, SV_W * n);
    }
    while (pending.left)
        drip(&pending);
    if (stream)
        finish(&out);
    return done;
}

static size_t short_log_softmax(const real *x, ptrdiff_t x_stride, real *y, size_t rows, size_t n, int stream)
{
    if (n < GROUPED_ROW && x_stride >= (ptrdiff_t)n)
        return transposed_log_softmax(x, x_stride, y, rows, n, stream);
    switch ((n + SV_W - 1) / SV_W) {
#define LOG_GROUPS_OF(count) \
    case count: return log_groups_of(x, x_stride, y, rows, n, stream, count)
        LOG_GROUPS_OF(1);
        LOG_GROUPS_OF(2);
        LOG_GROUPS_OF(3);
        LOG_GROUPS_OF(4);
        LOG_GROUPS_OF(5);
        LOG_GROUPS_OF(6);
        LOG_GROUPS_OF(7);
        LOG_GROUPS_OF(8);
    default: return 0;
    }
}
#endif

#endif
