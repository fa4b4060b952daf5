/* Linear programs
 *     min c'x  subject to  l <= A x <= u,  lb <= x <= ub
 * as they are given: what a pair (x, y) is worth, which rays prove something, what can be taken out before a solve, and
 * scaling. With y >= 0 on rows at l, y <= 0 on rows at u, and the reduced costs z = c - A'y = z+ - z-, the dual is
 *     max l'y+ - u'y- + lb'z+ - ub'z-
 * where a product with an infinite side must have a factor zero. */
#ifndef SOLVERS_EQUILIBRIUM_PROGRAM_H
#define SOLVERS_EQUILIBRIUM_PROGRAM_H

#include "lp.h"

/* Sides and bounds of this size stand for infinite ones, as elsewhere: the norm of the sides, which violations are measured
 * by, must not be that of a side that nobody means. */
#define SV_PROGRAM_INFINITE 1e20

struct sv_program {
    struct sv_lp lp;
    double side_norm, cost_norm; /* 2-norms of the sides of rows with entries, the larger of two, and of c */
};

/* Sets the norms of a program whose lp is there. */
SV_BINDING void sv_program_norms(struct sv_program *program);

struct sv_program_worth {
    double fun, dual_fun;
    double primal, dual; /* 2-norms of what violates the rows, and of what no bound takes of the reduced costs */
    double measure;      /* the larger of both, relative, and of the relative gap; NaN where a part is not finite */
};

/* What (x, y) is worth once x is within its bounds and y has the signs of its rows, which is done in place. Of n
 * entries: reduced = c - A'y, and z, the part of it that a finite bound takes; of m: activity = A x. */
SV_BINDING void sv_program_judge(const struct sv_program *program, double *x, double *y, double *reduced, double *z,
                                 double *activity, struct sv_program_worth *worth);

/* Whether the multipliers y prove that no point satisfies rows and bounds, by Farkas' lemma, and whether the objective
 * falls along x for ever. Then `ray` has them with largest entry 1; else anything. work: n, and m doubles. Numbers that
 * are not finite count as 0. */
SV_BINDING int sv_program_infeasible(const struct sv_program *program, const double *y, double *ray, double *work);
SV_BINDING int sv_program_unbounded(const struct sv_program *program, const double *x, double *ray, double *work);

/* ---- before a solve ---- */

/* A row with one entry that became bounds of its column: those that it set. */
struct sv_program_bound {
    int32_t row, column;
    double entry;
    int low, high;
};

/* What is left of a program, and what was taken out: rows without entries or sides, rows with one entry, columns that
 * bounds fix. A row that contradicts others stays, so that the proof of infeasibility is the solver's. All arrays are
 * its own, but `whole`, which must stay. */
struct sv_reduced {
    const struct sv_program *whole;
    struct sv_lp lp;
    int32_t *rows, *columns; /* of the whole that are left, lp.m and lp.n */
    double *fixed;           /* values of the fixed columns, and 0; n of the whole */
    struct sv_program_bound *bounds; /* in the order in which they were found */
    size_t bound_count;
    void *owned[12];
};

/* SV_OK, or SV_NO_MEMORY, with nothing to free. */
SV_BINDING int sv_reduce(const struct sv_program *whole, struct sv_reduced *reduced);
SV_BINDING void sv_reduced_free(struct sv_reduced *reduced);

/* The whole's x of one that is left; fixed: 0 at fixed columns, for directions. The whole's y, whose reduced costs are
 * what rows that became bounds do not take, with the costs c or, NULL, none; work: n of the whole. */
SV_BINDING void sv_reduced_point(const struct sv_reduced *reduced, const double *x, int fixed, double *whole);
SV_BINDING void sv_reduced_multipliers(const struct sv_reduced *reduced, const double *y, const double *c,
                                       double *whole, double *work);

/* Scales a program in place, its entries (lp->value), sides and bounds alike: A to R A C, sides to `sides` R l, bounds
 * to `sides` lb / C, costs to `cost` C c. Ruiz' passes, then with `sums` one of Pock and Chambolle. work: m + n. */
struct sv_scales {
    double *rows, *columns; /* R, C */
    double sides, cost;
};
SV_BINDING void sv_program_scale(const struct sv_lp *lp, double *value, double *c, double *l, double *u, double *lb,
                                 double *ub, int sums, struct sv_scales *scales, double *work);

/* u'v, in blocks: of a given length always in the same order. */
double sv_program_dot(const double *u, const double *v, size_t length);

#endif
