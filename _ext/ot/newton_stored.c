/* Easy problems in the kernel domain: the plan in memory, Sinkhorn's iteration and Newton steps on its scalings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "newton_parts.h"
#include "sums.h"

/* A stored plan is not scaled where the marginal error comes within so many times its rounding. */
static const double NEAR_ROUNDOFF = 1e3;
/* Squares of sums must neither underflow nor overflow. */
static const double ORDINARY_MASS = 1e100;
static const double LEAST_GOAL = 1e-6, LARGEST_GOAL = 0.1;

/* Whether the plan may be stored, and its scalings are still far from their own rounding. */
int sv_ot_storable(const struct sv_ot_newton *s)
{
    const struct ot_problem *p = s->problem;
    const int ordinary = p->mass_a > 1 / ORDINARY_MASS && p->mass_a < ORDINARY_MASS;
    return ordinary && p->n <= s->options.most_stored / p->m && s->state.at.measure > NEAR_ROUNDOFF * p->roundoff;
}

/* How many more Sinkhorn iterations the tolerance needs, by the rate of the last `done` ones. */
long long sv_ot_iterations_left(const struct sv_ot_newton *s, int done)
{
    const struct ot_point *at = &s->state.at;
    const int known = at->previous > 0 && at->previous < INFINITY;
    const double rate = known ? pow(at->measure / at->previous, 1.0 / (done > 1 ? done : 1)) : 0;
    if (!(rate > 0 && rate < 1))
        return OT_NEVER;
    const double more = ceil(log(s->problem->tol / at->measure) / log(rate));
    return more < (double)OT_NEVER ? (long long)more : OT_NEVER;
}

void sv_ot_forget_plan(struct sv_ot_newton *s)
{
    if (s->plan_block)
        sv_scratch_give(s->plan_block, s->plan_bytes);
    s->plan_block = NULL;
    s->plan_made = 0;
}

/* Room for a plan. */
static int take_plan(struct sv_ot_newton *s)
{
    const struct ot_problem *p = s->problem;
    const size_t n = p->n, m = p->m, stride = sv_ot_scaling_stride(m);
    if (s->plan_block)
        return OT_DONE;
    int used;
    const size_t cg = sv_ot_scaling_cg_worksize(n, m), sweeps = sv_ot_scaling_sweeps_worksize(n, m);
    const size_t work = cg > sweeps ? cg : sweeps;
    s->plan_bytes = (n * stride + work + n + m) * sizeof(double);
    s->plan_block = sv_scratch_take(s->plan_bytes, &used);
    if (!s->plan_block)
        return OT_NO_MEMORY;
    s->plan = (struct sv_ot_stored_plan){.n = n, .m = m, .p = s->plan_block, .stride = stride, .a = p->a};
    s->plan_work = s->plan_block + n * stride; /* at a cache line, as the stride is whole lines */
    s->plan_u = s->plan_work + work;
    s->plan_v = s->plan_u + n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = m; j < stride; j++)
            s->plan_block[i * stride + j] = 0;
    return OT_DONE;
}

/* The plan in memory is that of (stored_u, stored_v). */
static void note_plan(struct sv_ot_newton *s)
{
    memcpy(s->plan_u, s->state.stored_u, s->problem->n * sizeof(double));
    memcpy(s->plan_v, s->state.stored_v, s->problem->m * sizeof(double));
    s->plan_made = 1;
}

/* The plan at (stored_u, stored_v) in memory; nothing to do where it is there. */
static int make_plan(struct sv_ot_newton *s)
{
    const struct ot_problem *p = s->problem;
    const double *u = s->state.stored_u, *v = s->state.stored_v;
    if (take_plan(s))
        return OT_NO_MEMORY;
    if (s->plan_made && !memcmp(s->plan_u, u, p->n * sizeof(double)) && !memcmp(s->plan_v, v, p->m * sizeof(double)))
        return OT_DONE;
    s->plan_made = 0;
    if (p->passes->plan_rows(p->cost, p->scale, u, v, s->plan_block, s->plan.stride, p->threads))
        return OT_GAVE_UP;
    note_plan(s);
    return OT_DONE;
}

/* The same, and at y = 1 the x that meets the rows, and the column sums then. */
static int make_plan_and_meet(struct sv_ot_newton *s)
{
    const struct ot_problem *p = s->problem;
    struct sv_ot_newton_state *state = &s->state;
    if (take_plan(s))
        return OT_NO_MEMORY;
    s->plan_made = 0;
    const struct ot_storing storing = {s->plan_block, s->plan.stride, state->x};
    if (p->passes->store(p->cost, p->scale, p->a, state->stored_u, state->stored_v, &storing, state->at.column_sums,
                         p->threads))
        return OT_GAVE_UP;
    note_plan(s);
    return OT_DONE;
}

/* The point at the scalings x, y of the stored plan, whose column sums are known. */
static void rescaled(struct sv_ot_newton *s, double previous)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct ot_problem *p = s->problem;
    for (size_t i = 0; i < p->n; i++)
        state->at.u[i] = state->stored_u[i] + log2(state->x[i]);
    for (size_t j = 0; j < p->m; j++)
        state->at.v[j] = state->stored_v[j] + log2(state->y[j]);
    state->at.measure = sv_ot_error(p, NULL, state->at.column_sums);
    state->at.previous = previous;
}

static void set_ones(double *x, size_t size)
{
    for (size_t k = 0; k < size; k++)
        x[k] = 1;
}

static int moved_far(const double *x, const double *from, size_t size, double far)
{
    for (size_t k = 0; k < size; k++)
        if (fabs(x[k] - from[k]) > far)
            return 1;
    return 0;
}

/* The state at the plan of (stored_u, stored_v), its columns as they are and its rows met. */
static int started(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    set_ones(state->y, s->problem->m);
    const int status = make_plan_and_meet(s);
    if (status)
        return status;
    state->scaled = 1;
    state->sinkhorn = state->passes = 1;
    state->sweeps_left = OT_RATE_SWEEPS + OT_PATIENCE;
    rescaled(s, state->at.measure);
    return OT_DONE;
}

int sv_ot_stored_start(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct ot_problem *p = s->problem;
    /* The largest entry of a row becomes about 1. */
    for (size_t i = 0; i < p->n; i++)
        state->stored_u[i] = s->options.least ? p->scale * s->options.least[i] : 0;
    memcpy(state->stored_v, state->at.v, p->m * sizeof(double));
    return started(s);
}

int sv_ot_stored_warm(struct sv_ot_newton *s, int *near)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct ot_problem *p = s->problem;
    memcpy(state->stored_u, state->at.u, p->n * sizeof(double));
    memcpy(state->stored_v, state->at.v, p->m * sizeof(double));
    const int status = started(s);
    *near = isfinite(state->at.measure) && sv_ot_relative_error(p, state->at.column_sums) <= OT_WARM_ERROR
            && !moved_far(state->at.u, state->stored_u, p->n, s->options.absorbed);
    return status;
}

int sv_ot_stored(struct sv_ot_newton *s, long long sweeps)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct ot_problem *p = s->problem;
    state->at.kept = (struct ot_kept){0};
    set_ones(state->x, p->n);
    set_ones(state->y, p->m);
    memcpy(state->stored_u, state->at.u, p->n * sizeof(double));
    memcpy(state->stored_v, state->at.v, p->m * sizeof(double));
    state->scaled = 1;
    state->passes++;
    state->sweeps_left = sweeps;
    return sv_ot_scaled_step(s);
}

/* The sweeps that are due; then their rate says how many more are, or none if they would be too many. */
static void scaled_sweeps(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct ot_problem *p = s->problem;
    const int done = sv_ot_scaling_sweeps(&s->plan, p->b, state->x, state->y, state->at.column_sums,
                                          (int)state->sweeps_left, OT_PATIENCE, p->aim, s->plan_work, p->threads);
    rescaled(s, state->at.measure);
    state->scalings += done;
    state->sinkhorn += done;
    const long long more = sv_ot_iterations_left(s, done);
    state->sweeps_left = more <= OT_PATIENCE ? more : 0;
}

/* The direction of a damped Newton step on the scalings; returns whether it had to be clipped. */
static int scaled_direction(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct ot_problem *p = s->problem;
    const size_t m = p->m;
    double *gradient = s->room, *diagonal = gradient + m, *z = diagonal + m, residual;
    const double *c = state->at.column_sums, error = sv_ot_relative_error(p, c);
    for (size_t j = 0; j < m; j++) {
        gradient[j] = p->b[j] - c[j];
        diagonal[j] = c[j] + state->damping * error * p->b[j];
    }
    const double share = fmin(fmax(error, LEAST_GOAL), LARGEST_GOAL);
    const double goal = fmax(share * sqrt(sv_ot_distance_squared(gradient, NULL, 1, m)), sv_ot_enough(s));
    const int taken = sv_ot_scaling_cg(&s->plan, state->x, state->y, diagonal, gradient, z, goal, OT_MOST_CG, &residual,
                                       s->plan_work, p->threads);
    state->cg += taken;
    state->scalings += taken;
    state->hard = residual > goal;
    sv_ot_without_mean(p, z, s->direction, OT_LN2);
    const double largest = sv_ot_distance_linf(s->direction, NULL, m);
    const int clipped = largest > s->options.absorbed;
    if (clipped)
        sv_ot_clip(s, p->b, c, s->options.absorbed / largest, s->options.absorbed);
    return clipped;
}

/* A damped Newton step on the scalings, shortened until the dual rises. After one that was clipped an iteration of
 * Sinkhorn's is due: a column that has next to nothing asks for a step without measure, which leaves none to the others
 * until it has what it lacks. */
static void scaled_newton(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct ot_problem *p = s->problem;
    struct ot_point *at = &state->at;
    const int clipped = scaled_direction(s);
    const double previous = at->measure, slope = sv_ot_dot_change(s->direction, p->b, at->column_sums, p->m);
    const double rounding = sv_ot_gain_rounding(s, at->u, at->v);
    memcpy(s->old_u, at->u, p->n * sizeof(double));
    memcpy(s->old_v, at->v, p->m * sizeof(double));
    memcpy(s->old_y, state->y, p->m * sizeof(double));
    double step = 1;
    int trial = 0;
    for (;; trial++) {
        for (size_t j = 0; j < p->m; j++)
            state->y[j] = s->old_y[j] * exp2(step * s->direction[j]);
        sv_ot_scaling_update(&s->plan, state->x, state->y, at->column_sums, s->plan_work, p->threads);
        rescaled(s, previous);
        state->scalings++;
        if (sv_ot_gain(s, s->old_u, s->old_v, at) >= OT_ARMIJO * step * slope - rounding || trial == OT_TRIALS - 1)
            break;
        step *= OT_SHRINK;
    }
    state->newton++;
    state->damping = fmin(fmax(state->damping * (trial ? 8 : 0.25), OT_LEAST_DAMPING), OT_LARGEST_DAMPING);
    state->sweeps_left = clipped;
}

int sv_ot_scaled_step(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct ot_problem *p = s->problem;
    if (!sv_ot_storable(s) || state->hard)
        return sv_ot_swept_at_best(s, 0);
    if (moved_far(state->at.u, state->stored_u, p->n, s->options.absorbed)
        || moved_far(state->at.v, state->stored_v, p->m, s->options.absorbed))
        return sv_ot_stored(s, state->sweeps_left);
    const int status = make_plan(s);
    if (status)
        return status;
    if (state->sweeps_left > 0)
        scaled_sweeps(s);
    else
        scaled_newton(s);
    return OT_DONE;
}
