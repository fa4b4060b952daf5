/* Conjugate gradients in float64 around a cycle in float32.
 * In NumPy, an iteration:
 *     z = cycle((scale * r).astype(np.float32)); p = z - (z @ q) / (p @ q) * p; q = A @ p
 *     alpha = (z @ r) / (p @ q); x += alpha * p; r -= alpha * q; scale = 1 / norm(r)
 *
 * The direction is made orthogonal to the last one by what the matrix says of both, not by a quotient of residuals: that
 * holds up where float32 makes the cycle not quite linear. It is kept in the cycle's precision: x and r take what that
 * direction gives, in float64, whatever it is. The best step's (p, r) is (z, r), since r is orthogonal to the last
 * direction; it comes from the cycle, and from what that sees of r: a step that is off by the rounding of float32 leaves
 * an error that is larger by the square of that. The recurrence of r drifts from b - A x by rounding; where it
 * says that the goal is reached b - A x is formed, and the iteration goes on from that where it is above, as long as
 * each such start gains a factor of two.
 */
#include "multilevel_cg.h"

#include <math.h>
#include <string.h>

enum { PATIENCE = 200 };

/* Where the cycle's copy of the residual would come near the least floats. */
#define FAR_DOWN 1e-10

static double scale_of(double residual) { return residual > 0 && isfinite(residual) ? 1 / residual : 1; }

/* The cycle's copy of r. */
static void cast(struct sv_multilevel_cg *s)
{
    sv_outer_kernels()->cast(s->A, s->M->single, s->numbers->scale, s->r, s->cast, s->M->threads);
}

static double exact_residual(struct sv_multilevel_cg *s, double *r)
{
    return sqrt(sv_outer_kernels()->residual(s->A, s->diagonal, s->b, s->x, r, s->partial, s->M->threads));
}

void sv_multilevel_cg_start(struct sv_multilevel_cg *s)
{
    s->residual = exact_residual(s, s->r);
    s->numbers->curvature = s->numbers->off = 0;
    s->numbers->verified = INFINITY;
    s->numbers->scale = scale_of(s->residual);
    s->ready = 0;
}

/* q from p, to the bits that `direction` gives it. */
static void product(struct sv_multilevel_cg *s)
{
    sv_outer_kernels()->product(s->A, s->M->single, s->diagonal, s->p, s->q, s->partial, s->M->threads);
}

static enum sv_outcome iterate(struct sv_multilevel_cg *s)
{
    const struct sv_outer_kernels *outer = sv_outer_kernels();
    struct sv_multilevel_numbers *numbers = s->numbers;
    int single = s->M->single, threads = s->M->threads;
    const int follows = numbers->curvature > 0;
    double sums[2];
    sv_multilevel_cycle_with(s->M, s->cast, s->z, follows ? s->q : s->r, s->partial, sums);
    const double beta = follows ? -sums[0] / numbers->curvature : 0, along = sums[1] / numbers->scale + beta * numbers->off;
    const double curvature = outer->direction(s->A, single, s->diagonal, beta, s->z, s->p, s->q, s->partial, threads);
    if (!isfinite(curvature) || !isfinite(along))
        return OUTCOME_NOT_FINITE;
    if (!(curvature > 0) || along == 0)
        return curvature < 0 ? OUTCOME_NOT_SPD : OUTCOME_STALLED;
    double square = outer->advance(s->A, single, along / curvature, numbers->scale, s->p, s->q, s->x, s->r, s->cast,
                                   s->partial, threads);
    numbers->curvature = curvature, numbers->off = 0;
    s->residual = sqrt(square);
    if (s->residual * numbers->scale < FAR_DOWN) {
        numbers->scale = scale_of(s->residual);
        cast(s);
    }
    return OUTCOME_GOING_ON;
}

/* Whether the goal is reached in truth; if not, from the true residual on. */
static enum sv_outcome verify(struct sv_multilevel_cg *s, double goal, int iteration)
{
    struct sv_multilevel_numbers *numbers = s->numbers;
    s->residual = exact_residual(s, s->q);
    if (!isfinite(s->residual))
        return OUTCOME_NOT_FINITE;
    if (s->residual <= goal)
        return OUTCOME_REACHED;
    if (!(s->residual <= numbers->verified / 2))
        return OUTCOME_STALLED;
    numbers->verified = s->residual;
    numbers->restarts++;
    numbers->monitor.best = s->residual, numbers->monitor.best_at = iteration;
    numbers->scale = scale_of(s->residual);
    memcpy(s->r, s->q, s->A->size * sizeof(double));
    numbers->off = sv_outer_kernels()->dot(s->A, s->M->single, s->p, s->r, s->partial, s->M->threads);
    product(s);
    cast(s);
    return OUTCOME_GOING_ON;
}

/* No progress in a window, or a residual far above the first. */
static enum sv_outcome watch(struct sv_multilevel_cg *s, double goal, int iteration)
{
    struct sv_monitor *monitor = &s->numbers->monitor;
    if (!isfinite(s->residual))
        return OUTCOME_NOT_FINITE;
    if (s->residual < 0.999 * monitor->best)
        monitor->best = s->residual, monitor->best_at = iteration;
    if (s->residual <= goal)
        return OUTCOME_REACHED;
    return iteration - monitor->best_at <= PATIENCE ? OUTCOME_GOING_ON : OUTCOME_STALLED;
}

int sv_multilevel_cg_iterate(struct sv_multilevel_cg *s, double goal, double floor, int nit, int most)
{
    int done = 0;
    s->outcome = OUTCOME_GOING_ON;
    if (!s->ready && s->numbers->curvature > 0)
        product(s);
    if (!s->ready)
        cast(s);
    while (done < most && s->outcome == OUTCOME_GOING_ON) {
        if ((s->outcome = iterate(s)) != OUTCOME_GOING_ON)
            break;
        done++;
        s->outcome = watch(s, fmax(goal, floor), nit + done);
        if (s->outcome == OUTCOME_REACHED)
            s->outcome = verify(s, goal, nit + done);
    }
    s->ready = s->outcome == OUTCOME_GOING_ON;
    return done;
}

/* ---- the bytes of an iteration ---- */

/* Rows of a field that say what no row before them does. */
static double rows_of(const struct sv_level *g, int which)
{
    ptrdiff_t count = 0, rows = g->n[1] * g->n[2];
    for (ptrdiff_t row = 0; row < rows; row++)
        count += !g->same[which] || g->same[which][row] == row;
    return (double)count;
}

static double row_bytes(const struct sv_level *g, size_t width) { return (double)g->n[0] * (double)width; }

static double cells_of(const struct sv_level *g) { return (double)g->n[0] * (double)(g->n[1] * g->n[2]); }

/* The couplings. */
static double face_bytes(const struct sv_level *g, size_t width)
{
    double faces = 0;
    for (int axis = 0; axis < 3; axis++)
        faces += !g->constant && g->face[axis];
    return faces * cells_of(g) * (double)width;
}

/* What either pass of the cycle reads of a level's fields. */
static double field_bytes(const struct sv_level *g, size_t width)
{
    double rows = rows_of(g, SHARED_INVERSE) + rows_of(g, SHARED_SCALE);
    for (int axis = 0; axis < 3; axis++)
        rows += g->halved[axis] ? rows_of(g, SHARED_SHARES + axis) : 0;
    return face_bytes(g, width) + rows * row_bytes(g, width);
}

double sv_multilevel_cg_bytes(const struct sv_multilevel *M, const struct sv_level *A)
{
    const size_t width = M->single ? sizeof(float) : sizeof(double);
    const struct sv_level *last = &M->level[M->levels - 1];
    /* z read, p read and written, q written; p, q read, x, r read and written, the cast written; q for (z, q) */
    double bytes = cells_of(A) * (5 * (double)width + 7 * sizeof(double));
    bytes += face_bytes(A, sizeof(double)) + rows_of(A, SHARED_INVERSE) * row_bytes(A, sizeof(double));
    for (int l = 0; l < M->levels - 1; l++) {
        const struct sv_level *g = &M->level[l];
        /* the right-hand side twice, x; below the first level it is written too, and x read from above */
        bytes += (l ? 5 : 3) * cells_of(g) * (double)width + 2 * field_bytes(g, width);
    }
    return bytes + cells_of(last) * cells_of(last) * sizeof(double);
}
