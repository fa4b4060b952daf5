/* SSOR-CG with a stencil in lexicographic order, a strip of rows at a time, one row a lane: see grid.h for the layout.
 *
 * A triangular solve takes each cell from those before it along the axes. In the slanted layout the cell before it in
 * its row lies in the same lane of the vector before, the one in the row before a lane further down, SV_LAG vectors
 * before. So the recurrence is two multiply-adds and one move between lanes a vector; of these one multiply-add alone
 * is on the way from a vector to the next: the move has SV_LAG vectors' time. Where a lane goes on from the row of one
 * strip to that of the next, the place between the two is kept at zero by a coefficient of zero along x.
 *
 * For one coupling an axis, one number on the diagonal and no axis periodic. Bytes a cell and iteration as in
 * grid_natural_ssor.c. Measured on one core of a Zen 5 at 99^2, from the second cache: 0.20 ns a cell for Eisenstat's
 * product and 0.23 for the other pass, where the natural layout takes 0.60 to 0.65 for both; a lag of 2 takes 0.27 and
 * 0.24, one of 4 no less than 3. With AVX-512 a strip's vectors are transposed on the way from and to the user's rows.
 * Accuracy: each cell within some 3 axes + 8 roundings of its largest term.
 * In NumPy, of a strip of rows s (W, n) below the row y: for m in range(n + LAG * (W - 1)): for l in range(W):
 *     i = m - LAG * l;  if 0 <= i < n: s[l, i] += c * s[l, i - 1] + d * (s[l - 1] if l else y)[i]
 */
#include <string.h>

#include "grid_parts.h"

enum kind { UPPER, EISENSTAT, ADVANCE, BEGIN, RESIDUAL, MULTIPLY, LOWER };

/* Vectors from the first of a strip's edge, in which its rows begin one by one, to the last. */
enum { SLOPE = SV_LAG * (SV_W - 1) };

INLINE int goes_down(enum kind kind) { return kind == UPPER || kind == ADVANCE; }
INLINE int solves(enum kind kind) { return kind <= BEGIN; }

/* What does not change from vector to vector. */
struct constants {
    vreal diagonal, scale, over, back;  /* the diagonal's number D, omega / D, D / omega, 2 - omega */
    vreal beside[3], step[3];           /* the couplings; times omega / D */
    vreal alpha, beta;                  /* of ADVANCE */
};

/* The arrays of a call. x: what products are taken of. */
struct call {
    double omega, alpha, beta;
    const real *rhs, *t, *x;
    real *out;
    const struct sv_ssor_vectors *s;
};

/* The same from some vector on. near: the layer that is solved already; minus: what EISENSTAT subtracts from it.
 * beside: of x, the rows before and after the strip, the layers before and after. taken, given: in the ring of struct
 * front. */
struct place {
    const real *rhs, *t, *q, *x, *near, *minus, *beside[4];
    real *out, *r, *v, *solution, *copy, *taken, *given;
};

/* By lanes 1 or 0: whether there is a row; whether it has one before it, and after it. */
struct open {
    vreal there, before, after;
};

/* The coefficients of cells around a vector, by lanes: of products, and along the axes of a solve. */
struct weights {
    vreal x, before, after, z, along[3];
};

/* EISENSTAT: v'q and q'D q; ADVANCE and BEGIN: r'D r in the second; BEGIN and products: their sum in the first. */
struct sums {
    vreal product, square;
};

/* What goes from vector to vector: the last ones solved, the newest first; and of a strip's last row, or its first,
 * what the next strip takes: the cell i at 1 + i. Zeros lie before and after. */
struct front {
    vreal last[SV_LAG];
    struct open open;
    struct sums sums;
    real *ring;
};

INLINE struct constants constants_of(const struct sv_grid *g, const struct call *c)
{
    const double scale = c->omega / g->entry;
    struct constants K;
    K.diagonal = v_set1(g->entry), K.scale = v_set1(scale), K.over = v_set1(g->entry / c->omega);
    K.back = v_set1(2 - c->omega), K.alpha = v_set1(c->alpha), K.beta = v_set1(c->beta);
    load_couplings(g, K.beside);
    for (int axis = 0; axis < 3; axis++)
        K.step[axis] = v_set1(scale * g->coupling[axis]);
    return K;
}

/* 1 in one lane. */
static const real unit[2 * SV_W - 1] = {[SV_W - 1] = 1};
INLINE vreal one_at(ptrdiff_t lane) { return v_load(unit + SV_W - 1 - lane); }

/* Of the rows of a strip; of one before the first, or past the last, none. */
INLINE struct open open_of(const struct sv_grid *g, ptrdiff_t strip)
{
    const vreal one = v_set1(1), none = v_set1(0);
    if (strip < 0 || strip == g->strips)
        return (struct open){none, none, none};
    const ptrdiff_t rows = g->n[1] - strip * SV_W;
    struct open open = {one, one, one};
    if (strip == 0)
        open.before = v_sub(open.before, one_at(0));
    if (rows < SV_W) /* the first row of zeros; they all stay so */
        open.before = v_sub(open.before, one_at(rows));
    if (rows <= SV_W)
        open.after = v_sub(open.after, one_at(SV_W - 1));
    return open;
}

/* A lane goes over to the rows of another strip. */
INLINE void enter(struct open *open, const struct open *next, ptrdiff_t lane)
{
    const vreal one = one_at(lane);
    open->before = v_fma(one, v_sub(next->before, open->before), open->before);
    open->after = v_fma(one, v_sub(next->after, open->after), open->after);
    open->there = v_fma(one, v_sub(next->there, open->there), open->there);
}

/* within: 0 in the lane that is between two rows. */
INLINE struct weights weigh(const struct constants *K, const struct open *o, vreal within, int down)
{
    return (struct weights){
        v_mul(K->beside[0], within), v_mul(K->beside[1], o->before), v_mul(K->beside[1], o->after),
        v_mul(K->beside[2], o->there),
        {v_mul(K->step[0], within), v_mul(K->step[1], down ? o->after : o->before), v_mul(K->step[2], o->there)},
    };
}

/* The vector SV_LAG before, or after, with each lane's cell in the row before, or after. */
INLINE vreal row_before(const real *x, const real *strip, ptrdiff_t i)
{
    return moved(v_load(x + i - SV_LAG * SV_W), v_load(strip + i), 1, 0);
}

INLINE vreal row_after(const real *x, const real *strip, ptrdiff_t i)
{
    return moved(v_load(x + i + SV_LAG * SV_W), v_load(strip + i), 1, 1);
}

/* start + the couplings times the cells of x around a vector. */
INLINE vreal around(const struct place *p, const struct weights *w, ptrdiff_t i, vreal start, int axes)
{
    if (axes == 3)
        start = v_fma(w->z, v_add(v_load(p->beside[2] + i), v_load(p->beside[3] + i)), start);
    start = v_fma(w->before, row_before(p->x, p->beside[0], i), start);
    start = v_fma(w->after, row_after(p->x, p->beside[1], i), start);
    return v_fma(w->x, v_add(v_load(p->x + i - SV_W), v_load(p->x + i + SV_W)), start);
}

INLINE vreal residual_at(const struct place *p, const struct constants *K, const struct weights *w, ptrdiff_t i,
                         int axes)
{
    return v_fnma(K->diagonal, v_load(p->x + i), around(p, w, i, v_load(p->rhs + i), axes));
}

/* The vector work that comes before the solve of ADVANCE; returns the new v. */
INLINE vreal advanced(const struct place *p, const struct constants *K, ptrdiff_t i, struct sums *sums)
{
    vreal solution = v_fma(K->alpha, v_load(p->out + i), v_load(p->solution + i));
    vreal residual = v_fnma(K->alpha, v_load(p->q + i), v_load(p->r + i));
    vreal scaled = v_mul(K->diagonal, residual), v = v_fma(K->beta, v_load(p->v + i), scaled);
    sums->square = v_fma(residual, scaled, sums->square);
    v_store(p->solution + i, solution);
    if (p->copy)
        v_store(p->copy + i, solution);
    v_store(p->r + i, residual);
    v_store(p->v + i, v);
    return v;
}

/* What a solve begins with: all of a vector but what comes from cells that it solves. */
INLINE vreal right_side(const struct place *p, const struct constants *K, const struct weights *w, ptrdiff_t i,
                        struct sums *sums, enum kind kind, int axes)
{
    vreal s;
    if (kind == BEGIN) {
        s = residual_at(p, K, w, i, axes);
        sums->product = v_fma(s, s, sums->product);
    } else {
        s = kind == ADVANCE ? advanced(p, K, i, sums) : v_load(p->rhs + i);
    }
    s = v_mul(K->scale, s);
    return kind == EISENSTAT ? v_fnma(K->back, v_load(p->t + i), s) : s;
}

/* A vector of the solution in the layer that is solved already. */
INLINE vreal near(const struct place *p, ptrdiff_t i, enum kind kind)
{
    const vreal value = v_load(p->near + i);
    return kind == EISENSTAT ? v_sub(value, v_load(p->minus + i)) : value;
}

INLINE real lane_of(vreal v, int lane)
{
#if SV_W == 1
    return (void)lane, v;
#else
    return v[lane];
#endif
}

/* What becomes of a vector of the solution. */
INLINE void deliver(const struct place *p, const struct constants *K, ptrdiff_t i, vreal y, struct sums *sums,
                    enum kind kind)
{
    if (kind == EISENSTAT) {
        y = v_add(y, v_load(p->t + i));
        sums->product = v_fma(v_load(p->rhs + i), y, sums->product);
    }
    if (kind == EISENSTAT || kind == BEGIN) {
        vreal scaled = v_mul(K->diagonal, y);
        sums->square = v_fma(y, scaled, sums->square);
        if (kind == BEGIN)
            v_store(p->v + i, scaled);
    }
    v_store(p->out + i, y);
}

INLINE void solve_vector(const struct place *p, const struct constants *K, const struct weights *w, ptrdiff_t i,
                         struct front *f, enum kind kind, int axes)
{
    vreal y = right_side(p, K, w, i, &f->sums, kind, axes);
    if (axes == 3)
        y = v_fma(w->along[2], near(p, i, kind), y);
    const int down = goes_down(kind);
    y = v_fma(w->along[1], moved(f->last[SV_LAG - 1], v_set1(p->taken[i / SV_W]), 1, down), y);
    y = v_fma(w->along[0], f->last[0], y);
    p->given[i / SV_W] = lane_of(y, down ? 0 : SV_W - 1);
    for (int k = SV_LAG - 1; k > 0; k--)
        f->last[k] = f->last[k - 1];
    f->last[0] = y;
    deliver(p, K, i, y, &f->sums, kind);
}

INLINE vreal lower_at(const struct place *p, const struct constants *K, const struct weights *w, ptrdiff_t i, int axes)
{
    vreal y = v_fnma(w->x, v_load(p->x + i - SV_W), v_mul(K->over, v_load(p->x + i)));
    y = v_fnma(w->before, row_before(p->x, p->beside[0], i), y);
    return axes == 3 ? v_fnma(w->z, v_load(p->beside[2] + i), y) : y;
}

/* Products: out = b - A x, or A x, or (K + L) x, each the square of its norm, but of A x: x'A x. */
INLINE void product_vector(const struct place *p, const struct constants *K, const struct weights *w, ptrdiff_t i,
                           struct front *f, enum kind kind, int axes)
{
    vreal y, own = v_load(p->x + i);
    if (kind == LOWER)
        y = lower_at(p, K, w, i, axes);
    else if (kind == RESIDUAL)
        y = residual_at(p, K, w, i, axes);
    else
        y = v_sub(v_mul(K->diagonal, own), around(p, w, i, v_set1(0), axes));
    f->sums.product = v_fma(kind == MULTIPLY ? own : y, y, f->sums.product);
    if (p->out)
        v_store(p->out + i, y);
}

INLINE void visit(const struct place *p, const struct constants *K, const struct weights *w, ptrdiff_t i,
                  struct front *f, enum kind kind, int axes)
{
    if (solves(kind))
        solve_vector(p, K, w, i, f, kind, axes);
    else
        product_vector(p, K, w, i, f, kind, axes);
}

/* The rows and layers before and after those at x + at, which is in the edge of a strip (middle = 0) or its middle:
 * zeros where there are none. */
INLINE void look(const struct sv_grid *g, const real *x, ptrdiff_t at, ptrdiff_t layer, ptrdiff_t strip, int middle,
                 const real *beside[4])
{
    const ptrdiff_t to_row = g->pitch - SLOPE * SV_W;
    beside[0] = strip > 0 ? x + at - to_row : g->zeros;
    beside[1] = strip + middle < g->strips ? x + at + to_row : g->zeros;
    beside[2] = layer > 0 ? x + at - g->plane : g->zeros;
    beside[3] = layer + 1 < g->n[2] ? x + at + g->plane : g->zeros;
}

INLINE struct place place_of(const struct sv_grid *g, const struct call *c, ptrdiff_t layer, ptrdiff_t strip,
                             int middle, real *ring, enum kind kind)
{
    const ptrdiff_t before = middle ? SLOPE + 1 : 0, to_end = middle ? 1 : g->n[0] + 1 - SLOPE;
    const ptrdiff_t at = row_place(g, 0, layer) + strip * g->pitch + before * SV_W;
    const int down = goes_down(kind);
    const real *all[4];
    struct place p = {.out = c->out ? c->out + at : NULL};
    p.taken = ring + (down ? to_end : before), p.given = ring + (down ? before : to_end);
    if (kind != MULTIPLY && kind != LOWER)
        p.rhs = c->rhs + at;
    if (solves(kind)) {
        look(g, c->out, at, layer, strip, middle, all);
        p.near = all[2 + down];
    }
    if (kind == EISENSTAT) {
        look(g, c->t, at, layer, strip, middle, all);
        p.t = c->t + at, p.minus = all[2];
    }
    if (kind >= BEGIN)
        p.x = c->x + at, look(g, c->x, at, layer, strip, middle, p.beside);
    if (kind == BEGIN)
        p.v = c->s->v + at;
    if (kind == ADVANCE) {
        p.solution = c->s->x + at, p.v = c->s->v + at, p.q = c->s->q + at, p.r = c->s->r + at;
        p.copy = c->s->kept ? c->s->kept + at : NULL;
    }
    return p;
}

/* Where a strip's rows begin, and those of the strip before end: one lane after another goes over. */
INLINE void pass_edge(const struct sv_grid *g, const struct call *c, const struct constants *K, ptrdiff_t layer,
                      ptrdiff_t strip, struct front *f, enum kind kind, int axes)
{
    const int down = goes_down(kind);
    const struct place p = place_of(g, c, layer, strip, 0, f->ring, kind);
    const struct open next = open_of(g, strip - down);
    for (ptrdiff_t turn = 0; turn < SV_W; turn++) {
        const ptrdiff_t lane = down ? SV_W - 1 - turn : turn, at = lane * SV_LAG;
        enter(&f->open, &next, lane);
        struct weights w = weigh(K, &f->open, v_sub(v_set1(1), one_at(lane)), down);
        visit(&p, K, &w, at * SV_W, f, kind, axes);
        if (turn + 1 == SV_W)
            break;
        w.x = K->beside[0], w.along[0] = K->step[0];
        for (ptrdiff_t m = 1; m < SV_LAG; m++)
            visit(&p, K, &w, (at + (down ? -m : m)) * SV_W, f, kind, axes);
    }
}

INLINE void pass_middle(const struct sv_grid *g, const struct call *c, const struct constants *K, ptrdiff_t layer,
                        ptrdiff_t strip, struct front *f, enum kind kind, int axes)
{
    const int down = goes_down(kind);
    const struct place p = place_of(g, c, layer, strip, 1, f->ring, kind);
    const struct weights w = weigh(K, &f->open, v_set1(1), down);
    const ptrdiff_t count = g->n[0] - SLOPE;
#pragma GCC unroll 3
    for (ptrdiff_t m = 0; m < count; m++)
        visit(&p, K, &w, (down ? count - 1 - m : m) * SV_W, f, kind, axes);
}

/* The vectors of a layer in the order of the solve; an edge follows the last strip. */
INLINE void pass_layer(const struct sv_grid *g, const struct call *c, const struct constants *K, ptrdiff_t layer,
                       struct front *f, enum kind kind, int axes)
{
    const int down = goes_down(kind);
    for (ptrdiff_t turn = 0; turn <= g->strips; turn++) {
        const ptrdiff_t strip = down ? g->strips - turn : turn;
        if (down && turn > 0)
            pass_middle(g, c, K, layer, strip, f, kind, axes);
        pass_edge(g, c, K, layer, strip, f, kind, axes);
        if (!down && strip < g->strips)
            pass_middle(g, c, K, layer, strip, f, kind, axes);
    }
}

INLINE struct sums pass(const struct sv_operand *A, const struct call *c, enum kind kind, int axes)
{
    const struct sv_grid *g = A->matrix;
    const struct constants K = constants_of(g, c);
    const vreal none = v_set1(0);
    real ring[SV_SLANTED_MOST + 2];
    struct front f = {.open = {none, none, none}, .sums = {none, none}, .ring = ring};
    for (int k = 0; k < SV_LAG; k++)
        f.last[k] = none;
    if (solves(kind))
        memset(ring, 0, (size_t)(g->n[0] + 2) * sizeof *ring);
    for (ptrdiff_t turn = 0; turn < g->n[2]; turn++)
        pass_layer(g, c, &K, goes_down(kind) ? g->n[2] - 1 - turn : turn, &f, kind, axes);
    return f.sums;
}

#define GRID ((const struct sv_grid *)A->matrix)
#define PICK(name, ...) (GRID->axes == 3 ? name##_3(__VA_ARGS__) : name##_2(__VA_ARGS__))

#define MAKE_PASS(name, kind, axes)                                                                                  \
    static struct sums name##_##axes(const struct sv_operand *A, const struct call *c)                               \
    {                                                                                                                \
        return pass(A, c, kind, axes);                                                                               \
    }
#define MAKE(axes)                                                                                                   \
    MAKE_PASS(upper, UPPER, axes)                                                                                    \
    MAKE_PASS(eisenstat, EISENSTAT, axes)                                                                            \
    MAKE_PASS(advance, ADVANCE, axes)                                                                                \
    MAKE_PASS(begin, BEGIN, axes)                                                                                    \
    MAKE_PASS(residual, RESIDUAL, axes)                                                                              \
    MAKE_PASS(multiply, MULTIPLY, axes)                                                                              \
    MAKE_PASS(lower, LOWER, axes)
MAKE(2)
MAKE(3)

/* The zeros before the first strip of a layer and after its last edge. */
static void clear_ends(const struct sv_grid *g, real *x)
{
    const ptrdiff_t cells = g->strips * g->pitch + (SLOPE + 1) * SV_W;
    memset(x, 0, (size_t)g->lead * sizeof(real));
    for (ptrdiff_t k = 0; k < g->n[2]; k++) {
        const ptrdiff_t from = row_place(g, 0, k) + cells;
        const ptrdiff_t to = k + 1 < g->n[2] ? row_place(g, 0, k + 1) : (ptrdiff_t)g->size;
        memset(x + from, 0, (size_t)(to - from) * sizeof(real));
    }
}

static double multiply(const struct sv_operand *A, const double *x, double *out)
{
    const struct call call = {.omega = 1, .x = x, .out = out};
    clear_ends(GRID, out);
    return v_sum_lanes(PICK(multiply, A, &call).product);
}

static double residual(const struct sv_operand *A, const double *b, const double *x, double *r)
{
    const struct call call = {.omega = 1, .rhs = b, .x = x, .out = r};
    clear_ends(GRID, r);
    return v_sum_lanes(PICK(residual, A, &call).product);
}

static double lower_product(const struct sv_operand *A, double omega, const double *r, double *out)
{
    const struct call call = {.omega = omega, .x = r, .out = out};
    if (out)
        clear_ends(GRID, out);
    return v_sum_lanes(PICK(lower, A, &call).product);
}

static void upper_solve(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    const struct call call = {.omega = omega, .rhs = rhs, .out = out};
    clear_ends(GRID, out);
    PICK(upper, A, &call);
}

static double eisenstat_sums(const struct sv_operand *A, double omega, const double *v, const double *t, double *q,
                             double *square)
{
    const struct call call = {.omega = omega, .rhs = v, .t = t, .out = q};
    clear_ends(GRID, q);
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
    const struct call call = {.omega = omega, .alpha = alpha, .beta = beta, .rhs = s->v, .out = s->t, .s = s};
    return v_sum_lanes(PICK(advance, A, &call).square);
}

static double begin(const struct sv_operand *A, double omega, const double *b, const double *x, double *r, double *v,
                    double *rho)
{
    const struct sv_ssor_vectors s = {.v = v};
    const struct call call = {.omega = omega, .rhs = b, .x = x, .out = r, .s = &s};
    clear_ends(GRID, r), clear_ends(GRID, v);
    const struct sums sums = PICK(begin, A, &call);
    *rho = v_sum_lanes(sums.square);
    return v_sum_lanes(sums.product);
}

const struct sv_operand_kernels SV_TABLE(grid_slanted_kernels) = {
    .multiply = multiply, .residual = residual, .upper_solve = upper_solve, .eisenstat = eisenstat,
    .lower_product = lower_product, .eisenstat_sums = eisenstat_sums, .advance = advance, .begin = begin,
};

/* ---- the layout ------------------------------------------------------------------------------ */

/* Where the row in a lane of a strip begins in the user's layer; negative: there is no such row. */
INLINE ptrdiff_t user_row(const struct sv_grid *g, ptrdiff_t strip, ptrdiff_t lane)
{
    const ptrdiff_t row = strip * SV_W + lane;
    return strip >= 0 && row < g->n[1] ? row * g->n[0] : -1;
}

/* A lane's part of an edge: the last cells of one row, a zero, the first of another. */
INLINE void pack_edge(const struct sv_grid *g, const real *from, real *to, ptrdiff_t strip)
{
    for (ptrdiff_t lane = 0; lane < SV_W; lane++, to++) {
        const ptrdiff_t before = user_row(g, strip - 1, lane), own = user_row(g, strip, lane), gap = SV_LAG * lane;
        const real *end = (before < 0 ? (const real *)g->zeros : from + before) + g->n[0] - gap;
        const real *begin = own < 0 ? (const real *)g->zeros : from + own;
        for (ptrdiff_t m = 0; m < gap; m++)
            to[m * SV_W] = end[m];
        to[gap * SV_W] = 0;
        for (ptrdiff_t m = gap + 1; m <= SLOPE; m++)
            to[m * SV_W] = begin[m - gap - 1];
    }
}

INLINE void unpack_edge(const struct sv_grid *g, const real *from, real *to, ptrdiff_t strip)
{
    for (ptrdiff_t lane = 0; lane < SV_W; lane++, from++) {
        const ptrdiff_t before = user_row(g, strip - 1, lane), own = user_row(g, strip, lane), gap = SV_LAG * lane;
        for (ptrdiff_t m = 0; m < gap && before >= 0; m++)
            to[before + g->n[0] - gap + m] = from[m * SV_W];
        for (ptrdiff_t m = gap + 1; m <= SLOPE && own >= 0; m++)
            to[own + m - gap - 1] = from[m * SV_W];
    }
}

/* What lies between two edges; the cells of a lane begin at SLOPE - SV_LAG lane. */
INLINE void pack_middle(const struct sv_grid *g, const real *from, real *to, ptrdiff_t strip)
{
    const ptrdiff_t count = g->n[0] - SLOPE;
    const real *rows[SV_W];
    ptrdiff_t m = 0;
    for (ptrdiff_t lane = 0; lane < SV_W; lane++) {
        const ptrdiff_t own = user_row(g, strip, lane);
        rows[lane] = (own < 0 ? (const real *)g->zeros : from + own) + SLOPE - SV_LAG * lane;
    }
#ifdef V_HAS_TRANSPOSE
    for (; m + SV_W <= count; m += SV_W) {
        vreal v[SV_W];
        for (int k = 0; k < SV_W; k++)
            v[k] = v_load(rows[k] + m);
        v_transpose(v);
        for (int k = 0; k < SV_W; k++)
            v_store(to + (m + k) * SV_W, v[k]);
    }
#endif
    for (; m < count; m++)
        for (int lane = 0; lane < SV_W; lane++)
            to[m * SV_W + lane] = rows[lane][m];
}

INLINE void unpack_middle(const struct sv_grid *g, const real *from, real *to, ptrdiff_t strip)
{
    const ptrdiff_t count = g->n[0] - SLOPE, left = g->n[1] - strip * SV_W, rows = left < SV_W ? left : SV_W;
    const ptrdiff_t pitch = g->n[0] - SV_LAG; /* to where the next row's part begins */
    real *first = to + user_row(g, strip, 0) + SLOPE;
    ptrdiff_t m = 0;
#ifdef V_HAS_TRANSPOSE
    for (; m + SV_W <= count; m += SV_W) {
        vreal v[SV_W];
        for (int k = 0; k < SV_W; k++)
            v[k] = v_load(from + (m + k) * SV_W);
        v_transpose(v);
        for (int k = 0; k < SV_W; k++)
            if (k < rows)
                v_store(first + k * pitch + m, v[k]);
    }
#endif
    for (; m < count; m++)
        for (ptrdiff_t lane = 0; lane < rows; lane++)
            first[lane * pitch + m] = from[m * SV_W + lane];
}

static void pack(const struct sv_grid *g, const void *from, void *to)
{
    clear_ends(g, to);
    for (ptrdiff_t k = 0; k < g->n[2]; k++) {
        const real *layer = (const real *)from + k * g->n[1] * g->n[0];
        real *at = (real *)to + row_place(g, 0, k);
        for (ptrdiff_t strip = 0; strip < g->strips; strip++, at += g->pitch) {
            pack_edge(g, layer, at, strip);
            pack_middle(g, layer, at + (SLOPE + 1) * SV_W, strip);
        }
        pack_edge(g, layer, at, g->strips);
    }
}

static void unpack(const struct sv_grid *g, const void *from, void *to)
{
    for (ptrdiff_t k = 0; k < g->n[2]; k++) {
        const real *at = (const real *)from + row_place(g, 0, k);
        real *layer = (real *)to + k * g->n[1] * g->n[0];
        for (ptrdiff_t strip = 0; strip < g->strips; strip++, at += g->pitch) {
            unpack_edge(g, at, layer, strip);
            unpack_middle(g, at + (SLOPE + 1) * SV_W, layer, strip);
        }
        unpack_edge(g, at, layer, g->strips);
    }
}

const struct sv_grid_slanted SV_TABLE(grid_slanted) = {{NULL, pack, unpack}, &SV_TABLE(grid_slanted_kernels), SV_W};
