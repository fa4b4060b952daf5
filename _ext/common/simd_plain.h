/* Plain C for machines that are no x86-64: one lane, the compiler's own vectoriser does the rest. */
#define SV_W 1
typedef real vreal;

#if (SV_REAL == 32 && defined(FP_FAST_FMAF)) || (SV_REAL == 64 && defined(FP_FAST_FMA))
#define V_HAS_FMA 1
#if SV_REAL == 32
static inline vreal v_fma(vreal a, vreal b, vreal c) { return fmaf(a, b, c); }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return fmaf(-a, b, c); }
#else
static inline vreal v_fma(vreal a, vreal b, vreal c) { return fma(a, b, c); }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return fma(-a, b, c); }
#endif
#else
static inline vreal v_fma(vreal a, vreal b, vreal c) { return a * b + c; }
static inline vreal v_fnma(vreal a, vreal b, vreal c) { return c - a * b; }
#endif

static inline vreal v_set1(real x) { return x; }
static inline vreal v_load(const real *p) { return *p; }
static inline vreal v_load_n(const real *p, size_t k, real fill) { return k ? *p : fill; }
static inline vreal v_keep(vreal v, size_t k, real fill) { return k ? v : fill; }
static inline void v_store(real *p, vreal v) { *p = v; }
static inline void v_store_n(real *p, vreal v, size_t k)
{
    if (k)
        *p = v;
}
static inline void v_stream(real *p, vreal v) { *p = v; }
static inline void v_stream_fence(void) {}
static inline vreal v_add(vreal a, vreal b) { return a + b; }
static inline vreal v_sub(vreal a, vreal b) { return a - b; }
static inline vreal v_mul(vreal a, vreal b) { return a * b; }
static inline unsigned v_at_least(vreal v, vreal w) { return v >= w; }
static inline vreal v_if_equal(vreal v, vreal value, vreal yes, vreal no) { return v == value ? yes : no; }
static inline vreal v_max(vreal a, vreal b) { return a > b ? a : b; }
static inline vreal v_min(vreal a, vreal b) { return a < b ? a : b; }
static inline vreal v_div(vreal a, vreal b) { return a / b; }
#if SV_REAL == 32
static inline vreal v_rint(vreal a) { return rintf(a); }
#else
static inline vreal v_rint(vreal a) { return rint(a); }
static inline vreal v_up(vreal v, vreal below, int k) { return (void)v, (void)k, below; }
static inline vreal v_down(vreal v, vreal above, int k) { return (void)v, (void)k, above; }
static inline vreal v_first_lane(vreal v) { return v; }
static inline vreal v_last_lane(vreal v) { return v; }
static inline vreal v_load_float(const float *p) { return (real)*p; }
static inline void v_store_float(float *p, vreal v) { *p = (float)v; }
static inline vreal v_gather(const real *p, const int32_t *at) { return p[*at]; }
static inline vreal v_sqrt(vreal a) { return sqrt(a); }
static inline vreal v_abs(vreal a) { return fabs(a); }
static inline vreal v_exponent(vreal a) { return a > 0 ? ilogb(a) : -INFINITY; }
static inline vreal v_mantissa(vreal a) { return a > 0 ? scalbn(a, -ilogb(a)) : 1; }
#endif
#if SV_REAL == 32
typedef uint32_t v_bits;
#else
typedef uint64_t v_bits;
#endif
static inline vreal v_add_bits(vreal a, vreal b, int shift)
{
    v_bits bits_a, bits_b;
    memcpy(&bits_a, &a, sizeof a);
    memcpy(&bits_b, &b, sizeof b);
    bits_a += bits_b << shift;
    memcpy(&a, &bits_a, sizeof a);
    return a;
}
static inline vreal v_shift_to_exponent(vreal magic_sum) { return v_add_bits(0, magic_sum, R_MANTISSA_BITS); }
