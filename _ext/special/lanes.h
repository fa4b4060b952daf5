/* Part of softmax.c: what columns have in common, a lane each, and short rows that become columns. */
#ifndef SOLVERS_SOFTMAX_LANES_H
#define SOLVERS_SOFTMAX_LANES_H

#include "cached.h"

/* ---- columns: a lane each -------------------------------------------------------------------------- */

/* The window of each lane whose largest exponent is that of e^top. */
static inline struct window window_by_lane(vreal top)
{
    vreal exponent = v_add(v_rint(v_mul(top, v_set1((real)LOG2_E))), v_set1(1));
    vreal lower = v_sub(exponent, v_set1(TERM_EXPONENT));
    vreal lowest = v_sub(lower, v_set1(R_EXPONENT_BIAS - 2 - GUARD_BITS));
    vreal lowest_x = v_max(v_set1(LOWEST_X), v_mul(lowest, v_set1((real)0.69314718055994530942)));
    return (struct window){
        .base = v_exp_base(0), .lowest_x = lowest_x, .lower = lower, .to_grid = v_sub(v_set1(TO_GRID), lower)};
}

/* Each lane's terms become its quotients. */
static inline struct scale scale_by_lane(vreal sum, vreal error, vreal least)
{
    real hi[SV_W], lo[SV_W], sums[SV_W], errors[SV_W];
    v_store(sums, sum);
    v_store(errors, error);
    for (int k = 0; k < SV_W; k++) {
        double total = (double)sums[k] + errors[k];
        reciprocal((struct scaled_sum){total, errors[k] - (total - sums[k]), 0}, &hi[k], &lo[k]);
    }
    return scale_of(v_load(hi), v_load(lo), least);
}

/* The terms of `length` rows of a vector of columns with these maxima, in place, `stride` apart. */
INLINE struct scale lane_terms(real *x, ptrdiff_t stride, size_t length, vreal top)
{
    const struct window window = window_by_lane(top);
    const real start = raised(2 * BLOCK);
    vreal sum = v_set1(0), error = v_set1(0), least = no_least();
    for (size_t j = 0; j < length; j += BLOCK) {
        struct grid_sum block = empty_sum(start);
        size_t end = length - j < BLOCK ? length : j + BLOCK;
#pragma GCC unroll 2
        for (size_t i = j; i < end; i++) {
            real *at = x + (ptrdiff_t)i * stride;
            v_store(at, add_fine_term(&block, &least, v_load(at), &window));
        }
        add_grid_sum(block, start, &sum, &error);
    }
    return scale_by_lane(sum, error, least);
}

/* is_near for every lane; 0 where one is NaN. */
static inline int all_near(vreal top)
{
    const unsigned all = (1u << SV_W) - 1;
    return (v_at_least(v_set1((real)-0.999 * LOWEST_X), top) & v_at_least(top, v_set1((real)0.9 * LOWEST_X)) & all) == all;
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
            v_store_some(y + k * length + j, v[k], left);
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

#endif
