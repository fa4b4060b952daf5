/* See interface_plan.h, and the class Plan of solvers/ot/_plan.py. */
#include <stdlib.h>
#include <string.h>

#include "interface_plan.h"
#include "products.h"

/* Rows are made in blocks of about this many bytes. */
enum { BLOCK_BYTES = 4 << 20 };

struct sv_ot_plan {
    struct sv_guard guard;
    struct ot_task *task;
};

sv_ot_plan *sv_ot_plan_room(void) { return calloc(1, sizeof(sv_ot_plan)); }

sv_ot_plan *sv_ot_plan_of(sv_ot_plan *room, struct ot_task *task)
{
    const sv_ot_plan plan = {.guard = {ATOMIC_FLAG_INIT}, .task = task};
    memcpy(room, &plan, sizeof plan);
    return room;
}

void sv_ot_plan_destroy(sv_ot_plan *plan)
{
    if (plan)
        sv_ot_task_destroy(plan->task);
    free(plan);
}

/* Rows [first, last) among those of positive weight, made in `block`, which has their columns alone. */
static void make_rows(const struct ot_task *task, size_t first, size_t last, double *block, size_t stride, int threads)
{
    const struct ot_problem *p = &task->problem;
    sv_ot_plan_rows(&task->compiled.cost, p->scale, task->u, task->v, first, last, block, stride, threads);
}

static size_t row_of(const struct ot_task *task, size_t i) { return task->rows ? task->rows[i] : i; }

static size_t column_of(const struct ot_task *task, size_t j) { return task->columns ? task->columns[j] : j; }

/* Room for a block of rows, and how many it holds. */
static double *block_room(const struct ot_task *task, size_t *rows)
{
    const size_t bytes = task->problem.m * sizeof(double), fit = BLOCK_BYTES / bytes;
    *rows = fit ? fit : 1;
    *rows = *rows < task->problem.n ? *rows : task->problem.n;
    double *room = malloc(*rows * bytes);
    if (!room)
        sv_fail(SV_NO_MEMORY, "memory: no block of %zu rows", *rows);
    return room;
}

static int dense(const struct ot_task *task, double *P, size_t stride, int threads)
{
    const struct ot_problem *p = &task->problem;
    size_t rows;
    if (!task->rows && !task->columns) {
        make_rows(task, 0, p->n, P, stride, threads);
        return SV_OK;
    }
    double *block = block_room(task, &rows);
    if (!block)
        return SV_NO_MEMORY;
    for (size_t i = 0; i < task->n; i++)
        memset(P + i * stride, 0, task->m * sizeof(double));
    for (size_t first = 0; first < p->n; first += rows) {
        const size_t last = p->n - first < rows ? p->n : first + rows;
        make_rows(task, first, last, block, p->m, threads);
        for (size_t i = first; i < last; i++)
            for (size_t j = 0; j < p->m; j++)
                P[row_of(task, i) * stride + column_of(task, j)] = block[(i - first) * p->m + j];
    }
    free(block);
    return SV_OK;
}

int sv_ot_plan_dense(sv_ot_plan *plan, double *P, ptrdiff_t stride, int threads)
{
    SV_NEED(plan);
    SV_NEED(P);
    if (stride < 0 || (size_t)stride < plan->task->m)
        return sv_fail(SV_INVALID, "stride is %td, less than the %zu columns", stride, plan->task->m);
    int status = sv_enter(&plan->guard);
    if (status)
        return status;
    status = dense(plan->task, P, (size_t)stride, threads);
    sv_leave(&plan->guard);
    return status;
}

static int argmax(const struct ot_task *task, ptrdiff_t *best, int threads)
{
    const struct ot_problem *p = &task->problem;
    size_t rows;
    double *block = block_room(task, &rows);
    if (!block)
        return SV_NO_MEMORY;
    for (size_t i = 0; i < task->n; i++)
        best[i] = -1;
    for (size_t first = 0; first < p->n; first += rows) {
        const size_t last = p->n - first < rows ? p->n : first + rows;
        make_rows(task, first, last, block, p->m, threads);
        for (size_t i = first; i < last; i++) {
            const double *row = block + (i - first) * p->m;
            size_t top = 0;
            for (size_t j = 1; j < p->m; j++)
                top = row[j] > row[top] ? j : top;
            best[row_of(task, i)] = (ptrdiff_t)column_of(task, top);
        }
    }
    free(block);
    return SV_OK;
}

int sv_ot_plan_argmax(sv_ot_plan *plan, ptrdiff_t *best, int threads)
{
    SV_NEED(plan);
    SV_NEED(best);
    int status = sv_enter(&plan->guard);
    if (status)
        return status;
    status = argmax(plan->task, best, threads);
    sv_leave(&plan->guard);
    return status;
}

/* out = P x, or P' x; places of zero weight are left out of x, and 0 in out. */
static int product(const struct ot_task *task, const double *x, double *out, int transposed, int threads)
{
    const struct ot_problem *p = &task->problem;
    const size_t work = sv_ot_product_worksize(p->n, p->m, 1);
    double *room = malloc((work + p->n + p->m) * sizeof(double)), *rows = room + work, *columns = rows + p->n;
    if (!room)
        return sv_fail(SV_NO_MEMORY, "memory: no work space for a product");
    const size_t from = transposed ? p->n : p->m, to = transposed ? p->m : p->n, size = transposed ? task->m : task->n;
    double *given = transposed ? rows : columns, *found = transposed ? columns : rows;
    for (size_t k = 0; k < from; k++)
        given[k] = x[transposed ? row_of(task, k) : column_of(task, k)];
    if (transposed)
        sv_ot_apply_transposed(&task->compiled.cost, p->scale, task->u, task->v, given, 1, found, room, threads);
    else
        sv_ot_apply(&task->compiled.cost, p->scale, task->u, task->v, given, 1, found, room, threads);
    memset(out, 0, size * sizeof(double));
    for (size_t k = 0; k < to; k++)
        out[transposed ? column_of(task, k) : row_of(task, k)] = found[k];
    free(room);
    return SV_OK;
}

static int checked_product(sv_ot_plan *plan, const double *x, double *out, int transposed, int threads)
{
    SV_NEED(plan);
    SV_NEED(x);
    SV_NEED(out);
    int status = sv_check_finite(x, transposed ? plan->task->n : plan->task->m, "x");
    status = status ? status : sv_enter(&plan->guard);
    if (status)
        return status;
    status = product(plan->task, x, out, transposed, threads);
    sv_leave(&plan->guard);
    return status;
}

int sv_ot_plan_matvec(sv_ot_plan *plan, const double *x, double *out, int threads)
{
    return checked_product(plan, x, out, 0, threads);
}

int sv_ot_plan_rmatvec(sv_ot_plan *plan, const double *x, double *out, int threads)
{
    return checked_product(plan, x, out, 1, threads);
}
