/* The first attempt of gala.h on small dense programs: sequential quadratic programming with a filter, since that takes
 * half of the evaluations where it works. Each step solves, within a box around x,
 *
 *     min f + g'd + d'Hd / 2   with   row_lower <= c + J d <= row_upper,   lower <= x + d <= upper
 *
 * by the interior point of gala.h with its polish, which calls none of the user's functions: H and J are the program's
 * current ones, and so are the factors of its systems. The multipliers are those of that program. After steps that are
 * refused too often, a quadratic program that cannot be solved or too many iterations the interior point starts from x0.
 *
 * Differs from Fletcher, Leyffer and Toint, SIAM J. Optim. 13 (2002), in: 1. no restoration of its own: the interior point
 * takes over; 2. quadratic programs that are not convex are solved to a local minimum; 3. one correction to second order a
 * step that is refused.
 *
 * Costs a Hessian and values() a trial, and of linear algebra what a solve by the interior point does.
 */
#include <string.h>

#include "gala_parts.h"
#include "vectors.h"

/* Iterations, refused trials in all, and those of an inner solve. */
enum { MOST_STEPS = 30, REFUSALS = 8, INNER = 300 };
/* The box at the start, and how far inner solves go; what a step must bring of the model's gain, or of the violation, from
 * which gain on it is f that counts; steps that are too short to be judged; what a model that cannot be met must bring of
 * the violation; multipliers, over the gradient, that grow without end. */
static const double RADIUS = 10, EXACT = 1e-11, FRACTION = 1e-4, LEAST_GAIN = 1e-5, SWITCH = 1e-4, LAST = 1e-7, LESS = 0.5,
                    LARGE = 2e5;

/* The quadratic program at a point, as a program with scales of its own; d (n), product (n), scaled (n + m) are work. */
struct model {
    const sv_nlp *base;
    const double *x, *g, *c;
    double f, f_scale, *c_scale, divided, *d, *product, *scaled;
};

/* d = x - center, product = H d. */
static int step_to(const struct model *of, const double *x)
{
    vector_combine(of->base->n, x, -1, of->x, of->d);
    return of->base->hessian(of->base->data, of->d, of->product);
}

static int model_values(void *data, const double *x, double *f, double *c)
{
    const struct model *of = data;
    int64_t n = of->base->n, m = of->base->m;
    int code = step_to(of, x);
    if (f)
        *f = of->f_scale * (of->f + vector_dot(n, of->g, of->d) + vector_dot(n, of->d, of->product) / 2);
    if (code == 0 && m)
        code = of->base->jacobian(of->base->data, of->d, c);
    for (int64_t j = 0; j < m && code == 0; j++)
        c[j] = of->c_scale[j] * (c[j] + of->c[j]);
    return code;
}

static int model_slopes(void *data, const double *x, double *g)
{
    const struct model *of = data;
    int code = step_to(of, x);
    for (int64_t i = 0; i < of->base->n && g; i++)
        g[i] = of->f_scale * (of->g[i] + of->product[i]);
    return code;
}

/* Both matrices are constant. */
static int model_curvature(void *data, const double *x, double sigma, const double *y)
{
    (void)data, (void)x, (void)sigma, (void)y;
    return 0;
}

static int model_scale(void *data, double f_scale, const double *c_scale)
{
    struct model *of = data;
    of->f_scale = f_scale;
    vector_copy(of->base->m, c_scale, of->c_scale);
    return 0;
}

static int model_rows(void *data, double *out)
{
    const struct model *of = data;
    int code = of->base->rows(of->base->data, out);
    for (int64_t j = 0; j < of->base->m; j++)
        out[j] *= of->c_scale[j];
    return code;
}

static int model_jacobian(void *data, const double *v, double *out)
{
    const struct model *of = data;
    int code = of->base->jacobian(of->base->data, v, out);
    for (int64_t j = 0; j < of->base->m; j++)
        out[j] *= of->c_scale[j];
    return code;
}

static int model_adjoint(void *data, const double *y, double *out)
{
    const struct model *of = data;
    for (int64_t j = 0; j < of->base->m; j++)
        of->scaled[j] = of->c_scale[j] * y[j];
    return of->base->adjoint(of->base->data, of->scaled, out);
}

static int model_hessian(void *data, const double *v, double *out)
{
    const struct model *of = data;
    int code = of->base->hessian(of->base->data, v, out);
    for (int64_t i = 0; i < of->base->n; i++)
        out[i] *= of->f_scale;
    return code;
}

/* With s and C the scales, [sH + dx, J'C; CJ, -dc] (a, b) = (p, q) is [H + dx/s, J'; J, -s dc/C^2] (a, Cb/s) = (p/s, q/C):
 * a congruence but for the factor s, so that eigenvalues keep their signs. Without H, s is 1. */
static int model_factor(void *data, int with_hessian, const double *dx, const double *dc, int64_t *negative, int64_t *zero)
{
    struct model *of = data;
    int64_t n = of->base->n, m = of->base->m;
    double s = of->divided = with_hessian ? of->f_scale : 1;
    for (int64_t i = 0; i < n; i++)
        of->scaled[i] = dx[i] / s;
    for (int64_t j = 0; j < m; j++)
        of->scaled[n + j] = s * dc[j] / (of->c_scale[j] * of->c_scale[j]);
    return of->base->factor(of->base->data, with_hessian, of->scaled, of->scaled + n, negative, zero);
}

static int model_solve(void *data, const double *rhs, double rtol, double *out)
{
    const struct model *of = data;
    int64_t n = of->base->n, m = of->base->m;
    for (int64_t i = 0; i < n; i++)
        of->scaled[i] = rhs[i] / of->divided;
    for (int64_t j = 0; j < m; j++)
        of->scaled[n + j] = rhs[n + j] / of->c_scale[j];
    int code = of->base->solve(of->base->data, of->scaled, rtol, out);
    for (int64_t j = 0; j < m; j++)
        out[n + j] *= of->divided / of->c_scale[j];
    return code;
}

/* What lies in the work of a step: the box, the inner state with its work, what a trial needs. */
struct room {
    double *lower, *upper, *d, *product, *x, *y, *z, *shifted, *c_scale, *scaled, *work;
    sv_gala *inner;
    int met; /* whether the rows of the model can be */
};

int64_t sv_gala_sequential_work(int64_t n, int64_t m)
{
    if (n + m > SV_GALA_SEQUENTIAL)
        return 0;
    return 7 * n + 4 * m + sv_gala_bytes(n, m) / (int64_t)sizeof(double) + sv_gala_plain_work(n, m);
}

static struct room rooms(const struct gala *w)
{
    int64_t n = w->n, m = w->m;
    struct room r = {.lower = w->sequential};
    r.upper = r.lower + n, r.d = r.upper + n, r.product = r.d + n, r.x = r.product + n, r.z = r.x + n;
    r.y = r.z + n, r.shifted = r.y + m, r.c_scale = r.shifted + m, r.scaled = r.c_scale + m;
    r.inner = (sv_gala *)(void *)(r.scaled + w->N);
    r.work = (double *)r.inner + sv_gala_bytes(n, m) / (int64_t)sizeof(double);
    return r;
}

/* Multipliers that grow without end: the gradients of the sides that hold depend on one another. */
static int grown(const struct gala *w, const struct room *r)
{
    double largest = vector_largest(w->n, r->z);
    for (int64_t j = 0; j < w->m; j++)
        largest = fmax(largest, fabs(r->y[j]) * w->c_scale[j]);
    return !(largest <= LARGE * fmax(w->s->f_scale, vector_largest(w->n, w->g)));
}

/* The model's minimum within the box, with its multipliers: to r->x, y, z. SV_FAILED: none was found. */
static int minimum(struct gala *w, struct model *model, double radius, struct room *r)
{
    /* as if H were learned: it stays the same, for the rows' part of it, too */
    sv_nlp table = {.n = w->n, .m = w->m, .linear = 1, .data = model, .carried = 1, .values = model_values,
                    .slopes = model_slopes, .curvature = model_curvature, .scale = model_scale, .rows = model_rows,
                    .jacobian = model_jacobian, .adjoint = model_adjoint, .hessian = model_hessian,
                    .factor = model_factor, .solve = model_solve};
    struct sv_sides sides = {r->lower, r->upper, w->lower + w->n, w->upper + w->n};
    struct sv_gala_options options = {.tol = EXACT, .mu = 0.1, .push = 1e-2, .max_shift = 1e40, .window = 5};
    for (int64_t i = 0; i < w->n; i++) {
        r->lower[i] = fmax(w->lower[i], w->v[i] - radius);
        r->upper[i] = fmin(w->upper[i], w->v[i] + radius);
    }
    int code = sv_gala_init(&table, &sides, w->v, &options, r->inner, r->work);
    r->inner->infeasible = 1; /* no further attempts after that */
    if (code == 0)
        code = sv_gala_run(&table, r->inner, INNER, INFINITY, r->work);
    if (code)
        return code;
    sv_gala_answer(r->inner, r->x, r->y, r->z);
    r->met = r->inner->status != SV_GALA_INFEASIBLE;
    if (!r->met) { /* where the model violates its rows least */
        vector_copy(w->m, w->y, r->y);
        for (int64_t i = 0; i < w->n; i++)
            r->z[i] = w->zu[i] - w->zl[i];
        return 0;
    }
    /* what is no minimum to the last digit may do far from a solution */
    if (!(r->inner->best <= fmax(1e-2 * fmin(1, w->s->measure), EXACT)))
        return SV_FAILED;
    for (int64_t i = 0; i < w->n; i++) /* the box has no multipliers */
        if ((r->z[i] < 0 && r->lower[i] > w->lower[i]) || (r->z[i] > 0 && r->upper[i] < w->upper[i]))
            r->z[i] = 0;
    return grown(w, r) ? SV_FAILED : 0;
}

/* A step that was tried: f and the violation at its end and, by the model, f there; how long it is. */
struct trial {
    double expected, f, theta, size, longest;
    int boxed;
};

/* How far rows are outside of their sides, by what the model says in tc. */
static double left_over(const struct gala *w, const struct model *model)
{
    double sum = 0;
    for (int64_t j = 0; j < w->m; j++) {
        double c = w->tc[j] / model->c_scale[j];
        sum += fmax(0, fmax(w->lower[w->n + j] - c, c - w->upper[w->n + j]));
    }
    return sum;
}

static void measure_step(const struct gala *w, const struct room *r, double radius, struct trial *out)
{
    out->size = out->longest = 0;
    for (int64_t i = 0; i < w->n; i++) {
        double d = fabs(r->x[i] - w->v[i]);
        out->longest = fmax(out->longest, d);
        out->size = fmax(out->size, d / (1 + fabs(w->v[i])));
    }
    out->boxed = out->longest >= 0.99 * radius;
}

/* The end of the model's step, into tv and tc: slacks are the rows, moved within their sides. SV_FAILED: no step is worth it. */
static int tried(struct gala *w, struct model *model, double before, struct room *r, struct trial *out)
{
    int code = minimum(w, model, w->s->radius, r);
    if (code || (code = model_values(model, r->x, &out->expected, w->tc)))
        return code;
    out->expected /= model->f_scale;
    if (!r->met && !(left_over(w, model) <= LESS * before))
        return SV_FAILED;
    measure_step(w, r, w->s->radius, out);
    vector_copy(w->n, r->x, w->tv);
    code = w->nlp->values(w->nlp->data, w->tv, &out->f, w->tc);
    for (int64_t i = w->n; i < w->N && code == 0; i++)
        w->tv[i] = fmin(fmax(w->tc[i - w->n], w->lower[i]), w->upper[i]);
    out->theta = sv_gala_violation(w, w->tv, w->tc);
    return code;
}

/* a <= b up to rounding of numbers like `like`. */
static int at_most(double a, double b, double like)
{
    return a - b <= 10 * 2.2e-16 * fabs(like);
}

/* Whether the trial is taken; the pair that is left joins the filter where the violation was the reason. */
static int accepted(struct gala *w, double before, const struct trial *at)
{
    double f = w->s->f, gain = f - at->expected;
    if (!isfinite(at->f) || !isfinite(at->theta))
        return 0;
    if (at->size <= LAST && at->theta <= fmax(before, w->s->options.tol))
        return 1;
    if (!sv_gala_filter_accepts(w, at->theta, at->f))
        return 0;
    if (before <= w->s->theta_min && gain > 0 && gain >= SWITCH * before * before)
        return at_most(at->f - f, -FRACTION * gain, f);
    if (!(at->theta <= (1 - LEAST_GAIN) * before) && !at_most(at->f - f, -LEAST_GAIN * before, f))
        return 0;
    sv_gala_filter_add(w, before, f);
    return 1;
}

static int take_step(struct gala *w, const struct room *r, const struct trial *at)
{
    if (at->boxed)
        w->s->radius *= 2;
    vector_copy(w->m, r->y, w->y);
    for (int64_t i = 0; i < w->n; i++) {
        w->zl[i] = fmax(0, -r->z[i]);
        w->zu[i] = fmax(0, r->z[i]);
    }
    return sv_gala_move(w, w->tv, w->tc, at->f);
}

int sv_gala_hand_over(struct gala *w)
{
    w->s->handed = 1;
    w->s->status = SV_GALA_RUNNING;
    int code = sv_gala_begin(w, w->s->options.mu, w->s->options.push);
    if (code == SV_FAILED)
        w->s->status = SV_GALA_NONFINITE;
    return code ? (code == SV_STOP ? SV_STOP : 0) : sv_gala_move(w, w->v, w->c, w->s->f);
}

/* The rows of a correction: what they are at the trial, less what the model says of its step. */
static int correct(struct gala *w, struct model *model, const struct room *r)
{
    vector_combine(w->n, r->x, -1, w->v, r->d);
    int code = w->nlp->jacobian(w->nlp->data, r->d, r->shifted);
    vector_combine(w->m, w->tc, -1, r->shifted, r->shifted);
    model->c = r->shifted;
    return code;
}

/* A step from the point, of less violation than `before` or lower. SV_FAILED: none is found. */
static int stepped(struct gala *w, double before)
{
    struct room r = rooms(w);
    struct model model = {.base = w->nlp, .x = w->v, .g = w->g, .c = w->c, .f = w->s->f, .f_scale = 1, .divided = 1,
                          .c_scale = r.c_scale, .d = r.d, .product = r.product, .scaled = r.scaled};
    struct trial at;
    int code;
    for (int corrected = 0; w->s->refusals < REFUSALS; w->s->refusals++) {
        if ((code = tried(w, &model, before, &r, &at)))
            return code;
        int taken = accepted(w, before, &at);
        if (taken && (code = sv_gala_trial_slopes(w, &taken)))
            return code;
        if (taken)
            return take_step(w, &r, &at);
        if (!r.met)
            return SV_FAILED;
        if (!corrected && w->m && isfinite(at.theta) && at.theta > before && !at.boxed) {
            if ((code = correct(w, &model, &r)))
                return code;
        } else {
            model.c = w->c;
            w->s->radius = fmin(w->s->radius, at.longest) / 4;
        }
        corrected = 1;
    }
    return SV_FAILED;
}

int sv_gala_sequential_step(struct gala *w)
{
    if (w->s->nit == 0)
        w->s->radius = fmax(RADIUS, vector_largest(w->n, w->v));
    if (w->s->nit >= MOST_STEPS)
        return sv_gala_hand_over(w);
    for (int64_t i = w->n; i < w->N; i++)
        w->v[i] = fmin(fmax(w->c[i - w->n], w->lower[i]), w->upper[i]);
    int code = sv_gala_curvature(w);
    if (code == 0)
        code = stepped(w, sv_gala_violation(w, w->v, w->c));
    return code == SV_FAILED ? sv_gala_hand_over(w) : code;
}
