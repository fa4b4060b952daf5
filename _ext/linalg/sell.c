/* Sweeps, products and triangular solves in the order of groups of independent rows: see sell.h.
 *
 * Bytes a row of z/n entries off the diagonal: 8.5 z/n where neighbours stand side by side (a base of 4 bytes for eight
 * values; 12 z/n where gathered) + 4 (chunk) + 32 (b, 1/diagonal, x read and written), plus padding; flops 2 z/n + 3.
 * Bound by memory once the matrix is larger than the caches; in them, by two loads an FMA of eight lanes. Measured
 * (AVX-512, one thread): 5 points on 1024^2 at 22 GB/s of these bytes, on 256^2 in 0.4 of the time of a product with
 * the rows.
 * Unknowns of a group depend on those of earlier groups alone, so eight rows go in one vector and the latency of the
 * recurrence is paid once a group.
 * Accuracy: each row sum within z_i + 3 ulp of the largest partial sum.
 * In NumPy, forward: for g in groups: x[g] += omega * (b[g] - A[g] @ x) / A.diagonal()[g]
 */
#include "sell.h"

#include "simd.h"

enum { V = SV_CHUNK / SV_W };

/* One number a row of a chunk. */
typedef struct {
    vreal v[V];
} rows8;

#define EACH _Pragma("GCC unroll 8") for (int k = 0; k < V; k++)

INLINE rows8 rows_load(const double *p)
{
    rows8 r;
    EACH r.v[k] = v_load(p + k * SV_W);
    return r;
}

INLINE void rows_store(double *p, rows8 r)
{
    EACH v_store(p + k * SV_W, r.v[k]);
}

INLINE rows8 rows_zero(void)
{
    rows8 r;
    EACH r.v[k] = v_set1(0);
    return r;
}

/* a b + c */
INLINE rows8 rows_fma(rows8 a, rows8 b, rows8 c)
{
    EACH c.v[k] = v_fma(a.v[k], b.v[k], c.v[k]);
    return c;
}

INLINE rows8 rows_scaled(double factor, rows8 a)
{
    EACH a.v[k] = v_mul(v_set1(factor), a.v[k]);
    return a;
}

INLINE rows8 rows_times(rows8 a, rows8 b)
{
    EACH a.v[k] = v_mul(a.v[k], b.v[k]);
    return a;
}

INLINE rows8 rows_plus(rows8 a, rows8 b)
{
    EACH a.v[k] = v_add(a.v[k], b.v[k]);
    return a;
}

INLINE rows8 rows_minus(rows8 a, rows8 b)
{
    EACH a.v[k] = v_sub(a.v[k], b.v[k]);
    return a;
}

INLINE vreal values_f64(const double *p) { return v_load(p); }
INLINE vreal values_f32(const float *p) { return v_load_float(p); }

#define NAME(operation) NAME_(operation, VALUE_BITS)
#define NAME_(operation, value) NAME__(operation, value)
#define NAME__(operation, value) operation##_f##value

#define ROWS_FILE "sell_rows.h"
#include "each_value.h"

const struct sv_operand_kernels *const SV_TABLE(sell_kernels)[2] = {&kernels_f64, &kernels_f32};
