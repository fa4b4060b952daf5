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

static inline struct window terms_window(real top) { return window_above(exponent_above(top) - TERM_EXPONENT); }

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

/* `count` vectors of terms (a constant at each call), side by side; x may be where they go. */
INLINE void store_some_terms(const real *x, size_t left, const struct window *window, struct grid_sum *block,
                             real *terms, vreal *least, int count)
{
    vreal v[TOGETHER];
    for (int k = 0; k < count; k++)
        __builtin_prefetch((const char *)(terms + k * SV_W) + PREFETCH_BYTES / 2, 1);
    for (int k = 0; k < count; k++)
        v[k] = add_fine_term(block, least, v_load_some(x + k * SV_W, left, -INFINITY), window);
    for (int k = 0; k < count; k++)
        v_store_some(terms + k * SV_W, v[k], left);
}

/* The terms e^x_i in this window; returns their sum. */
INLINE struct scaled_sum store_terms(const real *x, size_t n, struct window window, real *terms, vreal *least)
{
    const real start = raised(2 * BLOCK);
    vreal sum = v_set1(0), error = v_set1(0);
    for (size_t j = 0; j < n; j += BLOCK * SV_W) {
        struct grid_sum block = empty_sum(start);
        size_t i = j, end = n - j < BLOCK * SV_W ? n : j + BLOCK * SV_W;
        for (; i + TOGETHER * SV_W <= end; i += TOGETHER * SV_W)
            store_some_terms(x + i, SV_W, &window, &block, terms + i, least, TOGETHER);
        for (; i < end; i += SV_W)
            store_some_terms(x + i, n - i, &window, &block, terms + i, least, 1);
        add_grid_sum(block, start, &sum, &error);
    }
    return over_lanes(sum, error, 0);
}

/* What turns terms into quotients; where some may be subnormal, into quotients times 2^RAISED. */
struct scale {
    vreal hi, lo;
    int raised;
};

/* Quotients of this term and of larger ones, and all that is made on the way, are normal numbers: of rows of up to 2^30.
 */
#define PLAIN_TERM ((real)ldexp(1, TERM_EXPONENT + 30 + R_MANTISSA_BITS + 3 - R_EXPONENT_BIAS))

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

static inline vreal scaled(vreal term, const struct scale *by)
{
    term = above_window(term);
    const vreal quotient = v_fma(term, by->hi, v_mul(term, by->lo));
    return by->raised ? lowered(quotient) : quotient;
}

/* y gets the scaled terms, which may lie there. On the way the maximum of the next row is found, which also brings it
 * into the cache; `next` may be this row itself where there is none. */
INLINE real scale_terms(const real *terms, real *y, const real *next, size_t n, struct scale scale)
{
    vreal top = v_load_some(next, n, -INFINITY);
    size_t i = 0;
#pragma GCC unroll 2
    for (; i + SV_W <= n; i += SV_W) {
        vreal quotient = scaled(v_load(terms + i), &scale);
        top = v_max(v_load(next + i), top);
        __builtin_prefetch((const char *)(next + i) + PREFETCH_BYTES / 2);
        v_store(y + i, quotient);
    }
    vreal rest = scaled(v_load_some(terms + i, n - i, 0), &scale);
    top = v_max(v_load_some(next + i, n - i, -INFINITY), top);
    v_store_n(y + i, rest, n - i);
    return v_max_lanes(top);
}

/* Softmax of rows of more than a vector until one needs the safe path; returns how many were done. The terms wait in
 * y. */
INLINE size_t cached_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t n)
{
    real top = max_of(x, n);
    size_t r = 0;
    for (; r < rows && is_near(top); r++, x += x_stride, y += y_stride) {
        const real *next = r + 1 < rows ? x + x_stride : y;
        const struct window window = terms_window(top);
        vreal least = no_least();
        struct scaled_sum total = store_terms(x, n, window, y, &least);
        if (!(total.hi < INFINITY)) /* a NaN */
            break;
        top = scale_terms(y, y, next, n, scale_by(total, least));
    }
    return r;
}

/* ---- the same past the cache: the quotients of a row leave while the terms of the next one are made ------------- */

/* Terms of a row that wait in a buffer of whole vectors for their quotients to leave. */
struct waiting {
    const real *terms;
    struct scale scale;
};

/* A vector of terms into `terms`; the next row's maximum. */
INLINE void step(const real *x, const real *next, size_t left, const struct window *window, struct grid_sum *block,
                 real *terms, vreal *least, vreal *top)
{
    *top = v_max(v_load_some(next, left, -INFINITY), *top);
    __builtin_prefetch((const char *)next + PREFETCH_BYTES / 2);
    v_store(terms, add_fine_term(block, least, v_load_some(x, left, -INFINITY), window));
}

/* The terms of x as by store_terms, while the quotients of the row before it leave, the last ones first: streams that
 * run towards each other meet but once in the page, see follows_in_page. *top becomes the maximum of `next`. */
INLINE struct scaled_sum step_row(const real *x, size_t n, struct window window, real *terms, struct waiting row,
                                  struct outflow *out, const real *next, vreal *least, real *top)
{
    const real start = raised(2 * BLOCK);
    const size_t taken = complete(out, scaled(v_load(row.terms), &row.scale)), flows = (n - taken) / SV_W;
    const real *from = row.terms + taken;
    vreal sum = v_set1(0), error = v_set1(0), tops = v_set1(-INFINITY);
    for (size_t j = 0, flowed = 0; j < n; j += BLOCK * SV_W) {
        struct grid_sum block = empty_sum(start);
        size_t i = j, end = n - j < BLOCK * SV_W ? n : j + BLOCK * SV_W;
        for (; i + SV_W <= end && flowed < flows; i += SV_W, flowed++) {
            const size_t at = (flows - 1 - flowed) * SV_W;
            step(x + i, next + i, SV_W, &window, &block, terms + i, least, &tops);
            v_stream(out->to + at, scaled(v_load(from + at), &row.scale));
        }
        for (; i < end; i += SV_W)
            step(x + i, next + i, n - i, &window, &block, terms + i, least, &tops);
        add_grid_sum(block, start, &sum, &error);
    }
    out->to += flows * SV_W;
    hold(out, scaled(v_load(from + flows * SV_W), &row.scale), n - taken - flows * SV_W);
    *top = v_max_lanes(tops);
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

/* cached_rows streamed. `rooms` has space for two rows, each with ROOM_SLACK_BYTES. */
static size_t streamed_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t n,
                            char *rooms)
{
    const size_t room = n * sizeof(real) + ROOM_SLACK_BYTES;
    struct outflow out = outflow_to(y);
    struct waiting row = {NULL, {v_set1(0), v_set1(0), 0}};
    real top = max_of(x, n);
    size_t r = 0;
    for (; r < rows && is_near(top); r++, x += x_stride) {
        const real *next = r + 1 < rows ? x + x_stride : x;
        const struct window window = terms_window(top);
        real *terms = away_from(x, rooms + r % 2 * room);
        struct scaled_sum total;
        vreal least = no_least();
        if (row.terms) {
            total = step_row(x, n, window, terms, row, &out, next, &least, &top);
        } else {
            total = store_terms(x, n, window, terms, &least);
            top = max_of(next, n);
        }
        if (r && y_stride != (ptrdiff_t)n) {
            finish(&out);
            out = outflow_to(y += y_stride);
        }
        row.terms = terms;
        if (!(total.hi < INFINITY)) { /* a NaN */
            row.terms = NULL;
            break;
        }
        row.scale = scale_by(total, least);
    }
    if (row.terms)
        flow_waiting(row, n, &out);
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
        v[k] = add_fine_term(&row, &least, v[k], &window);
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
