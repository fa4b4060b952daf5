/* The answer of a solve: what is recomputed from its plan, and its certificate (see solvers/ot/_rounding.py). */
#ifndef SOLVERS_OT_ANSWER_H
#define SOLVERS_OT_ANSWER_H

#include "problem.h"

struct sv_ot_answer {
    double marginal_error, value, value_linear, value_entropy, value_dual;
    /* NaN without a certificate. */
    double gap, lp_lower, lp_upper;
    int rounded; /* whether there is a rounded plan */
};

/* The rounded plan is diag(row_scale) P diag(column_scale) + row_rest column_rest'. */
struct ot_rounding {
    double *row_scale, *column_scale, *row_rest, *column_rest;
};

/* Doubles of work space for sv_ot_certify. */
SV_BINDING size_t sv_ot_certify_worksize(size_t n, size_t m);

/* Everything that the result says of the plan at (u, v); with `certified` also the rounded plan and the bounds. known:
 * the column sums of the plan as the solve has them, or NULL. They say how to scale the columns before the first pass,
 * which then is the only one with exponentials; where they are wrong another follows. Fails as a pass does. */
SV_BINDING int sv_ot_certify(const struct ot_problem *problem, const double *u, const double *v, const double *known,
                             int certified, struct sv_ot_answer *answer, const struct ot_rounding *rounding,
                             double *work);

/* The potentials in units of the cost, shifted so that sum b g = 0. */
SV_BINDING void sv_ot_potentials(const struct ot_problem *problem, const double *u, const double *v, double *f,
                                 double *g);

#endif
