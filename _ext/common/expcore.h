/* Exponentials as pairs: e^x = (1 + s) 2^k, k on a grid and held in a float.
 *
 * Nothing is reconstructed, so no x of usable size overflows or underflows, and a sum of exponentials
 * needs no maximum first (Dukhan & Ablavatski, arXiv 2001.04438, section 4).
 *
 * The fits are good to 3.3e-9 (float32; 1.2e-9 beside a table, 3.1e-9 with short powers) and 7.7e-18 (float64; 2.9e-17
 * beside a table), a common factor near 1 left aside; `fit_exp.py` derives the coefficients and tables.
 *
 * Safe range: |x| <= SAFE_EXPONENT * ln2. It is 2^18 / 2^45 with FMA. Without FMA the product n * ln2_hi
 * must be exact by itself, so ln2_hi has trailing zero bits and the range shrinks to 2^11 / 2^21.
 */
#ifndef SOLVERS_EXPCORE_H
#define SOLVERS_EXPCORE_H

#include "simd.h"

#define LN2 0x1.62e42fefa39efp-1
#if SV_REAL == 32
#define LOG2_E 0x1.715476p+0f
#ifdef V_HAS_FMA
#define LN2_HI 0x1.62E430p-1f
#define LN2_LO -0x1.05C610p-29f
#define SAFE_EXPONENT 0x1p18f
#else
#define LN2_HI 0x1.62E000p-1f /* 12 significant bits */
#define LN2_LO 0x1.0BFBE8p-15f
#define SAFE_EXPONENT 0x1p11f
#endif
#define NEGLIGIBLE_EXPONENT 320.0f /* 2^-320 of the maximum cannot be seen in the result */
#else
#define LOG2_E 0x1.71547652b82fep+0
#ifdef V_HAS_FMA
#define LN2_HI 0x1.62e42fefa39efp-1
#define LN2_LO 0x1.abc9e3b39803fp-56
#define SAFE_EXPONENT 0x1p45
#else
#define LN2_HI 0x1.62e42feep-1 /* 32 significant bits */
#define LN2_LO 0x1.a39ef35793c76p-33
#define SAFE_EXPONENT 0x1p21
#endif
#define NEGLIGIBLE_EXPONENT 2300.0
#endif

#define LOWEST_EXPONENT (-SAFE_EXPONENT)
#define LOWEST_X ((real)(LOWEST_EXPONENT * 0.69314718055994530942))

/* x log2(e) is rounded to a grid by adding this number: the sum's low bits then hold it. */
#ifdef V_HAS_LOOKUP /* a grid of 1/16, a table of 2^(k/16), and shorter fits */
#define TO_GRID (SV_REAL == 32 ? (real)0x1.8p19 : (real)0x1.8p48)
#define GRID_BITS 4
#else
#define TO_GRID (SV_REAL == 32 ? (real)0x1.8p23 : (real)0x1.8p52)
#define GRID_BITS 0
#endif

/* q(t) of e^t = 1 + t + t^2 q(t) on |t| <= ln2/2, or ln2/32 where there is a table. */
static inline vreal v_exp_tail(vreal t)
{
#if SV_REAL == 32 && defined(V_HAS_LOOKUP)
    return v_fma(v_set1(0x1.555762p-3f), t, v_set1(0x1.00029p-1f));
#elif SV_REAL == 32
    vreal q = v_set1(0x1.6b02acp-10f);
    q = v_fma(q, t, v_set1(0x1.12373cp-7f));
    q = v_fma(q, t, v_set1(0x1.55572ap-5f));
    q = v_fma(q, t, v_set1(0x1.555498p-3f));
    return v_fma(q, t, v_set1(0x1.0p-1f));
#elif defined(V_HAS_LOOKUP)
    vreal q = v_set1(0x1.6c17bb91efb39p-10);
    q = v_fma(q, t, v_set1(0x1.11120b36ff666p-7));
    q = v_fma(q, t, v_set1(0x1.55555555192e5p-5));
    q = v_fma(q, t, v_set1(0x1.55555554dd075p-3));
    return v_fma(q, t, v_set1(0x1.0p-1));
#else
    vreal q = v_set1(0x1.af635e4f6b5eep-26);
    q = v_fma(q, t, v_set1(0x1.28b43a93fe57ap-22));
    q = v_fma(q, t, v_set1(0x1.71ddf5514be0cp-19));
    q = v_fma(q, t, v_set1(0x1.a01991731e6fap-16));
    q = v_fma(q, t, v_set1(0x1.a01a01b150ad2p-13));
    q = v_fma(q, t, v_set1(0x1.6c16c1881156bp-10));
    q = v_fma(q, t, v_set1(0x1.111111110f205p-7));
    q = v_fma(q, t, v_set1(0x1.555555554f067p-5));
    q = v_fma(q, t, v_set1(0x1.555555555555ap-3));
    return v_fma(q, t, v_set1(0x1.0000000000011p-1));
#endif
}

/* e^x = (1 + s) 2^k for LOWEST_X <= x <= SAFE_EXPONENT ln2, k on the grid; the low bits of `on_grid` hold k - lower
 * where to_grid is TO_GRID - lower, lower integral. s is rounded to 2^-26 / 2^-55 at worst (2^-30 / 2^-59 with the
 * table). NaN and +inf give a NaN s. */
static inline void v_exp_split_above(vreal to_grid, vreal x, vreal *s, vreal *on_grid)
{
    *on_grid = v_fma(x, v_set1(LOG2_E), to_grid);
    vreal k = v_sub(*on_grid, to_grid);
    vreal t = v_fnma(k, v_set1(LN2_LO), v_fnma(k, v_set1(LN2_HI), x));
    *s = v_fma(v_mul(t, t), v_exp_tail(t), t);
}

/* The same for sums of which but the logarithm is wanted: where an operation is saved by it, k counts LN2_FOR_LOGS
 * instead of ln 2. If the logarithm counts the sum's exponent in it too, a term that is 2^-d of the sum's exponent is
 * wrong by d 2^-29. */
static inline void v_exp_split_for_log(vreal to_grid, vreal x, vreal *s, vreal *on_grid)
{
#if SV_REAL == 32 && defined(V_HAS_FMA)
    *on_grid = v_fma(x, v_set1(LOG2_E), to_grid);
    vreal t = v_fnma(v_sub(*on_grid, to_grid), v_set1(LN2_HI), x);
    *s = v_fma(v_mul(t, t), v_exp_tail(t), t);
#else
    v_exp_split_above(to_grid, x, s, on_grid);
#endif
}
#if SV_REAL == 32 && defined(V_HAS_FMA)
#define LN2_FOR_LOGS ((double)LN2_HI)
#else
#define LN2_FOR_LOGS LN2
#endif

static inline void v_exp_split(vreal x, vreal *s, vreal *on_grid) { v_exp_split_above(v_set1(TO_GRID), x, s, on_grid); }

/* The same with s = r + q, r = x - k ln2_hi exact: nearly all of the rounding is left to the caller, who adds the
 * parts where nothing is lost. For levels whose s is not small. */
static inline void v_exp_parts(vreal to_grid, vreal x, vreal *r, vreal *q, vreal *on_grid)
{
    *on_grid = v_fma(x, v_set1(LOG2_E), to_grid);
    vreal k = v_sub(*on_grid, to_grid);
    *r = v_fnma(k, v_set1(LN2_HI), x);
    vreal t = v_fnma(k, v_set1(LN2_LO), *r);
    *q = v_fnma(k, v_set1(LN2_LO), v_mul(v_mul(t, t), v_exp_tail(t)));
}

/* For every fraction of the grid one number: a table, or where the grid is integral one constant. */
#ifdef V_HAS_LOOKUP
typedef v_table16 v_fractions;
static inline vreal v_pick(v_fractions table, vreal on_grid) { return v_lookup(table, on_grid); }
#if SV_REAL == 32
typedef uint32_t real_bits;
/* The bits of 2^(k/16), k << 19 taken off: what v_exp_power adds of a fraction beyond the whole exponent. */
static const real_bits ROOTS[16] = {
    0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
    0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};
/* 2^(k/16) = root (1 + rest). */
static const real ROOT_RESTS[16] = {
    0.0f, 0x1.8d96d4p-25f, -0x1.9c0c22p-27f, 0x1.964904p-25f, 0x1.125002p-25f, 0x1.370be4p-25f,
    -0x1.0a3550p-25f, -0x1.00d8acp-27f, 0x1.26055cp-26f, -0x1.05cb44p-25f, 0x1.67a1cap-28f, 0x1.a3b5e4p-28f,
    -0x1.f9c304p-27f, -0x1.6961b4p-28f, -0x1.a5217cp-28f, 0x1.61428ep-28f};
#else
typedef uint64_t real_bits;
static const real_bits ROOTS[16] = {
    0x3ff0000000000000, 0x3fefb5586cf9890f, 0x3fef72b83c7d517b, 0x3fef387a6e756238,
    0x3fef06fe0a31b715, 0x3feedea64c123422, 0x3feebfdad5362a27, 0x3feeab07dd485429,
    0x3feea09e667f3bcd, 0x3feea11473eb0187, 0x3feeace5422aa0db, 0x3feec49182a3f090,
    0x3feee89f995ad3ad, 0x3fef199bdd85529c, 0x3fef5818dcfba487, 0x3fefa4afa2a490da};
static const real ROOT_RESTS[16] = {
    0, 0x1.79aa65d837b6dp-54, -0x1.01b15eaa59348p-55, 0x1.68efde3a8a894p-54,
    0x1.34d754db0abb6p-55, 0x1.59f48a72a4c6dp-55, 0x1.690cebb7aafb0p-56, 0x1.063e1e21c5409p-54,
    -0x1.3b3efbf5e2228p-54, -0x1.b32dcb94da51dp-56, 0x1.db72fc1f0eab4p-55, 0x1.1affc2b91ce27p-56,
    0x1.c1a7792cb3387p-55, 0x1.36eae30af0cb3p-56, 0x1.4a385a63d07a7p-56, -0x1.ff7128fd391f0p-55};
#endif
#else
typedef vreal v_fractions;
static inline vreal v_pick(v_fractions constant, vreal on_grid)
{
    (void)on_grid;
    return constant;
}
#if SV_REAL == 32
typedef uint32_t real_bits;
#else
typedef uint64_t real_bits;
#endif
#endif

static inline real real_from_bits(real_bits bits)
{
    real value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The same with what the rounding of s, or of the table's 2^(k/16), left: for those who need more than 0.8 units in
 * the last place. With the table s holds it, and low is 0. */
static inline void v_exp_split_fine(vreal to_grid, vreal x, vreal *s, vreal *low, vreal *on_grid)
{
#ifdef V_HAS_LOOKUP
    v_exp_split_above(to_grid, x, s, on_grid);
    *s = v_add(*s, v_pick(v_load_table(ROOT_RESTS), *on_grid));
    *low = v_set1(0);
#else
    vreal r, q;
    v_exp_parts(to_grid, x, &r, &q, on_grid);
    *s = v_add(r, q);
    *low = v_add(v_sub(r, *s), q); /* exact: |q| < |r| or both are tiny */
#endif
}

#ifdef V_HAS_LOOKUP
/* The same for terms of which but the ratios count, all of them of exponents around `middle`, an integral number: what
 * k ln2_lo has in common is left aside. In float32 the rest of it is so small that it may join the table's rests, which
 * saves an operation: at 2^-d of the middle s is wrong by d 2^-34. */
static inline v_fractions v_exp_rests(vreal middle)
{
    v_fractions rests = v_load_table(ROOT_RESTS);
#if SV_REAL == 32
    rests.all = v_fma(middle, v_set1(LN2_LO), rests.all);
#else
    (void)middle;
#endif
    return rests;
}

static inline void v_exp_split_near(v_fractions rests, vreal to_grid, vreal x, vreal *s, vreal *on_grid)
{
#if SV_REAL == 32
    *on_grid = v_fma(x, v_set1(LOG2_E), to_grid);
    const vreal k = v_sub(*on_grid, to_grid), t = v_fnma(k, v_set1(LN2_HI), x);
    const vreal rest = v_fnma(k, v_set1(LN2_LO), v_pick(rests, *on_grid));
    *s = v_fma(t, v_fma(v_exp_tail(t), t, v_set1(1)), rest);
#else
    v_exp_split_above(to_grid, x, s, on_grid);
    *s = v_add(*s, v_pick(rests, *on_grid));
#endif
}
#endif

#ifdef V_HAS_LOOKUP
/* Short powers: numbers near 2^(k/16) that have SHORT_BITS bits, k << 19 (48) taken off as in ROOTS, so that sums of them
 * are exact while they differ little in size. What they miss, ln(2^(k/16) / root), is made up for in t, which takes one
 * operation more in float32 and none in float64. */
#if SV_REAL == 32
enum { SHORT_BITS = 7 };
static const real_bits SHORT_ROOTS[16] = {
    0x3f800000, 0x3f7e0000, 0x3f7c0000, 0x3f7a0000, 0x3f780000, 0x3f760000, 0x3f760000, 0x3f760000,
    0x3f760000, 0x3f760000, 0x3f760000, 0x3f760000, 0x3f780000, 0x3f780000, 0x3f7a0000, 0x3f7e0000};
static const real SHORT_LOGS[16] = {
    0.0f, -0x1.4615f8p-9f, -0x1.851f18p-9f, -0x1.a661ecp-10f, 0x1.789472p-10f, 0x1.8c14e0p-8f,
    -0x1.ca8ce0p-16f, -0x1.ee8db2p-9f, -0x1.62147ep-8f, -0x1.4e22f6p-8f, -0x1.8bcef8p-9f, 0x1.6b3798p-11f,
    -0x1.bc0a4ep-9f, 0x1.d3710cp-9f, 0x1.a52018p-9f, -0x1.c7942ap-9f};
#else
enum { SHORT_BITS = 16 };
static const real_bits SHORT_ROOTS[16] = {
    0x3ff0000000000000, 0x3fefb56000000000, 0x3fef72c000000000, 0x3fef388000000000,
    0x3fef070000000000, 0x3feedea000000000, 0x3feebfe000000000, 0x3feeab0000000000,
    0x3feea0a000000000, 0x3feea12000000000, 0x3feeace000000000, 0x3feec4a000000000,
    0x3feee8a000000000, 0x3fef19a000000000, 0x3fef582000000000, 0x3fefa4a000000000};
static const real SHORT_LOGS[16] = {
    0, -0x1.d033df93de667p-18, -0x1.c7a3221339c3dp-18, -0x1.38f357a5253a4p-18,
    -0x1.a5f763d10062fp-20, 0x1.448766154ff1ap-18, -0x1.fe00f1914cdc5p-19, 0x1.73a8d93e28eacp-18,
    -0x1.218feb879addfp-20, -0x1.f468d12617987p-18, 0x1.b470f2e383e43p-19, -0x1.1fe7a3a0463a7p-17,
    -0x1.e843fda5ced1ap-23, -0x1.2d587eccebe75p-19, -0x1.f217d6e84cb3dp-19, 0x1.053df09e3a7f4p-17};
#endif

/* e^x = (1 + s) times a short power, of `count` vectors (a constant at each call). The operations of the vectors alternate:
 * each waits long for the one before it, and a processor holds few that wait. In float32 exponents are counted in LN2_HI,
 * which saves an operation: two terms whose exponents differ by d come out 2^-29 d too far apart. */
INLINE void v_exp_split_short(vreal to_grid, const vreal *x, vreal *s, vreal *on_grid, int count)
{
    enum { MOST = 4 };
    vreal t[MOST], rest[MOST];
    for (int j = 0; j < count; j++)
        on_grid[j] = v_fma(x[j], v_set1(LOG2_E), to_grid);
    for (int j = 0; j < count; j++) {
        const vreal k = v_sub(on_grid[j], to_grid);
        t[j] = v_fnma(k, v_set1(LN2_HI), x[j]);
        rest[j] = v_pick(v_load_table(SHORT_LOGS), on_grid[j]);
#if SV_REAL == 64
        rest[j] = v_fnma(k, v_set1(LN2_LO), rest[j]);
#endif
    }
    for (int j = 0; j < count; j++)
        t[j] = v_add(t[j], rest[j]);
#if SV_REAL == 32 /* a fit for |t| < 0.0278, but for a common factor */
    for (int j = 0; j < count; j++)
        s[j] = v_fma(v_set1(0x1.5558b0p-3f), t[j], v_set1(0x1.000432p-1f));
#else
    for (int j = 0; j < count; j++)
        s[j] = v_exp_tail(t[j]);
#endif
    for (int j = 0; j < count; j++)
        s[j] = v_fma(v_mul(t[j], t[j]), s[j], t[j]);
}

static inline v_fractions v_exp_short_base(void)
{
    real roots[16];
    for (int k = 0; k < 16; k++)
        roots[k] = real_from_bits(SHORT_ROOTS[k]);
    return v_load_table(roots);
}
#endif

/* What v_exp_power needs to make 2^(k - lower), lower integral; 2^(k/16) itself is rounded once. */
static inline v_fractions v_exp_base(real lower)
{
    real_bits drop = (real_bits)(int64_t)lower << R_MANTISSA_BITS;
#ifdef V_HAS_LOOKUP
    real raised[16];
    for (int k = 0; k < 16; k++)
        raised[k] = real_from_bits(ROOTS[k] - drop);
    return v_load_table(raised);
#else
    return v_set1(real_from_bits(((real_bits)R_EXPONENT_BIAS << R_MANTISSA_BITS) - drop));
#endif
}

/* 2^(k - lower) as an ordinary number; k - lower must lie between the least normal exponent and the bias. */
static inline vreal v_exp_power(v_fractions base, vreal on_grid)
{
    return v_add_bits(v_pick(base, on_grid), on_grid, R_MANTISSA_BITS - GRID_BITS);
}

#ifdef V_HAS_LOOKUP
/* 2^(k/16) of k's fraction, rounded once. */
static inline vreal v_exp_root(vreal on_grid)
{
    real roots[16];
    for (int k = 0; k < 16; k++)
        roots[k] = real_from_bits(ROOTS[k] + ((real_bits)k << (R_MANTISSA_BITS - GRID_BITS)));
    return v_pick(v_load_table(roots), on_grid);
}
#endif

#if SV_REAL == 64
/* coefficients[0] + coefficients[1] t + ...; `count` is a constant at each call. */
INLINE vreal v_polynomial(const double *coefficients, int count, vreal t)
{
    vreal sum = v_set1(coefficients[count - 1]);
    for (int k = count - 2; k >= 0; k--)
        sum = v_fma(sum, t, v_set1(coefficients[k]));
    return sum;
}

/* Each of `count` vectors becomes 2^x as an ordinary number; 0 below `least`, which is no less than -1022, inf above the
 * range; `count` is a constant at each call. The fit and two or three roundings are all there is: the relative error
 * stays below 2 ULP, or below 1e-14 where `rough`, which has one term less and wants |x| < 2^46.
 *
 * With a table the operations of the vectors alternate: each waits long for the one before it, and a processor holds few
 * that wait. Four vectors take 0.8 to 0.9 of the time that they take one by one. */
#ifdef V_HAS_LOOKUP
/* Grid 1/16: a table of 2^(k/16) in two registers, and a fit of degree 6 instead of 11. The grid point is the one below x:
 * what is left of x is one operation then, beside the table's, and the scaling takes the whole part of x by itself. */
INLINE void v_exp2_each(vreal *x, int count, int rough, double least)
{
    static const double powers[16] = {
        0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
        0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0,
        0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0,
        0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0};
    static const double fit[6] = {0x1.62e42fefa39ebp-1, 0x1.ebfbdff830eb4p-3,  0x1.c6b08d62f5e70p-5,
                                  0x1.3b2ac53057331p-7, 0x1.5d7a510a65329p-10, 0x1.49182b11a8828p-13};
    static const double rough_fit[5] = {0x1.62e42fefaf325p-1, 0x1.ebfbdfd672335p-3, 0x1.c6b0b1619a9f3p-5,
                                        0x1.3b196a6a11c64p-7, 0x1.6530e20ccf276p-10};
    enum { MOST = 4 };
    const double *coefficients = rough ? rough_fit : fit;
    const int terms = rough ? 5 : 6;
    vreal t[MOST], power[MOST], r[MOST];
    for (int k = 0; k < count; k++)
        t[k] = v_above_sixteenth(x[k]);
    for (int k = 0; k < count; k++) /* 16 times the grid point in the low bits */
        power[k] = v_lookup(v_load_table(powers), v_add_down(x[k], v_set1(0x1.8p48)));
    for (int k = 0; k < count; k++)
        r[k] = v_set1(coefficients[terms - 1]);
    for (int term = terms - 2; term >= 0; term--)
        for (int k = 0; k < count; k++)
            r[k] = v_fma(r[k], t[k], v_set1(coefficients[term]));
    for (int k = 0; k < count; k++)
        t[k] = v_mul(power[k], t[k]);
    for (int k = 0; k < count; k++)
        r[k] = v_fma(t[k], r[k], power[k]);
    for (int k = 0; k < count; k++) /* to let it underflow would take hundreds of cycles on Intel's processors */
        x[k] = v_ldexp_where(v_not_below(x[k], v_set1(least)), r[k], x[k]);
}
#else
INLINE vreal v_exp2_near(vreal x, int rough)
{
    static const double fit[11] = {0x1.62e42fefa39efp-1,  0x1.ebfbdff82c598p-3,  0x1.c6b08d704a0c2p-5,
                                   0x1.3b2ab6fba1ddap-7,  0x1.5d87fe78a5276p-10, 0x1.430913096fd9fp-13,
                                   0x1.ffcbfc670dcd4p-17, 0x1.62bfd47773353p-20, 0x1.b524fae627834p-24,
                                   0x1.e6063f7217bc6p-28, 0x1.e9d3fe3952179p-32};
    static const double rough_fit[10] = {0x1.62e42fefa39f7p-1,  0x1.ebfbdff82c590p-3,  0x1.c6b08d7044119p-5,
                                         0x1.3b2ab6fba385fp-7,  0x1.5d87fe908f88ap-10, 0x1.4309130378460p-13,
                                         0x1.ffcb76789860fp-17, 0x1.62bfe46117445p-20, 0x1.b6571de2f2351p-24,
                                         0x1.e5e9f548e5725p-28};
    vreal n = v_rint(x), t = v_sub(x, n);
    vreal r = rough ? v_polynomial(rough_fit, 10, t) : v_polynomial(fit, 11, t);
    return v_mul(v_fma(r, t, v_set1(1.0)), v_power_of_two(n));
}

INLINE void v_exp2_each(vreal *x, int count, int rough, double least)
{
    for (int k = 0; k < count; k++) {
        const vreal whole = rough ? x[k] : v_max(v_set1(-4096), x[k]), power = v_exp2_near(whole, rough);
        x[k] = least > -1022 ? v_if_equal(v_max(v_set1(least), whole), whole, power, v_set1(0)) : power;
    }
}
#endif

static inline vreal v_exp2(vreal x)
{
    v_exp2_each(&x, 1, 0, -1022);
    return x;
}

/* log2 x for normal x > 0, within 2 ULP of the larger of the result and 1/2; anything below -1000 for x = 0.
 * With m the mantissa in [sqrt 1/2, sqrt 2): log m = 2 artanh t, t = (m - 1)/(m + 1), |t| < 0.172; the series of
 * artanh t / t ends where a term falls below 2^-55. */
static inline vreal v_log2(vreal x)
{
    static const double series[10] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,
                                      1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19};
    const vreal root = v_set1(0x1.6a09e667f3bcdp+0), one = v_set1(1);
    vreal m = v_mantissa(x), upper = v_if_equal(v_max(root, m), m, one, v_set1(0));
    m = v_fnma(v_mul(upper, v_set1(0.5)), m, m);
    vreal t = v_div(v_sub(m, one), v_add(m, one));
    vreal artanh = v_mul(t, v_polynomial(series, 10, v_mul(t, t)));
    return v_fma(artanh, v_set1(0x1.71547652b82fep+1), v_add(v_exponent(x), upper));
}

/* x^p for x >= 0 and p > 0. */
INLINE vreal v_power(vreal x, vreal p)
{
    const vreal zero = v_set1(0);
    return v_if_equal(x, zero, zero, v_exp2(v_mul(p, v_log2(x))));
}
#endif

#endif
