/* Convolutions of 16 channels with 16 by kernels of 3^dim, float32: Winograd's minimal filtering, 4 x 4 outputs of a plane
 * at a time, in 3-D of four planes.
 *
 * Along each axis four outputs of a kernel of three take six products, not twelve. With the points 0, +-a, +-b and
 * infinity, of the inputs d and the outputs of products m (the kernel's side is the caller's, `_network.py`):
 *     a^2 b^2 d0 - (a^2 + b^2) d2 + d4,  (d4 - b^2 d2) +- a (d3 - b^2 d1),  (d4 - a^2 d2) +- b (d3 - a^2 d1),
 *     a^2 b^2 d1 - (a^2 + b^2) d3 + d5;  y_k = sum of the points' k-th powers times m, and m5 in y_3.
 * At each of the 36 points of a tile, 216 in 3-D, the tiles' 16 channels are multiplied by a 16 x 16 matrix. A group of
 * tiles is taken through the three steps in scratch memory; in the products a block of them keeps its sums in registers, a
 * vector of weights is read once a block, and each channel of a tile is broadcast.
 * In 3-D a group goes through the planes by four: what x and y made of the last two is kept, and only new planes are read.
 * The steps along z are taken point by point of the plane, around the products: what lies between stays in the first cache.
 * Multiply-adds of a vector of 16 a cell: 36 in 2-D, 54 in 3-D, where the sum by definition takes 144 and 432; those of the
 * transforms some 21 and 37. Bytes a cell: 64 read and 64 written, the weights (36 or 216 KB) stay in cache. The bound is
 * arithmetic.
 * Accuracy: a and b are short numbers close to where the error of random convolutions is least (1 and 2, the usual ones,
 * lose twice as much).
 * In NumPy, for a 2-D map x (ny, nx, 16) with a border: y = bias + sum(x[t : t + ny, s : s + nx] @ w[t, s] for all t, s);
 *     out = maximum(y, 0) + (out if add else 0)
 */
#include "conv_block.h"

#define A 0.625f
#define B 1.5f

/* Floats of a point of a group: were they a power of two, the points would share a few lines of the cache. */
enum { LINE = (SV_GROUP + 1) * SV_CHANNELS, PLANE = SV_POINTS(2), SIX = 6 };

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

/* 6 x 6 cells of a plane, one vector of channels each, to 36 points. */
INLINE void enter_plane(const float *in, ptrdiff_t pitch, float *points)
{
    vreal part[6][6], d[6], out[6];
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++)
            d[y] = v_load(in + y * pitch + x * SV_CHANNELS);
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
            v_store(points + (6 * y + x) * LINE, out[x]);
    }
}

/* Channels that a block goes through at a time: their weights fit the registers beside the sums. */
enum { STEP = SV_W == 16 ? 4 : 1 };

/* sum += channels x[0] to x[STEP - 1] of a tile times their weights. */
INLINE void add_products(const float *x, vreal w[STEP][VECTORS], int shuffled, vreal sum[VECTORS])
{
#if SV_W == 16
    const vreal quad = shuffled ? load_quad(x) : v_set1(0);
#endif
#pragma GCC unroll 4
    for (int c = 0; c < STEP; c++) {
#if SV_W == 16
        const vreal channel = shuffled ? of_quad(quad, c) : v_set1(x[c]);
#else
        const vreal channel = v_set1(x[c]);
        (void)shuffled;
#endif
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            sum[v] = v_fma(channel, w[c][v], sum[v]);
    }
}

/* point <- point times weights, for `tiles` tiles. `shuffled`: every second tile's channels are read by four and spread in
 * registers, since a multiply-add with a broadcast from memory, and every so often a vector of weights, are more than two
 * loads a cycle. */
INLINE void multiply(float *point, const float *weights, int tiles, int shuffled)
{
    vreal sum[BLOCK][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < tiles; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = v_set1(0);
#pragma GCC unroll 1
    for (int c = 0; c < SV_CHANNELS; c += STEP) {
        vreal w[STEP][VECTORS];
#pragma GCC unroll 4
        for (int k = 0; k < STEP; k++)
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                w[k][v] = v_load(weights + (c + k) * SV_CHANNELS + v * SV_W);
#pragma GCC unroll 16
        for (int i = 0; i < tiles; i++)
            add_products(point + i * SV_CHANNELS + c, w, shuffled && i % 2, sum[i]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < tiles; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            v_store(point + i * SV_CHANNELS + v * SV_W, sum[i][v]);
}

/* In blocks as even as can be: the few sums of a short one would wait for one another. */
INLINE void multiply_blocks(float *point, const float *weights, int tiles, int shuffled)
{
    for (int blocks = (tiles + BLOCK - 1) / BLOCK; blocks; blocks--) {
        const int some = (tiles + blocks - 1) / blocks;
        switch (some) {
#define SIZE(count)                                                                                                   \
    case (count):                                                                                                     \
        multiply(point, weights, (count), shuffled);                                                                  \
        break;
#if SV_W == 16
            SIZE(16) SIZE(15) SIZE(14) SIZE(13) SIZE(12) SIZE(11) SIZE(10) SIZE(9) SIZE(8) SIZE(7)
#endif
#if SV_W >= 8
            SIZE(6) SIZE(5) SIZE(4) SIZE(3)
#endif
            SIZE(2) SIZE(1)
        }
        point += some * SV_CHANNELS;
        tiles -= some;
    }
}

static void multiply_point(float *point, const float *weights, int tiles) { multiply_blocks(point, weights, tiles, 0); }

#if SV_W == 16
static void multiply_shuffled(float *point, const float *weights, int tiles)
{
    multiply_blocks(point, weights, tiles, 1);
}
#else
#define multiply_shuffled multiply_point
#endif

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

/* The points of a tile to its 4 x 4 cells, of which so many rows and columns are there. */
INLINE void leave_plane(const struct sv_tiles *t, const float *points, vreal bias, float *out, int rows, int columns,
                        int add)
{
    vreal part[4][6], m[6], y[4];
#pragma GCC unroll 6
    for (int k = 0; k < 6; k++) {
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++)
            m[x] = v_load(points + (6 * k + x) * LINE);
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
                v_store(to, add ? v_add(value, v_load(to)) : value);
        }
    }
}

/* Nearly all tiles are whole: those have code without a question at each cell. */
INLINE void leave_tile(const struct sv_tiles *t, const float *points, vreal bias, float *out, int rows, int columns)
{
    if (rows < 4 || columns < 4)
        leave_plane(t, points, bias, out, rows, columns, t->add);
    else if (t->add)
        leave_plane(t, points, bias, out, 4, 4, 1);
    else
        leave_plane(t, points, bias, out, 4, 4, 0);
}

INLINE int at_most(int most, ptrdiff_t count) { return count < most ? (int)count : most; }

/* The tiles of a strip in groups as even as can be, in the order of its rows of tiles; where those are short a group has
 * several of them. */
struct groups {
    ptrdiff_t across, count, left, start;
    int tiles;
    /* Where the group's tiles lie in a map, and those that follow (of cells before the grid's, where they are read). */
    ptrdiff_t at[2 * SV_GROUP];
};

INLINE struct groups groups_of(const struct sv_tiles *t, ptrdiff_t n)
{
    struct groups g = {.across = (n + 3) / 4};
    g.count = g.across * ((t->rows + 3) / 4);
    g.left = (g.count + SV_GROUP - 1) / SV_GROUP;
    return g;
}

/* The next group, where there is one. */
INLINE int advance(struct groups *g, const struct sv_tiles *t)
{
    g->start += g->tiles;
    if (!g->left)
        return 0;
    g->tiles = (int)((g->count - g->start + g->left - 1) / g->left);
    g->left--;
    ptrdiff_t y = g->start / g->across, x = g->start % g->across;
    for (int i = 0; i < 2 * SV_GROUP; i++, x++) {
        if (x == g->across)
            x = 0, y++;
        g->at[i] = 4 * (y * t->pitch + x * SV_CHANNELS);
    }
    return 1;
}

/* While point p is multiplied: a part of what the tiles `from` read next comes to the cache, and of what those `to` write,
 * four cells of a row at a time. The machine does not foresee so many rows, each of a few lines. */
INLINE void fetch(const struct sv_tiles *t, const float *in, const ptrdiff_t *from, const float *out, const ptrdiff_t *to,
                  int p, int layers)
{
    const int reads = SV_GROUP * 6 * layers, writes = SV_GROUP * 4 * layers;
    for (int k = p * reads / PLANE; k < (p + 1) * reads / PLANE; k++) {
        const float *row = in + from[k % SV_GROUP] + k / SV_GROUP % 6 * t->pitch + k / (6 * SV_GROUP) * t->plane;
        for (int x = 0; x < 4; x++)
            __builtin_prefetch(row + x * SV_CHANNELS);
    }
    for (int k = p * writes / PLANE; k < (p + 1) * writes / PLANE; k++) {
        const float *row = out + to[k % SV_GROUP] + k / SV_GROUP % 4 * t->pitch + k / (4 * SV_GROUP) * t->plane;
        for (int x = 0; x < 4; x++)
            __builtin_prefetch(row + x * SV_CHANNELS, 1);
    }
}

/* Of `count` points in order, from the tile's point `first` on. */
INLINE void products(const struct sv_tiles *t, float *points, int first, int count, int tiles)
{
    for (int p = 0; p < count; p++)
        (t->shuffled ? multiply_shuffled : multiply_point)(
            points + p * LINE, t->weights + (first + p) * SV_CHANNELS * SV_CHANNELS, tiles);
}

/* A plane of a group of tiles. */
INLINE void enter_group(const struct sv_tiles *t, const float *corner, const struct groups *g, float *points)
{
    for (int i = 0; i < g->tiles; i++)
        for (int v = 0; v < SV_CHANNELS; v += SV_W)
            enter_plane(corner + g->at[i] + v, t->pitch, points + i * SV_CHANNELS + v);
}

INLINE void leave_group(const struct sv_tiles *t, const float *points, const struct groups *g, float *out, ptrdiff_t n)
{
    for (int i = 0; i < g->tiles; i++) {
        const ptrdiff_t y = 4 * ((g->start + i) / g->across), x = 4 * ((g->start + i) % g->across);
        for (int v = 0; v < SV_CHANNELS; v += SV_W)
            leave_tile(t, points + i * SV_CHANNELS + v, v_load(t->bias + v), out + g->at[i] + v, at_most(4, t->rows - y),
                       at_most(4, n - x));
    }
}

INLINE void strip_2d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n, int far)
{
    float points[PLANE * LINE] __attribute__((aligned(64)));
    const float *corner = in - SV_CHANNELS - t->pitch;
    struct groups g = groups_of(t, n);
    while (advance(&g, t)) {
        enter_group(t, corner, &g, points);
        for (int p = 0; p < PLANE; p++) {
            if (far)
                fetch(t, corner, g.at + g.tiles, out, g.at, p, 1);
            products(t, points + p * LINE, p, 1, g.tiles);
        }
        leave_group(t, points, &g, out, n);
    }
}

static void tiles_2d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n)
{
    if (t->far)
        strip_2d(t, in, out, n, 1);
    else
        strip_2d(t, in, out, n, 0);
}

/* The points of six planes, in which z goes round: plane k from the first one is plane (first + k) % 6. */
struct planes {
    float points[SIX][PLANE * LINE] __attribute__((aligned(64)));
    int first;
};

INLINE float *plane_of(struct planes *planes, int k) { return planes->points[(planes->first + k) % SIX]; }

/* One point of the plane along z: six points of all tiles, their products, and what those make of four layers, in place of
 * the first four planes. */
INLINE void along_z(const struct sv_tiles *t, struct planes *planes, int p, int tiles)
{
    float points[SIX * LINE] __attribute__((aligned(64)));
    float *at[SIX];
    vreal d[SIX], out[SIX];
    for (int k = 0; k < SIX; k++)
        at[k] = plane_of(planes, k) + p * LINE;
    for (int i = 0; i < tiles * SV_CHANNELS; i += SV_W) {
#pragma GCC unroll 6
        for (int k = 0; k < SIX; k++)
            d[k] = v_load(at[k] + i);
        enter_six(d, out);
#pragma GCC unroll 6
        for (int k = 0; k < SIX; k++)
            v_store(points + k * LINE + i, out[k]);
    }
    products(t, points, SIX * p, SIX, tiles);
    for (int i = 0; i < tiles * SV_CHANNELS; i += SV_W) {
#pragma GCC unroll 6
        for (int k = 0; k < SIX; k++)
            d[k] = v_load(points + k * LINE + i);
        leave_four(d, out);
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++)
            v_store(at[k] + i, out[k]);
    }
}

/* A group goes through all planes before the next one. */
static void tiles_3d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n)
{
    struct planes planes;
    const ptrdiff_t plane = t->plane;
    const float *corner = in - SV_CHANNELS - t->pitch - plane;
    struct groups g = groups_of(t, n);
    while (advance(&g, t)) {
        planes.first = 0;
        for (int k = 0; k < 2; k++)
            enter_group(t, corner + k * plane, &g, planes.points[k]);
        for (int z = 0; z < t->layers; z += 4, planes.first = (planes.first + 4) % SIX) {
            const float *from = corner + z * plane;
            const int last = z + 4 >= t->layers;
            for (int k = 2; k < SIX; k++)
                enter_group(t, from + k * plane, &g, plane_of(&planes, k));
            for (int p = 0; p < PLANE; p++) {
                fetch(t, last ? corner : from + SIX * plane, g.at + (last ? g.tiles : 0), out + z * plane, g.at, p, 4);
                along_z(t, &planes, p, g.tiles);
            }
            for (int k = 0; k < 4 && z + k < t->layers; k++)
                leave_group(t, plane_of(&planes, k), &g, out + (z + k) * plane, n);
        }
    }
}

extern const struct sv_tile_kernels SV_TABLE(tile_kernels);
const struct sv_tile_kernels SV_TABLE(tile_kernels) = {.rows = {tiles_2d, tiles_3d}};
