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

/* The terms P_ij y_j of a row; returns their sum, and in *paid sum_j (C_ij - offset_i) P_ij y_j. */
INLINE double weighted_terms(const struct row *row, const struct sv_ot_cost *cost, double u, const double *v,
                             const double *y, double *terms, double *paid, int kind, size_t d)
{
    const vreal vu = v_set1(u);
    vreal sum = v_set1(0), costs = v_set1(0);
    for (size_t j = 0, m = cost->m; j < m; j += SV_W) {
        size_t left = m - j;
        vreal c = cost_at(row, cost, j, left, 1, kind, d);
        vreal p = v_exp2(v_fnma(row->scale, c, v_add(v_load_some(v + j, left, 0), vu)));
        p = v_mul(fill_past(p, left, 0), v_load_some(y + j, left, 0));
        sum = v_add(sum, p);
        costs = v_fma(c, p, costs);
        v_store_some(terms + j, p, left);
    }
    *paid = v_sum_lanes(costs);
    return v_sum_lanes(sum);
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

/* The terms P_ij of columns j, j + 1, ..., into the totals; *top becomes at least u - scale c_j. */
INLINE vreal examined_term(const struct row *row, const struct sv_ot_cost *cost, vreal u, vreal v, vreal y, vreal *top,
                           struct row_totals *totals, size_t j, size_t left, int kind, size_t d)
{
    const vreal c = cost_at(row, cost, j, left, 1, kind, d);
    const vreal p = fill_past(v_exp2(v_fnma(row->scale, c, v_add(v, u))), left, 0), weighted = v_mul(p, y);
    *top = v_max(v_fnma(row->scale, c, u), *top);
    totals->sum = v_add(totals->sum, p);
    totals->below = v_add(totals->below, weighted);
    totals->paid = v_fma(c, p, totals->paid);
    totals->below_paid = v_fma(c, weighted, totals->below_paid);
    return p;
}

/* Rows i to i + count - 1: two at once load and store what belongs to the columns once. All loads come before the stores. */
INLINE void examine_group(const struct sv_ot_cost *cost, double scale, const double *a, const double *u, const double *v,
                          const double *y, struct ot_examined *out, double *room, size_t i, int count, int kind, size_t d)
{
    const size_t m = cost->m;
    const vreal zero = v_set1(0);
    struct row rows[2];
    struct row_totals totals[2];
    double *terms[2];
    for (int k = 0; k < count; k++) {
        rows[k] = row_of(cost, scale, i + k);
        terms[k] = place_for(&rows[k], room + k * ot_row_room(m));
        totals[k] = (struct row_totals){zero, zero, zero, zero};
    }
    for (size_t j = 0; j < m; j += SV_W) {
        const size_t left = m - j;
        const vreal vj = v_load_some(v + j, left, 0), yj = v_load_some(y + j, left, 0);
        vreal top = v_load_some(out->column_max + j, left, 0), sum = v_load_some(out->column_sums + j, left, 0), p[2];
        for (int k = 0; k < count; k++) {
            p[k] = examined_term(&rows[k], cost, v_set1(u[i + k]), vj, yj, &top, &totals[k], j, left, kind, d);
            sum = v_add(sum, p[k]);
        }
        for (int k = 0; k < count; k++)
            v_store_some(terms[k] + j, p[k], left);
        v_store_some(out->column_sums + j, sum, left);
        v_store_some(out->column_max + j, top, left);
    }
    for (int k = 0; k < count; k++) {
        const double below = v_sum_lanes(totals[k].below);
        out->row_sums[i + k] = v_sum_lanes(totals[k].sum);
        out->paid += v_sum_lanes(totals[k].paid);
        out->x[i + k] = below > a[i + k] ? a[i + k] / below : 1;
        out->below_rows[i + k] = out->x[i + k] * below;
        out->paid_below += out->x[i + k] * v_sum_lanes(totals[k].below_paid);
    }
    if (count == 2)
        add_two_scaled(out->below_columns, terms, out->x + i, m);
    else
        add_scaled(out->below_columns, terms[0], out->x[i], m);
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
