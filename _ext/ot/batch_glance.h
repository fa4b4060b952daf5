/* The sums of a small problem's plan to eleven digits, which is what a step of the refinement takes of them.
 *
 * In NumPy: Q = np.exp2(v - scale * (C - offset[:, None]));  row_sums = y * Q.sum(1);  column_sums = y @ Q
 */
#ifndef SOLVERS_OT_BATCH_GLANCE_H
#define SOLVERS_OT_BATCH_GLANCE_H

#include "batch_cost.h"

enum { GLANCE_ROWS = 2 };

/* Each of `count` vectors becomes 2^x to 3e-12 of it, and about 0 for -inf. */
INLINE void short_powers(vreal *x, int count)
{
#ifdef V_HAS_LOOKUP /* 2^t = 1 + t (...) on [0, 1/16] */
    static const double fit[4] = {0x1.62e42fe35d342p-1, 0x1.ebfbfde3a4bfbp-3, 0x1.c699eea12028ap-5, 0x1.41e354cfe2524p-7};
    enum { MOST = 4 };
    vreal t[MOST], power[MOST], r[MOST];
    for (int k = 0; k < count; k++)
        t[k] = v_above_sixteenth(x[k]);
    for (int k = 0; k < count; k++)
        power[k] = v_exp_root(v_add_down(x[k], v_set1(0x1.8p48)));
    for (int k = 0; k < count; k++)
        r[k] = v_fma(v_set1(fit[3]), t[k], v_set1(fit[2]));
    for (int term = 1; term >= 0; term--)
        for (int k = 0; k < count; k++)
            r[k] = v_fma(r[k], t[k], v_set1(fit[term]));
    for (int k = 0; k < count; k++)
        t[k] = v_mul(power[k], t[k]);
    for (int k = 0; k < count; k++)
        x[k] = v_ldexp(v_fma(t[k], r[k], power[k]), x[k]);
#else
    v_exp2_each(x, count, 0, LEAST_ENTRY);
#endif
}

/* `count` rows from i on, all columns. */
INLINE void glance_rows(const struct solve *s, size_t i, int count, double *column_sums, double *row_sums, size_t ld)
{
    const double *line[GLANCE_ROWS];
    vreal factor[GLANCE_ROWS], start[GLANCE_ROWS], sum[GLANCE_ROWS];
    const vreal scale = v_set1(s->scale);
    for (int k = 0; k < count; k++) {
        line[k] = cost_row(s, (size_t)s->kept[i + (size_t)k]);
        factor[k] = v_set1(s->y[i + (size_t)k]);
        start[k] = v_set1(s->offset[s->kept[i + (size_t)k]]);
        sum[k] = v_set1(0);
    }
    for (size_t j = 0; j < ld; j += 2 * SV_W) {
        vreal z[2 * GLANCE_ROWS];
        for (int k = 0; k < count; k++)
            for (int w = 0; w < 2; w++) {
                const size_t at = j + (size_t)w * SV_W;
                z[2 * k + w] = v_fnma(scale, v_sub(v_load(line[k] + at), start[k]), v_load(s->v + at));
            }
        short_powers(z, 2 * count);
        for (int w = 0; w < 2; w++) {
            vreal column = v_load(column_sums + j + (size_t)w * SV_W);
            for (int k = 0; k < count; k++) {
                sum[k] = v_add(sum[k], z[2 * k + w]);
                column = v_fma(factor[k], z[2 * k + w], column);
            }
            v_store(column_sums + j + (size_t)w * SV_W, column);
        }
    }
    for (int k = 0; k < count; k++)
        row_sums[i + (size_t)k] = s->y[i + (size_t)k] * v_sum_lanes(sum[k]);
}

INLINE void glance_of(const struct solve *s, double *row_sums, double *column_sums, size_t ld)
{
    size_t i = 0;
    memset(column_sums, 0, ld * sizeof(double));
    for (; s->in_place && i + GLANCE_ROWS <= s->rows; i += GLANCE_ROWS) /* rows that are copied share one line */
        glance_rows(s, i, GLANCE_ROWS, column_sums, row_sums, ld);
    for (; i < s->rows; i++)
        glance_rows(s, i, 1, column_sums, row_sums, ld);
}

/* The sums of the rows that are kept, and of the columns, at v and y. */
static void glance(const struct solve *s, double *row_sums, double *column_sums)
{
    switch (s->ld) { /* constants: the columns are no loop then */
    case 64: glance_of(s, row_sums, column_sums, 64); break;
    default: glance_of(s, row_sums, column_sums, s->ld);
    }
}

#endif
