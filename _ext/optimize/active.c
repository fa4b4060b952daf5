/* The active-set route of gala.h, for starts near a solution: Newton's method on the sides that hold, with the exact
 * augmented Lagrangian of merit.h for them, as in equality.c.
 *
 * A row's side holds where multiplier + violation > 0, multiplier counted positive where its sign belongs to that side: near
 * a solution with strict complementarity these are the active ones, and the steps are Newton's on them. A variable's side
 * holds where x lies on it and the gradient points outward. Rows that do not hold have no multiplier; where a trial
 * oversteps them, eta1/2 |violation|^2 joins its value, so that M is the one of the inequalities. Trials are clipped to the
 * sides of the variables.
 *
 * Differs from the active-set method of Na, Anitescu and Kolar (Math. Program. 2023) in: 1. deterministic functions; 2. sides
 * of variables are held by clipping, without a term of M; 3. where the step or the time fails it, the interior point goes on.
 *
 * `struct view` is a program whose rows and variables are those of another, but for the ones that do not take part.
 */
#include <string.h>

#include "gala_parts.h"
#include "vectors.h"

enum { MOST_STEPS = 20, SHORT_STEPS = 3 };
/* A start this near to a side is meant to be on it. */
static const double NEAR = 1e-3;

struct view {
    const sv_nlp *base;
    struct gala *w;             /* of the inequalities */
    const double *lower, *upper; /* N: equal sides where they hold; infinite, else */
    double *x, *masked;         /* n, N */
};

int64_t sv_gala_active_work(int64_t n, int64_t m)
{
    return 5 * (n + m) + n;
}

static int held(const struct view *of, int64_t i)
{
    return of->lower[i] == of->upper[i];
}

static const double *clipped(const struct view *of, const double *x)
{
    const struct gala *w = of->w;
    for (int64_t i = 0; i < w->n; i++)
        of->x[i] = held(of, i) ? of->lower[i] : fmin(fmax(x[i], w->lower[i]), w->upper[i]);
    return of->x;
}

/* The vector with zeros where a variable (from 0) or row (from n) takes no part. */
static const double *without(const struct view *of, int64_t from, int64_t count, const double *values)
{
    for (int64_t i = 0; i < count; i++) {
        int absent = from ? !held(of, from + i) : held(of, i);
        of->masked[i] = absent ? 0 : values[i];
    }
    return of->masked;
}

static void clear(const struct view *of, int64_t from, int64_t count, double *values)
{
    for (int64_t i = 0; i < count; i++)
        if (from ? !held(of, from + i) : held(of, i))
            values[i] = 0;
}

static int view_values(void *data, const double *x, double *f, double *c)
{
    const struct view *of = data;
    const struct gala *w = of->w;
    int code = of->base->values(of->base->data, clipped(of, x), f, c);
    for (int64_t j = 0; j < w->m && code == 0; j++) {
        int64_t i = w->n + j;
        if (held(of, i))
            continue;
        double over = fmax(0, fmax(w->lower[i] - c[j], c[j] - w->upper[i]));
        if (f)
            *f += w->s->merit.eta1 / 2 * over * over;
        c[j] = w->v[i];
    }
    return code;
}

static int view_slopes(void *data, const double *x, double *g)
{
    const struct view *of = data;
    int code = of->base->slopes(of->base->data, clipped(of, x), g);
    if (g)
        clear(of, 0, of->w->n, g);
    return code;
}

static int view_curvature(void *data, const double *x, double sigma, const double *y)
{
    const struct view *of = data;
    return of->base->curvature(of->base->data, clipped(of, x), sigma, y);
}

static int view_jacobian(void *data, const double *v, double *out)
{
    const struct view *of = data;
    int code = of->base->jacobian(of->base->data, without(of, 0, of->w->n, v), out);
    clear(of, of->w->n, of->w->m, out);
    return code;
}

static int view_adjoint(void *data, const double *y, double *out)
{
    const struct view *of = data;
    int code = of->base->adjoint(of->base->data, without(of, of->w->n, of->w->m, y), out);
    clear(of, 0, of->w->n, out);
    return code;
}

static int view_hessian(void *data, const double *v, double *out)
{
    const struct view *of = data;
    int code = of->base->hessian(of->base->data, without(of, 0, of->w->n, v), out);
    clear(of, 0, of->w->n, out);
    return code;
}

/* The diagonals of newton.c fix and free what takes no part already. */
static int view_factor(void *data, int with_hessian, const double *dx, const double *dc, int64_t *negative, int64_t *zero)
{
    const sv_nlp *base = ((struct view *)data)->base;
    return base->factor(base->data, with_hessian, dx, dc, negative, zero);
}

static int view_solve(void *data, const double *rhs, double rtol, double *out)
{
    const struct view *of = data;
    int code = of->base->solve(of->base->data, rhs, rtol, out);
    clear(of, 0, of->w->n, out);
    clear(of, of->w->n, of->w->m, out + of->w->n);
    return code;
}

/* The side of a row that holds, NaN for none. At the start, when multipliers are not known, those near count. */
static double row_side(const struct gala *w, int64_t j)
{
    double lower = w->lower[w->n + j], upper = w->upper[w->n + j], c = w->c[j];
    if (lower == upper)
        return lower;
    double y = w->s->nit == 0 ? 0 : w->y[j];
    double near_lower = w->s->nit == 0 ? NEAR * fmax(1, fabs(lower)) : 0;
    double near_upper = w->s->nit == 0 ? NEAR * fmax(1, fabs(upper)) : 0;
    if (-y + lower - c + near_lower > 0)
        return lower;
    return y + c - upper + near_upper > 0 ? upper : NAN;
}

/* That of a variable. */
static double variable_side(const struct gala *w, int64_t i)
{
    double x = w->v[i], lower = w->lower[i], upper = w->upper[i];
    if (lower == upper || (x <= lower && w->rx[i] >= 0))
        return lower;
    return x >= upper && w->rx[i] <= 0 ? upper : NAN;
}

/* The sides that hold, as equal sides of `sub`; slacks of v become the targets. Rows of the others lose their multipliers. */
static int identify(struct gala *w, double *lower, double *upper)
{
    int dropped = 0;
    for (int64_t j = 0; j < w->m; j++) {
        int64_t i = w->n + j;
        double side = row_side(w, j);
        lower[i] = isnan(side) ? -INFINITY : side;
        upper[i] = isnan(side) ? INFINITY : side;
        w->v[i] = isnan(side) ? w->c[j] : side;
        dropped |= isnan(side) && w->y[j] != 0;
        if (isnan(side))
            w->y[j] = 0;
    }
    int code = dropped ? sv_gala_move(w, w->v, w->c, w->s->f) : 0;
    for (int64_t i = 0; i < w->n && code == 0; i++) {
        double side = variable_side(w, i);
        lower[i] = isnan(side) ? -INFINITY : side;
        upper[i] = isnan(side) ? INFINITY : side;
    }
    return code;
}

/* The interior point starts from here. */
static int to_interior(struct gala *w)
{
    w->s->exact = 0;
    w->s->mu = w->s->options.mu;
    w->s->tiny = w->s->shift = 0;
    sv_gala_push_inside(w, w->v, 1e-2, NULL);
    double f;
    int code = w->nlp->values(w->nlp->data, w->v, &f, w->tc);
    if (code)
        return code;
    if (!isfinite(f) || !isfinite(vector_largest(w->m, w->tc))) {
        w->s->status = SV_GALA_NONFINITE;
        return 0;
    }
    sv_gala_push_inside(w, w->v, 1e-2, w->tc);
    if ((code = sv_gala_move(w, w->v, w->tc, f)))
        return code;
    double theta = sv_gala_violation(w, w->v, w->c);
    w->s->theta_max = 1e4 * fmax(1, theta);
    w->s->theta_min = 1e-4 * fmax(1, theta);
    return sv_gala_restart_multipliers(w);
}

/* Back to the inequalities: the clipped point, its own values, z from the gradient at the sides. */
static int taken(struct gala *w, const struct view *view)
{
    double f;
    vector_copy(w->n, clipped(view, w->v), w->v);
    int code = w->nlp->values(w->nlp->data, w->v, &f, w->tc);
    if (code == 0)
        code = sv_gala_move(w, w->v, w->tc, f);
    for (int64_t i = 0; i < w->n && code == 0; i++) {
        int fixed = !isnan(variable_side(w, i));
        w->zl[i] = fixed ? fmax(0, w->rx[i]) : 0;
        w->zu[i] = fixed ? fmax(0, -w->rx[i]) : 0;
    }
    return code;
}

int sv_gala_active_step(struct gala *w)
{
    double *lower = w->view, *upper = lower + w->N, *none = upper + w->N, *all = none + w->N;
    int code = identify(w, lower, upper);
    if (code)
        return code;
    for (int64_t i = 0; i < w->N; i++)
        none[i] = -INFINITY, all[i] = INFINITY;
    struct view view = {.base = w->nlp, .w = w, .lower = lower, .upper = upper, .x = all + w->N, .masked = all + w->N + w->n};
    sv_nlp table = {.n = w->n, .m = w->m, .data = &view, .carried = w->nlp->carried, .values = view_values,
                    .slopes = view_slopes, .curvature = view_curvature, .jacobian = view_jacobian, .adjoint = view_adjoint,
                    .hessian = view_hessian, .factor = view_factor, .solve = view_solve};
    struct gala sub = *w;
    sub.nlp = &table, sub.lower = lower, sub.upper = upper, sub.lo = none, sub.up = all;
    clear(&view, 0, w->n, w->rx);
    if (w->s->nit == 0 && w->m && (code = sv_gala_least_squares(&sub)) == 0)
        code = sv_gala_take_multipliers(&sub, w->point_y);
    w->s->merit.kept = 0; /* the sides may be others than before */
    if (code == 0)
        code = sv_gala_exact_step(&sub);
    if (code == SV_STOP)
        return code;
    if (code || w->s->tiny >= SHORT_STEPS || w->s->nit >= MOST_STEPS)
        return to_interior(w);
    return taken(w, &view);
}
