/* The state of gala.h: its layout, its start, the answer that it holds. */
#include <string.h>

#include "gala_parts.h"
#include "restoration.h"
#include "vectors.h"

static double *take(double **from, int64_t count)
{
    double *here = *from;
    *from += count;
    return here;
}

int64_t sv_gala_bytes(int64_t n, int64_t m)
{
    int64_t numbers = 7 * (n + m) + 4 * n + 4 * m + 2 * SV_FILTER_CAPACITY;
    return (int64_t)sizeof(sv_gala) + numbers * (int64_t)sizeof(double);
}

int64_t sv_gala_plain_work(int64_t n, int64_t m)
{
    int64_t more = sv_merit_work(n, m);
    more = more > sv_restoration_work(n, m) ? more : sv_restoration_work(n, m);
    more = more > sv_polish_work(n, m) ? more : sv_polish_work(n, m);
    return 7 * (n + m) + 5 * n + 8 * m + sv_gala_active_work(n, m) + more;
}

int64_t sv_gala_work(int64_t n, int64_t m)
{
    return sv_gala_plain_work(n, m) + sv_gala_sequential_work(n, m);
}

void sv_gala_lay_out(struct gala *w, const sv_nlp *nlp, sv_gala *state, double *work)
{
    int64_t n = state->n, m = state->m, N = n + m;
    *w = (struct gala){.nlp = nlp, .s = state, .n = n, .m = m, .N = N};
    double *p = (double *)(state + 1);
    double **of_all[] = {&w->lower, &w->upper, &w->lo, &w->up, &w->v, &w->zl, &w->zu};
    for (size_t k = 0; k < sizeof of_all / sizeof *of_all; k++)
        *of_all[k] = take(&p, N);
    w->g = take(&p, n), w->best_x = take(&p, n), w->best_z = take(&p, n), w->x0 = take(&p, n);
    w->c_scale = take(&p, m), w->y = take(&p, m), w->c = take(&p, m), w->best_y = take(&p, m);
    w->filter = take(&p, 2 * SV_FILTER_CAPACITY);
    if (!work)
        return;
    p = work;
    double **work_of_all[] = {&w->d, &w->dzl, &w->dzu, &w->tv, &w->kept_d, &w->rhs, &w->sol};
    for (size_t k = 0; k < sizeof work_of_all / sizeof *work_of_all; k++)
        *work_of_all[k] = take(&p, N);
    double **of_n[] = {&w->rx, &w->diagonal, &w->point_g, &w->point_x, &w->point_z};
    for (size_t k = 0; k < sizeof of_n / sizeof *of_n; k++)
        *of_n[k] = take(&p, n);
    double **of_m[] = {&w->dy, &w->dc, &w->S, &w->rc, &w->tc, &w->kept_dy, &w->point_c, &w->point_y};
    for (size_t k = 0; k < sizeof of_m / sizeof *of_m; k++)
        *of_m[k] = take(&p, m);
    w->view = take(&p, sv_gala_active_work(n, m));
    w->more = p;
    w->sequential = work + sv_gala_plain_work(n, m);
}

struct sv_sides sv_gala_sides(const struct gala *w)
{
    return (struct sv_sides){w->lower, w->upper, w->lower + w->n, w->upper + w->n};
}

struct sv_scales sv_gala_scales(const struct gala *w)
{
    return (struct sv_scales){w->s->f_scale, w->c_scale, w->s->options.onward ? SV_LARGEST_SCALE : INFINITY};
}

/* A number moved between its sides, away from them by the rule of Waechter and Biegler, section 3.6. */
static double inside(double x, double lo, double up, double push)
{
    if (lo == up)
        return lo;
    double below = push * fmax(1, fabs(lo)), above = push * fmax(1, fabs(up));
    if (lo > -INFINITY && up < INFINITY) {
        below = fmin(below, push * (up - lo));
        above = fmin(above, push * (up - lo));
    }
    if (lo > -INFINITY)
        x = fmax(x, lo + below);
    if (up < INFINITY)
        x = fmin(x, up - above);
    return x;
}

void sv_gala_push_inside(const struct gala *w, double *v, double push, const double *c)
{
    if (!c)
        for (int64_t i = 0; i < w->n; i++)
            v[i] = inside(v[i], w->lower[i], w->upper[i], push);
    else
        for (int64_t i = w->n; i < w->N; i++)
            v[i] = inside(c[i - w->n], w->lower[i], w->upper[i], push);
}

int sv_gala_restart_multipliers(struct gala *w)
{
    for (int64_t i = 0; i < w->N; i++) {
        if (w->lo[i] > -INFINITY)
            w->zl[i] = fmin(1, w->s->mu / (w->v[i] - w->lo[i]));
        if (w->up[i] < INFINITY)
            w->zu[i] = fmin(1, w->s->mu / (w->up[i] - w->v[i]));
    }
    int code = sv_gala_multipliers(w);
    return code ? code : sv_gala_move(w, w->v, w->c, w->s->f);
}

/* The barrier's sides: a little wider, by less than tol asks for. */
static void widen(struct gala *w)
{
    double by = 1e-4 * fmin(w->s->options.tol, 1e-6);
    for (int64_t i = 0; i < w->N; i++) {
        int fixed = gala_fixed(w, i);
        w->lo[i] = fixed ? -INFINITY : w->lower[i] - by * fmax(1, fabs(w->lower[i]));
        w->up[i] = fixed ? INFINITY : w->upper[i] + by * fmax(1, fabs(w->upper[i]));
        if (w->lower[i] == -INFINITY)
            w->lo[i] = -INFINITY;
        if (w->upper[i] == INFINITY)
            w->up[i] = INFINITY;
    }
}

/* A power of two, so that values in the user's units are the user's own to the bit. */
static double scale_of(double slope)
{
    return slope > 100 ? exp2(floor(log2(fmax(100 / slope, 1e-8)))) : 1;
}

static int find_scales(struct gala *w)
{
    double largest = 0;
    int code = w->nlp->rows(w->nlp->data, w->c_scale);
    if (code)
        return code;
    for (int64_t i = 0; i < w->n; i++)
        largest = fmax(largest, fabs(w->g[i]));
    w->s->f_scale = scale_of(largest);
    for (int64_t j = 0; j < w->m; j++) {
        w->c_scale[j] = scale_of(w->c_scale[j]);
        w->lower[w->n + j] *= w->c_scale[j];
        w->upper[w->n + j] *= w->c_scale[j];
    }
    return w->nlp->scale(w->nlp->data, w->s->f_scale, w->c_scale);
}

/* Whether quadratic programs come first. */
static int sequential(const struct gala *w)
{
    const sv_gala *s = w->s;
    return s->options.sequential && !s->handed && w->N <= SV_GALA_SEQUENTIAL && !(s->options.exact && sv_gala_equalities_only(w));
}

int sv_gala_begin(struct gala *w, double mu, double push)
{
    sv_gala *state = w->s;
    int first = sequential(w);
    memcpy(w->v, w->x0, (size_t)w->n * sizeof *w->v);
    sv_gala_push_inside(w, w->v, first ? 0 : push, NULL);
    int code = w->nlp->values(w->nlp->data, w->v, &state->f, w->c);
    if (code == 0)
        code = w->nlp->slopes(w->nlp->data, w->v, w->g);
    if (code)
        return code;
    for (int64_t j = 0; j < w->m; j++)
        if (!isfinite(w->c[j]))
            return SV_FAILED;
    if (!isfinite(state->f))
        return SV_FAILED;
    sv_gala_push_inside(w, w->v, push, w->c);
    state->mu = mu;
    state->polished = state->least = INFINITY;
    state->shift = 0;
    state->free = 1;
    state->references = 0;
    state->restorations = state->filtered = state->acceptable = state->tiny = state->stalled = 0;
    /* 2: also where there are inequalities. Of equations the last attempt is the filter's. */
    int64_t wanted = state->options.exact, equations = sv_gala_equalities_only(w);
    state->exact = wanted && equations ? state->attempt <= state->approached : wanted == 2 ? 2 : first ? 3 : 0;
    sv_merit_begin(&state->merit, (int)state->options.projected, state->options.window);
    widen(w);
    for (int64_t i = 0; i < w->N; i++) {
        w->zl[i] = w->lo[i] > -INFINITY;
        w->zu[i] = w->up[i] < INFINITY;
    }
    code = sv_gala_multipliers(w);
    double theta = sv_gala_violation(w, w->v, w->c);
    state->theta_max = 1e4 * fmax(1, theta);
    state->theta_min = 1e-4 * fmax(1, theta);
    return code;
}

/* Values at the start. Where they are not finite at x0 itself, they may be inside. */
static int first_values(struct gala *w)
{
    int first = sequential(w), code;
    for (;; first = 0, w->s->handed = 1) {
        memcpy(w->v, w->x0, (size_t)w->n * sizeof *w->v);
        sv_gala_push_inside(w, w->v, first ? 0 : w->s->options.push, NULL);
        code = w->nlp->values(w->nlp->data, w->v, &w->s->f, w->c);
        if (code || !first || isfinite(w->s->f + vector_largest(w->m, w->c)))
            return code;
    }
}

int sv_gala_init(const sv_nlp *nlp, const struct sv_sides *sides, const double *x0, const struct sv_gala_options *options,
                 sv_gala *state, double *work)
{
    struct gala parts, *w = &parts;
    memset(state, 0, (size_t)sv_gala_bytes(nlp->n, nlp->m));
    *state = (sv_gala){.n = nlp->n, .m = nlp->m, .status = SV_GALA_RUNNING, .options = *options, .f_scale = 1,
                       .measure = INFINITY, .best = INFINITY};
    sv_gala_lay_out(w, nlp, state, work);
    memcpy(w->lower, sides->lower, (size_t)w->n * sizeof *w->lower);
    memcpy(w->upper, sides->upper, (size_t)w->n * sizeof *w->upper);
    memcpy(w->x0, x0, (size_t)w->n * sizeof *w->x0);
    for (int64_t j = 0; j < w->m; j++) {
        w->lower[w->n + j] = sides->row_lower[j];
        w->upper[w->n + j] = sides->row_upper[j];
        w->c_scale[j] = 1; /* those of a solve before this one are forgotten */
    }
    int code = nlp->scale(nlp->data, 1, w->c_scale);
    if (code == 0)
        code = first_values(w);
    if (code == 0)
        code = nlp->slopes(nlp->data, w->v, w->g);
    if (code == 0)
        code = find_scales(w);
    return code ? code : sv_gala_begin(w, options->mu, options->push);
}

int sv_gala_evaluate(const sv_nlp *nlp, const sv_gala *state, double *f, double *c, double *g, double *product)
{
    struct gala w;
    sv_gala_lay_out(&w, nlp, (sv_gala *)state, NULL);
    int code = nlp->scale(nlp->data, state->f_scale, w.c_scale);
    if (code == 0)
        code = nlp->values(nlp->data, w.best_x, f, c);
    if (code == 0)
        code = nlp->slopes(nlp->data, w.best_x, g);
    if (code == 0)
        code = nlp->adjoint(nlp->data, w.best_y, product);
    *f /= state->f_scale;
    for (int64_t i = 0; i < w.n; i++) {
        g[i] /= state->f_scale;
        product[i] /= state->f_scale;
    }
    for (int64_t j = 0; j < w.m; j++)
        c[j] /= w.c_scale[j];
    return code;
}

void sv_gala_answer(const sv_gala *state, double *x, double *y, double *z)
{
    struct gala w;
    sv_gala_lay_out(&w, NULL, (sv_gala *)state, NULL);
    for (int64_t i = 0; i < w.n; i++) {
        x[i] = w.best_x[i];
        z[i] = w.best_z[i] / state->f_scale;
    }
    for (int64_t j = 0; j < w.m; j++)
        y[j] = w.best_y[j] * w.c_scale[j] / state->f_scale;
}
