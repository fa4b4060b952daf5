/* The grid of solvers.h, checked, and the numbers of its operator, for handles in C and for GridOperator in Python.
 *
 * All arrays are in C order of the grid, the last axis fastest. Nothing here allocates. Where `faces` and `cells` are
 * both given (which a caller of the C interface may not) the faces are the means of these cells.
 */
#ifndef SOLVERS_LINALG_INTERFACE_GRID_H
#define SOLVERS_LINALG_INTERFACE_GRID_H

#include "runtime.h"
#include "solvers.h"

/* The grid with its defaults, all of it checked: shapes that fit memory, ends, finite values >= 0, and, where there is
 * no mask, a positive diagonal. size: of vectors. The arrays stay the caller's. */
int sv_grid_read(sv_grid *grid, const sv_grid *given, size_t *size);

/* Cells before which the faces of an axis repeat: those of all axes after it. */
size_t sv_grid_stride(const sv_grid *grid, int axis);

/* Whether coefficient and mass are numbers and all cells take part. */
int sv_grid_constant(const sv_grid *grid);

/* Each cell's coupling with the one before along an axis, 0 where there is none: entries are minus these. */
SV_BINDING void sv_grid_couplings(const sv_grid *grid, int axis, double *out);

/* One of them. */
double sv_grid_coupling(const sv_grid *grid, int axis, size_t cell);

/* What Dirichlet walls, of the box and of obstacles, add to the diagonal. */
SV_BINDING void sv_grid_walls(const sv_grid *grid, double *out);

/* The diagonal; 1 outside of the mask. */
SV_BINDING void sv_grid_diagonal(const sv_grid *grid, double *out);

/* Its least entry, where all cells take part. */
SV_BINDING double sv_grid_least_diagonal(const sv_grid *grid);

/* Whether, with constant coefficients, all cells have one number on the diagonal since all walls are of the same kind as
 * a cell: then that, and the couplings along x, y and z. */
SV_BINDING int sv_grid_uniform(const sv_grid *grid, double coupling[3], double *entry);

/* Of constant coefficients: the couplings along x, y and z (the last axis first; 0 past the first), and the diagonal's 16
 * rows as sv_grid_constant_rows takes them. */
SV_BINDING void sv_grid_constant_numbers(const sv_grid *grid, double coupling[3], double *rows);

/* Of the parts of the grid that hang together, those without a sink (a wall, a mass): the operator is singular there. */
struct sv_floating {
    size_t parts;      /* of the grid, those with sinks among them; not counted where all cells hang together */
    size_t count;      /* of those without; 0 where the rest is not filled in */
    size_t *ends;      /* where the cells of each end in `cells` */
    ptrdiff_t *cells;  /* in order; NULL: the one part is all cells */
    size_t example;    /* a cell of one */
};

/* SV_NO_MEMORY, or SV_OK. */
int sv_grid_floating(const sv_grid *grid, size_t size, struct sv_floating *floating);
void sv_grid_floating_free(struct sv_floating *floating);

#endif
