/* A small problem in float32: twice the lanes, half the bytes, and exponentials of half as many terms. It is solved as
 * far as float32 goes easily, which is most of the way: what is left is a Newton step or two whose gradient comes from
 * float64 (batch_refine.h). Sinkhorn iterations, then full Newton steps in the semi-dual by conjugate gradients with the
 * diagonal as preconditioner. A step that does not halve the error ends the attempt: batch.c knows what to do then.
 *
 * In NumPy, with P = y[:, None] * K * x and c = P.sum(0):
 *     step = np.linalg.solve(np.diag(c) - P.T @ (P / a[:, None]), b - c);   x *= np.exp(step);   y = a / (K @ x)
 */
#include "batch_front.h"
#include "expcore.h"
#include "fused.h"

enum { FIRST_SINKHORN = 4, NEWTON_MAX = 6, CG_MAX = 40 };
enum { LINE_BYTES = 64, LINES_AHEAD = 32 };

#define LEFT_MIN 1e-3f /* share of its column sum that a diagonal entry keeps at least, in the preconditioner */
#define STEP_MAX 20.0f /* of log x */
#define SLOW 0.1f      /* where an iteration leaves less of the error, it is not over-relaxed */
#define NEAR 0.01f     /* the largest step of a correction */
#define SURE 0.5f      /* share of a target that a step is to reach for sure */

/* What a product has time for: some cache lines of the next problem's costs on their way from memory. */
INLINE void fetch_ahead(struct ot_front *f)
{
    const char *last = f->ahead_end - f->ahead > LINES_AHEAD * LINE_BYTES ? f->ahead + LINES_AHEAD * LINE_BYTES : f->ahead_end;
    for (; f->ahead < last; f->ahead += LINE_BYTES)
        __builtin_prefetch(f->ahead, 0, 2);
}

INLINE vreal size_of(vreal v) { return v_max(v, v_sub(v_set1(0), v)); }

/* e^t for |t| < STEP_MAX */
INLINE vreal exponential(v_fractions base, vreal t)
{
    vreal s, on_grid;
    v_exp_split(t, &s, &on_grid);
    const vreal power = v_exp_power(base, on_grid);
    return v_fma(power, s, power);
}

/* y, c and the l1 norm of b - c at x. */
static float evaluate(struct ot_front *f)
{
    vreal sum = v_set1(0);
    fetch_ahead(f);
    fused_product(f->K, f->rows, f->ld, f->x, f->a, f->y, f->c, 1);
    for (size_t j = 0; j < f->ld; j += SV_W) {
        const vreal c = v_mul(v_load(f->c + j), v_load(f->x + j));
        v_store(f->c + j, c);
        sum = v_add(sum, size_of(v_sub(v_load(f->b + j), c)));
    }
    return v_sum_lanes(sum);
}

/* image = K' (weight * (K scaled)); row = weight * (K scaled) */
static void normal(struct ot_front *f, const float *weight)
{
    fetch_ahead(f);
    fused_product(f->K, f->rows, f->ld, f->scaled, weight, f->row, f->image, 0);
}

/* A Sinkhorn iteration, over-relaxed: x q^(1 + more) for q = b / c, 0 <= more <= 1, the power of `more` by a fraction that
 * agrees with it near 1 and stays bounded. */
static void sinkhorn_iteration(struct ot_front *f, float more)
{
    const vreal zero = v_set1(0), above = v_set1(1 + more), below = v_set1(1 - more);
    for (size_t j = 0; j < f->ld; j += SV_W) {
        const vreal c = v_load(f->c + j), x = v_load(f->x + j), q = v_div(v_load(f->b + j), c);
        const vreal power = v_div(v_fma(above, q, below), v_fma(below, q, above));
        v_store(f->x + j, v_if_equal(c, zero, zero, v_mul(v_mul(x, q), power)));
    }
    f->sinkhorn++;
}

/* What P' diag(1/a) P takes of the diagonal, as a share of it: anew only at the first step, it is but for the
 * preconditioner. */
static void find_left(struct ot_front *f)
{
    for (size_t j = 0; j < f->ld; j += SV_W) {
        vreal sum = v_set1(0);
        for (size_t i = 0; i < f->rows; i++) {
            const vreal entry = v_load(f->K + i * f->ld + j);
            sum = v_fma(v_mul(entry, v_set1(f->weight[i])), entry, sum);
        }
        const vreal x = v_load(f->x + j), taken = v_div(v_mul(v_mul(x, x), sum), v_load(f->c + j));
        v_store(f->left + j, v_max(v_sub(v_set1(1), taken), v_set1(LEFT_MIN)));
    }
}

static void prepare(struct ot_front *f, float shift)
{
    const vreal zero = v_set1(0), one = v_set1(1);
    for (size_t i = 0; i < f->rows; i++)
        f->weight[i] = f->y[i] * (f->y[i] / f->a[i]);
    if (!f->has_left)
        find_left(f);
    f->has_left = 1;
    for (size_t j = 0; j < f->ld; j += SV_W) {
        const vreal c = v_load(f->c + j), shifted = v_mul(v_set1(shift), v_load(f->b + j));
        const vreal d = v_fma(v_load(f->left + j), c, shifted);
        v_store(f->diagonal + j, v_add(c, shifted));
        v_store(f->precondition + j, v_if_equal(v_max(d, zero), zero, zero, v_div(one, d)));
    }
}

/* What conjugate gradients go through, in columns. */
struct columns {
    const float *x, *diagonal, *precondition;
    float *residual, *direction, *image, *scaled, *step;
};

/* Products with the image of a direction: with itself and with the residual, the preconditioner between, and with the
 * direction. */
struct products {
    float own, residual, curvature;
};

/* image = (diag(diagonal) - P' diag(1/a) P) direction. */
INLINE struct products apply(struct ot_front *f, const struct columns *v, size_t ld)
{
    vreal own = v_set1(0), residual = own, curvature = own;
    normal(f, f->weight);
    for (size_t j = 0; j < ld; j += SV_W) {
        const vreal p = v_load(v->direction + j);
        const vreal image = v_fnma(v_load(v->x + j), v_load(v->image + j), v_mul(v_load(v->diagonal + j), p));
        const vreal z = v_mul(v_load(v->precondition + j), image);
        v_store(v->image + j, image);
        own = v_fma(z, image, own);
        residual = v_fma(z, v_load(v->residual + j), residual);
        curvature = v_fma(p, image, curvature);
    }
    return (struct products){v_sum_lanes(own), v_sum_lanes(residual), v_sum_lanes(curvature)};
}

/* The step whose image is the residual, to rtol of it. How large the next residual is, in the preconditioner, is known
 * from products with the present one, well enough for a direction: to sum that up anew would hold it up. */
INLINE int conjugate_gradients_of(struct ot_front *f, float rtol, size_t ld)
{
    const struct columns v = {f->x, f->diagonal, f->precondition, f->residual, f->direction, f->image, f->scaled, f->step};
    vreal start = v_set1(0), own = start;
    for (size_t j = 0; j < ld; j += SV_W) {
        const vreal r = v_load(v.residual + j), z = v_mul(v_load(v.precondition + j), r);
        v_store(v.step + j, v_set1(0));
        v_store(v.direction + j, z);
        v_store(v.scaled + j, v_mul(v_load(v.x + j), z));
        start = v_fma(r, z, start);
        own = v_fma(r, r, own);
    }
    float rz = v_sum_lanes(start);
    const float target = rtol * rtol * v_sum_lanes(own);
    for (int k = 0; k < CG_MAX; k++) {
        const float inverse = 1 / rz;
        const struct products at = apply(f, &v, ld);
        f->cg++;
        if (!(at.curvature > 0))
            return 0;
        const float length = rz / at.curvature, next = rz - length * (2 * at.residual - length * at.own);
        const vreal alpha = v_set1(length), beta = v_set1(next * inverse);
        vreal sum = v_set1(0), squares = sum;
        for (size_t j = 0; j < ld; j += SV_W) {
            const vreal p = v_load(v.direction + j), r = v_fnma(alpha, v_load(v.image + j), v_load(v.residual + j));
            const vreal z = v_mul(r, v_load(v.precondition + j)), direction = v_fma(beta, p, z);
            v_store(v.step + j, v_fma(alpha, p, v_load(v.step + j)));
            v_store(v.residual + j, r);
            v_store(v.direction + j, direction);
            v_store(v.scaled + j, v_mul(v_load(v.x + j), direction));
            sum = v_fma(r, z, sum);
            squares = v_fma(r, r, squares);
        }
        if (v_sum_lanes(squares) <= target)
            return 1;
        rz = v_sum_lanes(sum);
    }
    return 0;
}

static int conjugate_gradients(struct ot_front *f, float rtol)
{
    switch (f->ld) { /* constants: the columns are no loops then */
    case 64: return conjugate_gradients_of(f, rtol, 64);
    default: return conjugate_gradients_of(f, rtol, f->ld);
    }
}

/* The largest of |step|. */
static float length_of(const struct ot_front *f)
{
    vreal most = v_set1(0);
    for (size_t j = 0; j < f->ld; j += SV_W)
        most = v_max(size_of(v_load(f->step + j)), most);
    return v_max_lanes(most);
}

/* What the columns lack, less what they get when the rows are met. */
static void meet_rows(struct ot_front *f)
{
    for (size_t i = 0; i < f->rows; i++)
        f->row[i] *= f->weight[i];
    memcpy(f->scaled, f->x, f->ld * sizeof(float));
    fused_product(f->K, f->rows, f->ld, f->scaled, f->row, f->row, f->image, 0);
    for (size_t j = 0; j < f->ld; j += SV_W)
        v_store(f->residual + j, v_fnma(v_load(f->x + j), v_load(f->image + j), v_load(f->residual + j)));
}

static int begin(struct ot_front *f, float target)
{
    const v_fractions base = v_exp_base(0);
    static const float more[FIRST_SINKHORN] = {0, 0.4f, 0.8f, 1};
    float l1 = evaluate(f), fast = SLOW * l1, bend = INFINITY;
    for (int k = 0; k < FIRST_SINKHORN && l1 > target; k++) {
        sinkhorn_iteration(f, l1 > fast ? more[k] : 0);
        fast *= SLOW;
        l1 = evaluate(f);
    }
    for (int k = 0; l1 > target; k++) {
        const float before = l1;
        prepare(f, 0.01f * (before < 1 ? before : 1));
        for (size_t j = 0; j < f->ld; j += SV_W)
            v_store(f->residual + j, v_sub(v_load(f->b + j), v_load(f->c + j)));
        const float useful = 0.3f * target / before, wanted = 6 * before > useful ? 6 * before : useful;
        const float rtol = wanted < 0.1f ? wanted : 0.1f;
        if (k == NEWTON_MAX || !conjugate_gradients(f, rtol) || !(length_of(f) < STEP_MAX))
            return 0;
        for (size_t j = 0; j < f->ld; j += SV_W)
            v_store(f->x + j, v_mul(v_load(f->x + j), exponential(base, v_load(f->step + j))));
        f->newton++;
        if (before * (bend * before + rtol) <= SURE * target) /* as far as the last step tells of this one */
            return 1;
        l1 = evaluate(f);
        if (!(l1 <= 0.5f * before))
            return 0;
        bend = l1 / (before * before);
    }
    return l1 <= target; /* not if it is NaN */
}

static int correct(struct ot_front *f, float rtol, int met)
{
    prepare(f, 0);
    if (!met)
        meet_rows(f);
    if (!conjugate_gradients(f, rtol) || !(length_of(f) < NEAR))
        return 0;
    for (size_t j = 0; j < f->ld; j += SV_W) { /* x (e^step - 1) */
        const vreal t = v_load(f->step + j), half = v_fma(t, v_set1(1.0f / 6), v_set1(0.5f));
        v_store(f->scaled + j, v_mul(v_load(f->x + j), v_fma(v_mul(t, t), half, t)));
    }
    normal(f, f->y);
    f->newton++;
    return 1;
}

const struct ot_front_kernel SV_TABLE(ot_front) = {begin, correct};
