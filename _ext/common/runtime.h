/* What every kernel family shares at run time: the instruction-set level, the thread pool, and memory
 * that is used again. */
#ifndef SOLVERS_RUNTIME_H
#define SOLVERS_RUNTIME_H

#include <stddef.h>

/* Without solvers.h: a new function in the C interface is no reason to compile every kernel again.
 *
 * Entry points for our own Python binding: exported, but not part of the C interface. */
#if defined(__GNUC__)
#define SV_BINDING __attribute__((visibility("default")))
#else
#define SV_BINDING
#endif

/* As in solvers.h. */
SV_BINDING int sv_get_num_threads(void);

enum sv_isa_level { SV_ISA_BASELINE, SV_ISA_AVX2, SV_ISA_AVX512 };

/* The level in use: the best that this CPU, this build and SOLVERS_ISA allow. Found once. */
enum sv_isa_level sv_isa_level(void);

/* Defines `static const type *picker(void)`, which returns the table of the level in use out of
 * sv_name_baseline, sv_name_avx2, sv_name_avx512. Levels that the compiler could not build fall back. */
#ifdef SV_BUILD_AVX2
#define SV_IF_AVX2(x, otherwise) x
#else
#define SV_IF_AVX2(x, otherwise) otherwise
#endif
#ifdef SV_BUILD_AVX512
#define SV_IF_AVX512(x, otherwise) x
#else
#define SV_IF_AVX512(x, otherwise) otherwise
#endif
#define SV_DISPATCH(type, picker, name) SV_DISPATCH_(type, picker, name)
#define SV_DISPATCH_(type, picker, name)                                                   \
    extern const type sv_##name##_baseline, sv_##name##_avx2, sv_##name##_avx512;          \
    static const type *picker(void)                                                        \
    {                                                                                      \
        switch (sv_isa_level()) {                                                          \
        case SV_ISA_AVX512: return &SV_IF_AVX512(sv_##name##_avx512, sv_##name##_baseline);\
        case SV_ISA_AVX2: return &SV_IF_AVX2(sv_##name##_avx2, sv_##name##_baseline);      \
        default: return &sv_##name##_baseline;                                             \
        }                                                                                  \
    }

/* Calls task(context, index) for every index in [0, tasks), on up to `threads` threads, the caller
 * among them (threads <= 0: the library-wide setting). Returns when all are done. Which thread takes
 * which index is left open: a task's result must depend on its index alone. A call from inside a
 * task, or while another thread's call holds the pool, runs on the calling thread. */
typedef void (*sv_task)(void *context, size_t index);
SV_BINDING void sv_parallel_for(int threads, size_t tasks, sv_task task, void *context);

/* A block that begins at a cache line, NULL where there is no memory; it goes back with the same size. `used` tells
 * whether an earlier owner left something in it; else it is all zeros. */
SV_BINDING void *sv_scratch_take(size_t bytes, int *used);
SV_BINDING void sv_scratch_give(void *block, size_t bytes);
/* Bytes of the blocks that rest until they are wanted again; back to the system with them. */
SV_BINDING size_t sv_scratch_resting(void);
SV_BINDING void sv_scratch_release(void);

#endif
