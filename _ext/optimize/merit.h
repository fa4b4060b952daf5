/* The exact augmented Lagrangian as the merit function of Newton's method for equalities (or none), c(x) = target:
 *
 *     M(x, y) = L + eta1/2 |c|^2 + eta2/2 |t|^2,    L = f + y'c,  gL = grad f + J'y,  c stands for c(x) - target
 *     t = gL:     grad_x M = gL + eta1 J'c + eta2 H gL,                             grad_y M = c + eta2 J gL
 *     t = J gL:   grad_x M = gL + eta1 J'c + eta2 (H J't + sum_i t_i H_i gL),       grad_y M = c + eta2 J J't
 *
 * with H the Hessian of L, not of f, and H_i that of c_i; t = gL unless `projected`. M is smooth, a minimiser of the program
 * with its multipliers is one of M for eta1 large and eta2 small, and Newton's steps on the conditions grad L = 0, c = 0 are
 * taken whole near a solution (no Maratos effect). With m = 0, M = f.
 *
 * Gradients cost one product with H, one with J, one with J'; trial values one of values() and slopes(), one product with J'.
 * Source: Hong, Na, Mahoney and Kolar, ICML 2023, equations 4-6 and algorithm 2, with the Hessian of the Lagrangian in
 * grad M, penalties that may fall again, and a line search over a window of past values.
 */
#ifndef SOLVERS_OPTIMIZE_MERIT_H
#define SOLVERS_OPTIMIZE_MERIT_H

#include "nlp.h"

enum { SV_MERIT_WINDOW = 5 };

/* What the line search carries from step to step: numbers of eight bytes alone. Zero it, then sv_merit_begin. */
struct sv_merit {
    double eta1, eta2;
    double residual;  /* |(gL, c)| when a penalty was last changed */
    int64_t projected;
    int64_t window;   /* of values that a new one is compared with: 1 for a monotone search, up to SV_MERIT_WINDOW */
    int64_t kept;     /* of past[] */
    double past[3 * SV_MERIT_WINDOW]; /* L, |c|^2/2, |t|^2/2 of the points before, newest first */
    int64_t updates;  /* how often a penalty was tightened */
};

/* A point and what is known there; the arrays are the caller's. */
struct sv_merit_point {
    double f;
    double *x, *g, *gl; /* n: the point, grad f, grad f + J'y */
    double *y, *c;      /* m: multipliers, c(x) - target */
};

/* What a search found. */
struct sv_merit_outcome {
    double step;        /* the part of the step that was taken */
    double slope;       /* grad M'(dx, dy) */
    double value;       /* M at the new point */
    int64_t trials;     /* points that were tried */
    int64_t corrected;  /* 1: a second-order correction was taken */
};

/* Beside SV_STOP and SV_FAILED. SV_MERIT_REFUSED: no penalties make the step one of descent, or no part of it brings
 * enough: correct the second order, restore feasibility, or shift H more. */
enum { SV_MERIT_REFUSED = 3 };

/* Doubles of work that the functions below want. */
SV_BINDING int64_t sv_merit_work(int64_t n, int64_t m);

/* eta1 = 1, eta2 = 0.1, nothing kept. */
SV_BINDING void sv_merit_begin(struct sv_merit *merit, int projected, int64_t window);

/* Fills f, c, g and gl of a point whose x and y are set; J becomes that of x. 0, SV_STOP, or SV_FAILED: not finite there. */
SV_BINDING int sv_merit_evaluate(const sv_nlp *nlp, const double *target, struct sv_merit_point *at);

/* M at a point, and its gradient (n + m; NULL: not wanted). J and H are those of the point; H is so again afterwards. */
SV_BINDING int sv_merit_gradient(const sv_nlp *nlp, const struct sv_merit *merit, const struct sv_merit_point *at,
                                 double *work, double *value, double *gradient);

/* step = K^-1 (-gL, -c) by the K that was factored last, to a relative accuracy `rtol` that is tightened, to 1e-10 at the
 * most, while grad M'step <= -eta2/2 |(gL, c)|^2 does not hold; then the penalties are tightened until it does. J and H are
 * those of the point. `direct`: solves are exact whatever rtol says, so that asking again is idle. `dc`: what K has on the
 * diagonal of its rows; where it is not 0, J may lack rank, and dy is freed of its part in the kernel of J', which is c's
 * there / dc and means nothing (one more solve): the step is that of least norm. */
SV_BINDING int sv_merit_direction(const sv_nlp *nlp, struct sv_merit *merit, const struct sv_merit_point *at, double dc,
                                  double rtol, int direct, double *work, double *step, struct sv_merit_outcome *out);

/* The largest of 1, 1/2, 1/4, ... of the step that brings enough: M <= the largest value kept + 1e-4 step slope + slack of
 * rounding. At the first refusal the second-order correction is tried, unless `correct` is 0 (J is then that of `at` again
 * and K the same). Fills `next`, whose J is the current one, and takes it into the window. Where the search is refused,
 * nothing is taken in, and J is that of the last trial. */
SV_BINDING int sv_merit_search(const sv_nlp *nlp, const double *target, struct sv_merit *merit,
                               const struct sv_merit_point *at, const double *step, int correct, double *work,
                               struct sv_merit_point *next, struct sv_merit_outcome *out);

#endif
