/* The derivative of softmax in a direction, from its result y: out = y (v - <y, v>).
 *
 *   dot      reads y and v;                  moves 16 bytes an element (float64), 9 operations
 *   update   reads y and v, writes out;      moves 24 bytes and the line that a store fetches, 3 operations
 *
 * Bound: the time of reading both and, where a row does not fit the cache, of reading both again and writing.
 *
 * Accuracy: the dot product is as good as in twice the precision and has two words, so v_i - <y, v> is good to
 * its own last place also where it cancels, and a result is within 3 ULP. Without fused multiply-add the products
 * are rounded (their sum is not): v_i - <y, v> is then off by up to u sum |y v|, whatever the length.
 *
 * In NumPy:
 *     out = y * (v - np.dot(y, v))
 */
#include "simd.h"

#include "jvp_kernels.h"

/* Independent sums: a two-sum is a chain of six additions, which four of them fill. */
enum { CHAINS = 4 };

/* sum + error += y v; the products' roundings and the sums' are kept. */
static inline void add_product(vreal y, vreal v, vreal *sum, vreal *error)
{
    vreal product = v_mul(y, v), total = v_add(*sum, product), added = v_sub(total, *sum);
    vreal lost = v_add(v_sub(*sum, v_sub(total, added)), v_sub(product, added));
#ifdef V_HAS_FMA
    lost = v_add(lost, v_sub(v_set1(0), v_fnma(y, v, product)));
#endif
    *error = v_add(*error, lost);
    *sum = total;
}

static inline struct two_words reduce(const vreal sums[], const vreal errors[])
{
    double hi = 0, lo = 0;
    for (int chain = 0; chain < CHAINS; chain++) {
        real sum[SV_W], error[SV_W];
        v_store(sum, sums[chain]);
        v_store(error, errors[chain]);
        for (int k = 0; k < SV_W; k++) {
            double total = hi + sum[k], added = total - hi;
            lo += ((hi - (total - added)) + (sum[k] - added)) + error[k];
            hi = total;
        }
    }
    double total = hi + lo;
    return isfinite(hi) ? (struct two_words){total, lo - (total - hi)} : (struct two_words){hi, 0};
}

static struct two_words dot(const real *y, const real *v, size_t n)
{
    vreal sums[CHAINS], errors[CHAINS];
    for (int chain = 0; chain < CHAINS; chain++)
        sums[chain] = errors[chain] = v_set1(0);
    size_t i = 0;
    for (; i + CHAINS * SV_W <= n; i += CHAINS * SV_W)
        for (int chain = 0; chain < CHAINS; chain++) {
            size_t at = i + (size_t)chain * SV_W;
            add_product(v_load(y + at), v_load(v + at), &sums[chain], &errors[chain]);
        }
    for (; i < n; i += SV_W) {
        size_t left = n - i < SV_W ? n - i : SV_W;
        add_product(v_load_n(y + i, left, 0), v_load_n(v + i, left, 0), &sums[0], &errors[0]);
    }
    return reduce(sums, errors);
}

static void update(const real *y, const real *v, real *out, size_t n, struct two_words dot)
{
    /* float32: the two words of double as two words of float */
    const real hi = (real)dot.hi, lo = isfinite(hi) ? (real)((dot.hi - hi) + dot.lo) : 0;
    const vreal vhi = v_set1(hi), vlo = v_set1(lo);
    size_t i = 0;
    for (; i + SV_W <= n; i += SV_W)
        v_store(out + i, v_mul(v_load(y + i), v_sub(v_sub(v_load(v + i), vhi), vlo)));
    if (i < n) {
        vreal rest = v_sub(v_sub(v_load_n(v + i, n - i, 0), vhi), vlo);
        v_store_n(out + i, v_mul(v_load_n(y + i, n - i, 0), rest), n - i);
    }
}

#if SV_REAL == 32
const struct jvp_kernels_f32 SV_TABLE(jvp_kernels) = {
#else
const struct jvp_kernels_f64 SV_TABLE(jvp_kernels) = {
#endif
    .dot = dot,
    .update = update,
};
