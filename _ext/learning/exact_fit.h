/* Non-negative least squares that leave nothing: see exact_fit.c. */
#ifndef SOLVERS_LEARNING_EXACT_FIT_H
#define SOLVERS_LEARNING_EXACT_FIT_H

#include "coordinate_descent.h"

/* Where there are many more dense columns than samples, and neither penalty nor intercept: writes coefficients >= 0 that fit
 * to half the tolerance. g: the gradient at zero. Returns 0, and leaves them, where it finds none. */
int sv_fit_exactly(struct sv_fit *fit, const double *g, double *coef);

#endif
