/* The loop of conjugate gradients preconditioned by SSOR, in the form of Eisenstat (1981): one read of A an iteration,
 * half of it in each of two triangular solves, where the plain form takes two.
 *
 * With K = D / omega the system is solved as (K + L)^-1 A (K + U)^-1 y = (K + L)^-1 b with the preconditioner K; the
 * iterates x = (K + U)^-1 y are those of CG with M = (K + L) D^-1 (K + U). D serves in place of K, since CG does not see
 * the scale of a preconditioner. In NumPy, an iteration:
 *     t = solve(K + U, v); q = t + solve(K + L, v - (2 / omega - 1) * D @ t); alpha = rho / (v @ q)
 *     x += alpha * t; r -= alpha * q; rho, before = r @ D @ r, rho; v = D @ r + rho / before * v
 *
 * The true residual is (K + L) r, half a read of A. It is formed only where the norm that the last ratio of the two
 * promises comes near the goal, so the count of iterations is that of the plain form.
 */
#include <math.h>
#include <string.h>

#include "cg.h"
#include "vectors.h"

#define NEAR 3

/* r, v, rho and the ratio of norms for the residual b - A x in `residual`, of norm state->residual. */
static void begin(const struct sv_operand *A, double omega, const double *residual, struct sv_cg *state)
{
    const struct vector_kernels *vectors = linalg_vectors();
    A->does->lower_solve(A, omega, residual, state->r);
    vectors->times(A->n, A->diagonal, state->r, state->v);
    state->numbers->rho = vectors->dot(A->n, state->r, state->v);
    state->numbers->ratio = state->residual / sqrt(state->numbers->rho);
}

void sv_linalg_ssor_cg_start(const struct sv_operand *A, double omega, const double *b, struct sv_cg *state,
                             double *work)
{
    state->residual = sqrt(A->does->residual(A, b, state->x, work));
    state->numbers->verified = INFINITY;
    begin(A, omega, work, state);
}

static double size_by_diagonal(const struct sv_operand *A, double omega, const double *v)
{
    double size = 0;
    for (size_t i = 0; i < A->n; i++)
        size += omega * v[i] * v[i] / A->diagonal[i];
    return size;
}

/* x, r and v by one iteration; t, q: n doubles each. */
static enum sv_outcome iterate(const struct sv_operand *A, double omega, struct sv_cg *state, double *t, double *q)
{
    const struct vector_kernels *vectors = linalg_vectors();
    struct sv_cg_numbers *numbers = state->numbers;
    A->does->upper_solve(A, omega, state->v, t);
    double curvature = A->does->eisenstat(A, omega, state->v, t, q);
    if (!(curvature > 0))
        return cg_broken(curvature, size_by_diagonal(A, omega, state->v));
    double rho = vectors->advance(A->n, numbers->rho / curvature, t, q, A->diagonal, state->x, state->r);
    vectors->weighted_direction(A->n, rho / numbers->rho, A->diagonal, state->r, state->v);
    numbers->rho = rho;
    state->residual = numbers->ratio * sqrt(rho);
    return SV_GOING_ON;
}

int sv_linalg_ssor_cg(const struct sv_operand *A, double omega, const double *b, struct sv_cg *state, double goal,
                      double floor, int nit, int most, double *work)
{
    struct sv_cg_numbers *numbers = state->numbers;
    double *t = work, *q = work + A->n;
    const double target = fmax(goal, floor);
    int done = 0;
    state->outcome = SV_GOING_ON;
    while (done < most && state->outcome == SV_GOING_ON) {
        if ((state->outcome = iterate(A, omega, state, t, q)) != SV_GOING_ON)
            break;
        done++;
        if (state->residual <= NEAR * target) {
            state->residual = sqrt(A->does->lower_product(A, omega, state->r, q));
            numbers->ratio = state->residual / sqrt(numbers->rho);
        }
        state->outcome = sv_watch(&numbers->monitor, state->residual, target, nit + done, cg_patience(A->n), A->n,
                                  state->x, state->kept);
        if (state->outcome != SV_REACHED)
            continue;
        double exact = sqrt(A->does->residual(A, b, state->x, q));
        state->outcome = cg_verified(state, exact, goal, nit + done);
        if (state->outcome == SV_GOING_ON)
            begin(A, omega, q, state);
    }
    return done;
}
