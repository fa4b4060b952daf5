/* The dot of a sparse segment with a dense vector, for kernels at any level: two accumulators of a vector each, whose
 * order is that of the entries. 12 bytes an entry are read, and one of x at a scattered place; 2 flops. */
#ifndef SOLVERS_BLOCKS_SEGMENTS_H
#define SOLVERS_BLOCKS_SEGMENTS_H

#include "simd.h"

INLINE vreal widened(const double *value, const float *single, size_t k)
{
    return single ? v_load_float(single + k) : v_load(value + k);
}

/* Of entries in double precision, or in `single`, of which one is NULL where this is inlined. */
INLINE double stored_dot(const int32_t *index, const double *value, const float *single, const double *x, size_t count)
{
    vreal even = v_set1(0), odd = v_set1(0);
    size_t k = 0;
    for (; k + 2 * SV_W <= count; k += 2 * SV_W) {
        even = v_fma(widened(value, single, k), v_gather(x, index + k), even);
        odd = v_fma(widened(value, single, k + SV_W), v_gather(x, index + k + SV_W), odd);
    }
    if (k + SV_W <= count) {
        even = v_fma(widened(value, single, k), v_gather(x, index + k), even);
        k += SV_W;
    }
    double sum = k ? v_sum_lanes(v_add(even, odd)) : 0;
    for (; k < count; k++)
        sum = r_fma(single ? (double)single[k] : value[k], x[index[k]], sum);
    return sum;
}

INLINE double segment_dot(const int32_t *index, const double *value, const double *x, size_t count)
{
    return stored_dot(index, value, NULL, x, count);
}

INLINE double segment_dot_single(const int32_t *index, const float *single, const double *x, size_t count)
{
    return stored_dot(index, NULL, single, x, count);
}

#endif
