/* See interface.h. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "interface.h"

static _Thread_local char last_error[256];

int sv_abi_version(void) { return SV_ABI_VERSION; }

const char *sv_last_error(void) { return last_error; }

int sv_fail(int status, const char *words, ...)
{
    va_list arguments;
    va_start(arguments, words);
    vsnprintf(last_error, sizeof last_error, words, arguments);
    va_end(arguments);
    return status;
}

const char *sv_status_string(int status)
{
    switch (status) {
    case SV_CONVERGED: return "The recomputed measure of the answer meets the tolerance.";
    case SV_CALLBACK_STOP: return "The callback asked to stop.";
    case SV_MAX_ITER: return "max_iter steps did not reach the tolerance; raise max_iter, or start from this answer.";
    case SV_MAX_EVAL:
        return "The evaluations that were allowed did not reach the tolerance; allow more, or start from here.";
    case SV_TIME_LIMIT: return "The time limit came before the tolerance; raise time_limit, or start from this answer.";
    case SV_STAGNATION:
        return "No step gains anything more, most often by rounding; ask for a looser tolerance, or scale the problem better.";
    case SV_DIVERGED:
        return "The iteration diverges; the best point that was kept is returned. If there is a solution, another method, "
               "another start or shorter steps (a smaller omega) may find it.";
    case SV_NOT_SPD:
        return "The matrix is not symmetric positive definite; use a method for general matrices.";
    case SV_BREAKDOWN:
        return "The iteration broke down before the tolerance; start from this answer, or try another method.";
    case SV_NONFINITE:
        return "The iteration left the finite numbers; the last finite state is returned. Check the data's scale.";
    case SV_INFEASIBLE: return "No point satisfies the constraints; relax them.";
    case SV_UNBOUNDED: return "The objective improves without end along a direction that the constraints allow.";
    case SV_NOT_CERTIFIED:
        return "The operator is not monotone, and the tolerance is not met: nothing is known of this point.";
    case SV_LOCALLY_INFEASIBLE:
        return "No point near this one violates the constraints less, and they are violated; try another start, or "
               "relax them.";
    case SV_INVALID: return "An argument makes no sense; sv_last_error() names it.";
    case SV_NO_MEMORY: return "There is not enough memory, or the sizes overflow.";
    case SV_STRUCT_SIZE:
        return "A structure's struct_size is none that this library knows; begin with its _INIT macro.";
    case SV_BUSY: return "Another thread uses this handle; give each thread its own.";
    default: return "This library knows no such status.";
    }
}

int sv_read_struct(void *to, size_t size, const void *given, const char *name)
{
    size_t has;
    if (!given)
        return SV_OK;
    memcpy(&has, given, sizeof has);
    /* A newer caller's fields beyond ours would be ignored in silence: that is refused. */
    if (has < 2 * sizeof has || has > size)
        return sv_fail(SV_STRUCT_SIZE, "%s->struct_size is %zu; this library knows sizes from %zu to %zu", name, has,
                       2 * sizeof has, size);
    memcpy(to, given, has);
    return SV_OK;
}

int sv_product(size_t a, size_t b, const char *what, size_t *product)
{
    if (b && a > (size_t)PTRDIFF_MAX / b)
        return sv_fail(SV_NO_MEMORY, "%s: %zu times %zu overflows", what, a, b);
    *product = a * b;
    return SV_OK;
}

int sv_check_finite(const double *x, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++)
        if (!isfinite(x[i]))
            return sv_fail(SV_INVALID, "%s[%zu] is %g", name, i, x[i]);
    return SV_OK;
}

int sv_check_tolerances(double rtol, double atol, const char *of)
{
    const double given[2] = {rtol, atol};
    for (int k = 0; k < 2; k++)
        if (!(given[k] >= 0 && given[k] < INFINITY))
            return sv_fail(SV_INVALID, "%s%s must be >= 0 and finite, not %g", of, k ? "atol" : "rtol", given[k]);
    if (rtol == 0 && atol == 0)
        return sv_fail(SV_INVALID, "%srtol and %satol must not both be 0", of, of);
    return SV_OK;
}

int sv_enter(struct sv_guard *guard)
{
    if (atomic_flag_test_and_set_explicit(&guard->taken, memory_order_acquire))
        return sv_fail(SV_BUSY, "the handle is in use by another thread");
    return SV_OK;
}

void sv_leave(struct sv_guard *guard) { atomic_flag_clear_explicit(&guard->taken, memory_order_release); }

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int sv_begin(struct sv_watch *watch, const sv_control *given, int64_t steps)
{
    const sv_control defaults = SV_CONTROL_INIT;
    watch->control = defaults;
    int status = sv_read_struct(&watch->control, sizeof defaults, given, "control");
    if (status)
        return status;
    if (watch->control.time_limit != watch->control.time_limit)
        return sv_fail(SV_INVALID, "control->time_limit is NaN");
    if (watch->control.max_iter < 0)
        watch->control.max_iter = steps;
    watch->start = now();
    return SV_OK;
}

double sv_elapsed(const struct sv_watch *watch) { return now() - watch->start; }

int sv_ended(const struct sv_watch *watch, int reached, int first, int64_t nit, double measure, const double *x,
             size_t x_size)
{
    const sv_control *control = &watch->control;
    int timed = control->callback || control->time_limit >= 0;
    double seconds = timed ? sv_elapsed(watch) : 0;
    if (control->callback && !first) {
        sv_progress progress = {sizeof progress, nit, measure, seconds, x, x_size};
        if (control->callback(control->user, &progress) && reached < 0)
            reached = SV_CALLBACK_STOP;
    }
    if (reached < 0 && nit >= control->max_iter)
        reached = SV_MAX_ITER;
    if (reached < 0 && control->time_limit >= 0 && seconds >= control->time_limit)
        reached = SV_TIME_LIMIT;
    return reached;
}

int sv_judged(const struct sv_watch *watch, int status, int64_t nit, double measure, double tol, sv_report *report)
{
    if (measure <= tol)
        status = status == SV_CALLBACK_STOP ? SV_CALLBACK_STOP : SV_CONVERGED;
    else if (!isfinite(measure))
        status = SV_NONFINITE;
    else if (status == SV_CONVERGED)
        status = SV_STAGNATION;
    if (report) {
        sv_report full = {sizeof full, status, nit, measure, sv_elapsed(watch)};
        size_t has = report->struct_size < sizeof full ? report->struct_size : sizeof full;
        full.struct_size = report->struct_size;
        memcpy(report, &full, has);
    }
    return status;
}
