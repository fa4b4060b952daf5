/* The passes of kernels.c over all rows: blocks of rows as tasks, and the merging of their sums.
 *
 * The column sums of sweeps and marginals are made of those of leaves: OT_LEAF_ROWS rows each, added up with what
 * every addition loses. So neither the blocks nor the threads count for them, and ranks that share the rows, cut
 * between leaves, find the bits of one process: but for a sum in some 10^13, whose rounding hangs on the last bits of
 * what was lost. A leaf of 32 rows costs 6 flops a column beside the 550 of its rows.
 */
#include "blocks.h"
#include "certificate.h"

SV_DISPATCH(struct ot_kernels, kernels, ot_kernels_f64)
SV_DISPATCH(struct ot_certificate_kernels, certificates, ot_certificate_kernels_f64)
SV_DISPATCH(struct ot_damped_kernels, damped, ot_damped_f64)

struct pass {
    const struct sv_ot_cost *cost;
    double scale;
    const double *a, *v;
    double *u, *row_sums;
    size_t first, rows, blocks, stride;
    struct ot_response response;
    double threshold;
    int *columns;
    ptrdiff_t *counts;
    const struct ot_thinning *thinning;
    const struct ot_storing *storing;
    double *sums, *lost, *leaf, *room; /* for each block m column sums, what they lost, a leaf's; room for two rows */
    double paid[MAX_BLOCKS], paid_below[MAX_BLOCKS];
    size_t kept[MAX_BLOCKS];
    const double *y;
    struct ot_examined *examined;
};

size_t sv_ot_worksize(size_t n, size_t m) { return blocks_of(n) * (4 * m + 2 * ot_row_room(m)); }

static struct pass prepare(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, double *work)
{
    struct pass pass = {.cost = cost, .scale = scale, .u = (double *)u, .v = v, .rows = cost->n,
                        .blocks = blocks_of(cost->n), .sums = work};
    pass.lost = work + pass.blocks * cost->m, pass.leaf = pass.lost + pass.blocks * cost->m;
    pass.room = pass.leaf + pass.blocks * cost->m;
    return pass;
}

static void run(struct pass *pass, sv_task task, int threads)
{
    run_blocks(pass->rows * pass->cost->m, pass->blocks, task, pass, threads);
}

/* Where a maximum begins. */
#define LEAST_EXPONENT (-1e308)

/* top = max(top, x) */
static void raise_to(double *top, const double *x, size_t m)
{
    for (size_t j = 0; j < m; j++)
        if (x[j] > top[j])
            top[j] = x[j];
}

/* Blocks are of whole leaves. */
static size_t start(const struct pass *pass, size_t block)
{
    const size_t leaves = (pass->rows + OT_LEAF_ROWS - 1) / OT_LEAF_ROWS;
    const size_t row = leaves * block / pass->blocks * OT_LEAF_ROWS;
    return pass->first + (row < pass->rows ? row : pass->rows);
}

/* The column sums of a block; of_rows adds those of a leaf's rows. */
static void sum_leaves(struct pass *pass, size_t block,
                       void (*of_rows)(struct pass *pass, size_t block, double *sums, size_t first, size_t last))
{
    const size_t m = pass->cost->m, first = start(pass, block), last = start(pass, block + 1);
    double *sums = pass->sums + block * m, *lost = pass->lost + block * m, *leaf = pass->leaf + block * m;
    fill(sums, m, 0);
    fill(lost, m, 0);
    for (size_t i = first; i < last; i += OT_LEAF_ROWS) {
        const size_t end = last - i < OT_LEAF_ROWS ? last : i + OT_LEAF_ROWS;
        if (i > first)
            fill(leaf, m, 0);
        of_rows(pass, block, i > first ? leaf : sums, i, end);
        if (i > first)
            kernels()->add_sums(sums, lost, leaf, m);
    }
}

/* The sums of all blocks, rounded once; rest, where it is not NULL, becomes what that takes off them. */
static void add_leaves(const struct pass *pass, double *column_sums, double *rest)
{
    const size_t m = pass->cost->m;
    double *sums = pass->sums, *lost = pass->lost;
    for (size_t block = 1; block < pass->blocks; block++) {
        kernels()->add_sums(sums, lost, sums + block * m, m);
        for (size_t j = 0; j < m; j++)
            lost[j] += lost[block * m + j];
    }
    for (size_t j = 0; j < m; j++) {
        const double sum = sums[j] + lost[j];
        column_sums[j] = sum == sum ? sum : sums[j]; /* of an infinite sum nothing is known to be lost */
        if (rest)
            rest[j] = (sums[j] - column_sums[j]) + lost[j];
    }
}

/* Where the kept entries of a block go: behind all that the rows before may keep, and a row's room each block. */
static size_t thinned_place(const struct pass *pass, size_t block)
{
    return start(pass, block) * pass->thinning->most + block * pass->cost->m;
}

size_t sv_ot_thinned_room(size_t n, size_t m, size_t most) { return n * most + MAX_BLOCKS * m; }

static void sweep_leaf(struct pass *pass, size_t block, double *sums, size_t first, size_t last)
{
    struct ot_thinning thinning;
    if (pass->thinning) {
        const size_t place = thinned_place(pass, block) + pass->kept[block];
        thinning = *pass->thinning;
        thinning.values += place, thinning.columns += place;
    }
    kernels()->sweep(pass->cost, pass->scale, pass->a, pass->u, pass->v, sums,
                     pass->room + block * 2 * ot_row_room(pass->cost->m), pass->thinning ? &thinning : NULL,
                     pass->storing, first, last);
    for (size_t i = first; pass->thinning && i < last; i++)
        pass->kept[block] += (size_t)pass->thinning->counts[i];
}

static void sweep_block(void *context, size_t block) { sum_leaves(context, block, sweep_leaf); }

void sv_ot_sweep(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                 double *column_sums, double *rest, double *work, int threads)
{
    struct pass pass = prepare(cost, scale, u, v, work);
    pass.a = a;
    run(&pass, sweep_block, threads);
    add_leaves(&pass, column_sums, rest);
}

void sv_ot_sweep_thinned(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                         double *column_sums, double *rest, const struct ot_thinning *thinning, double *work,
                         int threads)
{
    struct pass pass = prepare(cost, scale, u, v, work);
    pass.a = a;
    pass.thinning = thinning;
    run(&pass, sweep_block, threads);
    add_leaves(&pass, column_sums, rest);
    size_t kept = 0;
    for (size_t block = 0; block < pass.blocks; block++) { /* close the gaps between the blocks */
        const size_t place = thinned_place(&pass, block), count = pass.kept[block];
        memmove(thinning->values + kept, thinning->values + place, count * sizeof(double));
        memmove(thinning->columns + kept, thinning->columns + place, count * sizeof(int));
        kept += count;
    }
}

void sv_ot_store(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                 const struct ot_storing *storing, double *column_sums, double *rest, double *work, int threads)
{
    struct pass pass = prepare(cost, scale, u, v, work);
    pass.a = a;
    pass.storing = storing;
    run(&pass, sweep_block, threads);
    add_leaves(&pass, column_sums, rest);
}

static void damped_block(void *context, size_t block)
{
    struct pass *pass = context;
    const size_t m = pass->cost->m;
    fill(pass->sums + block * m, m, 0);
    damped()->sweep(pass->cost, pass->scale, &pass->response, pass->u, pass->v, pass->sums + block * m,
                    pass->room + block * 2 * ot_row_room(m), start(pass, block), start(pass, block + 1));
}

void sv_ot_damped_sweep(const struct sv_ot_cost *cost, double scale, const double *base, double damping, double *u,
                        const double *v, double *q, double *column_sums, double *work, int threads)
{
    struct pass pass = prepare(cost, scale, u, v, work);
    pass.response = (struct ot_response){base, damping, q};
    run(&pass, damped_block, threads);
    sum_blocks(pass.sums, pass.blocks, cost->m, cost->m, column_sums);
}

static void marginals_leaf(struct pass *pass, size_t block, double *sums, size_t first, size_t last)
{
    pass->paid[block] += kernels()->marginals(pass->cost, pass->scale, pass->u, pass->v, pass->row_sums, sums, first,
                                              last);
}

static void marginals_block(void *context, size_t block) { sum_leaves(context, block, marginals_leaf); }

double sv_ot_marginals(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, double *row_sums,
                       double *column_sums, double *rest, double *work, int threads)
{
    struct pass pass = prepare(cost, scale, u, v, work);
    pass.row_sums = row_sums;
    run(&pass, marginals_block, threads);
    add_leaves(&pass, column_sums, rest);
    double paid = 0;
    for (size_t block = 0; block < pass.blocks; block++)
        paid += pass.paid[block];
    return paid;
}

static void plan_block(void *context, size_t block)
{
    struct pass *pass = context;
    size_t first = start(pass, block), last = start(pass, block + 1);
    kernels()->plan_rows(pass->cost, pass->scale, pass->u, pass->v,
                         pass->sums + (first - pass->first) * pass->stride, pass->stride, first, last, 0);
}

void sv_ot_plan_rows(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, size_t first,
                     size_t last, double *plan, size_t stride, int threads)
{
    struct pass pass = {.cost = cost, .scale = scale, .u = (double *)u, .v = v, .first = first, .rows = last - first,
                        .blocks = blocks_of(last - first), .stride = stride, .sums = plan};
    run(&pass, plan_block, threads);
}

static void large_entries_block(void *context, size_t block)
{
    struct pass *pass = context;
    size_t first = start(pass, block), row = first - pass->first, place = row * pass->cost->m;
    kernels()->large_entries(pass->cost, pass->scale, pass->u, pass->v, pass->threshold, pass->sums + place,
                             pass->columns + place, pass->counts + row, first, start(pass, block + 1));
}

void sv_ot_large_entries(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, size_t first,
                         size_t last, double threshold, double *values, int *columns, ptrdiff_t *counts, int threads)
{
    struct pass pass = {.cost = cost, .scale = scale, .u = (double *)u, .v = v, .first = first, .rows = last - first,
                        .blocks = blocks_of(last - first), .sums = values, .threshold = threshold,
                        .columns = columns, .counts = counts};
    run(&pass, large_entries_block, threads);
    size_t kept = 0;
    for (size_t row = 0; row < pass.rows; row++) { /* close the gaps between the rows */
        memmove(values + kept, values + row * cost->m, (size_t)counts[row] * sizeof(double));
        memmove(columns + kept, columns + row * cost->m, (size_t)counts[row] * sizeof(int));
        kept += (size_t)counts[row];
    }
}

int sv_ot_row_range(const struct sv_ot_cost *cost, double *least, double *largest)
{
    return kernels()->row_range(cost, least, largest, 0, cost->n);
}

/* What a block has beside the sums of its leaves lies behind all rooms. */
static double *column_max_of(const struct pass *pass, size_t block)
{
    const size_t m = pass->cost->m;
    return pass->room + pass->blocks * 2 * ot_row_room(m) + block * m;
}

static void examine_leaf(struct pass *pass, size_t block, double *sums, size_t first, size_t last)
{
    struct ot_examined of_leaf = *pass->examined;
    of_leaf.column_sums = sums, of_leaf.paid = of_leaf.paid_below = 0;
    of_leaf.column_max = column_max_of(pass, block);
    certificates()->examine(pass->cost, pass->scale, pass->u, pass->v, pass->y, &of_leaf,
                            pass->room + block * 2 * ot_row_room(pass->cost->m), first, last);
    pass->paid[block] += of_leaf.paid;
    pass->paid_below[block] += of_leaf.paid_below;
}

static void examine_block(void *context, size_t block)
{
    struct pass *pass = context;
    fill(column_max_of(pass, block), pass->cost->m, LEAST_EXPONENT);
    sum_leaves(pass, block, examine_leaf);
}

void sv_ot_examine(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *y,
                   struct ot_examined *out, double *work, int threads)
{
    struct pass pass = prepare(cost, scale, u, v, work);
    const size_t m = cost->m;
    pass.y = y, pass.examined = out;
    run(&pass, examine_block, threads);
    add_leaves(&pass, out->column_sums, NULL);
    fill(out->column_max, m, LEAST_EXPONENT);
    out->paid = out->paid_below = 0;
    for (size_t block = 0; block < pass.blocks; block++) {
        out->paid += pass.paid[block], out->paid_below += pass.paid_below[block];
        raise_to(out->column_max, column_max_of(&pass, block), m);
    }
}

static void column_max_block(void *context, size_t block)
{
    struct pass *pass = context;
    const size_t m = pass->cost->m;
    fill(pass->sums + block * m, m, LEAST_EXPONENT);
    kernels()->column_max(pass->cost, pass->scale, pass->u, pass->sums + block * m, start(pass, block),
                          start(pass, block + 1));
}

void sv_ot_column_max(const struct sv_ot_cost *cost, double scale, const double *u, double *column_max, double *work,
                      int threads)
{
    struct pass pass = prepare(cost, scale, u, NULL, work);
    const size_t m = cost->m;
    run(&pass, column_max_block, threads);
    memcpy(column_max, pass.sums, m * sizeof(double));
    for (size_t block = 1; block < pass.blocks; block++)
        raise_to(column_max, pass.sums + block * m, m);
}
