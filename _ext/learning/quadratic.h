/* A dense quadratic with l1 weights and bounds, minimised to rounding:
 *
 *     minimise  g'(v - w) + 1/2 (v - w)'H(v - w) + sum_j weight_j |v_j|   over  low <= v <= high
 *
 * It is what is left of a penalised regression on a working set of columns.
 */
#ifndef SOLVERS_LEARNING_QUADRATIC_H
#define SOLVERS_LEARNING_QUADRATIC_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* LAPACK's, as Fortran has them: handed in, since the library links none. */
struct sv_lapack {
    void (*potrf)(char *uplo, int *n, double *a, int *lda, int *info);
    void (*trsv)(char *uplo, char *trans, char *diag, int *n, double *a, int *lda, double *x, int *incx);
};

/* The caller owns all arrays. Those of length p have room for p. */
struct sv_quadratic {
    size_t p, stride;     /* coordinates; doubles from row to row of H and of the factor */
    const double *H;      /* symmetric positive semidefinite, all of it */
    const double *weight; /* >= 0 */
    const double *low, *high; /* low <= high, low <= 0 <= high where the weight is positive */
    double *w, *g;        /* the iterate, and the gradient of the smooth part there */
    /* The factor L of H on the face: the coordinates that are free to move, in the order in which they came. */
    size_t size;
    int32_t *face, *place; /* place[j]: where in the face, -1 if it is not there */
    double *factor;        /* rows of L; p rows */
    double *step, *from;   /* work: 4p doubles, a Newton step and more; w before a phase */
    double *origin, *slope; /* work: w and g as they were given */
    struct sv_lapack lapack;
    int endless; /* whether a line was met along which the objective falls for ever */
    /* What was done. */
    int64_t sweeps, moves, newtons, factorisations, updates;
};

/* Sweeps and Newton steps until no coordinate's equation is violated by more than `tol`, or `max_phases`. The factor of
 * an earlier call is used where size > 0: H must then be the same on the face. Returns the violation reached; infinity where H is singular and there is no minimum. */
SV_BINDING double sv_quadratic_minimise(struct sv_quadratic *q, double tol, int64_t max_phases);

struct quadratic_kernels {
    double (*sweep)(struct sv_quadratic *q);
    double (*violation)(const struct sv_quadratic *q);
    /* Moves the coordinate outside of the face whose equation is violated most; returns that violation. */
    double (*greedy_step)(struct sv_quadratic *q);
    /* g += H (w - from) over the coordinates that differ. */
    void (*follow)(struct sv_quadratic *q);
    double (*dot)(const double *x, const double *y, size_t n);
    /* The rows of L for the lower triangle of the n rows of a, `stride` apart, in its place: a = L L'. Returns 0, or k where
     * the k-th pivot, from 1 on, is not positive. */
    int (*factor)(double *a, size_t n, size_t stride);
    /* L x = b, or L' x = b where `transposed`, in place. */
    void (*solve)(const double *factor, size_t n, size_t stride, double *x, int transposed);
};

#endif
