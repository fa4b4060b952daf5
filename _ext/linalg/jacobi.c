/* The loop of Jacobi's iteration: one read of A each, which also tells the residual of the x that it starts from.
 * In NumPy: while norm(r := b - A @ x) > goal: x = x + omega * r / diagonal
 */
#include "jacobi.h"

#include <math.h>
#include <string.h>

#define PATIENCE 200

int sv_linalg_jacobi(const struct sv_operand *A, const struct sv_jacobi_settings *settings, const double *b, double *x,
                     double *kept, struct sv_jacobi_numbers *numbers, int nit, int most, double *residual,
                     enum sv_outcome *outcome, double *work)
{
    double *now = x, *next = work;
    int done = 0;
    *outcome = OUTCOME_GOING_ON;
    for (;;) {
        if (done == most && !settings->measure_last)
            break;
        *residual = sqrt(done == most ? A->does->residual(A, b, now, next)
                                      : A->does->jacobi(A, numbers->omega, 0, b, now, next));
        *outcome = sv_watch(&numbers->monitor, *residual, settings->goal, nit + done, PATIENCE, A->n, now, kept);
        if (done == most || *outcome != OUTCOME_GOING_ON)
            break;
        double *swap = now;
        now = next, next = swap;
        done++;
    }
    if (now != x)
        memcpy(x, now, A->n * sizeof(double));
    return done;
}
