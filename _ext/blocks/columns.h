/* Products with chosen columns of a dense matrix whose columns are contiguous. */
#ifndef SOLVERS_BLOCKS_COLUMNS_H
#define SOLVERS_BLOCKS_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* out[k] = column k . v, for the `count` columns that `list` names, or the first ones where it is NULL; columns of n
 * entries begin `stride` apart. */
SV_BINDING void sv_columns_dots(const double *X, size_t n, size_t stride, size_t count, const int32_t *list,
                                const double *v, double *out);

/* z = sum_k factor[k] column k. */
SV_BINDING void sv_columns_combine(const double *X, size_t n, size_t stride, size_t count, const int32_t *list,
                                   const double *factor, double *z);

/* The sums of the squares of `count` columns. */
SV_BINDING void sv_columns_squares(const double *X, size_t n, size_t stride, size_t count, double *out);

/* That, and column k . v, in one pass over the memory; without v (NULL) the squares alone. */
SV_BINDING void sv_columns_squares_and_dots(const double *X, size_t n, size_t stride, size_t count, const double *v,
                                            double *squares, double *dots);

/* H (rows `order` apart) = the first `rows` rows of X_W' D X_W of the `count` columns W that `list` names, or the first ones,
 * D the weights (NULL: ones). The upper triangle; below the diagonal anything may be written. `work` has room for
 * sv_columns_gram_work(count) doubles; NULL: few columns are read in place. */
SV_BINDING void sv_columns_products(const double *X, size_t n, size_t stride, size_t rows, size_t count,
                                    const int32_t *list, const double *weights, double *H, size_t order, double *work);

/* H (p x p, contiguous) = X_W' D X_W of the p columns W that `list` names, or the first ones, D the squares of `roots`
 * (NULL: ones). `work` has room for sv_columns_gram_work(p) doubles. */
SV_BINDING void sv_columns_gram(const double *X, size_t n, size_t stride, size_t p, const int32_t *list,
                                const double *roots, double *H, double *work);
SV_BINDING size_t sv_columns_gram_work(size_t p);

/* The same for columns stored in single precision: they are widened as they are read, and all sums are in double. */
SV_BINDING void sv_columns_float_dots(const float *X, size_t n, size_t stride, size_t count, const int32_t *list,
                                      const double *v, double *out);
SV_BINDING void sv_columns_float_combine(const float *X, size_t n, size_t stride, size_t count, const int32_t *list,
                                         const double *factor, double *z);
SV_BINDING void sv_columns_float_squares(const float *X, size_t n, size_t stride, size_t count, double *out);
SV_BINDING void sv_columns_float_gram(const float *X, size_t n, size_t stride, size_t p, const int32_t *list,
                                      const double *roots, double *H, double *work);

/* The first `rows` rows of the same in single precision, each column times its `scale` (so that none overflows): entries are
 * wrong by about 1e-7 in units of the columns' norms, and take two thirds of the time or less. `single` stands for X where that
 * is NULL. `work` has room for sv_columns_single_work(p) floats. */
SV_BINDING void sv_columns_single_gram(const double *X, const float *single, size_t n, size_t stride, size_t rows, size_t p,
                                       const int32_t *list, const double *roots, const double *scale, double *H,
                                       float *work);
SV_BINDING size_t sv_columns_single_work(size_t p);

/* Packed columns: panels of as many as a cache line has entries (zeros in place of those that lack), row after row. */
enum { SV_PANEL_BYTES = 64 };

struct packed_gram_kernels {
    /* H (upper triangle, rows `order` apart) += the products of p packed columns of so many rows: rows of H before `above`. */
    void (*products)(const void *block, size_t rows, size_t above, size_t p, double *H, size_t order);
};

struct columns_kernels {
    void (*dots)(const double *X, size_t n, size_t stride, size_t count, const int32_t *list, const double *v,
                 double *out);
    void (*combine)(const double *X, size_t n, size_t stride, size_t count, const int32_t *list, const double *factor,
                    double *z);
    void (*squares)(const double *X, size_t n, size_t stride, size_t count, double *out);
    /* Rows of H before `above`, of columns that are read in place. */
    void (*products)(const double *X, size_t n, size_t stride, size_t above, size_t count, const int32_t *list,
                     const double *weights, double *H, size_t order);
    /* Columns packed, times roots by rows and scale by columns (NULL: ones), into a block of double or `single` precision. */
    void (*pack)(const double *X, size_t stride, size_t count, const int32_t *list, size_t rows, const double *roots,
                 const double *scale, double *block, float *single);
};

struct columns_float_kernels {
    void (*dots)(const float *X, size_t n, size_t stride, size_t count, const int32_t *list, const double *v,
                 double *out);
    void (*combine)(const float *X, size_t n, size_t stride, size_t count, const int32_t *list, const double *factor,
                    double *z);
    void (*squares)(const float *X, size_t n, size_t stride, size_t count, double *out);
    void (*pack)(const float *X, size_t stride, size_t count, const int32_t *list, size_t rows, const double *roots,
                 const double *scale, double *block, float *single);
};

#endif
