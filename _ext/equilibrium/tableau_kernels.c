/* The rank-one update of a dictionary: see tableau.h.
 *
 * Each entry is read and written once, 16 bytes for 2 flops: the cache's or the memory's bandwidth bounds it. Rows that
 * the pivot's column does not meet are left out. In NumPy:
 *     D[others] += np.outer(column[others], row)
 */
#include "tableau.h"

#include "simd.h"

static void eliminate(struct sv_tableau *t, size_t pivot)
{
    size_t n = t->columns;
    for (size_t i = 0; i < t->rows; i++) {
        if (i == pivot || t->column[i] == 0)
            continue;
        double *d = t->D + i * n;
        const vreal by = v_set1(t->column[i]);
        size_t k = 0;
        for (; k + 2 * SV_W <= n; k += 2 * SV_W) {
            vreal first = v_fma(by, v_load(t->row + k), v_load(d + k));
            vreal second = v_fma(by, v_load(t->row + k + SV_W), v_load(d + k + SV_W));
            v_store(d + k, first);
            v_store(d + k + SV_W, second);
        }
        for (; k < n; k += SV_W)
            v_store_some(d + k, v_fma(by, v_load_some(t->row + k, n - k, 0), v_load_some(d + k, n - k, 0)), n - k);
    }
}

const struct tableau_kernels SV_TABLE(tableau_kernels) = {eliminate};
