/* Of rows in which two kinds of numbers take turns, those of one kind.
 *
 *   v_load_pairs(p, s)         p[2k + s] in lane k, s = 0 or 1; may read the 2 SV_W + 1 numbers from p on
 *   v_store_pairs(p, v, w, s)  v's lanes to p[2k + s], w's to the others of 2 SV_W
 */
#ifndef SOLVERS_SIMD_PAIRS_H
#define SOLVERS_SIMD_PAIRS_H

#include "simd.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__) && !defined(SV_PLAIN_C)
#if SV_REAL == 32
static inline vreal v_load_pairs(const real *p, int s)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(v_load(p), _mm512_add_epi32(even, _mm512_set1_epi32(s)), v_load(p + 16));
}
static inline void v_store_pairs(real *p, vreal v, vreal w, int s)
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i turned = _mm512_xor_si512(low, _mm512_set1_epi32(s * 16)); /* of the other vector first */
    v_store(p, _mm512_permutex2var_ps(v, turned, w));
    v_store(p + 16, _mm512_permutex2var_ps(v, _mm512_add_epi32(turned, _mm512_set1_epi32(8)), w));
}
#else
static inline vreal v_load_pairs(const real *p, int s)
{
    const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    return _mm512_permutex2var_pd(v_load(p), _mm512_add_epi64(even, _mm512_set1_epi64(s)), v_load(p + 8));
}
static inline void v_store_pairs(real *p, vreal v, vreal w, int s)
{
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i turned = _mm512_xor_si512(low, _mm512_set1_epi64(s * 8)); /* of the other vector first */
    v_store(p, _mm512_permutex2var_pd(v, turned, w));
    v_store(p + 8, _mm512_permutex2var_pd(v, _mm512_add_epi64(turned, _mm512_set1_epi64(4)), w));
}
#endif

#elif defined(__AVX2__) && defined(__FMA__) && !defined(SV_PLAIN_C)
#if SV_REAL == 32
static inline vreal v_load_pairs(const real *p, int s)
{
    const __m256 mixed = _mm256_shuffle_ps(v_load(p + s), v_load(p + s + 8), 0x88);
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8));
}
static inline void v_store_pairs(real *p, vreal v, vreal w, int s)
{
    const vreal even = s ? w : v, odd = s ? v : w;
    const vreal low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    v_store(p, _mm256_permute2f128_ps(low, high, 0x20));
    v_store(p + 8, _mm256_permute2f128_ps(low, high, 0x31));
}
#else
static inline vreal v_load_pairs(const real *p, int s)
{
    return _mm256_permute4x64_pd(_mm256_unpacklo_pd(v_load(p + s), v_load(p + s + 4)), 0xd8);
}
static inline void v_store_pairs(real *p, vreal v, vreal w, int s)
{
    const vreal even = s ? w : v, odd = s ? v : w;
    const vreal low = _mm256_unpacklo_pd(even, odd), high = _mm256_unpackhi_pd(even, odd);
    v_store(p, _mm256_permute2f128_pd(low, high, 0x20));
    v_store(p + 4, _mm256_permute2f128_pd(low, high, 0x31));
}
#endif

#elif defined(__SSE4_2__) && !defined(SV_PLAIN_C)
#if SV_REAL == 32
static inline vreal v_load_pairs(const real *p, int s) { return _mm_shuffle_ps(v_load(p + s), v_load(p + s + 4), 0x88); }
static inline void v_store_pairs(real *p, vreal v, vreal w, int s)
{
    const vreal even = s ? w : v, odd = s ? v : w;
    v_store(p, _mm_unpacklo_ps(even, odd));
    v_store(p + 4, _mm_unpackhi_ps(even, odd));
}
#else
static inline vreal v_load_pairs(const real *p, int s) { return _mm_unpacklo_pd(v_load(p + s), v_load(p + s + 2)); }
static inline void v_store_pairs(real *p, vreal v, vreal w, int s)
{
    const vreal even = s ? w : v, odd = s ? v : w;
    v_store(p, _mm_unpacklo_pd(even, odd));
    v_store(p + 2, _mm_unpackhi_pd(even, odd));
}
#endif

#else
static inline vreal v_load_pairs(const real *p, int s) { return p[s]; }
static inline void v_store_pairs(real *p, vreal v, vreal w, int s) { p[s] = v, p[1 - s] = w; }
#endif

#endif
