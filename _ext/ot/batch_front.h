/* The beginning of a small problem in float32: what its kernels and the solve in float64 share. */
#ifndef SOLVERS_OT_BATCH_FRONT_H
#define SOLVERS_OT_BATCH_FRONT_H

#include <stddef.h>

/* A problem whose plan is diag(y) K diag(x), all in float32. `ld` is a multiple of 16, as is the room for the rows; past
 * the last column b and x are 0. */
struct ot_front {
    size_t rows, ld;
    float *K;
    float *a, *y, *weight, *row;
    float *b, *x, *c, *left, *diagonal, *precondition, *residual, *direction, *image, *scaled, *step;
    int has_left; /* it is found once: it is but for the preconditioner */
    int sinkhorn, newton, cg;
    const char *ahead, *ahead_end; /* the costs of the next problem that are still to be fetched */
};

enum { FRONT_COLUMN_VECTORS = 11 };

struct ot_front_kernel {
    /* x, from 1 on, until the l1 norm of b - c is at most about `target`; returns 0 where that is not to be had easily. */
    int (*begin)(struct ot_front *front, float target);
    /* A Newton step from near the answer. In: x, y, c; residual = b - c and, in `row`, how much of itself each row sum
     * lacks, which is nothing if the rows are `met`. Out: step, of log x, and in `row` what is added to each row sum by it.
     * Returns 0 where it fails. */
    int (*correct)(struct ot_front *front, float rtol, int met);
};

#endif
