/* The set-up of a level but for the coarse one that follows from it: the first level's fields, diagonals, the scale of
 * rows; float32 and float64.
 *
 * Bytes a cell, 3-D: pack 8 read and a field written; fill writes its fields, from a byte of the mask; invert reads 6
 * fields and writes one, weigh reads 7 and writes one. All wait for memory. Sums of at most 8 positive numbers, each
 * within as many roundings.
 * In NumPy: inverse = where(d > bound, 1 / d, 0); scale = 1 / W / (1 + 0.5 * s / c)
 */
#include "multilevel_setup.h"

#define LEAST_WEIGHT ((real)0.2)

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
};

static struct beside rows_beside(const struct setup *s, ptrdiff_t k, ptrdiff_t j)
{
    const struct sv_level *g = s->g;
    const uint8_t *mask = s->cells->mask;
    const ptrdiff_t at[3] = {0, j, k}, stride[3] = {1, g->n[0], g->n[0] * g->n[1]};
    struct beside b = {.row = {mask ? mask + k * stride[2] + j * stride[1] : NULL}, .count = 1};
    for (int axis = 1; axis < 3; axis++)
        for (int side = -1; side < 2; side += 2) {
            const ptrdiff_t to = on_axis(at[axis] + side, g->n[axis], g->periodic[axis]);
            if (to >= 0 && mask)
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

static void fill_row(const struct setup *s, struct place row)
{
    const struct sv_level *g = s->g;
    const struct beside b = rows_beside(s, row.k, row.j);
    real values[FIELDS];
    int open;
    for (ptrdiff_t i = 0, end; i < g->n[0]; i = end) {
        end = alike_until(&b, i, g->n[0], &open);
        describe(s, row.k, row.j, i, values);
        put(s, row.k, row.j, i, end, values);
    }
}

/* Whether the mask is the same in two rows, and around them, as are the ends of the grid. */
static int masked_alike(const struct setup *s, struct place row, struct place other)
{
    for (int axis = 1; axis < 3; axis++)
        for (int by = -1; by < 2; by++) {
            const struct place here = moved(row, axis, by), there = moved(other, axis, by);
            if (kind_of(s->g, ALIKE_GIVEN, here.k, here.j) != kind_of(s->g, ALIKE_GIVEN, there.k, there.j))
                return 0;
        }
    return 1;
}

static void fill_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g;
    void *const fields[FIELDS] = {g->face[0], g->face[1], g->face[2], g->wall, g->mass, g->wall ? g->inverse : NULL, s->to};
    struct place row, like;
    ptrdiff_t first, end;
    range_of(s, index, &first, &end);
    for (row.k = first; row.k < end; row.k++)
        for (row.j = 0; row.j < g->n[1]; row.j++) {
            const int known = find_like(s, masked_alike, first, row, &like);
            if (!known)
                fill_row(s, row);
            for (int field = 0; field < FIELDS && known; field++)
                copy_row(g, fields[field], like, row);
            note_kind(g, ALIKE_ALL, row, known ? &like : NULL);
            if (g->face[0])
                close_row(g, row_in(g, g->face[0], row.k, row.j));
        }
}

static int same_mask(const struct setup *s, struct place row, struct place other)
{
    const struct sv_level *g = s->g;
    const uint8_t *mask = s->cells->mask;
    return !mask || !memcmp(mask + (row.k * g->n[1] + row.j) * g->n[0], mask + (other.k * g->n[1] + other.j) * g->n[0],
                            (size_t)g->n[0]);
}

static void compare_part(void *context, size_t index)
{
    const struct setup *s = context;
    struct place row, like;
    ptrdiff_t first, end;
    range_of(s, index, &first, &end);
    for (row.k = first; row.k < end; row.k++)
        for (row.j = 0; row.j < s->g->n[1]; row.j++)
            note_kind(s->g, ALIKE_GIVEN, row, find_like(s, same_mask, first, row, &like) ? &like : NULL);
}

static void fill(const struct sv_level *level, const struct sv_cells *cells, double scale, void *diagonal, int threads)
{
    struct setup s = {.g = level, .cells = cells, .scale = scale, .to = diagonal};
    over_planes(&s, level->n[2], compare_part, threads);
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

static void invert_row(const struct setup *s, struct place row)
{
    const struct sv_level *g = s->g;
    real *inverse = row_in(g, g->inverse, row.k, row.j);
    const real *wall = row_in(g, g->wall, row.k, row.j), *mass = row_in(g, g->mass, row.k, row.j);
    struct links links = links_of(g, row.k, row.j);
    real *diagonal = s->to ? row_in(g, s->to, row.k, row.j) : NULL;
    for (ptrdiff_t i = 0; i < g->n[0]; i++) {
        real count = 0, d = sum_of(&links, i, &count) + wall[i] + mass[i];
        int there = inverse[i] >= 0 && d > inverse[i];
        if (diagonal)
            diagonal[i] = there ? d : 0;
        inverse[i] = there ? 1 / d : 0;
    }
}

/* Whether two rows and those after them have the same couplings, and the rows the same bounds. */
static int linked_alike(const struct setup *s, struct place row, struct place other)
{
    const struct sv_level *g = s->g;
    return kind_of(g, ALIKE_GIVEN, row.k, row.j) == kind_of(g, ALIKE_GIVEN, other.k, other.j) &&
           kind_of(g, ALIKE_GIVEN, row.k, row.j + 1) == kind_of(g, ALIKE_GIVEN, other.k, other.j + 1) &&
           kind_of(g, ALIKE_GIVEN, row.k + 1, row.j) == kind_of(g, ALIKE_GIVEN, other.k + 1, other.j);
}

static void invert_part(void *context, size_t index)
{
    const struct setup *s = context;
    const struct sv_level *g = s->g;
    struct place row, like;
    ptrdiff_t first, end;
    range_of(s, index, &first, &end);
    for (row.k = first; row.k < end; row.k++)
        for (row.j = 0; row.j < g->n[1]; row.j++) {
            const int known = find_like(s, linked_alike, first, row, &like);
            if (known)
                copy_row(g, g->inverse, like, row);
            else
                invert_row(s, row);
            note_kind(g, ALIKE_ALL, row, known ? &like : NULL);
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

/* ---- the scale of the interpolation's rows ---- */

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

const struct sv_setup_kernels SV_TABLE(setup_kernels) = {fill, pack, invert, rough, weigh};
