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

/* How near the elements of a row lie to its maximum. Where it is PLAIN, all its terms lie in the window and their
 * quotients, of rows of up to 2^30, are normal numbers: nothing needs to be clamped, masked or raised, which are two
 * operations of 23 with AVX-512 and five of 32 without. Where it is NARROW, sums of short powers are exact too, and a sum
 * that loses nothing takes two operations instead of five. */
enum spread { WIDE, PLAIN, NARROW };

/* What is known of a row before its terms are made. */
struct outlook {
    real top;
    enum spread spread;
};

enum { PLAIN_EXPONENTS = R_EXPONENT_BIAS - 30 - R_MANTISSA_BITS - 3 };

/* Where up to 2^bits short powers are added at a time. The grid is what 0.0625 is for, with as much to spare. */
static inline enum spread spread_of(real top, real least, int bits)
{
#ifdef V_HAS_LOOKUP
    if (least > top - (real)((R_MANTISSA_BITS + 1 - SHORT_BITS - bits - 0.125) * 0.69314718055994530942))
        return NARROW;
#else
    (void)bits;
#endif
    return least > top - (real)((PLAIN_EXPONENTS - 2) * 0.69314718055994530942) ? PLAIN : WIDE;
}

static inline struct outlook outlook_of(struct ends ends, int bits)
{
    const real top = v_max_lanes(ends.top);
    return (struct outlook){top, spread_of(top, -v_max_lanes(v_sub(v_set1(0), ends.least)), bits)};
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
    return outlook_of(ends[0], NARROW_BITS);
}

#ifdef V_HAS_LOOKUP
/* Adds the terms of `count` vectors (a constant at each call) of a narrow row, which become the terms: short powers to the
 * sum, which loses nothing, and what they miss of the terms to what is lost. The last vector has `left` elements, and any
 * others of the row behind them. */
INLINE void add_narrow_terms(struct grid_sum *acc, vreal *v, size_t left, const struct window *window, int count)
{
    vreal s[TOGETHER], power[TOGETHER];
    for (int k = 0; k < count; k++) {
        vreal on_grid;
        v_exp_split_short(window->to_grid, v[k], &s[k], &on_grid);
        power[k] = v_exp_power(v_exp_short_base(), on_grid);
        if (k == count - 1 && left < SV_W)
            power[k] = v_keep(power[k], left, 0);
        v[k] = v_fma(s[k], power[k], power[k]);
    }
    for (int k = 0; k < count; k++) {
        acc->sum = v_add(acc->sum, power[k]);
        acc->lost = v_fma(s[k], power[k], acc->lost);
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

/* Terms of a row of this spread as by add_narrow_terms or add_fine_terms. Where `left` is less than a vector, what lies
 * behind is `filler(x, spread)`. */
INLINE void add_terms(struct grid_sum *acc, vreal *least, vreal *v, size_t left, const struct window *window,
                      enum spread spread, int count)
{
#ifdef V_HAS_LOOKUP
    if (spread == NARROW) {
        add_narrow_terms(acc, v, left, window, count);
        return;
    }
#endif
    add_fine_terms(acc, least, v, window, spread != WIDE && left >= SV_W, count);
}

INLINE real filler(const real *x, enum spread spread) { return spread == NARROW ? x[0] : -INFINITY; }

/* A block's sum starts here, and has so many vectors. */
INLINE real start_of(enum spread spread) { return spread == NARROW ? 0 : raised(FINE_START); }

INLINE size_t block_of(enum spread spread) { return (spread == NARROW ? NARROW_BLOCK : FINE_BLOCK) * SV_W; }

/* What a narrow row's powers miss is less than their sum: one compensated addition serves for both. */
INLINE void add_block(struct grid_sum block, enum spread spread, vreal *sum, vreal *error)
{
    if (spread != NARROW) {
        add_grid_sum(block, start_of(spread), sum, error);
        return;
    }
    const vreal both = v_add(block.sum, block.lost), low = v_sub(block.lost, v_sub(both, block.sum));
    add_compensated(both, sum, error);
    *error = v_add(*error, low);
}

/* The terms of `count` vectors (a constant at each call); x may be where they go. */
INLINE void store_some_terms(const real *x, size_t left, const struct window *window, struct grid_sum *block,
                             real *terms, vreal *least, enum spread spread, int count)
{
    vreal v[TOGETHER];
    for (int k = 0; k < count; k++) {
        __builtin_prefetch((const char *)(terms + k * SV_W) + NEAR_BYTES, 1);
        v[k] = v_load_some(x + k * SV_W, left, filler(x, spread));
    }
    add_terms(block, least, v, left, window, spread, count);
    for (int k = 0; k < count; k++)
        v_store_some(terms + k * SV_W, v[k], left);
}

/* The terms e^x_i of a piece of a row in this window; returns their sum. *least is not that of the row where it is plain:
 * what lies behind its end may have come in. */
INLINE struct scaled_sum store_piece(const real *x, size_t n, struct window window, real *terms, vreal *least,
                                     enum spread spread)
{
    vreal sum = v_set1(0), error = v_set1(0);
    for (size_t j = 0; j < n; j += block_of(spread)) {
        struct grid_sum block = empty_sum(start_of(spread));
        size_t i = j, end = n - j < block_of(spread) ? n : j + block_of(spread);
        for (; i + TOGETHER * SV_W <= end; i += TOGETHER * SV_W)
            store_some_terms(x + i, SV_W, &window, &block, terms + i, least, spread, TOGETHER);
        for (; i + SV_W <= end; i += SV_W)
            store_some_terms(x + i, SV_W, &window, &block, terms + i, least, spread, 1);
        if (i < end)
            store_some_terms(x + i, end - i, &window, &block, terms + i, least, spread, 1);
        add_block(block, spread, &sum, &error);
    }
    return over_lanes(sum, error, 0);
}

/* The same of a row, piece by piece: what sums of millions of elements lose would be rounded too. */
INLINE struct scaled_sum store_terms(const real *x, size_t n, struct window window, real *terms, vreal *least,
                                     enum spread spread)
{
    struct scaled_sum total = {0, 0, -INFINITY};
    for (size_t i = 0; i < n; i += SUM_PIECE) {
        const size_t count = n - i < SUM_PIECE ? n - i : SUM_PIECE;
        const struct scaled_sum part = store_piece(x + i, count, window, terms + i, least, spread);
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

/* y gets the scaled terms, which may lie there. On the way one looks at the next row, which also brings it into the
 * cache; `next` may be this row itself where there is none. */
INLINE struct outlook scale_terms(const real *terms, real *y, const real *next, size_t n, struct scale scale, int plain)
{
    struct ends ends = no_ends();
    size_t i = 0;
#pragma GCC unroll 2
    for (; i + SV_W <= n; i += SV_W) {
        vreal quotient = scaled_as(v_load(terms + i), &scale, plain);
        reach(&ends, v_load(next + i));
        __builtin_prefetch((const char *)(next + i) + NEAR_BYTES);
        v_store(y + i, quotient);
    }
    if (i < n) {
        reach(&ends, v_load_n(next + i, n - i, next[0]));
        v_store_n(y + i, scaled(v_load_n(terms + i, n - i, 0), &scale), n - i);
    }
    return outlook_of(ends, NARROW_BITS);
}

/* A row of cached_rows; *row becomes what is known of the next one. 0 where there is a NaN. */
INLINE int cached_row(const real *x, real *y, const real *next, size_t n, struct outlook *row, enum spread spread)
{
    const int plain = spread != WIDE;
    vreal least = no_least();
    const struct scaled_sum total = store_terms(x, n, terms_window(row->top), y, &least, spread);
    if (!(total.hi < INFINITY))
        return 0;
    *row = scale_terms(y, y, next, n, scale_by(total, plain ? no_least() : least), plain);
    return 1;
}

/* Softmax of rows of more than a vector until one needs the safe path; returns how many were done. The terms wait in
 * y. */
INLINE size_t cached_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t n)
{
    struct outlook row = look_at(x, n);
    size_t r = 0;
    for (; r < rows && is_near(row.top); r++, x += x_stride, y += y_stride) {
        const real *next = r + 1 < rows ? x + x_stride : y;
        if (!(row.spread == NARROW  ? cached_row(x, y, next, n, &row, NARROW)
              : row.spread == PLAIN ? cached_row(x, y, next, n, &row, PLAIN)
                                    : cached_row(x, y, next, n, &row, WIDE)))
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

/* `count` vectors of terms into `terms` (a constant at each call), and what they tell of the next row. */
INLINE void step(const real *x, const real *next, size_t left, ptrdiff_t ahead, const struct window *window,
                 struct grid_sum *block, real *terms, vreal *least, struct ends *ends, enum spread spread, int count)
{
    vreal v[TOGETHER];
    for (int k = 0; k < count; k++) {
        reach(ends, v_load_some(next + k * SV_W, left, next[0]));
        __builtin_prefetch((const char *)(next + k * SV_W) + ahead);
        v[k] = v_load_some(x + k * SV_W, left, filler(x, spread));
    }
    add_terms(block, least, v, left, window, spread, count);
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
 * run towards each other meet but once in the page, see follows_in_page. *ends become those of `next`. */
INLINE struct scaled_sum step_row(const real *x, size_t n, struct window window, real *terms, const struct waiting *row,
                                  struct outflow *out, const real *next, ptrdiff_t ahead, vreal *least,
                                  struct ends *ends, enum spread spread, int plain)
{
    enum { STEP = STEPS_TOGETHER * SV_W };
    const struct scale scale = row->scale;
    const size_t taken = complete(out, scaled(v_load(row->terms), &scale)), flows = (n - taken) / SV_W * SV_W;
    const real *from = row->terms + taken;
    vreal sum = v_set1(0), error = v_set1(0);
    *ends = no_ends();
    for (size_t j = 0, left = flows; j < n; j += block_of(spread)) {
        struct grid_sum block = empty_sum(start_of(spread));
        size_t i = j, end = n - j < block_of(spread) ? n : j + block_of(spread);
        for (; i + STEP <= end && left >= STEP; i += STEP, left -= STEP) {
            step(x + i, next + i, SV_W, ahead, &window, &block, terms + i, least, ends, spread, STEPS_TOGETHER);
            leave_terms(out, from, left, STEPS_TOGETHER, &scale, plain);
        }
        for (; i + SV_W <= end; i += SV_W) {
            step(x + i, next + i, SV_W, ahead, &window, &block, terms + i, least, ends, spread, 1);
            if (left)
                leave_terms(out, from, left, 1, &scale, plain), left -= SV_W;
        }
        if (i < end) {
            step(x + i, next + i, end - i, ahead, &window, &block, terms + i, least, ends, spread, 1);
            if (left)
                leave_terms(out, from, left, 1, &scale, 0), left -= SV_W;
        }
        add_block(block, spread, &sum, &error);
    }
    out->to += flows;
    hold(out, scaled(v_load(from + flows), &scale), n - taken - flows);
    return over_lanes(sum, error, 0);
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
    struct scaled_sum total;
    struct ends ends;
    if (!before->terms) {
        total = row->spread == NARROW ? store_terms(x, n, window, terms, least, NARROW)
                                      : store_terms(x, n, window, terms, least, WIDE);
        *row = look_at(next, n);
        return total;
    }
    if (row->spread == NARROW && before->plain)
        total = step_row(x, n, window, terms, before, out, next, ahead, least, &ends, NARROW, 1);
    else if (row->spread == NARROW)
        total = step_row(x, n, window, terms, before, out, next, ahead, least, &ends, NARROW, 0);
    else if (row->spread == PLAIN && before->plain)
        total = step_row(x, n, window, terms, before, out, next, ahead, least, &ends, PLAIN, 1);
    else
        total = step_row(x, n, window, terms, before, out, next, ahead, least, &ends, WIDE, 0);
    *row = outlook_of(ends, NARROW_BITS);
    return total;
}

/* cached_rows streamed. `rooms` has space for two rows, each with ROOM_SLACK_BYTES. */
static size_t streamed_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t n,
                            int stream, char *rooms)
{
    const ptrdiff_t ahead = called_ahead(stream);
    const size_t room = n * sizeof(real) + ROOM_SLACK_BYTES;
    struct outflow out = outflow_to(y);
    struct waiting waiting = {.terms = NULL};
    struct outlook row = look_at(x, n);
    size_t r = 0;
    for (; r < rows && is_near(row.top); r++, x += x_stride) {
        const int plain = row.spread != WIDE;
        real *terms = away_from(x, rooms + r % 2 * room);
        const real *next = r + 1 < rows ? x + x_stride : x;
        vreal least = no_least();
        const struct scaled_sum total = terms_beside(x, n, terms, &waiting, &out, next, ahead, &least, &row);
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
