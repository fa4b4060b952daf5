/* Entry points of the Python binding for sums that are put together piece by piece, and for the derivative of
 * softmax. Not part of the C interface (solvers.h). Strides count elements; rows are contiguous. */
#ifndef SOLVERS_PAIRS_H
#define SOLVERS_PAIRS_H

#include <stddef.h>

#include "../common/runtime.h"

/* sum_i exp(x_i) = e^top + (hi + lo) * 2^exponent * e^shift; see scaled_sum.h. The binding holds it as five float64. */
struct sv_line_sum {
    double top, hi, lo, exponent, shift;
};

/* sums[k] = the sum of both, for `count` sums. */
SV_BINDING void sv_join_sums(struct sv_line_sum *sums, const struct sv_line_sum *more, size_t count);

#define SV_PAIRS_INTERFACE(real, width)                                                                      \
    /* Adds the exponentials of row r to sums[r]. */                                                         \
    SV_BINDING void sv_add_to_sums_f##width(const real *x, ptrdiff_t x_stride, struct sv_line_sum *sums,     \
                                            size_t rows, size_t length, int threads);                        \
    /* y[r][i] = exp(x[r][i]) / sums[r], and its logarithm; y may be x. */                                   \
    SV_BINDING void sv_divide_by_sums_f##width(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, \
                                               const struct sv_line_sum *sums, size_t rows, size_t length,   \
                                               int threads);                                                 \
    SV_BINDING void sv_subtract_sums_f##width(const real *x, ptrdiff_t x_stride, real *y, ptrdiff_t y_stride, \
                                              const struct sv_line_sum *sums, size_t rows, size_t length,    \
                                              int threads);                                                  \
    /* out[r] = log(sums[r]) */                                                                              \
    SV_BINDING void sv_log_of_sums_f##width(const struct sv_line_sum *sums, real *out, size_t count);        \
                                                                                                             \
    /* dots[r] += sum_i y[r][i] v[r][i], kept as two words. */                                               \
    SV_BINDING void sv_add_to_dots_f##width(const real *y, ptrdiff_t y_stride, const real *v,                \
                                            ptrdiff_t v_stride, double *dots, size_t rows, size_t length,    \
                                            int threads);                                                    \
    /* out[r][i] = y[r][i] (v[r][i] - dots[r]); out may be y or v. */                                        \
    SV_BINDING void sv_jvp_by_dots_f##width(const real *y, ptrdiff_t y_stride, const real *v,                \
                                            ptrdiff_t v_stride, real *out, ptrdiff_t out_stride,             \
                                            const double *dots, size_t rows, size_t length, int threads);    \
    /* Both, row by row: out = y (v - <y, v>). */                                                            \
    SV_BINDING void sv_softmax_jvp_f##width(const real *y, ptrdiff_t y_stride, const real *v,                \
                                            ptrdiff_t v_stride, real *out, ptrdiff_t out_stride, size_t rows, \
                                            size_t length, int threads);

SV_PAIRS_INTERFACE(float, 32)
SV_PAIRS_INTERFACE(double, 64)

#endif
