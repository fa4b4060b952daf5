/* Part of softmax.c: rows that the cache holds, whose terms wait there or in registers for their sum. */
#ifndef SOLVERS_SOFTMAX_CACHED_H
#define SOLVERS_SOFTMAX_CACHED_H

#include "outflow.h"
#include "two_pass.h"

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

/* Of the terms of a row with this maximum. */
static inline struct window terms_window(real top)
{
    struct window window = window_above(exponent_above(top) - TERM_EXPONENT);
#ifdef V_HAS_LOOKUP
    window.rests = v_exp_rests(v_add(window.lower, v_set1(TERM_EXPONENT)));
#endif
    return window;
}

/* power (1 + s + low), rounded once: low * power alone might be subnormal. */
INLINE vreal rounded_term(vreal s, vreal low, vreal power)
{
#ifdef V_HAS_LOOKUP
    (void)low; /* 0 */
    return v_fma(s, power, power);
#else
    return v_add(power, v_fma(low, power, v_mul(s, power)));
#endif
}

/* Adds the exponential of x in this window, and returns it rounded once. Where x is below the window, as what is masked
 * is, that must be exactly 0 in the end: masks make it so at once, else x is clamped, and `above_window` of a term is 0.
 * *least becomes the least of these terms, too, but for masked ones. */
#ifdef V_HAS_LOOKUP
INLINE vreal add_fine_term(struct grid_sum *acc, vreal *least, vreal x, const struct window *window)
{
    vreal s, low, on_grid;
    const v_mask counts = v_not_below(x, window->lowest_x);
    v_exp_split_fine(window->to_grid, x, &s, &low, &on_grid);
    const vreal power = v_masked(v_exp_power(v_exp_base(0), on_grid), counts);
    const vreal term = v_masked(rounded_term(s, low, power), counts), next = v_add(acc->sum, term); /* as in add_term */
    const vreal lost = v_fma(s, power, v_sub(power, v_sub(next, acc->sum)));
    acc->lost = v_add(acc->lost, v_masked(lost, counts));
    acc->sum = next;
    *least = v_min_where(counts, *least, term);
    return term;
}

static inline vreal above_window(vreal term) { return term; }
#else
INLINE vreal add_fine_term(struct grid_sum *acc, vreal *least, vreal x, const struct window *window)
{
    vreal s, low, on_grid;
    v_exp_split_fine(window->to_grid, v_max(window->lowest_x, x), &s, &low, &on_grid);
    const vreal power = v_exp_power(v_exp_base(0), on_grid);
    add_term(acc, s, power);
    const vreal term = rounded_term(s, low, power);
    *least = v_min(*least, term);
    return term;
}

/* What a clamped x left is a little below this. */
#define LEAST_TERM (SV_REAL == 32 ? (real)0x1.1p-95 : (real)0x1.1p-961)
_Static_assert(R_EXPONENT_BIAS - 2 - GUARD_BITS == (SV_REAL == 32 ? 95 : 961), "LEAST_TERM is the window's end");

static inline vreal above_window(vreal term) { return v_max(v_set1(0), v_sub(term, v_set1(LEAST_TERM))); }
#endif

/* The largest and the least element of a row; NaNs are passed over. */
struct ends {
    vreal top, least;
};

static inline struct ends no_ends(void) { return (struct ends){v_set1(-INFINITY), v_set1(INFINITY)}; }

INLINE void reach(struct ends *ends, vreal v)
{
    ends->top = v_max(v, ends->top);
    ends->least = v_min(v, ends->least);
}

/* How near to each other the elements of a row lie. Where it is PLAIN, all its terms lie in the window and their
 * quotients, of rows of up to 2^30, are normal numbers: nothing needs to be clamped, masked or raised, which are two
 * operations of 23 with AVX-512 and five of 32 without. Where it is NARROW, sums of short powers are exact too, and a sum
 * that loses nothing takes two operations instead of five. A row of which nothing is known yet is taken as if it were
 * narrow: that it is shows in the bits of its exponents, for one operation a vector and no maximum before. */
enum spread { WIDE, PLAIN, NARROW, UNKNOWN };

/* What is known of a row before its terms are made; of an UNKNOWN one nothing. */
struct outlook {
    real top;
    enum spread spread;
};

enum { PLAIN_EXPONENTS = R_EXPONENT_BIAS - 30 - R_MANTISSA_BITS - 3 };

static inline enum spread spread_of(real top, real least)
{
    return least > top - (real)((PLAIN_EXPONENTS - 2) * 0.69314718055994530942) ? PLAIN : WIDE;
}

#ifdef V_HAS_LOOKUP
/* The exponents of narrow rows are 2^NARROW_WINDOW_BITS, and three of them lie above that of the largest of the first
 * elements. Sums of NARROW_BLOCK short powers are exact while they are less than NARROW_SUM. */
enum { NARROW_WINDOW_BITS = SV_REAL == 32 ? 4 : 5, NARROW_BELOW = (1 << NARROW_WINDOW_BITS) - 3 };
#define NARROW_SUM ((real)ldexp(1, R_MANTISSA_BITS + 2 - SHORT_BITS))
_Static_assert((1 << NARROW_WINDOW_BITS) + NARROW_BITS <= R_MANTISSA_BITS + 2 - SHORT_BITS || SV_REAL == 32,
               "in float64 sums of blocks are exact in any case");

/* What is kept of `strays`: the bits that tell exponents outside from the first of the window. */
static inline int strayed(vreal strays) { return v_strays_above(strays, GRID_BITS + NARROW_WINDOW_BITS) != 0; }

/* Of a row whose first elements have this maximum, which is near 0. */
static inline struct window narrow_window(real head)
{
    const real lower = exponent_above(head) - NARROW_BELOW;
    return (struct window){.lower = v_set1(lower), .to_grid = v_set1(TO_GRID - lower)};
}

INLINE real head_of(const real *x)
{
    vreal top = v_load(x);
    for (int k = 1; k < TOGETHER; k++)
        top = v_max(v_load(x + k * SV_W), top);
    return v_max_lanes(top);
}

/* Whether rows whose elements lie between these are narrow, as far as their exponents tell: see narrow_terms. */
static inline int within_narrow(struct window window, real top, real least)
{
    vreal strays = v_set1(0);
    strays = v_with_strays(strays, v_fma(v_set1(top), v_set1(LOG2_E), window.to_grid), v_set1(TO_GRID));
    strays = v_with_strays(strays, v_fma(v_set1(least), v_set1(LOG2_E), window.to_grid), v_set1(TO_GRID));
    return !strayed(strays);
}
#endif

/* Of a row x with these ends. */
static inline struct outlook outlook_of(struct ends ends, const real *x)
{
    const real top = v_max_lanes(ends.top), least = -v_max_lanes(v_sub(v_set1(0), ends.least));
#ifdef V_HAS_LOOKUP
    const real head = head_of(x);
    if (is_near(top) && is_near(head) && within_narrow(narrow_window(head), top, least))
        return (struct outlook){top, NARROW};
#else
    (void)x;
#endif
    return (struct outlook){top, spread_of(top, least)};
}

static struct outlook look_at(const real *x, size_t n)
{
    struct ends ends[TOGETHER];
    size_t i = 0;
    for (int k = 0; k < TOGETHER; k++)
        ends[k] = no_ends();
    for (; i + TOGETHER * SV_W <= n; i += TOGETHER * SV_W)
        for (int k = 0; k < TOGETHER; k++)
            reach(&ends[k], v_load(x + i + k * SV_W));
    for (; i < n; i += SV_W)
        reach(&ends[0], v_load_some(x + i, n - i, x[0]));
    for (int k = 1; k < TOGETHER; k++)
        reach(&ends[0], ends[k].top), reach(&ends[0], ends[k].least);
    return outlook_of(ends[0], x);
}

#ifdef V_HAS_LOOKUP
/* Adds the terms of `count` vectors (a constant at each call) of a narrow row, which become the terms: short powers to the
 * sum, which loses nothing, and what they miss of the terms to what is lost. The last vector has `left` elements, and any
 * others of the row behind them. */
INLINE void add_narrow_terms(struct grid_sum *acc, vreal *strays, vreal *v, size_t left, vreal to_grid, int count)
{
    vreal s[TOGETHER], power[TOGETHER], on_grid[TOGETHER];
    v_exp_split_short(to_grid, v, s, on_grid, count);
    for (int k = 0; k < count; k++) {
        *strays = v_with_strays(*strays, on_grid[k], v_set1(TO_GRID));
        power[k] = v_exp_power(v_exp_short_base(), on_grid[k]);
        if (k == count - 1 && left < SV_W)
            power[k] = v_keep(power[k], left, 0);
    }
    for (int k = 0; k < count; k++)
        v[k] = v_fma(s[k], power[k], power[k]);
    /* in pairs: vector after vector, the sums would wait for themselves */
    for (int k = 0; k < count; k += 2) {
        const int pair = k + 1 < count;
        const vreal lost = v_mul(s[k], power[k]);
        acc->sum = v_add(acc->sum, pair ? v_add(power[k], power[k + 1]) : power[k]);
        acc->lost = v_add(acc->lost, pair ? v_fma(s[k + 1], power[k + 1], lost) : lost);
    }
}
#endif

/* add_fine_term of `count` vectors of one row (a constant at each call), which become the terms; side by side, for the
 * steps of an exponential wait for each other. The same bits whether plain or not. */
INLINE void add_fine_terms(struct grid_sum *acc, vreal *least, vreal *v, const struct window *window, int plain,
                           int count)
{
#ifdef V_HAS_LOOKUP
    vreal s[TOGETHER], power[TOGETHER];
    v_mask counts[TOGETHER];
    for (int k = 0; k < count; k++) {
        vreal on_grid;
        if (!plain)
            counts[k] = v_not_below(v[k], window->lowest_x);
        v_exp_split_near(window->rests, window->to_grid, v[k], &s[k], &on_grid);
        power[k] = v_exp_power(v_exp_base(0), on_grid);
        if (!plain)
            power[k] = v_masked(power[k], counts[k]);
        v[k] = v_fma(s[k], power[k], power[k]);
        if (!plain)
            v[k] = v_masked(v[k], counts[k]);
    }
    for (int k = 0; k < count; k++) {
        const vreal next = v_add(acc->sum, v[k]);
        vreal lost = v_fma(s[k], power[k], v_sub(power[k], v_sub(next, acc->sum)));
        if (!plain) {
            lost = v_masked(lost, counts[k]);
            *least = v_min_where(counts[k], *least, v[k]);
        }
        acc->lost = v_add(acc->lost, lost);
        acc->sum = next;
    }
#else
    for (int k = 0; k < count; k++) {
        vreal s, low, on_grid;
        if (!plain)
            v[k] = v_max(window->lowest_x, v[k]);
        v_exp_split_fine(window->to_grid, v[k], &s, &low, &on_grid);
        const vreal power = v_exp_power(v_exp_base(0), on_grid);
        add_term(acc, s, power);
        v[k] = rounded_term(s, low, power);
        if (!plain)
            *least = v_min(*least, v[k]);
    }
#endif
}

/* Terms of a row of this spread as by add_narrow_terms or add_fine_terms; `seen` are the strays, or the least term. Where
 * `left` is less than a vector, what lies behind is `filler(x, spread)`. */
INLINE void add_terms(struct grid_sum *acc, vreal *seen, vreal *v, size_t left, const struct window *window,
                      enum spread spread, int count)
{
#ifdef V_HAS_LOOKUP
    if (spread == NARROW) {
        add_narrow_terms(acc, seen, v, left, window->to_grid, count);
        return;
    }
#endif
    add_fine_terms(acc, seen, v, window, spread != WIDE && left >= SV_W, count);
}

INLINE vreal nothing_seen(enum spread spread) { return v_set1(spread == NARROW ? 0 : INFINITY); }

INLINE real filler(const real *x, enum spread spread) { return spread == NARROW ? x[0] : -INFINITY; }

/* A block's sum starts here, and has so many vectors. */
INLINE real start_of(enum spread spread) { return spread == NARROW ? 0 : raised(FINE_START); }

INLINE size_t block_of(enum spread spread) { return (spread == NARROW ? NARROW_BLOCK : FINE_BLOCK) * SV_W; }

/* What a narrow row's powers miss is less than their sum: one compensated addition serves for both. */
INLINE void add_block(struct grid_sum block, enum spread spread, vreal *seen, vreal *sum, vreal *error)
{
    if (spread != NARROW) {
        add_grid_sum(block, start_of(spread), sum, error);
        return;
    }
#ifdef V_HAS_LOOKUP
    *seen = v_stray_where(v_not_below(block.sum, v_set1(NARROW_SUM)), *seen);
#endif
    const vreal both = v_add(block.sum, block.lost), low = v_sub(block.lost, v_sub(both, block.sum));
    add_compensated(both, sum, error);
    *error = v_add(*error, low);
}

/* The terms of `count` vectors (a constant at each call); x may be where they go. */
INLINE void store_some_terms(const real *x, size_t left, const struct window *window, struct grid_sum *block,
                             real *terms, vreal *seen, enum spread spread, int count)
{
    vreal v[TOGETHER];
    for (int k = 0; k < count; k++) {
        __builtin_prefetch((const char *)(terms + k * SV_W) + NEAR_BYTES, 1);
        v[k] = v_load_some(x + k * SV_W, left, filler(x, spread));
    }
    add_terms(block, seen, v, left, window, spread, count);
    for (int k = 0; k < count; k++)
        v_store_some(terms + k * SV_W, v[k], left);
}

/* The terms e^x_i of a piece of a row in this window; returns their sum. *seen is not the least term where the row is
 * plain: what lies behind its end may have come in. */
INLINE struct scaled_sum store_piece(const real *x, size_t n, struct window window, real *terms, vreal *seen,
                                     enum spread spread)
{
    vreal sum = v_set1(0), error = v_set1(0);
    for (size_t j = 0; j < n; j += block_of(spread)) {
        struct grid_sum block = empty_sum(start_of(spread));
        size_t i = j, end = n - j < block_of(spread) ? n : j + block_of(spread);
        for (; i + TOGETHER * SV_W <= end; i += TOGETHER * SV_W)
            store_some_terms(x + i, SV_W, &window, &block, terms + i, seen, spread, TOGETHER);
        for (; i + SV_W <= end; i += SV_W)
            store_some_terms(x + i, SV_W, &window, &block, terms + i, seen, spread, 1);
        if (i < end)
            store_some_terms(x + i, end - i, &window, &block, terms + i, seen, spread, 1);
        add_block(block, spread, seen, &sum, &error);
    }
    return over_lanes(sum, error, 0);
}

/* The same of a row, piece by piece: what sums of millions of elements lose would be rounded too. */
INLINE struct scaled_sum store_terms(const real *x, size_t n, struct window window, real *terms, vreal *seen,
                                     enum spread spread)
{
    struct scaled_sum total = {0, 0, -INFINITY};
    for (size_t i = 0; i < n; i += SUM_PIECE) {
        const size_t count = n - i < SUM_PIECE ? n - i : SUM_PIECE;
        const struct scaled_sum part = store_piece(x + i, count, window, terms + i, seen, spread);
        total = i ? sv_merge(total, part) : part;
    }
    return total;
}

/* What turns terms into quotients; where some may be subnormal, into quotients times 2^RAISED. */
struct scale {
    vreal hi, lo;
    int raised;
};

/* Quotients of this term and of larger ones, and all that is made on the way, are normal numbers: of rows of up to 2^30.
 */
#define PLAIN_TERM ((real)ldexp(1, TERM_EXPONENT - PLAIN_EXPONENTS))

static inline struct scale scale_of(vreal hi, vreal lo, vreal least)
{
    if (!v_at_least(v_set1(PLAIN_TERM), least))
        return (struct scale){hi, lo, 0};
    const vreal power = v_set1((real)ldexp(1, RAISED));
    return (struct scale){v_mul(hi, power), v_mul(lo, power), 1};
}

static inline struct scale scale_by(struct scaled_sum total, vreal least)
{
    real hi, lo;
    reciprocal(total, &hi, &lo);
    return scale_of(v_set1(hi), v_set1(lo), least);
}

static inline vreal no_least(void) { return v_set1(INFINITY); }

INLINE vreal plainly_scaled(vreal term, const struct scale *by) { return v_fma(term, by->hi, v_mul(term, by->lo)); }

static inline vreal scaled(vreal term, const struct scale *by)
{
    const vreal quotient = plainly_scaled(above_window(term), by);
    return by->raised ? lowered(quotient) : quotient;
}

INLINE vreal scaled_as(vreal term, const struct scale *by, int plain)
{
    return plain ? plainly_scaled(term, by) : scaled(term, by);
}

/* y gets the scaled terms, which may lie there. On the way the next row is brought into the cache, and *ends become its
 * ends where one `looks`; `next` may be this row itself where there is none. */
INLINE void scale_terms(const real *terms, real *y, const real *next, size_t n, struct scale scale, int plain,
                        struct ends *ends, int looks)
{
    size_t i = 0;
    *ends = no_ends();
#pragma GCC unroll 2
    for (; i + SV_W <= n; i += SV_W) {
        vreal quotient = scaled_as(v_load(terms + i), &scale, plain);
        if (looks)
            reach(ends, v_load(next + i));
        __builtin_prefetch((const char *)(next + i) + NEAR_BYTES);
        v_store(y + i, quotient);
    }
    if (i < n) {
        if (looks)
            reach(ends, v_load_n(next + i, n - i, next[0]));
        v_store_n(y + i, scaled(v_load_n(terms + i, n - i, 0), &scale), n - i);
    }
}

/* A row of cached_rows; *row becomes what is known of the next one. 0 where there is a NaN. */
INLINE int cached_row(const real *x, real *y, const real *next, size_t n, struct outlook *row, enum spread spread)
{
    const int plain = spread != WIDE;
    struct ends ends;
    vreal least = nothing_seen(spread);
    const struct scaled_sum total = store_terms(x, n, terms_window(row->top), y, &least, spread);
    if (!(total.hi < INFINITY))
        return 0;
    scale_terms(y, y, next, n, scale_by(total, plain ? no_least() : least), plain, &ends, 1);
    *row = outlook_of(ends, next);
    return 1;
}

/* Of rows that come nothing is known, which does where they are narrow. After one that was not, some are looked at
 * before, for it costs a row's time to find that they are not. */
struct trust {
    size_t doubts;
};

enum { DOUBTS = 16 };

static inline int doubted(struct trust *trust)
{
#ifdef V_HAS_LOOKUP
    const int doubt = trust->doubts > 0;
    trust->doubts -= doubt && trust->doubts < SIZE_MAX;
    return doubt;
#else
    (void)trust;
    return 1;
#endif
}

static inline struct outlook first_outlook(const real *x, size_t n, struct trust *trust)
{
    return doubted(trust) ? look_at(x, n) : (struct outlook){0, UNKNOWN};
}

/* Of a row that proved not to be narrow. */
static inline struct outlook other_outlook(struct outlook row, const real *x, size_t n, struct trust *trust)
{
    if (row.spread == UNKNOWN) {
        row = look_at(x, n);
        trust->doubts = DOUBTS;
    }
    if (row.spread == NARROW)
        row.spread = PLAIN;
    return row;
}

#ifdef V_HAS_LOOKUP
/* The terms of a row, if *narrow remains 1. */
static struct scaled_sum narrow_terms(const real *x, size_t n, real head, real *terms, int *narrow)
{
    vreal strays = nothing_seen(NARROW);
    const struct scaled_sum total = store_terms(x, n, narrow_window(head), terms, &strays, NARROW);
    *narrow = !strayed(strays);
    return total;
}

/* Whether the sums of a row that lies in its window, up to `top`, are exact; its terms are not kept. */
static int has_narrow_sums(const real *x, size_t n, real head, real top)
{
    enum { PIECE = 4 * NARROW_BLOCK * SV_W };
    real terms[PIECE];
    int narrow = 1;
    if (exponent_above(top) <= exponent_above(head) - NARROW_BELOW + R_MANTISSA_BITS + 2 - SHORT_BITS - NARROW_BITS)
        return 1;
    for (size_t i = 0; i < n && narrow; i += PIECE)
        narrow_terms(x + i, n - i < PIECE ? n - i : PIECE, head, terms, &narrow);
    return narrow;
}

/* A row of cached_rows if it is narrow, *row becoming what is known of the next one; else 0, and y is not written if it is
 * x. */
static int narrow_row(const real *x, real *y, const real *next, size_t n, struct outlook *row, struct trust *trust)
{
    const real head = head_of(x);
    struct ends ends;
    int narrow = is_near(head);
    if (!narrow || (x == y && !has_narrow_sums(x, n, head, row->top)))
        return 0;
    const struct scaled_sum total = narrow_terms(x, n, head, y, &narrow);
    if (!narrow)
        return 0;
    if (doubted(trust)) {
        scale_terms(y, y, next, n, scale_by(total, no_least()), 1, &ends, 1);
        *row = outlook_of(ends, next);
    } else {
        scale_terms(y, y, next, n, scale_by(total, no_least()), 1, &ends, 0);
        *row = (struct outlook){0, UNKNOWN};
    }
    return 1;
}
#else
static int narrow_row(const real *x, real *y, const real *next, size_t n, struct outlook *row, struct trust *trust)
{
    (void)x, (void)y, (void)next, (void)n, (void)row, (void)trust;
    return 0;
}
#endif

/* Softmax of rows of more than a vector until one needs the safe path; returns how many were done. The terms wait in
 * y. */
INLINE size_t cached_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t n)
{
    struct trust trust = {x == y ? SIZE_MAX : 0};
    struct outlook row = first_outlook(x, n, &trust);
    size_t r = 0;
    for (; r < rows; r++, x += x_stride, y += y_stride) {
        const real *next = r + 1 < rows ? x + x_stride : y;
        if (row.spread >= NARROW) {
            if (narrow_row(x, y, next, n, &row, &trust))
                continue;
            row = other_outlook(row, x, n, &trust);
        }
        if (!is_near(row.top)
            || !(row.spread == PLAIN ? cached_row(x, y, next, n, &row, PLAIN) : cached_row(x, y, next, n, &row, WIDE)))
            break;
    }
    return r;
}

/* ---- the same past the cache: the quotients of a row leave while the terms of the next one are made ------------- */

/* Terms of a row that wait in a buffer of whole vectors for their quotients to leave. */
struct waiting {
    const real *terms;
    struct scale scale;
    int plain;
};

/* How far ahead lines of rows are called: from memory, farther than serves rows that a cache has. */
static inline ptrdiff_t called_ahead(int stream) { return stream == STREAMED_FROM_AFAR ? PREFETCH_BYTES : NEAR_BYTES; }

/* `count` vectors of terms into `terms` (a constant at each call); lines of `coming` are called, and unless the row is taken
 * for narrow, *ends become those of `next`. */
INLINE void step(const real *x, const real *next, const real *coming, size_t left, const struct window *window,
                 struct grid_sum *block, real *terms, vreal *seen, struct ends *ends, enum spread spread, int count)
{
    vreal v[TOGETHER];
    for (int k = 0; k < count; k++) {
        if (spread != NARROW)
            reach(ends, v_load_some(next + k * SV_W, left, next[0]));
        __builtin_prefetch(coming + k * SV_W);
        v[k] = v_load_some(x + k * SV_W, left, filler(x, spread));
    }
    add_terms(block, seen, v, left, window, spread, count);
    for (int k = 0; k < count; k++)
        v_store(terms + k * SV_W, v[k]);
}

/* `count` vectors of quotients of what waits leave, the last of those before `end`. */
INLINE void leave_terms(struct outflow *out, const real *from, size_t end, int count, const struct scale *scale,
                        int plain)
{
    vreal v[TOGETHER];
    for (int k = 1; k <= count; k++)
        v[k - 1] = scaled_as(v_load(from + end - k * SV_W), scale, plain);
    real *to = out->to + end;
    for (int k = 1; k <= count; k++)
        v_stream(to - k * SV_W, v[k - 1]);
}

/* The terms of x as by store_terms, while the quotients of the row before it leave, the last ones first: streams that
 * run towards each other meet but once in the page, see follows_in_page. None leave beside the first block, and those that
 * remain leave at the end: the sum of a row, and the scale that comes of it, are chains of steps that take as long as some
 * twenty vectors, and so there is something to do meanwhile. `next`, `coming`, *ends: see step. */
INLINE struct scaled_sum step_row(const real *x, size_t n, struct window window, real *terms, const struct waiting *row,
                                  struct outflow *out, const real *next, const real *coming, vreal *seen,
                                  struct ends *ends, enum spread spread, int plain)
{
    enum { STEP = STEPS_TOGETHER * SV_W };
    const struct scale scale = row->scale;
    const size_t taken = complete(out, scaled(v_load(row->terms), &scale)), flows = (n - taken) / SV_W * SV_W;
    const real *from = row->terms + taken;
    vreal sum = v_set1(0), error = v_set1(0);
    *ends = no_ends();
    size_t left = flows;
    for (size_t j = 0; j < n; j += block_of(spread)) {
        struct grid_sum block = empty_sum(start_of(spread));
        size_t i = j, end = n - j < block_of(spread) ? n : j + block_of(spread);
        for (; i + STEP <= end; i += STEP) {
            step(x + i, next + i, coming + i, SV_W, &window, &block, terms + i, seen, ends, spread, STEPS_TOGETHER);
            if (j && left >= STEP)
                leave_terms(out, from, left, STEPS_TOGETHER, &scale, plain), left -= STEP;
        }
        for (; i + SV_W <= end; i += SV_W)
            step(x + i, next + i, coming + i, SV_W, &window, &block, terms + i, seen, ends, spread, 1);
        if (i < end)
            step(x + i, next + i, coming + i, end - i, &window, &block, terms + i, seen, ends, spread, 1);
        add_block(block, spread, seen, &sum, &error);
    }
    const struct scaled_sum total = over_lanes(sum, error, 0);
    for (; left >= STEP; left -= STEP)
        leave_terms(out, from, left, STEPS_TOGETHER, &scale, plain);
    for (; left; left -= SV_W)
        leave_terms(out, from, left, 1, &scale, plain);
    out->to += flows;
    hold(out, scaled(v_load(from + flows), &scale), n - taken - flows);
    return total;
}

static void flow_waiting(struct waiting row, size_t n, struct outflow *out)
{
    size_t i = complete(out, scaled(v_load(row.terms), &row.scale));
    for (; i + SV_W <= n; i += SV_W)
        flow(out, scaled(v_load(row.terms + i), &row.scale));
    hold(out, scaled(v_load(row.terms + i), &row.scale), n - i);
}

/* A place in `room` (with a page to spare) half a page away from x within the page: see follows_in_page. */
static inline real *away_from(const real *x, char *room)
{
    uintptr_t place = ((uintptr_t)x & ~(uintptr_t)63) + PAGE_BYTES / 2;
    return (real *)(room + (place - (uintptr_t)room) % PAGE_BYTES);
}

/* The terms of a row that is to wait, while the one before it leaves if there is one; *row becomes what is known of the
 * next row. */
static struct scaled_sum terms_beside(const real *x, size_t n, real *terms, const struct waiting *before,
                                      struct outflow *out, const real *next, ptrdiff_t ahead, vreal *least,
                                      struct outlook *row)
{
    const struct window window = terms_window(row->top);
    const real *coming = next + ahead / (ptrdiff_t)sizeof(real);
    struct scaled_sum total;
    struct ends ends;
    if (!before->terms) {
        total = store_terms(x, n, window, terms, least, WIDE);
        *row = look_at(next, n);
        return total;
    }
    if (row->spread == PLAIN && before->plain)
        total = step_row(x, n, window, terms, before, out, next, coming, least, &ends, PLAIN, 1);
    else
        total = step_row(x, n, window, terms, before, out, next, coming, least, &ends, WIDE, 0);
    *row = outlook_of(ends, next);
    return total;
}

#ifdef V_HAS_LOOKUP
/* The same of a row if it is narrow, the one before leaves in any case if there is one. */
static struct scaled_sum narrow_terms_beside(const real *x, size_t n, real *terms, struct waiting *before,
                                             struct outflow *out, const real *coming, int *narrow)
{
    const real head = head_of(x);
    const struct waiting leaving = *before;
    struct scaled_sum total = {0, 0, 0};
    struct ends ends;
    vreal strays = nothing_seen(NARROW);
    *narrow = is_near(head);
    if (!*narrow)
        return total;
    if (!leaving.terms)
        return narrow_terms(x, n, head, terms, narrow);
    before->terms = NULL;
    if (leaving.plain)
        total = step_row(x, n, narrow_window(head), terms, &leaving, out, x, coming, &strays, &ends, NARROW, 1);
    else
        total = step_row(x, n, narrow_window(head), terms, &leaving, out, x, coming, &strays, &ends, NARROW, 0);
    *narrow = !strayed(strays);
    return total;
}
#else
static struct scaled_sum narrow_terms_beside(const real *x, size_t n, real *terms, struct waiting *before,
                                             struct outflow *out, const real *coming, int *narrow)
{
    (void)x, (void)n, (void)terms, (void)before, (void)out, (void)coming;
    *narrow = 0;
    return (struct scaled_sum){0, 0, 0};
}
#endif

/* cached_rows streamed. `rooms` has space for two rows, each with ROOM_SLACK_BYTES. */
static size_t streamed_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t n,
                            int stream, char *rooms)
{
    const ptrdiff_t ahead = called_ahead(stream);
    const size_t room = n * sizeof(real) + ROOM_SLACK_BYTES;
    struct outflow out = outflow_to(y);
    struct waiting waiting = {.terms = NULL};
    struct trust trust = {0};
    struct outlook row = first_outlook(x, n, &trust);
    size_t r = 0;
    for (; r < rows; r++, x += x_stride) {
        real *terms = away_from(x, rooms + r % 2 * room);
        const real *next = r + 1 < rows ? x + x_stride : x;
        struct scaled_sum total;
        int narrow = 0, plain = 1;
        vreal least = no_least();
        if (row.spread >= NARROW) {
            const real *coming = (n * sizeof(real) > 4 * PREFETCH_BYTES ? x : next) + ahead / (ptrdiff_t)sizeof(real);
            total = narrow_terms_beside(x, n, terms, &waiting, &out, coming, &narrow);
            row = narrow ? first_outlook(next, n, &trust) : other_outlook(row, x, n, &trust);
        }
        if (!narrow) {
            if (!is_near(row.top))
                break;
            plain = row.spread != WIDE;
            total = terms_beside(x, n, terms, &waiting, &out, next, ahead, &least, &row);
        }
        if (r && y_stride != (ptrdiff_t)n) {
            finish(&out);
            out = outflow_to(y += y_stride);
        }
        waiting.terms = total.hi < INFINITY ? terms : NULL;
        if (!waiting.terms) /* a NaN */
            break;
        waiting.scale = scale_by(total, plain ? no_least() : least);
        waiting.plain = plain;
    }
    if (waiting.terms)
        flow_waiting(waiting, n, &out);
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
    const struct window window = terms_window(highest);
    const real start = raised(2 * REGISTER_ROW);
    struct grid_sum row = empty_sum(start);
    vreal least = no_least();
    for (int k = 0; k < count; k++)
        add_fine_terms(&row, &least, &v[k], &window, 0, 1);
    struct scaled_sum total = over_lanes(v_sub(row.sum, v_set1(start)), row.lost, 0);
    if (!(total.hi < INFINITY))
        return 0;
    const struct scale scale = scale_by(total, least);
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

#endif
