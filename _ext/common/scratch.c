/* Memory for the vectors of a solve, kept from one solve to the next.
 *
 * The first touch of a page costs more than some passes of arithmetic over it, and malloc hands blocks back to the system
 * as soon as 128 KiB are free at its end, so a program that solves again and again would pay each time: a solve with a
 * dozen vectors of 80 KB loses a third of its time. Here blocks rest in a list of free ones, for the next solve of about
 * their size. Middling ones are malloc's. Large ones are the system's, in huge pages, which it may take (MADV_FREE) while
 * they rest if it is short of memory; what it left is at hand without a fault. Small ones go straight to malloc.
 *
 * No more than a store's `most` bytes rest in it. Nobody waits for a list: who finds it taken (in a child of fork() it may
 * stay so) goes without. Where there is no mmap, or addresses are watched, all blocks are malloc's.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

#if defined(__unix__) && !defined(__SANITIZE_ADDRESS__)
#include <sys/mman.h>
#endif
#if defined(MADV_FREE) && defined(MAP_ANONYMOUS)
#define KEEPS_BLOCKS
#endif

#define LINE ((size_t)64)

static size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

static void *from_heap(size_t bytes)
{
    void *block = aligned_alloc(LINE, rounded(bytes ? bytes : 1, LINE));
    if (block)
        memset(block, 0, bytes);
    return block;
}

#ifdef KEEPS_BLOCKS

#include <pthread.h>
#include <stdatomic.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define PAGE ((size_t)4 << 10)
/* Bytes from which blocks are middling, and large. */
#define MIDDLING (4 * PAGE)
#define LARGE (2 * HUGE_PAGE)
enum { PLACES = 64 };

/* The free blocks of a kind, the one that has rested longest first. */
struct store {
    pthread_mutex_t taken;
    size_t most, count;
    atomic_size_t bytes; /* read without the lock */
    struct {
        void *block;
        size_t bytes;
    } at[PLACES];
};

static struct store middling = {.taken = PTHREAD_MUTEX_INITIALIZER, .most = (size_t)32 << 20},
                    large = {.taken = PTHREAD_MUTEX_INITIALIZER, .most = (size_t)1 << 30};

static void *from_system(size_t bytes)
{
    char *room = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    size_t before = rounded((uintptr_t)room, HUGE_PAGE) - (uintptr_t)room;
    if (before)
        munmap(room, before);
    if (before < HUGE_PAGE)
        munmap(room + before + bytes, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    madvise(room + before, bytes, MADV_HUGEPAGE);
#endif
    return room + before;
}

static void back_to_system(const struct store *store, void *block, size_t bytes)
{
    if (store == &large)
        munmap(block, bytes);
    else
        free(block);
}

/* Takes the k-th block off the list. */
static void *remove_at(struct store *store, size_t k, size_t *bytes)
{
    void *block = store->at[k].block;
    *bytes = store->at[k].bytes;
    store->bytes -= *bytes;
    store->count--;
    memmove(store->at + k, store->at + k + 1, (store->count - k) * sizeof *store->at);
    return block;
}

static void *from_rest(struct store *store, size_t bytes)
{
    void *block = NULL;
    if (pthread_mutex_trylock(&store->taken))
        return NULL;
    for (size_t k = store->count; k-- > 0 && !block;)
        if (store->at[k].bytes == bytes)
            block = remove_at(store, k, &bytes);
    pthread_mutex_unlock(&store->taken);
    return block;
}

static void put_to_rest(struct store *store, void *block, size_t bytes)
{
    if (bytes > store->most || pthread_mutex_trylock(&store->taken)) {
        back_to_system(store, block, bytes);
        return;
    }
    if (store == &large)
        madvise(block, bytes, MADV_FREE);
    while (store->count == PLACES || store->bytes + bytes > store->most) {
        size_t oldest;
        void *gone = remove_at(store, 0, &oldest);
        back_to_system(store, gone, oldest);
    }
    store->at[store->count].block = block;
    store->at[store->count++].bytes = bytes;
    store->bytes += bytes;
    pthread_mutex_unlock(&store->taken);
}

/* Blocks come in steps of an eighth, so that solves of nearly the same size share them. */
static size_t block_size(size_t bytes)
{
    size_t step = bytes < LARGE ? PAGE : HUGE_PAGE;
    while (8 * step < bytes)
        step *= 2;
    return rounded(bytes, step);
}

void *sv_scratch_take(size_t bytes, int *used)
{
    *used = 0;
    if (bytes < MIDDLING)
        return from_heap(bytes);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    struct store *store = bytes < LARGE ? &middling : &large;
    void *block = from_rest(store, block_size(bytes));
    *used = block != NULL;
    if (block)
        return block;
    return store == &large ? from_system(block_size(bytes)) : from_heap(block_size(bytes));
}

void sv_scratch_give(void *block, size_t bytes)
{
    if (bytes < MIDDLING)
        free(block);
    else
        put_to_rest(bytes < LARGE ? &middling : &large, block, block_size(bytes));
}

size_t sv_scratch_resting(void) { return middling.bytes + large.bytes; }

static void release(struct store *store)
{
    if (pthread_mutex_trylock(&store->taken))
        return;
    while (store->count) {
        size_t bytes;
        void *block = remove_at(store, store->count - 1, &bytes);
        back_to_system(store, block, bytes);
    }
    pthread_mutex_unlock(&store->taken);
}

void sv_scratch_release(void)
{
    release(&middling);
    release(&large);
}

#else

void *sv_scratch_take(size_t bytes, int *used)
{
    *used = 0;
    return from_heap(bytes);
}

void sv_scratch_give(void *block, size_t bytes)
{
    (void)bytes;
    free(block);
}

size_t sv_scratch_resting(void) { return 0; }

void sv_scratch_release(void) {}

#endif
