/* The multilevel preconditioner in the C interface, and the conjugate gradients around it: the method "multilevel-cg" of
 * Python (solvers/linalg/_multilevel_cg.py), step for step.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hierarchy.h"
#include "interface.h"
#include "spectrum.h"

/* As in Python: cells times iterations of one step of the loop; steps of a solve; the part of norm(b) below which rounding
 * leaves nothing of a residual that a recurrence tells. */
enum { STEP_CELLS = 60000000, MOST_STEPS = 10000 };
#define ROUNDING 0x1p-54

struct sv_multilevel_handle {
    struct sv_guard guard;
    sv_multilevel_options options;
    int threads;
    struct sv_hierarchy *now;
};

/* ---- making one ---- */

static int check_options(const sv_multilevel_options *options, const sv_grid *grid)
{
    if (options->nullspace < SV_NULLSPACE_NONE || options->nullspace > SV_NULLSPACE_COMPONENTS)
        return sv_fail(SV_INVALID, "options->nullspace is %d, no enum sv_nullspace", options->nullspace);
    if (options->cycle != SV_CYCLE_V && options->cycle != SV_CYCLE_W)
        return sv_fail(SV_INVALID, "options->cycle is %d, no enum sv_cycle", options->cycle);
    if (options->double_precision != 0 && options->double_precision != 1)
        return sv_fail(SV_INVALID, "options->double_precision is %d, neither 0 nor 1", options->double_precision);
    if (options->line < -1 || options->line >= grid->axes)
        return sv_fail(SV_INVALID, "options->line is %d, no axis of the grid, nor -1", options->line);
    if (options->line >= 0 && grid->ends[options->line][0] == SV_PERIODIC && grid->shape[options->line] > 1)
        return sv_fail(SV_INVALID, "options->line is %d: lines have ends, but that axis is periodic", options->line);
    return SV_OK;
}

static int check_mass(const sv_grid *grid, size_t size)
{
    if (!grid->masses && grid->mass < 0)
        return sv_fail(SV_INVALID, "grid->mass is %g: the multilevel method needs a mass >= 0", grid->mass);
    for (size_t i = 0; i < size && grid->masses; i++)
        if (grid->masses[i] < 0)
            return sv_fail(SV_INVALID, "grid->masses[%zu] is %g: the multilevel method needs a mass >= 0", i,
                           grid->masses[i]);
    return SV_OK;
}

int sv_multilevel_create(sv_multilevel **M, const sv_grid *given, const sv_multilevel_options *wanted)
{
    sv_multilevel_options options = SV_MULTILEVEL_OPTIONS_INIT;
    sv_grid grid;
    size_t size;
    SV_NEED(M);
    int status = sv_read_struct(&options, sizeof options, wanted, "options");
    if (!status)
        status = sv_grid_read(&grid, given, &size);
    if (!status)
        status = check_options(&options, &grid);
    if (!status)
        status = check_mass(&grid, size);
    if (status)
        return status;
    struct sv_multilevel_handle *made = calloc(1, sizeof *made);
    if (!made)
        return sv_fail(SV_NO_MEMORY, "there is no memory for a handle");
    atomic_flag_clear(&made->guard.taken);
    made->options = options;
    made->threads = options.threads > 0 ? options.threads : sv_get_num_threads();
    status = sv_hierarchy_make(&grid, size, &options, made->threads, &made->now);
    if (status)
        free(made);
    else
        *M = made;
    return status;
}

void sv_multilevel_destroy(sv_multilevel *M)
{
    if (!M)
        return;
    sv_hierarchy_free(M->now);
    free(M);
}

static int updated(struct sv_multilevel_handle *M, const sv_grid *given)
{
    sv_grid grid;
    size_t size;
    struct sv_hierarchy *next;
    int status = sv_grid_read(&grid, given, &size);
    if (status)
        return status;
    if (grid.axes != M->now->grid.axes)
        return sv_fail(SV_INVALID, "grid->axes is %d, not %d as before", grid.axes, M->now->grid.axes);
    for (int axis = 0; axis < grid.axes; axis++)
        if (grid.shape[axis] != M->now->grid.shape[axis])
            return sv_fail(SV_INVALID, "grid->shape[%d] is %zu, not %zu as before", axis, grid.shape[axis],
                           M->now->grid.shape[axis]);
    status = check_options(&M->options, &grid);
    if (!status)
        status = check_mass(&grid, size);
    if (!status)
        status = sv_hierarchy_make(&grid, size, &M->options, M->threads, &next);
    if (status)
        return status;
    sv_hierarchy_free(M->now);
    M->now = next;
    return SV_OK;
}

int sv_multilevel_update(sv_multilevel *M, const sv_grid *grid)
{
    SV_NEED(M);
    int status = sv_enter(&M->guard);
    if (status)
        return status;
    status = updated(M, grid);
    sv_leave(&M->guard);
    return status;
}

/* ---- the map ---- */

int sv_multilevel_apply(sv_multilevel *M, const double *r, double *z)
{
    SV_NEED(M);
    SV_NEED(r);
    SV_NEED(z);
    int status = sv_enter(&M->guard);
    if (status)
        return status;
    struct sv_hierarchy *h = M->now;
    h->M.threads = M->threads;
    sv_multilevel_apply_by(&h->M, h->scale, r, z, h->given, h->result);
    sv_leave(&M->guard);
    return SV_OK;
}

/* ---- solving ---- */

static void pack(struct sv_hierarchy *h, int close, const double *from, double *to)
{
    sv_setup_kernels(0)->pack(&h->A, 1, close, from, to, h->M.threads);
}

static void project(const struct sv_hierarchy *h, double *vector)
{
    const struct sv_floating *f = &h->floating;
    for (size_t k = 0; k < f->count; k++) {
        const size_t from = k && f->cells ? f->ends[k - 1] : 0;
        sv_plan_project(f->cells ? f->cells + from : NULL, f->ends[k] - from, vector);
    }
}

static void set_outside(const struct sv_hierarchy *h, double *vector)
{
    for (size_t i = 0; i < h->cells && h->grid.mask; i++)
        vector[i] = h->grid.mask[i] ? vector[i] : 0;
}

/* b is 0, or has a norm whose square is far from the ends of what a double holds. */
static int check_size(const struct sv_hierarchy *h, const double *b)
{
    const double size = sv_linalg_norm(h->cells, b);
    if (size >= SV_SMALLEST_NORM && size <= SV_LARGEST_NORM)
        return SV_OK;
    for (size_t i = 0; i < h->cells; i++)
        if (b[i] != 0)
            return sv_fail(SV_INVALID, "b[%zu] is %g, too %s for its square: count b in another unit", i, b[i],
                           size < SV_SMALLEST_NORM ? "small" : "large");
    return SV_OK;
}

static int check_right(const struct sv_hierarchy *h, const double *b, const double *x, double rtol, double atol)
{
    int status = sv_check_tolerances(rtol, atol, "");
    if (!status)
        status = sv_check_finite(b, h->cells, "b");
    if (!status)
        status = sv_check_finite(x, h->cells, "x");
    for (size_t i = 0; i < h->cells && h->grid.mask && !status; i++)
        if (!h->grid.mask[i] && b[i] != 0)
            status = sv_fail(SV_INVALID, "b[%zu] is %g, but must be 0 outside of the mask", i, b[i]);
    return status ? status : check_size(h, b);
}

/* The norm of b - A x, formed anew; the residual by recurrence is lost. */
static double measured(struct sv_hierarchy *h, const double *x)
{
    struct sv_multilevel_cg *s = &h->cg;
    pack(h, 1, x, s->q);
    return sqrt(sv_outer_kernels()->residual(s->A, s->diagonal, s->b, s->q, s->r, s->partial, h->M.threads));
}

/* What the iteration says of itself, or -1. */
static int reached(const struct sv_hierarchy *h, double measure, double tol)
{
    if (measure <= tol)
        return SV_CONVERGED;
    switch (h->cg.outcome) {
    case OUTCOME_DIVERGED: return SV_DIVERGED;
    case OUTCOME_STALLED: return SV_STAGNATION;
    case OUTCOME_NOT_SPD: return SV_NOT_SPD;
    case OUTCOME_NOT_FINITE: return SV_NONFINITE;
    default: return -1;
    }
}

/* b and the start go to the vectors of the iteration, the start to x. `nothing`: b is 0. */
static void begin(struct sv_hierarchy *h, const double *b, double *x, int nothing)
{
    struct sv_multilevel_cg *s = &h->cg;
    const size_t bytes = h->cells * sizeof *x;
    memcpy(h->start, b, bytes);
    project(h, h->start);
    pack(h, 0, h->start, (double *)s->b);
    if (nothing)
        memset(x, 0, bytes);
    set_outside(h, x);
    memcpy(h->start, x, bytes);
    pack(h, 1, x, s->x);
    memset(s->numbers, 0, sizeof *s->numbers);
    s->outcome = OUTCOME_GOING_ON;
    sv_multilevel_cg_start(s);
    s->numbers->monitor.first = s->numbers->monitor.best = s->residual;
}

/* The better of x and the start; returns its residual's norm. */
static double chosen(struct sv_hierarchy *h, double *x, double measure, double tol)
{
    project(h, x);
    if (h->cg.outcome == OUTCOME_REACHED && !h->floating.count && measure <= tol)
        return measure;
    const double left = measured(h, x);
    if (left <= tol)
        return left;
    project(h, h->start);
    const double at_start = measured(h, h->start);
    if (left <= at_start)
        return left;
    memcpy(x, h->start, h->cells * sizeof *x);
    return at_start;
}

static int solve(struct sv_hierarchy *h, const double *b, double *x, double rtol, double atol, struct sv_watch *watch,
                 sv_report *report)
{
    struct sv_multilevel_cg *s = &h->cg;
    const double size = sv_linalg_norm(h->cells, b), tol = isfinite(size) ? fmax(rtol * size, atol) : 0;
    int64_t nit = 0;
    int first = 1, status;
    begin(h, b, x, size == 0);
    double measure = s->residual;
    while ((status = sv_ended(watch, reached(h, measure, tol), first, nit, measure, x, h->cells)) < 0) {
        int64_t most = watch->control.callback ? 1 : STEP_CELLS / (int64_t)h->cells;
        most = most < 1 ? 1 : most;
        most = most < watch->control.max_iter - nit ? most : watch->control.max_iter - nit;
        nit += sv_multilevel_cg_iterate(s, tol, ROUNDING * size, (int)nit, (int)(most < 1 << 30 ? most : 1 << 30));
        measure = s->residual;
        if (s->outcome != OUTCOME_NOT_FINITE)
            sv_outer_kernels()->unpack(s->A, s->x, x, h->M.threads);
        first = 0;
    }
    measure = chosen(h, x, measure, tol);
    return sv_judged(watch, status, nit, measure, tol, report);
}

int sv_multilevel_solve(sv_multilevel *M, const double *b, double *x, double rtol, double atol,
                        const sv_control *control, sv_report *report)
{
    struct sv_watch watch;
    SV_NEED(M);
    SV_NEED(b);
    SV_NEED(x);
    int status = sv_begin(&watch, control, MOST_STEPS);
    if (status || (status = sv_enter(&M->guard)))
        return status;
    const int threads = watch.control.threads > 0 ? watch.control.threads : sv_get_num_threads();
    status = check_right(M->now, b, x, rtol, atol);
    if (!status)
        status = sv_hierarchy_prepare(M->now);
    if (!status)
        status = sv_hierarchy_threads(M->now, threads);
    if (!status)
        status = solve(M->now, b, x, rtol, atol, &watch, report);
    sv_leave(&M->guard);
    return status;
}

/* ---- what it is ---- */

size_t sv_multilevel_size(const sv_multilevel *M) { return M ? M->now->cells : 0; }

int sv_multilevel_levels(const sv_multilevel *M) { return M ? M->now->M.levels : 0; }

size_t sv_multilevel_components(const sv_multilevel *M) { return M ? M->now->floating.count : 0; }

int sv_multilevel_shape(const sv_multilevel *M, int level, size_t shape[3])
{
    SV_NEED(M);
    SV_NEED(shape);
    if (level < 0 || level >= M->now->M.levels)
        return sv_fail(SV_INVALID, "level is %d, not one of %d", level, M->now->M.levels);
    const ptrdiff_t *n = M->now->M.level[level].n;
    const int axes = M->now->grid.axes;
    shape[0] = (size_t)(axes > 1 ? n[2] : n[0]);
    shape[1] = (size_t)(axes == 3 ? n[1] : axes == 2 ? n[0] : 1);
    shape[2] = (size_t)(axes == 3 ? n[0] : 1);
    return SV_OK;
}
