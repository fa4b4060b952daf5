/* A cycle's steps one at a time, for what the fused passes of multilevel_cycle.c cannot: whole lines of cells relaxed at
 * once, axes that are periodic and odd, and levels that are visited twice; float32 and float64.
 *
 * A sweep relaxes the cells, or lines, of one colour after another, on the way up in the opposite order: red and black,
 * and where an odd axis closes on itself its last cells apart, which would else touch their own colour. A line is a
 * tridiagonal system, eliminated once in the set-up. x is kept between the way down and the way up.
 *
 * Bytes a cell of a sweep, float32, 3-D: 28 a colour; in all some three times those of the fused passes. One thread.
 * In NumPy, for the cells R of a colour: x[R] = (r + C @ x)[R] / d[R]; lines: x[L] = solve(T[L], (r + C @ x)[L])
 */
#include "multilevel_rows.h"

/* Of a cell's diagonal: what its line's elimination leaves of it is at least that, or rounding would rule. */
#define LEAST_PIVOT ((real)1e-6)

/* A row of x, those beside it, and the couplings with the cells before and after along each axis. */
struct rows {
    real *own;
    const real *x[3][2], *face[3][2];
    real coupling[3];
    int constant;
};

INLINE struct rows rows_at(const struct sv_level *g, void *x, ptrdiff_t k, ptrdiff_t j)
{
    struct rows r = {.own = (real *)x + row_at(g, k, j), .constant = g->constant};
    for (int axis = 0; axis < 3; axis++)
        r.coupling[axis] = (real)g->coupling[axis];
    r.x[0][0] = r.own - 1, r.x[0][1] = r.own + 1;
    r.x[1][0] = row_of(g, x, k, j - 1), r.x[1][1] = row_of(g, x, k, j + 1);
    r.x[2][0] = row_of(g, x, k - 1, j), r.x[2][1] = row_of(g, x, k + 1, j);
    const real *along = row_of(g, g->face[0], k, j);
    r.face[0][0] = along, r.face[0][1] = g->constant ? along : along + 1;
    r.face[1][0] = row_of(g, g->face[1], k, j), r.face[1][1] = row_of(g, g->face[1], k, j + 1);
    r.face[2][0] = row_of(g, g->face[2], k, j), r.face[2][1] = row_of(g, g->face[2], k + 1, j);
    return r;
}

INLINE real coupling_at(const struct rows *r, int axis, int side, ptrdiff_t i)
{
    return r->constant ? r->coupling[axis] : r->face[axis][side][i];
}

/* The couplings times the values around, but for those along the axis `without`. */
INLINE real around_at(const struct rows *r, ptrdiff_t i, int without)
{
    real sum = 0;
    for (int axis = 0; axis < 3; axis++)
        for (int side = 0; side < 2; side++)
            if (axis != without)
                sum += coupling_at(r, axis, side, i) * r->x[axis][side][i];
    return sum;
}

/* ---- colours ---- */

enum { COLOURS = 16 }; /* the parity, and a bit for each axis on whose closing end the cell lies */

INLINE int closes(const struct sv_level *g, int axis) { return g->line != axis && g->periodic[axis] && g->n[axis] & 1; }

/* The cells of a row that have a colour: from, from + step, ... below to. */
struct cells {
    ptrdiff_t from, to, step;
};

INLINE struct cells cells_of(const struct sv_level *g, int colour, ptrdiff_t k, ptrdiff_t j)
{
    const struct cells none = {0, 0, 1};
    ptrdiff_t at[3] = {0, j, k}, sum = 0, nx = g->n[0];
    int bits = colour >> 1, parity = colour & 1;
    for (int axis = 0; axis < 3; axis++) {
        if (bits >> axis & 1 && !closes(g, axis))
            return none;
        if (axis && closes(g, axis) && (at[axis] == g->n[axis] - 1) != (bits >> axis & 1))
            return none;
        sum += g->line == axis ? 0 : at[axis];
    }
    if (g->line == 0) /* a line is a row */
        return (sum & 1) == parity ? (struct cells){0, nx, 1} : none;
    ptrdiff_t first = (sum + parity) & 1;
    if (!closes(g, 0))
        return (struct cells){first, nx, 2};
    if (!(bits & 1))
        return (struct cells){first, nx - 1, 2};
    return ((nx - 1 - first) & 1) ? none : (struct cells){nx - 1, nx, 2};
}

static void relax_cells(const struct sv_level *g, int colour, const real *right, void *x)
{
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            struct cells c = cells_of(g, colour, k, j);
            if (c.from >= c.to)
                continue;
            struct rows r = rows_at(g, x, k, j);
            const real *b = right + row_at(g, k, j), *inverse = row_of(g, g->inverse, k, j);
            for (ptrdiff_t i = c.from; i < c.to; i += c.step)
                r.own[i] = inverse[i] * (b[i] + around_at(&r, i, -1));
            close_row(g, r.own);
        }
}

/* The elimination forward, which leaves its right-hand side in x, and back. */
static void relax_lines(const struct sv_level *g, int colour, const real *right, void *x)
{
    int line = g->line;
    ptrdiff_t dk = line == 2, dj = line == 1, di = line == 0;
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            struct cells c = cells_of(g, colour, k, j);
            if (c.from >= c.to)
                continue;
            struct rows r = rows_at(g, x, k, j);
            const real *b = right + row_at(g, k, j), *before = row_of(g, g->pivot, k - dk, j - dj) - di;
            for (ptrdiff_t i = c.from; i < c.to; i += c.step)
                r.own[i] = b[i] + around_at(&r, i, line) + coupling_at(&r, line, 0, i) * before[i] * r.x[line][0][i];
            close_row(g, r.own);
        }
    for (ptrdiff_t k = g->n[2]; k-- > 0;)
        for (ptrdiff_t j = g->n[1]; j-- > 0;) {
            struct cells c = cells_of(g, colour, k, j);
            if (c.from >= c.to)
                continue;
            struct rows r = rows_at(g, x, k, j);
            const real *pivot = row_of(g, g->pivot, k, j);
            for (ptrdiff_t i = c.from + (c.to - 1 - c.from) / c.step * c.step; i >= c.from; i -= c.step)
                r.own[i] = pivot[i] * (r.own[i] + coupling_at(&r, line, 1, i) * r.x[line][1][i]);
            close_row(g, r.own);
        }
}

/* One sweep; up: in the opposite order. */
static void sweep(const struct sv_level *g, const void *right, void *x, int up)
{
    for (int n = 0; n < COLOURS; n++) {
        int colour = up ? COLOURS - 1 - n : n;
        if (g->line < 0)
            relax_cells(g, colour, right, x);
        else
            relax_lines(g, colour, right, x);
    }
}

/* The inverse pivots of the lines. */
static void factor(const struct sv_level *g)
{
    int line = g->line;
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            const real *inverse = row_of(g, g->inverse, k, j);
            struct rows r = rows_at(g, g->pivot, k, j);
            for (ptrdiff_t i = 0; i < g->n[0]; i++) {
                real c = coupling_at(&r, line, 0, i), d = inverse[i] > 0 ? 1 / inverse[i] : 0;
                real left = d - c * c * r.x[line][0][i], least = LEAST_PIVOT * d;
                r.own[i] = d > 0 ? 1 / (left > least ? left : least) : 0;
            }
        }
}

/* out = right - A x */
static void residual(const struct sv_level *g, const void *right, const void *x, void *out)
{
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            struct rows r = rows_at(g, (void *)(uintptr_t)x, k, j);
            const real *b = (const real *)right + row_at(g, k, j), *inverse = row_of(g, g->inverse, k, j);
            real *to = (real *)out + row_at(g, k, j);
            for (ptrdiff_t i = 0; i < g->n[0]; i++)
                to[i] = inverse[i] > 0 ? b[i] + around_at(&r, i, -1) - r.own[i] / inverse[i] : 0;
        }
}

/* ---- between levels ---- */

/* The block of cell k and the one beside it along an axis, and their shares; -1 where there is none. */
INLINE ptrdiff_t block_at(const struct sv_level *g, const struct sv_level *c, int axis, int beside, ptrdiff_t k)
{
    if (!g->halved[axis])
        return beside ? -1 : k;
    return on_axis((k >> 1) + beside * (k & 1 ? 1 : -1), c->n[axis], g->periodic[axis]);
}

/* A row's part in the coarse row (K, J): both directions of the interpolation, x += P e or e += P' x. */
INLINE void between(const struct sv_level *g, const struct sv_level *c, ptrdiff_t k, ptrdiff_t j, int of_z, int of_y,
                    real *x, void *coarse, int up)
{
    ptrdiff_t K = block_at(g, c, 2, of_z, k), J = block_at(g, c, 1, of_y, j);
    if (K < 0 || J < 0)
        return;
    real *e = (real *)coarse + row_at(c, K, J);
    const real *sx = row_of(g, g->share[0], k, j), *sy = row_of(g, g->share[1], k, j);
    const real *sz = row_of(g, g->share[2], k, j);
    for (ptrdiff_t i = 0; i < g->n[0]; i++) {
        real weight = (of_z ? sz[i] : 1 - sz[i]) * (of_y ? sy[i] : 1 - sy[i]);
        for (int of_x = 0; of_x < 2; of_x++) {
            ptrdiff_t I = block_at(g, c, 0, of_x, i);
            real part = weight * (of_x ? sx[i] : 1 - sx[i]);
            if (I < 0)
                continue;
            if (up)
                x[i] += part * e[I];
            else
                e[I] += part * x[i];
        }
    }
}

/* x = P e, for e the coarse level's x, without the scale of the rows. */
static void interpolate(const struct sv_level *fine, const struct sv_level *coarse, void *x)
{
    for (ptrdiff_t k = 0; k < fine->n[2]; k++)
        for (ptrdiff_t j = 0; j < fine->n[1]; j++) {
            real *to = (real *)x + row_at(fine, k, j);
            memset(to, 0, (size_t)fine->n[0] * sizeof(real));
            for (int side = 0; side < 4; side++)
                between(fine, coarse, k, j, side >> 1, side & 1, to, coarse->x, 1);
        }
}

/* The coarse right-hand side P' t; t is multiplied by the scale of its rows. */
static void restricted(const struct sv_level *fine, const struct sv_level *coarse, void *t)
{
    for (ptrdiff_t row = 0; row < coarse->n[1] * coarse->n[2]; row++)
        memset((real *)coarse->right + row_at(coarse, 0, row), 0, (size_t)coarse->n[0] * sizeof(real));
    for (ptrdiff_t k = 0; k < fine->n[2]; k++)
        for (ptrdiff_t j = 0; j < fine->n[1]; j++) {
            real *from = (real *)t + row_at(fine, k, j);
            const real *scale = row_of(fine, fine->scale, k, j);
            for (ptrdiff_t i = 0; i < fine->n[0]; i++)
                from[i] *= scale[i];
            for (int side = 0; side < 4; side++)
                between(fine, coarse, k, j, side >> 1, side & 1, from, coarse->right, 0);
        }
}

/* x += scale t, or x += t without a scale; x = t where `only`. What lies beside the rows is as close_row leaves it. */
static void add(const struct sv_level *g, const void *scale, const void *t, void *x, int only)
{
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            ptrdiff_t at = row_at(g, k, j);
            const real *from = t ? (const real *)t + at : no_row(g), *by = scale ? (const real *)scale + at : NULL;
            real *to = (real *)x + at;
            for (ptrdiff_t i = 0; i < g->n[0]; i++)
                to[i] = (only ? 0 : to[i]) + (by ? by[i] * from[i] : from[i]);
            close_row(g, to);
        }
}

/* Zeros beside the rows, as all but these steps take vectors. */
static void open_rows(const struct sv_level *g, void *x)
{
    for (ptrdiff_t row = 0; row < g->n[1] * g->n[2] && g->periodic[0]; row++) {
        real *own = (real *)x + row_at(g, 0, row);
        own[-1] = own[g->n[0]] = 0;
    }
}

const struct sv_general_kernels SV_TABLE(general_kernels) = {
    sweep, factor, residual, interpolate, restricted, add, open_rows,
};
