/* The model of a working set by its Gram matrix, without BLAS: see coordinate_gram.c. */
#ifndef SOLVERS_LEARNING_COORDINATE_GRAM_H
#define SOLVERS_LEARNING_COORDINATE_GRAM_H

#include "sweeps.h"

/* The largest matrix that is formed. */
enum { SV_GRAM_MOST = 512 };

/* The lower triangle of a (n x n, by rows) = L L'; returns whether it is definite. And x = a^-1 x by that factor. */
int sv_gram_factor(double *a, size_t n);
void sv_gram_solve(const double *a, size_t n, double *x);

/* What the matrix of flat columns takes by bits, in sweeps over them. */
double sv_gram_costs_by_bits(size_t n, size_t columns, double entries);
/* About how many sweeps over the columns cost as much as the matrix does. */
double sv_gram_costs(const struct sv_sweeps *model);

/* The same quadratic as `model`, which is at its w, with v in q; `slope`: x_j'v + l2_j w_j of its coordinates, changed.
 * scaled: n doubles; work: 2 p^2 + 9 p; places: 2 p. Minimises in model->w until no equation is violated by more than
 * `tol`, or to rounding. Returns 0, and leaves w, where there is no minimum, or rounding spoilt it. */
int sv_gram_minimise(struct sv_sweeps *model, double *slope, double tol, double *scaled, double *work, int32_t *places);

#endif
