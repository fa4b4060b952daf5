/* The thread pool.
 *
 * Workers are started on first demand and then wait for work: they spin for some 50 microseconds,
 * then sleep on a condition variable. A job's indices are cut into one range a thread, each a counter.
 * A thread draws from its own range first and then from the others', so that of jobs over the same
 * data each thread gets about the same part every time, and finds it in its own cache. Only one job
 * runs at a time; whoever finds the pool taken runs its own job alone, which gives the same bits,
 * since a task depends on its index only.
 *
 * Workers are kept off the core that the caller works on (among those it may use): a kernel that wakes a thread may put
 * it there though others are idle, as it does under hypervisors, where a halted core does not look idle. The caller does
 * not stop for it, and it comes some milliseconds late. On two cores, 0.2 ms of work after a sleep of 2 ms: the second
 * thread took part in 296 of 300 jobs, and in 6 of 300 without this; where jobs follow each other nothing changes but
 * the first ones.
 *
 * fork(): threads do not survive it, so the child handler makes the pool as new: no workers, fresh
 * locks. (An OpenMP runtime hangs there; that is why this pool exists.)
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"
#include "solvers.h"

enum { MAX_THREADS = 256, DEFAULT_MAX_THREADS = 8, SPIN_NANOSECONDS = 50000, MOST_SPINS = 2000 };

/* Task indices from `next` on, that are left to be drawn. A cache line of its own. */
struct range {
    _Alignas(64) atomic_size_t next;
    size_t end;
};

struct job {
    sv_task task;
    void *context;
    int ranges;
    struct range range[MAX_THREADS];
};

static struct {
    pthread_mutex_t taken;  /* held by the one caller whose job is running */
    pthread_mutex_t lock;   /* guards `workers` and the sleep of the workers */
    pthread_cond_t work;
    int workers;
    pthread_t worker[MAX_THREADS];
    int kept_off;           /* the core that workers are kept off; -1: none yet */
    atomic_int numbered;    /* workers that have taken their number */
    struct job job;
    atomic_uint generation;      /* one more for each job */
    atomic_int seats, running;   /* workers that may still join the job; workers that may be reading it */
} pool = {.taken = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER,
          .kept_off = -1};

static _Thread_local int inside_task;
static atomic_int default_threads;  /* 0: not yet asked */

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    sched_yield();
#endif
}

static long long nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void cut_tasks(struct job *job, size_t tasks, int ranges)
{
    const size_t each = tasks / (size_t)ranges, more = tasks % (size_t)ranges; /* the first ones have one more */
    size_t from = 0;
    job->ranges = ranges;
    for (int k = 0; k < ranges; k++) {
        atomic_store(&job->range[k].next, from);
        from += each + ((size_t)k < more);
        job->range[k].end = from;
    }
}

/* `number`: 0 for the caller, from 1 on for workers. */
static void draw_tasks(struct job *job, int number)
{
    inside_task = 1;
    for (int k = 0; k < job->ranges; k++) {
        struct range *range = &job->range[(number + k) % job->ranges];
        for (;;) {
            size_t index = atomic_fetch_add(&range->next, 1);
            if (index >= range->end)
                break;
            job->task(job->context, index);
        }
    }
    inside_task = 0;
}

/* Waits until the generation is no longer `seen`; returns the new one. */
static unsigned wait_for_job(unsigned seen)
{
    long long until = nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int k = 0; k < 64; k++) {
            unsigned generation = atomic_load(&pool.generation);
            if (generation != seen)
                return generation;
            relax();
        }
    } while (nanoseconds() < until);
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.generation) == seen)
        pthread_cond_wait(&pool.work, &pool.lock);
    unsigned generation = atomic_load(&pool.generation);
    pthread_mutex_unlock(&pool.lock);
    return generation;
}

static void *worker(void *first_generation)
{
    unsigned seen = (unsigned)(size_t)first_generation;
    const int number = 1 + atomic_fetch_add(&pool.numbered, 1);
    for (;;) {
        seen = wait_for_job(seen);
        /* `running` is raised before the job is read, so the caller, once it has closed the doors
         * (seats = 0) and seen running = 0, knows that nobody reads the job any more. */
        atomic_fetch_add(&pool.running, 1);
        if (atomic_fetch_sub(&pool.seats, 1) > 0)
            draw_tasks(&pool.job, number);
        atomic_fetch_sub(&pool.running, 1);
    }
    return NULL;
}

static void forget_workers(void)
{
    pthread_mutex_init(&pool.taken, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work, NULL);
    pool.workers = 0;
    pool.kept_off = -1;
    atomic_store(&pool.numbered, 0);
    atomic_store(&pool.seats, 0);
    atomic_store(&pool.running, 0);
    inside_task = 0;
}

static void register_fork_handler(void) { pthread_atfork(NULL, NULL, forget_workers); }

/* Starts workers until there are `wanted`; returns how many there are. The pool is held. */
static int ensure_workers(int wanted)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handler);
    while (pool.workers < wanted) {
        pthread_t thread;
        void *generation = (void *)(size_t)atomic_load(&pool.generation);
        if (pthread_create(&thread, NULL, worker, generation) != 0)
            break;  /* the system grants no more: go on with those there are */
        pthread_detach(thread);
        pool.worker[pool.workers++] = thread;
        pool.kept_off = -1;
    }
    return pool.workers < wanted ? pool.workers : wanted;
}

/* Costs nothing while the caller stays where it is. */
static void keep_workers_off_this_core(void)
{
#ifdef __linux__
    const int core = sched_getcpu();
    cpu_set_t cores;
    if (core < 0 || core == pool.kept_off)
        return;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0 || CPU_COUNT(&cores) < 2)
        return;
    pool.kept_off = core;
    CPU_CLR(core, &cores);
    for (int k = 0; k < pool.workers; k++)
        pthread_setaffinity_np(pool.worker[k], sizeof cores, &cores);
#endif
}

static void run_alone(size_t tasks, sv_task task, void *context)
{
    for (size_t index = 0; index < tasks; index++)
        task(context, index);
}

void sv_parallel_for(int threads, size_t tasks, sv_task task, void *context)
{
    if (threads <= 0)
        threads = sv_get_num_threads();
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    if ((size_t)threads > tasks)
        threads = (int)tasks;
    if (threads < 2 || inside_task || pthread_mutex_trylock(&pool.taken) != 0) {
        run_alone(tasks, task, context);
        return;
    }
    int helpers = ensure_workers(threads - 1);
    keep_workers_off_this_core();
    pool.job.task = task;
    pool.job.context = context;
    cut_tasks(&pool.job, tasks, helpers + 1);
    atomic_store(&pool.seats, helpers);
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.generation, 1);
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);

    draw_tasks(&pool.job, 0);
    atomic_store(&pool.seats, 0);  /* close the doors: late workers find no place */
    for (int spins = 0; atomic_load(&pool.running) != 0; spins++)
        spins < MOST_SPINS ? relax() : (void)sched_yield(); /* a worker may wait for this very core */
    pthread_mutex_unlock(&pool.taken);
}

static int positive_number_from(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    long value = text ? strtol(text, &end, 10) : 0;
    return text && end != text && value > 0 ? (int)(value < MAX_THREADS ? value : MAX_THREADS) : 0;
}

static int usable_cores(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
#endif
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (int)cores : 1;
}

int sv_get_num_threads(void)
{
    int threads = atomic_load(&default_threads);
    if (threads == 0) {
        threads = positive_number_from("SOLVERS_NUM_THREADS");
        if (!threads)
            threads = positive_number_from("OMP_NUM_THREADS");
        if (!threads) {
            threads = usable_cores();
            if (threads > DEFAULT_MAX_THREADS)
                threads = DEFAULT_MAX_THREADS;
        }
        atomic_store(&default_threads, threads);
    }
    return threads;
}

void sv_set_num_threads(int threads)
{
    if (threads < 1)
        threads = 1;
    atomic_store(&default_threads, threads < MAX_THREADS ? threads : MAX_THREADS);
}
