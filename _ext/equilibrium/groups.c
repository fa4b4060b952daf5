/* Drivers of groups.h: passes in tasks of fixed rows, merged in their order; the inner loop step by step. */
#include "groups.h"

#include <math.h>
#include <string.h>

#include "random_bits.h"
#include "simplex.h"

SV_DISPATCH(struct group_kernels, kernel_table, group_kernels_f64)

/* Rows a task; and at most so many tasks, each of which has its own sums, whose hessians have so many entries in all. */
enum { TASK_ROWS = 8192, MOST_TASKS = 64, MOST_ENTRIES = 1 << 22 };

static size_t count_of(size_t n, size_t each) { return (n + each - 1) / each; }

static size_t task_rows(const struct sv_group_rows *A, int hessian)
{
    size_t few = MOST_ENTRIES / A->d / A->d, most = !hessian || few > MOST_TASKS ? MOST_TASKS : few > 0 ? few : 1;
    size_t rows = count_of(A->n, most);
    rows = rows < TASK_ROWS ? TASK_ROWS : rows;
    return (rows + SV_GROUP_BLOCK - 1) / SV_GROUP_BLOCK * SV_GROUP_BLOCK;
}

/* A task's part of the work: losses, gradients, hessian, scaled rows. */
static size_t part_size(const struct sv_group_rows *A, int hessian)
{
    size_t sums = A->groups * (1 + A->d);
    return sums + (hessian ? A->d * A->d + SV_GROUP_BLOCK * A->d : 0);
}

size_t sv_groups_work(const struct sv_group_rows *A, int hessian)
{
    return count_of(A->n, task_rows(A, hessian)) * part_size(A, hessian);
}

struct whole_pass {
    const struct sv_group_rows *A;
    const double *w;
    const struct sv_group_sums *out;
    double *work;
};

static void pass_task(void *context, size_t index)
{
    const struct whole_pass *all = context;
    const struct sv_group_rows *A = all->A;
    size_t each = task_rows(A, all->out->hessian != NULL), from = index * each, to = from + each < A->n ? from + each : A->n;
    size_t size = part_size(A, all->out->hessian != NULL);
    struct sv_group_sums part = *all->out;
    part.loss = all->work + index * size;
    part.gradient = part.loss + A->groups;
    part.hessian = all->out->hessian ? part.gradient + A->groups * A->d : NULL;
    part.rows = all->out->hessian ? part.hessian + A->d * A->d : NULL;
    memset(part.loss, 0, (A->groups * (1 + A->d) + (part.hessian ? A->d * A->d : 0)) * sizeof *part.loss);
    kernel_table()->pass(A, from, to, all->w, &part);
}

static void add(double *to, const double *from, size_t count)
{
    for (size_t k = 0; k < count; k++)
        to[k] += from[k];
}

void sv_groups_pass(const struct sv_group_rows *A, const double *w, struct sv_group_sums *out, double *work, int threads)
{
    size_t tasks = count_of(A->n, task_rows(A, out->hessian != NULL)), size = part_size(A, out->hessian != NULL), d = A->d;
    struct whole_pass all = {A, w, out, work};
    sv_parallel_for(threads, tasks, pass_task, &all);
    memset(out->loss, 0, A->groups * sizeof *out->loss);
    memset(out->gradient, 0, A->groups * d * sizeof *out->gradient);
    if (out->hessian)
        memset(out->hessian, 0, d * d * sizeof *out->hessian);
    for (size_t k = 0; k < tasks; k++) {
        const double *part = work + k * size;
        add(out->loss, part, A->groups);
        add(out->gradient, part + A->groups, A->groups * d);
        if (out->hessian)
            add(out->hessian, part + A->groups * (1 + d), d * d);
    }
}

/* corr = F at z less F at the snapshot, from this step's rows. */
static void correction(const struct sv_group_loop *loop, uint64_t draw, const double *z, double *corr)
{
    const struct group_kernels *kernels = kernel_table();
    const struct sv_group_rows *A = &loop->rows;
    size_t d = A->d;
    const double *q = z + d, *q_before = loop->snapshot + d;
    for (size_t k = 0; k < d; k++)
        corr[k] = loop->l2 * (z[k] - loop->snapshot[k]);
    for (size_t g = 0; g < A->groups; g++) {
        size_t first = (size_t)loop->start[g], end = (size_t)loop->start[g + 1], left = (size_t)loop->batch[g];
        double scale = 1 / (double)left, change = 0;
        while (left > 0) { /* a run that goes past the group's end goes on from its first row */
            uint64_t rest;
            size_t from = first + (size_t)sv_index_below(sv_bits_at(loop->seed, 1, draw++), end - first, &rest);
            size_t count = left < SV_GROUP_RUN ? left : SV_GROUP_RUN;
            for (left -= count; count > 0; from = first) {
                size_t whole = from + count < end ? count : end - from;
                change += kernels->batch(A, from, from + whole, z, q[g], q_before[g], loop->value, loop->slope, scale,
                                         corr);
                count -= whole;
            }
        }
        corr[d + g] = -scale * change;
    }
}

/* Draws a step. */
static uint64_t draws(const struct sv_group_loop *loop)
{
    uint64_t sum = 0;
    for (size_t g = 0; g < loop->rows.groups; g++)
        sum += ((uint64_t)loop->batch[g] + SV_GROUP_RUN - 1) / SV_GROUP_RUN;
    return sum;
}

void sv_groups_loop(struct sv_group_loop *loop, int64_t steps)
{
    size_t d = loop->rows.d, groups = loop->rows.groups, size = d + groups;
    uint64_t each = draws(loop);
    double *mean = loop->work, *half = mean + size, *corr = half + size, *work = corr + size;
    double *z = loop->z, keep = loop->keep, guess = NAN;
    for (int64_t j = 0; j < steps; j++) {
        for (size_t k = 0; k < size; k++) {
            double step = k < d ? loop->step_w : loop->step_q;
            mean[k] = keep * z[k] + (1 - keep) * loop->snapshot[k] - step * loop->F[k];
            half[k] = mean[k];
        }
        guess = sv_equilibrium_simplex(half + d, groups, 1, guess, half + d, work);
        correction(loop, loop->first + (uint64_t)j * each, half, corr);
        for (size_t k = 0; k < size; k++) {
            z[k] = mean[k] - (k < d ? loop->step_w : loop->step_q) * corr[k];
            loop->sum[k] += half[k];
        }
        guess = sv_equilibrium_simplex(z + d, groups, 1, guess, z + d, work);
    }
    loop->first += (uint64_t)steps * each;
}
