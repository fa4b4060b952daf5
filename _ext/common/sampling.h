/* Sampling of components: alias tables, uniform draws, draws without replacement. */
#ifndef SOLVERS_SAMPLING_H
#define SOLVERS_SAMPLING_H

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

/* count <= n distinct indices, all sets of them as likely as one another. order: 0, 1, ..., n-1, and so again after. */
SV_BINDING void sv_distinct_draw(int64_t *order, size_t n, uint64_t seed, uint64_t stream, uint64_t first, size_t count,
                                 int64_t *out);

/* count numbers uniform in [0, 1). */
SV_BINDING void sv_uniform_numbers(uint64_t seed, uint64_t stream, uint64_t first, size_t count, double *out);

/* Components that a user compiled: value i of z goes to row k of out, i the k-th index. */
typedef void (*sv_component)(int64_t i, int size, const double *z, double *out, void *data);
SV_BINDING void sv_components(sv_component function, void *data, const int64_t *index, size_t count, int size,
                              const double *z, double *out);

#endif
