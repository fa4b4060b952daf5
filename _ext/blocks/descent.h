/* Runs of block coordinate descent on 1/2 x'Q x - c'x + sum(weight |x|), lower <= x <= upper: many updates a call.
 *
 * The rules are those of solvers/_base/blocks (selection.py, update.py, descent.py), whose iterates these are but for
 * the rounding of sums. A case that needs more than a Cholesky factor, a block that is singular to rounding for
 * instance, is declined: the caller makes that update, and calls again.
 */
#ifndef SOLVERS_BLOCKS_DESCENT_H
#define SOLVERS_BLOCKS_DESCENT_H

#include <stdbool.h>

#include "quadratic.h"

/* LAPACK's, as Fortran has them: handed in, since the library links none. */
struct sv_block_lapack {
    void (*potrf)(char *uplo, int *n, double *a, int *lda, int *info);
    void (*potrs)(char *uplo, int *n, int *columns, double *a, int *lda, double *b, int *ldb, int *info);
    void (*syev)(char *job, char *uplo, int *n, double *a, int *lda, double *values, double *work, int *size, int *info);
};

enum sv_block_rule { SV_ORDERED, SV_GS, SV_GSL, SV_GSD, SV_GSQ };
enum sv_block_update { SV_LB, SV_DIAG, SV_MATRIX, SV_EXACT };
enum sv_block_outcome {
    SV_GOES_ON = 0, SV_INDEFINITE, SV_NO_BOTTOM, SV_LEFT_NUMBERS, SV_QUIET, /* as in problem.py */
    SV_DECLINED = -1,
};

/* The caller owns all arrays. */
struct sv_descent {
    size_t n;
    struct sv_rows rows; /* Q; where its starts are absent, */
    const double *dense; /* this, in rows */
    struct sv_box box;
    bool plain; /* no weights, no limits */
    enum sv_block_rule rule;
    enum sv_block_update update;
    /* Fixed blocks (count > 0), or any `most` coordinates. */
    size_t count, most;
    const int64_t *starts, *members; /* of fixed blocks: count + 1, n */
    const double *constants;         /* L of each coordinate, n: positive */
    const double *scored;            /* the curvature that scores go by: n (absent: gs without penalty, gsq with fixed blocks) */
    const double *stepped;           /* of lb with fixed blocks: count; of diag: n */
    double least, whole;             /* the smallest L of a block; for gsq with variable blocks that of all of Q */
    /* The inverses (gsq) and Cholesky factors (matrix) of fixed blocks, one after the other: squares[k] to squares[k + 1].
     * sound: whether block k has a factor. */
    const int64_t *squares;
    const double *inverses, *factors;
    const int8_t *sound;
    struct sv_block_lapack lapack;
    /* Blocks (fixed) or coordinates in the order of the epochs from `epoch` on. */
    const int64_t *order;
    int64_t epoch;
    double scale, tol; /* of the measure */
    int64_t patience;
    /* The state; moved. */
    double *x, *g, f, fun, measure, best, low;
    int64_t nit, quiet;
    enum sv_block_outcome outcome;
    /* Work: 5 n + 8 most + 2 most^2 + 128, of which the first n are 0 before and after; 2 most. */
    double *work;
    int64_t *chosen;
};

/* At most `steps` updates, until the measure meets the tolerance or there is an outcome. After one that is not
 * SV_GOES_ON or SV_QUIET x is the last good point, and g may not belong to it. */
SV_BINDING void sv_descend(struct sv_descent *run, int64_t steps);

/* The indices of the `count` largest scores >= 0 of n, ascending, the lowest of equals; O(n). work: n. */
SV_BINDING void sv_largest(size_t n, const double *scores, size_t count, double *work, int64_t *chosen);

struct descent_kernels {
    void (*descend)(struct sv_descent *run, int64_t steps);
    void (*largest)(size_t n, const double *scores, size_t count, double *work, int64_t *chosen);
};

#endif
