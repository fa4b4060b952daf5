/* Learned corrections of a level, from its couplings; float32 and float64.
 *
 * Twin: solvers/linalg/_training_corrections.py, in torch. One pass over the planes as a pipeline: the diagonal of plane
 * k, the features of plane k - 1, the first layer at k - 2, the second layer and its heads at k - 3; what coarse cells
 * and interfaces need of the last layer is linear in it, so two numbers a cell and axis, and two more, are summed over
 * blocks. Four planes of each live in a ring. A thread makes the few planes beside its range for itself.
 * In NumPy: h = relu(x @ W + b) - relu(b), x the deviations of a cell and its neighbours out of the block and within it;
 *     z likewise from h; share's logit += 2 tanh(z @ s), coarse couplings *= exp(0.7 tanh(mean of z at both sides @ l))
 *
 * Where a run of SV_W cells and all around it look uniform the layers are skipped: they would give zeros. Elsewhere they
 * take 740 multiply-adds a cell in the plane, 1,150 in space. Measured, float32, AVX-512, one thread: 50 ns a cell where
 * all is uniform, far from the memory's bound, and 90 where nothing is; the set-up by hand takes 40. tanh and exp are
 * approximated (to 2e-5 and 1e-6) and exact at 0: nothing depends on their accuracy.
 */
#include "multilevel_net.h"

#include "multilevel_rows.h"

enum { H = NET_HIDDEN, OUTER = 5 };

/* Less of a deviation is rounding. */
#define DEAD ((real)1e-4)

struct net {
    const real *first, *first_shift, *second, *second_shift, *share, *scale, *far, *near, *sinks;
};

struct learned {
    const struct sv_level *g, *coarse;
    struct net net;
    real *factor, *pools, *work;
    ptrdiff_t planes, parts;
    size_t part;
    int axes, axis[3]; /* the axes that are there, of x, y, z */
};

/* A thread's rings, and the flags that say which runs of a row are not uniform (as elements, one a run). */
struct rings {
    real *diagonal, *features, *hidden, *rough, *outside, *nothing, *heads, *quiet;
};

INLINE real *ring_at(const struct learned *s, real *ring, int channels, ptrdiff_t k, ptrdiff_t j, int channel)
{
    return ring + (((k & 3) * s->g->n[1] + j) * channels + channel) * s->g->pitch + MULTILEVEL_LEAD;
}

static struct net net_of(const real *p)
{
    struct net net = {.first = p};
    net.first_shift = net.first + NET_INPUTS * H, net.second = net.first_shift + H;
    net.second_shift = net.second + 4 * H * H, net.share = net.second_shift + H, net.scale = net.share + H;
    net.far = net.scale + H, net.near = net.far + H, net.sinks = net.near + H;
    return net;
}

/* tanh, odd, within 2e-5. */
INLINE real bounded(real x)
{
    x = x > (real)4.97 ? (real)4.97 : x < (real)-4.97 ? (real)-4.97 : x;
    real y = x * x, top = x * (135135 + y * (17325 + y * (378 + y)));
    return top / (135135 + y * (62370 + y * (3150 + 28 * y)));
}

/* e^x for |x| <= 2, within 1e-6. */
INLINE real grown(real x)
{
    real t = x / 8, e = 1 + t * (1 + t / 2 * (1 + t / 3 * (1 + t / 4 * (1 + t / 5))));
    e *= e, e *= e;
    return e * e;
}

INLINE real alive(real x) { return x < DEAD && x > -DEAD ? 0 : x; }

INLINE real one_if(real x) { return x > 0 ? (real)1 : (real)0; }

/* The place along z and y of a row, or -1; rows beyond are outside. */
INLINE ptrdiff_t plane_at(const struct sv_level *g, ptrdiff_t k) { return on_axis(k, g->n[2], g->periodic[2]); }

/* A row of a ring at (k + dk, j + dj): `beyond` where the grid has none. */
INLINE const real *beside(const struct learned *s, real *ring, int channels, ptrdiff_t k, ptrdiff_t j, int channel,
                          const real *beyond)
{
    const struct sv_level *g = s->g;
    j = on_axis(j, g->n[1], g->periodic[1]);
    return j < 0 || plane_at(g, k) < 0 ? beyond : ring_at(s, ring, channels, k, j, channel);
}

/* ---- what the net sees ---- */

static void diagonal_plane(const struct learned *s, const struct rings *r, ptrdiff_t k)
{
    const struct sv_level *g = s->g;
    ptrdiff_t at = plane_at(g, k);
    for (ptrdiff_t j = 0; j < g->n[1] && at >= 0; j++) {
        const real *inverse = row_of(g, g->inverse, at, j);
        real *restrict row = ring_at(s, r->diagonal, 1, k, j, 0);
        for (ptrdiff_t i = 0; i < g->n[0]; i++)
            row[i] = inverse[i] > 0 ? 1 / inverse[i] : 0;
        row[-1] = row[g->n[0]] = 0;
        close_row(g, row);
    }
}

/* The features of a row of cells along one axis: couplings out of the block and within it. */
INLINE void along_row(const struct learned *s, const struct rings *r, ptrdiff_t k, ptrdiff_t j, int a)
{
    const struct sv_level *g = s->g;
    int axis = s->axis[a];
    ptrdiff_t at = plane_at(g, k);
    const real *inverse = row_of(g, g->inverse, at, j);
    const real *before = row_of(g, g->face[axis], at, j), *after = before + 1;
    if (axis > 0)
        after = row_of(g, g->face[axis], at + (axis == 2), j + (axis == 1));
    int channels = 3 + 2 * s->axes;
    real *restrict out = ring_at(s, r->features, channels, k, j, 3 + 2 * a), *restrict in = out + g->pitch;
    const real much = (real)(2 * s->axes);
    if (axis && (axis == 2 ? at : j) & 1) {
        const real *other = before;
        before = after, after = other;
    }
    for (ptrdiff_t i = 0; i < g->n[0]; i++) {
        out[i] = alive(much * inverse[i] * before[i] - 1);
        in[i] = alive(much * inverse[i] * after[i] - 1);
    }
    for (ptrdiff_t i = 1; i < g->n[0] && !axis; i += 2) {
        real other = out[i];
        out[i] = in[i], in[i] = other;
    }
}

INLINE void own_row(const struct learned *s, const struct rings *r, ptrdiff_t k, ptrdiff_t j)
{
    const struct sv_level *g = s->g;
    ptrdiff_t at = plane_at(g, k), pitch = g->pitch;
    const real *inverse = row_of(g, g->inverse, at, j);
    const real *wall = row_of(g, g->wall, at, j), *mass = row_of(g, g->mass, at, j);
    const real *d = ring_at(s, r->diagonal, 1, k, j, 0), *none = r->nothing;
    const real *south = beside(s, r->diagonal, 1, k, j - 1, 0, none), *north = beside(s, r->diagonal, 1, k, j + 1, 0, none);
    const real *below = beside(s, r->diagonal, 1, k - 1, j, 0, none), *above = beside(s, r->diagonal, 1, k + 1, j, 0, none);
    real *restrict own = ring_at(s, r->features, 3 + 2 * s->axes, k, j, 0);
    real *restrict contrast = own + pitch, *restrict part = contrast + pitch;
    for (ptrdiff_t i = 0; i < g->n[0]; i++) {
        real sum = d[i] + d[i - 1] + d[i + 1] + south[i] + north[i] + below[i] + above[i];
        real there = one_if(d[i]) + one_if(d[i - 1]) + one_if(d[i + 1]) + one_if(south[i]) + one_if(north[i]) +
                     one_if(below[i]) + one_if(above[i]);
        real up = d[i] * there, square = up * up, other = sum * sum, active = one_if(d[i]);
        own[i] = alive(inverse[i] * (wall[i] + mass[i]));
        contrast[i] = active * alive((square - other) / (square + other + (1 - active)));
        part[i] = active - 1;
    }
}

/* What lies at both ends of a row of a channel: `beyond`, or the other end's. */
INLINE void end_row(const struct sv_level *g, real *row, real beyond)
{
    row[-1] = row[g->n[0]] = beyond;
    close_row(g, row);
}

static const real BEYOND[OUTER] = {-1, -1, 0, 0, -1}; /* along out, in; own three */

/* Beside a row's cells stand zeros or what lies beyond its end, where nothing is uniform. */
INLINE void flag_row(const struct learned *s, real *flags, const real *rows, int channels)
{
    const struct sv_level *g = s->g;
    for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W) {
        vreal most = v_set1(0), least = v_set1(0);
        for (int c = 0; c < channels; c++) {
            vreal x = v_load(rows + c * g->pitch + i);
            most = v_max(most, x), least = v_min(least, x);
        }
        real lanes[SV_W], rough = 0;
        v_store(lanes, v_sub(most, least));
        for (int lane = 0; lane < SV_W; lane++)
            rough += lanes[lane];
        flags[i / SV_W] = rough;
    }
}

static void features_plane(const struct learned *s, const struct rings *r, ptrdiff_t k)
{
    const struct sv_level *g = s->g;
    int channels = 3 + 2 * s->axes;
    for (ptrdiff_t j = 0; j < g->n[1] && plane_at(g, k) >= 0; j++) {
        own_row(s, r, k, j);
        for (int a = 0; a < s->axes; a++)
            along_row(s, r, k, j, a);
        real *rows = ring_at(s, r->features, channels, k, j, 0);
        for (int c = 0; c < channels; c++)
            end_row(g, rows + c * g->pitch, c < 3 ? BEYOND[2 + c] : (real)-1);
        flag_row(s, ring_at(s, r->rough, 2, k, j, 0), rows, channels);
    }
}

/* Whether a run of cells, or one of those around, is not uniform. */
INLINE int is_rough(const struct learned *s, const struct rings *r, int layer, ptrdiff_t k, ptrdiff_t j, ptrdiff_t run)
{
    const struct sv_level *g = s->g;
    const real *own = ring_at(s, r->rough, 2, k, j, layer);
    ptrdiff_t last = (g->n[0] - 1) / SV_W;
    ptrdiff_t west = run ? run - 1 : g->periodic[0] ? last : run, east = run < last ? run + 1 : g->periodic[0] ? 0 : run;
    real sum = own[run] + own[west] + own[east];
    for (int side = -1; side < 2; side += 2) {
        sum += beside(s, r->rough, 2, k, j + side, layer, r->quiet)[run];
        sum += beside(s, r->rough, 2, k + side, j, layer, r->quiet)[run];
    }
    return sum > 0;
}

/* ---- the layers ---- */

/* 1 in the lanes of first cells of blocks along x. */
static const real FIRST[16] = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0};

/* The rows of a cell's neighbours out of its block and within it along axis a, from a channel on: those along x are the
 * own one. */
struct neighbours {
    const real *row[2];
    int x;
};

INLINE struct neighbours neighbours(const struct learned *s, real *ring, int channels, int channel, ptrdiff_t k,
                                    ptrdiff_t j, int axis, const real *beyond)
{
    struct neighbours of = {.x = axis == 0};
    const real *own = ring_at(s, ring, channels, k, j, channel);
    ptrdiff_t second = (axis == 2 ? plane_at(s->g, k) : j) & 1;
    for (int in = 0; in < 2; in++) {
        ptrdiff_t step = (second ^ in) ? 1 : -1;
        of.row[in] = of.x ? own : beside(s, ring, channels, k + step * (axis == 2), j + step * (axis == 1), channel, beyond);
    }
    return of;
}

INLINE vreal neighbour_at(const struct neighbours *of, int in, ptrdiff_t shift, ptrdiff_t i)
{
    if (!of->x)
        return v_load(of->row[in] + shift + i);
    const real *own = of->row[in] + shift + i;
    vreal first = v_load(FIRST), one = v_set1(1); /* runs begin at even cells, or are single ones */
    if (SV_W == 1)
        return v_load(own + (((i & 1) ^ in) ? 1 : -1));
    return in ? v_if_equal(first, one, v_load(own + 1), v_load(own - 1))
              : v_if_equal(first, one, v_load(own - 1), v_load(own + 1));
}

#define ADD(sum, weights, x)                                                                                        \
    do {                                                                                                            \
        vreal x_ = (x);                                                                                             \
        for (int h_ = 0; h_ < H; h_++)                                                                              \
            (sum)[h_] = v_fma(v_set1((weights)[h_]), x_, (sum)[h_]);                                                \
    } while (0)

INLINE vreal after_relu(vreal sum, real shift)
{
    return v_sub(v_max(v_set1(0), sum), v_set1(shift > 0 ? shift : 0));
}

INLINE void hidden_plane(const struct learned *s, const struct rings *r, ptrdiff_t k, int axes)
{
    const struct sv_level *g = s->g;
    const real *w = s->net.first;
    const int channels = 3 + 2 * axes;
    const ptrdiff_t pitch = g->pitch;
    for (ptrdiff_t j = 0; j < g->n[1] && plane_at(g, k) >= 0; j++) {
        const real *own = ring_at(s, r->features, channels, k, j, 0);
        real *to = ring_at(s, r->hidden, axes * H, k, j, 0);
        struct neighbours of[3], along[3];
        for (int a = 0; a < axes; a++) {
            of[a] = neighbours(s, r->features, channels, 0, k, j, s->axis[a], r->outside);
            along[a] = neighbours(s, r->features, channels, 3 + 2 * a, k, j, s->axis[a], r->outside + 3 * pitch);
        }
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W) {
            if (!is_rough(s, r, 0, k, j, i / SV_W)) {
                for (int c = 0; c < axes * H; c++)
                    v_store_some(to + c * pitch + i, v_set1(0), (size_t)(g->n[0] - i));
                continue;
            }
            vreal shared[H], mean[2] = {v_set1(0), v_set1(0)};
            for (int h = 0; h < H; h++)
                shared[h] = v_set1(s->net.first_shift[h]);
            for (int c = 0; c < 2; c++) {
                for (int a = 0; a < axes; a++)
                    mean[c] = v_add(mean[c], v_load(own + (3 + 2 * a + c) * pitch + i));
                ADD(shared, w + (2 + c) * H, v_mul(mean[c], v_set1((real)1 / axes)));
            }
            for (int c = 0; c < 3; c++)
                ADD(shared, w + (4 + c) * H, v_load(own + c * pitch + i));
            for (int a = 0; a < axes; a++) {
                vreal sum[H];
                for (int h = 0; h < H; h++)
                    sum[h] = shared[h];
                for (int c = 0; c < 2; c++)
                    ADD(sum, w + c * H, v_load(own + (3 + 2 * a + c) * pitch + i));
                for (int in = 0; in < 2; in++) {
                    for (int c = 0; c < 2; c++)
                        ADD(sum, w + (7 + OUTER * in + c) * H, neighbour_at(&along[a], in, c * pitch, i));
                    for (int c = 0; c < 3; c++)
                        ADD(sum, w + (9 + OUTER * in + c) * H, neighbour_at(&of[a], in, c * pitch, i));
                }
                for (int h = 0; h < H; h++)
                    v_store_some(to + (a * H + h) * pitch + i, after_relu(sum[h], s->net.first_shift[h]),
                                 (size_t)(g->n[0] - i));
            }
        }
        for (int c = 0; c < axes * H; c++)
            end_row(g, to + c * pitch, 0);
        flag_row(s, ring_at(s, r->rough, 2, k, j, 1), to, axes * H);
    }
}

/* The heads of a run: rows of r->heads are, for each axis, share, far and near, then the row's scale, and two of sinks. */
INLINE void last_run(const struct learned *s, const struct rings *r, const real *own, const struct neighbours *of,
                     ptrdiff_t i, int axes)
{
    const real *w = s->net.second;
    const ptrdiff_t pitch = s->g->pitch;
    const vreal part = v_set1((real)1 / axes);
    vreal shared[H], mean[H], scale = v_set1(0), sinks[2] = {v_set1(0), v_set1(0)};
    for (int h = 0; h < H; h++)
        shared[h] = v_set1(s->net.second_shift[h]), mean[h] = v_set1(0);
    for (int c = 0; c < H; c++) {
        vreal x = v_set1(0);
        for (int a = 0; a < axes; a++)
            x = v_add(x, v_load(own + (a * H + c) * pitch + i));
        ADD(shared, w + (H + c) * H, v_mul(x, part));
    }
    for (int a = 0; a < axes; a++) {
        vreal sum[H], heads[3] = {v_set1(0), v_set1(0), v_set1(0)};
        for (int h = 0; h < H; h++)
            sum[h] = shared[h];
        for (int c = 0; c < H; c++)
            ADD(sum, w + c * H, v_load(own + (a * H + c) * pitch + i));
        for (int in = 0; in < 2; in++)
            for (int c = 0; c < H; c++)
                ADD(sum, w + ((2 + in) * H + c) * H, neighbour_at(&of[a], in, c * pitch, i));
        for (int h = 0; h < H; h++) {
            vreal z = after_relu(sum[h], s->net.second_shift[h]);
            mean[h] = v_add(mean[h], z);
            heads[0] = v_fma(v_set1(s->net.share[h]), z, heads[0]);
            heads[1] = v_fma(v_set1(s->net.far[h]), z, heads[1]);
            heads[2] = v_fma(v_set1(s->net.near[h]), z, heads[2]);
        }
        for (int head = 0; head < 3; head++)
            v_store(r->heads + (3 * a + head) * pitch + i, heads[head]);
    }
    for (int h = 0; h < H; h++) {
        vreal z = v_mul(mean[h], part);
        scale = v_fma(v_set1(s->net.scale[h]), z, scale);
        for (int kind = 0; kind < 2; kind++)
            sinks[kind] = v_fma(v_set1(s->net.sinks[2 * h + kind]), z, sinks[kind]);
    }
    v_store(r->heads + 3 * axes * pitch + i, scale);
    for (int kind = 0; kind < 2; kind++)
        v_store(r->heads + (3 * axes + 1 + kind) * pitch + i, sinks[kind]);
}

/* Field `number` of the pools: for each axis far, near of first cells, near of second ones; two of sinks. */
INLINE real *pool_row(const struct learned *s, int number, ptrdiff_t K, ptrdiff_t J)
{
    return s->pools + (size_t)number * s->coarse->size + row_at(s->coarse, K, J);
}

/* The shares and the factor of a run of cells, from `from` on, and its parts of the sums over blocks. */
INLINE void use_run(const struct learned *s, const struct rings *r, ptrdiff_t k, ptrdiff_t j, ptrdiff_t from, int axes)
{
    const struct sv_level *g = s->g;
    const ptrdiff_t end = from + SV_W < g->n[0] ? from + SV_W : g->n[0], pitch = g->pitch, K = k >> 1, J = g->n[1] > 1 ? j >> 1 : 0;
    for (int a = 0; a < axes; a++) {
        const real *head = r->heads + 3 * a * pitch;
        real *restrict share = (real *)g->share[s->axis[a]] + row_at(g, k, j);
        for (ptrdiff_t i = from; i < end; i++) {
            real much = grown(2 * bounded(head[i])) - 1;
            share[i] += share[i] * (1 - share[i]) * much / (1 + share[i] * much);
        }
        const real *far = head + pitch, *near = far + pitch;
        real *of_far = pool_row(s, 3 * a, K, J), *of_near[2] = {pool_row(s, 3 * a + 1, K, J), pool_row(s, 3 * a + 2, K, J)};
        int axis = s->axis[a], second = (axis == 2 ? k : j) & 1;
        for (ptrdiff_t i = from; i < end; i++) {
            of_far[i >> 1] += far[i];
            of_near[axis ? second : i & 1][i >> 1] += near[i];
        }
    }
    const real *heads = r->heads + 3 * axes * pitch;
    for (int kind = 0; kind < 2; kind++) {
        real *sinks = pool_row(s, 3 * axes + kind, K, J);
        for (ptrdiff_t i = from; i < end; i++)
            sinks[i >> 1] += heads[(1 + kind) * pitch + i];
    }
    const real *wall = row_of(g, g->wall, k, j), *mass = row_of(g, g->mass, k, j);
    const real *x = row_of(g, g->face[0], k, j);
    const real *c[6] = {x, x + 1, row_of(g, g->face[1], k, j), row_of(g, g->face[1], k, j + 1),
                        row_of(g, g->face[2], k, j), row_of(g, g->face[2], k + 1, j)};
    real *factor = s->factor + row_at(g, k, j);
    for (ptrdiff_t i = from; i < end; i++) {
        real sink = wall[i] + mass[i], sum = 0, count = 0;
        if (!(sink > 0) || heads[i] == 0)
            continue;
        for (int side = 0; side < 6; side++)
            sum += c[side][i], count += c[side][i] > 0 ? (real)1 : (real)0;
        real mean = count > 0 ? sum / count : 0;
        factor[i] = grown(bounded(heads[i]) * sink / (sink + (real)0.5 * mean));
    }
}

INLINE void last_plane(const struct learned *s, const struct rings *r, ptrdiff_t k, int axes)
{
    const struct sv_level *g = s->g;
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        const real *own = ring_at(s, r->hidden, axes * H, k, j, 0);
        real *factor = s->factor + row_at(g, k, j);
        struct neighbours of[3];
        for (int a = 0; a < axes; a++)
            of[a] = neighbours(s, r->hidden, axes * H, a * H, k, j, s->axis[a], r->nothing);
        for (ptrdiff_t i = 0; i < g->n[0]; i++)
            factor[i] = 1;
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W)
            if (is_rough(s, r, 1, k, j, i / SV_W)) {
                last_run(s, r, own, of, i, axes);
                use_run(s, r, k, j, i, axes);
            }
    }
}

INLINE void learn(const struct learned *s, size_t index, int axes)
{
    const struct sv_level *g = s->g;
    const ptrdiff_t pitch = g->pitch, plane = 4 * g->n[1] * pitch, two = 1 + g->halved[2];
    struct rings r = {.diagonal = s->work + index * s->part};
    r.features = r.diagonal + plane, r.hidden = r.features + plane * (3 + 2 * axes);
    r.rough = r.hidden + plane * axes * H; /* two channels */
    real *rows = r.rough + 2 * plane;
    r.outside = rows + MULTILEVEL_LEAD, r.nothing = r.outside + 5 * pitch, r.quiet = r.nothing;
    r.heads = r.nothing + (H + 1) * pitch;
    memset(s->work + index * s->part, 0, s->part * sizeof(real));
    for (int c = 0; c < OUTER; c++) /* own three, then the two along */
        for (ptrdiff_t i = -MULTILEVEL_LEAD; i < pitch - MULTILEVEL_LEAD; i++)
            r.outside[c * pitch + i] = c < 3 ? BEYOND[2 + c] : (real)-1;
    ptrdiff_t from = (ptrdiff_t)index * s->planes / s->parts * two;
    ptrdiff_t to = ((ptrdiff_t)index + 1) * s->planes / s->parts * two;
    to = to < g->n[2] ? to : g->n[2];
    for (ptrdiff_t k = from - 3; k < to + 3; k++) {
        diagonal_plane(s, &r, k);
        if (k - 1 >= from - 2)
            features_plane(s, &r, k - 1);
        if (k - 2 >= from - 1)
            hidden_plane(s, &r, k - 2, axes);
        if (k - 3 >= from)
            last_plane(s, &r, k - 3, axes);
    }
}

static void learn_2(void *s, size_t index) { learn(s, index, 2); }
static void learn_3(void *s, size_t index) { learn(s, index, 3); }

/* ---- the next level ---- */

static void next_part(void *context, size_t index)
{
    const struct learned *s = context;
    const struct sv_level *c = s->coarse;
    const real whole = (real)1 / (1 << s->axes);
    ptrdiff_t from = (ptrdiff_t)index * s->planes / s->parts, to = ((ptrdiff_t)index + 1) * s->planes / s->parts;
    for (ptrdiff_t K = from; K < to; K++)
        for (ptrdiff_t J = 0; J < c->n[1]; J++) {
            for (int a = 0; a < s->axes; a++) {
                int axis = s->axis[a];
                ptrdiff_t before[3] = {0, J, K}, n = c->n[axis];
                if (axis)
                    before[axis] = on_axis(before[axis] - 1, n, c->periodic[axis]);
                if (before[axis] < 0)
                    continue;
                const real *far = pool_row(s, 3 * a, K, J), *near = pool_row(s, 3 * a + 1, K, J);
                const real *last = pool_row(s, 3 * a, before[2], before[1]);
                const real *beyond = pool_row(s, 3 * a + 2, before[2], before[1]);
                real *face = (real *)c->face[axis] + row_at(c, K, J);
                for (ptrdiff_t i = 0; i < c->n[0]; i++) {
                    ptrdiff_t at = axis ? i : i ? i - 1 : n - 1; /* at a wall there is no coupling to change */
                    real head = whole * ((far[i] + last[at]) / 2 + near[i] + beyond[at]);
                    face[i] *= grown((real)0.7 * bounded(head));
                }
                if (!axis)
                    close_row(c, face);
            }
            real *wall = (real *)c->wall + row_at(c, K, J), *mass = (real *)c->mass + row_at(c, K, J);
            real *inverse = (real *)c->inverse + row_at(c, K, J);
            const real *of_wall = pool_row(s, 3 * s->axes, K, J), *of_mass = pool_row(s, 3 * s->axes + 1, K, J);
            for (ptrdiff_t i = 0; i < c->n[0]; i++) {
                wall[i] *= grown(bounded(whole * of_wall[i]));
                mass[i] *= grown(bounded(whole * of_mass[i]));
                inverse[i] = inverse[i] > 0 ? 0 : (real)-1; /* for the inversion: who takes part */
            }
        }
}

static void correct(const struct sv_level *fine, const struct sv_level *coarse, const void *parameters, void *factor,
                    void *pools, void *work, int threads)
{
    struct learned s = {.g = fine, .coarse = coarse, .net = net_of(parameters), .factor = factor, .pools = pools,
                        .work = work, .planes = coarse->n[2], .part = net_work(fine)};
    for (int axis = 0; axis < 3; axis++)
        if (fine->n[axis] > 1)
            s.axis[s.axes++] = axis;
    s.parts = parts_of(fine, s.planes, threads);
    sv_parallel_for(threads, (size_t)s.parts, s.axes == 2 ? learn_2 : learn_3, &s);
    sv_parallel_for(threads, (size_t)s.parts, next_part, &s);
}

static void rescale(const struct sv_level *fine, const void *factor, int threads)
{
    (void)threads;
    const real *by = factor;
    real *scale = fine->scale;
    for (ptrdiff_t k = 0; k < fine->n[2]; k++)
        for (ptrdiff_t j = 0; j < fine->n[1]; j++)
            for (ptrdiff_t at = row_at(fine, k, j), end = at + fine->n[0]; at < end; at++)
                scale[at] *= by[at];
}

const struct sv_learned_kernels SV_TABLE(net_kernels) = {correct, rescale};
