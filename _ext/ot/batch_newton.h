/* The Newton step of a small problem: its operator, conjugate gradients, and the line search.
 *
 * In NumPy, with P = y[:, None] * K * x and c = P.sum(0):
 *     step = np.linalg.solve(np.diag(c + shift * b) - P.T @ (P / a[:, None]), b - c);   x *= np.exp(length * step)
 */
#ifndef SOLVERS_OT_BATCH_NEWTON_H
#define SOLVERS_OT_BATCH_NEWTON_H

#include "batch_state.h"
#include "expcore.h"

#define TINY_WEIGHT 1e-200 /* a column of this part of the mass is not felt by the rows: no Newton step for it */
#define STEP_MAX 40.0      /* in base 2 */

#define LEFT_MIN 1e-3 /* share of its column sum that a diagonal entry keeps at least, in the preconditioner */

enum { LINE_SEARCH = 8, FLOAT_CG_MAX = 80 };

/* out = x * direction in float32 */
static void scaled_floats(float *restrict out, const double *restrict x, const double *restrict direction, size_t ld)
{
    for (size_t j = 0; j < ld; j++)
        out[j] = (float)(x[j] * direction[j]);
}

/* image = (diag(diagonal) - P' diag(1/a) P) direction, P = diag(y) K diag(x) */
static void apply(struct solve *s)
{
    const size_t ld = s->ld;
    fetch_ahead(s);
    if (s->in_float) {
        scaled_floats(s->float_x, s->x, s->direction, ld);
        s->in_float_kernel->normal(s->K_float, s->rows, ld, s->float_x, s->float_weight, s->float_row, s->float_sums);
        for (size_t j = 0; j < ld; j += SV_W)
            v_store(s->image + j, v_load_float(s->float_sums + j));
    } else {
        for (size_t j = 0; j < ld; j += SV_W)
            v_store(s->scaled + j, v_mul(v_load(s->x + j), v_load(s->direction + j)));
        fused_product(s->K, s->rows, ld, s->scaled, s->weight, s->row, s->image, 0);
    }
    for (size_t j = 0; j < ld; j += SV_W)
        v_store(s->image + j, v_fnma(v_load(s->x + j), v_load(s->image + j),
                                     v_mul(v_load(s->diagonal + j), v_load(s->direction + j))));
}

/* weight = y^2 / a */
static void weigh_rows(struct solve *s)
{
    for (size_t i = 0; i < s->rows; i += SV_W) {
        const size_t left = s->rows - i;
        const vreal y = v_load_some(s->y + i, left, 0), a = v_load_some(s->a + i, left, 1);
        v_store_some(s->weight + i, v_mul(y, v_div(y, a)), left);
    }
    for (size_t i = 0; i < s->rows; i++)
        s->float_weight[i] = (float)s->weight[i];
}

/* The operator at the current point, and its diagonal inverted. What P' diag(1/a) P takes of the diagonal is computed in
 * float32, and anew only with `fresh`: it is but a preconditioner, and from step to step its share changes little. */
static void prepare_step(struct solve *s, double shift, int fresh)
{
    const size_t ld = s->ld;
    const vreal zero = v_set1(0), one = v_set1(1), vshift = v_set1(shift);
    weigh_rows(s);
    if (fresh)
        s->in_float_kernel->squares(s->K_float, s->rows, ld, s->float_weight, s->float_sums);
    for (size_t j = 0; j < ld; j += SV_W) {
        const vreal x = v_load(s->x + j), c = v_load(s->c + j), shifted = v_mul(vshift, v_load(s->b + j));
        if (fresh) { /* a maximum passes over NaN, where c is 0 */
            const vreal taken = v_div(v_mul(v_mul(x, x), v_load_float(s->float_sums + j)), c);
            v_store(s->left + j, v_max(v_sub(one, taken), v_set1(LEFT_MIN)));
        }
        const vreal d = v_fma(v_load(s->left + j), c, shifted);
        v_store(s->diagonal + j, v_add(c, shifted));
        v_store(s->precondition + j, v_if_equal(v_max(d, zero), zero, zero, v_div(one, d)));
    }
}

/* The gradient as residual, a step of 0, and the first direction; returns the residual's square in the preconditioner. */
static double begin_conjugate_gradients(struct solve *s)
{
    vreal sum = v_set1(0);
    for (size_t j = 0; j < s->ld; j += SV_W) {
        const vreal r = v_sub(v_load(s->b + j), v_load(s->c + j)), z = v_mul(v_load(s->precondition + j), r);
        v_store(s->step + j, v_set1(0));
        v_store(s->residual + j, r);
        v_store(s->direction + j, z);
        sum = v_fma(r, z, sum);
    }
    return v_sum_lanes(sum);
}

/* step += length direction, residual -= length image; returns the residual's square in the preconditioner, and in
 * *squares by itself. */
static double advance(struct solve *s, double length, double *squares)
{
    const vreal alpha = v_set1(length);
    vreal sum = v_set1(0), own = v_set1(0);
    for (size_t j = 0; j < s->ld; j += SV_W) {
        const vreal r = v_fnma(alpha, v_load(s->image + j), v_load(s->residual + j));
        v_store(s->step + j, v_fma(alpha, v_load(s->direction + j), v_load(s->step + j)));
        v_store(s->residual + j, r);
        own = v_fma(r, r, own);
        sum = v_fma(r, v_mul(r, v_load(s->precondition + j)), sum);
    }
    *squares = v_sum_lanes(own);
    return v_sum_lanes(sum);
}

/* The step from 0, until the residual is rtol times the gradient. Returns 0 where rounding spoils the operator. */
static int conjugate_gradients(struct solve *s, double rtol, int max_iter)
{
    const size_t ld = s->ld;
    double rz = begin_conjugate_gradients(s), squares;
    const double target = rtol * rtol * dot(s->residual, s->residual, ld);
    for (int k = 0; k < max_iter; k++) {
        apply(s);
        s->cg++;
        const double curvature = dot(s->direction, s->image, ld);
        if (!(curvature > 0))
            return 0;
        const double next = advance(s, rz / curvature, &squares);
        if (squares <= target)
            return 1;
        const vreal beta = v_set1(next / rz);
        rz = next;
        for (size_t j = 0; j < ld; j += SV_W)
            v_store(s->direction + j, v_fma(beta, v_load(s->direction + j),
                                            v_mul(v_load(s->residual + j), v_load(s->precondition + j))));
    }
    return !s->in_float;
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

/* Makes the step free of the constant vector, in base 2, and at most STEP_MAX long; returns whether it was longer. */
static int trim_step(struct solve *s)
{
    const double mean = dot(s->b, s->step, s->ld) / s->mass;
    const vreal zero = v_set1(0), tiny = v_set1(TINY_WEIGHT * s->mass), unit = v_set1(LOG2_E_DOUBLE);
    vreal largest = zero;
    for (size_t j = 0; j < s->ld; j += SV_W) {
        const vreal step = v_mul(v_sub(v_load(s->step + j), v_set1(mean)), unit);
        const vreal kept = v_if_equal(v_max(tiny, v_load(s->b + j)), tiny, zero, step);
        v_store(s->step + j, kept);
        largest = v_max(v_abs(kept), largest);
    }
    const double most = v_max_lanes(largest);
    if (!(most > STEP_MAX))
        return 0;
    for (size_t j = 0; j < s->ld; j++)
        s->step[j] *= STEP_MAX / most;
    return 1;
}

/* A step length that halves the error or raises the dual; evaluates there. Returns it, or 0 and x as it was. */
static double line_search(struct solve *s)
{
    const size_t ld = s->ld;
    const double l1 = s->l1;
    memcpy(s->x_old, s->x, ld * sizeof(double));
    memcpy(s->c_old, s->c, ld * sizeof(double));
    vreal rises = v_set1(0);
    for (size_t j = 0; j < ld; j += SV_W)
        rises = v_fma(v_sub(v_load(s->b + j), v_load(s->c + j)), v_load(s->step + j), rises);
    const double slope = v_sum_lanes(rises);
    double before = NAN, length = 1;
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

#endif
