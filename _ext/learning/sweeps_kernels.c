/* Sweeps over columns against a kept residual: see sweeps.h.
 *
 * A coordinate that stays costs a dot: 12 bytes an entry and q at a scattered place (dense: 8 bytes an entry); one that
 * moves reads its column again, from the first cache, and changes q. The bound is the gathers and scatters on q, which
 * the second cache holds; of dense columns the memory's bandwidth. In NumPy:
 *     z = curvature[j] * w[j] - X[:, j] @ q - l2[j] * w[j]
 *     new = clip(sign(z) * max(abs(z) - l1[j], 0) / curvature[j], low[j], high[j])
 *     q += (new - w[j]) * D * X[:, j]; w[j] = new
 */
#include "sweeps.h"

#include <stdbool.h>

#include "segments.h"

INLINE bool is_ones(const struct sv_sweeps *s, size_t j) { return s->ones && j + 1 == s->p; }

/* A vector of a dense column, stored in double precision or in `single`; both NULL: of ones. Zeros past its end. */
INLINE vreal entries_at(const double *x, const float *single, size_t k, size_t left)
{
    if (x)
        return v_load_some(x + k, left, 0);
    if (!single)
        return left >= SV_W ? v_set1(1) : v_keep(v_set1(1), left, 0);
    if (left >= SV_W)
        return v_load_float(single + k);
    double lane[SV_W];
    for (size_t i = 0; i < SV_W; i++)
        lane[i] = i < left ? single[k + i] : 0;
    return v_load(lane);
}

INLINE double dense_dot(const double *x, const float *single, const double *q, size_t n)
{
    vreal sum[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    size_t k = 0;
    for (; k + 4 * SV_W <= n; k += 4 * SV_W)
        for (size_t c = 0; c < 4; c++)
            sum[c] = v_fma(entries_at(x, single, k + c * SV_W, SV_W), v_load(q + k + c * SV_W), sum[c]);
    for (; k < n; k += SV_W)
        sum[0] = v_fma(entries_at(x, single, k, n - k), v_load_some(q + k, n - k, 0), sum[0]);
    return v_sum_lanes(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
}

INLINE double total(const double *q, size_t n)
{
    vreal sum = v_set1(0);
    for (size_t k = 0; k < n; k += SV_W)
        sum = v_add(v_load_some(q + k, n - k, 0), sum);
    return v_sum_lanes(sum);
}

INLINE double dot(const struct sv_sweeps *s, size_t j, const double *q)
{
    if (is_ones(s, j))
        return total(q, s->n);
    size_t column = sv_sweeps_column(s, j);
    if (s->dense)
        return dense_dot(s->dense + column * s->stride, NULL, q, s->n);
    if (s->single)
        return dense_dot(NULL, s->single + column * s->stride, q, s->n);
    size_t from = (size_t)s->sparse.starts[column];
    if (s->sparse.single)
        return segment_dot_single(s->sparse.index + from, s->sparse.single + from, q, sv_sweeps_entries(s, j));
    return segment_dot(s->sparse.index + from, s->sparse.value + from, q, sv_sweeps_entries(s, j));
}

/* out += by D x_j, D of ones where it is NULL; x as of entries_at. */
INLINE void dense_add(double *out, const double *x, const float *single, const double *D, double by, size_t n)
{
    const vreal factor = v_set1(by);
    for (size_t k = 0; k < n; k += SV_W) {
        size_t left = n - k;
        vreal term = entries_at(x, single, k, left);
        if (D)
            term = v_mul(term, v_load_some(D + k, left, 0));
        v_store_some(out + k, v_fma(factor, term, v_load_some(out + k, left, 0)), left);
    }
}

INLINE void add(const struct sv_sweeps *s, size_t j, const double *D, double by, double *out)
{
    size_t column = is_ones(s, j) ? 0 : sv_sweeps_column(s, j);
    if (is_ones(s, j)) {
        dense_add(out, NULL, NULL, D, by, s->n);
    } else if (s->dense) {
        dense_add(out, s->dense + column * s->stride, NULL, D, by, s->n);
    } else if (s->single) {
        dense_add(out, NULL, s->single + column * s->stride, D, by, s->n);
    } else {
        const struct sv_compressed X = s->sparse;
        for (int32_t e = X.starts[column]; e < X.starts[column + 1]; e++) {
            size_t i = (size_t)X.index[e];
            out[i] = r_fma(D ? by * D[i] : by, sv_compressed_entry(&X, (size_t)e), out[i]);
        }
    }
}

/* x'D x of a dense column; x as of entries_at. */
INLINE double dense_square(const double *x, const float *single, const double *D, size_t n)
{
    vreal sum = v_set1(0);
    for (size_t k = 0; k < n; k += SV_W) {
        size_t left = n - k;
        vreal here = entries_at(x, single, k, left);
        sum = v_fma(D ? v_mul(here, v_load_some(D + k, left, 0)) : here, here, sum);
    }
    return v_sum_lanes(sum);
}

INLINE double sparse_square(const struct sv_compressed *X, size_t from, const double *D, size_t count)
{
    double sum[4] = {0, 0, 0, 0};
    for (size_t k = 0; k < count; k++) {
        double here = sv_compressed_entry(X, from + k);
        sum[k & 3] += (D ? D[X->index[from + k]] : 1) * here * here;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void curvatures(struct sv_sweeps *s)
{
    for (size_t j = 0; j < s->p; j++) {
        double square;
        if (is_ones(s, j)) {
            square = dense_square(NULL, NULL, s->weights, s->n);
        } else if (s->dense || s->single) {
            size_t at = sv_sweeps_column(s, j) * s->stride;
            square = s->dense ? dense_square(s->dense + at, NULL, s->weights, s->n)
                              : dense_square(NULL, s->single + at, s->weights, s->n);
        } else {
            size_t from = (size_t)s->sparse.starts[sv_sweeps_column(s, j)];
            square = sparse_square(&s->sparse, from, s->weights, sv_sweeps_entries(s, j));
        }
        s->curvature[j] = square + s->l2[j];
    }
}

/* Where a coordinate would go if it had no bounds. */
INLINE double wanted(const struct sv_sweeps *s, size_t j, double slope)
{
    double h = s->curvature[j], z = h * s->w[j] - slope, l1 = s->l1[j];
    return (z > l1 ? z - l1 : z < -l1 ? z + l1 : 0) / h;
}

/* How far the equation of a coordinate that moves is from being met: a bound or the kink close by makes the step short, but
 * not the slope. */
INLINE double miss(double w, double slope, double l1)
{
    return w == 0 ? fmax(fabs(slope) - l1, 0) : fabs(slope + (w > 0 ? l1 : -l1));
}

/* On which side of its kink it is, or that it is at an end. */
INLINE int side(const struct sv_sweeps *s, size_t j, double w)
{
    if (w <= s->low[j] || w >= s->high[j])
        return 2;
    return s->l1[j] > 0 ? (w > 0) - (w < 0) : 1;
}

static double sweep(struct sv_sweeps *s, size_t count, const int32_t *some, size_t *changes)
{
    double largest = 0, entries = 0;
    for (size_t k = 0; k < count; k++) {
        size_t j = some ? (size_t)some[k] : k;
        if (!(s->curvature[j] > 0))
            continue;
        double w = s->w[j], slope = dot(s, j, s->q) + s->l2[j] * w, to = wanted(s, j, slope);
        double now = to < s->low[j] ? s->low[j] : to > s->high[j] ? s->high[j] : to, change = now - w;
        entries += (double)sv_sweeps_entries(s, j);
        if (change == 0)
            continue;
        largest = fmax(largest, miss(w, slope, s->l1[j]));
        *changes += side(s, j, w) != side(s, j, now);
        s->w[j] = now;
        add(s, j, s->weights, change, s->q);
        entries += (double)sv_sweeps_entries(s, j);
    }
    s->sweeps++;
    s->entries += entries;
    return largest;
}

static void combine(const struct sv_sweeps *s, size_t count, const double *p, double *t)
{
    memset(t, 0, s->n * sizeof *t);
    for (size_t k = 0; k < count; k++)
        add(s, (size_t)s->face[k], NULL, p[k], t);
}

static void follow(struct sv_sweeps *s, double share, const double *t)
{
    dense_add(s->q, t, NULL, s->weights, share, s->n);
}

static double bend(const struct sv_sweeps *s, const double *t)
{
    vreal sum = v_set1(0);
    for (size_t k = 0; k < s->n; k += SV_W) {
        size_t left = s->n - k;
        vreal here = v_load_some(t + k, left, 0);
        sum = v_fma(s->weights ? v_mul(here, v_load_some(s->weights + k, left, 0)) : here, here, sum);
    }
    return v_sum_lanes(sum);
}

static void dots(const struct sv_sweeps *s, size_t count, double *r)
{
    for (size_t k = 0; k < count; k++)
        r[k] = dot(s, (size_t)s->face[k], s->q);
}

const struct sweep_kernels SV_TABLE(sweep_kernels) = {curvatures, sweep, combine, follow, bend, dots};
