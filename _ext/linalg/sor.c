/* The loop of SOR. Each sweep tells the residual before it, at no read of A; one that is near the goal is measured by a
 * pass of its own, so that the count of sweeps is exact unless a sweep gains more than a factor of NEAR.
 * In NumPy: while norm(b - A @ x) > goal: x += solve(D / omega + L, b - A @ x)
 */
#include <math.h>

#include "sor.h"

#define NEAR 10

int sv_linalg_sor(const struct sv_operand *A, double omega, enum sv_sweep kind, const double *b, double *x, double goal,
                  int most, double *residual, double *work)
{
    double *d = work, *r = work + A->n;
    int sweeps = 0;
    for (; sweeps < most; sweeps++) {
        enum sv_direction first = kind == SV_SWEEP_BACKWARD ? SV_BACKWARD : SV_FORWARD;
        *residual = sqrt(A->does->measured_sweep(A, omega, first, b, x, d));
        if (kind == SV_SWEEP_SYMMETRIC)
            A->does->sweep(A, omega, SV_BACKWARD, b, x);
        if (!isfinite(*residual))
            return sweeps + 1;
        if (*residual <= NEAR * goal && (*residual = sqrt(A->does->residual(A, b, x, r))) <= goal)
            return sweeps + 1;
    }
    *residual = sqrt(A->does->residual(A, b, x, r));
    return sweeps;
}
