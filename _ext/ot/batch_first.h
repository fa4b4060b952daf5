/* The first kernel of a small problem, K_ij = 2^(scale (offset_i - C_ij)) in both widths, from one read of the costs: to
 * eleven digits, which is what a step of the refinement takes of its sums.
 *
 * In NumPy: offset = C.min(1);  K = np.exp2(-scale * (C - offset[:, None]))
 */
#ifndef SOLVERS_OT_BATCH_FIRST_H
#define SOLVERS_OT_BATCH_FIRST_H

#include "batch_cost.h"

enum { FIRST_ROWS = 2 /* whose powers alternate */ };

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

INLINE int all_at_least(vreal v, vreal w) { return v_at_least(v, w) == v_at_least(v_set1(1), v_set1(1)); }

/* The least entry of each of some rows; returns whether no finite one is more than `most` above it. */
INLINE int least_of_rows(const double *const *lines, size_t count, size_t ld, double most, double *least)
{
#ifdef V_HAS_TRANSPOSE /* the lanes of all rows together */
    vreal low[SV_W], high[SV_W];
    if (count == SV_W) {
        for (int k = 0; k < SV_W; k++) {
            low[k] = high[k] = v_load(lines[k]);
            for (size_t j = SV_W; j < ld; j += SV_W) {
                const vreal c = v_load(lines[k] + j);
                low[k] = v_min(c, low[k]);
                high[k] = v_max(c, high[k]);
            }
        }
        const vreal lowest = v_fold(low, v_min);
        v_store(least, lowest);
        return all_at_least(v_set1(most), v_sub(v_fold(high, v_max), lowest));
    }
#endif
    int near = 1;
    for (size_t k = 0; k < count; k++) {
        vreal span = v_set1(0);
        least[k] = least_of(lines[k], ld);
        for (size_t j = 0; j < ld; j += SV_W) {
            const vreal above = v_sub(v_load(lines[k] + j), v_set1(least[k])), infinite = v_set1(INFINITY);
            span = v_max(v_if_equal(above, infinite, v_set1(0), above), span);
        }
        near &= v_max_lanes(span) <= most;
    }
    return near;
}

/* Rows i to i + count of the kernel, from the costs in `lines` and their least entries. The rows that follow in the next
 * group come into the first cache meanwhile. */
INLINE void first_rows(const struct solve *s, const double *const *lines, const double *least, size_t i, int count, size_t ld)
{
    const vreal minus = v_set1(-s->scale);
    for (size_t j = 0; j < ld; j += 2 * SV_W) {
        vreal z[2 * FIRST_ROWS];
        for (int k = 0; k < count; k++)
            for (int w = 0; w < 2; w++) {
                const double *at = lines[k] + j + (size_t)w * SV_W;
                __builtin_prefetch((const char *)at + PREFETCH_BYTES);
                z[2 * k + w] = v_mul(minus, v_sub(v_load(at), v_set1(least[k])));
            }
        short_powers(z, 2 * count);
        for (int k = 0; k < count; k++)
            for (int w = 0; w < 2; w++) {
                const size_t at = (i + (size_t)k) * ld + j + (size_t)w * SV_W;
                v_store(s->K + at, z[2 * k + w]);
                v_store_float(s->K_float + at, z[2 * k + w]);
            }
    }
}

INLINE int first_kernel_of(struct solve *s, double most, size_t ld)
{
    const size_t together = s->in_place ? ROWS_TOGETHER : 1; /* rows that are copied share one line */
    for (size_t first = 0; first < s->rows; first += together) {
        const size_t count = first + together < s->rows ? together : s->rows - first;
        const double *lines[ROWS_TOGETHER];
        double least[ROWS_TOGETHER];
        for (size_t k = 0; k < count; k++)
            lines[k] = cost_row(s, (size_t)s->kept[first + k]);
        if (!least_of_rows(lines, count, ld, most, least))
            return 0;
        for (size_t k = 0; k < count; k++)
            s->offset[s->kept[first + k]] = least[k];
        size_t k = 0;
        for (; k + FIRST_ROWS <= count; k += FIRST_ROWS)
            first_rows(s, lines + k, least + k, first + k, FIRST_ROWS, ld);
        for (; k < count; k++)
            first_rows(s, lines + k, least + k, first + k, 1, ld);
    }
    return 1;
}

/* Row minima as offsets, and the kernel; returns 0 at the first row that spans more than `most`. */
static int first_kernel(struct solve *s, double most)
{
    switch (s->ld) { /* constants: the columns are no loop then */
    case 64: return first_kernel_of(s, most, 64);
    default: return first_kernel_of(s, most, s->ld);
    }
}

#endif
