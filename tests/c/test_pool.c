/* The thread pool: every index once, in every situation in which a library is called. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "runtime.h"

enum { MAX_TASKS = 1000, CALLERS = 4, FORKS = 20 };

struct counts {
    atomic_int done[MAX_TASKS + 1];
};

static void count(void *context, size_t index)
{
    struct counts *counts = context;
    atomic_fetch_add(&counts->done[index], 1);
}

static int each_once(struct counts *counts, size_t tasks)
{
    for (size_t k = 0; k <= MAX_TASKS; k++)
        if (atomic_load(&counts->done[k]) != (k < tasks))
            return 0;
    return 1;
}

static int runs_each_once(int threads, size_t tasks)
{
    struct counts counts = {{0}};
    sv_parallel_for(threads, tasks, count, &counts);
    return each_once(&counts, tasks);
}

static void test_every_index_once(void)
{
    const int threads[] = {-1, 0, 1, 2, 3, 8, 64, 1000000};
    const size_t tasks[] = {0, 1, 2, 3, 7, 64, 999, 1000};
    for (int repeat = 0; repeat < 50; repeat++)
        for (int t = 0; t < 8; t++)
            for (int k = 0; k < 8; k++)
                CHECK(runs_each_once(threads[t], tasks[k]), "%d threads, %zu tasks", threads[t], tasks[k]);
}

/* Two tasks that wait for each other: they end only if two threads run them at the same time. */
static void meet(void *context, size_t index)
{
    (void)index;
    pthread_barrier_wait(context);
}

static void test_threads_run_at_once(void)
{
    pthread_barrier_t barrier;
    for (unsigned threads = 2; threads <= 4; threads++) {
        pthread_barrier_init(&barrier, NULL, threads);
        for (int repeat = 0; repeat < 20; repeat++)
            sv_parallel_for((int)threads, threads, meet, &barrier);
        pthread_barrier_destroy(&barrier);
    }
}

/* ---- a call from inside a task ---------------------------------------------------------------- */

struct inner {
    pthread_t thread;
    struct counts counts;
    atomic_int elsewhere;
};

static void count_inside(void *context, size_t index)
{
    struct inner *inner = context;
    atomic_fetch_add(&inner->elsewhere, !pthread_equal(pthread_self(), inner->thread));
    count(&inner->counts, index);
}

static void call_from_task(void *context, size_t index)
{
    static const struct inner fresh;
    struct inner inner = fresh;
    inner.thread = pthread_self();
    sv_parallel_for(4, 100, count_inside, &inner);
    CHECK(atomic_load(&inner.elsewhere) == 0, "a nested task left its thread");
    CHECK(each_once(&inner.counts, 100), "nested");
    count(context, index);
}

static void test_nested_call(void)
{
    for (int repeat = 0; repeat < 20; repeat++) {
        struct counts outer = {{0}};
        sv_parallel_for(3, 50, call_from_task, &outer);
        CHECK(each_once(&outer, 50), "outer");
        CHECK(runs_each_once(3, 50), "the pool serves again after a nested call");
    }
}

/* ---- several callers -------------------------------------------------------------------------- */

static void *keep_calling(void *stop)
{
    long good = 0, calls = 0;
    do {
        good += runs_each_once(1 + (int)(calls % 5), (size_t)(calls % 60));
        calls++;
    } while (stop ? !atomic_load((atomic_int *)stop) : calls < 300);
    return (void *)(calls - good);
}

static void test_several_callers(void)
{
    pthread_t callers[CALLERS];
    void *bad;
    for (int k = 0; k < CALLERS; k++)
        if (pthread_create(&callers[k], NULL, keep_calling, NULL))
            exit(2);
    for (int k = 0; k < CALLERS; k++) {
        pthread_join(callers[k], &bad);
        CHECK(bad == NULL, "%ld bad calls", (long)bad);
    }
}

/* ---- fork ------------------------------------------------------------------------------------- */

static void barrier_of_two(void)
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    sv_parallel_for(2, 2, meet, &barrier);
    pthread_barrier_destroy(&barrier);
}

/* How a child that uses the pool ended; alarm() ends one that hangs. */
static int child_status(void)
{
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        int good = runs_each_once(4, 500);
        barrier_of_two(); /* the child has threads of its own */
        _exit(good && runs_each_once(3, 64) ? 0 : 3);
    }
    waitpid(child, &status, 0);
    return status;
}

static void test_fork_after_a_call(void)
{
    CHECK(runs_each_once(4, 500), "before fork");
    for (int k = 0; k < 3; k++)
        CHECK(child_status() == 0, "a child hung or failed");
    CHECK(runs_each_once(4, 500), "after fork");
}

static void test_fork_amid_calls_of_another_thread(void)
{
    pthread_t caller;
    atomic_int stop = 0;
    void *bad;
    if (pthread_create(&caller, NULL, keep_calling, &stop))
        exit(2);
    for (int k = 0; k < FORKS; k++)
        CHECK(child_status() == 0, "a child hung or failed");
    atomic_store(&stop, 1);
    pthread_join(caller, &bad);
    CHECK(bad == NULL, "%ld bad calls", (long)bad);
}

/* ThreadSanitizer itself cannot start threads in a forked child. */
static void test_fork(void)
{
#ifndef __SANITIZE_THREAD__
    test_fork_after_a_call();
    test_fork_amid_calls_of_another_thread();
#else
    printf("fork not tested under ThreadSanitizer\n");
    (void)test_fork_after_a_call, (void)test_fork_amid_calls_of_another_thread;
#endif
}

/* ---- the setting ------------------------------------------------------------------------------ */

static void test_number_of_threads(void)
{
    const char *asked = getenv("SOLVERS_NUM_THREADS");
    int first = sv_get_num_threads();
    CHECK(asked ? first == atoi(asked) : first >= 1, "%d threads", first);
    const int set[][2] = {{3, 3}, {1, 1}, {0, 1}, {-5, 1}, {256, 256}, {1000000, 256}};
    for (int k = 0; k < 6; k++) {
        sv_set_num_threads(set[k][0]);
        CHECK(sv_get_num_threads() == set[k][1], "set %d, got %d", set[k][0], sv_get_num_threads());
    }
    sv_set_num_threads(first);
}

/* Two tasks that wait for each other, so that a worker has one of them. */
struct cores {
    pthread_barrier_t both;
    pthread_t caller;
    cpu_set_t workers;
};

static void note_cores(void *context, size_t index)
{
    struct cores *cores = context;
    (void)index;
    pthread_barrier_wait(&cores->both);
    if (!pthread_equal(pthread_self(), cores->caller))
        sched_getaffinity(0, sizeof cores->workers, &cores->workers);
}

static void test_workers_are_kept_off_the_callers_core(void)
{
    struct cores cores = {.caller = pthread_self()};
    cpu_set_t ours, both;
    pthread_barrier_init(&cores.both, NULL, 2);
    for (int repeat = 0; repeat < 100; repeat++) {
        CHECK(sched_getaffinity(0, sizeof ours, &ours) == 0, "no affinity");
        sv_parallel_for(2, 2, note_cores, &cores);
        CPU_AND(&both, &ours, &cores.workers);
        CHECK(CPU_EQUAL(&both, &cores.workers), "a worker may use a core that the caller may not");
        const int left = CPU_COUNT(&ours) > 1 ? CPU_COUNT(&ours) - 1 : 1;
        CHECK(CPU_COUNT(&cores.workers) == left, "a worker has %d cores, not %d", CPU_COUNT(&cores.workers), left);
    }
    pthread_barrier_destroy(&cores.both);
}

int main(void)
{
    alarm(240); /* a pool that hangs fails the test */
    expect_level();
    test_number_of_threads();
    test_every_index_once();
    test_threads_run_at_once();
    test_nested_call();
    test_several_callers();
    test_workers_are_kept_off_the_callers_core();
    test_fork();
    return report();
}
