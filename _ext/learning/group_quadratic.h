/* A dense quadratic with norms of groups, l1 weights and signs, minimised to rounding:
 *
 *     minimise  g'(v - w) + 1/2 (v - w)'H(v - w) + sum_k norm_k |v_k|_2 + sum_j l1_j |v_j|   over  low <= v <= high,
 *
 * v_k the coordinates start[k] to start[k + 1] of v. It is what is left of a group lasso on a working set of groups.
 */
#ifndef SOLVERS_LEARNING_GROUP_QUADRATIC_H
#define SOLVERS_LEARNING_GROUP_QUADRATIC_H

#include "quadratic.h"

/* The caller owns all arrays. */
struct sv_group_quadratic {
    size_t p, stride;  /* coordinates; doubles from row to row of H */
    const double *H;   /* symmetric positive semidefinite, all of it */
    size_t count;      /* groups */
    const int32_t *start;
    const double *norm;       /* >= 0, one a group */
    const double *l1;         /* >= 0, one a coordinate */
    const double *low, *high; /* 0 or infinite */
    const uint8_t *plain;     /* whether a group has neither l1 terms nor signs */
    /* Eigenvalues of the groups' blocks of H, in rising order, and eigenvectors in columns from vectors + place[k] on. */
    const double *values, *vectors;
    const int64_t *place;
    double *w, *g;          /* the iterate, and the gradient of the smooth part there */
    double *factor;         /* work: p rows of p */
    double *step;           /* work: 5p */
    double *origin, *slope; /* work: w and g as they were given */
    int32_t *face;          /* work: p */
    struct sv_lapack lapack;
    int64_t sweeps, newtons;
    int32_t stuck; /* whether short steps made it give up: groups would have to change sides many at a time */
};

/* Sweeps and Newton steps until no equation is violated by more than `tol`, or `max_phases`; returns the violation. */
SV_BINDING double sv_group_quadratic_minimise(struct sv_group_quadratic *q, double tol, int64_t max_phases);

struct group_quadratic_kernels {
    double (*sweep)(struct sv_group_quadratic *q);
    /* The largest violation among all groups, or among those that are not zero. */
    double (*violation)(const struct sv_group_quadratic *q, int all);
    /* x += sum_r factor[r] H[at[r]] over `count` rows. */
    void (*add_rows)(const struct sv_group_quadratic *q, double *x, const int32_t *at, const double *factor,
                     size_t count);
};

#endif
