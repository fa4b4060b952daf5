/* Batches of programs: see gala_batch.h. In Python:
 *     for k in range(programs):
 *         answers[k] = minimize(fun, x0[k], ..., with data[k] as user_data)
 */
#include "gala_batch.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { SV_GALA_MAX_ITER = 10 };

/* What a thread needs for its programs: functions of its own, since each has another user_data. */
struct desk {
    sv_compiled functions;
    sv_compiled_block *block;
    sv_dense dense;
    sv_nlp table;
    sv_gala *first, *second;
    double *dense_memory, *work, *c, *product, *judging;
};

struct call {
    const struct sv_gala_batch *batch;
    double *work, end;
    int64_t each;
    _Atomic int64_t next;
};

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t doubles(size_t bytes)
{
    return (int64_t)((bytes + sizeof(double) - 1) / sizeof(double));
}

static int64_t state_size(int64_t n, int64_t m, int64_t carried)
{
    return doubles((size_t)sv_gala_bytes(n, m)) + carried;
}

/* Hands out the memory of a desk (NULL: only counts); returns how much it takes. */
static int64_t lay_out(const struct sv_gala_batch *of, struct desk *desk, double *memory)
{
    int64_t n = of->functions->n, m = of->m, state = state_size(n, m, sv_quasi_size(of->quasi, n, m));
    int64_t sizes[] = {sv_dense_size(n, m), state, state, sv_gala_work(n, m), m, n, n + m, n * n,
                       doubles((size_t)of->functions->blocks * sizeof(sv_compiled_block))};
    enum { PARTS = sizeof sizes / sizeof *sizes };
    double *part[PARTS];
    int64_t used = 0;
    for (int k = 0; k < PARTS; k++) {
        part[k] = memory ? memory + used : NULL;
        used += (sizes[k] + SV_LDL_PAD - 1) / SV_LDL_PAD * SV_LDL_PAD;
    }
    if (!memory)
        return used;
    desk->dense_memory = part[0], desk->work = part[3], desk->c = part[4], desk->product = part[5], desk->judging = part[6];
    desk->first = (sv_gala *)(void *)part[1], desk->second = (sv_gala *)(void *)part[2];
    desk->functions = *of->functions;
    desk->functions.work = part[7];
    desk->functions.block = desk->block = (sv_compiled_block *)(void *)part[8];
    memcpy(desk->block, of->functions->block, (size_t)of->functions->blocks * sizeof *desk->block);
    return used;
}

int64_t sv_gala_batch_work(const struct sv_gala_batch *batch)
{
    return lay_out(batch, NULL, NULL);
}

static const double *row_of(const struct sv_each *of, int64_t k)
{
    return of->rows + k * of->stride;
}

static void tell(const struct sv_gala_batch *batch, int64_t k, struct desk *desk)
{
    if (!batch->data.rows)
        return;
    void *data = (void *)row_of(&batch->data, k);
    desk->functions.fun_data = desk->functions.jac_data = desk->functions.hess_data = data;
    for (sv_compiled_block *b = desk->block; b < desk->block + desk->functions.blocks; b++)
        b->con_data = b->con_jac_data = b->con_hess_data = data;
}

static void ready(const struct sv_gala_batch *batch, struct desk *desk)
{
    sv_dense *dense = &desk->dense;
    *dense = (sv_dense){.n = batch->functions->n, .m = batch->m, .quasi = batch->quasi,
                        .value = sv_compiled_value, .gradient = sv_compiled_gradient,
                        .constraints = sv_compiled_constraints, .jacobian = sv_compiled_jacobian,
                        .hessian = sv_compiled_hessian};
    dense->value_data = dense->gradient_data = dense->constraints_data = dense->jacobian_data = dense->hessian_data =
        &desk->functions;
    dense->ldl.sytrf = batch->sytrf, dense->ldl.sytrs = batch->sytrs;
    sv_dense_begin(dense, desk->dense_memory, &desk->table);
}

/* A route from its start to its end: SV_FAILED where the program is not finite there. */
static int route(struct desk *desk, const struct sv_sides *sides, const double *x0, const struct sv_gala_options *options,
                 int64_t most, sv_gala *state)
{
    double *carried = (double *)state + doubles((size_t)sv_gala_bytes(desk->table.n, desk->table.m));
    memset(carried, 0, (size_t)desk->table.carried * sizeof *carried);
    desk->table.carry(desk->table.data, carried);
    int code = sv_gala_init(&desk->table, sides, x0, options, state, desk->work);
    return code ? code : sv_gala_run(&desk->table, state, most, INFINITY, desk->work);
}

static int equations_only(const struct sv_sides *sides, int64_t n, int64_t m)
{
    for (int64_t i = 0; i < n; i++)
        if (sides->lower[i] > -INFINITY || sides->upper[i] < INFINITY)
            return 0;
    for (int64_t j = 0; j < m; j++)
        if (sides->row_lower[j] != sides->row_upper[j])
            return 0;
    return 1;
}

/* The routes of a program: what they begin with, and how they went. */
struct tour {
    const struct sv_sides *sides;
    const double *x0;
    double *x, *y, *z;      /* of the best point, from which the later ones start */
    sv_gala *best, *other;  /* best NULL: no route has ended */
    int64_t left, *counts;
    int infeasible;
};

/* Route k, and whether another is to follow. The better of its state and the best one is the best. */
static int travelled(const struct sv_gala_batch *batch, struct desk *desk, struct tour *t, int k, int one)
{
    struct sv_gala_options options = batch->options;
    int64_t first = k % 2 || one ? INT64_MAX : SV_GALA_FIRST;
    const double *from = k > 1 ? t->x : t->x0;
    sv_gala *state = k ? t->other : desk->first;
    if (k % 2)
        options.exact = 2, options.push = 0, options.mu *= SV_GALA_LATER_MU;
    options.onward = k == SV_GALA_ROUTES - 1;
    if (k > 1)
        sv_gala_answer(t->best, t->x, t->y, t->z);
    if (route(desk, t->sides, from, &options, t->left < first ? t->left : first, state))
        return 0;
    int follows = !one && k < SV_GALA_ROUTES - 1 && sv_gala_gives_up(state, first, t->left);
    t->left -= state->nit;
    t->infeasible |= k < 2 && state->status == SV_GALA_INFEASIBLE;
    t->counts[SV_PROGRAM_NIT] += state->nit;
    t->counts[SV_PROGRAM_STATUS] = state->status;
    if (k == 0) {
        t->best = state, t->other = desk->second;
    } else if (!(t->best->strict < state->strict)) {
        t->other = t->best, t->best = state;
    }
    if (k == 1 && follows && t->infeasible) {
        t->counts[SV_PROGRAM_STATUS] = SV_GALA_INFEASIBLE;
        return 0;
    }
    return follows;
}

/* All routes, as far as they are needed: the state whose point is the best one, NULL where there is none. */
static const sv_gala *routes(const struct sv_gala_batch *batch, struct desk *desk, const struct sv_sides *sides,
                             const double *x0, int64_t index)
{
    int64_t n = desk->table.n, m = desk->table.m;
    int one = batch->quasi != SV_QUASI_NONE || equations_only(sides, n, m);
    struct tour tour = {.sides = sides, .x0 = x0, .x = batch->x + n * index, .y = batch->y + m * index,
                        .z = batch->z + n * index, .left = batch->max_iter,
                        .counts = batch->counts + SV_PROGRAM_COUNTS * index};
    tour.counts[SV_PROGRAM_NIT] = 0;
    for (int k = 0; travelled(batch, desk, &tour, k, one); k++)
        continue;
    return tour.best;
}

/* The answer with its numbers, from the user's functions there. */
static void give(const struct sv_gala_batch *batch, struct desk *desk, const struct sv_sides *sides, const sv_gala *state,
                 int64_t k)
{
    int64_t n = desk->table.n, m = desk->table.m;
    double *numbers = batch->numbers + SV_PROGRAM_NUMBERS * k;
    struct sv_kkt_point at = {.x = batch->x + n * k, .g = batch->g + n * k, .z = batch->z + n * k,
                              .c = desk->c, .y = batch->y + m * k};
    sv_gala_answer(state, at.x, at.y, at.z);
    sv_gala_evaluate(&desk->table, state, &at.f, at.c, at.g, desk->product);
    sv_kkt_numbers(n, m, sides, desk->product, desk->judging, &at);
    numbers[SV_PROGRAM_F] = at.f;
    numbers[SV_PROGRAM_OPTIMALITY] = at.stationarity;
    numbers[SV_PROGRAM_VIOLATION] = at.violation;
    numbers[SV_PROGRAM_COMPLEMENTARITY] = at.complementarity;
}

static void solve(const struct sv_gala_batch *batch, struct desk *desk, int64_t k)
{
    int64_t n = batch->functions->n, *counts = batch->counts + SV_PROGRAM_COUNTS * k;
    const double *x0 = row_of(&batch->x0, k);
    struct sv_sides sides = {row_of(&batch->lower, k), row_of(&batch->upper, k), row_of(&batch->row_lower, k),
                             row_of(&batch->row_upper, k)};
    tell(batch, k, desk);
    ready(batch, desk);
    const sv_gala *found = routes(batch, desk, &sides, x0, k);
    if (found) {
        give(batch, desk, &sides, found, k);
    } else {
        counts[SV_PROGRAM_STATUS] = SV_GALA_NONFINITE;
        memcpy(batch->x + n * k, x0, (size_t)n * sizeof *x0);
        for (int i = 0; i < SV_PROGRAM_NUMBERS; i++)
            batch->numbers[SV_PROGRAM_NUMBERS * k + i] = i == SV_PROGRAM_F ? NAN : INFINITY;
    }
    if (counts[SV_PROGRAM_STATUS] == SV_GALA_RUNNING)
        counts[SV_PROGRAM_STATUS] = SV_GALA_MAX_ITER;
    counts[SV_PROGRAM_NFEV] = desk->dense.nfev;
    counts[SV_PROGRAM_NJEV] = desk->dense.njev;
    counts[SV_PROGRAM_NHEV] = desk->dense.nhev;
}

static void serve(void *context, size_t index)
{
    struct call *call = context;
    struct desk desk;
    lay_out(call->batch, &desk, call->work + (int64_t)index * call->each);
    while (now() <= call->end) { /* looked at first: what is drawn is solved, so that those done come before all others */
        int64_t k = atomic_fetch_add(&call->next, 1);
        if (k >= call->batch->programs)
            break;
        solve(call->batch, &desk, k);
    }
}

int64_t sv_gala_batch_solve(const struct sv_gala_batch *batch, int64_t from, double seconds, double *work, int threads)
{
    struct call call = {batch, work, now() + seconds, sv_gala_batch_work(batch), from};
    sv_parallel_for(threads, (size_t)(threads > 0 ? threads : 1), serve, &call);
    int64_t done = atomic_load(&call.next);
    return done < batch->programs ? done : batch->programs;
}
