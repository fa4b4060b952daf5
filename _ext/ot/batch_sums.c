/* The sums of a small problem's plan, from the costs and the potentials, and the plan itself where it is wanted: one pass
 * serves for both while the costs are in cache. The entries have the bits of plan_rows (kernels.c).
 *
 * In NumPy:  P = np.exp2(u[:, None] + v - scale * (C - offset[:, None]));  P.sum(1), P.sum(0), ((C - offset) * P).sum()
 */
#include "batch.h"
#include "cost.h"

enum { GROUP = 8 /* rows whose lanes are summed together */, ROWS = 2 /* whose exponentials alternate */ };

/* What a pass reads and writes. */
struct pass {
    const struct sv_ot_cost *cost;
    double scale;
    const double *u, *v;
    double *column_sums, *plan; /* of one problem; NULL where it is not wanted */
    int streamed;
};

/* What is summed of a row, in lanes: its entries, and those times their costs. */
struct totals {
    vreal sum, paid;
};

INLINE void add_columns(size_t j, int vectors, const struct pass *pass, const struct sv_ot_cost *cost, const struct row *rows,
                        const vreal *u, double *plan, struct totals *totals, int count, int kind, size_t d)
{
    vreal costs[ROWS * TOGETHER], terms[ROWS * TOGETHER];
    terms_at(rows, cost, u, pass->v, j, count, vectors, costs, terms, 1, kind, d);
    for (int w = 0; w < vectors; w++) {
        const size_t at = j + (size_t)w * SV_W, left = left_of(cost, at, vectors);
        vreal column = v_load_some(pass->column_sums + at, left, 0);
        for (int k = 0; k < count; k++) {
            const vreal p = fill_past(terms[k * vectors + w], left, 0);
            totals[k].sum = v_add(totals[k].sum, p);
            totals[k].paid = v_fma(costs[k * vectors + w], p, totals[k].paid);
            column = v_add(column, p);
            if (plan && pass->streamed)
                v_stream(plan + (size_t)k * cost->m + at, p);
            else if (plan)
                v_store_some(plan + (size_t)k * cost->m + at, p, left);
        }
        v_store_some(pass->column_sums + at, column, left);
    }
}

/* Rows i and on: their sums, lane by lane, and *paid grows. */
INLINE void add_rows(const struct pass *pass, const struct sv_ot_cost *cost, size_t i, vreal *sums, vreal *paid, int count,
                     int kind)
{
    const size_t d = 0;
    struct row rows[ROWS];
    struct totals totals[ROWS];
    vreal u[ROWS];
    double *plan = pass->plan ? pass->plan + i * cost->m : NULL;
    for (int k = 0; k < count; k++) {
        rows[k] = row_of(cost, pass->scale, i + (size_t)k);
        u[k] = v_set1(pass->u[i + (size_t)k]);
        totals[k] = (struct totals){v_set1(0), v_set1(0)};
    }
    FOR_COLUMNS(add_columns, pass, cost, rows, u, plan, totals, count, kind, d);
    for (int k = 0; k < count; k++)
        sums[k] = totals[k].sum, *paid = v_add(*paid, totals[k].paid);
}

INLINE double sums_of_rows(const struct pass *pass, const struct sv_ot_cost *cost, double *row_sums, int kind)
{
    vreal paid = v_set1(0);
    for (size_t first = 0; first < cost->n; first += GROUP) {
        const size_t last = first + GROUP < cost->n ? first + GROUP : cost->n;
        vreal sums[GROUP]; /* of each row, lane by lane */
        for (size_t k = last - first; k < GROUP; k++)
            sums[k] = v_set1(0);
        size_t i = first;
        for (; i + ROWS <= last; i += ROWS)
            add_rows(pass, cost, i, sums + (i - first), &paid, ROWS, kind);
        if (i < last)
            add_rows(pass, cost, i, sums + (i - first), &paid, 1, kind);
#ifdef V_HAS_TRANSPOSE
        v_store_some(row_sums + first, v_fold(sums, v_add), last - first);
#else
        for (size_t k = first; k < last; k++)
            row_sums[k] = v_sum_lanes(sums[k - first]);
#endif
    }
    if (pass->plan && pass->streamed)
        v_stream_fence();
    return v_sum_lanes(paid);
}

/* With a length of rows that is a constant the columns are no loop. */
enum { USUAL_LENGTH = 64 };
static double usual_sums(const struct pass *pass, double *row_sums)
{
    struct sv_ot_cost cost = *pass->cost;
    cost.m = USUAL_LENGTH;
    return sums_of_rows(pass, &cost, row_sums, SV_COST_FLOAT64);
}

static double sums(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, double *row_sums,
                   double *column_sums, double *plan, int past_cache)
{
    const int streamed = past_cache && !((uintptr_t)plan % sizeof(vreal) || cost->m % SV_W);
    const struct pass pass = {.cost = cost, .scale = scale, .u = u, .v = v, .column_sums = column_sums, .plan = plan,
                              .streamed = streamed};
    memset(column_sums, 0, cost->m * sizeof(double));
    if (cost->kind == SV_COST_FLOAT32)
        return sums_of_rows(&pass, cost, row_sums, SV_COST_FLOAT32);
    return cost->m == USUAL_LENGTH ? usual_sums(&pass, row_sums) : sums_of_rows(&pass, cost, row_sums, SV_COST_FLOAT64);
}

const struct ot_sums_kernel SV_TABLE(ot_sums) = {sums};
