/* The costs of a task: checked, restricted to positive weights, and what is common to a row or column found. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "certificate.h"
#include "cloud.h"
#include "interface_problem.h"
#include "sums.h"

/* Exponents (base 2) beyond this want care; beyond the other they lose enough digits (1e-12 of a plan) to look for what
 * the columns have in common. As in solvers/ot/_cost.py. */
static const double HUGE_EXPONENT = 1e9, LARGE_EXPONENT = 1e4;

static int is_matrix(const struct sv_ot_cost *cost) { return cost->kind <= SV_COST_FLOAT32; }

static size_t item_size(const struct sv_ot_cost *cost)
{
    return cost->kind == SV_COST_FLOAT32 ? sizeof(float) : sizeof(double);
}

int sv_ot_task_matrix(struct ot_task *task, enum sv_ot_cost_kind kind, const void *matrix, ptrdiff_t stride)
{
    const size_t n = task->n, m = task->m;
    size_t entries;
    const char *name = "C";
    if (!matrix)
        return sv_fail(SV_INVALID, "%s is NULL", name);
    if (stride < 0 || (size_t)stride < m)
        return sv_fail(SV_INVALID, "stride is %td, less than the %zu columns", stride, m);
    int status = sv_product(n, (size_t)stride, "n times stride", &entries);
    status = status ? status : sv_product(entries, sizeof(double), "the bytes of C", &entries);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            const size_t at = i * (size_t)stride + j;
            const double c = kind == SV_COST_FLOAT32 ? ((const float *)matrix)[at] : ((const double *)matrix)[at];
            if (!isfinite(c))
                return sv_fail(SV_INVALID, "%s is %g in row %zu, column %zu", name, c, i, j);
        }
    task->compiled.cost = (struct sv_ot_cost){.kind = kind, .n = n, .m = m, .matrix = matrix, .stride = stride};
    return SV_OK;
}

/* The points in rows without gaps. */
static int gather(struct ot_task *task, size_t count, size_t d, const double *points, ptrdiff_t stride, const char *name,
                  double **gathered)
{
    size_t entries;
    int status = sv_product(count, d, name, &entries);
    if (status)
        return status;
    if (!points)
        return sv_fail(SV_INVALID, "%s is NULL", name);
    if (stride < 0 || (size_t)stride < d)
        return sv_fail(SV_INVALID, "%s_stride is %td, less than the %zu coordinates", name, stride, d);
    status = sv_product(count, (size_t)stride, name, &entries);
    if (status)
        return status;
    double *out = *gathered = OT_DOUBLES(task, count * d);
    if (!out)
        return SV_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < d; k++) {
            out[i * d + k] = points[i * (size_t)stride + k];
            if (!isfinite(out[i * d + k]))
                return sv_fail(SV_INVALID, "%s is %g in row %zu, column %zu", name, out[i * d + k], i, k);
        }
    return SV_OK;
}

/* The kernels' name of a metric; -1 where there is none. */
static int kind_of(int metric, double p)
{
    switch (metric) {
    case SV_OT_SQEUCLIDEAN:
    case SV_OT_COSINE: return SV_COST_SQEUCLIDEAN;
    case SV_OT_EUCLIDEAN: return SV_COST_EUCLIDEAN;
    case SV_OT_CITYBLOCK: return SV_COST_CITYBLOCK;
    case SV_OT_CHEBYSHEV: return SV_COST_CHEBYSHEV;
    case SV_OT_MINKOWSKI:
        return isinf(p) ? SV_COST_CHEBYSHEV : p == 1 ? SV_COST_CITYBLOCK : p == 2 ? SV_COST_EUCLIDEAN : SV_COST_MINKOWSKI;
    default: return -1;
    }
}

int sv_ot_task_points(struct ot_task *task, size_t d, const double *x, ptrdiff_t x_stride, const double *y,
                      ptrdiff_t y_stride, int metric, double p)
{
    const size_t n = task->n, m = task->m;
    const int kind = kind_of(metric, p);
    double *from, *to, *across;
    if (!d)
        return sv_fail(SV_INVALID, "d is 0");
    if (kind < 0)
        return sv_fail(SV_INVALID, "metric is %d; it is one of enum sv_ot_metric", metric);
    if (metric == SV_OT_MINKOWSKI && !(p > 0))
        return sv_fail(SV_INVALID, "p is %g; exponents are positive", p);
    int status = gather(task, n, d, x, x_stride, "X", &from);
    status = status ? status : gather(task, m, d, y, y_stride, "Y", &to);
    if (status)
        return status;
    across = OT_DOUBLES(task, m * d);
    if (!across)
        return SV_NO_MEMORY;
    if (metric == SV_OT_COSINE) {
        size_t zero = sv_ot_directions(from, n, d, from);
        if (zero < n)
            return sv_fail(SV_INVALID, "X is zero in row %zu: its cosine is not defined", zero);
        zero = sv_ot_directions(to, m, d, to);
        if (zero < m)
            return sv_fail(SV_INVALID, "Y is zero in row %zu: its cosine is not defined", zero);
    }
    for (size_t j = 0; j < m; j++)
        for (size_t k = 0; k < d; k++)
            across[k * m + j] = to[j * d + k];
    task->compiled.cost = (struct sv_ot_cost){.kind = (enum sv_ot_cost_kind)kind, .n = n, .m = m, .x = from, .y = across,
                                              .d = d, .p = p};
    return SV_OK;
}

static int restrict_matrix(struct ot_task *task, size_t n, size_t m)
{
    struct sv_ot_cost *cost = &task->compiled.cost;
    const size_t size = item_size(cost);
    char *part = sv_ot_task_room(task, n * m, size);
    if (!part)
        return SV_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const char *row = (const char *)cost->matrix + (task->rows ? task->rows[i] : i) * (size_t)cost->stride * size;
        for (size_t j = 0; j < m; j++)
            memcpy(part + (i * m + j) * size, row + (task->columns ? task->columns[j] : j) * size, size);
    }
    cost->matrix = part;
    cost->stride = (ptrdiff_t)m;
    return SV_OK;
}

static int restrict_points(struct ot_task *task, size_t n, size_t m)
{
    struct sv_ot_cost *cost = &task->compiled.cost;
    const size_t d = cost->d;
    double *x = OT_DOUBLES(task, n * d), *y = OT_DOUBLES(task, d * m);
    if (!x || !y)
        return SV_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        memcpy(x + i * d, cost->x + (task->rows ? task->rows[i] : i) * d, d * sizeof(double));
    for (size_t k = 0; k < d; k++)
        for (size_t j = 0; j < m; j++)
            y[k * m + j] = cost->y[k * cost->m + (task->columns ? task->columns[j] : j)];
    cost->x = x, cost->y = y;
    return SV_OK;
}

int sv_ot_task_restrict(struct ot_task *task)
{
    struct sv_ot_cost *cost = &task->compiled.cost;
    const size_t n = task->problem.n, m = task->problem.m;
    const int status = is_matrix(cost) ? restrict_matrix(task, n, m) : restrict_points(task, n, m);
    cost->n = n, cost->m = m;
    return status;
}

/* max_j -sign C_ij - offsets into `out`; zeros: m of them, beyond them room for n. */
static void row_extreme(const struct ot_task *task, double sign, const double *zeros, double *out)
{
    sv_ot_row_max(&task->compiled.cost, sign, zeros, zeros, out, (double *)zeros + task->problem.m, 1);
}

static void row_minima(const struct ot_task *task, const double *zeros, double *low)
{
    row_extreme(task, 1, zeros, low);
    for (size_t i = 0; i < task->problem.n; i++)
        low[i] = 0 - low[i];
}

int sv_ot_task_span(struct ot_task *task, double *span)
{
    const size_t n = task->problem.n;
    if (!is_matrix(&task->compiled.cost)) {
        *span = sv_ot_cloud_span(&task->compiled.cost);
        return SV_OK;
    }
    double *low = OT_DOUBLES(task, 2 * n), *high = low + n;
    if (!low)
        return SV_NO_MEMORY;
    sv_ot_row_range(&task->compiled.cost, low, high);
    for (size_t i = 0; i < n; i++)
        high[i] -= low[i];
    *span = sv_ot_largest(high, n);
    task->least = low;
    return SV_OK;
}

/* Rows and columns lose what they have in common where that is larger than what is left; else the cost is as it was. */
static int reduced(struct ot_task *task, double *low, const double *zeros, double *span)
{
    struct sv_ot_cost *cost = &task->compiled.cost;
    const size_t n = task->problem.n, m = task->problem.m;
    double *columns = OT_DOUBLES(task, m + n), *high = columns + m;
    if (!columns)
        return SV_NO_MEMORY;
    row_minima(task, zeros, low);
    cost->offset = low;
    sv_ot_column_max(cost, 1, zeros + m + n, columns, task->compiled.work, 1);
    for (size_t j = 0; j < m; j++)
        columns[j] = 0 - columns[j];
    cost->column_offset = columns;
    row_extreme(task, -1, zeros, high);
    const double left = sv_ot_largest(high, n);
    if (sv_ot_largest(columns, m) > left || (!is_matrix(cost) && sv_ot_largest(low, n) > left))
        *span = left;
    else
        cost->offset = cost->column_offset = NULL;
    return SV_OK;
}

int sv_ot_task_offset(struct ot_task *task, double scale, double *span)
{
    struct sv_ot_cost *cost = &task->compiled.cost;
    const size_t n = task->problem.n, m = task->problem.m;
    double *low = OT_DOUBLES(task, n), *zeros = OT_DOUBLES(task, 2 * n + m);
    if (!low || !zeros)
        return SV_NO_MEMORY;
    if (scale * *span > LARGE_EXPONENT) {
        memset(zeros, 0, (2 * n + m) * sizeof(double));
        const int status = reduced(task, low, zeros, span);
        if (status || cost->offset) {
            task->least = NULL;
            return status;
        }
    }
    const int huge = scale * *span > HUGE_EXPONENT;
    if (is_matrix(cost)) {
        memcpy(low, task->least, n * sizeof(double));
        cost->offset = huge || sv_ot_distance_linf(low, NULL, n) > *span ? low : NULL;
    } else if (huge) {
        cost->offset = memset(low, 0, n * sizeof(double));
    }
    if (cost->offset)
        task->least = NULL;
    return SV_OK;
}
