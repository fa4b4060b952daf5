/* AVX2 + FMA (x86-64-v3): 256-bit vectors, sign-bit masks for tails. */
#include <immintrin.h>

#define V_HAS_FMA 1

#if SV_REAL == 32

#define SV_W 8
typedef __m256 vreal;
static inline __m256i v_first(size_t k)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)k), lane);
}
static inline vreal v_set1(real x) { return _mm256_set1_ps(x); }
static inline vreal v_load(const real *p) { return _mm256_loadu_ps(p); }
static inline vreal v_keep(vreal v, size_t k, real fill)
{
    return _mm256_blendv_ps(v_set1(fill), v, _mm256_castsi256_ps(v_first(k)));
}
static inline vreal v_load_n(const real *p, size_t k, real fill)
{
    __m256i mask = v_first(k);
    return _mm256_blendv_ps(v_set1(fill), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
}
static inline void v_store(real *p, vreal v) { _mm256_storeu_ps(p, v); }
static inline void v_store_n(real *p, vreal v, size_t k) { _mm256_maskstore_ps(p, v_first(k), v); }
static inline void v_stream(real *p, vreal v) { _mm256_stream_ps(p, v); }
static inline vreal v_add(vreal a, vreal b) { return _mm256_add_ps(a, b); }
static inline vreal v_sub(vreal a, vreal b) { return _mm256_sub_ps(a, b); }
static inline vreal v_mul(vreal a, vreal b) { return _mm256_mul_ps(a, b); }
static inline vreal v_fma(vreal a, vreal b, vreal c) { return _mm256_fmadd_ps(a, b, c); }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vreal v_div(vreal a, vreal b) { return _mm256_div_ps(a, b); }
static inline vreal v_max(vreal a, vreal b) { return _mm256_max_ps(a, b); }
static inline vreal v_min(vreal a, vreal b) { return _mm256_min_ps(a, b); }
static inline vreal v_if_equal(vreal v, vreal value, vreal yes, vreal no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(v, value, _CMP_EQ_OQ));
}
static inline unsigned v_at_least(vreal v, vreal w)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, w, _CMP_GE_OQ));
}
static inline vreal v_rint(vreal a) { return _mm256_round_ps(a, 8); }
static inline vreal v_shift_to_exponent(vreal magic_sum)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(magic_sum), R_MANTISSA_BITS));
}
static inline vreal v_add_bits(vreal a, vreal b, int shift)
{
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_castps_si256(b), shift)));
}

#else

#define SV_W 4
typedef __m256d vreal;
static inline __m256i v_first(size_t k)
{
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)k), lane);
}
static inline vreal v_set1(real x) { return _mm256_set1_pd(x); }
static inline vreal v_load(const real *p) { return _mm256_loadu_pd(p); }
static inline vreal v_keep(vreal v, size_t k, real fill)
{
    return _mm256_blendv_pd(v_set1(fill), v, _mm256_castsi256_pd(v_first(k)));
}
static inline vreal v_load_n(const real *p, size_t k, real fill)
{
    __m256i mask = v_first(k);
    return _mm256_blendv_pd(v_set1(fill), _mm256_maskload_pd(p, mask), _mm256_castsi256_pd(mask));
}
static inline vreal v_load_float(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
static inline void v_store_float(float *p, vreal v) { _mm_storeu_ps(p, _mm256_cvtpd_ps(v)); }
/* Four loads: the gather instruction takes longer on many CPUs. */
static inline vreal v_gather(const real *p, const int32_t *at)
{
    __m128d low = _mm_loadh_pd(_mm_load_sd(p + at[0]), p + at[1]);
    __m128d high = _mm_loadh_pd(_mm_load_sd(p + at[2]), p + at[3]);
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(low), high, 1);
}
static inline void v_store(real *p, vreal v) { _mm256_storeu_pd(p, v); }
static inline void v_store_n(real *p, vreal v, size_t k) { _mm256_maskstore_pd(p, v_first(k), v); }
static inline void v_stream(real *p, vreal v) { _mm256_stream_pd(p, v); }
static inline vreal v_add(vreal a, vreal b) { return _mm256_add_pd(a, b); }
static inline vreal v_sub(vreal a, vreal b) { return _mm256_sub_pd(a, b); }
static inline vreal v_mul(vreal a, vreal b) { return _mm256_mul_pd(a, b); }
static inline vreal v_fma(vreal a, vreal b, vreal c) { return _mm256_fmadd_pd(a, b, c); }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return _mm256_fnmadd_pd(a, b, c); }
static inline vreal v_max(vreal a, vreal b) { return _mm256_max_pd(a, b); }
static inline vreal v_min(vreal a, vreal b) { return _mm256_min_pd(a, b); }
static inline vreal v_if_equal(vreal v, vreal value, vreal yes, vreal no)
{
    return _mm256_blendv_pd(no, yes, _mm256_cmp_pd(v, value, _CMP_EQ_OQ));
}
static inline unsigned v_at_least(vreal v, vreal w)
{
    return (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(v, w, _CMP_GE_OQ));
}
static inline vreal v_up(vreal v, vreal below, int k)
{
    vreal two = _mm256_permute2f128_pd(below, v, 0x21);
    return k == 2 ? two : _mm256_shuffle_pd(two, v, 0x5);
}
static inline vreal v_down(vreal v, vreal above, int k)
{
    vreal two = _mm256_permute2f128_pd(v, above, 0x21);
    return k == 2 ? two : _mm256_shuffle_pd(v, two, 0x5);
}
static inline vreal v_first_lane(vreal v) { return _mm256_broadcastsd_pd(_mm256_castpd256_pd128(v)); }
static inline vreal v_last_lane(vreal v) { return _mm256_permute4x64_pd(v, 0xff); }
static inline vreal v_rint(vreal a) { return _mm256_round_pd(a, 8); }
static inline vreal v_sqrt(vreal a) { return _mm256_sqrt_pd(a); }
static inline vreal v_abs(vreal a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
static inline vreal v_div(vreal a, vreal b) { return _mm256_div_pd(a, b); }
static inline vreal v_exponent(vreal a)
{
    vreal field = _mm256_castsi256_pd(_mm256_srli_epi64(_mm256_castpd_si256(a), R_MANTISSA_BITS));
    return v_sub(_mm256_or_pd(field, v_set1(0x1p52)), v_set1(0x1p52 + R_EXPONENT_BIAS));
}
static inline vreal v_mantissa(vreal a)
{
    const vreal exponent = v_set1(INFINITY); /* its bits are those of the exponent */
    return _mm256_or_pd(_mm256_andnot_pd(exponent, a), v_set1(1));
}
static inline vreal v_shift_to_exponent(vreal magic_sum)
{
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(magic_sum), R_MANTISSA_BITS));
}
static inline vreal v_add_bits(vreal a, vreal b, int shift)
{
    return _mm256_castsi256_pd(
        _mm256_add_epi64(_mm256_castpd_si256(a), _mm256_slli_epi64(_mm256_castpd_si256(b), shift)));
}

#endif

static inline void v_stream_fence(void) { _mm_sfence(); }
