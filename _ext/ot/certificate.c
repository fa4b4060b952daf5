/* The passes that certify an answer, over blocks of rows.
 *
 *   scale_below  the plan scaled until no marginal is exceeded: the larger part of a rounded plan
 *   row_max      the c-transform of a potential, and a product C w
 *   examine      scale_below with the marginals of the plan and the c-transform of the other potential
 *
 * scale_below reads C once and takes one exponential an entry, like a sweep: a row's terms wait in the first cache
 * until its sum, and with it its factor, is known. row_max takes no exponential: 8 bytes and 4 operations an entry,
 * so that reading C bounds it. examine takes 1.7 times as long as the marginals alone, and spares two passes; y must
 * be known before, from what the solve knows of the column sums. Accuracy: as in kernels.c.
 *
 * In NumPy (u, v and C in units of reg ln2):
 *     F = np.exp2(u[:, None] + v - C) * y
 *     x = np.minimum(1, a / F.sum(1)); F *= x[:, None]      # scale_below
 *     row_max = (v - C).max(1); product = C @ w             # row_max
 */
#include "certificate.h"
#include "cost.h"

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

/* What is summed of a row: P, P y, and both times the cost. */
struct row_totals {
    vreal sum, below, paid, below_paid;
};

/* What a pass over one row or two reads and writes of their own. */
struct examined_rows {
    struct row rows[2];
    vreal u[2];
    struct row_totals totals[2];
    double *terms[2];
};

/* The entries of the columns from j on, into the totals. All loads come before the stores of the terms. */
INLINE void examine_columns(size_t j, int vectors, struct examined_rows *group, const struct sv_ot_cost *cost,
                            const double *v, const double *y, struct ot_examined *out, int count, int kind, size_t d)
{
    vreal costs[2 * TOGETHER], terms[2 * TOGETHER];
    terms_at(group->rows, cost, group->u, v, j, count, vectors, costs, terms, 1, kind, d);
    for (int w = 0; w < vectors; w++) {
        const size_t at = j + (size_t)w * SV_W, left = left_of(cost, at, vectors);
        const vreal yj = v_load_some(y + at, left, 0);
        vreal top = v_load_some(out->column_max + at, left, 0), sum = v_load_some(out->column_sums + at, left, 0);
        for (int k = 0; k < count; k++) {
            struct row_totals *totals = &group->totals[k];
            const vreal c = costs[k * vectors + w], p = fill_past(terms[k * vectors + w], left, 0), weighted = v_mul(p, yj);
            top = v_max(v_fnma(group->rows[k].scale, c, group->u[k]), top);
            totals->sum = v_add(totals->sum, p);
            totals->below = v_add(totals->below, weighted);
            totals->paid = v_fma(c, p, totals->paid);
            totals->below_paid = v_fma(c, weighted, totals->below_paid);
            sum = v_add(sum, p);
            v_store_some(group->terms[k] + at, p, left);
        }
        v_store_some(out->column_sums + at, sum, left);
        v_store_some(out->column_max + at, top, left);
    }
}

/* Rows i to i + count - 1: two at once load and store what belongs to the columns once. */
INLINE void examine_group(const struct sv_ot_cost *cost, double scale, const double *a, const double *u, const double *v,
                          const double *y, struct ot_examined *out, double *room, size_t i, int count, int kind, size_t d)
{
    const size_t m = cost->m;
    const vreal zero = v_set1(0);
    struct examined_rows group;
    for (int k = 0; k < count; k++) {
        group.rows[k] = row_of(cost, scale, i + k);
        group.u[k] = v_set1(u[i + k]);
        group.terms[k] = place_for(&group.rows[k], room + k * ot_row_room(m));
        group.totals[k] = (struct row_totals){zero, zero, zero, zero};
    }
    FOR_COLUMNS(examine_columns, &group, cost, v, y, out, count, kind, d);
    for (int k = 0; k < count; k++) {
        const struct row_totals *totals = &group.totals[k];
        const double below = v_sum_lanes(totals->below);
        out->row_sums[i + k] = v_sum_lanes(totals->sum);
        out->paid += v_sum_lanes(totals->paid);
        out->x[i + k] = below > a[i + k] ? a[i + k] / below : 1;
        out->below_rows[i + k] = out->x[i + k] * below;
        out->paid_below += out->x[i + k] * v_sum_lanes(totals->below_paid);
    }
    if (count == 2)
        add_two_scaled(out->below_columns, group.terms, out->x + i, m);
    else
        add_scaled(out->below_columns, group.terms[0], out->x[i], m);
}

INLINE void examine_rows(const struct sv_ot_cost *cost, double scale, const double *a, const double *u, const double *v,
                         const double *y, struct ot_examined *out, double *room, size_t first, size_t last, int kind,
                         size_t d)
{
    size_t i = first;
    for (; i + 2 <= last; i += 2)
        examine_group(cost, scale, a, u, v, y, out, room, i, 2, kind, d);
    if (i < last)
        examine_group(cost, scale, a, u, v, y, out, room, i, 1, kind, d);
}

INLINE void row_max_of_rows(const struct sv_ot_cost *cost, double scale, const double *v, const double *w,
                            double *row_max, double *product, size_t first, size_t last, int kind, size_t d)
{
    const size_t m = cost->m;
    for (size_t i = first; i < last; i++) {
        struct row row = row_of(cost, scale, i);
        vreal top = v_set1(-INFINITY), sum = v_set1(0);
        for (size_t j = 0; j < m; j += SV_W) {
            size_t left = m - j;
            vreal c = cost_at(&row, cost, j, left, 1, kind, d);
            top = v_max(fill_past(v_fnma(row.scale, c, v_load_some(v + j, left, 0)), left, -INFINITY), top);
            sum = v_fma(c, v_load_some(w + j, left, 0), sum);
        }
        row_max[i] = v_max_lanes(top);
        product[i] = v_sum_lanes(sum);
    }
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

static void examine(const struct sv_ot_cost *cost, double scale, const double *a, const double *u, const double *v,
                    const double *y, struct ot_examined *out, double *room, size_t first, size_t last)
{
    FOR_COST(examine_rows, cost, scale, a, u, v, y, out, room, first, last)
}

const struct ot_certificate_kernels SV_TABLE(ot_certificate_kernels) = {scale_below, row_max, examine};
