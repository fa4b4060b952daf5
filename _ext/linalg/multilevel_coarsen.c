/* The coarse levels of a stencil, from resistances; float32 and float64.
 *
 * Half a block of two cells has along an axis the resistance R = 0.5 / c, c the coupling inside the block; where that is
 * none (an obstacle covers half of it) 0.5 / the larger coupling across its two interfaces, or the coarse cells there
 * would float. Across an interface of coupling c the conductance is g = 1 / (R + 1/c + R'); coarse couplings are its sums
 * over the rows of cells that the interface has, and R g is the share of the neighbouring block in the interpolation.
 * No more than 3, 5 or 7 points a row on any level, and M-matrices on all.
 *
 * Where the coefficient varies two rules are added, or blocks that a jump cuts at a slant fall to pieces. The way to the
 * middle of the block may lead over the cell beside, in the block, where that is shorter: R = min(R, 1 / c' + R'), c' the
 * coupling with that cell, R' its own way. And a row of cells that follows the next block across the axis gives its
 * conductance to that block's interface in the same part, as the interpolation has it. On uniform coefficients neither
 * changes anything; beside obstacles of a constant coefficient they save an iteration in fifty, and are left out.
 *
 * Bytes a fine cell, float32, 3-D: read 24, written 20, and some 12 divisions, of vectors; it should take the time of two
 * cycles; with the rules for coefficients that vary, which keep R and g and read them again, twice as long.
 * Everything is a sum of positive numbers: some 10 roundings. In NumPy, one axis, blocks (left, right):
 *     R = where(inside > 0, 0.5 / inside, 0.5 / maximum(across, following)); g = 1 / (R[:-1] + 1 / across + R[1:])
 */
#include "multilevel_interfaces.h"

/* Of a coarse diagonal, in parts of the largest of its cells': below, the cell floats and takes no part. */
#define FLOATING ((real)1e-8)

/* ---- the coarse couplings and sinks ---- */

/* What a chunk's cells give to the coarse row: sums over the fine rows that it covers, and the largest bound. */
struct given {
    real coupling[3][CHUNK], wall[CHUNK], mass[CHUNK], least[CHUNK];
};

/* A row's sinks, and what the diagonal of a cell must be above to take part. */
static void sink_row(const struct setup *s, ptrdiff_t k, ptrdiff_t j, struct chunk at, struct given *restrict to)
{
    const struct sv_level *g = s->g;
    const real *wall = row_in(g, g->wall, k, j) + at.from, *mass = row_in(g, g->mass, k, j) + at.from;
    const real *inverse = row_in(g, g->inverse, k, j) + at.from;
    for (ptrdiff_t i = 0; i < at.cells; i++) {
        const real floats = FLOATING / inverse[i], bound = inverse[i] > 0 ? floats : -1;
        to->wall[i] += inverse[i] > 0 ? (real)0.5 * wall[i] : 0;
        to->mass[i] += inverse[i] > 0 ? mass[i] : 0;
        to->least[i] = bound > to->least[i] ? bound : to->least[i];
    }
}

/* All that the fine rows of coarse row (K, J) give. */
static void gather(const struct setup *s, ptrdiff_t K, ptrdiff_t J, struct chunk at, struct given *to)
{
    const struct sv_level *g = s->g, *c = s->coarse;
    const ptrdiff_t two = 1 + g->halved[2], rows = 1 + g->halved[1];
    memset(to, 0, sizeof *to);
    for (ptrdiff_t i = 0; i < CHUNK; i++)
        to->least[i] = -1;
    for (ptrdiff_t k = two * K; k < two * (K + 1) && k < g->n[2]; k++)
        for (ptrdiff_t j = rows * J; j < rows * (J + 1) && j < g->n[1]; j++) {
            link_cells(s, (struct place){k, j}, at, to->coupling[0]);
            if (c->face[1] && j == rows * J) /* none along an axis of one cell */
                link_rows(s, 1, (struct place){k, j}, at, to->coupling[1]);
            if (c->face[2] && k == two * K)
                link_rows(s, 2, (struct place){k, j}, at, to->coupling[2]);
            sink_row(s, k, j, at, to);
        }
}

/* The coarse cells' sums, or those of the even cells alone. */
INLINE void fold(const struct setup *s, void *field, size_t row, struct chunk at, const real *sums, int both)
{
    const int halved = s->g->halved[0];
    real *to = (real *)field + row + (halved ? at.from / 2 : at.from);
    if (!halved)
        memcpy(to, sums, (size_t)at.cells * sizeof(real));
    else
        for (ptrdiff_t i = 0; i < at.cells; i += 2)
            to[i / 2] = both ? sums[i] + sums[i + 1] : sums[i];
}

static void coarsen_row(const struct setup *s, ptrdiff_t K, ptrdiff_t J)
{
    const struct sv_level *g = s->g, *c = s->coarse;
    const size_t row = (size_t)row_at(c, K, J);
    for (struct chunk at = {.from = 0}; at.from < g->n[0]; at.from += CHUNK) {
        struct given given;
        at.cells = g->n[0] - at.from < CHUNK ? g->n[0] - at.from : CHUNK;
        gather(s, K, J, at, &given);
        for (int axis = 0; axis < 3; axis++)
            if (c->face[axis])
                fold(s, c->face[axis], row, at, given.coupling[axis], axis > 0);
        fold(s, c->wall, row, at, given.wall, 1);
        fold(s, c->mass, row, at, given.mass, 1);
        for (ptrdiff_t i = 0; i < at.cells && g->halved[0]; i += 2)
            given.least[i] = given.least[i] > given.least[i + 1] ? given.least[i] : given.least[i + 1];
        fold(s, c->inverse, row, at, given.least, 0);
    }
    close_row(c, (real *)c->face[0] + row);
}

/* ---- rows of blocks that come out as those beside them did, where the coefficient is constant ---- */

/* How far along y and z a row of blocks sees. */
enum { SEEN = 2 };

/* The first fine row of a coarse one. */
INLINE struct place first_of(const struct setup *s, struct place row)
{
    return (struct place){row.k << s->g->halved[2], row.j << s->g->halved[1]};
}

static int blocks_alike(const struct setup *s, struct place row, struct place other)
{
    const struct place here = first_of(s, row), there = first_of(s, other);
    for (ptrdiff_t k = -SEEN; k <= SEEN; k++)
        for (ptrdiff_t j = -SEEN; j <= SEEN; j++)
            if (kind_of(s->g, ALIKE_ALL, here.k + k, here.j + j) != kind_of(s->g, ALIKE_ALL, there.k + k, there.j + j))
                return 0;
    return 1;
}

/* The shares along an axis that `link_rows` and `link_cells` would write for a row of blocks, from those of another. */
static void copy_shares(const struct setup *s, int axis, struct place from, struct place to)
{
    const struct sv_level *g = s->g;
    const ptrdiff_t first = axis ? -1 : 0; /* the row before has its share of the first one's interface */
    const ptrdiff_t planes = axis == 2 ? 1 : 1 + g->halved[2], rows = axis == 1 ? 1 : 1 + g->halved[1];
    for (ptrdiff_t k = axis == 2 ? first : 0; k < planes; k++)
        for (ptrdiff_t j = axis == 1 ? first : 0; j < rows; j++) {
            const struct place a = {on_axis(from.k + k, g->n[2], g->periodic[2]), on_axis(from.j + j, g->n[1], g->periodic[1])};
            const struct place b = {on_axis(to.k + k, g->n[2], g->periodic[2]), on_axis(to.j + j, g->n[1], g->periodic[1])};
            if (b.k >= 0 && b.j >= 0)
                copy_row(g, g->share[axis], a, b);
        }
}

static void copy_blocks(const struct setup *s, struct place from, struct place to)
{
    const struct sv_level *c = s->coarse;
    void *const fields[] = {c->face[0], c->face[1], c->face[2], c->wall, c->mass, c->inverse};
    for (size_t field = 0; field < sizeof fields / sizeof *fields; field++)
        copy_row(c, fields[field], from, to);
    close_row(c, row_in(c, c->face[0], to.k, to.j));
    for (int axis = 0; axis < 3; axis++)
        if (s->g->halved[axis])
            copy_shares(s, axis, first_of(s, from), first_of(s, to));
}

static void coarsen_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *c = s->coarse;
    struct place row, like;
    ptrdiff_t first, end;
    range_of(s, index, &first, &end);
    for (row.k = first; row.k < end; row.k++)
        for (row.j = 0; row.j < c->n[1]; row.j++) {
            const int known = find_like(s, blocks_alike, first, row, &like);
            if (known)
                copy_blocks(s, like, row);
            else
                coarsen_row(s, row.k, row.j);
            note_kind(c, ALIKE_GIVEN, row, known ? &like : NULL);
        }
}

/* ---- conductances that follow the interpolation ---- */

/* The fine rows along an axis that give to a coarse one: its own, and the nearest of the blocks beside it. */
struct givers {
    ptrdiff_t at[4];
    int beside[4], count;
};

static void give(struct givers *to, ptrdiff_t at, int beside) { to->at[to->count] = at, to->beside[to->count++] = beside; }

/* Along the interface's own axis the row after it alone. */
static struct givers givers_of(const struct sv_level *g, int axis, int own, ptrdiff_t block)
{
    struct givers all = {.count = 0};
    const ptrdiff_t n = g->n[axis], first = block << g->halved[axis];
    give(&all, first, 0);
    if (own || !g->halved[axis])
        return all;
    if (first + 1 < n)
        give(&all, first + 1, 0);
    if (first > 0 || (g->periodic[axis] && !(n & 1)))
        give(&all, first > 0 ? first - 1 : n - 1, 1);
    if (first + 2 < n || g->periodic[axis])
        give(&all, first + 2 < n ? first + 2 : 0, 1);
    return all;
}

/* Of the cells on both sides of a row's interfaces the mean share along the axis `other` with the block beside; 0 where one of
 * them has none there. */
static void mean_shares(const struct sv_level *g, int other, int axis, struct place row, struct chunk at, real *out)
{
    const struct place before = moved(row, axis, -1);
    const real *after = row_of(g, g->share[other], row.k, row.j);
    real around[CHUNK + 2 * AROUND];
    const real *b = row_of(g, g->share[other], before.k, before.j) + at.from;
    if (axis == 0)
        values_along(g, after, at, around), b = around + AROUND - 1;
    after += at.from;
    for (ptrdiff_t i = 0; i < at.cells; i++)
        out[i] = after[i] > 0 && b[i] > 0 ? (real)0.5 * (after[i] + b[i]) : 0;
}

/* A chunk's conductances for the interfaces of its own coarse row: those of the cells' own blocks along x, and what
 * goes to the blocks beside. */
struct spread {
    real own[CHUNK], beside[CHUNK];
};

static void add_spread(const struct setup *s, int axis, struct place row, const int beside[3], struct chunk at,
                       struct spread *to)
{
    const struct sv_level *g = s->g;
    real through[CHUNK], share[CHUNK];
    const void *field = g->halved[axis] ? s->ways.through[axis] : g->face[axis];
    memcpy(through, row_of(g, field, row.k, row.j) + at.from, (size_t)at.cells * sizeof(real));
    for (int other = 1; other < 3; other++)
        if (other != axis && g->halved[other]) {
            mean_shares(g, other, axis, row, at, share);
            for (ptrdiff_t i = 0; i < at.cells; i++)
                through[i] *= beside[other] ? share[i] : 1 - share[i];
        }
    if (axis == 0 || !g->halved[0]) {
        add_to(to->own, through, at.cells);
        return;
    }
    mean_shares(g, 0, axis, row, at, share);
    for (ptrdiff_t i = 0; i < at.cells; i++)
        to->own[i] += through[i] * (1 - share[i]), to->beside[i] += through[i] * share[i];
}

/* Adds a chunk to the coarse row, which is zero at first. */
static void fold_spread(const struct setup *s, int axis, struct chunk at, const struct spread *from, real *row)
{
    const ptrdiff_t n = s->coarse->n[0];
    if (!s->g->halved[0]) {
        add_to(row + at.from, from->own, at.cells);
        return;
    }
    for (ptrdiff_t i = 0; i < at.cells; i += 1 + (axis == 0))
        row[(at.from + i) / 2] += from->own[i];
    for (ptrdiff_t i = 0; i < at.cells && axis; i++) {
        const ptrdiff_t to = on_axis((at.from + i) / 2 + (i & 1 ? 1 : -1), n, s->coarse->periodic[0]);
        if (to >= 0)
            row[to] += from->beside[i];
    }
}

static void spread_row(const struct setup *s, int axis, ptrdiff_t K, ptrdiff_t J)
{
    const struct sv_level *g = s->g;
    real *row = row_in(s->coarse, s->coarse->face[axis], K, J);
    const struct givers planes = givers_of(g, 2, axis == 2, K), rows = givers_of(g, 1, axis == 1, J);
    memset(row, 0, (size_t)s->coarse->n[0] * sizeof(real));
    for (struct chunk at = {.from = 0}; at.from < g->n[0]; at.from += CHUNK) {
        struct spread sums = {{0}, {0}};
        at.cells = g->n[0] - at.from < CHUNK ? g->n[0] - at.from : CHUNK;
        for (int k = 0; k < planes.count; k++)
            for (int j = 0; j < rows.count; j++) {
                const int beside[3] = {0, rows.beside[j], planes.beside[k]};
                add_spread(s, axis, (struct place){planes.at[k], rows.at[j]}, beside, at, &sums);
            }
        fold_spread(s, axis, at, &sums, row);
    }
    if (axis == 0)
        close_row(s->coarse, row);
}

static void spread_part(void *context, size_t index)
{
    const struct setup *s = context;
    ptrdiff_t K, to;
    for (range_of(s, index, &K, &to); K < to; K++)
        for (ptrdiff_t J = 0; J < s->coarse->n[1]; J++)
            for (int axis = 0; axis < 3; axis++)
                if (s->coarse->face[axis])
                    spread_row(s, axis, K, J);
}

static void halve_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g;
    ptrdiff_t k, to;
    for (range_of(s, index, &k, &to); k < to; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++)
            for (struct chunk at = {.from = 0}; at.from < g->n[0]; at.from += CHUNK) {
                const struct place row = {k, j};
                at.cells = g->n[0] - at.from < CHUNK ? g->n[0] - at.from : CHUNK;
                if (s->ways.half[0])
                    halve_cells(g, row, at, row_in(g, s->ways.half[0], k, j) + at.from);
                for (int axis = 1; axis < 3; axis++)
                    if (s->ways.half[axis] && along(row, axis) % 2 == 0)
                        halve_rows(g, axis, row, at, row_in(g, s->ways.half[axis], k, j) + at.from);
            }
}

static void coarsen(const struct sv_level *fine, const struct sv_level *coarse, const struct sv_ways *ways, int threads)
{
    struct setup s = {.g = fine, .coarse = coarse};
    const int spreads = ways->half[0] && fine->axes > 1;
    for (int axis = 0; axis < 3 && spreads; axis++)
        if (fine->halved[axis]) {
            s.ways.half[axis] = ways->half[axis], s.ways.through[axis] = ways->through[axis];
            sv_level_clear(fine, sizeof(real), s.ways.half[axis]);
        }
    if (spreads)
        over_planes(&s, fine->n[2], halve_part, threads);
    over_planes(&s, coarse->n[2], coarsen_part, threads);
    if (spreads)
        over_planes(&s, coarse->n[2], spread_part, threads);
}

extern const struct sv_coarsen_kernels SV_TABLE(coarsen_kernels);
const struct sv_coarsen_kernels SV_TABLE(coarsen_kernels) = {coarsen};
