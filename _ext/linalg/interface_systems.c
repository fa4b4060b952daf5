/* sv_linear_solve: the options, the loops of the methods step by step with the limits of the call, and the answer with
 * its residual recomputed. What LinearProblem and the methods' classes have in Python; the loops are the same ones. */
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cg.h"
#include "interface_systems.h"
#include "jacobi.h"
#include "sor.h"
#include "spectrum.h"

/* Multiply-adds that one step may take, so that limits are seen to between steps. */
#define STEP_WORK 50000000
/* The part of norm(b) below which rounding leaves nothing of a residual that a recurrence tells. */
#define ROUNDING 0x1p-54

#define MAX_ITER 10000

/* A solve that has begun. Vectors are in the method's order, but for the user's own. */
struct solve {
    sv_linear *A;
    const sv_linear_options *options;
    const sv_control *control;
    struct sv_order *order, *natural;
    const double *b, *x0;         /* the user's, over `unit` */
    const double *right, *exact;  /* b in the order, and in the natural one */
    double *x, *kept, *old_x, *old_kept, *r, *v, *work;
    double *one, *other, *packed; /* two of the user's order, and one in the natural one */
    struct sv_preconditioner M;
    union {
        struct sv_monitor monitor;
        struct sv_sor_numbers sor;
        struct sv_jacobi_numbers jacobi;
        struct sv_cg_numbers cg;
    } numbers, old;
    enum sv_outcome outcome;
    double tol, floor, measure, omega;
    double unit; /* what vectors are counted in */
    int64_t nit, most;
};

/* ---- options ------------------------------------------------------------------------------- */

static int within(int value, int last, const char *name, const char *words)
{
    if (value >= 0 && value <= last)
        return SV_OK;
    return sv_fail(SV_INVALID, "options->%s is %d, no enum %s", name, value, words);
}

static int check_omega(const sv_linear_options *o)
{
    const int sweeps = o->method == SV_SOR;
    if (o->omega == SV_OMEGA_DEFAULT || (o->omega > 0 && o->omega < 2))
        return SV_OK;
    if (sweeps && o->omega == SV_OMEGA_YOUNG)
        return SV_OK;
    if (sweeps && o->omega == SV_OMEGA_ADAPTIVE)
        return o->direction != SV_SYMMETRIC_SWEEP
                   ? SV_OK
                   : sv_fail(SV_INVALID, "options->omega: the adaptive one is not for symmetric sweeps");
    return sv_fail(SV_INVALID, "options->omega must lie between 0 and 2 for this method, not be %g", o->omega);
}

static int check_options(const sv_linear_options *o)
{
    int status = within(o->method, SV_JACOBI, "method", "sv_linear_method");
    if (!status)
        status = within(o->ordering, SV_ORDERING_BLOCKS, "ordering", "sv_ordering");
    if (!status)
        status = within(o->direction, SV_SYMMETRIC_SWEEP, "direction", "sv_sweep_direction");
    if (!status)
        status = within(o->preconditioner, SV_BY_IC0, "preconditioner", "sv_linear_preconditioner");
    if (!status)
        status = check_omega(o);
    if (!status && o->check_every < 1)
        status = sv_fail(SV_INVALID, "options->check_every is %d, below 1", o->check_every);
    if (!status)
        status = sv_check_tolerances(o->rtol, o->atol, "options->");
    if (!status && (isnan(o->low) || isnan(o->high) || (o->low >= 0 && o->high >= 0 && o->low > o->high)))
        status = sv_fail(SV_INVALID, "options->low must be at most options->high, and neither NaN");
    return status;
}

static int positive_definite(const struct solve *s)
{
    for (size_t i = 0; i < s->natural->operand.n; i++)
        if (!(s->natural->operand.diagonal[i] > 0))
            return sv_fail(SV_INVALID, "A is not positive definite, as options->method needs: a diagonal entry is %g",
                           s->natural->operand.diagonal[i]);
    const int symmetric = s->options->assume_symmetric ? 1 : sv_linear_symmetric(s->A);
    if (symmetric < 0)
        return symmetric;
    if (!symmetric)
        return sv_fail(SV_INVALID, "A is not symmetric, as options->method needs (assume_symmetric skips this look)");
    return SV_OK;
}

/* ---- what a method does first -------------------------------------------------------------- */

/* Room for estimates of the spectrum, which few solves need. */
static double *estimating(const struct solve *s, double **noise, double **ones)
{
    const size_t n = s->order->operand.n;
    double *room = sv_zeros((SV_LANCZOS + 5) * n, sizeof *room);
    if (!room)
        return NULL;
    *noise = room + (SV_LANCZOS + 3) * n, *ones = *noise + n;
    sv_linalg_noise(s->order->n, s->one);
    sv_order_take(s->order, s->one, *noise);
    for (size_t i = 0; i < s->order->n; i++)
        s->one[i] = 1;
    sv_order_take(s->order, s->one, *ones);
    return room;
}

static int no_memory(void) { return sv_fail(SV_NO_MEMORY, "A: no memory for the work of a solve"); }

static int begin_sor(struct solve *s)
{
    double *noise, *ones, *room, omega = s->options->method == SV_GAUSS_SEIDEL ? 1 : s->options->omega;
    if (omega == SV_OMEGA_YOUNG && s->measure > s->tol) {
        int status = positive_definite(s);
        if (status)
            return status;
        if (!(room = estimating(s, &noise, &ones)))
            return no_memory();
        omega = sv_linalg_young(&s->order->operand, ones, noise, s->order->n, room);
        free(room);
    } else if (!(omega > 0)) {
        omega = 1;
    }
    s->numbers.sor.omega = omega;
    return SV_OK;
}

static int begin_chebyshev(struct solve *s)
{
    double *noise, *ones, *room, low = s->options->low, high = s->options->high;
    int status = positive_definite(s);
    memcpy(s->v, s->x, s->order->operand.n * sizeof *s->v); /* the x before */
    if (status || s->measure <= s->tol)
        return status;
    low = low < 0 ? NAN : low, high = high < 0 ? NAN : high;
    if (!(room = estimating(s, &noise, &ones)))
        return no_memory();
    s->order->operand.does->residual(&s->order->operand, s->right, s->x, ones);
    sv_linalg_chebyshev_bounds(&s->order->operand, ones, noise, s->order->n, &low, &high, room);
    free(room);
    s->numbers.jacobi.low = low, s->numbers.jacobi.high = high;
    return SV_OK;
}

static int begin_ssor_cg(struct solve *s)
{
    int status = positive_definite(s);
    s->omega = s->options->omega;
    if (status || s->omega > 0)
        return status;
    double *ones = s->old_x, *product = s->old_kept;
    for (size_t i = 0; i < s->order->n; i++)
        s->one[i] = 1;
    sv_order_take(s->order, s->one, ones);
    memset(product, 0, s->order->operand.n * sizeof *product);
    s->omega = sv_linalg_row_sum_omega(&s->order->operand, ones, product);
    if (s->order->sell.in_blocks)
        s->omega = fmin(s->omega, SV_BLOCKS_OMEGA);
    return SV_OK;
}

static int begin_cg(struct solve *s)
{
    const sv_linear_options *o = s->options;
    int status = positive_definite(s);
    if (status || o->preconditioner == SV_NO_PRECONDITIONER)
        return status;
    s->M.n = s->order->operand.n;
    if (o->preconditioner == SV_BY_DIAGONAL) {
        for (size_t i = 0; i < s->M.n; i++)
            s->packed[i] = 1 / s->order->operand.diagonal[i];
        s->M.apply = sv_diagonal_apply, s->M.weights = s->packed;
        return SV_OK;
    }
    s->M.apply = sv_ssor_apply, s->M.sweeps = 1;
    s->M.A = &s->order->operand, s->M.omega = o->omega > 0 ? o->omega : 1;
    if (o->preconditioner == SV_BY_IC0) {
        s->M.omega = 1;
        status = sv_linear_ic0(s->A, &s->M.A);
    }
    return status;
}

static int begin_jacobi(struct solve *s)
{
    s->numbers.jacobi.omega = s->options->omega > 0 ? s->options->omega : 2.0 / 3;
    return SV_OK;
}

/* ---- steps --------------------------------------------------------------------------------- */

static int every(const struct solve *s) { return s->control->callback != NULL; }

static int step_sor(struct solve *s, int most)
{
    const sv_linear_options *o = s->options;
    struct sv_sor_settings settings = {(enum sv_sweep)o->direction, s->tol, o->check_every,
                                       o->method == SV_SOR && o->omega == SV_OMEGA_ADAPTIVE, every(s)};
    return sv_linalg_sor(&s->order->operand, &settings, s->right, s->x, s->kept, &s->numbers.sor, (int)s->nit, most,
                         &s->measure, &s->outcome, s->work);
}

static int step_jacobi(struct solve *s, int most)
{
    struct sv_jacobi_settings settings = {s->tol, every(s)};
    if (s->options->method == SV_JACOBI)
        return sv_linalg_jacobi(&s->order->operand, &settings, s->right, s->x, s->kept, &s->numbers.jacobi,
                                (int)s->nit, most, &s->measure, &s->outcome, s->work);
    return sv_linalg_chebyshev(&s->order->operand, &settings, s->right, s->x, s->v, s->kept, &s->numbers.jacobi,
                               (int)s->nit, most, &s->measure, &s->outcome, s->work);
}

static int step_cg(struct solve *s, int most)
{
    const struct sv_operand *A = &s->order->operand;
    const struct sv_preconditioner *M = s->M.apply ? &s->M : NULL;
    struct sv_cg state = {s->x, s->r, s->v, s->kept, &s->numbers.cg, s->measure, OUTCOME_GOING_ON};
    const int plain = s->options->method == SV_CG;
    int done;
    if (s->nit == 0 && plain) {
        state.residual = sqrt(A->does->residual(A, s->right, s->x, s->r));
        sv_linalg_cg_start(A, M, &state);
    } else if (s->nit == 0) {
        sv_linalg_ssor_cg_start(A, s->omega, s->right, &state);
    }
    state.residual = s->measure;
    if (plain)
        done = sv_linalg_cg(A, M, s->right, &state, s->tol, s->floor, (int)s->nit, most, s->work);
    else
        done = sv_linalg_ssor_cg(A, s->omega, s->right, &state, s->tol, s->floor, (int)s->nit, most, s->work);
    s->measure = state.residual, s->outcome = state.outcome;
    return done;
}

static const struct {
    int ordering; /* by default; -1: the method takes no other */
    int fixed;
    int (*begin)(struct solve *s);
    int (*step)(struct solve *s, int most);
} methods[] = {
    [SV_SSOR_CG] = {SV_ORDERING_AUTO, 0, begin_ssor_cg, step_cg},
    [SV_CG] = {SV_ORDERING_NATURAL, 1, begin_cg, step_cg},
    [SV_CHEBYSHEV] = {SV_ORDERING_AUTO, 1, begin_chebyshev, step_jacobi},
    [SV_SOR] = {SV_ORDERING_NATURAL, 0, begin_sor, step_sor},
    [SV_GAUSS_SEIDEL] = {SV_ORDERING_NATURAL, 0, begin_sor, step_sor},
    [SV_JACOBI] = {SV_ORDERING_AUTO, 1, begin_jacobi, step_jacobi},
};

/* A step of some iterations. One that left the finite numbers is taken back. */
static void step(struct solve *s)
{
    const size_t bytes = s->order->operand.n * sizeof *s->x;
    const int64_t left = s->control->max_iter - s->nit;
    memcpy(s->old_x, s->x, bytes), memcpy(s->old_kept, s->kept, bytes);
    s->old = s->numbers;
    s->nit += methods[s->options->method].step(s, (int)(s->most < left ? s->most : left));
    if (s->outcome != OUTCOME_NOT_FINITE)
        return;
    memcpy(s->x, s->old_x, bytes), memcpy(s->kept, s->old_kept, bytes);
    s->numbers = s->old;
}

/* What the state's measure and outcome say; -1 to go on. */
static int reached(const struct solve *s)
{
    if (s->measure <= s->tol)
        return SV_CONVERGED;
    switch (s->outcome) {
    case OUTCOME_DIVERGED: return SV_DIVERGED;
    case OUTCOME_STALLED: return SV_STAGNATION;
    case OUTCOME_NOT_SPD: return SV_NOT_SPD;
    case OUTCOME_NOT_FINITE: return SV_NONFINITE;
    default: return -1;
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* The residual's norm of a vector of the user's. work[0..n) is overwritten. */
static double left_by(struct solve *s, const double *x)
{
    const struct sv_operand *A = &s->natural->operand;
    return sqrt(A->does->residual(A, s->exact, sv_order_pack(s->natural, x, s->packed), s->work));
}

/* Vectors of the solve, from the room of the handle; zeros. */
static int make_room(struct solve *s)
{
    const size_t n = s->order->operand.n, m = s->natural->operand.n, longest = n > m ? n : m;
    const size_t each = (longest + 7) / 8 * 8, count = 15;
    sv_linear *A = s->A;
    if (A->doubles < count * each) {
        free(A->room);
        A->doubles = 0;
        A->room = sv_zeros(count * each, sizeof(double));
        if (!A->room)
            return no_memory();
        A->doubles = count * each;
    } else {
        memset(A->room, 0, count * each * sizeof(double));
    }
    double *at = A->room, *right = at, *exact = at + each;
    double **const all[] = {&s->x, &s->kept, &s->old_x, &s->old_kept, &s->r, &s->v, &s->one, &s->other, &s->packed};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        *all[k] = at + (k + 2) * each;
    s->work = at + 11 * each; /* twice as long, and what follows is zeros: where x begins if b is 0 */
    s->right = sv_order_pack(s->order, s->b, right);
    s->exact = s->natural == s->order ? s->right : sv_order_pack(s->natural, s->b, exact);
    if (sv_linalg_norm(s->A->n, s->b) == 0)
        s->x0 = at + 13 * each;
    return SV_OK;
}

static int begin(struct solve *s)
{
    const size_t n = s->A->n, bytes = s->order->operand.n * sizeof *s->x;
    const double scale = sv_linalg_norm(n, s->b);
    s->tol = isfinite(scale) ? fmax(s->options->rtol * scale, s->options->atol) : 0;
    s->floor = ROUNDING * scale;
    s->measure = left_by(s, s->x0);
    if (s->unit != 1 && !isfinite(s->measure)) { /* so far off that it is no start; it is in room of ours */
        memset((double *)s->x0, 0, n * sizeof *s->x0);
        s->measure = left_by(s, s->x0);
    }
    s->numbers.monitor.first = s->numbers.monitor.best = s->numbers.monitor.kept = s->measure;
    sv_order_take(s->order, s->x0, s->x);
    memcpy(s->kept, s->x, bytes);
    const size_t work = STEP_WORK / (s->A->entries + 8 * n);
    s->most = every(s) || work < 1 ? 1 : (int64_t)work;
    return methods[s->options->method].begin(s);
}

/* The answer in the user's order, its residual recomputed; of an iteration that failed, the best point kept. Where
 * conjugate gradients say that they reached the goal they have just formed it, from this x. */
static const double *certified(struct solve *s, double *left)
{
    const int failed = s->outcome > OUTCOME_REACHED;
    const int formed = s->outcome == OUTCOME_REACHED && methods[s->options->method].step == step_cg;
    sv_order_unpack(s->order, s->x, s->one);
    const double *x = s->one;
    *left = formed ? s->measure : left_by(s, x);
    if (*left <= s->tol || !(failed || !(*left <= s->numbers.monitor.first)))
        return x;
    /* the one kept may be no good either, where the residual was told by a recurrence that had drifted */
    sv_order_unpack(s->order, s->kept, s->other);
    const double *others[2] = {s->other, s->x0};
    for (int k = 0; k < 2; k++) {
        double norm = left_by(s, others[k]);
        if (!(*left <= norm))
            x = others[k], *left = norm;
    }
    return x;
}

/* x in the user's numbers, which may have overflowed there, or vanished: then the residual is not that of the answer. */
static void deliver(struct solve *s, const double *answer, double *x, double *left)
{
    const size_t n = s->A->n;
    memmove(x, answer, n * sizeof *x);
    if (s->unit == 1)
        return;
    int lost = 0;
    for (size_t i = 0; i < n; i++) {
        const double exact = x[i];
        x[i] *= s->unit, s->one[i] = x[i] / s->unit;
        lost |= s->one[i] != exact;
    }
    if (lost)
        *left = left_by(s, s->one);
}

static int solved(struct solve *s, struct sv_watch *watch, double *x, sv_report *report)
{
    int status = make_room(s);
    if (!status)
        status = begin(s);
    if (status)
        return status;
    for (int first = 1;; first = 0) {
        if (s->control->callback) {
            sv_order_unpack(s->order, s->x, s->one);
            for (size_t i = 0; s->unit != 1 && i < s->A->n; i++)
                s->one[i] *= s->unit;
        }
        status = sv_ended(watch, reached(s), first, s->nit, s->measure * s->unit, s->one, s->A->n);
        if (status >= 0)
            break;
        step(s);
    }
    double left;
    const double *answer = certified(s, &left);
    deliver(s, answer, x, &left);
    s->A->omega = s->options->method == SV_SSOR_CG                                                  ? s->omega
                  : s->options->method == SV_SOR || s->options->method == SV_GAUSS_SEIDEL ? s->numbers.sor.omega
                  : s->options->method == SV_JACOBI                                         ? s->numbers.jacobi.omega
                                                                                            : NAN;
    status = sv_judged(watch, status, s->nit, left, s->tol, report);
    if (s->unit != 1 && report && report->struct_size >= offsetof(sv_report, measure) + sizeof report->measure)
        report->measure *= s->unit;
    return status;
}

static int with_orders(struct solve *s, struct sv_watch *watch, double *x, sv_report *report)
{
    const int usual = methods[s->options->method].ordering;
    const int ordering = methods[s->options->method].fixed ? SV_ORDERING_DEFAULT : s->options->ordering;
    int status = s->options->method == SV_SSOR_CG ? sv_linear_for_ssor_cg(s->A, ordering, &s->order)
                                                  : sv_linear_order(s->A, ordering, usual, &s->order);
    if (!status)
        status = sv_linear_order(s->A, SV_ORDERING_NATURAL, SV_ORDERING_NATURAL, &s->natural);
    if (status)
        return status;
    const int threads = s->control->threads > 0 ? s->control->threads : sv_get_num_threads();
    s->order->operand.threads = s->natural->operand.threads = threads;
    return solved(s, watch, x, report);
}

/* What b is counted in: nearly always 1, else a power of two. */
static double unit_of(size_t n, const double *b)
{
    const double size = sv_linalg_norm(n, b);
    double largest = 0;
    int exponent;
    if (size >= SV_SMALLEST_NORM && size <= SV_LARGEST_NORM)
        return 1;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(b[i]));
    frexp(largest, &exponent);
    return largest > 0 ? ldexp(1, exponent - 1) : 1;
}

/* b and the start over the unit, in `room` for both. */
static void count_in_units(struct solve *s, sv_linear_options *options, double *room)
{
    const size_t n = s->A->n;
    for (size_t i = 0; i < n; i++)
        room[i] = s->b[i] / s->unit, room[n + i] = s->x0[i] / s->unit;
    s->b = room, s->x0 = room + n;
    options->atol /= s->unit;
}

int sv_linear_solve(sv_linear *A, const double *b, double *x, const sv_linear_options *options,
                    const sv_control *control, sv_report *report)
{
    sv_linear_options full = SV_LINEAR_OPTIONS_INIT;
    sv_report ignored = SV_REPORT_INIT;
    struct sv_watch watch;
    SV_NEED(A);
    int status = sv_read_struct(&full, sizeof full, options, "options");
    if (!status)
        status = sv_read_struct(&ignored, sizeof ignored, report, "report");
    if (!status)
        status = check_options(&full);
    if (!status)
        status = sv_begin(&watch, control, MAX_ITER);
    if (status)
        return status;
    if (!A->n)
        return sv_judged(&watch, SV_CONVERGED, 0, 0, 0, report);
    SV_NEED(b);
    SV_NEED(x);
    status = sv_check_finite(b, A->n, "b");
    if (!status)
        status = sv_check_finite(x, A->n, "x");
    if (!status)
        status = sv_enter(&A->guard);
    if (status)
        return status;
    if (watch.control.max_iter > INT_MAX) /* what the loops count in */
        watch.control.max_iter = INT_MAX;
    struct solve s = {.A = A, .options = &full, .control = &watch.control, .b = b, .x0 = x, .unit = unit_of(A->n, b)};
    double *room = s.unit == 1 ? NULL : malloc(2 * A->n * sizeof *room);
    if (room)
        count_in_units(&s, &full, room);
    status = s.unit == 1 || room ? with_orders(&s, &watch, x, report) : no_memory();
    free(room);
    sv_leave(&A->guard);
    return status;
}
