/* Conjugate gradients. */
#ifndef SOLVERS_LINALG_CG_H
#define SOLVERS_LINALG_CG_H

#include "monitor.h"
#include "operand.h"
#include "precondition.h"

/* Numbers that go from one call to the next; all double, as in sv_monitor. */
struct sv_cg_numbers {
    struct sv_monitor monitor;
    double rho;      /* (r, M^-1 r) */
    double verified; /* the residual's norm when it was last recomputed; infinite before */
    double ratio;    /* of Eisenstat's form: true norm of the residual over sqrt(rho), as last seen */
    double restarts;
};

struct sv_cg {
    double *x, *r, *v, *kept; /* the iterate, its residual by recurrence, the direction, the point kept */
    struct sv_cg_numbers *numbers;
    double residual; /* the residual's norm by recurrence, or recomputed */
    enum sv_outcome outcome;
};

/* v and the numbers but the monitor's from r = b - A x and its norm in `residual`. M: NULL for none. */
SV_BINDING void sv_linalg_cg_start(const struct sv_operand *A, const struct sv_preconditioner *M, struct sv_cg *state);

/* Iterations of CG from the `nit`-th on, at most `most`, until the residual, recomputed, is at most `goal` in norm; it is
 * recomputed where the recurrence comes to max(goal, floor). Returns the iterations made. work: 2 n doubles. */
SV_BINDING int sv_linalg_cg(const struct sv_operand *A, const struct sv_preconditioner *M, const double *b,
                            struct sv_cg *state, double goal, double floor, int nit, int most, double *work);

/* The same for CG preconditioned by SSOR in Eisenstat's form, where r is (K + L)^-1 (b - A x); the start makes it, and
 * `residual` too, from x. */
SV_BINDING void sv_linalg_ssor_cg_start(const struct sv_operand *A, double omega, const double *b, struct sv_cg *state);
SV_BINDING int sv_linalg_ssor_cg(const struct sv_operand *A, double omega, const double *b, struct sv_cg *state,
                                 double goal, double floor, int nit, int most, double *work);

/* What both do alike. How long CG may go without progress in the residual; and what it means that the curvature of a
 * direction is not positive: `size` is that which the diagonal alone would give it. */
double sv_cg_patience(size_t n);
enum sv_outcome sv_cg_broken(double curvature, double size);
/* Whether a residual that was recomputed, and is above the goal, is worth a restart. */
enum sv_outcome sv_cg_verified(struct sv_cg *state, double exact, double goal, int iteration);

#endif
