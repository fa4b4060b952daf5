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

enum sv_column_function { SV_SOFTMAX, SV_LOG_SOFTMAX, SV_LOGSUMEXP };

/* A function along the rows of `outer` matrices of `length` rows and `width` contiguous columns. Strides count
 * elements, x_stride and y_stride between rows, x_outer and y_outer between matrices; y may be x, no other overlap. For
 * SV_LOGSUMEXP y and `sign` are outer times width contiguous numbers. The temperature, if there is one, divides x;
 * elements where the mask, if there is one, is 0 do not count. */
struct sv_columns {
    enum sv_column_function function;
    const void *x;
    void *y, *sign;
    ptrdiff_t x_stride, x_outer, y_stride, y_outer;
    size_t outer, length, width;
    const unsigned char *where; /* or NULL */
    ptrdiff_t where_outer, where_stride, where_width;
    const void *temperature; /* or NULL */
    ptrdiff_t temperature_outer, temperature_width;
};

/* Return 0, or -1 where memory ran out: y is then undefined. */
SV_BINDING int sv_columns_f32(const struct sv_columns *given, int threads);
SV_BINDING int sv_columns_f64(const struct sv_columns *given, int threads);

#endif
