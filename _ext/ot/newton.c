/* The driver of the default solver: its stages, sweeps, and Newton steps in the log domain (see newton.h).
 *
 * The state's vectors change in place; a step that leaves the finite numbers is taken back. What decides is summed by
 * sums.h, so that the bits depend on neither the host nor the number of threads.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "newton_parts.h"
#include "solvers.h"
#include "sums.h"

/* Costs that span at most so many times reg are stored without a sweep before: neither the entries of exp(-C / reg) nor
 * their products with scalings come near the end of float64. */
static const double GENTLE_SPAN = 138;
/* The first stage: the costs span so many times its regularisation. */
static const double FIRST_SPAN = 20;
/* The last stage begins below this. */
static const double LAST_STAGE = 1.5;
/* As many sweeps cost less than to store the plan and to scale it. */
enum { CHEAPER_SWEEPS = 3 };
/* Share of the entries from which on a stored plan is faster than its large entries. */
static const double WIDE = 0.12;
/* A step is lengthened, by so much each time, while the slope is at least this share of the first. */
static const double LENGTHEN = 3, SLOPE_LEFT = 0.5;
/* Of a row the entries below this multiple of the marginal error are left out, as if there were m of them. */
static const double NEGLIGIBLE = 10, LEAST_ERROR = 1e-9;
/* Of the tolerance, the entries below which a warm start may leave out. */
static const double UNSEEN = 1e-3;
/* Of the error that ends a stage, what a Newton step may leave of its linear model. */
static const double ENOUGH = 0.25;
/* Entries kept in all, in a row of a stage before the last, and in any row. */
enum { MOST_KEPT = 1 << 23, ROW_KEPT = 128, LEAST_KEPT = 8 };

static int easy(const struct ot_problem *p) { return p->span / p->reg <= SV_OT_EASY_SPAN; }

static int gentle(const struct sv_ot_newton *s)
{
    return s->options.gentle && s->problem->span / s->problem->reg <= GENTLE_SPAN;
}

double sv_ot_relative_error(const struct ot_problem *p, const double *column_sums)
{
    const double error = sv_ot_distance_l1(column_sums, p->b, p->m) / p->mass_a;
    return error < 1 ? error : 1;
}

double sv_ot_enough(const struct sv_ot_newton *s)
{
    const struct ot_problem *p = s->problem;
    const double aim = s->state.stage == 1 ? p->aim : s->options.stage_tol * p->mass_a;
    const int summed = s->state.stage > 1 || p->norm == SV_OT_NORM_L1;
    return ENOUGH * (summed ? aim / sqrt((double)p->m) : aim);
}

double sv_ot_gain(const struct sv_ot_newton *s, const double *old_u, const double *old_v, const struct ot_point *new)
{
    const struct ot_problem *p = s->problem;
    return (sv_ot_dot_change(p->a, new->u, old_u, p->n) + sv_ot_dot_change(p->b, new->v, old_v, p->m)) / s->state.stage;
}

double sv_ot_gain_rounding(const struct sv_ot_newton *s, const double *u, const double *v)
{
    const struct ot_problem *p = s->problem;
    return 1e-15 * (sv_ot_dot_size(p->a, u, p->n) + sv_ot_dot_size(p->b, v, p->m)) / s->state.stage;
}

void sv_ot_without_mean(const struct ot_problem *p, const double *z, double *direction, double unit)
{
    const double mean = sv_ot_dot(z, p->b, p->m) / p->mass_b;
    for (size_t j = 0; j < p->m; j++)
        direction[j] = (z[j] - mean) / unit;
}

void sv_ot_clip(struct sv_ot_newton *s, const double *b, const double *c, double share, double most)
{
    const size_t m = s->problem->m;
    double slope = 0;
    for (size_t j = 0; j < m; j++)
        slope += fmax(-most, fmin(s->direction[j], most)) * (b[j] - c[j]);
    for (size_t j = 0; j < m; j++)
        s->direction[j] = slope > 0 ? fmax(-most, fmin(s->direction[j], most)) : s->direction[j] * share;
}

/* ---- memory -------------------------------------------------------------------------------------- */

static size_t state_size(const struct ot_problem *p) { return 3 * p->n + 4 * p->m; }

/* The next `size` doubles of a block. */
static double *part(double **place, size_t size)
{
    double *here = *place;
    *place += size;
    return here;
}

static void place_point(struct ot_point *point, double **place, const struct ot_problem *p)
{
    point->u = part(place, p->n), point->v = part(place, p->m), point->column_sums = part(place, p->m);
}

struct sv_ot_newton *sv_ot_newton_create(const struct ot_problem *p, const struct ot_newton_options *options)
{
    const size_t n = p->n, m = p->m;
    struct sv_ot_newton *s = calloc(1, sizeof *s);
    const size_t bytes = (2 * state_size(p) + 2 * (n + 2 * m) + (n + 3 * m) + (2 * n + 6 * m)) * sizeof(double);
    int used;
    double *place = s ? sv_scratch_take(bytes, &used) : NULL;
    if (!place) {
        free(s);
        return NULL;
    }
    if (used)
        memset(place, 0, bytes);
    s->vectors_bytes = bytes;
    s->problem = p;
    s->options = *options;
    s->vectors = place;
    place_point(&s->state.at, &place, p);
    s->state.x = part(&place, n), s->state.y = part(&place, m);
    s->state.stored_u = part(&place, n), s->state.stored_v = part(&place, m);
    s->before = part(&place, state_size(p));
    place_point(&s->trial, &place, p);
    place_point(&s->further, &place, p);
    s->old_u = part(&place, n), s->old_v = part(&place, m), s->old_y = part(&place, m);
    s->direction = part(&place, m);
    s->room = place;
    return s;
}

static void give_entries(struct ot_entries *entries)
{
    if (entries->block)
        sv_scratch_give(entries->block, entries->bytes);
    entries->block = NULL;
    entries->room = 0;
}

int sv_ot_take_entries(struct ot_entries *entries, size_t room, size_t n)
{
    if (room <= entries->room)
        return OT_DONE;
    give_entries(entries);
    int used;
    entries->bytes = room * (sizeof(double) + sizeof(int)) + (2 * n + 1) * sizeof(ptrdiff_t);
    entries->block = sv_scratch_take(entries->bytes, &used);
    if (!entries->block)
        return OT_NO_MEMORY;
    entries->room = room;
    entries->values = entries->block;
    entries->row_starts = (ptrdiff_t *)(entries->values + room);
    entries->counts = entries->row_starts + n + 1;
    entries->columns = (int *)(entries->counts + n);
    return OT_DONE;
}

void sv_ot_newton_destroy(struct sv_ot_newton *s)
{
    if (!s)
        return;
    sv_ot_forget_plan(s);
    for (int k = 0; k < 2; k++)
        give_entries(&s->entries[k]);
    sv_scratch_give(s->vectors, s->vectors_bytes);
    free(s);
}

struct sv_ot_newton_state *sv_ot_newton_state(struct sv_ot_newton *s) { return &s->state; }

/* ---- the log domain ------------------------------------------------------------------------------- */

double sv_ot_negligible(const struct ot_problem *p, double error)
{
    return NEGLIGIBLE * fmax(error, LEAST_ERROR) / (double)p->m;
}

/* What to keep of the plan at this error, and room for it; at error 0 all that counts for the answer. */
static int thin_for(struct sv_ot_newton *s, double error, struct ot_thinning *thinning)
{
    const struct ot_problem *p = s->problem;
    size_t most = s->state.stage == 1 ? MOST_KEPT / p->n : ROW_KEPT;
    most = most < p->m ? most : p->m;
    thinning->most = most > LEAST_KEPT ? most : LEAST_KEPT;
    thinning->share = error > 0 ? sv_ot_negligible(p, error) : UNSEEN * p->tol / p->mass_a;
    struct ot_entries *entries = &s->entries[s->present];
    if (sv_ot_take_entries(entries, sv_ot_thinned_room(p->n, p->m, thinning->most), p->n))
        return OT_NO_MEMORY;
    thinning->values = entries->values, thinning->columns = entries->columns, thinning->counts = entries->counts;
    return OT_DONE;
}

struct ot_kept sv_ot_kept_in(const struct ot_entries *entries, size_t n)
{
    entries->row_starts[0] = 0;
    for (size_t i = 0; i < n; i++)
        entries->row_starts[i + 1] = entries->row_starts[i] + entries->counts[i];
    return (struct ot_kept){entries->row_starts, entries->columns, entries->values};
}

/* `to` becomes the point at the column potentials v, from the reference `from`, which may be the same: one pass over the
 * cost. With `keep` also the large entries of its plan, by the error. */
static int evaluated(struct sv_ot_newton *s, const struct ot_point *from, const double *v, int keep, double error,
                     struct ot_point *to)
{
    const struct ot_problem *p = s->problem;
    const double stage = s->state.stage, before = from->measure;
    double *staged = s->room;
    struct ot_thinning thinning;
    if (keep && thin_for(s, error, &thinning))
        return OT_NO_MEMORY;
    for (size_t j = 0; j < p->m; j++) {
        to->v[j] = v[j];
        staged[j] = v[j] / stage;
    }
    for (size_t i = 0; i < p->n; i++)
        to->u[i] = from->u[i] / stage;
    if (p->passes->sweep(p->cost, p->scale / stage, p->a, to->u, staged, to->column_sums, keep ? &thinning : NULL,
                         p->threads))
        return OT_GAVE_UP;
    for (size_t i = 0; i < p->n; i++)
        to->u[i] *= stage;
    to->measure = stage == 1 ? sv_ot_error(p, NULL, to->column_sums) : sv_ot_distance_l1(to->column_sums, p->b, p->m);
    to->previous = before;
    to->kept = keep ? sv_ot_kept_in(&s->entries[s->present], p->n) : (struct ot_kept){0};
    s->state.passes++;
    return OT_DONE;
}

static int swept_by(struct sv_ot_newton *s, const double *v, int keep, double error)
{
    int status = evaluated(s, &s->state.at, v, keep, error, &s->state.at);
    s->state.scaled = 0;
    s->state.sinkhorn++;
    return status;
}

int sv_ot_swept(struct sv_ot_newton *s, const double *v, int keep)
{
    return swept_by(s, v, keep, sv_ot_relative_error(s->problem, s->state.at.column_sums));
}

int sv_ot_swept_at_best(struct sv_ot_newton *s, int keep)
{
    const struct ot_point *at = &s->state.at;
    double *best = s->room + s->problem->m; /* beyond what a sweep needs */
    int status = sv_ot_best_v(s->problem, at->u, at->v, at->column_sums, s->state.stage, best, best + s->problem->m);
    return status ? status : sv_ot_swept(s, best, keep);
}

/* ---- Newton steps --------------------------------------------------------------------------------- */

static void swap_points(struct ot_point *x, struct ot_point *y)
{
    const struct ot_point held = *x;
    *x = *y;
    *y = held;
}

/* The state becomes the point; its vectors stay where they are. */
static void move_to(struct sv_ot_newton *s, const struct ot_point *point)
{
    struct ot_point *at = &s->state.at;
    memcpy(at->u, point->u, s->problem->n * sizeof(double));
    memcpy(at->v, point->v, s->problem->m * sizeof(double));
    memcpy(at->column_sums, point->column_sums, s->problem->m * sizeof(double));
    at->measure = point->measure, at->previous = point->previous, at->kept = point->kept;
}

/* The point at the old v plus so much of the direction. */
static int evaluated_along(struct sv_ot_newton *s, const struct ot_point *from, double step, struct ot_point *to)
{
    const struct ot_problem *p = s->problem;
    double *v = s->room + p->m;
    for (size_t j = 0; j < p->m; j++)
        v[j] = s->old_v[j] + step * s->state.stage * s->direction[j];
    return evaluated(s, from, v, 1, sv_ot_relative_error(p, from->column_sums), to);
}

/* The slope of the dual along the direction, from its column sums. */
static double slope_at(const struct sv_ot_newton *s, const double *column_sums)
{
    return sv_ot_dot_change(s->direction, s->problem->b, column_sums, s->problem->m);
}

/* Where the whole step was taken and the slope has hardly fallen: further, while the dual rises. */
static int lengthened(struct sv_ot_newton *s, double slope)
{
    double step = 1;
    while (slope_at(s, s->trial.column_sums) > SLOPE_LEFT * slope) {
        step *= LENGTHEN;
        s->present ^= 1; /* the trial's entries may be needed yet */
        int status = evaluated_along(s, &s->trial, step, &s->further);
        if (status)
            return status;
        if (!(sv_ot_gain(s, s->trial.u, s->trial.v, &s->further) > 0)) {
            s->present ^= 1;
            return OT_DONE;
        }
        swap_points(&s->trial, &s->further);
    }
    return OT_DONE;
}

/* The state moves along the direction; *full: whether the full step was taken. */
static int line_search(struct sv_ot_newton *s, int *full)
{
    const struct ot_problem *p = s->problem;
    const struct ot_point *at = &s->state.at;
    const double slope = slope_at(s, at->column_sums), rounding = sv_ot_gain_rounding(s, at->u, at->v);
    double step = 1;
    memcpy(s->old_v, at->v, p->m * sizeof(double));
    for (int trial = 0; trial < OT_TRIALS; trial++) {
        int status = evaluated_along(s, at, step, &s->trial);
        if (status)
            return status;
        if (sv_ot_gain(s, at->u, at->v, &s->trial) >= OT_ARMIJO * step * slope - rounding)
            break;
        step *= OT_SHRINK;
    }
    s->state.newton++;
    *full = step == 1;
    int status = *full ? lengthened(s, slope) : OT_DONE;
    if (!status)
        move_to(s, &s->trial);
    return status;
}

/* A damped Newton step on the thinned plan, with its line search; a sweep after one that was cut short. */
static int newton_step(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    if (!state->at.kept.row_starts) {
        double error = sv_ot_relative_error(s->problem, state->at.column_sums);
        return evaluated(s, &state->at, state->at.v, 1, error, &state->at);
    }
    const double damping = state->damping;
    int clipped, full = 0, status = sv_ot_newton_direction(s, &clipped);
    status = status ? status : line_search(s, &full);
    if (status)
        return status;
    if (full && !clipped) {
        state->damping = fmax(damping / 4, OT_LEAST_DAMPING);
        return OT_DONE;
    }
    state->damping = fmin(damping * 8, OT_LARGEST_DAMPING);
    return sv_ot_swept_at_best(s, 1);
}

/* Steps on the large entries alone; a pass over all where these do not lead to the answer, which must be a step of its own
 * where none was taken. */
static int large_steps(struct sv_ot_newton *s)
{
    int count, reached;
    const int status = sv_ot_large_steps(s, &count, &reached);
    if (status || reached)
        return status;
    return count ? sv_ot_swept(s, s->state.at.v, 1) : newton_step(s);
}

/* ---- the solve ------------------------------------------------------------------------------------ */

static void set_start(struct sv_ot_newton *s, const double *u0, const double *v0)
{
    const struct ot_problem *p = s->problem;
    struct sv_ot_newton_state *state = &s->state, fresh = {.at = state->at, .x = state->x, .y = state->y,
        .stored_u = state->stored_u, .stored_v = state->stored_v};
    *state = fresh;
    memcpy(state->at.u, u0, p->n * sizeof(double));
    memcpy(state->at.v, v0, p->m * sizeof(double));
    memset(state->at.column_sums, 0, p->m * sizeof(double));
    state->at.measure = state->at.previous = state->best = INFINITY;
    state->at.kept = (struct ot_kept){0};
    state->stage = 1;
    state->damping = OT_DAMPING;
}

static int all_zero(const double *x, size_t size)
{
    for (size_t k = 0; k < size; k++)
        if (x[k] != 0)
            return 0;
    return 1;
}

int sv_ot_newton_start(struct sv_ot_newton *s, const double *u0, const double *v0)
{
    const struct ot_problem *p = s->problem;
    struct sv_ot_newton_state *state = &s->state;
    set_start(s, u0, v0);
    if (all_zero(v0, p->m)) {
        if (gentle(s) && sv_ot_storable(s))
            return sv_ot_stored_start(s);
    } else { /* a warm start, which may be good enough for the last stage, and for Newton steps at once */
        int near = 0, status = easy(p) && sv_ot_storable(s) ? sv_ot_stored_warm(s, &near) : OT_DONE;
        if (status || near)
            return status;
        set_start(s, u0, v0);
        status = swept_by(s, v0, !easy(p), 0);
        if (status || sv_ot_relative_error(p, state->at.column_sums) <= OT_WARM_ERROR)
            return status;
        set_start(s, u0, v0);
    }
    state->sweeps_left = easy(p) ? 0 : s->options.stage_sweeps;
    state->stage = easy(p) ? 1 : fmax(1, p->span / p->reg / FIRST_SPAN);
    return swept_by(s, v0, 0, 1);
}

static int next_stage(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    state->stage /= s->options.decay;
    if (state->stage < LAST_STAGE)
        state->stage = 1;
    state->sweeps_left = s->options.stage_sweeps;
    state->damping = fmax(state->damping, OT_DAMPING);
    return sv_ot_swept(s, state->at.v, 0);
}

/* Whether the plan has so many large entries that products with all of it cost less than with these. */
static int wide(const struct sv_ot_newton *s)
{
    const struct ot_problem *p = s->problem;
    const struct ot_kept *kept = &s->state.at.kept;
    const double count = kept->row_starts ? (double)kept->row_starts[p->n] : 0;
    return s->state.stage == 1 && count > WIDE * (double)p->n * (double)p->m;
}

static int unguarded_step(struct sv_ot_newton *s)
{
    const struct ot_problem *p = s->problem;
    struct sv_ot_newton_state *state = &s->state;
    if (state->stage > 1 && state->at.measure <= s->options.stage_tol * p->mass_a)
        return next_stage(s);
    if (state->scaled)
        return sv_ot_scaled_step(s);
    if (sv_ot_large_suffice(s))
        return large_steps(s);
    if (state->sweeps_left > 0) {
        state->sweeps_left--;
        return sv_ot_swept_at_best(s, state->sweeps_left == 0 && !easy(p));
    }
    if (easy(p) && !state->hard) {
        const long long more = sv_ot_iterations_left(s, 1);
        if (more <= CHEAPER_SWEEPS)
            return sv_ot_swept_at_best(s, 0);
        if (sv_ot_storable(s))
            return sv_ot_stored(s, more <= OT_PATIENCE ? more : OT_RATE_SWEEPS);
    }
    if (wide(s) && !state->hard && sv_ot_storable(s))
        return sv_ot_stored(s, 0);
    return newton_step(s);
}

int sv_ot_newton_step(struct sv_ot_newton *s)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct sv_ot_newton_state before = *state;
    const size_t bytes = state_size(s->problem) * sizeof(double);
    memcpy(s->before, s->vectors, bytes);
    int status = unguarded_step(s);
    if (status)
        return status;
    const double measure = state->at.measure;
    if (!isfinite(measure)) {
        *state = before;
        state->at.measure = measure;
        state->at.kept = (struct ot_kept){0}; /* overwritten */
        memcpy(s->vectors, s->before, bytes);
    }
    state->nit = before.nit + 1;
    if (isfinite(measure) && state->stage == 1 && (measure < before.best || before.stage > 1)) {
        state->best = measure;
        state->best_nit = state->nit;
    }
    return OT_DONE;
}

int sv_ot_newton_done(const struct ot_problem *p, double stage, double measure, long long steps_without_progress)
{
    if (stage > 1)
        return isfinite(measure) ? -1 : SV_NONFINITE;
    return sv_ot_stop(p, measure, steps_without_progress);
}
