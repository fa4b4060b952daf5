/* The two passes of a cycle over a level; float32 and float64.
 *
 * With full Gauss-Seidel steps (weight 1) the sweep down needs to leave nothing behind: red is r / d, and the sweep up
 * overwrites black from red alone. So the pass down reads r and the fields and writes the coarse right-hand side only,
 * and the pass up makes red anew. Each goes through the planes once, as a pipeline: while plane k is made red, the one
 * before is made black, and the one before that is finished (the residual restricted, or red again). Three planes of
 * either colour live in a ring, each colour by itself: what is computed is what is needed, half of the cells in each step,
 * and what lies beside the cells of a row along y or z lies at the same places of other rows. A thread has a range of
 * planes and makes the few beside it for itself: the bits depend on neither threads nor ranges.
 *
 * Bytes a cell, float32, 3-D: down 36 (r, 3 couplings, 1/d, 3 shares, scale), up 40 + 4; with constant couplings 24 and
 * 32, and where the rows of 1/d, shares and scale are shared, as away from obstacles, 4 and 12; up 8 more where the
 * product with a vector of the outer iteration is asked for. Down some 20 flops a cell, up 25, and half as many loads and
 * moves within vectors: on one thread these take the time. Accuracy: each sum within 8 roundings of its terms.
 * In NumPy, with R, B the diagonal matrices that keep one colour:
 *     u = R @ (r / d); u = u + B @ ((r - A @ u) / d); coarse_r = P.T @ (R @ (r - A @ u))
 *     u = R @ (r / d + P @ e); u = u + B @ ((r - A @ u) / d); u = u + R @ ((r - A @ u) / d)
 */
#include "multilevel_colours.h"

/* A thread's part of a pass, and its memory: the rings, what is restricted. */
struct pass {
    const struct sv_level *fine, *coarse;
    const real *right;
    real *out, *work;
    ptrdiff_t planes, parts;
    size_t part;
    int back;               /* from the last plane to the first */
    const double *q;        /* a vector of the outer iteration; NULL: none */
    double *partial;        /* (out, q), a number a plane, and behind those (out, right) */
};

/* ---- half sweeps into the rings ---- */

/* black = (r + sum c red) / d */
INLINE void black_plane(const struct pass *p, real *red, real *black, ptrdiff_t k, int axes, int constant)
{
    const struct sv_level *g = p->fine;
    const ptrdiff_t at = on_axis(k, g->n[2], g->periodic[2]), count = half_of(g);
    for (ptrdiff_t j = 0; j < g->n[1] && at >= 0; j++) {
        const int s = 1 - first_red(at, j);
        const struct around a = ring_around(g, red, k, j, s, axes, constant);
        const real *r = p->right + row_at(g, at, j), *inverse = inverse_row(g, at, j);
        real *row = ring_row(g, black, k, j);
        for (int axis = 0; axis < 3 && !constant; axis++)
            fetch_row(g, g->face[axis], axis == 2 && p->back ? at : axis == 2 && at + 1 < g->n[2] ? at + 1 : at, j);
        for (ptrdiff_t m = 0; m < count; m += SV_W)
            v_store(row + m, v_mul(pick(inverse, m, s), add_around(&a, m, s, pick(r, m, s), axes, constant)));
        close_half(g, row, count);
    }
}

INLINE void red_plane(const struct pass *p, real *red, ptrdiff_t k)
{
    const struct sv_level *g = p->fine;
    const ptrdiff_t at = on_axis(k, g->n[2], g->periodic[2]), count = half_of(g);
    for (ptrdiff_t j = 0; j < g->n[1] && at >= 0; j++) {
        const int s = first_red(at, j);
        const real *r = p->right + row_at(g, at, j), *inverse = inverse_row(g, at, j);
        real *row = ring_row(g, red, k, j);
        fetch_row(g, p->right, at, j), fetch_shared(g, SHARED_INVERSE, g->inverse, at, j);
        for (ptrdiff_t m = 0; m < count; m += SV_W)
            v_store(row + m, v_mul(pick(inverse, m, s), pick(r, m, s)));
        close_half(g, row, count);
    }
}

/* ---- down ---- */

/* The coarse index of a fine cell's own cell, or of its neighbour there (side 1); out of reach where the axis is not
 * halved. */
INLINE ptrdiff_t coarse_of(ptrdiff_t k, int side, int halved)
{
    return halved ? (k >> 1) + side * (k & 1 ? 1 : -1) : side ? -2 : k;
}

/* What a row's red cells give. Where x is halved a block has one of them, so that they lie at the places of their coarse
 * cells; else black ones, with nothing of their own, lie between. */
struct reds {
    real *own, *other;      /* what goes to the own coarse cell along x, and to the neighbour */
    real *share[2];         /* of the neighbours along y and z */
    real *nowhere;          /* takes what goes to rows that are not there, or another part's */
    ptrdiff_t count;
};

/* Rows in the memory of a pass, with zeros around. */
static struct reds reds_in(const struct sv_level *g, real *rows)
{
    struct reds reds = {.own = rows, .other = rows + g->pitch, .share = {rows + 2 * g->pitch, rows + 3 * g->pitch},
                        .nowhere = rows + 4 * g->pitch};
    reds.count = g->halved[0] ? half_of(g) : g->n[0];
    memset(rows - MULTILEVEL_LEAD, 0, (5 * (size_t)g->pitch + MULTILEVEL_LEAD) * sizeof(real));
    return reds;
}

/* The residual at the red cells of row (k, j), which begin at s, times scale. */
INLINE void find_reds(const struct pass *p, const struct around *a, struct reds reds, ptrdiff_t k, ptrdiff_t j, int s,
                      int halved, int axes, int constant)
{
    const struct sv_level *g = p->fine;
    const ptrdiff_t count = half_of(g);
    const real *scale = scale_row(g, k, j), *ax = share_row(g, 0, k, j);
    const real *ay = share_row(g, 1, k, j), *az = share_row(g, 2, k, j);
    for (ptrdiff_t m = 0; m < count; m += SV_W) {
        vreal whole = v_mul(pick(scale, m, s), add_around(a, m, s, v_set1(0), axes, constant));
        if (!halved) {
            v_store_pairs(reds.own + 2 * m, whole, v_set1(0), s);
            continue;
        }
        vreal part = v_mul(whole, pick(ax, m, s));
        v_store(reds.own + m, v_sub(whole, part)), v_store(reds.other + m, part);
        v_store(reds.share[0] + m, pick(ay, m, s)), v_store(reds.share[1] + m, pick(az, m, s));
    }
    if (halved) {
        close_half(g, reds.other, reds.count);
        close_half(g, reds.share[0], reds.count), close_half(g, reds.share[1], reds.count);
    } else {
        memcpy(reds.share[0], ay, (size_t)g->n[0] * sizeof(real));
        memcpy(reds.share[1], az, (size_t)g->n[0] * sizeof(real));
    }
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
INLINE void add_reds(struct reds reds, real *const rows[2][2], ptrdiff_t from)
{
    const real *y = reds.share[0], *z = reds.share[1];
    real *const to[4] = {rows[0][0], rows[0][1], rows[1][0], rows[1][1]};
    for (ptrdiff_t i = 0; i < reds.count; i += SV_W) {
        struct quarters own = quartered(v_load(reds.own + i), v_load(y + i), v_load(z + i)), other;
        if (from)
            other = quartered(v_load(reds.other + i + from), v_load(y + i + from), v_load(z + i + from));
        for (int side = 0; side < 4; side++) {
            vreal part = own.part[side >> 1][side & 1];
            if (from)
                part = v_add(part, other.part[side >> 1][side & 1]);
            v_store_some(to[side] + i, v_add(v_load(to[side] + i), part), (size_t)(reds.count - i));
        }
    }
}

/* The residual of plane k at red cells, times scale, to the coarse planes [from, to). */
INLINE void residual_plane(const struct pass *p, real *black, struct reds *reds, ptrdiff_t k, ptrdiff_t from,
                           ptrdiff_t to, int axes, int constant)
{
    const struct sv_level *g = p->fine, *c = p->coarse;
    ptrdiff_t at = on_axis(k, g->n[2], g->periodic[2]);
    for (ptrdiff_t j = 0; j < g->n[1] && at >= 0; j++) {
        const int s = first_red(at, j);
        const struct around a = ring_around(g, black, k, j, s, axes, constant);
        real *rows[2][2];
        for (int sz = 0; sz < 2; sz++)
            for (int sy = 0; sy < 2; sy++) {
                ptrdiff_t K = coarse_of(k, sz, g->halved[2]);
                ptrdiff_t J = on_axis(coarse_of(j, sy, g->halved[1]), c->n[1], c->periodic[1] && g->halved[1]);
                rows[sz][sy] = K >= from && K < to && J >= 0 ? p->out + row_at(c, K, J) : reds->nowhere;
            }
        fetch_interpolation(g, at, j);
        if (g->halved[0]) {
            find_reds(p, &a, *reds, at, j, s, 1, axes, constant);
            add_reds(*reds, rows, s ? -1 : 1);
        } else {
            find_reds(p, &a, *reds, at, j, s, 0, axes, constant);
            add_reds(*reds, rows, 0);
        }
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
    const ptrdiff_t plane = g->n[1] * sv_half_pitch(g), two = g->halved[2];
    real *red = p->work + index * p->part, *black = red + 3 * plane;
    ptrdiff_t from = (ptrdiff_t)index * p->planes / p->parts, to = ((ptrdiff_t)index + 1) * p->planes / p->parts;
    ptrdiff_t first = two ? 2 * from - 1 : from, last = two ? 2 * to : to - 1;
    struct reds reds = reds_in(g, black + 3 * plane + 2 * MULTILEVEL_LEAD);
    clear_beside(g, red, 6 * g->n[1]);
    for (ptrdiff_t front = first - 2; front <= last + 2; front++) {
        red_plane(p, red, front);
        if (front - 1 >= first - 1)
            black_plane(p, red, black, front - 1, axes, constant);
        ptrdiff_t k = front - 2, K = two ? (k + 1) >> 1 : k; /* the first plane that coarse plane K gets something from */
        if (k < first)
            continue;
        if ((!two || k & 1) && K < to)
            clear_plane(p->coarse, p->out, K);
        residual_plane(p, black, &reds, k, from, to, axes, constant);
    }
}

/* ---- up ---- */

/* P e in a row of cells, without its scale: the rows of e, own and neighbouring, and the shares of the latter. */
struct spread {
    const real *own[2][2], *share[3];
};

INLINE struct spread spread_around(const struct pass *p, ptrdiff_t at, ptrdiff_t j)
{
    const struct sv_level *g = p->fine, *c = p->coarse;
    struct spread s;
    for (int axis = 0; axis < 3; axis++)
        s.share[axis] = share_row(g, axis, at, j);
    const ptrdiff_t near = coarse_of(at, 0, g->halved[2]), close = coarse_of(j, 0, g->halved[1]);
    for (int sz = 0; sz < 2; sz++)
        for (int sy = 0; sy < 2; sy++) {
            ptrdiff_t K = sz ? on_axis(coarse_of(at, 1, g->halved[2]), c->n[2], c->periodic[2] && g->halved[2]) : near;
            ptrdiff_t J = sy ? on_axis(coarse_of(j, 1, g->halved[1]), c->n[1], c->periodic[1] && g->halved[1]) : close;
            /* what is not there has the share 0 */
            s.own[sz][sy] = (const real *)c->x + (K < 0 || J < 0 ? row_at(c, near, close) : row_at(c, K, J));
        }
    return s;
}

INLINE vreal mixed(vreal share, vreal own, vreal other) { return v_fma(share, v_sub(other, own), own); }

/* Of a row of e at the places of cells that begin at s. */
INLINE vreal along_row(const real *e, vreal share, ptrdiff_t m, int s, int halved)
{
    return halved ? mixed(share, v_load(e + m), v_load(e + m + 2 * s - 1)) : pick(e, m, s);
}

INLINE vreal interpolated(const struct spread *e, ptrdiff_t m, int s, int halved, int axes)
{
    const vreal x = pick(e->share[0], m, s), y = pick(e->share[1], m, s), z = pick(e->share[2], m, s);
    vreal of_z[2];
    for (int sz = 0; sz < (axes > 1 ? 2 : 1); sz++) {
        of_z[sz] = along_row(e->own[sz][0], x, m, s, halved);
        if (axes > 2)
            of_z[sz] = mixed(y, of_z[sz], along_row(e->own[sz][1], x, m, s, halved));
    }
    return axes > 1 ? mixed(z, of_z[0], of_z[1]) : of_z[0];
}

/* red = r / d + P e */
INLINE void corrected_plane(const struct pass *p, real *red, ptrdiff_t k, int axes)
{
    const struct sv_level *g = p->fine;
    const ptrdiff_t at = on_axis(k, g->n[2], g->periodic[2]), count = half_of(g);
    const int halved = g->halved[0];
    for (ptrdiff_t j = 0; j < g->n[1] && at >= 0; j++) {
        const int s = first_red(at, j);
        const real *r = p->right + row_at(g, at, j), *inverse = inverse_row(g, at, j), *scale = scale_row(g, at, j);
        const struct spread e = spread_around(p, at, j);
        real *row = ring_row(g, red, k, j);
        fetch_row(g, p->right, at, j), fetch_shared(g, SHARED_INVERSE, g->inverse, at, j);
        fetch_interpolation(g, at, j);
        for (ptrdiff_t m = 0; m < count; m += SV_W) {
            vreal correction = v_mul(pick(scale, m, s), interpolated(&e, m, s, halved, axes));
            v_store(row + m, v_fma(pick(inverse, m, s), pick(r, m, s), correction));
        }
        close_half(g, row, count);
    }
}

/* (x, q) and (x, r) in lanes, with the same bits whatever a vector holds. */
typedef double lanes __attribute__((vector_size(64)));
typedef real few __attribute__((vector_size(8 * sizeof(real))));
enum { LANES = 16 };
struct products {
    lanes with_q[2], with_r[2];
};

INLINE void add_lanes(struct products *sums, const real *x, const double *q, const real *r)
{
    for (int half = 0; half < 2; half++) {
        few of_x, of_r;
        lanes of_q;
        memcpy(&of_x, x + 8 * half, sizeof of_x), memcpy(&of_r, r + 8 * half, sizeof of_r);
        memcpy(&of_q, q + 8 * half, sizeof of_q);
        const lanes wide = __builtin_convertvector(of_x, lanes);
        sums->with_q[half] += wide * of_q;
        sums->with_r[half] += wide * __builtin_convertvector(of_r, lanes);
    }
}

/* Of a row: beyond its cells nothing is known of q. */
INLINE void add_products(struct products *sums, const real *x, const double *q, const real *r, ptrdiff_t n)
{
    const ptrdiff_t whole = n / LANES * LANES;
    for (ptrdiff_t i = 0; i < whole; i += LANES)
        add_lanes(sums, x + i, q + i, r + i);
    if (whole < n) {
        double last[LANES] = {0};
        memcpy(last, q + whole, (size_t)(n - whole) * sizeof *q);
        add_lanes(sums, x + whole, last, r + whole);
    }
}

INLINE double sum_lanes(const lanes pair[2])
{
    const lanes both = pair[0] + pair[1];
    double sum = 0;
    for (int lane = 0; lane < 8; lane++)
        sum += both[lane];
    return sum;
}

/* x = black where black, (r + sum c black) / d where red */
INLINE void final_plane(const struct pass *p, real *black, ptrdiff_t k, int axes, int constant)
{
    const struct sv_level *g = p->fine;
    const ptrdiff_t count = half_of(g);
    struct products sums = {{{0}}, {{0}}};
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        const int s = first_red(k, j);
        const struct around a = ring_around(g, black, k, j, s, axes, constant);
        const real *r = p->right + row_at(g, k, j), *inverse = inverse_row(g, k, j), *own = ring_row(g, black, k, j);
        real *x = p->out + row_at(g, k, j);
        for (ptrdiff_t m = 0; m < count; m += SV_W) {
            vreal red = v_mul(pick(inverse, m, s), add_around(&a, m, s, pick(r, m, s), axes, constant));
            v_store_pairs(x + 2 * m, red, v_load(own + m), s);
        }
        if (p->q && j + AHEAD < g->n[1])
            fetch(p->q + row_at(g, k, j + AHEAD), (size_t)g->n[0] * sizeof(double));
        if (p->q)
            add_products(&sums, x, p->q + row_at(g, k, j), r, g->n[0]);
    }
    if (p->q)
        p->partial[k] = sum_lanes(sums.with_q), p->partial[g->n[2] + k] = sum_lanes(sums.with_r);
}

/* From the last plane to the first: what the pass after this one reads first was written last. */
INLINE void up(const struct pass *p, size_t index, int axes, int constant)
{
    const struct sv_level *g = p->fine;
    const ptrdiff_t plane = g->n[1] * sv_half_pitch(g);
    real *red = p->work + index * p->part, *black = red + 3 * plane;
    ptrdiff_t from = (ptrdiff_t)index * p->planes / p->parts, to = ((ptrdiff_t)index + 1) * p->planes / p->parts;
    clear_beside(g, red, 6 * g->n[1]);
    for (ptrdiff_t front = to + 1; front >= from - 2; front--) {
        corrected_plane(p, red, front, axes);
        if (front + 1 <= to)
            black_plane(p, red, black, front + 1, axes, constant);
        if (front + 2 < to)
            final_plane(p, black, front + 2, axes, constant);
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

/* The coarse x repeats its ends, where the interpolation reads them. */
static void close_coarse(const struct sv_level *fine, const struct sv_level *coarse)
{
    for (ptrdiff_t k = 0; k < coarse->n[2] && fine->periodic[0]; k++)
        for (ptrdiff_t j = 0; j < coarse->n[1]; j++)
            close_half(fine, (real *)coarse->x + row_at(coarse, k, j), coarse->n[0]);
}

static void prolonged(const struct sv_level *fine, const struct sv_level *coarse, const void *right, void *x,
                      const double *q, double *partial, void *work, int threads)
{
    struct pass p = {.fine = fine, .coarse = coarse, .right = right, .out = x, .work = work, .planes = fine->n[2],
                     .part = sv_multilevel_work(fine), .back = 1, .q = q, .partial = partial};
    close_coarse(fine, coarse);
    p.parts = parts_of(fine, p.planes, threads);
    sv_parallel_for(threads, (size_t)p.parts, LEVEL_PICK(up, fine), &p);
}

/* ---- the interpolation alone ---- */

INLINE void interpolate_part(const struct pass *p, size_t index, int axes)
{
    const struct sv_level *g = p->fine;
    ptrdiff_t from = (ptrdiff_t)index * p->planes / p->parts, to = ((ptrdiff_t)index + 1) * p->planes / p->parts;
    for (ptrdiff_t k = from; k < to; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            const struct spread e = spread_around(p, k, j);
            const ptrdiff_t count = half_of(g);
            const int halved = g->halved[0];
            real *x = p->out + row_at(g, k, j);
            for (ptrdiff_t m = 0; m < count; m += SV_W)
                v_store_pairs(x + 2 * m, interpolated(&e, m, 0, halved, axes), interpolated(&e, m, 1, halved, axes), 0);
            memset(x + g->n[0], 0, (size_t)(g->pitch - g->n[0]) * sizeof(real));
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
    close_coarse(fine, coarse);
    p.parts = parts_of(fine, p.planes, threads);
    sv_task task = fine->axes == 1 ? interpolate_1_0 : fine->axes == 2 ? interpolate_2_0 : interpolate_3_0;
    sv_parallel_for(threads, (size_t)p.parts, task, &p);
}

const struct sv_cycle_kernels SV_TABLE(cycle_kernels) = {restricted, prolonged, interpolate};
