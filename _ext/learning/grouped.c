/* Some passes over each group's coordinates, 44 bytes and some twenty flops a coordinate: see grouped.h. In NumPy, for
 * group k without l1 terms and bounds:
 *     rest = norm[g[k]] - lam if (w[k] == 0).all() else norm(g[k] + lam w[k] / norm(w[k]));  limit = lam / norm(g[k])
 */
#include "grouped.h"

#include <math.h>

/* Newton steps for the scale at which a group's dual norm is met, of which a handful are taken. */
enum { SCALE_STEPS = 60 };

/* What is left of the pull `u` on a coordinate beyond its l1 term, towards where the bounds allow. */
static double beyond(const struct sv_grouped *p, size_t j, double u)
{
    double left = fabs(u) - p->l1[j];
    if (!(left > 0))
        return isnan(left) ? left : 0;
    return u > 0 ? (p->high[j] == 0 ? 0 : left) : (p->low[j] == 0 ? 0 : -left);
}

static double size_of(const struct sv_grouped *p, size_t k, const double *w)
{
    double square = 0;
    for (int32_t i = p->start[k]; i < p->start[k + 1]; i++)
        square += w[p->order[i]] * w[p->order[i]];
    return sqrt(square);
}

/* The largest violation in group k; *square: the sum of their squares. */
static double violation_of(const struct sv_grouped *p, size_t k, const double *w, const double *g, double size,
                           double *square)
{
    double largest = 0, share = 1, sum = 0;
    if (size == 0) { /* all of the pulls, less the norm that they have to overcome */
        double pulls = 0;
        for (int32_t i = p->start[k]; i < p->start[k + 1]; i++) {
            double pull = beyond(p, (size_t)p->order[i], -g[p->order[i]]);
            pulls += pull * pull;
        }
        share = pulls > 0 ? fmax(0, 1 - p->norm[k] / sqrt(pulls)) : isnan(pulls) ? pulls : 0;
    }
    double inward = size > 0 ? p->norm[k] / size : 0;
    for (int32_t i = p->start[k]; i < p->start[k + 1]; i++) {
        size_t j = (size_t)p->order[i];
        double slope = g[j] + inward * w[j];
        double rest = w[j] == 0 ? share * beyond(p, j, -slope) : slope + copysign(p->l1[j], w[j]);
        largest = fabs(rest) > largest || isnan(rest) ? fabs(rest) : largest;
        sum += rest * rest;
    }
    *square = sum;
    return largest;
}

static double l1_value(const struct sv_grouped *p, size_t k, const double *w)
{
    double sum = 0;
    for (int32_t i = p->start[k]; i < p->start[k + 1]; i++)
        sum += p->l1[p->order[i]] * fabs(w[p->order[i]]);
    return sum;
}

/* How large the conjugate's argument -g may be in coordinate j, where a bound does not allow the pull at all. */
static double reach(const struct sv_grouped *p, size_t j, double g, const double *slack)
{
    double size = g < 0 ? (p->high[j] > 0 ? -g : 0) : p->low[j] < 0 ? g : 0;
    return p->high[j] > 0 || p->low[j] < 0 ? size + (slack ? slack[j] : 0) : 0;
}

/* The largest t with |max(t reach - l1, 0)| <= norm in group k. The left side is convex in t: Newton's method comes down
 * to the root from above. */
static double limit_of(const struct sv_grouped *p, size_t k, const double *g, const double *slack)
{
    double square = 0, weights = 0;
    for (int32_t i = p->start[k]; i < p->start[k + 1]; i++) {
        double size = reach(p, (size_t)p->order[i], g[p->order[i]], slack), l1 = p->l1[p->order[i]];
        square += size * size;
        weights += l1 * l1;
    }
    if (!(square > 0))
        return isnan(square) ? square : INFINITY;
    double t = (p->norm[k] + sqrt(weights)) / sqrt(square);
    for (int step = 0; step < SCALE_STEPS && weights > 0; step++) {
        double length = 0, slope = 0;
        for (int32_t i = p->start[k]; i < p->start[k + 1]; i++) {
            double size = reach(p, (size_t)p->order[i], g[p->order[i]], slack);
            double left = fmax(t * size - p->l1[p->order[i]], 0);
            length += left * left;
            slope += left * size;
        }
        length = sqrt(length);
        double down = slope > 0 ? fmax((length - p->norm[k]) * length / slope, 0) : 0;
        t -= down;
        if (down <= 1e-15 * t)
            break;
    }
    return t;
}

double sv_grouped_value(const struct sv_grouped *p, const double *w)
{
    double sum = 0;
    for (size_t k = 0; k < p->count; k++)
        sum += p->norm[k] * size_of(p, k, w) + l1_value(p, k, w);
    return sum;
}

void sv_grouped_measure(const struct sv_grouped *p, const double *w, const double *g,
                        struct sv_grouped_measures *measures)
{
    double value = 0, kkt = 0, above = INFINITY, square;
    for (size_t k = 0; k < p->count; k++) {
        double size = size_of(p, k, w), violation = violation_of(p, k, w, g, size, &square);
        kkt = violation > kkt || isnan(violation) ? violation : kkt;
        value += p->norm[k] * size + (size > 0 ? l1_value(p, k, w) : 0);
        above = fmin(above, limit_of(p, k, g, NULL));
    }
    *measures = (struct sv_grouped_measures){value, kkt, above};
}

void sv_grouped_violations(const struct sv_grouped *p, const double *w, const double *g, double *violation)
{
    for (size_t k = 0; k < p->count; k++) {
        violation_of(p, k, w, g, size_of(p, k, w), violation + k);
        violation[k] = sqrt(violation[k]);
    }
}

double sv_grouped_limit(const struct sv_grouped *p, const double *g, const double *slack)
{
    double most = INFINITY;
    for (size_t k = 0; k < p->count; k++)
        most = fmin(most, limit_of(p, k, g, slack));
    return most;
}
