/* The grid of solvers.h, checked, and the numbers of its operator: what GridOperator has in Python, to the bit.
 *
 * All arrays are in C order of the grid, the last axis fastest. Nothing here allocates.
 */
#ifndef SOLVERS_LINALG_INTERFACE_GRID_H
#define SOLVERS_LINALG_INTERFACE_GRID_H

#include "solvers.h"

/* The grid with its defaults, all of it checked: shapes that fit memory, ends, finite values >= 0, and, where there is
 * no mask, a positive diagonal. size: of vectors. The arrays stay the caller's. */
int sv_grid_read(sv_grid *grid, const sv_grid *given, size_t *size);

/* Cells before which the faces of an axis repeat: those of all axes after it. */
size_t sv_grid_stride(const sv_grid *grid, int axis);

/* Whether coefficient and mass are numbers and all cells take part. */
int sv_grid_constant(const sv_grid *grid);

/* Each cell's coupling with the one before along an axis, 0 where there is none: entries are minus these. */
void sv_grid_couplings(const sv_grid *grid, int axis, double *out);

/* What Dirichlet walls, of the box and of obstacles, add to the diagonal. */
void sv_grid_walls(const sv_grid *grid, double *out);

/* The diagonal; 1 outside of the mask. */
void sv_grid_diagonal(const sv_grid *grid, double *out);

/* What an axis of constant coefficient adds to the diagonal of its i-th cell, where all cells take part. */
double sv_grid_profile(const sv_grid *grid, int axis, size_t i);

#endif
