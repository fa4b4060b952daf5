/* Memory that is used again: zeros at first, one owner at a time, back after use, in every situation. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "runtime.h"

enum { SMALL = 1000, MIDDLING = 80000, LARGE = 9 << 20, ROUNDS = 200, CALLERS = 4 };

static int is_zero(const char *block, size_t bytes)
{
    for (size_t k = 0; k < bytes; k++)
        if (block[k])
            return 0;
    return 1;
}

static void test_new_blocks_are_zeros_at_a_line(void)
{
    const size_t sizes[] = {0, 1, 64, SMALL, (16 << 10) - 1, 16 << 10, MIDDLING, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, LARGE};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int used;
        sv_scratch_release();
        char *block = sv_scratch_take(sizes[k], &used);
        CHECK(block && (uintptr_t)block % 64 == 0, "%zu bytes at %p", sizes[k], (void *)block);
        CHECK(!used && is_zero(block, sizes[k]), "%zu bytes", sizes[k]);
        sv_scratch_give(block, sizes[k]);
    }
}

static void test_a_block_comes_back(size_t bytes)
{
    int used, again;
    sv_scratch_release();
    char *first = sv_scratch_take(bytes, &used);
    memset(first, 1, bytes);
    sv_scratch_give(first, bytes);
    if (sv_scratch_resting() == 0) /* a sanitizer watches: blocks are malloc's */
        return;
    char *second = sv_scratch_take(bytes - 5, &again), *third = sv_scratch_take(bytes, &used);
    CHECK(second == first && third != first && !used, "%p, %p, %p", (void *)first, (void *)second, (void *)third);
    CHECK(again && is_zero(third, bytes), "%zu bytes", bytes);
    sv_scratch_give(second, bytes - 5);
    sv_scratch_give(third, bytes);
    CHECK(sv_scratch_resting() >= 2 * bytes, "%zu", sv_scratch_resting());
    sv_scratch_release();
    CHECK(sv_scratch_resting() == 0, "%zu", sv_scratch_resting());
}

/* Blocks below four megabytes. */
static void test_no_more_than_32_middling_megabytes_rest(void)
{
    void *blocks[50];
    int used;
    sv_scratch_release();
    for (size_t k = 0; k < 50; k++)
        blocks[k] = sv_scratch_take((size_t)MIDDLING * (1 + k % 41), &used);
    for (size_t k = 0; k < 50; k++)
        sv_scratch_give(blocks[k], (size_t)MIDDLING * (1 + k % 41));
    CHECK(sv_scratch_resting() <= (size_t)32 << 20, "%zu", sv_scratch_resting());
    sv_scratch_release();
}

static void test_no_more_than_a_gigabyte_rests(void)
{
    void *blocks[100];
    int used;
    for (size_t k = 0; k < 100; k++)
        blocks[k] = sv_scratch_take((size_t)LARGE * (1 + k % 7), &used);
    for (size_t k = 0; k < 100; k++)
        sv_scratch_give(blocks[k], (size_t)LARGE * (1 + k % 7));
    CHECK(sv_scratch_resting() <= (size_t)1 << 30, "%zu", sv_scratch_resting());
    sv_scratch_release();
}

/* Fills blocks with its own number and looks whether anyone else writes there. */
static void *use(void *number)
{
    char own = *(char *)number;
    for (int round = 0; round < ROUNDS; round++) {
        size_t bytes = (size_t)(5 + round % 3) << (round % 2 ? 20 : 14);
        int used;
        char *block = sv_scratch_take(bytes, &used);
        for (size_t k = 0; k < bytes; k += 4096)
            block[k] = own;
        for (size_t k = 0; k < bytes; k += 4096)
            CHECK(block[k] == own, "%d in the block of %d", block[k], own);
        sv_scratch_give(block, bytes);
    }
    return NULL;
}

static void test_threads_own_what_they_take(void)
{
    pthread_t threads[CALLERS];
    char numbers[CALLERS];
    for (int k = 0; k < CALLERS; k++) {
        numbers[k] = (char)(k + 1);
        pthread_create(&threads[k], NULL, use, &numbers[k]);
    }
    for (int k = 0; k < CALLERS; k++)
        pthread_join(threads[k], NULL);
}

static void test_a_child_has_its_own(void)
{
    int used, status;
    char *block = sv_scratch_take(LARGE, &used);
    memset(block, 1, LARGE);
    sv_scratch_give(block, LARGE);
    pid_t child = fork();
    if (child == 0) {
        char *own = sv_scratch_take(LARGE, &used);
        memset(own, 2, LARGE);
        sv_scratch_give(own, LARGE);
        _exit(0);
    }
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
    sv_scratch_release();
}

int main(void)
{
    alarm(240); /* a lock that hangs fails the test */
    test_new_blocks_are_zeros_at_a_line();
    test_a_block_comes_back(MIDDLING);
    test_a_block_comes_back(LARGE);
    test_no_more_than_32_middling_megabytes_rest();
    test_no_more_than_a_gigabyte_rests();
    test_threads_own_what_they_take();
    test_a_child_has_its_own();
    return report();
}
