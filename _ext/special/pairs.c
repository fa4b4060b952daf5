/* Sums of exponentials over blocks, and rows divided by such sums: softmax of lines that are seen in pieces.
 *
 * Compiled once per float width at the machine's base level; the arithmetic of a piece is in softmax.c, that of
 * joining pieces in scaled_sum.h. Adding reads x twice while it is in cache (the two largest elements, the sum of all
 * but the largest); dividing reads and writes once. A row is cut into segments of fixed length, joined in order, so
 * every thread count gives the same bits.
 *
 * In NumPy, for one row and a first piece:
 *     k = x.argmax(); top = x[k]; others = np.exp(np.delete(x, k) - top).sum()     # adding
 *     y = np.exp(x - top) / (1 + others)                                           # dividing
 *     y = (x - top) - np.log1p(others)                                             # its logarithm
 */
#include "scaled_sum.h"
#include "shares.h"
#include "width.h"

typedef struct NAME(softmax_kernels) softmax_kernels;
SV_DISPATCH(softmax_kernels, kernels, NAME(softmax_kernels))

enum {
    GROUP = 64,  /* segments that are joined at a time */
    PIECE = 8192 /* elements that are summed at a time: the first cache has them still when they are read again */
};

/* ---- pieces --------------------------------------------------------------------------------- */

/* 0 where pairs without a shift serve a row with this maximum, else the maximum. */
static double shift_for(double top) { return fabs(top) < 0.6 * kernels()->highest_exponent ? 0 : top; }

/* Without the largest element, of which one is kept apart; where two are alike, it is taken off again. */
static struct sv_line_sum sum_piece(const real *x, size_t n)
{
    struct sv_line_sum sum = EMPTY_SUM;
    real top, next;
    kernels()->leading(x, n, &top, &next);
    sum.top = top;
    if (!(fabs(sum.top) < INFINITY)) {
        sum.top = n ? kernels()->max(x, n) : -INFINITY; /* which sees a NaN */
        return sum;
    }
    sum.shift = shift_for(sum.top);
    struct scaled_sum others = kernels()->sum_others(x, n, top == next ? INFINITY : top, (real)sum.shift, next);
    if (!(others.hi < INFINITY)) {
        sum.top = NAN;
        return sum;
    }
    if (top == next)
        others = add(others, negative(exp_of_difference(sum.top, sum.shift)));
    sum.hi = others.hi, sum.lo = others.lo, sum.exponent = others.exponent;
    return sum;
}

static struct sv_line_sum sum_segment(const real *x, size_t n)
{
    struct sv_line_sum sum = EMPTY_SUM;
    for (size_t i = 0; i < n; i += PIECE)
        sum = join(sum, sum_piece(x + i, n - i < PIECE ? n - i : PIECE));
    return sum;
}

static void divide_segment(const real *x, real *y, size_t n, const struct sv_line_sum *sum, int stream)
{
    if (!(fabs(sum->top) < INFINITY)) {
        for (size_t i = 0; i < n; i++)
            y[i] = NAN;
        return;
    }
    double shift = shift_for(sum->top); /* not the sum's own: that may come from a machine of another level */
    struct scaled_sum total = add(exp_of_difference(sum->top, shift), others_at(sum, shift));
    kernels()->divide(x, y, n, (real)shift, total, stream);
}

static void subtract_segment(const real *x, real *y, size_t n, const struct sv_line_sum *sum, int stream)
{
    double offset = 0; /* inf and NaN come out of the subtraction of the top */
    if (fabs(sum->top) < INFINITY && sum->hi != 0) {
        struct scaled_sum largest = exp_of_difference(sum->top, sum->shift);
        offset = log1p((sum->hi + sum->lo) / (largest.hi + largest.lo) * exp2(sum->exponent - largest.exponent));
    }
    kernels()->subtract(x, y, n, (real)sum->top, (real)offset, stream);
}

static double log_of_line(const struct sv_line_sum *sum)
{
    if (!(fabs(sum->top) < INFINITY))
        return sum->top;
    struct scaled_sum total = add(exp_of_difference(sum->top, sum->shift), others_at(sum, sum->shift));
    return log_of_sum(total, sum->shift);
}

/* ---- rows ----------------------------------------------------------------------------------- */

struct lines {
    const real *x;
    real *y;
    ptrdiff_t x_stride, y_stride;
    size_t rows, length;
    struct sv_line_sum *sums, parts[GROUP]; /* parts: of one row, from segment `first` on */
    const struct sv_line_sum *given;
    size_t row, first;
    int stream;
    void (*map)(const real *x, real *y, size_t n, const struct sv_line_sum *sum, int stream);
};

static void sum_one_segment(void *context, size_t k)
{
    struct lines *lines = context;
    size_t segment = lines->first + k;
    const real *row = lines->x + (ptrdiff_t)lines->row * lines->x_stride;
    lines->parts[k] = sum_segment(row + segment * SEGMENT, segment_of(lines->length, segment));
}

/* A long row: its segments, a group at a time. */
static void sum_long_row(struct lines *lines, size_t row, int threads)
{
    lines->row = row;
    for (lines->first = 0; lines->first < segments_of(lines->length); lines->first += GROUP) {
        size_t left = segments_of(lines->length) - lines->first, count = left < GROUP ? left : GROUP;
        sv_parallel_for(threads, count, sum_one_segment, lines);
        for (size_t k = 0; k < count; k++)
            lines->sums[row] = join(lines->sums[row], lines->parts[k]);
    }
}

static void sum_short_row(void *context, size_t row)
{
    struct lines *lines = context;
    const real *x = lines->x + (ptrdiff_t)row * lines->x_stride;
    lines->sums[row] = join(lines->sums[row], sum_segment(x, lines->length));
}

void NAME(sv_add_to_sums)(const real *x, ptrdiff_t x_stride, struct sv_line_sum *sums, size_t rows, size_t length,
                          int threads)
{
    struct lines lines = {.x = x, .x_stride = x_stride, .rows = rows, .length = length, .sums = sums};
    if (segments_of(lines.length) == 1)
        for_shares(threads_for(lines.rows * lines.length, threads), rows, sum_short_row, &lines);
    else
        for (size_t row = 0; row < rows; row++)
            sum_long_row(&lines, row, threads_for(lines.rows * lines.length, threads));
}

static void map_one_segment(void *context, size_t k)
{
    const struct lines *lines = context;
    size_t row = k / segments_of(lines->length), segment = k % segments_of(lines->length), start = segment * SEGMENT;
    const real *x = lines->x + (ptrdiff_t)row * lines->x_stride + start;
    real *y = lines->y + (ptrdiff_t)row * lines->y_stride + start;
    lines->map(x, y, segment_of(lines->length, segment), lines->given + row, lines->stream);
}

static void map_lines(struct lines lines, int threads)
{
    threads = threads_for(lines.rows * lines.length, threads);
    lines.stream = lines.x != lines.y && lines.rows * lines.length * sizeof(real) > STREAM_MIN_BYTES;
    for_shares(threads, lines.rows * segments_of(lines.length), map_one_segment, &lines);
}

void NAME(sv_divide_by_sums)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride,
                             const struct sv_line_sum *sums, size_t rows, size_t length, int threads)
{
    map_lines((struct lines){.x = x, .y = y, .x_stride = x_stride, .y_stride = y_stride, .rows = rows,
                             .length = length, .given = sums, .map = divide_segment}, threads);
}

void NAME(sv_subtract_sums)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride,
                            const struct sv_line_sum *sums, size_t rows, size_t length, int threads)
{
    map_lines((struct lines){.x = x, .y = y, .x_stride = x_stride, .y_stride = y_stride, .rows = rows,
                             .length = length, .given = sums, .map = subtract_segment}, threads);
}

void NAME(sv_log_of_sums)(const struct sv_line_sum *sums, real *out, size_t count)
{
    for (size_t k = 0; k < count; k++)
        out[k] = (real)log_of_line(sums + k);
}

#if SV_REAL == 64
void sv_join_sums(struct sv_line_sum *sums, const struct sv_line_sum *more, size_t count)
{
    for (size_t k = 0; k < count; k++)
        sums[k] = join(sums[k], more[k]);
}
#endif
