/* The interfaces between a level's blocks: conductances, and shares of the interpolation, for chunks of cells side by
 * side. The rules are in multilevel_coarsen.c. For both float widths.
 */
#ifndef SOLVERS_LINALG_MULTILEVEL_INTERFACES_H
#define SOLVERS_LINALG_MULTILEVEL_INTERFACES_H

#include "multilevel_setup.h"

#define LEAST_SHARE ((real)1e-6)
#define LARGEST_SHARE ((real)0.99) /* 0.6 would tear a cell at a jump of the coefficient off its strong neighbour */

/* Fine cells along x that are worked on at a time, an even number: what comes of them stays in the first cache. Sums are
 * over rows first, then over the pairs of cells along x, so that all loops but the last run over cells side by side. */
enum { CHUNK = 128 };

/* Of interfaces side by side the conductances, and the shares of the cells before and after each. */
struct interfaces {
    real through[CHUNK + 1], before[CHUNK + 1], after[CHUNK + 1];
};

/* Half a block's resistance, below zero where the block has no coupling inside. */
static void halve(const real *inside, const real *across, const real *beyond, ptrdiff_t count, real *restrict out)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        const real other = across[i] > beyond[i] ? across[i] : beyond[i];
        out[i] = (inside[i] > 0 ? (real)0.5 : (real)-0.5) / (inside[i] > 0 ? inside[i] : other);
    }
}

/* Halves of the blocks on a side of the interfaces; for ways over cells beside those of the blocks that hold both cells,
 * and those beside. */
struct side {
    const real *half, *over[2], *beside[2];
};

struct couplings {
    const real *across;
    struct side side[2]; /* before and after */
    int ways;
};

/* The ways to the middle of the blocks on a side: over a cell beside where both have couplings inside, if that is less. */
static void measure(const struct side *side, int ways, ptrdiff_t count, real *restrict least)
{
    const real *half = side->half;
    for (ptrdiff_t i = 0; i < count; i++)
        least[i] = half[i] > 0 ? half[i] : -half[i];
    for (int way = 0; way < ways; way++) {
        const real *over = side->over[way], *beside = side->beside[way];
        for (ptrdiff_t i = 0; i < count; i++) {
            real around = half[i] > 0 ? 2 * over[i] + beside[i] : least[i];
            around = over[i] > 0 ? around : least[i];
            around = beside[i] > 0 ? around : least[i];
            least[i] = around < least[i] ? around : least[i];
        }
    }
}

INLINE real clamped(real share)
{
    share = share < LARGEST_SHARE ? share : LARGEST_SHARE;
    return share > LEAST_SHARE ? share : LEAST_SHARE;
}

static void conduct(const struct couplings *c, ptrdiff_t count, struct interfaces *restrict out)
{
    real least[2][CHUNK + 1];
    for (int side = 0; side < 2; side++)
        measure(&c->side[side], c->ways, count, least[side]);
    for (ptrdiff_t i = 0; i < count; i++) {
        real across = c->across[i], before = least[0][i], after = least[1][i];
        real through = 1 / (before + 1 / across + after); /* 0 where the coupling is: all three are infinite then */
        real share[2] = {clamped(before * through), clamped(after * through)};
        out->through[i] = across > 0 ? through : 0;
        out->before[i] = across > 0 ? share[0] : 0;
        out->after[i] = across > 0 ? share[1] : 0;
    }
}

/* A chunk of a row's cells. */
struct chunk {
    ptrdiff_t from, cells;
};

INLINE void add_to(real *restrict sums, const real *restrict values, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++)
        sums[i] += values[i];
}

/* Whether the last block along an axis has one cell, and the first block comes after it. */
INLINE int single_end(const struct sv_level *g, int axis) { return g->periodic[axis] && g->n[axis] & 1; }

/* The couplings along y or z that tell of the block that begins with a row: inside, and across its two interfaces. */
static void halve_rows(const struct sv_level *g, int axis, struct place first, struct chunk at, real *out)
{
    const void *face = g->face[axis];
    const struct place second = moved(first, axis, 1), next = moved(first, axis, 2);
    const int single = along(first, axis) + 1 >= g->n[axis];
    const struct place beyond = single ? second : next;
    halve((single ? no_row(g) : row_of(g, face, second.k, second.j)) + at.from, row_of(g, face, first.k, first.j) + at.from,
          row_of(g, face, beyond.k, beyond.j) + at.from, at.cells, out);
}

/* The halves of a row's blocks along y or z, which the set-up keeps with the blocks' first rows where the coefficient
 * varies; else they are made in `room`. */
static const real *halves_of(const struct setup *s, int axis, struct place row, struct chunk at, real *room)
{
    const struct sv_level *g = s->g;
    const ptrdiff_t here = on_axis(along(row, axis), g->n[axis], g->periodic[axis]);
    if (here < 0)
        return no_row(g);
    const struct place first = moved(row, axis, (here & ~(ptrdiff_t)1) - along(row, axis));
    if (s->ways.half[axis])
        return row_of(g, s->ways.half[axis], first.k, first.j) + at.from;
    halve_rows(g, axis, first, at, room);
    return room;
}

/* The row beside, in the same blocks along y or z. */
static int has_beside(const struct sv_level *g, int axis, struct place row, struct place *beside)
{
    const ptrdiff_t here = g->n[axis] > 1 ? on_axis(along(row, axis), g->n[axis], g->periodic[axis]) : -1;
    if (!g->halved[axis] || here < 0 || (here ^ 1) >= g->n[axis])
        return 0;
    *beside = moved(row, axis, (here ^ 1) - along(row, axis));
    return 1;
}

/* What a chunk's ways over cells beside take that is in no field as such. */
struct made {
    real half[2][CHUNK], beside[2][CHUNK];
};

/* Along y or z, which is halved, for the first row of blocks along that axis. */
static void conduct_rows(const struct setup *s, int axis, struct place row, struct chunk at, struct interfaces *out)
{
    const struct sv_level *g = s->g;
    const int other = 3 - axis;
    struct couplings c = {.across = row_of(g, g->face[axis], row.k, row.j) + at.from};
    struct made made;
    for (int i = 0; i < 2; i++) {
        const struct place here = moved(row, axis, i - 1);
        struct side *side = &c.side[i];
        struct place beside;
        side->half = halves_of(s, axis, here, at, made.half[i]);
        c.ways = 0;
        if (s->ways.half[0]) {
            side->over[c.ways] = row_of(g, s->ways.half[0], here.k, here.j) + at.from;
            for (ptrdiff_t n = 0; n < at.cells; n += 2)
                made.beside[i][n] = side->half[n + 1], made.beside[i][n + 1] = side->half[n];
            side->beside[c.ways++] = made.beside[i];
        }
        if (s->ways.half[other]) {
            const int there = has_beside(g, other, here, &beside);
            side->over[c.ways] = there ? halves_of(s, other, here, at, NULL) : no_row(g);
            side->beside[c.ways++] = there ? halves_of(s, axis, beside, at, NULL) : no_row(g);
        }
    }
    conduct(&c, at.cells, out);
}

/* Adds the conductances, and keeps the shares. */
static void link_rows(const struct setup *s, int axis, struct place row, struct chunk at, real *sums)
{
    const struct sv_level *g = s->g;
    if (!g->halved[axis]) {
        add_to(sums, row_of(g, g->face[axis], row.k, row.j) + at.from, at.cells);
        return;
    }
    const ptrdiff_t here = along(row, axis), before = on_axis(here - 1, g->n[axis], g->periodic[axis]);
    const size_t bytes = (size_t)at.cells * sizeof(real);
    struct interfaces found;
    conduct_rows(s, axis, row, at, &found);
    add_to(sums, found.through, at.cells);
    if (s->ways.through[axis])
        memcpy(row_in(g, s->ways.through[axis], row.k, row.j) + at.from, found.through, bytes);
    memcpy(row_in(g, g->share[axis], row.k, row.j) + at.from, found.after, bytes);
    if (before >= 0 && !(single_end(g, axis) && here == 0)) { /* the share of a single last cell is with its other side */
        const struct place to = moved(row, axis, before - here);
        memcpy(row_in(g, g->share[axis], to.k, to.j) + at.from, found.before, bytes);
    }
}

/* Cells around a chunk along x that tell of its interfaces, and of the first after it. */
enum { AROUND = 3 };

/* A row's values from AROUND cells before the chunk to as many after it; beyond the ends of the row zeros, or what
 * follows where x is periodic. A last block of one cell has the coupling 0 inside. */
static void values_along(const struct sv_level *g, const real *row, struct chunk at, real *out)
{
    const ptrdiff_t nx = g->n[0], length = nx + single_end(g, 0);
    memcpy(out + AROUND, row + at.from, (size_t)at.cells * sizeof(real));
    for (ptrdiff_t n = 0; n < 2 * AROUND; n++) {
        const ptrdiff_t place = n < AROUND ? n : at.cells + n, i = on_axis(at.from + place - AROUND, length, g->periodic[0]);
        out[place] = i >= 0 && i < nx ? row[i] : 0;
    }
}

/* The halves of a row's blocks along x, at both cells of each. */
static void halve_cells(const struct sv_level *g, struct place row, struct chunk at, real *out)
{
    real around[CHUNK + 2 * AROUND], halves[CHUNK];
    const real *c = around + AROUND;
    values_along(g, row_of(g, g->face[0], row.k, row.j), at, around);
    halve(c + 1, c, c + 2, at.cells, halves);
    for (ptrdiff_t i = 0; i < at.cells; i++)
        out[i] = halves[i & ~(ptrdiff_t)1];
}

/* Along x, which is halved: interfaces lie before the even cells; one more than the chunk has cells. */
static void conduct_cells(const struct setup *s, struct place row, struct chunk at, struct interfaces *out)
{
    const struct sv_level *g = s->g;
    enum { ROOM = CHUNK + 2 * AROUND };
    real across[ROOM], half[ROOM], over[2][ROOM], beside[2][ROOM];
    struct couplings c = {.across = across + AROUND, .side = {{.half = half + AROUND - 1}, {.half = half + AROUND}}};
    struct place to;
    values_along(g, row_of(g, g->face[0], row.k, row.j), at, across);
    if (s->ways.half[0])
        values_along(g, row_of(g, s->ways.half[0], row.k, row.j), at, half);
    else
        halve(across + 1, across, across + 2, at.cells + 2 * AROUND - 2, half);
    for (ptrdiff_t i = AROUND % 2; i < at.cells + 2 * AROUND - 2; i += 2)
        half[i + 1] = half[i]; /* both cells of a block */
    for (int axis = 1; axis < 3; axis++)
        if (s->ways.half[axis] && has_beside(g, axis, row, &to)) {
            values_along(g, halves_of(s, axis, row, (struct chunk){0, g->n[0]}, NULL), at, over[c.ways]);
            values_along(g, row_of(g, s->ways.half[0], to.k, to.j), at, beside[c.ways]);
            for (int side = 0; side < 2; side++) {
                c.side[side].over[c.ways] = over[c.ways] + AROUND - 1 + side;
                c.side[side].beside[c.ways] = beside[c.ways] + AROUND - 1 + side;
            }
            c.ways++;
        }
    conduct(&c, at.cells + 1, out);
}

static void link_cells(const struct setup *s, struct place row, struct chunk at, real *sums)
{
    const struct sv_level *g = s->g;
    struct interfaces found;
    if (!g->halved[0]) {
        add_to(sums, row_of(g, g->face[0], row.k, row.j) + at.from, at.cells);
        return;
    }
    conduct_cells(s, row, at, &found);
    add_to(sums, found.through, at.cells);
    if (s->ways.through[0])
        memcpy(row_in(g, s->ways.through[0], row.k, row.j) + at.from, found.through, (size_t)at.cells * sizeof(real));
    real *share = row_in(g, g->share[0], row.k, row.j) + at.from;
    for (ptrdiff_t i = 0; i < at.cells; i++)
        share[i] = i & 1 ? found.before[i + 1] : found.after[i];
}

#endif
