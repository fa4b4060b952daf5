/* The net, layer by layer: see conv.h. A task is a few rows, whose results depend on nothing else of its layer. */
#include "conv.h"
#include "cpu.h"

#include <string.h>

SV_DISPATCH(struct sv_conv_kernels, kernels, conv_kernels_f32)
SV_DISPATCH(struct sv_tile_kernels, tile_kernels, tile_kernels_f32)

enum { TASK = 256 /* cells, about, of a task */ };
/* Bytes of a map that stay in the second cache. */
enum { NEAR = 1 << 19 };

/* Whole tiles, and a cell before and after them. */
static ptrdiff_t bordered(ptrdiff_t n, ptrdiff_t tile) { return (n + tile - 1) / tile * tile + 2; }

void sv_map_of(const ptrdiff_t n[3], int dim, struct sv_map *map)
{
    ptrdiff_t layers = dim == 3 ? bordered(n[2], 4) : 1;
    for (int axis = 0; axis < 3; axis++)
        map->n[axis] = n[axis];
    map->pitch = bordered(n[0], 4);
    map->plane = map->pitch * bordered(n[1], 4);
    map->origin = (dim == 3 ? map->plane : 0) + map->pitch + 1;
    map->cells = (size_t)(map->plane * layers);
}

static void half_of(const ptrdiff_t n[3], ptrdiff_t half[3])
{
    for (int axis = 0; axis < 3; axis++)
        half[axis] = (n[axis] + 1) / 2;
}

/* The workspace: the input with one channel, two maps, two of half the resolution. */
struct maps {
    struct sv_map fine, coarse;
    float *input, *x, *hidden, *coarse_x, *coarse_hidden;
    size_t floats;
};

static struct maps cut(const struct sv_net *net, const ptrdiff_t n[3], float *work)
{
    struct maps maps;
    ptrdiff_t half[3];
    half_of(n, half);
    sv_map_of(n, net->dim, &maps.fine);
    sv_map_of(half, net->dim, &maps.coarse);
    size_t fine = maps.fine.cells * SV_CHANNELS, coarse = maps.coarse.cells * SV_CHANNELS;
    maps.x = work;
    maps.hidden = work + fine;
    maps.coarse_x = work + 2 * fine;
    maps.coarse_hidden = maps.coarse_x + coarse;
    maps.input = maps.coarse_hidden + coarse;
    maps.floats = 2 * (fine + coarse) + maps.fine.cells;
    return maps;
}

size_t sv_net_work(const struct sv_net *net, const ptrdiff_t n[3]) { return cut(net, n, 0).floats; }

/* One layer's work: what its rows read and write. */
struct layer {
    void (*row)(const struct layer *layer, ptrdiff_t j, ptrdiff_t k);
    const struct sv_map *map, *other;
    const float *in, *weights, *bias;
    float *out;
    ptrdiff_t offsets[SV_MOST_TAPS];
    int taps, add, far, dim, channels;
    const enum sv_net_end (*ends)[2];
    double scale;
    float shift;
    const double *r;
    double *z;
    ptrdiff_t rows, rows_a_plane, rows_a_task;
    ptrdiff_t strip, depth; /* of middle_rows */
    int finer;              /* 1: two rows for one of the layer before, -1: one for two */
};

static ptrdiff_t cell(const struct sv_map *map, ptrdiff_t j, ptrdiff_t k)
{
    return map->origin + k * map->plane + j * map->pitch;
}

static void task(void *context, size_t index)
{
    const struct layer *layer = context;
    ptrdiff_t row = (ptrdiff_t)index * layer->rows_a_task, end = row + layer->rows_a_task;
    for (; row < end && row < layer->rows; row++)
        layer->row(layer, row % layer->rows_a_plane, row / layer->rows_a_plane);
}

/* One call of layer->row does so many rows, and planes, of the map. */
static void run(struct layer *layer, ptrdiff_t rows, ptrdiff_t planes, int threads)
{
    const ptrdiff_t *n = layer->map->n;
    layer->rows_a_plane = (n[1] + rows - 1) / rows;
    layer->rows = layer->rows_a_plane * ((n[2] + planes - 1) / planes);
    layer->rows_a_task = 1 + TASK / (n[0] * rows * planes);
    sv_parallel_for(threads, (size_t)((layer->rows + layer->rows_a_task - 1) / layer->rows_a_task), task, layer);
}

/* The row's border: its two ends, and copies of it beyond the sides at which it lies. What is not written stays 0. */
static void extend(const struct layer *layer, ptrdiff_t j, ptrdiff_t k)
{
    const struct sv_map *map = layer->map;
    ptrdiff_t width = layer->channels, nx = map->n[0], to[2][3] = {{j, j, j}, {k, k, k}}, at[2] = {j, k};
    int count[2] = {1, 1};
    size_t bytes = (size_t)width * sizeof(float);
    float *row = layer->out + cell(map, j, k) * width;
    if (layer->ends[0][0] != SV_END_ZERO)
        memcpy(row - width, layer->ends[0][0] == SV_END_WRAP ? row + (nx - 1) * width : row, bytes);
    if (layer->ends[0][1] != SV_END_ZERO)
        memcpy(row + nx * width, layer->ends[0][1] == SV_END_WRAP ? row : row + (nx - 1) * width, bytes);
    for (int axis = 1; axis < layer->dim; axis++) {
        ptrdiff_t n = map->n[axis], place = at[axis - 1];
        enum sv_net_end low = layer->ends[axis][0], high = layer->ends[axis][1];
        if ((low == SV_END_COPY && place == 0) || (low == SV_END_WRAP && place == n - 1))
            to[axis - 1][count[axis - 1]++] = -1;
        if ((high == SV_END_COPY && place == n - 1) || (high == SV_END_WRAP && place == 0))
            to[axis - 1][count[axis - 1]++] = n;
    }
    for (int z = 0; z < count[1]; z++)
        for (int y = 0; y < count[0]; y++)
            if (y || z)
                memcpy(layer->out + (cell(map, to[0][y], to[1][z]) - 1) * width, row - width, (size_t)(nx + 2) * bytes);
}

static void enter_row(const struct layer *layer, ptrdiff_t j, ptrdiff_t k)
{
    const struct sv_map *map = layer->map;
    const double *r = layer->r + (k * map->n[1] + j) * map->n[0];
    float *to = layer->out + cell(map, j, k);
    for (ptrdiff_t i = 0; i < map->n[0]; i++)
        to[i] = (float)(layer->scale * r[i]);
    extend(layer, j, k);
}

static void first_row(const struct layer *layer, ptrdiff_t j, ptrdiff_t k)
{
    ptrdiff_t at = cell(layer->map, j, k);
    kernels()->first_row(layer->in + at, layer->offsets, layer->taps, layer->weights, layer->bias,
                         layer->out + at * SV_CHANNELS, layer->map->n[0]);
    extend(layer, j, k);
}

/* Rows of a strip: in 3-D as many rows of tiles as make whole groups; in 2-D, where strips are all that threads share, as
 * many as go into a group. Strips are as even as can be. */
static ptrdiff_t strip_of(const struct layer *layer)
{
    const ptrdiff_t *n = layer->map->n, across = (n[0] + 3) / 4, down = (n[1] + 3) / 4, group = SV_GROUP;
    ptrdiff_t most = across < group ? group / across : 1;
    if (layer->dim == 3)
        for (most = 1; across * most % group; most++)
            ;
    const ptrdiff_t strips = (down + most - 1) / most;
    return 4 * ((down + strips - 1) / strips);
}

/* Planes that a strip goes through, four at a time: with those that it reads beside them, as takes all threads together the
 * least time. */
static ptrdiff_t depth_of(const struct layer *layer, int threads)
{
    const ptrdiff_t *n = layer->map->n, strips = (n[1] + layer->strip - 1) / layer->strip;
    ptrdiff_t best = 0, least = 0;
    for (ptrdiff_t depth = bordered(n[2], 4) - 2; depth > 0; depth -= 4) {
        const ptrdiff_t parts = (n[2] + depth - 1) / depth, turns = (strips * parts + threads - 1) / threads;
        if (!best || turns * (depth + 1) < least)
            best = depth, least = turns * (depth + 1);
    }
    return best;
}

/* A strip through some planes: j counts strips and k these parts. */
static void middle_rows(const struct layer *layer, ptrdiff_t j, ptrdiff_t k)
{
    const struct sv_map *map = layer->map;
    ptrdiff_t strip = layer->strip, depth = layer->depth, first = strip * j, left = map->n[1] - first;
    ptrdiff_t top = depth * k, below = map->n[2] - top, at = cell(map, first, top) * SV_CHANNELS;
    struct sv_tiles tiles = {
        .pitch = map->pitch * SV_CHANNELS,
        .plane = map->plane * SV_CHANNELS,
        .rows = (int)(left < strip ? left : strip),
        .layers = (int)(below < depth ? below : depth),
        .add = layer->add,
        .shuffled = sv_shuffles_beside(),
        .far = layer->far,
        .weights = layer->weights,
        .bias = layer->bias,
    };
    tile_kernels()->rows[layer->dim == 3](&tiles, layer->in + at, layer->out + at, map->n[0]);
    for (ptrdiff_t z = 0; z < tiles.layers; z++)
        for (ptrdiff_t y = 0; y < tiles.rows; y++)
            extend(layer, first + y, top + z);
}

/* map: the coarse one; other: the fine one, that is pooled. */
static void pool_row(const struct layer *layer, ptrdiff_t j, ptrdiff_t k)
{
    const struct sv_map *fine = layer->other;
    const float *in[4];
    int rows = 0;
    for (ptrdiff_t z = 2 * k; z < 2 * k + 2 && z < fine->n[2]; z++)
        for (ptrdiff_t y = 2 * j; y < 2 * j + 2 && y < fine->n[1]; y++)
            in[rows++] = layer->in + cell(fine, y, z) * SV_CHANNELS;
    kernels()->pool(in, rows, layer->out + cell(layer->map, j, k) * SV_CHANNELS, fine->n[0]);
    extend(layer, j, k);
}

/* map: the fine one; other: the coarse one, that is added. */
static void up_row(const struct layer *layer, ptrdiff_t j, ptrdiff_t k)
{
    kernels()->add_up(layer->in + cell(layer->other, j / 2, k / 2) * SV_CHANNELS,
                      layer->out + cell(layer->map, j, k) * SV_CHANNELS, layer->map->n[0]);
    extend(layer, j, k);
}

static void last_row(const struct layer *layer, ptrdiff_t j, ptrdiff_t k)
{
    const struct sv_map *map = layer->map;
    kernels()->last_row(layer->in + cell(map, j, k) * SV_CHANNELS, layer->weights, layer->shift,
                        layer->z + (k * map->n[1] + j) * map->n[0], map->n[0]);
}

static void set_map(struct layer *layer, const struct sv_map *map, const struct sv_map *other)
{
    layer->map = map;
    layer->other = other;
    layer->taps = 0;
    for (ptrdiff_t z = layer->dim == 3 ? -1 : 0; z <= (layer->dim == 3); z++)
        for (ptrdiff_t y = -1; y <= 1; y++)
            for (ptrdiff_t x = -1; x <= 1; x++)
                layer->offsets[layer->taps++] = z * map->plane + y * map->pitch + x;
}

static void one(const struct layer *layer, int threads)
{
    struct layer whole = *layer;
    run(&whole, 1, 1, threads);
}

/* ---- the two convolutions of a pair: x <- x + relu(conv(relu(conv(x)))) ---- */

/* In the plane each thread takes some strips through both, the second one a strip behind: what the first has read and made
 * is still in the thread's own cache. `then` follows row by row. Of strips that two parts read the first convolution comes
 * before all of that, so that no part writes what another still reads. */
struct pair {
    struct layer first, second;
    const struct layer *then; /* NULL: nothing */
    ptrdiff_t strips, parts;
    int around; /* the first and the last strip are beside each other */
};

static ptrdiff_t begin_of(const struct pair *pair, size_t part)
{
    return (ptrdiff_t)part * pair->strips / pair->parts;
}

/* The strip at the low end (an even index) or the high end of a part. */
static ptrdiff_t edge_of(const struct pair *pair, size_t index)
{
    return begin_of(pair, (index + 1) / 2) - (ptrdiff_t)(index % 2);
}

static void edge_task(void *context, size_t index)
{
    const struct pair *pair = context;
    index += !pair->around;
    if (index == 0 || edge_of(pair, index) != edge_of(pair, 0))
        middle_rows(&pair->first, edge_of(pair, index), 0);
}

/* The rows of `then` that rows of a strip make. */
static void follow(const struct layer *then, const struct layer *layer, ptrdiff_t strip)
{
    const ptrdiff_t n = layer->map->n[1], from = strip * layer->strip, most = from + layer->strip;
    const ptrdiff_t to = most < n ? most : n, a = then->finer > 0 ? 2 : 1, b = then->finer < 0 ? 2 : 1;
    for (ptrdiff_t j = from * a / b; j < (to * a + b - 1) / b && j < then->map->n[1]; j++)
        then->row(then, j, 0);
}

static void part_task(void *context, size_t part)
{
    const struct pair *pair = context;
    const ptrdiff_t from = begin_of(pair, part), to = begin_of(pair, part + 1);
    const int low = part > 0 || pair->around, high = (ptrdiff_t)part + 1 < pair->parts || pair->around;
    for (ptrdiff_t strip = from; strip <= to; strip++) {
        const int known = (low && strip == from) || (high && strip == to - 1);
        if (strip < to && !known)
            middle_rows(&pair->first, strip, 0);
        if (strip == from)
            continue;
        middle_rows(&pair->second, strip - 1, 0);
        if (pair->then)
            follow(pair->then, &pair->second, strip - 1);
    }
}

static void plane_pair(struct pair *pair, int threads)
{
    const struct layer *layer = &pair->first;
    pair->strips = (layer->map->n[1] + layer->strip - 1) / layer->strip;
    pair->parts = threads < pair->strips / 2 ? threads : pair->strips / 2;
    pair->parts = pair->parts < 1 ? 1 : pair->parts;
    pair->around = layer->ends[1][0] == SV_END_WRAP;
    const size_t line = SV_CHANNELS * sizeof(float), strips = 3 * (size_t)(layer->map->pitch * layer->strip);
    pair->first.far = layer->map->cells * line > NEAR, pair->second.far = strips * line > NEAR;
    const size_t edges = 2 * (size_t)pair->parts - (pair->around ? 0 : 2);
    sv_parallel_for(threads, edges, edge_task, pair);
    sv_parallel_for(threads, (size_t)pair->parts, part_task, pair);
}

/* `count` pairs, and `then`; layer->weights and bias go on to the next convolution. */
static void pairs(struct layer *layer, int count, float *x, float *hidden, const struct layer *then, int threads)
{
    const ptrdiff_t weights = SV_POINTS(layer->dim) * SV_CHANNELS * SV_CHANNELS;
    layer->row = middle_rows;
    layer->strip = strip_of(layer);
    layer->depth = depth_of(layer, threads);
    for (; count; count--) {
        struct pair pair = {.first = *layer, .second = *layer, .then = count == 1 ? then : NULL};
        pair.first.in = x, pair.first.out = hidden;
        pair.second.in = hidden, pair.second.out = x, pair.second.add = 1;
        pair.second.weights += weights, pair.second.bias += SV_CHANNELS;
        if (layer->dim == 2)
            plane_pair(&pair, threads);
        else {
            run(&pair.first, layer->strip, layer->depth, threads);
            run(&pair.second, layer->strip, layer->depth, threads);
        }
        layer->weights += 2 * weights, layer->bias += 2 * SV_CHANNELS;
    }
    if (layer->dim == 3)
        one(then, threads);
}

/* A small layer that does `row`, beside another one. */
static struct layer small(const struct layer *beside, void (*row)(const struct layer *, ptrdiff_t, ptrdiff_t),
                          const float *in, float *out)
{
    struct layer layer = *beside;
    layer.row = row, layer.in = in, layer.out = out;
    return layer;
}

void sv_net_apply(const struct sv_net *net, const ptrdiff_t n[3], const enum sv_net_end ends[3][2], int threads,
                  double scale, const double *r, double *z, float *work)
{
    struct maps maps = cut(net, n, work);
    struct layer fine = {.dim = net->dim, .scale = scale, .r = r, .z = z, .shift = net->shift, .ends = ends,
                         .channels = 1, .weights = net->first, .bias = net->biases};
    set_map(&fine, &maps.fine, &maps.coarse);
    struct layer enter = small(&fine, enter_row, NULL, maps.input);
    one(&enter, threads);
    fine.channels = SV_CHANNELS;
    struct layer first = small(&fine, first_row, maps.input, maps.x);
    one(&first, threads);
    struct layer coarse = fine;
    set_map(&coarse, &maps.coarse, &maps.fine);
    struct layer pool = small(&coarse, pool_row, maps.x, maps.coarse_x), up = small(&fine, up_row, maps.coarse_x, maps.x);
    struct layer last = small(&fine, last_row, maps.x, NULL);
    pool.finer = -1, up.finer = 1, last.weights = net->last;
    fine.weights = net->middle, fine.bias += SV_CHANNELS;
    pairs(&fine, net->pairs[0], maps.x, maps.hidden, &pool, threads);
    coarse.weights = fine.weights, coarse.bias = fine.bias;
    pairs(&coarse, net->pairs[1], maps.coarse_x, maps.coarse_hidden, &up, threads);
    fine.weights = coarse.weights, fine.bias = coarse.bias;
    pairs(&fine, net->pairs[2], maps.x, maps.hidden, &last, threads);
}
