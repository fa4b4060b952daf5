/* Part of softmax.c: log_softmax of rows that the cache holds, and the sums of many rows for logsumexp. */
#ifndef SOLVERS_SOFTMAX_LOGARITHMS_H
#define SOLVERS_SOFTMAX_LOGARITHMS_H

#include "columns.h"

/* ---- the two largest, and the sum of all but the largest --------------------------------------------- */

/* Of a row: `next` is `top` again where that occurs twice; -inf of nothing. NaNs are passed over. */
struct leading {
    real top, next;
};

static inline struct two none_yet(void) { return (struct two){v_set1(-INFINITY), v_set1(-INFINITY)}; }

static inline struct leading leading_of(struct two lanes)
{
    const real top = v_max_lanes(lanes.top);
    const vreal vtop = v_set1(top), holders = v_if_equal(lanes.top, vtop, v_set1(1), v_set1(0));
    const real next = v_max_lanes(v_if_equal(lanes.top, vtop, lanes.next, lanes.top));
    return (struct leading){top, v_sum_lanes(holders) > 1 ? top : next};
}

INLINE struct two two_largest(const real *x, size_t n)
{
    struct two tops = none_yet();
    for (size_t i = 0; i < n; i += SV_W)
        tops = with_number(tops, v_load_some(x + i, n - i, -INFINITY));
    return tops;
}

static void leading(const real *x, size_t n, real *top, real *next)
{
    const struct leading found = leading_of(two_largest(x, n));
    *top = found.top, *next = found.next;
}

/* Adds e^x, unless x equals `except`. */
INLINE void add_other(struct grid_sum *block, vreal x, vreal except, const struct window *window)
{
    vreal s, on_grid;
    x = v_if_equal(x, except, window->lowest_x, x);
    v_exp_split(v_max(window->lowest_x, x), &s, &on_grid);
    add_term(block, s, v_exp_power(window->base, on_grid));
}

/* What follows x is brought nearer, for it is mostly the next to be summed. */
INLINE struct scaled_sum add_others(const real *x, size_t n, real except, real shift, int shifted, real exponent)
{
    const struct window window = window_above(exponent);
    const vreal vexcept = v_set1(shifted ? except - shift : except), vshift = v_set1(shift);
    vreal sum = v_set1(0), error = v_set1(0);
    for (size_t j = 0; j < n; j += BLOCK * SV_W) {
        struct grid_sum block = empty_sum(SUM_START);
        size_t end = n - j < BLOCK * SV_W ? n : j + BLOCK * SV_W;
#pragma GCC unroll 4
        for (size_t i = j; i < end; i += SV_W) {
            vreal v = v_load_some(x + i, n - i, -INFINITY);
            __builtin_prefetch(x + n + i, 0, 2);
            add_other(&block, shifted_by(v, vshift, shifted), vexcept, &window);
        }
        add_grid_sum(block, SUM_START, &sum, &error);
    }
    return over_lanes(sum, error, exponent);
}

/* What the sum of the others leaves out: the largest, or nothing where it occurs twice, which is once too often then. */
static inline real excepted(struct leading row) { return row.top == row.next ? INFINITY : row.top; }

/* The sum of e^(x_i - shift) over all but `except`; `highest` is the largest of them. */
static struct scaled_sum sum_others(const real *x, size_t n, real except, real shift, real highest)
{
    if (shift == 0)
        return add_others(x, n, except, 0, 0, exponent_above(highest));
    return add_others(x, n, except, shift, 1, exponent_above(highest - shift));
}

/* e^x / 2^exponent_above(x), x within the safe range. */
static double exponential_of(real x)
{
    vreal s, low, on_grid;
    real lane[3][SV_W];
    v_exp_split_fine(v_set1(TO_GRID), v_set1(x), &s, &low, &on_grid);
    v_store(lane[0], s);
    v_store(lane[1], low);
    v_store(lane[2], v_exp_power(v_exp_base(exponent_above(x)), on_grid));
    return lane[2][0] + (double)lane[2][0] * ((double)lane[0][0] + lane[1][0]);
}

static void logs_of(const struct scaled_sum *sums, size_t count, double ln2, real *values)
{
    for (size_t k = 0; k < count; k++)
        values[k] = (real)log_near(sums[k].hi, sums[k].lo, sums[k].exponent, ln2);
}

/* Whether pairs without a shift served: comparisons are false for NaN. */
static int is_safe(struct scaled_sum total)
{
    return total.hi > 0 && total.hi < INFINITY && total.exponent >= LOWEST_EXPONENT + NEGLIGIBLE_EXPONENT
           && total.exponent <= SAFE_EXPONENT;
}

/* logsumexp of rows until one needs the safe path; returns how many were done. While a row is summed, the maximum of
 * the next one is found, which brings it into the cache; rows too long to wait there are summed as they come. */
static size_t logsumexp_rows(const real *x, ptrdiff_t x_stride, size_t rows, size_t length, real *values)
{
    enum { MANY = 16 };
    struct scaled_sum sums[MANY];
    size_t done = 0, waiting = 0;
#ifdef V_HAS_TRANSPOSE
    done = short_logsumexp(x, x_stride, rows, length, values);
    x += (ptrdiff_t)done * x_stride;
#endif
    const int ahead = length * sizeof(real) <= NEXT_ROW_BYTES;
    const double ln2 = ahead ? LN2_FOR_LOGS : LN2;
    real top = ahead && done < rows ? max_of(x, length) : 0;
    for (; done + waiting < rows && is_near(top); x += x_stride) {
        const real *next = done + waiting + 1 < rows ? x + x_stride : x;
        const struct scaled_sum total =
            ahead ? sum_chunk(x, NULL, next, length, 0, 0, exponent_above(top), &top, FOR_LOG) : sum(x, NULL, length, 0);
        if (!is_safe(total))
            break;
        sums[waiting++] = total;
        if (waiting == MANY) {
            logs_of(sums, waiting, ln2, values + done);
            done += waiting, waiting = 0;
        }
    }
    logs_of(sums, waiting, ln2, values + done);
    return done + waiting;
}

/* ---- log_softmax of rows in cache ------------------------------------------------------------------- */

/* A row whose results, x - top - offset, have yet to leave. */
struct differences {
    const real *x;
    real *y;
    vreal top, offset;
};

static inline vreal difference(const struct differences *row, vreal x)
{
    return v_sub(v_sub(x, row->top), row->offset);
}

/* The sum of the others of x, while the results of the row before it leave, the last ones first (see step_row), and the
 * two largest of the row after it are found. */
INLINE struct scaled_sum log_step(const real *x, size_t n, struct leading lead, const struct differences *before,
                                  struct outflow *out, int stream, const real *after, ptrdiff_t ahead,
                                  struct two *tops)
{
    const real exponent = exponent_above(lead.next);
    const struct window window = window_above(exponent);
    const vreal except = v_set1(excepted(lead));
    const size_t taken = stream ? complete(out, difference(before, v_load(before->x))) : 0;
    const size_t flows = (n - taken) / SV_W, rest = n - taken - flows * SV_W;
    const real *from = before->x + taken;
    real *to = stream ? out->to : before->y;
    vreal sum = v_set1(0), error = v_set1(0);
    *tops = none_yet();
    for (size_t j = 0, flowed = 0; j < n; j += BLOCK * SV_W) {
        struct grid_sum block = empty_sum(SUM_START);
        size_t i = j, end = n - j < BLOCK * SV_W ? n : j + BLOCK * SV_W;
        for (; i + SV_W <= end && flowed < flows; i += SV_W, flowed++) {
            const size_t at = (flows - 1 - flowed) * SV_W;
            *tops = with_number(*tops, v_load(after + i));
            __builtin_prefetch((const char *)(after + i) + ahead);
            add_other(&block, v_load(x + i), except, &window);
            store(to + at, difference(before, v_load(from + at)), stream);
        }
        for (; i < end; i += SV_W) {
            *tops = with_number(*tops, v_load_some(after + i, n - i, -INFINITY));
            add_other(&block, v_load_some(x + i, n - i, -INFINITY), except, &window);
        }
        add_grid_sum(block, SUM_START, &sum, &error);
    }
    const vreal last = difference(before, v_load_some(from + flows * SV_W, rest, 0));
    if (stream) {
        out->to += flows * SV_W;
        hold(out, last, rest);
    } else {
        v_store_n(to + flows * SV_W, last, rest);
    }
    return over_lanes(sum, error, exponent);
}

/* The results of a row that none comes after. */
INLINE void leave(const struct differences *row, size_t n, struct outflow *out, int stream)
{
    size_t i = stream ? complete(out, difference(row, v_load(row->x))) : 0;
    for (; i + SV_W <= n; i += SV_W) {
        const vreal v = difference(row, v_load(row->x + i));
        if (stream)
            flow(out, v);
        else
            v_store(row->y + i, v);
    }
    const vreal last = difference(row, v_load_some(row->x + i, n - i, 0));
    if (stream)
        hold(out, last, n - i);
    else
        v_store_n(row->y + i, last, n - i);
}

/* log(sum / e^top) is log1p(sum of the others / e^top): nothing is lost where the largest stands out (a probability
 * near 1), and all terms of (x - top) - log1p(...) have one sign. The others are summed at an exponent of their own. */
static real log_offset(struct scaled_sum others, struct leading lead)
{
    double ratio = 0;
    if (lead.next > LOWEST_X)
        ratio = ldexp(others.hi, (int)(others.exponent - exponent_above(lead.top))) / exponential_of(lead.top);
    return (real)log1p(ratio - (lead.top == lead.next));
}

INLINE size_t log_rows_by(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t n,
                          ptrdiff_t ahead, int stream)
{
    struct outflow out = outflow_to(y);
    struct differences row = {NULL, NULL, v_set1(0), v_set1(0)};
    struct two tops = two_largest(x, n);
    size_t r = 0;
    for (; r < rows; r++, x += x_stride, y += y_stride) {
        const real *after = r + 1 < rows ? x + x_stride : x;
        const struct leading lead = leading_of(tops);
        struct scaled_sum others;
        if (!is_near(lead.top))
            break;
        if (row.x) {
            others = log_step(x, n, lead, &row, &out, stream, after, ahead, &tops);
        } else {
            others = sum_others(x, n, excepted(lead), 0, lead.next);
            tops = two_largest(after, n);
        }
        if (stream && row.x && y_stride != (ptrdiff_t)n) {
            finish(&out);
            out = outflow_to(y);
        }
        row.x = NULL;
        if (!(others.hi < INFINITY)) /* a NaN */
            break;
        row = (struct differences){x, y, v_set1(lead.top), v_set1(log_offset(others, lead))};
    }
    if (row.x)
        leave(&row, n, &out, stream);
    if (stream)
        finish(&out);
    return r;
}

/* log_softmax of rows until one needs the safe path; returns how many were done. */
static size_t log_softmax_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows,
                               size_t length, int stream)
{
    size_t done = 0;
#ifdef V_HAS_TRANSPOSE
    if (length <= REGISTER_ROW * SV_W && y_stride == (ptrdiff_t)length) {
        done = short_log_softmax(x, x_stride, y, rows, length, stream);
        x += (ptrdiff_t)done * x_stride, y += (ptrdiff_t)done * y_stride, rows -= done;
    }
#endif
    if (rows == 0)
        return done;
    if (stream && length > REGISTER_ROW * SV_W)
        return done + log_rows_by(x, x_stride, y, y_stride, rows, length, called_ahead(stream), 1);
    return done + log_rows_by(x, x_stride, y, y_stride, rows, length, NEAR_BYTES, 0);
}

#endif
