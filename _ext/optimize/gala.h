/* Newton's method on the conditions of a nonlinear program, inequalities by a primal-dual interior point: the loop.
 *
 *     min f(x)   with   c(x) = s,   lower <= (x, s) <= upper
 *
 * One vector v = (x, s) of n + m numbers holds variables and slacks, with sides for both; s is fixed where a row is an
 * equality. The barrier problem min f - mu sum log(slacks) is solved to an accuracy of some mu, then mu falls.
 *
 * Slacks are condensed out of Newton's system: with S their diagonal, ds = (dy - q) / S leaves
 *
 *     [H + Sigma + dw, J'; J, -1/S] (dx, dy) = rhs
 *
 * with 0 for 1/S where a row is an equality. Steps are globalised by a filter of (violation, barrier function).
 * Sources: Waechter and Biegler, Math. Program. 106 (2006), sections 2 and 3; Nocedal, Waechter and Waltz, SIAM J. Optim. 19
 * (2009), for mu. Differs from them in: 1. slacks are condensed; 2. the end is judged in the user's units (polish.h), with
 * c(x) itself and not with s; 3. restoration minimises the violation in x alone (restoration.h); 4. a candidate near the
 * solution is polished on its active set; 5. small programs are tried by quadratic programs first (sequential.c).
 *
 * All that is carried from iteration to iteration lies in one block of plain numbers (`sv_gala`, followed by its vectors):
 * a copy of it goes on to the same bits. Nothing is allocated.
 */
#ifndef SOLVERS_OPTIMIZE_GALA_H
#define SOLVERS_OPTIMIZE_GALA_H

#include "merit.h"
#include "nlp.h"
#include "polish.h"

/* How it ended, by the numbers of solvers.Status. */
enum {
    SV_GALA_RUNNING = -1, SV_GALA_CONVERGED = 0, SV_GALA_STAGNATION = 13, SV_GALA_DIVERGED = 14, SV_GALA_NONFINITE = 22,
    SV_GALA_INFEASIBLE = 27,
};

/* Quadratic programs come first up to so many variables and rows. */
enum { SV_FILTER_CAPACITY = 256, SV_GALA_SEQUENTIAL = 150 };

/* The first route gives way to the one on active sets when it stagnates, finds no feasible point, or after so many; where both
 * stagnate they are taken once more, from the best point so far. */
enum { SV_GALA_FIRST = 140, SV_GALA_ROUTES = 4 };

/* Where active sets in their turn give way to the interior point, its mu starts so many times as large: not as what failed. */
enum { SV_GALA_LATER_MU = 10 };

struct sv_gala_options {
    double tol, mu, push, max_shift;
    int64_t monotone;
    /* Of the exact augmented Lagrangian: 1: it serves where all are equalities, 2: on active sets, too; its form, the window of its line search. */
    int64_t exact, projected, window;
    /* 1: quadratic programs first (sequential.c). */
    int64_t sequential;
    /* 1: from a point that is good but for what large multipliers hide: they loosen the measure as they do the answer's. */
    int64_t onward;
};

/* The head of the state; the vectors lie behind it. Members are numbers of eight bytes alone. */
typedef struct sv_gala {
    int64_t n, m, nit, status;
    struct sv_gala_options options;
    double f, f_scale, mu, measure;
    double theta_max, theta_min; /* the filter's: violations beyond the first are refused; below the second f counts */
    double shift;                /* the last shift of H that was wanted, 0: none yet */
    int64_t filtered;            /* entries of the filter */
    int64_t acceptable;          /* iterations on end below 100 tol that brought nothing */
    int64_t further;             /* iterations beyond the tolerance, for a polish that found no sides to stand on */
    int64_t tiny;                /* steps on end that rounding makes meaningless */
    int64_t still;               /* steps on end along M that move nothing but last digits */
    int64_t blind;               /* 1: H is not finite at the current point */
    int64_t restorations;
    int64_t free, references;    /* 1: mu is chosen anew each time; how many errors are kept */
    double reference[4];         /* errors that free choices of mu must keep reducing */
    int64_t exact;               /* 1: the exact augmented Lagrangian and no filter; 2: on the sides that hold (active.c);
                                  * 3: quadratic programs (sequential.c) */
    int64_t handed, refusals;    /* 1: the interior point has taken over from these; their steps that were refused */
    double radius;               /* of the box around their steps */
    struct sv_merit merit;
    double polished;             /* the measure of the point that was polished last */
    double least;                /* measure of this attempt, and the iterations since it last fell by a tenth */
    int64_t stalled;
    int64_t attempt, infeasible; /* starts before this one; how many of them ended where the violation stays */
    int64_t approached;          /* 1: the first went to the rows before all else (equality.c) */
    double best;                 /* least measure so far: that of the point that is kept */
    double strict;               /* the same, with its scale within SV_LARGEST_SCALE */
} sv_gala;

/* Bytes of a state, and doubles of work. */
SV_BINDING int64_t sv_gala_bytes(int64_t n, int64_t m);
SV_BINDING int64_t sv_gala_work(int64_t n, int64_t m);

/* The state at x0 moved inside the sides: scales, slacks, multipliers. 0, SV_STOP, or SV_FAILED: not finite at x0. */
SV_BINDING int sv_gala_init(const sv_nlp *nlp, const struct sv_sides *sides, const double *x0,
                            const struct sv_gala_options *options, sv_gala *state, double *work);

/* Takes up a start with its multipliers y (m), z (n), in the user's units: the point itself is measured, where it is and not
 * moved inside its sides, and kept; the loop begins with its multipliers. After sv_gala_init. 0 or SV_STOP. */
SV_BINDING int sv_gala_offer(const sv_nlp *nlp, sv_gala *state, const double *x, const double *y, const double *z,
                             double *work);

/* At most `iterations` more, fewer where the state's status is set or `seconds` are over. 0 or SV_STOP; then the state is that
 * of the last iteration that was completed. */
SV_BINDING int sv_gala_run(const sv_nlp *nlp, sv_gala *state, int64_t iterations, double seconds, double *work);

/* Whether a route that may take `first` iterations, of `max_iter` for it and those after it, is to give way in this state: it
 * has failed, or what it calls solved is so by the size of its multipliers alone. */
SV_BINDING int sv_gala_gives_up(const sv_gala *state, int64_t first, int64_t max_iter);

/* What the answer's functions are, in the user's units: f, c, grad f, J'y (y: that of the answer). 0 or SV_STOP. */
SV_BINDING int sv_gala_evaluate(const sv_nlp *nlp, const sv_gala *state, double *f, double *c, double *g, double *product);

/* The point with the least measure: x and z (n), y (m), in the user's units. */
SV_BINDING void sv_gala_answer(const sv_gala *state, double *x, double *y, double *z);

#endif
