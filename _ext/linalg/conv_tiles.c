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
 * In 3-D a group goes through the planes by two: what x and y made of the last two is kept, and only new planes are read.
 * Multiply-adds of a vector of 16 a cell: 36 in 2-D, 72 in 3-D, where the sum by definition takes 144 and 432; those of the
 * transforms some 21 and 30. Bytes a cell: 64 read and 64 written, the weights (36 or 144 KB) stay in cache. The bound is
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
enum { PLANE = SV_POINTS(2) };
/* In 3-D the points of two planes lie behind those of the products. */
#define FLOATS(dim) (((dim) == 3 ? 6 : 1) * PLANE * LINE(dim))

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

/* What becomes of a plane's points: they are stored as they are, or make points along z with those of the two planes before,
 * which they replace. */
enum along_z { ALONE, THIRD, FOURTH };

INLINE void entered(vreal value, enum along_z along, float *point, ptrdiff_t plane)
{
    if (along == ALONE) {
        v_store(point, value);
        return;
    }
    float *first = point + 4 * plane, *second = point + 5 * plane;
    const vreal before = v_load(second);
    if (along == THIRD) {
        v_store(point, v_sub(v_load(first), value));
        v_store(point + plane, v_add(before, value));
        v_store(point + 2 * plane, v_sub(value, before));
        v_store(first, value);
    } else {
        v_store(point + 3 * plane, v_sub(before, value));
        v_store(second, value);
    }
}

/* 6 x 6 cells of a plane, one vector of channels each, to 36 points. */
INLINE void enter_plane(const float *in, ptrdiff_t pitch, enum along_z along, float *points, ptrdiff_t line)
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
            entered(out[x], along, points + (6 * y + x) * line, PLANE * line);
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
                        int add, int layer, int dim)
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
                v_store(to, add ? v_add(value, v_load(to)) : value);
        }
    }
}

/* Nearly all tiles are whole: those have code without a question at each cell. */
INLINE void leave_tile(const struct sv_tiles *t, const float *points, vreal bias, float *out, int rows, int columns,
                       int layer, int dim)
{
    if (rows < 4 || columns < 4)
        leave_layer(t, points, bias, out, rows, columns, t->add, layer, dim);
    else if (t->add)
        leave_layer(t, points, bias, out, 4, 4, 1, layer, dim);
    else
        leave_layer(t, points, bias, out, 4, 4, 0, layer, dim);
}

INLINE int at_most(int most, ptrdiff_t count) { return count < most ? (int)count : most; }

/* A tile's place in the strip, and in its map (of cells before the grid's, where it is read). */
INLINE ptrdiff_t place_of(const struct sv_tiles *t, ptrdiff_t tile, ptrdiff_t across)
{
    return 4 * (tile / across * t->pitch + tile % across * SV_CHANNELS);
}

/* While a point is multiplied: a part of what is read next comes to the cache, and of what this group writes. The machine
 * does not foresee so many rows, each of a few lines. */
INLINE void fetch(const struct sv_tiles *t, const float *next, const float *out, int point, int dim)
{
    enum { ROWS = 6 };
    const int layers = dim == 3 ? 2 : 1, most = 4 * SV_GROUP(dim);
    const int parts = SV_POINTS(dim) / (ROWS * layers), wide = (most + 2 + parts - 1) / parts;
    const float *from = next + point / parts % ROWS * t->pitch + point / (parts * ROWS) * t->plane;
    for (int k = 0; k < wide; k++)
        __builtin_prefetch(from + (point % parts * wide + k) * SV_CHANNELS);
    const int turns = SV_POINTS(dim) / (4 * layers), each = (most + turns - 1) / turns;
    const int at = point / (4 * layers) * each;
    const float *to = out + point % 4 * t->pitch + point / 4 % layers * t->plane;
    for (int k = at; k < at + each && k < most; k++)
        __builtin_prefetch(to + k * SV_CHANNELS, 1);
}

INLINE void products(const struct sv_tiles *t, float *points, int tiles, const float *next, const float *out, int dim,
                     int far)
{
    for (int p = 0; p < SV_POINTS(dim); p++) {
        if (far)
            fetch(t, next, out, p, dim);
        (t->shuffled ? multiply_shuffled : multiply_point)(points + p * LINE(dim),
                                                           t->weights + p * SV_CHANNELS * SV_CHANNELS, tiles);
    }
}

/* A plane of a group of tiles. */
INLINE void enter_group(const struct sv_tiles *t, const float *corner, ptrdiff_t start, int tiles, ptrdiff_t across,
                        enum along_z along, float *points, int dim)
{
    for (int i = 0; i < tiles; i++)
        for (int v = 0; v < SV_CHANNELS; v += SV_W)
            enter_plane(corner + place_of(t, start + i, across) + v, t->pitch, along, points + i * SV_CHANNELS + v,
                        LINE(dim));
}

INLINE void leave_group(const struct sv_tiles *t, const float *points, ptrdiff_t start, int tiles, ptrdiff_t across,
                        int layers, float *out, ptrdiff_t n, int dim)
{
    for (int i = 0; i < tiles; i++) {
        const ptrdiff_t y = 4 * ((start + i) / across), x = 4 * ((start + i) % across);
        float *to = out + place_of(t, start + i, across);
        for (int layer = 0; layer < layers; layer++)
            for (int v = 0; v < SV_CHANNELS; v += SV_W)
                leave_tile(t, points + i * SV_CHANNELS + v, v_load(t->bias + v), to + layer * t->plane + v,
                           at_most(4, t->rows - y), at_most(4, n - x), layer, dim);
    }
}

/* The tiles of a strip in groups as even as can be, in the order of its rows of tiles; where those are short a group has
 * several of them. */
struct groups {
    ptrdiff_t across, count, left, start;
    int tiles;
};

INLINE struct groups groups_of(const struct sv_tiles *t, ptrdiff_t n, int most)
{
    struct groups g = {.across = (n + 3) / 4};
    g.count = g.across * ((t->rows + 3) / 4);
    g.left = (g.count + most - 1) / most;
    return g;
}

/* The next group, where there is one. */
INLINE int advance(struct groups *g)
{
    g->start += g->tiles;
    if (!g->left)
        return 0;
    g->tiles = (int)((g->count - g->start + g->left - 1) / g->left);
    g->left--;
    return 1;
}

INLINE void strip_2d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n, int far)
{
    float points[FLOATS(2)] __attribute__((aligned(64)));
    const float *corner = in - SV_CHANNELS - t->pitch;
    for (struct groups g = groups_of(t, n, SV_GROUP(2)); advance(&g);) {
        enter_group(t, corner, g.start, g.tiles, g.across, ALONE, points, 2);
        products(t, points, g.tiles, corner + place_of(t, g.start + g.tiles, g.across),
                 out + place_of(t, g.start, g.across), 2, far);
        leave_group(t, points, g.start, g.tiles, g.across, 1, out, n, 2);
    }
}

static void tiles_2d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n)
{
    if (t->far)
        strip_2d(t, in, out, n, 1);
    else
        strip_2d(t, in, out, n, 0);
}

/* A group goes through all planes before the next one. */
static void tiles_3d(const struct sv_tiles *t, const float *in, float *out, ptrdiff_t n)
{
    float points[FLOATS(3)] __attribute__((aligned(64)));
    const ptrdiff_t plane = t->plane;
    const float *corner = in - SV_CHANNELS - t->pitch - plane;
    for (struct groups g = groups_of(t, n, SV_GROUP(3)); advance(&g);) {
        for (int z = 0; z < 2; z++)
            enter_group(t, corner + z * plane, g.start, g.tiles, g.across, ALONE, points + (4 + z) * PLANE * LINE(3), 3);
        for (int z = 0; z < t->layers; z += 2) {
            const float *at = corner + z * plane;
            enter_group(t, at + 2 * plane, g.start, g.tiles, g.across, THIRD, points, 3);
            enter_group(t, at + 3 * plane, g.start, g.tiles, g.across, FOURTH, points, 3);
            const float *next = z + 2 < t->layers ? at + 4 * plane + place_of(t, g.start, g.across)
                                                  : corner + place_of(t, g.start + g.tiles, g.across);
            products(t, points, g.tiles, next, out + z * plane + place_of(t, g.start, g.across), 3, 1);
            leave_group(t, points, g.start, g.tiles, g.across, at_most(2, t->layers - z), out + z * plane, n, 3);
        }
    }
}

extern const struct sv_tile_kernels SV_TABLE(tile_kernels);
const struct sv_tile_kernels SV_TABLE(tile_kernels) = {.rows = {tiles_2d, tiles_3d}};
