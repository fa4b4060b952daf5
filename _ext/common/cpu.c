/* Which instruction-set level to run: CPUID for the CPU, XGETBV for the operating system (it must
 * save the wide registers), the build for what was compiled, SOLVERS_ISA for the user's cap. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "runtime.h"
#include "solvers.h"

#if defined(__x86_64__) && !defined(SV_PLAIN_C)
#include <cpuid.h>

static unsigned long long saved_register_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((unsigned long long)high << 32) | low;
}

/* AVX2, FMA, BMI1/2, MOVBE, F16C, LZCNT: what -march=x86-64-v3 lets the compiler use. */
static int has_avx2(void)
{
    unsigned a, b, c, d;
    const unsigned leaf1 = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1) != leaf1)
        return 0;
    const unsigned leaf7 = bit_BMI | bit_AVX2 | bit_BMI2;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & leaf7) != leaf7)
        return 0;
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(c & bit_LZCNT))
        return 0;
    return (saved_register_state() & 0x6) == 0x6; /* XMM and YMM */
}

/* AVX-512 F, DQ, CD, BW, VL: what -march=x86-64-v4 lets the compiler use. */
static int has_avx512(void)
{
    unsigned a, b, c, d;
    const unsigned leaf7 = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
    if (!has_avx2() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & leaf7) != leaf7)
        return 0;
    return (saved_register_state() & 0xe6) == 0xe6; /* and opmask, ZMM halves, ZMM16-31 */
}

static enum sv_isa_level best_level(void)
{
    if (SV_IF_AVX512(1, 0) && has_avx512())
        return SV_ISA_AVX512;
    if (SV_IF_AVX2(1, 0) && has_avx2())
        return SV_ISA_AVX2;
    return SV_ISA_BASELINE;
}

static int is_amd(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx;
}
#else
static enum sv_isa_level best_level(void) { return SV_ISA_BASELINE; }

static int is_amd(void) { return 0; }
#endif

static const char *const level_names[] = {"baseline", "avx2", "avx512"};

/* An unknown word caps nothing; the Python layer warns of it. */
static enum sv_isa_level user_cap(void)
{
    const char *word = getenv("SOLVERS_ISA");
    for (int level = SV_ISA_BASELINE; word && level <= SV_ISA_AVX512; level++)
        if (strcmp(word, level_names[level]) == 0)
            return (enum sv_isa_level)level;
    return SV_ISA_AVX512;
}

enum sv_isa_level sv_isa_level(void)
{
    /* Two threads may both find it first: they find the same. */
    static atomic_int known = -1;
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level < 0) {
        enum sv_isa_level best = best_level(), cap = user_cap();
        level = best < cap ? best : cap;
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    return (enum sv_isa_level)level;
}

int sv_shuffles_beside(void)
{
    static atomic_int known = -1; /* a virtual machine takes its time over CPUID */
    int beside = atomic_load_explicit(&known, memory_order_relaxed);
    if (beside < 0) {
        beside = is_amd();
        atomic_store_explicit(&known, beside, memory_order_relaxed);
    }
    return beside;
}

const char *sv_isa(void) { return level_names[sv_isa_level()]; }

const char *sv_isa_available(void) { return level_names[best_level()]; }

const char *sv_version_string(void) { return SV_VERSION; }

const char *sv_sanitizer(void)
{
#ifdef __SANITIZE_ADDRESS__
    return "address";
#else
    return "none";
#endif
}
