/* SSE4.2 (x86-64-v2): 128-bit vectors, no FMA; tails go through a small buffer. */
#include <nmmintrin.h>

#if SV_REAL == 32

#define SV_W 4
typedef __m128 vreal;
static inline vreal v_set1(real x) { return _mm_set1_ps(x); }
static inline vreal v_load(const real *p) { return _mm_loadu_ps(p); }
static inline void v_store(real *p, vreal v) { _mm_storeu_ps(p, v); }
static inline void v_stream(real *p, vreal v) { _mm_stream_ps(p, v); }
static inline vreal v_add(vreal a, vreal b) { return _mm_add_ps(a, b); }
static inline vreal v_sub(vreal a, vreal b) { return _mm_sub_ps(a, b); }
static inline vreal v_mul(vreal a, vreal b) { return _mm_mul_ps(a, b); }
static inline vreal v_div(vreal a, vreal b) { return _mm_div_ps(a, b); }
static inline vreal v_max(vreal a, vreal b) { return _mm_max_ps(a, b); }
static inline vreal v_min(vreal a, vreal b) { return _mm_min_ps(a, b); }
static inline vreal v_if_equal(vreal v, vreal value, vreal yes, vreal no)
{
    return _mm_blendv_ps(no, yes, _mm_cmpeq_ps(v, value));
}
static inline unsigned v_at_least(vreal v, vreal w) { return (unsigned)_mm_movemask_ps(_mm_cmpge_ps(v, w)); }
static inline vreal v_rint(vreal a) { return _mm_round_ps(a, 8); }
static inline vreal v_shift_to_exponent(vreal magic_sum)
{
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(magic_sum), R_MANTISSA_BITS));
}
static inline vreal v_add_bits(vreal a, vreal b, int shift)
{
    return _mm_castsi128_ps(
        _mm_add_epi32(_mm_castps_si128(a), _mm_slli_epi32(_mm_castps_si128(b), shift)));
}

#else

#define SV_W 2
typedef __m128d vreal;
static inline vreal v_set1(real x) { return _mm_set1_pd(x); }
static inline vreal v_load(const real *p) { return _mm_loadu_pd(p); }
static inline vreal v_load_float(const float *p) { return _mm_set_pd(p[1], p[0]); }
static inline void v_store_float(float *p, vreal v) { _mm_storel_pi((__m64 *)p, _mm_cvtpd_ps(v)); }
static inline vreal v_gather(const real *p, const int32_t *at)
{
    return _mm_loadh_pd(_mm_load_sd(p + at[0]), p + at[1]);
}
static inline void v_store(real *p, vreal v) { _mm_storeu_pd(p, v); }
static inline void v_stream(real *p, vreal v) { _mm_stream_pd(p, v); }
static inline vreal v_add(vreal a, vreal b) { return _mm_add_pd(a, b); }
static inline vreal v_sub(vreal a, vreal b) { return _mm_sub_pd(a, b); }
static inline vreal v_mul(vreal a, vreal b) { return _mm_mul_pd(a, b); }
static inline vreal v_max(vreal a, vreal b) { return _mm_max_pd(a, b); }
static inline vreal v_min(vreal a, vreal b) { return _mm_min_pd(a, b); }
static inline vreal v_if_equal(vreal v, vreal value, vreal yes, vreal no)
{
    return _mm_blendv_pd(no, yes, _mm_cmpeq_pd(v, value));
}
static inline unsigned v_at_least(vreal v, vreal w) { return (unsigned)_mm_movemask_pd(_mm_cmpge_pd(v, w)); }
static inline vreal v_up(vreal v, vreal below, int k) { return (void)k, _mm_shuffle_pd(below, v, 0x1); }
static inline vreal v_down(vreal v, vreal above, int k) { return (void)k, _mm_shuffle_pd(v, above, 0x1); }
static inline vreal v_first_lane(vreal v) { return _mm_unpacklo_pd(v, v); }
static inline vreal v_last_lane(vreal v) { return _mm_unpackhi_pd(v, v); }
static inline vreal v_rint(vreal a) { return _mm_round_pd(a, 8); }
static inline vreal v_sqrt(vreal a) { return _mm_sqrt_pd(a); }
static inline vreal v_abs(vreal a) { return _mm_andnot_pd(_mm_set1_pd(-0.0), a); }
static inline vreal v_div(vreal a, vreal b) { return _mm_div_pd(a, b); }
static inline vreal v_exponent(vreal a)
{
    vreal field = _mm_castsi128_pd(_mm_srli_epi64(_mm_castpd_si128(a), R_MANTISSA_BITS));
    return v_sub(_mm_or_pd(field, v_set1(0x1p52)), v_set1(0x1p52 + R_EXPONENT_BIAS));
}
static inline vreal v_mantissa(vreal a)
{
    const vreal exponent = v_set1(INFINITY); /* its bits are those of the exponent */
    return _mm_or_pd(_mm_andnot_pd(exponent, a), v_set1(1));
}
static inline vreal v_shift_to_exponent(vreal magic_sum)
{
    return _mm_castsi128_pd(_mm_slli_epi64(_mm_castpd_si128(magic_sum), R_MANTISSA_BITS));
}
static inline vreal v_add_bits(vreal a, vreal b, int shift)
{
    return _mm_castsi128_pd(
        _mm_add_epi64(_mm_castpd_si128(a), _mm_slli_epi64(_mm_castpd_si128(b), shift)));
}

#endif

static inline vreal v_fma(vreal a, vreal b, vreal c) { return v_add(v_mul(a, b), c); }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return v_sub(c, v_mul(a, b)); }
static inline vreal v_load_n(const real *p, size_t k, real fill)
{
    real lane[SV_W];
    for (size_t i = 0; i < SV_W; i++)
        lane[i] = i < k ? p[i] : fill;
    return v_load(lane);
}
static inline vreal v_keep(vreal v, size_t k, real fill)
{
    real lane[SV_W];
    v_store(lane, v);
    return v_load_n(lane, k, fill);
}
static inline void v_store_n(real *p, vreal v, size_t k)
{
    real lane[SV_W];
    v_store(lane, v);
    memcpy(p, lane, k * sizeof(real));
}
static inline void v_stream_fence(void) { _mm_sfence(); }
