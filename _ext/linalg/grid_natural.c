/* Sweeps and triangular solves with a stencil in lexicographic order.
 *
 * A row's sums are formed vector by vector; what is left of each is x_i = t_i + c_i x_(i-1), which a prefix scheme solves
 * within the vector in log2(SV_W) steps, so that the chain from cell to cell is one multiply-add and one lane broadcast a
 * vector. c = omega coupling / diagonal is at most 1 in all that converges: its powers do not grow.
 *
 * Bytes a cell: 24 for a sweep (x read and written, b read), 16 for a triangular solve, 24 for Eisenstat's product, + 8 a
 * face array and 8 for the diagonal where couplings vary. About 12 (constant) or 20 operations a vector of cells.
 * Measured on one core of a Zen 4 at 256^2 and 2048^2, ns a cell: sweep 0.48 and 1.2, triangular solve 0.37 and 1.0,
 * Eisenstat's product 0.50 and 1.5; the same with the matrix in compressed rows, one at a time: 10, 6.5 and 6 to 9.
 * Accuracy: each cell within some 3 axes + 8 roundings of its largest term.
 * In NumPy: x = t.copy(); for i in range(1, n): x[i] += c[i] * x[i - 1]      # t from the row's other neighbours
 */
#include "grid_products.h"

enum { STEPS = SV_W == 8 ? 3 : SV_W == 4 ? 2 : SV_W == 2 ? 1 : 0 };

enum kind { SWEEP, MEASURED, TRIANGULAR, EISENSTAT };

/* What does not change from row to row. */
struct constants {
    vreal omega, keep, back;    /* omega, 1 - omega, 2 - omega */
    vreal near[4], side;        /* couplings */
    vreal powers[3], carried;   /* constant c: c^1, c^2, c^4; the powers c .. c^SV_W by distance from the carry */
    double middle, relax, along;  /* omega coupling / diagonal amid a row; omega; the coupling along x */
};

/* One row. near: the rows beside it that take part; minus: what is subtracted from them. */
struct lex {
    const real *near[4], *minus[4], *faces[4];
    const real *rhs, *inverse, *west, *t;
    real *x, *d;
};

INLINE vreal moved(vreal v, vreal from, int k, int down) { return down ? v_down(v, from, k) : v_up(v, from, k); }

INLINE vreal scan(vreal t, const struct constants *K, vreal carry, int down)
{
#pragma GCC unroll 3
    for (int s = 0; s < STEPS; s++)
        t = v_fma(K->powers[s], moved(t, v_set1(0), 1 << s, down), t);
    return v_fma(K->carried, carry, t);
}

INLINE vreal scan_by(vreal t, vreal c, vreal carry, int down)
{
#pragma GCC unroll 3
    for (int s = 0; s < STEPS; s++) {
        t = v_fma(c, moved(t, v_set1(0), 1 << s, down), t);
        c = v_mul(c, moved(c, v_set1(1), 1 << s, down));
    }
    return v_fma(c, carry, t);
}

/* A vector with one lane set, for the cell where a periodic row comes round. */
INLINE vreal one_lane(ptrdiff_t lane, double value)
{
    real lanes[SV_W] = {0};
    lanes[lane] = value;
    return v_load(lanes);
}

/* The row's last cell in the order of the recurrence, where it is unlike the others: its 1/diagonal at a Neumann end, and
 * the entry that comes round. Returns what is added to that cell. */
INLINE double end_of_row(const struct lex *r, const struct constants *K, ptrdiff_t n, int periodic, enum kind kind, int down,
                         int constant)
{
    ptrdiff_t end = down ? 0 : n - 1, before = down ? 1 : n - 2, start = n - 1 - end;
    double more = 0;
    if (constant && n > 1) {
        double c = K->relax * K->along * r->inverse[end] - K->middle;
        more = c * (kind == EISENSTAT ? r->x[before] - r->t[before] : r->x[before]);
    }
    if (periodic) {
        double c = K->relax * r->inverse[end] * (constant ? K->along : r->west[0]);
        more += c * (kind == EISENSTAT ? r->x[start] - r->t[start] : r->x[start]);
    }
    if (more != 0) {
        r->x[end] += more;
        if (kind == MEASURED)
            r->d[end] += more;
    }
    return more * (kind == EISENSTAT ? r->rhs[end] : 0);
}

INLINE double lex_row(const struct lex *r, const struct constants *K, ptrdiff_t n, int periodic, enum kind kind, int down,
                      int nears, int constant)
{
    vreal carry = v_set1(0), product = carry, round = carry;
    const int sweeps = kind == SWEEP || kind == MEASURED;
    ptrdiff_t vectors = (n + SV_W - 1) / SV_W;
    if (sweeps && periodic)
        round = one_lane(down ? (n - 1) % SV_W : 0, (constant ? K->along : r->west[0]) * r->x[down ? 0 : n - 1]);
    for (ptrdiff_t v = 0; v < vectors; v++) {
        ptrdiff_t i = (down ? vectors - 1 - v : v) * SV_W;
        vreal s = v_load(r->rhs + i), scale = v_mul(K->omega, v_load(r->inverse + i)), own = s, old = s;
        for (int m = 0; m < nears; m++) {
            vreal value = v_load(r->near[m] + i);
            if (kind == EISENSTAT)
                value = v_sub(value, v_load(r->minus[m] + i));
            s = v_fma(constant ? K->near[m] : v_load(r->faces[m] + i), value, s);
        }
        if (sweeps)
            s = v_fma(constant ? K->side : v_load(r->west + i + !down), v_load(r->x + i + (down ? -1 : 1)), s);
        if (sweeps && v == 0)
            s = v_add(s, round);
        vreal t = v_mul(scale, s);
        if (sweeps)
            old = v_load(r->x + i), t = v_fma(K->keep, old, t);
        if (kind == EISENSTAT)
            own = v_load(r->t + i), t = v_fnma(K->back, own, t);
        vreal y = constant ? scan(t, K, carry, down) : scan_by(t, v_mul(scale, v_load(r->west + i + down)), carry, down);
        y = kept(y, n - i);
        carry = down ? v_first_lane(y) : v_last_lane(y);
        if (kind == EISENSTAT) {
            y = v_add(y, own);
            product = v_fma(v_load(r->rhs + i), y, product);
        }
        if (kind == MEASURED)
            v_store(r->d + i, v_sub(y, old));
        v_store(r->x + i, y);
    }
    return v_sum_lanes(product) + end_of_row(r, K, n, periodic, kind, down, constant);
}

/* The rows beside row (j, k): all four for a sweep, else those before it in the order of the solve. Where the layers are
 * not periodic (narrow) those are one an axis. */
INLINE void near_rows(const struct sv_grid *g, const real *x, const real *minus, ptrdiff_t j, ptrdiff_t k, ptrdiff_t own,
                      enum kind kind, int down, int narrow, int axes, int constant, struct lex *r)
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

INLINE struct constants constants_of(const struct sv_grid *g, double omega, int down, int narrow, int axes)
{
    struct constants K;
    K.omega = v_set1(omega), K.keep = v_set1(1 - omega), K.back = v_set1(2 - omega), K.side = v_set1(g->coupling[0]);
    for (int m = 0; m < 4; m++)
        K.near[m] = v_set1(g->coupling[narrow ? 1 + m % 2 : 1 + m / 2]);
    K.relax = omega, K.along = g->coupling[0];
    K.middle = omega * g->coupling[0] * ((const real *)g->inverse)[g->n[0] / 2];
    (void)axes;
    double power = K.middle;
    for (int s = 0; s < 3; s++, power *= power)
        K.powers[s] = v_set1(power);
    real lanes[SV_W];
    power = K.middle;
    for (int lane = 0; lane < SV_W; lane++, power *= K.middle)
        lanes[down ? SV_W - 1 - lane : lane] = power;
    K.carried = v_load(lanes);
    return K;
}

#define PERIODIC_LAYERS(g) ((g)->periodic[1] || (g)->periodic[2])

/* The constants for a row amid the grid serve all: inverses that differ from row to row are read from r.inverse, and
 * `middle` is made anew where the row's own differs. */
INLINE void set_middle(struct constants *K, double inverse, int down)
{
    double middle = K->relax * K->along * inverse;
    if (middle == K->middle)
        return;
    K->middle = middle;
    double power = middle;
    for (int s = 0; s < 3; s++, power *= power)
        K->powers[s] = v_set1(power);
    real lanes[SV_W];
    power = middle;
    for (int lane = 0; lane < SV_W; lane++, power *= middle)
        lanes[down ? SV_W - 1 - lane : lane] = power;
    K->carried = v_load(lanes);
}

INLINE double lex_rows(const struct sv_operand *A, double omega, const real *rhs, const real *t, real *x, real *d,
                       enum kind kind, int down, int narrow, int axes, int constant)
{
    const struct sv_grid *g = A->matrix;
    const int sweeps = kind == SWEEP || kind == MEASURED, nears = narrow ? axes - 1 : 2 * (axes - 1);
    struct constants K = constants_of(g, omega, down, narrow, axes);
    ptrdiff_t rows = g->n[1] * g->n[2];
    double product = 0;
    for (ptrdiff_t step = 0; step < rows; step++) {
        ptrdiff_t row = down ? rows - 1 - step : step, j = row % g->n[1], k = row / g->n[1], own = row_place(g, j, k);
        struct lex r;
        r.rhs = rhs + own, r.inverse = diagonal_row(g, g->inverse, j, k, own);
        r.west = constant ? NULL : (const real *)g->faces[0] + own;
        r.t = t + own, r.x = x + own, r.d = d + own;
        near_rows(g, x, t, j, k, own, kind, down, narrow, axes, constant, &r);
        if (constant)
            set_middle(&K, r.inverse[g->n[0] / 2], down);
        product += lex_row(&r, &K, g->n[0], g->periodic[0], kind, down, nears, constant);
        if (!sweeps)
            finish_row(x + own, g->n[0], g->pitch);
        if (kind == MEASURED)
            finish_row(d + own, g->n[0], g->pitch);
    }
    return product;
}

/* The row of (K + L) x, or of (K + U) x. */
INLINE vreal triangle_row(const struct lex *r, const struct constants *K, const real *diagonal, real *out, ptrdiff_t n,
                          int periodic, vreal total, int upper, int nears, int constant)
{
    const vreal inverse_omega = v_set1(1 / K->relax);
    ptrdiff_t end = upper ? 0 : n - 1, vectors = (n + SV_W - 1) / SV_W;
    vreal round = v_set1(0);
    if (periodic)
        round = one_lane(end % SV_W, (constant ? K->along : r->west[0]) * r->x[n - 1 - end]);
    for (ptrdiff_t v = 0; v < vectors; v++) {
        ptrdiff_t i = v * SV_W;
        vreal y = v_mul(v_mul(inverse_omega, v_load(diagonal + i)), v_load(r->x + i));
        y = v_fnma(constant ? K->side : v_load(r->west + i + upper), v_load(r->x + i + (upper ? 1 : -1)), y);
        for (int m = 0; m < nears; m++)
            y = v_fnma(constant ? K->near[m] : v_load(r->faces[m] + i), v_load(r->near[m] + i), y);
        if (v == end / SV_W)
            y = v_sub(y, round);
        y = kept(y, n - i);
        total = v_fma(y, y, total);
        if (out)
            v_store(out + i, y);
    }
    return total;
}

INLINE double triangle(const struct sv_operand *A, double omega, const real *x, real *out, int upper, int narrow, int axes,
                       int constant)
{
    const struct sv_grid *g = A->matrix;
    const struct constants K = constants_of(g, omega, upper, narrow, axes);
    vreal total = v_set1(0);
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++) {
            ptrdiff_t own = row_place(g, j, k);
            struct lex r;
            r.x = (real *)x + own, r.west = constant ? NULL : (const real *)g->faces[0] + own;
            near_rows(g, x, NULL, j, k, own, TRIANGULAR, upper, narrow, axes, constant, &r);
            total = triangle_row(&r, &K, diagonal_row(g, g->diagonal, j, k, own), out ? out + own : NULL, g->n[0],
                                 g->periodic[0], total, upper, narrow ? axes - 1 : 2 * (axes - 1), constant);
            if (out)
                finish_row(out + own, g->n[0], g->pitch);
        }
    return v_sum_lanes(total);
}

#define MAKE_LEX(axes, constant)                                                                                    \
    static double lex_##axes##_##constant(const struct sv_operand *A, double omega, const real *rhs, const real *t, \
                                          real *x, real *d, enum kind kind, int down)                               \
    {                                                                                                               \
        const int narrow = !PERIODIC_LAYERS((const struct sv_grid *)A->matrix);                                     \
        switch (kind) {                                                                                             \
        case SWEEP:                                                                                                 \
            return down ? lex_rows(A, omega, rhs, t, x, d, SWEEP, 1, 0, axes, constant)                             \
                        : lex_rows(A, omega, rhs, t, x, d, SWEEP, 0, 0, axes, constant);                            \
        case MEASURED:                                                                                              \
            return down ? lex_rows(A, omega, rhs, t, x, d, MEASURED, 1, 0, axes, constant)                          \
                        : lex_rows(A, omega, rhs, t, x, d, MEASURED, 0, 0, axes, constant);                         \
        case TRIANGULAR:                                                                                            \
            if (!narrow)                                                                                            \
                return down ? lex_rows(A, omega, rhs, t, x, d, TRIANGULAR, 1, 0, axes, constant)                    \
                            : lex_rows(A, omega, rhs, t, x, d, TRIANGULAR, 0, 0, axes, constant);                   \
            return down ? lex_rows(A, omega, rhs, t, x, d, TRIANGULAR, 1, 1, axes, constant)                        \
                        : lex_rows(A, omega, rhs, t, x, d, TRIANGULAR, 0, 1, axes, constant);                       \
        default:                                                                                                    \
            return narrow ? lex_rows(A, omega, rhs, t, x, d, EISENSTAT, 0, 1, axes, constant)                       \
                          : lex_rows(A, omega, rhs, t, x, d, EISENSTAT, 0, 0, axes, constant);                      \
        }                                                                                                           \
    }                                                                                                               \
    static double triangle_##axes##_##constant(const struct sv_operand *A, double omega, const real *x, real *out,  \
                                               int upper)                                                           \
    {                                                                                                               \
        return PERIODIC_LAYERS((const struct sv_grid *)A->matrix)                                                   \
                   ? upper ? triangle(A, omega, x, out, 1, 0, axes, constant)                                       \
                           : triangle(A, omega, x, out, 0, 0, axes, constant)                                       \
               : upper ? triangle(A, omega, x, out, 1, 1, axes, constant)                                           \
                       : triangle(A, omega, x, out, 0, 1, axes, constant);                                          \
    }
GRID_EACH(MAKE_LEX)

#define MATRIX ((const struct sv_grid *)A->matrix)

static void sweep(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b, double *x)
{
    GRID_PICK(lex, MATRIX)(A, omega, b, x, x, x, SWEEP, direction == SV_BACKWARD);
}

/* d = (K + L)^-1 r, so the residual before the sweep is (K + L) d. */
static double measured_sweep(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b,
                             double *x, double *d)
{
    clear_between(MATRIX, d);
    GRID_PICK(lex, MATRIX)(A, omega, b, x, x, d, MEASURED, direction == SV_BACKWARD);
    return GRID_PICK(triangle, MATRIX)(A, omega, d, NULL, direction == SV_BACKWARD);
}

static void lower_solve(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    clear_between(MATRIX, out);
    GRID_PICK(lex, MATRIX)(A, omega, rhs, rhs, out, out, TRIANGULAR, 0);
}

static void upper_solve(const struct sv_operand *A, double omega, const double *rhs, double *out)
{
    clear_between(MATRIX, out);
    GRID_PICK(lex, MATRIX)(A, omega, rhs, rhs, out, out, TRIANGULAR, 1);
}

static double eisenstat(const struct sv_operand *A, double omega, const double *v, const double *t, double *q)
{
    clear_between(MATRIX, q);
    return GRID_PICK(lex, MATRIX)(A, omega, v, t, q, q, EISENSTAT, 0);
}

static double lower_product(const struct sv_operand *A, double omega, const double *r, double *out)
{
    clear_between(MATRIX, out);
    return GRID_PICK(triangle, MATRIX)(A, omega, r, out, 0);
}

const struct sv_operand_kernels SV_TABLE(grid_natural_kernels) = {
    multiply, residual, sweep, measured_sweep, jacobi, lower_solve, upper_solve, eisenstat, lower_product, NULL,
};
