/* The two passes of a cycle over a level; float32 and float64.
 *
 * With full Gauss-Seidel steps (weight 1) the sweep down needs to leave nothing behind: red is r / d, and the sweep up
 * overwrites black from red alone. So the pass down reads r and the fields and writes the coarse right-hand side only,
 * and the pass up makes red anew. Each goes through the planes once, as a pipeline: while plane k is made red, plane
 * k - 1 is made black, and plane k - 2 is finished (the residual restricted, or red again). Three planes of either
 * colour live in a ring. A thread has a range of planes and makes the few beside it for itself: the bits depend on
 * neither threads nor ranges.
 *
 * Bytes a cell, float32, 3-D: down 36 (r, 3 couplings, 1/d, 3 shares, scale), up 40 + 4; with constant couplings 24 and
 * 32, and where the rows of 1/d, shares and scale are shared, as away from obstacles, 4 and 12; up 8 more where the
 * product with a vector of the outer iteration is asked for. Down some 30 flops a cell, up 50; without shared rows it should
 * wait for memory. Accuracy: each sum within 8 roundings of its terms.
 * In NumPy, with R, B the diagonal matrices that keep one colour:
 *     u = R @ (r / d); u = u + B @ ((r - A @ u) / d); coarse_r = P.T @ (R @ (r - A @ u))
 *     u = R @ (r / d + P @ e); u = u + B @ ((r - A @ u) / d); u = u + R @ ((r - A @ u) / d)
 */
#include "multilevel_rows.h"

/* 1 in the lanes of the red cells, where the first lane is red, and where it is black. */
static const real COLOUR[17] = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1};

INLINE vreal red_lanes(ptrdiff_t k, ptrdiff_t j) { return v_load(COLOUR + ((k + j) & 1)); }

/* A ring of three planes. */
INLINE real *ring_row(const struct sv_level *g, real *ring, ptrdiff_t k, ptrdiff_t j)
{
    return ring + ((k % 3 + 3) % 3 * g->n[1] + j) * g->pitch + MULTILEVEL_LEAD;
}

INLINE const real *ring_of(const struct sv_level *g, real *ring, ptrdiff_t k, ptrdiff_t j)
{
    j = on_axis(j, g->n[1], g->periodic[1]);
    return j < 0 || on_axis(k, g->n[2], g->periodic[2]) < 0 ? no_row(g) : ring_row(g, ring, k, j);
}

INLINE struct around ring_around(const struct sv_level *g, real *ring, ptrdiff_t k, ptrdiff_t j, int axes, int constant)
{
    struct around a = {.own = ring_row(g, ring, k, j)};
    if (axes > 1)
        a.z[0] = ring_of(g, ring, k - 1, j), a.z[1] = ring_of(g, ring, k + 1, j);
    if (axes > 2)
        a.y[0] = ring_of(g, ring, k, j - 1), a.y[1] = ring_of(g, ring, k, j + 1);
    couple(&a, g, on_axis(k, g->n[2], g->periodic[2]), j, axes, constant);
    return a;
}

/* Zeros beside so many rows of a ring, which the kernels read past a row's ends; the cells are written before. */
static void clear_beside(const struct sv_level *g, real *ring, ptrdiff_t rows)
{
    memset(ring, 0, MULTILEVEL_LEAD * sizeof(real));
    for (real *end = ring + MULTILEVEL_LEAD + g->n[0]; rows > 0; rows--, end += g->pitch)
        memset(end, 0, (size_t)(g->pitch - g->n[0]) * sizeof(real));
}

/* The same beside a row of coarse cells, one for two of the fine level's. */
INLINE void close_coarse(const struct sv_level *fine, real *row, ptrdiff_t count)
{
    if (fine->periodic[0])
        row[-1] = row[count - 1], row[count] = row[0];
}

/* A thread's part of a pass, and its memory: the rings, what is restricted or prolonged. */
struct pass {
    const struct sv_level *fine, *coarse;
    const real *right;
    real *out, *work;
    ptrdiff_t planes, parts;
    size_t part;
    const double *q;        /* a vector of the outer iteration; NULL: none */
    double *partial;        /* (out, q), a number a plane, and behind those (out, right) */
};

/* ---- half sweeps into the rings ---- */

/* black = (r + sum c red) / d, in the ring `to`; at red cells the same formula, which has no meaning unless `to` is
 * read at black alone, or red is r / d. */
INLINE void black_plane(const struct pass *p, real *red, real *to, ptrdiff_t k, int axes, int constant)
{
    const struct sv_level *g = p->fine;
    ptrdiff_t at = on_axis(k, g->n[2], g->periodic[2]);
    if (at < 0)
        return;
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        struct around a = ring_around(g, red, k, j, axes, constant);
        const real *r = p->right + row_at(g, at, j), *inverse = inverse_row(g, at, j);
        real *row = ring_row(g, to, k, j);
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W)
            v_store(row + i, v_mul(v_load(inverse + i), add_around(&a, i, v_load(r + i), axes, constant)));
        close_row(g, row);
    }
}

INLINE void red_plane(const struct pass *p, real *red, ptrdiff_t k)
{
    const struct sv_level *g = p->fine;
    ptrdiff_t at = on_axis(k, g->n[2], g->periodic[2]);
    if (at < 0)
        return;
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        const real *r = p->right + row_at(g, at, j), *inverse = inverse_row(g, at, j);
        real *row = ring_row(g, red, k, j);
        vreal lanes = red_lanes(at, j);
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W)
            v_store(row + i, v_mul(lanes, v_mul(v_load(inverse + i), v_load(r + i))));
        close_row(g, row);
    }
}

/* ---- down ---- */

/* The coarse index of a fine cell's own cell, or of its neighbour there (side 1); out of reach where the axis is not
 * halved. */
INLINE ptrdiff_t coarse_of(ptrdiff_t k, int side, int halved)
{
    return halved ? (k >> 1) + side * (k & 1 ? 1 : -1) : side ? -2 : k;
}

/* A row's red cells. Where x is halved a block has one of them, so that they lie at the places of their coarse cells; else
 * black ones, with nothing of their own, lie between. */
struct reds {
    real *own, *other;      /* what goes to the own coarse cell along x, and to the neighbour */
    real *share[2];         /* of the neighbours along y and z */
    real *t;                /* at the places of fine cells */
    real *nowhere;          /* takes what goes to rows that are not there, or another part's */
    ptrdiff_t count;
};

/* Rows in the memory of a pass, with zeros around. */
static struct reds reds_in(const struct sv_level *g, real *rows)
{
    struct reds reds = {.t = rows, .own = rows + g->pitch, .other = rows + 2 * g->pitch,
                        .share = {rows + 3 * g->pitch, rows + 4 * g->pitch}, .nowhere = rows + 5 * g->pitch};
    reds.count = g->halved[0] ? (g->n[0] + 1) / 2 : g->n[0];
    memset(rows - MULTILEVEL_LEAD, 0, (6 * (size_t)g->pitch + MULTILEVEL_LEAD) * sizeof(real));
    return reds;
}

/* From t in row (k, j), whose first red cell is `first`. */
INLINE void pick_reds(const struct sv_level *g, struct reds *reds, ptrdiff_t k, ptrdiff_t j, int first)
{
    const real *ax = share_row(g, 0, k, j) + first, *ay = share_row(g, 1, k, j) + first, *az = share_row(g, 2, k, j) + first;
    const real *t = reds->t + first;
    real *own = reds->own, *other = reds->other, *y = reds->share[0], *z = reds->share[1];
    if (!g->halved[0]) {
        size_t bytes = (size_t)reds->count * sizeof(real);
        memcpy(own, t - first, bytes), memcpy(y, ay - first, bytes), memcpy(z, az - first, bytes);
        return;
    }
#pragma GCC ivdep
    for (ptrdiff_t i = 0; i < reds->count; i++) {
        real whole = t[2 * i], part = whole * ax[2 * i];
        own[i] = whole - part, other[i] = part;
        y[i] = ay[2 * i], z[i] = az[2 * i];
    }
    close_coarse(g, other, reds->count), close_coarse(g, y, reds->count), close_coarse(g, z, reds->count);
}

/* What goes to the coarse cells that are near or far along z and y. */
struct quarters {
    vreal part[2][2];
};

INLINE struct quarters quartered(vreal value, vreal y, vreal z)
{
    vreal far = v_mul(z, value), near = v_sub(value, far), far_far = v_mul(y, far), near_far = v_mul(y, near);
    return (struct quarters){{{v_sub(near, near_far), near_far}, {v_sub(far, far_far), far_far}}};
}

/* Adds them to the coarse rows. from: where, beside a coarse cell, lies the one whose neighbour it is; 0 where x is not
 * halved, and each cell's own is all. */
INLINE void add_reds(const struct reds *reds, real *const to[2][2], ptrdiff_t from)
{
    const real *y = reds->share[0], *z = reds->share[1];
    for (ptrdiff_t i = 0; i < reds->count; i += SV_W) {
        struct quarters own = quartered(v_load(reds->own + i), v_load(y + i), v_load(z + i)), other;
        if (from)
            other = quartered(v_load(reds->other + i + from), v_load(y + i + from), v_load(z + i + from));
        for (int sz = 0; sz < 2; sz++)
            for (int sy = 0; sy < 2; sy++) {
                vreal part = from ? v_add(own.part[sz][sy], other.part[sz][sy]) : own.part[sz][sy];
                real *at = to[sz][sy] + i;
                v_store_some(at, v_add(v_load(at), part), (size_t)(reds->count - i));
            }
    }
}

/* The residual of plane k at red cells, times scale, to the coarse planes [from, to). */
INLINE void residual_plane(const struct pass *p, real *ring, struct reds *reds, ptrdiff_t k, ptrdiff_t from, ptrdiff_t to,
                           int axes, int constant)
{
    const struct sv_level *g = p->fine, *c = p->coarse;
    ptrdiff_t at = on_axis(k, g->n[2], g->periodic[2]);
    for (ptrdiff_t j = 0; j < g->n[1] && at >= 0; j++) {
        struct around a = ring_around(g, ring, k, j, axes, constant);
        const real *scale = scale_row(g, at, j);
        const int first = (at + j) & 1;
        vreal lanes = red_lanes(at, j);
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W) {
            vreal sum = add_around(&a, i, v_set1(0), axes, constant);
            v_store(reds->t + i, v_mul(v_mul(lanes, v_load(scale + i)), sum));
        }
        real *rows[2][2];
        for (int sz = 0; sz < 2; sz++)
            for (int sy = 0; sy < 2; sy++) {
                ptrdiff_t K = coarse_of(k, sz, g->halved[2]);
                ptrdiff_t J = on_axis(coarse_of(j, sy, g->halved[1]), c->n[1], c->periodic[1] && g->halved[1]);
                rows[sz][sy] = K >= from && K < to && J >= 0 ? p->out + row_at(c, K, J) : reds->nowhere;
            }
        pick_reds(g, reds, at, j, first);
        if (g->halved[0] && first)
            add_reds(reds, rows, -1);
        else
            add_reds(reds, rows, g->halved[0] ? 1 : 0);
    }
}

static void clear_plane(const struct sv_level *c, real *right, ptrdiff_t K)
{
    for (ptrdiff_t J = 0; J < c->n[1]; J++)
        memset(right + row_at(c, K, J), 0, (size_t)c->n[0] * sizeof(real));
}

INLINE void down(const struct pass *p, size_t index, int axes, int constant)
{
    const struct sv_level *g = p->fine;
    ptrdiff_t plane = g->n[1] * g->pitch, two = g->halved[2];
    real *red = p->work + index * p->part + MULTILEVEL_LEAD, *both = red + 3 * plane;
    ptrdiff_t from = (ptrdiff_t)index * p->planes / p->parts, to = ((ptrdiff_t)index + 1) * p->planes / p->parts;
    ptrdiff_t first = two ? 2 * from - 1 : from, last = two ? 2 * to : to - 1;
    struct reds reds = reds_in(g, both + 3 * plane + MULTILEVEL_LEAD);
    clear_beside(g, red, 6 * g->n[1]);
    for (ptrdiff_t front = first - 2; front <= last + 2; front++) {
        red_plane(p, red, front);
        if (front - 1 >= first - 1)
            black_plane(p, red, both, front - 1, axes, constant);
        ptrdiff_t k = front - 2, K = two ? (k + 1) >> 1 : k; /* the first plane that coarse plane K gets something from */
        if (k < first)
            continue;
        if ((!two || k & 1) && K < to)
            clear_plane(p->coarse, p->out, K);
        residual_plane(p, both, &reds, k, from, to, axes, constant);
    }
}

/* ---- up ---- */

/* The coarse x at the places of fine cells along x: of the own coarse cell, and of the neighbour; a ring of planes. */
INLINE real *spread_row(const struct pass *p, real *spread, ptrdiff_t K, ptrdiff_t J)
{
    return spread + (((K % 4 + 4) % 4) * p->coarse->n[1] + J) * 2 * p->fine->pitch + MULTILEVEL_LEAD;
}

INLINE const real *spread_of(const struct pass *p, real *spread, ptrdiff_t K, ptrdiff_t J)
{
    const struct sv_level *c = p->coarse;
    J = on_axis(J, c->n[1], c->periodic[1]);
    return J < 0 || on_axis(K, c->n[2], c->periodic[2]) < 0 ? NULL : spread_row(p, spread, K, J);
}

static void spread_plane(const struct pass *p, real *spread, const real *e, ptrdiff_t K)
{
    const struct sv_level *g = p->fine, *c = p->coarse;
    ptrdiff_t at = on_axis(K, c->n[2], c->periodic[2]), nx = g->n[0];
    for (ptrdiff_t J = 0; J < c->n[1] && at >= 0; J++) {
        const real *from = e + row_at(c, at, J);
        real *own = spread_row(p, spread, K, J), *other = own + g->pitch;
        if (!g->halved[0]) {
            memcpy(own, from, (size_t)nx * sizeof(real));
            continue;
        }
        for (ptrdiff_t i = 0; i < nx; i += 2) {
            own[i] = own[i + 1] = from[i / 2];
            other[i] = from[i / 2 - 1], other[i + 1] = from[i / 2 + 1];
        }
        if (g->periodic[0])
            other[0] = from[c->n[0] - 1], other[nx - 1] = from[0];
    }
}

/* P e in a row of cells, without its scale. */
struct spread {
    const real *own[2][2], *share[3];
    ptrdiff_t pitch;
};

INLINE struct spread spread_around(const struct pass *p, real *spread, ptrdiff_t k, ptrdiff_t at, ptrdiff_t j)
{
    const struct sv_level *g = p->fine;
    struct spread s = {.pitch = g->pitch};
    for (int axis = 0; axis < 3; axis++)
        s.share[axis] = share_row(g, axis, at, j);
    for (int sz = 0; sz < 2; sz++)
        for (int sy = 0; sy < 2; sy++) {
            ptrdiff_t K = coarse_of(k, sz, g->halved[2]), J = coarse_of(j, sy, g->halved[1]);
            int there = (!sz || g->halved[2]) && (!sy || g->halved[1]);
            s.own[sz][sy] = there ? spread_of(p, spread, K, J) : NULL;
        }
    const real *own = s.own[0][0];
    for (int side = 1; side < 4; side++) /* what is not there has the share 0 */
        if (!s.own[side >> 1][side & 1])
            s.own[side >> 1][side & 1] = own;
    return s;
}

INLINE vreal mixed(vreal share, vreal own, vreal other) { return v_fma(share, v_sub(other, own), own); }

INLINE vreal interpolated(const struct spread *s, ptrdiff_t i, int axes)
{
    vreal x = v_load(s->share[0] + i), y = v_load(s->share[1] + i), z = v_load(s->share[2] + i), of_z[2];
    for (int sz = 0; sz < (axes > 1 ? 2 : 1); sz++) {
        const real *near = s->own[sz][0], *far = s->own[sz][1];
        of_z[sz] = mixed(x, v_load(near + i), v_load(near + s->pitch + i));
        if (axes > 2)
            of_z[sz] = mixed(y, of_z[sz], mixed(x, v_load(far + i), v_load(far + s->pitch + i)));
    }
    return axes > 1 ? mixed(z, of_z[0], of_z[1]) : of_z[0];
}

/* red = r / d + P e */
INLINE void corrected_plane(const struct pass *p, real *spread, real *red, ptrdiff_t k, int axes)
{
    const struct sv_level *g = p->fine;
    ptrdiff_t at = on_axis(k, g->n[2], g->periodic[2]);
    for (ptrdiff_t j = 0; j < g->n[1] && at >= 0; j++) {
        const real *r = p->right + row_at(g, at, j), *inverse = inverse_row(g, at, j);
        const real *scale = scale_row(g, at, j);
        struct spread s = spread_around(p, spread, k, at, j);
        real *row = ring_row(g, red, k, j);
        vreal lanes = red_lanes(at, j);
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W) {
            vreal e = v_mul(v_load(scale + i), interpolated(&s, i, axes));
            v_store(row + i, v_mul(lanes, v_fma(v_load(inverse + i), v_load(r + i), e)));
        }
        close_row(g, row);
    }
}

/* Adds (x, q) and (x, r) of a row, with the same bits whatever a vector holds. Beyond the last vector that was written
 * nothing is known. */
INLINE void add_products(const real *x, const double *q, const real *r, ptrdiff_t n, double sums[2])
{
    enum { LANES = 16 };
    double with_q[LANES] = {0}, with_r[LANES] = {0};
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            with_q[lane] += (double)x[i + lane] * q[i + lane];
            with_r[lane] += (double)x[i + lane] * (double)r[i + lane];
        }
    for (int lane = 0; lane < n - i; lane++) {
        with_q[lane] += (double)x[i + lane] * q[i + lane];
        with_r[lane] += (double)x[i + lane] * (double)r[i + lane];
    }
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++)
            with_q[lane] += with_q[lane + half], with_r[lane] += with_r[lane + half];
    sums[0] += with_q[0], sums[1] += with_r[0];
}

/* x = black where black, (r + sum c black) / d where red */
INLINE void final_plane(const struct pass *p, real *black, ptrdiff_t k, int axes, int constant)
{
    const struct sv_level *g = p->fine;
    double sums[2] = {0, 0};
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        struct around a = ring_around(g, black, k, j, axes, constant);
        const real *r = p->right + row_at(g, k, j), *inverse = inverse_row(g, k, j);
        real *x = p->out + row_at(g, k, j);
        vreal lanes = red_lanes(k, j);
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W) {
            vreal red = v_mul(v_load(inverse + i), add_around(&a, i, v_load(r + i), axes, constant));
            v_store(x + i, v_if_equal(lanes, v_set1(1), red, v_load(a.own + i)));
        }
        if (p->q)
            add_products(x, p->q + row_at(g, k, j), r, g->n[0], sums);
    }
    if (p->q)
        p->partial[k] = sums[0], p->partial[g->n[2] + k] = sums[1];
}

INLINE void up(const struct pass *p, size_t index, int axes, int constant)
{
    const struct sv_level *g = p->fine;
    ptrdiff_t plane = g->n[1] * g->pitch;
    real *red = p->work + index * p->part + MULTILEVEL_LEAD, *black = red + 3 * plane, *spread = black + 3 * plane;
    ptrdiff_t from = (ptrdiff_t)index * p->planes / p->parts, to = ((ptrdiff_t)index + 1) * p->planes / p->parts;
    clear_beside(g, red, 6 * g->n[1] + 8 * p->coarse->n[1]);
    ptrdiff_t known = coarse_of(from - 2, 0, g->halved[2]) - 2;
    for (ptrdiff_t front = from - 2; front < to + 2; front++) {
        ptrdiff_t K = coarse_of(front, 0, g->halved[2]) + g->halved[2];
        for (; known < K; known++)
            spread_plane(p, spread, p->coarse->x, known + 1);
        corrected_plane(p, spread, red, front, axes);
        if (front - 1 >= from - 1)
            black_plane(p, red, black, front - 1, axes, constant);
        if (front - 2 >= from)
            final_plane(p, black, front - 2, axes, constant);
    }
}

#define MAKE(axes, constant)                                                                                        \
    static void down_##axes##_##constant(void *p, size_t index) { down(p, index, axes, constant); }                 \
    static void up_##axes##_##constant(void *p, size_t index) { up(p, index, axes, constant); }
LEVEL_EACH(MAKE)

static void restricted(const struct sv_level *fine, const struct sv_level *coarse, const void *right, void *work,
                       int threads)
{
    struct pass p = {.fine = fine, .coarse = coarse, .right = right, .out = coarse->right, .work = work,
                     .planes = coarse->n[2], .part = sv_multilevel_work(fine)};
    p.parts = parts_of(fine, p.planes, threads);
    sv_parallel_for(threads, (size_t)p.parts, LEVEL_PICK(down, fine), &p);
}

static void prolonged(const struct sv_level *fine, const struct sv_level *coarse, const void *right, void *x,
                      const double *q, double *partial, void *work, int threads)
{
    struct pass p = {.fine = fine, .coarse = coarse, .right = right, .out = x, .work = work, .planes = fine->n[2],
                     .part = sv_multilevel_work(fine), .q = q, .partial = partial};
    p.parts = parts_of(fine, p.planes, threads);
    sv_parallel_for(threads, (size_t)p.parts, LEVEL_PICK(up, fine), &p);
}

/* ---- the interpolation alone ---- */

INLINE void interpolate_part(const struct pass *p, size_t index, int axes)
{
    const struct sv_level *g = p->fine;
    real *spread = p->work + index * p->part + MULTILEVEL_LEAD;
    ptrdiff_t from = (ptrdiff_t)index * p->planes / p->parts, to = ((ptrdiff_t)index + 1) * p->planes / p->parts;
    clear_beside(g, spread, 8 * p->coarse->n[1]);
    ptrdiff_t known = coarse_of(from, 0, g->halved[2]) - 2;
    for (ptrdiff_t k = from; k < to; k++) {
        for (ptrdiff_t K = coarse_of(k, 0, g->halved[2]) + g->halved[2]; known < K; known++)
            spread_plane(p, spread, p->coarse->x, known + 1);
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            struct spread s = spread_around(p, spread, k, k, j);
            for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W)
                v_store_some(p->out + row_at(g, k, j) + i, interpolated(&s, i, axes), (size_t)(g->n[0] - i));
        }
    }
}

#define MAKE_INTERPOLATE(axes, constant)                                                                            \
    static void interpolate_##axes##_##constant(void *p, size_t index) { interpolate_part(p, index, axes); }
MAKE_INTERPOLATE(1, 0) MAKE_INTERPOLATE(2, 0) MAKE_INTERPOLATE(3, 0)

/* x = P e, for e the coarse level's x, without the scale of the rows. */
static void interpolate(const struct sv_level *fine, const struct sv_level *coarse, void *x, void *work, int threads)
{
    struct pass p = {.fine = fine, .coarse = coarse, .out = x, .work = work, .planes = fine->n[2],
                     .part = sv_multilevel_work(fine)};
    p.parts = parts_of(fine, p.planes, threads);
    sv_task task = fine->axes == 1 ? interpolate_1_0 : fine->axes == 2 ? interpolate_2_0 : interpolate_3_0;
    sv_parallel_for(threads, (size_t)p.parts, task, &p);
}

const struct sv_cycle_kernels SV_TABLE(cycle_kernels) = {restricted, prolonged, interpolate};
