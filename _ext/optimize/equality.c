/* The iteration of gala.h where all rows are equalities and no variable has sides: the exact augmented Lagrangian of merit.h
 * in place of the filter.
 *
 * Differs from the paper's algorithm 2 in: 1. H is shifted by inertia instead of by its norm, and the rows by dc where J lacks
 * rank; 2. where the inertia is wrong, multipliers of least squares are tried first: far from a solution, or where
 * multipliers are not unique, it is often y that is wrong; 3. where no penalty or step serves, or steps stay short,
 * feasibility is restored, and after five times of that the filter goes on; 4. a start far from few rows that curve is moved to
 * them first.
 *
 * Costs what an iteration of the filter does, and a product with H, two with J and one with J' for grad M; gradients at trials
 * whose f and c do not refuse them already.
 */

#include "gala_parts.h"
#include "restoration.h"
#include "vectors.h"

/* The shift of rows that depend on one another goes with the violation: far away, J lacks rank nearly, too. */
static const double LEAST_DC = 1e-8, MOST_DC = 1;
static const double RIDGE = 1e-10, MOST_SHIFT = 1e10, SHORT = 0.1, LAST_DIGITS = 1e-15;
enum { RESTORATIONS = 5, SHORT_STEPS = 5 };
/* The way to the rows is worth its while where the variables are at least so many, and so many times as many as the rows, and a
 * step to the rows' linear models leaves a share CURVED of the violation. It ends where a share NEAR is left, or after STEPS. */
enum { MANY = 51, FEW_ROWS = 4, STEPS = 30 };
static const double CURVED = 0.2, NEAR = 1e-2;

int sv_gala_equalities_only(const struct gala *w)
{
    for (int64_t i = 0; i < w->n; i++)
        if (w->lower[i] > -INFINITY || w->upper[i] < INFINITY)
            return 0;
    for (int64_t j = 0; j < w->m; j++)
        if (!gala_fixed(w, w->n + j))
            return 0;
    return 1;
}

/* The current point as merit.h sees it: rc is c - target. */
static struct sv_merit_point current(struct gala *w)
{
    for (int64_t j = 0; j < w->m; j++)
        w->rc[j] = w->c[j] - w->v[w->n + j];
    return (struct sv_merit_point){.f = w->s->f, .x = w->v, .g = w->g, .gl = w->rx, .y = w->y, .c = w->rc};
}

static int value(const struct gala *w, const struct sv_merit_point *at, double *out)
{
    return sv_merit_gradient(w->nlp, &w->s->merit, at, w->more, out, NULL);
}

int sv_gala_least_squares(struct gala *w)
{
    int64_t n = w->n, negative, zero;
    for (int64_t i = 0; i < n; i++)
        w->diagonal[i] = gala_fixed(w, i) ? 1e20 : 1;
    for (int64_t j = 0; j < w->m; j++)
        w->dc[j] = gala_free_row(w, j) ? 1e20 : RIDGE, w->rhs[n + j] = 0;
    for (int64_t i = 0; i < n; i++)
        w->rhs[i] = gala_fixed(w, i) ? 0 : -w->g[i];
    int code = w->nlp->factor(w->nlp->data, 0, w->diagonal, w->dc, &negative, &zero);
    if (code == 0)
        code = w->nlp->solve(w->nlp->data, w->rhs, 1e-10, w->sol);
    if (code == 0 && !isfinite(vector_largest(w->m, w->sol + n)))
        code = SV_FAILED;
    for (int64_t j = 0; j < w->m && code == 0; j++)
        w->point_y[j] = gala_free_row(w, j) ? 0 : w->sol[n + j];
    return code;
}

int sv_gala_take_multipliers(struct gala *w, const double *y)
{
    vector_copy(w->m, y, w->y);
    int code = w->nlp->adjoint(w->nlp->data, w->y, w->rx);
    for (int64_t i = 0; i < w->n; i++)
        w->rx[i] = gala_fixed(w, i) ? 0 : w->rx[i] + w->g[i];
    return code;
}

/* After a wrong inertia: multipliers of least squares, where they differ, are no worse for M, and mend it. */
static int mend_multipliers(struct gala *w, int *right)
{
    double before, after, *old = w->kept_dy, off = 0;
    struct sv_merit_point at = current(w);
    int code = sv_gala_least_squares(w), singular;
    if (code)
        return code == SV_STOP ? code : 0;
    for (int64_t j = 0; j < w->m; j++)
        off = fmax(off, fabs(w->point_y[j] - w->y[j]) / fmax(1, fabs(w->point_y[j])));
    if (off < 0.1)
        return 0;
    vector_copy(w->m, w->y, old);
    if ((code = value(w, &at, &before)) || (code = sv_gala_take_multipliers(w, w->point_y)) ||
        (code = sv_gala_curvature(w)) || (code = value(w, &at, &after)))
        return code;
    if (after <= before + 1e-12 * fabs(before) && (code = sv_gala_factor_shifted(w, 0, 0, right, &singular)))
        return code;
    if (*right) {
        w->s->merit.kept = 0;
        return 0;
    }
    if ((code = sv_gala_take_multipliers(w, old)))
        return code;
    return sv_gala_curvature(w);
}

/* A direction of descent for M, into sol; H shifted as far as that takes. SV_MERIT_REFUSED: there is none. */
static int direction(struct gala *w, struct sv_merit_outcome *out)
{
    double dw = 0, dc = 0, *last = &w->s->shift;
    int right, singular, first = *last == 0, code = sv_gala_factor_shifted(w, 0, 0, &right, &singular);
    if (code == 0 && !right && w->m && !w->nlp->carried)
        code = mend_multipliers(w, &right);
    while (code == 0) {
        if (right) {
            struct sv_merit_point at = current(w);
            /* Where each digit is more products with K, no more of them than quadratic convergence asks for. */
            double left = fmax(vector_largest(w->n, w->rx), vector_largest(w->m, w->rc));
            double rtol = w->uncounted ? fmax(1e-10, fmin(1e-2, 0.1 * left)) : 1e-10;
            code = sv_merit_direction(w->nlp, &w->s->merit, &at, dc, rtol, !w->uncounted, w->more, w->kept_d, out);
            if (code == 0 && dw > 0)
                *last = dw;
            if (code == 0 || code == SV_STOP)
                return code;
        }
        if (dw > MOST_SHIFT)
            return SV_MERIT_REFUSED;
        if ((singular || right) && dc == 0 && w->m)
            dc = fmax(LEAST_DC, fmin(MOST_DC, 0.1 * sv_gala_violation(w, w->v, w->c)));
        else
            dw = dw > 0 ? dw * (first ? 100 : 8) : first ? 1e-4 : fmax(1e-20, *last / 3);
        code = sv_gala_factor_shifted(w, dw, dc, &right, &singular);
    }
    return code;
}

/* To a point of less violation, with multipliers of least squares. */
static int restored(struct gala *w)
{
    struct sv_sides sides = sv_gala_sides(w);
    struct sv_restoration found;
    current(w);
    double violation = vector_largest(w->m, w->rc);
    if (w->m == 0 || w->s->restorations >= RESTORATIONS) {
        if (w->m == 0 || violation <= w->s->options.tol)
            w->s->status = SV_GALA_STAGNATION;
        else
            w->s->exact = w->s->restorations = w->s->tiny = 0; /* the filter goes on from here */
        return 0;
    }
    w->s->restorations++;
    w->s->tiny = 0;
    vector_copy(w->N, w->v, w->tv);
    double target = fmax(0.1 * violation, w->s->options.tol / 10);
    int code = sv_restore(w->nlp, &sides, w->nlp->carried == 0, target, 1e-8, 200, w->tv, w->more, &found);
    if (code == SV_STOP)
        return code;
    if (code == SV_RESTORATION_INFEASIBLE)
        w->s->status = SV_GALA_INFEASIBLE;
    double f;
    if ((code = w->nlp->values(w->nlp->data, w->tv, &f, w->tc)) || (code = sv_gala_move(w, w->tv, w->tc, f)))
        return code;
    if ((code = sv_gala_least_squares(w)))
        return code == SV_STOP ? code : 0;
    sv_merit_begin(&w->s->merit, (int)w->s->merit.projected, w->s->merit.window);
    return sv_gala_take_multipliers(w, w->point_y);
}

int sv_gala_exact_step(struct gala *w)
{
    struct sv_merit_outcome out;
    int code = sv_gala_curvature(w);
    if (code == 0)
        code = direction(w, &out);
    if (code == 0) {
        struct sv_merit_point at = current(w);
        struct sv_merit_point next = {.x = w->tv, .g = w->point_g, .gl = w->point_x, .y = w->point_y, .c = w->tc};
        code = sv_merit_search(w->nlp, w->v + w->n, &w->s->merit, &at, w->kept_d, 1, w->more, &next, &out);
        if (code == 0) {
            vector_copy(w->n, next.x, w->v);
            vector_copy(w->n, next.g, w->g);
            vector_copy(w->n, next.gl, w->rx);
            vector_copy(w->m, next.y, w->y);
            vector_combine(w->m, next.c, 1, w->v + w->n, w->c);
            w->s->f = next.f;
            w->s->tiny = out.step < SHORT ? w->s->tiny + 1 : 0;
            double moved = 0;
            for (int64_t i = 0; i < w->n; i++)
                moved = fmax(moved, fabs(w->kept_d[i]) / (1 + fabs(w->v[i])));
            w->s->still = moved < LAST_DIGITS ? w->s->still + 1 : 0;
            if (w->s->still >= 3)
                w->s->status = SV_GALA_STAGNATION;
        }
    }
    return code;
}

/* Whether there is a violation of which the step of least norm to the rows' linear models leaves more than CURVED. */
static int rows_curve(struct gala *w, double *violation, int *curve)
{
    int64_t n = w->n, negative, zero;
    *curve = 0;
    for (int64_t i = 0; i < n; i++)
        w->diagonal[i] = 1, w->rhs[i] = 0;
    for (int64_t j = 0; j < w->m; j++)
        w->dc[j] = 0, w->rhs[n + j] = w->v[n + j] - w->c[j];
    *violation = vector_largest(w->m, w->rhs + n);
    if (!(*violation > sqrt(w->s->options.tol)))
        return 0;
    int code = w->nlp->factor(w->nlp->data, 0, w->diagonal, w->dc, &negative, &zero);
    if (code == 0 && zero == 0)
        code = w->nlp->solve(w->nlp->data, w->rhs, 1e-6, w->sol);
    if (code || zero)
        return code == SV_STOP ? code : 0;
    vector_combine(n, w->v, 1, w->sol, w->point_x);
    if ((code = w->nlp->values(w->nlp->data, w->point_x, NULL, w->tc)))
        return code;
    vector_combine(w->m, w->tc, -1, w->v + n, w->tc);
    *curve = !(vector_largest(w->m, w->tc) <= CURVED * *violation);
    return 0;
}

/* From a start far from rows that curve Newton's first steps go to the rows, whatever the objective is: they are made without
 * calling it, into tv. *there: such steps were made. */
static int to_the_rows(struct gala *w, int *there)
{
    struct sv_sides sides = sv_gala_sides(w);
    struct sv_restoration found;
    double violation;
    *there = 0;
    int curve, code = rows_curve(w, &violation, &curve);
    if (code || !curve)
        return code;
    vector_copy(w->N, w->v, w->tv);
    code = sv_restore(w->nlp, &sides, 0, NEAR * violation, 1e-8, STEPS, w->tv, w->more, &found);
    *there = code == SV_RESTORED;
    return code == SV_STOP ? code : 0;
}

/* Begins near the rows where that serves. Where it ends badly all the same, the next attempt starts from x0 itself. */
static int approach(struct gala *w)
{
    double f;
    int there, finite = 0, code;
    if (w->m == 0 || w->nlp->linear || w->n < MANY || w->n < FEW_ROWS * w->m)
        return 0;
    if ((code = to_the_rows(w, &there)) || (there && (code = w->nlp->values(w->nlp->data, w->tv, &f, w->tc))))
        return code;
    if (there && isfinite(f) && (code = sv_gala_trial_slopes(w, &finite)))
        return code;
    if (!finite)
        return sv_gala_move(w, w->v, w->c, w->s->f);
    w->s->approached = 1;
    if ((code = sv_gala_move(w, w->tv, w->tc, f)) || (code = sv_gala_multipliers(w)))
        return code;
    return sv_gala_move(w, w->v, w->c, f);
}

int sv_gala_equality_step(struct gala *w)
{
    int code = w->s->nit == 0 ? approach(w) : 0;
    if (code)
        return code;
    code = sv_gala_exact_step(w);
    if (code == SV_STOP)
        return code;
    /* Steps that stay short crawl along a curve that the violation hides: on the constraints the way is free. */
    int crawls = code == 0 && w->s->tiny >= SHORT_STEPS && w->s->restorations < RESTORATIONS;
    return code || crawls ? restored(w) : 0;
}
