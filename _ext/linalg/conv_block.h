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

#endif
