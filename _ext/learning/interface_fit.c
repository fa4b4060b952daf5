/* Fits of generalised linear models through the C interface, one or a path of them: see solvers.h.
 *
 * The loop is that of Python over the same steps; the path that of solvers.learning.glm_path.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interface_glm.h"

enum { STEPS = 200 };

static int check_penalty(const sv_glm_penalty *p, size_t d)
{
    if (!(p->l1 >= 0) || isinf(p->l1))
        return sv_fail(SV_INVALID, "penalty->l1 is %g, but must be finite and >= 0", p->l1);
    if (!(p->l2 >= 0) || isinf(p->l2))
        return sv_fail(SV_INVALID, "penalty->l2 is %g, but must be finite and >= 0", p->l2);
    int status = sv_glm_check_side(p->weights, d, 1, "penalty->weights");
    if (!status)
        status = sv_glm_check_side(p->low, d, -1, "penalty->low");
    return status ? status : sv_glm_check_side(p->high, d, 1, "penalty->high");
}

static int check_options(const sv_glm_options *o, size_t d)
{
    if (!(o->tol > 0) || isinf(o->tol))
        return sv_fail(SV_INVALID, "options->tol is %g, but must be positive", o->tol);
    if (!isfinite(o->intercept0))
        return sv_fail(SV_INVALID, "options->intercept0 is %g", o->intercept0);
    if (o->first < 0 || o->first > INT32_MAX)
        return sv_fail(SV_INVALID, "options->first is %lld, but must be between 0 and 2^31 - 1", (long long)o->first);
    return o->x0 ? sv_check_finite(o->x0, d, "options->x0") : SV_OK;
}

/* The penalty of each coordinate, `strength` times what is given, none for the intercept. */
static void place_penalty(sv_glm *glm, const sv_glm_penalty *p, double strength)
{
    struct sv_fit *fit = &glm->fit;
    for (size_t j = 0; j < fit->d; j++) {
        double weight = p->weights ? p->weights[j] : 1;
        int out = isinf(weight);
        glm->l1[j] = out ? 0 : strength * (p->l1 * weight);
        glm->l2[j] = out ? 0 : strength * (p->l2 * weight);
        glm->low[j] = out ? 0 : p->low ? p->low[j] : -INFINITY;
        glm->high[j] = out ? 0 : p->high ? p->high[j] : INFINITY;
    }
    if (fit->ones) {
        glm->l1[fit->d] = glm->l2[fit->d] = 0;
        glm->low[fit->d] = -INFINITY;
        glm->high[fit->d] = INFINITY;
    }
}

/* Where to start, within the bounds. */
static void place_start(sv_glm *glm, const sv_glm_options *o)
{
    for (size_t j = 0; j < glm->fit.d; j++)
        glm->state.w[j] = fmin(fmax(o->x0 ? o->x0[j] : 0, glm->low[j]), glm->high[j]);
    if (glm->fit.ones)
        glm->state.w[glm->fit.d] = o->intercept0;
}

/* The fit of the penalty that was placed, from state->w; returns how it ended. */
static int run(sv_glm *glm, const sv_glm_options *o, const struct sv_watch *watch, double tol, const uint8_t *guess)
{
    struct sv_fit *fit = &glm->fit;
    struct sv_fit_state *state = &glm->state;
    fit->tol = tol;
    fit->first = o->first;
    fit->screening = o->screening;
    fit->threads = watch->control.threads;
    sv_fit_prepare(fit);
    sv_fit_begin(fit, state, guess);
    for (int first = 1;; first = 0) {
        int status = sv_ended(watch, sv_fit_reached(fit, state), first, state->nit, state->measure, state->w, fit->d);
        if (status >= 0)
            return status;
        sv_fit_step(fit, state);
    }
}

/* What holds of the coefficients that are returned. */
static int answer(sv_glm *glm, const struct sv_watch *watch, int status, double *coef, sv_glm_result *result,
                  sv_report *report)
{
    struct sv_fit_state *state = &glm->state;
    struct sv_fit_bounds at;
    sv_fit_bound(&glm->fit, state->w, NULL, state->z, state->v, state->g, &at);
    double measure = sv_fit_measure(&glm->fit, at.primal, at.dual);
    if (sv_fit_separates(&glm->fit, state->w, state->z))
        measure = DBL_MAX; /* finite, since nothing was wrong with the arithmetic */
    memcpy(coef, state->w, glm->fit.d * sizeof *coef);
    if (result) {
        sv_glm_result full = {result->struct_size, glm->fit.ones ? state->w[glm->fit.d] : 0, at.primal,
                              fmax(at.primal - at.dual, 0), at.kkt};
        memcpy(result, &full, result->struct_size);
    }
    return sv_judged(watch, status, state->nit, measure, glm->fit.tol, report);
}

/* The structures of options as this version has them, checked. */
struct wishes {
    sv_glm_penalty penalty;
    sv_glm_options options;
    sv_control control;
};

static int read_wishes(struct wishes *to, size_t d, const sv_glm_penalty *penalty, const sv_glm_options *options,
                       const sv_control *control)
{
    *to = (struct wishes){SV_GLM_PENALTY_INIT, SV_GLM_OPTIONS_INIT, SV_CONTROL_INIT};
    struct sv_watch unused;
    int status = sv_read_struct(&to->penalty, sizeof to->penalty, penalty, "penalty");
    if (!status)
        status = sv_read_struct(&to->options, sizeof to->options, options, "options");
    if (!status)
        status = check_penalty(&to->penalty, d);
    if (!status)
        status = check_options(&to->options, d);
    if (!status)
        status = sv_begin(&unused, control, STEPS);
    if (!status)
        to->control = unused.control;
    return status;
}

static int solve(sv_glm *glm, const sv_glm_penalty *penalty, const sv_glm_options *options, const sv_control *control,
                 double *coef, sv_glm_result *result, sv_report *report)
{
    sv_glm_result unused = SV_GLM_RESULT_INIT;
    struct wishes wishes;
    struct sv_watch watch;
    int status = sv_read_struct(&unused, sizeof unused, result, "result");
    if (!status)
        status = read_wishes(&wishes, glm->fit.d, penalty, options, control);
    if (!status)
        status = sv_begin(&watch, control, STEPS);
    if (status)
        return status;
    place_penalty(glm, &wishes.penalty, 1);
    place_start(glm, &wishes.options);
    status = run(glm, &wishes.options, &watch, wishes.options.tol, NULL);
    return answer(glm, &watch, status, coef, result, report);
}

int sv_glm_solve(sv_glm *glm, const sv_glm_penalty *penalty, const sv_glm_options *options, const sv_control *control,
                 double *coef, sv_glm_result *result, sv_report *report)
{
    SV_NEED(glm);
    SV_NEED(coef);
    int status = sv_enter(&glm->guard);
    if (status)
        return status;
    status = solve(glm, penalty, options, control, coef, result, report);
    sv_leave(&glm->guard);
    return status;
}

int sv_glm_fit(const sv_design *X, const double *y, const double *sample_weight, int loss, int fit_intercept,
               const sv_glm_penalty *penalty, const sv_glm_options *options, const sv_control *control, double *coef,
               sv_glm_result *result, sv_report *report)
{
    sv_glm *glm;
    SV_NEED(coef);
    int status = sv_glm_create(&glm, X, y, sample_weight, loss, fit_intercept);
    if (status)
        return status;
    status = sv_glm_solve(glm, penalty, options, control, coef, result, report);
    sv_glm_destroy(glm);
    return status;
}

/* ---- a path ---- */

/* The places of the strengths from the largest to the smallest, those that are alike as they come. */
static void sorted(const double *lams, size_t count, size_t *order)
{
    for (size_t k = 0; k < count; k++) {
        size_t at = k;
        for (; at > 0 && lams[order[at - 1]] < lams[k]; at--)
            order[at] = order[at - 1];
        order[at] = k;
    }
}

/* The fit of the coefficients without a penalty alone: where a path begins. Leaves w and the whole gradient there. */
static void begin_path(sv_glm *glm, const struct wishes *wishes)
{
    struct sv_fit *fit = &glm->fit;
    struct sv_fit_state *state = &glm->state;
    struct sv_fit_bounds at;
    struct sv_watch watch;
    size_t all = fit->d + (fit->ones != 0);
    sv_control control = wishes->control;
    control.callback = NULL;
    place_penalty(glm, &wishes->penalty, 1);
    for (size_t j = 0; j < all; j++) {
        int is_free = glm->l1[j] == 0 && glm->l2[j] == 0;
        glm->low[j] = is_free ? glm->low[j] : 0;
        glm->high[j] = is_free ? glm->high[j] : 0;
        glm->l1[j] = glm->l2[j] = state->w[j] = 0;
    }
    sv_begin(&watch, &control, STEPS);
    run(glm, &wishes->options, &watch, fmin(wishes->options.tol, 1e-10), NULL);
    sv_fit_bound(fit, state->w, NULL, state->z, state->v, state->g, &at);
}

/* guess = coordinates that come into use if their gradients change as fast as the penalty, which fell to `ratio` of
 * itself (the sequential strong rule); NULL where that would be nearly all. */
static const uint8_t *guessed(sv_glm *glm, double ratio)
{
    size_t all = glm->fit.d + (glm->fit.ones != 0);
    for (size_t j = 0; j < all; j++)
        glm->guess[j] = glm->l1[j] > 0 && fabs(glm->state.g[j]) >= (2 - 1 / ratio) * glm->l1[j];
    return ratio < 0.6 ? NULL : glm->guess;
}

static int check_path(const sv_glm *glm, const struct wishes *wishes, const double *lams, size_t count)
{
    size_t size;
    if (count == 0)
        return sv_fail(SV_INVALID, "count is 0");
    if (wishes->options.x0)
        return sv_fail(SV_INVALID, "options->x0 must be NULL: a path begins at zero");
    int status = sv_product(count, glm->fit.d, "count", &size);
    if (!status)
        status = sv_check_finite(lams, count, "lams");
    return status ? status : sv_glm_check_side(lams, count, 1, "lams");
}

/* Where a path writes; all but coefs may be NULL. */
struct outputs {
    double *coefs, *intercepts, *gaps;
    int *statuses;
};

static void write_point(const struct outputs *to, size_t place, const sv_glm_result *result, int status)
{
    if (to->intercepts)
        to->intercepts[place] = result->intercept;
    if (to->gaps)
        to->gaps[place] = result->gap;
    if (to->statuses)
        to->statuses[place] = status;
}

/* The fits; returns the status of the first that did not succeed. */
static int follow_path(sv_glm *glm, const struct wishes *wishes, const double *lams, size_t count, const size_t *order,
                       const struct outputs *to)
{
    sv_glm_result result = SV_GLM_RESULT_INIT;
    double before = lams[order[0]];
    int worst = SV_CONVERGED;
    begin_path(glm, wishes);
    for (size_t k = 0; k < count; k++) {
        double lam = lams[order[k]], *coef = to->coefs + order[k] * glm->fit.d;
        struct sv_watch watch;
        sv_begin(&watch, &wishes->control, STEPS);
        place_penalty(glm, &wishes->penalty, lam);
        int status = run(glm, &wishes->options, &watch, wishes->options.tol, before > 0 ? guessed(glm, lam / before) : NULL);
        status = answer(glm, &watch, status, coef, &result, NULL);
        write_point(to, order[k], &result, status);
        worst = worst == SV_CONVERGED ? status : worst;
        before = lam;
        if (status == SV_CALLBACK_STOP) { /* the rest are as this one */
            for (k++; k < count; k++) {
                memcpy(to->coefs + order[k] * glm->fit.d, coef, glm->fit.d * sizeof *coef);
                write_point(to, order[k], &result, status);
            }
        }
    }
    return worst;
}

int sv_glm_path(sv_glm *glm, const sv_glm_penalty *penalty, const double *lams, size_t count,
                const sv_glm_options *options, const sv_control *control, double *coefs, double *intercepts,
                double *gaps, int *statuses)
{
    struct wishes wishes;
    SV_NEED(glm);
    SV_NEED(lams);
    SV_NEED(coefs);
    int status = sv_enter(&glm->guard);
    if (status)
        return status;
    status = read_wishes(&wishes, glm->fit.d, penalty, options, control);
    if (!status)
        status = check_path(glm, &wishes, lams, count);
    size_t *order = status ? NULL : malloc(count * sizeof *order);
    if (!status && !order)
        status = sv_fail(SV_NO_MEMORY, "count: no memory for the order of %zu strengths", count);
    if (!status) {
        const struct outputs to = {coefs, intercepts, gaps, statuses};
        sorted(lams, count, order);
        status = follow_path(glm, &wishes, lams, count, order, &to);
    }
    free(order);
    sv_leave(&glm->guard);
    return status;
}
