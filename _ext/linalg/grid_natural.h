/* The recurrence along a row of a stencil in lexicographic order, and the rows one after another: see grid_natural.c. */
#ifndef SOLVERS_LINALG_GRID_NATURAL_H
#define SOLVERS_LINALG_GRID_NATURAL_H

#include "grid_parts.h"

enum kind { SWEEP, MEASURED, TRIANGULAR, EISENSTAT, ADVANCE, BEGIN };

/* How the coefficients are kept. UNIFORM: as CONSTANT, and all cells have one diagonal entry, which is not read. */
enum coefficients { VARIABLE, CONSTANT, UNIFORM };

/* What does not change from row to row. */
struct constants {
    vreal omega, keep, back;    /* omega, 1 - omega, 2 - omega */
    vreal near[4], side;        /* couplings */
    vreal beside[3];            /* the same by axis */
    vreal powers[3], carried;   /* constant c: c^1, c^2, c^4; the powers c .. c^SV_W by distance from the carry */
    vreal across;               /* c^SV_W */
    vreal alpha, beta;          /* of ADVANCE */
    vreal scale, diagonal, scaled[2]; /* UNIFORM: omega / diagonal, the diagonal, and the couplings times the first */
    double middle, relax, along;  /* omega coupling / diagonal amid a row; omega; the coupling along x */
};

/* One row. near: the rows beside it that take part; minus: what is subtracted from them. */
struct lex {
    const real *near[4], *minus[4], *faces[4];
    const real *rhs, *inverse, *west, *t, *diagonal, *q;
    real *x, *d, *r, *v, *solution, *copy;
    struct around around; /* BEGIN: the solution's cells beside the row */
};

/* Running sums: EISENSTAT: v'q and q'D q; ADVANCE and BEGIN: r'D r in the second. UNIFORM: without the D until the end.
 * BEGIN: the square of the residual in the first, and of the blocks before in `total`. */
struct sums {
    vreal product, square;
    double ends[2], total;
};

/* The recurrence over a vector, and what it carries on to the next: the bits of the result's end lane, but from one
 * multiply-add a vector, for which alone the next one has to wait. */
INLINE vreal scan(vreal t, const struct constants *K, vreal *carry, int down)
{
#pragma GCC unroll 3
    for (int s = 0; s < STEPS; s++)
        t = v_fma(K->powers[s], moved(t, v_set1(0), 1 << s, down), t);
    vreal y = v_fma(K->carried, *carry, t);
    *carry = v_fma(K->across, *carry, end_lane(t, down));
    return y;
}

INLINE vreal scan_by(vreal t, vreal c, vreal *carry, int down)
{
#pragma GCC unroll 3
    for (int s = 0; s < STEPS; s++) {
        t = v_fma(c, moved(t, v_set1(0), 1 << s, down), t);
        c = v_mul(c, moved(c, v_set1(1), 1 << s, down));
    }
    vreal y = v_fma(c, *carry, t);
    *carry = v_fma(end_lane(c, down), *carry, end_lane(t, down));
    return y;
}

/* A vector with one lane set, for the cell where a periodic row comes round. */
INLINE vreal one_lane(ptrdiff_t lane, double value)
{
    real lanes[SV_W] = {0};
    lanes[lane] = value;
    return v_load(lanes);
}

/* The row's last cell in the order of the recurrence, where it is unlike the others: its 1/diagonal at a Neumann end,
 * and the entry that comes round. Returns what is added to that cell. */
INLINE void end_of_row(const struct lex *r, const struct constants *K, ptrdiff_t n, int periodic, struct sums *sums,
                       enum kind kind, int down, int constant)
{
    ptrdiff_t end = down ? 0 : n - 1, before = down ? 1 : n - 2, start = n - 1 - end;
    double more = 0, c = constant && n > 1 ? K->relax * K->along * r->inverse[end] - K->middle : 0;
    if (c != 0) /* x was just written: to read it at once takes time */
        more = c * (kind == EISENSTAT ? r->x[before] - r->t[before] : r->x[before]);
    if (periodic) {
        c = K->relax * r->inverse[end] * (constant ? K->along : r->west[0]);
        more += c * (kind == EISENSTAT ? r->x[start] - r->t[start] : r->x[start]);
    }
    if (more == 0)
        return;
    if (kind == EISENSTAT)
        sums->ends[0] += more * r->rhs[end];
    if (kind == EISENSTAT || kind == BEGIN)
        sums->ends[1] += more * r->diagonal[end] * (2 * r->x[end] + more);
    r->x[end] += more;
    if (kind == BEGIN)
        r->v[end] = r->diagonal[end] * r->x[end];
    if (kind == MEASURED)
        r->d[end] += more;
}

/* The vector work that comes before the solve of ADVANCE; returns the new v. */
INLINE vreal advanced(const struct lex *r, const struct constants *K, ptrdiff_t i, struct sums *sums, int constant)
{
    vreal solution = v_fma(K->alpha, v_load(r->x + i), v_load(r->solution + i));
    vreal residual = v_fnma(K->alpha, v_load(r->q + i), v_load(r->r + i));
    vreal scaled = v_mul(constant == UNIFORM ? K->diagonal : v_load(r->diagonal + i), residual);
    vreal v = v_fma(K->beta, v_load(r->v + i), scaled);
    sums->square = v_fma(residual, constant == UNIFORM ? residual : scaled, sums->square);
    v_store(r->solution + i, solution);
    if (r->copy)
        v_store(r->copy + i, solution);
    v_store(r->r + i, residual);
    v_store(r->v + i, v);
    return v;
}

/* The residual at a vector of cells, which BEGIN solves with. */
INLINE vreal residual_at(const struct lex *r, const struct constants *K, ptrdiff_t i, ptrdiff_t left, struct sums *sums,
                         int axes, int constant)
{
    vreal sum = add_around(&r->around, i, K->beside, v_load(r->rhs + i), axes, constant);
    vreal diagonal = constant == UNIFORM ? K->diagonal : v_load(r->diagonal + i);
    sum = kept(v_fnma(diagonal, v_load(r->solution + i), sum), left);
    sums->product = v_fma(sum, sum, sums->product);
    return sum;
}

INLINE void lex_row(const struct lex *r, const struct constants *K, ptrdiff_t n, int periodic, struct sums *sums,
                    enum kind kind, int down, int nears, int axes, int constant)
{
    vreal carry = v_set1(0), round = carry;
    const int sweeps = kind == SWEEP || kind == MEASURED;
    ptrdiff_t vectors = (n + SV_W - 1) / SV_W;
    if (sweeps && periodic)
        round = one_lane(down ? (n - 1) % SV_W : 0, (constant ? K->along : r->west[0]) * r->x[down ? 0 : n - 1]);
    for (ptrdiff_t v = 0; v < vectors; v++) {
        ptrdiff_t i = (down ? vectors - 1 - v : v) * SV_W;
        vreal s = kind == ADVANCE ? advanced(r, K, i, sums, constant)
                  : kind == BEGIN ? residual_at(r, K, i, n - i, sums, axes, constant)
                                  : v_load(r->rhs + i);
        vreal own = s, old = s;
        vreal scale = constant == UNIFORM ? K->scale : v_mul(K->omega, v_load(r->inverse + i));
        if (constant == UNIFORM)
            s = v_mul(scale, s);
        if (kind == EISENSTAT && constant == UNIFORM) /* before the row beside it, which has just been written */
            own = v_load(r->t + i), s = v_fnma(K->back, own, s);
        for (int m = 0; m < nears; m++) {
            vreal value = v_load(r->near[m] + i);
            if (kind == EISENSTAT)
                value = v_sub(value, v_load(r->minus[m] + i));
            s = v_fma(constant == UNIFORM ? K->scaled[m] : constant ? K->near[m] : v_load(r->faces[m] + i), value, s);
        }
        if (sweeps)
            s = v_fma(constant ? K->side : v_load(r->west + i + !down), v_load(r->x + i + (down ? -1 : 1)), s);
        if (sweeps && v == 0)
            s = v_add(s, round);
        vreal t = constant == UNIFORM ? s : v_mul(scale, s);
        if (sweeps)
            old = v_load(r->x + i), t = v_fma(K->keep, old, t);
        if (kind == EISENSTAT && constant != UNIFORM)
            own = v_load(r->t + i), t = v_fnma(K->back, own, t);
        vreal y = constant ? scan(t, K, &carry, down)
                           : scan_by(t, v_mul(scale, v_load(r->west + i + down)), &carry, down);
        y = kept(y, n - i);
        if (kind == EISENSTAT) {
            y = v_add(y, own);
            sums->product = v_fma(v_load(r->rhs + i), y, sums->product);
            sums->square = v_fma(constant == UNIFORM ? y : v_mul(v_load(r->diagonal + i), y), y, sums->square);
        }
        if (kind == BEGIN) {
            vreal scaled = v_mul(constant == UNIFORM ? K->diagonal : v_load(r->diagonal + i), y);
            sums->square = v_fma(constant == UNIFORM ? y : scaled, y, sums->square);
            v_store(r->v + i, scaled);
        }
        if (kind == MEASURED)
            v_store(r->d + i, v_sub(y, old));
        v_store(r->x + i, y);
    }
    if (constant != UNIFORM)
        end_of_row(r, K, n, periodic, sums, kind, down, constant);
}

/* The rows beside row (j, k): all four for a sweep, else those before it in the order of the solve. Where the layers
 * are not periodic (narrow) those are one an axis. */
INLINE void near_rows(const struct sv_grid *g, const real *x, const real *minus, ptrdiff_t j, ptrdiff_t k,
                      ptrdiff_t own, enum kind kind, int down, int narrow, int axes, int constant, struct lex *r)
{
    const ptrdiff_t to[4] = {
        step_before(j, g->n[1], g->pitch, g->periodic[1]), step_after(j, g->n[1], g->pitch, g->periodic[1]),
        step_before(k, g->n[2], g->plane, g->periodic[2]), step_after(k, g->n[2], g->plane, g->periodic[2])};
    int m = 0;
    for (int side = 0; side < 2 * (axes - 1); side++) {
        if (narrow && side % 2 != down)
            continue;
        int there = kind == SWEEP || kind == MEASURED ? to[side] != 0 : down ? to[side] > 0 : to[side] < 0;
        r->near[m] = there ? x + own + to[side] : g->zeros;
        if (kind == EISENSTAT)
            r->minus[m] = there ? minus + own + to[side] : g->zeros;
        if (!constant)
            r->faces[m] = there ? (const real *)g->faces[1 + side / 2] + own + side % 2 * to[side] : g->zeros;
        m++;
    }
}

/* Where a row's 1/diagonal amid it is not that of the row before: the powers of its c. */
INLINE void set_middle(struct constants *K, double inverse, int down)
{
    double middle = K->relax * K->along * inverse, power = middle;
    if (middle == K->middle)
        return;
    K->middle = middle;
    for (int s = 0; s < 3; s++, power *= power)
        K->powers[s] = v_set1(power);
    real lanes[SV_W];
    power = middle;
    for (int lane = 0; lane < SV_W; lane++, power *= middle)
        lanes[down ? SV_W - 1 - lane : lane] = power;
    K->carried = v_load(lanes), K->across = end_lane(K->carried, down);
}

INLINE struct constants constants_of(const struct sv_grid *g, double omega, int down, int narrow)
{
    struct constants K;
    K.omega = v_set1(omega), K.keep = v_set1(1 - omega), K.back = v_set1(2 - omega), K.side = v_set1(g->coupling[0]);
    for (int m = 0; m < 4; m++)
        K.near[m] = v_set1(g->coupling[narrow ? 1 + m % 2 : 1 + m / 2]);
    load_couplings(g, K.beside);
    K.relax = omega, K.along = g->coupling[0], K.middle = NAN;
    const ptrdiff_t amid = g->n[0] / 2;
    set_middle(&K, ((const real *)diagonal_row(g, g->inverse, 0, 0, 0))[amid], down);
    if (g->uniform) {
        const double diagonal = ((const real *)diagonal_row(g, g->diagonal, 0, 0, 0))[amid];
        K.scale = v_set1(omega * (1 / diagonal)), K.diagonal = v_set1(diagonal);
        for (int m = 0; m < 2; m++)
            K.scaled[m] = v_mul(K.scale, K.near[m]);
    }
    return K;
}

/* As GRID_EACH and GRID_PICK, with copies for uniform grids, which are never periodic. */
#define LEX_EACH(MAKE) GRID_EACH(MAKE) MAKE(2, 2) MAKE(3, 2)
#define LEX_PICK(name, g) ((g)->uniform ? ((g)->axes == 3 ? name##_3_2 : name##_2_2) : GRID_PICK(name, g))

#define PERIODIC_LAYERS(g) ((g)->periodic[1] || (g)->periodic[2])
#define WIDE(g, constant) ((constant) != UNIFORM && PERIODIC_LAYERS(g))

/* The arrays of a call, as `lex` has them by rows. */
struct lex_call {
    double omega, alpha, beta;
    const real *rhs, *t;
    real *x, *d;
    const struct sv_ssor_vectors *s;
};

INLINE struct sums lex_rows(const struct sv_operand *A, const struct lex_call *c, enum kind kind, int down, int narrow,
                            int axes, int constant)
{
    const struct sv_grid *g = A->matrix;
    const int nears = narrow ? axes - 1 : 2 * (axes - 1);
    struct constants K = constants_of(g, c->omega, down, narrow);
    struct sums sums = {v_set1(0), v_set1(0), {0, 0}, 0};
    const ptrdiff_t ny = g->n[1], rows = ny * g->n[2];
    K.alpha = v_set1(c->alpha), K.beta = v_set1(c->beta);
    size_t block = 1;
    ptrdiff_t j = down ? ny : -1, k = down ? g->n[2] - 1 : 0;
    for (ptrdiff_t step = 0; step < rows; step++) {
        if (down ? --j < 0 : ++j == ny) /* a division takes as long as a vector of the row */
            j = down ? ny - 1 : 0, k += down ? -1 : 1;
        const ptrdiff_t own = row_place(g, j, k);
        struct lex r;
        r.rhs = c->rhs + own, r.inverse = diagonal_row(g, g->inverse, j, k, own);
        r.west = constant ? NULL : (const real *)g->faces[0] + own;
        r.t = c->t + own, r.x = c->x + own, r.d = c->d + own;
        if (kind == EISENSTAT || kind == ADVANCE || kind == BEGIN)
            r.diagonal = diagonal_row(g, g->diagonal, j, k, own);
        if (kind == ADVANCE) {
            r.q = c->s->q + own, r.r = c->s->r + own, r.v = c->s->v + own, r.solution = c->s->x + own;
            r.copy = c->s->kept ? c->s->kept + own : NULL;
        }
        if (kind == BEGIN) {
            r.solution = c->s->x + own, r.v = c->s->v + own;
            r.around = look_around(g, c->s->x, j, k, own, own, -1, axes, constant);
            if (step == block_start(block, rows, sum_blocks(g)))
                block++, sums.total += v_sum_lanes(sums.product), sums.product = v_set1(0);
            show_ends(g, r.solution, g->n[0]);
        }
        near_rows(g, c->x, c->t, j, k, own, kind, down, narrow, axes, constant, &r);
        if (constant == CONSTANT)
            set_middle(&K, r.inverse[g->n[0] / 2], down);
        lex_row(&r, &K, g->n[0], g->periodic[0], &sums, kind, down, nears, axes, constant);
        if (kind == TRIANGULAR || kind == EISENSTAT || kind == BEGIN)
            finish_row(c->x + own, g->n[0], g->pitch);
        if (kind == BEGIN)
            finish_row(r.v, g->n[0], g->pitch), hide_ends(g, r.solution, g->n[0]);
        if (kind == MEASURED)
            finish_row(c->d + own, g->n[0], g->pitch);
    }
    if (constant == UNIFORM)
        sums.square = v_mul(K.diagonal, sums.square);
    return sums;
}

#define GRID ((const struct sv_grid *)A->matrix)

#endif
