/* Jacobi's iteration, plain and accelerated by Chebyshev polynomials. */
#ifndef SOLVERS_LINALG_JACOBI_H
#define SOLVERS_LINALG_JACOBI_H

#include "monitor.h"
#include "operand.h"

struct sv_jacobi_settings {
    double goal;
    int measure_last; /* whether the residual of the last x is measured in any case */
};

/* Numbers that go from one call to the next; all double, as in sv_monitor. */
struct sv_jacobi_numbers {
    struct sv_monitor monitor;
    double omega; /* damping; not read by Chebyshev's iteration */
    /* of Chebyshev's alone: bounds of the eigenvalues of D^-1 A, the place in the present cycle */
    double low, high, rho, cycle;
    double cycle_start; /* the residual's norm where the cycle began */
    double mark;        /* and at the last look at the rate */
    double restarts;
};

/* x <- x + omega D^-1 (b - A x), from the `nit`-th iteration on, at most `most`. *residual: as for SOR. work: 2 n. */
SV_BINDING int sv_linalg_jacobi(const struct sv_operand *A, const struct sv_jacobi_settings *settings, const double *b,
                                double *x, double *kept, struct sv_jacobi_numbers *numbers, int nit, int most,
                                double *residual, enum sv_outcome *outcome, double *work);

/* The same with the steps of Chebyshev's polynomials on [low, high]; back: the x before. */
SV_BINDING int sv_linalg_chebyshev(const struct sv_operand *A, const struct sv_jacobi_settings *settings,
                                   const double *b, double *x, double *back, double *kept,
                                   struct sv_jacobi_numbers *numbers, int nit, int most, double *residual,
                                   enum sv_outcome *outcome, double *work);

#endif
