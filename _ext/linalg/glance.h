/* What a sequence of systems asks of the values of each new matrix: a few entries tell. */
#ifndef SOLVERS_LINALG_GLANCE_H
#define SOLVERS_LINALG_GLANCE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* Whether the values at `here` are those at `there`, to `slack` of each. */
SV_BINDING int sv_glance_pairs(const double *values, size_t count, const int64_t *here, const int64_t *there,
                               double slack);

/* The median (the upper one) over some rows of the sum of a row's absolute values over that of its diagonal entry.
 *
 * Row r has the values at at[starts[r]] to at[starts[r + 1] - 1], its diagonal entry is at at[centre[r]]; `room` takes
 * `rows` numbers.
 */
SV_BINDING double sv_glance_median(const double *values, size_t rows, const int64_t *at, const int64_t *starts,
                                   const int64_t *centre, double *room);

/* Whether all values at `at` are the one of their kind, to `slack` of the largest of these.
 *
 * table[k] becomes values[first[k]], the one of kind k; 0 where there is none, first[k] < 0. Values that differ are seen
 * to do so at the first of them.
 */
SV_BINDING int sv_glance_kinds(const double *values, size_t count, const int64_t *at, const int64_t *kinds,
                               size_t types, const int64_t *first, double slack, double *table);

/* Whether each diagonal entry of a stencil on a box is that amid the box and what the ends that it lies at add, to `slack`
 * of the largest number of the table.
 *
 * table: the coupling of each axis, then the diagonal at each of `places` = 3^axes places of the box, the one amid it in
 * their middle; `there` says which occur. extras: (places, axes), in couplings.
 */
SV_BINDING int sv_glance_ends(const double *table, size_t axes, size_t places, const double *extras,
                              const uint8_t *there, double slack);

#endif
