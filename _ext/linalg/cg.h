/* Conjugate gradients. */
#ifndef SOLVERS_LINALG_CG_H
#define SOLVERS_LINALG_CG_H

#include "operand.h"

/* What goes from one call to the next. */
struct sv_cg {
    double *x, *r, *v; /* the iterate, its residual by recurrence, the direction */
    double rho;        /* (r, M^-1 r) */
    double residual;   /* r's 2-norm */
    int broken;        /* (v, A v) was not positive */
};

/* Iterations of CG from the state, until the residual's norm is at most `goal`, at most `most`. r = b - A x and v = r,
 * rho = r'r at the start. Returns the iterations made. work: n doubles. */
SV_BINDING int sv_linalg_cg(const struct sv_operand *A, struct sv_cg *state, double goal, int most, double *work);

#endif
