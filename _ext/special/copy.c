/* A copy between two layouts, in tiles where they run across one another.
 *
 * Compiled once per float width. Reads and writes each number once: 8 bytes moved a float32. A plain copy of a
 * transposed array fetches a cache line for every number; here a tile of 8 by 16 numbers is finished before its
 * cache lines leave the first cache (8, because lines a power of two apart share a set of 8 ways).
 *
 * In NumPy: to[...] = from
 */
#include "copy.h"
#include "width.h"

enum { TILE_ROWS = 8, TILE_COLUMNS = 16 };

struct side {
    char *start;
    const ptrdiff_t *strides; /* bytes */
};

static inline real *at(char *start, ptrdiff_t row, ptrdiff_t row_stride, ptrdiff_t column, ptrdiff_t column_stride)
{
    return (real *)(start + row * row_stride + column * column_stride);
}

static void copy_tile(struct side to, struct side from, int row_axis, int column_axis, ptrdiff_t rows,
                      ptrdiff_t columns)
{
    const ptrdiff_t to_row = to.strides[row_axis], from_row = from.strides[row_axis];
    const ptrdiff_t to_column = to.strides[column_axis], from_column = from.strides[column_axis];
    for (ptrdiff_t c = 0; c < columns; c++)
        for (ptrdiff_t r = 0; r < rows; r++)
            *at(to.start, r, to_row, c, to_column) = *at(from.start, r, from_row, c, from_column);
}

static struct side moved(struct side side, int axis, ptrdiff_t steps)
{
    side.start += steps * side.strides[axis];
    return side;
}

/* rows: the axis along which one side is dense; columns: the one along which the other is. */
static void copy_plane(struct side to, struct side from, int row_axis, int column_axis, const ptrdiff_t *shape)
{
    ptrdiff_t rows = shape[row_axis], columns = shape[column_axis];
    for (ptrdiff_t r = 0; r < rows; r += TILE_ROWS)
        for (ptrdiff_t c = 0; c < columns; c += TILE_COLUMNS) {
            ptrdiff_t high = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
            ptrdiff_t wide = columns - c < TILE_COLUMNS ? columns - c : TILE_COLUMNS;
            struct side tile_to = moved(moved(to, row_axis, r), column_axis, c);
            struct side tile_from = moved(moved(from, row_axis, r), column_axis, c);
            if (high == TILE_ROWS && wide == TILE_COLUMNS)
                copy_tile(tile_to, tile_from, row_axis, column_axis, TILE_ROWS, TILE_COLUMNS); /* unrolled */
            else
                copy_tile(tile_to, tile_from, row_axis, column_axis, high, wide);
        }
}

static void copy_line(struct side to, struct side from, int axis, const ptrdiff_t *shape)
{
    for (ptrdiff_t k = 0; k < shape[axis]; k++)
        *at(to.start, k, to.strides[axis], 0, 0) = *at(from.start, k, from.strides[axis], 0, 0);
}

/* The axes from `axis` on, those of the plane left to the end. */
static void copy_axes(struct side to, struct side from, int axis, int ndim, int row_axis, int column_axis,
                      const ptrdiff_t *shape)
{
    while (axis == row_axis || axis == column_axis)
        axis++;
    if (axis < ndim)
        for (ptrdiff_t k = 0; k < shape[axis]; k++)
            copy_axes(moved(to, axis, k), moved(from, axis, k), axis + 1, ndim, row_axis, column_axis, shape);
    else if (row_axis == column_axis)
        copy_line(to, from, row_axis, shape);
    else
        copy_plane(to, from, row_axis, column_axis, shape);
}

static int densest_axis(int ndim, const ptrdiff_t *shape, const ptrdiff_t *strides)
{
    int best = ndim - 1;
    for (int axis = ndim - 1; axis >= 0; axis--)
        if (shape[axis] > 1 && (shape[best] < 2 || labs(strides[axis]) < labs(strides[best])))
            best = axis;
    return best;
}

void NAME(sv_copy)(int ndim, const ptrdiff_t *shape, void *to, const ptrdiff_t *to_strides, const void *from,
                   const ptrdiff_t *from_strides)
{
    int row_axis = densest_axis(ndim, shape, to_strides), column_axis = densest_axis(ndim, shape, from_strides);
    struct side target = {to, to_strides}, source = {(char *)from, from_strides};
    if (ndim == 0)
        *(real *)to = *(const real *)from;
    else
        copy_axes(target, source, 0, ndim, row_axis, column_axis, shape);
}
