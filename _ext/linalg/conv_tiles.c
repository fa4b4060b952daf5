/* Convolutions of 16 channels with 16 by kernels of 3^dim, float32: Winograd's minimal filtering, 4 x 4 outputs of a plane
 * at a time, in 3-D of two planes.
 *
 * Along x and y four outputs of a kernel of three take six products, not twelve. With the points 0, +-a, +-b and infinity,
 * of the inputs d and the outputs of products m (the kernel's side is the caller's, `_network.py`):
 *     a^2 b^2 d0 - (a^2 + b^2) d2 + d4,  (d4 - b^2 d2) +- a (d3 - b^2 d1),  (d4 - a^2 d2) +- b (d3 - a^2 d1),
 *     a^2 b^2 d1 - (a^2 + b^2) d3 + d5;  y_k = sum of the points' k-th powers times m, and m5 in y_3.
 * Along z two outputs take four products: d0 - d2, d1 + d2, d2 - d1, d1 - d3; m0 + m1 + m2 and m1 - m2 - m3.
 * At each of the 36 points of a tile, 144 in 3-D, the tiles' 16 channels are multiplied by a 16 x 16 matrix. A group of
 * tiles is taken through the three steps in scratch memory; in the products a block of them keeps its sums in registers, a
 * vector of weights is read once a block, and each channel of a tile is broadcast.
 * Multiply-adds of a vector of 16 a cell: 36 in 2-D, 72 in 3-D, where the sum by definition takes 144 and 432; those of the
 * transforms some 17 and 37. Bytes a cell: 64 read and 64 written, the weights (36 or 144 KB) stay in cache. The bound is
 * arithmetic.
 * Accuracy: some three times the rounding of the filtering by 2 x 2 outputs, which is about that of the plain sum; a and b
 * are short numbers close to where the error of random convolutions is least (1 and 2, the usual ones, lose twice as much).
 * In NumPy, for a 2-D map x (ny, nx, 16) with a border: y = bias + sum(x[t : t + ny, s : s + nx] @ w[t, s] for all t, s);
 *     out = maximum(y, 0) + (out if add else 0)
 */
#include "conv_block.h"

#define A 0.625f
#define B 1.5f

/* Floats of a point of a group: were they a power of two, the points would share a few lines of the cache. */
#define LINE(dim) ((SV_GROUP(dim) + 1) * SV_CHANNELS)
#define FLOATS(dim) (SV_POINTS(dim) * LINE(dim))
enum { PLANE = SV_POINTS(2) };

/* Six points of one axis from six inputs. */
INLINE void enter_six(const vreal d[6], vreal out[6])
{
    const vreal both = v_set1(A * A * B * B), sum = v_set1(-(A * A + B * B)), a = v_set1(A), b = v_set1(B);
    const vreal a2 = v_set1(-A * A), b2 = v_set1(-B * B);
    vreal even = v_fma(b2, d[2], d[4]), odd = v_mul(a, v_fma(b2, d[1], d[3]));
    out[0] = v_fma(both, d[0], v_fma(sum, d[2], d[4]));
    out[1] = v_add(even, odd);
    out[2] = v_sub(even, odd);
    even = v_fma(a2, d[2], d[4]), odd = v_mul(b, v_fma(a2, d[1], d[3]));
    out[3] = v_add(even, odd);
    out[4] = v_sub(even, odd);
    out[5] = v_fma(both, d[1], v_fma(sum, d[3], d[5]));
}

/* One of the four points along z, of the inputs of two planes; in 2-D the plane itself. */
enum along_z { ALONE, SUM, DIFFERENCE };

INLINE vreal entering(const float *one, const float *other, enum along_z along)
{
    if (along == ALONE)
        return v_load(one);
    return along == SUM ? v_add(v_load(one), v_load(other)) : v_sub(v_load(one), v_load(other));
}

/* 6 x 6 cells of a plane, one vector of channels each, to 36 points. */
INLINE void enter_plane(const float *one, const float *other, enum along_z along, ptrdiff_t pitch, float *points,
                        ptrdiff_t line)
{
    vreal part[6][6], d[6], out[6];
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++) {
            ptrdiff_t at = y * pitch + x * SV_CHANNELS;
            d[y] = entering(one + at, other + at, along);
        }
        enter_six(d, out);
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++)
            part[y][x] = out[y];
    }
#pragma GCC unroll 6
    for (int y = 0; y < 6; y++) {
        enter_six(part[y], out);
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++)
            v_store(points + (6 * y + x) * line, out[x]);
    }
}

INLINE void enter_tile(const struct sv_tiles *t, const float *in, float *points, int dim)
{
    const ptrdiff_t plane = t->plane, line = LINE(dim);
    if (dim == 2) {
        enter_plane(in, in, ALONE, t->pitch, points, line);
        return;
    }
    enter_plane(in, in + 2 * plane, DIFFERENCE, t->pitch, points, line);
    enter_plane(in + plane, in + 2 * plane, SUM, t->pitch, points + PLANE * line, line);
    enter_plane(in + 2 * plane, in + plane, DIFFERENCE, t->pitch, points + 2 * PLANE * line, line);
    enter_plane(in + plane, in + 3 * plane, DIFFERENCE, t->pitch, points + 3 * PLANE * line, line);
}

/* point <- point times weights, for `tiles` tiles. */
INLINE void multiply(float *point, const float *weights, int tiles)
{
    vreal sum[BLOCK][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < tiles; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = v_set1(0);
    for (int c = 0; c < SV_CHANNELS; c++, weights += SV_CHANNELS) {
        vreal w[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            w[v] = v_load(weights + v * SV_W);
#pragma GCC unroll 16
        for (int i = 0; i < tiles; i++) {
            vreal x = v_set1(point[i * SV_CHANNELS + c]);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                sum[i][v] = v_fma(x, w[v], sum[i][v]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < tiles; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            v_store(point + i * SV_CHANNELS + v * SV_W, sum[i][v]);
}

static void multiply_point(float *point, const float *weights, int tiles)
{
    int i = 0;
#define REST(count)                                                                                                 \
    for (; (count) > 0 && i + (count) <= tiles; i += (count))                                                         \
        multiply(point + i * SV_CHANNELS, weights, (count));
    REST(BLOCK)
    REST(BLOCK / 2)
    REST(BLOCK / 4)
    REST(BLOCK / 8)
    for (; i < tiles; i++)
        multiply(point + i * SV_CHANNELS, weights, 1);
}

/* Four outputs of one axis from six products. */
INLINE void leave_four(const vreal m[6], vreal y[4])
{
    const vreal a = v_set1(A), b = v_set1(B), a2 = v_set1(A * A), b2 = v_set1(B * B);
    const vreal of_a = v_add(m[1], m[2]), of_b = v_add(m[3], m[4]);
    const vreal odd_a = v_mul(a, v_sub(m[1], m[2])), odd_b = v_mul(b, v_sub(m[3], m[4]));
    y[0] = v_add(m[0], v_add(of_a, of_b));
    y[1] = v_add(odd_a, odd_b);
    y[2] = v_fma(a2, of_a, v_mul(b2, of_b));
    y[3] = v_fma(a2, odd_a, v_fma(b2, odd_b, m[5]));
}

/* The products at one point of a plane; in 3-D those of the three along z that are this layer's. */
INLINE vreal leaving(const float *points, ptrdiff_t line, int layer, int dim)
{
    if (dim == 2)
        return v_load(points);
    const ptrdiff_t next = PLANE * line;
    const vreal inner = v_load(points + next), other = v_load(points + 2 * next);
    return layer ? v_sub(v_sub(inner, other), v_load(points + 3 * next)) : v_add(v_add(v_load(points), inner), other);
}

/* The points of a tile to its 4 x 4 cells of a layer, of which so many rows and columns are there. */
INLINE void leave_layer(const struct sv_tiles *t, const float *points, vreal bias, float *out, int rows, int columns,
                        int layer, int dim)
{
    const ptrdiff_t line = LINE(dim);
    vreal part[4][6], m[6], y[4];
#pragma GCC unroll 6
    for (int k = 0; k < 6; k++) {
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++)
            m[x] = leaving(points + (6 * k + x) * line, line, layer, dim);
        leave_four(m, y);
#pragma GCC unroll 4
        for (int x = 0; x < 4; x++)
            part[x][k] = y[x];
    }
#pragma GCC unroll 4
    for (int x = 0; x < 4; x++) {
        leave_four(part[x], y);
#pragma GCC unroll 4
        for (int row = 0; row < 4; row++) {
            float *to = out + row * t->pitch + x * SV_CHANNELS;
            vreal value = v_max(v_set1(0), v_add(y[row], bias));
            if (row < rows && x < columns)
                v_store(to, t->add ? v_add(value, v_load(to)) : value);
        }
    }
}

INLINE int at_most(int most, ptrdiff_t count) { return count < most ? (int)count : most; }

/* A group's first tile: its place in the strip, and in its map (of cells before the grid's, where it is read). */
INLINE ptrdiff_t place_of(const struct sv_tiles *t, ptrdiff_t tile, ptrdiff_t across)
{
    return 4 * (tile / across * t->pitch + tile % across * SV_CHANNELS);
}

/* While a point is multiplied: a part of what the next group reads comes to the cache, and of what this one writes. The
 * machine does not foresee so many rows, each of a few lines. */
INLINE void fetch(const struct sv_tiles *t, const float *next, const float *out, int point, int dim)
{
    enum { ROWS = 6, PARTS = PLANE / ROWS };
    const int row = point % PLANE / PARTS, part = point % PARTS, wide = (4 * SV_GROUP(dim) + 2 + PARTS - 1) / PARTS;
    const float *from = next + row * t->pitch + point / PLANE * t->plane + part * wide * SV_CHANNELS;
    for (int k = 0; k < wide; k++)
        __builtin_prefetch(from + k * SV_CHANNELS);
    /* four rows of a layer, in 3-D of two */
    const int lines = 4 * SV_GROUP(dim), each = dim == 3 ? 2 : 8, at = dim == 3 ? point / 8 * each : point / 4 * each;
    const float *to = out + point % 4 * t->pitch + (dim == 3 ? point / 4 % 2 * t->plane : 0);
    for (int k = at; k < at + each && k < lines; k++)
        __builtin_prefetch(to + k * SV_CHANNELS, 1);
}

INLINE void enter_group(const struct sv_tiles *t, const float *corner, ptrdiff_t start, int tiles, ptrdiff_t across,
                        float *points, int dim)
{
    for (int i = 0; i < tiles; i++)
        for (int v = 0; v < SV_CHANNELS; v += SV_W)
            enter_tile(t, corner + place_of(t, start + i, across) + v, points + i * SV_CHANNELS + v, dim);
}

INLINE void leave_group(const struct sv_tiles *t, const float *points, ptrdiff_t start, int tiles, ptrdiff_t across,
                        float *out, ptrdiff_t n, int dim)
{
    for (int i = 0; i < tiles; i++) {
        const ptrdiff_t y = 4 * ((start + i) / across), x = 4 * ((start + i) % across);
        float *to = out + place_of(t, start + i, across);
        for (int layer = 0; layer < (dim == 3 ? t->layers : 1); layer++)
            for (int v = 0; v < SV_CHANNELS; v += SV_W)
                leave_layer(t, points + i * SV_CHANNELS + v, v_load(t->bias + v), to + layer * t->plane + v,
                            at_most(4, t->rows - y), at_most(4, n - x), layer, dim);
    }
}

/* Groups of tiles in the order of the strip's rows of tiles; where those are short a group has several of them. */
INLINE void all_tiles(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n, int dim)
{
    float points[dim == 3 ? FLOATS(3) : FLOATS(2)] __attribute__((aligned(64)));
    const float *corner = in - SV_CHANNELS - t->pitch - (dim == 3 ? t->plane : 0);
    const ptrdiff_t across = (n + 3) / 4, count = across * ((t->rows + 3) / 4);
    for (ptrdiff_t start = 0; start < count; start += SV_GROUP(dim)) {
        const int tiles = at_most(SV_GROUP(dim), count - start);
        const float *next = corner + place_of(t, start + SV_GROUP(dim), across);
        enter_group(t, corner, start, tiles, across, points, dim);
        for (int p = 0; p < SV_POINTS(dim); p++) {
            fetch(t, next, out + place_of(t, start, across), p, dim);
            multiply_point(points + p * LINE(dim), t->weights + p * SV_CHANNELS * SV_CHANNELS, tiles);
        }
        leave_group(t, points, start, tiles, across, out, n, dim);
    }
}

static void tiles_2d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n) { all_tiles(t, in, out, n, 2); }

static void tiles_3d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n) { all_tiles(t, in, out, n, 3); }

extern const struct sv_tile_kernels SV_TABLE(tile_kernels);
const struct sv_tile_kernels SV_TABLE(tile_kernels) = {.rows = {tiles_2d, tiles_3d}};
