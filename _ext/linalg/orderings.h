/* The analysis of a sparse pattern: groups of independent rows, and their layout in chunks (sell.h). */
#ifndef SOLVERS_LINALG_ORDERINGS_H
#define SOLVERS_LINALG_ORDERINGS_H

#include "sell.h"

/* Rows sorted by column, without duplicates; arrays of int32, or of int64 where wide. */
struct sv_pattern {
    size_t n;
    const void *row_starts, *columns;
    int wide;
};

/* What a pattern may be found to be; the first that holds of some row. */
enum sv_flaw { SV_SOUND, SV_BAD_STARTS, SV_BAD_COLUMN, SV_NOT_SORTED, SV_NO_DIAGONAL };

/* Where the diagonal entry of each row is, of the type of row_starts; *row becomes that of the flaw. */
SV_BINDING enum sv_flaw sv_linalg_diagonal(const struct sv_pattern *A, size_t entries, void *at, size_t *row);

/* diagonal (n) and inverse, 1 over it, of values in float64, or float32; both may be NULL. Returns the first row whose
 * diagonal entry is zero, subnormal or not finite, -1 where there is none. at: of sv_linalg_diagonal. */
SV_BINDING ptrdiff_t sv_linalg_diagonal_values(const struct sv_pattern *A, const void *at, const void *values,
                                               int float32, double *diagonal, double *inverse);

/* Whether with an entry (i, j) there is always (j, i). images, if not NULL: where the latter lies, for each entry; only
 * begun where the pattern is not symmetric. work: n of int64. */
SV_BINDING int sv_linalg_symmetric_pattern(const struct sv_pattern *A, int64_t *images, int64_t *work);

/* Whether entries (i, j) and (j, i), zero where there is none, agree: to `slack` of their sizes, or of
 * sqrt(diagonal_i diagonal_j). One pass. work: n of int64. */
SV_BINDING int sv_linalg_symmetric(const struct sv_pattern *A, const void *values, int float32, const double *diagonal,
                                   double slack, int64_t *work);

/* The level of each row: above the levels of all rows before it with which it shares an entry. Returns their number. */
SV_BINDING int64_t sv_linalg_levels(const struct sv_pattern *A, int32_t *level);

/* Blocks of rows that stand together, at most SV_BLOCKS and of at least SV_BLOCK_ROWS rows but the last; blocks of one
 * colour share no entry, and they stand in the order of the colours. Blocks are the pieces for threads. */
enum { SV_BLOCKS = SV_PIECES, SV_BLOCK_ROWS = 1024 };
/* Above this omega SSOR-CG takes more iterations in blocks, not less: what a block tells another passes two a sweep. */
#define SV_BLOCKS_OMEGA 1.65
struct sv_blocks {
    size_t count, colors;
    int32_t group[SV_BLOCKS + 1]; /* where each block's groups begin; the last is the number of groups */
    int32_t color[SV_BLOCKS];     /* of each block, ascending */
};

/* The group of each row: the level sets of the triangles inside each block, block after block, colour after colour.
 * work: n of int32. */
SV_BINDING void sv_linalg_blocks(const struct sv_pattern *A, int32_t *group, int32_t *work, struct sv_blocks *blocks);

/* A colour for each row, another than those of the rows with which it shares an entry; the pattern is symmetric.
 * Returns the number of colours; `two` finds two or returns 0. work: n of int32. */
SV_BINDING int64_t sv_linalg_two_colors(const struct sv_pattern *A, int32_t *color, int32_t *work);
SV_BINDING int64_t sv_linalg_greedy_colors(const struct sv_pattern *A, int32_t *color, int32_t *work);

/* Where chunks of each group begin (groups + 1); the last is their number. */
SV_BINDING void sv_linalg_group_chunks(size_t n, const int32_t *group, size_t groups, int64_t *chunks);

/* Unknown i of the user is number place[i] of the operand; row[p] leads back, -1 for padding. Within a group the order
 * is the user's. work: groups of int64. */
SV_BINDING void sv_linalg_places(size_t n, const int32_t *group, size_t groups, const int64_t *chunks, int32_t *place,
                                 int32_t *row, int64_t *work);

/* The chunks; *slots and *indices become their numbers in all. */
SV_BINDING void sv_linalg_layout(const struct sv_pattern *A, size_t chunks, const int32_t *place, const int32_t *row,
                                 struct sv_chunk *chunk, int64_t *slots, int64_t *indices);

/* Where the value of each entry of A goes among the slots', -1 for the diagonal: int32, or int64 where wide. */
struct sv_destinations {
    void *to;
    int wide;
};

/* The columns of the slots, and the destinations. */
SV_BINDING void sv_linalg_slots(const struct sv_pattern *A, size_t chunks, const int32_t *place, const int32_t *row,
                                const struct sv_chunk *chunk, int32_t *index, struct sv_destinations to);

/* The pieces of the groups for threads, at most SV_PIECES a group; returns their number. piece may be NULL. */
SV_BINDING size_t sv_linalg_pieces(size_t groups, const int64_t *chunks, struct sv_piece *piece);

/* The same where the groups are those of blocks, which are the pieces. */
SV_BINDING void sv_linalg_block_pieces(const struct sv_blocks *blocks, const int64_t *chunks, struct sv_piece *piece);

/* values[to[k]] = data[k]; both float64, or both float32. */
SV_BINDING void sv_linalg_fill(size_t entries, struct sv_destinations to, const void *data, int float32, void *values);

/* Vectors from the user's order to the operand's, padding 0, and back; stride: of the user's. */
SV_BINDING void sv_linalg_pack(size_t n, size_t padded, const int32_t *place, const double *from, size_t stride,
                               double *to);
SV_BINDING void sv_linalg_unpack(size_t n, const int32_t *place, const double *from, double *to, size_t stride);

#endif
