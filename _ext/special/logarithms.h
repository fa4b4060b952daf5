/* Part of softmax.c: log_softmax of rows that the cache holds, and the sums of many rows for logsumexp. */
#ifndef SOLVERS_SOFTMAX_LOGARITHMS_H
#define SOLVERS_SOFTMAX_LOGARITHMS_H

#include "columns.h"

/* ---- log_softmax of rows in cache ------------------------------------------------------------------- */

/* The maximum of a row without one of its occurrences, and how often the maximum itself occurs. */
INLINE real next_to(real top, const real *x, size_t n, double *occurrences)
{
    const vreal vtop = v_set1(top), lowest = v_set1(-INFINITY);
    vreal next = lowest, count = v_set1(0);
    for (size_t i = 0; i < n; i += SV_W) {
        vreal v = v_load_some(x + i, n - i, -INFINITY);
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
            vreal v = v_load_some(x + i, n - i, -INFINITY), s, on_grid;
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
    v_exp_split_fine(v_set1(TO_GRID), v_set1(x), &s, &low, &on_grid);
    v_store(lane[0], s);
    v_store(lane[1], low);
    v_store(lane[2], v_exp_power(v_exp_base(exponent_above(x)), on_grid));
    return lane[2][0] + (double)lane[2][0] * ((double)lane[0][0] + lane[1][0]);
}

/* logsumexp of rows until one needs the safe path; returns how many were done. */
static size_t logsumexp_rows(const real *x, ptrdiff_t x_stride, size_t rows, size_t length, real *values)
{
    enum { TOGETHER = 16 };
    double hi[TOGETHER], lo[TOGETHER], exponents[TOGETHER];
    size_t done = 0;
#ifdef V_HAS_TRANSPOSE
    done = short_logsumexp(x, x_stride, rows, length, values);
#endif
    while (done < rows) {
        const size_t some = rows - done < TOGETHER ? rows - done : TOGETHER;
        size_t r = 0;
        for (; r < some; r++) {
            struct scaled_sum total = sum(x + (ptrdiff_t)(done + r) * x_stride, NULL, length, 0);
            if (!(total.hi > 0 && total.hi < INFINITY && total.exponent >= LOWEST_EXPONENT + NEGLIGIBLE_EXPONENT
                  && total.exponent <= SAFE_EXPONENT))
                break;
            hi[r] = total.hi, lo[r] = total.lo, exponents[r] = total.exponent;
        }
        for (size_t k = r; k < TOGETHER; k++)
            hi[k] = 1, lo[k] = exponents[k] = 0;
        real logs[TOGETHER];
        for (size_t k = 0; k < TOGETHER; k++)
            logs[k] = (real)log_near(hi[k], lo[k], exponents[k]);
        memcpy(values + done, logs, r * sizeof(real));
        done += r;
        if (r < some)
            break;
    }
    return done;
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
    if (length <= REGISTER_ROW * SV_W && y_stride == (ptrdiff_t)length) {
        r = short_log_softmax(x, x_stride, y, rows, length, stream);
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

#endif
