/* The parts of a state of gala.h under their names, and the functions of the loop that more than one file calls. */
#ifndef SOLVERS_OPTIMIZE_GALA_PARTS_H
#define SOLVERS_OPTIMIZE_GALA_PARTS_H

#include <math.h>
#include <stddef.h>

#include "gala.h"

/* N = n + m: variables first, slacks behind them. */
struct gala {
    const sv_nlp *nlp;
    sv_gala *s;
    int64_t n, m, N;
    /* Of the state. `lower` and `upper` are the sides in the scales in force; `lo` and `up` the barrier's, a little wider. */
    double *c_scale, *lower, *upper, *lo, *up, *v, *zl, *zu, *g, *y, *c, *best_x, *best_y, *best_z, *x0, *filter;
    /* Work. */
    double *rx;             /* n: grad f + J'y */
    double *d, *dy, *dzl, *dzu;
    double *diagonal, *dc;  /* n, m: of the system that was factored */
    int uncounted;          /* whether its eigenvalues were not */
    double *S;              /* m: the slacks' diagonal */
    double *rc;             /* m: c - s, or what a correction puts in its place */
    double *rhs, *sol;
    double *tv, *tc;        /* a trial point and its rows */
    double *kept_d, *kept_dy;
    double *point_g, *point_z, *point_y, *point_x, *point_c;
    double *view;           /* of active.c */
    double *sequential;     /* of sequential.c */
    double *more;           /* of the parts that have work of their own */
};

void sv_gala_lay_out(struct gala *w, const sv_nlp *nlp, sv_gala *state, double *work);

static inline int gala_fixed(const struct gala *w, int64_t i)
{
    return w->lower[i] == w->upper[i];
}

/* A row without sides: its slack follows it. */
static inline int gala_free_row(const struct gala *w, int64_t j)
{
    return w->lower[w->n + j] == -INFINITY && w->upper[w->n + j] == INFINITY;
}

/* The loop's start, from x0, in the scales in force. SV_FAILED: not finite there. */
int sv_gala_begin(struct gala *w, double mu, double push);
/* Moves a point away from its sides by that part of them: x where c is NULL, else the slacks, which become those of c. */
void sv_gala_push_inside(const struct gala *w, double *v, double push, const double *c);
/* Multipliers at a point that the loop has jumped to. */
int sv_gala_restart_multipliers(struct gala *w);
struct sv_sides sv_gala_sides(const struct gala *w);
struct sv_scales sv_gala_scales(const struct gala *w);

/* ---- barrier.c ---- */

/* What c(x) - s is at a point. */
double sv_gala_violation(const struct gala *w, const double *v, const double *c);
/* f - mu sum log(slacks), with a slope of 1e-5 mu where there is one side alone. */
double sv_gala_barrier(const struct gala *w, const double *v, double f, double mu);
/* Entry i of the gradient of that without f. */
double sv_gala_barrier_slope(const struct gala *w, int64_t i, double mu);
/* The largest residual of the conditions of the barrier problem, scaled; rx is current. */
double sv_gala_error(const struct gala *w, double mu);
/* The largest part of 1 that keeps tau of each slack: of v along d, and of zl, zu along theirs. */
double sv_gala_primal_step(const struct gala *w, const double *d, double tau);
double sv_gala_dual_step(const struct gala *w, double tau);
/* Widens sides that v has come too near to for its numbers. */
void sv_gala_part_from_sides(struct gala *w);
/* Keeps z within 1e10 times of mu / slack. */
void sv_gala_clamp_multipliers(struct gala *w);
/* The mean of slacks times multipliers after parts of the steps d and dzl, dzu; and before. */
double sv_gala_complementarity_after(const struct gala *w, double primal, double dual);
double sv_gala_average_complementarity(const struct gala *w);

/* ---- newton.c ---- */

/* H at the current point becomes the program's. SV_FAILED: it is not finite there. */
int sv_gala_curvature(struct gala *w);
/* Factors the system at the current point, H shifted by dw and the rows by dc. */
int sv_gala_factor_shifted(struct gala *w, double dw, double dc, int *right, int *singular);
/* Factors the system at the current point, shifted until its inertia is right. SV_FAILED: no shift serves. */
int sv_gala_factor(struct gala *w);
/* d, dy from rc and mu by the system that was factored. */
int sv_gala_solve(struct gala *w, double mu);
void sv_gala_dual_directions(struct gala *w, double mu);
/* Multipliers of least squares at the point; 0 where they are large. */
int sv_gala_multipliers(struct gala *w);

/* ---- filter.c ---- */

enum { GALA_REFUSED = 3 };

void sv_gala_filter_clear(struct gala *w);
void sv_gala_filter_add(struct gala *w, double theta, double phi);
/* The step that the filter takes, along d, dy; the state moves there. GALA_REFUSED: none. */
int sv_gala_search(struct gala *w, double tau);
/* Whether the derivatives at the trial tv are finite; where they are not, J is that of the point again. */
int sv_gala_trial_slopes(struct gala *w, int *finite);
/* Whether a point is acceptable to the filter and an improvement over (theta, phi). */
int sv_gala_filter_accepts(const struct gala *w, double theta, double phi);
/* ---- equality.c ---- */

/* Whether there is nothing but equalities. */
int sv_gala_equalities_only(const struct gala *w);
/* Multipliers of least squares, into point_y: (J J' + 1e-10) y = -J g over the rows that have sides. */
int sv_gala_least_squares(struct gala *w);
/* The state takes the multipliers y: rx. */
int sv_gala_take_multipliers(struct gala *w, const double *y);
/* A step along the exact augmented Lagrangian's direction. Other than 0 and SV_STOP: there is none. */
int sv_gala_exact_step(struct gala *w);
/* An iteration with the exact augmented Lagrangian. Sets the status where it cannot go on. */
int sv_gala_equality_step(struct gala *w);

/* ---- active.c ---- */

/* Doubles of work. */
int64_t sv_gala_active_work(int64_t n, int64_t m);
/* An iteration of the active-set route; where that fails, the interior point goes on from there. */
int sv_gala_active_step(struct gala *w);

/* ---- sequential.c ---- */

/* Doubles of work, and those of a loop without it. */
int64_t sv_gala_sequential_work(int64_t n, int64_t m);
int64_t sv_gala_plain_work(int64_t n, int64_t m);
/* An iteration by a quadratic program; where that fails, the interior point starts from x0. */
int sv_gala_sequential_step(struct gala *w);
int sv_gala_hand_over(struct gala *w);

/* ---- filter.c ---- */

/* The state moves to v, c, f (values that were computed there): slopes, rx. */
int sv_gala_move(struct gala *w, const double *v, const double *c, double f);

#endif
