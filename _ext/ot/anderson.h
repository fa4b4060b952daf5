/* Anderson's extrapolation (1965) of a fixed-point map from its last steps. */
#ifndef SOLVERS_OT_ANDERSON_H
#define SOLVERS_OT_ANDERSON_H

#include <stddef.h>

enum { OT_ANDERSON_DEPTH = 5 };

/* The last steps of a map: what changed from each to the next. */
struct ot_anderson {
    size_t size;
    int steps; /* known since the memory was cleared */
    double *answer, *move;   /* the last step's */
    double *answers, *moves; /* DEPTH changes each, in a ring */
};

size_t sv_ot_anderson_worksize(size_t size);
struct ot_anderson sv_ot_anderson_at(double *work, size_t size);

/* next becomes where the steps so far and this one lead: the combination of the answers, with coefficients of sum 1,
 * whose combined move is smallest in the norm sum weights move^2. next may be answer. */
void sv_ot_anderson_next(struct ot_anderson *memory, const double *answer, const double *move, const double *weights,
                      double *next);

#endif
