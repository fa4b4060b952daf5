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

/* log((hi + lo) e^(exponent ln2)), hi > 0 and normal, |lo| < an ULP of it, and ln2 nearly that number (that number itself
 * in float64): within 0.8 ULP of the result or of 1. Without a call or a branch, so that a loop over it becomes vectors.
 * With m in [sqrt 1/2, sqrt 2): log m = 2 artanh s, s = (m - 1)/(m + 1), |s| < 0.172; the series ends below 2^-55, or
 * 2^-33 for floats. */
INLINE double log_near(double hi, double lo, double exponent, double ln2)
{
    static const double series[11] = {1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13,
                                      1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23};
    const double half_root = 0.70710678118654752;
    const uint64_t bias = 1024, magic = 0x4330000000000000; /* the bits of 2^52: integers below it are added to them */
    uint64_t bits, low, whole;
    double m, e;
    memcpy(&bits, &hi, sizeof bits);
    memcpy(&low, &half_root, sizeof low);
    whole = (bits - low + (bias << 52)) >> 52; /* of the exponent, biased */
    bits -= (whole - bias) << 52;
    memcpy(&m, &bits, sizeof m);
    whole |= magic;
    memcpy(&e, &whole, sizeof e);
    e -= 0x1p52 + (double)bias;
    const double below = m - 1, above = m + 1, s = below / above, s2 = s * s;
    double p = 0;
#pragma GCC unroll 11
    for (int k = SV_REAL == 32 ? 4 : 10; k >= 0; k--)
        p = p * s2 + series[k];
    const double twice = 2 * s;
    double small = twice * s2 * p; /* log m = twice + small */
#if SV_REAL == 32
    (void)lo; /* hi has digits to spare */
    return exponent * ln2 + (e * LN2 + (twice + small));
#else
    (void)ln2;
    const double n = exponent + e;
    const uint64_t down = (2 * bias - 1 - (whole ^ magic)) << 52; /* the bits of m / hi */
    double power;
    memcpy(&power, &down, sizeof power);
    small += (2 - m) * (lo * power); /* 2 - m for 1/m: lo is tiny */
#ifdef V_HAS_FMA                     /* what the division and m + 1 lost, over m + 1 = 2 / (1 - s) */
    small += (__builtin_fma(-s, above, below) - s * (m - (above - 1))) * (1 - s);
#endif
#ifdef V_HAS_FMA
    const double big = n * 0x1.62e42fefa39efp-1;
    const double rest = __builtin_fma(n, 0x1.62e42fefa39efp-1, -big) + n * 0x1.abc9e3b39803fp-56;
#else /* n is small there, so the product exact */
    const double big = n * 0x1.62e42feep-1, rest = n * 0x1.a39ef35793c76p-33;
#endif
    const double sum = big + twice, added = sum - big;
    return sum + ((big - (sum - added)) + (twice - added) + (small + rest));
#endif
}

/* 2^d, d <= 0 and whole; a number that does not count where it is far below, or in a lane of nothing above. */
static inline double power_near(double d)
{
    double power;
    double within = d < 0 ? (d > -1000 ? d : -1000) : 0;
    int64_t bits = (int64_t)(1023 + within) * ((int64_t)1 << 52);
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

/* Logarithms of the sums of SV_W rows or columns, as by log_near; of NaN, whose bits log_near takes for a number's, NaN.
 * The terms that count have exponents around lower + TERM_EXPONENT, each counted in ln2. */
static void lane_logs(vreal sum, vreal error, vreal lower, double ln2, real *values)
{
    const double common = TERM_EXPONENT * (ln2 - LN2);
    real words[3][SV_W];
    v_store(words[0], sum);
    v_store(words[1], error);
    v_store(words[2], lower);
    for (int k = 0; k < SV_W; k++) {
        const double total = (double)words[0][k] + words[1][k], nan = total - total;
        const double value = log_near(total, words[1][k] - (total - words[0][k]), words[2][k], ln2);
        values[k] = (real)(value + (common + nan));
    }
}

/* ---- columns ---------------------------------------------------------------------------------------- */

/* In float64 without the rounding of 2^(k/16), of which the logarithm of few terms would show half a ULP. */
INLINE void split_for(enum use use, vreal to_grid, vreal x, vreal *s, vreal *on_grid)
{
#if SV_REAL == 64
    vreal low;
    (void)use;
    v_exp_split_fine(to_grid, x, s, &low, on_grid);
#else
    if (use == FOR_LOG)
        v_exp_split_for_log(to_grid, x, s, on_grid);
    else
        v_exp_split_above(to_grid, x, s, on_grid);
#endif
}

/* Sums of the columns' exponentials, at the window's `lower`, without what equals `except`. */
INLINE void lane_sums(const real *room, size_t length, const struct window *window, vreal except, enum use use,
                      vreal *sum, vreal *error)
{
    const real start = raised(2 * BLOCK);
    *sum = *error = v_set1(0);
    for (size_t j = 0; j < length; j += BLOCK) {
        struct grid_sum block = empty_sum(start);
        size_t end = length - j < BLOCK ? length : j + BLOCK;
        for (size_t i = j; i < end; i++) {
            vreal v = v_load(room + i * SV_W), s, on_grid;
            v = v_max(window->lowest_x, v_if_equal(v, except, window->lowest_x, v));
            split_for(use, window->to_grid, v, &s, &on_grid);
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
    lane_sums(room, length, &others, left_out(tops), FOR_QUOTIENTS, &sum, &error);
    log1p_ratios(tops, sum, error, others.lower, logs);
    return v_load(logs);
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

/* Logarithms of the sums of groups of SV_W rows until one needs the safe path. */
static size_t transposed_logsumexp(const real *x, ptrdiff_t x_stride, size_t rows, size_t length, real *values)
{
    char space[TRANSPOSED_ROW * SV_W * SV_W * sizeof(real) + PAGE_BYTES + 64];
    real *room = away_from(x, space);
    size_t done = 0;
    for (; done + SV_W <= rows; done += SV_W, x += SV_W * x_stride) {
        vreal sum, error;
        vreal top = rows_to_columns(x, x_stride, (rows - done - 1) * (size_t)x_stride + length, length, room);
        if (!all_near(top))
            break;
        const struct window window = window_by_lane(top);
        lane_sums(room, length, &window, v_set1(INFINITY), FOR_LOG, &sum, &error);
        lane_logs(sum, error, window.lower, LN2_FOR_LOGS, values + done);
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
    const struct scale none = scale_of_leaving(pending, count); /* these leave as they are */
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
            __builtin_prefetch(x + (r + SV_W) * stride + k * SV_W);
            drip(pending, &none, 0, count);
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
    struct drip pending = {NULL, NULL, 0, 0, NULL};
    size_t done = 0;
    for (; done + SV_W <= rows; done += SV_W, x += SV_W * x_stride, y += SV_W * n) {
        real *results = room + done / SV_W % 2 * (ROOM_BYTES / 2 / sizeof(real));
        const struct two tops = group_two(x, x_stride, n, count);
        if (!all_near(tops.top))
            break;
        group_offsets(x, x_stride, n, tops, &pending, offsets, count);
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
    leave_rest(&pending, count);
    if (stream)
        finish(&out);
    return done;
}

/* Sums of a group of rows with these maxima, a lane each, at `lanes->lower`; `tops` become the maxima of the group that
 * begins at `next`, so that memory brings one group while another is worked on. */
INLINE void group_sums(const real *x, const real *next, ptrdiff_t stride, size_t n, const struct window *lanes,
                       vreal *sum, vreal *error, vreal *tops, int count)
{
    const real start = raised(GROUP_START);
    real to_grid[SV_W], lowest_x[SV_W];
    vreal sums[SV_W], lost[SV_W], highest[SV_W];
    v_store(to_grid, lanes->to_grid);
    v_store(lowest_x, lanes->lowest_x);
    for (int r = 0; r < SV_W; r++) {
        const vreal grid = v_set1(to_grid[r]), lowest = v_set1(lowest_x[r]);
        struct grid_sum row = empty_sum(start);
        vreal top = v_set1(-INFINITY);
#pragma GCC unroll 8
        for (int k = 0; k < count; k++) {
            vreal s, on_grid;
            __builtin_prefetch(next + (SV_W + r) * stride + k * SV_W);
            split_for(FOR_LOG, grid, v_max(lowest, load_of(x + r * stride, n, k, count)), &s, &on_grid);
            add_power(&row, s, v_exp_power(lanes->base, on_grid));
            top = v_max(load_of(next + r * stride, n, k, count), top);
        }
        sums[r] = v_sub(row.sum, v_set1(start));
        lost[r] = row.lost;
        highest[r] = top;
    }
    *sum = v_fold(sums, v_add);
    *error = v_fold(lost, v_add);
    *tops = v_fold(highest, v_max);
}

/* The same for rows of `count` vectors (a constant at each call). */
INLINE size_t logsumexp_groups_of(const real *x, ptrdiff_t stride, size_t rows, size_t n, real *values, int count)
{
    size_t done = 0;
    if (rows < SV_W)
        return 0;
    vreal top = look_at_group(x, stride, n, count).top, sum, error;
    for (; done + SV_W <= rows && all_near(top); done += SV_W, x += SV_W * stride) {
        const struct window lanes = window_by_lane(top);
        group_sums(x, done + 2 * SV_W <= rows ? x + SV_W * stride : x, stride, n, &lanes, &sum, &error, &top, count);
        lane_logs(sum, error, lanes.lower, LN2_FOR_LOGS, values + done);
    }
    return done;
}

static size_t short_logsumexp(const real *x, ptrdiff_t x_stride, size_t rows, size_t n, real *values)
{
    if (n < GROUPED_ROW && x_stride >= (ptrdiff_t)n)
        return transposed_logsumexp(x, x_stride, rows, n, values);
    switch ((n + SV_W - 1) / SV_W) {
#define LOGSUMEXP_GROUPS_OF(count) \
    case count: return logsumexp_groups_of(x, x_stride, rows, n, values, count)
        LOGSUMEXP_GROUPS_OF(1);
        LOGSUMEXP_GROUPS_OF(2);
        LOGSUMEXP_GROUPS_OF(3);
        LOGSUMEXP_GROUPS_OF(4);
        LOGSUMEXP_GROUPS_OF(5);
        LOGSUMEXP_GROUPS_OF(6);
        LOGSUMEXP_GROUPS_OF(7);
        LOGSUMEXP_GROUPS_OF(8);
    default: return 0;
    }
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
