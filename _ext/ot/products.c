/* Products of the plan with a few vectors, over blocks of rows.
 *
 * A row of the plan is made in the first cache and multiplied there: one exponential an entry, and for each vector
 * one operation and two loads. The entries are those of plan_rows to the bit; sums run in SV_W lanes.
 *
 * In NumPy (u, v and C in units of reg ln2):
 *     P = np.exp2(u[:, None] + v - C)
 *     P @ x.T, x.T @ P                        # apply, apply_transposed
 */
#include "cost.h"
#include "products.h"

INLINE double dot(const double *p, const double *q, size_t m)
{
    vreal even = v_set1(0), odd = v_set1(0);
    size_t j = 0;
    for (; j + 2 * SV_W <= m; j += 2 * SV_W) {
        even = v_fma(v_load(p + j), v_load(q + j), even);
        odd = v_fma(v_load(p + j + SV_W), v_load(q + j + SV_W), odd);
    }
    for (; j < m; j += SV_W)
        even = v_fma(v_load_some(p + j, m - j, 0), v_load_some(q + j, m - j, 0), even);
    return v_sum_lanes(v_add(even, odd));
}

INLINE void apply_to_rows(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                          const double *x, size_t k, double *out, double *room, size_t first, size_t last, int kind,
                          size_t d)
{
    for (size_t i = first; i < last; i++) {
        struct row row = row_of(cost, scale, i);
        double *terms = place_for(&row, room);
        terms_of(&row, cost, u[i], v, terms, 1, kind, d);
        for (size_t r = 0; r < k; r++)
            out[i * k + r] = dot(terms, x + r * cost->m, cost->m);
    }
}

INLINE void apply_rows_transposed(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                                  const double *x, size_t k, double *out, double *room, size_t first, size_t last,
                                  int kind, size_t d)
{
    for (size_t i = first; i < last; i++) {
        struct row row = row_of(cost, scale, i);
        double *terms = place_for(&row, room);
        terms_of(&row, cost, u[i], v, terms, 1, kind, d);
        for (size_t r = 0; r < k; r++)
            add_scaled(out + r * cost->m, terms, x[i * k + r], cost->m);
    }
}

static void apply(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *x,
                  size_t k, double *out, double *room, size_t first, size_t last)
{
    FOR_COST(apply_to_rows, cost, scale, u, v, x, k, out, room, first, last)
}

static void apply_transposed(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                             const double *x, size_t k, double *out, double *room, size_t first, size_t last)
{
    FOR_COST(apply_rows_transposed, cost, scale, u, v, x, k, out, room, first, last)
}

const struct ot_product_kernels SV_TABLE(ot_product_kernels) = {apply, apply_transposed};
