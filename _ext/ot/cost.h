/* The cost of a transport problem, read or made a vector at a time: what every pass over C is built of. */
#ifndef SOLVERS_OT_COST_H
#define SOLVERS_OT_COST_H

#include "expcore.h"
#include "ot.h"

enum { PREFETCH_BYTES = 4096 };

struct row {
    const double *matrix64;
    const float *matrix32;
    const double *x;
    vreal offset, scale;
    const double *column_offset;
};

INLINE struct row row_of(const struct sv_ot_cost *cost, double scale, size_t i)
{
    struct row row = {.scale = v_set1(scale), .offset = v_set1(cost->offset ? cost->offset[i] : 0),
                      .column_offset = cost->column_offset};
    ptrdiff_t start = (ptrdiff_t)i * cost->stride;
    if (cost->kind == SV_COST_FLOAT64)
        row.matrix64 = (const double *)cost->matrix + start;
    else if (cost->kind == SV_COST_FLOAT32)
        row.matrix32 = (const float *)cost->matrix + start;
    else
        row.x = cost->x + i * cost->d;
    return row;
}

INLINE vreal load_float(const float *p, size_t left)
{
    if (left >= SV_W)
        return v_load_float(p);
    float lane[SV_W] = {0};
    memcpy(lane, p, left * sizeof(float));
    return v_load_float(lane);
}

INLINE vreal minus_offset(vreal c, const struct row *row, size_t j, size_t left, int careful)
{
    if (!careful)
        return c;
    c = v_sub(c, row->offset);
    return row->column_offset ? v_sub(c, v_load_some(row->column_offset + j, left, 0)) : c;
}

/* (sum_k |x_k - y_kj|^p)^(1/p), the largest difference taken out, so that no power overflows or is lost. */
INLINE vreal minkowski_at(const struct row *row, const struct sv_ot_cost *cost, vreal largest, size_t j, size_t left,
                          size_t d)
{
    const vreal zero = v_set1(0);
    vreal sum = zero;
    for (size_t k = 0; k < d; k++) {
        vreal difference = v_sub(v_set1(row->x[k]), v_load_some(cost->y + k * cost->m + j, left, 0));
        sum = v_add(sum, v_power(v_div(v_abs(difference), largest), v_set1(cost->p)));
    }
    return v_if_equal(largest, zero, zero, v_mul(largest, v_power(sum, v_set1(1 / cost->p))));
}

/* C_ij without its offsets for the columns j, j + 1, ...; `careful`, `kind` and small `d` are compile-time constants.
 * Where there is no offset the exponents are known to be moderate (see sv_ot_cost), and a sweep need not be careful:
 * every operation that it saves is a twentieth of its time. */
INLINE vreal cost_at(const struct row *row, const struct sv_ot_cost *cost, size_t j, size_t left, int careful, int kind,
                     size_t d)
{
    if (kind == SV_COST_FLOAT64) {
        __builtin_prefetch((const char *)(row->matrix64 + j) + PREFETCH_BYTES);
        return minus_offset(v_load_some(row->matrix64 + j, left, 0), row, j, left, careful);
    }
    if (kind == SV_COST_FLOAT32) {
        __builtin_prefetch((const char *)(row->matrix32 + j) + PREFETCH_BYTES);
        return minus_offset(load_float(row->matrix32 + j, left), row, j, left, careful);
    }
    vreal sum = v_set1(0);
    for (size_t k = 0; k < d; k++) {
        vreal difference = v_sub(v_set1(row->x[k]), v_load_some(cost->y + k * cost->m + j, left, 0));
        if (kind == SV_COST_CITYBLOCK)
            sum = v_add(sum, v_abs(difference));
        else if (kind == SV_COST_CHEBYSHEV || kind == SV_COST_MINKOWSKI)
            sum = v_max(v_abs(difference), sum);
        else
            sum = v_fma(difference, difference, sum);
    }
    if (kind == SV_COST_EUCLIDEAN)
        sum = v_sqrt(sum);
    if (kind == SV_COST_MINKOWSKI)
        sum = minkowski_at(row, cost, sum, j, left, d);
    return minus_offset(sum, row, j, left, careful);
}

/* v, with `fill` in the lanes past the end. */
INLINE vreal fill_past(vreal v, size_t left, double fill)
{
    if (left >= SV_W)
        return v;
    double lane[SV_W];
    v_store(lane, v_set1(fill));
    v_store_n(lane, v, left);
    return v_load(lane);
}

/* 2^(u + v_j - scale c_j) for the columns j, j + 1, ... */
INLINE vreal term_at(const struct row *row, const struct sv_ot_cost *cost, vreal u, vreal v, size_t j, size_t left,
                     int careful, int kind, size_t d)
{
    vreal z = v_fnma(row->scale, cost_at(row, cost, j, left, careful, kind, d), v_add(v, u));
    return careful ? v_exp2(z) : v_exp2_near(z, 1);
}

/* The terms of a row; returns their sum. */
INLINE double terms_of(const struct row *row, const struct sv_ot_cost *cost, double u, const double *v, double *out,
                       int careful, int kind, size_t d)
{
    const vreal vu = v_set1(u);
    vreal sum = v_set1(0);
    for (size_t j = 0, m = cost->m; j < m; j += SV_W) {
        vreal term = term_at(row, cost, vu, v_load_some(v + j, m - j, 0), j, m - j, careful, kind, d);
        v_store_some(out + j, term, m - j);
        sum = v_add(sum, fill_past(term, m - j, 0));
    }
    return v_sum_lanes(sum);
}

/* sums += factor * terms */
INLINE void add_scaled(double *sums, const double *terms, double factor, size_t m)
{
    const vreal f = v_set1(factor);
    for (size_t j = 0; j < m; j += SV_W)
        v_store_some(sums + j, v_fma(f, v_load_some(terms + j, m - j, 0), v_load_some(sums + j, m - j, 0)), m - j);
}

/* The same of two rows. */
INLINE void add_two_scaled(double *sums, double *const *terms, const double *factors, size_t m)
{
    const vreal f0 = v_set1(factors[0]), f1 = v_set1(factors[1]);
    for (size_t j = 0; j < m; j += SV_W) {
        vreal sum = v_fma(f0, v_load_some(terms[0] + j, m - j, 0), v_load_some(sums + j, m - j, 0));
        v_store_some(sums + j, v_fma(f1, v_load_some(terms[1] + j, m - j, 0), sum), m - j);
    }
}

/* Where in `room` the terms of a row go: at the row's own place within a page. A load that follows stores to the
 * same place within another page waits for them, and a store a little ahead of the loads costs half the speed. */
INLINE double *place_for(const struct row *row, double *room)
{
    size_t ahead = ((uintptr_t)row->matrix64 & ~(uintptr_t)63) - (uintptr_t)room;
    return room + ahead % OT_PAGE_BYTES / sizeof(double);
}

/* One copy of a pass for each kind of cost, and for points in the plane and in space. */
#define FOR_COST(pass, ...)                                                                         \
    switch (cost->kind) {                                                                           \
    case SV_COST_FLOAT64: return pass(__VA_ARGS__, SV_COST_FLOAT64, 0);                             \
    case SV_COST_FLOAT32: return pass(__VA_ARGS__, SV_COST_FLOAT32, 0);                             \
    case SV_COST_EUCLIDEAN: return pass(__VA_ARGS__, SV_COST_EUCLIDEAN, cost->d);                   \
    case SV_COST_CITYBLOCK: return pass(__VA_ARGS__, SV_COST_CITYBLOCK, cost->d);                   \
    case SV_COST_CHEBYSHEV: return pass(__VA_ARGS__, SV_COST_CHEBYSHEV, cost->d);                   \
    case SV_COST_MINKOWSKI: return pass(__VA_ARGS__, SV_COST_MINKOWSKI, cost->d);                   \
    default:                                                                                        \
        switch (cost->d) {                                                                          \
        case 2: return pass(__VA_ARGS__, SV_COST_SQEUCLIDEAN, 2);                                   \
        case 3: return pass(__VA_ARGS__, SV_COST_SQEUCLIDEAN, 3);                                   \
        default: return pass(__VA_ARGS__, SV_COST_SQEUCLIDEAN, cost->d);                            \
        }                                                                                           \
    }

#endif
