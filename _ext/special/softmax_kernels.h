/* The table of softmax kernels that each instruction-set level fills in, and the sum they exchange. */
#ifndef SOLVERS_SOFTMAX_KERNELS_H
#define SOLVERS_SOFTMAX_KERNELS_H

#include <math.h>
#include <stddef.h>

/* The sum (hi + lo) * 2^exponent; exponent is integral. {0, 0, -INFINITY} is the empty sum. */
struct scaled_sum {
    double hi, lo, exponent;
};

static inline struct scaled_sum sv_merge(struct scaled_sum a, struct scaled_sum b)
{
    double top = a.exponent > b.exponent ? a.exponent : b.exponent;
    /* The smaller one's factor may underflow to 0: then it does not count. */
    double fa = a.exponent == top ? 1 : exp2(a.exponent - top), fb = b.exponent == top ? 1 : exp2(b.exponent - top);
    double ahi = a.hi * fa, bhi = b.hi * fb;
    double hi = ahi + bhi, added = hi - ahi;
    double lo = (ahi - (hi - added)) + (bhi - added) + (a.lo * fa + b.lo * fb);
    double total = hi + lo;
    return (struct scaled_sum){total, lo - (total - hi), top};
}

/* How rows are written: with ordinary stores, past the cache, and past the cache while they come from memory. */
enum { STORED, STREAMED, STREAMED_FROM_AFAR };

enum {
    ROOM_BYTES = 16384, /* of the longest row whose terms wait on the stack, in the first cache */
    ROOM_SLACK_BYTES = 4096 + 2 * 64 /* more than a row, so that its place can be chosen */
};

enum { COLUMN_STEP = 8 /* rows of columns that are looked at together */ };

/* The state of columns on their way to a result: an array of `pitch` numbers for each word, `pitch` exceeding the
 * columns by a cache line at least. The sum of a column is that of COLUMN_SUM and COLUMN_ERROR times 2^COLUMN_LOWER. */
enum column_word {
    COLUMN_LOWEST_X, /* the window of the terms: see columns.h */
    COLUMN_TO_GRID,
    COLUMN_LOWER,
    COLUMN_LIMIT, /* what exceeds it moves the window */
    COLUMN_TOP,   /* the largest element */
    COLUMN_ON_GRID,
    COLUMN_LOST,
    COLUMN_SUM,
    COLUMN_ERROR,
    COLUMN_WORDS,
    /* once the columns are closed, what makes results of their elements: */
    COLUMN_SCALE = COLUMN_ON_GRID,
    COLUMN_SCALE_LOW = COLUMN_LOST,
    COLUMN_OFFSET = COLUMN_ON_GRID,
    COLUMN_LOG = COLUMN_ON_GRID /* of the sum */
};

/* What closed columns are for. */
enum column_end { COLUMN_QUOTIENTS, COLUMN_DIFFERENCES, COLUMN_LOGARITHM };

#define SV_SOFTMAX_TABLE(name, real)                                                              \
    struct name {                                                                                 \
        /* sum_i b_i exp(x_i - shift); b may be NULL (all ones) */                                \
        struct scaled_sum (*sum)(const real *x, const real *b, size_t n, real shift);             \
        /* y_i = exp(x_i - shift) / total; stream: write past the cache, y and x disjoint */      \
        void (*divide)(const real *x, real *y, size_t n, real shift, struct scaled_sum total,     \
                       int stream);                                                               \
        /* divide, streaming and without a shift, and the sum of `next`, of n elements too, in one pass: the same \
         * bits. The last results, `held` of them that fill no line, stay in `edge`; those that it has from the call \
         * before go right before y: a line that is written in two parts would be read first. NULL where that \
         * takes no less time */                                                                  \
        struct scaled_sum (*divide_beside_sum)(const real *x, real *y, size_t n, struct scaled_sum total, \
                                               const real *next, real *edge, size_t *held);       \
        /* softmax of rows that the cache holds; x is y or disjoint from it. Rows of more than ROOM_BYTES are \
         * streamed only where `rooms` has space for two rows, each with ROOM_SLACK_BYTES; else it may be NULL. \
         * Returns how many were done: the next one needs the safe path. */                       \
        size_t (*softmax_rows)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride,    \
                               size_t rows, size_t length, int stream, char *rooms);              \
        /* Columns: no element yet; rows first, first + 1, ... of them, `first` a multiple of COLUMN_STEP; the end. \
         * `others`: without one occurrence of the largest element, as log_softmax needs. */      \
        void (*open_columns)(size_t columns, size_t pitch, real *state);                          \
        void (*add_columns)(const real *x, ptrdiff_t stride, size_t first, size_t length, size_t columns,   \
                            size_t pitch, real *state, int others);                                             \
        void (*close_columns)(size_t columns, size_t pitch, real *state, enum column_end end);    \
        /* softmax, or its logarithm, of rows of closed columns; x is y or disjoint from it; stream: past the cache */ \
        void (*column_results)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t length, \
                               size_t columns, const real *state, size_t pitch, int logarithm, int stream); \
        int divides_columns; /* whether column_results serves softmax */                          \
        /* log_softmax of rows that the cache holds; otherwise as softmax_rows */                 \
        size_t (*log_softmax_rows)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, \
                                   size_t rows, size_t length, int stream);                       \
        /* logsumexp of rows without weights; returns how many were done: the next one needs the safe path */ \
        size_t (*logsumexp_rows)(const real *x, ptrdiff_t x_stride, size_t rows, size_t length, real *values); \
        /* the largest element; NaN where there is one; -inf of nothing */                        \
        real (*max)(const real *x, size_t n);                                                     \
        /* the two largest, one twice where it occurs twice; -inf of nothing; NaNs are passed over */ \
        void (*leading)(const real *x, size_t n, real *top, real *next);                          \
        /* sum_i exp(x_i - shift) over all but those equal to `except`, the largest of which is `highest` */ \
        struct scaled_sum (*sum_others)(const real *x, size_t n, real except, real shift, real highest); \
        /* of rows that take one exponential an element, longer ones taking two passes: bench/tune_softmax.py */ \
        size_t one_exponential_max_bytes;                                                         \
        /* y_i = (x_i - a) - b; stream: as in divide */                                           \
        void (*subtract)(const real *x, real *y, size_t n, real a, real b, int stream);           \
        /* below and above these exponents of the total the pair arithmetic is not safe */        \
        double lowest_exponent, highest_exponent;                                                 \
    }

SV_SOFTMAX_TABLE(softmax_kernels_f32, float);
SV_SOFTMAX_TABLE(softmax_kernels_f64, double);

#endif
