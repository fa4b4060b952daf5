/* sums = M' (weight * (M x)) in float32: half the bytes and twice the lanes for the inner products of a Newton step,
 * which need a few digits only. In NumPy: M.T @ (weight * (M @ x)). */
#include "batch.h"
#include "fused.h"

static void normal(const float *matrix, size_t rows, size_t ld, const float *x, const float *weight, float *row,
                   float *sums)
{
    fused_product(matrix, rows, ld, x, weight, row, sums, 0);
}

const struct ot_normal_kernel SV_TABLE(ot_normal) = {normal};
