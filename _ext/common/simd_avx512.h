/* AVX-512 (x86-64-v4): 512-bit vectors, masks for tails, VSCALEF for powers of two. */
#include <immintrin.h>

#define V_HAS_SCALEF 1
#define V_HAS_FMA 1
#define V_HAS_LOOKUP 1
#define V_HAS_REDUCE 1

#if SV_REAL == 32

#define SV_W 16
typedef __m512 vreal;
static inline __mmask16 v_first(size_t k) { return (__mmask16)((1u << k) - 1u); }
static inline vreal v_set1(real x) { return _mm512_set1_ps(x); }
static inline vreal v_load(const real *p) { return _mm512_loadu_ps(p); }
static inline vreal v_keep(vreal v, size_t k, real fill) { return _mm512_mask_mov_ps(v_set1(fill), v_first(k), v); }
static inline vreal v_load_n(const real *p, size_t k, real fill)
{
    return _mm512_mask_loadu_ps(v_set1(fill), v_first(k), p);
}
static inline void v_store(real *p, vreal v) { _mm512_storeu_ps(p, v); }
static inline void v_store_n(real *p, vreal v, size_t k) { _mm512_mask_storeu_ps(p, v_first(k), v); }
static inline void v_stream(real *p, vreal v) { _mm512_stream_ps(p, v); }
static inline vreal v_add(vreal a, vreal b) { return _mm512_add_ps(a, b); }
static inline vreal v_sub(vreal a, vreal b) { return _mm512_sub_ps(a, b); }
static inline vreal v_mul(vreal a, vreal b) { return _mm512_mul_ps(a, b); }
static inline vreal v_fma(vreal a, vreal b, vreal c) { return _mm512_fmadd_ps(a, b, c); }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vreal v_div(vreal a, vreal b) { return _mm512_div_ps(a, b); }
static inline vreal v_max(vreal a, vreal b) { return _mm512_max_ps(a, b); }
static inline vreal v_min(vreal a, vreal b) { return _mm512_min_ps(a, b); }
static inline vreal v_if_equal(vreal v, vreal value, vreal yes, vreal no)
{
    return _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask(v, value, _CMP_EQ_OQ), yes);
}
static inline unsigned v_at_least(vreal v, vreal w) { return _mm512_cmp_ps_mask(v, w, _CMP_GE_OQ); }
typedef __mmask16 v_mask;
static inline v_mask v_not_below(vreal v, vreal bound) { return _mm512_cmp_ps_mask(v, bound, _CMP_NLT_UQ); }
static inline vreal v_with_strays(vreal strays, vreal v, vreal w)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(strays), _mm512_castps_si512(v),
                                                         _mm512_castps_si512(w), 0xF6));
}
static inline unsigned v_strays_above(vreal strays, int bits)
{
    return _mm512_test_epi32_mask(_mm512_castps_si512(strays), _mm512_set1_epi32((int)(~0U << bits)));
}
static inline vreal v_stray_where(v_mask mask, vreal strays)
{
    return _mm512_mask_mov_ps(strays, mask, _mm512_castsi512_ps(_mm512_set1_epi32(-1)));
}
static inline vreal v_masked(vreal v, v_mask mask) { return _mm512_maskz_mov_ps(mask, v); }
static inline vreal v_min_where(v_mask mask, vreal a, vreal b) { return _mm512_mask_min_ps(a, mask, a, b); }
static inline vreal v_up(vreal v, vreal below, int k)
{
    __m512i a = _mm512_castps_si512(v), b = _mm512_castps_si512(below);
    return _mm512_castsi512_ps(k == 1   ? _mm512_alignr_epi32(a, b, 15)
                               : k == 2 ? _mm512_alignr_epi32(a, b, 14)
                               : k == 4 ? _mm512_alignr_epi32(a, b, 12)
                                        : _mm512_alignr_epi32(a, b, 8));
}
static inline vreal v_down(vreal v, vreal above, int k)
{
    __m512i a = _mm512_castps_si512(above), b = _mm512_castps_si512(v);
    return _mm512_castsi512_ps(k == 1   ? _mm512_alignr_epi32(a, b, 1)
                               : k == 2 ? _mm512_alignr_epi32(a, b, 2)
                               : k == 4 ? _mm512_alignr_epi32(a, b, 4)
                                        : _mm512_alignr_epi32(a, b, 8));
}
static inline vreal v_rint(vreal a) { return _mm512_roundscale_ps(a, 8); }
static inline vreal v_ldexp(vreal p, vreal d) { return _mm512_scalef_ps(p, d); }
static inline vreal v_choose(vreal a, vreal b, const int32_t *lanes)
{
    return _mm512_permutex2var_ps(a, _mm512_loadu_si512(lanes), b);
}
static inline real v_sum_lanes(vreal v) { return _mm512_reduce_add_ps(v); }
static inline double v_sum_wide(vreal v)
{
    return _mm512_reduce_add_pd(_mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(v)),
                                              _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))));
}
static inline real v_max_lanes(vreal v) { return _mm512_reduce_max_ps(v); }
static inline vreal v_add_bits(vreal a, vreal b, int shift)
{
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32(_mm512_castps_si512(b), shift)));
}
typedef struct {
    vreal all;
} v_table16;
static inline v_table16 v_load_table(const real *table) { return (v_table16){v_load(table)}; }
static inline vreal v_lookup(v_table16 table, vreal bits)
{
    return _mm512_permutexvar_ps(_mm512_castps_si512(bits), table.all);
}

#else

#define SV_W 8
typedef __m512d vreal;
static inline __mmask8 v_first(size_t k) { return (__mmask8)((1u << k) - 1u); }
static inline vreal v_set1(real x) { return _mm512_set1_pd(x); }
static inline vreal v_load(const real *p) { return _mm512_loadu_pd(p); }
static inline vreal v_keep(vreal v, size_t k, real fill) { return _mm512_mask_mov_pd(v_set1(fill), v_first(k), v); }
static inline vreal v_load_n(const real *p, size_t k, real fill)
{
    return _mm512_mask_loadu_pd(v_set1(fill), v_first(k), p);
}
/* How many bits two rows of words have in common: nibbles are looked up. */
#define V_HAS_COMMON 1
static inline int64_t v_common(const uint64_t *a, const uint64_t *b, size_t words)
{
    const __m512i bits = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i low = _mm512_set1_epi8(15), none = _mm512_setzero_si512();
    __m512i sum = none;
    for (size_t k = 0; k < words; k += 8) {
        __mmask8 some = words - k < 8 ? v_first(words - k) : v_first(8);
        __m512i both = _mm512_and_si512(_mm512_maskz_loadu_epi64(some, a + k), _mm512_maskz_loadu_epi64(some, b + k));
        __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
        __m512i count = _mm512_add_epi8(_mm512_shuffle_epi8(bits, _mm512_and_si512(both, low)),
                                        _mm512_shuffle_epi8(bits, high));
        sum = _mm512_add_epi64(sum, _mm512_sad_epu8(count, none));
    }
    return _mm512_reduce_add_epi64(sum);
}
static inline vreal v_load_float(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static inline void v_store_float(float *p, vreal v) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(v)); }
/* Eight loads: the gather instruction takes two to three times as long on many CPUs. */
static inline __m256d v_gather_half(const real *p, const int32_t *at)
{
    __m128d low = _mm_loadh_pd(_mm_load_sd(p + at[0]), p + at[1]);
    __m128d high = _mm_loadh_pd(_mm_load_sd(p + at[2]), p + at[3]);
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(low), high, 1);
}
static inline vreal v_gather(const real *p, const int32_t *at)
{
    return _mm512_insertf64x4(_mm512_castpd256_pd512(v_gather_half(p, at)), v_gather_half(p, at + 4), 1);
}
static inline void v_store(real *p, vreal v) { _mm512_storeu_pd(p, v); }
static inline void v_store_n(real *p, vreal v, size_t k) { _mm512_mask_storeu_pd(p, v_first(k), v); }
static inline void v_stream(real *p, vreal v) { _mm512_stream_pd(p, v); }
static inline vreal v_add(vreal a, vreal b) { return _mm512_add_pd(a, b); }
static inline vreal v_sub(vreal a, vreal b) { return _mm512_sub_pd(a, b); }
static inline vreal v_mul(vreal a, vreal b) { return _mm512_mul_pd(a, b); }
static inline vreal v_fma(vreal a, vreal b, vreal c) { return _mm512_fmadd_pd(a, b, c); }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return _mm512_fnmadd_pd(a, b, c); }
static inline vreal v_max(vreal a, vreal b) { return _mm512_max_pd(a, b); }
static inline vreal v_min(vreal a, vreal b) { return _mm512_min_pd(a, b); }
static inline vreal v_if_equal(vreal v, vreal value, vreal yes, vreal no)
{
    return _mm512_mask_mov_pd(no, _mm512_cmp_pd_mask(v, value, _CMP_EQ_OQ), yes);
}
static inline unsigned v_at_least(vreal v, vreal w) { return _mm512_cmp_pd_mask(v, w, _CMP_GE_OQ); }
typedef __mmask8 v_mask;
static inline v_mask v_not_below(vreal v, vreal bound) { return _mm512_cmp_pd_mask(v, bound, _CMP_NLT_UQ); }
static inline vreal v_with_strays(vreal strays, vreal v, vreal w)
{
    return _mm512_castsi512_pd(_mm512_ternarylogic_epi64(_mm512_castpd_si512(strays), _mm512_castpd_si512(v),
                                                         _mm512_castpd_si512(w), 0xF6));
}
static inline unsigned v_strays_above(vreal strays, int bits)
{
    return _mm512_test_epi64_mask(_mm512_castpd_si512(strays), _mm512_set1_epi64((long long)(~0ULL << bits)));
}
static inline vreal v_stray_where(v_mask mask, vreal strays)
{
    return _mm512_mask_mov_pd(strays, mask, _mm512_castsi512_pd(_mm512_set1_epi64(-1)));
}
static inline vreal v_masked(vreal v, v_mask mask) { return _mm512_maskz_mov_pd(mask, v); }
static inline vreal v_min_where(v_mask mask, vreal a, vreal b) { return _mm512_mask_min_pd(a, mask, a, b); }
static inline vreal v_up(vreal v, vreal below, int k)
{
    __m512i a = _mm512_castpd_si512(v), b = _mm512_castpd_si512(below);
    return _mm512_castsi512_pd(k == 1   ? _mm512_alignr_epi64(a, b, 7)
                               : k == 2 ? _mm512_alignr_epi64(a, b, 6)
                                        : _mm512_alignr_epi64(a, b, 4));
}
static inline vreal v_down(vreal v, vreal above, int k)
{
    __m512i a = _mm512_castpd_si512(above), b = _mm512_castpd_si512(v);
    return _mm512_castsi512_pd(k == 1   ? _mm512_alignr_epi64(a, b, 1)
                               : k == 2 ? _mm512_alignr_epi64(a, b, 2)
                                        : _mm512_alignr_epi64(a, b, 4));
}
static inline vreal v_first_lane(vreal v) { return _mm512_broadcastsd_pd(_mm512_castpd512_pd128(v)); }
static inline vreal v_last_lane(vreal v) { return _mm512_permutexvar_pd(_mm512_set1_epi64(7), v); }
static inline vreal v_rint(vreal a) { return _mm512_roundscale_pd(a, 8); }
static inline vreal v_sqrt(vreal a) { return _mm512_sqrt_pd(a); }
static inline vreal v_abs(vreal a) { return _mm512_abs_pd(a); }
static inline vreal v_div(vreal a, vreal b) { return _mm512_div_pd(a, b); }
static inline vreal v_exponent(vreal a) { return _mm512_getexp_pd(a); }
static inline vreal v_mantissa(vreal a) { return _mm512_getmant_pd(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero); }
static inline vreal v_ldexp(vreal p, vreal d) { return _mm512_scalef_pd(p, d); }
static inline vreal v_ldexp_where(v_mask mask, vreal p, vreal d) { return _mm512_maskz_scalef_pd(mask, p, d); }
static inline vreal v_add_down(vreal a, vreal b)
{
    return _mm512_add_round_pd(a, b, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
static inline vreal v_above_sixteenth(vreal a) { return _mm512_reduce_pd(a, 4 << 4 | _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
static inline void v_store_float_where(v_mask mask, float *p, vreal v) { _mm256_storeu_ps(p, _mm512_maskz_cvtpd_ps(mask, v)); }
static inline vreal v_choose(vreal a, vreal b, const int64_t *lanes)
{
    return _mm512_permutex2var_pd(a, _mm512_loadu_si512(lanes), b);
}
static inline real v_sum_lanes(vreal v) { return _mm512_reduce_add_pd(v); }
static inline double v_sum_wide(vreal v) { return _mm512_reduce_add_pd(v); }
static inline real v_max_lanes(vreal v) { return _mm512_reduce_max_pd(v); }
static inline vreal v_add_bits(vreal a, vreal b, int shift)
{
    return _mm512_castsi512_pd(
        _mm512_add_epi64(_mm512_castpd_si512(a), _mm512_slli_epi64(_mm512_castpd_si512(b), shift)));
}
typedef struct {
    vreal low, high;
} v_table16;
static inline v_table16 v_load_table(const real *table) { return (v_table16){v_load(table), v_load(table + 8)}; }
static inline vreal v_lookup(v_table16 table, vreal bits)
{
    return _mm512_permutex2var_pd(table.low, _mm512_castpd_si512(bits), table.high);
}

#endif

static inline void v_stream_fence(void) { _mm_sfence(); }

/* v[k], lane i becomes v[i], lane k: blocks of lanes change places between vectors, of one lane at first. */
#define V_HAS_TRANSPOSE 1
#if SV_REAL == 32
enum { TRANSPOSE_STEPS = 4 };
#define V_LANES(f, step)                                                                                            \
    {f(0, step), f(1, step), f(2, step),  f(3, step),  f(4, step),  f(5, step),  f(6, step),  f(7, step),           \
     f(8, step), f(9, step), f(10, step), f(11, step), f(12, step), f(13, step), f(14, step), f(15, step)}
typedef int32_t v_lane;
#else
enum { TRANSPOSE_STEPS = 3 };
#define V_LANES(f, step)                                                                                            \
    {f(0, step), f(1, step), f(2, step), f(3, step), f(4, step), f(5, step), f(6, step), f(7, step)}
typedef int64_t v_lane;
#endif
#define V_FROM_LOW(i, step) ((i) & (step) ? SV_W + (i) - (step) : (i))
#define V_FROM_HIGH(i, step) ((i) & (step) ? SV_W + (i) : (i) + (step))
static const v_lane V_LOW[4][SV_W] = {V_LANES(V_FROM_LOW, 1), V_LANES(V_FROM_LOW, 2), V_LANES(V_FROM_LOW, 4),
                                      V_LANES(V_FROM_LOW, 8)};
static const v_lane V_HIGH[4][SV_W] = {V_LANES(V_FROM_HIGH, 1), V_LANES(V_FROM_HIGH, 2), V_LANES(V_FROM_HIGH, 4),
                                       V_LANES(V_FROM_HIGH, 8)};
static inline void v_transpose(vreal v[SV_W])
{
#pragma GCC unroll 4
    for (int s = 0; s < TRANSPOSE_STEPS; s++)
#pragma GCC unroll 16
        for (int k = 0; k < SV_W; k++)
            if (!(k & 1 << s)) {
                vreal a = v[k], b = v[k + (1 << s)];
                v[k] = v_choose(a, b, V_LOW[s]);
                v[k + (1 << s)] = v_choose(a, b, V_HIGH[s]);
            }
}

/* Lane k becomes the maximum, or the sum, over the lanes of v[k]: in two operations a vector and step, not in log2(SV_W)
 * for each. */
INLINE vreal v_fold(const vreal from[SV_W], vreal (*join)(vreal, vreal))
{
    vreal v[SV_W];
    for (int k = 0; k < SV_W; k++)
        v[k] = from[k];
#pragma GCC unroll 4
    for (int s = 0; s < TRANSPOSE_STEPS; s++)
#pragma GCC unroll 16
        for (int k = 0; k < SV_W; k += 2 << s) {
            vreal a = v[k], b = v[k + (1 << s)];
            v[k] = join(v_choose(a, b, V_LOW[s]), v_choose(a, b, V_HIGH[s]));
        }
    return v[0];
}
