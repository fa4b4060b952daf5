/* Conjugate gradients around a multilevel cycle for MANY right-hand sides at once.
 *
 * Their numbers of a cell lie side by side: cell (k, j, i) begins at MANY ((k ny + j) (nx + 2) + 1 + i), with a cell of
 * zeros (or, where x is periodic, of what lies at the other end) at both ends of a row. So a vector register holds one
 * cell: what is known of the cell is read once for all, half sweeps touch the cells of their colour alone, and no lane
 * is masked. The arithmetic is half of that of MANY single cycles; the memory is MANY times that of one. A group of MANY
 * stays on one thread, so that its bits do not depend on the number of threads.
 */
#ifndef SOLVERS_LINALG_MULTILEVEL_MANY_H
#define SOLVERS_LINALG_MULTILEVEL_MANY_H

#include "multilevel.h"

enum { MANY = 16 };

/* Elements of a vector of a level. */
static inline size_t many_size(const struct sv_level *g) { return (size_t)(MANY * g->n[2] * g->n[1] * (g->n[0] + 2)); }

/* A level's vectors for a group. */
struct many_level {
    const struct sv_level *g;
    float *right, *x;
    const float *zeros; /* a row of them */
};

struct many_cycle_kernels {
    /* The coarse right-hand side after a sweep on `right` from zero; x is overwritten. */
    void (*restricted)(const struct many_level *fine, const struct many_level *coarse);
    /* x = that sweep, the coarse x interpolated and added, and the reverse sweep. */
    void (*prolonged)(const struct many_level *fine, const struct many_level *coarse);
};

/* A group's vectors in float64, in the layout of its float32 ones. */
struct many_vectors {
    double *x, *r, *p, *q;
    const double *zeros;
};

/* Numbers a right-hand side: arrays of MANY. */
struct many_outer_kernels {
    /* q = A p; sums: (p, q). */
    void (*product)(const struct sv_level *A, const double *diagonal, struct many_vectors *v, double *sums);
    /* q = b - A x; sums: (q, q). b: rows of `stride` numbers, of which `count` are this group's. */
    void (*residual)(const struct sv_level *A, const double *diagonal, struct many_vectors *v, const double *b,
                     ptrdiff_t stride, int count, double *sums);
    /* (z, q) */
    void (*dot)(const struct sv_level *A, const float *z, const double *q, double *sums);
    /* p = z + beta p; sums: (p, r). */
    void (*direction)(const struct sv_level *A, const float *z, const double *beta, struct many_vectors *v,
                      double *sums);
    /* x += alpha p, r -= alpha q, cast = scale r; sums: (r, r). */
    void (*advance)(const struct sv_level *A, const double *alpha, const double *scale, struct many_vectors *v,
                    float *cast, double *sums);
};

struct sv_many {
    const struct sv_multilevel *M; /* of float32 */
    const struct sv_level *A;
    const double *diagonal;
    const double *b; /* a row for each cell, a column for each right-hand side; x the same */
    double *x;       /* where to start, and the answers */
    ptrdiff_t count; /* right-hand sides */
    const double *goals;
    double *residuals; /* norms of b - A x, formed anew */
    int64_t *iterations;
    int64_t most;
    int threads;
};

/* Bytes of work for one group. */
SV_BINDING size_t sv_many_work(const struct sv_multilevel *M);

/* Solves for all; `work` has sv_many_work() zeroed bytes for each of max(threads, 1) groups at a time. */
SV_BINDING void sv_many_solve(const struct sv_many *many, void *work);

#endif
