/* A symmetric multilevel map for stencils of 3, 5 or 7 points with variable couplings: a V-cycle of one red-black
 * Gauss-Seidel sweep down and its exact reverse up, 3, 5 or 7 points at all levels, and the conjugate gradients around it.
 *
 * Every vector and every field of a level has one layout: row j of plane k begins at (k ny + j) pitch + MULTILEVEL_LEAD,
 * zeros before and after its nx cells, so that a row's ends need no code of their own; a field of couplings has that of
 * each cell with the one before along the axis. In two dimensions planes are single rows: ny = 1.
 */
#ifndef SOLVERS_LINALG_MULTILEVEL_H
#define SOLVERS_LINALG_MULTILEVEL_H

#include <stdint.h>

#include "runtime.h"

enum { MULTILEVEL_LEAD = 16, MULTILEVEL_MOST = 32 };

/* Fields whose rows are shared: away from obstacles and walls one row says what all say, and stays in the cache. */
enum { SHARED_SCALE, SHARED_INVERSE, SHARED_SHARES, SHARED_FIELDS = SHARED_SHARES + 3 };

/* What two rows that the set-up calls alike have in common, all bits of it: for the first level the mask; else couplings,
 * walls and masses; and with those the inverse. */
enum { ALIKE_GIVEN, ALIKE_ALL, ALIKE_KINDS };

struct sv_level {
    ptrdiff_t n[3], pitch;  /* cells along x, y, z */
    size_t size;            /* of a field */
    int periodic[3];
    int axes;               /* 1: x alone; 2: x and z; 3 */
    int halved[3];          /* whether the next level has one cell for two along the axis */
    int constant;           /* one coupling an axis, `coupling`, between cells that both have an inverse */
    double coupling[3];
    /* Of the kernels' float type, all 0 outside of the cells that take part: */
    void *face[3];          /* couplings with the cell before */
    void *inverse;          /* of the diagonal */
    void *share[3];         /* the part of the neighbouring coarse cell in the interpolation, along each axis */
    void *scale;            /* of a row of the interpolation */
    void *wall, *mass;      /* what the diagonal has beyond the couplings: from walls, and from reaction */
    void *right, *x;        /* vectors of the cycle; of the first level the caller's */
    /* Of the steps one at a time alone: */
    int line;               /* the axis whose lines are relaxed at once; -1: cells are */
    void *pivot;            /* inverses of the pivots of the lines' eliminations */
    void *left, *first;     /* vectors: what is left of `right`; where it is visited twice the x of the first visit */
    int visits;             /* how often a cycle goes to it */
    const void *zeros;      /* a row of them, `pitch` long and MULTILEVEL_LEAD more on either side */
    /* For each row of a field the number of one with the same bits, to be read in its place; NULL: its own. Of the
     * matrix in float64 that of SHARED_INVERSE is for the diagonal. */
    int32_t *same[SHARED_FIELDS];
    /* Of the set-up, where the coefficient is constant: for each row the number of one that it is like; NULL: not known. */
    int32_t *alike[ALIKE_KINDS];
};

/* What the set-up takes for a stencil of constant coefficient. */
struct sv_cells {
    const uint8_t *mask;    /* a byte a cell in lexicographic order, 0 for a cell that takes no part; NULL: all do */
    double coupling[3];
    double side[3][2];      /* what the low and the high end of the box add to the diagonals of their cells */
    double obstacle[3];     /* what a neighbour that takes no part adds, along each axis */
    double mass;
};

/* Fields of the set-up, for each axis; NULL where they are not needed. */
struct sv_ways {
    void *half[3];          /* resistances of half a block, with the block's first cells; below 0: nothing joins its cells */
    void *through[3];       /* conductances across interfaces, with the cells after them */
};

/* The set-up, in this order; `scale` multiplies all that comes in. The diagonal is written too where it is not NULL. */
struct sv_setup_kernels {
    void (*fill)(const struct sv_level *level, const struct sv_cells *cells, double scale, void *diagonal, int threads);
    /* From lexicographic order. close: with x periodic the places around a row repeat its ends, as couplings and what is
     * multiplied by them need it; sums are over rows that have zeros there. */
    void (*pack)(const struct sv_level *level, double scale, int close, const double *from, void *to, int threads);
    /* The inverse of the diagonal where `inverse` is not negative, and the diagonal is above it. */
    void (*invert)(const struct sv_level *level, void *diagonal, int threads);
    int (*rough)(const struct sv_level *level);
    /* The fine level's scale, from its interpolation of the cells that take part, which it holds. */
    void (*weigh)(const struct sv_level *fine, int threads);
};

/* See multilevel_coarsen.c. */
struct sv_coarsen_kernels {
    /* The fine level's shares; the coarse level's couplings, walls and masses; in place of its inverse what `invert` takes
     * for the bound of the diagonal. */
    void (*coarsen)(const struct sv_level *fine, const struct sv_level *coarse, const struct sv_ways *ways, int threads);
};

/* Steps one at a time: see multilevel_general.c. */
struct sv_general_kernels {
    void (*sweep)(const struct sv_level *level, const void *right, void *x, int up);
    void (*factor)(const struct sv_level *level);
    void (*residual)(const struct sv_level *level, const void *right, const void *x, void *out);
    void (*interpolate)(const struct sv_level *fine, const struct sv_level *coarse, void *x);
    void (*restricted)(const struct sv_level *fine, const struct sv_level *coarse, void *t);
    void (*add)(const struct sv_level *level, const void *scale, const void *t, void *x, int only);
    void (*open_rows)(const struct sv_level *level, void *x);
};

SV_BINDING const struct sv_general_kernels *sv_general_kernels(int single);

/* work: sv_multilevel_work() elements for each thread. */
struct sv_cycle_kernels {
    /* The coarse right-hand side after a sweep on `right` from zero. */
    void (*restricted)(const struct sv_level *fine, const struct sv_level *coarse, const void *right, void *work,
                       int threads);
    /* x = that sweep, the coarse x interpolated and added, and the reverse sweep. Where q is not NULL, also (x, q), a
     * number a plane, and behind those (x, right). */
    void (*prolonged)(const struct sv_level *fine, const struct sv_level *coarse, const void *right, void *x,
                      const double *q, double *partial, void *work, int threads);
    /* x = the coarse x interpolated, without the scale of the rows. */
    void (*interpolate)(const struct sv_level *fine, const struct sv_level *coarse, void *x, void *work, int threads);
};

SV_BINDING const struct sv_setup_kernels *sv_setup_kernels(int single);
SV_BINDING const struct sv_cycle_kernels *sv_cycle_kernels(int single);

/* Fills the table `same` of a field whose rows are final, where the level has one. */
SV_BINDING void sv_level_share(const struct sv_level *level, int which, const void *field, size_t width, int threads);

/* Zeros in all of a field that is no cell; its elements are `width` bytes. */
SV_BINDING void sv_level_clear(const struct sv_level *level, size_t width, void *field);

/* The same for shares along an axis, and zeros where the set-up writes none: at the high end of the box. */
SV_BINDING void sv_level_clear_share(const struct sv_level *level, int axis, size_t width, void *field);

/* From row to row of cells of one colour, in memory of a pass: theirs are laid out as rows of a level half as long. */
static inline ptrdiff_t sv_half_pitch(const struct sv_level *level)
{
    return MULTILEVEL_LEAD + ((level->n[0] + 1) / 2 + 15) / 16 * 16;
}

/* Elements of work that a thread's part of a pass over a level takes: two rings of three planes, each of a colour, and
 * five rows. */
SV_BINDING size_t sv_multilevel_work(const struct sv_level *level);

struct sv_multilevel {
    int levels, single, threads;
    int general;            /* steps one at a time */
    struct sv_level level[MULTILEVEL_MOST];
    const double *last;     /* the inverse of the last level's matrix, cells in lexicographic order */
    double *ends;           /* twice as many numbers as the last level has cells */
    void *work;             /* sv_multilevel_work() elements of the largest level for each thread */
    struct sv_ways ways;    /* where the first level is rough */
};

/* Level l + 1 from level l, which gets its shares; then what scales the rows of level l, once those are final. */
SV_BINDING void sv_multilevel_coarsen(const struct sv_multilevel *M, int l);
SV_BINDING void sv_multilevel_weigh(const struct sv_multilevel *M, int l);

/* All levels from the first one's couplings, walls, masses and inverse, but for `last`. */
SV_BINDING void sv_multilevel_setup(const struct sv_multilevel *M);

/* The visits of each level, of a hierarchy that is complete: two where two make a definite map, else one. */
SV_BINDING void sv_multilevel_settle(struct sv_multilevel *M);

/* z = M r: vectors of the first level, of the hierarchy's type. */
SV_BINDING void sv_multilevel_cycle(const struct sv_multilevel *M, const void *r, void *z);

/* The same of `cast`, and (z, q) and (z, cast). q: in float64. partial: two numbers for each plane of the first level. */
SV_BINDING void sv_multilevel_cycle_with(const struct sv_multilevel *M, const void *cast, void *z, const double *q,
                                         double *partial, double sums[2]);

/* The same in the order of the grid, with z times `scale`, by two vectors at hand. A power of two takes r to a length near 1
 * and back, so that float32 serves an r of any size. */
SV_BINDING void sv_multilevel_apply_by(const struct sv_multilevel *M, double scale, const double *r, double *z,
                                       void *given, void *result);

/* ---- the iteration outside, in float64 ---- */

/* single: whether p, z and cast are float32. `partial` has two numbers a plane. */
struct sv_outer_kernels {
    /* out = b - A x; returns (out, out). */
    double (*residual)(const struct sv_level *A, const double *diagonal, const double *b, const double *x, double *out,
                       double *partial, int threads);
    /* q = A p; returns (p, q). */
    double (*product)(const struct sv_level *A, int single, const double *diagonal, const void *p, double *q,
                      double *partial, int threads);
    /* (z, q) where z is of the cycle's type. */
    double (*dot)(const struct sv_level *A, int single, const void *z, const double *q, double *partial, int threads);
    /* p = z + beta p, where beta is 0 whatever p was; q = A p; returns (p, q). */
    double (*direction)(const struct sv_level *A, int single, const double *diagonal, double beta, const void *z, void *p,
                        double *q, double *partial, int threads);
    /* x += alpha p, r -= alpha q, cast = scale r; returns (r, r). */
    double (*advance)(const struct sv_level *A, int single, double alpha, double scale, const void *p,
                      const double *q, double *x, double *r, void *cast, double *partial, int threads);
    /* cast = scale r. */
    void (*cast)(const struct sv_level *A, int single, double scale, const double *r, void *cast, int threads);
    void (*unpack)(const struct sv_level *A, const double *from, double *to, int threads);
};

SV_BINDING const struct sv_outer_kernels *sv_outer_kernels(void);

#endif
