/* The products of a Newton step in float32: half the bytes and twice the lanes, where a few digits are enough.
 * In NumPy: M.T @ (weight * (M @ x)) and (M * M).T @ weight. */
#include "batch.h"
#include "fused.h"

static void normal(const float *matrix, size_t rows, size_t ld, const float *x, const float *weight, float *row,
                   float *sums)
{
    fused_product(matrix, rows, ld, x, weight, row, sums, 0);
}

/* Sums begin here and not at 0: squares of small entries alone are subnormal, at a hundred cycles an operation. */
#define LEAST_SQUARES 0x1p-100f

INLINE void squares_of(const float *matrix, size_t ld, const float *weight, float *sums, int count)
{
    for (size_t j = 0; j < ld; j += SV_W) {
        vreal sum = v_load(sums + j);
        for (int k = 0; k < count; k++) {
            vreal entry = v_load(matrix + k * ld + j);
            sum = v_fma(v_mul(entry, v_set1(weight[k])), entry, sum);
        }
        v_store(sums + j, sum);
    }
}

static void squares(const float *matrix, size_t rows, size_t ld, const float *weight, float *sums)
{
    for (size_t j = 0; j < ld; j++)
        sums[j] = LEAST_SQUARES;
    size_t i = 0;
    for (; i + 8 <= rows; i += 8)
        squares_of(matrix + i * ld, ld, weight + i, sums, 8);
    for (; i < rows; i++)
        squares_of(matrix + i * ld, ld, weight + i, sums, 1);
}

const struct ot_float_kernel SV_TABLE(ot_float) = {normal, squares};
