/* A problem from the caller of the C interface: checked, rows and columns of zero weight left out. */
#ifndef SOLVERS_OT_INTERFACE_PROBLEM_H
#define SOLVERS_OT_INTERFACE_PROBLEM_H

#include "interface.h"
#include "problem.h"
#include "solvers.h"

enum { OT_MOST_BLOCKS = 24 };

struct ot_task {
    struct ot_problem problem;
    struct ot_compiled compiled;
    size_t n, m;           /* of the call; those of the problem may be smaller */
    size_t *rows, *columns; /* of the problem among those of the call; NULL: all */
    double *u, *v;         /* the start, and then the answer */
    const double *least;   /* row minima of a matrix without an offset, else NULL */
    const double *y;       /* points: the targets, (m, d) */
    void *blocks[OT_MOST_BLOCKS];
    int count;
};

/* Room that lives as long as the task; NULL with the error said where there is none. */
void *sv_ot_task_room(struct ot_task *task, size_t count, size_t size);
#define OT_DOUBLES(task, count) ((double *)sv_ot_task_room(task, count, sizeof(double)))

int sv_ot_task_create(size_t n, size_t m, struct ot_task **created);
void sv_ot_task_destroy(struct ot_task *task);

/* The caller's cost, checked; `rows` of a matrix are `stride` entries apart. */
int sv_ot_task_matrix(struct ot_task *task, enum sv_ot_cost_kind kind, const void *matrix, ptrdiff_t stride);
int sv_ot_task_points(struct ot_task *task, size_t d, const double *x, ptrdiff_t x_stride, const double *y,
                      ptrdiff_t y_stride, int metric, double p);

/* The rest of the problem, for a task that has its cost. */
int sv_ot_task_problem(struct ot_task *task, const double *a, const double *b, double reg, const sv_ot_options *options,
                       int threads);

/* The part of the cost between the kept rows and columns. */
int sv_ot_task_restrict(struct ot_task *task);

/* The span of the costs within rows; with the offsets that the costs need in units of 1 / scale, found as
 * `Cost.with_offset` in Python finds them. */
int sv_ot_task_span(struct ot_task *task, double *span);
int sv_ot_task_offset(struct ot_task *task, double scale, double *span);

#endif
