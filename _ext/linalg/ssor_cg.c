/* The loop of conjugate gradients preconditioned by SSOR, in the form of Eisenstat (1981): one read of A an iteration,
 * half of it in each of two triangular solves, where the plain form takes two.
 *
 * With K = D / omega the system is solved as (K + L)^-1 A (K + U)^-1 y = (K + L)^-1 b with the preconditioner K; the
 * iterates x = (K + U)^-1 y are those of CG with M = (K + L) D^-1 (K + U). D serves in place of K, since CG does not see
 * the scale of a preconditioner. Stencils do an iteration in two passes over the vectors. In NumPy, an iteration:
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
#define CANCELLED 1e-6

/* r, v, the residual's norm, rho and the ratio of norms from x. */
static void begin(const struct sv_operand *A, double omega, const double *b, struct sv_cg *state)
{
    struct sv_cg_numbers *numbers = state->numbers;
    if (A->does->begin) {
        state->residual = sqrt(A->does->begin(A, omega, b, state->x, state->r, state->v, &numbers->rho));
    } else {
        const struct vector_kernels *vectors = sv_linalg_vectors();
        state->residual = sqrt(A->does->residual(A, b, state->x, state->r));
        A->does->lower_solve(A, omega, state->r, state->r);
        vectors->times(A->n, A->diagonal, state->r, state->v);
        numbers->rho = vectors->dot(A->n, state->r, state->v);
    }
    numbers->ratio = state->residual / sqrt(numbers->rho);
}

void sv_linalg_ssor_cg_start(const struct sv_operand *A, double omega, const double *b, struct sv_cg *state)
{
    state->numbers->verified = INFINITY;
    begin(A, omega, b, state);
}

static double size_by_diagonal(const struct sv_operand *A, double omega, const double *v)
{
    double size = 0;
    for (size_t i = 0; i < A->n; i++)
        size += omega * v[i] * v[i] / (A->diagonal ? A->diagonal[i] : A->entry);
    return size;
}

/* x, r and v by the step alpha, pass by pass; returns the new rho. Of operands with a diagonal. */
static double advance(const struct sv_operand *A, double alpha, struct sv_cg *state, const double *t, const double *q)
{
    const struct vector_kernels *vectors = sv_linalg_vectors();
    double rho = vectors->advance(A->n, alpha, t, q, A->diagonal, state->x, state->r);
    vectors->weighted_direction(A->n, rho / state->numbers->rho, A->diagonal, state->r, state->v);
    return rho;
}

/* rho after the step alpha, by a pass of its own. */
static double next_rho(const struct sv_operand *A, double alpha, const double *r, const double *q)
{
    double rho = 0;
    for (size_t i = 0; i < A->n; i++)
        rho += (A->diagonal ? A->diagonal[i] : A->entry) * (r[i] - alpha * q[i]) * (r[i] - alpha * q[i]);
    return rho;
}

/* The same, and t = (K + U)^-1 v, in one pass. That needs the new rho beforehand, for v: since q is conjugate to the
 * direction before, it is alpha^2 q'D q - rho. What is returned, and goes on, is summed from r (Meurant 1987). */
static double advance_at_once(const struct sv_operand *A, double omega, double alpha, double square,
                              struct sv_cg *state, double *t, const double *q)
{
    struct sv_cg_numbers *numbers = state->numbers;
    double rho = numbers->rho, next = alpha * alpha * square - rho;
    if (!(next > CANCELLED * rho)) /* little is left of the difference */
        next = next_rho(A, alpha, state->r, q);
    int keep = sv_keeps(&numbers->monitor, numbers->ratio * sqrt(next));
    struct sv_ssor_vectors vectors = {state->x, state->r, state->v, t, q, keep ? state->kept : NULL};
    double sum = A->does->advance(A, omega, alpha, next / rho, &vectors);
    if (keep)
        numbers->monitor.kept = numbers->ratio * sqrt(sum);
    return sum;
}

/* x, r and v by one iteration; t, q: n doubles each. `fresh`: t is not yet (K + U)^-1 v. */
static enum sv_outcome iterate(const struct sv_operand *A, double omega, struct sv_cg *state, int fresh, double *t,
                               double *q)
{
    struct sv_cg_numbers *numbers = state->numbers;
    const int at_once = A->does->advance != NULL;
    if (fresh || !at_once)
        A->does->upper_solve(A, omega, state->v, t);
    double square = 0, curvature = at_once ? A->does->eisenstat_sums(A, omega, state->v, t, q, &square)
                                           : A->does->eisenstat(A, omega, state->v, t, q);
    if (!(curvature > 0))
        return sv_cg_broken(curvature, size_by_diagonal(A, omega, state->v));
    double alpha = numbers->rho / curvature;
    numbers->rho = at_once ? advance_at_once(A, omega, alpha, square, state, t, q) : advance(A, alpha, state, t, q);
    state->residual = numbers->ratio * sqrt(numbers->rho);
    return OUTCOME_GOING_ON;
}

int sv_linalg_ssor_cg(const struct sv_operand *A, double omega, const double *b, struct sv_cg *state, double goal,
                      double floor, int nit, int most, double *work)
{
    struct sv_cg_numbers *numbers = state->numbers;
    double *t = work, *q = work + A->n;
    const double target = fmax(goal, floor);
    int done = 0, fresh = 1;
    state->outcome = OUTCOME_GOING_ON;
    while (done < most && state->outcome == OUTCOME_GOING_ON) {
        if ((state->outcome = iterate(A, omega, state, fresh, t, q)) != OUTCOME_GOING_ON)
            break;
        done++, fresh = 0;
        if (state->residual <= NEAR * target) {
            state->residual = sqrt(A->does->lower_product(A, omega, state->r, A->does->advance ? NULL : q));
            numbers->ratio = state->residual / sqrt(numbers->rho);
        }
        state->outcome = sv_watch(&numbers->monitor, state->residual, target, nit + done, sv_cg_patience(A->n), A->n,
                                  state->x, state->kept);
        if (state->outcome != OUTCOME_REACHED)
            continue;
        double exact = sqrt(A->does->residual(A, b, state->x, q));
        state->outcome = sv_cg_verified(state, exact, goal, nit + done);
        if (state->outcome == OUTCOME_GOING_ON)
            begin(A, omega, b, state), fresh = 1;
    }
    return done;
}
