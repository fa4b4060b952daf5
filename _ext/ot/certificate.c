/* The passes that certify an answer, over blocks of rows.
 *
 *   scale_below  the plan scaled until no marginal is exceeded: the larger part of a rounded plan
 *   row_max      the c-transform of a potential, and a product C w
 *   examine      the marginals of the plan, those of its product with y, and the c-transform of the other potential
 *
 * scale_below reads C once and takes one exponential an entry, like a sweep: a row's terms wait in the first cache
 * until its sum, and with it its factor, is known. row_max takes no exponential: 8 bytes and 4 operations an entry,
 * so that reading C bounds it. examine takes 1.2 times as long as the marginals alone, and spares two passes; y must
 * be known before, from what the solve knows of the column sums. Accuracy: as in kernels.c.
 *
 * In NumPy (u, v and C in units of reg ln2):
 *     F = np.exp2(u[:, None] + v - C) * y
 *     x = np.minimum(1, a / F.sum(1)); F *= x[:, None]      # scale_below
 *     row_max = (v - C).max(1); product = C @ w             # row_max
 */
#include "certificate.h"
#include "live.h"

/* What is summed of a row: its terms, and those times their costs. */
struct weighted {
    vreal sum, paid;
};

INLINE void add_weighted(size_t j, int vectors, const struct row *row, const struct sv_ot_cost *cost, const vreal *u,
                         const double *v, const double *y, double *out, struct weighted *totals, int kind, size_t d)
{
    vreal costs[TOGETHER], terms[TOGETHER];
    terms_at(row, cost, u, v, j, 1, vectors, costs, terms, 1, kind, d);
    for (int w = 0; w < vectors; w++) {
        const size_t at = j + (size_t)w * SV_W, left = left_of(cost, at, vectors);
        const vreal p = v_mul(fill_past(terms[w], left, 0), v_load_some(y + at, left, 0));
        totals->sum = v_add(totals->sum, p);
        totals->paid = v_fma(costs[w], p, totals->paid);
        v_store_some(out + at, p, left);
    }
}

/* The terms P_ij y_j of a row; returns their sum, and in *paid sum_j (C_ij - offset_i) P_ij y_j. */
INLINE double weighted_terms(const struct row *row, const struct sv_ot_cost *cost, double u, const double *v,
                             const double *y, double *terms, double *paid, int kind, size_t d)
{
    const vreal vu = v_set1(u);
    struct weighted totals = {v_set1(0), v_set1(0)};
    FOR_COLUMNS(add_weighted, row, cost, &vu, v, y, terms, &totals, kind, d);
    *paid = v_sum_lanes(totals.paid);
    return v_sum_lanes(totals.sum);
}

INLINE double scale_rows_below(const struct sv_ot_cost *cost, double scale, const double *a, const double *u,
                               const double *v, const double *y, double *x, double *row_sums, double *column_sums,
                               double *room, size_t first, size_t last, int kind, size_t d)
{
    double total = 0, paid;
    for (size_t i = first; i < last; i++) {
        struct row row = row_of(cost, scale, i);
        double *terms = place_for(&row, room);
        double sum = weighted_terms(&row, cost, u[i], v, y, terms, &paid, kind, d);
        x[i] = sum > a[i] ? a[i] / sum : 1;
        row_sums[i] = x[i] * sum;
        total += x[i] * paid;
        add_scaled(column_sums, terms, x[i], cost->m);
    }
    return total;
}

/* A row's entries, its costs where they are not in memory, and what is summed of it: P, P y, and both times the cost. */
struct examined_row {
    struct row row;
    vreal u, sum, below, paid, below_paid;
    double *terms, *costs;
};

INLINE int in_memory(int kind) { return kind == SV_COST_FLOAT64 || kind == SV_COST_FLOAT32; }

INLINE void make_terms(size_t j, int vectors, struct examined_row *group, const struct sv_ot_cost *cost, const double *v,
                       int count, int kind, size_t d)
{
    vreal costs[2 * TOGETHER], terms[2 * TOGETHER], u[2];
    struct row rows[2];
    for (int k = 0; k < count; k++)
        rows[k] = group[k].row, u[k] = group[k].u;
    terms_at(rows, cost, u, v, j, count, vectors, costs, terms, 1, kind, d);
    for (int w = 0; w < vectors; w++)
        for (int k = 0; k < count; k++) {
            const size_t at = j + (size_t)w * SV_W, left = left_of(cost, at, vectors);
            v_store_some(group[k].terms + at, terms[k * vectors + w], left);
            if (!in_memory(kind))
                v_store_some(group[k].costs + at, costs[k * vectors + w], left);
        }
}

/* The terms of the columns from j on, into the totals. */
INLINE void add_examined(size_t j, int vectors, struct examined_row *group, const struct sv_ot_cost *cost, const double *y,
                         double *column_sums, double *column_max, int count, int kind, size_t d)
{
    for (int w = 0; w < vectors; w++) {
        const size_t at = j + (size_t)w * SV_W, left = left_of(cost, at, vectors);
        const vreal yj = v_load_some(y + at, left, 0);
        vreal top = v_load_some(column_max + at, left, 0), sum = v_load_some(column_sums + at, left, 0);
        for (int k = 0; k < count; k++) {
            struct examined_row *r = &group[k];
            const vreal p = v_load_some(r->terms + at, left, 0), weighted = v_mul(p, yj);
            const vreal c = in_memory(kind) ? cost_at(&r->row, cost, at, left, 1, kind, d)
                                            : v_load_some(r->costs + at, left, 0);
            top = v_max(v_fnma(r->row.scale, c, r->u), top);
            r->sum = v_add(r->sum, p);
            r->below = v_add(r->below, weighted);
            r->paid = v_fma(c, p, r->paid);
            r->below_paid = v_fma(c, weighted, r->below_paid);
            sum = v_add(sum, p);
        }
        v_store_some(column_sums + at, sum, left);
        v_store_some(column_max + at, top, left);
    }
}

INLINE void add_row(struct ot_examined *out, const struct examined_row *row, size_t i)
{
    out->row_sums[i] = v_sum_lanes(row->sum);
    out->below_rows[i] = v_sum_lanes(row->below);
    out->paid += v_sum_lanes(row->paid);
    out->paid_below += v_sum_lanes(row->below_paid);
}

/* Rows i to i + count - 1: two at once load and store what belongs to the columns once. First the terms, then all sums of
 * them: at once these would be more than the registers hold. */
INLINE void examine_group(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *y,
                          struct ot_examined *out, double *room, size_t i, int count, int kind, size_t d)
{
    const vreal zero = v_set1(0);
    double *column_sums = out->column_sums, *column_max = out->column_max;
    struct examined_row group[2];
    for (int k = 0; k < count; k++) {
        const struct row row = row_of(cost, scale, i + k);
        group[k] = (struct examined_row){row, v_set1(u[i + k]), zero, zero, zero, zero,
                                         place_for(&row, room + k * ot_row_room(cost->m)), room + ot_row_room(cost->m)};
    }
    FOR_COLUMNS(make_terms, group, cost, v, count, kind, d);
    FOR_COLUMNS(add_examined, group, cost, y, column_sums, column_max, count, kind, d);
    for (int k = 0; k < count; k++)
        add_row(out, &group[k], i + k);
}

/* The same of a row of which few terms count; returns 0 where it has to be done with all. */
INLINE int examine_live_row(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *y,
                            struct ot_examined *out, double *room, size_t i, int kind)
{
    enum { d = 0 };
    const struct row row = row_of(cost, scale, i);
    const vreal zero = v_set1(0);
    int *places = (int *)(room + ot_row_room(cost->m)); /* the second row's room */
    const size_t count = live_places(&row, cost, u[i], v, out->least, out->column_max, places);
    if (!few_live(count, cost->m))
        return 0;
    struct examined_row one = {row, v_set1(u[i]), zero, zero, zero, zero, place_for(&row, room), NULL};
    FOR_PLACES(places, count, make_terms, &one, cost, v, 1, kind, d);
    FOR_PLACES(places, count, add_examined, &one, cost, y, out->column_sums, out->column_max, 1, kind, d);
    add_row(out, &one, i);
    return 1;
}

INLINE void examine_rows(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *y,
                         struct ot_examined *out, double *room, size_t first, size_t last, int kind, size_t d)
{
    size_t i = first;
    /* The first row tells whether to ask at all. */
    while (in_memory(kind) && !cost->offset && i < last
           && examine_live_row(cost, scale, u, v, y, out, room, i, kind))
        i++;
    for (; in_memory(kind) && i + 2 <= last; i += 2)
        examine_group(cost, scale, u, v, y, out, room, i, 2, kind, d);
    for (; i < last; i++)
        examine_group(cost, scale, u, v, y, out, room, i, 1, kind, d);
}

/* Rows that row_max takes at once: v and w are loaded once for all, and the sums of one wait less for each other. */
enum { ROWS = 4 };

INLINE void row_max_group(const struct sv_ot_cost *cost, double scale, const double *v, const double *w, double *row_max,
                          double *product, size_t i, int count, int kind, size_t d)
{
    const size_t m = cost->m;
    struct row rows[ROWS];
    vreal top[ROWS], sum[ROWS];
    for (int k = 0; k < count; k++)
        rows[k] = row_of(cost, scale, i + k), top[k] = v_set1(-INFINITY), sum[k] = v_set1(0);
    for (size_t j = 0; j < m; j += SV_W) {
        const size_t left = m - j;
        const vreal vj = v_load_some(v + j, left, 0), wj = v_load_some(w + j, left, 0);
        for (int k = 0; k < count; k++) {
            const vreal c = cost_at(&rows[k], cost, j, left, 1, kind, d);
            top[k] = v_max(fill_past(v_fnma(rows[k].scale, c, vj), left, -INFINITY), top[k]);
            sum[k] = v_fma(c, wj, sum[k]);
        }
    }
    for (int k = 0; k < count; k++)
        row_max[i + k] = v_max_lanes(top[k]), product[i + k] = v_sum_lanes(sum[k]);
}

INLINE void row_max_of_rows(const struct sv_ot_cost *cost, double scale, const double *v, const double *w,
                            double *row_max, double *product, size_t first, size_t last, int kind, size_t d)
{
    size_t i = first;
    for (; in_memory(kind) && i + ROWS <= last; i += ROWS)
        row_max_group(cost, scale, v, w, row_max, product, i, ROWS, kind, d);
    for (; i < last; i++)
        row_max_group(cost, scale, v, w, row_max, product, i, 1, kind, d);
}

static double scale_below(const struct sv_ot_cost *cost, double scale, const double *a, const double *u,
                          const double *v, const double *y, double *x, double *row_sums, double *column_sums,
                          double *room, size_t first, size_t last)
{
    FOR_COST(scale_rows_below, cost, scale, a, u, v, y, x, row_sums, column_sums, room, first, last)
}

static void row_max(const struct sv_ot_cost *cost, double scale, const double *v, const double *w, double *out,
                    double *product, size_t first, size_t last)
{
    FOR_COST(row_max_of_rows, cost, scale, v, w, out, product, first, last)
}

static void examine(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *y,
                    struct ot_examined *out, double *room, size_t first, size_t last)
{
    FOR_COST(examine_rows, cost, scale, u, v, y, out, room, first, last)
}

const struct ot_certificate_kernels SV_TABLE(ot_certificate_kernels) = {scale_below, row_max, examine};
