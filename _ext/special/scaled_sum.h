/* Sums of exponentials that are put together piece by piece: the arithmetic of their pairs.
 *
 * A piece is kept as its largest term e^top and the sum of all its other terms,
 *     others = (hi + lo) * 2^exponent * e^shift,
 * because log_softmax needs log1p(others / e^top): the sum of all would have lost the others where one
 * probability is nearly 1. The shift is 0 where the pairs serve without one (see softmax.c), else the top.
 * A top of NaN, +inf or -inf (nothing but -inf, or nothing at all) decides alone.
 *
 * Accuracy: joining pieces of one shift loses nothing that could be seen; another shift costs 2^-54.
 */
#ifndef SOLVERS_SCALED_SUM_H
#define SOLVERS_SCALED_SUM_H

#include <math.h>

#include "pairs.h"
#include "softmax_kernels.h"

/* e^-2000 of the largest term cannot be seen, neither in a sum nor in a logarithm near 0. */
#define NEGLIGIBLE_DIFFERENCE 2000.0

#define LN2_HIGH 0x1.62e42fefa39efp-1
#define LN2_LOW 0x1.abc9e3b39803fp-56
#define LOG2_OF_E 0x1.71547652b82fep+0

static const struct sv_line_sum EMPTY_SUM = {-INFINITY, 0, 0, 0, 0};

static inline struct scaled_sum two_sum(double a, double b)
{
    double sum = a + b, added = sum - a;
    return (struct scaled_sum){sum, (a - (sum - added)) + (b - added), 0};
}

/* sv_merge for sums that may be empty with any exponent. */
static inline struct scaled_sum add(struct scaled_sum a, struct scaled_sum b)
{
    return a.hi == 0 ? b : b.hi == 0 ? a : sv_merge(a, b);
}

static inline struct scaled_sum negative(struct scaled_sum a) { return (struct scaled_sum){-a.hi, -a.lo, a.exponent}; }

static inline struct scaled_sum multiply(struct scaled_sum a, struct scaled_sum b)
{
    double hi = a.hi * b.hi, lo = fma(a.hi, b.hi, -hi) + (a.hi * b.lo + a.lo * b.hi);
    struct scaled_sum product = two_sum(hi, lo);
    product.exponent = a.exponent + b.exponent;
    return product;
}

/* e^(a - b), |a - b| < 2^46; the difference is taken exactly. */
static inline struct scaled_sum exp_of_difference(double a, double b)
{
    struct scaled_sum d = two_sum(a, -b);
    double n = rint(d.hi * LOG2_OF_E);
    double r = fma(-n, LN2_LOW, fma(-n, LN2_HIGH, d.hi)) + d.lo;
    struct scaled_sum power = two_sum(1, expm1(r));
    power.exponent = n;
    return power;
}

static inline struct scaled_sum others_at(const struct sv_line_sum *sum, double shift)
{
    struct scaled_sum others = {sum->hi, sum->lo, sum->exponent};
    return sum->shift == shift || sum->hi == 0 ? others : multiply(others, exp_of_difference(sum->shift, shift));
}

static inline struct sv_line_sum join(struct sv_line_sum a, struct sv_line_sum b)
{
    if (isnan(a.top) || isnan(b.top))
        return isnan(a.top) ? a : b;
    if (a.top < b.top) {
        struct sv_line_sum larger = b;
        b = a, a = larger;
    }
    if (a.top == INFINITY || b.top == -INFINITY || a.top - b.top > NEGLIGIBLE_DIFFERENCE)
        return a;
    struct scaled_sum others = add(others_at(&a, a.shift), others_at(&b, a.shift));
    others = add(others, exp_of_difference(b.top, a.shift));
    return (struct sv_line_sum){a.top, others.hi, others.lo, others.exponent, a.shift};
}

/* log((hi + lo) * 2^exponent) + shift, hi > 0. */
static inline double log_of_sum(struct scaled_sum total, double shift)
{
    int e;
    double m = frexp(total.hi, &e); /* in [1/2, 1) */
    if (m < 0.70710678118654752)
        m *= 2, e -= 1;
    double n = total.exponent + e, log_m = log1p((m - 1) + ldexp(total.lo, -e));
    double big = n * LN2_HIGH, rest = fma(n, LN2_HIGH, -big) + n * LN2_LOW + log_m;
    struct scaled_sum sum = two_sum(big, shift);
    return sum.hi + (sum.lo + rest);
}

#endif
