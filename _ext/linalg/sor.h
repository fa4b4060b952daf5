/* Successive over-relaxation. */
#ifndef SOLVERS_LINALG_SOR_H
#define SOLVERS_LINALG_SOR_H

#include "operand.h"

enum sv_sweep { SV_SWEEP_FORWARD, SV_SWEEP_BACKWARD, SV_SWEEP_SYMMETRIC };

/* Sweeps until the residual's 2-norm is at most `goal`, at most `most` times; *residual becomes that norm at the
 * returned x. A symmetric sweep is a forward and a backward one. Returns the sweeps made. work: 2 n doubles. */
SV_BINDING int sv_linalg_sor(const struct sv_operand *A, double omega, enum sv_sweep kind, const double *b, double *x,
                             double goal, int most, double *residual, double *work);

#endif
