/* A batch of problems as tasks of the pool, the certificate of each, and the plans of all. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "batch.h"

SV_DISPATCH(struct ot_kernels, passes, ot_kernels_f64)
SV_DISPATCH(struct ot_batch_kernel, kernel, ot_batch_f64)
SV_DISPATCH(struct ot_float_kernel, float_kernel, ot_float_f32)
SV_DISPATCH(struct ot_sums_kernel, certificate, ot_sums_f64)
SV_DISPATCH(struct ot_front_kernel, front_kernel, ot_front_f32)

enum { MAX_SLOTS = 256, TASK_ENTRIES = 8192 /* entries of a task at least: some 20 microseconds */, ALIGNMENT = 8, LANES = 8 };

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

static void solve_some(void *context, size_t task)
{
    struct run *run = context;
    size_t slot = 0;
    while (atomic_flag_test_and_set(&run->taken[slot]))
        slot = (slot + 1) % run->slots;
    const size_t first = task * run->per_task, all = run->batch->problems;
    const struct ot_tools tools = {certificate(), float_kernel(), front_kernel()};
    for (size_t index = first; index < first + run->per_task && index < all; index++)
        kernel()->solve(run->batch, index, &tools, run->work + slot * run->room);
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

double sv_ot_batch_masses(const double *weights, size_t problems, size_t size, double *masses)
{
    double least[LANES];
    for (int l = 0; l < LANES; l++)
        least[l] = INFINITY;
    for (size_t k = 0; k < problems; k++, weights += size) {
        double sums[LANES] = {0};
        size_t i = 0;
        for (; i + LANES <= size; i += LANES)
            for (int l = 0; l < LANES; l++) {
                sums[l] += weights[i + (size_t)l];
                least[l] = weights[i + (size_t)l] < least[l] ? weights[i + (size_t)l] : least[l];
            }
        for (; i < size; i++) {
            sums[0] += weights[i];
            least[0] = weights[i] < least[0] ? weights[i] : least[0];
        }
        masses[k] = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    }
    for (int l = 1; l < LANES; l++)
        least[0] = least[l] < least[0] ? least[l] : least[0];
    return least[0];
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
    const int past_cache = ot_batch_past_cache(batch);
    for (size_t index = first; index < first + making->per_task && index < batch->problems; index++) {
        const struct sv_ot_cost cost = ot_batch_cost(batch, index);
        passes()->plan_rows(&cost, batch->scale[(ptrdiff_t)index * batch->scale_stride], batch->u + index * n,
                            batch->v + index * m, making->plans + index * n * m, m, 0, n, past_cache);
    }
}

void sv_ot_batch_plans(const struct sv_ot_batch *batch, double *plans, int threads)
{
    struct making making = {batch, plans, problems_of_a_task(batch)};
    sv_parallel_for(threads, (batch->problems + making.per_task - 1) / making.per_task, make_some, &making);
}
