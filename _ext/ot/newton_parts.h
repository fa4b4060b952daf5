/* What the files of the Newton driver share. */
#ifndef SOLVERS_OT_NEWTON_PARTS_H
#define SOLVERS_OT_NEWTON_PARTS_H

#include "elimination.h"
#include "newton.h"
#include "scaling.h"

/* Damping: as a step begins a stage, and its least and largest. */
#define OT_DAMPING 1e-2
#define OT_LEAST_DAMPING 1e-6
#define OT_LARGEST_DAMPING 1e2
/* Sufficient ascent in the line search, how a step shrinks, and how often. */
#define OT_ARMIJO 1e-4
#define OT_SHRINK 0.3
#define OT_MOST_CG 500
/* A start whose plan has an l1 marginal error of at most this share of the mass needs no annealing. */
#define OT_WARM_ERROR 0.5
enum { OT_TRIALS = 8 };
/* Iterations of a rate that promises no end. */
#define OT_NEVER 1000000000LL
/* An easy problem goes on with Sinkhorn's iteration if its rate promises the tolerance within so many. */
#define OT_PATIENCE 16

/* Room for the entries that a sweep keeps. */
struct ot_entries {
    void *block;
    size_t bytes, room; /* room: entries */
    double *values;
    ptrdiff_t *row_starts, *counts;
    int *columns;
};

struct sv_ot_newton {
    const struct ot_problem *problem;
    struct ot_newton_options options;
    struct sv_ot_newton_state state;
    /* The vectors of the state lie in one block; `before` keeps a step's. */
    double *vectors, *before;
    size_t vectors_bytes;
    struct ot_point trial, further;
    double *old_u, *old_v, *old_y; /* where a line search begins */
    double *direction;             /* (m,) */
    double *room;                  /* 2 n + 6 m */
    struct ot_entries entries[2];
    int present;                   /* which of them a sweep fills */
    struct sv_ot_factor *factor; /* where one of a step serves the next ones, too; else NULL */
    /* The stored plan, made at (plan_u, plan_v). */
    struct sv_ot_stored_plan plan;
    double *plan_block, *plan_u, *plan_v, *plan_work;
    size_t plan_bytes;
    int plan_made;
};

/* newton.c: the l1 error of the columns as a share of the mass, at most 1. */
double sv_ot_relative_error(const struct ot_problem *problem, const double *column_sums);
/* By how much the dual rose, in base 2 of the stage: from differences, since the dual itself would drown it. */
double sv_ot_gain(const struct sv_ot_newton *s, const double *old_u, const double *old_v, const struct ot_point *new);
/* What rounding may take from a gain. */
double sv_ot_gain_rounding(const struct sv_ot_newton *s, const double *u, const double *v);
/* A residual of the Newton system (2-norm) with which the step ends the stage, as far as the linear model holds. */
double sv_ot_enough(const struct sv_ot_newton *s);
/* A sweep at v from the state, which it becomes. keep: whether with the large entries of its plan. */
int sv_ot_swept(struct sv_ot_newton *s, const double *v, int keep);
/* A sweep at the best v. */
int sv_ot_swept_at_best(struct sv_ot_newton *s, int keep);
/* direction_j becomes what is left of it without its mean, over ln 2. */
void sv_ot_without_mean(const struct ot_problem *problem, const double *z, double *direction, double unit);

/* No entry of the direction is left beyond `most`: a column of next to no weight, which hardly counts for the others, may ask
 * for much more, and is not to hold them up. Where that is no ascent for the marginals b and c, the whole direction is
 * multiplied by `share`. */
void sv_ot_clip(struct sv_ot_newton *s, const double *b, const double *c, double share, double most);
/* Entries below this share of their row are negligible at an error. */
double sv_ot_negligible(const struct ot_problem *problem, double error);
/* Room for so many entries of n rows. */
int sv_ot_take_entries(struct ot_entries *entries, size_t room, size_t n);
/* What a pass has kept there. */
struct ot_kept sv_ot_kept_in(const struct ot_entries *entries, size_t n);

/* newton_large.c: whether the kept entries leave out next to nothing; Newton steps on them alone, while these serve:
 * how many, and whether the answer is reached. */
int sv_ot_large_suffice(const struct sv_ot_newton *s);
int sv_ot_large_steps(struct sv_ot_newton *s, int *count, int *reached);

/* newton_direction.c: the Newton direction in base 2 of the stage; *clipped: whether it had to be clipped. */
int sv_ot_newton_direction(struct sv_ot_newton *s, int *clipped);

/* newton_stored.c: the kernel domain. */
int sv_ot_storable(const struct sv_ot_newton *s);
long long sv_ot_iterations_left(const struct sv_ot_newton *s, int done);
int sv_ot_stored_start(struct sv_ot_newton *s);
/* The plan stored at the state's potentials; *near: whether they are so near to the answer that it serves. */
int sv_ot_stored_warm(struct sv_ot_newton *s, int *near);
int sv_ot_stored(struct sv_ot_newton *s, long long sweeps);
int sv_ot_scaled_step(struct sv_ot_newton *s);
void sv_ot_forget_plan(struct sv_ot_newton *s);

#endif
