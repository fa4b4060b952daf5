/* Restoration of feasibility: see restoration.h. In NumPy, for equalities without bounds:
 *     while abs(J.T @ v).max() > tol * norm(v):
 *         d = solve(J.T @ J + S + lam * eye(n), -J.T @ v)
 */
#include "restoration.h"

#include <float.h>
#include <string.h>

#include "vectors.h"

static const double AWAY = 1e20; /* on the diagonal of K: fixes a variable, frees a row */
static const double LEAST_SHIFT = 1e-14, MOST_SHIFT = 1e14;
enum { ESCAPES = 3 };

struct space {
    const sv_nlp *nlp;
    const struct sv_sides *sides;
    int curved, escapes;
    double *x, *trial, *gradient, *held; /* n; held: 1e20 for the variables at a bound that the descent leaves, else 0 */
    double *v, *c, *freed;               /* m; freed: 1, or 1e20 for the rows that are not violated */
    double *rhs, *step, *shift;          /* n + m, n + m, n */
    double value;                        /* |v|^2 / 2 */
};

int64_t sv_restoration_work(int64_t n, int64_t m)
{
    return 4 * n + 3 * m + 2 * (n + m) + n;
}

static struct space divided(const sv_nlp *nlp, const struct sv_sides *sides, int curved, double *x, double *work)
{
    int64_t n = nlp->n, m = nlp->m;
    struct space s = {.nlp = nlp, .sides = sides, .curved = curved, .x = x};
    s.trial = work;
    s.gradient = s.trial + n;
    s.held = s.gradient + n;
    s.shift = s.held + n;
    s.v = s.shift + n;
    s.c = s.v + m;
    s.freed = s.c + m;
    s.rhs = s.freed + m;
    s.step = s.rhs + n + m;
    return s;
}

static double clipped(const struct space *s, int64_t j, double value)
{
    return fmin(fmax(value, s->sides->lower[j]), s->sides->upper[j]);
}

/* v and |v|^2 / 2 at a point; infinite where c is not finite. */
static int violations(struct space *s, const double *x, double *v, double *value)
{
    int failed = s->nlp->values(s->nlp->data, x, NULL, s->c);
    for (int64_t i = 0; i < s->nlp->m; i++)
        v[i] = s->c[i] - fmin(fmax(s->c[i], s->sides->row_lower[i]), s->sides->row_upper[i]);
    *value = vector_dot(s->nlp->m, v, v) / 2;
    if (!isfinite(*value))
        *value = INFINITY;
    return failed;
}

/* The gradient J'v, and which variables stay at their bounds. Its largest entry among the others, over |v|. */
static int slopes(struct space *s, double *stationarity)
{
    int64_t n = s->nlp->n;
    int failed = s->nlp->slopes(s->nlp->data, s->x, NULL);
    if (failed || (failed = s->nlp->adjoint(s->nlp->data, s->v, s->gradient)))
        return failed;
    double largest = 0;
    for (int64_t j = 0; j < n; j++) {
        int leaves = clipped(s, j, s->x[j] - copysign(fmax(1, fabs(s->x[j])) * DBL_EPSILON, s->gradient[j])) == s->x[j];
        s->held[j] = leaves ? AWAY : 0;
        if (!leaves)
            largest = fmax(largest, fabs(s->gradient[j]));
    }
    for (int64_t i = 0; i < s->nlp->m; i++)
        s->freed[i] = s->v[i] == 0 ? AWAY : 1;
    *stationarity = s->value > 0 ? largest / sqrt(2 * s->value) : 0;
    return 0;
}

/* Factors the model's matrix with the shift; without S where it is not definite. SV_FAILED: nor then. */
static int factored(struct space *s, int with_hessian, double shift)
{
    int64_t n = s->nlp->n, m = s->nlp->m, negative = 0, zero = 0;
    for (int64_t j = 0; j < n; j++)
        s->shift[j] = s->held[j] + shift;
    int failed = s->nlp->factor(s->nlp->data, with_hessian, s->shift, s->freed, &negative, &zero);
    return failed || negative == -1 || (negative == m && zero == 0) ? failed : SV_FAILED;
}

/* The step of the model with a shift. */
static int modelled(struct space *s, double shift)
{
    int64_t n = s->nlp->n, m = s->nlp->m;
    int failed = s->curved ? factored(s, 1, shift) : SV_FAILED;
    if (failed == SV_FAILED)
        failed = factored(s, 0, shift);
    if (failed)
        return failed;
    memset(s->rhs, 0, (size_t)n * sizeof(double));
    for (int64_t i = 0; i < m; i++)
        s->rhs[n + i] = -s->v[i];
    return s->nlp->solve(s->nlp->data, s->rhs, 1e-10, s->step);
}

/* Tries x + d within the bounds. *gain: what it brings, over what the model promised; v of the trial is left in rhs. */
static int tried(struct space *s, double shift, double *value, double *gain)
{
    double slope = 0, length = 0;
    for (int64_t j = 0; j < s->nlp->n; j++) {
        s->trial[j] = s->held[j] > 0 ? s->x[j] : clipped(s, j, s->x[j] + s->step[j]);
        double d = s->trial[j] - s->x[j];
        slope += s->gradient[j] * d;
        length += d * d;
    }
    int failed = violations(s, s->trial, s->rhs, value);
    double promised = (shift * length - slope) / 2;
    *gain = slope < 0 && promised > 0 ? (s->value - *value) / promised : -1;
    /* Where rounding hides what such a step brings, the model is taken at its word. */
    double rounding = 10 * DBL_EPSILON * s->value;
    if (slope < 0 && promised <= rounding && *value <= s->value + rounding)
        *gain = 0.5;
    return failed;
}

/* From a stationary point that may be none of the minimisers: a small step, the same every time. With curvature, only where
 * that has a direction down; without, once. */
static int escaped(struct space *s)
{
    if (s->escapes++ >= (s->curved ? ESCAPES : 1))
        return SV_FAILED;
    int failed = s->curved ? factored(s, 1, 1e-6) : SV_FAILED;
    if (failed != SV_FAILED)
        return failed ? failed : SV_FAILED;
    for (int64_t j = 0; j < s->nlp->n; j++)
        s->x[j] = clipped(s, j, s->x[j] + (j % 2 ? -1e-2 : 1e-2) * fmax(1, fabs(s->x[j])));
    return violations(s, s->x, s->v, &s->value);
}

/* One step, with the shift raised until it brings something. */
static int step(struct space *s, double *shift)
{
    for (; *shift < MOST_SHIFT; *shift = fmax(*shift, 1e-8) * 8) {
        double value = INFINITY, gain = -1;
        int failed = modelled(s, *shift);
        if (!failed)
            failed = tried(s, *shift, &value, &gain);
        if (failed == SV_STOP)
            return failed;
        if (failed || gain < 1e-4)
            continue;
        vector_copy(s->nlp->n, s->trial, s->x);
        vector_copy(s->nlp->m, s->rhs, s->v);
        s->value = value;
        if (gain > 0.75)
            *shift = fmax(LEAST_SHIFT, *shift / 16);
        return 0;
    }
    return SV_FAILED;
}

int sv_restore(const sv_nlp *nlp, const struct sv_sides *sides, int curved, double target, double tol, int64_t max_steps,
               double *x, double *work, struct sv_restoration *out)
{
    struct space s = divided(nlp, sides, curved, x, work);
    for (int64_t j = 0; j < nlp->n; j++)
        x[j] = clipped(&s, j, x[j]);
    int failed = violations(&s, x, s.v, &s.value);
    double shift = 1e-4;
    for (out->steps = 0; !failed; out->steps++) {
        out->violation = vector_largest(nlp->m, s.v);
        if (out->violation <= target)
            return SV_RESTORED;
        if (!isfinite(s.value))
            return SV_RESTORATION_STUCK;
        if ((failed = slopes(&s, &out->stationarity)))
            break;
        failed = curved ? nlp->curvature(nlp->data, x, 0, s.v) : 0;
        if (failed == SV_STOP)
            break;
        s.curved = curved && !failed; /* without where it is not finite */
        failed = 0;
        if (out->stationarity <= tol) {
            failed = escaped(&s);
            if (failed == SV_FAILED)
                return SV_RESTORATION_INFEASIBLE;
        } else if (out->steps == max_steps || (failed = step(&s, &shift)) == SV_FAILED) {
            return SV_RESTORATION_STUCK;
        }
    }
    return failed;
}
