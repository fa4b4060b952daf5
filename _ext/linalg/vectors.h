/* The vector work of an iteration, several updates in one pass. Sums have a fixed order. */
#ifndef SOLVERS_LINALG_VECTORS_H
#define SOLVERS_LINALG_VECTORS_H

#include <stddef.h>

struct vector_kernels {
    double (*dot)(size_t n, const double *x, const double *y);
    /* z = x * y */
    void (*times)(size_t n, const double *x, const double *y, double *z);
    /* x += alpha v, r -= alpha q; returns the sum of weights r^2 (weights NULL: ones). */
    double (*advance)(size_t n, double alpha, const double *v, const double *q, const double *weights, double *x,
                      double *r);
    /* v = z + beta v; the second multiplies z by weights. */
    void (*direction)(size_t n, double beta, const double *z, double *v);
    void (*weighted_direction)(size_t n, double beta, const double *weights, const double *z, double *v);
};

/* Those of the level in use. */
const struct vector_kernels *sv_linalg_vectors(void);

#endif
