/* A checked transport problem as the drivers see it, and what all of them ask of it. */
#ifndef SOLVERS_OT_PROBLEM_H
#define SOLVERS_OT_PROBLEM_H

#include "certificate.h"
#include "ot.h"

#define OT_LN2 0.69314718055994530942

enum sv_ot_norm_kind { SV_OT_NORM_L1, SV_OT_NORM_L2, SV_OT_NORM_LINF };

/* How a driver's call ends: where it is not 0 there is no answer. OT_GAVE_UP: a pass failed, whose owner knows why. */
enum { OT_DONE = 0, OT_GAVE_UP = 1, OT_NO_MEMORY = 2 };

/* The passes over a cost, see ot.h and certificate.h: of a compiled cost, or of one that its owner makes. Each returns 0,
 * or something else where it failed. */
struct ot_passes {
    int (*sweep)(void *cost, double scale, const double *a, double *u, const double *v, double *column_sums,
                 const struct ot_thinning *thinning, int threads); /* thinning: NULL where nothing is kept */
    int (*marginals)(void *cost, double scale, const double *u, const double *v, double *row_sums, double *column_sums,
                     double *paid, int threads);
    int (*plan_rows)(void *cost, double scale, const double *u, const double *v, double *plan, size_t stride,
                     int threads); /* all rows */
    int (*store)(void *cost, double scale, const double *a, double *u, const double *v, const struct ot_storing *storing,
                 double *column_sums, int threads);
    int (*column_max)(void *cost, double scale, const double *u, double *out, int threads);
    int (*row_max)(void *cost, double scale, const double *v, const double *w, double *out, double *product,
                   int threads);
    int (*scale_below)(void *cost, double scale, const double *a, const double *u, const double *v, const double *y,
                       double *x, double *row_sums, double *column_sums, double *paid, int threads);
    /* NULL where marginals, column_max and scale_below are to be called one by one. */
    int (*examine)(void *cost, double scale, const double *u, const double *v, const double *y, struct ot_examined *out,
                   int threads);
};

/* A cost that the kernels read or make themselves, with work space of sv_ot_worksize doubles. */
struct ot_compiled {
    struct sv_ot_cost cost;
    double *work;
};
extern SV_BINDING const struct ot_passes sv_ot_compiled_passes;

struct ot_problem {
    const struct ot_passes *passes;
    void *cost;
    size_t n, m;
    const double *a, *b;                   /* positive */
    const double *offset, *column_offset;  /* (n,), (m,), or NULL: what the passes take off the costs */
    double reg, scale, span, tol;          /* span: of the costs within rows */
    enum sv_ot_norm_kind norm;
    int forbidden;                         /* whether some arcs are */
    int threads;
    /* What sv_ot_problem_ready finds: */
    double mass_a, mass_b;
    double roundoff; /* about the smallest marginal error that float64 exponents of this size allow */
    double aim;      /* the running error at which to stop: the answer is measured again, by kernels that round otherwise */
};

SV_BINDING void sv_ot_problem_ready(struct ot_problem *problem);

/* The norm of the marginal violations; row_sums NULL means that the rows are met. */
SV_BINDING double sv_ot_error(const struct ot_problem *problem, const double *row_sums, const double *column_sums);

/* best becomes the best v against u, from the column sums at (u, v), at `stage` times the regularisation: where the
 * potentials have drifted off against each other with another constant, which a sweep answers. best may be v.
 * work: 2 n + m doubles. Fails as a pass does. */
SV_BINDING int sv_ot_best_v(const struct ot_problem *problem, const double *u, const double *v,
                            const double *column_sums, double stage, double *best, double *work);

/* The mean of v, 0 where it is harmless. */
SV_BINDING double sv_ot_drift(const struct ot_problem *problem, const double *v);

/* When a method should end: SV_CONVERGED, SV_NONFINITE, SV_STAGNATION (as far as rounding lets it come), or -1. */
SV_BINDING int sv_ot_stop(const struct ot_problem *problem, double measure, long long steps_without_progress);

/* What the offsets contribute to the cost of a plan with these sums. */
double sv_ot_offset_part(const struct ot_problem *problem, const double *row_sums, const double *column_sums);

#endif
