/* The linear systems of Newton's method for entropic transport, thinned and stored, against their definitions. */
#include <math.h>

#include "check.h"
#include "elimination.h"
#include "scaling.h"

enum { MOST = 300 };

static double plan[MOST * MOST], values[MOST * MOST], a[MOST], b[MOST], c[MOST], diagonal[MOST];
static int columns[MOST * MOST];
static ptrdiff_t starts[MOST + 1];

/* Numbers between 0 and 1, the same everywhere. */
static double next(void)
{
    static uint32_t state = 7;
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / (1 << 24);
}

/* Row and column sums of the plan, the latter with a share of the mass added for the diagonal; entries above `least` of
 * their row are kept. */
static struct sv_ot_thinned thinned(size_t n, size_t m, double least, double shift)
{
    size_t kept = 0;
    double mass = 0;
    memset(c, 0, sizeof c);
    for (size_t i = 0; i < n; i++) {
        starts[i] = (ptrdiff_t)kept;
        a[i] = 0;
        for (size_t j = 0; j < m; j++)
            a[i] += plan[i * m + j], c[j] += plan[i * m + j];
        for (size_t j = 0; j < m; j++)
            if (plan[i * m + j] > least * a[i])
                values[kept] = plan[i * m + j], columns[kept++] = (int)j;
        mass += a[i];
    }
    starts[n] = (ptrdiff_t)kept;
    for (size_t j = 0; j < m; j++)
        diagonal[j] = c[j] + shift * mass / (double)m;
    return (struct sv_ot_thinned){n, m, starts, columns, values, a, diagonal};
}

/* A plan whose entries lie some factors of 1000 apart. */
static void make_plan(size_t n, size_t m)
{
    for (size_t k = 0; k < n * m; k++)
        plan[k] = exp(-14 * next()) / (double)(n * m);
}

static void make_rhs(double *rhs, size_t m)
{
    double mean = 0;
    for (size_t j = 0; j < m; j++)
        mean += (rhs[j] = next() - 0.5) / (double)m;
    for (size_t j = 0; j < m; j++)
        rhs[j] -= mean;
}

/* The largest entry of rhs - (diag(diagonal) - P' diag(1/a) P) z, P the entries kept. */
static double residual_of(const struct sv_ot_thinned *p, const double *z, const double *rhs)
{
    double left[MOST], largest = 0;
    for (size_t j = 0; j < p->m; j++)
        left[j] = rhs[j] - p->diagonal[j] * z[j];
    for (size_t i = 0; i < p->n; i++) {
        double t = 0;
        for (ptrdiff_t k = p->row_starts[i]; k < p->row_starts[i + 1]; k++)
            t += p->values[k] * z[p->columns[k]];
        for (ptrdiff_t k = p->row_starts[i]; k < p->row_starts[i + 1]; k++)
            left[p->columns[k]] += p->values[k] * t / p->a[i];
    }
    for (size_t j = 0; j < p->m; j++)
        largest = fmax(largest, fabs(left[j]));
    return largest;
}

/* Solves the system to `goal`, with its factor where one is asked for; returns the iterations, *entries: of the factor. */
static int solve(const struct sv_ot_thinned *p, int factorised, double goal, ptrdiff_t *entries)
{
    double rhs[MOST], z[MOST] = {0}, residual = INFINITY;
    double *work = malloc(sv_ot_schur_cg_worksize(p->n, p->m) * sizeof *work);
    struct sv_ot_factor factor = {0};
    make_rhs(rhs, p->m);
    if (factorised)
        CHECK(sv_ot_factor_make(p, &factor) == 1, "no factor");
    const int taken = sv_ot_schur_cg(p, rhs, z, goal, 500, factorised ? &factor : NULL, &residual, work);
    CHECK(residual <= goal, "%d iterations leave %g", taken, residual);
    const double left = residual_of(p, z, rhs);
    CHECK(left <= 1.01 * goal, "the residual is said to be %g and is %g", residual, left);
    *entries = factorised ? factor.starts[factor.size] : 0;
    sv_ot_factor_free(&factor);
    free(work);
    return taken;
}

static void test_thinned_systems(void)
{
    for (int k = 0; k < 4; k++) {
        ptrdiff_t entries;
        make_plan(40, 30);
        const struct sv_ot_thinned system = thinned(40, 30, 1e-3, k & 1 ? 1e-2 : 1e-9);
        const int taken = solve(&system, k >> 1, 1e-7, &entries);
        CHECK(0 < taken && taken < 200, "%d iterations", taken);
    }
}

/* Elimination of a path samples nothing, so that conjugate gradients end at once. */
static void test_the_factor_is_exact_on_trees(void)
{
    enum { N = 50 };
    ptrdiff_t entries;
    memset(plan, 0, sizeof plan);
    for (size_t i = 0; i < N; i++) {
        plan[i * N + i] = next() + 0.1;
        if (i + 1 < N)
            plan[i * N + i + 1] = next() + 0.1;
    }
    const struct sv_ot_thinned system = thinned(N, N, 0, 1e-8);
    const int taken = solve(&system, 1, 1e-9, &entries);
    CHECK(taken <= 3, "%d iterations", taken);
    CHECK(entries == 2 * N - 1, "%td entries", entries);
}

/* Of a dense plan the factor keeps a part, and still halves the error in each iteration. */
static void test_wide_plans_are_sampled(void)
{
    ptrdiff_t entries;
    for (size_t k = 0; k < (size_t)MOST * MOST; k++)
        plan[k] = pow(next(), 4);
    const struct sv_ot_thinned system = thinned(MOST, MOST, 0, 1e-6);
    const int taken = solve(&system, 1, 1e-9, &entries);
    CHECK(taken <= 60, "%d iterations", taken);
    CHECK(entries < starts[MOST] / 2, "%td entries of %td", entries, starts[MOST]);
}

/* A stored plan, its rows of whole cache lines, with room for the calls; the block is to be freed. */
static double *stored(size_t n, size_t m, struct sv_ot_stored_plan *made, double **work)
{
    const size_t stride = sv_ot_scaling_stride(m), room = sv_ot_scaling_sweeps_worksize(n, m) + sv_ot_scaling_cg_worksize(n, m);
    double *p = aligned_alloc(64, (n * stride + room + 8) / 8 * 8 * sizeof *p);
    memset(p, 0, n * stride * sizeof *p);
    for (size_t i = 0; i < n; i++)
        memcpy(p + i * stride, plan + i * m, m * sizeof *p);
    *work = p + n * stride;
    *made = (struct sv_ot_stored_plan){n, m, p, stride, a};
    return p;
}

static double error_of(const double *sums, const double *wanted, size_t m)
{
    double error = 0;
    for (size_t j = 0; j < m; j++)
        error += fabs(sums[j] - wanted[j]);
    return error;
}

static void set(double *x, double value, size_t size)
{
    for (size_t k = 0; k < size; k++)
        x[k] = value;
}

/* x meets the rows at y, and the column sums then. */
static void check_update(size_t n, size_t m, const double *x, const double *y)
{
    double sums[MOST] = {0};
    for (size_t i = 0; i < n; i++) {
        double s = 0;
        for (size_t j = 0; j < m; j++)
            s += plan[i * m + j] * y[j];
        CHECK(fabs(x[i] * s / a[i] - 1) < 1e-13, "row %zu", i);
        for (size_t j = 0; j < m; j++)
            sums[j] += x[i] * plan[i * m + j] * y[j];
    }
    for (size_t j = 0; j < m; j++)
        CHECK(fabs(sums[j] / c[j] - 1) < 1e-13, "column %zu of %zu", j, m);
}

/* The Newton system at the scalings, solved; its plan Q = diag(x) P diag(y) is then put in the place of P. */
static void check_system(const struct sv_ot_stored_plan *p, const double *x, const double *y, double *work)
{
    const size_t n = p->n, m = p->m;
    double rhs[MOST], z[MOST], residual;
    struct sv_ot_thinned same = {n, m, starts, columns, values, a, diagonal};
    make_rhs(rhs, m);
    for (size_t i = 0, k = 0; i < n; i++)
        for (size_t j = 0; j < m; j++, k++)
            values[k] = x[i] * plan[k] * y[j], columns[k] = (int)j, starts[i + 1] = (ptrdiff_t)k + 1;
    for (size_t j = 0; j < m; j++)
        diagonal[j] = c[j] + 0.1;
    sv_ot_scaling_cg(p, x, y, diagonal, rhs, z, 1e-12, 200, &residual, work, 1);
    const double left = residual_of(&same, z, rhs);
    CHECK(residual <= 1e-12 && left <= 1e-11, "the residual is said to be %g and is %g", residual, left);
}

static void test_stored_plans(size_t n, size_t m)
{
    double x[MOST], y[MOST], *work;
    struct sv_ot_stored_plan p;
    for (size_t k = 0; k < n * m; k++)
        plan[k] = exp(4 * next() - 2);
    double *block = stored(n, m, &p, &work);
    for (size_t i = 0; i < n; i++)
        a[i] = 1 / (double)n;
    for (size_t j = 0; j < m; j++)
        b[j] = 1 / (double)m, y[j] = next() + 0.5;
    sv_ot_scaling_update(&p, x, y, c, work, 1);
    check_update(n, m, x, y);
    check_system(&p, x, y, work);
    CHECK(sv_ot_scaling_sweeps(&p, b, x, y, c, 50, 50, -1, work, 1) == 50, "fewer than asked for");
    CHECK(error_of(c, b, m) < 1e-6, "error %g", error_of(c, b, m));
    set(y, 1, m);
    sv_ot_scaling_update(&p, x, y, c, work, 1);
    const int taken = sv_ot_scaling_sweeps(&p, b, x, y, c, 50, 50, 1e-3, work, 1);
    CHECK(taken < 50 && error_of(c, b, m) <= 1e-3, "%d sweeps to %g", taken, error_of(c, b, m));
    free(block);
}

static void test_sweeps_stop_at_an_empty_column(void)
{
    double x[2], y[2] = {1, 1}, *work;
    struct sv_ot_stored_plan p;
    plan[0] = plan[2] = 1, plan[1] = plan[3] = 0;
    double *block = stored(2, 2, &p, &work);
    set(a, 0.5, 2), set(b, 0.5, 2);
    sv_ot_scaling_update(&p, x, y, c, work, 1);
    CHECK(c[1] == 0, "%g", c[1]);
    CHECK(sv_ot_scaling_sweeps(&p, b, x, y, c, 3, 3, -1, work, 1) == 0, "a sweep divides by 0");
    free(block);
}

int main(void)
{
    test_thinned_systems();
    test_the_factor_is_exact_on_trees();
    test_wide_plans_are_sampled();
    test_stored_plans(1, 1);
    test_stored_plans(3, 17);
    test_stored_plans(70, 33);
    test_stored_plans(131, 8);
    test_sweeps_stop_at_an_empty_column();
    return report();
}
