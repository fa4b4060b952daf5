/* A hierarchy for a grid, with its memory: what Multilevel has in Python. See hierarchy.c. */
#ifndef SOLVERS_LINALG_HIERARCHY_H
#define SOLVERS_LINALG_HIERARCHY_H

#include "interface_grid.h"
#include "multilevel_cg.h"
#include "multilevel_plan.h"

struct block {
    void *at;
    size_t bytes;
};

/* Memory that goes back all at once. */
struct blocks {
    struct block *list;
    size_t count, room;
};

struct sv_hierarchy {
    struct sv_multilevel M;
    struct sv_level A; /* the matrix in float64 */
    double *diagonal, scale;
    size_t cells, part; /* unknowns; elements of work of a thread */
    int parts, twice;   /* threads that there is work for; whether levels may be visited twice */
    sv_grid grid;       /* its arrays are not the caller's any more: NULL, but for the mask */
    struct sv_floating floating;
    struct blocks kept;
    void *given, *result; /* of a cycle */
    struct sv_multilevel_cg cg;
    struct sv_multilevel_numbers numbers;
    double *start; /* of a solve, in the grid's order; NULL before the first */
};

/* A hierarchy for a grid that sv_grid_read has checked; `found` is NULL where it fails. */
int sv_hierarchy_make(const sv_grid *grid, size_t size, const sv_multilevel_options *options, int threads,
                      struct sv_hierarchy **found);
void sv_hierarchy_free(struct sv_hierarchy *hierarchy);

/* Vectors for conjugate gradients. */
int sv_hierarchy_prepare(struct sv_hierarchy *hierarchy);

/* Work for so many threads. */
int sv_hierarchy_threads(struct sv_hierarchy *hierarchy, int threads);

#endif
