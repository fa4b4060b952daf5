/* Part of softmax.c: exponentials at a common exponent, and their sums, of which no rounding is lost. */
#ifndef SOLVERS_SOFTMAX_TERMS_H
#define SOLVERS_SOFTMAX_TERMS_H

#include "expcore.h"
#include "softmax_kernels.h"

enum {
    BLOCK = 64,     /* vectors that are summed on one grid */
    FINE_BLOCK = 12, /* and terms of at most 1 that are kept: what equal ones lose is rounded alike, the less the fewer */
    FINE_START = 32, /* the start of such a sum, which stays within a binade */
    NARROW_BITS = 4, /* of the vectors of a narrow row, whose powers add up exactly */
    NARROW_BLOCK = 1 << NARROW_BITS,
    SUM_PIECE = 1 << 17, /* elements of a row whose blocks are added up in two words */
    CHUNK = 128,    /* blocks that share an exponent */
    PROBE = 1024,   /* elements whose maximum is the first guess of it */
    HEADROOM = 4,   /* how far terms may exceed the guess, in powers of two */
    TOGETHER = 4,   /* vectors that are worked on side by side */
#ifdef V_HAS_LOOKUP
    ROWS_TOGETHER = TOGETHER, /* of columns' results */
    STEPS_TOGETHER = TOGETHER, /* where a row leaves beside */
#else
    ROWS_TOGETHER = 1, /* there are too few registers for more */
    STEPS_TOGETHER = 1,
#endif
    PREFETCH_BYTES = 8192, /* how far ahead lines are called that come from memory */
    NEAR_BYTES = 2048,     /* and those that a cache may have, or of many rows at a time */
    PAGE_BYTES = 4096,
    NEXT_ROW_BYTES = 64 << 10, /* of a row that waits in cache until it is summed */
    PREFETCH_GROUPS = 2, /* of rows that become columns */
    REGISTER_ROW = 8,    /* vectors of a row that is kept in registers */
    TRANSPOSED_ROW = 4,  /* of a row that becomes a column: a lane */
    GROUPED_ROW = SV_W + 1, /* elements from which rows stay rows */
    PANEL_BYTES = 2048   /* of rows kept in registers that are written together */
};

/* The terms of a block are at most 2^HEADROOM each: a sum that starts here stays within one binade. */
#define SUM_START ((real)(2 * BLOCK << HEADROOM))

/* start + terms on the grid of the start, and what their roundings to that grid lost. */
struct grid_sum {
    vreal sum, lost;
};

static inline struct grid_sum empty_sum(real start) { return (struct grid_sum){v_set1(start), v_set1(0)}; }

/* Adds e = power (1 + s), whose rounding does not count either: sums within a binade are on one grid, so
 * next - sum is exact and close to e, and power minus it too. Returns e rounded. (Rounded terms added in pairs would
 * take 3.5 operations a vector instead of 6, but softmax is then wrong by up to 3.3 ULP.) */
INLINE vreal add_term(struct grid_sum *acc, vreal s, vreal power)
{
    vreal term = v_fma(s, power, power), next = v_add(acc->sum, term);
    acc->lost = v_add(acc->lost, v_fma(s, power, v_sub(power, v_sub(next, acc->sum))));
    acc->sum = next;
    return term;
}

/* The same where the term itself is not wanted. Beside a table s is so small that the sum of s power loses nothing that
 * counts. */
INLINE void add_power(struct grid_sum *acc, vreal s, vreal power)
{
#ifdef V_HAS_LOOKUP
    const vreal next = v_add(acc->sum, power), lost = v_sub(power, v_sub(next, acc->sum));
    acc->lost = v_add(acc->lost, v_fma(s, power, lost));
    acc->sum = next;
#else
    add_term(acc, s, power);
#endif
}

/* sum + error += term, error being what the rounding of the sum lost. */
static inline void add_compensated(vreal term, vreal *sum, vreal *error)
{
    vreal total = v_add(*sum, term), added = v_sub(total, *sum);
    vreal lost = v_add(v_sub(*sum, v_sub(total, added)), v_sub(term, added));
    *error = v_add(*error, lost);
    *sum = total;
}

static inline void add_grid_sum(struct grid_sum block, real start, vreal *sum, vreal *error)
{
    add_compensated(v_sub(block.sum, v_set1(start)), sum, error);
    add_compensated(block.lost, sum, error);
}

/* The lanes of sum + error together: in double, or for doubles in a fixed tree of exact sums. */
static inline struct scaled_sum over_lanes(vreal sum, vreal error, double exponent)
{
#if SV_REAL == 32
    return (struct scaled_sum){v_sum_wide(sum) + v_sum_wide(error), 0, exponent};
#else
    double hi[SV_W], lost = 0;
    v_store(hi, sum);
    for (int width = SV_W / 2; width > 0; width /= 2)
        for (int k = 0; k < width; k++) {
            double total = hi[k] + hi[k + width], added = total - hi[k];
            lost += (hi[k] - (total - added)) + (hi[k + width] - added);
            hi[k] = total;
        }
    double lo = lost + v_sum_lanes(error), total = hi[0] + lo;
    return (struct scaled_sum){total, lo - (total - hi[0]), exponent};
#endif
}

/* Exponentials at an exponent `lower`, and the x below which they would leave the normal numbers. The guard keeps
 * products with what their roundings left normal too: a subnormal result takes a hundred cycles. */
struct window {
    v_fractions base;
    vreal lowest_x, lower, to_grid; /* to_grid: TO_GRID - lower, for a base without `lower` */
#ifdef V_HAS_LOOKUP
    v_fractions rests; /* of a row's terms: see v_exp_split_near */
#endif
};

enum { GUARD_BITS = SV_REAL == 32 ? 30 : 60 };

static inline struct window window_above(real lower)
{
    real lowest_x = (real)((lower - (R_EXPONENT_BIAS - 2 - GUARD_BITS)) * 0.69314718055994530942);
    return (struct window){.base = v_exp_base(lower),
                           .lowest_x = v_set1(lowest_x > LOWEST_X ? lowest_x : LOWEST_X),
                           .lower = v_set1(lower),
                           .to_grid = v_set1(TO_GRID - lower)};
}

/* A whole exponent above that of e^x, within the safe range; for +inf and what lies above that range: infinity. */
static inline real exponent_above(real x)
{
    if (!(x < -LOWEST_X))
        return INFINITY;
    return x > LOWEST_X ? (real)floor(x * LOG2_E) + 1 : LOWEST_EXPONENT;
}

#endif
