/* The vector work of an iteration: see vectors.h. Each pass is bound by memory (8 bytes an element of each vector read
 * or written); sums run in four vectors of lanes, folded in a fixed tree. Rounding of a sum: about n/32 ulp at most of
 * the sum of magnitudes. In NumPy: x += alpha * v; r -= alpha * q; return np.sum(weights * r * r)
 */
#include "vectors.h"

#include "simd.h"

#define LANES 4

INLINE double folded(const vreal sum[LANES]) { return v_sum_lanes(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3]))); }

static double dot(size_t n, const double *x, const double *y)
{
    vreal sum[LANES] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    size_t k = 0;
    for (; k + LANES * SV_W <= n; k += LANES * SV_W)
        for (int lane = 0; lane < LANES; lane++)
            sum[lane] = v_fma(v_load(x + k + lane * SV_W), v_load(y + k + lane * SV_W), sum[lane]);
    for (; k < n; k += SV_W)
        sum[0] = v_fma(v_load_some(x + k, n - k, 0), v_load_some(y + k, n - k, 0), sum[0]);
    return folded(sum);
}

static void times(size_t n, const double *x, const double *y, double *z)
{
    for (size_t k = 0; k < n; k += SV_W)
        v_store_some(z + k, v_mul(v_load_some(x + k, n - k, 0), v_load_some(y + k, n - k, 0)), n - k);
}

INLINE vreal advanced(size_t k, size_t left, vreal alpha, const double *v, const double *q, const double *weights,
                      double *x, double *r, vreal sum)
{
    v_store_some(x + k, v_fma(alpha, v_load_some(v + k, left, 0), v_load_some(x + k, left, 0)), left);
    vreal residual = v_fnma(alpha, v_load_some(q + k, left, 0), v_load_some(r + k, left, 0));
    v_store_some(r + k, residual, left);
    vreal scaled = weights ? v_mul(v_load_some(weights + k, left, 0), residual) : residual;
    return v_fma(scaled, residual, sum);
}

static double advance(size_t n, double alpha, const double *v, const double *q, const double *weights, double *x,
                      double *r)
{
    const vreal a = v_set1(alpha);
    vreal sum[LANES] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    size_t k = 0;
    for (; k + LANES * SV_W <= n; k += LANES * SV_W)
        for (int lane = 0; lane < LANES; lane++)
            sum[lane] = advanced(k + lane * SV_W, SV_W, a, v, q, weights, x, r, sum[lane]);
    for (; k < n; k += SV_W)
        sum[0] = advanced(k, n - k, a, v, q, weights, x, r, sum[0]);
    return folded(sum);
}

static void direction(size_t n, double beta, const double *z, double *v)
{
    const vreal b = v_set1(beta);
    for (size_t k = 0; k < n; k += SV_W)
        v_store_some(v + k, v_fma(b, v_load_some(v + k, n - k, 0), v_load_some(z + k, n - k, 0)), n - k);
}

static void weighted_direction(size_t n, double beta, const double *weights, const double *z, double *v)
{
    const vreal b = v_set1(beta);
    for (size_t k = 0; k < n; k += SV_W) {
        vreal scaled = v_mul(v_load_some(weights + k, n - k, 0), v_load_some(z + k, n - k, 0));
        v_store_some(v + k, v_fma(b, v_load_some(v + k, n - k, 0), scaled), n - k);
    }
}

const struct vector_kernels SV_TABLE(vector_kernels) = {dot, times, advance, direction, weighted_direction};
