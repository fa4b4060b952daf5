/* Conjugate gradients on A x = b, A symmetric positive definite and sparse, with forests of its graph.
 *
 * The unknowns fall into a part F whose graph is a forest, and the rest R. F is eliminated for good: the iteration is
 * that on S = A_RR - A_RF A_FF^-1 A_FR, one elimination on a forest a product. Its preconditioner M is a spanning forest
 * of R's graph with A's diagonal: with w = M v by its recurrence (w = r + beta w, as v = z + beta v), A_RR v is w plus
 * the entries outside the forest. Where R is a forest, too, M = A_RR, and an iteration reads the entries between F and R
 * twice, those inside of them never, beside one elimination on each.
 */
#ifndef SOLVERS_SCHUR_H
#define SOLVERS_SCHUR_H

#include "forest.h"

/* The caller owns all arrays; those of values are float or double, as the kernels are. */
struct sv_schur {
    int32_t n, first;       /* unknowns; those of F */
    const int32_t *nodes;   /* the node at each place: F's in an order of elimination, then R's */
    const int32_t *parent;  /* counted within F, within R; at a root the place after the last one */
    void *factor, *inverse; /* of the elimination: link / pivot, 1 / pivot; n */
    int32_t *cross_starts, *cross_columns; /* first + 1: the rows of F, their columns counted within R */
    void *cross_values;
    int32_t *rest_starts, *rest_columns; /* n - first + 1: what M lacks of A_RR */
    void *rest_values;
    double scale; /* the values are A's times this */
};

/* The order. class_of: 0 for F, more for R, whose classes are forests as well; R's forest has all of their edges and,
 * where `spanning`, the heaviest between them. Returns the size of F, or -1 where a class has a cycle. work: 7 n + 1;
 * work + n holds the place of each node afterwards. */
SV_BINDING int32_t sv_schur_order(const struct sv_rows *A, const int32_t *class_of, int spanning, int32_t *nodes,
                                  int32_t *parent, int32_t *work);

/* Fills the arrays of values, columns and starts, and the scale, a power of two. place: of each node. work: 3 n. Returns -1, or the first place whose
 * pivot is at most 1e-14 of its diagonal entry. */
SV_BINDING int32_t sv_schur_fill(const struct sv_rows *A, const int32_t *place, int single, double *work,
                                 struct sv_schur *out);

/* What conjugate gradients carry. */
struct sv_schur_run {
    /* 4 (n - first) + first: a direction, M times it, the step so far, the residual; A_FF^-1 of F's residual. */
    void *vectors;
    void *work;        /* 3 (n - first) + 2 first + 8 */
    double unit;       /* the residual times this is of the size of 1 */
    double rho;        /* r'M^-1 r of the last iteration, 0 at first */
    double goal, left; /* of the residual's largest entry; left: by the recurrence */
    int outcome;       /* 0, or 1: not positive definite, 2: not finite */
};

/* A stage begins from a residual b - A x that the caller has computed, by node. The directions go on where the last
 * stage ended, so that a residual computed anew costs no iterations; arithmetic in float is enough for a part of the
 * way, since the caller's residual is double. */
SV_BINDING void sv_schur_begin(const struct sv_schur *schur, int single, struct sv_schur_run *run,
                               const double *residual);
/* At most `most` iterations, until the residual is at most goal. Returns those made. */
SV_BINDING int sv_schur_iterate(const struct sv_schur *schur, int single, struct sv_schur_run *run, int most);
/* x, by node, moves by the step so far. */
SV_BINDING void sv_schur_move(const struct sv_schur *schur, int single, struct sv_schur_run *run, double *x);

struct schur_kernels {
    void (*store)(const struct sv_schur *out, const double *pivot, const double *link, int32_t i);
    void (*entry)(void *values, int64_t at, double value);
    void (*begin)(const struct sv_schur *schur, struct sv_schur_run *run, const double *residual);
    int (*iterate)(const struct sv_schur *schur, struct sv_schur_run *run, int most);
    void (*move)(const struct sv_schur *schur, struct sv_schur_run *run, double *x);
};

#endif
