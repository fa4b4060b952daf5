/* What the functions of solvers.h share: errors and their words, structures of other sizes, handles in use, limits of
 * a solve, and how it is judged; and, through softmax, what a refused call leaves behind. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>

#include "check.h"
#include "interface.h"

static int begins(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* ---- errors -------------------------------------------------------------------------------- */

static void test_every_status_has_words(void)
{
    const int known[] = {SV_CONVERGED, SV_CALLBACK_STOP, SV_MAX_ITER, SV_MAX_EVAL, SV_TIME_LIMIT, SV_STAGNATION,
                         SV_DIVERGED, SV_NOT_SPD, SV_BREAKDOWN, SV_NONFINITE, SV_INFEASIBLE, SV_UNBOUNDED,
                         SV_NOT_CERTIFIED, SV_LOCALLY_INFEASIBLE, SV_INVALID, SV_NO_MEMORY, SV_STRUCT_SIZE, SV_BUSY};
    const int unknown[] = {1, 3, 99, -5, INT_MIN, INT_MAX};
    const char *none = sv_status_string(unknown[0]);
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        const char *words = sv_status_string(known[k]);
        size_t length = strlen(words);
        CHECK(length > 10 && words[length - 1] == '.' && strcmp(words, none) != 0, "%d: %s", known[k], words);
    }
    for (size_t k = 0; k < sizeof unknown / sizeof *unknown; k++)
        CHECK(strcmp(sv_status_string(unknown[k]), none) == 0, "%d", unknown[k]);
}

static void *fail_elsewhere(void *unused)
{
    (void)unused;
    CHECK(sv_last_error()[0] == '\0', "a new thread knows no error: %s", sv_last_error());
    sv_fail(SV_INVALID, "other");
    return NULL;
}

static void test_each_thread_has_its_error(void)
{
    pthread_t thread;
    CHECK(sv_fail(SV_BUSY, "%s is %d", "own", 7) == SV_BUSY, "the status is handed on");
    if (pthread_create(&thread, NULL, fail_elsewhere, NULL))
        exit(2);
    pthread_join(thread, NULL);
    CHECK(strcmp(sv_last_error(), "own is 7") == 0, "%s", sv_last_error());
}

static void test_long_words_are_cut(void)
{
    char name[2000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    sv_fail(SV_INVALID, "%s is NULL", name);
    CHECK(strlen(sv_last_error()) < sizeof name && begins(sv_last_error(), "nnn"), "%s", sv_last_error());
}

static void test_products(void)
{
    size_t product = 5;
    CHECK(sv_product(3, 4, "size", &product) == SV_OK && product == 12, "%zu", product);
    CHECK(sv_product(SIZE_MAX, 0, "size", &product) == SV_OK && product == 0, "%zu", product);
    CHECK(sv_product(PTRDIFF_MAX, 1, "size", &product) == SV_OK && product == PTRDIFF_MAX, "%zu", product);
    const size_t large[][2] = {{PTRDIFF_MAX, 2}, {SIZE_MAX, SIZE_MAX}, {(size_t)PTRDIFF_MAX + 1, 1}};
    for (int k = 0; k < 3; k++) {
        product = 5;
        CHECK(sv_product(large[k][0], large[k][1], "size", &product) == SV_NO_MEMORY && product == 5, "%d", k);
        CHECK(begins(sv_last_error(), "size"), "%s", sv_last_error());
    }
}

static void test_finite_numbers(void)
{
    double x[] = {0, -DBL_MAX, DBL_TRUE_MIN, 1};
    CHECK(sv_check_finite(x, 4, "x") == SV_OK && sv_check_finite(NULL, 0, "x") == SV_OK, "finite");
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 3; k++) {
        x[3] = bad[k];
        CHECK(sv_check_finite(x, 4, "x") == SV_INVALID && begins(sv_last_error(), "x[3]"), "%s", sv_last_error());
        CHECK(sv_check_finite(x, 3, "x") == SV_OK, "the rest is not looked at");
    }
}

/* ---- structures of other versions ---------------------------------------------------------- */

static void test_structures_may_be_shorter(void)
{
    const sv_control defaults = SV_CONTROL_INIT;
    sv_control control = defaults, given = defaults;
    given.max_iter = 7, given.time_limit = 3;

    CHECK(sv_read_struct(&control, sizeof control, NULL, "control") == SV_OK && control.max_iter == -1, "none");
    given.struct_size = offsetof(sv_control, time_limit);
    CHECK(sv_read_struct(&control, sizeof control, &given, "control") == SV_OK, "%s", sv_last_error());
    CHECK(control.max_iter == 7 && control.time_limit == -1, "%d, %g", (int)control.max_iter, control.time_limit);

    const size_t wrong[] = {0, 1, sizeof(size_t), sizeof given + 1, sizeof given + 8, SIZE_MAX};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        control = defaults;
        given.struct_size = wrong[k];
        CHECK(sv_read_struct(&control, sizeof control, &given, "control") == SV_STRUCT_SIZE, "%zu", wrong[k]);
        CHECK(control.max_iter == -1 && begins(sv_last_error(), "control->struct_size"), "%s", sv_last_error());
    }
}

/* ---- handles ------------------------------------------------------------------------------- */

static struct sv_guard guard = {ATOMIC_FLAG_INIT};

static void *enter(void *status)
{
    *(int *)status = sv_enter(&guard);
    return NULL;
}

static void test_one_thread_at_a_time(void)
{
    pthread_t thread;
    int elsewhere = 1;
    CHECK(sv_enter(&guard) == SV_OK, "free");
    if (pthread_create(&thread, NULL, enter, &elsewhere))
        exit(2);
    pthread_join(thread, NULL);
    CHECK(elsewhere == SV_BUSY, "%d", elsewhere);
    sv_leave(&guard);
    CHECK(sv_enter(&guard) == SV_OK, "free again");
    sv_leave(&guard);
}

/* ---- limits -------------------------------------------------------------------------------- */

struct seen {
    int calls, stop_at;
    sv_progress last;
};

static int look(void *user, const sv_progress *progress)
{
    struct seen *seen = user;
    seen->last = *progress;
    return ++seen->calls == seen->stop_at;
}

static void test_limits(void)
{
    struct sv_watch watch;
    struct seen seen = {0, 2, {0}};
    const double x[1] = {5};
    sv_control control = SV_CONTROL_INIT;

    CHECK(sv_begin(&watch, NULL, 100) == SV_OK && watch.control.max_iter == 100, "the method's own limit");
    CHECK(sv_ended(&watch, -1, 0, 99, 1, NULL, 0) == -1 && sv_ended(&watch, -1, 0, 100, 1, NULL, 0) == SV_MAX_ITER,
          "max_iter");
    CHECK(sv_ended(&watch, SV_CONVERGED, 0, 100, 0, NULL, 0) == SV_CONVERGED, "the method comes first");

    control.max_iter = 0;
    CHECK(sv_begin(&watch, &control, 100) == SV_OK && sv_ended(&watch, -1, 1, 0, 1, NULL, 0) == SV_MAX_ITER, "0 steps");

    control.max_iter = -1, control.time_limit = 0;
    CHECK(sv_begin(&watch, &control, 100) == SV_OK && sv_ended(&watch, -1, 1, 0, 1, NULL, 0) == SV_TIME_LIMIT, "0 s");
    control.time_limit = NAN;
    CHECK(sv_begin(&watch, &control, 100) == SV_INVALID && begins(sv_last_error(), "control->time_limit"), "%s",
          sv_last_error());

    control.time_limit = 3600, control.callback = look, control.user = &seen;
    CHECK(sv_begin(&watch, &control, 100) == SV_OK && sv_ended(&watch, -1, 1, 0, 1, x, 1) == -1, "begins");
    CHECK(seen.calls == 0, "before the first step there is nothing to show");
    CHECK(sv_ended(&watch, -1, 0, 1, 0.5, x, 1) == -1 && sv_ended(&watch, -1, 0, 2, 0.25, x, 1) == SV_CALLBACK_STOP,
          "the second call stops");
    CHECK(seen.calls == 2 && seen.last.nit == 2 && seen.last.measure == 0.25 && seen.last.x == x
              && seen.last.x_size == 1 && seen.last.seconds >= 0 && seen.last.struct_size == sizeof(sv_progress),
          "%d calls", seen.calls);
}

static void test_the_recomputed_measure_decides(void)
{
    struct sv_watch watch;
    sv_report report = SV_REPORT_INIT;
    sv_begin(&watch, NULL, 100);
    CHECK(sv_judged(&watch, SV_CONVERGED, 3, 1e-9, 1e-8, &report) == SV_CONVERGED, "met");
    CHECK(report.status == SV_CONVERGED && report.nit == 3 && report.measure == 1e-9 && report.seconds >= 0, "told");
    CHECK(sv_judged(&watch, SV_CONVERGED, 3, 1e-7, 1e-8, &report) == SV_STAGNATION, "no success by estimate");
    CHECK(sv_judged(&watch, SV_MAX_ITER, 3, 1e-9, 1e-8, NULL) == SV_CONVERGED, "reached by the last step");
    CHECK(sv_judged(&watch, SV_MAX_ITER, 3, 1e-7, 1e-8, NULL) == SV_MAX_ITER, "not reached");
    CHECK(sv_judged(&watch, SV_CALLBACK_STOP, 3, 1e-9, 1e-8, NULL) == SV_CALLBACK_STOP, "the caller's wish stands");
    CHECK(sv_judged(&watch, SV_CONVERGED, 3, NAN, 1e-8, NULL) == SV_NONFINITE, "no number, no success");

    sv_report old = SV_REPORT_INIT;
    old.struct_size = offsetof(sv_report, measure), old.measure = 42;
    sv_judged(&watch, SV_MAX_ITER, 9, 0.5, 0.1, &old);
    CHECK(old.struct_size == offsetof(sv_report, measure) && old.nit == 9 && old.measure == 42,
          "an older caller's report has no room for more");
}

/* ---- softmax: a thin call ------------------------------------------------------------------ */

static void test_refused_calls_write_nothing(void)
{
    const double x[6] = {1, 2, 3, 4, 5, 6};
    double y[6] = {9, 9, 9, 9, 9, 9};
    const ptrdiff_t far = PTRDIFF_MAX;
#define REFUSED(status, word, call) CHECK((call) == (status) && begins(sv_last_error(), word), "%s", sv_last_error())
    REFUSED(SV_INVALID, "x is NULL", sv_softmax_f64(NULL, 3, y, 3, 2, 3, 1));
    REFUSED(SV_INVALID, "y is NULL", sv_softmax_f64(x, 3, NULL, 3, 2, 3, 1));
    REFUSED(SV_INVALID, "y_stride", sv_softmax_f64(x, 3, y, 2, 2, 3, 1));
    REFUSED(SV_INVALID, "y_stride", sv_log_softmax_f64(x, 3, y, 0, 2, 3, 1));
    REFUSED(SV_NO_MEMORY, "x", sv_softmax_f64(x, far, y, 3, 2, 3, 1));
    REFUSED(SV_NO_MEMORY, "x", sv_log_softmax_f64(x, PTRDIFF_MIN, y, 3, 2, 3, 1));
    REFUSED(SV_NO_MEMORY, "y", sv_softmax_f64(x, 0, y, 3, SIZE_MAX, 3, 1));
    REFUSED(SV_NO_MEMORY, "x", sv_softmax_f64(x, 3, y, 3, 1, SIZE_MAX, 1));
    REFUSED(SV_INVALID, "x is NULL", sv_logsumexp_f64(NULL, 3, NULL, 0, y, NULL, 2, 3, 1));
    REFUSED(SV_INVALID, "out is NULL", sv_logsumexp_f64(x, 3, NULL, 0, NULL, y, 2, 3, 1));
    REFUSED(SV_NO_MEMORY, "b", sv_logsumexp_f64(x, 3, x, far, y, NULL, 2, 3, 1));
    REFUSED(SV_INVALID, "y is NULL", sv_softmax_f32(&(const float){1}, 1, NULL, 1, 1, 1, 1));
#undef REFUSED
    for (int k = 0; k < 6; k++)
        CHECK(y[k] == 9, "y[%d] is %g", k, y[k]);
}

static void test_empty_calls(void)
{
    double out[2] = {9, 9};
    CHECK(sv_softmax_f64(NULL, 0, NULL, 0, 0, 5, 1) == SV_OK && sv_softmax_f64(NULL, 0, NULL, 0, 5, 0, 1) == SV_OK,
          "%s", sv_last_error());
    CHECK(sv_log_softmax_f64(NULL, 0, NULL, 0, 0, 0, 1) == SV_OK, "%s", sv_last_error());
    CHECK(sv_logsumexp_f64(NULL, 8, NULL, 0, out, NULL, 2, 0, 1) == SV_OK, "%s", sv_last_error());
    CHECK(out[0] == -INFINITY && out[1] == -INFINITY, "the sum of nothing is 0");
    CHECK(sv_logsumexp_f64(NULL, 0, NULL, 0, NULL, NULL, 0, 5, 1) == SV_OK, "%s", sv_last_error());
}

int main(void)
{
    test_every_status_has_words();
    test_each_thread_has_its_error();
    test_long_words_are_cut();
    test_products();
    test_finite_numbers();
    test_structures_may_be_shorter();
    test_one_thread_at_a_time();
    test_limits();
    test_the_recomputed_measure_decides();
    test_refused_calls_write_nothing();
    test_empty_calls();
    return report();
}
