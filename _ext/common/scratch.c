/* Memory for the long vectors of a solve, kept from one solve to the next.
 *
 * The first touch of a page costs more than some passes of arithmetic over it, and malloc hands large blocks back to the
 * system at once, so a program that solves again and again would pay each time. Here blocks of at least LEAST bytes rest
 * in a list of free ones, for the next solve of about their size. While they rest the system may take their pages
 * (MADV_FREE) where it is short of memory; what it left is at hand without a fault.
 *
 * No more than MOST bytes rest. Nobody waits for the list: who finds it taken (in a child of fork() it may stay so) goes
 * to the system instead. Where there is no mmap, or addresses are watched, blocks are malloc's.
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
#define LEAST (2 * HUGE_PAGE)
#define MOST ((size_t)1 << 30)
enum { PLACES = 64 };

/* The free blocks, the one that has rested longest first. */
static struct {
    pthread_mutex_t taken;
    size_t count;
    atomic_size_t bytes; /* read without the lock */
    struct {
        void *block;
        size_t bytes;
    } at[PLACES];
} rest = {.taken = PTHREAD_MUTEX_INITIALIZER};

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

/* Takes the k-th block off the list. */
static void *remove_at(size_t k, size_t *bytes)
{
    void *block = rest.at[k].block;
    *bytes = rest.at[k].bytes;
    rest.bytes -= *bytes;
    rest.count--;
    memmove(rest.at + k, rest.at + k + 1, (rest.count - k) * sizeof *rest.at);
    return block;
}

static void *from_rest(size_t bytes)
{
    void *block = NULL;
    if (pthread_mutex_trylock(&rest.taken))
        return NULL;
    for (size_t k = rest.count; k-- > 0 && !block;)
        if (rest.at[k].bytes == bytes)
            block = remove_at(k, &bytes);
    pthread_mutex_unlock(&rest.taken);
    return block;
}

static void put_to_rest(void *block, size_t bytes)
{
    if (bytes > MOST || pthread_mutex_trylock(&rest.taken)) {
        munmap(block, bytes);
        return;
    }
    madvise(block, bytes, MADV_FREE);
    while (rest.count == PLACES || rest.bytes + bytes > MOST) {
        size_t oldest;
        void *gone = remove_at(0, &oldest);
        munmap(gone, oldest);
    }
    rest.at[rest.count].block = block;
    rest.at[rest.count++].bytes = bytes;
    rest.bytes += bytes;
    pthread_mutex_unlock(&rest.taken);
}

/* Blocks come in steps of an eighth, so that solves of nearly the same size share them. */
static size_t block_size(size_t bytes)
{
    size_t step = HUGE_PAGE;
    while (8 * step < bytes)
        step *= 2;
    return rounded(bytes, step);
}

void *sv_scratch_take(size_t bytes, int *used)
{
    *used = 0;
    if (bytes < LEAST)
        return from_heap(bytes);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    void *block = from_rest(block_size(bytes));
    *used = block != NULL;
    return block ? block : from_system(block_size(bytes));
}

void sv_scratch_give(void *block, size_t bytes)
{
    if (bytes < LEAST)
        free(block);
    else
        put_to_rest(block, block_size(bytes));
}

size_t sv_scratch_resting(void) { return rest.bytes; }

void sv_scratch_release(void)
{
    if (pthread_mutex_trylock(&rest.taken))
        return;
    while (rest.count) {
        size_t bytes;
        void *block = remove_at(rest.count - 1, &bytes);
        munmap(block, bytes);
    }
    pthread_mutex_unlock(&rest.taken);
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
