/* The layout of a grid's vectors, and the arrays that its kernels read: see grid.h. Nothing here takes time that would
 * be seen beside a sweep.
 */
#include <math.h>
#include <string.h>

#include "grid.h"

enum { LINE = 64 }; /* bytes of a cache line, and of the longest vector */

/* A pitch of at least `length`, a multiple of `width`, at which rows side by side do not fall on the same addresses
 * modulo a page: there a load would wait for an older store to its neighbour. */
static ptrdiff_t unaliased(ptrdiff_t length, ptrdiff_t width)
{
    const ptrdiff_t bytes = LINE / width;
    ptrdiff_t pitch = (length + width - 1) / width * width;
    while (pitch * bytes > 3800 && !(pitch * bytes % 4096 >= 320 && pitch * bytes % 4096 <= 3776))
        pitch += width;
    return pitch;
}

/* Which of the 16 kinds of rows it is: see sv_grid_constant_rows. */
static ptrdiff_t row_kind(const struct sv_grid *grid, ptrdiff_t k, ptrdiff_t j)
{
    return (j == 0) + 2 * (j == grid->n[1] - 1) + 4 * ((k == 0) + 2 * (k == grid->n[2] - 1));
}

void sv_grid_lay_out(struct sv_grid *grid, const ptrdiff_t *n, const int *periodic, int redblack, int single)
{
    const ptrdiff_t width = single ? 16 : 8;
    grid->axes = n[2] > 1 ? 3 : n[1] > 1 ? 2 : 1;
    for (int axis = 0; axis < 3; axis++) {
        grid->n[axis] = n[axis];
        grid->periodic[axis] = periodic[axis] && n[axis] > 1;
    }
    grid->half = redblack ? unaliased((n[0] + 1) / 2 + 2, width) : 0;
    grid->pitch = unaliased(redblack ? 2 * grid->half : n[0] + 2, width);
    grid->lead = width, grid->strips = 0;
    grid->plane = unaliased(n[1] * grid->pitch, width);
    grid->size = (size_t)(2 * width + (n[2] - 1) * grid->plane + n[1] * grid->pitch);
    grid->single = single;
}

/* Vectors from a strip's place to where its last row begins. */
static ptrdiff_t slope(int width) { return SV_LAG * (width - 1); }

void sv_grid_lay_slanted(struct sv_grid *grid, const ptrdiff_t *n, int width)
{
    static const int periodic[3];
    const ptrdiff_t per_line = LINE / (ptrdiff_t)sizeof(double);
    sv_grid_lay_out(grid, n, periodic, 0, 0);
    grid->strips = (n[1] + width - 1) / width, grid->pitch = (n[0] + 1) * width;
    grid->lead = (SV_LAG * width + per_line - 1) / per_line * per_line; /* what is read before the first vector */
    const ptrdiff_t layer = grid->strips * grid->pitch + (slope(width) + 1) * width + grid->lead;
    grid->plane = (layer + per_line - 1) / per_line * per_line;
    while (n[2] > 1 && !(grid->plane * 8 % 4096 >= 2048 && grid->plane * 8 % 4096 <= 3776)) /* as in `unaliased` */
        grid->plane += per_line;
    grid->size = (size_t)(grid->lead + (n[2] - 1) * grid->plane + layer);
}

int sv_grid_slants(const ptrdiff_t *n)
{
    const int width = sv_grid_slanted()->width;
    const ptrdiff_t rows = (n[1] + width - 1) / width * width;
    return n[0] >= slope(width) + 8 && n[0] <= SV_SLANTED_MOST && 2 * rows <= 3 * n[1];
}

static ptrdiff_t row_at(const struct sv_grid *grid, ptrdiff_t k, ptrdiff_t j)
{
    return grid->lead + k * grid->plane + j * grid->pitch;
}

static void put(const struct sv_grid *grid, void *array, ptrdiff_t at, double value)
{
    if (grid->single)
        ((float *)array)[at] = (float)value;
    else
        ((double *)array)[at] = value;
}

static double get(const struct sv_grid *grid, const void *array, ptrdiff_t at)
{
    return grid->single ? ((const float *)array)[at] : ((const double *)array)[at];
}

/* Whether an axis of n has a row of a kind: amid it (0), at the low end (1), the high end (2) or both (3). */
static int occurs(ptrdiff_t kind, ptrdiff_t n) { return kind == 0 ? n > 2 : kind == 3 ? n == 1 : n > 1; }

/* The diagonal's rows one after another, 1 where no cell is; natural order. */
static void lay_rows(const struct sv_grid *grid, const double *rows, double *seen)
{
    const ptrdiff_t nx = grid->n[0];
    ptrdiff_t done = 0;
    for (ptrdiff_t k = 0; k < grid->n[2]; k++)
        for (ptrdiff_t j = 0; j < grid->n[1]; j++) {
            const ptrdiff_t place = row_at(grid, k, j);
            while (done < place)
                seen[done++] = 1;
            memcpy(seen + place, rows + row_kind(grid, k, j) * nx, (size_t)nx * sizeof *seen);
            done = place + nx;
        }
    while (done < (ptrdiff_t)grid->size)
        seen[done++] = 1;
}

static void lay_colours(const struct sv_grid *grid, const double *rows, double *seen)
{
    for (size_t at = 0; at < grid->size; at++)
        seen[at] = 1;
    for (ptrdiff_t k = 0; k < grid->n[2]; k++)
        for (ptrdiff_t j = 0; j < grid->n[1]; j++) {
            double *row = seen + row_at(grid, k, j);
            const double *from = rows + row_kind(grid, k, j) * grid->n[0];
            for (ptrdiff_t i = 0; i < grid->n[0]; i++)
                row[((i + j + k) & 1) * grid->half + i / 2] = from[i];
        }
}

void sv_grid_constant_rows(struct sv_grid *grid, const double *rows, void *table, void *inverse, double *seen)
{
    const ptrdiff_t nx = grid->n[0];
    double first = NAN;
    grid->uniform = !(grid->periodic[0] || grid->periodic[1] || grid->periodic[2]);
    for (ptrdiff_t kind = 0; kind < 16; kind++) {
        if (!occurs(kind % 4, grid->n[1]) || !occurs(kind / 4, grid->n[2]))
            continue;
        double value = 1, inverted = 1;
        for (ptrdiff_t i = 0; i < nx; i++) {
            const ptrdiff_t at = kind * grid->pitch + (grid->half ? (i & 1) * grid->half + i / 2 : i);
            if (rows[kind * nx + i] != value) /* they differ at the ends alone, and divisions take time */
                value = rows[kind * nx + i], inverted = 1 / value;
            if (isnan(first))
                first = value;
            grid->uniform &= value == first;
            put(grid, table, at, value);
            put(grid, inverse, at, inverted);
        }
    }
    (grid->half ? lay_colours : lay_rows)(grid, rows, seen);
}

void sv_grid_wrap(const struct sv_grid *grid, void *faces)
{
    for (ptrdiff_t k = 0; k < grid->n[2]; k++)
        for (ptrdiff_t j = 0; j < grid->n[1]; j++) {
            /* red-black: the row is of even length, so the cell that would follow has the parity of the first */
            const ptrdiff_t first = row_at(grid, k, j) + grid->half * ((j + k) & 1);
            put(grid, faces, first + (grid->half ? grid->n[0] / 2 : grid->n[0]), get(grid, faces, first));
        }
}

void sv_grid_seen(const struct sv_grid *grid, const void *diagonal, double *seen)
{
    for (size_t at = 0; at < grid->size; at++) {
        const double value = get(grid, diagonal, (ptrdiff_t)at);
        seen[at] = value == 0 ? 1 : value;
    }
}
