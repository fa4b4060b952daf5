/* The passes of softmax over rows (Dukhan & Ablavatski, arXiv 2001.04438, made safe, and faster in cache).
 *
 *   sum      reads x once;                   moves  8 bytes an element (float64; 4 with float32)
 *   divide   reads x, recomputes, writes y;  moves 16 bytes with streaming stores, 24 without
 *   rows     whole rows that fit the cache, one exponential an element
 *
 * Bound of a row that fits no cache: 2 reads + 1 write = (time of a vector read) + (of a streaming copy). In
 * operations of a 512-bit vector, on Zen 4 at best two a cycle: sum 17, divide 14 (float32; 20 and 17 in float64).
 * Reached there: sum 11 cycles a float32 vector in cache, divide 9; out of cache divide goes at the speed of a copy
 * and sum at 0.75 of that of a read. `make bench-softmax` prints what is reached.
 *
 * Accuracy: softmax within 1.5 ULP, whatever the length. Differs from the paper in:
 *   1. where there is a register table, e^x = (1 + s) 2^k with k on a grid of 1/16: shorter polynomials, a smaller s;
 *   2. no term's rounding is lost from the sum (see add_term: a plain sum of 8 vectors costs up to 3 ULP where the
 *      terms differ much in size), and 1/total has two words;
 *   3. one exponent serves a whole chunk instead of one for each lane and tile: the maximum of the chunk before it
 *      is nearly right, and a chunk that proves larger is summed again;
 *   4. x is clamped below, so -inf and mask constants add nothing; rows outside the safe range are told by the
 *      total or its exponent, and the caller (rows.c) shifts them by their maximum.
 *
 * In NumPy:
 *     n = np.rint(x / np.log(2)); p = np.exp(x - n * np.log(2))
 *     m = n.max(); total = np.sum(p * 2.0 ** (n - m))            # means total * 2**m
 *     y = p / total * 2.0 ** (n - m)
 */
#include "expcore.h"
#include "softmax_kernels.h"

enum {
    BLOCK = 64,     /* vectors that are summed on one grid */
    CHUNK = 128,    /* blocks that share an exponent */
    PROBE = 1024,   /* elements whose maximum is the first guess of it */
    HEADROOM = 4,   /* how far terms may exceed the guess, in powers of two */
    PREFETCH_BYTES = 4096,
    PREFETCH_ROWS = 16,
    PREFETCH_GROUPS = 2, /* of rows that become columns */
    REGISTER_ROW = 8,   /* vectors of a row that is kept in registers */
    TRANSPOSED_ROW = 4, /* of a row that becomes a column: a lane */
    PANEL_BYTES = 2048 /* of such rows that are written together */
};

/* ---- sums ----------------------------------------------------------------------------------- */

/* The terms of a block are at most 2^HEADROOM each: a sum that starts here stays within one binade. */
#define SUM_START ((real)(2 * BLOCK << HEADROOM))

/* start + terms on the grid of the start, and what their roundings to that grid lost. */
struct grid_sum {
    vreal sum, lost;
};

static inline struct grid_sum empty_sum(real start) { return (struct grid_sum){v_set1(start), v_set1(0)}; }

/* Adds e = power (1 + s), whose rounding does not count either: sums within a binade are on one grid, so
 * next - sum is exact and close to e, and power minus it too. Returns e rounded. */
INLINE vreal add_term(struct grid_sum *acc, vreal s, vreal power)
{
    vreal term = v_fma(s, power, power), next = v_add(acc->sum, term);
    acc->lost = v_add(acc->lost, v_fma(s, power, v_sub(power, v_sub(next, acc->sum))));
    acc->sum = next;
    return term;
}

/* sum + error += term, error being what the rounding of the sum lost. */
static inline void add_compensated(vreal term, vreal *sum, vreal *error)
{
    vreal total = v_add(*sum, term), added = v_sub(total, *sum);
    vreal lost = v_add(v_sub(*sum, v_sub(total, added)), v_sub(term, added));
    *error = v_add(*error, lost);
    *sum = total;
}

static inline void add_grid_sum(struct grid_sum block, real start, vreal *sum, vreal *error)
{
    add_compensated(v_sub(block.sum, v_set1(start)), sum, error);
    add_compensated(block.lost, sum, error);
}

/* The lanes of sum + error together: in double, or for doubles in a fixed tree of exact sums. */
static inline struct scaled_sum over_lanes(vreal sum, vreal error, double exponent)
{
#if SV_REAL == 32
    return (struct scaled_sum){v_sum_wide(sum) + v_sum_wide(error), 0, exponent};
#else
    double hi[SV_W], lost = 0;
    v_store(hi, sum);
    for (int width = SV_W / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++) {
            double total = hi[k] + hi[k + width], added = total - hi[k];
            lost += (hi[k] - (total - added)) + (hi[k + width] - added);
            hi[k] = total;
        }
    double lo = lost + v_sum_lanes(error), total = hi[0] + lo;
    return (struct scaled_sum){total, lo - (total - hi[0]), exponent};
#endif
}

/* Exponentials at an exponent `lower`, and the x below which they would leave the normal numbers. The guard keeps
 * products with what their roundings left normal too: a subnormal result takes a hundred cycles. */
struct window {
    v_fractions base;
    vreal lowest_x, lower;
    int by_lane; /* whether `lower` differs by lane: it is then not in `base` */
};

enum { GUARD_BITS = SV_REAL == 32 ? 30 : 60 };

static inline struct window window_above(real lower)
{
    real lowest_x = (real)((lower - (R_EXPONENT_BIAS - 2 - GUARD_BITS)) * 0.69314718055994530942);
    return (struct window){v_exp_base(lower), v_set1(lowest_x > LOWEST_X ? lowest_x : LOWEST_X), v_set1(lower), 0};
}

/* A whole exponent above that of e^x, within the safe range; for +inf and what lies above that range: infinity. */
static inline real exponent_above(real x)
{
    if (!(x < -LOWEST_X))
        return INFINITY;
    return x > LOWEST_X ? (real)floor(x * LOG2_E) + 1 : LOWEST_EXPONENT;
}

INLINE vreal load(const real *x, size_t left, real fill) { return left >= SV_W ? v_load(x) : v_load_n(x, left, fill); }

INLINE vreal shifted_by(vreal x, vreal shift, int shifted) { return shifted ? v_sub(x, shift) : x; }

/* Adds the terms of up to BLOCK vectors to sum + error; `top` becomes at least their maximum. */
INLINE void sum_block(const real *x, size_t n, vreal shift, int shifted, const struct window *window, vreal *sum,
                      vreal *error, vreal *top)
{
    struct grid_sum block = empty_sum(SUM_START);
    vreal highest = *top;
    const struct window at = *window;
#pragma GCC unroll 4
    for (size_t i = 0; i < n; i += SV_W) {
        __builtin_prefetch((const char *)(x + i) + PREFETCH_BYTES);
        vreal v = shifted_by(load(x + i, n - i, -INFINITY), shift, shifted), s, on_grid;
        highest = v_max(v, highest);
        v_exp_split(v_max(at.lowest_x, v), &s, &on_grid);
        add_term(&block, s, v_exp_power(at.base, on_grid));
    }
    *top = highest;
    add_grid_sum(block, SUM_START, sum, error);
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
        vreal v = v_sub(load(x + i, n - i, -INFINITY), shift), s, on_grid;
        *top = v_max(v, *top);
        v_exp_split(v_max(window->lowest_x, v), &s, &on_grid);
        vreal weight = v_mul(load(b + i, n - i, 0), inside(v, window));
        vreal power = v_mul(weight, v_exp_power(window->base, on_grid));
        add_compensated(power, sum, error);
        add_compensated(v_mul(s, power), sum, error);
    }
}

/* The sum of a chunk at this exponent; *top becomes its maximum. */
INLINE struct scaled_sum sum_chunk(const real *x, const real *b, size_t n, real shift, int shifted, real exponent,
                                   real *top)
{
    const struct window window = window_above(exponent);
    const vreal vshift = v_set1(shift);
    vreal sum = v_set1(0), error = v_set1(0), tops = v_set1(-INFINITY);
    for (size_t i = 0; i < n; i += BLOCK * SV_W) {
        size_t count = n - i < BLOCK * SV_W ? n - i : BLOCK * SV_W;
        if (b)
            sum_weighted_block(x + i, b + i, count, vshift, &window, &sum, &error, &tops);
        else
            sum_block(x + i, count, vshift, shifted, &window, &sum, &error, &tops);
    }
    *top = v_max_lanes(tops);
    return over_lanes(sum, error, exponent);
}

static real max_of(const real *x, size_t n)
{
    vreal top = v_set1(-INFINITY);
    for (size_t i = 0; i < n; i += SV_W)
        top = v_max(load(x + i, n - i, -INFINITY), top);
    return v_max_lanes(top);
}

INLINE struct scaled_sum sum_terms(const real *x, const real *b, size_t n, real shift, int shifted)
{
    struct scaled_sum total = {0, 0, -INFINITY};
    real exponent = exponent_above(max_of(x, n < PROBE ? n : PROBE) - shift), top;
    for (size_t i = 0; i < n; i += CHUNK * BLOCK * SV_W) {
        size_t count = n - i < CHUNK * BLOCK * SV_W ? n - i : CHUNK * BLOCK * SV_W;
        if (exponent == INFINITY)
            return (struct scaled_sum){NAN, 0, 0};
        struct scaled_sum sum = sum_chunk(x + i, b ? b + i : NULL, count, shift, shifted, exponent, &top);
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

/* For each fraction of the grid 2^fraction / total in two words. */
struct divisor {
    v_fractions hi, lo;
    vreal exponent, shift;
};

static struct divisor divide_by(struct scaled_sum total, real shift)
{
    real hi, lo;
    reciprocal(total, &hi, &lo);
    struct divisor by = {.exponent = v_set1((real)total.exponent), .shift = v_set1(shift)};
#ifdef V_HAS_LOOKUP
    real his[16], los[16];
    for (int k = 0; k < 16; k++) {
        real root = real_from_bits(ROOTS[k] + ((real_bits)k << (R_MANTISSA_BITS - GRID_BITS)));
        his[k] = root * hi;
#if SV_REAL == 32
        los[k] = (real)((double)root * hi - his[k]) + (root * lo + his[k] * ROOT_RESTS[k]);
#else
        los[k] = fma(root, hi, -his[k]) + (root * lo + his[k] * ROOT_RESTS[k]);
#endif
    }
    by.hi = v_load_table(his);
    by.lo = v_load_table(los);
#else
    by.hi = v_set1(hi);
    by.lo = v_set1(lo);
#endif
    return by;
}

INLINE vreal quotient(vreal x, const struct divisor *by, int shifted)
{
    vreal on_grid, rest;
    x = v_max(v_set1(LOWEST_X), shifted_by(x, by->shift, shifted));
#if defined(V_HAS_LOOKUP) || (SV_REAL == 32 && defined(V_HAS_FMA)) /* where 2 ULP allow it, and the time shows */
    vreal s;
    v_exp_split(x, &s, &on_grid);
    vreal hi = v_pick(by->hi, on_grid);
    rest = v_fma(s, hi, v_pick(by->lo, on_grid));
#else
    vreal r, q;
    v_exp_parts(x, &r, &q, &on_grid);
    vreal hi = v_pick(by->hi, on_grid);
    rest = v_fma(r, hi, v_fma(q, hi, v_pick(by->lo, on_grid)));
#endif
    vreal k = v_sub(on_grid, v_set1(TO_GRID));
    return v_ldexp(v_add(hi, rest), v_sub(k, by->exponent));
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

INLINE void divide_terms(const real *x, real *y, size_t n, real shift, struct scaled_sum total, int shifted, int stream)
{
    const struct divisor by = divide_by(total, shift);
    size_t i = 0;
    if (stream) {
        i = unaligned_head(y, n);
        v_store_n(y, quotient(v_load_n(x, i, 0), &by, shifted), i);
    }
    for (; i + SV_W <= n; i += SV_W) {
        __builtin_prefetch((const char *)(x + i) + PREFETCH_BYTES);
        store(y + i, quotient(v_load(x + i), &by, shifted), stream);
    }
    if (i < n)
        v_store_n(y + i, quotient(v_load_n(x + i, n - i, 0), &by, shifted), n - i);
    if (stream)
        v_stream_fence();
}

static void divide(const real *x, real *y, size_t n, real shift, struct scaled_sum total, int stream)
{
    if (shift != 0)
        divide_terms(x, y, n, shift, total, 1, 0);
    else if (stream && (uintptr_t)y % sizeof(real) == 0)
        divide_terms(x, y, n, 0, total, 0, 1);
    else
        divide_terms(x, y, n, 0, total, 0, 0);
}

/* ---- results on their way past the cache --------------------------------------------------------- */

/* Numbers for consecutive places from y on, written in whole aligned vectors: rows end within a cache line, and a line
 * written in parts would have to be read first. `held` numbers wait for the vector that begins at `to`, of which the
 * first `foreign` are not ours to write. */
struct outflow {
    real *to;
    size_t held, foreign;
    real numbers[2 * SV_W];
};

static inline struct outflow outflow_to(real *y)
{
    size_t before = (uintptr_t)y / sizeof(real) % SV_W;
    return (struct outflow){.to = y - before, .held = before, .foreign = before};
}

/* Completes the vector that waits, if one does, from the head of `next`; returns how many that took. */
INLINE size_t complete(struct outflow *out, vreal next)
{
    if (out->held == 0)
        return 0;
    size_t taken = SV_W - out->held;
    v_store(out->numbers + out->held, next);
    if (out->foreign)
        memcpy(out->to + out->foreign, out->numbers + out->foreign, taken * sizeof(real));
    else
        v_stream(out->to, v_load(out->numbers));
    out->to += SV_W;
    out->held = out->foreign = 0;
    return taken;
}

INLINE void flow(struct outflow *out, vreal v)
{
    v_stream(out->to, v);
    out->to += SV_W;
}

/* Less than a vector waits for more. */
INLINE void hold(struct outflow *out, vreal v, size_t count)
{
    v_store(out->numbers, v);
    out->held = count;
}

/* A whole vector can be read from `from` in any case. */
INLINE void flow_all(struct outflow *out, const real *from, size_t n)
{
    if (out->held + n < SV_W) {
        v_store_n(out->numbers + out->held, v_load(from), n);
        out->held += n;
        return;
    }
    size_t i = complete(out, v_load(from));
    for (; i + SV_W <= n; i += SV_W)
        flow(out, v_load(from + i));
    hold(out, load(from + i, n - i, 0), n - i);
}

static inline void finish(struct outflow *out)
{
    memcpy(out->to + out->foreign, out->numbers + out->foreign, (out->held - out->foreign) * sizeof(real));
    v_stream_fence();
}

/* ---- rows in cache: one exponential an element ----------------------------------------------- */

/* Terms are kept times 2^TERM_EXPONENT, so that each is a normal number where its quotient is one. */
enum { TERM_EXPONENT = SV_REAL == 32 ? 60 : 500 };

static inline real raised(int start)
{
    return (real)ldexp(start, TERM_EXPONENT);
}

/* Whether the kernels below serve a row with this maximum: infinite or far from 0 they do not, nor where terms that
 * count could lie below LOWEST_X. */
static inline int is_near(real top) { return top < -LOWEST_X && top > (real)0.9 * LOWEST_X; }

/* Adds the exponential of x in this window, and returns it rounded once. */
INLINE vreal add_fine_term(struct grid_sum *acc, vreal x, const struct window *window)
{
    vreal s, low, on_grid;
    v_exp_split_fine(v_max(window->lowest_x, x), &s, &low, &on_grid);
    if (window->by_lane)
        on_grid = v_sub(on_grid, window->lower);
    vreal power = v_exp_power(window->base, on_grid);
#ifdef V_HAS_LOOKUP
    return add_term(acc, s, power);
#else
    add_term(acc, s, power);
    return v_add(power, v_fma(low, power, v_mul(s, power))); /* low * power alone might be subnormal */
#endif
}

/* The terms e^x_i in this window; returns their sum. */
INLINE struct scaled_sum store_terms(const real *x, size_t n, struct window window, real *terms)
{
    const real start = raised(2 * BLOCK);
    vreal sum = v_set1(0), error = v_set1(0);
    for (size_t j = 0; j < n; j += BLOCK * SV_W) {
        struct grid_sum block = empty_sum(start);
        size_t end = n - j < BLOCK * SV_W ? n : j + BLOCK * SV_W;
#pragma GCC unroll 4
        for (size_t i = j; i < end; i += SV_W) {
            vreal term = add_fine_term(&block, load(x + i, n - i, -INFINITY), &window);
            if (n - i >= SV_W)
                v_store(terms + i, term);
            else
                v_store_n(terms + i, term, n - i);
        }
        add_grid_sum(block, start, &sum, &error);
    }
    return over_lanes(sum, error, 0);
}

/* What turns terms into quotients. */
struct scale {
    vreal hi, lo;
};

static inline struct scale scale_by(struct scaled_sum total)
{
    real hi, lo;
    reciprocal(total, &hi, &lo);
    return (struct scale){v_set1(hi), v_set1(lo)};
}

/* What a clamped x left is a little below this: it becomes exactly 0, as a masked entry must. */
#define LEAST_TERM (SV_REAL == 32 ? (real)0x1.1p-95 : (real)0x1.1p-961)
_Static_assert(R_EXPONENT_BIAS - 2 - GUARD_BITS == (SV_REAL == 32 ? 95 : 961), "LEAST_TERM is the window's end");

static inline vreal scaled(vreal term, const struct scale *by)
{
    term = v_max(v_set1(0), v_sub(term, v_set1(LEAST_TERM)));
    return v_fma(term, by->hi, v_mul(term, by->lo));
}

/* y, or where that is NULL the outflow, gets the scaled terms. On the way the maximum of the next row is found, which
 * also brings it into the cache; `next` may be this row itself where there is none. */
INLINE real scale_terms(const real *terms, real *y, struct outflow *out, const real *next, size_t n, struct scale scale)
{
    vreal top = load(next, n, -INFINITY);
    size_t i = y ? 0 : complete(out, scaled(v_load(terms), &scale));
#pragma GCC unroll 2
    for (; i + SV_W <= n; i += SV_W) {
        vreal quotient = scaled(v_load(terms + i), &scale);
        top = v_max(v_load(next + i), top);
        __builtin_prefetch((const char *)(next + i) + PREFETCH_BYTES / 2);
        if (y)
            v_store(y + i, quotient);
        else
            flow(out, quotient);
    }
    vreal rest = scaled(load(terms + i, n - i, 0), &scale);
    top = v_max(load(next + i, n - i, -INFINITY), top);
    if (y)
        v_store_n(y + i, rest, n - i);
    else
        hold(out, rest, n - i);
    return v_max_lanes(top);
}

/* Softmax of rows of more than a vector until one needs the safe path; returns how many were done. Where they are
 * streamed their terms wait in `room`, else in y. */
INLINE size_t cached_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t n,
                          real *room, int stream)
{
    struct outflow out = outflow_to(y);
    real top = max_of(x, n);
    size_t r = 0;
    for (; r < rows && is_near(top); r++, x += x_stride, y += y_stride) {
        real *terms = stream ? room : y;
        const real *next = r + 1 < rows ? x + x_stride : terms;
        const struct window window = window_above(exponent_above(top) - TERM_EXPONENT);
        struct scaled_sum total = store_terms(x, n, window, terms);
        if (!(total.hi < INFINITY)) /* a NaN */
            break;
        top = scale_terms(terms, stream ? NULL : y, &out, next, n, scale_by(total));
        if (stream && y_stride != (ptrdiff_t)n) {
            finish(&out);
            out = outflow_to(y + y_stride);
        }
    }
    if (stream)
        finish(&out);
    return r;
}

/* ---- short rows: the terms wait in registers ---------------------------------------------------- */

/* Softmax of a row of `count` vectors (a constant at each call); 0 where it needs the safe path. The last vector is
 * read whole if `readable` elements let it, and y has room for whole vectors if `roomy`. */
INLINE int register_row(const real *x, size_t readable, real *y, int roomy, size_t n, int count)
{
    const size_t last = (size_t)(count - 1) * SV_W;
    vreal v[REGISTER_ROW], top = v_set1(-INFINITY);
    for (int k = 0; k < count - 1; k++)
        v[k] = v_load(x + k * SV_W);
    v[count - 1] = last + SV_W <= readable ? v_keep(v_load(x + last), n - last, -INFINITY)
                                           : v_load_n(x + last, n - last, -INFINITY);
    for (int k = 0; k < count; k++)
        top = v_max(v[k], top);
    real highest = v_max_lanes(top);
    if (!is_near(highest))
        return 0;
    const struct window window = window_above(exponent_above(highest) - TERM_EXPONENT);
    const real start = raised(2 * REGISTER_ROW);
    struct grid_sum row = empty_sum(start);
    for (int k = 0; k < count; k++)
        v[k] = add_fine_term(&row, v[k], &window);
    struct scaled_sum total = over_lanes(v_sub(row.sum, v_set1(start)), row.lost, 0);
    if (!(total.hi < INFINITY))
        return 0;
    const struct scale scale = scale_by(total);
    for (int k = 0; k < count; k++) {
        vreal quotient = scaled(v[k], &scale);
        if (k < count - 1 || roomy)
            v_store(y + k * SV_W, quotient);
        else
            v_store_n(y + last, quotient, n - last);
    }
    return 1;
}

INLINE void copy(const real *from, real *to, size_t n)
{
    size_t i = 0;
    for (; i + SV_W <= n; i += SV_W)
        v_store(to + i, v_load(from + i));
    if (i < n)
        v_store_n(to + i, v_load_n(from + i, n - i, 0), n - i);
}

/* Rows whose results are contiguous go through `room` a few at a time: whole vectors, and stores away from the loads
 * (masked stores to y would hold up the loads of x at the same place of another page, row after row). */
INLINE size_t register_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t length,
                            int stream, struct outflow *out, real *room, int count)
{
    size_t panel = PANEL_BYTES / (length * sizeof(real));
    for (size_t done = 0; done < rows;) {
        size_t few = rows - done < panel ? rows - done : panel, r = 0;
        for (; r < few; r++, x += x_stride) {
            size_t left = rows - 1 - done - r, readable = x_stride < (ptrdiff_t)length ? 0 : left * (size_t)x_stride;
            int roomy = y_stride == (ptrdiff_t)length;
            real *to = roomy ? room + r * length : y + (ptrdiff_t)(done + r) * y_stride;
            if (!register_row(x, readable + length, to, roomy, length, count))
                break;
        }
        if (stream && r)
            flow_all(out, room, r * length);
        else if (y_stride == (ptrdiff_t)length)
            copy(room, y + done * length, r * length);
        done += r;
        if (r < few)
            return done;
    }
    return rows;
}

enum { PAGE_BYTES = 4096 };

/* A place in `room` (with a page to spare) half a page away from x within the page: a load waits for the stores that
 * went before it to its place in another page. */
static inline real *away_from(const real *x, char *room)
{
    uintptr_t place = ((uintptr_t)x & ~(uintptr_t)63) + PAGE_BYTES / 2;
    return (real *)(room + (place - (uintptr_t)room) % PAGE_BYTES);
}

/* ---- columns: a lane each -------------------------------------------------------------------------- */

/* The window of each lane whose largest exponent is that of e^top. */
static inline struct window window_by_lane(vreal top)
{
    vreal exponent = v_add(v_rint(v_mul(top, v_set1((real)LOG2_E))), v_set1(1));
    vreal lower = v_sub(exponent, v_set1(TERM_EXPONENT));
    vreal lowest = v_sub(lower, v_set1(R_EXPONENT_BIAS - 2 - GUARD_BITS));
    vreal lowest_x = v_max(v_set1(LOWEST_X), v_mul(lowest, v_set1((real)0.69314718055994530942)));
    return (struct window){v_exp_base(0), lowest_x, lower, 1};
}

/* Each lane's terms become its quotients. */
static inline struct scale scale_by_lane(vreal sum, vreal error)
{
    real hi[SV_W], lo[SV_W], sums[SV_W], errors[SV_W];
    v_store(sums, sum);
    v_store(errors, error);
    for (int k = 0; k < SV_W; k++) {
        double total = (double)sums[k] + errors[k];
        reciprocal((struct scaled_sum){total, errors[k] - (total - sums[k]), 0}, &hi[k], &lo[k]);
    }
    return (struct scale){v_load(hi), v_load(lo)};
}

/* The terms of `length` rows of a vector of columns with these maxima, in place, `stride` apart. */
INLINE struct scale lane_terms(real *x, ptrdiff_t stride, size_t length, vreal top)
{
    const struct window window = window_by_lane(top);
    const real start = raised(2 * BLOCK);
    vreal sum = v_set1(0), error = v_set1(0);
    for (size_t j = 0; j < length; j += BLOCK) {
        struct grid_sum block = empty_sum(start);
        size_t end = length - j < BLOCK ? length : j + BLOCK;
#pragma GCC unroll 2
        for (size_t i = j; i < end; i++)
            v_store(x + (ptrdiff_t)i * stride, add_fine_term(&block, v_load(x + (ptrdiff_t)i * stride), &window));
        add_grid_sum(block, start, &sum, &error);
    }
    return scale_by_lane(sum, error);
}

static inline int all_near(vreal top)
{
    real tops[SV_W];
    int near = 1;
    v_store(tops, top);
    for (int k = 0; k < SV_W; k++)
        near &= is_near(tops[k]);
    return near;
}

/* Softmax along the rows of up to COLUMNS columns; 0, and nothing written, where one needs the safe path. `room` holds
 * them all, one vector of columns after the other: rows that lie a multiple of a page apart would drive each other out
 * of the cache. */
static int softmax_columns(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t length,
                           size_t columns, real *room)
{
#ifndef V_HAS_FMA /* as in softmax_rows */
    return 0;
#endif
    vreal tops[COLUMNS / SV_W];
    struct scale scales[COLUMNS / SV_W];
    const size_t vectors = (columns + SV_W - 1) / SV_W;
    for (size_t c = 0; c < vectors; c++)
        tops[c] = v_set1(-INFINITY);
    for (size_t i = 0; i < length; i++) {
        const real *row = x + (ptrdiff_t)i * x_stride;
        for (size_t c = 0; c < vectors; c++) {
            __builtin_prefetch((const char *)(row + PREFETCH_ROWS * x_stride + (ptrdiff_t)(c * SV_W)));
            vreal v = load(row + c * SV_W, columns - c * SV_W, 0);
            tops[c] = v_max(v, tops[c]);
            v_store(room + (c * length + i) * SV_W, v);
        }
    }
    for (size_t c = 0; c < vectors; c++)
        if (!all_near(tops[c]))
            return 0;
    for (size_t c = 0; c < vectors; c++)
        scales[c] = lane_terms(room + c * length * SV_W, SV_W, length, tops[c]);
    for (size_t i = 0; i < length; i++, y += y_stride)
        for (size_t c = 0; c < vectors; c++) {
            vreal quotient = scaled(v_load(room + (c * length + i) * SV_W), &scales[c]);
            if (columns - c * SV_W >= SV_W)
                v_store(y + c * SV_W, quotient);
            else
                v_store_n(y + c * SV_W, quotient, columns - c * SV_W);
        }
    return 1;
}

#ifdef V_HAS_TRANSPOSE
/* ---- short rows: a lane each ------------------------------------------------------------------------ */

/* SV_W rows of `length`, `stride` apart, become columns in `room`; returns the maximum of each. Whole vectors are read
 * where `readable` elements from x on let it. */
INLINE vreal rows_to_columns(const real *x, ptrdiff_t stride, size_t readable, size_t length, real *room)
{
    const int whole = (SV_W - 1) * (size_t)stride + length + SV_W <= readable;
    vreal top = v_set1(-INFINITY);
    for (size_t j = 0; j < length; j += SV_W) {
        const size_t left = length - j < SV_W ? length - j : SV_W;
        vreal v[SV_W];
#pragma GCC unroll 16
        for (size_t k = 0; k < SV_W; k++) {
            const real *at = x + k * (size_t)stride + j;
            __builtin_prefetch(at + PREFETCH_GROUPS * SV_W * (size_t)stride);
            v[k] = whole || left == SV_W ? v_load(at) : v_load_n(at, left, 0);
        }
        v_transpose(v);
        for (size_t i = 0; i < left; i++) {
            top = v_max(v[i], top);
            v_store(room + (j + i) * SV_W, v[i]);
        }
    }
    return top;
}

/* The columns in `room`, scaled if there is a scale, become contiguous rows. */
INLINE void columns_to_rows(const real *room, size_t length, const struct scale *scale, real *y)
{
    for (size_t j = 0; j < length; j += SV_W) {
        const size_t left = length - j < SV_W ? length - j : SV_W;
        vreal v[SV_W];
#pragma GCC unroll 16
        for (size_t i = 0; i < SV_W; i++)
            v[i] = v_load(room + (j + (i < left ? i : 0)) * SV_W);
        for (size_t i = 0; scale && i < SV_W; i++)
            v[i] = scaled(v[i], scale);
        v_transpose(v);
#pragma GCC unroll 16
        for (size_t k = 0; k < SV_W; k++)
            if (left == SV_W)
                v_store(y + k * length + j, v[k]);
            else
                v_store_n(y + k * length + j, v[k], left);
    }
}

/* Softmax of groups of SV_W contiguous rows of at most TRANSPOSED_ROW vectors until one needs the safe path. */
static size_t transposed_rows(const real *x, ptrdiff_t x_stride, real *y, size_t rows, size_t length, int stream,
                              struct outflow *out, real *room)
{
    const int whole = length % SV_W == 0;
    real *results = room + TRANSPOSED_ROW * SV_W * SV_W;
    size_t done = 0;
    for (; done + SV_W <= rows; done += SV_W, x += SV_W * x_stride, y += SV_W * length) {
        vreal top = rows_to_columns(x, x_stride, (rows - done - 1) * (size_t)x_stride + length, length, room);
        if (!all_near(top))
            break;
        const struct scale scale = lane_terms(room, SV_W, length, top);
        columns_to_rows(room, length, &scale, whole && !stream ? y : results);
        if (stream)
            flow_all(out, results, SV_W * length);
        else if (!whole) /* masked stores to y would hold up the loads of x */
            copy(results, y, SV_W * length);
    }
    return done;
}
#endif

/* ---- log_softmax of rows in cache ------------------------------------------------------------------- */

/* The maximum of a row without one of its occurrences, and how often the maximum itself occurs. */
INLINE real next_to(real top, const real *x, size_t n, double *occurrences)
{
    const vreal vtop = v_set1(top), lowest = v_set1(-INFINITY);
    vreal next = lowest, count = v_set1(0);
    for (size_t i = 0; i < n; i += SV_W) {
        vreal v = load(x + i, n - i, -INFINITY);
        next = v_max(v_if_equal(v, vtop, lowest, v), next);
        count = v_add(count, v_if_equal(v, vtop, v_set1(1), v_set1(0)));
    }
    *occurrences = v_sum_wide(count);
    return v_max_lanes(next);
}

/* The sum of e^x_i over the elements other than `top`. */
INLINE struct scaled_sum sum_without(real top, const real *x, size_t n, real exponent)
{
    const struct window window = window_above(exponent);
    vreal sum = v_set1(0), error = v_set1(0);
    for (size_t j = 0; j < n; j += BLOCK * SV_W) {
        struct grid_sum block = empty_sum(SUM_START);
        size_t end = n - j < BLOCK * SV_W ? n : j + BLOCK * SV_W;
#pragma GCC unroll 4
        for (size_t i = j; i < end; i += SV_W) {
            vreal v = load(x + i, n - i, -INFINITY), s, on_grid;
            v = v_if_equal(v, v_set1(top), window.lowest_x, v);
            v_exp_split(v_max(window.lowest_x, v), &s, &on_grid);
            add_term(&block, s, v_exp_power(window.base, on_grid));
        }
        add_grid_sum(block, SUM_START, &sum, &error);
    }
    return over_lanes(sum, error, exponent);
}

/* e^x / 2^exponent_above(x), x within the safe range. */
static double exponential_of(real x)
{
    vreal s, low, on_grid;
    real lane[3][SV_W];
    v_exp_split_fine(v_set1(x), &s, &low, &on_grid);
    v_store(lane[0], s);
    v_store(lane[1], low);
    v_store(lane[2], v_exp_power(v_exp_base(exponent_above(x)), on_grid));
    return lane[2][0] + (double)lane[2][0] * ((double)lane[0][0] + lane[1][0]);
}

static void subtract(const real *x, real *y, size_t n, real a, real b)
{
    const vreal va = v_set1(a), vb = v_set1(b);
    size_t i = 0;
    for (; i + SV_W <= n; i += SV_W)
        v_store(y + i, v_sub(v_sub(v_load(x + i), va), vb));
    if (i < n)
        v_store_n(y + i, v_sub(v_sub(v_load_n(x + i, n - i, 0), va), vb), n - i);
}

#ifdef V_HAS_TRANSPOSE
/* ---- logarithms of short rows: a lane each ------------------------------------------------------------ */

/* Sums of the columns' exponentials, at the window's `lower`; where `top` is given, without what equals it. */
INLINE void lane_sums(const real *room, size_t length, const struct window *window, const vreal *top, vreal *sum,
                      vreal *error)
{
    struct grid_sum block = empty_sum(raised(2 * TRANSPOSED_ROW * SV_W));
    for (size_t j = 0; j < length; j++) {
        vreal v = v_load(room + j * SV_W), s, on_grid;
        if (top)
            v = v_if_equal(v, *top, window->lowest_x, v);
        v_exp_split(v_max(window->lowest_x, v), &s, &on_grid);
        add_term(&block, s, v_exp_power(window->base, v_sub(on_grid, window->lower)));
    }
    *sum = *error = v_set1(0);
    add_grid_sum(block, raised(2 * TRANSPOSED_ROW * SV_W), sum, error);
}

/* What log_softmax subtracts from x - top, by lane: see log_softmax_rows. */
static void lane_offsets(const real *room, size_t length, vreal top, real *offsets)
{
    enum { SUM, ERROR, LOWER, COUNT, S, LOW, POWER, TOP_LOWER, WORDS };
    real words[WORDS][SV_W];
    vreal next = v_set1(LOWEST_X), count = v_set1(0), sum, error, s, low, on_grid;
    for (size_t j = 0; j < length; j++) {
        vreal v = v_load(room + j * SV_W);
        next = v_max(v_if_equal(v, top, next, v), next);
        count = v_add(count, v_if_equal(v, top, v_set1(1), v_set1(0)));
    }
    const struct window others = window_by_lane(next), largest = window_by_lane(top);
    lane_sums(room, length, &others, &top, &sum, &error);
    v_exp_split_fine(top, &s, &low, &on_grid);
    const vreal all[WORDS] = {sum, error, others.lower, count, s, low,
                              v_exp_power(largest.base, v_sub(on_grid, largest.lower)), largest.lower};
    for (int w = 0; w < WORDS; w++)
        v_store(words[w], all[w]);
    for (int k = 0; k < SV_W; k++) {
        double e_top = words[POWER][k] + (double)words[POWER][k] * ((double)words[S][k] + words[LOW][k]);
        double rest = ((double)words[SUM][k] + words[ERROR][k]) / e_top;
        rest = ldexp(rest, (int)(words[LOWER][k] - words[TOP_LOWER][k]));
        offsets[k] = (real)log1p(rest + (words[COUNT][k] - 1));
    }
}

static size_t transposed_log_softmax(const real *x, ptrdiff_t x_stride, real *y, size_t rows, size_t length, int stream)
{
    char space[2 * TRANSPOSED_ROW * SV_W * SV_W * sizeof(real) + PAGE_BYTES + 64];
    real *room = away_from(x, space), *results = room + TRANSPOSED_ROW * SV_W * SV_W, offsets[SV_W];
    struct outflow out = outflow_to(y);
    size_t done = 0;
    for (; done + SV_W <= rows; done += SV_W, x += SV_W * x_stride, y += SV_W * length) {
        vreal top = rows_to_columns(x, x_stride, (rows - done - 1) * (size_t)x_stride + length, length, room);
        if (!all_near(top))
            break;
        lane_offsets(room, length, top, offsets);
        for (size_t j = 0; j < length; j++)
            v_store(room + j * SV_W, v_sub(v_sub(v_load(room + j * SV_W), top), v_load(offsets)));
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
        vreal sum, error, top = rows_to_columns(x, x_stride, (rows - done - 1) * (size_t)x_stride + length, length, room);
        if (!all_near(top))
            break;
        const struct window window = window_by_lane(top);
        lane_sums(room, length, &window, NULL, &sum, &error);
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
#endif

/* The sum of each row; where the pairs do not serve, one that shows it. */
static void sums_of_rows(const real *x, ptrdiff_t x_stride, size_t rows, size_t length, struct scaled_sum *sums)
{
    size_t r = 0;
#ifdef V_HAS_TRANSPOSE
    if (length <= TRANSPOSED_ROW * SV_W && x_stride >= (ptrdiff_t)length)
        r = transposed_sums(x, x_stride, rows, length, sums);
#endif
    for (; r < rows; r++)
        sums[r] = sum(x + (ptrdiff_t)r * x_stride, NULL, length, 0);
}

/* log_softmax of rows until one needs the safe path; returns how many were done. log(sum / e^max) is
 * log1p(sum of the others / e^max): nothing is lost where the maximum stands out (a probability near 1), and all terms
 * of (x - max) - log1p(...) have one sign. The others are summed at an exponent of their own. */
static size_t log_softmax_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows,
                               size_t length, int stream)
{
    (void)stream; /* only short rows are */
    size_t r = 0;
#ifdef V_HAS_TRANSPOSE
    if (length <= TRANSPOSED_ROW * SV_W && x_stride >= (ptrdiff_t)length && y_stride == (ptrdiff_t)length) {
        r = transposed_log_softmax(x, x_stride, y, rows, length, stream);
        x += (ptrdiff_t)r * x_stride, y += (ptrdiff_t)r * y_stride;
    }
#endif
    for (; r < rows; r++, x += x_stride, y += y_stride) {
        real top = max_of(x, length);
        if (!is_near(top))
            return r;
        double occurrences, others = 0;
        real next = next_to(top, x, length, &occurrences), exponent = exponent_above(next);
        struct scaled_sum sum = sum_without(top, x, length, exponent);
        if (!(sum.hi < INFINITY)) /* a NaN */
            return r;
        if (next > LOWEST_X)
            others = ldexp(sum.hi, (int)(exponent - exponent_above(top))) / exponential_of(top);
        subtract(x, y, length, top, (real)log1p(others + (occurrences - 1)));
    }
    return rows;
}

/* ---- the choice ----------------------------------------------------------------------------------- */

/* Softmax of rows until one needs the safe path; returns how many were done. */
static size_t softmax_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t length,
                           int stream)
{
#ifndef V_HAS_FMA /* the product with 1/total would be rounded twice: leave all rows to the two passes */
    return 0;
#endif
    char space[ROOM_BYTES + PAGE_BYTES + 64];
    real *room = away_from(x, space);
    struct outflow out = outflow_to(y);
    size_t done = 0;
#ifdef V_HAS_TRANSPOSE
    if (length <= TRANSPOSED_ROW * SV_W && x_stride >= (ptrdiff_t)length && y_stride == (ptrdiff_t)length) {
        done = transposed_rows(x, x_stride, y, rows, length, stream, &out, room);
        x += (ptrdiff_t)done * x_stride, y += (ptrdiff_t)done * y_stride, rows -= done;
    }
#endif
    switch ((length + SV_W - 1) / SV_W) {
#define REGISTER_ROWS(count)                                                                             \
    case count:                                                                                          \
        done += register_rows(x, x_stride, y, y_stride, rows, length, stream, &out, room, count);        \
        break
        REGISTER_ROWS(1);
        REGISTER_ROWS(2);
        REGISTER_ROWS(3);
        REGISTER_ROWS(4);
        REGISTER_ROWS(5);
        REGISTER_ROWS(6);
        REGISTER_ROWS(7);
        REGISTER_ROWS(8);
    default:
        return stream ? cached_rows(x, x_stride, y, y_stride, rows, length, room, 1)
                      : cached_rows(x, x_stride, y, y_stride, rows, length, NULL, 0);
    }
    if (stream)
        finish(&out);
    return done;
}

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


#if SV_REAL == 32
const struct softmax_kernels_f32 SV_TABLE(softmax_kernels) = {
#else
const struct softmax_kernels_f64 SV_TABLE(softmax_kernels) = {
#endif
    .sum = sum,
    .softmax_rows = softmax_rows,
    .softmax_columns = softmax_columns,
    .log_softmax_rows = log_softmax_rows,
    .sums_of_rows = sums_of_rows,
    .divide = divide,
    .max = max,
    .subtract = subtract,
    .lowest_exponent = LOWEST_EXPONENT + NEGLIGIBLE_EXPONENT,
    .highest_exponent = SAFE_EXPONENT,
};
