/* Linear programs in the C interface: the data checked and brought into one form, then the driver of lp_pdhg.c. What
 * happens around that driver is as in solvers/equilibrium/_lp.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"
#include "lp_pdhg.h"
#include "solvers.h"

/* As in Python: steps at most, and what the search for a feasible point of an unbounded program must reach. */
enum { STEPS = 100000, MOST_BLOCK = 10000, BLOCK = 40 };
#define FEASIBILITY_TOL 1e-6

/* Blocks that go back together. */
struct memory {
    void *block[24];
    size_t count;
};

static void *take(struct memory *memory, size_t count, size_t size)
{
    if (count > PTRDIFF_MAX / size - 1)
        return NULL;
    void *block = malloc((count + 1) * size); /* never of no bytes */
    if (block)
        memory->block[memory->count++] = block;
    return block;
}

static void give_back(struct memory *memory)
{
    while (memory->count > 0)
        free(memory->block[--memory->count]);
}

static int no_memory(const char *what) { return sv_fail(SV_NO_MEMORY, "%s: no memory for a copy", what); }

/* ---- the data ---- */

static int64_t start_of(const sv_lp_program *p, size_t i) { return p->starts ? p->starts[i] : p->starts64[i]; }
static int64_t index_of(const sv_lp_program *p, size_t k) { return p->index ? p->index[k] : p->index64[k]; }

static int check_matrix(const sv_lp_program *p)
{
    if (!p->starts == !p->starts64)
        return sv_fail(SV_INVALID, "program->starts or program->starts64 must be given, and not both");
    if (start_of(p, 0) != 0)
        return sv_fail(SV_INVALID, "program->starts[0] is %lld, not 0", (long long)start_of(p, 0));
    for (size_t i = 0; i < p->m; i++)
        if (start_of(p, i + 1) < start_of(p, i))
            return sv_fail(SV_INVALID, "program->starts[%zu] is less than the one before", i + 1);
    if (start_of(p, p->m) > INT32_MAX)
        return sv_fail(SV_NO_MEMORY, "program->starts: %lld entries; at most 2^31 - 1 are supported",
                       (long long)start_of(p, p->m));
    size_t entries = (size_t)start_of(p, p->m);
    if (entries == 0)
        return SV_OK;
    if (!p->value)
        return sv_fail(SV_INVALID, "program->value is NULL");
    if (!(p->starts ? (const void *)p->index : (const void *)p->index64) || (p->index && p->index64))
        return sv_fail(SV_INVALID, "program->index must be as wide as program->starts, and the other NULL");
    for (size_t k = 0; k < entries; k++)
        if (index_of(p, k) < 0 || index_of(p, k) >= (int64_t)p->n)
            return sv_fail(SV_INVALID, "program->index[%zu] is %lld, and there are %zu columns", k,
                           (long long)index_of(p, k), p->n);
    return sv_check_finite(p->value, entries, "program->value");
}

static int check_limits(const double *x, size_t length, const char *name)
{
    for (size_t k = 0; x && k < length; k++)
        if (isnan(x[k]))
            return sv_fail(SV_INVALID, "%s[%zu] is NaN", name, k);
    return SV_OK;
}

static int check(const sv_lp_program *p, const sv_lp_options *options)
{
    int status;
    if (p->n == 0)
        return sv_fail(SV_INVALID, "program->n is 0");
    if (p->m >= INT32_MAX || p->n >= INT32_MAX)
        return sv_fail(SV_NO_MEMORY, "program->m and program->n: %zu rows and %zu columns; less than 2^31 - 1 are "
                       "supported", p->m, p->n);
    if (!p->c)
        return sv_fail(SV_INVALID, "program->c is NULL");
    if ((status = check_matrix(p)) || (status = sv_check_finite(p->c, p->n, "program->c")) ||
        (status = check_limits(p->l, p->m, "program->l")) || (status = check_limits(p->u, p->m, "program->u")) ||
        (status = check_limits(p->lb, p->n, "program->lb")) || (status = check_limits(p->ub, p->n, "program->ub")))
        return status;
    if (!(options->tol > 0) || isinf(options->tol))
        return sv_fail(SV_INVALID, "options->tol is %g; it must be positive and finite", options->tol);
    if (options->block < 2 || options->block > MOST_BLOCK)
        return sv_fail(SV_INVALID, "options->block is %lld, not from 2 to %d", (long long)options->block, MOST_BLOCK);
    if (options->x0 && (status = sv_check_finite(options->x0, p->n, "options->x0")))
        return status;
    return options->y0 ? sv_check_finite(options->y0, p->m, "options->y0") : SV_OK;
}

/* Whether A may be read in place. */
static int canonical(const sv_lp_program *p)
{
    if (!p->starts)
        return 0;
    for (size_t i = 0; i < p->m; i++)
        for (int32_t k = p->starts[i]; k < p->starts[i + 1]; k++)
            if (p->value[k] == 0 || (k > p->starts[i] && p->index[k] <= p->index[k - 1]))
                return 0;
    return 1;
}

/* Two transpositions sort each row, entries of one place as they came; these are summed, and zeros left out. */
static int sorted_copy(const sv_lp_program *p, struct memory *memory, struct sv_lp *lp)
{
    size_t entries = (size_t)start_of(p, p->m), kept = 0;
    int32_t *columns = take(memory, p->n + 1, sizeof *columns), *rows = take(memory, p->m + 1, sizeof *rows);
    int32_t *row_of = take(memory, entries, sizeof *row_of), *index = take(memory, entries, sizeof *index);
    double *first = take(memory, entries, sizeof *first), *value = take(memory, entries, sizeof *value);
    if (!columns || !rows || !row_of || !index || !first || !value)
        return no_memory("program");
    memset(columns, 0, (p->n + 1) * sizeof *columns);
    for (size_t k = 0; k < entries; k++)
        columns[index_of(p, k) + 1]++;
    for (size_t j = 0; j < p->n; j++)
        columns[j + 1] += columns[j];
    for (size_t i = 0; i < p->m; i++) {
        rows[i] = (int32_t)start_of(p, i);
        for (size_t k = (size_t)start_of(p, i); k < (size_t)start_of(p, i + 1); k++) {
            int32_t at = columns[index_of(p, k)]++;
            row_of[at] = (int32_t)i;
            first[at] = p->value[k];
        }
    }
    for (size_t j = 0, k = 0; j < p->n; j++)
        for (; k < (size_t)columns[j]; k++) { /* columns[j] is where column j ends now */
            int32_t at = rows[row_of[k]]++;
            index[at] = (int32_t)j;
            value[at] = first[k];
        }
    for (size_t i = 0, k = 0; i < p->m; i++) {
        size_t end = (size_t)rows[i];
        rows[i] = (int32_t)kept;
        while (k < end) {
            int32_t j = index[k];
            double sum = value[k++];
            while (k < end && index[k] == j)
                sum += value[k++];
            index[kept] = j;
            value[kept] = sum;
            kept += sum != 0;
        }
    }
    rows[p->m] = (int32_t)kept;
    lp->starts = rows;
    lp->index = index;
    lp->value = value;
    return sv_check_finite(value, kept, "program->value, summed");
}

/* The limits given, or `otherwise` for all; copied where some only stand for infinity. */
static const double *limits(const double *given, double otherwise, size_t length, struct memory *memory)
{
    int usable = given != NULL;
    for (size_t k = 0; usable && k < length; k++)
        usable = fabs(given[k]) < SV_PROGRAM_INFINITE || isinf(given[k]);
    if (usable)
        return given;
    double *filled = take(memory, length, sizeof *filled);
    for (size_t k = 0; filled && k < length; k++)
        filled[k] = !given ? otherwise : fabs(given[k]) < SV_PROGRAM_INFINITE ? given[k] : copysign(INFINITY, given[k]);
    return filled;
}

static int build(const sv_lp_program *p, struct memory *memory, struct sv_program *program)
{
    static const double nothing[1];
    struct sv_lp *lp = &program->lp;
    int status;
    lp->m = p->m;
    lp->n = p->n;
    lp->starts = p->starts;
    lp->index = p->index;
    lp->value = p->value ? p->value : nothing;
    if (!canonical(p) && (status = sorted_copy(p, memory, lp)))
        return status;
    lp->c = p->c;
    lp->l = limits(p->l, -INFINITY, p->m, memory);
    lp->u = limits(p->u, INFINITY, p->m, memory);
    lp->lb = limits(p->lb, 0, p->n, memory);
    lp->ub = limits(p->ub, INFINITY, p->n, memory);
    if (!lp->l || !lp->u || !lp->lb || !lp->ub)
        return no_memory("program");
    sv_program_norms(program);
    return SV_OK;
}

/* ---- the solve ---- */

/* What becomes the answer. */
struct answer {
    double *x, *y, *ray; /* ray: zeros, but where the verdict is one of a ray */
    double *reduced, *z, *activity;
    int64_t nit, iterations, restarts;
    struct sv_program_worth worth;
    int status;
};

static int answer_in(struct memory *memory, size_t m, size_t n, struct answer *a)
{
    size_t longer = m > n ? m : n;
    a->x = take(memory, n, sizeof(double));
    a->y = take(memory, m, sizeof(double));
    a->ray = take(memory, longer, sizeof(double));
    a->reduced = take(memory, n, sizeof(double));
    a->z = take(memory, n, sizeof(double));
    a->activity = take(memory, m, sizeof(double));
    if (!a->x || !a->y || !a->ray || !a->reduced || !a->z || !a->activity)
        return no_memory("x");
    memset(a->ray, 0, longer * sizeof(double));
    a->nit = a->iterations = a->restarts = 0;
    return SV_OK;
}

static void judge(const struct sv_program *program, struct answer *a)
{
    sv_program_judge(program, a->x, a->y, a->reduced, a->z, a->activity, &a->worth);
}

static int contradict(double low, double high) { return low > high || low == INFINITY || high == -INFINITY; }

/* Whether bounds, or rows without entries, decide the program at once: then the answer is there, but for y. */
static int obvious(const struct sv_lp *lp, struct answer *a)
{
    int wrong = 0;
    for (size_t j = 0; j < lp->n && !wrong; j++)
        wrong = contradict(lp->lb[j], lp->ub[j]);
    for (size_t i = 0; i < lp->m && !wrong; i++)
        wrong = contradict(lp->l[i], lp->u[i]);
    for (size_t i = 0; i < lp->m && !wrong; i++)
        if (lp->starts[i] == lp->starts[i + 1] && (lp->l[i] > 0 || lp->u[i] < 0)) {
            a->ray[i] = lp->l[i] > 0 ? 1 : -1;
            wrong = 1;
        }
    for (size_t j = 0; j < lp->n && wrong; j++)
        a->x[j] = isfinite(lp->lb[j]) ? lp->lb[j] : isfinite(lp->ub[j]) ? lp->ub[j] : 0;
    a->status = SV_INFEASIBLE;
    return wrong;
}

static int state_in(struct memory *memory, const struct sv_lp_prepared *p, struct sv_lp_pdhg *s, double **work)
{
    size_t m = p->lp.m, n = p->lp.n, M = p->whole->lp.m, N = p->whole->lp.n;
    double *all = take(memory, 3 * n + 2 * m + 2 * (M + N) + sv_lp_pdhg_worksize(p), sizeof *all);
    if (!all)
        return no_memory("program");
    s->x = all;
    s->kty = s->x + n;
    s->anchor_x = s->kty + n;
    s->y = s->anchor_x + n;
    s->anchor_y = s->y + m;
    s->best_x = s->anchor_y + m;
    s->ray_x = s->best_x + N;
    s->best_y = s->ray_x + N;
    s->ray_y = s->best_y + M;
    *work = s->ray_y + M;
    return SV_OK;
}

/* From (a->x, a->y) to the best pair that the limits allow; the status is that of the loop. */
static int run(const struct sv_program *program, const struct sv_watch *watch, double tol, int64_t block,
               struct answer *a)
{
    struct memory memory = {{0}, 0};
    struct sv_reduced reduced;
    struct sv_lp_prepared prepared;
    struct sv_lp_pdhg s;
    double *work = NULL;
    int status = sv_reduce(program, &reduced);
    if (status)
        return status;
    if (!(status = sv_lp_prepare(&reduced, &prepared)) && !(status = state_in(&memory, &prepared, &s, &work))) {
        sv_lp_pdhg_init(&prepared, a->x, a->y, &s, work);
        for (int first = 1;; first = 0) {
            int reached = sv_lp_pdhg_done(tol, s.measure, s.verdict, s.stale, s.nit);
            a->status = sv_ended(watch, reached, first, s.nit, s.measure, s.best_x, program->lp.n);
            if (a->status >= 0)
                break;
            sv_lp_pdhg_step(&prepared, &s, block, work);
        }
        memcpy(a->x, s.best_x, program->lp.n * sizeof(double));
        memcpy(a->y, s.best_y, program->lp.m * sizeof(double));
        if (s.verdict == 1)
            memcpy(a->ray, s.ray_y, program->lp.m * sizeof(double));
        else if (s.verdict == 2)
            memcpy(a->ray, s.ray_x, program->lp.n * sizeof(double));
        a->nit = s.nit;
        a->iterations = s.total;
        a->restarts = s.restarts;
        judge(program, a);
    }
    give_back(&memory);
    sv_lp_prepared_free(&prepared);
    sv_reduced_free(&reduced);
    return status;
}

static void start(const struct sv_lp *lp, const double *x0, const double *y0, struct answer *a)
{
    for (size_t j = 0; j < lp->n; j++) {
        double high = lp->ub[j] > lp->lb[j] ? lp->ub[j] : lp->lb[j], nearest = lp->lb[j] > 0 ? lp->lb[j] : 0;
        a->x[j] = x0 ? x0[j] : nearest > high ? high : nearest;
    }
    for (size_t i = 0; i < lp->m; i++)
        a->y[i] = y0 ? y0[i] : 0;
}

/* A ray of descent proves that there is no optimum; whether there is a feasible point, its own solve tells, of which
 * only the callback's call is spared, and which takes what is left of the time. */
static int unbounded(const struct sv_program *program, const struct sv_watch *watch, double tol, const double *y0,
                     struct answer *a)
{
    struct memory memory = {{0}, 0};
    struct sv_program point = *program;
    struct sv_watch quiet = *watch;
    struct answer found;
    double *zeros = take(&memory, program->lp.n, sizeof *zeros);
    int status = zeros ? answer_in(&memory, program->lp.m, program->lp.n, &found) : no_memory("program");
    if (!status) {
        memset(zeros, 0, program->lp.n * sizeof *zeros);
        point.lp.c = zeros;
        sv_program_norms(&point);
        quiet.control.callback = NULL;
        quiet.control.max_iter = STEPS;
        start(&program->lp, NULL, NULL, &found);
        tol = tol < FEASIBILITY_TOL ? tol : FEASIBILITY_TOL;
        status = run(&point, &quiet, tol, BLOCK, &found);
    }
    if (!status && found.worth.measure <= tol) {
        memcpy(a->x, found.x, program->lp.n * sizeof(double));
        start(&program->lp, a->x, y0, a);
        judge(program, a);
    } else if (!status && found.status == SV_INFEASIBLE) {
        size_t m = program->lp.m, n = program->lp.n;
        memset(a->ray, 0, (m > n ? m : n) * sizeof(double));
        memcpy(a->ray, found.ray, m * sizeof(double));
        a->status = SV_INFEASIBLE;
    }
    give_back(&memory);
    return status;
}

/* All that may fail; `a` then has the answer, and the report is written. */
static int solve(const struct sv_program *program, const sv_lp_options *options, const struct sv_watch *watch,
                 struct answer *a, sv_report *report)
{
    int status, decided = obvious(&program->lp, a);
    start(&program->lp, decided ? a->x : options->x0, options->y0, a);
    if (decided) {
        judge(program, a);
    } else {
        if ((status = run(program, watch, options->tol, options->block, a)))
            return status;
        a->status = sv_judged(watch, a->status, a->nit, a->worth.measure, options->tol, NULL);
        if (a->status == SV_UNBOUNDED && (status = unbounded(program, watch, options->tol, options->y0, a)))
            return status;
    }
    /* The verdict is settled: no tolerance may change it. */
    sv_judged(watch, a->status, a->nit, a->worth.measure, -1, report);
    if (report)
        report->status = a->status;
    return SV_OK;
}

static void copy(double *to, const double *from, size_t length)
{
    if (to && length)
        memcpy(to, from, length * sizeof *to);
}

int sv_lp_solve(const sv_lp_program *program, const sv_lp_options *options, const sv_control *control, double *x,
                double *y, double *reduced_costs, double *ray, sv_lp_result *result, sv_report *report)
{
    sv_lp_program data = SV_LP_PROGRAM_INIT;
    sv_lp_options chosen = SV_LP_OPTIONS_INIT;
    sv_lp_result told = SV_LP_RESULT_INIT;
    sv_report sized = SV_REPORT_INIT;
    struct memory memory = {{0}, 0};
    struct sv_watch watch;
    struct sv_program built;
    struct answer a;
    int status;
    SV_NEED(program);
    SV_NEED(x);
    if ((status = sv_read_struct(&data, sizeof data, program, "program")) ||
        (status = sv_read_struct(&chosen, sizeof chosen, options, "options")) ||
        (status = sv_read_struct(&told, sizeof told, result, "result")) ||
        (status = sv_read_struct(&sized, sizeof sized, report, "report")) ||
        (status = sv_begin(&watch, control, STEPS)) || (status = check(&data, &chosen)))
        return status;
    if (!(status = build(&data, &memory, &built)) && !(status = answer_in(&memory, data.m, data.n, &a)) &&
        !(status = solve(&built, &chosen, &watch, &a, report))) {
        copy(x, a.x, data.n);
        copy(y, a.y, data.m);
        copy(reduced_costs, a.reduced, data.n);
        copy(ray, a.ray, data.m > data.n ? data.m : data.n);
        told = (sv_lp_result){told.struct_size, a.worth.fun, a.worth.dual_fun, fabs(a.worth.fun - a.worth.dual_fun),
                              a.worth.primal, a.worth.dual, a.iterations, a.restarts};
        if (result)
            memcpy(result, &told, told.struct_size);
        status = a.status;
    }
    give_back(&memory);
    return status;
}
