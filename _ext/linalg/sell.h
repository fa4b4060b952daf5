/* A matrix whose rows stand in groups, each group's rows independent of one another, as an operand: sliced ELLPACK in
 * chunks of eight rows.
 *
 * The groups are the level sets of the triangles (wavefront: the sums of the natural order, up to rounding), the colours
 * of a colouring (another iteration than the natural one), or the level sets inside of blocks of rows that have colours
 * (between the two: threads wait for one another once a colour). Unknowns are kept in the order of the groups, each
 * group padded to whole chunks by rows of the identity. L is what stands before the diagonal in that order; with level
 * sets that is L in the user's order as well.
 */
#ifndef SOLVERS_LINALG_SELL_H
#define SOLVERS_LINALG_SELL_H

#include <stdint.h>

#include "operand.h"

enum { SV_CHUNK = 8, SV_PIECES = 16 /* of a group, at most */ };

/* Eight rows. Slots [0, lower) are those of L, then come those of U. Slot s of row k has its value at
 * values[8 (first_lower + s) + k], or values[8 (first_upper + s - lower) + k]: the triangles lie apart, so that a solve
 * with one reads no other. Its column is index[at + s] + k, one number a slot: the rows of a grid have their neighbours
 * side by side, as they stand themselves. Where that would take too many slots, each has a column of its own:
 * index[at + 8 s + k]. Unused slots are 0. */
struct sv_chunk {
    int64_t first_lower, first_upper, at;
    int32_t lower;
    uint32_t upper : 31, gathered : 1;
};

/* Chunks [chunk, end) of a group, or of all groups of a block; that group's, or colour's, pieces are [first, last). */
struct sv_piece {
    int64_t chunk, end, first, last;
};

struct sv_sell {
    size_t chunks, pieces;
    const struct sv_chunk *chunk;
    const struct sv_piece *piece;
    const int32_t *index;
    const void *values; /* float64 or float32 */
    const double *inverse_diagonal;
    int in_blocks; /* whether the groups are those of blocks with colours */
    int split; /* whether groups are large enough to be shared by threads */
};

SV_BINDING const struct sv_operand_kernels *sv_sell_kernels(int float32_values);

/* What the kernels of a pass are told; b, x, out, d as the operation's own. */
struct sv_sell_pass {
    const struct sv_operand *A;
    double omega, momentum;
    const double *b, *x;
    double *out, *d;
};

/* The operation on chunks [first, last), its terms added to the lanes of `sum`. */
typedef void (*sv_sell_kernel)(const struct sv_sell_pass *pass, size_t first, size_t last, double sum[SV_CHUNK]);

/* Runs the kernel on all chunks, group after group (backward: from the last, and the kernel goes through its chunks from
 * the last too), or in any order; returns the sum. Both in
 * threads, whose number does not change a bit. */
double sv_sell_in_groups(const struct sv_sell_pass *pass, sv_sell_kernel kernel, int backward);
double sv_sell_everywhere(const struct sv_sell_pass *pass, sv_sell_kernel kernel);

#endif
