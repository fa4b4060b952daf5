/* Convolutions of 16 channels with 16 by kernels of 3^dim, float32: Winograd's minimal filtering, 2^dim outputs at a time.
 *
 * Along one axis two outputs of a kernel of three take four products, not six: of the inputs d as d0 - d2, d1 + d2,
 * d2 - d1, d1 - d3 and of the kernel as g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2 (by the caller); outputs
 * m0 + m1 + m2 and m1 - m2 - m3. Over the axes one after the other: 4^dim points a tile, and at each a product of the
 * tiles' 16 channels with a 16 x 16 matrix. A group of tiles side by side is taken through the three steps in scratch
 * memory; in the products a block of them keeps its sums in registers, a vector of weights is read once a block, and
 * each channel of a tile is broadcast.
 * Multiply-adds of a vector of 16 a cell: 64 in 2-D, 128 in 3-D, where the sum by definition takes 144 and 432; additions
 * 14 and 38. Bytes a cell: 64 read and 64 written, the weights (16 or 64 KB) stay in cache. The bound is arithmetic.
 * Accuracy: within a few times that of the plain sum: the transforms add numbers of one size, twice an axis.
 * In NumPy, for a 2-D map x (ny, nx, 16) with a border: y = bias + sum(x[t : t + ny, s : s + nx] @ w[t, s] for all t, s);
 *     out = maximum(y, 0) + (out if add else 0)
 */
#include "conv_block.h"

/* LINE: floats of a point; were it a power of two, all points of a tile would share a few lines of the first cache. */
enum { GROUP = 16, LINE = (GROUP + 1) * SV_CHANNELS };

/* Four points of one axis, `step` apart, from four inputs. */
INLINE void enter_four(vreal a, vreal b, vreal c, vreal d, vreal out[4])
{
    out[0] = v_sub(a, c);
    out[1] = v_add(b, c);
    out[2] = v_sub(c, b);
    out[3] = v_sub(b, d);
}

/* 4 x 4 cells of a plane, one vector of channels each, to 16 points. */
INLINE void enter_plane(const float *in, ptrdiff_t pitch, float *points)
{
    vreal part[4][4], out[4];
#pragma GCC unroll 4
    for (int y = 0; y < 4; y++) {
        const float *row = in + y * pitch;
        enter_four(v_load(row), v_load(row + SV_CHANNELS), v_load(row + 2 * SV_CHANNELS), v_load(row + 3 * SV_CHANNELS),
                   part[y]);
    }
#pragma GCC unroll 4
    for (int x = 0; x < 4; x++) {
        enter_four(part[0][x], part[1][x], part[2][x], part[3][x], out);
#pragma GCC unroll 4
        for (int y = 0; y < 4; y++)
            v_store(points + (4 * y + x) * LINE, out[y]);
    }
}

INLINE void enter_tile(const struct sv_tiles *t, const float *in, float *points, int dim)
{
    if (dim == 2) {
        enter_plane(in, t->pitch, points);
        return;
    }
    vreal out[4];
    for (int z = 0; z < 4; z++)
        enter_plane(in + z * t->plane, t->pitch, points + 16 * z * LINE);
    for (float *point = points; point < points + 16 * LINE; point += LINE) {
        enter_four(v_load(point), v_load(point + 16 * LINE), v_load(point + 32 * LINE), v_load(point + 48 * LINE), out);
        for (int z = 0; z < 4; z++)
            v_store(point + 16 * z * LINE, out[z]);
    }
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

INLINE void leave_two(vreal a, vreal b, vreal c, vreal d, vreal *first, vreal *second)
{
    *first = v_add(v_add(a, b), c);
    *second = v_sub(v_sub(b, c), d);
}

/* 16 points to the 2 x 2 cells of a plane, of which t->rows and `columns` are there. */
INLINE void leave_plane(const struct sv_tiles *t, const float *points, vreal bias, float *out, int columns)
{
    vreal part[4][2], y[2][2];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        const float *row = points + 4 * k * LINE;
        leave_two(v_load(row), v_load(row + LINE), v_load(row + 2 * LINE), v_load(row + 3 * LINE), &part[k][0],
                  &part[k][1]);
    }
#pragma GCC unroll 2
    for (int x = 0; x < 2; x++)
        leave_two(part[0][x], part[1][x], part[2][x], part[3][x], &y[0][x], &y[1][x]);
    for (int row = 0; row < t->rows; row++)
        for (int column = 0; column < columns; column++) {
            float *to = out + row * t->pitch + column * SV_CHANNELS;
            vreal value = v_max(v_set1(0), v_add(y[row][column], bias));
            v_store(to, t->add ? v_add(value, v_load(to)) : value);
        }
}

INLINE void leave_tile(const struct sv_tiles *t, float *points, vreal bias, float *out, int columns, int dim)
{
    if (dim == 3)
        for (float *point = points; point < points + 16 * LINE; point += LINE) {
            vreal first, second;
            leave_two(v_load(point), v_load(point + 16 * LINE), v_load(point + 32 * LINE), v_load(point + 48 * LINE),
                      &first, &second);
            v_store(point, first);
            v_store(point + 16 * LINE, second);
        }
    for (int layer = 0; layer < (dim == 3 ? t->layers : 1); layer++)
        leave_plane(t, points + 16 * layer * LINE, bias, out + layer * t->plane, columns);
}

INLINE void whole_row(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n, int dim)
{
    float points[(dim == 3 ? 64 : 16) * LINE] __attribute__((aligned(64)));
    const float *corner = in - SV_CHANNELS - t->pitch - (dim == 3 ? t->plane : 0);
    for (ptrdiff_t start = 0; start < n; start += 2 * GROUP) {
        int cells = (int)(n - start < 2 * GROUP ? n - start : 2 * GROUP), tiles = (cells + 1) / 2;
        for (int i = 0; i < tiles; i++)
            for (int v = 0; v < SV_CHANNELS; v += SV_W)
                enter_tile(t, corner + (start + 2 * i) * SV_CHANNELS + v, points + i * SV_CHANNELS + v, dim);
        for (int p = 0; p < (dim == 3 ? 64 : 16); p++)
            multiply_point(points + p * LINE, t->weights + p * SV_CHANNELS * SV_CHANNELS, tiles);
        for (int i = 0; i < tiles; i++)
            for (int v = 0; v < SV_CHANNELS; v += SV_W)
                leave_tile(t, points + i * SV_CHANNELS + v, v_load(t->bias + v),
                           out + (start + 2 * i) * SV_CHANNELS + v, 2 * i + 1 < cells ? 2 : 1, dim);
    }
}

static void tiles_2d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n) { whole_row(t, in, out, n, 2); }

static void tiles_3d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n) { whole_row(t, in, out, n, 3); }

extern const struct sv_tile_kernels SV_TABLE(tile_kernels);
const struct sv_tile_kernels SV_TABLE(tile_kernels) = {.rows = {tiles_2d, tiles_3d}};
