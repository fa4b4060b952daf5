/* The convolutional net of learned conjugate directions, on the cells of a box in two or three dimensions.
 *
 * A map holds 16 channels a cell, side by side (one line of the cache), with a border as wide as a kernel reaches:
 * convolutions then have no ends to look after. Its cell (i, j, k) lies at k plane + j pitch + i, in cells from `origin`.
 */
#ifndef SOLVERS_LINALG_CONV_H
#define SOLVERS_LINALG_CONV_H

#include <stddef.h>

#include "runtime.h"

enum { SV_CHANNELS = 16, SV_MOST_TAPS = 27 };

/* Of the minimal filtering, see conv_tiles.c: products of a tile of 4 cells along each axis, and the most tiles that are
 * taken at a time. */
#define SV_POINTS(dim) ((dim) == 3 ? 216 : 36)
enum { SV_GROUP = 16 };

struct sv_map {
    ptrdiff_t n[3]; /* cells along x, y, z */
    ptrdiff_t pitch, plane, origin;
    size_t cells; /* with the border */
};

/* What lies beyond an end of an axis: zeros, the last cell again (a wall), or the cell of the other end. */
enum sv_net_end { SV_END_ZERO, SV_END_COPY, SV_END_WRAP };

/* Pairs of convolutions: before the pooling, at half the resolution, and after. Kernels of 3^dim weights, z slowest. */
struct sv_net {
    int dim;
    int pairs[3];
    const float *first;  /* [tap][out] */
    const float *middle; /* [convolution][point][in][out], points y, x, z: z fastest */
    const float *biases; /* [convolution][out], those of `first` in front */
    const float *last;   /* [in] */
    float shift;
};

/* The kernels of one level. `taps` offsets, in cells, lead from a cell to those that its kernel weighs. */
struct sv_conv_kernels {
    /* out = bias + sum of weights times in, from a map of one channel */
    void (*first_row)(const float *in, const ptrdiff_t *offsets, int taps, const float *weights, const float *bias,
                      float *out, ptrdiff_t n);
    /* out += up, each cell of which is two of out; the coarse row has (n + 1) / 2 */
    void (*add_up)(const float *up, float *out, ptrdiff_t n);
    /* out[i] = mean over the `rows` rows in[] of their cells 2 i and 2 i + 1, without the latter where it is past n */
    void (*pool)(const float *const in[4], int rows, float *out, ptrdiff_t n);
    /* out[i] = shift + sum of weights times channels */
    void (*last_row)(const float *in, const float *weights, float shift, double *out, ptrdiff_t n);
};

/* A convolution on a strip of rows side by side, in 3-D of some planes: out = relu(bias + conv(in)) [+ out]. */
struct sv_tiles {
    ptrdiff_t pitch, plane; /* in floats */
    int rows, layers;       /* so many are there */
    int add;
    int shuffled;           /* products may shuffle vectors: see runtime.h */
    int far;                /* in 2-D: whether `in` and `out` lie behind the second cache */
    const float *weights, *bias;
};

struct sv_tile_kernels {
    /* In 2-D and in 3-D. Of `in` whole tiles are read, and the cells around those. */
    void (*rows[2])(const struct sv_tiles *tiles, const float *in, float *out, ptrdiff_t n);
};

SV_BINDING void sv_map_of(const ptrdiff_t n[3], int dim, struct sv_map *map);

/* Floats of `work`, which must be zero when it is first used for maps of this shape and ends, and start at a cache line.
 */
SV_BINDING size_t sv_net_work(const struct sv_net *net, const ptrdiff_t n[3]);

/* z = net(scale r): arrays of n[0] n[1] n[2] cells, x fastest; ends along x, y, z. The bits do not depend on the threads.
 */
SV_BINDING void sv_net_apply(const struct sv_net *net, const ptrdiff_t n[3], const enum sv_net_end ends[3][2], int threads,
                             double scale, const double *r, double *z, float *work);

#endif
