/* Node-block SOR: a step relaxes all unknowns of a node at once, by the inverse of its block.
 *
 * Bytes a node of m unknowns with z blocks: 8 m^2 (z + 1) (blocks and inverse) + 4 z + 24 m; flops 2 m^2 (z + 1). Bound
 * by memory, but for m = 2, which the recurrence from node to node holds back.
 * Accuracy: row sums within z m ulp; the inverse adds cond(A_II) ulp of the change.
 * In NumPy, forward: for I in range(nodes): x[I] += omega * inv(A[I, I]) @ (b[I] - sum(A[I, J] @ x[J] for J in row I))
 */
#include "bsr.h"

#include "simd.h"

#define NAME(operation) NAME_(operation, INDEX_BITS, VALUE_BITS)
#define NAME_(operation, index, value) NAME__(operation, index, value)
#define NAME__(operation, index, value) operation##_i##index##_f##value

#define INDEX int32_t
#define INDEX_BITS 32
#define VALUE double
#define VALUE_BITS 64
#include "bsr_rows.h"
#undef VALUE
#undef VALUE_BITS
#define VALUE float
#define VALUE_BITS 32
#include "bsr_rows.h"
#undef INDEX
#undef INDEX_BITS
#define INDEX int64_t
#define INDEX_BITS 64
#include "bsr_rows.h"
#undef VALUE
#undef VALUE_BITS
#define VALUE double
#define VALUE_BITS 64
#include "bsr_rows.h"

const sv_bsr_sweep SV_TABLE(bsr_sweeps)[4] = {sweep_i32_f64, sweep_i32_f32, sweep_i64_f64, sweep_i64_f32};
