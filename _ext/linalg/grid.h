/* The stencil of -div(c grad) + m on a box of cells, in one, two or three dimensions, as an operand.
 *
 * A cell is joined to the next along each axis by a coupling c >= 0: an entry -c of the matrix. Vectors have the layout
 * of this struct, cells along x side by side, with zeros around each row, so that a row's ends need no code of their
 * own:
 *
 *   natural      row (j, k) begins at lead + k plane + j pitch
 *   red-black    there too, in two halves: the red cells (i + j + k even) side by side, and `half` later the black ones
 *   slanted      the natural order, W rows at a time: a strip, the W lanes of vectors. The cell i of its row l is in
 *                lane l, 1 + i + SV_LAG l vectors after its place; the next strip's place is n + 1 vectors on, so that
 *                a lane has one zero between two rows. Zeros stand for rows that a layer's last strip lacks, and lie
 *                between layers.
 *
 * Two zeros at least lie between rows, or halves, but for slanted ones; pitch, plane, half and lead are multiples of
 * the longest vector.
 */
#ifndef SOLVERS_LINALG_GRID_H
#define SOLVERS_LINALG_GRID_H

#include "operand.h"

struct sv_grid {
    int axes;
    ptrdiff_t n[3];                 /* cells along x, y, z; 1 past the last axis */
    ptrdiff_t lead, pitch, plane;
    ptrdiff_t half;                 /* 0: natural */
    ptrdiff_t strips;               /* slanted: of a layer, pitch apart; 0: another layout */
    size_t size;                    /* of the vectors */
    int periodic[3];
    /* Constant: one coupling an axis, and 16 rows of the diagonal and its inverse, `pitch` apart, for the rows that lie
     * at neither end (0), the low end (1), the high end (2) or both (3) of y, plus 4 times the same of z; red-black:
     * even cells in the first half, odd ones in the second. Else arrays in the layout of the vectors. */
    int constant;
    int uniform; /* constant, with one number on the diagonal and no axis periodic */
    double coupling[3];
    double entry; /* slanted, which are uniform: the number on the diagonal; there are no such rows as above */
    /* The coupling of each cell with the one before along an axis, 0 where there is none. With x periodic, the place
     * after a row's last cell repeats the first. */
    const void *faces[3];
    const void *diagonal, *inverse; /* 0 outside the cells */
    const void *zeros;              /* half a vector's row of them at least: pitch */
    int single;                     /* 1: float32 arrays and vectors, which relax and its like take alone */
};

/* The layout of n = cells along x, y, z: all of the struct but what the operator's numbers make. */
SV_BINDING void sv_grid_lay_out(struct sv_grid *grid, const ptrdiff_t *n, const int *periodic, int redblack,
                                int single);

/* Of constant coefficients: the diagonal's table and its inverse, 16 pitch each (zeros before), from its 16 rows of n[0];
 * seen: what the methods know as the diagonal, 1 outside the cells. Says, too, whether the grid is uniform. */
SV_BINDING void sv_grid_constant_rows(struct sv_grid *grid, const double *rows, void *table, void *inverse,
                                      double *seen);

/* Of variable ones: the place after the last cell of each row, where x is periodic; and the same from the diagonal. */
SV_BINDING void sv_grid_wrap(const struct sv_grid *grid, void *faces);
SV_BINDING void sv_grid_seen(const struct sv_grid *grid, const void *diagonal, double *seen);

/* How many cells behind the row before it each row of a slanted strip is. From a vector to the next goes one
 * multiply-add, from a row to the next a move between lanes too: 3 times the first take as long. */
enum { SV_LAG = 3, SV_SLANTED_MOST = 4096 /* cells of a row at most */ };

/* The slanted layout for vectors of `width` lanes, no axis periodic; and whether n is a shape for it: one that fills
 * the strips, with rows long enough that a strip has begun before the next one does. */
SV_BINDING void sv_grid_lay_slanted(struct sv_grid *grid, const ptrdiff_t *n, int width);
SV_BINDING int sv_grid_slants(const ptrdiff_t *n);

enum sv_grid_ordering { SV_GRID_NATURAL, SV_GRID_REDBLACK };

/* The kernels of an operand with this matrix (float64). */
SV_BINDING const struct sv_operand_kernels *sv_grid_kernels(enum sv_grid_ordering ordering);

/* What a layout knows beside an operand's kernels; x and b of the grid's float type. */
struct sv_grid_layout {
    /* `count` red-black sweeps, black first where `backward`; `depth` sweeps a pass over memory (0: as many as fit the
     * second cache). The bits depend on neither depth nor threads. */
    void (*sweeps)(const struct sv_grid *grid, double omega, int backward, size_t count, size_t depth, int threads,
                   const void *b, void *x);
    /* To and from a contiguous array in lexicographic order. pack writes the zeros too. */
    void (*pack)(const struct sv_grid *grid, const void *from, void *to);
    void (*unpack)(const struct sv_grid *grid, const void *from, void *to);
};

SV_BINDING const struct sv_grid_layout *sv_grid_layout(int single);

/* What serves a slanted grid, as wide as the vectors of the level in use: grid_slanted.c. Of the kernels those that
 * SSOR-CG needs. */
struct sv_grid_slanted {
    struct sv_grid_layout layout;
    const struct sv_operand_kernels *kernels;
    int width;
};

SV_BINDING const struct sv_grid_slanted *sv_grid_slanted(void);

#endif
