/* Blocks of rows as tasks: what the drivers of all passes share.
 *
 * The blocks depend on the problem alone and their sums are added in block order, so every thread count gives the
 * same bits.
 */
#ifndef SOLVERS_OT_BLOCKS_H
#define SOLVERS_OT_BLOCKS_H

#include <string.h>

#include "ot.h"

enum { MAX_BLOCKS = 16, BLOCK_MIN_ROWS = 32, PARALLEL_MIN = 32768 /* entries: some 20 microseconds */ };

static inline size_t blocks_of(size_t n)
{
    size_t blocks = (n + BLOCK_MIN_ROWS - 1) / BLOCK_MIN_ROWS;
    return blocks < MAX_BLOCKS ? blocks : MAX_BLOCKS;
}

static inline void run_blocks(size_t entries, size_t blocks, sv_task task, void *context, int threads)
{
    sv_parallel_for(entries < PARALLEL_MIN ? 1 : threads, blocks, task, context);
}

static inline void fill(double *p, size_t n, double value)
{
    for (size_t k = 0; k < n; k++)
        p[k] = value;
}

/* `out` becomes the sum of the blocks' `count` sums each, which begin `stride` apart. */
static inline void sum_blocks(const double *sums, size_t blocks, size_t stride, size_t count, double *out)
{
    memcpy(out, sums, count * sizeof(double));
    for (size_t block = 1; block < blocks; block++)
        for (size_t j = 0; j < count; j++)
            out[j] += sums[block * stride + j];
}

#endif
