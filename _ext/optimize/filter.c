/* The line search of gala.h: a step is taken where it brings violation or barrier function down, by a filter of the pairs that
 * may not come back.
 *
 * Costs one values() a trial. Constants and rules are those of Waechter and Biegler, section 2.3 to 2.5. Comparisons leave a
 * slack of ten roundings of the value.
 */
#include <string.h>

#include "gala_parts.h"
#include "vectors.h"

static const double margin_theta = 1e-5, margin_phi = 1e-8, armijo = 1e-8, theta_power = 1.1, phi_power = 2.3;
enum { HALVINGS = 50, CORRECTIONS = 4 };

/* a <= b up to rounding of numbers like `like`. */
static int at_most(double a, double b, double like)
{
    return a - b <= 10 * 2.2e-16 * fabs(like);
}

void sv_gala_filter_clear(struct gala *w)
{
    w->s->filtered = 0;
}

void sv_gala_filter_add(struct gala *w, double theta, double phi)
{
    theta *= 1 - margin_theta;
    phi -= margin_phi * theta;
    int64_t count = 0;
    for (int64_t k = 0; k < w->s->filtered; k++) /* without those that the new pair dominates */
        if (w->filter[2 * k] < theta || w->filter[2 * k + 1] < phi) {
            w->filter[2 * count] = w->filter[2 * k];
            w->filter[2 * count + 1] = w->filter[2 * k + 1];
            count++;
        }
    if (count == SV_FILTER_CAPACITY) { /* the oldest goes */
        memmove(w->filter, w->filter + 2, 2 * (size_t)(count - 1) * sizeof *w->filter);
        count--;
    }
    w->filter[2 * count] = theta;
    w->filter[2 * count + 1] = phi;
    w->s->filtered = count + 1;
}

int sv_gala_filter_accepts(const struct gala *w, double theta, double phi)
{
    if (!(theta <= w->s->theta_max))
        return 0;
    for (int64_t k = 0; k < w->s->filtered; k++)
        if (!at_most(theta, w->filter[2 * k], w->filter[2 * k]) && !at_most(phi, w->filter[2 * k + 1], w->filter[2 * k + 1]))
            return 0;
    return 1;
}

/* What a search compares with: the current pair, and the barrier function's slope along d. */
struct current {
    double theta, phi, slope;
};

static int switches(const struct current *at, double step)
{
    return at->slope < 0 && step * pow(-at->slope, phi_power) > pow(at->theta, theta_power);
}

static int accepts(const struct gala *w, const struct current *at, double step, double theta, double phi)
{
    if (!isfinite(theta) || !isfinite(phi))
        return 0;
    if (phi > at->phi && log10(phi - at->phi) > 5 + fmax(1, log10(fmax(fabs(at->phi), 1e-300))))
        return 0;
    int enough = switches(at, step) && at->theta <= w->s->theta_min
                     ? at_most(phi - at->phi, armijo * step * at->slope, at->phi)
                     : at_most(theta, (1 - margin_theta) * at->theta, at->theta) ||
                           at_most(phi - at->phi, -margin_phi * at->theta, at->phi);
    return enough && sv_gala_filter_accepts(w, theta, phi);
}

/* Values at v + step d. Slacks of rows without sides follow. */
static int try(struct gala *w, double step, double *f, double *theta, double *phi)
{
    for (int64_t i = 0; i < w->N; i++)
        w->tv[i] = w->v[i] + step * w->d[i];
    int code = w->nlp->values(w->nlp->data, w->tv, f, w->tc);
    if (code)
        return code;
    *theta = sv_gala_violation(w, w->tv, w->tc);
    *phi = isfinite(*f) ? sv_gala_barrier(w, w->tv, *f, w->s->mu) : NAN;
    return 0;
}

/* The second-order corrections of a step whose trial lies in tv, tc: d and *step become those of one that is accepted. */
static int correct(struct gala *w, const struct current *at, double tau, double *step, double *f, double *theta, double *phi,
                   int *accepted)
{
    double last = *theta, full = *step;
    memcpy(w->kept_d, w->d, (size_t)w->N * sizeof *w->d);
    memcpy(w->kept_dy, w->dy, (size_t)w->m * sizeof *w->dy);
    double scaled = full;
    *accepted = 0;
    for (int k = 0; k < CORRECTIONS && !*accepted; k++) {
        for (int64_t j = 0; j < w->m; j++)
            w->rc[j] = gala_free_row(w, j) ? 0 : scaled * w->rc[j] + w->tc[j] - w->tv[w->n + j];
        int code = sv_gala_solve(w, w->s->mu);
        if (code == SV_STOP)
            return code;
        if (code)
            break;
        scaled = sv_gala_primal_step(w, w->d, tau);
        if ((code = try(w, scaled, f, theta, phi)))
            return code;
        *accepted = accepts(w, at, full, *theta, *phi);
        if (!(*theta <= 0.99 * last))
            break;
        last = *theta;
    }
    if (*accepted) {
        *step = scaled;
        return 0;
    }
    memcpy(w->d, w->kept_d, (size_t)w->N * sizeof *w->d);
    memcpy(w->dy, w->kept_dy, (size_t)w->m * sizeof *w->dy);
    for (int64_t j = 0; j < w->m; j++)
        w->rc[j] = gala_free_row(w, j) ? 0 : w->c[j] - w->v[w->n + j];
    return 0;
}

/* Below this part of d restoration is the better way. */
static double least_step(const struct gala *w, const struct current *at)
{
    double least = margin_theta;
    if (at->slope < 0) {
        least = fmin(least, margin_phi * at->theta / -at->slope);
        if (at->theta <= w->s->theta_min)
            least = fmin(least, pow(at->theta, theta_power) / pow(-at->slope, phi_power));
    }
    return 0.05 * least;
}

int sv_gala_move(struct gala *w, const double *v, const double *c, double f)
{
    memmove(w->v, v, (size_t)w->N * sizeof *w->v);
    memmove(w->c, c, (size_t)w->m * sizeof *w->c);
    w->s->f = f;
    for (int64_t j = 0; j < w->m; j++)
        if (gala_free_row(w, j))
            w->v[w->n + j] = w->c[j];
    int code = w->nlp->slopes(w->nlp->data, w->v, w->g);
    if (code == 0)
        code = w->nlp->adjoint(w->nlp->data, w->y, w->rx);
    for (int64_t i = 0; i < w->n && code == 0; i++)
        w->rx[i] += w->g[i];
    return code;
}

int sv_gala_trial_slopes(struct gala *w, int *finite)
{
    int code = w->nlp->slopes(w->nlp->data, w->tv, w->point_g);
    if (code == 0)
        code = w->nlp->adjoint(w->nlp->data, w->y, w->point_x); /* for what is not finite in J: 0 times NaN is NaN */
    *finite = code == 0 && isfinite(vector_largest(w->n, w->point_g)) && isfinite(vector_largest(w->n, w->point_x));
    return code || *finite ? code : w->nlp->slopes(w->nlp->data, w->v, w->point_g);
}

int sv_gala_search(struct gala *w, double tau)
{
    struct current at = {sv_gala_violation(w, w->v, w->c), sv_gala_barrier(w, w->v, w->s->f, w->s->mu), 0};
    double mu = w->s->mu, size = 0;
    for (int64_t i = 0; i < w->N; i++) {
        at.slope += (sv_gala_barrier_slope(w, i, mu) + (i < w->n ? w->g[i] : 0)) * w->d[i];
        size = fmax(size, fabs(w->d[i]) / (1 + fabs(w->v[i])));
    }
    double first = sv_gala_primal_step(w, w->d, tau), step = first, f, theta, phi;
    double dual = sv_gala_dual_step(w, tau), least = least_step(w, &at);
    int tiny = size < 10 * 2.2e-16, accepted = 0, finite = 0;
    w->s->tiny = tiny ? w->s->tiny + 1 : 0;
    for (int k = 0; k < HALVINGS && !accepted; k++, step /= 2) {
        int code = try(w, step, &f, &theta, &phi);
        if (code)
            return code;
        int usable = isfinite(theta) && isfinite(phi);
        accepted = tiny ? usable : accepts(w, &at, step, theta, phi);
        if (!accepted && k == 0 && usable && theta >= at.theta && w->m) {
            if ((code = correct(w, &at, tau, &step, &f, &theta, &phi, &accepted)))
                return code;
            if (accepted)
                first = step;
        }
        if (accepted && (code = sv_gala_trial_slopes(w, &accepted)))
            return code;
        if (accepted)
            break;
        finite |= usable;
        if (finite && step < least)
            break;
    }
    if (!accepted)
        return GALA_REFUSED;
    if (!tiny && !(switches(&at, step) && at_most(phi - at.phi, armijo * step * at.slope, at.phi)))
        sv_gala_filter_add(w, at.theta, at.phi);
    for (int64_t j = 0; j < w->m; j++)
        w->y[j] += step * w->dy[j];
    for (int64_t i = 0; i < w->N; i++) {
        w->zl[i] += dual * w->dzl[i];
        w->zu[i] += dual * w->dzu[i];
    }
    return sv_gala_move(w, w->tv, w->tc, f);
}
