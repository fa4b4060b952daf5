/* Entropic optimal transport in the C interface: the loop over the driver of newton.c, as Python's runs it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "interface_plan.h"
#include "newton.h"

/* As many steps as Python allows. */
enum { MOST_STEPS = 10000 };

/* What the caller wants to have. */
struct wanted {
    double *f, *g;
    sv_ot_result *result;
    sv_report *report;
    sv_ot_plan **plan;
};

static int failure(int status)
{
    return status ? sv_fail(SV_NO_MEMORY, "memory: not enough for the solve") : SV_OK;
}

/* The state's potentials, with the rows met at the final regularisation also where it stopped on the way. */
static void take_answer(struct ot_task *task, const struct sv_ot_newton_state *state)
{
    const struct ot_problem *p = &task->problem;
    memcpy(task->u, state->at.u, p->n * sizeof(double));
    memcpy(task->v, state->at.v, p->m * sizeof(double));
    if (state->stage > 1)
        p->passes->sweep(p->cost, p->scale, p->a, task->u, task->v, state->at.column_sums, NULL, p->threads);
}

/* The steps of the solve; *status becomes how it ended. */
static int iterate(struct ot_task *task, struct sv_ot_newton *solve, const struct sv_watch *watch, int *status)
{
    const struct sv_ot_newton_state *state = sv_ot_newton_state(solve);
    int failed = sv_ot_newton_start(solve, task->u, task->v);
    for (int first = 1; !failed; first = 0) {
        const double measure = state->at.measure;
        const int done = sv_ot_newton_done(&task->problem, state->stage, measure, state->nit - state->best_nit);
        *status = sv_ended(watch, done, first, state->nit, measure, NULL, 0);
        if (*status >= 0)
            break;
        failed = sv_ot_newton_step(solve);
    }
    return failure(failed);
}

/* Values of the kept places among all, -inf at the others. */
static void spread(const double *kept, const size_t *places, size_t count, double *all, size_t size)
{
    for (size_t k = 0; places && k < size; k++)
        all[k] = -INFINITY;
    for (size_t k = 0; k < count; k++)
        all[places ? places[k] : k] = kept[k];
}

static void write_result(sv_ot_result *result, const struct sv_ot_answer *answer, const struct sv_ot_newton_state *state)
{
    const size_t has = result->struct_size < sizeof *result ? result->struct_size : sizeof *result;
    sv_ot_result full = {
        result->struct_size, answer->value, answer->value_linear, answer->value_entropy, answer->value_dual,
        answer->marginal_error, answer->gap, answer->lp_lower, answer->lp_upper, state->sinkhorn, state->newton,
        state->cg, state->scalings, state->passes};
    memcpy(result, &full, has);
}

/* The answer certified, and all that is wanted of it. */
static int finish(struct ot_task *task, const struct sv_ot_newton_state *state, int certified,
                  struct sv_ot_answer *answer, const struct wanted *out)
{
    const struct ot_problem *p = &task->problem;
    const size_t n = p->n, m = p->m;
    double *room = malloc((sv_ot_certify_worksize(n, m) + 2 * n + 2 * m) * sizeof(double));
    if (!room)
        return failure(1);
    double *rows = room + sv_ot_certify_worksize(n, m), *columns = rows + 2 * n;
    const struct ot_rounding rounding = {rows, columns, rows + n, columns + m};
    take_answer(task, state);
    sv_ot_certify(p, task->u, task->v, state->at.column_sums, certified, answer, &rounding, room);
    sv_ot_potentials(p, task->u, task->v, rows, columns);
    if (out->f)
        spread(rows, task->rows, n, out->f, task->n);
    if (out->g)
        spread(columns, task->columns, m, out->g, task->m);
    if (out->result)
        write_result(out->result, answer, state);
    free(room);
    return SV_OK;
}

/* Solves the task, which has its cost; a wanted plan takes it over. */
static int run(struct ot_task *task, const struct sv_watch *watch, const sv_ot_options *options, const struct wanted *out)
{
    struct ot_newton_options newton = OT_NEWTON_OPTIONS_INIT;
    newton.decay = options->decay, newton.stage_tol = options->stage_tol, newton.stage_sweeps = options->stage_sweeps;
    newton.least = task->least;
    struct sv_ot_newton *solve = sv_ot_newton_create(&task->problem, &newton);
    sv_ot_plan *plan = out->plan ? sv_ot_plan_room() : NULL;
    struct sv_ot_answer answer;
    int ended = -1, status = failure(!solve || (out->plan && !plan));
    status = status ? status : iterate(task, solve, watch, &ended);
    status = status ? status : finish(task, sv_ot_newton_state(solve), options->certify, &answer, out);
    if (status < 0) {
        free(plan);
    } else {
        const int64_t nit = sv_ot_newton_state(solve)->nit;
        status = sv_judged(watch, ended, nit, answer.marginal_error, options->tol, out->report);
        if (plan)
            *out->plan = sv_ot_plan_of(plan, task);
    }
    sv_ot_newton_destroy(solve);
    return status;
}

/* What is known of a call once it has begun. */
struct begun {
    struct sv_watch watch;
    sv_ot_options options;
    struct ot_task *task;
};

/* The checks that come before the cost is looked at, and a task for it. */
static int begin(size_t n, size_t m, const sv_ot_options *given, const sv_control *control, const struct wanted *out,
                 struct begun *call)
{
    const sv_ot_options defaults = SV_OT_OPTIONS_INIT;
    sv_ot_result result = SV_OT_RESULT_INIT;
    sv_report report = SV_REPORT_INIT;
    call->options = defaults;
    int status = sv_begin(&call->watch, control, MOST_STEPS);
    status = status ? status : sv_read_struct(&call->options, sizeof defaults, given, "options");
    status = status ? status : sv_read_struct(&result, sizeof result, out->result, "result");
    status = status ? status : sv_read_struct(&report, sizeof report, out->report, "report");
    return status ? status : sv_ot_task_create(n, m, &call->task);
}

/* Solves with the cost that is in the task, if it is (`status`), and frees it where no plan has it. */
static int solved(const struct begun *call, int status, const double *a, const double *b, double reg,
                  const struct wanted *out)
{
    struct ot_task *task = call->task;
    status = status ? status : sv_ot_task_problem(task, a, b, reg, &call->options, call->watch.control.threads);
    status = status ? status : run(task, &call->watch, &call->options, out);
    if (status < 0 || !out->plan)
        sv_ot_task_destroy(task);
    return status;
}

static int solve_matrix(enum sv_ot_cost_kind kind, size_t n, size_t m, const void *C, ptrdiff_t stride, const double *a,
                        const double *b, double reg, const sv_ot_options *given, const sv_control *control,
                        const struct wanted *out)
{
    struct begun call;
    int status = begin(n, m, given, control, out, &call);
    return status ? status : solved(&call, sv_ot_task_matrix(call.task, kind, C, stride), a, b, reg, out);
}

int sv_ot_solve(size_t n, size_t m, const double *C, ptrdiff_t stride, const double *a, const double *b, double reg,
                const sv_ot_options *options, const sv_control *control, double *f, double *g, sv_ot_result *result,
                sv_report *report, sv_ot_plan **plan)
{
    const struct wanted out = {f, g, result, report, plan};
    return solve_matrix(SV_COST_FLOAT64, n, m, C, stride, a, b, reg, options, control, &out);
}

int sv_ot_solve_f32(size_t n, size_t m, const float *C, ptrdiff_t stride, const double *a, const double *b, double reg,
                    const sv_ot_options *options, const sv_control *control, double *f, double *g,
                    sv_ot_result *result, sv_report *report, sv_ot_plan **plan)
{
    const struct wanted out = {f, g, result, report, plan};
    return solve_matrix(SV_COST_FLOAT32, n, m, C, stride, a, b, reg, options, control, &out);
}

int sv_ot_solve_sample(size_t n, size_t m, size_t d, const double *X, ptrdiff_t X_stride, const double *Y,
                       ptrdiff_t Y_stride, int metric, double p, const double *a, const double *b, double reg,
                       const sv_ot_options *given, const sv_control *control, double *f, double *g,
                       sv_ot_result *result, sv_report *report, sv_ot_plan **plan)
{
    const struct wanted out = {f, g, result, report, plan};
    struct begun call;
    int status = begin(n, m, given, control, &out, &call);
    if (status)
        return status;
    status = sv_ot_task_points(call.task, d, X, X_stride, Y, Y_stride, metric, p);
    return solved(&call, status, a, b, reg, &out);
}
