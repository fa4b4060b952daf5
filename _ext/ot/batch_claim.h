/* What is claimed of an answer, from the sums of its plan. */
#ifndef SOLVERS_OT_BATCH_CLAIM_H
#define SOLVERS_OT_BATCH_CLAIM_H

#include "batch_state.h"
#include "expcore.h"

/* The power of two that is the unit of the weights: their mass is from 1 to 2 of it. */
static int mass_exponent(const double *weights, size_t size)
{
    vreal mass = v_set1(0);
    for (size_t i = 0; i < size; i += SV_W)
        mass = v_add(mass, v_load_some(weights + i, size - i, 0));
    const int exponent = ilogb(v_sum_lanes(mass));
    return exponent > -LARGEST_EXPONENT ? exponent : -LARGEST_EXPONENT;
}

struct side {
    double l1, squares, largest; /* of the gaps between sums and weights, in a unit of the mass: no square underflows */
    double entropy;              /* sums_i (potential_i - log2 weight_i), added up */
};

static struct side side_of(const double *weights, const double *sums, const double *potentials, double unit,
                           size_t size)
{
    const vreal zero = v_set1(0), vunit = v_set1(unit);
    vreal l1 = zero, squares = zero, largest = zero, entropy = zero;
    for (size_t i = 0; i < size; i += SV_W) {
        const vreal weight = v_load_some(weights + i, size - i, 0), sum = v_load_some(sums + i, size - i, 0);
        const vreal gap = v_mul(vunit, v_abs(v_sub(sum, weight)));
        l1 = v_add(l1, gap);
        squares = v_fma(gap, gap, squares);
        largest = v_max(gap, largest);
        const vreal logarithm = v_log2(v_if_equal(weight, zero, v_set1(1), weight));
        const vreal term = v_mul(sum, v_sub(v_load_some(potentials + i, size - i, 0), logarithm));
        entropy = v_add(entropy, v_if_equal(sum, zero, zero, term)); /* 0 times -inf at zero weights */
    }
    return (struct side){v_sum_lanes(l1), v_sum_lanes(squares), v_max_lanes(largest), v_sum_lanes(entropy)};
}

static double claim(const struct sv_ot_batch *batch, size_t index, const double *row_sums, const double *column_sums,
                  double paid)
{
    const size_t n = batch->cost.n, m = batch->cost.m;
    const double *offset = batch->offset + index * n;
    const double *a = batch->a + (ptrdiff_t)index * batch->a_stride, *b = batch->b + (ptrdiff_t)index * batch->b_stride;
    const int exponent = mass_exponent(a, n);
    const double unit = ldexp(1, -exponent);
    const struct side rows = side_of(a, row_sums, batch->u + index * n, unit, n);
    const struct side columns = side_of(b, column_sums, batch->v + index * m, unit, m);
    double offsets = 0, *claims = batch->claims + index * SV_BATCH_CLAIMS;
    for (size_t i = 0; i < n; i++)
        offsets += row_sums[i] * offset[i];
    const double l1 = rows.l1 + columns.l1;
    const double error = batch->norm == SV_NORM_L1 || !isfinite(l1) ? l1 /* a maximum may pass over NaN */
                         : batch->norm == SV_NORM_L2                ? sqrt(rows.squares + columns.squares)
                                                                    : fmax(rows.largest, columns.largest);
    claims[SV_CLAIM_ERROR] = ldexp(error, exponent);
    claims[SV_CLAIM_LINEAR] = paid + offsets;
    /* log P = ln2 (u + v) - (C - offset) / reg: the costs cancel but for their offsets. 1 / scale is reg ln2. */
    claims[SV_CLAIM_VALUE] = offsets + (rows.entropy + columns.entropy) / batch->scale[(ptrdiff_t)index * batch->scale_stride];
    return claims[SV_CLAIM_ERROR];
}

/* The sums of the plan of the potentials given out, from the costs, and what they claim; returns the error. The plan goes
 * where it is wanted. */
static double certify(const struct sv_ot_batch *batch, size_t index, const struct ot_tools *tools, double *row_sums,
                      double *column_sums)
{
    const size_t n = batch->cost.n, m = batch->cost.m;
    const struct sv_ot_cost cost = ot_batch_cost(batch, index);
    double *plan = batch->plans ? batch->plans + index * n * m : NULL;
    const double paid = tools->certificate->sums(&cost, batch->scale[(ptrdiff_t)index * batch->scale_stride],
                                                 batch->u + index * n, batch->v + index * m, row_sums, column_sums, plan,
                                                 ot_batch_past_cache(batch));
    return claim(batch, index, row_sums, column_sums, paid);
}

#endif
