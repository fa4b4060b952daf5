/* The loop of Chebyshev's iteration for D^-1 A with eigenvalues in [low, high], in three terms: one read of A each and
 * no inner product but the residual's norm.
 * In NumPy: x, back = x + momentum * (x - back) + omega * (b - A @ x) / diagonal, x
 *
 * Bounds that were wrong show: where the residual grows, an eigenvalue lies above `high`; where it falls slower than the
 * polynomials on [low, high] do, one lies below `low`, and the rate tells which (Manteuffel, 1977). The iteration then
 * starts anew from its x, with wider bounds.
 */
#include <math.h>
#include <string.h>

#include "jacobi.h"

#define PATIENCE 400
#define GROWN 10     /* the residual over that at the start of the cycle that says that `high` was too low */
#define LOOK_AFTER 20 /* iterations between two looks at the rate, at least */
#define SLOW 0.7     /* the part of the expected rate, in logarithms, that is still taken for it */

/* Bounds from what was seen of the present cycle; whether they changed. */
static int widened(struct sv_jacobi_numbers *numbers, double residual)
{
    if (residual > GROWN * numbers->cycle_start) {
        numbers->high *= 1.5;
        return 1;
    }
    double center = (numbers->high + numbers->low) / 2, radius = (numbers->high - numbers->low) / 2;
    double expected = acosh(center / radius);
    double look = fmax(LOOK_AFTER, ceil(3 / expected)); /* the polynomials' rate is that of a late iteration */
    if (fmod(numbers->cycle, look) != 0)
        return 0;
    double seen = -log(residual / numbers->mark) / look;
    numbers->mark = residual;
    if (numbers->cycle < 2 * look || seen > SLOW * expected)
        return 0;
    double slowest = seen > 0 ? center - radius * cosh(expected - seen) : 0;
    numbers->low = fmax(slowest, numbers->low / 10);
    return 1;
}

/* The coefficients of the next step; the numbers move on. */
static void coefficients(struct sv_jacobi_numbers *numbers, double *omega, double *momentum)
{
    double center = (numbers->high + numbers->low) / 2, radius = (numbers->high - numbers->low) / 2;
    if (numbers->cycle == 0) {
        *omega = 1 / center, *momentum = 0;
        numbers->rho = radius / center;
    } else {
        double rho = 1 / (2 * center / radius - numbers->rho);
        *omega = 2 * rho / radius, *momentum = rho * numbers->rho;
        numbers->rho = rho;
    }
    numbers->cycle++;
}

int sv_linalg_chebyshev(const struct sv_operand *A, const struct sv_jacobi_settings *settings, const double *b,
                        double *x, double *back, double *kept, struct sv_jacobi_numbers *numbers, int nit, int most,
                        double *residual, enum sv_outcome *outcome, double *work)
{
    double *now = x, *next = back, *swap;
    int done = 0;
    (void)work;
    *outcome = OUTCOME_GOING_ON;
    for (;;) {
        double omega, momentum;
        if (done == most && !settings->measure_last)
            break;
        if (done == most) {
            *residual = sqrt(A->does->residual(A, b, now, work));
        } else {
            coefficients(numbers, &omega, &momentum);
            *residual = sqrt(A->does->jacobi(A, omega, momentum, b, now, next));
        }
        *outcome = sv_watch(&numbers->monitor, *residual, settings->goal, nit + done, PATIENCE, A->n, now, kept);
        if (done == most || *outcome != OUTCOME_GOING_ON)
            break;
        if (numbers->cycle == 1) {
            numbers->cycle_start = numbers->mark = *residual;
        } else if (widened(numbers, *residual)) {
            /* the step just made belongs to the old bounds; it stands, and the new cycle begins behind it */
            numbers->cycle = 0;
            numbers->restarts++;
        }
        swap = now, now = next, next = swap;
        done++;
    }
    if (now != x)
        for (size_t i = 0; i < A->n; i++) {
            double here = now[i];
            back[i] = x[i], x[i] = here;
        }
    return done;
}
