/* The two passes of softmax over extended-exponent pairs (Dukhan & Ablavatski, arXiv 2001.04438).
 *
 *   sum      reads x once;                    moves   8 bytes an element (float64), about 23 operations (float32: 18)
 *   divide   reads x, recomputes, writes y;   moves  16 bytes with streaming stores, 24 without
 *
 * Bound of a row that fits no cache: 2 reads + 1 write = (time of a vector read) + (of a streaming
 * copy); `make bench` prints how near it comes. In cache the bound is arithmetic.
 *
 * Accuracy: softmax within 2 ULP at every level, whatever the length. Differs from the paper in:
 *   1. one degree more in the polynomial (6 for float32, 11 for float64);
 *   2. e^t is kept as 1 + s, or 1 + r + q with r exact, and the parts meet only where the sum or the
 *      quotient is formed;
 *   3. no term's rounding is lost from the sum (a fixed grid within a tile of vectors, two-sum between tiles:
 *      a plain sum of 8 vectors costs up to 3 ULP where the terms differ much in size), and 1/total has two words;
 *   4. x is clamped below, so -inf and mask constants add exactly 0; rows outside the safe range
 *      are told by the exponent of the total, and the caller (rows.c) shifts them by their maximum.
 *
 * In NumPy:
 *     n = np.rint(x / np.log(2)); p = np.exp(x - n * np.log(2))
 *     m = n.max(); total = np.sum(p * 2.0 ** (n - m))            # means total * 2**m
 *     y = p / total * 2.0 ** (n - m)
 */
#include "expcore.h"
#include "softmax_kernels.h"

/* Vectors of terms that are summed at one exponent, and how many of them in one chain of additions. */
enum { TILE = 8, SPAN = 2, PREFETCH_BYTES = 2048 };
#define SUM_START ((real)4)

/* A running sum per lane: (sum + error) * 2^exponent. */
struct accumulator {
    vreal sum, error, exponent;
};

static inline struct accumulator empty_accumulator(void)
{
    return (struct accumulator){v_set1(0), v_set1(0), v_set1(LOWEST_EXPONENT)};
}

/* sum + error += term, error being what the rounding of the sum lost. */
static inline void add_compensated(vreal term, vreal *sum, vreal *error)
{
    vreal total = v_add(*sum, term), added = v_sub(total, *sum);
    vreal lost = v_add(v_sub(*sum, v_sub(total, added)), v_sub(term, added));
    *error = v_add(*error, lost);
    *sum = total;
}

INLINE vreal sum_tree(vreal terms[], int count)
{
    for (int width = count / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            terms[k] = v_add(terms[k], terms[k + width]);
    return terms[0];
}

/* Brings the accumulator to the exponent `top`. */
static inline void raise_exponent(struct accumulator *acc, vreal top)
{
    vreal drop = v_power_of_two(v_sub(acc->exponent, top));
    acc->sum = v_mul(acc->sum, drop);
    acc->error = v_mul(acc->error, drop);
    acc->exponent = top;
}

INLINE vreal highest(vreal top, const vreal n[], int count)
{
    vreal tops[TILE]; /* a tree: a chain of maxima would hold up the next tile */
    for (int k = 0; k < count; k++)
        tops[k] = n[k];
    for (int width = count / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++)
            tops[k] = v_max(tops[k], tops[k + width]);
    return v_max(top, tops[0]);
}

/* Adds the terms (1 + s[k]) * 2^n[k]. At the exponent of the largest, SPAN of them sum to less than SUM_START, so a
 * sum that starts there stays within one binade, and so on one grid: each step's rounding is found exactly and
 * kept. Sums on the same grid add up exactly. */
INLINE void accumulate(struct accumulator *acc, const vreal s[], const vreal n[], int count)
{
    const vreal start = v_set1(SUM_START);
    vreal sums[TILE / SPAN], losses[TILE / SPAN];
    raise_exponent(acc, highest(acc->exponent, n, count));
    int chains = count < SPAN ? 1 : count / SPAN;
    for (int chain = 0; chain < chains; chain++) {
        vreal sum = start, lost = v_set1(0);
        for (int k = chain; k < count; k += chains) {
            vreal power = v_power_of_two(v_sub(n[k], acc->exponent)), fraction = v_mul(s[k], power);
            vreal next = v_add(v_add(sum, power), fraction), added = v_sub(next, sum);
            lost = v_add(lost, v_add(v_sub(power, added), fraction));
            sum = next;
        }
        sums[chain] = v_sub(sum, start);
        losses[chain] = lost;
    }
    add_compensated(sum_tree(sums, chains), &acc->sum, &acc->error);
    add_compensated(sum_tree(losses, chains), &acc->sum, &acc->error);
}

/* The same with weights of either sign and of sizes that know no grid: sums in trees. Overwrites weight and s. */
INLINE void accumulate_weighted(struct accumulator *acc, vreal weight[], vreal s[], const vreal n[], int count)
{
    raise_exponent(acc, highest(acc->exponent, n, count));
    for (int k = 0; k < count; k++) {
        weight[k] = v_mul(weight[k], v_power_of_two(v_sub(n[k], acc->exponent)));
        s[k] = v_mul(s[k], weight[k]);
    }
    add_compensated(sum_tree(weight, count), &acc->sum, &acc->error);
    add_compensated(sum_tree(s, count), &acc->sum, &acc->error);
}

static inline vreal safe_argument(vreal x, vreal shift, int shifted)
{
    return v_max(v_set1(LOWEST_X), shifted ? v_sub(x, shift) : x);
}

static inline struct scaled_sum reduce(struct accumulator acc)
{
    real top = v_max_lanes(acc.exponent), sum[SV_W], error[SV_W];
    vreal drop = v_power_of_two(v_sub(acc.exponent, v_set1(top)));
    v_store(sum, v_mul(acc.sum, drop));
    v_store(error, v_mul(acc.error, drop));
    double hi = sum[0], lo = error[0];
    for (int k = 1; k < SV_W; k++) {
        double total = hi + sum[k], added = total - hi;
        lo += ((hi - (total - added)) + (sum[k] - added)) + error[k];
        hi = total;
    }
    double total = hi + lo;
    return (struct scaled_sum){total, lo - (total - hi), top};
}

/* The next `count` vectors of terms; of the last vector only its first `left` lanes are there. */
INLINE void add_terms(struct accumulator *acc, const real *x, const real *b, size_t left, vreal shift,
                             int shifted, int count)
{
    vreal s[TILE], n[TILE], weight[TILE];
    for (int k = 0; k < count; k++) {
        const real *at = x + (size_t)k * SV_W;
        __builtin_prefetch((const char *)at + PREFETCH_BYTES);
        vreal v = left == SV_W ? v_load(at) : v_load_n(at, left, -INFINITY); /* lanes past the end add 0 */
        v_exp_pair(safe_argument(v, shift, shifted), &s[k], &n[k]);
        if (b)
            weight[k] = left == SV_W ? v_load(b + (size_t)k * SV_W) : v_load_n(b, left, 0);
    }
    if (b)
        accumulate_weighted(acc, weight, s, n, count);
    else
        accumulate(acc, s, n, count);
}

INLINE struct scaled_sum sum_terms(const real *x, const real *b, size_t n, real shift, int shifted)
{
    struct accumulator acc = empty_accumulator();
    const vreal vshift = v_set1(shift);
    size_t i = 0;
    for (; i + TILE * SV_W <= n; i += TILE * SV_W)
        add_terms(&acc, x + i, b ? b + i : NULL, SV_W, vshift, shifted, TILE);
    for (; i < n; i += SV_W)
        add_terms(&acc, x + i, b ? b + i : NULL, n - i < SV_W ? n - i : SV_W, vshift, shifted, 1);
    return reduce(acc);
}

static struct scaled_sum sum(const real *x, const real *b, size_t n, real shift)
{
    if (b)
        return sum_terms(x, b, n, shift, 1);
    return shift == 0 ? sum_terms(x, NULL, n, 0, 0) : sum_terms(x, NULL, n, shift, 1);
}

/* 1 / total in two words of `real`. */
static inline void reciprocal(struct scaled_sum total, real *hi, real *lo)
{
    double inverse = 1.0 / total.hi;
#if SV_REAL == 32
    *hi = (real)inverse;
    *lo = (real)(inverse - *hi);
#else
    *hi = inverse;
    *lo = inverse * (fma(-total.hi, inverse, 1.0) - total.lo * inverse);
#endif
}

struct divisor {
    vreal inverse_hi, inverse_lo, exponent, shift;
};

static inline vreal quotient(vreal x, const struct divisor *by, int shifted)
{
    vreal n, rest;
#if SV_REAL == 32 && defined(V_HAS_FMA) /* where 2 ULP allow it, and the time shows */
    vreal s;
    v_exp_pair(safe_argument(x, by->shift, shifted), &s, &n);
    rest = v_fma(s, by->inverse_hi, by->inverse_lo);
#else
    vreal r, q;
    v_exp_parts(safe_argument(x, by->shift, shifted), &r, &q, &n);
    rest = v_fma(r, by->inverse_hi, v_fma(q, by->inverse_hi, by->inverse_lo));
#endif
    vreal p = v_add(by->inverse_hi, rest); /* e^t / total */
    return v_ldexp(p, v_sub(n, by->exponent));
}

static inline void divide_terms(const real *x, real *y, size_t n, real shift, struct scaled_sum total,
                                int shifted, int stream)
{
    real hi, lo;
    reciprocal(total, &hi, &lo);
    const struct divisor by = {v_set1(hi), v_set1(lo), v_set1((real)total.exponent), v_set1(shift)};
    size_t i = 0;
    if (stream) { /* reach an aligned y first */
        size_t head = (-(uintptr_t)y / sizeof(real)) % SV_W;
        i = head < n ? head : n;
        v_store_n(y, quotient(v_load_n(x, i, 0), &by, shifted), i);
    }
    for (; i + SV_W <= n; i += SV_W) {
        __builtin_prefetch((const char *)(x + i) + PREFETCH_BYTES);
        vreal q = quotient(v_load(x + i), &by, shifted);
        if (stream)
            v_stream(y + i, q);
        else
            v_store(y + i, q);
    }
    if (i < n)
        v_store_n(y + i, quotient(v_load_n(x + i, n - i, 0), &by, shifted), n - i);
    if (stream)
        v_stream_fence();
}

static void divide(const real *x, real *y, size_t n, real shift, struct scaled_sum total, int stream)
{
    if (shift != 0)
        divide_terms(x, y, n, shift, total, 1, 0);
    else if (stream && (uintptr_t)y % sizeof(real) == 0)
        divide_terms(x, y, n, 0, total, 0, 1);
    else
        divide_terms(x, y, n, 0, total, 0, 0);
}

/* The x86 maximum forgets a NaN in its first operand, so NaNs are kept in a sum of their own:
 * x * 0 is 0 or NaN (inf gives NaN too, and then the caller looks at the maximum). */
static real max(const real *x, size_t n)
{
    vreal top = v_set1(-INFINITY), nan = v_set1(0);
    size_t i = 0;
    for (; i + SV_W <= n; i += SV_W) {
        vreal v = v_load(x + i);
        top = v_max(v, top);
        nan = v_fma(v, v_set1(0), nan);
    }
    real found = v_max_lanes(top);
    real suspect = v_sum_lanes(nan);
    for (; i < n; i++) {
        suspect += x[i] * 0;
        found = x[i] > found ? x[i] : found;
    }
    if (suspect == 0)
        return found;
    for (i = 0; i < n; i++) /* an infinity or a NaN: look which */
        if (x[i] != x[i])
            return x[i];
    return found;
}

static void subtract(const real *x, real *y, size_t n, real a, real b)
{
    const vreal va = v_set1(a), vb = v_set1(b);
    size_t i = 0;
    for (; i + SV_W <= n; i += SV_W)
        v_store(y + i, v_sub(v_sub(v_load(x + i), va), vb));
    if (i < n)
        v_store_n(y + i, v_sub(v_sub(v_load_n(x + i, n - i, 0), va), vb), n - i);
}

#if SV_REAL == 32
const struct softmax_kernels_f32 SV_TABLE(softmax_kernels) = {
#else
const struct softmax_kernels_f64 SV_TABLE(softmax_kernels) = {
#endif
    .sum = sum,
    .divide = divide,
    .max = max,
    .subtract = subtract,
    .lowest_exponent = LOWEST_EXPONENT + NEGLIGIBLE_EXPONENT,
    .highest_exponent = SAFE_EXPONENT,
};
