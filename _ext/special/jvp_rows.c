/* The derivative of softmax over rows: segments, threads. The arithmetic is in jvp.c.
 *
 * A row is cut into segments of fixed length whose dot products are added in order, so every thread count gives
 * the same bits.
 */
#include <math.h>

#include "jvp_kernels.h"
#include "pairs.h"
#include "shares.h"
#include "width.h"

typedef struct NAME(jvp_kernels) jvp_kernels;
SV_DISPATCH(jvp_kernels, kernels, NAME(jvp_kernels))

enum { GROUP = 64 /* segments that are added at a time */ };

struct jvp_rows {
    const real *y, *v;
    real *out;
    ptrdiff_t y_stride, v_stride, out_stride;
    size_t rows, length, row, first;
    struct two_words *dots, parts[GROUP]; /* parts: of one row, from segment `first` on */
    const struct two_words *given;
};

static struct two_words add(struct two_words a, struct two_words b)
{
    double hi = a.hi + b.hi, added = hi - a.hi;
    double lo = (a.hi - (hi - added)) + (b.hi - added) + (a.lo + b.lo), total = hi + lo;
    return isfinite(hi) ? (struct two_words){total, lo - (total - hi)} : (struct two_words){hi, 0};
}

static struct two_words dot_of_segment(const struct jvp_rows *all, size_t row, size_t k)
{
    const real *y = all->y + (ptrdiff_t)row * all->y_stride, *v = all->v + (ptrdiff_t)row * all->v_stride;
    return kernels()->dot(y + k * SEGMENT, v + k * SEGMENT, segment_of(all->length, k));
}

static void dot_one_segment(void *context, size_t k)
{
    struct jvp_rows *all = context;
    all->parts[k] = dot_of_segment(all, all->row, all->first + k);
}

/* A long row: its segments, a group at a time. */
static struct two_words dot_of_long_row(struct jvp_rows *all, size_t row, struct two_words dot, int threads)
{
    all->row = row;
    for (all->first = 0; all->first < segments_of(all->length); all->first += GROUP) {
        size_t left = segments_of(all->length) - all->first, count = left < GROUP ? left : GROUP;
        sv_parallel_for(threads, count, dot_one_segment, all);
        for (size_t k = 0; k < count; k++)
            dot = add(dot, all->parts[k]);
    }
    return dot;
}

static void dot_short_row(void *context, size_t row)
{
    struct jvp_rows *all = context;
    all->dots[row] = add(all->dots[row], dot_of_segment(all, row, 0));
}

static void update_segment(const struct jvp_rows *all, size_t row, size_t k, struct two_words dot)
{
    ptrdiff_t r = (ptrdiff_t)row;
    size_t start = k * SEGMENT;
    kernels()->update(all->y + r * all->y_stride + start, all->v + r * all->v_stride + start,
                      all->out + r * all->out_stride + start, segment_of(all->length, k), dot);
}

static void update_one_segment(void *context, size_t k)
{
    const struct jvp_rows *all = context;
    size_t row = k / segments_of(all->length);
    update_segment(all, row, k % segments_of(all->length), all->given[row]);
}

static void jvp_of_short_row(void *context, size_t row)
{
    const struct jvp_rows *all = context;
    update_segment(all, row, 0, add((struct two_words){0, 0}, dot_of_segment(all, row, 0)));
}

static void update_long_row_segment(void *context, size_t k)
{
    const struct jvp_rows *all = context;
    update_segment(all, all->row, k, all->given[0]);
}

void NAME(sv_add_to_dots)(const real *y, ptrdiff_t y_stride, const real *v, ptrdiff_t v_stride, double *dots,
                          size_t rows, size_t length, int threads)
{
    struct jvp_rows all = {.y = y, .v = v, .y_stride = y_stride, .v_stride = v_stride, .rows = rows,
                           .length = length, .dots = (struct two_words *)dots};
    threads = threads_for(all.rows * all.length, threads);
    if (segments_of(all.length) == 1)
        for_shares(threads, rows, dot_short_row, &all);
    else
        for (size_t row = 0; row < rows; row++)
            all.dots[row] = dot_of_long_row(&all, row, all.dots[row], threads);
}

void NAME(sv_jvp_by_dots)(const real *y, ptrdiff_t y_stride, const real *v, ptrdiff_t v_stride, real *out,
                          ptrdiff_t out_stride, const double *dots, size_t rows, size_t length, int threads)
{
    struct jvp_rows all = {.y = y, .v = v, .out = out, .y_stride = y_stride, .v_stride = v_stride,
                           .out_stride = out_stride, .rows = rows, .length = length,
                           .given = (const struct two_words *)dots};
    for_shares(threads_for(all.rows * all.length, threads), rows * segments_of(all.length), update_one_segment, &all);
}

void NAME(sv_softmax_jvp)(const real *y, ptrdiff_t y_stride, const real *v, ptrdiff_t v_stride, real *out,
                          ptrdiff_t out_stride, size_t rows, size_t length, int threads)
{
    struct jvp_rows all = {.y = y, .v = v, .out = out, .y_stride = y_stride, .v_stride = v_stride,
                           .out_stride = out_stride, .rows = rows, .length = length};
    threads = threads_for(all.rows * all.length, threads);
    if (segments_of(all.length) == 1) {
        for_shares(threads, rows, jvp_of_short_row, &all);
        return;
    }
    for (size_t row = 0; row < rows; row++) {
        struct two_words dot = dot_of_long_row(&all, row, (struct two_words){0, 0}, threads);
        all.row = row, all.given = &dot;
        for_shares(threads, segments_of(all.length), update_long_row_segment, &all);
    }
}
