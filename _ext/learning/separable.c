/* One pass over the coordinates each, 48 bytes and some ten flops a coordinate: see separable.h. In NumPy, for l1:
 *     kkt = max(where(w == 0, abs(g) - l1, abs(g + l1 * sign(w))));  above = min(l1 / abs(g))
 */
#include "separable.h"

#include <math.h>

static double violation_of(const struct sv_separable *p, const double *w, const double *g, size_t j)
{
    if (w[j] == 0 && fabs(g[j]) <= p->l1[j]) /* most of them */
        return 0;
    double slope = g[j] + p->l2[j] * w[j], l1 = p->l1[j];
    if (isnan(slope))
        return slope;
    double right = w[j] < 0 ? l1 - slope : -slope - l1, left = w[j] > 0 ? l1 + slope : slope - l1, most = 0;
    if (w[j] < p->high[j] && right > most)
        most = right;
    if (w[j] > p->low[j] && left > most)
        most = left;
    return most;
}

/* The largest t >= 0 for which the conjugate at t u is finite in coordinate j. */
static double limit_of(const struct sv_separable *p, size_t j, double u)
{
    int open = p->l2[j] == 0 && (u > 0 ? isinf(p->high[j]) : isinf(p->low[j]));
    return open && u != 0 ? p->l1[j] / fabs(u) : INFINITY;
}

static int is_cone(double end) { return end == 0 || isinf(end); }

struct sv_separable_kind sv_separable_kind(const struct sv_separable *p)
{
    struct sv_separable_kind kind = {0, 0, 1, 1};
    for (size_t j = 0; j < p->d; j++) {
        kind.largest_l1 = fmax(kind.largest_l1, p->l1[j]);
        kind.has_l2 |= p->l2[j] != 0;
        kind.is_gauge &= is_cone(p->low[j]) && is_cone(p->high[j]);
        kind.has_dual &= p->l1[j] > 0 || p->l2[j] > 0 || (isfinite(p->low[j]) && isfinite(p->high[j]));
    }
    kind.is_gauge &= !kind.has_l2;
    return kind;
}

void sv_separable_measure(const struct sv_separable *p, const double *w, const double *g,
                          struct sv_separable_measures *measures)
{
    double sum = 0, kkt = 0, below = INFINITY, above = INFINITY;
    for (size_t j = 0; j < p->d; j++) {
        double violation = violation_of(p, w, g, j), size = fabs(g[j]);
        if (w[j] == 0 && !(violation > 0 || isnan(violation)) && !(size * above > p->l1[j] || size * below > p->l1[j]))
            continue; /* most of them; a limit that is no less needs no division */
        kkt = violation > kkt || isnan(violation) ? violation : kkt;
        if (w[j] != 0)
            sum += p->l1[j] * fabs(w[j]) + 0.5 * p->l2[j] * w[j] * w[j];
        above = fmin(above, limit_of(p, j, -g[j]));
        below = fmin(below, limit_of(p, j, g[j]));
    }
    *measures = (struct sv_separable_measures){sum, kkt, -below, above};
}

void sv_separable_violations(const struct sv_separable *p, const double *w, const double *g, double *violation)
{
    for (size_t j = 0; j < p->d; j++)
        violation[j] = violation_of(p, w, g, j);
}

double sv_separable_conjugate_of(const struct sv_separable *p, size_t j, double u)
{
    double beyond = fabs(u) - p->l1[j], end = u > 0 ? p->high[j] : -p->low[j];
    if (!(beyond > 0))
        return 0;
    double best = p->l2[j] > 0 ? fmin(beyond / p->l2[j], end) : end;
    if (isinf(best)) /* what is left there is the rounding of the limits */
        return 0;
    return beyond * best - 0.5 * p->l2[j] * best * best;
}

double sv_separable_conjugate(const struct sv_separable *p, const double *g, double share)
{
    double sum = 0;
    for (size_t j = 0; j < p->d; j++)
        sum += sv_separable_conjugate_of(p, j, -share * g[j]);
    return sum;
}

struct sv_separable_slopes sv_separable_slopes(const struct sv_separable *p, const double *norms, const double *w,
                                               const double *g)
{
    struct sv_separable_slopes at = {0, 0};
    for (size_t j = 0; j < p->d; j++) {
        double u = -g[j], excess = fabs(u) - p->l1[j];
        at.sum += w[j] * (copysign(p->l1[j], w[j]) - u + 0.5 * p->l2[j] * w[j]);
        if (!isfinite(limit_of(p, j, u)))
            at.sum += sv_separable_conjugate_of(p, j, u);
        else if (excess > 0)
            at.steepest = fmax(at.steepest, excess / norms[j]);
    }
    at.sum = isnan(at.sum) ? INFINITY : fmax(at.sum, 0);
    return at;
}
