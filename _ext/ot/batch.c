/* A small transport problem solved whole, out of the first caches, in float64.
 *
 * The kernel K_ij = 2^(u_i + v_j - scale (C_ij - offset_i)) is made once and then scaled: P = diag(y) K diag(x). An
 * iteration is one fused product (fused.h): y = a / (K x), c = x (K' y). When a scaling leaves 2^+-40 it moves into v
 * and the kernel is made anew from C in the log domain, each row with its maximum as reference. So no row underflows;
 * a column whose sum does has its potential found from its largest exponent.
 *
 * The method, in the semi-dual of v (rows are always met; c are the column sums, b - c the gradient):
 *   1. levels: scale / 4^l while the costs span more than LEVEL_SPAN in units of reg; each level starts from the last;
 *   2. a few Sinkhorn iterations, x *= b / c, and all of them where they converge fast;
 *   3. Newton steps: (diag(c + shift) - P' diag(1/a) P) d = b - c by conjugate gradients with the diagonal as
 *      preconditioner, K in float32 while that serves; a step is taken if it halves the error or raises the dual
 *      enough, else it is shortened; after a rejection the shift grows and Sinkhorn iterations follow.
 *
 * That is what is done where float32 does not serve first (batch_refine.h), as it mostly does.
 *
 * In NumPy a Sinkhorn iteration is   y = a / (K @ x); c = x * (K.T @ y); x *= b / c
 */
#include "batch_cost.h"
#include "batch_newton.h"
#include "batch_refine.h"

#define SCALING_LIMIT 0x1p40 /* beyond it the scalings move into the potentials */
#define LEVEL_SPAN 64.0      /* costs spanning this many reg need no levels */
#define LEVEL_TOL 1e-2       /* l1 error, relative to the mass, at which a level ends */
#define NEWTON_SHIFT_MIN 1e-6
#define NEWTON_SHIFT_MAX 100.0

enum { MAX_LEVELS = 24, FIRST_SINKHORN = 4, SINKHORN_FINISH = 6, SINKHORN_AFTER_REJECTION = 3, IDLE_MAX = 4 };

/* Whether a scaling of a column of positive weight is out of range. */
static int out_of_range(const struct solve *s)
{
    int bad = 0;
    for (size_t j = 0; j < s->ld; j++)
        bad |= (s->x[j] > SCALING_LIMIT) | ((s->x[j] < 1 / SCALING_LIMIT) & (s->b[j] > 0));
    return bad;
}

static void absorb(struct solve *s, double scale)
{
    for (size_t j = 0; j < s->m; j++)
        s->v[j] += s->b[j] > 0 ? log2(s->x[j]) : 0;
    make_kernel(s, scale, 0);
    evaluate(s);
    if (repair_columns(s, scale)) {
        make_kernel(s, scale, 0);
        evaluate(s);
    }
}

static void sinkhorn_iteration(struct solve *s, double scale)
{
    const vreal zero = v_set1(0), one = v_set1(1);
    for (size_t j = 0; j < s->ld; j += SV_W) {
        const vreal b = v_load(s->b + j), c = v_load(s->c + j);
        const vreal factor = v_if_equal(v_max(v_mul(v_set1(COLUMN_MIN), b), c), c, v_div(b, c), one);
        v_store(s->x + j, v_mul(v_load(s->x + j), v_if_equal(c, zero, one, factor)));
    }
    evaluate(s);
    s->sinkhorn++;
    if (out_of_range(s))
        absorb(s, scale);
}

/* Columns too light to be felt by the rows: their best response, without an evaluation. */
static void settle_tiny_columns(struct solve *s)
{
    for (size_t j = 0; j < s->m; j++)
        if (s->b[j] <= TINY_WEIGHT * s->mass && s->c[j] > 0) {
            s->x[j] *= s->b[j] / s->c[j];
            s->c[j] = s->b[j];
        }
}

/* How far the running error must fall at this level. */
static int reached(const struct solve *s, int last_level)
{
    return last_level ? s->error <= 0.95 * s->tol : s->l1 <= LEVEL_TOL * s->mass;
}

/* Sinkhorn's iteration a few times, and to the end where that is near. */
static void sinkhorn_start(struct solve *s, double scale, int last_level)
{
    double ratio = 1;
    for (int k = 0; !reached(s, last_level) && s->sinkhorn + s->newton < s->batch->max_iter; k++) {
        const double target = last_level ? s->tol * s->l1 / s->error : LEVEL_TOL * s->mass;
        if (k >= FIRST_SINKHORN && !(log(target / s->l1) > SINKHORN_FINISH * log(ratio)))
            return;
        const double before = s->l1;
        sinkhorn_iteration(s, scale);
        ratio = s->l1 / before;
        if (!(ratio < 1))
            return;
    }
}

static int newton_level(struct solve *s, double scale, int last_level)
{
    double shift = 1e-2, best = s->l1;
    int idle = 0, fresh = 1;
    while (!reached(s, last_level)) {
        if (!isfinite(s->l1))
            return STATUS_NONFINITE;
        if (s->sinkhorn + s->newton >= s->batch->max_iter)
            return STATUS_MAX_ITER;
        const double before = s->l1, relative = before / s->mass;
        double rtol = relative > 1e-8 ? fmin(0.1, fmax(relative, 1e-6)) : 1e-3;
        if (last_level)
            rtol = fmax(rtol, fmin(0.1, 0.3 * s->tol / s->error));
        prepare_step(s, shift * fmin(1, relative), fresh);
        if (!conjugate_gradients(s, rtol, s->in_float ? FLOAT_CG_MAX : 4 * (int)s->m + 100) && s->in_float) {
            s->in_float = 0;
            conjugate_gradients(s, rtol, 4 * (int)s->m + 100);
        }
        const int clipped = trim_step(s);
        const double length = line_search(s);
        fresh = length < 1 || clipped; /* the point is far from the last */
        if (length == 1 && !clipped)
            shift = fmax(shift / 4, NEWTON_SHIFT_MIN);
        else
            shift = fmin(shift * 8, NEWTON_SHIFT_MAX);
        settle_tiny_columns(s);
        if (out_of_range(s))
            absorb(s, scale);
        for (int k = 0; k < SINKHORN_AFTER_REJECTION && (length < 1 || clipped); k++)
            sinkhorn_iteration(s, scale);
        idle = s->l1 > 0.5 * best && best < 1e3 * s->roundoff ? idle + 1 : 0;
        best = fmin(best, s->l1);
        if (idle >= IDLE_MAX && last_level && !reached(s, last_level))
            return STATUS_STAGNATION;
        if (idle >= IDLE_MAX)
            return STATUS_CONVERGED;
    }
    return STATUS_CONVERGED;
}

static int run_levels(struct solve *s)
{
    const double easy_span = LEVEL_SPAN * LOG2_E_DOUBLE / s->scale;
    const int made = find_offsets(s, s->scale, easy_span);
    s->roundoff = 0x1p-52 * (4 + s->scale * s->span) * s->mass;
    int levels = 0;
    for (double span = s->span; span > easy_span && levels < MAX_LEVELS; span /= 4)
        levels++;
    int status = STATUS_CONVERGED;
    for (int level = levels; level >= 0; level--) {
        const double scale = ldexp(s->scale, -2 * level);
        if (level == levels && !made)
            make_kernel(s, scale, 1);
        if (level < levels) {
            for (size_t j = 0; j < s->m; j++)
                s->v[j] = 4 * (s->v[j] + (s->b[j] > 0 ? log2(s->x[j]) : 0));
            make_kernel(s, scale, 0);
        }
        evaluate(s);
        if (repair_columns(s, scale)) {
            make_kernel(s, scale, 0);
            evaluate(s);
        }
        sinkhorn_start(s, scale, level == 0);
        status = newton_level(s, scale, level == 0);
        if (status == STATUS_NONFINITE)
            break;
    }
    return status;
}

/* ---- in and out -------------------------------------------------------------------------------- */

static struct solve lay_out(const struct sv_ot_batch *batch, size_t index, const struct ot_float_kernel *in_float,
                            double *work)
{
    struct solve s = {.batch = batch, .in_float_kernel = in_float, .n = batch->cost.n, .m = batch->cost.m, .in_float = 1};
    const size_t rows = ot_batch_ld(s.n), ld = ot_batch_ld(s.m);
    const ptrdiff_t first = (ptrdiff_t)index * batch->cost_stride;
    s.matrix = batch->cost.kind == SV_COST_FLOAT64 ? (const void *)((const double *)batch->cost.matrix + first)
                                                   : (const void *)((const float *)batch->cost.matrix + first);
    if (index + 1 < batch->problems && batch->cost_stride > 0) { /* one call's problems mostly lie one after the other */
        const size_t size = batch->cost.kind == SV_COST_FLOAT64 ? sizeof(double) : sizeof(float);
        s.ahead = (const char *)s.matrix + (size_t)batch->cost_stride * size;
        s.ahead_end = s.ahead + (s.n - 1) * (size_t)batch->cost.stride * size + s.m * size;
    }
    s.ld = ld;
    s.scale = batch->scale[(ptrdiff_t)index * batch->scale_stride];
    s.offset = batch->offset + index * s.n;
    double **columns[] = {&s.b, &s.x, &s.c, &s.v, &s.line, &s.step, &s.x_old, &s.c_old, &s.diagonal, &s.precondition,
                          &s.left, &s.residual, &s.direction, &s.image, &s.scaled};
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++, work += ld)
        *columns[k] = work;
    s.float_x = (float *)work, s.float_sums = s.float_x + ld, work += ld;
    double **row_vectors[] = {&s.a, &s.y, &s.u, &s.weight, &s.row};
    for (size_t k = 0; k < sizeof row_vectors / sizeof *row_vectors; k++, work += rows)
        *row_vectors[k] = work;
    s.float_weight = (float *)work, s.float_row = s.float_weight + rows, work += rows;
    s.kept = (int *)work, work += rows;
    s.K = work, work += rows * ld;
    s.K_float = (float *)work;
    return s;
}

/* The rows of positive weight. */
static void keep_rows(struct solve *s, const double *a, double unit)
{
    size_t positive = 0;
    for (size_t i = 0; i < s->n; i++)
        positive += a[i] > 0;
    for (size_t i = 0; positive == s->n && i < s->n; i++)
        s->kept[i] = (int)i, s->a[i] = a[i] * unit;
    for (size_t i = 0; positive < s->n && i < s->n; i++) {
        s->offset[i] = 0;
        if (a[i] > 0) {
            s->kept[s->rows] = (int)i;
            s->a[s->rows++] = a[i] * unit;
        }
    }
    s->rows = positive;
}

static void take_weights(struct solve *s, const double *a, const double *b)
{
    s->exponent = mass_exponent(a, s->n);
    const double unit = ldexp(1, -s->exponent);
    s->tol = s->batch->tol * unit;
    keep_rows(s, a, unit);
    vreal mass = v_set1(0);
    for (size_t i = 0; i < s->rows; i += SV_W)
        mass = v_add(mass, v_load_some(s->a + i, s->rows - i, 0));
    s->mass = v_sum_lanes(mass);
    const vreal zero = v_set1(0);
    vreal least = v_set1(INFINITY); /* 0 where there are columns of zero weight or past the end */
    for (size_t j = 0; j < s->ld; j += SV_W) {
        const vreal weight = j < s->m ? v_mul(v_load_some(b + j, s->m - j, 0), v_set1(unit)) : zero;
        v_store(s->b + j, weight);
        v_store(s->line + j, v_set1(INFINITY));
        least = v_min(weight, least);
    }
    s->in_place = s->batch->cost.kind == SV_COST_FLOAT64 && v_max_lanes(v_sub(zero, least)) < 0;
}

static void solve(const struct sv_ot_batch *batch, size_t index, const struct ot_tools *tools, double *work)
{
    struct solve s = lay_out(batch, index, tools->in_float, work);
    take_weights(&s, batch->a + (ptrdiff_t)index * batch->a_stride, batch->b + (ptrdiff_t)index * batch->b_stride);
    if (solve_refined(&s, tools, index, LEVEL_SPAN * LOG2_E_DOUBLE / s.scale))
        return;
    int *counts = batch->counts + SV_BATCH_COUNTS * index;
    counts[SV_BATCH_STATUS] = run_levels(&s);
    counts[SV_BATCH_SINKHORN] = s.sinkhorn;
    counts[SV_BATCH_NEWTON] = s.newton;
    counts[SV_BATCH_CG] = s.cg;
    add_log2(s.u, s.y, s.rows);
    add_log2(s.v, s.x, s.m);
    put_potentials(&s, batch->u + index * s.n, batch->v + index * s.m);
    certify(&s, index, tools, s.row, s.c);
}

const struct ot_batch_kernel SV_TABLE(ot_batch) = {solve};
