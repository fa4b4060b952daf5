/* Coordinate descent with a kept residual, and conjugate gradients on the face that it settles on, for a quadratic whose
 * matrix is never formed:
 *
 *     minimise  v'X s + 1/2 s'X'D X s + sum_j l1_j |u_j| + 1/2 l2_j u_j^2   over  u = w + s,  low <= u <= high
 *
 * X: p columns of a matrix, of sparse segments or dense ones. It is what is left of a penalised regression on a working
 * set, as in quadratic.h, where the Gram matrix X'D X would cost more than passes over the entries do.
 */
#ifndef SOLVERS_LEARNING_SWEEPS_H
#define SOLVERS_LEARNING_SWEEPS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"
#include "sparse.h"

/* The caller owns all arrays. */
struct sv_sweeps {
    size_t n, p;                 /* samples; coordinates */
    struct sv_compressed sparse; /* CSC, where `dense` and `single` are NULL */
    const double *dense;         /* columns of n entries that begin `stride` apart */
    const float *single;         /* the same, stored in single precision: they are widened as they are read */
    size_t stride;
    int flat;                    /* whether sparse columns have one value each: see sparse.h */
    const int32_t *list;         /* the column of each feature; NULL: its number */
    int ones;                    /* whether the last coordinate's column is of ones, and stored nowhere */
    const double *weights;       /* D >= 0; NULL: ones */
    const double *l1, *l2, *low, *high; /* low <= 0 <= high */
    double *curvature;           /* x_j'D x_j + l2_j, by sv_sweeps_curvatures */
    double *w, *q;               /* the iterate u, and q = v + D X (u - w), changed in place */
    double *work;                /* 3 p + n doubles */
    int32_t *face;               /* work: p */
    /* What was done. */
    int64_t sweeps, products;
    double entries;              /* entries of columns that were read */
};

/* The column of coordinate j, a feature; and how many entries a coordinate's column has. */
static inline size_t sv_sweeps_column(const struct sv_sweeps *s, size_t j) { return s->list ? (size_t)s->list[j] : j; }
static inline size_t sv_sweeps_entries(const struct sv_sweeps *s, size_t j)
{
    if (s->dense || s->single || (s->ones && j + 1 == s->p))
        return s->n;
    const int32_t *starts = s->sparse.starts + sv_sweeps_column(s, j);
    return (size_t)(starts[1] - starts[0]);
}

/* curvature[j] = x_j'D x_j + l2_j. */
SV_BINDING void sv_sweeps_curvatures(struct sv_sweeps *s);

/* Whether no coordinate has a kink or a bound: then estimates of the curvatures do. */
int sv_sweeps_smooth(const struct sv_sweeps *s);

/* Until no equation is violated by more than `tol`, or `most` entries were read. Returns the violation that the last sweep over all coordinates met. */
SV_BINDING double sv_sweeps_minimise(struct sv_sweeps *s, double tol, double most);

/* t = X_face p, of the first `count` coordinates of the face; r_k = x_k'q of them. */
void sv_sweeps_combine(const struct sv_sweeps *s, size_t count, const double *p, double *t);
void sv_sweeps_dots(const struct sv_sweeps *s, size_t count, double *r);

struct sweep_kernels {
    void (*curvatures)(struct sv_sweeps *s);
    /* A step of each of `count` coordinates (some, or the first ones); the largest violation met. *changes: how many
     * coordinates came to a kink or an end, left one, or changed sign. */
    double (*sweep)(struct sv_sweeps *s, size_t count, const int32_t *some, size_t *changes);
    /* t = X_face p. */
    void (*combine)(const struct sv_sweeps *s, size_t count, const double *p, double *t);
    /* q += share D t. */
    void (*follow)(struct sv_sweeps *s, double share, const double *t);
    /* t'D t. */
    double (*bend)(const struct sv_sweeps *s, const double *t);
    /* r_k = x_k'q of the face. */
    void (*dots)(const struct sv_sweeps *s, size_t count, double *r);
};

#endif
