/* What the bindings call beyond solvers.h: softmax by a method of one's choice, and along columns. */
#ifndef SOLVERS_ROWS_H
#define SOLVERS_ROWS_H

#include "../common/runtime.h"

enum sv_softmax_method {
    SV_SOFTMAX_AUTO,
    SV_SOFTMAX_TWO_PASS,
    SV_SOFTMAX_ONE_EXPONENTIAL,
    SV_SOFTMAX_THREE_PASS_RECOMPUTE,
    SV_SOFTMAX_THREE_PASS_RELOAD,
    SV_SOFTMAX_ONLINE,
};

/* As sv_softmax_f32 of solvers.h. */
SV_BINDING void sv_softmax_by_f32(int method, const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride,
                                  size_t rows, size_t length, int threads);
SV_BINDING void sv_softmax_by_f64(int method, const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride,
                                  size_t rows, size_t length, int threads);

/* Softmax, or its logarithm, along the rows of `outer` matrices of `length` rows and `width` contiguous columns;
 * x_stride and y_stride lie between rows, x_outer and y_outer between matrices. y may be x; no other overlap. Returns
 * 0, or -1 where memory for a column ran out: y is then undefined. */
SV_BINDING int sv_softmax_columns_f32(int logarithm, const float *x, ptrdiff_t x_stride, ptrdiff_t x_outer, float *y,
                                      ptrdiff_t y_stride, ptrdiff_t y_outer, size_t outer, size_t length, size_t width,
                                      int threads);
SV_BINDING int sv_softmax_columns_f64(int logarithm, const double *x, ptrdiff_t x_stride, ptrdiff_t x_outer, double *y,
                                      ptrdiff_t y_stride, ptrdiff_t y_outer, size_t outer, size_t length, size_t width,
                                      int threads);

#endif
