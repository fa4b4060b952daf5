/* Newton's step on the conditions of the barrier problem of gala.h: the shifted system, and directions from it.
 *
 * Flops: one factorisation a shift that is tried, one solve a direction, and O(n + m). The shifts are those of Waechter and
 * Biegler's algorithm IC. Twin: np.linalg.solve on the system in gala.h's header.
 */
#include <string.h>

#include "gala_parts.h"

int sv_gala_curvature(struct gala *w)
{
    int code = w->nlp->curvature(w->nlp->data, w->v, 1, w->y);
    w->s->blind = code == SV_FAILED;
    return code;
}

int sv_gala_factor_shifted(struct gala *w, double dw, double dc, int *right, int *singular)
{
    for (int64_t i = 0; i < w->n; i++) {
        double sigma = 0;
        if (w->lo[i] > -INFINITY)
            sigma += w->zl[i] / (w->v[i] - w->lo[i]);
        if (w->up[i] < INFINITY)
            sigma += w->zu[i] / (w->up[i] - w->v[i]);
        w->diagonal[i] = gala_fixed(w, i) ? 1e20 : sigma + dw;
    }
    for (int64_t j = 0; j < w->m; j++) {
        int64_t i = w->n + j;
        w->S[j] = dw;
        if (w->lo[i] > -INFINITY)
            w->S[j] += w->zl[i] / (w->v[i] - w->lo[i]);
        if (w->up[i] < INFINITY)
            w->S[j] += w->zu[i] / (w->up[i] - w->v[i]);
        w->dc[j] = gala_fixed(w, i) ? dc : gala_free_row(w, j) ? 1e20 : dc + fmin(1 / w->S[j], 1e20);
    }
    int64_t negative = 0, zero = 0;
    int code = w->nlp->factor(w->nlp->data, 1, w->diagonal, w->dc, &negative, &zero);
    w->uncounted = code == 0 && negative < 0;
    *singular = code == SV_FAILED || zero > 0 || (negative >= 0 && negative < w->m);
    *right = code == 0 && zero == 0 && (negative < 0 || negative == w->m);
    return code == SV_STOP ? SV_STOP : 0;
}

int sv_gala_factor(struct gala *w)
{
    double dw = 0, dc = 0, *last = &w->s->shift;
    int right, singular;
    if (sv_gala_factor_shifted(w, 0, 0, &right, &singular))
        return SV_STOP;
    if (right)
        return 0;
    if (singular && w->m) {
        dc = 1e-8 * pow(w->s->mu, 0.25);
        if (sv_gala_factor_shifted(w, 0, dc, &right, &singular))
            return SV_STOP;
        if (right)
            return 0;
    }
    int first = *last == 0;
    for (dw = first ? 1e-4 : fmax(1e-20, *last / 3); dw <= w->s->options.max_shift; dw *= first ? 100 : 8) {
        if (sv_gala_factor_shifted(w, dw, dc, &right, &singular))
            return SV_STOP;
        if (right) {
            *last = dw;
            return 0;
        }
        if (singular && dc == 0 && w->m)
            dc = 1e-8 * pow(w->s->mu, 0.25);
    }
    return SV_FAILED;
}

static int solved(struct gala *w, double mu)
{
    int64_t n = w->n;
    for (int64_t i = 0; i < n; i++)
        w->rhs[i] = gala_fixed(w, i) ? 0 : -(w->rx[i] + sv_gala_barrier_slope(w, i, mu));
    for (int64_t j = 0; j < w->m; j++) {
        if (gala_fixed(w, n + j))
            w->rhs[n + j] = -w->rc[j];
        else if (gala_free_row(w, j))
            w->rhs[n + j] = 0;
        else
            w->rhs[n + j] = -w->rc[j] - (sv_gala_barrier_slope(w, n + j, mu) - w->y[j]) * fmin(1 / w->S[j], 1e20);
    }
    int code = w->nlp->solve(w->nlp->data, w->rhs, 1e-10, w->sol);
    if (code)
        return code;
    for (int64_t i = 0; i < n + w->m; i++)
        if (!isfinite(w->sol[i]))
            return SV_FAILED;
    memcpy(w->d, w->sol, (size_t)n * sizeof *w->d);
    memcpy(w->dy, w->sol + n, (size_t)w->m * sizeof *w->dy);
    for (int64_t i = 0; i < n; i++)
        if (gala_fixed(w, i))
            w->d[i] = 0;
    for (int64_t j = 0; j < w->m; j++) {
        int64_t i = n + j;
        if (gala_free_row(w, j))
            w->dy[j] = 0;
        w->d[i] = gala_fixed(w, i) || gala_free_row(w, j)
                      ? 0
                      : (w->dy[j] - sv_gala_barrier_slope(w, i, mu) + w->y[j]) * fmin(1 / w->S[j], 1e20);
    }
    return 0;
}

int sv_gala_solve(struct gala *w, double mu)
{
    int code = solved(w, mu);
    /* Without a count of eigenvalues negative curvature shows here. */
    double *last = &w->s->shift, dw = fmax(1e-4, *last / 3), dc = w->m ? 1e-8 * pow(w->s->mu, 0.25) : 0;
    for (; code == SV_FAILED && w->uncounted && dw <= w->s->options.max_shift; dw *= 8) {
        int right, singular;
        if (sv_gala_factor_shifted(w, dw, dc, &right, &singular))
            return SV_STOP;
        code = right ? solved(w, mu) : SV_FAILED;
        *last = dw;
    }
    return code;
}

void sv_gala_dual_directions(struct gala *w, double mu)
{
    for (int64_t i = 0; i < w->N; i++) {
        w->dzl[i] = w->dzu[i] = 0;
        if (gala_fixed(w, i))
            continue;
        if (w->lo[i] > -INFINITY) {
            double slack = w->v[i] - w->lo[i];
            w->dzl[i] = (mu - w->zl[i] * w->d[i]) / slack - w->zl[i];
        }
        if (w->up[i] < INFINITY) {
            double slack = w->up[i] - w->v[i];
            w->dzu[i] = (mu + w->zu[i] * w->d[i]) / slack - w->zu[i];
        }
    }
}

int sv_gala_multipliers(struct gala *w)
{
    int64_t n = w->n, negative, zero;
    for (int64_t i = 0; i < n; i++) {
        w->diagonal[i] = gala_fixed(w, i) ? 1e20 : 1;
        w->rhs[i] = gala_fixed(w, i) ? 0 : -(w->g[i] - w->zl[i] + w->zu[i]);
    }
    for (int64_t j = 0; j < w->m; j++) {
        int equality = gala_fixed(w, n + j);
        w->dc[j] = equality ? 0 : gala_free_row(w, j) ? 1e20 : 1;
        w->rhs[n + j] = equality || gala_free_row(w, j) ? 0 : w->zl[n + j] - w->zu[n + j];
        w->y[j] = 0;
    }
    if (w->m == 0 || (w->nlp->linear && w->s->exact))
        return 0; /* Newton's step is the same for all multipliers */
    int code = w->nlp->factor(w->nlp->data, 0, w->diagonal, w->dc, &negative, &zero);
    if (code == 0 && zero == 0)
        code = w->nlp->solve(w->nlp->data, w->rhs, 1e-6, w->sol); /* an estimate */
    else if (code == 0)
        code = SV_FAILED;
    double large = 0;
    for (int64_t j = 0; j < w->m && code == 0; j++)
        large = fmax(large, isfinite(w->sol[n + j]) ? fabs(w->sol[n + j]) : INFINITY);
    if (code == 0 && large <= 1e3)
        for (int64_t j = 0; j < w->m; j++)
            w->y[j] = gala_free_row(w, j) ? 0 : w->sol[n + j];
    return code == SV_STOP ? SV_STOP : 0;
}
