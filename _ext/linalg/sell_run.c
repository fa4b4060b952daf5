/* The passes of sell.c over all chunks, by one thread or several.
 *
 * In groups: threads draw pieces of the groups in turn. A piece is begun when all pieces of the groups before are done;
 * since pieces are drawn in order, their number tells that. Nobody waits for a thread that has not come: one alone does
 * everything. But a thread that loses its core in the middle of a piece holds up the others: groups should be large,
 * and small ones are left to one thread (`split`).
 * Sums: piece k of each group adds to bin k, group after group, so no order of threads changes them.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>

#include "sell.h"

enum { BLOCKS = 64, BLOCK_CHUNKS = 1024, SPINS = 500 };

static double folded(const double sum[SV_CHUNK])
{
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static double folded_bins(double (*bins)[SV_CHUNK], size_t count)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += folded(bins[k]);
    return sum;
}

struct team {
    const struct sv_sell_pass *pass;
    sv_sell_kernel kernel;
    int backward;
    double bins[SV_PIECES][SV_CHUNK];
    _Alignas(64) atomic_size_t drawn;
    _Alignas(64) atomic_size_t done;
};

static void wait_until(atomic_size_t *done, size_t pieces)
{
    for (int spins = 0; atomic_load_explicit(done, memory_order_acquire) < pieces; spins++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        if (spins > SPINS) /* the others may have lost their core */
            sched_yield();
    }
}

static void member(void *context, size_t index)
{
    (void)index;
    struct team *team = context;
    const struct sv_sell *S = team->pass->A->matrix;
    for (;;) {
        size_t turn = atomic_fetch_add_explicit(&team->drawn, 1, memory_order_relaxed);
        if (turn >= S->pieces)
            return;
        const size_t at = team->backward ? S->pieces - 1 - turn : turn;
        const struct sv_piece *piece = &S->piece[at];
        wait_until(&team->done, team->backward ? S->pieces - (size_t)piece->last : (size_t)piece->first);
        team->kernel(team->pass, (size_t)piece->chunk, (size_t)piece->end, team->bins[at - (size_t)piece->first]);
        atomic_fetch_add_explicit(&team->done, 1, memory_order_release);
    }
}

static double alone(const struct sv_sell_pass *pass, sv_sell_kernel kernel, int backward)
{
    const struct sv_sell *S = pass->A->matrix;
    double bins[SV_PIECES][SV_CHUNK] = {{0}};
    for (size_t turn = 0; turn < S->pieces; turn++) {
        size_t at = backward ? S->pieces - 1 - turn : turn;
        const struct sv_piece *piece = &S->piece[at];
        kernel(pass, (size_t)piece->chunk, (size_t)piece->end, bins[at - (size_t)piece->first]);
    }
    return folded_bins(bins, SV_PIECES);
}

double sv_sell_in_groups(const struct sv_sell_pass *pass, sv_sell_kernel kernel, int backward)
{
    const struct sv_sell *S = pass->A->matrix;
    int threads = pass->A->threads < SV_PIECES ? pass->A->threads : SV_PIECES;
    if (threads < 2 || !S->split)
        return alone(pass, kernel, backward);
    struct team team = {.pass = pass, .kernel = kernel, .backward = backward};
    sv_parallel_for(threads, (size_t)threads, member, &team);
    return folded_bins(team.bins, SV_PIECES);
}

struct blocks {
    const struct sv_sell_pass *pass;
    sv_sell_kernel kernel;
    size_t chunks; /* of a block */
    double bins[BLOCKS][SV_CHUNK];
};

static void block(void *context, size_t index)
{
    struct blocks *blocks = context;
    size_t all = ((const struct sv_sell *)blocks->pass->A->matrix)->chunks;
    size_t first = index * blocks->chunks, last = first + blocks->chunks;
    if (first < all)
        blocks->kernel(blocks->pass, first, last < all ? last : all, blocks->bins[index]);
}

double sv_sell_everywhere(const struct sv_sell_pass *pass, sv_sell_kernel kernel)
{
    size_t all = ((const struct sv_sell *)pass->A->matrix)->chunks;
    size_t count = all / BLOCK_CHUNKS < 1 ? 1 : all / BLOCK_CHUNKS < BLOCKS ? all / BLOCK_CHUNKS : BLOCKS;
    struct blocks blocks = {.pass = pass, .kernel = kernel, .chunks = (all + count - 1) / count};
    sv_parallel_for(pass->A->threads, count, block, &blocks);
    return folded_bins(blocks.bins, count);
}
