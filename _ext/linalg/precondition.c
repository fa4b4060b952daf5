/* Preconditioners: a diagonal, SSOR over the sweeps of an operand, and the incomplete Cholesky factorisation.
 *
 * ic0 reads each row i and, for each of its entries left of the diagonal, row j: about sum_i sum_j (z_i + z_j) / 4
 * comparisons, in the order of the rows. Backward error of each kept entry: z_i ulp of the products that form it.
 * In NumPy: for i, j in pattern, j <= i: F[i, j] = A[i, j] - (F[i, :j] * F[j, :j] / np.diag(F)[:j]).sum()
 */
#include "precondition.h"

#include <string.h>

#include "vectors.h"

void sv_diagonal_apply(const struct sv_preconditioner *M, const double *r, double *z)
{
    sv_linalg_vectors()->times(M->n, M->weights, r, z);
}

void sv_ssor_apply(const struct sv_preconditioner *M, const double *r, double *z)
{
    const struct sv_operand *A = M->A;
    const double scale = (2 - M->omega) / M->omega;
    A->does->lower_solve(A, M->omega, r, z);
    for (size_t i = 0; i < A->n; i++)
        z[i] *= scale * A->diagonal[i];
    A->does->upper_solve(A, M->omega, z, z);
    for (int sweep = 1; sweep < M->sweeps; sweep++) {
        A->does->sweep(A, M->omega, SV_FORWARD, r, z);
        A->does->sweep(A, M->omega, SV_BACKWARD, r, z);
    }
}

#define INDEX int32_t
#define ic0 ic0_narrow
#include "ic0_rows.h"
#undef INDEX
#undef ic0
#define INDEX int64_t
#define ic0 ic0_wide
#include "ic0_rows.h"

ptrdiff_t sv_ic0(size_t n, int wide, const void *row_starts, const void *columns, const void *diagonal_at,
                 const double *values, double shift, double least, double *out)
{
    if (wide)
        return ic0_wide((ptrdiff_t)n, row_starts, columns, diagonal_at, values, shift, least, out);
    return ic0_narrow((ptrdiff_t)n, row_starts, columns, diagonal_at, values, shift, least, out);
}
