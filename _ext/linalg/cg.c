/* The loop of conjugate gradients: one read of A and two passes over vectors an iteration, and what M takes.
 * In SciPy: scipy.sparse.linalg.cg(A, b, M=M)
 *
 * The recurrence of r drifts from b - A x by rounding. Where it says that the goal is reached, b - A x is formed; if
 * that is above the goal the iteration starts anew from x, as long as each start gains a factor of two.
 */
#include "cg.h"

#include <math.h>
#include <string.h>

#include "vectors.h"

double sv_cg_patience(size_t n) { return fmin(2000, 50 + 10 * (double)n); }

enum sv_outcome sv_cg_broken(double curvature, double size)
{
    if (!isfinite(curvature))
        return OUTCOME_NOT_FINITE;
    /* a direction in the null space of a singular matrix: rounding decides on the sign */
    return fabs(curvature) <= 1e-12 * size ? OUTCOME_STALLED : OUTCOME_NOT_SPD;
}

enum sv_outcome sv_cg_verified(struct sv_cg *state, double exact, double goal, int iteration)
{
    struct sv_cg_numbers *numbers = state->numbers;
    state->residual = exact;
    if (!isfinite(exact))
        return OUTCOME_NOT_FINITE;
    if (exact <= goal)
        return OUTCOME_REACHED;
    if (!(exact <= numbers->verified / 2))
        return OUTCOME_STALLED;
    numbers->verified = exact;
    numbers->restarts++;
    numbers->monitor.best = exact, numbers->monitor.best_at = iteration;
    return OUTCOME_GOING_ON;
}

/* v and rho for the residual r. */
static void begin(const struct sv_operand *A, const struct sv_preconditioner *M, struct sv_cg *state)
{
    if (M)
        M->apply(M, state->r, state->v);
    else
        memcpy(state->v, state->r, A->n * sizeof(double));
    state->numbers->rho = sv_linalg_vectors()->dot(A->n, state->r, state->v);
}

void sv_linalg_cg_start(const struct sv_operand *A, const struct sv_preconditioner *M, struct sv_cg *state)
{
    state->numbers->verified = INFINITY;
    begin(A, M, state);
}

static double size_by_diagonal(const struct sv_operand *A, const double *v)
{
    double size = 0;
    for (size_t i = 0; i < A->n; i++)
        size += A->diagonal[i] * v[i] * v[i];
    return size;
}

/* x, r and v by one iteration; q, z: n doubles each. */
static enum sv_outcome iterate(const struct sv_operand *A, const struct sv_preconditioner *M, struct sv_cg *state,
                               double *q, double *z)
{
    const struct vector_kernels *vectors = sv_linalg_vectors();
    struct sv_cg_numbers *numbers = state->numbers;
    double curvature = A->does->multiply(A, state->v, q);
    if (!(curvature > 0))
        return sv_cg_broken(curvature, size_by_diagonal(A, state->v));
    if (!(numbers->rho > 0)) /* M's fault */
        return isfinite(numbers->rho) ? OUTCOME_NOT_SPD : OUTCOME_NOT_FINITE;
    double square = vectors->advance(A->n, numbers->rho / curvature, state->v, q, NULL, state->x, state->r);
    double rho = square;
    if (M) {
        M->apply(M, state->r, z);
        rho = vectors->dot(A->n, state->r, z);
    }
    vectors->direction(A->n, rho / numbers->rho, M ? z : state->r, state->v);
    numbers->rho = rho;
    state->residual = sqrt(square);
    return OUTCOME_GOING_ON;
}

int sv_linalg_cg(const struct sv_operand *A, const struct sv_preconditioner *M, const double *b, struct sv_cg *state,
                 double goal, double floor, int nit, int most, double *work)
{
    double *q = work, *z = work + A->n;
    int done = 0;
    state->outcome = OUTCOME_GOING_ON;
    while (done < most && state->outcome == OUTCOME_GOING_ON) {
        if ((state->outcome = iterate(A, M, state, q, z)) != OUTCOME_GOING_ON)
            break;
        done++;
        state->outcome = sv_watch(&state->numbers->monitor, state->residual, fmax(goal, floor), nit + done,
                                  sv_cg_patience(A->n), A->n, state->x, state->kept);
        if (state->outcome != OUTCOME_REACHED)
            continue;
        double exact = sqrt(A->does->residual(A, b, state->x, q));
        state->outcome = sv_cg_verified(state, exact, goal, nit + done);
        if (state->outcome == OUTCOME_GOING_ON) {
            memcpy(state->r, q, A->n * sizeof(double));
            begin(A, M, state);
        }
    }
    return done;
}
