/* The passes that certify an answer, over blocks of rows.
 *
 *   scale_below  the plan scaled until no marginal is exceeded: the larger part of a rounded plan
 *   row_max      the c-transform of a potential, and a product C w
 *
 * scale_below reads C once and takes one exponential an entry, like a sweep: a row's terms wait in the first cache
 * until its sum, and with it its factor, is known. row_max takes no exponential: 8 bytes and 4 operations an entry,
 * so that reading C bounds it. Accuracy: as in kernels.c.
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

const struct ot_certificate_kernels SV_TABLE(ot_certificate_kernels) = {scale_below, row_max};
