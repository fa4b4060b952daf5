/* Passes over the groups of a quadratic with its gradient at hand: see group_quadratic.h.
 *
 * A group that stays zero costs a norm: 2 flops a coordinate. Another one of m coordinates costs 4 m^2 flops in the basis
 * of its eigenvectors and a few dozen m for the norm (group_step.h); if it moves, m rows of H: 8 m p bytes from the second
 * cache or beyond, 2 m p flops, eight rows in a pass over the gradient. The bound is the cache's bandwidth. In NumPy:
 *     v = V.T @ (G @ w[k] - g[k])
 *     new = V @ (rho * v / (e * rho + norm)) if norm(v) > norm_k else 0
 *     g += (new - w[k]) @ H[k]; w[k] = new
 * Groups with l1 terms or signs take proximal gradient steps, of which each lowers the objective.
 */
#include "group_quadratic.h"

#include "group_step.h"
#include "simd.h"

enum { ROWS = 8, PROXIMAL_STEPS = 20 };

/* Eigenvalues below this share of the largest are none. */
#define RANK 1e-14

/* x += factor[0] row[0] + ... : `count` (a constant at each call) rows in one pass. */
INLINE void add_some(double *x, size_t n, const double *const row[], const double factor[], int count)
{
    size_t k = 0;
    for (; k + SV_W <= n; k += SV_W) {
        vreal sum = v_load(x + k);
        for (int r = 0; r < count; r++)
            sum = v_fma(v_set1(factor[r]), v_load(row[r] + k), sum);
        v_store(x + k, sum);
    }
    if (k < n) {
        vreal sum = v_load_n(x + k, n - k, 0);
        for (int r = 0; r < count; r++)
            sum = v_fma(v_set1(factor[r]), v_load_n(row[r] + k, n - k, 0), sum);
        v_store_n(x + k, sum, n - k);
    }
}

static void add_rows(const struct sv_group_quadratic *q, double *x, const int32_t *at, const double *factor, size_t count)
{
    const double *row[ROWS];
    size_t r = 0;
    for (; r + ROWS <= count; r += ROWS) {
        for (size_t k = 0; k < ROWS; k++)
            row[k] = q->H + (size_t)at[r + k] * q->stride;
        add_some(x, q->p, row, factor + r, ROWS);
    }
    for (; r < count; r++) {
        row[0] = q->H + (size_t)at[r] * q->stride;
        add_some(x, q->p, row, factor + r, 1);
    }
}

INLINE double dot(const double *x, const double *y, size_t n)
{
    vreal sum = v_set1(0);
    for (size_t k = 0; k < n; k += SV_W)
        sum = v_fma(v_load_some(x + k, n - k, 0), v_load_some(y + k, n - k, 0), sum);
    return v_sum_lanes(sum);
}

/* What pulls coordinate j away from zero, where -slope is the pull of the smooth part. */
INLINE double pull(const struct sv_group_quadratic *q, size_t j, double slope)
{
    double t = -slope, l1 = q->l1[j];
    t = t > l1 ? t - l1 : t < -l1 ? t + l1 : 0;
    return (t < 0 && q->low[j] == 0) || (t > 0 && q->high[j] == 0) ? 0 : t;
}

/* The norm of the pulls of group k away from zero. */
INLINE double group_pull(const struct sv_group_quadratic *q, size_t k, const double *slope)
{
    size_t from = (size_t)q->start[k], m = (size_t)q->start[k + 1] - from;
    if (q->plain[k])
        return sqrt(dot(slope, slope, m));
    double square = 0;
    for (size_t j = 0; j < m; j++) {
        double t = pull(q, from + j, slope[j]);
        square += t * t;
    }
    return sqrt(square);
}

INLINE int is_zero(const double *w, size_t m)
{
    for (size_t j = 0; j < m; j++)
        if (w[j] != 0)
            return 0;
    return 1;
}

/* y = V'x, with eigenvectors in the columns of V. */
INLINE void into_basis(const double *V, const double *x, double *y, size_t m)
{
    for (size_t k = 0; k < m; k += SV_W) {
        vreal sum = v_set1(0);
        for (size_t i = 0; i < m; i++)
            sum = v_fma(v_set1(x[i]), v_load_some(V + i * m + k, m - k, 0), sum);
        v_store_some(y + k, sum, m - k);
    }
}

/* The exact minimiser over a plain group. */
static void exact(const struct sv_group_quadratic *q, size_t k, double *new, double *room)
{
    size_t from = (size_t)q->start[k], m = (size_t)q->start[k + 1] - from;
    const double *e = q->values + from, *V = q->vectors + q->place[k];
    double norm = q->norm[k], *v = room, *turned = room + m;
    into_basis(V, q->g + from, v, m);
    into_basis(V, q->w + from, turned, m);
    for (size_t j = 0; j < m; j++)
        v[j] = fmax(e[j], 0) * turned[j] - v[j];
    double size = sqrt(dot(v, v, m));
    if (norm > 0 && size <= norm) {
        for (size_t j = 0; j < m; j++)
            new[j] = 0;
        return;
    }
    if (!(e[m - 1] > 0)) { /* no curvature: there is no minimum, or all points are */
        memcpy(new, q->w + from, m * sizeof(double));
        return;
    }
    double *positive = turned;
    for (size_t j = 0; j < m; j++)
        positive[j] = fmax(e[j], 0);
    double rho = norm > 0 ? sv_group_norm(positive, v, m, norm, size) : 1;
    for (size_t j = 0; j < m; j++) {
        double bend = e[j] * rho + norm;
        v[j] = norm > 0 || e[j] > RANK * e[m - 1] ? rho * v[j] / bend : 0;
    }
    for (size_t j = 0; j < m; j++)
        new[j] = dot(V + j * m, v, m);
}

/* Proximal gradient steps over a group, zero first. */
static void proximal(const struct sv_group_quadratic *q, size_t k, double *new, double *slope)
{
    size_t from = (size_t)q->start[k], m = (size_t)q->start[k + 1] - from;
    const double *w = q->w + from;
    double curvature = q->values[from + m - 1] * (1 + 1e-12), norm = q->norm[k];
    for (size_t j = 0; j < m; j++) {
        new[j] = 0;
        slope[j] = q->g[from + j] - dot(q->H + (from + j) * q->stride + from, w, m);
    }
    if (!(curvature > 0) || group_pull(q, k, slope) <= norm)
        return;
    for (size_t j = 0; j < m; j++) {
        new[j] = w[j];
        slope[j] = q->g[from + j];
    }
    for (int step = 0; step < PROXIMAL_STEPS; step++) {
        double square = 0, moved = 0, size = 0;
        for (size_t j = 0; j < m; j++) {
            double t = pull(q, from + j, slope[j] - curvature * new[j]);
            square += t * t;
        }
        double share = fmax(0, 1 - norm / sqrt(fmax(square, 1e-300))) / curvature;
        double *change = slope + m;
        for (size_t j = 0; j < m; j++) {
            double next = share * pull(q, from + j, slope[j] - curvature * new[j]);
            change[j] = next - new[j];
            moved = fmax(moved, fabs(change[j]));
            size = fmax(size, fabs(next));
            new[j] = next;
        }
        if (moved <= 1e-15 * size || m == 1)
            break;
        for (size_t j = 0; j < m; j++)
            slope[j] += dot(q->H + (from + j) * q->stride + from, change, m);
    }
}

/* Group k to its minimum; returns the curvature times how far it moved. */
static double block_step(struct sv_group_quadratic *q, size_t k)
{
    size_t from = (size_t)q->start[k], m = (size_t)q->start[k + 1] - from;
    double *w = q->w + from, *new = q->step, largest = 0;
    if (m == 0 || (is_zero(w, m) && group_pull(q, k, q->g + from) <= q->norm[k]))
        return 0;
    if (q->plain[k])
        exact(q, k, new, q->step + m);
    else
        proximal(q, k, new, q->step + m);
    for (size_t j = 0; j < m; j++) {
        double change = new[j] - w[j];
        w[j] = new[j];
        new[j] = change;
        largest = fmax(largest, fabs(change));
        q->face[j] = (int32_t)(from + j);
    }
    if (largest > 0)
        add_rows(q, q->g, q->face, new, m);
    return largest * q->values[from + m - 1];
}

static double sweep(struct sv_group_quadratic *q)
{
    double largest = 0;
    for (size_t k = 0; k < q->count; k++)
        largest = fmax(largest, block_step(q, k));
    q->sweeps++;
    return largest;
}

static double violation(const struct sv_group_quadratic *q, int all)
{
    double largest = 0;
    for (size_t k = 0; k < q->count; k++) {
        size_t from = (size_t)q->start[k], m = (size_t)q->start[k + 1] - from;
        const double *w = q->w + from, *g = q->g + from;
        double norm = q->norm[k];
        if (norm > 0 && is_zero(w, m)) {
            if (all)
                largest = fmax(largest, group_pull(q, k, g) - norm);
            continue;
        }
        double inward = norm > 0 ? norm / sqrt(dot(w, w, m)) : 0;
        for (size_t j = 0; j < m; j++) {
            double slope = g[j] + inward * w[j], l1 = q->l1[from + j];
            double rest = w[j] > 0 ? slope + l1 : w[j] < 0 ? slope - l1 : pull(q, from + j, slope);
            largest = fmax(largest, fabs(rest));
        }
    }
    return largest;
}

const struct group_quadratic_kernels SV_TABLE(group_quadratic_kernels) = {sweep, violation, add_rows};
