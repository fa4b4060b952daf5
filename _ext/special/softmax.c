/* The passes of softmax over rows (Dukhan & Ablavatski, arXiv 2001.04438, made safe, and faster in cache).
 *
 *   sum      reads x once;                   moves  8 bytes an element (float64; 4 with float32)
 *   divide   reads x, recomputes, writes y;  moves 16 bytes with streaming stores, 24 without
 *   rows     whole rows that fit the cache, one exponential an element
 *
 * Bound of a row that fits no cache: 2 reads + 1 write = (time of a vector read) + (of a streaming copy). In
 * operations of a 512-bit vector, at best two a cycle on Zen 4 and four on Zen 5: sum 15, divide 13 (float32; 19 and 17
 * in float64), and the maximum of the chunk. Reached on Zen 5: sum 5.5 cycles a float32 vector in cache, divide 5, both
 * side by side, streamed, 10. Rows in cache, streamed: 21 operations a float32 vector (the two ends, term, sum, quotient),
 * at best 10.5 cycles where there are two a cycle; on Sapphire Rapids 13 are reached, in the first cache (cached.h,
 * groups.h); 19 where a row is narrow (enum spread); log_softmax takes 24 (the two largest, sum of the others, differences).
 * `make bench-softmax` prints what is reached.
 *
 * Accuracy: softmax within 1.75 ULP, whatever the length. Differs from the paper in:
 *   1. where there is a register table, e^x = (1 + s) 2^k with k on a grid of 1/16: shorter polynomials, a smaller s;
 *   2. no term's rounding is lost from the sum (see add_term: a plain sum of 8 vectors costs up to 3 ULP where the
 *      terms differ much in size), and 1/total has two words;
 *   3. one exponent serves a whole chunk instead of one for each lane and tile: the maximum of the chunk before it
 *      is nearly right, and a chunk that proves larger is summed again;
 *   4. x is clamped below, so -inf and mask constants add nothing; rows outside the safe range are told by the
 *      total or its exponent, and the caller (rows.c) shifts them by their maximum.
 *
 * In NumPy:
 *     n = np.rint(x / np.log(2)); p = np.exp(x - n * np.log(2))
 *     m = n.max(); total = np.sum(p * 2.0 ** (n - m))            # means total * 2**m
 *     y = p / total * 2.0 ** (n - m)
 */
#include "logarithms.h"

/* Softmax of rows until one needs the safe path; returns how many were done. */
static size_t softmax_rows(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, size_t rows, size_t length,
                           int stream, char *rooms)
{
#ifndef V_HAS_FMA /* the product with 1/total would be rounded twice: leave all rows to the two passes */
    return 0;
#endif
    char space[2 * (ROOM_BYTES + ROOM_SLACK_BYTES)];
    real *room = away_from(x, space);
    struct outflow out = outflow_to(y);
    size_t done = 0;
#ifdef V_HAS_TRANSPOSE
    if (length <= REGISTER_ROW * SV_W && y_stride == (ptrdiff_t)length) {
        if (length < GROUPED_ROW && x_stride >= (ptrdiff_t)length)
            done = transposed_rows(x, x_stride, y, rows, length, stream, &out, room);
        else
            done = grouped_rows(x, x_stride, y, rows, length, stream, &out, room);
        x += (ptrdiff_t)done * x_stride, y += (ptrdiff_t)done * y_stride, rows -= done;
    }
#endif
    switch ((length + SV_W - 1) / SV_W) {
#define REGISTER_ROWS(count)                                                                             \
    case count:                                                                                          \
        done += register_rows(x, x_stride, y, y_stride, rows, length, stream, &out, room, count);        \
        break
        REGISTER_ROWS(1);
        REGISTER_ROWS(2);
        REGISTER_ROWS(3);
        REGISTER_ROWS(4);
        REGISTER_ROWS(5);
        REGISTER_ROWS(6);
        REGISTER_ROWS(7);
        REGISTER_ROWS(8);
    default:
        return stream ? streamed_rows(x, x_stride, y, y_stride, rows, length, stream, rooms ? rooms : space)
                      : cached_rows(x, x_stride, y, y_stride, rows, length);
    }
    if (stream)
        finish(&out);
    return done;
}

#if SV_REAL == 32
const struct softmax_kernels_f32 SV_TABLE(softmax_kernels) = {
#else
const struct softmax_kernels_f64 SV_TABLE(softmax_kernels) = {
#endif
    .sum = sum,
    .softmax_rows = softmax_rows,
    .open_columns = open_columns,
    .add_columns = add_columns,
    .close_columns = close_columns,
    .column_results = column_results,
#ifdef V_HAS_FMA /* without it the product with 1/total would be rounded twice, as in softmax_rows */
    .divides_columns = 1,
#endif
    .log_softmax_rows = log_softmax_rows,
    .logsumexp_rows = logsumexp_rows,
    .divide = divide,
#ifdef V_HAS_LOOKUP
    .divide_beside_sum = divide_beside_sum,
#endif
    .max = max,
    .leading = leading,
    .sum_others = sum_others,
    .subtract = subtract,
#ifdef V_HAS_LOOKUP /* past the cache two passes are ahead from here on: docs/special.md */
    .one_exponential_max_bytes = 64 << 10,
#else
    .one_exponential_max_bytes = SIZE_MAX,
#endif
    .lowest_exponent = LOWEST_EXPONENT + NEGLIGIBLE_EXPONENT,
    .highest_exponent = SAFE_EXPONENT,
};
