/* The pricing of pricing.c over all rows: blocks of rows as tasks. Each row's result depends on the row alone. */
#include "ot.h"

SV_DISPATCH(struct ot_price_kernels, kernels, ot_price_kernels_f64)

enum { TASK_MIN = 1 << 15 /* entries: some 10 microseconds */ };

struct pass {
    const struct sv_ot_cost *cost;
    const double *g, *limit;
    double *least, *costs;
    int most, *counts, *columns;
    size_t rows; /* of a task */
};

static void price_task(void *context, size_t task)
{
    const struct pass *p = context;
    size_t first = task * p->rows, last = first + p->rows < p->cost->n ? first + p->rows : p->cost->n;
    kernels()->price(p->cost, p->g, p->limit, p->least, p->most, p->counts, p->columns, p->costs, first, last);
}

void sv_ot_price(const struct sv_ot_cost *cost, const double *g, const double *limit, double *least, int most,
                 int *counts, int *columns, double *costs, int threads)
{
    struct pass pass = {.cost = cost, .g = g, .limit = limit, .least = least, .costs = costs, .most = most,
                        .counts = counts, .columns = columns, .rows = TASK_MIN / cost->m + 1};
    sv_parallel_for(threads, (cost->n + pass.rows - 1) / pass.rows, price_task, &pass);
}
