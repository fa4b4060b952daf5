/* Conjugate gradients that ask for what they need: the host keeps its matrix, its preconditioner and its processes. The
 * formulas are those of cg.c, one after another instead of in one pass, so that each sum may go through a reduction.
 *
 * An iteration is one product, one application of the preconditioner, and two reductions: of v'Av, and of r'r with r'z.
 * The first also carries each process' wish to stop, so that all stop at the same iteration. Every decision is made of
 * reduced numbers alone: all processes decide alike. Where the square of the norm of b says that squares may leave the
 * range of floats all is counted in another unit, a power of two; the host's maps are linear and see no difference.
 * In NumPy, an iteration: q = A @ v; alpha = rho / (v @ q); x += alpha * v; r -= alpha * q; z = M @ r
 *     rho, before = r @ z, rho; v = z + rho / before * v
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cg.h"
#include "interface_systems.h"
#include "vectors.h"

/* As of sv_linear_solve. */
#define ROUNDING 0x1p-54
#define MAX_ITER 10000
/* Squares of norms of b between which squares of its numbers, and of those of small residuals, are exact; and the unit
 * beyond them, in which even the smallest and the largest floats have such squares. */
#define SMALLEST_SQUARE 0x1p-800
#define LARGEST_SQUARE 0x1p800
#define UNIT 0x1p600
/* What a process adds to the sum of wishes. */
#define WISHES_STOP 1.0
#define OUT_OF_TIME 1048576.0

/* What was asked for last, and is there when the next step begins. */
enum asked {
    NOTHING,      /* the beginning */
    SIZE_OF_B,    /* b'b */
    IMAGE,        /* A x of the iterate: of the start, to restart from, or to verify */
    SIZE_OF_R,    /* r'r of that */
    FIRST_Z,      /* M^-1 r where an iteration begins anew */
    FIRST_RHO,
    CURVED,       /* A v */
    CURVATURE,
    NEXT_Z,
    NEXT_SUMS,
    JUDGED_IMAGE, /* A x of a point that may be the answer */
    JUDGED_SIZE,
    LOST_IMAGE,   /* A times what the answer loses in the host's unit */
    LOST_SIZE,
    ENDED
};

struct sv_cg_run {
    struct sv_guard guard;
    struct sv_watch watch;
    sv_cg_options options;
    enum asked asked;
    size_t n;
    double *b, *x, *start, *kept, *r, *v, *q, *z, *best;
    struct sv_cg_numbers numbers;
    double sums[3];
    double unit; /* what vectors are counted in */
    double tol, floor, measure, left, steepest;
    int first, status, judged; /* judged: points that were looked at for the answer */
    int zero; /* whether the start is zero for want of a better one */
    int64_t nit, shown; /* shown: to the callback */
};

static int with_product(struct sv_cg_run *c, sv_cg_request *request, const double *from, double *to, enum asked asked)
{
    request->from = from, request->to = to;
    c->asked = asked;
    return SV_NEED_PRODUCT;
}

static int with_preconditioner(struct sv_cg_run *c, sv_cg_request *request, enum asked asked)
{
    request->from = c->r, request->to = c->z;
    c->asked = asked;
    return SV_NEED_PRECONDITIONER;
}

/* Room for one more number that is to be summed. */
static void add(struct sv_cg_run *c, sv_cg_request *request, const double *x, const double *y, double part)
{
    request->x[request->count] = x, request->y[request->count] = y;
    c->sums[request->count++] = part;
}

static void add_dot(struct sv_cg_run *c, sv_cg_request *request, const double *x, const double *y)
{
    add(c, request, x, y, sv_linalg_vectors()->dot(c->n, x, y));
}

static int with_sums(struct sv_cg_run *c, sv_cg_request *request, enum asked asked)
{
    request->sums = c->sums;
    c->asked = asked;
    return SV_NEED_SUMS;
}

static void residual(struct sv_cg_run *c, double *r)
{
    for (size_t i = 0; i < c->n; i++)
        r[i] = c->b[i] - c->q[i];
}

static double unit_of(double square)
{
    return square < SMALLEST_SQUARE ? 1 / UNIT : square > LARGEST_SQUARE ? UNIT : 1;
}

static void count_in(struct sv_cg_run *c, double unit)
{
    double *const all[] = {c->b, c->x, c->start, c->kept, c->best};
    c->unit = unit;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        for (size_t i = 0; i < c->n; i++)
            all[k][i] /= unit;
}

static void start_at_zero(struct sv_cg_run *c)
{
    double *const all[] = {c->x, c->start, c->kept, c->best};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        memset(all[k], 0, c->n * sizeof *all[k]);
}

/* x in the host's unit. */
static void out_of_unit(const struct sv_cg_run *c, const double *x, double *out)
{
    for (size_t i = 0; i < c->n; i++)
        out[i] = x[i] * c->unit;
}

/* The callback, which sees the iterate; z is free wherever this is called. */
static int ended(struct sv_cg_run *c, int status, int first)
{
    if (c->unit != 1)
        out_of_unit(c, c->x, c->z);
    return sv_ended(&c->watch, status, first, c->nit, c->measure * c->unit, c->unit == 1 ? c->x : c->z, c->n);
}

/* The answer is in `best`; in another unit it is judged with what it loses on the way out. */
static int finish(struct sv_cg_run *c, sv_cg_request *request)
{
    c->asked = ENDED;
    if (c->unit == 1)
        return SV_CG_DONE;
    out_of_unit(c, c->best, c->z);
    for (size_t i = 0; i < c->n; i++)
        c->z[i] = c->z[i] / c->unit - c->best[i];
    return with_product(c, request, c->z, c->q, LOST_IMAGE);
}

/* The next point that may be the answer: the iterate, the one kept, the start. Its image is asked for. */
static int judge(struct sv_cg_run *c, sv_cg_request *request)
{
    const double *const points[3] = {c->x, c->kept, c->start};
    return with_product(c, request, points[c->judged], c->q, JUDGED_IMAGE);
}

/* The callback sees the last iterate, too. */
static void show(struct sv_cg_run *c, int status)
{
    if (c->nit > c->shown)
        ended(c, status, 0);
    c->shown = c->nit;
}

/* The iteration ends for this reason; the residual of the iterate is asked for where it is not known to be exact. */
static int end(struct sv_cg_run *c, sv_cg_request *request, int status)
{
    show(c, status);
    c->status = status;
    c->left = INFINITY;
    c->judged = 0;
    return judge(c, request);
}

static int ended_at(struct sv_cg_run *c, sv_cg_request *request, int status)
{
    show(c, status);
    c->status = status, c->left = c->measure;
    memcpy(c->best, c->x, c->n * sizeof *c->x);
    return finish(c, request);
}

static int judged_size(struct sv_cg_run *c, sv_cg_request *request)
{
    const double *const points[3] = {c->x, c->kept, c->start};
    const double norm = sqrt(c->sums[0]);
    if (c->judged == 0 || !(c->left <= norm)) {
        c->left = norm;
        memcpy(c->best, points[c->judged], c->n * sizeof *c->best);
    }
    const int failed = c->status >= SV_STAGNATION && c->status != SV_CONVERGED;
    const int worse = c->left > c->tol || !isfinite(c->left);
    if (++c->judged < 3 && worse && (failed || c->judged > 1 || !(c->left <= c->numbers.monitor.first)))
        return judge(c, request);
    return finish(c, request);
}

static int status_of(enum sv_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_REACHED: return SV_CONVERGED;
    case OUTCOME_DIVERGED: return SV_DIVERGED;
    case OUTCOME_STALLED: return SV_STAGNATION;
    case OUTCOME_NOT_SPD: return SV_NOT_SPD;
    case OUTCOME_NOT_FINITE: return SV_NONFINITE;
    default: return -1;
    }
}

/* The product with the direction, and with it what this process wishes. */
static int iteration(struct sv_cg_run *c, sv_cg_request *request)
{
    return with_product(c, request, c->v, c->q, CURVED);
}

/* v from z and rho, which begin anew. */
static int anew(struct sv_cg_run *c, sv_cg_request *request, double rho)
{
    memcpy(c->v, c->options.preconditioned ? c->z : c->r, c->n * sizeof *c->v);
    c->numbers.rho = rho;
    return iteration(c, request);
}

/* The residual b - A x of the iterate is in r, its norm in `norm`. */
static int known_exactly(struct sv_cg_run *c, sv_cg_request *request, double norm)
{
    c->measure = norm;
    if (c->nit == 0) {
        struct sv_monitor *monitor = &c->numbers.monitor;
        monitor->first = monitor->best = monitor->kept = norm;
        c->numbers.verified = INFINITY;
        if (norm <= c->tol)
            return ended_at(c, request, SV_CONVERGED);
        if (c->watch.control.max_iter == 0)
            return ended_at(c, request, SV_MAX_ITER);
    } else {
        struct sv_cg state = {c->x, c->r, c->v, c->kept, &c->numbers, norm, OUTCOME_GOING_ON};
        const enum sv_outcome outcome = sv_cg_verified(&state, norm, c->tol, (int)c->nit);
        if (outcome == OUTCOME_REACHED)
            return ended_at(c, request, SV_CONVERGED);
        if (outcome != OUTCOME_GOING_ON)
            return end(c, request, status_of(outcome));
    }
    if (c->options.preconditioned)
        return with_preconditioner(c, request, FIRST_Z);
    return anew(c, request, norm * norm);
}

static int curved(struct sv_cg_run *c, sv_cg_request *request)
{
    const int wish = ended(c, -1, c->first);
    c->first = 0, c->shown = c->nit;
    add_dot(c, request, c->v, c->q);
    add(c, request, NULL, NULL, wish == SV_CALLBACK_STOP ? WISHES_STOP : wish == SV_TIME_LIMIT ? OUT_OF_TIME : 0);
    return with_sums(c, request, CURVATURE);
}

static int advanced(struct sv_cg_run *c, sv_cg_request *request)
{
    const double curvature = c->sums[0], wishes = c->sums[1];
    if (wishes > 0)
        return end(c, request, fmod(wishes, OUT_OF_TIME) > 0 ? SV_CALLBACK_STOP : SV_TIME_LIMIT);
    if (c->nit >= c->watch.control.max_iter)
        return end(c, request, SV_MAX_ITER);
    if (!(curvature > 0))
        return end(c, request, status_of(sv_cg_broken(curvature, c->steepest * c->numbers.rho)));
    if (!(c->numbers.rho > 0)) /* the preconditioner's fault */
        return end(c, request, isfinite(c->numbers.rho) ? SV_NOT_SPD : SV_NONFINITE);
    c->steepest = fmax(c->steepest, curvature / c->numbers.rho);
    c->sums[2] = sv_linalg_vectors()->advance(c->n, c->numbers.rho / curvature, c->v, c->q, NULL, c->x, c->r);
    if (c->options.preconditioned)
        return with_preconditioner(c, request, NEXT_Z);
    add(c, request, c->r, c->r, c->sums[2]);
    return with_sums(c, request, NEXT_SUMS);
}

static int followed(struct sv_cg_run *c, sv_cg_request *request)
{
    const double square = c->sums[0], rho = c->options.preconditioned ? c->sums[1] : square;
    c->measure = sqrt(square);
    c->nit++;
    const size_t all = c->options.size > c->n ? c->options.size : c->n;
    const enum sv_outcome outcome = sv_watch(&c->numbers.monitor, c->measure, fmax(c->tol, c->floor), (double)c->nit,
                                             sv_cg_patience(all), c->n, c->x, c->kept);
    if (outcome == OUTCOME_REACHED)
        return with_product(c, request, c->x, c->q, IMAGE);
    if (outcome != OUTCOME_GOING_ON)
        return end(c, request, status_of(outcome));
    sv_linalg_vectors()->direction(c->n, rho / c->numbers.rho, c->options.preconditioned ? c->z : c->r, c->v);
    c->numbers.rho = rho;
    return iteration(c, request);
}

/* The norm of b is known, or of b in a new unit. */
static int sized(struct sv_cg_run *c, sv_cg_request *request, double scale)
{
    if (c->unit == 1 && !c->zero && unit_of(c->sums[0]) != 1) {
        count_in(c, unit_of(c->sums[0]));
        add_dot(c, request, c->b, c->b);
        return with_sums(c, request, SIZE_OF_B);
    }
    if (scale == 0)
        start_at_zero(c), c->zero = 1, c->unit = 1;
    c->tol = isfinite(scale) ? fmax(c->options.rtol * scale, c->options.atol / c->unit) : 0;
    c->floor = ROUNDING * scale;
    return with_product(c, request, c->x, c->q, IMAGE);
}

static int went_on(struct sv_cg_run *c, sv_cg_request *request)
{
    switch (c->asked) {
    case NOTHING:
        add_dot(c, request, c->b, c->b);
        return with_sums(c, request, SIZE_OF_B);
    case SIZE_OF_B: return sized(c, request, sqrt(c->sums[0]));
    case IMAGE:
        residual(c, c->r);
        add_dot(c, request, c->r, c->r);
        return with_sums(c, request, SIZE_OF_R);
    case SIZE_OF_R:
        if (c->unit != 1 && c->nit == 0 && !isfinite(c->sums[0]) && !c->zero) {
            start_at_zero(c); /* so far off that it is no start */
            c->zero = 1;
            return with_product(c, request, c->x, c->q, IMAGE);
        }
        return known_exactly(c, request, sqrt(c->sums[0]));
    case FIRST_Z:
        add_dot(c, request, c->r, c->z);
        return with_sums(c, request, FIRST_RHO);
    case FIRST_RHO: return anew(c, request, c->sums[0]);
    case CURVED: return curved(c, request);
    case CURVATURE: return advanced(c, request);
    case NEXT_Z: {
        const double square = c->sums[2];
        add(c, request, c->r, c->r, square);
        add_dot(c, request, c->r, c->z);
        return with_sums(c, request, NEXT_SUMS);
    }
    case NEXT_SUMS: return followed(c, request);
    case JUDGED_IMAGE:
        residual(c, c->z); /* r may be worth more than what is judged */
        add_dot(c, request, c->z, c->z);
        return with_sums(c, request, JUDGED_SIZE);
    case JUDGED_SIZE: return judged_size(c, request);
    case LOST_IMAGE:
        add_dot(c, request, c->q, c->q);
        return with_sums(c, request, LOST_SIZE);
    case LOST_SIZE:
        c->left += sqrt(c->sums[0]);
        c->asked = ENDED;
        return SV_CG_DONE;
    default: return SV_CG_DONE;
    }
}

/* ---- the interface ------------------------------------------------------------------------- */

static int checked(size_t n, const double *b, const double *x, const sv_cg_options *o)
{
    size_t bytes;
    int status = n < (size_t)PTRDIFF_MAX ? sv_product(n, 16 * sizeof(double), "n", &bytes)
                                         : sv_fail(SV_NO_MEMORY, "n: %zu overflows", n);
    if (!status)
        status = sv_check_tolerances(o->rtol, o->atol, "options->");
    if (!status)
        status = sv_check_finite(b, n, "b");
    return status ? status : sv_check_finite(x, n, "x");
}

int sv_cg_create(size_t n, const double *b, const double *x, const sv_cg_options *options, const sv_control *control,
                 sv_cg **made)
{
    sv_cg_options full = SV_CG_OPTIONS_INIT;
    struct sv_watch watch;
    SV_NEED(made);
    *made = NULL;
    if (n) {
        SV_NEED(b);
        SV_NEED(x);
    }
    int status = sv_read_struct(&full, sizeof full, options, "options");
    if (!status)
        status = checked(n, b, x, &full);
    if (!status)
        status = sv_begin(&watch, control, MAX_ITER);
    if (status)
        return status;
    const size_t each = (n + 7) / 8 * 8;
    struct sv_cg_run *c = calloc(1, sizeof *c);
    double *room = sv_zeros(9 * each, sizeof *room);
    if (!c || !room) {
        free(c), free(room);
        return sv_fail(SV_NO_MEMORY, "n: no memory for nine vectors of %zu", n);
    }
    c->watch = watch, c->options = full, c->n = n, c->first = 1, c->unit = 1;
    double **const all[] = {&c->b, &c->x, &c->start, &c->kept, &c->r, &c->v, &c->q, &c->z, &c->best};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        *all[k] = room + k * each;
    if (n) {
        memcpy(c->b, b, n * sizeof *b);
        for (int k = 1; k < 4; k++)
            memcpy(*all[k], x, n * sizeof *x);
        memcpy(c->best, x, n * sizeof *x);
    }
    *made = c;
    return SV_OK;
}

void sv_cg_destroy(sv_cg *cg)
{
    if (!cg)
        return;
    free(cg->b);
    free(cg);
}

int sv_cg_step(sv_cg *cg, sv_cg_request *request)
{
    SV_NEED(cg);
    SV_NEED(request);
    if (request->struct_size != sizeof *request)
        return sv_fail(SV_STRUCT_SIZE, "request->struct_size is %zu, not %zu", request->struct_size, sizeof *request);
    int status = sv_enter(&cg->guard);
    if (status)
        return status;
    request->from = NULL, request->to = request->sums = NULL, request->count = 0;
    int need = went_on(cg, request);
    sv_leave(&cg->guard);
    return need;
}

int sv_cg_answer(sv_cg *cg, double *x, sv_report *report)
{
    sv_report ignored = SV_REPORT_INIT;
    SV_NEED(cg);
    if (cg->n)
        SV_NEED(x);
    int status = sv_read_struct(&ignored, sizeof ignored, report, "report");
    if (!status)
        status = sv_enter(&cg->guard);
    if (status)
        return status;
    if (cg->asked != ENDED)
        status = sv_fail(SV_INVALID, "cg has not ended: sv_cg_step must return SV_CG_DONE first");
    if (!status) {
        out_of_unit(cg, cg->best, x);
        status = sv_judged(&cg->watch, cg->status, cg->nit, cg->left, cg->tol, report);
        if (report && report->struct_size >= offsetof(sv_report, measure) + sizeof report->measure)
            report->measure *= cg->unit;
    }
    sv_leave(&cg->guard);
    return status;
}

/* A host's function stopped the solve: the iterate, whose residual nobody can form. */
static int stopped(const sv_cg *cg, double *x, sv_report *report)
{
    sv_judged(&cg->watch, SV_CALLBACK_STOP, cg->nit, NAN, 0, report);
    if (report && report->struct_size >= offsetof(sv_report, nit))
        report->status = SV_CALLBACK_STOP;
    out_of_unit(cg, cg->kept, x);
    return SV_CALLBACK_STOP;
}

int sv_cg_solve(size_t n, const double *b, double *x, sv_mapping product, sv_mapping precondition, sv_summing reduce,
                void *user, const sv_cg_options *options, const sv_control *control, sv_report *report)
{
    sv_cg_options full = SV_CG_OPTIONS_INIT;
    sv_report ignored = SV_REPORT_INIT;
    sv_cg_request request = SV_CG_REQUEST_INIT;
    sv_cg *cg;
    SV_NEED(product);
    int status = sv_read_struct(&full, sizeof full, options, "options");
    if (!status)
        status = sv_read_struct(&ignored, sizeof ignored, report, "report");
    full.preconditioned = precondition != NULL;
    full.struct_size = sizeof full;
    if (!status)
        status = sv_cg_create(n, b, x, &full, control, &cg);
    if (status)
        return status;
    int need, failed = 0;
    while (!failed && (need = sv_cg_step(cg, &request)) > SV_CG_DONE) {
        if (need == SV_NEED_PRODUCT)
            failed = product(user, request.from, request.to);
        else if (need == SV_NEED_PRECONDITIONER)
            failed = precondition(user, request.from, request.to);
        else if (reduce)
            failed = reduce(user, request.count, request.x, request.y, request.sums);
    }
    status = failed ? stopped(cg, x, report) : sv_cg_answer(cg, x, report);
    sv_cg_destroy(cg);
    return status;
}
