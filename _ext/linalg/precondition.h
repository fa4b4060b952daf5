/* What conjugate gradients take as a preconditioner. */
#ifndef SOLVERS_LINALG_PRECONDITION_H
#define SOLVERS_LINALG_PRECONDITION_H

#include <stdint.h>

#include "operand.h"

struct sv_preconditioner {
    /* z = M^-1 r, in the operand's order; r and z do not overlap. */
    void (*apply)(const struct sv_preconditioner *M, const double *r, double *z);
    const struct sv_operand *A; /* of sv_ssor_apply */
    double omega;
    int sweeps;
    const double *weights; /* of sv_diagonal_apply: what r is multiplied by */
    size_t n;
    void *caller; /* of any other */
};

SV_BINDING void sv_diagonal_apply(const struct sv_preconditioner *M, const double *r, double *z);

/* SSOR: `sweeps` symmetric sweeps on A z = r from z = 0. One is ((2 - omega) / omega) (K + U)^-1 D (K + L)^-1 r. */
SV_BINDING void sv_ssor_apply(const struct sv_preconditioner *M, const double *r, double *z);

/* The incomplete Cholesky factor of A in its own pattern, as the matrix F that has M = (E + L) E^-1 (E + L') with E the
 * diagonal and L the lower triangle of F, and is symmetric: SSOR with omega = 1 on F is the solve with M. A + shift D is
 * factored. `out` gets F's values: the lower triangle and the diagonal; the upper is left to the caller. Returns the row
 * whose pivot is not above `least` of its diagonal entry, or -1. Indices int32 or int64 (wide). */
SV_BINDING ptrdiff_t sv_ic0(size_t n, int wide, const void *row_starts, const void *columns, const void *diagonal_at,
                            const double *values, double shift, double least, double *out);

#endif
