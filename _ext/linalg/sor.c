/* The loop of SOR. Each sweep tells the residual before it, at no read of A; one that is near the goal is measured by a
 * pass of its own, so that the count of sweeps is exact.
 * In NumPy: while norm(b - A @ x) > goal: x += solve(D / omega + L, b - A @ x)
 *
 * The adaptive omega is that of Hageman and Young (1981), chapter 9: below the best omega the changes of x shrink at the
 * rate rho of the iteration, from which Young's relation gives mu, the spectral radius of Jacobi's iteration, and mu the
 * best omega. It only ever grows: above the best omega the changes tell nothing.
 */
#include "sor.h"

#include <math.h>

#include "vectors.h"

#define NEAR 10
#define LARGEST_OMEGA 1.99
#define SETTLED 0.05
#define TRANSIENT 4

/* Whether the residual may reach the goal by one more sweep, going by the gain of the last. */
static int is_near(double residual, double earlier, double goal)
{
    double gain = earlier > 0 ? earlier / residual : INFINITY;
    return residual <= goal * fmax(NEAR, 3 * gain);
}

static void adapt(struct sv_sor_numbers *numbers, double change)
{
    double omega = numbers->omega;
    double rate = numbers->change > 0 ? change / numbers->change : 0;
    double low = fmin(rate, fmin(numbers->rates[1], numbers->rates[2]));
    double high = fmax(rate, fmax(numbers->rates[1], numbers->rates[2]));
    numbers->change = change;
    numbers->rates[0] = numbers->rates[1], numbers->rates[1] = numbers->rates[2], numbers->rates[2] = rate;
    numbers->since++;
    if (numbers->since < fmax(6, round(2 / (2 - omega))))
        return;
    /* settled, to a part of what it lacks to 1, and not the rate of the other side: at the best omega the eigenvalues
     * meet in a Jordan block, and changes shrink by (omega - 1)(1 + 1/k) in the k-th sweep, slower than they will */
    if (!(low > (omega - 1) * (1 + TRANSIENT / numbers->since) && high < 1 && high - low <= SETTLED * (1 - high)))
        return;
    double mu = fmin(1, (rate + omega - 1) / (omega * sqrt(rate)));
    double better = fmin(LARGEST_OMEGA, 2 / (1 + sqrt(1 - mu * mu)));
    if (better > omega + 1e-3) {
        numbers->omega = better;
        numbers->since = 0;
        numbers->raises++;
    }
}

int sv_linalg_sor(const struct sv_operand *A, const struct sv_sor_settings *settings, const double *b, double *x,
                  double *kept, struct sv_sor_numbers *numbers, int nit, int most, double *residual,
                  enum sv_outcome *outcome, double *work)
{
    const struct sv_operand_kernels *does = A->does;
    const enum sv_direction first = settings->kind == SV_SWEEP_BACKWARD ? SV_BACKWARD : SV_FORWARD;
    double *d = work, *r = work + A->n;
    int sweeps = 0, measured = 0;
    *outcome = OUTCOME_GOING_ON;
    while (sweeps < most && *outcome == OUTCOME_GOING_ON) {
        const double omega = numbers->omega, patience = fmax(200, 5 / (2 - omega));
        const int check = settings->adaptive || (nit + sweeps) % settings->check_every == 0;
        measured = 0;
        if (!check && does->sweeps && settings->kind != SV_SWEEP_SYMMETRIC) {
            /* all up to the next look at once */
            int unseen = settings->check_every - (nit + sweeps) % settings->check_every;
            unseen = unseen < most - sweeps ? unseen : most - sweeps;
            does->sweeps(A, omega, first, b, x, unseen);
            sweeps += unseen;
            continue;
        }
        if (check)
            *residual = sqrt(does->measured_sweep(A, omega, first, b, x, d));
        else
            does->sweep(A, omega, first, b, x);
        if (settings->kind == SV_SWEEP_SYMMETRIC)
            does->sweep(A, omega, SV_BACKWARD, b, x);
        sweeps++;
        if (!check)
            continue;
        /* an x whose residual was below the goal already has been swept once more: nothing is reached before the next */
        *outcome = sv_watch(&numbers->monitor, *residual, -1, nit + sweeps - 1, patience, A->n, x, kept);
        if (*outcome == OUTCOME_GOING_ON && is_near(*residual, numbers->residual, settings->goal)) {
            numbers->residual = *residual;
            *residual = sqrt(does->residual(A, b, x, r));
            measured = 1;
            if (*residual <= settings->goal)
                *outcome = OUTCOME_REACHED;
        } else {
            numbers->residual = *residual;
        }
        if (settings->adaptive)
            adapt(numbers, sqrt(sv_linalg_vectors()->dot(A->n, d, d)));
    }
    if (*outcome == OUTCOME_GOING_ON && settings->measure_last && !measured) {
        *residual = sqrt(does->residual(A, b, x, r));
        if (*residual <= settings->goal)
            *outcome = OUTCOME_REACHED;
    }
    return sweeps;
}
