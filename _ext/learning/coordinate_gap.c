/* What one pass over the data tells of a fit: the objective, a lower bound of it, and coordinates that are zero.
 *
 * The dual of  min loss(X w) + penalty(w)  is  max -loss*(u) - penalty*(-X'u),  and any u gives a lower bound. Taken is a
 * multiple of the loss's derivative v at X w, scaled into where the penalty's conjugate is finite. The dual objective is
 * strongly concave: with curvatures of at most c s_i, the best u lies within sqrt(2 c gap) of this one in the norm
 * sum u_i^2 / s_i, and its product with a column within that times the column's norm: where that cannot reach l1_j, w_j is 0 at
 * the optimum (Ndiaye, Fercoq, Gramfort, Salmon, 2017, Gap Safe screening, arXiv 1611.05780). An intercept asks that u
 * sums to zero: v is brought there, and what that may change of the products with the columns is counted in full.
 *
 * Where coordinates have neither a penalty nor bounds no bound holds everywhere. Then it is one of all coefficients of up to
 * REACH times the size of those at hand, sum_j |x_j| |w_j|, or of that which the objective at zero asks for: by convexity
 * F(w) - F(w') <= g'(w - w') + penalty(w) - penalty(w'). Slopes that are no more than rounding of X w makes lead no further
 * than the size at hand.
 */
#include <math.h>
#include <string.h>

#include "columns.h"
#include "coordinate_descent.h"

/* Columns that a thread takes at once. */
enum { CHUNK = 256 };

/* What rounding may take off the bounds of screening. */
#define MARGIN 1e-9

/* How much larger than what is at hand coefficients may be; roundings of a slope. */
#define REACH 1e4
#define ROUNDINGS (8 * 2.220446049250313e-16)

static size_t width(const struct sv_fit *fit) { return fit->d + (fit->ones != 0); }

/* Products of v with columns. */
struct products {
    const struct sv_fit *fit;
    size_t count;
    const int32_t *list; /* NULL: the first `count` */
    const double *v;
    double *out;
};

static void some_products(void *context, size_t index)
{
    const struct products *p = context;
    const struct sv_fit *fit = p->fit;
    size_t from = index * CHUNK, count = p->count - from < CHUNK ? p->count - from : CHUNK;
    if (fit->dense) {
        size_t shift = p->list ? 0 : from * fit->stride;
        sv_columns_dots(fit->dense + shift, fit->n, fit->stride, count, p->list ? p->list + from : NULL, p->v,
                        p->out + from);
        return;
    }
    struct sv_compressed sparse = fit->sparse;
    sparse.starts += p->list ? 0 : from;
    sv_compressed_gather(&sparse, count, p->list ? p->list + from : NULL, p->v, p->out + from);
}

/* g = X'v in the features that are alive, 0 in the others. */
static void gradient(struct sv_fit *fit, const double *v, double total, const uint8_t *alive, double *g)
{
    size_t count = 0;
    double *some = fit->work;
    for (size_t j = 0; alive && j < fit->d; j++)
        if (alive[j])
            fit->places[count++] = (int32_t)j;
    int all = !alive || count == fit->d;
    struct products p = {fit, all ? fit->d : count, all ? NULL : fit->places, v, all ? g : some};
    sv_parallel_for(fit->threads, (p.count + CHUNK - 1) / CHUNK, some_products, &p);
    if (!all) {
        memset(g, 0, fit->d * sizeof *g);
        for (size_t k = 0; k < count; k++)
            g[fit->places[k]] = some[k];
    }
    if (fit->ones)
        g[fit->d] = total;
}

/* The same at w = 0, where v = -y. */
static void gradient_at_zero(const struct sv_fit *fit, double total, double *g)
{
    for (size_t j = 0; j < fit->d; j++)
        g[j] = -fit->with_targets[j];
    if (fit->ones)
        g[fit->d] = total;
}

/* z = X w. */
static void predictors(struct sv_fit *fit, const double *w, double *z)
{
    size_t count = 0;
    double *factor = fit->work;
    for (size_t j = 0; j < fit->d; j++)
        if (w[j] != 0) {
            fit->places[count] = (int32_t)j;
            factor[count++] = w[j];
        }
    if (fit->dense) {
        sv_columns_combine(fit->dense, fit->n, fit->stride, count, fit->places, factor, z);
    } else {
        memset(z, 0, fit->n * sizeof *z);
        sv_compressed_scatter(&fit->sparse, count, fit->places, factor, z);
    }
    for (size_t i = 0; fit->ones && i < fit->n; i++)
        z[i] += w[fit->d];
}

/* u, of sum zero where the conjugate is finite, near v: the terms of the heavier side scaled down; of squares, shifted;
 * Poisson's means scaled to the sum of the targets. */
static void balanced(const struct sv_loss *loss, const double *v, double *u)
{
    double up = 0, down = 0, weight = 0, mean = 0, target = 0;
    for (size_t i = 0; i < loss->n; i++) {
        double s = loss->s ? loss->s[i] : 1;
        *(v[i] > 0 ? &up : &down) += fabs(v[i]);
        weight += s;
        mean += v[i] + s * loss->y[i];
        target += s * loss->y[i];
    }
    double shift = (up - down) / weight, least = fmin(up, down), share = mean > 0 ? target / mean : 1;
    double above = up > 0 ? least / up : 1, below = down > 0 ? least / down : 1;
    for (size_t i = 0; i < loss->n; i++) {
        double s = loss->s ? loss->s[i] : 1;
        if (loss->kind == SV_LOSS_SQUARED)
            u[i] = v[i] - s * shift;
        else if (loss->kind == SV_LOSS_POISSON)
            u[i] = (v[i] + s * loss->y[i]) * share - s * loss->y[i];
        else
            u[i] = v[i] * (v[i] > 0 ? above : below);
    }
}

/* Where the products with the columns are g, but for an error of `slack` each: the most of -g in coordinate j. */
static double most_of(double g, double slack, double share) { return fabs(share) * (fabs(g) + slack); }

/* The largest t for which the conjugate at -t g (`way` 1) or t g (-1) is finite, g known to apart norms. */
static double limit_of(const struct sv_fit *fit, const double *g, double apart, int way, const uint8_t *alive)
{
    const struct sv_separable *p = &fit->penalty;
    double most = INFINITY;
    for (size_t j = 0; j < fit->d; j++) {
        if ((alive && !alive[j]) || p->l2[j] > 0)
            continue;
        double u = -way * g[j], slack = apart * fit->norms[j], excess = 0;
        if (isinf(p->high[j]))
            excess = fmax(excess, u + slack);
        if (isinf(p->low[j]))
            excess = fmax(excess, slack - u);
        if (excess > 0)
            most = fmin(most, p->l1[j] / excess);
    }
    return most;
}

/* The penalty's conjugate at -share g, g known to apart norms: no less. */
static double conjugate_within(const struct sv_fit *fit, const double *g, double apart, double share,
                               const uint8_t *alive)
{
    double up = 0, down = 0;
    for (size_t j = 0; j < fit->d; j++) {
        double u = -share * g[j], slack = fabs(share) * apart * fit->norms[j];
        if (alive && !alive[j])
            continue;
        double above = sv_separable_conjugate_of(&fit->penalty, j, u + slack);
        double below = sv_separable_conjugate_of(&fit->penalty, j, u - slack);
        *(u > 0 ? &up : &down) += fmax(above, below);
    }
    return up + down;
}

/* The loss's conjugate at share u. */
static double loss_conjugate(const struct sv_loss *loss, const double *u, double share, double square, double cross)
{
    if (sv_learning_loss_traits(loss->kind).in_parts)
        return share * (0.5 * share * square + cross);
    return sv_learning_conjugate(loss, u, share);
}

/* The dual bound, and which multiple of v it is of. */
static void bound_below(struct sv_fit *fit, const double *v, const double *g, const uint8_t *alive, double low,
                        double high, struct sv_fit_bounds *at)
{
    double *u = fit->work, square = at->sums.square, cross = at->sums.cross;
    if (fit->ones) {
        double apart = 0;
        balanced(&fit->loss, v, u);
        square = cross = 0;
        for (size_t i = 0; i < fit->n; i++) {
            square += u[i] * u[i] / (fit->loss.s ? fit->loss.s[i] : 1);
            cross += u[i] * fit->loss.y[i];
            apart += (u[i] - v[i]) * (u[i] - v[i]);
        }
        at->apart = sqrt(apart);
        low = -limit_of(fit, g, at->apart, -1, alive);
        high = limit_of(fit, g, at->apart, 1, alive);
    }
    /* Where the penalty's conjugate is 0 or infinite, the best multiple is that of the loss alone. */
    double best = fit->kind.is_gauge && fit->loss.kind == SV_LOSS_SQUARED && square > 0 ? -cross / square : 1;
    at->share = fmin(fmax(best, low), high);
    at->dual = -loss_conjugate(&fit->loss, fit->ones ? u : v, at->share, square, cross);
    if (fit->ones)
        at->dual -= conjugate_within(fit, g, at->apart, at->share, alive);
    else if (!fit->kind.is_gauge)
        at->dual -= sv_separable_conjugate(&fit->penalty, g, at->share);
}

/* How much lower the objective may be within reach. */
static double gap_within_reach(const struct sv_fit *fit, const double *w, const double *g)
{
    double size = 0, unit = sqrt(2 * fabs(fit->at_zero) * fit->heaviest);
    for (size_t j = 0; j < width(fit); j++)
        size += fit->norms[j] * fabs(w[j]);
    struct sv_separable_slopes at = sv_separable_slopes(&fit->penalty, fit->norms, w, g);
    double noise = ROUNDINGS * (fit->heaviest * size + unit), near = fmax(size, unit / fit->heaviest);
    if (!isfinite(noise)) /* nothing is known where squares overflow */
        return INFINITY;
    return at.sum + (at.steepest > noise ? REACH : 1) * near * at.steepest;
}

void sv_fit_bound(struct sv_fit *fit, const double *w, const uint8_t *alive, double *z, double *v, double *g,
                  struct sv_fit_bounds *bounds)
{
    struct sv_separable_measures penalty;
    predictors(fit, w, z);
    sv_learning_loss(&fit->loss, z, NULL, 0, NULL, v, NULL, &bounds->sums);
    if (fit->with_targets && isnan(fit->at_zero))
        gradient_at_zero(fit, bounds->sums.total, g);
    else
        gradient(fit, v, bounds->sums.total, alive, g);
    sv_separable_measure(&fit->penalty, w, g, &penalty);
    bounds->primal = bounds->sums.value + penalty.value;
    bounds->kkt = penalty.kkt;
    bounds->share = bounds->apart = 0;
    if (isnan(fit->at_zero)) /* the first pass, which is at zero */
        fit->at_zero = bounds->primal;
    if (fit->kind.has_dual) {
        bound_below(fit, v, g, alive, penalty.below, penalty.above, bounds);
        return;
    }
    bounds->dual = bounds->primal - gap_within_reach(fit, w, g);
    if (fit->loss.kind != SV_LOSS_POISSON) /* the others have no term below zero */
        bounds->dual = fmax(bounds->dual, 0);
}

double sv_fit_measure(const struct sv_fit *fit, double primal, double dual)
{
    if (fit->at_zero == 0)
        return primal <= 0 ? 0 : INFINITY;
    /* No gap is known to be smaller than the rounding of the objective. Poisson's may be far below zero: that is then
     * the unit. */
    double gap = fmax(primal - dual, 2.220446049250313e-16 * fabs(primal));
    return gap / fmax(fabs(fit->at_zero), -primal);
}

void sv_fit_screen(const struct sv_fit *fit, const double *w, const double *g, const struct sv_fit_bounds *bounds,
                   uint8_t *alive)
{
    if (isinf(fit->curvature) || !fit->kind.has_dual || !isfinite(bounds->dual))
        return;
    double radius = sqrt(2 * fit->curvature * fmax(bounds->primal - bounds->dual, 0) * fit->heaviest);
    for (size_t j = 0; j < fit->d; j++) {
        double most = most_of(g[j], bounds->apart * fit->norms[j], bounds->share) + radius * fit->norms[j];
        if (most < (1 - MARGIN) * fit->penalty.l1[j] && w[j] == 0) /* none where a norm overflows, and most is a NaN */
            alive[j] = 0;
    }
}

int sv_fit_norms(const struct sv_fit *fit, double *norms)
{
    int fits = SV_MIXED;
    const double *y = fit->with_targets ? fit->loss.y : NULL;
    if (fit->dense)
        sv_columns_squares_and_dots(fit->dense, fit->n, fit->stride, fit->d, y, norms, fit->with_targets);
    else
        fits = sv_compressed_squares_and_dots(&fit->sparse, fit->d, fit->n, y, norms, fit->with_targets);
    if (fit->ones)
        norms[fit->d] = (double)fit->n;
    for (size_t j = 0; j < width(fit); j++)
        norms[j] = sqrt(norms[j]);
    return fits;
}
