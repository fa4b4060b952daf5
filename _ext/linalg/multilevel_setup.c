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
    struct sv_ways ways; /* NULL along axes that are not halved, and where the coefficient is constant */
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

/* What the fields say of a cell. */
enum { FACE = 0, WALL = 3, MASS, INVERSE, DIAGONAL, FIELDS };

static void describe(const struct setup *s, ptrdiff_t k, ptrdiff_t j, ptrdiff_t i, real values[FIELDS])
{
    const int there = takes_part(s, k, j, i);
    const struct cell cell = there ? look_at(s, k, j, i) : (struct cell){{0, 0, 0}, 0, 0};
    const double diagonal = there ? s->scale * (cell.all + cell.wall + s->cells->mass) : 0;
    for (int axis = 0; axis < 3; axis++)
        values[FACE + axis] = (real)(s->scale * cell.before[axis]);
    values[WALL] = (real)(s->scale * cell.wall);
    values[MASS] = there ? (real)(s->scale * s->cells->mass) : 0;
    values[INVERSE] = diagonal > 0 ? (real)(1 / diagonal) : 0;
    values[DIAGONAL] = (real)diagonal;
}

/* The same for the cells [i, end) of a row. */
static void put(const struct setup *s, ptrdiff_t k, ptrdiff_t j, ptrdiff_t i, ptrdiff_t end, const real values[FIELDS])
{
    const struct sv_level *g = s->g;
    real *const fields[FIELDS] = {g->face[0], g->face[1], g->face[2], g->wall, g->mass, g->wall ? g->inverse : NULL, s->to};
    for (int field = 0; field < FIELDS; field++)
        if (fields[field]) {
            real *to = fields[field] + row_at(g, k, j);
            const real value = values[field];
            for (ptrdiff_t at = i; at < end; at++)
                to[at] = value;
        }
}

/* A row of the mask, and the rows beside it. */
struct beside {
    const uint8_t *row[5];
    int count;
    int amid; /* whether there is one wherever some row has one */
};

static struct beside rows_beside(const struct setup *s, ptrdiff_t k, ptrdiff_t j)
{
    const struct sv_level *g = s->g;
    const uint8_t *mask = s->cells->mask;
    const ptrdiff_t at[3] = {0, j, k}, stride[3] = {1, g->n[0], g->n[0] * g->n[1]};
    struct beside b = {.row = {mask ? mask + k * stride[2] + j * stride[1] : NULL}, .count = 1, .amid = 1};
    for (int axis = 1; axis < 3; axis++)
        for (int side = -1; side < 2; side += 2) {
            const ptrdiff_t to = on_axis(at[axis] + side, g->n[axis], g->periodic[axis]);
            if (to < 0)
                b.amid &= g->n[axis] == 1;
            else if (mask)
                b.row[b.count++] = b.row[0] + (to - at[axis]) * stride[axis];
        }
    return b;
}

enum { FAR = 16 };

/* Whether the cells [i, i + FAR) of a row, and all around them, take part. */
INLINE int is_open(const struct beside *b, ptrdiff_t i)
{
    uint64_t all[2] = {~(uint64_t)0, ~(uint64_t)0}, here[2];
    for (int place = -2; place < b->count; place++) {
        memcpy(here, place < 0 ? b->row[0] + i + 2 * place + 3 : b->row[place] + i, FAR);
        all[0] &= here[0], all[1] &= here[1];
    }
    return (all[0] & all[1]) == 0x0101010101010101;
}

/* The end of the open space that begins at cell i of a row of n; i where there is none. */
static ptrdiff_t open_until(const struct beside *b, ptrdiff_t i, ptrdiff_t n)
{
    const ptrdiff_t last = n - 1 - FAR; /* the last place where a stretch of it may begin */
    if (i > 0 && i < n - 1 && !b->row[0])
        return n - 1;
    while (i > 0 && i < n - 1) {
        const ptrdiff_t begin = i < last ? i : last;
        if (begin < 1 || !is_open(b, begin))
            break;
        i = begin + FAR;
    }
    return i;
}

/* The end of the cells that are alike from cell i of a row on; whether they are open space. */
static ptrdiff_t alike_until(const struct beside *b, ptrdiff_t i, ptrdiff_t n, int *open)
{
    ptrdiff_t end = open_until(b, i, n);
    *open = end > i;
    if (!*open && b->row[0])
        while (end < n && !b->row[0][end])
            end++;
    return end > i ? end : i + 1;
}

static void fill_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g;
    real values[FIELDS], amid[FIELDS]; /* of open space that has rows on all sides: all alike */
    int known = 0, open;
    ptrdiff_t from, to;
    for (range_of(s, index, &from, &to); from < to; from++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            const struct beside b = rows_beside(s, from, j);
            for (ptrdiff_t i = 0, end; i < g->n[0]; i = end) {
                end = alike_until(&b, i, g->n[0], &open);
                if (open && b.amid && !known)
                    describe(s, from, j, i, amid), known = 1;
                if (!(open && b.amid))
                    describe(s, from, j, i, values);
                put(s, from, j, i, end, open && b.amid ? amid : values);
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

/* Whether the rules for coefficients that vary are to be taken: couplings along some axis, where there are any, differ.
 * Around lines that are relaxed at once the others are better (6 iterations for 9). */
static int rough(const struct sv_level *g)
{
    for (int axis = 0; axis < 3 && g->line < 0; axis++) {
        real first = 0;
        for (ptrdiff_t row = 0; row < g->n[1] * g->n[2] && g->face[axis]; row++) {
            const real *c = (const real *)g->face[axis] + row * g->pitch + MULTILEVEL_LEAD;
            for (ptrdiff_t i = 0; i < g->n[0]; i++) {
                if (c[i] > 0 && first > 0 && c[i] != first)
                    return 1;
                first = c[i] > 0 ? c[i] : first;
            }
        }
    }
    return 0;
}

/* ---- the next level ---- */

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

/* What a chunk's cells give to the coarse row: sums over the fine rows that it covers, and the largest bound. */
struct given {
    real coupling[3][CHUNK], wall[CHUNK], mass[CHUNK], least[CHUNK];
};

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

/* A row of cells. */
struct place {
    ptrdiff_t k, j;
};

INLINE struct place moved(struct place at, int axis, ptrdiff_t by)
{
    return (struct place){at.k + (axis == 2) * by, at.j + (axis == 1) * by};
}

INLINE ptrdiff_t along(struct place at, int axis) { return axis == 2 ? at.k : at.j; }

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
    const ptrdiff_t here = axis == 2 ? row.k : row.j, before = on_axis(here - 1, g->n[axis], g->periodic[axis]);
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

static void coarsen_part(void *context, size_t index)
{
    const struct setup *s = context;
    ptrdiff_t K, to;
    for (range_of(s, index, &K, &to); K < to; K++)
        for (ptrdiff_t J = 0; J < s->coarse->n[1]; J++)
            coarsen_row(s, K, J);
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

/* Of the cells on both sides of a row's interfaces the mean share along `along` with the block beside; 0 where one of
 * them has none there. */
static void mean_shares(const struct sv_level *g, int along, int axis, struct place row, struct chunk at, real *out)
{
    const struct place before = moved(row, axis, -1);
    const real *after = row_of(g, g->share[along], row.k, row.j);
    real around[CHUNK + 2 * AROUND];
    const real *b = row_of(g, g->share[along], before.k, before.j) + at.from;
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

const struct sv_setup_kernels SV_TABLE(setup_kernels) = {fill, pack, invert, rough, coarsen, weigh};
