/* The default solver: annealed truncated Newton on the semi-dual, with a kernel-domain path for easy problems. What it
 * does and after whom is told in solvers/ot/_newton.py; this is its driver.
 */
#ifndef SOLVERS_OT_NEWTON_H
#define SOLVERS_OT_NEWTON_H

#include "problem.h"

/* Costs that span at most so many times reg are tried without annealing. */
#define SV_OT_EASY_SPAN 400.0
/* Entries that a stored plan may have. */
#define SV_OT_MOST_STORED ((size_t)1 << 25)
/* Scalings beyond this power of two are absorbed into the potentials. */
#define SV_OT_ABSORBED 30.0

struct ot_newton_options {
    double decay;         /* factor by which reg falls from stage to stage */
    double stage_tol;     /* l1 marginal error that ends a stage, as a share of the mass */
    long long stage_sweeps; /* sweeps at most before a stage's first Newton step */
    size_t most_stored;
    double absorbed;
    int gentle;           /* whether the least costs are known, so that exp(-C / reg) may be stored without a sweep before */
    const double *least;  /* (n,): row minima of a stored cost without an offset; NULL: 0, or not needed */
};
#define OT_NEWTON_OPTIONS_INIT {4.0, 0.03, 2, SV_OT_MOST_STORED, SV_OT_ABSORBED, 1, NULL}

/* The large entries of a plan, in compressed rows; row_starts is NULL where they are not known. */
struct ot_kept {
    const ptrdiff_t *row_starts;
    const int *columns;
    const double *values;
};

/* Potentials with the rows met, in base 2 of the final regularisation, and the column sums of the present stage. */
struct ot_point {
    double *u, *v, *column_sums;
    double measure;  /* the marginal error at the present stage */
    double previous; /* before the last iteration */
    struct ot_kept kept;
};

struct sv_ot_newton_state {
    struct ot_point at;
    double best;
    double stage; /* regularisation of the present stage over the final one */
    double damping;
    long long nit, best_nit;
    long long sweeps_left; /* still to do before the stage's Newton steps */
    long long sinkhorn, newton, cg, scalings, passes; /* scalings: reads of a stored plan; passes: over the cost */
    int hard;              /* whether the factor is worth making at once */
    int scaled;            /* whether the state is one of scalings x, y of the plan at (stored_u, stored_v) */
    double *x, *y, *stored_u, *stored_v;
};

/* A solve in progress: its state, and its room. */
struct sv_ot_newton;

/* NULL where there is no memory. The problem and what it points to must outlive it. */
SV_BINDING struct sv_ot_newton *sv_ot_newton_create(const struct ot_problem *problem,
                                                    const struct ot_newton_options *options);
SV_BINDING void sv_ot_newton_destroy(struct sv_ot_newton *solve);

/* Its state, to read, and to set before a step: kept entries set from outside must last until the step is done. */
SV_BINDING struct sv_ot_newton_state *sv_ot_newton_state(struct sv_ot_newton *solve);

/* The state before the first step; one step. Both return OT_DONE, or why not: the state is then of no use. */
SV_BINDING int sv_ot_newton_start(struct sv_ot_newton *solve, const double *u0, const double *v0);
SV_BINDING int sv_ot_newton_step(struct sv_ot_newton *solve);

/* How the solve has ended, as sv_ot_stop tells; -1 where it has not. */
SV_BINDING int sv_ot_newton_done(const struct ot_problem *problem, double stage, double measure,
                                 long long steps_without_progress);

#endif
