/* SSOR-CG with a stencil in lexicographic order, the cells of a row in chains, one chain a lane: see grid.h for the
 * layout.
 *
 * A triangular solve leaves x_i = s_i + c x_(i-1) along each row. Here a vector has a cell of each of SV_W chains, so
 * that the recurrence is one multiply-add a vector, from which nothing moves between lanes. What the cells before a
 * chain contribute to it follows from the chains' ends, once a block (a prefix scheme over the lanes), and takes another
 * multiply-add a vector. In natural layout the scheme runs over every vector: 9 operations where these are 2. c =
 * omega coupling / diagonal is less than 2: of its powers those below 2^-200 are taken for 0, so that none underflows.
 *
 * For one coupling an axis, one number on the diagonal and no axis periodic. Bytes a cell and iteration as in
 * grid_natural_ssor.c. Measured on one core of a Zen 5 at 99^2: 0.52 to 0.55 ns a cell for both passes, where the natural
 * layout takes 0.60 to 0.65, and the same without any recurrence 0.35. A row takes 100 cycles in each pass. On the way from
 * one row to the next latencies add up to some 75 (along a chain, over the lanes in 3 steps of 9, to the cells), beside
 * the load of what was just stored. Fewer operations on that way made it no faster, nor did rows in turns, each a block
 * behind the row before.
 * Accuracy: each cell within some 3 axes + 8 roundings of its largest term.
 * In NumPy, of a row: y = s.reshape(-1, chain).T.copy()
 *     for m in range(1, chain): y[m] += c * y[m - 1]
 *     for l in range(1, y.shape[1]): y[:, l] += c ** np.arange(1, chain + 1) * y[-1, l - 1]
 */
#include <string.h>

#include "grid_parts.h"

enum kind { UPPER, EISENSTAT, ADVANCE, BEGIN };

/* The powers of c that blocks with chains of some length take: with p that of the length, p^1, p^2, p^4; p^0 ..
 * p^(SV_W - 1) from the carry on; p^SV_W. */
struct powers {
    vreal steps[3], carried, across;
};

/* What does not change from row to row. */
struct constants {
    vreal diagonal, scale, over;   /* the diagonal's number D, omega / D, D / omega */
    vreal back, near[2];           /* 2 - omega; the couplings along y and z times omega / D */
    vreal beside[3];               /* the couplings */
    vreal step, along[SV_CHAIN + 1]; /* c; c^1, c^2 .. */
    struct powers of[2];           /* by the cells of a chain, less SV_CHAIN */
    vreal alpha, beta;             /* of ADVANCE */
    ptrdiff_t inside, turn;        /* lanes with a cell in the last block's vectors up to the turn-th; then one less */
};

/* The arrays of a call. */
struct call {
    double omega, alpha, beta;
    const real *rhs, *t;
    real *out;
    const struct sv_ssor_vectors *s;
};

/* The same at one row. near: the rows beside it that are solved already (g->zeros where there is none); minus: what
 * EISENSTAT subtracts from them; beside: all rows around it, for a product. */
struct row {
    const real *rhs, *t, *q, *near[2], *minus[2], *beside[4];
    real *out, *r, *v, *solution, *copy;
};

/* EISENSTAT: v'q and q'D q; ADVANCE and BEGIN: r'D r in the second; BEGIN: the residual's square in the first. */
struct sums {
    vreal product, square;
};

/* The next power of c, 0 for 2^-200 and below. */
INLINE double next_power(double power, double c) { return power < 0x1p-200 ? 0 : power * c; }

INLINE struct powers powers_of(double whole, int down)
{
    struct powers p;
    double power = whole;
    for (int s = 0; s < STEPS; s++, power = next_power(power, power))
        p.steps[s] = v_set1(power);
    real lanes[SV_W];
    power = 1;
    for (int l = 0; l < SV_W; l++, power = next_power(power, whole))
        lanes[down ? SV_W - 1 - l : l] = power;
    p.carried = v_load(lanes), p.across = v_set1(power);
    return p;
}

INLINE struct constants constants_of(const struct sv_grid *g, const struct call *c, int down)
{
    const double inverse = 1 / g->entry, scale = c->omega * inverse, step = c->omega * g->coupling[0] * inverse;
    struct constants K;
    K.diagonal = v_set1(g->entry), K.scale = v_set1(scale), K.over = v_set1(g->entry / c->omega);
    K.back = v_set1(2 - c->omega), K.step = v_set1(step), K.alpha = v_set1(c->alpha), K.beta = v_set1(c->beta);
    load_couplings(g, K.beside);
    for (int m = 0; m < 2; m++)
        K.near[m] = v_set1(scale * g->coupling[1 + m]);
    double power = 1;
    for (int m = 0; m <= SV_CHAIN; m++) {
        power = next_power(power, step), K.along[m] = v_set1(power);
        if (m >= SV_CHAIN - 1)
            K.of[m - SV_CHAIN + 1] = powers_of(power, down);
    }
    const ptrdiff_t chain = SV_CHAIN + (g->longer == g->blocks); /* of the last block */
    const ptrdiff_t last = g->n[0] - 1 - (g->blocks * SV_CHAIN + g->longer - chain) * SV_W;
    K.inside = last / chain + 1, K.turn = last % chain;
    return K;
}

/* A vector of a row and its place there: the m-th of a block of `chain` vectors, the first or last of the row. */
struct spot {
    ptrdiff_t at, m, chain;
    int first, last;
};

/* The cells before and after those of a vector of the row x: beside them where the chain goes on, else in the chain
 * beside, whose end is the block's last vector, or its first. */
INLINE vreal west_of(const real *x, const struct spot *p)
{
    const real *own = x + p->at;
    if (p->m > 0)
        return v_load(own - SV_W);
    return moved(v_load(own + (p->chain - 1) * SV_W), p->first ? v_set1(0) : v_load(own - SV_W), 1, 0);
}

INLINE vreal east_of(const real *x, const struct spot *p)
{
    const real *own = x + p->at;
    if (p->m + 1 < p->chain)
        return v_load(own + SV_W);
    return moved(v_load(own - (p->chain - 1) * SV_W), p->last ? v_set1(0) : v_load(own + SV_W), 1, 1);
}

/* Without lanes that have no cell. */
INLINE vreal only_cells(vreal v, const struct constants *K, const struct spot *p)
{
    return p->last ? v_keep(v, (size_t)(K->inside - (p->m > K->turn)), 0) : v;
}

/* start + the couplings times the cells around a vector of x. */
INLINE vreal around(const struct constants *K, const real *x, const real *const beside[4], const struct spot *p,
                    vreal start, int axes)
{
    for (int axis = axes - 1; axis > 0; axis--) {
        vreal both = v_add(v_load(beside[2 * axis - 2] + p->at), v_load(beside[2 * axis - 1] + p->at));
        start = v_fma(K->beside[axis], both, start);
    }
    return v_fma(K->beside[0], v_add(west_of(x, p), east_of(x, p)), start);
}

/* The vector work that comes before the solve of ADVANCE; returns the new v. */
INLINE vreal advanced(const struct row *r, const struct constants *K, ptrdiff_t i, struct sums *sums)
{
    vreal solution = v_fma(K->alpha, v_load(r->out + i), v_load(r->solution + i));
    vreal residual = v_fnma(K->alpha, v_load(r->q + i), v_load(r->r + i));
    vreal scaled = v_mul(K->diagonal, residual), v = v_fma(K->beta, v_load(r->v + i), scaled);
    sums->square = v_fma(residual, scaled, sums->square);
    v_store(r->solution + i, solution);
    if (r->copy)
        v_store(r->copy + i, solution);
    v_store(r->r + i, residual);
    v_store(r->v + i, v);
    return v;
}

/* s of a vector: all of it but what comes along the row. */
INLINE vreal right_side(const struct row *r, const struct constants *K, const struct spot *p, struct sums *sums,
                        enum kind kind, int axes)
{
    const ptrdiff_t i = p->at;
    vreal s;
    if (kind == BEGIN) {
        s = around(K, r->solution, r->beside, p, v_load(r->rhs + i), axes);
        s = only_cells(v_fnma(K->diagonal, v_load(r->solution + i), s), K, p);
        sums->product = v_fma(s, s, sums->product);
    } else {
        s = kind == ADVANCE ? advanced(r, K, i, sums) : v_load(r->rhs + i);
    }
    s = v_mul(K->scale, s);
    if (kind == EISENSTAT)
        s = v_fnma(K->back, v_load(r->t + i), s);
    for (int axis = 1; axis < axes; axis++) {
        vreal value = v_load(r->near[axis - 1] + i);
        if (kind == EISENSTAT)
            value = v_sub(value, v_load(r->minus[axis - 1] + i));
        s = v_fma(K->near[axis - 1], value, s);
    }
    return s;
}

/* What becomes of a vector of the solution. */
INLINE void deliver(const struct row *r, const struct constants *K, ptrdiff_t i, vreal y, struct sums *sums,
                    enum kind kind)
{
    if (kind == EISENSTAT) {
        y = v_add(y, v_load(r->t + i));
        sums->product = v_fma(v_load(r->rhs + i), y, sums->product);
    }
    if (kind == EISENSTAT || kind == BEGIN) {
        vreal scaled = v_mul(K->diagonal, y);
        sums->square = v_fma(y, scaled, sums->square);
        if (kind == BEGIN)
            v_store(r->v + i, scaled);
    }
    v_store(r->out + i, y);
}

/* The chains of a block. Backward solves begin in the lanes that have no cell, with zeros: nothing to take out. */
INLINE void solve_block(const struct row *r, const struct constants *K, ptrdiff_t at, int chain, int first, int last,
                        vreal *carry, struct sums *sums, enum kind kind, int axes)
{
    const int down = kind == UPPER || kind == ADVANCE;
    const struct powers *p = &K->of[chain - SV_CHAIN];
    vreal y[SV_CHAIN + 1], ends = v_set1(0);
#pragma GCC unroll 5
    for (int k = 0; k < chain; k++) {
        const int m = down ? chain - 1 - k : k;
        const struct spot own = {at + m * SV_W, m, chain, first, last};
        vreal s = right_side(r, K, &own, sums, kind, axes);
        y[k] = ends = k ? v_fma(K->step, ends, s) : s;
    }
#pragma GCC unroll 3
    for (int s = 0; s < STEPS; s++)
        ends = v_fma(p->steps[s], moved(ends, v_set1(0), 1 << s, down), ends);
    const vreal before = v_fma(p->carried, *carry, moved(ends, v_set1(0), 1, down));
    *carry = v_fma(p->across, *carry, end_lane(ends, down));
#pragma GCC unroll 5
    for (int k = 0; k < chain; k++) {
        const int m = down ? chain - 1 - k : k;
        const struct spot own = {at + m * SV_W, m, chain, first, last};
        const vreal whole = v_fma(K->along[k], before, y[k]);
        deliver(r, K, own.at, down ? whole : only_cells(whole, K, &own), sums, kind);
    }
}

/* A row, block by block. */
INLINE void solve_row(const struct sv_grid *g, const struct row *r, const struct constants *K, struct sums *sums,
                      enum kind kind, int axes)
{
    const int down = kind == UPPER || kind == ADVANCE;
    vreal carry = v_set1(0);
    ptrdiff_t at = down ? (g->blocks * SV_CHAIN + g->longer) * SV_W : 0;
    for (ptrdiff_t step = 0; step < g->blocks; step++) {
        const ptrdiff_t block = down ? g->blocks - 1 - step : step;
        const int first = block == 0, last = !down && block == g->blocks - 1, chain = SV_CHAIN + (block < g->longer);
        at -= down ? chain * SV_W : 0;
        if (chain == SV_CHAIN) {
            if (last)
                solve_block(r, K, at, SV_CHAIN, first, 1, &carry, sums, kind, axes);
            else
                solve_block(r, K, at, SV_CHAIN, first, 0, &carry, sums, kind, axes);
        } else if (last) {
            solve_block(r, K, at, SV_CHAIN + 1, first, 1, &carry, sums, kind, axes);
        } else {
            solve_block(r, K, at, SV_CHAIN + 1, first, 0, &carry, sums, kind, axes);
        }
        at += down ? 0 : chain * SV_W;
    }
}

/* The rows around row (j, k), zeros where there is none. */
INLINE void look(const struct sv_grid *g, const real *x, ptrdiff_t j, ptrdiff_t k, const real *beside[4])
{
    const real *own = x + row_place(g, j, k);
    beside[0] = j > 0 ? own - g->pitch : g->zeros;
    beside[1] = j + 1 < g->n[1] ? own + g->pitch : g->zeros;
    beside[2] = k > 0 ? own - g->plane : g->zeros;
    beside[3] = k + 1 < g->n[2] ? own + g->plane : g->zeros;
}

INLINE struct row row_of(const struct sv_grid *g, const struct call *c, ptrdiff_t j, ptrdiff_t k, enum kind kind,
                         int down)
{
    const ptrdiff_t own = row_place(g, j, k);
    const real *all[4];
    struct row r = {.rhs = c->rhs + own, .t = c->t + own, .out = c->out + own};
    look(g, c->out, j, k, all);
    r.near[0] = all[down], r.near[1] = all[2 + down];
    if (kind == EISENSTAT) {
        look(g, c->t, j, k, all);
        r.minus[0] = all[down], r.minus[1] = all[2 + down];
    }
    if (kind == ADVANCE || kind == BEGIN)
        r.solution = c->s->x + own, r.v = c->s->v + own;
    if (kind == ADVANCE)
        r.q = c->s->q + own, r.r = c->s->r + own, r.copy = c->s->kept ? c->s->kept + own : NULL;
    if (kind == BEGIN)
        look(g, c->s->x, j, k, r.beside);
    return r;
}

/* From the start of a row to where its last block ends. */
INLINE ptrdiff_t cells_between(const struct sv_grid *g) { return (g->blocks * SV_CHAIN + g->longer) * SV_W; }

INLINE struct sums solve_rows(const struct sv_operand *A, const struct call *c, enum kind kind, int axes)
{
    const struct sv_grid *g = A->matrix;
    const int down = kind == UPPER || kind == ADVANCE;
    const struct constants K = constants_of(g, c, down);
    struct sums sums = {v_set1(0), v_set1(0)};
    const ptrdiff_t ny = g->n[1], rows = ny * g->n[2];
    ptrdiff_t j = down ? ny : -1, k = down ? g->n[2] - 1 : 0;
    for (ptrdiff_t step = 0; step < rows; step++) {
        if (down ? --j < 0 : ++j == ny)
            j = down ? ny - 1 : 0, k += down ? -1 : 1;
        const struct row r = row_of(g, c, j, k, kind, down);
        solve_row(g, &r, &K, &sums, kind, axes);
        if (kind != ADVANCE)
            finish_row(r.out, cells_between(g), g->pitch);
        if (kind == BEGIN)
            finish_row(r.v, cells_between(g), g->pitch);
    }
    return sums;
}

/* Products: out = b - A x, or A x where b is NULL, each the square of its norm or x'A x; out = (K + L) x. */
enum product { RESIDUAL, MULTIPLY, LOWER };

INLINE vreal product_block(const struct constants *K, const real *b, const real *x, const real *const beside[4],
                           real *out, vreal total, struct spot p, enum product what, int axes)
{
    for (p.m = 0; p.m < p.chain; p.m++, p.at += SV_W) {
        const vreal own = v_load(x + p.at);
        vreal y;
        if (what == LOWER) {
            y = v_fnma(K->beside[0], west_of(x, &p), v_mul(K->over, own));
            for (int axis = 1; axis < axes; axis++)
                y = v_fnma(K->beside[axis], v_load(beside[2 * axis - 2] + p.at), y);
        } else {
            y = around(K, x, beside, &p, what == RESIDUAL ? v_load(b + p.at) : v_set1(0), axes);
            y = v_fnma(K->diagonal, own, y);
            y = what == MULTIPLY ? v_sub(v_set1(0), y) : y;
        }
        y = only_cells(y, K, &p);
        total = v_fma(what == MULTIPLY ? own : y, y, total);
        if (out)
            v_store(out + p.at, y);
    }
    return total;
}

INLINE double product(const struct sv_operand *A, double omega, const real *b, const real *x, real *out,
                      enum product what, int axes)
{
    const struct sv_grid *g = A->matrix;
    const struct call c = {.omega = omega};
    const struct constants K = constants_of(g, &c, 0);
    vreal total = v_set1(0);
    if (out)
        clear_between(g, out);
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            const ptrdiff_t own = row_place(g, j, k);
            const real *beside[4];
            look(g, x, j, k, beside);
            real *row = out ? out + own : NULL;
            ptrdiff_t at = 0;
            for (ptrdiff_t block = 0; block < g->blocks; block++) {
                const struct spot p = {at, 0, SV_CHAIN + (block < g->longer), block == 0, block + 1 == g->blocks};
                total = product_block(&K, b ? b + own : NULL, x + own, beside, row, total, p, what, axes);
                at += p.chain * SV_W;
            }
            if (row)
                finish_row(row, at, g->pitch);
        }
    return v_sum_lanes(total);
}

#define GRID ((const struct sv_grid *)A->matrix)
#define PICK(name, ...) (GRID->axes == 3 ? name##_3(__VA_ARGS__) : name##_2(__VA_ARGS__))

#define MAKE_PASS(name, kind, axes)                                                                                  \
    static struct sums name##_##axes(const struct sv_operand *A, const struct call *c)                               \
    {                                                                                                                \
        return solve_rows(A, c, kind, axes);                                                                         \
    }
#define MAKE_PRODUCT(name, what, axes)                                                                               \
    static double name##_##axes(const struct sv_operand *A, double omega, const double *b, const double *x,          \
                                double *out)                                                                         \
    {                                                                                                                \
        return product(A, omega, b, x, out, what, axes);                                                             \
    }
#define MAKE(axes)                                                                                                   \
    MAKE_PASS(upper, UPPER, axes)                                                                                    \
    MAKE_PASS(eisenstat, EISENSTAT, axes)                                                                            \
    MAKE_PASS(advance, ADVANCE, axes)                                                                                \
    MAKE_PASS(begin, BEGIN, axes)                                                                                    \
    MAKE_PRODUCT(residual, RESIDUAL, axes)                                                                           \
    MAKE_PRODUCT(multiply, MULTIPLY, axes)                                                                           \
    MAKE_PRODUCT(lower, LOWER, axes)
MAKE(2)
MAKE(3)

static double multiply(const struct sv_operand *A, const double *x, double *out)
{
    return PICK(multiply, A, 1, NULL, x, out);
}

static double residual(const struct sv_operand *A, const double *b, const double *x, double *r)
{
    return PICK(residual, A, 1, b, x, r);
}

static double lower_product(const struct sv_operand *A, double omega, const double *r, double *out)
{
    return PICK(lower, A, omega, NULL, r, out);
}

static void upper_solve(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    const struct call call = {.omega = omega, .rhs = rhs, .t = rhs, .out = out};
    clear_between(GRID, out);
    PICK(upper, A, &call);
}

static double eisenstat_sums(const struct sv_operand *A, double omega, const double *v, const double *t, double *q,
                             double *square)
{
    const struct call call = {.omega = omega, .rhs = v, .t = t, .out = q};
    clear_between(GRID, q);
    const struct sums sums = PICK(eisenstat, A, &call);
    *square = v_sum_lanes(sums.square);
    return v_sum_lanes(sums.product);
}

static double eisenstat(const struct sv_operand *A, double omega, const double *v, const double *t, double *q)
{
    double square;
    return eisenstat_sums(A, omega, v, t, q, &square);
}

static double advance(const struct sv_operand *A, double omega, double alpha, double beta,
                      const struct sv_ssor_vectors *s)
{
    const struct call call = {omega, alpha, beta, s->v, s->t, s->t, s};
    const struct sums sums = PICK(advance, A, &call);
    return v_sum_lanes(sums.square);
}

static double begin(const struct sv_operand *A, double omega, const double *b, const double *x, double *r, double *v,
                    double *rho)
{
    const struct sv_ssor_vectors s = {.x = (double *)x, .v = v};
    const struct call call = {.omega = omega, .rhs = b, .t = r, .out = r, .s = &s};
    clear_between(GRID, r), clear_between(GRID, v);
    const struct sums sums = PICK(begin, A, &call);
    *rho = v_sum_lanes(sums.square);
    return v_sum_lanes(sums.product);
}

const struct sv_operand_kernels SV_TABLE(grid_chains_kernels) = {
    .multiply = multiply, .residual = residual, .upper_solve = upper_solve, .eisenstat = eisenstat,
    .lower_product = lower_product, .eisenstat_sums = eisenstat_sums, .advance = advance, .begin = begin,
};

/* ---- the layout ------------------------------------------------------------------------------ */

/* A block's cells, all of them, to their places or back. */
INLINE void move_block(const real *from, real *to, int chain, int back)
{
    for (int l = 0; l < SV_W; l++)
#pragma GCC unroll 5
        for (int m = 0; m < chain; m++) {
            const int user = l * chain + m, place = m * SV_W + l;
            to[back ? user : place] = from[back ? place : user];
        }
}

/* Those of a row; the last block by way of `whole`, since the user's row ends amid it. */
INLINE void move_row(const struct sv_grid *g, const real *from, real *to, int back)
{
    real whole[(SV_CHAIN + 1) * SV_W] = {0};
    ptrdiff_t at = 0, left = g->n[0];
    for (ptrdiff_t block = 0; block < g->blocks; block++) {
        const int chain = SV_CHAIN + (block < g->longer), last = block + 1 == g->blocks;
        const size_t some = (size_t)left * sizeof(real);
        const real *source = from + at;
        real *out = to + at;
        if (last && !back)
            source = memcpy(whole, source, some);
        else if (last)
            out = whole;
        if (chain == SV_CHAIN)
            move_block(source, out, SV_CHAIN, back);
        else
            move_block(source, out, SV_CHAIN + 1, back);
        if (last && back)
            memcpy(to + at, whole, some);
        at += chain * SV_W, left -= chain * SV_W;
    }
}

static void pack(const struct sv_grid *g, const void *from, void *to)
{
    const real *source = from;
    clear_between(g, to);
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++, source += g->n[0]) {
            real *row = (real *)to + row_place(g, j, k);
            move_row(g, source, row, 0);
            finish_row(row, cells_between(g), g->pitch);
        }
}

static void unpack(const struct sv_grid *g, const void *from, void *to)
{
    real *out = to;
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++, out += g->n[0])
            move_row(g, (const real *)from + row_place(g, j, k), out, 1);
}

const struct sv_grid_chains SV_TABLE(grid_chains) = {{NULL, pack, unpack}, &SV_TABLE(grid_chains_kernels), SV_W};
