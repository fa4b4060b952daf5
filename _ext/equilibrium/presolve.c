/* What can be taken out of a linear program at once, and how a solution of the rest becomes one of the whole: see
 * program.h. Each row and column is looked at when what is left of it changes: time and memory grow with the entries. */
#include "program.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"
#include "solvers.h"

/* Bounds that are nearer than this, relatively, are one; and room for the sides of a row of which nothing is left. */
#define EQUAL 1e-13
#define ROOM 1e-9

struct work {
    int32_t *column_starts, *row_of; /* A by columns */
    double *entry;
    double *l, *u, *lb, *ub, *shift; /* sides and bounds, and what fixed columns add to the rows */
    int32_t *count;                  /* open columns in each row */
    uint8_t *row_open, *column_open, *listed;
    int32_t *open, *touched;
    struct sv_program_bound *bounds;
    size_t bound_count;
    double *fixed;
};

static void by_columns(const struct sv_lp *lp, struct work *w)
{
    memset(w->column_starts, 0, (lp->n + 1) * sizeof *w->column_starts);
    for (int32_t k = 0; k < lp->starts[lp->m]; k++)
        w->column_starts[lp->index[k] + 1]++;
    for (size_t j = 0; j < lp->n; j++)
        w->column_starts[j + 1] += w->column_starts[j];
    for (size_t i = 0; i < lp->m; i++)
        for (int32_t k = lp->starts[i]; k < lp->starts[i + 1]; k++) {
            int32_t at = w->column_starts[lp->index[k]]++;
            w->row_of[at] = (int32_t)i;
            w->entry[at] = lp->value[k];
        }
    memmove(w->column_starts + 1, w->column_starts, lp->n * sizeof *w->column_starts);
    w->column_starts[0] = 0;
}

static int is_fixed(double lb, double ub)
{
    return lb <= ub && ub - lb <= EQUAL * (1 + fabs(lb)) && isfinite(lb);
}

/* Whether the row became bounds of its only column; not where they would contradict the others. */
static int becomes_bound(struct work *w, int32_t i, int32_t j, double entry)
{
    double low = (w->l[i] - w->shift[i]) / entry, high = (w->u[i] - w->shift[i]) / entry;
    if (low > high) {
        double other = low;
        low = high;
        high = other;
    }
    double new_low = w->lb[j] > low ? w->lb[j] : low, new_high = w->ub[j] < high ? w->ub[j] : high;
    double room = isfinite(new_low) && isfinite(new_high) ? EQUAL * (1 + fabs(new_low) + fabs(new_high)) : 0;
    if (new_low > new_high + room)
        return 0;
    if (new_low > new_high)
        new_low = new_high = high >= w->ub[j] ? w->ub[j] : high;
    w->bounds[w->bound_count++] = (struct sv_program_bound){i, j, entry, new_low > w->lb[j], new_high < w->ub[j]};
    w->lb[j] = new_low;
    w->ub[j] = new_high;
    return 1;
}

static void fix(const struct work *w, int32_t j)
{
    double value = w->lb[j] == w->ub[j] ? w->lb[j] : (w->lb[j] + w->ub[j]) / 2;
    w->column_open[j] = 0;
    w->fixed[j] = value;
    for (int32_t k = w->column_starts[j]; k < w->column_starts[j + 1]; k++) {
        w->shift[w->row_of[k]] += w->entry[k] * value;
        w->count[w->row_of[k]]--;
    }
}

/* Rows with nothing left, and rows with one entry left; returns how many columns these touched. */
static size_t look_at_rows(const struct sv_lp *lp, struct work *w)
{
    size_t touched = 0;
    for (size_t i = 0; i < lp->m; i++) {
        double room = ROOM * (1 + fabs(w->shift[i]));
        if (w->row_open[i] && w->count[i] == 0 && w->l[i] - w->shift[i] <= room && w->shift[i] - w->u[i] <= room)
            w->row_open[i] = 0;
    }
    for (size_t i = 0; i < lp->m; i++) {
        if (!w->row_open[i] || w->count[i] != 1)
            continue;
        int32_t k = lp->starts[i];
        while (!w->column_open[lp->index[k]])
            k++;
        if (becomes_bound(w, (int32_t)i, lp->index[k], lp->value[k])) {
            w->row_open[i] = 0;
            w->touched[touched++] = lp->index[k];
        }
    }
    return touched;
}

static void take_out(const struct sv_lp *lp, struct work *w)
{
    size_t open = 0;
    for (size_t i = 0; i < lp->m; i++) {
        w->row_open[i] = !(isinf(lp->l[i]) && lp->l[i] < 0 && isinf(lp->u[i]) && lp->u[i] > 0);
        w->count[i] = lp->starts[i + 1] - lp->starts[i];
        w->shift[i] = 0;
    }
    memset(w->listed, 0, lp->n);
    for (size_t j = 0; j < lp->n; j++) {
        w->column_open[j] = 1;
        w->fixed[j] = 0;
        if (is_fixed(w->lb[j], w->ub[j]))
            w->open[open++] = (int32_t)j;
    }
    for (;;) {
        for (size_t k = 0; k < open; k++)
            fix(w, w->open[k]);
        size_t touched = look_at_rows(lp, w);
        open = 0;
        for (size_t k = 0; k < touched; k++) {
            int32_t j = w->touched[k];
            if (!w->listed[j] && w->column_open[j] && is_fixed(w->lb[j], w->ub[j])) {
                w->listed[j] = 1; /* it is fixed now, once and for all */
                w->open[open++] = j;
            }
        }
        if (open == 0)
            return;
    }
}

/* Fills in the program that is left; `place`: n integers. */
static void keep(const struct sv_lp *lp, const struct work *w, struct sv_reduced *r, double *value, int32_t *starts,
                 int32_t *index, double *vectors, int32_t *place)
{
    size_t m = 0, n = 0, entries = 0;
    for (size_t j = 0; j < lp->n; j++)
        if (w->column_open[j])
            r->columns[n++] = (int32_t)j;
    if (n == 0) /* nothing is left to solve, but a program has columns */
        r->columns[n++] = 0;
    for (size_t j = 0; j < lp->n; j++)
        place[j] = -1;
    for (size_t j = 0; j < n; j++)
        place[r->columns[j]] = (int32_t)j;
    for (size_t i = 0; i < lp->m; i++)
        if (w->row_open[i])
            r->rows[m++] = (int32_t)i;
    double *c = vectors, *lb = c + lp->n, *ub = lb + lp->n, *l = ub + lp->n, *u = l + lp->m;
    for (size_t j = 0; j < n; j++) {
        c[j] = lp->c[r->columns[j]];
        lb[j] = w->lb[r->columns[j]];
        ub[j] = w->ub[r->columns[j]];
    }
    starts[0] = 0;
    for (size_t i = 0; i < m; i++) {
        int32_t row = r->rows[i];
        double shift = 0;
        for (int32_t k = lp->starts[row]; k < lp->starts[row + 1]; k++) {
            int32_t j = place[lp->index[k]];
            if (j < 0) {
                shift += lp->value[k] * w->fixed[lp->index[k]];
                continue;
            }
            index[entries] = j;
            value[entries++] = lp->value[k];
        }
        starts[i + 1] = (int32_t)entries;
        l[i] = w->l[row] - shift;
        u[i] = w->u[row] - shift;
    }
    r->lp = (struct sv_lp){m, n, starts, index, value, c, l, u, lb, ub};
}

int sv_reduce(const struct sv_program *whole, struct sv_reduced *r)
{
    const struct sv_lp *lp = &whole->lp;
    size_t m = lp->m, n = lp->n, entries = (size_t)lp->starts[m], k = 0;
    memset(r, 0, sizeof *r);
    r->whole = whole;
    /* One more than needed: malloc(0) may be NULL. Those that the result keeps come first. */
    const size_t sizes[] = {
        (m + 1) * sizeof(int32_t), (n + 1) * sizeof(int32_t), (n + 1) * sizeof(double),
        (m + 1) * sizeof(struct sv_program_bound), (entries + 1) * sizeof(double), (m + 2) * sizeof(int32_t),
        (entries + 1) * sizeof(int32_t), (3 * n + 2 * m + 1) * sizeof(double),
        (3 * n + m + entries + 4) * sizeof(int32_t), (entries + 1) * sizeof(double), (3 * m + 2 * n + 1) * sizeof(double),
        (2 * m + 2 * n + 2) * (sizeof(int32_t) + 1),
    };
    enum { KEPT = 8, BLOCKS = 12 };
    for (; k < BLOCKS; k++)
        if (!(r->owned[k] = malloc(sizes[k]))) {
            sv_reduced_free(r);
            return sv_fail(SV_NO_MEMORY, "program: no memory for a copy");
        }
    r->rows = r->owned[0];
    r->columns = r->owned[1];
    r->fixed = r->owned[2];
    r->bounds = r->owned[3];
    int32_t *integers = r->owned[8], *more = r->owned[11];
    double *doubles = r->owned[10];
    struct work w = {
        .column_starts = integers, .row_of = integers + n + 1, .open = integers + n + 1 + entries,
        .touched = integers + 2 * n + 2 + entries, .entry = r->owned[9], .l = doubles, .u = doubles + m,
        .shift = doubles + 2 * m, .lb = doubles + 3 * m, .ub = doubles + 3 * m + n, .count = more,
        .row_open = (uint8_t *)(more + m + n + 1), .column_open = (uint8_t *)(more + m + n + 1) + m,
        .listed = (uint8_t *)(more + m + n + 1) + m + n, .bounds = r->bounds, .fixed = r->fixed,
    };
    memcpy(w.l, lp->l, m * sizeof(double));
    memcpy(w.u, lp->u, m * sizeof(double));
    memcpy(w.lb, lp->lb, n * sizeof(double));
    memcpy(w.ub, lp->ub, n * sizeof(double));
    by_columns(lp, &w);
    take_out(lp, &w);
    r->bound_count = w.bound_count;
    keep(lp, &w, r, r->owned[4], r->owned[5], r->owned[6], r->owned[7], more + m);
    for (k = KEPT; k < BLOCKS; k++) {
        free(r->owned[k]);
        r->owned[k] = NULL;
    }
    return SV_OK;
}

void sv_reduced_free(struct sv_reduced *r)
{
    for (size_t k = 0; k < sizeof r->owned / sizeof *r->owned; k++)
        free(r->owned[k]);
    memset(r, 0, sizeof *r);
}

void sv_reduced_point(const struct sv_reduced *r, const double *x, int fixed, double *whole)
{
    size_t n = r->whole->lp.n;
    for (size_t j = 0; j < n; j++)
        whole[j] = fixed ? r->fixed[j] : 0;
    for (size_t j = 0; j < r->lp.n; j++)
        whole[r->columns[j]] = x[j];
}

/* Rows that became bounds are met in reverse: the reduced cost of their column then has the parts of all later ones. */
void sv_reduced_multipliers(const struct sv_reduced *r, const double *y, const double *c, double *whole, double *work)
{
    const struct sv_lp *lp = &r->whole->lp;
    memset(whole, 0, lp->m * sizeof *whole);
    for (size_t i = 0; i < r->lp.m; i++)
        whole[r->rows[i]] = y[i];
    if (r->bound_count == 0)
        return;
    sv_equilibrium_lp_transposed(lp, whole, work);
    for (size_t j = 0; j < lp->n; j++)
        work[j] = (c ? c[j] : 0) - work[j];
    for (size_t k = r->bound_count; k-- > 0;) {
        const struct sv_program_bound *bound = r->bounds + k;
        double left = work[bound->column];
        if (!((bound->low && left > 0) || (bound->high && left < 0)))
            continue;
        double by = whole[bound->row] = left / bound->entry;
        for (int32_t e = lp->starts[bound->row]; e < lp->starts[bound->row + 1]; e++)
            work[lp->index[e]] -= by * lp->value[e];
        work[bound->column] = 0;
    }
}
