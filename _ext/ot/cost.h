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

/* Vectors of columns that a pass takes at a time, while there are so many whole ones: two where their exponentials can
 * alternate and the costs are read or short to make, else one, for the sake of less code. */
enum { TOGETHER = 2 };
INLINE int columns_together(int kind, size_t d)
{
#ifdef V_HAS_LOOKUP
    return kind == SV_COST_FLOAT64 || kind == SV_COST_FLOAT32 || (kind == SV_COST_SQEUCLIDEAN && d <= 3) ? TOGETHER : 1;
#else
    (void)kind, (void)d;
    return 1;
#endif
}

/* What is left of the columns from j on, for one of so many vectors: several are whole, which spares a question each. */
INLINE size_t left_of(const struct sv_ot_cost *cost, size_t j, int vectors) { return vectors > 1 ? SV_W : cost->m - j; }

/* The costs without offsets, and the terms 2^(u + v_j - scale c_j), of `count` rows in `vectors` vectors of columns from j
 * on, all constants at each call: those of row k are k * vectors and on. What is past the end is of no use. */
INLINE void terms_at(const struct row *rows, const struct sv_ot_cost *cost, const vreal *u, const double *v, size_t j,
                     int count, int vectors, vreal *costs, vreal *terms, int careful, int kind, size_t d)
{
    for (int w = 0; w < vectors; w++) {
        const size_t at = j + (size_t)w * SV_W, left = left_of(cost, at, vectors);
        const vreal vj = v_load_some(v + at, left, 0);
        for (int k = 0; k < count; k++) {
            const vreal c = cost_at(&rows[k], cost, at, left, careful, kind, d);
            costs[k * vectors + w] = c;
            terms[k * vectors + w] = v_fnma(rows[k].scale, c, v_add(vj, u[k]));
        }
    }
    v_exp2_each(terms, count * vectors, !careful, -1022);
}

/* Calls part(j, vectors, ...) for the columns; uses `cost`, `kind` and `d`. */
#define FOR_COLUMNS(part, ...)                                                                      \
    do {                                                                                            \
        const size_t last = cost->m;                                                                \
        const int together = columns_together(kind, d);                                             \
        size_t column = 0;                                                                          \
        for (; together > 1 && column + TOGETHER * SV_W <= last; column += TOGETHER * SV_W)         \
            part(column, TOGETHER, __VA_ARGS__);                                                    \
        for (; column < last; column += SV_W)                                                       \
            part(column, 1, __VA_ARGS__);                                                           \
    } while (0)

/* All loads come before the stores, see place_for. */
INLINE void add_terms(size_t j, int vectors, const struct row *rows, const struct sv_ot_cost *cost, const vreal *u,
                      const double *v, int count, double *const *out, vreal *sums, int careful, int kind, size_t d)
{
    vreal costs[2 * TOGETHER], terms[2 * TOGETHER];
    terms_at(rows, cost, u, v, j, count, vectors, costs, terms, careful, kind, d);
    for (int w = 0; w < vectors; w++)
        for (int k = 0; k < count; k++) {
            const size_t at = j + (size_t)w * SV_W, left = left_of(cost, at, vectors);
            v_store_some(out[k] + at, terms[k * vectors + w], left);
            sums[k] = v_add(sums[k], fill_past(terms[k * vectors + w], left, 0));
        }
}

/* The terms of one row or two, and their sums: v is loaded once for both. */
INLINE void terms_of_rows(const struct row *rows, const struct sv_ot_cost *cost, const double *u, const double *v, int count,
                     double *const *out, double *sums, int careful, int kind, size_t d)
{
    struct row own[2];
    vreal each[2], added[2];
    for (int k = 0; k < count; k++)
        own[k] = rows[k], each[k] = v_set1(u[k]), added[k] = v_set1(0);
    FOR_COLUMNS(add_terms, own, cost, each, v, count, out, added, careful, kind, d);
    for (int k = 0; k < count; k++)
        sums[k] = v_sum_lanes(added[k]);
}

/* The terms of a row; returns their sum. */
INLINE double terms_of(const struct row *row, const struct sv_ot_cost *cost, double u, const double *v, double *out,
                       int careful, int kind, size_t d)
{
    double sum;
    terms_of_rows(row, cost, &u, v, 1, &out, &sum, careful, kind, d);
    return sum;
}

/* The largest of v_j - scale c_j. */
INLINE double largest_exponent(const struct row *row, const struct sv_ot_cost *cost, const double *v, int kind, size_t d)
{
    vreal top = v_set1(-INFINITY);
    for (size_t j = 0, m = cost->m; j < m; j += SV_W) {
        vreal z = v_fnma(row->scale, cost_at(row, cost, j, m - j, 1, kind, d), v_load_some(v + j, m - j, 0));
        top = v_max(fill_past(z, m - j, -INFINITY), top);
    }
    return v_max_lanes(top);
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
