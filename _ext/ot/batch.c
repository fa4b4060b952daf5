/* A small transport problem solved whole, out of the first caches.
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
 *      preconditioner, P in float32 while that serves; a step is taken if it halves the error or raises the dual
 *      enough, else it is shortened; after a rejection the shift grows and Sinkhorn iterations follow.
 *
 * Cost for n = m = 64: the kernel 7, the certificate 7, a fused product 1.2 (0.7 in float32) thousand cycles; at a span
 * of 50 reg and an error of 1e-9 some 9 products and 20 in float32.
 *
 * In NumPy a Sinkhorn iteration is   y = a / (K @ x); c = x * (K.T @ y); x *= b / c
 */
#include "batch.h"
#include "expcore.h"
#include "fused.h"

#define SCALING_LIMIT 0x1p40  /* beyond it the scalings move into the potentials */
#define COLUMN_MIN 1e-280     /* a column sum below it may have lost digits */
#define LEVEL_SPAN 64.0       /* costs spanning this many reg need no levels */
#define LEVEL_TOL 1e-2        /* l1 error, relative to the mass, at which a level ends */
#define TINY_WEIGHT 1e-200        /* a column of this part of the mass is not seen by the rows: no Newton step for it */
#define NEWTON_SHIFT_MIN 1e-6
#define NEWTON_SHIFT_MAX 100.0
#define LOG2_E_DOUBLE 0x1.71547652b82fep+0

enum { MAX_LEVELS = 24, FIRST_SINKHORN = 4, SINKHORN_FINISH = 6, SINKHORN_AFTER_REJECTION = 3, LINE_SEARCH = 8,
       FLOAT_CG_MAX = 80, IDLE_MAX = 4, STATUS_CONVERGED = 0, STATUS_MAX_ITER = 10, STATUS_STAGNATION = 13,
       STATUS_NONFINITE = 22 };

struct solve {
    const struct sv_ot_batch *batch;
    const struct ot_normal_kernel *normal;
    const void *matrix; /* of this problem */
    size_t n, m, rows, ld; /* rows: those of positive weight */
    double scale, mass, tol, roundoff, span;
    double *offset; /* (n,) of the batch */
    double *K;
    float *P;
    /* rows */
    double *a, *y, *u, *weight, *row;
    int *kept;
    /* columns; 0 past the end and at zero weights */
    double *b, *x, *c, *v, *line, *step, *x_old, *c_old, *diagonal, *precondition, *residual, *direction, *image, *scaled;
    float *float_x, *float_sums, *float_weight, *float_row;
    double l1, error; /* of the columns: the l1 norm, and the norm asked for */
    int sinkhorn, newton, cg, in_float;
    int in_place; /* C can be read where it is */
};

/* ---- vectors of columns ---------------------------------------------------------------------- */

INLINE double dot(const double *p, const double *q, size_t ld)
{
    vreal sum = v_set1(0);
    for (size_t j = 0; j < ld; j += SV_W)
        sum = v_fma(v_load(p + j), v_load(q + j), sum);
    return v_sum_lanes(sum);
}

/* p += factor q */
INLINE void add_scaled(double *p, double factor, const double *q, size_t ld)
{
    const vreal f = v_set1(factor);
    for (size_t j = 0; j < ld; j += SV_W)
        v_store(p + j, v_fma(f, v_load(q + j), v_load(p + j)));
}

/* ---- the cost ---------------------------------------------------------------------------------- */

/* Row i of C in float64, +inf in the columns of zero weight and past the end. */
static const double *cost_row(const struct solve *s, size_t i)
{
    const ptrdiff_t start = (ptrdiff_t)i * s->batch->cost.stride;
    const size_t m = s->m;
    if (s->in_place)
        return (const double *)s->matrix + start;
    if (s->batch->cost.kind == SV_COST_FLOAT64)
        for (size_t j = 0; j < m; j++)
            s->line[j] = ((const double *)s->matrix)[start + (ptrdiff_t)j];
    else
        for (size_t j = 0; j < m; j++)
            s->line[j] = ((const float *)s->matrix)[start + (ptrdiff_t)j];
    for (size_t j = 0; j < m; j++)
        s->line[j] = s->b[j] > 0 ? s->line[j] : INFINITY;
    return s->line;
}

/* Row minima as offsets, and the largest span of a row. */
static void find_offsets(struct solve *s)
{
    const vreal infinite = v_set1(INFINITY), least = v_set1(-INFINITY), zero = v_set1(0);
    vreal span = zero;
    for (size_t i = 0; i < s->rows; i++) {
        const double *line = cost_row(s, (size_t)s->kept[i]);
        vreal low = least, high = least;
        for (size_t j = 0; j < s->ld; j += SV_W) {
            vreal c = v_load(line + j);
            low = v_max(v_sub(zero, c), low);
            high = v_max(v_if_equal(c, infinite, least, c), high);
        }
        const double offset = -v_max_lanes(low);
        span = v_max(v_sub(high, v_set1(offset)), span);
        s->offset[s->kept[i]] = offset;
    }
    s->span = v_max_lanes(span);
}

/* The largest exponent of a row without u. */
INLINE double largest_exponent(const struct solve *s, const double *line, vreal scale, vreal offset)
{
    vreal top = v_set1(-INFINITY);
    for (size_t j = 0; j < s->ld; j += SV_W)
        top = v_max(v_fnma(scale, v_sub(v_load(line + j), offset), v_load(s->v + j)), top);
    return v_max_lanes(top);
}

INLINE void kernel_row(const struct solve *s, const double *line, vreal scale, vreal offset, double *row, double u,
                       int careful)
{
    const vreal vu = v_set1(u);
    for (size_t j = 0; j < s->ld; j += SV_W) {
        vreal z = v_fnma(scale, v_sub(v_load(line + j), offset), v_add(v_load(s->v + j), vu));
        v_store(row + j, careful ? v_exp2(z) : v_exp2_near(z, 1));
    }
}

/* K from v: u_i = -max_j of the exponents; at the very start v = 0 and that maximum is 0 by the choice of the offset.
 * Infinite costs and huge exponents want care; elsewhere a fit that is good to 1e-14 is enough: it makes K a kernel
 * that differs by as much, and the certificate does not use it. */
static void make_kernel(struct solve *s, double scale, int first)
{
    const vreal vscale = v_set1(scale);
    const int careful = !s->in_place || scale * s->span > 1e6;
    for (size_t i = 0; i < s->rows; i++) {
        const double *line = cost_row(s, (size_t)s->kept[i]);
        const vreal offset = v_set1(s->offset[s->kept[i]]);
        s->u[i] = first ? 0 : -largest_exponent(s, line, vscale, offset);
        if (careful)
            kernel_row(s, line, vscale, offset, s->K + i * s->ld, s->u[i], 1);
        else
            kernel_row(s, line, vscale, offset, s->K + i * s->ld, s->u[i], 0);
    }
    for (size_t j = 0; j < s->ld; j++)
        s->x[j] = s->b[j] > 0 ? 1 : 0;
}

/* Columns whose sum underflows: v_j such that the largest entry, not the sum, is b_j. Returns how many there are. */
static int repair_columns(struct solve *s, double scale)
{
    int repaired = 0;
    for (size_t j = 0; j < s->m; j++) {
        if (!(s->b[j] > 0) || s->c[j] > COLUMN_MIN * s->b[j])
            continue;
        double top = -INFINITY;
        for (size_t i = 0; i < s->rows; i++) {
            const double u = s->u[i] + log2(s->y[i]);
            const double z = u - scale * (cost_row(s, (size_t)s->kept[i])[j] - s->offset[s->kept[i]]);
            top = z > top ? z : top;
        }
        s->v[j] = log2(s->b[j]) - top;
        repaired++;
    }
    return repaired;
}

/* ---- one evaluation ---------------------------------------------------------------------------- */

static void measure(struct solve *s)
{
    vreal sum = v_set1(0), squares = sum, most = sum;
    for (size_t j = 0; j < s->ld; j += SV_W) {
        vreal gap = v_sub(v_load(s->b + j), v_load(s->c + j)), size = v_max(gap, v_sub(v_set1(0), gap));
        sum = v_add(sum, size);
        squares = v_fma(gap, gap, squares);
        most = v_max(size, most);
    }
    s->l1 = v_sum_lanes(sum);
    s->error = s->batch->norm == SV_NORM_L1   ? s->l1
               : s->batch->norm == SV_NORM_L2 ? sqrt(v_sum_lanes(squares))
                                              : v_max_lanes(most);
}

/* y, c and the errors at x. */
static void evaluate(struct solve *s)
{
    fused_product(s->K, s->rows, s->ld, s->x, s->a, s->y, s->c, 1);
    for (size_t j = 0; j < s->ld; j++)
        s->c[j] *= s->x[j];
    measure(s);
}

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
    for (size_t j = 0; j < s->ld; j++)
        s->x[j] *= s->c[j] > COLUMN_MIN * s->b[j] ? s->b[j] / s->c[j] : 1;
    evaluate(s);
    s->sinkhorn++;
    if (out_of_range(s))
        absorb(s, scale);
}

/* ---- the Newton step --------------------------------------------------------------------------- */

/* image = (diag(diagonal) - P' diag(1/a) P) direction */
static void apply(struct solve *s)
{
    const size_t ld = s->ld;
    if (s->in_float) {
        for (size_t j = 0; j < ld; j++)
            s->float_x[j] = (float)s->direction[j];
        s->normal->normal(s->P, s->rows, ld, s->float_x, s->float_weight, s->float_row, s->float_sums);
        for (size_t j = 0; j < ld; j++)
            s->image[j] = s->diagonal[j] * s->direction[j] - s->float_sums[j];
    } else {
        for (size_t j = 0; j < ld; j++)
            s->scaled[j] = s->x[j] * s->direction[j];
        fused_product(s->K, s->rows, ld, s->scaled, s->weight, s->row, s->image, 0);
        for (size_t j = 0; j < ld; j++)
            s->image[j] = s->diagonal[j] * s->direction[j] - s->x[j] * s->image[j];
    }
}

/* The operator at the current point, and its diagonal inverted. */
static void prepare_step(struct solve *s, double shift)
{
    const size_t ld = s->ld;
    for (size_t j = 0; j < ld; j++) {
        s->diagonal[j] = s->c[j] + shift * s->b[j];
        s->precondition[j] = s->diagonal[j];
    }
    for (size_t i = 0; i < s->rows; i++) {
        const double inverse = 1 / s->a[i], y = s->y[i];
        s->weight[i] = y * (y * inverse);
        s->float_weight[i] = (float)inverse;
        const double *K = s->K + i * ld;
        float *P = s->P + i * ld;
        for (size_t j = 0; j < ld; j++) {
            double p = y * K[j] * s->x[j];
            P[j] = (float)p;
            s->precondition[j] -= p * (p * inverse);
        }
    }
    for (size_t j = 0; j < ld; j++) {
        double floor = 1e-3 * s->diagonal[j];
        double d = s->precondition[j] > floor ? s->precondition[j] : floor;
        s->precondition[j] = d > 0 ? 1 / d : 0;
    }
}

/* The step from 0, until the residual is rtol times the gradient. Returns 0 where rounding spoils the operator. */
static int conjugate_gradients(struct solve *s, double rtol, int max_iter)
{
    const size_t ld = s->ld;
    for (size_t j = 0; j < ld; j++) {
        s->step[j] = 0;
        s->residual[j] = s->b[j] - s->c[j];
        s->direction[j] = s->precondition[j] * s->residual[j];
    }
    const double target = rtol * rtol * dot(s->residual, s->residual, ld);
    double rz = dot(s->residual, s->direction, ld);
    for (int k = 0; k < max_iter; k++) {
        apply(s);
        s->cg++;
        const double curvature = dot(s->direction, s->image, ld);
        if (!(curvature > 0))
            return 0;
        add_scaled(s->step, rz / curvature, s->direction, ld);
        add_scaled(s->residual, -rz / curvature, s->image, ld);
        if (dot(s->residual, s->residual, ld) <= target)
            return 1;
        double next = 0;
        vreal sum = v_set1(0);
        for (size_t j = 0; j < ld; j += SV_W) {
            vreal r = v_load(s->residual + j);
            sum = v_fma(r, v_mul(r, v_load(s->precondition + j)), sum);
        }
        next = v_sum_lanes(sum);
        const vreal beta = v_set1(next / rz);
        rz = next;
        for (size_t j = 0; j < ld; j += SV_W)
            v_store(s->direction + j, v_fma(beta, v_load(s->direction + j),
                                            v_mul(v_load(s->residual + j), v_load(s->precondition + j))));
    }
    return !s->in_float;
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

/* The dual at given scalings, up to what the kernel alone gives; base 2. */
static double dual(const struct solve *s, const double *y, const double *x)
{
    double value = 0;
    for (size_t i = 0; i < s->rows; i++)
        value += s->a[i] * log2(y[i]);
    for (size_t j = 0; j < s->m; j++)
        value += s->b[j] > 0 ? s->b[j] * log2(x[j]) : 0;
    return value;
}

/* Makes the step free of the constant vector, in base 2, and at most 40 long; returns whether it was longer. */
static int trim_step(struct solve *s)
{
    const double mean = dot(s->b, s->step, s->ld) / s->mass;
    double most = 0;
    for (size_t j = 0; j < s->ld; j++) {
        s->step[j] = s->b[j] > TINY_WEIGHT * s->mass ? (s->step[j] - mean) * LOG2_E_DOUBLE : 0;
        most = fmax(most, fabs(s->step[j]));
    }
    if (!(most > 40))
        return 0;
    for (size_t j = 0; j < s->ld; j++)
        s->step[j] *= 40 / most;
    return 1;
}

/* A step length that halves the error or raises the dual; evaluates there. Returns it, or 0 and x as it was. */
static double line_search(struct solve *s)
{
    const size_t ld = s->ld;
    const double l1 = s->l1;
    memcpy(s->x_old, s->x, ld * sizeof(double));
    memcpy(s->c_old, s->c, ld * sizeof(double));
    double before = NAN, slope = 0;
    for (size_t j = 0; j < ld; j++)
        slope += (s->b[j] - s->c[j]) * s->step[j];
    double length = 1;
    memcpy(s->row, s->y, s->rows * sizeof(double));
    for (int k = 0; k < LINE_SEARCH; k++, length *= 0.3) {
        const vreal alpha = v_set1(length);
        for (size_t j = 0; j < ld; j += SV_W)
            v_store(s->x + j, v_mul(v_load(s->x_old + j), v_exp2(v_mul(alpha, v_load(s->step + j)))));
        evaluate(s);
        s->newton += k == 0;
        if (s->l1 <= 0.5 * l1)
            return length;
        if (isnan(before)) /* `row` holds the old y */
            before = dual(s, s->row, s->x_old);
        /* A rise of the dual that rounding hides is no rise: then the error must fall. */
        const double rise = length * slope, noise = 1e-13 * (fabs(before) + s->mass);
        if (rise > 10 * noise ? dual(s, s->y, s->x) >= before + 1e-4 * rise - noise : s->l1 < l1)
            return length;
    }
    memcpy(s->x, s->x_old, ld * sizeof(double));
    memcpy(s->c, s->c_old, ld * sizeof(double));
    return 0;
}

/* ---- the method -------------------------------------------------------------------------------- */

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
    int idle = 0;
    while (!reached(s, last_level)) {
        if (!isfinite(s->l1))
            return STATUS_NONFINITE;
        if (s->sinkhorn + s->newton >= s->batch->max_iter)
            return STATUS_MAX_ITER;
        const double before = s->l1, relative = before / s->mass;
        double rtol = relative > 1e-8 ? fmin(0.1, fmax(relative, 1e-6)) : 1e-3;
        if (last_level)
            rtol = fmax(rtol, fmin(0.1, 0.3 * s->tol / s->error));
        prepare_step(s, shift * fmin(1, relative));
        if (!conjugate_gradients(s, rtol, s->in_float ? FLOAT_CG_MAX : 4 * (int)s->m + 100) && s->in_float) {
            s->in_float = 0;
            conjugate_gradients(s, rtol, 4 * (int)s->m + 100);
        }
        const int clipped = trim_step(s);
        const double length = line_search(s);
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
    int levels = 0;
    for (double span = s->span * s->scale / LOG2_E_DOUBLE; span > LEVEL_SPAN && levels < MAX_LEVELS; span /= 4)
        levels++;
    int status = STATUS_CONVERGED;
    for (int level = levels; level >= 0; level--) {
        const double scale = ldexp(s->scale, -2 * level);
        if (level == levels) {
            for (size_t j = 0; j < s->ld; j++)
                s->v[j] = 0;
            make_kernel(s, scale, 1);
        } else {
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

static struct solve lay_out(const struct sv_ot_batch *batch, size_t index, const struct ot_normal_kernel *normal,
                            double *work)
{
    struct solve s = {.batch = batch, .normal = normal, .n = batch->cost.n, .m = batch->cost.m, .in_float = 1};
    const size_t rows = ot_batch_ld(s.n), ld = ot_batch_ld(s.m);
    const ptrdiff_t first = (ptrdiff_t)index * batch->cost_stride;
    s.matrix = batch->cost.kind == SV_COST_FLOAT64 ? (const void *)((const double *)batch->cost.matrix + first)
                                                   : (const void *)((const float *)batch->cost.matrix + first);
    s.ld = ld;
    s.scale = batch->scale[(ptrdiff_t)index * batch->scale_stride];
    s.tol = batch->tol;
    s.offset = batch->offset + index * s.n;
    double **columns[] = {&s.b, &s.x, &s.c, &s.v, &s.line, &s.step, &s.x_old, &s.c_old, &s.diagonal, &s.precondition,
                          &s.residual, &s.direction, &s.image, &s.scaled};
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++, work += ld)
        *columns[k] = work;
    s.float_x = (float *)work, s.float_sums = s.float_x + ld, work += ld;
    double **row_vectors[] = {&s.a, &s.y, &s.u, &s.weight, &s.row};
    for (size_t k = 0; k < sizeof row_vectors / sizeof *row_vectors; k++, work += rows)
        *row_vectors[k] = work;
    s.float_weight = (float *)work, s.float_row = s.float_weight + rows, work += rows;
    s.kept = (int *)work, work += rows;
    s.K = work, work += rows * ld;
    s.P = (float *)work;
    return s;
}

static void take_weights(struct solve *s, const double *a, const double *b)
{
    int closed = 0; /* columns of zero weight or past the end */
    for (size_t i = 0; i < s->n; i++) {
        s->offset[i] = 0;
        if (a[i] > 0) {
            s->kept[s->rows] = (int)i;
            s->a[s->rows++] = a[i];
            s->mass += a[i];
        }
    }
    for (size_t j = 0; j < s->ld; j++) {
        s->b[j] = j < s->m ? b[j] : 0;
        s->line[j] = INFINITY;
        closed |= !(s->b[j] > 0);
    }
    s->in_place = s->batch->cost.kind == SV_COST_FLOAT64 && !closed;
}

static void give_potentials(const struct solve *s, double *u, double *v)
{
    for (size_t i = 0; i < s->n; i++)
        u[i] = -INFINITY;
    for (size_t i = 0; i < s->rows; i++)
        u[s->kept[i]] = s->u[i] + log2(s->y[i]);
    for (size_t j = 0; j < s->m; j++)
        v[j] = s->b[j] > 0 ? s->v[j] + log2(s->x[j]) : -INFINITY;
}

static void solve(const struct sv_ot_batch *batch, size_t index, const struct ot_normal_kernel *normal, double *work)
{
    struct solve s = lay_out(batch, index, normal, work);
    take_weights(&s, batch->a + (ptrdiff_t)index * batch->a_stride, batch->b + (ptrdiff_t)index * batch->b_stride);
    find_offsets(&s);
    s.roundoff = 0x1p-52 * (4 + s.scale * s.span) * s.mass;
    int *counts = batch->counts + SV_BATCH_COUNTS * index;
    counts[SV_BATCH_STATUS] = run_levels(&s);
    counts[SV_BATCH_SINKHORN] = s.sinkhorn;
    counts[SV_BATCH_NEWTON] = s.newton;
    counts[SV_BATCH_CG] = s.cg;
    give_potentials(&s, batch->u + index * s.n, batch->v + index * s.m);
}

const struct ot_batch_kernel SV_TABLE(ot_batch) = {solve};
