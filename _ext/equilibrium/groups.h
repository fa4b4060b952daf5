/* Rows of a linear model in groups: the mean loss of each group and its derivatives, and the inner loop of
 * variance-reduced extragradient steps on min_w max_q sum_g q_g loss_g(w) + l2/2 |w|^2, q in the simplex. */
#ifndef SOLVERS_EQUILIBRIUM_GROUPS_H
#define SOLVERS_EQUILIBRIUM_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "loss_kinds.h"
#include "runtime.h"

struct sv_group_rows {
    size_t n, d, groups;
    const double *X; /* n x d, by rows */
    const double *y; /* targets; labels are +1 and -1 */
    const int32_t *group; /* of each row */
    int kind; /* sv_loss_kind */
};

typedef void (*sv_syrk)(char *, char *, int *, int *, double *, double *, int *, double *, double *, int *);

/* What a pass writes: sums over the rows of each group. */
struct sv_group_sums {
    double *loss; /* one a group */
    double *gradient; /* groups x d */
    double *hessian; /* d x d, its lower triangle by rows, of sum_i share[group_i] loss_i; NULL: not wanted */
    const double *share; /* of each group, >= 0 */
    double *value, *slope; /* of each row; NULL: not wanted */
    double *rows; /* room for SV_GROUP_BLOCK x d, with a hessian */
    sv_syrk syrk;
};

/* Rows of a block, and those that a step of the inner loop reads one after the other from a random place. */
enum { SV_GROUP_BLOCK = 128, SV_GROUP_RUN = 16 };

/* Doubles of `work` that sv_groups_pass needs. */
SV_BINDING size_t sv_groups_work(const struct sv_group_rows *A, int hessian);
SV_BINDING void sv_groups_pass(const struct sv_group_rows *A, const double *w, struct sv_group_sums *out, double *work,
                               int threads);

/* The inner loop. Rows are sorted by group, and a step reads runs of them from random places, so that no estimate is
 * biased by their order. z = (w, q) and everything shaped like it has d + groups entries. */
struct sv_group_loop {
    struct sv_group_rows rows;
    const int64_t *start; /* groups + 1: where each group's rows begin */
    const int32_t *batch; /* rows a step of each group, from 1 to all */
    double l2, keep; /* keep: the weight alpha of z beside the snapshot */
    double step_w, step_q;
    const double *snapshot, *F; /* the point, and the operator there */
    const double *value, *slope; /* of each row, there */
    double *z, *sum; /* the iterate, and the sum of the extrapolated points, added to */
    double *work; /* 4 (d + groups) */
    uint64_t seed, first; /* draws first, first + 1, ...: one a run; moved on */
};

SV_BINDING void sv_groups_loop(struct sv_group_loop *loop, int64_t steps);

struct group_kernels {
    void (*pass)(const struct sv_group_rows *A, size_t from, size_t to, const double *w, struct sv_group_sums *out);
    double (*batch)(const struct sv_group_rows *A, size_t from, size_t to, const double *w, double q, double q_before,
                    const double *value, const double *slope, double scale, double *sum);
};

#endif
