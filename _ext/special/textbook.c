/* Softmax as it is usually written, for comparison: every row by its maximum, in natural units, sums as they come.
 *
 *   recompute   maximum; sum of e^(x - max); the exponentials again, divided    3 reads + 1 write, 2 exponentials
 *   reload      maximum; e^(x - max) stored and summed; divided in place        3 reads + 2 writes, 1 exponential
 *   online      maximum and sum together (Milakov & Gimelshein, arXiv 1805.02867), then as recompute:
 *                                                                               2 reads + 1 write, 3 exponentials
 *
 * The exponential is that of the other kernels, so the methods differ in their passes alone. x - max is rounded and
 * the sums are plain: errors grow to tens of ULP, which is why none of them is the default.
 */
#include <float.h>

#include "expcore.h"
#include "textbook.h"

enum { PREFETCH_BYTES = 4096 };

/* e^x for x <= 0; what is too small for a normal number becomes one at its least. */
INLINE vreal exponential(vreal x)
{
    const vreal least = v_set1((real)(-0.69314718055994530942 * (R_EXPONENT_BIAS - 2)));
    vreal s, on_grid;
    v_exp_split(v_max(least, x), &s, &on_grid);
    vreal power = v_exp_power(v_exp_base(0), on_grid);
    return v_fma(s, power, power);
}

static real maximum(const real *x, size_t n)
{
    vreal tops[4];
    for (int k = 0; k < 4; k++)
        tops[k] = v_set1(-INFINITY);
    size_t i = 0;
    for (; i + 4 * SV_W <= n; i += 4 * SV_W)
        for (int k = 0; k < 4; k++)
            tops[k] = v_max(v_load(x + i + k * SV_W), tops[k]);
    for (; i < n; i += SV_W)
        tops[0] = v_max(v_load_some(x + i, n - i, -INFINITY), tops[0]);
    return v_max_lanes(v_max(v_max(tops[0], tops[1]), v_max(tops[2], tops[3])));
}

INLINE vreal minus(vreal x, real top) { return v_sub(x, v_set1(top)); }

static void quotients(const real *x, real *y, size_t n, real top, real total)
{
    const vreal inverse = v_set1(1 / total);
    for (size_t i = 0; i < n; i += SV_W) {
        __builtin_prefetch((const char *)(x + i) + PREFETCH_BYTES);
        v_store_some(y + i, v_mul(exponential(minus(v_load_some(x + i, n - i, 0), top)), inverse), n - i);
    }
}

/* Sums of four lanes' worth each, so that no addition waits for the one before it. */
INLINE real sum_of(const real *x, real *y, size_t n, real top)
{
    vreal sums[4];
    for (int k = 0; k < 4; k++)
        sums[k] = v_set1(0);
    size_t i = 0;
    for (; i + 4 * SV_W <= n; i += 4 * SV_W)
        for (int k = 0; k < 4; k++) {
            __builtin_prefetch((const char *)(x + i + k * SV_W) + PREFETCH_BYTES);
            vreal e = exponential(minus(v_load(x + i + k * SV_W), top));
            if (y)
                v_store(y + i + k * SV_W, e);
            sums[k] = v_add(sums[k], e);
        }
    for (; i < n; i += SV_W) {
        vreal e = exponential(minus(v_load_some(x + i, n - i, -INFINITY), top));
        if (y)
            v_store_some(y + i, e, n - i);
        sums[0] = v_add(sums[0], e);
    }
    return v_sum_lanes(v_add(v_add(sums[0], sums[1]), v_add(sums[2], sums[3])));
}

static void recompute(const real *x, real *y, size_t n)
{
    real top = maximum(x, n);
    quotients(x, y, n, top, sum_of(x, NULL, n, top));
}

static void reload(const real *x, real *y, size_t n)
{
    real top = maximum(x, n), inverse = 1 / sum_of(x, y, n, top);
    for (size_t i = 0; i < n; i += SV_W)
        v_store_some(y + i, v_mul(v_load_some(y + i, n - i, 0), v_set1(inverse)), n - i);
}

static void online(const real *x, real *y, size_t n)
{
    const real least = SV_REAL == 32 ? (real)-FLT_MAX : (real)-DBL_MAX; /* -inf minus itself would be NaN */
    vreal top = v_set1(least), sum = v_set1(0);
    for (size_t i = 0; i < n; i += SV_W) {
        __builtin_prefetch((const char *)(x + i) + PREFETCH_BYTES);
        vreal v = v_load_some(x + i, n - i, -INFINITY), higher = v_max(v, top);
        sum = v_fma(sum, exponential(v_sub(top, higher)), exponential(v_sub(v, higher)));
        top = higher;
    }
    real highest = v_max_lanes(top) > least ? v_max_lanes(top) : -INFINITY;
    quotients(x, y, n, highest, v_sum_lanes(v_mul(sum, exponential(minus(top, highest)))));
}

#if SV_REAL == 32
const struct textbook_f32 SV_TABLE(textbook) = {
#else
const struct textbook_f64 SV_TABLE(textbook) = {
#endif
    .recompute = recompute,
    .reload = reload,
    .online = online,
};
