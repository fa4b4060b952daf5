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

/* image = (diag(diagonal) - P' diag(1/a) P) direction, P = diag(y) K diag(x) */
static void apply(struct solve *s)
{
    const size_t ld = s->ld;
    if (s->in_float) {
        for (size_t j = 0; j < ld; j++)
            s->float_x[j] = (float)(s->x[j] * s->direction[j]);
        s->in_float_kernel->normal(s->K_float, s->rows, ld, s->float_x, s->float_weight, s->float_row, s->float_sums);
        for (size_t j = 0; j < ld; j++)
            s->image[j] = s->diagonal[j] * s->direction[j] - s->x[j] * s->float_sums[j];
    } else {
        for (size_t j = 0; j < ld; j++)
            s->scaled[j] = s->x[j] * s->direction[j];
        fused_product(s->K, s->rows, ld, s->scaled, s->weight, s->row, s->image, 0);
        for (size_t j = 0; j < ld; j++)
            s->image[j] = s->diagonal[j] * s->direction[j] - s->x[j] * s->image[j];
    }
}

/* The operator at the current point, and its diagonal inverted. What P' diag(1/a) P takes of the diagonal is computed in
 * float32, and anew only with `fresh`: it is but a preconditioner, and from step to step its share changes little. */
static void prepare_step(struct solve *s, double shift, int fresh)
{
    const size_t ld = s->ld;
    for (size_t i = 0; i < s->rows; i++) {
        s->weight[i] = s->y[i] * (s->y[i] / s->a[i]);
        s->float_weight[i] = (float)s->weight[i];
    }
    if (fresh) {
        s->in_float_kernel->squares(s->K_float, s->rows, ld, s->float_weight, s->float_sums);
        for (size_t j = 0; j < ld; j++) {
            const double left = 1 - s->x[j] * s->x[j] * s->float_sums[j] / s->c[j];
            s->left[j] = left > LEFT_MIN ? left : LEFT_MIN; /* also where c is 0 */
        }
    }
    for (size_t j = 0; j < ld; j++) {
        s->diagonal[j] = s->c[j] + shift * s->b[j];
        const double d = s->left[j] * s->c[j] + shift * s->b[j];
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
    double most = 0;
    for (size_t j = 0; j < s->ld; j++) {
        s->step[j] = s->b[j] > TINY_WEIGHT * s->mass ? (s->step[j] - mean) * LOG2_E_DOUBLE : 0;
        most = fabs(s->step[j]) > most ? fabs(s->step[j]) : most;
    }
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

#endif
