/* How the convolutions cut their work to the registers of the level. */
#ifndef SOLVERS_LINALG_CONV_BLOCK_H
#define SOLVERS_LINALG_CONV_BLOCK_H

#include "conv.h"
#include "simd.h"

enum { VECTORS = SV_CHANNELS / SV_W };

/* Cells, or tiles, of a block: sums, weights and a broadcast fit the registers. */
#if SV_W == 16
enum { BLOCK = 16 };
#elif SV_W == 8
enum { BLOCK = 6 };
#else
enum { BLOCK = 2 };
#endif

/* Four numbers again and again in a vector, and one of those in all lanes (k a constant). */
#if SV_W == 16
INLINE vreal load_quad(const float *p) { return _mm512_broadcast_f32x4(_mm_loadu_ps(p)); }

INLINE vreal of_quad(vreal quad, int k)
{
    switch (k) {
    case 0: return _mm512_permute_ps(quad, 0x00);
    case 1: return _mm512_permute_ps(quad, 0x55);
    case 2: return _mm512_permute_ps(quad, 0xaa);
    default: return _mm512_permute_ps(quad, 0xff);
    }
}
#endif

#endif
