/* Restarts and weights of anchored iterations: see restart.h. */
#include "restart.h"

#include <math.h>

/* The residual has fallen so far below that at the anchor: a restart at once; or so far, and it rises. */
#define SUFFICIENT 0.2
#define NECESSARY 0.5
/* A restart in any case after this share of all iterations so far. */
#define ARTIFICIAL 0.36
/* Gains of the controller in log w, and what of the earlier errors' sum each restart keeps. */
#define PROPORTIONAL 0.99
#define INTEGRAL 0.01
#define KEPT 0.3
/* Moves below this, and ratios of the relative residuals outside of 1 / BALANCE..BALANCE, tell nothing. */
#define LEAST_MOVE 1e-16
#define BALANCE 1e8

int sv_restart_fallen(double residual, double last, double anchor, double sufficient, double necessary)
{
    return residual <= sufficient * anchor || (residual <= necessary * anchor && residual > last);
}

int sv_restart_wanted(double residual, double last, double anchor, int64_t count, int64_t total)
{
    double enough = ARTIFICIAL * (double)total;
    return (double)count >= (enough > 1 ? enough : 1) ||
           sv_restart_fallen(residual, last, anchor, SUFFICIENT, NECESSARY);
}

void sv_restart_weigh(struct sv_restart_weight *w, double move_x, double move_y, double balance)
{
    int known = balance > 0 && isfinite(balance);
    double distance = known ? fabs(log(balance)) : INFINITY;
    if (distance < w->distance) {
        w->best = w->value;
        w->distance = distance;
    }
    int lost = !(move_x >= LEAST_MOVE && move_y >= LEAST_MOVE) || !(1 / BALANCE < balance && balance < BALANCE);
    if (lost || !isfinite(move_x) || !isfinite(move_y)) {
        w->value = isfinite(w->best) ? w->best : w->value;
        w->summed = 0;
        return;
    }
    double error = log(move_y / move_x) - log(w->value);
    w->summed = KEPT * w->summed + error;
    double value = w->value * exp(PROPORTIONAL * error + INTEGRAL * w->summed);
    value = value < w->low ? w->low : value;
    w->value = value > w->high ? w->high : value;
}
