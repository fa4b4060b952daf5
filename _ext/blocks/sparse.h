/* Products with compressed sparse matrices. A segment is a row of CSR or a column of CSC, and `starts` says where each
 * begins: the four products are two, since the columns of a CSR matrix are met as the rows of a CSC one are. */
#ifndef SOLVERS_BLOCKS_SPARSE_H
#define SOLVERS_BLOCKS_SPARSE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

struct sv_compressed {
    const int32_t *starts, *index; /* index: the row within a column of CSC, the column within a row of CSR */
    const double *value;
    const float *single; /* the entries in place of `value`, where it is not NULL: they are widened as they are read */
};

/* Entry e. Loops over entries take a copy of the matrix, which no store can change, so that the question leaves them. */
static inline double sv_compressed_entry(const struct sv_compressed *X, size_t e)
{
    return X->single ? (double)X->single[e] : X->value[e];
}

/* out[k] = segment k . x, for the `count` segments that `list` names, or the first ones where it is NULL. */
SV_BINDING void sv_compressed_gather(const struct sv_compressed *X, size_t count, const int32_t *list, const double *x,
                                   double *out);

/* out += sum_k factor[k] segment k. */
SV_BINDING void sv_compressed_scatter(const struct sv_compressed *X, size_t count, const int32_t *list,
                                    const double *factor, double *out);

/* What entries of segments may be: of one value in each of them (1 where a factor has a level, for one), or of several. */
enum { SV_MIXED = 1, SV_FLAT };
/* Whether each of the first `count` segments has one value at all its places. */
SV_BINDING int sv_compressed_is_flat(const struct sv_compressed *X, size_t count);

/* The sums of the squares of `count` segments, and of the entries of each of `width` indices, where they are not NULL
 * (by_index of zeros). Returns what the entries are, or 0 where the indices of a segment do not rise or are not below
 * `width`; the sums are of no use then. */
SV_BINDING int sv_compressed_squares(const struct sv_compressed *X, size_t count, size_t width, double *by_segment,
                                   double *by_index);

/* The former, and segment k . x, in one pass over the memory; without x (NULL) the squares alone. */
SV_BINDING int sv_compressed_squares_and_dots(const struct sv_compressed *X, size_t count, size_t width, const double *x,
                                              double *squares, double *dots);

/* The columns that `list` names, rising, of an n-row CSC matrix as the rows of a CSR one: starts of n + 1, place and
 * value of all their entries. */
SV_BINDING void sv_compressed_csc_rows(const struct sv_compressed *X, size_t p, const int32_t *list, size_t n,
                                     int32_t *starts, int32_t *place, double *value);

/* Segments that `list` names as dense ones of `width` entries, one after the other; out of zeros. */
SV_BINDING void sv_compressed_spread(const struct sv_compressed *X, size_t count, const int32_t *list, size_t width,
                                   double *out);

/* out (count_left x count_right) = X_left' D X_right of CSC columns of n rows; work: n zeros, which it leaves. With `right`
 * NULL it is `left`, and only the upper triangle is computed, then mirrored. */
SV_BINDING void sv_compressed_csc_cross(const struct sv_compressed *X, size_t count_left, const int32_t *left,
                                      size_t count_right, const int32_t *right, const double *weights, double *work,
                                      double *out);

/* The entries of the columns whose where[column] is not negative, of a CSR matrix of n rows, with that as their place.
 * Returns how many there are; with place NULL it only counts. */
SV_BINDING size_t sv_compressed_csr_rows(const struct sv_compressed *X, size_t n, const int32_t *where, int32_t *starts,
                                       int32_t *place, double *value);

/* H (p x p, rows of `stride`, zeros) += X' D X of the n rows of a CSR matrix of p columns, indices rising. */
SV_BINDING void sv_compressed_gram(const struct sv_compressed *rows, size_t n, const double *weights, double *H,
                                 size_t stride, size_t p);

/* The upper triangle of H (p x p, rows of `stride`) = X'X of the `count` columns W that `list` names, or the first ones, of
 * an n-row CSC matrix that is flat. bits: count * words; cursor: count. */
void sv_compressed_flat_gram(const struct sv_compressed *X, size_t n, size_t count, const int32_t *list, uint64_t *bits,
                             size_t words, int32_t *cursor, double *H, size_t stride);

struct sparse_kernels {
    void (*gather)(const struct sv_compressed *X, size_t count, const int32_t *list, const double *x, double *out);
    /* sums[k] += how many bits of `own` the k-th of `count` rows of so many words has, too. */
    void (*common)(const uint64_t *own, const uint64_t *rows, size_t count, size_t words, double *sums);
};

#endif
