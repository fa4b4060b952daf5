/* Newton steps on the large entries of a plan alone, between two passes over the cost.
 *
 * Near the answer, as at the next strength of a path, the entries that matter are known. Where those that one pass kept
 * leave next to nothing out, the plan is scaled like a stored one, P_ij = x_i K_ij y_j, with what is left out as it was;
 * a step then takes two reads of the kept entries instead of a pass. What is left out moves by the factors x_i y_j, too:
 * that bounds the error that is not seen, and the bound is part of the measure. Where a step is not the full one, or the
 * bound is no good, a pass looks at all entries, and the solve goes on as any other.
 *
 * In NumPy: s = row_rest + K @ y; x = a / s; c = column_rest + y * (K.T @ x)
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "elimination.h"
#include "newton_parts.h"
#include "sums.h"

/* Of the error that is aimed at, what may be left out altogether. */
static const double LEFT_OUT = 0.1;
enum { MOST_STEPS = 12 };

struct scaling {
    double *x, *y, *c;
    double error; /* of the kept entries with the rest as it was */
};

struct large {
    struct ot_kept all;
    double *row_rest, *column_rest, *u, *v;
    struct scaling at, trial;
    double rest; /* the mass that is left out */
};

static double kept_mass(const struct sv_ot_newton *s)
{
    const struct ot_kept *kept = &s->state.at.kept;
    return sv_ot_sum(kept->values, (size_t)kept->row_starts[s->problem->n]);
}

int sv_ot_large_suffice(const struct sv_ot_newton *s)
{
    const struct ot_problem *p = s->problem;
    if (s->state.stage > 1 || !s->state.at.kept.row_starts)
        return 0;
    return p->mass_a - kept_mass(s) <= LEFT_OUT * p->aim;
}

/* What the rows and columns have beside the kept entries. */
static void find_rests(const struct sv_ot_newton *s, struct large *q)
{
    const struct ot_problem *p = s->problem;
    memcpy(q->column_rest, s->state.at.column_sums, p->m * sizeof(double));
    for (size_t i = 0; i < p->n; i++) {
        double rest = p->a[i];
        for (ptrdiff_t k = q->all.row_starts[i]; k < q->all.row_starts[i + 1]; k++) {
            rest -= q->all.values[k];
            q->column_rest[q->all.columns[k]] -= q->all.values[k];
        }
        q->row_rest[i] = fmax(rest, 0);
    }
    for (size_t j = 0; j < p->m; j++)
        q->column_rest[j] = fmax(q->column_rest[j], 0);
    q->rest = fmax(sv_ot_sum(q->row_rest, p->n), sv_ot_sum(q->column_rest, p->m));
}

/* x and c at y, and their error. */
static void evaluate(const struct ot_problem *p, const struct large *q, struct scaling *to)
{
    memset(to->c, 0, p->m * sizeof(double));
    for (size_t i = 0; i < p->n; i++) {
        const ptrdiff_t first = q->all.row_starts[i], last = q->all.row_starts[i + 1];
        double sum[4] = {q->row_rest[i]};
        ptrdiff_t k = first;
        for (; k + 4 <= last; k += 4)
            for (int lane = 0; lane < 4; lane++)
                sum[lane] += q->all.values[k + lane] * to->y[q->all.columns[k + lane]];
        for (; k < last; k++)
            sum[0] += q->all.values[k] * to->y[q->all.columns[k]];
        const double x = p->a[i] / ((sum[0] + sum[1]) + (sum[2] + sum[3]));
        for (k = first; k < last; k++)
            to->c[q->all.columns[k]] += q->all.values[k] * x;
        to->x[i] = x;
    }
    for (size_t j = 0; j < p->m; j++)
        to->c[j] = q->column_rest[j] + to->y[j] * to->c[j];
    to->error = sv_ot_error(p, NULL, to->c);
}

/* The state becomes the point of the scaling, with the entries that count for a step from there. */
static void move_to(struct sv_ot_newton *s, const struct large *q, const struct scaling *to)
{
    const struct ot_problem *p = s->problem;
    struct ot_point *at = &s->state.at;
    for (size_t i = 0; i < p->n; i++)
        at->u[i] = q->u[i] + log2(to->x[i]);
    for (size_t j = 0; j < p->m; j++)
        at->v[j] = q->v[j] + log2(to->y[j]);
    memcpy(at->column_sums, to->c, p->m * sizeof(double));
    at->previous = at->measure;
    at->measure = to->error;
    const struct ot_entries *entries = &s->entries[s->present ^ 1];
    const double share = sv_ot_negligible(p, sv_ot_relative_error(p, to->c));
    size_t used = 0;
    for (size_t i = 0; i < p->n; i++) {
        const double x = to->x[i], least = share * p->a[i];
        const size_t before = used;
        for (ptrdiff_t k = q->all.row_starts[i]; k < q->all.row_starts[i + 1]; k++) {
            const int column = q->all.columns[k];
            const double value = x * q->all.values[k] * to->y[column];
            entries->values[used] = value, entries->columns[used] = column;
            used += value >= least;
        }
        entries->counts[i] = (ptrdiff_t)(used - before);
    }
    at->kept = sv_ot_kept_in(entries, p->n);
}

/* At most what scaling by x and y, instead of 1, does to the marginals of the entries that were left out. */
static double unseen(const struct ot_problem *p, const struct large *q, const struct scaling *to)
{
    double rows = 1, columns = 1;
    for (size_t i = 0; i < p->n; i++)
        rows = fmax(rows, fmax(to->x[i], 1 / to->x[i]));
    for (size_t j = 0; j < p->m; j++)
        columns = fmax(columns, fmax(to->y[j], 1 / to->y[j]));
    return 2 * q->rest * (rows * columns - 1);
}

/* A full Newton step, if it is one that brings the answer nearer. */
static int step(struct sv_ot_newton *s, struct large *q, int *taken)
{
    const struct ot_problem *p = s->problem;
    struct sv_ot_newton_state *state = &s->state;
    int clipped;
    const int status = sv_ot_newton_direction(s, &clipped);
    *taken = 0;
    if (status || clipped)
        return status;
    const double slope = sv_ot_dot_change(s->direction, p->b, q->at.c, p->m);
    for (size_t j = 0; j < p->m; j++)
        q->trial.y[j] = q->at.y[j] * exp2(s->direction[j]);
    evaluate(p, q, &q->trial);
    if (!(q->trial.error <= 0.5 * q->at.error)) { /* then the dual must rise */
        double rise = 0;
        for (size_t i = 0; i < p->n; i++)
            rise += p->a[i] * log2(q->trial.x[i] / q->at.x[i]);
        if (!(rise + sv_ot_dot(p->b, s->direction, p->m) >= OT_ARMIJO * slope))
            return OT_DONE;
    }
    const struct scaling held = q->at;
    q->at = q->trial, q->trial = held;
    state->newton++;
    state->damping = fmax(state->damping / 4, OT_LEAST_DAMPING);
    move_to(s, q, &q->at);
    *taken = 1;
    return OT_DONE;
}

/* Full steps until the error is small enough with what is not seen; *count: how many were taken. */
static int steps(struct sv_ot_newton *s, struct large *q, int *count, int *reached)
{
    const struct ot_problem *p = s->problem;
    find_rests(s, q);
    for (size_t j = 0; j < p->m; j++)
        q->at.y[j] = 1;
    evaluate(p, q, &q->at);
    move_to(s, q, &q->at);
    for (*count = 0; *count < MOST_STEPS; ++*count) {
        const double error = q->at.error + unseen(p, q, &q->at);
        *reached = error <= p->aim;
        if (*reached)
            s->state.at.measure = error;
        if (q->at.error <= p->aim)
            return OT_DONE;
        int taken;
        const int status = step(s, q, &taken);
        if (status || !taken)
            return status;
    }
    return OT_DONE;
}

int sv_ot_large_steps(struct sv_ot_newton *s, int *count, int *reached)
{
    const struct ot_problem *p = s->problem;
    const size_t n = p->n, m = p->m;
    struct large q = {.all = s->state.at.kept};
    double *room = malloc((4 * n + 6 * m) * sizeof(double));
    *count = *reached = 0;
    if (!room || sv_ot_take_entries(&s->entries[s->present ^ 1], (size_t)q.all.row_starts[n], n)) {
        free(room);
        return OT_NO_MEMORY;
    }
    q.row_rest = room, q.u = room + n, q.at.x = room + 2 * n, q.trial.x = room + 3 * n;
    q.column_rest = room + 4 * n, q.v = q.column_rest + m, q.at.y = q.v + m, q.at.c = q.at.y + m;
    q.trial.y = q.at.c + m, q.trial.c = q.trial.y + m;
    memcpy(q.u, s->state.at.u, n * sizeof(double));
    memcpy(q.v, s->state.at.v, m * sizeof(double));
    struct sv_ot_factor factor = {0};
    s->factor = &factor;
    const int status = steps(s, &q, count, reached);
    s->factor = NULL;
    sv_ot_factor_free(&factor);
    free(room);
    return status;
}
