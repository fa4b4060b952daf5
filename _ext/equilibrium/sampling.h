/* Sampling of components: alias tables, uniform draws, draws without replacement. */
#ifndef SOLVERS_EQUILIBRIUM_SAMPLING_H
#define SOLVERS_EQUILIBRIUM_SAMPLING_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* Column i of the table stands for i below its threshold, in units of 2^-32, and for its alias above. */
struct sv_alias {
    size_t n;
    uint32_t *threshold;
    uint32_t *alias;
};

/* From weights > 0 of finite sum, n < 2^32; `work` has 2n doubles. What is drawn with which probability is told
 * exactly: by `probability`, which differs from the normalised weights by at most 2^-32. */
SV_BINDING void sv_alias_build(struct sv_alias *table, const double *weight, double *probability, double *work);

/* count indices: draws first, first + 1, ... of the stream. */
SV_BINDING void sv_alias_draw(const struct sv_alias *table, uint64_t seed, uint64_t stream, uint64_t first,
                              size_t count, int64_t *out);
SV_BINDING void sv_uniform_draw(size_t n, uint64_t seed, uint64_t stream, uint64_t first, size_t count, int64_t *out);

/* The first count places of a shuffle of `order` (any permutation of 0..n-1): a uniform draw without replacement. */
SV_BINDING void sv_shuffle_some(int64_t *order, size_t n, uint64_t seed, uint64_t stream, uint64_t first, size_t count);

/* count numbers uniform in [0, 1). */
SV_BINDING void sv_uniform_numbers(uint64_t seed, uint64_t stream, uint64_t first, size_t count, double *out);

#endif
