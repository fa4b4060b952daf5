/* See problem.h. */
#include <math.h>
#include <string.h>

#include "problem.h"
#include "solvers.h"
#include "sums.h"

/* A column sum below this, or this part of the mass, may have lost digits: the column is summed again by itself. */
static const double UNDERFLOW_SUM = 1e-280, LOST_SUM = 0x1p-88;
/* Potentials (base 2) whose mean is beyond this are shifted: a common part costs the digits of every exponent. */
static const double LARGEST_MEAN = 64;
/* Steps without progress after which, within so many times the rounding, a method has come as far as it can. */
static const double NEAR_ROUNDOFF = 1e3;
enum { PATIENCE = 30 };
/* 2 to this power is a number, and so is its inverse. */
enum { LARGEST_EXPONENT = 1020 };

static int sweep(void *context, double scale, const double *a, double *u, const double *v, double *column_sums,
                 const struct ot_thinning *thinning, int threads)
{
    struct ot_compiled *c = context;
    if (thinning)
        sv_ot_sweep_thinned(&c->cost, scale, a, u, v, column_sums, NULL, thinning, c->work, threads);
    else
        sv_ot_sweep(&c->cost, scale, a, u, v, column_sums, NULL, c->work, threads);
    return 0;
}

static int marginals(void *context, double scale, const double *u, const double *v, double *row_sums,
                     double *column_sums, double *paid, int threads)
{
    struct ot_compiled *c = context;
    *paid = sv_ot_marginals(&c->cost, scale, u, v, row_sums, column_sums, NULL, c->work, threads);
    return 0;
}

static int plan_rows(void *context, double scale, const double *u, const double *v, double *plan, size_t stride,
                     int threads)
{
    struct ot_compiled *c = context;
    sv_ot_plan_rows(&c->cost, scale, u, v, 0, c->cost.n, plan, stride, threads);
    return 0;
}

static int store(void *context, double scale, const double *a, double *u, const double *v,
                 const struct ot_storing *storing, double *column_sums, int threads)
{
    struct ot_compiled *c = context;
    sv_ot_store(&c->cost, scale, a, u, v, storing, column_sums, NULL, c->work, threads);
    return 0;
}

static int column_max(void *context, double scale, const double *u, double *out, int threads)
{
    struct ot_compiled *c = context;
    sv_ot_column_max(&c->cost, scale, u, out, c->work, threads);
    return 0;
}

static int row_max(void *context, double scale, const double *v, const double *w, double *out, double *product,
                   int threads)
{
    struct ot_compiled *c = context;
    sv_ot_row_max(&c->cost, scale, v, w, out, product, threads);
    return 0;
}

static int scale_below(void *context, double scale, const double *a, const double *u, const double *v, const double *y,
                       double *x, double *row_sums, double *column_sums, double *paid, int threads)
{
    struct ot_compiled *c = context;
    *paid = sv_ot_scale_below(&c->cost, scale, a, u, v, y, x, row_sums, column_sums, c->work, threads);
    return 0;
}

static int examine(void *context, double scale, const double *u, const double *v, const double *y,
                   struct ot_examined *out, int threads)
{
    struct ot_compiled *c = context;
    sv_ot_examine(&c->cost, scale, u, v, y, out, c->work, threads);
    return 0;
}

const struct ot_passes sv_ot_compiled_passes = {sweep,      marginals, plan_rows,   store,
                                                column_max, row_max,   scale_below, examine};

void sv_ot_problem_ready(struct ot_problem *p)
{
    p->mass_a = sv_ot_sum(p->a, p->n);
    p->mass_b = sv_ot_sum(p->b, p->m);
    p->roundoff = 0x1p-52 * (4 + p->scale * p->span) * p->mass_a;
    p->aim = p->tol - fmin(p->roundoff, 0.1 * p->tol);
}

/* The l2 norm in units of the mass, a power of two: squares of small masses would underflow, and no error be seen. */
static double l2_error(const struct ot_problem *p, const double *row_sums, const double *column_sums)
{
    int exponent;
    (void)frexp(p->mass_a, &exponent);
    exponent = exponent > -LARGEST_EXPONENT ? exponent : -LARGEST_EXPONENT;
    const double unit = ldexp(1, -exponent);
    const double rows = row_sums ? sv_ot_distance_squared(row_sums, p->a, unit, p->n) : 0;
    return ldexp(sqrt(rows + sv_ot_distance_squared(column_sums, p->b, unit, p->m)), exponent);
}

double sv_ot_error(const struct ot_problem *p, const double *row_sums, const double *column_sums)
{
    switch (p->norm) {
    case SV_OT_NORM_L1:
        return (row_sums ? sv_ot_distance_l1(row_sums, p->a, p->n) : 0) + sv_ot_distance_l1(column_sums, p->b, p->m);
    case SV_OT_NORM_L2:
        return l2_error(p, row_sums, column_sums);
    default: {
        const double columns = sv_ot_distance_linf(column_sums, p->b, p->m);
        const double rows = row_sums ? sv_ot_distance_linf(row_sums, p->a, p->n) : 0;
        return rows > columns || rows != rows ? rows : columns;
    }
    }
}

double sv_ot_drift(const struct ot_problem *p, const double *v)
{
    const double mean = sv_ot_dot(p->b, v, p->m) / p->mass_b;
    return fabs(mean) > LARGEST_MEAN ? mean : 0;
}

int sv_ot_best_v(const struct ot_problem *p, const double *u, const double *v, const double *column_sums, double stage,
                 double *best, double *work)
{
    const size_t n = p->n, m = p->m;
    if (sv_ot_least(column_sums, m) > fmax(UNDERFLOW_SUM, LOST_SUM * p->mass_a)) {
        for (size_t j = 0; j < m; j++)
            best[j] = v[j] + stage * log2(p->b[j] / column_sums[j]);
    } else {
        double *staged = work, *sums = work + n, *row_sums = sums + m, *top = best, paid;
        for (size_t i = 0; i < n; i++)
            staged[i] = u[i] / stage;
        int failed = p->passes->column_max(p->cost, p->scale / stage, staged, top, p->threads);
        for (size_t j = 0; j < m; j++)
            top[j] = -top[j];
        failed = failed || p->passes->marginals(p->cost, p->scale / stage, staged, top, row_sums, sums, &paid, p->threads);
        if (failed)
            return OT_GAVE_UP;
        for (size_t j = 0; j < m; j++)
            best[j] = stage * (log2(p->b[j] / sums[j]) + top[j]);
    }
    const double drift = sv_ot_drift(p, best);
    for (size_t j = 0; j < m; j++)
        best[j] -= drift;
    return OT_DONE;
}

int sv_ot_stop(const struct ot_problem *p, double measure, long long steps_without_progress)
{
    if (measure <= p->aim)
        return SV_CONVERGED;
    if (!isfinite(measure))
        return SV_NONFINITE;
    return steps_without_progress >= PATIENCE && measure < NEAR_ROUNDOFF * p->roundoff ? SV_STAGNATION : -1;
}

double sv_ot_offset_part(const struct ot_problem *p, const double *row_sums, const double *column_sums)
{
    return (p->offset ? sv_ot_dot(p->offset, row_sums, p->n) : 0)
           + (p->column_offset ? sv_ot_dot(p->column_offset, column_sums, p->m) : 0);
}
