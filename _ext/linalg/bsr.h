/* A matrix of square blocks in compressed rows, for sweeps over nodes of several unknowns each. */
#ifndef SOLVERS_LINALG_BSR_H
#define SOLVERS_LINALG_BSR_H

#include "operand.h"

enum { SV_BLOCK_MAX = 8 };

/* Block rows sorted by column, without duplicates. */
struct sv_bsr {
    size_t rows, block; /* rows of blocks; unknowns of a node, 2 to SV_BLOCK_MAX */
    const void *row_starts, *columns; /* int32 or int64 */
    const void *values;               /* (blocks, block, block): float64 or float32 */
    const double *inverse;            /* (rows, block, block): of the blocks on the diagonal */
};

/* x_I += omega A_II^-1 (b_I - sum_J A_IJ x_J), node after node; b and x: (n, count), row-major. */
typedef void (*sv_bsr_sweep)(const struct sv_bsr *A, double omega, enum sv_direction direction, size_t count,
                             const double *b, double *x);
SV_BINDING void sv_bsr_sweep_nodes(int wide_indices, int float32_values, const struct sv_bsr *A, double omega,
                                   enum sv_direction direction, size_t count, const double *b, double *x);

#endif
