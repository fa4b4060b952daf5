/* What methods want to know of the eigenvalues of D^-1 A before they begin. */
#ifndef SOLVERS_LINALG_SPECTRUM_H
#define SOLVERS_LINALG_SPECTRUM_H

#include "operand.h"

/* x'y, and the 2-norm. */
SV_BINDING double sv_linalg_dot(size_t n, const double *x, const double *y);
SV_BINDING double sv_linalg_norm(size_t n, const double *x);
/* Norms of b between which the squares of its numbers, and of those of small residuals, are exact. */
#define SV_SMALLEST_NORM 0x1p-400
#define SV_LARGEST_NORM 0x1p+400

/* The omega of SSOR from the Rayleigh quotient t of the constant vector for D^-1 A: 2 / (1 + sqrt(2 t)), from 1 to 1.95.
 * ones: 1 at the unknowns, 0 where the order pads. work: n zeros. */
SV_BINDING double sv_linalg_row_sum_omega(const struct sv_operand *A, const double *ones, double *work);

/* Numbers of mean 0 and variance 1, always the same, in the user's order. */
SV_BINDING void sv_linalg_noise(size_t n, double *out);

/* Extreme eigenvalues of D^-1/2 A D^-1/2 as seen by Lanczos' iteration, and norms of the residuals of both Ritz pairs: an
 * eigenvalue lies within. All NaN where the numbers are not finite. */
struct sv_spectrum {
    double low, high, low_error, high_error;
    int products; /* with A that it took */
};
enum { SV_LANCZOS = 20 };

/* By `steps` steps, at most SV_LANCZOS, from D^1/2 times the start, for A symmetric with a positive diagonal; unknowns:
 * those that are no padding. work: (steps + 3) n zeros. */
SV_BINDING void sv_linalg_spectrum(const struct sv_operand *A, const double *start, size_t unknowns, int steps,
                                   double *work, struct sv_spectrum *seen);

/* Young's best omega (1954) from such an estimate. work: (SV_LANCZOS + 3) n zeros; noise is overwritten. */
SV_BINDING double sv_linalg_young(const struct sv_operand *A, const double *ones, double *noise, size_t unknowns,
                                  double *work);

/* The bounds of Chebyshev's iteration; those that are NaN are estimated, from D^-1 times the residual of a consistent
 * system and a little noise in A's range: no part of that is in the null space of a singular A, so that zero is not taken
 * for an eigenvalue that matters. noise is overwritten. work: (SV_LANCZOS + 3) n zeros. */
SV_BINDING void sv_linalg_chebyshev_bounds(const struct sv_operand *A, const double *residual, double *noise,
                                           size_t unknowns, double *low, double *high, double *work);

#endif
