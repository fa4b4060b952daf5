/* Sparse symmetric matrices, indefinite ones too, as L D L': an order of little fill, fronts, pivots with a threshold.
 *
 * The matrix is given whole, by columns (both triangles and all of the diagonal). Rows and columns that are to be pivots
 * together form groups: a row of constraints and one of its variables, whose diagonal entries alone would be poor pivots
 * (Duff and Pralet, 2005). Analysis reads the pattern alone and is kept while that stays: of the groups'
 * pattern (`sv_optimize_groups`) `sv_optimize_degrees` finds the order, `sv_optimize_tree` and `sv_optimize_fronts` the
 * groups that are eliminated together; `sv_optimize_borders` finds the rows that they reach. `sv_optimize_multifrontal`
 * then factors, and `sv_optimize_frontal_solve` solves. The caller owns every array.
 */
#ifndef SOLVERS_OPTIMIZE_MULTIFRONTAL_H
#define SOLVERS_OPTIMIZE_MULTIFRONTAL_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* A symmetric pattern of n columns: rows index[starts[j]..starts[j + 1]) in column j, any order. */
struct sv_pattern {
    int32_t n;
    const int32_t *starts, *index;
};

/* s: such that the largest entry of each row of diag(s) K diag(s) is about 1 (Ruiz, 2001), 1 for a row of zeros; scaled: the
 * entries of that. most: n numbers of work. */
SV_BINDING void sv_optimize_scales(const struct sv_pattern *K, const double *value, double *s, double *scaled, double *most);

/* mate[i]: a variable of row i of J (m rows, in compressed form) for its pivot, or -1: the largest entry whose variable is
 * free, if it is not much smaller than the row's largest. taken: n numbers. */
SV_BINDING void sv_optimize_mates(int32_t m, int32_t n, const int32_t *starts, const int32_t *index, const double *value,
                                  int32_t *mate, int32_t *taken);

/* The pattern of groups: member[begin[g]..begin[g + 1]) are the columns of group g, of[j] the group of j. starts, index: as
 * large as those of K. mark: as many numbers as groups. */
SV_BINDING void sv_optimize_groups(const struct sv_pattern *K, int32_t groups, const int32_t *begin, const int32_t *member,
                                   const int32_t *of, int32_t *starts, int32_t *index, int32_t *mark);

/* An order of approximately least degree. list: room numbers, at least the entries + n; work: 11 n and a number for
 * each column. weight[j]: the columns in group j; order[k] is the k-th group to eliminate. */
SV_BINDING void sv_optimize_degrees(const struct sv_pattern *K, const int32_t *weight, int32_t *order, int32_t *list, int64_t room, int32_t *work);

/* The tree of that elimination: `order` becomes one in which each column stands right after its subtree. inverse: its
 * inverse; parent[k]: the group of the new order that k's elimination first changes, -1: none; count[k]: the entries of
 * the first column of k in L, diagonal included. work: 6 n. */
SV_BINDING void sv_optimize_tree(const struct sv_pattern *K, const int32_t *weight, int32_t *order, int32_t *inverse, int32_t *parent,
                                 int32_t *count, int32_t *work);

/* Groups whose fill is (nearly) the same, joined: front s eliminates first[s]..first[s + 1) and has height[s] rows;
 * above[s]: the front that it adds to, or -1. offset[k]: the columns before group k, n + 1 of them. Returns how many
 * fronts there are; first: n + 1, height, above: n, work: 4 n. */
SV_BINDING int32_t sv_optimize_fronts(int32_t n, const int32_t *offset, const int32_t *parent, const int32_t *count, int32_t *first,
                                      int32_t *height, int32_t *above, int32_t *work);

/* What is known of a matrix before its values: from here on of columns, no longer of groups. */
struct sv_fronts {
    int32_t n, fronts;
    const int32_t *order, *inverse, *first, *height, *above;
    /* Rows below front s, ascending, from border[edge[s]]; entries of column k of the reordered lower triangle are
     * row[e], value source[e], e in entry[k]..entry[k + 1). */
    int64_t *edge;
    int32_t *border;
    int64_t *entry;
    int32_t *row, *source;
};

/* Fills edge, border, entry, row and source, from heights and pattern. group[k]: the group of column k of the order, which
 * never falls. work: 2 n. */
SV_BINDING void sv_optimize_borders(const struct sv_pattern *K, const int32_t *group, struct sv_fronts *fronts,
                                    int32_t *work);

/* Numbers that the factor, its lists of rows and the stack of fronts take where no pivot is put off. */
SV_BINDING void sv_optimize_room(const struct sv_fronts *fronts, int64_t *factor, int64_t *rows, int64_t *stack,
                                 int32_t *work);

/* A front's share of the factor: `height` rows, their numbers from rows[list], the first `pivots` of them eliminated; their
 * columns of L from factor[at], `height` apart. On the diagonal is D; the number of a row in a 2 x 2 block of D is ~r. */
struct sv_front {
    int64_t at, list;
    int32_t height, pivots;
};

struct sv_factor {
    /* Rooms are given; `used` tells what of each was needed, or where it ran out the least that was missing. */
    double *factor, *stack;
    int32_t *rows;
    struct sv_front *front;
    int64_t factor_room, rows_room, stack_room, factor_used, rows_used;
    int64_t negative, zero, delayed;
};

/* The factor of the matrix with these values; pivots at least `threshold` of their column are taken, and where a whole
 * column is at most `tiny` its pivot counts as zero and its unknown is set to 0. work: 4 n of int32.
 * Returns 0, or which room is too small: 1 factor, 2 rows, 3 stack. */
SV_BINDING int sv_optimize_multifrontal(const struct sv_fronts *fronts, const double *value, double threshold, double tiny,
                                        struct sv_factor *factor, int32_t *work);

/* x (n numbers: the right-hand side, and then the solution, in the matrix's own order). work: 2 n. */
SV_BINDING void sv_optimize_frontal_solve(const struct sv_fronts *fronts, const struct sv_factor *factor, double *x,
                                          double *work);

/* ---- one front ------------------------------------------------------------------------------------------------------ */

enum { SV_PANEL = 32 };

struct front_task {
    /* height x height, by columns, lower triangle; its first `columns` may be eliminated, all of them where it is last. */
    double *F;
    int64_t height, columns;
    int last;
    double threshold, tiny;
    int32_t *rows;
    /* SV_PANEL x height. */
    double *panel;
    int64_t negative, zero;
};

struct multifrontal_kernels {
    /* Eliminates what it can: the count of pivots, which come first; what is left of F is the matrix that remains. */
    int64_t (*eliminate)(struct front_task *task);
    /* x is the front's part of the vector, pivots first. */
    void (*forward)(const double *L, int64_t height, int64_t pivots, const int32_t *rows, double *x);
    void (*backward)(const double *L, int64_t height, int64_t pivots, const int32_t *rows, double *x);
};

#endif
