/* From the cost of a small problem to its kernel K_ij = 2^(u_i + v_j - scale (C_ij - offset_i)). */
#ifndef SOLVERS_OT_BATCH_COST_H
#define SOLVERS_OT_BATCH_COST_H

#include "batch_state.h"
#include "expcore.h"

enum { PREFETCH_BYTES = 4096, ROWS_TOGETHER = 8 };

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
#define LEAST_ENTRY (-900.0) /* exponents */
#define LEAST_FLOAT 0x1p-90f

/* The entries in float32. */
INLINE void store_floats(float *out, vreal entries)
{
#ifdef V_HAS_LOOKUP /* and masks */
    v_store_float_where(v_not_below(entries, v_set1(LEAST_FLOAT)), out, entries);
#else
    double lanes[SV_W];
    v_store(lanes, entries);
    for (int k = 0; k < SV_W; k++)
        out[k] = (float)(lanes[k] >= LEAST_FLOAT ? lanes[k] : 0);
#endif
}

/* Entries j, j + 1, ... of a row, in both widths. *span becomes at least the largest finite cost less the offset. */
INLINE void kernel_entries(const struct solve *s, const double *line, vreal scale, vreal offset, double *row,
                           float *row_float, vreal u, vreal *span, size_t j, int vectors, int careful)
{
    const vreal infinite = v_set1(INFINITY), zero = v_set1(0);
    vreal z[4];
    for (int w = 0; w < vectors; w++) {
        const size_t at = j + (size_t)w * SV_W;
        const vreal c = v_sub(v_load(line + at), offset);
        *span = v_max(careful ? v_if_equal(c, infinite, zero, c) : c, *span);
        z[w] = v_fnma(scale, c, v_add(v_load(s->v + at), u));
    }
    v_exp2_each(z, vectors, !careful, LEAST_ENTRY);
    for (int w = 0; w < vectors; w++) {
        const size_t at = j + (size_t)w * SV_W;
        v_store(row + at, z[w]);
        store_floats(row_float + at, z[w]);
    }
}

/* ld is a multiple of two vectors. */
INLINE void kernel_row(const struct solve *s, const double *line, vreal scale, vreal offset, double *row,
                       float *row_float, double u, vreal *span, int careful)
{
    const vreal vu = v_set1(u);
    size_t j = 0;
    for (; j + 4 * SV_W <= s->ld; j += 4 * SV_W)
        kernel_entries(s, line, scale, offset, row, row_float, vu, span, j, 4, careful);
    for (; j < s->ld; j += 2 * SV_W)
        kernel_entries(s, line, scale, offset, row, row_float, vu, span, j, 2, careful);
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
    vreal span = v_set1(0);
    for (size_t i = 0; i < s->rows; i++) {
        const double *line = cost_row(s, (size_t)s->kept[i]);
        const vreal offset = v_set1(s->offset[s->kept[i]]);
        s->u[i] = first ? 0 : -largest_exponent(s, line, vscale, offset);
        double *row = s->K + i * s->ld;
        float *row_float = s->K_float + i * s->ld;
        if (careful)
            kernel_row(s, line, vscale, offset, row, row_float, s->u[i], &span, 1);
        else
            kernel_row(s, line, vscale, offset, row, row_float, s->u[i], &span, 0);
    }
    open_columns(s);
}

static double least_of(const double *line, size_t ld)
{
    const vreal zero = v_set1(0);
    vreal low = v_set1(-INFINITY);
    for (size_t j = 0; j < ld; j += SV_W)
        low = v_max(v_sub(zero, v_load(line + j)), low);
    return -v_max_lanes(low);
}

/* Row minima as offsets, the largest span of a row, and, of the same read, the kernel of v = 0: it serves where no row
 * spans more than `most`; returns whether it does. The minima of some rows are found together: each by itself would
 * hold up its exponentials. While these are formed the rows after them are fetched. */
static int find_offsets(struct solve *s, double scale, double most)
{
    const size_t together = s->in_place ? ROWS_TOGETHER : 1; /* rows that are copied share one line */
    const vreal vscale = v_set1(scale);
    vreal span = v_set1(0);
    for (size_t j = 0; j < s->ld; j++)
        s->v[j] = 0;
    for (size_t first = 0; first < s->rows; first += together) {
        const size_t last = first + together < s->rows ? first + together : s->rows;
        const double *lines[ROWS_TOGETHER];
        for (size_t i = first; i < last; i++) {
            lines[i - first] = cost_row(s, (size_t)s->kept[i]);
            s->offset[s->kept[i]] = least_of(lines[i - first], s->ld);
            s->u[i] = 0;
        }
        for (size_t i = first; i < last; i++) {
            const double *line = lines[i - first];
            for (size_t j = 0; j < s->ld; j += 64 / sizeof *line)
                __builtin_prefetch((const char *)(line + j) + PREFETCH_BYTES);
            const vreal offset = v_set1(s->offset[s->kept[i]]);
            double *row = s->K + i * s->ld;
            float *row_float = s->K_float + i * s->ld;
            if (s->in_place)
                kernel_row(s, line, vscale, offset, row, row_float, 0, &span, 0);
            else
                kernel_row(s, line, vscale, offset, row, row_float, 0, &span, 1);
        }
    }
    s->span = v_max_lanes(span);
    open_columns(s);
    return s->span <= most;
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
