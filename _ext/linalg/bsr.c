/* Node-block SOR: a step relaxes all unknowns of a node at once, by the inverse of its block.
 *
 * Bytes a node of m unknowns with z blocks: 8 m^2 (z + 1) (blocks and inverse) + 4 z + 24 m; flops 2 m^2 (z + 1). Bound
 * by memory, but for m = 2, which the recurrence from node to node holds back.
 * Accuracy: row sums within z m ulp; the inverse adds cond(A_II) ulp of the change.
 * In NumPy, forward: for I in range(nodes): x[I] += omega * inv(A[I, I]) @ (b[I] - sum(A[I, J] @ x[J] for J in row I))
 */
#include "bsr.h"

#include "simd.h"

#define ROWS_FILE "bsr_rows.h"
#include "each_type.h"

const sv_bsr_sweep SV_TABLE(bsr_sweeps)[4] = {sweep_i32_f64, sweep_i32_f32, sweep_i64_f64, sweep_i64_f32};
