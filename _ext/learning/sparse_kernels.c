/* Dots of sparse segments with a dense vector: see sparse.h.
 *
 * 12 bytes an entry are read, and one of x at a scattered place; 2 flops. The gathers bound it where x is in a near
 * cache, else memory. Two accumulators of a vector each; their order is that of the entries. In NumPy:
 *     out = np.add.reduceat(value * x[index], starts[:-1])
 */
#include "sparse.h"

#include "simd.h"

INLINE double dot(const int32_t *index, const double *value, const double *x, size_t count)
{
    vreal even = v_set1(0), odd = v_set1(0);
    size_t k = 0;
    for (; k + 2 * SV_W <= count; k += 2 * SV_W) {
        even = v_fma(v_load(value + k), v_gather(x, index + k), even);
        odd = v_fma(v_load(value + k + SV_W), v_gather(x, index + k + SV_W), odd);
    }
    if (k + SV_W <= count) {
        even = v_fma(v_load(value + k), v_gather(x, index + k), even);
        k += SV_W;
    }
    double sum = k ? v_sum_lanes(v_add(even, odd)) : 0;
    for (; k < count; k++)
        sum = r_fma(value[k], x[index[k]], sum);
    return sum;
}

static void gather(const struct sv_compressed *X, size_t count, const int32_t *list, const double *x, double *out)
{
    for (size_t k = 0; k < count; k++) {
        size_t j = list ? (size_t)list[k] : k, from = (size_t)X->starts[j];
        out[k] = dot(X->index + from, X->value + from, x, (size_t)X->starts[j + 1] - from);
    }
}

const struct sparse_kernels SV_TABLE(sparse_kernels) = {gather};
