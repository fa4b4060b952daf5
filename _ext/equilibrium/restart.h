/* When an anchored iteration starts anew, and the weight between its primal and its dual steps: Lu & Yang (2024, arXiv
 * 2407.16144), and the controller of the weight of Lu et al. (2025, arXiv 2507.14051). */
#ifndef SOLVERS_EQUILIBRIUM_RESTART_H
#define SOLVERS_EQUILIBRIUM_RESTART_H

#include <stdint.h>

#include "runtime.h"

/* Whether the residual is below `sufficient` times the anchor's, or below `necessary` times it and rising. */
SV_BINDING int sv_restart_fallen(double residual, double last, double anchor, double sufficient, double necessary);

/* Whether to restart: residuals now, at the last look, and at the first step from the anchor; iterations since the
 * anchor, and in all. */
SV_BINDING int sv_restart_wanted(double residual, double last, double anchor, int64_t count, int64_t total);

/* The weight w, tau = eta / w and sigma = eta w, within low..high: a controller in log w. Where the iteration has moved
 * much in y and little in x since its anchor, w grows. Without bounds it may run away on degenerate problems, whose
 * iterates then stop moving on one side. */
struct sv_restart_weight {
    double value, low, high;
    double summed;         /* of the errors in log w, the earlier ones less and less; 0 at first */
    double best, distance; /* the w whose relative residuals were nearest to one another, and how near: |log ratio|; at
                            * first NaN and infinite */
};

/* For the next anchor: norms of what x and y have moved from the last, and the relative primal residual over the relative
 * dual one, where there are such: 1 tells nothing. */
SV_BINDING void sv_restart_weigh(struct sv_restart_weight *weight, double move_x, double move_y, double balance);

#endif
