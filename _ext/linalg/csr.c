/* Sweeps, products and triangular solves with a matrix in compressed rows, in the order of the rows.
 *
 * Bytes a row and pass: 12 z/n (values and 32-bit columns) + 8 (row start and diagonal) + 32 (b, 1/diagonal, x read and
 * written). Products are bound by memory, or by the 3 loads an entry. A sweep is a recurrence: x_i needs x_(i-1), where
 * that is in its row. All else of the row is summed before x_(i-1) is known, which then enters by one FMA from a
 * register: 4 cycles a row, below what the row's loads take. An entry i-2, i-3, ... comes back through memory, and is
 * summed last but one. Measured with 5 and 7 points a row: a sweep takes 1.0 to 1.2 of a product with the same matrix.
 * Sweeps are written for K right-hand sides at once, x and b row-major: one read of A for all of them, and the same
 * bits as of K sweeps with one.
 * Accuracy: each row sum within z_i + 3 ulp of the largest partial sum.
 * In NumPy, forward: for i in range(n): x[i] += omega * (b[i] - A[i] @ x) / A[i, i]
 */
#include "csr.h"

#include "csr_blocks.h"
#include "simd.h"

#define ROWS_FILE "csr_rows.h"
#include "each_type.h"

const struct sv_operand_kernels *const SV_TABLE(csr_kernels)[4] = {
    &kernels_i32_f64, &kernels_i32_f32, &kernels_i64_f64, &kernels_i64_f32};
const sv_csr_columns SV_TABLE(csr_columns)[4] = {columns_i32_f64, columns_i32_f32, columns_i64_f64, columns_i64_f32};
