/* What the C tests share: a check that counts failures, and the level that a run was asked for. */
#ifndef SOLVERS_TEST_CHECK_H
#define SOLVERS_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "solvers.h"

enum { SKIPPED = 77 };

static int failures;

/* The first failures in full; a broken kernel fails everywhere. */
#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition) && ++failures <= 20) {                                                              \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                           \
            printf(__VA_ARGS__);                                                                             \
            printf("\n");                                                                                    \
        }                                                                                                    \
    } while (0)

/* Asked of the compiler's run time, not of the library: the library's own detection is under test. */
static inline int cpu_has(const char *level)
{
#if defined(__x86_64__)
    if (strcmp(level, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    if (strcmp(level, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
               && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512vl");
#endif
    return strcmp(level, "baseline") == 0;
}

/* SOLVERS_ISA names the level that must be in use. Ends the program where this CPU does not have it. */
static inline void expect_level(void)
{
    const char *wanted = getenv("SOLVERS_ISA");
    if (wanted && !cpu_has(wanted)) {
        printf("this CPU has no %s\n", wanted);
        exit(SKIPPED);
    }
    printf("level %s of %s\n", sv_isa(), sv_isa_available());
    CHECK(!wanted || strcmp(sv_isa(), wanted) == 0, "asked for %s, got %s", wanted, sv_isa());
}

static inline int report(void)
{
    if (failures)
        printf("%d checks failed\n", failures);
    return failures != 0;
}

#endif
