/* See monitor.h. The rules are those of a window, never of a single step: with omega near 2, and in conjugate
 * gradients, residuals grow for a while on the way to convergence.
 */
#include "monitor.h"

#include <math.h>
#include <string.h>

#define FAR 1e4
#define FAR_IN_A_ROW 20

int sv_keeps(const struct sv_monitor *monitor, double residual) { return residual <= 0.1 * monitor->kept; }

enum sv_outcome sv_watch(struct sv_monitor *monitor, double residual, double goal, double iteration, double patience,
                         size_t n, const double *x, double *kept)
{
    if (!isfinite(residual))
        return OUTCOME_NOT_FINITE;
    if (residual < 0.999 * monitor->best) {
        monitor->best = residual;
        monitor->best_at = iteration;
    }
    if (sv_keeps(monitor, residual)) {
        monitor->kept = residual;
        memcpy(kept, x, n * sizeof(double));
    }
    if (residual <= goal)
        return OUTCOME_REACHED;
    monitor->above = residual > FAR * monitor->first ? monitor->above + 1 : 0;
    if (monitor->above >= FAR_IN_A_ROW)
        return OUTCOME_DIVERGED;
    if (iteration - monitor->best_at <= patience)
        return OUTCOME_GOING_ON;
    return residual > monitor->first ? OUTCOME_DIVERGED : OUTCOME_STALLED;
}
