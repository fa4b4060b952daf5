/* Random numbers by counter: draw k of a stream is a function of (seed, stream, k) alone.
 *
 * Philox 4x32 with 10 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"); a block of 128 bits is
 * two draws. No state: any thread takes any draw, and a run is resumed by its counter. About 20 cycles a draw.
 */
#ifndef SOLVERS_RANDOM_BITS_H
#define SOLVERS_RANDOM_BITS_H

#include <stdint.h>

static inline void sv_philox(uint64_t seed, uint64_t stream, uint64_t block, uint64_t out[2])
{
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = (uint64_t)c1 << 32 | c0;
    out[1] = (uint64_t)c3 << 32 | c2;
}

/* 64 random bits: draw k. */
static inline uint64_t sv_bits_at(uint64_t seed, uint64_t stream, uint64_t k)
{
    uint64_t pair[2];
    sv_philox(seed, stream, k / 2, pair);
    return pair[k % 2];
}

/* An index below n, and in `rest` 64 bits that are as good as new for a coin: the high and the low half of bits * n.
 * No index is likelier than another by more than n / 2^64. */
static inline uint64_t sv_index_below(uint64_t bits, uint64_t n, uint64_t *rest)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)bits * n;
    *rest = (uint64_t)product;
    return (uint64_t)(product >> 64);
#else
    uint64_t low = (bits & 0xffffffffu) * (n & 0xffffffffu), a = (bits >> 32) * (n & 0xffffffffu) + (low >> 32);
    uint64_t b = (bits & 0xffffffffu) * (n >> 32) + (a & 0xffffffffu);
    *rest = b << 32 | (low & 0xffffffffu);
    return (bits >> 32) * (n >> 32) + (a >> 32) + (b >> 32);
#endif
}

/* Uniform in [0, 1), 53 bits. */
static inline double sv_uniform(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

#endif
