/* From the cost of a small problem to its kernel K_ij = 2^(u_i + v_j - scale (C_ij - offset_i)). */
#ifndef SOLVERS_OT_BATCH_COST_H
#define SOLVERS_OT_BATCH_COST_H

#include "batch_state.h"
#include "expcore.h"

enum { PREFETCH_BYTES = 4096 };

/* Row i of C in float64, +inf in the columns of zero weight and past the end. */
static const double *cost_row(const struct solve *s, size_t i)
{
    const ptrdiff_t start = (ptrdiff_t)i * s->batch->cost.stride;
    const size_t m = s->m;
    if (s->in_place)
        return (const double *)s->matrix + start;
    if (s->batch->cost.kind == SV_COST_FLOAT64)
        for (size_t j = 0; j < m; j++)
            s->line[j] = ((const double *)s->matrix)[start + (ptrdiff_t)j];
    else
        for (size_t j = 0; j < m; j++)
            s->line[j] = ((const float *)s->matrix)[start + (ptrdiff_t)j];
    for (size_t j = 0; j < m; j++)
        s->line[j] = s->b[j] > 0 ? s->line[j] : INFINITY;
    return s->line;
}

/* The largest exponent of a row without u. */
INLINE double largest_exponent(const struct solve *s, const double *line, vreal scale, vreal offset)
{
    vreal top = v_set1(-INFINITY);
    for (size_t j = 0; j < s->ld; j += SV_W)
        top = v_max(v_fnma(scale, v_sub(v_load(line + j), offset), v_load(s->v + j)), top);
    return v_max_lanes(top);
}

/* Of a row's entries, the largest being 1: what is smaller is left out, lest products with it be subnormal, at hundreds of
 * cycles an operation. Those in float32 are for directions alone. */
enum { LEAST_ENTRY = -900, LEAST_FLOAT = -90 }; /* exponents */

/* The entries 2^z in both widths. */
INLINE void store_entries(double *row, float *row_float, vreal z, vreal entries)
{
    double lanes[SV_W];
#ifdef V_HAS_LOOKUP /* and masks */
    v_store(row, v_masked(entries, v_not_below(z, v_set1(LEAST_ENTRY))));
    v_store(lanes, v_masked(entries, v_not_below(z, v_set1(LEAST_FLOAT))));
    for (int k = 0; k < SV_W; k++)
        row_float[k] = (float)lanes[k];
#else
    v_store(lanes, z);
    v_store(row, entries);
    for (int k = 0; k < SV_W; k++) {
        row[k] = lanes[k] >= LEAST_ENTRY ? row[k] : 0;
        row_float[k] = (float)(lanes[k] >= LEAST_FLOAT ? row[k] : 0);
    }
#endif
}

INLINE void kernel_row(const struct solve *s, const double *line, vreal scale, vreal offset, double *row,
                       float *row_float, double u, int careful)
{
    const vreal vu = v_set1(u);
    for (size_t j = 0; j < s->ld; j += SV_W) {
        vreal z = v_fnma(scale, v_sub(v_load(line + j), offset), v_add(v_load(s->v + j), vu));
        store_entries(row + j, row_float + j, z, careful ? v_exp2(z) : v_exp2_near(z, 1));
    }
}

static void open_columns(struct solve *s)
{
    for (size_t j = 0; j < s->ld; j++)
        s->x[j] = s->b[j] > 0 ? 1 : 0;
}

/* K from v: u_i = -max_j of the exponents; at the very start v = 0 and that maximum is 0 by the choice of the offset.
 * Infinite costs and huge exponents want care; elsewhere a fit that is good to 1e-14 is enough: it makes K a kernel
 * that differs by as much, and the certificate does not use it. */
static void make_kernel(struct solve *s, double scale, int first)
{
    const vreal vscale = v_set1(scale);
    const int careful = !s->in_place || scale * s->span > 1e6;
    const double mean = dot(s->b, s->v, s->ld) / s->mass; /* a common part of v would cost u and v digits */
    for (size_t j = 0; j < s->ld; j++)
        s->v[j] -= mean;
    for (size_t i = 0; i < s->rows; i++) {
        const double *line = cost_row(s, (size_t)s->kept[i]);
        const vreal offset = v_set1(s->offset[s->kept[i]]);
        s->u[i] = first ? 0 : -largest_exponent(s, line, vscale, offset);
        double *row = s->K + i * s->ld;
        float *row_float = s->K_float + i * s->ld;
        if (careful)
            kernel_row(s, line, vscale, offset, row, row_float, s->u[i], 1);
        else
            kernel_row(s, line, vscale, offset, row, row_float, s->u[i], 0);
    }
    open_columns(s);
}

/* Row minima as offsets, and the largest span of a row. Where no row spans more than `most` the kernel of v = 0 comes of
 * the same read, each row while it is in the first cache; returns whether it did. */
static int find_offsets(struct solve *s, double scale, double most)
{
    const vreal infinite = v_set1(INFINITY), least = v_set1(-INFINITY), zero = v_set1(0), vscale = v_set1(scale);
    double span = 0;
    for (size_t j = 0; j < s->ld; j++)
        s->v[j] = 0;
    for (size_t i = 0; i < s->rows; i++) {
        const double *line = cost_row(s, (size_t)s->kept[i]);
        vreal low = least, high = least;
        for (size_t j = 0; j < s->ld; j += SV_W) {
            __builtin_prefetch((const char *)(line + j) + PREFETCH_BYTES);
            vreal c = v_load(line + j);
            low = v_max(v_sub(zero, c), low);
            high = v_max(v_if_equal(c, infinite, least, c), high);
        }
        const double offset = -v_max_lanes(low);
        span = fmax(v_max_lanes(high) - offset, span);
        s->offset[s->kept[i]] = offset;
        if (!(span <= most))
            continue;
        s->u[i] = 0;
        double *row = s->K + i * s->ld;
        float *row_float = s->K_float + i * s->ld;
        if (s->in_place)
            kernel_row(s, line, vscale, v_set1(offset), row, row_float, 0, 0);
        else
            kernel_row(s, line, vscale, v_set1(offset), row, row_float, 0, 1);
    }
    s->span = span;
    open_columns(s);
    return span <= most;
}

/* Columns whose sum underflows: v_j such that the largest entry, not the sum, is b_j. Returns how many there are. */
static int repair_columns(struct solve *s, double scale)
{
    int repaired = 0;
    for (size_t j = 0; j < s->m; j++) {
        if (!(s->b[j] > 0) || s->c[j] > COLUMN_MIN * s->b[j])
            continue;
        double top = -INFINITY;
        for (size_t i = 0; i < s->rows; i++) {
            const double u = s->u[i] + log2(s->y[i]);
            const double z = u - scale * (cost_row(s, (size_t)s->kept[i])[j] - s->offset[s->kept[i]]);
            top = z > top ? z : top;
        }
        s->v[j] = log2(s->b[j]) - top;
        repaired++;
    }
    return repaired;
}

#endif
