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

/* In a unit of the mass: no square underflows, and nothing overflows that the mass and the costs do not. */
struct side {
    double l1, squares, largest; /* of the gaps between sums and weights */
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
        const vreal term = v_mul(v_mul(vunit, sum), v_sub(v_load_some(potentials + i, size - i, 0), logarithm));
        entropy = v_add(entropy, v_if_equal(sum, zero, zero, term)); /* 0 times -inf at zero weights */
    }
    return (struct side){v_sum_lanes(l1), v_sum_lanes(squares), v_max_lanes(largest), v_sum_lanes(entropy)};
}

static double claim(const struct solve *s, size_t index, const double *row_sums, const double *column_sums, double paid)
{
    const struct sv_ot_batch *batch = s->batch;
    const double *a = batch->a + (ptrdiff_t)index * batch->a_stride, *b = batch->b + (ptrdiff_t)index * batch->b_stride;
    const double unit = ldexp(1, -s->exponent);
    const struct side rows = side_of(a, row_sums, batch->u + index * s->n, unit, s->n);
    const struct side columns = side_of(b, column_sums, batch->v + index * s->m, unit, s->m);
    double *claims = batch->claims + index * SV_BATCH_CLAIMS;
    vreal sum = v_set1(0);
    for (size_t i = 0; i < s->n; i += SV_W)
        sum = v_fma(v_mul(v_set1(unit), v_load_some(row_sums + i, s->n - i, 0)), v_load_some(s->offset + i, s->n - i, 0), sum);
    const double l1 = rows.l1 + columns.l1, offsets = v_sum_lanes(sum);
    const double error = batch->norm == SV_NORM_L1 || !isfinite(l1) ? l1 /* a maximum may pass over NaN */
                         : batch->norm == SV_NORM_L2                ? sqrt(rows.squares + columns.squares)
                                                                    : fmax(rows.largest, columns.largest);
    claims[SV_CLAIM_ERROR] = ldexp(error, s->exponent);
    claims[SV_CLAIM_LINEAR] = paid + ldexp(offsets, s->exponent);
    /* log P = ln2 (u + v) - (C - offset) / reg: the costs cancel but for their offsets. 1 / scale is reg ln2. */
    claims[SV_CLAIM_VALUE] = ldexp(offsets + (rows.entropy + columns.entropy) / s->scale, s->exponent);
    return claims[SV_CLAIM_ERROR];
}

/* The sums of the plan of the potentials given out, from the costs, and what they claim; returns the error. The plan goes
 * where it is wanted. */
static double certify(const struct solve *s, size_t index, const struct ot_tools *tools, double *row_sums, double *column_sums)
{
    const struct sv_ot_batch *batch = s->batch;
    const struct sv_ot_cost cost = ot_batch_cost(batch, index);
    double *plan = batch->plans ? batch->plans + index * s->n * s->m : NULL;
    const double paid = tools->certificate->sums(&cost, s->scale, batch->u + index * s->n, batch->v + index * s->m, row_sums,
                                                 column_sums, plan, ot_batch_past_cache(batch));
    return claim(s, index, row_sums, column_sums, paid);
}

#endif
