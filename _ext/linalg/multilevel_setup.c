/* The coarse levels of a stencil, from resistances; float32 and float64.
 *
 * Half a block of two cells has along an axis the resistance R = 0.5 / c, c the coupling inside the block; where that is
 * none (an obstacle covers half of it) 0.5 / the larger coupling across its two interfaces, or the coarse cells there
 * would float. Across an interface of coupling c the conductance is g = 1 / (R + 1/c + R'); coarse couplings are its sums
 * over the rows of cells that the interface has, and R g is the share of the neighbouring block in the interpolation.
 * No more than 3, 5 or 7 points a row on any level, and M-matrices on all.
 *
 * Bytes a fine cell, float32, 3-D: read 24, written 20, and some 9 divisions; it should take the time of two cycles.
 * Everything is a sum of positive numbers: some 10 roundings. In NumPy, one axis, blocks (left, right):
 *     R = where(inside > 0, 0.5 / inside, 0.5 / maximum(across, following)); g = 1 / (R[:-1] + 1 / across + R[1:])
 */
#include "multilevel_rows.h"

#define LEAST_SHARE ((real)1e-6)
#define LARGEST_SHARE ((real)0.99) /* 0.6 would tear a cell at a jump of the coefficient off its strong neighbour */
#define LEAST_WEIGHT ((real)0.2)
/* Of a coarse diagonal, in parts of the largest of its cells': below, the cell floats and takes no part. */
#define FLOATING ((real)1e-8)

struct setup {
    const struct sv_level *g, *coarse;
    const struct sv_cells *cells;
    const double *from;
    real *to;
    double scale;
    int close;
    ptrdiff_t parts, planes;
};

static void range_of(const struct setup *s, size_t index, ptrdiff_t *from, ptrdiff_t *to)
{
    *from = (ptrdiff_t)index * s->planes / s->parts;
    *to = ((ptrdiff_t)index + 1) * s->planes / s->parts;
}

static void over_planes(struct setup *s, ptrdiff_t planes, sv_task task, int threads)
{
    s->planes = planes;
    s->parts = parts_of(s->g, planes, threads);
    sv_parallel_for(threads, (size_t)s->parts, task, s);
}

INLINE real *row_in(const struct sv_level *g, void *field, ptrdiff_t k, ptrdiff_t j)
{
    return (real *)field + row_at(g, k, j);
}

/* ---- the first level ---- */

static void pack_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g;
    ptrdiff_t from, to, nx = g->n[0];
    for (range_of(s, index, &from, &to); from < to; from++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            const double *in = s->from + (from * g->n[1] + j) * nx;
            real *out = row_in(g, s->to, from, j);
            for (ptrdiff_t i = 0; i < nx; i++)
                out[i] = (real)(s->scale * in[i]);
            if (s->close)
                close_row(g, out);
        }
}

static void pack(const struct sv_level *level, double scale, int close, const double *from, void *to, int threads)
{
    struct setup s = {.g = level, .from = from, .to = to, .scale = scale, .close = close};
    over_planes(&s, level->n[2], pack_part, threads);
}

/* A cell's couplings with the cell before along each axis, and the sum of all of its row but the mass. */
struct cell {
    double before[3], wall, all;
};

INLINE int takes_part(const struct setup *s, ptrdiff_t k, ptrdiff_t j, ptrdiff_t i)
{
    const uint8_t *mask = s->cells->mask;
    return !mask || mask[(k * s->g->n[1] + j) * s->g->n[0] + i];
}

INLINE struct cell look_at(const struct setup *s, ptrdiff_t k, ptrdiff_t j, ptrdiff_t i)
{
    const struct sv_level *g = s->g;
    struct cell cell = {{0, 0, 0}, 0, 0};
    ptrdiff_t at[3] = {i, j, k};
    for (int axis = 0; axis < 3; axis++)
        for (int high = 0; high < 2; high++) {
            ptrdiff_t to[3] = {i, j, k};
            to[axis] = on_axis(at[axis] + (high ? 1 : -1), g->n[axis], g->periodic[axis]);
            if (to[axis] < 0)
                cell.wall += s->cells->side[axis][high];
            else if (!takes_part(s, to[2], to[1], to[0]))
                cell.wall += s->cells->obstacle[axis];
            else if (high)
                cell.all += s->cells->coupling[axis];
            else
                cell.all += cell.before[axis] = s->cells->coupling[axis];
        }
    return cell;
}

/* What the fields say of the cells [i, end) of a row: all that one of them is. */
static void fill_cells(const struct setup *s, ptrdiff_t k, ptrdiff_t j, ptrdiff_t i, ptrdiff_t end)
{
    const struct sv_level *g = s->g;
    const int there = takes_part(s, k, j, i);
    const struct cell cell = there ? look_at(s, k, j, i) : (struct cell){{0, 0, 0}, 0, 0};
    const double diagonal = there ? s->scale * (cell.all + cell.wall + s->cells->mass) : 0;
    const real values[] = {
        (real)(s->scale * cell.before[0]), (real)(s->scale * cell.before[1]), (real)(s->scale * cell.before[2]),
        (real)(s->scale * cell.wall), there ? (real)(s->scale * s->cells->mass) : 0,
        diagonal > 0 ? (real)(1 / diagonal) : 0, (real)diagonal,
    };
    real *const fields[] = {g->face[0], g->face[1], g->face[2], g->wall, g->mass, g->wall ? g->inverse : NULL, s->to};
    for (int field = 0; field < 7; field++)
        if (fields[field]) {
            real *to = fields[field] + row_at(g, k, j);
            for (ptrdiff_t at = i; at < end; at++)
                to[at] = values[field];
        }
}

/* Whether so many bytes at each of the places are 1. */
enum { FAR = 16 };

INLINE int all_there(const uint8_t *const places[], int count)
{
    uint64_t all[2] = {~(uint64_t)0, ~(uint64_t)0}, here[2];
    for (int place = 0; place < count; place++) {
        memcpy(here, places[place], FAR);
        all[0] &= here[0], all[1] &= here[1];
    }
    return (all[0] & all[1]) == 0x0101010101010101;
}

/* Whether the cells [i, i + FAR) of a row, and all around them, take part. */
static int open_space(const struct setup *s, ptrdiff_t k, ptrdiff_t j, ptrdiff_t i)
{
    const struct sv_level *g = s->g;
    const ptrdiff_t row = g->n[0], plane = row * g->n[1];
    if (i < 1 || i + FAR >= row)
        return 0;
    for (int side = -1; side < 2; side += 2)
        if ((g->axes > 2 && on_axis(j + side, g->n[1], 0) < 0) || (g->axes > 1 && on_axis(k + side, g->n[2], 0) < 0))
            return 0;
    if (!s->cells->mask)
        return 1;
    const uint8_t *at = s->cells->mask + k * plane + j * row + i, *places[7] = {at, at - 1, at + 1};
    int count = 3;
    for (int side = -1; side < 2; side += 2) {
        if (g->axes > 1)
            places[count++] = at + side * plane;
        if (g->axes > 2)
            places[count++] = at + side * row;
    }
    return all_there(places, count);
}

static void fill_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g;
    ptrdiff_t from, to;
    for (range_of(s, index, &from, &to); from < to; from++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            const ptrdiff_t last = g->n[0] - 1 - FAR; /* the last place where open space may begin */
            for (ptrdiff_t i = 0, end; i < g->n[0]; i = end) {
                const ptrdiff_t begin = i < last ? i : last;
                end = i < g->n[0] - 1 && open_space(s, from, j, begin) ? begin + FAR : i + 1;
                fill_cells(s, from, j, i, end);
            }
            if (g->face[0])
                close_row(g, (real *)g->face[0] + row_at(g, from, j));
        }
}

static void fill(const struct sv_level *level, const struct sv_cells *cells, double scale, void *diagonal, int threads)
{
    struct setup s = {.g = level, .cells = cells, .scale = scale, .to = diagonal};
    over_planes(&s, level->n[2], fill_part, threads);
}

/* ---- the diagonal ---- */

/* The couplings of a row's cells with those around. */
struct links {
    const real *c[6];
};

INLINE struct links links_of(const struct sv_level *g, ptrdiff_t k, ptrdiff_t j)
{
    const real *x = row_of(g, g->face[0], k, j);
    return (struct links){{x, x + 1, row_of(g, g->face[1], k, j), row_of(g, g->face[1], k, j + 1),
                           row_of(g, g->face[2], k, j), row_of(g, g->face[2], k + 1, j)}};
}

INLINE real sum_of(const struct links *links, ptrdiff_t i, real *count)
{
    real sum = 0;
    for (int side = 0; side < 6; side++) {
        real c = links->c[side][i];
        sum += c, *count += c > 0 ? (real)1 : (real)0;
    }
    return sum;
}

static void invert_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g;
    ptrdiff_t from, to;
    for (range_of(s, index, &from, &to); from < to; from++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            real *inverse = row_in(g, g->inverse, from, j);
            const real *wall = row_in(g, g->wall, from, j), *mass = row_in(g, g->mass, from, j);
            struct links links = links_of(g, from, j);
            real *diagonal = s->to ? row_in(g, s->to, from, j) : NULL;
            for (ptrdiff_t i = 0; i < g->n[0]; i++) {
                real count = 0, d = sum_of(&links, i, &count) + wall[i] + mass[i];
                int there = inverse[i] >= 0 && d > inverse[i];
                if (diagonal)
                    diagonal[i] = there ? d : 0;
                inverse[i] = there ? 1 / d : 0;
            }
        }
}

static void invert(const struct sv_level *level, void *diagonal, int threads)
{
    struct setup s = {.g = level, .to = diagonal};
    over_planes(&s, level->n[2], invert_part, threads);
}

/* ---- the next level ---- */

/* A row of interfaces: the couplings across it, inside the blocks before and after, and across their other sides. */
struct interface {
    const real *across, *inside[2], *beyond[2];
    real *share[2]; /* of the cells before and after it; NULL where there are none before */
};

INLINE real half_block(real inside, real across, real beyond)
{
    real other = across > beyond ? across : beyond, c = inside > 0 ? inside : other;
    return (real)0.5 / c;
}

INLINE real clamped(real share)
{
    share = share < LARGEST_SHARE ? share : LARGEST_SHARE;
    return share > LEAST_SHARE ? share : LEAST_SHARE;
}

/* The conductances g of a row of interfaces across y or z, and the shares of the cells at both sides. */
static void conduct(const struct interface *f, ptrdiff_t nx, real *g)
{
    for (ptrdiff_t i = 0; i < nx; i++) {
        real c = f->across[i];
        real before = half_block(f->inside[0][i], c, f->beyond[0][i]);
        real after = half_block(f->inside[1][i], c, f->beyond[1][i]);
        real through = 1 / (before + 1 / c + after); /* 0 where c is: all three are infinite then, or 1/c */
        g[i] = c > 0 ? through : 0;
        f->share[1][i] = c > 0 ? clamped(after * through) : 0;
        if (f->share[0])
            f->share[0][i] = c > 0 ? clamped(before * through) : 0;
    }
}

/* Adds a row of fine values to the coarse row. */
static void gather(const struct sv_level *g, const real *values, real *coarse)
{
    for (ptrdiff_t i = 0; i < g->n[0]; i++)
        coarse[g->halved[0] ? i / 2 : i] += values[i];
}

/* Whether the last block along an axis has one cell, and the first block comes after it. */
INLINE int single_end(const struct sv_level *g, int axis) { return g->periodic[axis] && g->n[axis] & 1; }

/* Along y or z, for the row (k, j) of fine cells, the first of a block along that axis. */
static void link_rows(const struct setup *s, int axis, ptrdiff_t k, ptrdiff_t j, real *coarse)
{
    const struct sv_level *g = s->g;
    ptrdiff_t dk = axis == 2, dj = axis == 1;
    if (!g->halved[axis]) {
        gather(g, row_of(g, g->face[axis], k, j), coarse);
        return;
    }
    struct interface f = {
        .across = row_of(g, g->face[axis], k, j),
        .inside = {row_of(g, g->face[axis], k - dk, j - dj), row_of(g, g->face[axis], k + dk, j + dj)},
        .beyond = {row_of(g, g->face[axis], k - 2 * dk, j - 2 * dj), row_of(g, g->face[axis], k + 2 * dk, j + 2 * dj)},
    };
    ptrdiff_t place = axis == 2 ? k : j, before = on_axis(place - 1, g->n[axis], g->periodic[axis]);
    if (single_end(g, axis) && place == g->n[axis] - 1)
        f.inside[1] = no_row(g), f.beyond[1] = row_of(g, g->face[axis], k + dk, j + dj);
    if (single_end(g, axis) && place == 0) {
        f.inside[0] = no_row(g), f.beyond[0] = row_of(g, g->face[axis], k - dk, j - dj);
        before = -1; /* that cell's share is with its other neighbour */
    }
    f.share[1] = row_in(g, g->share[axis], k, j);
    if (before >= 0)
        f.share[0] = row_in(g, g->share[axis], axis == 2 ? before : k, axis == 1 ? before : j);
    real *conductance = row_in(g, g->scale, k, j); /* which has no other use yet */
    conduct(&f, g->n[0], conductance);
    gather(g, conductance, coarse);
}

/* An interface across x: the coupling across it, inside the blocks before and after, across their other sides; and what
 * comes of those. The last one found is kept: mostly the next is the same, and needs no divisions. */
struct link {
    real across, inside[2], beyond[2];
    real through, share[2];
};

INLINE void find_link(struct link *l, real across, const real inside[2], const real beyond[2])
{
    if (l->across == across && l->inside[0] == inside[0] && l->inside[1] == inside[1] && l->beyond[0] == beyond[0] &&
        l->beyond[1] == beyond[1])
        return;
    real before = half_block(inside[0], across, beyond[0]), after = half_block(inside[1], across, beyond[1]);
    real through = 1 / (before + 1 / across + after);
    *l = (struct link){across, {inside[0], inside[1]}, {beyond[0], beyond[1]}, through,
                       {clamped(before * through), clamped(after * through)}};
}

/* Along x, in the row (k, j). */
static void link_cells(const struct setup *s, ptrdiff_t k, ptrdiff_t j, real *coarse)
{
    const struct sv_level *g = s->g;
    const real *c = row_in(g, g->face[0], k, j);
    real *share = row_in(g, g->share[0], k, j);
    ptrdiff_t nx = g->n[0];
    struct link link = {.across = 0};
    if (!g->halved[0]) {
        gather(g, c, coarse);
        return;
    }
    for (ptrdiff_t i = 0; i < nx; i += 2) {
        ptrdiff_t end = i ? i : g->periodic[0] ? nx : 0; /* the block before ends here */
        int single = single_end(g, 0) && !i;             /* it is a cell, whose share is with its other neighbour */
        if (!(c[i] > 0) || !end) {
            share[i] = 0;
            if (end && !single)
                share[end - 1] = 0;
            continue;
        }
        real next = i + 2 <= nx ? c[i + 2] : g->periodic[0] ? c[nx] : 0, inside = i + 1 < nx ? c[i + 1] : 0;
        real within[2] = {single ? 0 : c[end - 1], inside}, beyond[2] = {single ? c[end - 1] : c[end - 2], next};
        find_link(&link, c[i], within, beyond);
        coarse[i / 2] += link.through;
        share[i] = link.share[1];
        if (!single)
            share[end - 1] = link.share[0];
    }
}

/* A row's sinks and its largest diagonal, to the coarse cells; -1 stands there for one that takes no part. */
static void sink_row(const struct setup *s, ptrdiff_t k, ptrdiff_t j, real *wall, real *mass, real *least)
{
    const struct sv_level *g = s->g;
    const real *of_wall = row_in(g, g->wall, k, j), *of_mass = row_in(g, g->mass, k, j);
    const real *inverse = row_in(g, g->inverse, k, j);
    real last = 0, floats = 0;
    for (ptrdiff_t i = 0; i < g->n[0]; i++) {
        ptrdiff_t to = g->halved[0] ? i / 2 : i;
        if (!(inverse[i] > 0))
            continue;
        if (inverse[i] != last)
            last = inverse[i], floats = FLOATING / last;
        wall[to] += (real)0.5 * of_wall[i], mass[to] += of_mass[i];
        least[to] = floats > least[to] ? floats : least[to];
    }
}

static void coarsen_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g, *c = s->coarse;
    ptrdiff_t K, to, two = 1 + g->halved[2], rows = 1 + g->halved[1];
    for (range_of(s, index, &K, &to); K < to; K++)
        for (ptrdiff_t J = 0; J < c->n[1]; J++) {
            ptrdiff_t at = row_at(c, K, J);
            for (int axis = 0; axis < 3; axis++)
                if (c->face[axis])
                    memset((real *)c->face[axis] + at, 0, (size_t)c->n[0] * sizeof(real));
            real *wall = (real *)c->wall + at, *mass = (real *)c->mass + at, *least = (real *)c->inverse + at;
            for (ptrdiff_t i = 0; i < c->n[0]; i++)
                wall[i] = mass[i] = 0, least[i] = -1;
            for (ptrdiff_t k = two * K; k < two * (K + 1) && k < g->n[2]; k++)
                for (ptrdiff_t j = rows * J; j < rows * (J + 1) && j < g->n[1]; j++) {
                    link_cells(s, k, j, (real *)c->face[0] + at);
                    if (c->face[1] && j == rows * J) /* none along an axis of one cell */
                        link_rows(s, 1, k, j, (real *)c->face[1] + at);
                    if (c->face[2] && k == two * K)
                        link_rows(s, 2, k, j, (real *)c->face[2] + at);
                    sink_row(s, k, j, wall, mass, least);
                }
            close_row(c, (real *)c->face[0] + at);
        }
}

static void coarsen(const struct sv_level *fine, const struct sv_level *coarse, int threads)
{
    struct setup s = {.g = fine, .coarse = coarse};
    over_planes(&s, coarse->n[2], coarsen_part, threads);
    invert(coarse, NULL, threads);
}

/* scale = 1 / W / (1 + 0.5 s / c), W the sum of the row's weights, s its sinks, c the mean of its couplings. */
static void weigh_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g;
    ptrdiff_t from, to;
    for (range_of(s, index, &from, &to); from < to; from++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            real *scale = row_in(g, g->scale, from, j);
            const real *inverse = row_in(g, g->inverse, from, j);
            const real *wall = row_in(g, g->wall, from, j), *mass = row_in(g, g->mass, from, j);
            struct links links = links_of(g, from, j);
            for (ptrdiff_t i = 0; i < g->n[0]; i++) {
                real count = 0, sum = sum_of(&links, i, &count), sink = wall[i] + mass[i];
                real weight = scale[i] > LEAST_WEIGHT ? scale[i] : LEAST_WEIGHT;
                real of_row = sum / (weight * (sum + (real)0.5 * sink * count));
                scale[i] = inverse[i] > 0 && sum > 0 ? of_row : 0;
            }
        }
}

static void weigh(const struct sv_level *fine, int threads)
{
    struct setup s = {.g = fine};
    over_planes(&s, fine->n[2], weigh_part, threads);
}

const struct sv_setup_kernels SV_TABLE(setup_kernels) = {fill, pack, invert, coarsen, weigh};
