/* The loop of conjugate gradients: one read of A and two passes over vectors an iteration.
 * In SciPy: scipy.sparse.linalg.cg(A, b)
 */
#include <math.h>

#include "cg.h"
#include "vectors.h"

int sv_linalg_cg(const struct sv_operand *A, struct sv_cg *state, double goal, int most, double *work)
{
    const struct vector_kernels *vectors = linalg_vectors();
    double *q = work;
    int k = 0;
    for (; k < most && state->residual > goal; k++) {
        double curvature = A->does->multiply(A, state->v, q);
        if (!(curvature > 0)) {
            state->broken = 1;
            break;
        }
        double rho = vectors->advance(A->n, state->rho / curvature, state->v, q, NULL, state->x, state->r);
        vectors->direction(A->n, rho / state->rho, state->r, state->v);
        state->rho = rho;
        state->residual = sqrt(rho);
    }
    return k;
}
