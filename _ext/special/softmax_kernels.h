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

enum {
    ROOM_BYTES = 16384, /* of the longest row whose terms wait on the stack, in the first cache */
    ROOM_SLACK_BYTES = 4096 + 2 * 64, /* more than a row, so that its place can be chosen */
    COLUMNS = 128,       /* that are worked on together, at most */
    COLUMN_STEP = 8      /* rows of columns that are looked at together */
};

#define SV_SOFTMAX_TABLE(name, real)                                                              \
    struct name {                                                                                 \
        /* sum_i b_i exp(x_i - shift); b may be NULL (all ones) */                                \
        struct scaled_sum (*sum)(const real *x, const real *b, size_t n, real shift);             \
        /* y_i = exp(x_i - shift) / total; stream: write past the cache, y and x disjoint */      \
        void (*divide)(const real *x, real *y, size_t n, real shift, struct scaled_sum total,     \
                       int stream);                                                               \
        /* softmax of rows that the cache holds; x is y or disjoint from it. Rows of more than ROOM_BYTES are \
         * streamed only where `rooms` has space for two rows, each with ROOM_SLACK_BYTES; else it may be NULL. \
         * Returns how many were done: the next one needs the safe path. */                       \
        size_t (*softmax_rows)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride,    \
                               size_t rows, size_t length, int stream, char *rooms);              \
        /* softmax along the rows of up to COLUMNS columns; 0, and nothing written, where one    \
         * needs the safe path; x is y or disjoint from it; room has whole vectors for all, and   \
         * for one row more in COLUMN_STEP; stream: write past the cache, y aligned to lines */  \
        int (*softmax_columns)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride,    \
                               size_t length, size_t columns, real *room, int stream);            \
        int (*log_softmax_columns)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, \
                                   size_t length, size_t columns, real *room, int stream);        \
        /* log_softmax of rows that the cache holds; otherwise as softmax_rows */                 \
        size_t (*log_softmax_rows)(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, \
                                   size_t rows, size_t length, int stream);                       \
        /* sum of each row without weights or shift; where pairs do not serve, one that shows it */ \
        void (*sums_of_rows)(const real *x, ptrdiff_t x_stride, size_t rows, size_t length,       \
                             struct scaled_sum *sums);                                            \
        /* the largest element; NaN where there is one; -inf of nothing */                        \
        real (*max)(const real *x, size_t n);                                                     \
        /* y_i = (x_i - a) - b */                                                                 \
        void (*subtract)(const real *x, real *y, size_t n, real a, real b);                       \
        /* below and above these exponents of the total the pair arithmetic is not safe */        \
        double lowest_exponent, highest_exponent;                                                 \
    }

SV_SOFTMAX_TABLE(softmax_kernels_f32, float);
SV_SOFTMAX_TABLE(softmax_kernels_f64, double);

#endif
