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
static inline vreal v_max(vreal a, vreal b) { return _mm512_max_ps(a, b); }
static inline vreal v_rint(vreal a) { return _mm512_roundscale_ps(a, 8); }
static inline vreal v_power_of_two(vreal d) { return _mm512_scalef_ps(v_set1(1), d); }
static inline vreal v_ldexp(vreal p, vreal d) { return _mm512_scalef_ps(p, d); }
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
static inline vreal v_load_float(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static inline void v_store(real *p, vreal v) { _mm512_storeu_pd(p, v); }
static inline void v_store_n(real *p, vreal v, size_t k) { _mm512_mask_storeu_pd(p, v_first(k), v); }
static inline void v_stream(real *p, vreal v) { _mm512_stream_pd(p, v); }
static inline vreal v_add(vreal a, vreal b) { return _mm512_add_pd(a, b); }
static inline vreal v_sub(vreal a, vreal b) { return _mm512_sub_pd(a, b); }
static inline vreal v_mul(vreal a, vreal b) { return _mm512_mul_pd(a, b); }
static inline vreal v_fma(vreal a, vreal b, vreal c) { return _mm512_fmadd_pd(a, b, c); }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return _mm512_fnmadd_pd(a, b, c); }
static inline vreal v_max(vreal a, vreal b) { return _mm512_max_pd(a, b); }
static inline vreal v_rint(vreal a) { return _mm512_roundscale_pd(a, 8); }
static inline vreal v_sqrt(vreal a) { return _mm512_sqrt_pd(a); }
static inline vreal v_abs(vreal a) { return _mm512_abs_pd(a); }
static inline vreal v_power_of_two(vreal d) { return _mm512_scalef_pd(v_set1(1), d); }
static inline vreal v_ldexp(vreal p, vreal d) { return _mm512_scalef_pd(p, d); }
static inline vreal v_ldexp_floor(vreal p, vreal d) { return _mm512_scalef_pd(p, d); }
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
