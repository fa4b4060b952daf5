/* Sweeps, products and triangular solves with a matrix in compressed rows, in the order of the rows.
 *
 * Bytes a row and pass: 12 z/n (values and 32-bit columns) + 8 (row start and diagonal) + 32 (b, 1/diagonal, x read and
 * written). A sweep is bound by the latency from x_(i-1) to x_i, not by memory, unless rows depend on distant ones alone.
 * Accuracy: each row sum within z_i ulp of the largest partial sum.
 * In NumPy, forward: for i in range(n): x[i] += omega * (b[i] - A[i] @ x) / A[i, i]
 */
#include "csr.h"

#include "simd.h"

#define NAME(operation) NAME_(operation, INDEX_BITS, VALUE_BITS)
#define NAME_(operation, index, value) NAME__(operation, index, value)
#define NAME__(operation, index, value) operation##_i##index##_f##value

#define INDEX int32_t
#define INDEX_BITS 32
#define VALUE double
#define VALUE_BITS 64
#include "csr_rows.h"
#undef VALUE
#undef VALUE_BITS
#define VALUE float
#define VALUE_BITS 32
#include "csr_rows.h"
#undef INDEX
#undef INDEX_BITS
#define INDEX int64_t
#define INDEX_BITS 64
#include "csr_rows.h"
#undef VALUE
#undef VALUE_BITS
#define VALUE double
#define VALUE_BITS 64
#include "csr_rows.h"

const struct sv_operand_kernels *const SV_TABLE(csr_kernels)[4] = {
    &kernels_i32_f64, &kernels_i32_f32, &kernels_i64_f64, &kernels_i64_f32};
