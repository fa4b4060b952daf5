/* See interface_problem.h: the checks of solvers/ot/_solve.py, in the same order of arithmetic. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interface_problem.h"
#include "sums.h"

/* Weights up to this share of the mass count as zero: what belongs to them would underflow. */
static const double NEGLIGIBLE_WEIGHT = 1e-200;
/* Total masses may differ by this much, relatively: b is then rescaled. */
static const double MASS_DIFFERENCE = 1e-6;

enum { LINE = 64 };

void *sv_ot_task_room(struct ot_task *task, size_t count, size_t size)
{
    size_t bytes;
    if (sv_product(count ? count : 1, size, "memory", &bytes))
        return NULL;
    void *room = task->count < OT_MOST_BLOCKS ? calloc(1, bytes) : NULL;
    if (room)
        task->blocks[task->count++] = room;
    else
        sv_fail(SV_NO_MEMORY, "memory: no block of %zu bytes", bytes);
    return room;
}

int sv_ot_task_create(size_t n, size_t m, struct ot_task **created)
{
    size_t entries;
    if (!n || !m)
        return sv_fail(SV_INVALID, "%s is 0", n ? "m" : "n");
    const int status = sv_product(n, m, "n times m", &entries);
    if (status)
        return status;
    struct ot_task *task = *created = calloc(1, sizeof *task);
    if (!task)
        return sv_fail(SV_NO_MEMORY, "memory: no room for the problem");
    task->n = task->problem.n = n, task->m = task->problem.m = m;
    return SV_OK;
}

void sv_ot_task_destroy(struct ot_task *task)
{
    if (!task)
        return;
    for (int k = 0; k < task->count; k++)
        free(task->blocks[k]);
    free(task->compiled.work);
    free(task);
}

/* A copy of the weights, uniform where there are none. */
static int take_weights(struct ot_task *task, const double *given, const char *name, size_t size, double **weights,
                        double *mass)
{
    double *w = *weights = OT_DOUBLES(task, size);
    if (!w)
        return SV_NO_MEMORY;
    for (size_t k = 0; k < size; k++) {
        w[k] = given ? given[k] : 1.0 / (double)size;
        if (!isfinite(w[k]) || w[k] < 0)
            return sv_fail(SV_INVALID, "%s[%zu] is %g; weights are finite and at least 0", name, k, w[k]);
    }
    *mass = sv_ot_sum(w, size);
    if (!(*mass > 0 && *mass < INFINITY))
        return sv_fail(SV_INVALID, "%s has the mass %g", name, *mass);
    return SV_OK;
}

/* b with the mass of a. */
static int equal_mass(double *b, size_t size, double mass_a, double mass_b)
{
    const double difference = fabs(mass_a - mass_b) / fmax(mass_a, mass_b);
    if (difference > MASS_DIFFERENCE)
        return sv_fail(SV_INVALID, "b has the mass %.17g and a %.17g; they must be equal", mass_b, mass_a);
    for (size_t k = 0; difference != 0 && k < size; k++)
        b[k] *= mass_a / mass_b;
    return SV_OK;
}

/* The places of positive weight, which move to the front; *places stays NULL where all are. */
static int keep_positive(struct ot_task *task, double *weights, size_t size, size_t **places, size_t *kept)
{
    const double least = NEGLIGIBLE_WEIGHT * sv_ot_sum(weights, size);
    *kept = size;
    if (sv_ot_least(weights, size) > least)
        return SV_OK;
    *places = sv_ot_task_room(task, size, sizeof(size_t));
    if (!*places)
        return SV_NO_MEMORY;
    *kept = 0;
    for (size_t k = 0; k < size; k++)
        if (weights[k] > least) {
            weights[*kept] = weights[k];
            (*places)[(*kept)++] = k;
        }
    return SV_OK;
}

/* The kept potentials to start from: 0 where there are none, and where a result has -inf. */
static int take_start(struct ot_task *task, const double *given, const char *name, size_t whole, const size_t *places,
                      size_t kept, double **start)
{
    *start = OT_DOUBLES(task, kept);
    if (!*start)
        return SV_NO_MEMORY;
    for (size_t k = 0; given && k < whole; k++)
        if (!isfinite(given[k]) && given[k] != -INFINITY)
            return sv_fail(SV_INVALID, "options->%s[%zu] is %g", name, k, given[k]);
    for (size_t k = 0; given && k < kept; k++) {
        const double value = given[places ? places[k] : k];
        (*start)[k] = value == -INFINITY ? 0 : value;
    }
    return SV_OK;
}

static int check_options(double reg, const sv_ot_options *o)
{
    if (!(reg > 0 && isfinite(reg)))
        return sv_fail(SV_INVALID, "reg is %g; it is positive and finite", reg);
    if (!(o->tol > 0 && isfinite(o->tol)))
        return sv_fail(SV_INVALID, "options->tol is %g; it is positive and finite", o->tol);
    if (o->norm < SV_OT_L1 || o->norm > SV_OT_LINF)
        return sv_fail(SV_INVALID, "options->norm is %d; it is one of enum sv_ot_norm", o->norm);
    if (o->method != SV_OT_NEWTON)
        return sv_fail(SV_INVALID, "options->method is %d; it is one of enum sv_ot_method", o->method);
    if (!o->f0 != !o->g0)
        return sv_fail(SV_INVALID, "options->%s is NULL, but not options->%s", o->f0 ? "g0" : "f0", o->f0 ? "f0" : "g0");
    if (!(o->decay >= 1.5 && o->decay <= 100))
        return sv_fail(SV_INVALID, "options->decay is %g; it is from 1.5 to 100", o->decay);
    if (!(o->stage_tol >= 1e-9 && o->stage_tol <= 1))
        return sv_fail(SV_INVALID, "options->stage_tol is %g; it is from 1e-9 to 1", o->stage_tol);
    if (o->stage_sweeps < 1)
        return sv_fail(SV_INVALID, "options->stage_sweeps is %d; it is at least 1", o->stage_sweeps);
    return SV_OK;
}

/* The start in base 2, without the offsets. */
static void set_start(struct ot_task *task, int warm)
{
    struct ot_problem *p = &task->problem;
    for (size_t i = 0; i < p->n; i++)
        task->u[i] = (warm && p->offset ? task->u[i] - p->offset[i] : task->u[i]) * p->scale;
    for (size_t j = 0; j < p->m; j++)
        task->v[j] = (warm && p->column_offset ? task->v[j] - p->column_offset[j] : task->v[j]) * p->scale;
    const double drift = sv_ot_drift(p, task->v);
    for (size_t i = 0; drift != 0 && i < p->n; i++)
        task->u[i] += drift;
    for (size_t j = 0; drift != 0 && j < p->m; j++)
        task->v[j] -= drift;
}

static int take_data(struct ot_task *task, const double *a, const double *b, const sv_ot_options *options)
{
    struct ot_problem *p = &task->problem;
    double *kept_a = NULL, *kept_b = NULL, mass_a, mass_b;
    int status = take_weights(task, a, "a", task->n, &kept_a, &mass_a);
    status = status ? status : take_weights(task, b, "b", task->m, &kept_b, &mass_b);
    status = status ? status : equal_mass(kept_b, task->m, mass_a, mass_b);
    status = status ? status : keep_positive(task, kept_a, task->n, &task->rows, &p->n);
    status = status ? status : keep_positive(task, kept_b, task->m, &task->columns, &p->m);
    status = status ? status : take_start(task, options->f0, "f0", task->n, task->rows, p->n, &task->u);
    status = status ? status : take_start(task, options->g0, "g0", task->m, task->columns, p->m, &task->v);
    p->a = kept_a, p->b = kept_b;
    return status;
}

int sv_ot_task_problem(struct ot_task *task, const double *a, const double *b, double reg, const sv_ot_options *options,
                       int threads)
{
    struct ot_problem *p = &task->problem;
    int status = check_options(reg, options);
    status = status ? status : take_data(task, a, b, options);
    if (!status && (task->rows || task->columns))
        status = sv_ot_task_restrict(task);
    if (status)
        return status;
    /* At a cache line, in whole ones. */
    task->compiled.work = aligned_alloc(LINE, (sv_ot_worksize(p->n, p->m) * sizeof(double) + LINE - 1) / LINE * LINE);
    if (!task->compiled.work)
        return sv_fail(SV_NO_MEMORY, "memory: no work space for a sweep");
    p->passes = &sv_ot_compiled_passes, p->cost = &task->compiled;
    p->reg = reg, p->scale = 1.0 / (reg * OT_LN2), p->tol = options->tol, p->threads = threads;
    p->norm = (enum sv_ot_norm_kind)options->norm;
    status = sv_ot_task_span(task, &p->span);
    if (!status && !isfinite(p->scale * p->span))
        return sv_fail(SV_INVALID, "reg is %g: the costs, which span up to %g, overflow in units of it", reg, p->span);
    status = status ? status : sv_ot_task_offset(task, p->scale, &p->span);
    if (status)
        return status;
    p->offset = task->compiled.cost.offset, p->column_offset = task->compiled.cost.column_offset;
    sv_ot_problem_ready(p);
    set_start(task, options->f0 != NULL);
    return SV_OK;
}
