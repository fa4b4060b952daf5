/* Part of softmax.c: the two passes over rows of any length, the sum and the quotients. */
#ifndef SOLVERS_SOFTMAX_TWO_PASS_H
#define SOLVERS_SOFTMAX_TWO_PASS_H

#include "terms.h"

INLINE vreal shifted_by(vreal x, vreal shift, int shifted) { return shifted ? v_sub(x, shift) : x; }

/* What a sum of terms is for: quotients, or but its logarithm. */
enum use { FOR_QUOTIENTS, FOR_LOG };

enum { SUM_BLOCK = 32 }; /* vectors of a row that are summed on one grid */
#define SUM_BLOCK_START ((real)(2 * SUM_BLOCK << HEADROOM))

/* A grid_sum that keeps what every TOGETHER-th vector lost by itself: equal terms lose alike, and the fewer of them are
 * added one after the other, the less that is rounded. */
struct split_sum {
    vreal sum, lost[TOGETHER];
};

static inline struct split_sum empty_split(void)
{
    struct split_sum block = {.sum = v_set1(SUM_BLOCK_START)};
    for (int k = 0; k < TOGETHER; k++)
        block.lost[k] = v_set1(0);
    return block;
}

INLINE void add_split_sum(const struct split_sum *block, vreal *sum, vreal *error)
{
    vreal lost = block->lost[0];
    for (int k = 1; k < TOGETHER; k++)
        lost = v_add(lost, block->lost[k]);
    add_grid_sum((struct grid_sum){block->sum, lost}, SUM_BLOCK_START, sum, error);
}

/* Adds the terms of `count` vectors (a constant at each call): side by side they take two thirds of the time that they
 * take one after the other. `highest` becomes at least the maximum of as many of `watched`. */
INLINE void add_vectors(const real *x, const real *watched, size_t left, vreal shift, int shifted,
                        const struct window *window, struct split_sum *block, vreal *highest, enum use use, int count)
{
    vreal v[TOGETHER], s[TOGETHER], on_grid[TOGETHER];
    for (int k = 0; k < count; k++) {
        __builtin_prefetch((const char *)(watched + k * SV_W) + PREFETCH_BYTES);
        *highest = v_max(shifted_by(v_load_some(watched + k * SV_W, left, -INFINITY), shift, shifted), *highest);
        v[k] = shifted_by(v_load_some(x + k * SV_W, left, -INFINITY), shift, shifted);
    }
    for (int k = 0; k < count; k++)
        v_exp_split_for_log(v_set1(TO_GRID), v_max(window->lowest_x, v[k]), &s[k], &on_grid[k]);
    for (int k = 0; k < count; k++) {
        struct grid_sum part = {block->sum, block->lost[k]};
        add_power(&part, s[k], v_exp_power(window->base, on_grid[k]));
        block->sum = part.sum, block->lost[k] = part.lost;
    }
}

/* The same for up to SUM_BLOCK vectors, whose sum joins sum + error. */
INLINE void sum_block(const real *x, const real *watched, size_t n, vreal shift, int shifted,
                      const struct window *window, vreal *sum, vreal *error, vreal *top, enum use use)
{
    struct split_sum block = empty_split();
    vreal highest = *top;
    const struct window at = *window;
    size_t i = 0;
    for (; i + TOGETHER * SV_W <= n; i += TOGETHER * SV_W)
        add_vectors(x + i, watched + i, SV_W, shift, shifted, &at, &block, &highest, use, TOGETHER);
    for (; i < n; i += SV_W)
        add_vectors(x + i, watched + i, n - i, shift, shifted, &at, &block, &highest, use, 1);
    *top = highest;
    add_split_sum(&block, sum, error);
}

/* 1; 0 at the window's lower end and below, where a term must vanish lest a sum of opposite signs miss its 0. */
static inline vreal inside(vreal x, const struct window *window)
{
    const vreal zero = v_set1(0), one = v_set1(1);
    return v_sub(one, v_max(zero, v_sub(one, v_max(zero, v_sub(x, window->lowest_x)))));
}

/* The same with weights of either sign and of sizes that know no grid. */
INLINE void sum_weighted_block(const real *x, const real *b, size_t n, vreal shift, const struct window *window,
                               vreal *sum, vreal *error, vreal *top)
{
    for (size_t i = 0; i < n; i += SV_W) {
        vreal v = v_sub(v_load_some(x + i, n - i, -INFINITY), shift), s, on_grid;
        *top = v_max(v, *top);
        v_exp_split(v_max(window->lowest_x, v), &s, &on_grid);
        vreal weight = v_mul(v_load_some(b + i, n - i, 0), inside(v, window));
        vreal power = v_mul(weight, v_exp_power(window->base, on_grid));
        add_compensated(power, sum, error);
        add_compensated(v_mul(s, power), sum, error);
    }
}

/* e^(exponent (LN2_FOR_LOGS - ln 2)): what a float32 term at this exponent lacks where the low part of ln 2 is left
 * out. */
static inline double common_factor(double exponent)
{
    const double small = SV_REAL == 32 ? exponent * (LN2_FOR_LOGS - LN2) : 0; /* at most 2^-10 */
    return 1 + small * (1 + small * (1 + small / 3) / 2);
}

/* A sum of terms by v_exp_split_for_log, with what those a few powers of two below its exponent have in common made
 * up for: a float32 term that is 2^-d of it stays wrong by |d - 2| 2^-29. */
static inline struct scaled_sum without_common(struct scaled_sum sum)
{
    const double factor = common_factor(sum.exponent - 2);
    return (struct scaled_sum){sum.hi * factor, sum.lo * factor, sum.exponent};
}

/* The sum of a chunk at this exponent; *top becomes the maximum of what is watched: the chunk, or, without weights, as
 * much of anything else. */
INLINE struct scaled_sum sum_chunk(const real *x, const real *b, const real *watched, size_t n, real shift, int shifted,
                                   real exponent, real *top, enum use use)
{
    const struct window window = window_above(exponent);
    const vreal vshift = v_set1(shift);
    vreal sum = v_set1(0), error = v_set1(0), tops = v_set1(-INFINITY);
    for (size_t i = 0; i < n; i += SUM_BLOCK * SV_W) {
        size_t count = n - i < SUM_BLOCK * SV_W ? n - i : SUM_BLOCK * SV_W;
        if (b)
            sum_weighted_block(x + i, b + i, count, vshift, &window, &sum, &error, &tops);
        else
            sum_block(x + i, watched + i, count, vshift, shifted, &window, &sum, &error, &tops, use);
    }
    *top = v_max_lanes(tops);
    const struct scaled_sum total = over_lanes(sum, error, exponent);
    return use == FOR_LOG || b ? total : without_common(total);
}

/* Several maxima at a time: one would wait for itself. */
static real max_of(const real *x, size_t n)
{
    vreal tops[TOGETHER];
    size_t i = 0;
    for (int k = 0; k < TOGETHER; k++)
        tops[k] = v_set1(-INFINITY);
    for (; i + TOGETHER * SV_W <= n; i += TOGETHER * SV_W)
        for (int k = 0; k < TOGETHER; k++)
            tops[k] = v_max(v_load(x + i + k * SV_W), tops[k]);
    for (; i < n; i += SV_W)
        tops[0] = v_max(v_load_some(x + i, n - i, -INFINITY), tops[0]);
    for (int k = 1; k < TOGETHER; k++)
        tops[0] = v_max(tops[0], tops[k]);
    return v_max_lanes(tops[0]);
}

INLINE struct scaled_sum sum_terms(const real *x, const real *b, size_t n, real shift, int shifted)
{
    struct scaled_sum total = {0, 0, -INFINITY};
    real exponent = exponent_above(max_of(x, n < PROBE ? n : PROBE) - shift), top;
    for (size_t i = 0; i < n; i += CHUNK * BLOCK * SV_W) {
        size_t count = n - i < CHUNK * BLOCK * SV_W ? n - i : CHUNK * BLOCK * SV_W;
        if (exponent == INFINITY)
            return (struct scaled_sum){NAN, 0, 0};
        struct scaled_sum sum = sum_chunk(x + i, b ? b + i : NULL, x + i, count, shift, shifted, exponent, &top,
                                          FOR_QUOTIENTS);
        if (exponent_above(top) > exponent + HEADROOM) { /* once more, at its own exponent */
            exponent = exponent_above(top);
            i -= CHUNK * BLOCK * SV_W;
            continue;
        }
        total = i ? sv_merge(total, sum) : sum;
    }
    return total;
}

static struct scaled_sum sum(const real *x, const real *b, size_t n, real shift)
{
    if (b)
        return sum_terms(x, b, n, shift, 1);
    return shift == 0 ? sum_terms(x, NULL, n, 0, 0) : sum_terms(x, NULL, n, shift, 1);
}

/* ---- quotients ------------------------------------------------------------------------------ */

/* 1 / total in two words of `real`. */
static inline void reciprocal(struct scaled_sum total, real *hi, real *lo)
{
    double inverse = 1.0 / total.hi;
#if SV_REAL == 32
    *hi = (real)inverse;
    *lo = (real)(inverse - *hi);
#else
    *hi = inverse;
    *lo = inverse * (fma(-total.hi, inverse, 1.0) - total.lo * inverse);
#endif
}

/* Results that are subnormal, or rounded to 0, take a hundred cycles each on many processors, and so do products on the
 * way to them. Where there may be some, results are made 2^RAISED times too large, and lowered by integer arithmetic. */
enum { RAISED = SV_REAL == 32 ? 90 : 600, LEAST_UNIT = R_EXPONENT_BIAS - 1 + R_MANTISSA_BITS };

/* raised 2^-RAISED, rounded to nearest where it is subnormal. */
static inline vreal lowered(vreal raised)
{
    const real_bits one = (real_bits)1 << R_MANTISSA_BITS; /* as bits, the least normal number */
    const real_bits magic = one * (R_EXPONENT_BIAS + R_MANTISSA_BITS);
    const vreal least = v_set1((real)ldexp(1, RAISED + 1 - R_EXPONENT_BIAS));
    /* the normal part is the least normal number at least, the other one counts units up to that number */
    vreal normal = v_mul(v_max(least, raised), v_set1((real)ldexp(1, -RAISED)));
    vreal units = v_mul(v_min(least, raised), v_set1((real)ldexp(1, LEAST_UNIT - RAISED)));
    units = v_add(units, v_set1(real_from_bits(magic)));
    vreal both = v_add_bits(v_add_bits(normal, units, 0), v_set1(real_from_bits((real_bits)0 - magic - one)), 0);
    return v_if_equal(raised, raised, both, raised); /* NaN stays */
}

/* For each fraction of the grid 2^fraction / total in two words; or the offset of logarithms. Quotients of x up to
 * `small_x` are, or may be, subnormal. With a table `hi` makes powers of two as v_exp_base does, relative to the total's
 * exponent, and `lo` is relative to it and has what v_exp_rests has. */
struct divisor {
    v_fractions hi, lo;
    vreal exponent, shift, offset, small_x;
};

#ifdef V_HAS_LOOKUP
static inline real_bits bits_of(real value)
{
    real_bits bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
#endif

static struct divisor divide_by(struct scaled_sum total, real shift)
{
    real hi, lo;
#ifdef V_HAS_LOOKUP
    total.hi *= common_factor(-total.exponent);
#endif
    reciprocal(total, &hi, &lo);
    const double small = total.exponent + log2(total.hi) + 3 - R_EXPONENT_BIAS;
    struct divisor by = {.exponent = v_set1((real)total.exponent), .shift = v_set1(shift),
                         .small_x = v_set1((real)(small * 0.69314718055994531))};
#ifdef V_HAS_LOOKUP
    const double common = SV_REAL == 32 ? total.exponent * (double)LN2_LO : 0; /* left aside, as by v_exp_rests */
    real his[16], los[16];
    for (int k = 0; k < 16; k++) {
        const real_bits fraction = (real_bits)k << (R_MANTISSA_BITS - GRID_BITS);
        const real root = real_from_bits(ROOTS[k] + fraction), product = root * hi;
        los[k] = (real)((fma(root, hi, -product) + (double)root * lo) / product + ROOT_RESTS[k] + common);
        his[k] = real_from_bits(bits_of(product) - fraction);
    }
    by.hi = v_load_table(his);
    by.lo = v_load_table(los);
#else
    by.hi = v_set1(hi);
    by.lo = v_set1(lo);
#endif
    return by;
}

#ifdef V_HAS_LOOKUP
/* 2^raise times a quotient, a normal number then. */
INLINE vreal raised_quotient(vreal x, const struct divisor *by, int raise)
{
    vreal s, on_grid;
    const vreal to_grid = v_sub(v_set1((real)(TO_GRID + raise)), by->exponent);
    v_exp_split_near(by->lo, to_grid, x, &s, &on_grid);
    const vreal power = v_exp_power(by->hi, on_grid);
    return v_fma(s, power, power);
}

static vreal small_quotient(vreal x, const struct divisor *by)
{
    const real least = (real)((-LEAST_UNIT - 16) * 0.69314718055994531); /* less is 0 as well */
    x = v_max(v_fma(by->exponent, v_set1((real)0.69314718055994531), v_set1(least)), x);
    return lowered(raised_quotient(x, by, RAISED));
}

INLINE vreal normal_quotient(vreal x, const struct divisor *by) { return raised_quotient(x, by, 0); }
#else
/* 2^k / total (1 + ...) as a number near 1 / total, and k less the total's exponent. */
INLINE vreal near_quotient(vreal x, const struct divisor *by, vreal *power)
{
    vreal on_grid, rest;
#if SV_REAL == 32 && defined(V_HAS_FMA) /* where 2 ULP allow it, and the time shows */
    vreal s;
    v_exp_split(x, &s, &on_grid);
    vreal hi = v_pick(by->hi, on_grid);
    rest = v_fma(s, hi, v_pick(by->lo, on_grid));
#else
    vreal r, q;
    v_exp_parts(v_set1(TO_GRID), x, &r, &q, &on_grid);
    vreal hi = v_pick(by->hi, on_grid);
    rest = v_fma(r, hi, v_fma(q, hi, v_pick(by->lo, on_grid)));
#endif
    *power = v_sub(v_sub(on_grid, v_set1(TO_GRID)), by->exponent);
    return v_add(hi, rest);
}

static vreal small_quotient(vreal x, const struct divisor *by)
{
    vreal power, value = near_quotient(v_max(v_set1(LOWEST_X), x), by, &power);
    power = v_max(v_set1(-LEAST_UNIT - 16), power); /* less is 0 as well */
    return lowered(v_ldexp(value, v_add(power, v_set1(RAISED))));
}

INLINE vreal normal_quotient(vreal x, const struct divisor *by)
{
    vreal power, value = near_quotient(x, by, &power);
    return v_ldexp(value, power);
}
#endif

INLINE vreal quotient(vreal x, const struct divisor *by)
{
    return v_at_least(by->small_x, x) ? small_quotient(x, by) : normal_quotient(x, by);
}

INLINE void store(real *y, vreal v, int stream)
{
    if (stream)
        v_stream(y, v);
    else
        v_store(y, v);
}

/* Elements before the first that a streaming store may begin with; all n where it is never reached. */
static inline size_t unaligned_head(const real *y, size_t n)
{
    size_t head = (-(uintptr_t)y / sizeof(real)) % SV_W;
    return head < n ? head : n;
}

/* Whether y lies a little after x within the page: going up, the loads of x would soon reach the places that the last
 * stores to y had in another page, and each waits until such a store is done. Arrays of one size that follow each other
 * in memory lie so, and then a pass downwards is up to three times as fast. */
static inline int follows_in_page(const real *y, const real *x)
{
    return ((uintptr_t)y - (uintptr_t)x) % PAGE_BYTES - 1 < PAGE_BYTES / 4;
}

/* What a pass over x writes. */
enum pass { QUOTIENTS, SHIFTED_QUOTIENTS, DIFFERENCES };

INLINE vreal result_of(vreal x, const struct divisor *by, enum pass pass)
{
    x = shifted_by(x, by->shift, pass != QUOTIENTS);
    return pass == DIFFERENCES ? v_sub(x, by->offset) : quotient(x, by);
}

/* `count` vectors of results from place i on (a constant at each call), side by side. */
INLINE void write_at(const real *x, real *y, size_t i, const struct divisor *by, enum pass pass, int stream, int ahead,
                     int count)
{
    vreal v[TOGETHER], least = v_set1(INFINITY);
    for (int k = 0; k < count; k++) {
        __builtin_prefetch((const char *)(x + i + k * SV_W) + ahead);
        if (!stream)
            __builtin_prefetch((const char *)(y + i + k * SV_W) + ahead, 1);
        v[k] = shifted_by(v_load(x + i + k * SV_W), by->shift, pass != QUOTIENTS);
        least = k ? v_min(v[k], least) : v[k];
    }
    if (pass != DIFFERENCES && v_at_least(by->small_x, least))
        for (int k = 0; k < count; k++)
            v[k] = quotient(v[k], by);
    else
        for (int k = 0; k < count; k++)
            v[k] = pass == DIFFERENCES ? v_sub(v[k], by->offset) : normal_quotient(v[k], by);
    for (int k = 0; k < count; k++)
        store(y + i + k * SV_W, v[k], stream);
}

INLINE void write_results(const real *x, real *y, size_t n, const struct divisor *by, enum pass pass, int stream)
{
    enum { STEP = TOGETHER * SV_W };
    const size_t head = stream ? unaligned_head(y, n) : 0, whole = (n - head) / SV_W, tail = head + whole * SV_W;
    if (head)
        v_store_n(y, result_of(v_load_n(x, head, 0), by, pass), head);
    if (x != y && follows_in_page(y, x)) {
        size_t i = tail;
        for (; i >= head + STEP; i -= STEP)
            write_at(x, y, i - STEP, by, pass, stream, -PREFETCH_BYTES, TOGETHER);
        for (; i > head; i -= SV_W)
            write_at(x, y, i - SV_W, by, pass, stream, -PREFETCH_BYTES, 1);
    } else {
        size_t i = head;
        for (; i + STEP <= tail; i += STEP)
            write_at(x, y, i, by, pass, stream, PREFETCH_BYTES, TOGETHER);
        for (; i < tail; i += SV_W)
            write_at(x, y, i, by, pass, stream, PREFETCH_BYTES, 1);
    }
    if (tail < n)
        v_store_n(y + tail, result_of(v_load_n(x + tail, n - tail, 0), by, pass), n - tail);
    if (stream)
        v_stream_fence();
}

static int can_stream(const real *y) { return (uintptr_t)y % sizeof(real) == 0; }

static void divide(const real *x, real *y, size_t n, real shift, struct scaled_sum total, int stream)
{
    const struct divisor by = divide_by(total, shift);
    if (shift != 0)
        write_results(x, y, n, &by, SHIFTED_QUOTIENTS, 0);
    else if (stream && can_stream(y))
        write_results(x, y, n, &by, QUOTIENTS, 1);
    else
        write_results(x, y, n, &by, QUOTIENTS, 0);
}

#ifdef V_HAS_LOOKUP /* and 32 registers: with 16, one after the other takes no longer */
/* Results of a row on their way past the cache, the last ones first: `left` elements of it are still to be written, those
 * before `head` and behind the last whole line by themselves. */
struct leaving {
    const real *x;
    real *y;
    struct divisor by;
    size_t head, left;
};

INLINE void leave_some(struct leaving *row, int count)
{
    row->left -= (size_t)count * SV_W;
    write_at(row->x, row->y, row->left, &row->by, QUOTIENTS, 1, -NEAR_BYTES, count);
}

/* The sum of a chunk as by sum_chunk, while results leave. */
INLINE struct scaled_sum sum_chunk_beside(const real *next, size_t n, real exponent, real *top, struct leaving *row)
{
    enum { STEP = TOGETHER * SV_W };
    const struct window window = window_above(exponent);
    const vreal none = v_set1(0);
    vreal sum = v_set1(0), error = v_set1(0), highest = v_set1(-INFINITY);
    for (size_t j = 0; j < n; j += SUM_BLOCK * SV_W) {
        struct split_sum block = empty_split();
        size_t i = j, end = n - j < SUM_BLOCK * SV_W ? n : j + SUM_BLOCK * SV_W;
        for (; i + STEP <= end && row->left >= row->head + STEP; i += STEP) {
            add_vectors(next + i, next + i, SV_W, none, 0, &window, &block, &highest, FOR_QUOTIENTS, TOGETHER);
            leave_some(row, TOGETHER);
        }
        for (; i + STEP <= end; i += STEP) /* nothing left to leave */
            add_vectors(next + i, next + i, SV_W, none, 0, &window, &block, &highest, FOR_QUOTIENTS, TOGETHER);
        for (; i < end; i += SV_W)
            add_vectors(next + i, next + i, n - i, none, 0, &window, &block, &highest, FOR_QUOTIENTS, 1);
        add_split_sum(&block, &sum, &error);
    }
    *top = v_max_lanes(highest);
    return without_common(over_lanes(sum, error, exponent));
}

/* The first `head` results of a row complete the line whose first `held` numbers are in `edge`, or are written alone. */
INLINE void write_head(const struct leaving *row, const real *edge, size_t held)
{
    const vreal results = result_of(v_load_n(row->x, row->head, 0), &row->by, QUOTIENTS);
    real line[2 * SV_W];
    if (!held) {
        v_store_n(row->y, results, row->head);
        return;
    }
    v_store(line, v_load(edge));
    v_store(line + held, results);
    v_stream(row->y - held, v_load(line));
}

/* divide(x, y, n, 0, total, 1) and sum(next, NULL, n, 0), bit for bit, in one pass: the stores, which on their own wait
 * for the memory, leave while the sum is worked out. So would lines that are written in parts: see softmax_kernels.h. */
static struct scaled_sum divide_beside_sum(const real *x, real *y, size_t n, struct scaled_sum total, const real *next,
                                           real *edge, size_t *held)
{
    const real exponent = exponent_above(max_of(next, n < PROBE ? n : PROBE));
    /* going down beside a sum that goes up, unless x follows y in the page: see follows_in_page */
    if (n < 2 * SV_W || n > CHUNK * BLOCK * SV_W || exponent == INFINITY || follows_in_page(x, y)) {
        memcpy(y - *held, edge, *held * sizeof(real));
        *held = 0;
        divide(x, y, n, 0, total, 1);
        return sum(next, NULL, n, 0);
    }
    const size_t head = unaligned_head(y, n), tail = head + (n - head) / SV_W * SV_W;
    struct leaving row = {x, y, divide_by(total, 0), head, tail};
    real top, last[SV_W];
    if (tail < n)
        v_store(last, result_of(v_load_n(x + tail, n - tail, 0), &row.by, QUOTIENTS));
    struct scaled_sum found = sum_chunk_beside(next, n, exponent, &top, &row);
    while (row.left > head)
        leave_some(&row, 1);
    if (head)
        write_head(&row, edge, *held);
    *held = n - tail;
    memcpy(edge, last, *held * sizeof(real));
    v_stream_fence();
    return exponent_above(top) > exponent + HEADROOM ? sum(next, NULL, n, 0) : found;
}
#endif

static void subtract(const real *x, real *y, size_t n, real a, real b, int stream)
{
    const struct divisor by = {.shift = v_set1(a), .offset = v_set1(b)};
    if (stream && can_stream(y))
        write_results(x, y, n, &by, DIFFERENCES, 1);
    else
        write_results(x, y, n, &by, DIFFERENCES, 0);
}

/* ---- maximum ------------------------------------------------------------------------------------- */

/* The x86 maximum forgets a NaN in its first operand, so NaNs are kept in a sum of their own:
 * x * 0 is 0 or NaN (inf gives NaN too, and then the caller looks at the maximum). */
static real max(const real *x, size_t n)
{
    vreal top = v_set1(-INFINITY), nan = v_set1(0);
    size_t i = 0;
    for (; i + SV_W <= n; i += SV_W) {
        vreal v = v_load(x + i);
        top = v_max(v, top);
        nan = v_fma(v, v_set1(0), nan);
    }
    real found = v_max_lanes(top);
    real suspect = v_sum_lanes(nan);
    for (; i < n; i++) {
        suspect += x[i] * 0;
        found = x[i] > found ? x[i] : found;
    }
    if (suspect == 0)
        return found;
    for (i = 0; i < n; i++) /* an infinity or a NaN: look which */
        if (x[i] != x[i])
            return x[i];
    return found;
}

#endif
