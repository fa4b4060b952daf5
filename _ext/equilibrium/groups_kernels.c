/* Losses of rows in groups, and their gradients, in one pass over the matrix: see groups.h.
 *
 * 8 d + 12 bytes a row are read once (a block of 128 rows stays in a near cache between its predictions and its share of
 * the gradient) and 16 written where the rows' own terms are wanted. 4 d flops a row and some 45 vector operations over
 * the rows for the logistic loss: at d = 30 a pass takes 2.2 times as long as NumPy's sum over X, and about as long as
 * its X @ w, with AVX-512 on one thread; bound by the sums over lanes and the loss, for long rows by memory. With a
 * hessian d^2 flops a row more, by the caller's syrk. Sums run in one order for any number of threads. In NumPy:
 *     z = X @ w; value, slope, bend = terms(z, y); loss = bincount(group, value)
 *     gradient[g] = X[group == g].T @ slope[group == g]; hessian = X.T @ ((share[group] * bend)[:, None] * X)
 */
#include "groups.h"

#include "loss_terms.h"

INLINE double dot(const double *a, const double *w, size_t d)
{
    vreal even = v_set1(0), odd = v_set1(0);
    size_t k = 0;
    for (; k + 2 * SV_W <= d; k += 2 * SV_W) {
        even = v_fma(v_load(a + k), v_load(w + k), even);
        odd = v_fma(v_load(a + k + SV_W), v_load(w + k + SV_W), odd);
    }
    for (; k < d; k += SV_W)
        even = v_fma(v_load_some(a + k, d - k, 0), v_load_some(w + k, d - k, 0), even);
    return v_sum_lanes(v_add(even, odd));
}

/* sum += factor[i] times row i of `count` rows. */
INLINE void add_rows(const double *X, size_t d, size_t count, const double *factor, double *sum)
{
    size_t k = 0;
    for (; k + 4 * SV_W <= d; k += 4 * SV_W) {
        vreal s0 = v_load(sum + k), s1 = v_load(sum + k + SV_W), s2 = v_load(sum + k + 2 * SV_W),
              s3 = v_load(sum + k + 3 * SV_W);
        for (size_t i = 0; i < count; i++) {
            const double *a = X + i * d + k;
            vreal f = v_set1(factor[i]);
            s0 = v_fma(f, v_load(a), s0);
            s1 = v_fma(f, v_load(a + SV_W), s1);
            s2 = v_fma(f, v_load(a + 2 * SV_W), s2);
            s3 = v_fma(f, v_load(a + 3 * SV_W), s3);
        }
        v_store(sum + k, s0);
        v_store(sum + k + SV_W, s1);
        v_store(sum + k + 2 * SV_W, s2);
        v_store(sum + k + 3 * SV_W, s3);
    }
    for (; k < d; k += SV_W) {
        vreal s = v_load_some(sum + k, d - k, 0);
        for (size_t i = 0; i < count; i++)
            s = v_fma(v_set1(factor[i]), v_load_some(X + i * d + k, d - k, 0), s);
        v_store_some(sum + k, s, d - k);
    }
}

INLINE void terms_of_kind(int kind, const double *z, const double *y, size_t count, double *value, double *slope,
                          double *bend)
{
    v_fractions base = v_exp_base(0);
    for (size_t i = 0; i < count; i += SV_W) {
        size_t left = count - i;
        struct term at = term_of(kind, base, v_load_some(z + i, left, 0), v_load_some(y + i, left, 0));
        v_store_some(value + i, at.value, left);
        v_store_some(slope + i, at.slope, left);
        v_store_some(bend + i, at.bend, left);
    }
}

static void terms(int kind, const double *z, const double *y, size_t count, double *value, double *slope, double *bend)
{
    switch (kind) {
    case SV_LOSS_LOGISTIC: terms_of_kind(SV_LOSS_LOGISTIC, z, y, count, value, slope, bend); break;
    case SV_LOSS_HUBER: terms_of_kind(SV_LOSS_HUBER, z, y, count, value, slope, bend); break;
    case SV_LOSS_SQUARED_HINGE: terms_of_kind(SV_LOSS_SQUARED_HINGE, z, y, count, value, slope, bend); break;
    case SV_LOSS_POISSON: terms_of_kind(SV_LOSS_POISSON, z, y, count, value, slope, bend); break;
    default: terms_of_kind(SV_LOSS_SQUARED, z, y, count, value, slope, bend);
    }
}

/* hessian += sum share bend a a', through rows scaled by the roots. */
static void add_hessian(const struct sv_group_rows *A, size_t from, size_t count, const double *bend,
                        struct sv_group_sums *out)
{
    double *to = out->rows, one = 1;
    for (size_t i = 0; i < count; i++, to += A->d) {
        const double *a = A->X + (from + i) * A->d;
        vreal root = v_set1(sqrt(out->share[A->group[from + i]] * bend[i]));
        for (size_t k = 0; k < A->d; k += SV_W)
            v_store_some(to + k, v_mul(root, v_load_some(a + k, A->d - k, 0)), A->d - k);
    }
    int d = (int)A->d, rows = (int)count;
    out->syrk("U", "N", &d, &rows, &one, out->rows, &d, &one, out->hessian, &d);
}

static void pass(const struct sv_group_rows *A, size_t from, size_t to, const double *w, struct sv_group_sums *out)
{
    double z[SV_GROUP_BLOCK], value[SV_GROUP_BLOCK], slope[SV_GROUP_BLOCK], bend[SV_GROUP_BLOCK];
    for (; from < to; from += SV_GROUP_BLOCK) {
        size_t count = to - from < SV_GROUP_BLOCK ? to - from : SV_GROUP_BLOCK;
        const double *X = A->X + from * A->d;
        const int32_t *group = A->group + from;
        for (size_t i = 0; i < count; i++)
            z[i] = dot(X + i * A->d, w, A->d);
        terms(A->kind, z, A->y + from, count, value, slope, bend);
        for (size_t i = 0, next; i < count; i = next) { /* runs of one group */
            double sum = 0;
            for (next = i; next < count && group[next] == group[i]; next++)
                sum += value[next];
            out->loss[group[i]] += sum;
            add_rows(X + i * A->d, A->d, next - i, slope + i, out->gradient + (size_t)group[i] * A->d);
        }
        if (out->value) {
            memcpy(out->value + from, value, count * sizeof *value);
            memcpy(out->slope + from, slope, count * sizeof *slope);
        }
        if (out->hessian)
            add_hessian(A, from, count, bend, out);
    }
}

/* sum += scale sum_i (q slope_i(w) - q_before slope_i before) a_i over some rows of a group; the result is the change of
 * their losses, summed. */
static double batch(const struct sv_group_rows *A, size_t from, size_t to, const double *w, double q, double q_before,
                    const double *value_before, const double *slope_before, double scale, double *sum)
{
    double z[SV_GROUP_BLOCK], value[SV_GROUP_BLOCK], slope[SV_GROUP_BLOCK], bend[SV_GROUP_BLOCK], change = 0;
    for (; from < to; from += SV_GROUP_BLOCK) {
        size_t count = to - from < SV_GROUP_BLOCK ? to - from : SV_GROUP_BLOCK;
        const double *X = A->X + from * A->d;
        for (size_t i = 0; i < count; i++)
            z[i] = dot(X + i * A->d, w, A->d);
        terms(A->kind, z, A->y + from, count, value, slope, bend);
        for (size_t i = 0; i < count; i++) {
            change += value[i] - value_before[from + i];
            slope[i] = scale * (q * slope[i] - q_before * slope_before[from + i]);
        }
        add_rows(X, A->d, count, slope, sum);
    }
    return change;
}

const struct group_kernels SV_TABLE(group_kernels) = {pass, batch};
