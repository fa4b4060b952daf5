/* One read of a stored plan: a product with it and, row by row while the row is in cache, one with its transpose.
 *
 *   pass    s = P y;  x = a / s, or weights * s;  sums += P' x
 *
 * Moves 8 bytes an entry and does two multiply-adds: 0.10 ns an entry from the last cache and 0.2 to 0.3 ns from memory
 * on Zen 4, the rate of a plain read; two products by BLAS read the plan twice. Everything begins at a cache line and ends
 * in zeros at one: a load across two lines takes twice as long.
 *
 * In NumPy: s = P @ y; x = a / s; sums = P.T @ x
 */
#include "simd.h"

#include "scaling.h"

enum { ROWS = 4 }; /* at once: the sums are loaded and stored once for so many */

/* s_k = <row k, y> */
INLINE void products(const double *const *rows, int count, const double *y, double *s, size_t m)
{
    vreal sum[ROWS];
    for (int k = 0; k < count; k++)
        sum[k] = v_set1(0);
    for (size_t j = 0; j < m; j += SV_W) {
        const vreal yj = v_load(y + j);
        for (int k = 0; k < count; k++)
            sum[k] = v_fma(v_load(rows[k] + j), yj, sum[k]);
    }
    for (int k = 0; k < count; k++)
        s[k] = v_sum_lanes(sum[k]);
}

INLINE void add_rows(const double *const *rows, int count, const double *x, double *sums, size_t m)
{
    for (size_t j = 0; j < m; j += SV_W) {
        vreal sum = v_load(sums + j);
        for (int k = 0; k < count; k++)
            sum = v_fma(v_set1(x[k]), v_load(rows[k] + j), sum);
        v_store(sums + j, sum);
    }
}

INLINE void rows_at(const struct sv_ot_stored_plan *plan, const double *weights, const double *y, double *x,
                    double *sums, size_t i, int count)
{
    const double *rows[ROWS];
    double s[ROWS];
    for (int k = 0; k < count; k++)
        rows[k] = plan->p + (i + k) * plan->stride;
    products(rows, count, y, s, plan->stride);
    for (int k = 0; k < count; k++)
        x[i + k] = weights ? weights[i + k] * s[k] : plan->a[i + k] / s[k];
    add_rows(rows, count, x + i, sums, plan->stride);
}

static void pass(const struct sv_ot_stored_plan *plan, const double *weights, const double *y, double *x, double *sums,
                 size_t first, size_t last)
{
    size_t i = first;
    for (; i + ROWS <= last; i += ROWS)
        rows_at(plan, weights, y, x, sums, i, ROWS);
    for (; i < last; i++)
        rows_at(plan, weights, y, x, sums, i, 1);
}

const struct ot_scaling_kernels SV_TABLE(ot_scaling_kernels) = {pass};
