/* The vector layer: one kernel source, every instruction set.
 *
 * A kernel file is compiled once per (level, float width) with SV_REAL = 32 or 64 and the level's
 * own compiler flags. It then sees:
 *
 *   real                      float or double
 *   vreal, SV_W               a vector of SV_W lanes of `real`
 *   v_load_n(p, k, fill)      the first k lanes from memory, `fill` in the others; reads nothing else
 *   v_keep(v, k, fill)        v's first k lanes, `fill` in the others
 *   v_max(a, b)               returns b where either is NaN (the x86 rule): write v_max(limit, x)
 *   v_if_equal(v, w, a, b)   a where v = w, else b
 *   v_at_least(v, w)          a bit for each lane, from the lowest: whether v >= w there
 *   v_exponent(v), v_mantissa(v)  float64, normal v > 0: v = mantissa 2^exponent, mantissa in [1, 2); finite or -inf
 *       for 0
 *   v_power_of_two(d)         without V_HAS_SCALEF: 2^d for integral d; below 2^-bias it may become 0
 *   v_up(v, below, k), v_down(v, above, k)  float64: v's lanes moved k = 1, 2, 4 < SV_W up (the last k of `below`
 *       come in), or down
 *   v_first_lane(v), v_last_lane(v)  float64: that lane in all
 *   v_ldexp(p, d)             p * 2^d for integral d in any range, subnormal results rounded (V_HAS_SCALEF: 2^floor(d))
 *   v_stream(p, v)            store past the cache; p aligned to a vector
 *   v_add_bits(a, b, shift)   the bits of a plus those of b << shift, as integers
 *   v_not_below(v, w)         where V_HAS_LOOKUP: a v_mask of the lanes where not v < w, NaNs among them; with it
 *       v_masked(v, mask)     0 in the other lanes,
 *       v_min_where(mask, a, b)  a there,
 *       v_with_strays(strays, v, w)  strays and the bits in which v and w differ,
 *       v_strays_above(strays, k)  a bit for each lane: whether there are any but the lowest k,
 *       v_stray_where(mask, strays)  all bits there,
 *       v_ldexp_where(mask, p, d)  float64: 0 there, and no time lost on what would underflow
 *       v_add_down(a, b), v_above_sixteenth(a)  float64: a + b rounded down, and a less the next 1/16 below it
 *   v_lookup(table, bits)     where V_HAS_LOOKUP: the entry of 16 that the low four bits of each lane name
 *   v_transpose(v)            where V_HAS_TRANSPOSE: SV_W vectors as a matrix, transposed
 *   v_fold(v, join)           there too: lane k is vector k joined over its lanes by v_max or v_add
 *   v_gather(p, at)           float64: p[at[k]] in lane k; at: int32
 *   r_fma(a, b, c)            of scalars: a b + c, rounded as v_fma rounds
 *   SV_TABLE(name)            the name of this build's table of entry points
 *
 * Everything here is `static inline`: an inline function with external linkage, compiled for
 * AVX-512, might be the copy that the linker keeps for all levels.
 */
#ifndef SOLVERS_SIMD_H
#define SOLVERS_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if SV_REAL == 32
typedef float real;
#define R_EXPONENT_BIAS 127
#define R_MANTISSA_BITS 23
#elif SV_REAL == 64
typedef double real;
#define R_EXPONENT_BIAS 1023
#define R_MANTISSA_BITS 52
#else
#error "compile kernel files with -DSV_REAL=32 or -DSV_REAL=64"
#endif

/* For functions whose arguments are constants at each call: one specialised copy a call. */
#define INLINE static inline __attribute__((always_inline))

#define SV_PASTE_(a, b, c) sv_##a##_f##b##_##c
#define SV_PASTE(a, b, c) SV_PASTE_(a, b, c)

#if defined(__AVX512F__) && defined(__AVX512DQ__) && !defined(SV_PLAIN_C)
#define SV_LEVEL avx512
#include "simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__) && !defined(SV_PLAIN_C)
#define SV_LEVEL avx2
#include "simd_avx2.h"
#elif defined(__SSE4_2__) && !defined(SV_PLAIN_C)
#define SV_LEVEL baseline
#include "simd_sse4.h"
#else
#define SV_LEVEL baseline
#include "simd_plain.h"
#endif

#define SV_TABLE(name) SV_PASTE(name, SV_REAL, SV_LEVEL)

#if defined(V_HAS_FMA) && SV_REAL == 64
#define r_fma(a, b, c) __builtin_fma(a, b, c)
#elif defined(V_HAS_FMA)
#define r_fma(a, b, c) __builtin_fmaf(a, b, c)
#else
#define r_fma(a, b, c) ((a) * (b) + (c))
#endif

/* Adding this number puts d + bias into the low mantissa bits of the sum, for integral d. */
#if SV_REAL == 32
#define V_EXPONENT_MAGIC (0x1.8p23f + 127.0f)
#else
#define V_EXPONENT_MAGIC (0x1.8p52 + 1023.0)
#endif

#ifndef V_HAS_SCALEF
static inline vreal v_power_of_two(vreal d)
{
    d = v_min(v_set1(R_EXPONENT_BIAS + 1), v_max(v_set1(-R_EXPONENT_BIAS), d)); /* 0 and inf at the ends */
    return v_shift_to_exponent(v_add(d, v_set1((real)V_EXPONENT_MAGIC)));
}

/* Two factors: the first keeps the product normal, the second rounds it once into the subnormals. At the lower end
 * both are 0: a product that underflows to it would take a hundred cycles. */
static inline vreal v_ldexp(vreal p, vreal d)
{
    const vreal magic = v_set1((real)V_EXPONENT_MAGIC);
    d = v_max(v_set1(-2 * R_EXPONENT_BIAS), v_min(v_set1(2 * R_EXPONENT_BIAS), d));
    vreal half = v_rint(v_mul(d, v_set1((real)0.5)));
    vreal first = v_shift_to_exponent(v_add(half, magic)), second = v_shift_to_exponent(v_add(v_sub(d, half), magic));
    return v_mul(v_mul(p, first), second);
}
#endif

/* A vector of what is left of an array, which may be more: `fill` past its end; and back. */
INLINE vreal v_load_some(const real *p, size_t left, real fill)
{
    return left >= SV_W ? v_load(p) : v_load_n(p, left, fill);
}

INLINE void v_store_some(real *p, vreal v, size_t left)
{
    if (left >= SV_W)
        v_store(p, v);
    else
        v_store_n(p, v, left);
}

/* Sum and maximum over the lanes, in a fixed tree; the sum of floats also in double. */
#ifndef V_HAS_REDUCE
static inline real v_sum_lanes(vreal v)
{
    real lane[SV_W];
    v_store(lane, v);
    for (int width = SV_W / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            lane[k] += lane[k + width];
    return lane[0];
}

static inline double v_sum_wide(vreal v)
{
    real lane[SV_W];
    double sum = 0;
    v_store(lane, v);
    for (int k = 0; k < SV_W; k++)
        sum += lane[k];
    return sum;
}

static inline real v_max_lanes(vreal v)
{
    real lane[SV_W];
    v_store(lane, v);
    for (int width = SV_W / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            lane[k] = lane[k + width] > lane[k] ? lane[k + width] : lane[k];
    return lane[0];
}
#endif

#endif
