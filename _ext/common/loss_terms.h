/* A loss of a linear model in vectors: value, first and second derivative in the prediction, for any kernel that has
 * predictions at hand. Relative error below 4 units in the last place, of e^x 1e-16 |x|. */
#ifndef SOLVERS_LOSS_TERMS_H
#define SOLVERS_LOSS_TERMS_H

#include "expcore.h"
#include "loss_kinds.h"

/* Beyond these e^x leaves the normal numbers. */
#define LEAST_X -708.0
#define GREATEST_X 709.0

/* e^x for LEAST_X <= x <= GREATEST_X. */
INLINE vreal v_exp(v_fractions base, vreal x)
{
    vreal s, on_grid;
    v_exp_split(x, &s, &on_grid);
    vreal power = v_exp_power(base, on_grid);
    return v_fma(s, power, power);
}

/* log(1 + e), 0 <= e <= 1: 2 artanh t, t = e / (2 + e) <= 1/3; the series ends below 2^-55. */
INLINE vreal v_log1p(vreal e)
{
    static const double series[16] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13, 1.0 / 15,
                                      1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23, 1.0 / 25, 1.0 / 27, 1.0 / 29, 1.0 / 31};
    vreal t = v_div(e, v_add(e, v_set1(2)));
    return v_mul(v_add(t, t), v_polynomial(series, 16, v_mul(t, t)));
}

/* The same for 0 <= e < 2^1000: 1 + e = 2^k m, and what the sum loses of e. */
INLINE vreal v_log1p_large(vreal e)
{
    const vreal one = v_set1(1);
    vreal whole = v_add(one, e), lost = v_sub(e, v_sub(whole, one)), k = v_exponent(whole), m = v_mantissa(whole);
    vreal rest = v_add(v_sub(m, one), v_div(v_mul(lost, m), whole));
    return v_fma(k, v_set1(0x1.62e42fefa39efp-1), v_log1p(rest));
}

/* What a sample adds, of weight 1. Of the logistic loss the value is also beyond + log(1 + odds). */
struct term {
    vreal value, slope, bend, beyond, odds;
};

INLINE struct term term_of(int kind, v_fractions base, vreal z, vreal y)
{
    const vreal zero = v_set1(0), one = v_set1(1), half = v_set1(0.5);
    struct term at;
    if (kind == SV_LOSS_LOGISTIC) {
        vreal m = v_mul(y, z), e = v_exp(base, v_max(v_set1(LEAST_X), v_sub(zero, v_abs(m))));
        vreal share = v_div(one, v_add(one, e)), small = v_mul(e, share);
        vreal u = v_if_equal(v_max(m, zero), m, small, share);
        at.odds = e;
        at.beyond = v_max(zero, v_sub(zero, m));
        at.value = v_add(v_log1p(e), at.beyond);
        at.slope = v_sub(zero, v_mul(y, u));
        at.bend = v_mul(small, share);
    } else if (kind == SV_LOSS_HUBER) {
        vreal r = v_sub(z, y), c = v_min(one, v_max(v_set1(-1), r));
        at.value = v_mul(c, v_fnma(half, c, r));
        at.slope = c;
        at.bend = v_if_equal(c, r, one, zero);
    } else if (kind == SV_LOSS_SQUARED_HINGE) {
        vreal left = v_max(zero, v_fnma(y, z, one));
        at.value = v_mul(half, v_mul(left, left));
        at.slope = v_sub(zero, v_mul(y, left));
        at.bend = v_if_equal(left, zero, zero, one);
    } else if (kind == SV_LOSS_POISSON) {
        vreal e = v_exp(base, v_min(v_set1(GREATEST_X), v_max(v_set1(LEAST_X), z)));
        at.value = v_fnma(y, z, e);
        at.slope = v_sub(e, y);
        at.bend = e;
    } else {
        at.slope = v_sub(z, y);
        at.value = v_mul(half, v_mul(at.slope, at.slope));
        at.bend = one;
    }
    return at;
}

#endif
