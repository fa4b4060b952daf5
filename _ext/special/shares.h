/* How work on rows is divided among threads: long rows into segments, many small pieces into few tasks. */
#ifndef SOLVERS_SHARES_H
#define SOLVERS_SHARES_H

#include "../common/runtime.h"

enum {
    SEGMENT = 32768,     /* elements: some 10 microseconds of work */
    PARALLEL_MIN = 65536, /* elements: below it waking a thread costs more than it gives */
    /* Output larger than this goes past the cache. By itself that takes less time from 1 MiB on; where results are read
     * at once, as much time at 8 MiB and less above, though the last cache may have 32 MiB: it has the input too. */
    STREAM_MIN_BYTES = 8 << 20,
    FAR_MIN_BYTES = 12 << 20 /* rows that are more in all come from memory, and are called from farther ahead */
};

static inline int threads_for(size_t elements, int threads) { return elements < PARALLEL_MIN ? 1 : threads; }

/* The segments of a row, which its length alone decides, and the elements of the k-th. */
static inline size_t segments_of(size_t length) { return (length + SEGMENT - 1) / SEGMENT; }

static inline size_t segment_of(size_t length, size_t k)
{
    size_t left = length - k * SEGMENT;
    return left < SEGMENT ? left : SEGMENT;
}

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
