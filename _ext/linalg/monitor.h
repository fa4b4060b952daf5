/* What all iterations watch: the residual's norm against the goal, its best value, growth, standstill. */
#ifndef SOLVERS_LINALG_MONITOR_H
#define SOLVERS_LINALG_MONITOR_H

#include <stddef.h>

enum sv_outcome { OUTCOME_GOING_ON, OUTCOME_REACHED, OUTCOME_DIVERGED, OUTCOME_STALLED, OUTCOME_NOT_SPD, OUTCOME_NOT_FINITE };

/* Numbers of a solve that go from one call to the next; all double, so that a caller may keep them in an array. */
struct sv_monitor {
    double first;   /* the residual's norm at the start */
    double best;    /* the least so far, but for improvements of less than a thousandth */
    double best_at; /* its iteration */
    double kept;    /* the norm at the point that was kept */
    double above;   /* residuals in a row that were far above the first */
};

/* Whether a point with this residual is to be kept. */
int sv_keeps(const struct sv_monitor *monitor, double residual);

/* Takes note of the residual's norm at x after `iteration` iterations. A new x is kept whenever the norm has fallen to a
 * tenth of what it was at the kept one, so that a solve that fails has something to return. No progress for `patience`
 * iterations is a standstill, or divergence where the norm lies above the first. */
enum sv_outcome sv_watch(struct sv_monitor *monitor, double residual, double goal, double iteration, double patience,
                         size_t n, const double *x, double *kept);

#endif
