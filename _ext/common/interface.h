/* What the functions of solvers.h share: errors with their words, structures that may grow, handles that one thread
 * uses at a time, and the limits of a solve: the twin of solvers/_base/iterate.py. */
#ifndef SOLVERS_INTERFACE_H
#define SOLVERS_INTERFACE_H

#include <stdatomic.h>
#include <stdint.h>

#include "runtime.h"
#include "solvers.h"

/* Keeps the words for sv_last_error and returns the status. The words begin with the argument's name. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int sv_fail(int status, const char *words, ...);

/* Fails where a pointer is NULL. */
#define SV_NEED(pointer)                                             \
    do {                                                             \
        if (!(pointer))                                              \
            return sv_fail(SV_INVALID, "%s is NULL", #pointer);      \
    } while (0)

/* `to`, which holds the defaults, with the fields that the caller's version of the structure has. */
int sv_read_struct(void *to, size_t size, const void *given, const char *name);

/* SV_NO_MEMORY where the product does not fit ptrdiff_t. */
int sv_product(size_t a, size_t b, const char *what, size_t *product);

/* SV_INVALID with the first bad index where a number is not finite. */
int sv_check_finite(const double *x, size_t length, const char *name);

/* SV_INVALID unless both are finite, at least 0, and one is above; `of` comes before their names: "options->", or "". */
int sv_check_tolerances(double rtol, double atol, const char *of);

/* A handle's first field: entered by one thread at a time. */
struct sv_guard {
    atomic_flag taken;
};
int sv_enter(struct sv_guard *guard);
void sv_leave(struct sv_guard *guard);

/* The limits of a solve that has begun. */
struct sv_watch {
    sv_control control;
    double start;
};
/* steps: max_iter where the caller leaves it open. */
int sv_begin(struct sv_watch *watch, const sv_control *given, int64_t steps);
double sv_elapsed(const struct sv_watch *watch);
/* Before a step: the status that ends the solve here, in the order in which Python's loop looks, or -1 to go on.
 * reached: what the method itself says: SV_CONVERGED or a failure, -1 to go on. first: no step was taken yet, so that
 * there is nothing to show. */
int sv_ended(const struct sv_watch *watch, int reached, int first, int64_t nit, double measure, const double *x,
             size_t x_size);
/* The status that the recomputed measure bears out, written down in the report (may be NULL). */
int sv_judged(const struct sv_watch *watch, int status, int64_t nit, double measure, double tol, sv_report *report);

#endif
