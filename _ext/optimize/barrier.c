/* The barrier problem of gala.h at a point: its function, its residuals, and how far steps may go.
 *
 * Bytes: each function reads the vectors of n + m numbers that it names once. Accuracy: plain sums; a slack is v - lo as
 * stored, and sv_gala_part_from_sides sees to it that none is 0.
 * Twin (phi): f - mu * (log(v - lo).sum() + log(up - v).sum()) over the finite sides.
 */
#include "gala_parts.h"

static const double one_sided = 1e-5;

static double largest(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

double sv_gala_violation(const struct gala *w, const double *v, const double *c)
{
    double sum = 0;
    for (int64_t j = 0; j < w->m; j++)
        if (!gala_free_row(w, j))
            sum += fabs(c[j] - v[w->n + j]);
    return sum;
}

double sv_gala_barrier(const struct gala *w, const double *v, double f, double mu)
{
    double logs = 0, sloped = 0;
    for (int64_t i = 0; i < w->N; i++) {
        if (gala_fixed(w, i))
            continue;
        int below = w->lo[i] > -INFINITY, above = w->up[i] < INFINITY;
        if (below)
            logs += log(v[i] - w->lo[i]);
        if (above)
            logs += log(w->up[i] - v[i]);
        if (below && !above)
            sloped += v[i] - w->lo[i];
        if (above && !below)
            sloped += w->up[i] - v[i];
    }
    return f - mu * logs + one_sided * mu * sloped;
}

double sv_gala_barrier_slope(const struct gala *w, int64_t i, double mu)
{
    double slope = 0;
    int below = w->lo[i] > -INFINITY, above = w->up[i] < INFINITY;
    if (below)
        slope -= mu / (w->v[i] - w->lo[i]);
    if (above)
        slope += mu / (w->up[i] - w->v[i]);
    if (below != above)
        slope += below ? one_sided * mu : -one_sided * mu;
    return slope;
}

double sv_gala_error(const struct gala *w, double mu)
{
    double dual = 0, primal = 0, products = 0, multipliers = 0, z_sum = 0;
    int64_t sides = 0;
    for (int64_t i = 0; i < w->N; i++) {
        if (gala_fixed(w, i))
            continue;
        double slope = i < w->n ? w->rx[i] : -w->y[i - w->n];
        if (i >= w->n && gala_free_row(w, i - w->n))
            continue;
        dual = largest(fabs(slope - w->zl[i] + w->zu[i]), dual);
        if (w->lo[i] > -INFINITY)
            products = largest(fabs((w->v[i] - w->lo[i]) * w->zl[i] - mu), products), z_sum += w->zl[i], sides++;
        if (w->up[i] < INFINITY)
            products = largest(fabs((w->up[i] - w->v[i]) * w->zu[i] - mu), products), z_sum += w->zu[i], sides++;
    }
    for (int64_t j = 0; j < w->m; j++) {
        multipliers += fabs(w->y[j]);
        if (!gala_free_row(w, j))
            primal = largest(fabs(w->c[j] - w->v[w->n + j]), primal);
    }
    double s_d = fmax(100, (multipliers + z_sum) / (double)(w->m + sides + (w->m + sides == 0))) / 100;
    double s_c = fmax(100, z_sum / (double)(sides + (sides == 0))) / 100;
    return largest(dual / s_d, largest(primal, products / s_c));
}

double sv_gala_complementarity_after(const struct gala *w, double primal, double dual)
{
    double sum = 0;
    int64_t sides = 0;
    for (int64_t i = 0; i < w->N; i++) {
        if (gala_fixed(w, i))
            continue;
        /* without a step d may hold anything: 0 times it is no 0 then */
        double v = primal > 0 ? w->v[i] + primal * w->d[i] : w->v[i];
        if (w->lo[i] > -INFINITY)
            sum += (v - w->lo[i]) * (dual > 0 ? w->zl[i] + dual * w->dzl[i] : w->zl[i]), sides++;
        if (w->up[i] < INFINITY)
            sum += (w->up[i] - v) * (dual > 0 ? w->zu[i] + dual * w->dzu[i] : w->zu[i]), sides++;
    }
    return sides ? sum / (double)sides : 0;
}

double sv_gala_average_complementarity(const struct gala *w)
{
    return sv_gala_complementarity_after(w, 0, 0);
}

double sv_gala_primal_step(const struct gala *w, const double *d, double tau)
{
    double step = 1;
    for (int64_t i = 0; i < w->N; i++) {
        if (d[i] < 0 && w->lo[i] > -INFINITY)
            step = fmin(step, -tau * (w->v[i] - w->lo[i]) / d[i]);
        if (d[i] > 0 && w->up[i] < INFINITY)
            step = fmin(step, tau * (w->up[i] - w->v[i]) / d[i]);
    }
    return step;
}

double sv_gala_dual_step(const struct gala *w, double tau)
{
    double step = 1;
    for (int64_t i = 0; i < w->N; i++) {
        if (w->dzl[i] < 0)
            step = fmin(step, -tau * w->zl[i] / w->dzl[i]);
        if (w->dzu[i] < 0)
            step = fmin(step, -tau * w->zu[i] / w->dzu[i]);
    }
    return step;
}

void sv_gala_part_from_sides(struct gala *w)
{
    double least = 2.3e-16 * fmin(1, w->s->mu);
    for (int64_t i = 0; i < w->N; i++) {
        if (gala_fixed(w, i))
            continue;
        if (w->v[i] - w->lo[i] < least)
            w->lo[i] = w->v[i] - 2e-12 * fmax(1, fabs(w->lo[i]));
        if (w->up[i] - w->v[i] < least)
            w->up[i] = w->v[i] + 2e-12 * fmax(1, fabs(w->up[i]));
    }
}

void sv_gala_clamp_multipliers(struct gala *w)
{
    const double far = 1e10;
    double mu = w->s->mu;
    for (int64_t i = 0; i < w->N; i++) {
        if (gala_fixed(w, i))
            continue;
        if (w->lo[i] > -INFINITY) {
            double central = mu / (w->v[i] - w->lo[i]);
            w->zl[i] = fmax(central / far, fmin(w->zl[i], central * far));
        }
        if (w->up[i] < INFINITY) {
            double central = mu / (w->up[i] - w->v[i]);
            w->zu[i] = fmax(central / far, fmin(w->zu[i], central * far));
        }
    }
}
