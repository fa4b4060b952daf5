/* The Euclidean projection on the simplex {x >= 0, sum x = mass}: x = max(v - t, 0). */
#ifndef SOLVERS_EQUILIBRIUM_SIMPLEX_H
#define SOLVERS_EQUILIBRIUM_SIMPLEX_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* Writes the projection of n > 0 finite numbers to out (which may be v) and returns its threshold t. `guess` is where
 * the search begins, best the threshold of a similar v; NaN: none is known. work: n doubles. */
SV_BINDING double sv_equilibrium_simplex(const double *v, size_t n, double mass, double guess, double *out,
                                         double *work);

struct simplex_kernels {
    double (*project)(const double *v, size_t n, double mass, double guess, double *out, double *work);
};

#endif
