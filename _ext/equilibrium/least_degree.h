/* The order of least degree in which a symmetric matrix is eliminated, and what that costs. */
#ifndef SOLVERS_EQUILIBRIUM_LEAST_DEGREE_H
#define SOLVERS_EQUILIBRIUM_LEAST_DEGREE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* `graph`: n rows of (n + 63) / 64 words; bit j of row i: whether there is an entry (i, j), i != j. It is symmetric, and is
 * used up. order[k] becomes the k-th pivot; degree: n numbers of work. Returns the sum of the squares of the pivots'
 * degrees, about the multiplications of a factorisation L D L'; where it exceeds `most`, at once, the order unfinished. */
SV_BINDING double sv_equilibrium_least_degree(size_t n, uint64_t *graph, int32_t *order, int32_t *degree, double most);

#endif
