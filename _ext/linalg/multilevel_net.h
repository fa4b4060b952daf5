/* Learned corrections of a level and the next, in the set-up: see solvers/linalg/_corrections.py. */
#ifndef SOLVERS_LINALG_MULTILEVEL_NET_H
#define SOLVERS_LINALG_MULTILEVEL_NET_H

#include "multilevel.h"

enum { NET_HIDDEN = 8, NET_INPUTS = 17, NET_PARAMETERS = 17 * 8 + 8 + 32 * 8 + 8 + 8 + 8 + 16 + 16 };

struct sv_learned_kernels {
    /* Changes shares of `fine` and couplings, sinks and inverse of `coarse`, as `coarsen` left them; `factor`, a field
     * of the fine level, is what its scale is to be multiplied by after `weigh`. The coarse inverse is left as `invert`
     * takes it. parameters: NET_PARAMETERS numbers; pools: zeros; work: net_work() elements for each thread. */
    void (*correct)(const struct sv_level *fine, const struct sv_level *coarse, const void *parameters, void *factor,
                    void *pools, void *work, int threads);
    void (*rescale)(const struct sv_level *fine, const void *factor, int threads);
};

/* Level l + 1 made and corrected, and level l's scale. factor: a field of the first level; pools and work: of the
 * elements below, which hold for all levels. */
SV_BINDING void sv_learned_coarsen(const struct sv_multilevel *M, int l, const void *parameters, void *factor, void *pools,
                               void *work);

/* Elements of both. */
SV_BINDING size_t sv_learned_pools(const struct sv_multilevel *M);
SV_BINDING size_t sv_learned_work(const struct sv_multilevel *M);

/* Elements of a thread's work. */
static inline size_t net_work(const struct sv_level *g)
{
    size_t rows = (size_t)g->n[1], pitch = (size_t)g->pitch;
    /* rings of the diagonal, features, the first layer, flags; rows of what lies outside, zeros, heads */
    return 4 * rows * pitch * (1 + 9 + 3 * NET_HIDDEN + 2) + (5 + (NET_HIDDEN + 1) + 13) * pitch + 64;
}

#endif
