/* Dots of sparse segments with a dense vector: see sparse.h.
 *
 * The gathers bound it where x is in a near cache, else memory (see segments.h). In NumPy:
 *     out = np.add.reduceat(value * x[index], starts[:-1])
 */
#include "sparse.h"

#include "segments.h"

static void gather(const struct sv_compressed *X, size_t count, const int32_t *list, const double *x, double *out)
{
    for (size_t k = 0; k < count; k++) {
        size_t j = list ? (size_t)list[k] : k, from = (size_t)X->starts[j], entries = (size_t)X->starts[j + 1] - from;
        out[k] = X->single ? segment_dot_single(X->index + from, X->single + from, x, entries)
                           : segment_dot(X->index + from, X->value + from, x, entries);
    }
}

#ifndef V_HAS_COMMON
INLINE int64_t v_common(const uint64_t *a, const uint64_t *b, size_t words)
{
    int64_t bits = 0;
    for (size_t i = 0; i < words; i++)
        bits += __builtin_popcountll(a[i] & b[i]);
    return bits;
}
#endif

static void common(const uint64_t *own, const uint64_t *rows, size_t count, size_t words, double *sums)
{
    for (size_t k = 0; k < count; k++, rows += words)
        sums[k] += (double)v_common(own, rows, words);
}

const struct sparse_kernels SV_TABLE(sparse_kernels) = {gather, common};
