/* The loop of gala.h: where it ends, what mu becomes, a step.
 *
 * An iteration costs a Hessian, one factorisation or a few (newton.c), a solve, values() a trial (filter.c), slopes() at the
 * point that is taken, and O(n + m).
 */
#include <string.h>
#include <time.h>

#include "gala_parts.h"
#include "restoration.h"

/* Points are polished from this measure on. */
static const double POLISHED = 1e-3;
/* An attempt ends when for so many iterations its least measure has not fallen by a tenth. */
enum { PATIENCE = 60 };
/* So many that brought nothing near the tolerance: what holds may be known by now, whatever the last polish has made of it,
 * and an approximate Hessian takes more steps on it. */
enum { LAST_TRY = 5 };
/* Where the tolerance is met by products of slacks and multipliers that are both small, the polish may not know which side
 * holds; so many iterations more, with a mu that goes on to fall, tell. */
enum { FURTHER = 3 };
static const double LESS_MU = 1e-2;
/* What further attempts start with, with a mu that falls when its problem is solved. Which serves is a matter of the program:
 * a large mu keeps to its middle, a small one or a small push to x0. */
static const struct {
    double mu, push;
} ATTEMPTS[] = {{0.1, 1e-2}, {1e-3, 1e-2}, {10, 1e-2}};

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The point as the user sees it: within the sides, multipliers z from the gradient where they fit the point. */
static void as_seen(struct gala *w, struct sv_kkt_point *at)
{
    *at = (struct sv_kkt_point){.f = w->s->f, .x = w->point_x, .g = w->point_g, .z = w->point_z, .c = w->point_c,
                                .y = w->point_y};
    memcpy(at->g, w->g, (size_t)w->n * sizeof *at->g);
    memcpy(at->c, w->c, (size_t)w->m * sizeof *at->c);
    memcpy(at->y, w->y, (size_t)w->m * sizeof *at->y);
    for (int64_t i = 0; i < w->n; i++) {
        double x = w->v[i] < w->lower[i] ? w->lower[i] : w->v[i]; /* the barrier's sides are wider */
        at->x[i] = x > w->upper[i] ? w->upper[i] : x;
        at->z[i] = gala_fixed(w, i) ? -w->rx[i] : w->zu[i] - w->zl[i];
    }
}

/* Its measure. No point is solved by multipliers of sides that are infinite: tiny ones, times gradients of 1e11, would balance
 * a slope without end. */
static int assess(struct gala *w, struct sv_kkt_point *at)
{
    struct sv_sides sides = sv_gala_sides(w);
    struct sv_scales scales = sv_gala_scales(w);
    int code = sv_kkt_measure(w->nlp, &sides, &scales, w->rhs, at), dropped = 0;
    for (int64_t j = 0; j < w->m && code == 0 && at->measure <= w->s->options.tol; j++)
        if ((at->y[j] < 0 && sides.row_lower[j] == -INFINITY) || (at->y[j] > 0 && sides.row_upper[j] == INFINITY))
            at->y[j] = 0, dropped = 1;
    return dropped ? sv_kkt_measure(w->nlp, &sides, &scales, w->rhs, at) : code;
}

/* Keeps a point that is better than all before. */
static void keep(struct gala *w, const struct sv_kkt_point *at)
{
    w->s->measure = at->measure;
    if (!(at->measure < w->s->best))
        return;
    w->s->best = at->measure;
    w->s->strict = fmax(at->violation, fmax(at->stationarity, at->complementarity) / fmin(at->s, SV_LARGEST_SCALE));
    memcpy(w->best_x, at->x, (size_t)w->n * sizeof *at->x);
    memcpy(w->best_y, at->y, (size_t)w->m * sizeof *at->y);
    memcpy(w->best_z, at->z, (size_t)w->n * sizeof *at->z);
}

/* The status of a point that was measured. */
static void conclude(struct gala *w, const struct sv_kkt_point *at)
{
    double tol = w->s->options.tol, far = 0;
    w->s->stalled = at->measure < 0.9 * w->s->least ? 0 : w->s->stalled + 1;
    w->s->acceptable = at->measure <= 100 * tol && w->s->stalled ? w->s->acceptable + 1 : 0;
    if (w->s->stalled == 0)
        w->s->least = at->measure;
    for (int64_t i = 0; i < w->n; i++)
        far = fmax(far, fabs(w->v[i]));
    if (w->s->best <= tol)
        w->s->status = SV_GALA_CONVERGED;
    else if (w->s->acceptable >= 15 || w->s->stalled >= PATIENCE)
        w->s->status = SV_GALA_STAGNATION;
    else if (far > 1e20 || (w->s->f / w->s->f_scale < -1e20 && at->violation <= 1e-6))
        w->s->status = SV_GALA_DIVERGED;
}

/* Measures the point, and keeps it where it is the best. */
static int measure(struct gala *w)
{
    struct sv_kkt_point at;
    as_seen(w, &at);
    int code = assess(w, &at);
    if (code == 0)
        keep(w, &at);
    return code;
}

/* Whether the loop goes on although a point that was kept meets the tolerance. */
static int goes_further(struct gala *w)
{
    if (w->s->status != SV_GALA_CONVERGED || w->s->further == FURTHER || w->nlp->carried)
        return 0;
    w->s->further++;
    w->s->tiny = 0;
    w->s->status = SV_GALA_RUNNING;
    return 1;
}

/* Measures the point; near a solution the polished one, too. */
static int judge(struct gala *w)
{
    struct sv_sides sides = sv_gala_sides(w);
    struct sv_scales scales = sv_gala_scales(w);
    struct sv_kkt_point at;
    as_seen(w, &at);
    int code = assess(w, &at);
    if (code)
        return code;
    keep(w, &at);
    conclude(w, &at);
    if (w->s->exact) /* its steps are those of the polish */
        return 0;
    double tol = w->s->options.tol, plain = fmax(at.stationarity, fmax(at.violation, at.complementarity));
    int solved = at.measure <= tol;
    if (!solved && w->s->further)
        goes_further(w);
    int last = w->s->acceptable == LAST_TRY, due = at.measure <= 1e-2 * w->s->polished || last;
    if ((solved && plain <= tol && at.complementarity <= tol / 100) || !(at.measure <= POLISHED) || (!solved && !due))
        return 0;
    w->s->polished = at.measure;
    int improved = 0;
    int holding = SV_POLISH_NEAR;
    for (; holding <= (solved ? SV_POLISH_HELD : SV_POLISH_NEAR) && !improved; holding++)
        if ((code = sv_polish(w->nlp, &sides, &scales, last ? 10 : 3, tol / 10, holding, w->more, &at, &improved)))
            return code;
    if (improved) {
        if (holding > SV_POLISH_HELD) /* it counts for more than a smaller measure */
            w->s->best = INFINITY;
        keep(w, &at);
        conclude(w, &at);
    } else if (solved) {
        goes_further(w);
    }
    return w->s->status == SV_GALA_RUNNING ? sv_gala_move(w, w->v, w->c, w->s->f) : 0;
}

/* Products of slacks and multipliers are mu / f_scale in the user's units. */
static double least_mu(const struct gala *w)
{
    double tol = w->s->options.tol * (w->s->further ? LESS_MU : 1);
    return fmax(tol / 10, 1e-14) * w->s->f_scale;
}

static void set_mu(struct gala *w, double mu)
{
    w->s->mu = fmax(mu, least_mu(w));
    w->s->tiny = 0;
    sv_gala_filter_clear(w);
}

/* mu falls as long as its problem is solved well enough. */
static void lower_mu(struct gala *w)
{
    while (w->s->mu > least_mu(w) && (w->s->tiny || sv_gala_error(w, w->s->mu) <= 10 * w->s->mu))
        set_mu(w, fmin(0.2 * w->s->mu, pow(w->s->mu, 1.5)));
}

/* Whether the error of the conditions is below the largest of the last ones, which it joins. */
static int progresses(struct gala *w)
{
    enum { KEPT = sizeof w->s->reference / sizeof *w->s->reference };
    double error = sv_gala_error(w, 0), largest = 0;
    for (int64_t k = 0; k < w->s->references; k++)
        largest = fmax(largest, w->s->reference[k]);
    if (w->s->references == KEPT && !(error <= 0.9999 * largest))
        return 0;
    memmove(w->s->reference + 1, w->s->reference, (KEPT - 1) * sizeof *w->s->reference);
    w->s->reference[0] = error;
    w->s->references += w->s->references < KEPT;
    return 1;
}

/* mu by what a step for mu = 0 would leave of the products (Mehrotra), as long as the error falls; else the problem of one mu
 * is solved first. The system is factored. */
static int choose_mu(struct gala *w)
{
    double average = sv_gala_average_complementarity(w);
    if (!w->s->free && (w->s->tiny || sv_gala_error(w, w->s->mu) <= 10 * w->s->mu)) {
        w->s->free = 1;
        w->s->references = 0;
    }
    if (w->s->free && !progresses(w)) {
        w->s->free = 0;
        set_mu(w, 0.8 * average);
    }
    if (!w->s->free)
        return 0;
    int code = sv_gala_solve(w, 0);
    if (code)
        return code;
    sv_gala_dual_directions(w, 0);
    double left = sv_gala_complementarity_after(w, sv_gala_primal_step(w, w->d, 1), sv_gala_dual_step(w, 1));
    set_mu(w, fmin(pow(left / average, 3), 100) * average);
    return 0;
}

/* Where no step is taken: less violation first, then the slacks and multipliers of that point. */
static int restore(struct gala *w)
{
    struct sv_sides sides = sv_gala_sides(w);
    struct sv_restoration out = {0};
    double theta = sv_gala_violation(w, w->v, w->c), mu = w->s->mu, violation = 0;
    double phi = sv_gala_barrier(w, w->v, w->s->f, mu), f, target;
    for (int64_t j = 0; j < w->m; j++)
        violation = fmax(violation, fmax(w->lower[w->n + j] - w->c[j], w->c[j] - w->upper[w->n + j]));
    sv_gala_filter_add(w, theta, phi);
    memcpy(w->tv, w->v, (size_t)w->N * sizeof *w->v);
    w->s->restorations++;
    target = 0.1 * violation;
    for (int k = 0; k < 6; k++, target *= 0.1) {
        int code = sv_restore(w->nlp, &sides, w->nlp->carried == 0, target, 1e-9, 200, w->tv, w->more, &out);
        if (code == SV_STOP)
            return code;
        sv_gala_push_inside(w, w->tv, 1e-4, NULL);
        if (w->nlp->values(w->nlp->data, w->tv, &f, w->tc))
            return SV_STOP;
        sv_gala_push_inside(w, w->tv, 1e-4, w->tc);
        double now_theta = sv_gala_violation(w, w->tv, w->tc);
        int better = isfinite(f) && sv_gala_filter_accepts(w, now_theta, sv_gala_barrier(w, w->tv, f, mu));
        if (code == SV_RESTORATION_INFEASIBLE && !better) {
            w->s->status = out.violation > w->s->options.tol ? SV_GALA_INFEASIBLE : SV_GALA_STAGNATION;
            return sv_gala_move(w, w->tv, w->tc, f);
        }
        if (better) {
            if ((code = sv_gala_move(w, w->tv, w->tc, f)))
                return code;
            return sv_gala_restart_multipliers(w);
        }
        if (code)
            break;
    }
    w->s->status = SV_GALA_STAGNATION;
    return 0;
}

static int iterate(struct gala *w)
{
    if (w->s->exact) {
        int code = w->s->exact == 3   ? sv_gala_sequential_step(w)
                   : w->s->exact == 2 ? sv_gala_active_step(w)
                                      : sv_gala_equality_step(w);
        w->s->nit += code == 0;
        return code;
    }
    if (w->s->tiny >= 2) {
        w->s->status = SV_GALA_STAGNATION;
        return 0;
    }
    int adaptive = !w->s->options.monotone && w->s->attempt == 0 && sv_gala_average_complementarity(w) > 0;
    if (!adaptive)
        lower_mu(w);
    int code = sv_gala_curvature(w);
    if (code == 0)
        code = sv_gala_factor(w);
    for (int64_t j = 0; j < w->m; j++)
        w->rc[j] = gala_free_row(w, j) ? 0 : w->c[j] - w->v[w->n + j];
    if (code == 0 && adaptive)
        code = choose_mu(w);
    if (code == 0)
        code = sv_gala_solve(w, w->s->mu);
    if (code == 0) {
        sv_gala_dual_directions(w, w->s->mu);
        code = sv_gala_search(w, fmax(0.99, 1 - w->s->mu));
    }
    if (code != SV_STOP && code)
        code = restore(w);
    if (code)
        return code;
    sv_gala_part_from_sides(w);
    sv_gala_clamp_multipliers(w);
    w->s->nit++;
    return 0;
}

/* How many attempts may follow the first. Where all are equations neither mu nor the push makes a difference: there is the
 * filter after the exact augmented Lagrangian, which may have had two starts, and nothing after the filter. */
static int64_t further_attempts(const struct gala *w)
{
    if (sv_gala_equalities_only(w))
        return w->s->options.exact ? 1 + w->s->approached : 0;
    return sizeof ATTEMPTS / sizeof *ATTEMPTS;
}

/* Whether rows are violated that no variable moves but those that are fixed. */
static int held_outside(struct gala *w, int *held)
{
    double *v = w->point_y, *slope = w->point_x, tol = w->s->options.tol;
    *held = 0;
    for (int64_t j = 0; j < w->m; j++) {
        double low = w->lower[w->n + j], high = w->upper[w->n + j];
        v[j] = w->c[j] - fmin(fmax(w->c[j], low), high);
        *held |= fabs(v[j]) > tol * w->c_scale[j];
    }
    int code = *held ? w->nlp->slopes(w->nlp->data, w->v, NULL) : 0;
    if (code == 0 && *held)
        code = w->nlp->adjoint(w->nlp->data, v, slope);
    for (int64_t i = 0; i < w->n && code == 0; i++)
        *held &= gala_fixed(w, i) || slope[i] == 0;
    return code;
}

/* After an attempt that failed: the next one, where there is one. */
static int again(struct gala *w)
{
    sv_gala *s = w->s;
    if (s->best <= s->options.tol) { /* what came of further iterations does not matter */
        s->status = SV_GALA_CONVERGED;
        return 0;
    }
    int held = 0, code = s->status == SV_GALA_STAGNATION ? held_outside(w, &held) : 0;
    if (code)
        return code;
    if (held)
        s->status = SV_GALA_INFEASIBLE; /* no other point is better */
    /* a start that was moved to the rows counts for nothing: those that follow are from x0 itself */
    s->infeasible += s->status == SV_GALA_INFEASIBLE && !(s->approached && s->attempt == 0);
    if (s->exact == 3 && (s->status == SV_GALA_INFEASIBLE || s->status == SV_GALA_STAGNATION))
        return sv_gala_hand_over(w);
    /* Near the tolerance it is rounding that stops a solve; but of equations that become dependent there, M itself. */
    int near = fmax(s->best, s->handed ? s->least : 0) <= 100 * s->options.tol && !(w->m && sv_gala_equalities_only(w));
    int gives_up = near || s->infeasible == 2 || s->attempt == further_attempts(w);
    if (gives_up || (s->status != SV_GALA_INFEASIBLE && s->status != SV_GALA_STAGNATION)) {
        if (s->status == SV_GALA_INFEASIBLE) { /* that point is the answer */
            s->best = INFINITY;
            return measure(w);
        }
        if (s->status == SV_GALA_STAGNATION && s->blind)
            s->status = SV_GALA_NONFINITE;
        return 0;
    }
    double mu = ATTEMPTS[s->attempt].mu, push = ATTEMPTS[s->attempt].push;
    s->attempt++;
    code = sv_gala_begin(w, mu, push);
    if (code == 0) {
        s->status = SV_GALA_RUNNING;
        code = sv_gala_move(w, w->v, w->c, s->f);
    }
    return code == SV_FAILED ? 0 : code;
}

int sv_gala_offer(const sv_nlp *nlp, sv_gala *state, const double *x, const double *y, const double *z, double *work)
{
    struct gala parts, *w = &parts;
    sv_gala_lay_out(w, nlp, state, work);
    struct sv_kkt_point at = {.x = w->point_x, .g = w->point_g, .z = w->point_z, .c = w->point_c, .y = w->point_y};
    memcpy(at.x, x, (size_t)w->n * sizeof *x);
    for (int64_t i = 0; i < w->n; i++)
        at.z[i] = z[i] * state->f_scale;
    for (int64_t j = 0; j < w->m; j++)
        at.y[j] = y[j] * state->f_scale / w->c_scale[j];
    int code = nlp->values(nlp->data, x, &at.f, at.c);
    if (code == 0)
        code = nlp->slopes(nlp->data, x, at.g);
    if (code == 0)
        code = assess(w, &at);
    if (code)
        return code;
    keep(w, &at);
    if (state->best <= state->options.tol)
        state->status = SV_GALA_CONVERGED;
    memcpy(w->y, at.y, (size_t)w->m * sizeof *at.y);
    for (int64_t i = 0; i < w->N; i++) {
        double multiplier = i < w->n ? at.z[i] : at.y[i - w->n];
        if (w->lo[i] > -INFINITY)
            w->zl[i] = fmax(-multiplier, state->mu);
        if (w->up[i] < INFINITY)
            w->zu[i] = fmax(multiplier, state->mu);
    }
    return 0;
}

int sv_gala_run(const sv_nlp *nlp, sv_gala *state, int64_t iterations, double seconds, double *work)
{
    struct gala parts, *w = &parts;
    sv_gala_lay_out(w, nlp, state, work);
    double end = now() + seconds;
    int code = nlp->scale(nlp->data, state->f_scale, w->c_scale);
    if (code == 0)
        code = sv_gala_move(w, w->v, w->c, state->f);
    if (code == 0 && state->nit == 0 && state->best == INFINITY)
        code = judge(w);
    for (int64_t k = 0; k < iterations && code == 0 && state->status == SV_GALA_RUNNING; k++) {
        code = iterate(w);
        if (code == 0 && state->status != SV_GALA_INFEASIBLE)
            code = judge(w);
        if (code == 0 && state->status > 0)
            code = again(w);
        if (now() > end)
            break;
    }
    return code;
}

int sv_gala_gives_up(const sv_gala *state, int64_t first, int64_t max_iter)
{
    if (state->nit >= max_iter)
        return 0;
    if (state->status == SV_GALA_RUNNING)
        return state->nit >= first;
    if (state->status == SV_GALA_CONVERGED)
        return state->strict > state->options.tol;
    return state->status == SV_GALA_STAGNATION || state->status == SV_GALA_INFEASIBLE || state->status == SV_GALA_NONFINITE;
}
