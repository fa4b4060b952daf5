/* A matrix in compressed rows as an operand: the kernels in the order of the rows. */
#ifndef SOLVERS_LINALG_CSR_H
#define SOLVERS_LINALG_CSR_H

#include "operand.h"

/* Rows sorted by column, no duplicates, every diagonal entry there. */
struct sv_csr {
    const void *row_starts; /* (n + 1,): int32 or int64 */
    const void *columns;    /* of the same type */
    const void *values;     /* float64 or float32 */
    const void *diagonal_at; /* (n,): where each row's diagonal entry is, of the type of row_starts */
    const double *inverse_diagonal; /* (n,) */
};

/* The kernels for these types. */
SV_BINDING const struct sv_operand_kernels *sv_csr_kernels(int wide_indices, int float32_values);

/* Those for complex matrices, whose values and inverses are pairs of parts: vectors, and the operand's n, have two numbers
 * for each row. Products, residuals, sweeps and Jacobi's steps alone; the other kernels are NULL. */
SV_BINDING const struct sv_operand_kernels *sv_complex_kernels(int wide_indices, int float32_parts);

/* A sweep for `count` right-hand sides at once; b and x: (n, count), row-major. */
typedef void (*sv_csr_columns)(const struct sv_operand *A, double omega, enum sv_direction direction, size_t count,
                               const double *b, double *x);
SV_BINDING void sv_csr_sweep_columns(int wide_indices, int float32_values, const struct sv_operand *A, double omega,
                                     enum sv_direction direction, size_t count, const double *b, double *x);

#endif
