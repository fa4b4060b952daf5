/* Gram matrices of sparse columns. */
#ifndef SOLVERS_LEARNING_GRAM_H
#define SOLVERS_LEARNING_GRAM_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* H (p x p, rows of `stride`, zeros) += X_W' D X_W; where[column]: its place in W, which must rise with the column, or -1.
 * place and entry have room for the longest row. */
SV_BINDING void sv_learning_csr_gram(size_t n, const int32_t *starts, const int32_t *columns, const double *values,
                                     const int32_t *where, const double *weights, double *H, size_t stride, size_t p,
                                     int32_t *place, double *entry);

#endif
