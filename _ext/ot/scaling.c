/* Sinkhorn in the kernel domain (see scaling.h) over all rows: blocks of rows as tasks, and the merging of their sums.
 *
 * The blocks depend on n alone and their sums are added in block order, so every thread count gives the same bits.
 */
#include <math.h>
#include <string.h>

#include "anderson.h"
#include "blocks.h"
#include "conjugate_gradients.h"
#include "scaling.h"

SV_DISPATCH(struct ot_scaling_kernels, kernels, ot_scaling_kernels_f64)

enum { LINE = 8 /* doubles */ };
/* An extrapolation moves no scaling by more than this factor. */
static const double FAR = 4;

struct pass {
    const struct sv_ot_stored_plan *plan;
    const double *weights, *y;
    double *x, *sums; /* sums: a stride for each block */
    size_t blocks;
};

static void block(void *context, size_t index)
{
    struct pass *pass = context;
    const size_t n = pass->plan->n, stride = pass->plan->stride;
    double *sums = pass->sums + index * stride;
    memset(sums, 0, stride * sizeof(double));
    kernels()->pass(pass->plan, pass->weights, pass->y, pass->x, sums, n * index / pass->blocks,
                    n * (index + 1) / pass->blocks);
}

/* s = P y; x = a / s or weights * s; out = P' x. work: a stride for y and for each block. */
static void run(const struct sv_ot_stored_plan *plan, const double *weights, const double *y, double *x, double *out,
                double *work, int threads)
{
    const size_t m = plan->m, stride = plan->stride;
    struct pass pass = {plan, weights, work, x, work + stride, blocks_of(plan->n)};
    memcpy(work, y, m * sizeof(double));
    memset(work + m, 0, (stride - m) * sizeof(double));
    sv_parallel_for(plan->n * m < 4 * PARALLEL_MIN ? 1 : threads, pass.blocks, block, &pass);
    sum_blocks(pass.sums, pass.blocks, stride, m, out);
}

size_t sv_ot_scaling_stride(size_t m) { return (m + LINE - 1) / LINE * LINE; }

size_t sv_ot_scaling_worksize(size_t n, size_t m) { return (1 + blocks_of(n)) * sv_ot_scaling_stride(m); }

void sv_ot_scaling_update(const struct sv_ot_stored_plan *plan, double *x, const double *y, double *c, double *work,
                          int threads)
{
    run(plan, NULL, y, x, c, work, threads);
    for (size_t j = 0; j < plan->m; j++)
        c[j] *= y[j];
}

static int all_positive(const double *c, size_t m)
{
    for (size_t j = 0; j < m; j++)
        if (!(c[j] > 0 && c[j] < INFINITY))
            return 0;
    return 1;
}

static double l1_distance(const double *b, const double *c, size_t m)
{
    double sum = 0;
    for (size_t j = 0; j < m; j++)
        sum += fabs(b[j] - c[j]);
    return sum;
}

/* Whether more than `patience` iterations like the last `done` ones are needed. */
static int hopeless(double error, double first, int done, double enough, int patience)
{
    const double rate = log(error / first) / done;
    return !(rate < 0) || log(enough / error) < patience * rate;
}

/* y moves on from c: to where the iterations so far lead, or, where that is far off, by an iteration alone. */
static void move_on(struct ot_anderson *memory, const double *b, double *y, const double *c, double *room)
{
    const size_t m = memory->size;
    double *move = room, *next = room + m;
    for (size_t j = 0; j < m; j++) {
        move[j] = b[j] / c[j] - 1;
        y[j] *= b[j] / c[j];
    }
    sv_ot_anderson_next(memory, y, move, b, next);
    int near = 1;
    for (size_t j = 0; j < m; j++)
        near &= next[j] < FAR * y[j] && next[j] * FAR > y[j];
    if (near)
        memcpy(y, next, m * sizeof(double));
    else
        memory->steps = 0;
}

size_t sv_ot_scaling_sweeps_worksize(size_t n, size_t m)
{
    return sv_ot_scaling_worksize(n, m) + sv_ot_anderson_worksize(m) + 2 * m;
}

int sv_ot_scaling_sweeps(const struct sv_ot_stored_plan *plan, const double *b, double *x, double *y, double *c,
                         int count, int patience, double enough, double *work, int threads)
{
    const size_t m = plan->m;
    double *room = work + sv_ot_scaling_worksize(plan->n, m);
    struct ot_anderson memory = sv_ot_anderson_at(room + 2 * m, m);
    double error = l1_distance(b, c, m);
    const double first = error;
    int done = 0;
    while (done < count && all_positive(c, m) && error > enough) {
        if (done >= OT_RATE_SWEEPS && hopeless(error, first, done, enough, patience))
            break;
        move_on(&memory, b, y, c, room);
        sv_ot_scaling_update(plan, x, y, c, work, threads);
        const double before = error;
        error = l1_distance(b, c, m);
        memory.steps = error < before ? memory.steps : 0;
        done++;
    }
    return done;
}

struct scaled_system {
    const struct sv_ot_stored_plan *plan;
    const double *y, *diagonal;
    double *scaled, *weights, *row_room, *work;
    int threads;
};

static void multiply(void *context, const double *z, double *out)
{
    const struct scaled_system *s = context;
    for (size_t j = 0; j < s->plan->m; j++)
        s->scaled[j] = s->y[j] * z[j];
    run(s->plan, s->weights, s->scaled, s->row_room, out, s->work, s->threads);
    for (size_t j = 0; j < s->plan->m; j++)
        out[j] = s->diagonal[j] * z[j] - s->y[j] * out[j];
}

static void by_diagonal(void *context, const double *r, double *out)
{
    const struct scaled_system *s = context;
    for (size_t j = 0; j < s->plan->m; j++)
        out[j] = r[j] / s->diagonal[j];
}

size_t sv_ot_scaling_cg_worksize(size_t n, size_t m)
{
    return sv_ot_scaling_worksize(n, m) + ot_cg_worksize(m) + m + 2 * n;
}

int sv_ot_scaling_cg(const struct sv_ot_stored_plan *plan, const double *x, const double *y, const double *diagonal,
                     const double *rhs, double *z, double goal, int max_iter, double *residual, double *work,
                     int threads)
{
    const size_t n = plan->n, m = plan->m;
    double *room = work + sv_ot_scaling_worksize(n, m);
    struct scaled_system s = {plan, y, diagonal, room, room + m, room + m + n, work, threads};
    for (size_t i = 0; i < n; i++)
        s.weights[i] = x[i] * (x[i] / plan->a[i]);
    memset(z, 0, m * sizeof(double));
    struct ot_linear_system system = {m, multiply, by_diagonal, &s};
    return sv_ot_conjugate_gradients(&system, rhs, z, goal, max_iter, residual, room + m + 2 * n);
}
