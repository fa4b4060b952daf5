/* Forests in the graph of a sparse symmetric matrix, and exact elimination on them in linear time. */
#ifndef SOLVERS_FOREST_H
#define SOLVERS_FOREST_H

#include <stdint.h>

#include "runtime.h"

/* The pattern, or the matrix, in rows; the caller's arrays. */
struct sv_rows {
    int32_t n;
    const int64_t *starts;
    const int32_t *columns;
    const double *values; /* may be absent where the pattern alone is asked for */
};

/* Each node, in the order given, into the first class in which it has no neighbour (`forests` 0: a colouring) or closes
 * no cycle (1). Returns the number of classes. work: 3 n. */
SV_BINDING int32_t sv_classes(const struct sv_rows *pattern, const int32_t *order, int forests, int32_t *class_of,
                              int32_t *work);

/* The nodes of each class, one class after the other, in an order of elimination: leaves before roots, by index
 * where that is such an order, else breadth first, so that neighbouring nodes do not wait for one another. starts: classes + 1; parent: positions in `nodes`, -1 at a root.
 * Returns 0, or 1 where a class holds a cycle. work: n. */
SV_BINDING int sv_forest_order(const struct sv_rows *pattern, const int32_t *class_of, int32_t classes, int32_t *nodes,
                               int32_t *parent, int32_t *starts, int32_t *work);

/* A matrix whose classes are forests, its unknowns in the order of elimination. */
struct sv_forest {
    int32_t n, classes;
    const int32_t *starts;    /* classes + 1 */
    const int32_t *parent;    /* positions, -1 at a root */
    double *link;             /* the entry at (node, parent) */
    double *diagonal;
    double *factor, *inverse; /* of the elimination: link / pivot, 1 / pivot */
    int64_t *cross_starts;    /* n + 1: the entries between classes */
    int32_t *cross_columns;
    double *cross_values;
};

/* Fills link, diagonal and the entries between classes. */
SV_BINDING void sv_forest_fill(const struct sv_rows *A, const int32_t *nodes, const int32_t *place,
                               const int32_t *class_of, struct sv_forest *out);

/* Eliminates. Returns -1, or the first place whose pivot is at most 1e-14 of its diagonal entry (or is negative):
 * that block is singular to rounding (or not positive definite). */
SV_BINDING int32_t sv_forest_factor(struct sv_forest *forest);

/* y becomes A_bb^-1 y for the class b; y is that of all unknowns. */
SV_BINDING void sv_forest_solve(const struct sv_forest *forest, int32_t b, double *y);

#endif
