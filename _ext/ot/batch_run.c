/* A batch of problems as tasks of the pool, the certificate of each, and the plans of all. */
#include <stdatomic.h>
#include <string.h>

#include "batch.h"

SV_DISPATCH(struct ot_kernels, passes, ot_kernels_f64)
SV_DISPATCH(struct ot_batch_kernel, kernel, ot_batch_f64)
SV_DISPATCH(struct ot_float_kernel, float_kernel, ot_float_f32)

/* Plans of more bytes than this in all leave the cache before they are read. */
enum { PAST_CACHE_BYTES = 8 << 20 };
enum { MAX_SLOTS = 256, TASK_ENTRIES = 8192 /* entries of a task at least: some 20 microseconds */, ALIGNMENT = 8 };

struct run {
    const struct sv_ot_batch *batch;
    double *work;
    size_t room, per_task, slots;
    atomic_flag taken[MAX_SLOTS]; /* the slots of work space: as many as threads, so that one is always free */
};

static size_t slots_of(const struct sv_ot_batch *batch, int threads)
{
    size_t slots = threads < 1 ? 1 : threads < MAX_SLOTS ? (size_t)threads : MAX_SLOTS;
    return slots < batch->problems ? slots : batch->problems;
}

size_t sv_ot_batch_worksize(const struct sv_ot_batch *batch, int threads)
{
    return slots_of(batch, threads) * ot_batch_room(batch->cost.n, batch->cost.m) + ALIGNMENT;
}

static struct sv_ot_cost cost_of(const struct sv_ot_batch *batch, size_t index)
{
    struct sv_ot_cost cost = batch->cost;
    const ptrdiff_t first = (ptrdiff_t)index * batch->cost_stride;
    cost.matrix = cost.kind == SV_COST_FLOAT64 ? (const void *)((const double *)cost.matrix + first)
                                               : (const void *)((const float *)cost.matrix + first);
    cost.offset = batch->offset + index * cost.n;
    return cost;
}

/* work: n + m doubles, of those of the solve. */
static void certify(const struct sv_ot_batch *batch, size_t index, double *work)
{
    const size_t n = batch->cost.n, m = batch->cost.m;
    const struct sv_ot_cost cost = cost_of(batch, index);
    double *row_sums = work, *column_sums = work + n;
    memset(column_sums, 0, m * sizeof(double));
    const double paid = passes()->marginals(&cost, batch->scale[(ptrdiff_t)index * batch->scale_stride],
                                            batch->u + index * n, batch->v + index * m, row_sums, column_sums, 0, n);
    kernel()->claim(batch, index, row_sums, column_sums, paid);
}

static void solve_some(void *context, size_t task)
{
    struct run *run = context;
    size_t slot = 0;
    while (atomic_flag_test_and_set(&run->taken[slot]))
        slot = (slot + 1) % run->slots;
    const size_t first = task * run->per_task, all = run->batch->problems;
    for (size_t index = first; index < first + run->per_task && index < all; index++) {
        double *work = run->work + slot * run->room;
        kernel()->solve(run->batch, index, float_kernel(), work);
        certify(run->batch, index, work);
    }
    atomic_flag_clear(&run->taken[slot]);
}

static size_t problems_of_a_task(const struct sv_ot_batch *batch)
{
    const size_t entries = batch->cost.n * batch->cost.m;
    return entries < TASK_ENTRIES ? TASK_ENTRIES / entries : 1;
}

void sv_ot_batch_solve(const struct sv_ot_batch *batch, double *work, int threads)
{
    struct run run = {.batch = batch, .room = ot_batch_room(batch->cost.n, batch->cost.m)};
    run.work = work + (ALIGNMENT - (size_t)work / sizeof(double) % ALIGNMENT) % ALIGNMENT;
    run.per_task = problems_of_a_task(batch);
    run.slots = slots_of(batch, threads);
    for (size_t slot = 0; slot < run.slots; slot++)
        atomic_flag_clear(&run.taken[slot]);
    sv_parallel_for((int)run.slots, (batch->problems + run.per_task - 1) / run.per_task, solve_some, &run);
}

struct making {
    const struct sv_ot_batch *batch;
    double *plans;
    size_t per_task;
};

static void make_some(void *context, size_t task)
{
    const struct making *making = context;
    const struct sv_ot_batch *batch = making->batch;
    const size_t n = batch->cost.n, m = batch->cost.m, first = task * making->per_task;
    const int past_cache = batch->problems * n * m > PAST_CACHE_BYTES / sizeof(double);
    for (size_t index = first; index < first + making->per_task && index < batch->problems; index++) {
        const struct sv_ot_cost cost = cost_of(batch, index);
        passes()->plan_rows(&cost, batch->scale[(ptrdiff_t)index * batch->scale_stride], batch->u + index * n,
                            batch->v + index * m, making->plans + index * n * m, m, 0, n, past_cache);
    }
}

void sv_ot_batch_plans(const struct sv_ot_batch *batch, double *plans, int threads)
{
    struct making making = {batch, plans, problems_of_a_task(batch)};
    sv_parallel_for(threads, (batch->problems + making.per_task - 1) / making.per_task, make_some, &making);
}
