/* The exact augmented Lagrangian as a merit function: see merit.h. In NumPy, with the Hessian H of the Lagrangian:
 *     M = f + y @ c + eta1 / 2 * c @ c + eta2 / 2 * gl @ gl
 *     grad = np.r_[gl + eta1 * J.T @ c + eta2 * H @ gl, c + eta2 * J @ gl]
 */
#include "merit.h"

#include <float.h>
#include <string.h>

#include "vectors.h"

/* Both penalties move together (nu of the source), between 1 and 1e8, 0.1 and 1e-8. */
static const double NU = 1.5, ETA1 = 1, ETA2 = 0.1, ETA1_MOST = 1e8, ETA2_LEAST = 1e-8;
static const double ARMIJO = 1e-4, FINEST = 1e-10;
enum { HALVINGS = 50 };

/* Where the parts of the work space begin. */
struct space {
    double *jc;             /* n: J'c */
    double *flat_x, *flat_y; /* n, m: the gradient of |t|^2/2 */
    double *t;              /* m: J gL */
    double *rhs;            /* n + m */
    double *correction;     /* n + m */
};

static struct space divided(const sv_nlp *nlp, double *work)
{
    int64_t n = nlp->n, m = nlp->m;
    double *flat = work + n, *t = flat + n + m, *rhs = t + m;
    return (struct space){work, flat, flat + n, t, rhs, rhs + n + m};
}

int64_t sv_merit_work(int64_t n, int64_t m)
{
    return 4 * n + 4 * m + 2 * (n + m);
}

void sv_merit_begin(struct sv_merit *merit, int projected, int64_t window)
{
    memset(merit, 0, sizeof *merit);
    merit->eta1 = ETA1;
    merit->eta2 = ETA2;
    merit->residual = INFINITY;
    merit->projected = projected;
    merit->window = window;
}

/* M of its three parts. */
static double joined(const struct sv_merit *merit, const double *parts)
{
    return parts[0] + merit->eta1 * parts[1] + merit->eta2 * parts[2];
}

static double residual_squared(const sv_nlp *nlp, const struct sv_merit_point *at)
{
    return vector_dot(nlp->n, at->gl, at->gl) + vector_dot(nlp->m, at->c, at->c);
}

/* f and c at a point. */
static int values_at(const sv_nlp *nlp, const double *target, struct sv_merit_point *at)
{
    int failed = nlp->values(nlp->data, at->x, &at->f, at->c);
    if (failed)
        return failed;
    for (int64_t i = 0; i < nlp->m; i++)
        at->c[i] -= target[i];
    return isfinite(at->f) && isfinite(vector_largest(nlp->m, at->c)) ? 0 : SV_FAILED;
}

/* Its gradients. */
static int slopes_at(const sv_nlp *nlp, struct sv_merit_point *at)
{
    int failed = nlp->slopes(nlp->data, at->x, at->g);
    if (failed)
        return failed;
    if (nlp->m) {
        if ((failed = nlp->adjoint(nlp->data, at->y, at->gl)))
            return failed;
        vector_combine(nlp->n, at->gl, 1, at->g, at->gl);
    } else {
        vector_copy(nlp->n, at->g, at->gl);
    }
    return isfinite(vector_largest(nlp->n, at->gl)) ? 0 : SV_FAILED;
}

int sv_merit_evaluate(const sv_nlp *nlp, const double *target, struct sv_merit_point *at)
{
    int failed = values_at(nlp, target, at);
    return failed ? failed : slopes_at(nlp, at);
}

/* L and |c|^2/2: parts of M that need no gradients. */
static void first_parts(const sv_nlp *nlp, const struct sv_merit_point *at, double *parts)
{
    parts[0] = at->f + vector_dot(nlp->m, at->y, at->c);
    parts[1] = vector_dot(nlp->m, at->c, at->c) / 2;
    parts[2] = 0;
}

/* |t|^2/2. t: m numbers of work. Without rows f alone is the merit: |grad f|^2 has minimisers of its own. */
static int last_part(const sv_nlp *nlp, const struct sv_merit *merit, const struct sv_merit_point *at, double *t, double *parts)
{
    if (nlp->m == 0)
        return 0;
    if (!merit->projected) {
        parts[2] = vector_dot(nlp->n, at->gl, at->gl) / 2;
        return 0;
    }
    int failed = nlp->jacobian(nlp->data, at->gl, t);
    parts[2] = vector_dot(nlp->m, t, t) / 2;
    return failed;
}

/* The gradient of |t|^2/2 for t = J gL, which is in space->t. */
static int projected_gradient(const sv_nlp *nlp, const struct sv_merit_point *at, const struct space *space)
{
    double *sum = space->rhs;
    int failed = nlp->adjoint(nlp->data, space->t, sum);
    if (failed || (failed = nlp->jacobian(nlp->data, sum, space->flat_y)))
        return failed;
    if ((failed = nlp->hessian(nlp->data, sum, space->flat_x)))
        return failed;
    /* sum_i t_i H_i gL: for a moment, the curvature of t'c alone. */
    if ((failed = nlp->curvature(nlp->data, at->x, 0, space->t)) || (failed = nlp->hessian(nlp->data, at->gl, sum)))
        return failed;
    vector_combine(nlp->n, space->flat_x, 1, sum, space->flat_x);
    return nlp->curvature(nlp->data, at->x, 1, at->y);
}

/* Values of the three parts at a point, and their gradients in the work space. */
static int gradients(const sv_nlp *nlp, const struct sv_merit *merit, const struct sv_merit_point *at, double *work,
                     double *parts)
{
    struct space space = divided(nlp, work);
    first_parts(nlp, at, parts);
    int failed = last_part(nlp, merit, at, space.t, parts);
    if (failed)
        return failed;
    if (nlp->m == 0) {
        memset(space.jc, 0, (size_t)nlp->n * sizeof(double));
        memset(space.flat_x, 0, (size_t)nlp->n * sizeof(double));
        return 0;
    }
    if ((failed = nlp->adjoint(nlp->data, at->c, space.jc)))
        return failed;
    if (merit->projected)
        return projected_gradient(nlp, at, &space);
    if ((failed = nlp->hessian(nlp->data, at->gl, space.flat_x)))
        return failed;
    return nlp->jacobian(nlp->data, at->gl, space.flat_y);
}

int sv_merit_gradient(const sv_nlp *nlp, const struct sv_merit *merit, const struct sv_merit_point *at, double *work,
                      double *value, double *gradient)
{
    struct space space = divided(nlp, work);
    double parts[3];
    int failed = gradients(nlp, merit, at, work, parts);
    if (failed)
        return failed;
    *value = joined(merit, parts);
    if (!gradient)
        return 0;
    for (int64_t i = 0; i < nlp->n; i++)
        gradient[i] = at->gl[i] + merit->eta1 * space.jc[i] + merit->eta2 * space.flat_x[i];
    vector_combine(nlp->m, at->c, merit->eta2, space.flat_y, gradient + nlp->n);
    return 0;
}

/* grad M'step in the three parts. */
static void slopes_along(const sv_nlp *nlp, const struct sv_merit_point *at, const struct space *space, const double *step,
                         double *slopes)
{
    int64_t n = nlp->n, m = nlp->m;
    slopes[0] = vector_dot(n, at->gl, step) + vector_dot(m, at->c, step + n);
    slopes[1] = vector_dot(n, space->jc, step);
    slopes[2] = vector_dot(n, space->flat_x, step) + vector_dot(m, space->flat_y, step + n);
}

/* Penalties fall back when the residual has. */
static void relax(struct sv_merit *merit, double residual)
{
    if (residual > merit->residual / 10)
        return;
    merit->eta1 = fmax(ETA1, merit->eta1 / NU);
    merit->eta2 = fmin(ETA2, merit->eta2 * NU);
    merit->residual = residual;
}

/* Tightens the penalties until the slope is one of descent. Returns whether it is. */
static int descends(struct sv_merit *merit, const double *slopes, double squared)
{
    double eta1 = merit->eta1, eta2 = merit->eta2;
    int64_t updates = 0;
    while (!(slopes[0] + eta1 * slopes[1] + eta2 * slopes[2] <= -eta2 / 2 * squared)) {
        if (eta1 >= ETA1_MOST || eta2 <= ETA2_LEAST || isnan(slopes[0]))
            return 0;
        eta1 = fmin(ETA1_MOST, eta1 * NU * NU);
        eta2 = fmax(ETA2_LEAST, eta2 / NU);
        updates++;
    }
    if (updates) {
        merit->eta1 = eta1;
        merit->eta2 = eta2;
        merit->updates += updates;
        merit->residual = sqrt(squared);
    }
    return 1;
}

/* Newton's step. K z' = (0, -dc dy) has dx' and dy' of the order of dc, but for dy's part in the kernel of J', which it
 * gives whole. */
static int newton(const sv_nlp *nlp, const struct sv_merit_point *at, double dc, double rtol, struct space *space, double *step)
{
    int64_t n = nlp->n, m = nlp->m;
    for (int64_t i = 0; i < n; i++)
        space->rhs[i] = -at->gl[i];
    for (int64_t i = 0; i < m; i++)
        space->rhs[n + i] = -at->c[i];
    int failed = nlp->solve(nlp->data, space->rhs, rtol, step);
    if (failed || dc == 0)
        return failed;
    memset(space->rhs, 0, (size_t)n * sizeof(double));
    for (int64_t i = 0; i < m; i++)
        space->rhs[n + i] = -dc * step[n + i];
    failed = nlp->solve(nlp->data, space->rhs, rtol, space->correction);
    vector_combine(m, step + n, -1, space->correction + n, step + n);
    return failed;
}

int sv_merit_direction(const sv_nlp *nlp, struct sv_merit *merit, const struct sv_merit_point *at, double dc, double rtol,
                       int direct, double *work, double *step, struct sv_merit_outcome *out)
{
    struct space space = divided(nlp, work);
    double parts[3], slopes[3], squared = residual_squared(nlp, at);
    int failed = gradients(nlp, merit, at, work, parts);
    if (failed)
        return failed;
    relax(merit, sqrt(squared));
    for (;;) {
        if ((failed = newton(nlp, at, dc, rtol, &space, step)))
            return failed;
        slopes_along(nlp, at, &space, step, slopes);
        int last = direct || rtol <= FINEST;
        if (last || joined(merit, slopes) <= -merit->eta2 / 2 * squared)
            break;
        rtol = fmax(FINEST, rtol / 100);
    }
    int descent = descends(merit, slopes, squared);
    out->slope = joined(merit, slopes);
    return descent ? 0 : SV_MERIT_REFUSED;
}

/* The newest of the values that new ones are compared with is that of `at`. */
static void remember(struct sv_merit *merit, const double *parts, int replace)
{
    if (!replace || merit->kept == 0) {
        int64_t stay = merit->kept < merit->window - 1 ? merit->kept : merit->window - 1;
        memmove(merit->past + 3, merit->past, (size_t)(3 * stay) * sizeof(double));
        merit->kept = stay + 1;
    }
    memcpy(merit->past, parts, 3 * sizeof(double));
}

/* The largest of the values kept, at the penalties in force. */
static double reference(const struct sv_merit *merit)
{
    double largest = -INFINITY;
    for (int64_t k = 0; k < merit->kept; k++)
        largest = fmax(largest, joined(merit, merit->past + 3 * k));
    return largest;
}

/* Whether a trial, whose x and y are set, has M <= bound; fills it and its parts as far as that takes.
 * Returns 0 (yes), SV_FAILED (no), SV_STOP. *moved: J became that of the trial. */
static int acceptable(const sv_nlp *nlp, const double *target, const struct sv_merit *merit, double bound, double *t,
                      struct sv_merit_point *trial, double *parts, int *moved)
{
    int failed = values_at(nlp, target, trial);
    if (failed)
        return failed;
    first_parts(nlp, trial, parts);
    if (!(joined(merit, parts) <= bound)) /* what is still to come is not negative */
        return SV_FAILED;
    *moved = 1;
    if ((failed = slopes_at(nlp, trial)) || (failed = last_part(nlp, merit, trial, t, parts)))
        return failed;
    return joined(merit, parts) <= bound ? 0 : SV_FAILED;
}

static void go(const sv_nlp *nlp, const struct sv_merit_point *at, double t, const double *step, struct sv_merit_point *trial)
{
    vector_combine(nlp->n, at->x, t, step, trial->x);
    vector_combine(nlp->m, at->y, t, step + nlp->n, trial->y);
}

/* The step to c(x) + c(x + dx) = 0 in place of c(x): its end has a violation of third order. */
static int corrected(const sv_nlp *nlp, const struct sv_merit_point *at, struct space *space, int moved,
                     const struct sv_merit_point *trial)
{
    int failed;
    if (moved && (failed = nlp->slopes(nlp->data, at->x, at->g)))
        return failed;
    for (int64_t i = 0; i < nlp->n; i++)
        space->rhs[i] = -at->gl[i];
    for (int64_t i = 0; i < nlp->m; i++)
        space->rhs[nlp->n + i] = -at->c[i] - trial->c[i];
    return nlp->solve(nlp->data, space->rhs, FINEST, space->correction);
}

/* After the whole step was refused: *taken is set where its second-order correction is accepted. */
static int try_correction(const sv_nlp *nlp, const double *target, const struct sv_merit *merit,
                          const struct sv_merit_point *at, double bound, struct space *space, int moved,
                          struct sv_merit_point *next, double *parts)
{
    if (nlp->m == 0 || !isfinite(vector_largest(nlp->m, next->c)))
        return SV_FAILED;
    int failed = corrected(nlp, at, space, moved, next);
    if (failed)
        return failed;
    go(nlp, at, 1, space->correction, next);
    return acceptable(nlp, target, merit, bound, space->t, next, parts, &moved);
}

int sv_merit_search(const sv_nlp *nlp, const double *target, struct sv_merit *merit, const struct sv_merit_point *at,
                    const double *step, int correct, double *work, struct sv_merit_point *next, struct sv_merit_outcome *out)
{
    struct space space = divided(nlp, work);
    double parts[3];
    first_parts(nlp, at, parts);
    int failed = last_part(nlp, merit, at, space.t, parts);
    if (failed)
        return failed;
    remember(merit, parts, 1);
    double size = fmax(1, fmax(fabs(joined(merit, parts)), fabs(at->f)));
    double most = reference(merit) + 10 * DBL_EPSILON * size;
    out->corrected = 0;
    out->step = 1;
    for (out->trials = 1; out->trials <= HALVINGS; out->trials++, out->step /= 2) {
        int moved = 0;
        double bound = most + ARMIJO * out->step * out->slope;
        go(nlp, at, out->step, step, next);
        failed = acceptable(nlp, target, merit, bound, space.t, next, parts, &moved);
        if (failed == SV_FAILED && out->trials == 1 && correct) {
            failed = try_correction(nlp, target, merit, at, bound, &space, moved, next, parts);
            out->corrected = failed == 0;
        }
        if (failed == SV_STOP)
            return failed;
        if (!failed) {
            remember(merit, parts, 0);
            out->value = joined(merit, parts);
            return 0;
        }
    }
    return SV_MERIT_REFUSED;
}
