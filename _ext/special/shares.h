/* Many small pieces of work as few tasks for the thread pool. */
#ifndef SOLVERS_SHARES_H
#define SOLVERS_SHARES_H

#include "../common/runtime.h"

enum { SHARES = 64 }; /* enough for balance; a task of its own for every short row would cost more than the row */

struct shares {
    sv_task one;
    void *context;
    size_t count;
};

static void run_share(void *context, size_t k)
{
    const struct shares *all = context;
    size_t shares = all->count < SHARES ? all->count : SHARES;
    for (size_t i = all->count * k / shares; i < all->count * (k + 1) / shares; i++)
        all->one(all->context, i);
}

/* Calls one(context, i) for every i in [0, count). */
static inline void for_shares(int threads, size_t count, sv_task one, void *context)
{
    struct shares all = {one, context, count};
    sv_parallel_for(threads, count < SHARES ? count : SHARES, run_share, &all);
}

#endif
