/* Passes over the coordinates of a quadratic with its gradient at hand: see quadratic.h.
 *
 * A coordinate that stays costs a comparison; one that moves costs one row of H: 16 bytes an entry (g read and
 * written, mostly from the first cache; the row from the second), 2 flops. The bound is the cache's bandwidth. In NumPy:
 *     z = w[j] - g[j] / H[j, j]
 *     new = clip(sign(z) * max(abs(z) - weight[j] / H[j, j], 0), low[j], high[j])
 *     g += (new - w[j]) * H[j]; w[j] = new
 */
#include "quadratic.h"

#include <math.h>
#include <stdbool.h>

#include "simd.h"

INLINE double clipped(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* Where coordinate j of the iterate goes. */
INLINE double aim_of(const struct sv_quadratic *q, size_t j, double curvature)
{
    double z = curvature * q->w[j] - q->g[j], weight = q->weight[j];
    return clipped((z > weight ? z - weight : z < -weight ? z + weight : 0) / curvature, q->low[j], q->high[j]);
}

/* How far the equation of coordinate j, which would go to `aim`, is from being met: a bound or the kink close by makes the
 * step short, but not the slope. */
INLINE double miss(const struct sv_quadratic *q, size_t j, double aim)
{
    double w = q->w[j], weight = q->weight[j];
    if (aim == w)
        return 0;
    return w == 0 ? fmax(fabs(q->g[j]) - weight, 0) : fabs(q->g[j] + (w > 0 ? weight : -weight));
}

/* x += a y + b z + ... : four rows in one pass over x. */
INLINE void add_rows(double *x, size_t n, const double *const row[], const double factor[], int count)
{
    for (size_t k = 0; k < n; k += SV_W) {
        size_t left = n - k;
        vreal sum = v_load_some(x + k, left, 0);
        for (int r = 0; r < count; r++)
            sum = v_fma(v_set1(factor[r]), v_load_some(row[r] + k, left, 0), sum);
        v_store_some(x + k, sum, left);
    }
}

INLINE bool rests(const struct sv_quadratic *q, size_t j)
{
    return q->w[j] == 0 && q->g[j] <= q->weight[j] && -q->g[j] <= q->weight[j];
}

static double sweep(struct sv_quadratic *q)
{
    double largest = 0;
    for (size_t j = 0; j < q->p; j++) {
        const double *row = q->H + j * q->stride;
        if (rests(q, j) || row[j] <= 0)
            continue;
        double aim = aim_of(q, j, row[j]), change = aim - q->w[j];
        if (change == 0)
            continue;
        largest = fmax(largest, miss(q, j, aim));
        q->w[j] = aim;
        add_rows(q->g, q->p, &row, &change, 1);
        q->moves++;
    }
    q->sweeps++;
    return largest;
}

INLINE double violation_of(const struct sv_quadratic *q, size_t j)
{
    double curvature = q->H[j * q->stride + j];
    return rests(q, j) || curvature <= 0 ? 0 : miss(q, j, aim_of(q, j, curvature));
}

static double violation(const struct sv_quadratic *q)
{
    double largest = 0;
    for (size_t j = 0; j < q->p; j++)
        largest = fmax(largest, violation_of(q, j));
    return largest;
}

static double greedy_step(struct sv_quadratic *q)
{
    double largest = 0;
    size_t j = 0;
    for (size_t k = 0; k < q->p; k++) {
        double here = q->place[k] < 0 ? violation_of(q, k) : 0;
        if (here > largest) {
            largest = here;
            j = k;
        }
    }
    if (largest > 0) {
        const double *row = q->H + j * q->stride;
        double now = aim_of(q, j, row[j]), change = now - q->w[j];
        q->w[j] = now;
        add_rows(q->g, q->p, &row, &change, 1);
        q->moves++;
    }
    return largest;
}

static void follow(struct sv_quadratic *q)
{
    enum { ROWS = 4 };
    const double *row[ROWS];
    double change[ROWS];
    int count = 0;
    for (size_t j = 0; j < q->p; j++) {
        if (q->w[j] == q->from[j])
            continue;
        row[count] = q->H + j * q->stride;
        change[count++] = q->w[j] - q->from[j];
        if (count == ROWS) {
            add_rows(q->g, q->p, row, change, ROWS);
            count = 0;
        }
    }
    for (int r = 0; r < count; r++)
        add_rows(q->g, q->p, row + r, change + r, 1);
}

static double dot(const double *x, const double *y, size_t n)
{
    vreal even = v_set1(0), odd = v_set1(0);
    size_t k = 0;
    for (; k + 2 * SV_W <= n; k += 2 * SV_W) {
        even = v_fma(v_load(x + k), v_load(y + k), even);
        odd = v_fma(v_load(x + k + SV_W), v_load(y + k + SV_W), odd);
    }
    for (; k < n; k += SV_W)
        even = v_fma(v_load_some(x + k, n - k, 0), v_load_some(y + k, n - k, 0), even);
    return v_sum_lanes(v_add(even, odd));
}

/* Rows that are taken at once, so that none waits for the sum over the lanes of another one. */
enum { AT_ONCE = 4 };

INLINE size_t some_rows(size_t n, size_t from) { return n - from < AT_ONCE ? n - from : AT_ONCE; }

/* The dots of the first n entries of rows from `from` on with y; of fewer than four rows the last one again. */
INLINE void row_dots(const double *a, size_t stride, size_t from, size_t rows, const double *y, size_t n, double *out)
{
    vreal sum[AT_ONCE];
    for (size_t c = 0; c < AT_ONCE; c++)
        sum[c] = v_set1(0);
    for (size_t k = 0; k < n; k += SV_W) {
        vreal here = v_load_some(y + k, n - k, 0);
        for (size_t c = 0; c < AT_ONCE; c++)
            sum[c] = v_fma(v_load_some(a + (from + (c < rows ? c : rows - 1)) * stride + k, n - k, 0), here, sum[c]);
    }
    for (size_t c = 0; c < AT_ONCE; c++)
        out[c] = v_sum_lanes(sum[c]);
}

static int factor(double *a, size_t n, size_t stride)
{
    double sum[AT_ONCE];
    for (size_t from = 0; from < n; from += AT_ONCE) {
        size_t rows = some_rows(n, from);
        for (size_t k = 0; k < from; k++) {
            row_dots(a, stride, from, rows, a + k * stride, k, sum);
            for (size_t c = 0; c < rows; c++)
                a[(from + c) * stride + k] = (a[(from + c) * stride + k] - sum[c]) / a[k * stride + k];
        }
        for (size_t j = from; j < from + rows; j++) {
            double *row = a + j * stride;
            for (size_t k = from; k < j; k++)
                row[k] = (row[k] - dot(row, a + k * stride, k)) / a[k * stride + k];
            double pivot = row[j] - dot(row, row, j);
            if (!(pivot > 0))
                return (int)j + 1;
            row[j] = sqrt(pivot);
        }
    }
    return 0;
}

/* The pivots are divided by at once, so that no row waits for a division. */
static void solve(const double *factor, size_t n, size_t stride, double *x, int transposed)
{
    double sum[AT_ONCE], over[AT_ONCE];
    for (size_t from = 0; !transposed && from < n; from += AT_ONCE) {
        size_t rows = some_rows(n, from);
        for (size_t c = 0; c < rows; c++)
            over[c] = 1 / factor[(from + c) * (stride + 1)];
        row_dots(factor, stride, from, rows, x, from, sum);
        for (size_t c = 0; c < rows; c++) {
            const double *row = factor + (from + c) * stride + from;
            double rest = x[from + c] - sum[c];
            for (size_t k = 0; k < c; k++)
                rest -= row[k] * x[from + k];
            x[from + c] = rest * over[c];
        }
    }
    for (size_t end = n; transposed && end > 0;) {
        size_t from = (end - 1) / AT_ONCE * AT_ONCE;
        const double *row[AT_ONCE];
        for (size_t k = from; k < end; k++)
            over[k - from] = 1 / factor[k * (stride + 1)];
        for (size_t k = end; k-- > from;) {
            double rest = x[k];
            for (size_t later = k + 1; later < end; later++)
                rest -= factor[later * stride + k] * x[later];
            x[k] = rest * over[k - from];
            row[k - from] = factor + k * stride;
            sum[k - from] = -x[k];
        }
        add_rows(x, from, row, sum, (int)(end - from));
        end = from;
    }
}

const struct quadratic_kernels SV_TABLE(quadratic_kernels) = {sweep, violation, greedy_step, follow, dot, factor, solve};
