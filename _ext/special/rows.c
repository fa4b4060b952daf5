/* softmax, log_softmax and logsumexp of rows: the safe path, the special values, the threads.
 *
 * Compiled once per float width at the machine's base level; the arithmetic is in softmax.c.
 * A long row is cut into segments whose number depends on its length alone, and the segments' sums
 * are merged in their order, so every thread count gives the same bits.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../common/interface.h"
#include "rows.h"
#include "scaled_sum.h"
#include "shares.h"
#include "softmax_kernels.h"
#include "textbook.h"
#include "width.h"

typedef struct NAME(softmax_kernels) softmax_kernels;
SV_DISPATCH(softmax_kernels, kernels, NAME(softmax_kernels))

typedef struct NAME(textbook) textbook_kernels;
SV_DISPATCH(textbook_kernels, textbook, NAME(textbook))

enum {
    MAX_SEGMENTS = 64,
    ROWS_TASKS = 64,
    LONE_ROW = 256, /* elements from which a row's bits depend on it alone: shorter ones go in groups */
    GROUP = 16      /* rows of a group at most, and a multiple of all others: the lanes of a vector */
};

/* ---- one row, cut into segments ------------------------------------------------------------ */

struct row {
    const real *x, *b;
    real *y;
    size_t length, segment; /* elements of the row, and of all its segments but the last */
    real shift;
    int stream;
    struct scaled_sum total, sums[MAX_SEGMENTS];
    real tops[MAX_SEGMENTS];
};

static size_t segments(const struct row *row) { return (row->length + row->segment - 1) / row->segment; }

static size_t segment_length(const struct row *row, size_t k)
{
    size_t left = row->length - k * row->segment;
    return left < row->segment ? left : row->segment;
}

static struct row cut(const real *x, const real *b, real *y, size_t length)
{
    size_t segment = (length + MAX_SEGMENTS - 1) / MAX_SEGMENTS;
    segment = segment < SEGMENT ? SEGMENT : (segment + 63) / 64 * 64;
    struct row row;
    row.x = x, row.b = b, row.y = y, row.length = length, row.segment = segment;
    row.shift = 0, row.stream = 0;
    return row;
}

static void for_segments(struct row *row, sv_task task, int threads)
{
    size_t count = segments(row);
    if (count == 1)
        task(row, 0);
    else
        sv_parallel_for(threads_for(row->length, threads), count, task, row);
}

static void sum_segment(void *context, size_t k)
{
    struct row *row = context;
    size_t start = k * row->segment;
    row->sums[k] = kernels()->sum(row->x + start, row->b ? row->b + start : NULL, segment_length(row, k), row->shift);
}

static struct scaled_sum merged(const struct row *row)
{
    struct scaled_sum total = row->sums[0];
    for (size_t k = 1; k < segments(row); k++)
        total = sv_merge(total, row->sums[k]);
    return total;
}

static struct scaled_sum row_sum(struct row *row, int threads)
{
    if (row->length == 0)
        return (struct scaled_sum){0, 0, -INFINITY};
    for_segments(row, sum_segment, threads);
    return merged(row);
}

static void max_segment(void *context, size_t k)
{
    struct row *row = context;
    row->tops[k] = kernels()->max(row->x + k * row->segment, segment_length(row, k));
}

/* The maximum; NaN where the row has one. */
static real row_max(struct row *row, int threads)
{
    for_segments(row, max_segment, threads);
    real top = row->tops[0];
    for (size_t k = 1; k < segments(row) && !isnan(top); k++)
        top = row->tops[k] > top || isnan(row->tops[k]) ? row->tops[k] : top;
    return top;
}

static void divide_segment(void *context, size_t k)
{
    struct row *row = context;
    size_t start = k * row->segment;
    kernels()->divide(row->x + start, row->y + start, segment_length(row, k), row->shift, row->total, row->stream);
}

static void fill(real *y, size_t n, real value)
{
    for (size_t i = 0; i < n; i++)
        y[i] = value;
}

/* Whether pairs without a shift served: comparisons are false for NaN. */
static int is_safe(struct scaled_sum total)
{
    return total.hi != 0 && fabs(total.hi) < INFINITY && total.exponent >= kernels()->lowest_exponent
           && total.exponent <= kernels()->highest_exponent;
}

/* Whether pairs without a shift serve a row with this maximum: what lies too low for them does not count. */
static int is_near(real top) { return fabs((double)top) < 0.6 * kernels()->highest_exponent; }

/* ---- softmax ------------------------------------------------------------------------------- */

/* The results of a row whose sum is known. */
static void finish_softmax_row(struct row *row, int threads)
{
    if (!is_safe(row->total)) { /* far from 0, infinite or NaN: shift by the maximum */
        row->shift = row_max(row, threads);
        if (!(fabs((double)row->shift) < INFINITY)) {
            fill(row->y, row->length, NAN);
            return;
        }
        row->total = row_sum(row, threads);
    }
    for_segments(row, divide_segment, threads);
}

static void softmax_row(const real *x, real *y, size_t length, int stream, int threads)
{
    struct row row = cut(x, NULL, y, length);
    row.total = row_sum(&row, threads);
    row.stream = stream;
    finish_softmax_row(&row, threads);
}

/* ---- log_softmax --------------------------------------------------------------------------- */

/* A row of any length and kind: its largest element is kept apart from the sum, see pairs.c. */
static void log_softmax_row(const real *x, real *y, size_t length, int threads)
{
    struct sv_line_sum sum = EMPTY_SUM;
    NAME(sv_add_to_sums)(x, 0, &sum, 1, length, threads);
    NAME(sv_subtract_sums)(x, 0, y, 0, &sum, 1, length, threads);
}

/* ---- logsumexp ----------------------------------------------------------------------------- */

/* Infinite terms decide alone: +inf, -inf, or NaN where both signs meet or a term is NaN; 0 where all are finite. */
static double sum_of_infinite_terms(const real *x, const real *b, size_t length)
{
    double sum = 0;
    for (size_t i = 0; i < length; i++) {
        double size = x[i] == -INFINITY ? 0 : isfinite(x[i]) ? 1 : x[i];
        double term = b ? b[i] * size : size;
        if (!isfinite(term))
            sum += term;
    }
    return sum;
}

/* The kernel takes its exponent from x alone: a sum of huge weights would overflow, and a huge weight of a
 * small exponential would be lost. Weights within this span of powers of two around 1 are harmless. */
enum { WEIGHT_SPAN = SV_REAL == 32 ? 64 : 512, WEIGHT_CHUNK = 512 };

static int weight_exponent(real b)
{
    int exponent;
    frexp(b, &exponent);
    return exponent;
}

static int has_wide_weights(const real *b, size_t length)
{
    const real high = (real)ldexp(1, WEIGHT_SPAN / 2 - 1), low = 1 / high;
    int wide = 0;
    for (size_t i = 0; i < length; i++) {
        real size = b[i] < 0 ? -b[i] : b[i];
        if (!(size < INFINITY))
            return 0; /* the plain sum shows it */
        wide |= size > high || (size > 0 && size < low);
    }
    return wide;
}

/* The terms of a chunk whose weights lie within the span around 2^exponent. */
static struct scaled_sum sum_of_weight_class(const struct row *row, size_t start, int exponent)
{
    real x[WEIGHT_CHUNK], b[WEIGHT_CHUNK];
    size_t n = 0;
    for (size_t i = start; i < row->length && i < start + WEIGHT_CHUNK; i++) {
        int above = weight_exponent(row->b[i]) - exponent;
        if (row->b[i] != 0 && above > -WEIGHT_SPAN / 2 && above <= WEIGHT_SPAN / 2) {
            x[n] = row->x[i];
            b[n++] = (real)ldexp(row->b[i], -exponent);
        }
    }
    if (n == 0)
        return (struct scaled_sum){0, 0, -INFINITY};
    struct scaled_sum sum = kernels()->sum(x, b, n, row->shift);
    sum.exponent += exponent;
    return sum;
}

/* The sum for weights of any size: each class of them has its own exponent. Slow and rare. */
static struct scaled_sum sum_by_weight(const struct row *row)
{
    struct scaled_sum total = {0, 0, -INFINITY};
    for (size_t start = 0; start < row->length; start += WEIGHT_CHUNK)
        for (int exponent = -2 * WEIGHT_SPAN; exponent <= 2 * WEIGHT_SPAN; exponent += WEIGHT_SPAN) {
            struct scaled_sum sum = sum_of_weight_class(row, start, exponent);
            if (sum.hi != 0)
                total = sv_merge(total, sum);
        }
    return total;
}

static real logsumexp_row(const real *x, const real *b, real *sign, size_t length, int threads)
{
    struct row row = cut(x, b, NULL, length);
    int wide = b && has_wide_weights(b, length);
    struct scaled_sum total = wide ? (struct scaled_sum){0, 0, 0} : row_sum(&row, threads);
    if (!is_safe(total)) {
        real top = length ? row_max(&row, threads) : -INFINITY;
        if (fabs((double)top) < INFINITY) {
            row.shift = wide && is_near(top) ? 0 : top;
            total = wide ? sum_by_weight(&row) : row_sum(&row, threads);
        }
        if (!(fabs((double)top) < INFINITY) || !(fabs(total.hi) < INFINITY))
            total.hi = sum_of_infinite_terms(x, b, length);
    }
    *sign = total.hi > 0 ? 1 : total.hi < 0 ? -1 : total.hi == 0 ? 0 : NAN;
    if (total.hi == 0)
        return -INFINITY;
    if (!(fabs(total.hi) < INFINITY))
        return (real)fabs(total.hi);
    if (total.hi < 0)
        total.hi = -total.hi, total.lo = -total.lo;
    return (real)log_of_sum(total, row.shift);
}

/* ---- batches of rows ------------------------------------------------------------------------ */

struct batch {
    const real *x, *b;
    real *y, *sign;
    ptrdiff_t x_stride, b_stride, y_stride;
    size_t rows, length, tasks;
    int method, stream, threads; /* threads for one row: those of the batch where there is one task */
    void (*some)(const struct batch *, size_t first, size_t last);
};

/* Rows that stay together whatever the threads: whole groups of short ones, for those that fill none take another way,
 * four times as long. */
static size_t together(const struct batch *batch) { return batch->length < LONE_ROW ? GROUP : 1; }

static size_t parts(const struct batch *batch) { return (batch->rows + together(batch) - 1) / together(batch); }

static void run_block(void *context, size_t k)
{
    const struct batch *batch = context;
    const size_t first = parts(batch) * k / batch->tasks * together(batch);
    const size_t end = parts(batch) * (k + 1) / batch->tasks * together(batch);
    batch->some(batch, first, end < batch->rows ? end : batch->rows);
}

/* A task of long rows is as large as the threads allow: its first and its last row have no other beside them to hide the
 * memory behind, and two rows a task would take half as long again. */
static size_t tasks_of(const struct batch *batch, int threads)
{
    if (threads <= 0)
        threads = sv_get_num_threads();
    const size_t most = batch->length < LONE_ROW ? ROWS_TASKS : threads == 1 ? 1 : 4 * (size_t)threads;
    return parts(batch) < most ? parts(batch) : most;
}

/* Few long rows: the threads share each row. Many rows: each thread takes whole rows. */
static void run_batch(struct batch *batch, int threads)
{
    int small = batch->rows * batch->length < PARALLEL_MIN;
    int wide = !small && batch->rows < 8 && batch->length >= 2 * SEGMENT;
    batch->threads = wide ? threads : 1;
    batch->tasks = tasks_of(batch, small || wide ? 1 : threads);
    if (small || wide)
        for (size_t k = 0; k < batch->tasks; k++)
            run_block(batch, k);
    else
        sv_parallel_for(threads, batch->tasks, run_block, batch);
}

/* The textbook's method; NULL for ours. */
static void (*by_textbook(int method))(const real *, real *, size_t)
{
    switch (method) {
    case SV_SOFTMAX_THREE_PASS_RECOMPUTE: return textbook()->recompute;
    case SV_SOFTMAX_THREE_PASS_RELOAD: return textbook()->reload;
    case SV_SOFTMAX_ONLINE: return textbook()->online;
    default: return NULL;
    }
}

/* Whether the terms of a row wait in cache: those of long rows do not, nor those that several threads share. Without
 * AVX-512 terms of rows of up to 2^20 elements might wait: one exponential is ahead by 1.06 to 1.3 there, but not where
 * a second thread takes its segments. */
static int wait_in_cache(const struct batch *batch)
{
    if (batch->method != SV_SOFTMAX_AUTO)
        return batch->method == SV_SOFTMAX_ONE_EXPONENTIAL;
    return batch->length < 2 * SEGMENT
           && batch->length * sizeof(real) <= kernels()->one_exponential_max_bytes;
}

/* The last results before `end`, which wait for their line to fill. */
struct edge {
    real results[64 / sizeof(real)];
    size_t held;
};

static void write_edge(struct edge *edge, real *end)
{
    memcpy(end - edge->held, edge->results, edge->held * sizeof(real));
    edge->held = 0;
}

/* Rows of two passes past the cache, one after the other: the results of each leave while the next one is summed. */
static void softmax_rows_in_turn(const struct batch *batch, size_t first, size_t last)
{
    struct row rows[2];
    struct edge edge = {.held = 0};
    for (size_t r = first; r < last; r++) {
        struct row *row = &rows[r % 2], *next = &rows[(r + 1) % 2];
        if (r == first) {
            *row = cut(batch->x + (ptrdiff_t)r * batch->x_stride, NULL, batch->y + (ptrdiff_t)r * batch->y_stride,
                       batch->length);
            row->total = row_sum(row, 1);
        }
        row->stream = 1;
        if (r + 1 < last)
            *next = cut(row->x + batch->x_stride, NULL, row->y + batch->y_stride, batch->length);
        if (r + 1 == last || !is_safe(row->total)) {
            finish_softmax_row(row, 1);
            if (r + 1 < last)
                next->total = row_sum(next, 1);
            continue;
        }
        for (size_t k = 0; k < segments(row); k++) {
            const size_t start = k * row->segment;
            next->sums[k] = kernels()->divide_beside_sum(row->x + start, row->y + start, segment_length(row, k),
                                                         row->total, next->x + start, edge.results, &edge.held);
        }
        next->total = merged(next);
        if (batch->y_stride != (ptrdiff_t)batch->length || r + 2 == last || !is_safe(next->total))
            write_edge(&edge, row->y + row->length);
    }
}

/* Rows that the cache holds are done many at a time; each that needs the safe path alone. */
static void some_softmax(const struct batch *batch, size_t first, size_t last)
{
    int cached = wait_in_cache(batch);
    char *rooms = NULL;
    void (*textbook_row)(const real *, real *, size_t) = by_textbook(batch->method);
    if (cached && batch->stream && batch->length * sizeof(real) > ROOM_BYTES) {
        rooms = malloc(2 * (batch->length * sizeof(real) + ROOM_SLACK_BYTES));
        cached = rooms != NULL; /* without memory, two passes */
    }
    if (!cached && !textbook_row && batch->stream && batch->length > 1 && batch->threads == 1
        && kernels()->divide_beside_sum) {
        softmax_rows_in_turn(batch, first, last);
        return;
    }
    for (size_t r = first; r < last; r++) {
        const real *x = batch->x + (ptrdiff_t)r * batch->x_stride;
        real *y = batch->y + (ptrdiff_t)r * batch->y_stride;
        if (batch->length == 1) {
            *y = *x - *x + 1; /* NaN where x is no number */
            continue;
        }
        if (textbook_row) {
            textbook_row(x, y, batch->length);
            continue;
        }
        if (cached) {
            size_t done = kernels()->softmax_rows(x, batch->x_stride, y, batch->y_stride, last - r, batch->length,
                                                  batch->stream, rooms);
            r += done, x += (ptrdiff_t)done * batch->x_stride, y += (ptrdiff_t)done * batch->y_stride;
        }
        if (r < last)
            softmax_row(x, y, batch->length, batch->stream, batch->threads);
    }
    free(rooms);
}

static void some_log_softmax(const struct batch *batch, size_t first, size_t last)
{
    for (size_t r = first; r < last; r++) {
        const real *x = batch->x + (ptrdiff_t)r * batch->x_stride;
        real *y = batch->y + (ptrdiff_t)r * batch->y_stride;
        if (batch->length < 2 * SEGMENT) {
            size_t done = kernels()->log_softmax_rows(x, batch->x_stride, y, batch->y_stride, last - r, batch->length,
                                                      batch->stream);
            r += done, x += (ptrdiff_t)done * batch->x_stride, y += (ptrdiff_t)done * batch->y_stride;
        }
        if (r < last)
            log_softmax_row(x, y, batch->length, batch->threads);
    }
}

/* Rows that need neither weights nor cutting are done many at a time; each that needs the safe path alone. */
static void some_logsumexp(const struct batch *batch, size_t first, size_t last)
{
    if (batch->length == 1 && !batch->b) {
        for (size_t r = first; r < last; r++) {
            const real x = batch->y[r] = batch->x[(ptrdiff_t)r * batch->x_stride];
            if (batch->sign)
                batch->sign[r] = x > -INFINITY ? 1 : isnan(x) ? x : 0;
        }
        return;
    }
    const int plain = !batch->b && batch->length && batch->length < 2 * SEGMENT;
    for (size_t r = first; r < last; r++) {
        const real *x = batch->x + (ptrdiff_t)r * batch->x_stride;
        real sign = 1;
        if (plain) {
            size_t done = kernels()->logsumexp_rows(x, batch->x_stride, last - r, batch->length, batch->y + r);
            for (size_t k = r; batch->sign && k < r + done; k++)
                batch->sign[k] = sign;
            r += done, x += (ptrdiff_t)done * batch->x_stride;
        }
        if (r == last)
            break;
        batch->y[r] = logsumexp_row(x, batch->b ? batch->b + (ptrdiff_t)r * batch->b_stride : NULL, &sign,
                                    batch->length, batch->threads);
        if (batch->sign)
            batch->sign[r] = sign;
    }
}

/* Results that leave the cache before they are read again go past it, where whole cache lines of them come together. */
static int streaming_of(const struct batch *batch)
{
    const size_t row_bytes = batch->length * sizeof(real), bytes = batch->rows * row_bytes;
    const int whole_lines = batch->y_stride == (ptrdiff_t)batch->length || row_bytes > 4096;
    if (batch->x == batch->y || bytes <= STREAM_MIN_BYTES || !whole_lines || (uintptr_t)batch->y % sizeof(real))
        return STORED;
    return bytes > FAR_MIN_BYTES ? STREAMED_FROM_AFAR : STREAMED;
}

void NAME(sv_softmax_by)(int method, const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows,
                         size_t length, int threads)
{
    struct batch batch = {.x = x, .y = y, .x_stride = x_stride, .y_stride = y_stride, .rows = rows, .length = length,
                          .method = method, .some = some_softmax};
    batch.stream = streaming_of(&batch);
    if (method == SV_SOFTMAX_ONE_EXPONENTIAL && length >= 2 * SEGMENT) /* terms of two such rows would have to wait */
        batch.stream = STORED;
    if (length)
        run_batch(&batch, threads);
}

/* ---- the C interface -------------------------------------------------------------------------- */

/* Whether rows that far apart can lie in memory at all; where they are written, they must not overlap. */
static int check_rows(const void *at, const char *name, ptrdiff_t stride, int written, size_t rows, size_t length)
{
    const size_t most = (size_t)PTRDIFF_MAX / sizeof(real);
    if (!rows || !length)
        return SV_OK;
    if (!at)
        return sv_fail(SV_INVALID, "%s is NULL", name);
    const size_t apart = rows == 1 ? 0 : stride < 0 ? (size_t)0 - (size_t)stride : (size_t)stride;
    if (length > most || (apart && rows - 1 > (most - length) / apart))
        return sv_fail(SV_NO_MEMORY, "%s: %zu rows of %zu, %td apart, overflow", name, rows, length, stride);
    if (written && rows > 1 && apart < length)
        return sv_fail(SV_INVALID, "%s_stride is %td: rows of %zu would overlap", name, stride, length);
    return SV_OK;
}

static int check_map(const real *x, ptrdiff_t x_stride, const real *y, ptrdiff_t y_stride, size_t rows, size_t length)
{
    const int bad = check_rows(x, "x", x_stride, 0, rows, length);
    return bad ? bad : check_rows(y, "y", y_stride, 1, rows, length);
}

int NAME(sv_softmax)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t length,
                     int threads)
{
    const int bad = check_map(x, x_stride, y, y_stride, rows, length);
    if (bad)
        return bad;
    NAME(sv_softmax_by)(SV_SOFTMAX_AUTO, x, x_stride, y, y_stride, rows, length, threads);
    return SV_OK;
}

int NAME(sv_log_softmax)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t length,
                         int threads)
{
    const int bad = check_map(x, x_stride, y, y_stride, rows, length);
    if (bad)
        return bad;
    struct batch batch = {.x = x, .y = y, .x_stride = x_stride, .y_stride = y_stride, .rows = rows, .length = length,
                          .some = some_log_softmax};
    batch.stream = streaming_of(&batch);
    if (length)
        run_batch(&batch, threads);
    return SV_OK;
}

int NAME(sv_logsumexp)(const real *x, ptrdiff_t x_stride, const real *b, ptrdiff_t b_stride, real *out, real *sign,
                       size_t rows, size_t length, int threads)
{
    int bad = check_rows(x, "x", x_stride, 0, rows, length);
    if (!bad && b)
        bad = check_rows(b, "b", b_stride, 0, rows, length);
    if (!bad)
        bad = check_rows(out, "out", 1, 0, rows, 1);
    if (bad)
        return bad;
    if (!length)
        x_stride = b_stride = 0; /* no step from a pointer to nothing */
    struct batch batch = {.x = x, .b = b, .y = out, .sign = sign, .x_stride = x_stride, .b_stride = b_stride,
                          .y_stride = 1, .rows = rows, .length = length, .some = some_logsumexp};
    run_batch(&batch, threads);
    return SV_OK;
}
