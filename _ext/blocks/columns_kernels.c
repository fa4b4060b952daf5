/* Columns of a dense matrix against a vector, four at a time: see columns.h.
 *
 * Compiled twice, for entries stored in double and, by columns_float_kernels.c, in single precision, which are widened as
 * they are loaded; all arithmetic is in double precision.
 *
 * Each entry of a chosen column is read once, 8 bytes for 2 flops; the vector (in blocks that stay in the first cache
 * where it is written) serves four columns a load. The bound is the memory's or the cache's bandwidth. In NumPy:
 *     out = X[:, list].T @ v;  z = X[:, list] @ factor;  block = roots[:, None] * X[from:to, list] * scale
 */
#include "columns.h"

#include "simd.h"

enum { COLUMNS = 4, ROWS = 1024 };

#ifdef STORED_FLOAT
typedef float stored;
INLINE vreal s_load(const stored *x) { return v_load_float(x); }
#else
typedef double stored;
INLINE vreal s_load(const stored *x) { return v_load(x); }
#endif

/* What is left of a column, zeros past its end. */
INLINE vreal s_load_some(const stored *x, size_t left)
{
#ifdef STORED_FLOAT
    double lane[SV_W];
    if (left >= SV_W)
        return s_load(x);
    for (size_t k = 0; k < SV_W; k++)
        lane[k] = k < left ? x[k] : 0;
    return v_load(lane);
#else
    return v_load_some(x, left, 0);
#endif
}

INLINE const stored *column_of(const stored *X, size_t stride, const int32_t *list, size_t k)
{
    return X + (list ? (size_t)list[k] : k) * stride;
}

/* The dots of four columns, of which two may be the same. */
INLINE void four_dots(const stored *const x[], const double *v, size_t n, double *out)
{
    vreal sum[COLUMNS], more[COLUMNS];
    for (int c = 0; c < COLUMNS; c++)
        sum[c] = more[c] = v_set1(0);
    size_t k = 0;
    for (; k + 2 * SV_W <= n; k += 2 * SV_W) {
        vreal here = v_load(v + k), next = v_load(v + k + SV_W);
        for (int c = 0; c < COLUMNS; c++) {
            sum[c] = v_fma(s_load(x[c] + k), here, sum[c]);
            more[c] = v_fma(s_load(x[c] + k + SV_W), next, more[c]);
        }
    }
    for (; k < n; k += SV_W) {
        vreal here = v_load_some(v + k, n - k, 0);
        for (int c = 0; c < COLUMNS; c++)
            sum[c] = v_fma(s_load_some(x[c] + k, n - k), here, sum[c]);
    }
    for (int c = 0; c < COLUMNS; c++)
        out[c] = v_sum_lanes(v_add(sum[c], more[c]));
}

static void dots(const stored *X, size_t n, size_t stride, size_t count, const int32_t *list, const double *v,
                 double *out)
{
    for (size_t k = 0; k < count; k += COLUMNS) {
        const stored *x[COLUMNS];
        double some[COLUMNS];
        for (size_t c = 0; c < COLUMNS; c++)
            x[c] = column_of(X, stride, list, k + c < count ? k + c : count - 1);
        four_dots(x, v, n, some);
        for (size_t c = 0; c < COLUMNS && k + c < count; c++)
            out[k + c] = some[c];
    }
}

static void combine(const stored *X, size_t n, size_t stride, size_t count, const int32_t *list, const double *factor,
                    double *z)
{
    memset(z, 0, n * sizeof *z);
    for (size_t from = 0; from < n; from += ROWS) {
        size_t rows = n - from < ROWS ? n - from : ROWS;
        for (size_t k = 0; k < count; k += COLUMNS) {
            const stored *x[COLUMNS];
            vreal by[COLUMNS];
            for (size_t c = 0; c < COLUMNS; c++) {
                x[c] = column_of(X, stride, list, k + c < count ? k + c : count - 1) + from;
                by[c] = v_set1(k + c < count ? factor[k + c] : 0);
            }
            for (size_t i = 0; i < rows; i += SV_W) {
                vreal sum = v_load_some(z + from + i, rows - i, 0);
                for (int c = 0; c < COLUMNS; c++)
                    sum = v_fma(by[c], s_load_some(x[c] + i, rows - i), sum);
                v_store_some(z + from + i, sum, rows - i);
            }
        }
    }
}

static void squares(const stored *X, size_t n, size_t stride, size_t count, double *out)
{
    for (size_t j = 0; j < count; j++) {
        const stored *x = X + j * stride;
        vreal sum[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
        size_t k = 0;
        for (; k + 4 * SV_W <= n; k += 4 * SV_W)
            for (int c = 0; c < 4; c++) {
                vreal here = s_load(x + k + c * SV_W);
                sum[c] = v_fma(here, here, sum[c]);
            }
        for (; k < n; k += SV_W) {
            vreal here = s_load_some(x + k, n - k);
            sum[0] = v_fma(here, here, sum[0]);
        }
        out[j] = v_sum_lanes(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
    }
}

#ifndef STORED_FLOAT
/* Four columns against as many as the registers have sums for: of 16 registers, eight sums. */
enum { ACROSS = SV_W >= 8 ? 4 : 2, PRODUCT_ROWS = 512, PASSING = 128 };

/* sum[a][b] = x_a' D y_b over the rows; D of ones where `weights` is NULL. */
INLINE void tile(const stored *const x[], const stored *const y[], const double *weights, size_t rows,
                 double sum[COLUMNS * ACROSS])
{
    vreal sums[COLUMNS * ACROSS];
    for (int k = 0; k < COLUMNS * ACROSS; k++)
        sums[k] = v_set1(0);
    for (size_t k = 0; k < rows; k += SV_W) {
        vreal here[ACROSS];
        for (int b = 0; b < ACROSS; b++) {
            here[b] = s_load_some(y[b] + k, rows - k);
            if (weights)
                here[b] = v_mul(here[b], v_load_some(weights + k, rows - k, 0));
        }
        for (int a = 0; a < COLUMNS; a++) {
            vreal other = s_load_some(x[a] + k, rows - k);
            for (int b = 0; b < ACROSS; b++)
                sums[a * ACROSS + b] = v_fma(other, here[b], sums[a * ACROSS + b]);
        }
    }
#ifdef V_HAS_TRANSPOSE
    for (int k = 0; k < COLUMNS * ACROSS; k += SV_W)
        v_store(sum + k, v_fold(sums + k, v_add));
#else
    for (int k = 0; k < COLUMNS * ACROSS; k++)
        sum[k] = v_sum_lanes(sums[k]);
#endif
}

/* Four columns against those from `b` to `end`. */
INLINE void products_of_four(const stored *X, size_t rows, size_t stride, size_t count, const int32_t *list,
                             const double *weights, size_t a, size_t above, size_t b, size_t end, double *H, size_t order)
{
    const stored *x[COLUMNS];
    for (size_t c = 0; c < COLUMNS; c++)
        x[c] = column_of(X, stride, list, a + c < count ? a + c : count - 1);
    for (; b < end; b += ACROSS) {
        const stored *y[ACROSS];
        double sum[COLUMNS * ACROSS];
        for (size_t c = 0; c < ACROSS; c++)
            y[c] = column_of(X, stride, list, b + c < count ? b + c : count - 1);
        if (weights)
            tile(x, y, weights, rows, sum);
        else
            tile(x, y, NULL, rows, sum);
        for (size_t i = 0; i < COLUMNS && a + i < above; i++)
            for (size_t j = 0; j < ACROSS && b + j < end; j++)
                H[(a + i) * order + b + j] += sum[i * ACROSS + j];
    }
}

/* A block of rows of some columns at a time, which stays in the second cache while four columns after the other stay in the
 * first: 2 flops a product, bound by the multipliers. */
static void products(const stored *X, size_t n, size_t stride, size_t above, size_t count, const int32_t *list,
                     const double *weights, double *H, size_t order)
{
    for (size_t a = 0; a < above; a++)
        memset(H + a * order, 0, count * sizeof *H);
    for (size_t from = 0; from < n; from += PRODUCT_ROWS) {
        size_t rows = n - from < PRODUCT_ROWS ? n - from : PRODUCT_ROWS;
        for (size_t b = 0; b < count; b += PASSING) {
            size_t end = count - b < PASSING ? count : b + PASSING;
            for (size_t a = 0; a < above && a < end; a += COLUMNS)
                products_of_four(X + from, rows, stride, count, list, weights ? weights + from : NULL, a, above,
                                 a > b ? a : b, end, H, order);
        }
    }
}
#endif

/* v[k], lane i becomes v[i], lane k. */
INLINE void turned(vreal v[SV_W])
{
#ifdef V_HAS_TRANSPOSE
    v_transpose(v);
#else
    double lane[SV_W][SV_W], row[SV_W];
    for (size_t k = 0; k < SV_W; k++)
        v_store(lane[k], v[k]);
    for (size_t k = 0; k < SV_W; k++) {
        for (size_t i = 0; i < SV_W; i++)
            row[i] = lane[i][k];
        v[k] = v_load(row);
    }
#endif
}

/* A panel of columns, `count` of them and then zeros, in double precision or in `single`. */
INLINE void pack_panel(const stored *X, size_t stride, size_t count, const int32_t *list, size_t first, size_t rows,
                       const double *roots, const double *scale, double *panel, float *single)
{
    const size_t width = SV_PANEL_BYTES / (single ? sizeof(float) : sizeof(double));
    for (size_t c = 0; c < width; c += SV_W) {
        const stored *x[SV_W];
        for (size_t k = 0; k < SV_W; k++)
            x[k] = c + k < count ? column_of(X, stride, list, first + c + k) : NULL;
        for (size_t i = 0; i < rows; i += SV_W) {
            vreal v[SV_W], root = roots ? v_load_some(roots + i, rows - i, 0) : v_set1(1);
            for (size_t k = 0; k < SV_W; k++) {
                v[k] = x[k] ? s_load_some(x[k] + i, rows - i) : v_set1(0);
                if (roots)
                    v[k] = v_mul(v[k], root);
                if (scale && x[k])
                    v[k] = v_mul(v[k], v_set1(scale[first + c + k]));
            }
            turned(v);
            for (size_t k = 0; k < SV_W && i + k < rows; k++) {
                if (single)
                    v_store_float(single + (i + k) * width + c, v[k]);
                else
                    v_store(panel + (i + k) * width + c, v[k]);
            }
        }
    }
}

static void pack(const stored *X, size_t stride, size_t count, const int32_t *list, size_t rows, const double *roots,
                 const double *scale, double *block, float *single)
{
    const size_t width = SV_PANEL_BYTES / (single ? sizeof(float) : sizeof(double));
    for (size_t first = 0; first < count; first += width) {
        size_t here = count - first < width ? count - first : width;
        if (single)
            pack_panel(X, stride, here, list, first, rows, roots, scale, NULL, single + first * rows);
        else
            pack_panel(X, stride, here, list, first, rows, roots, scale, block + first * rows, NULL);
    }
}

#ifdef STORED_FLOAT
const struct columns_float_kernels SV_TABLE(columns_float_kernels) = {dots, combine, squares, pack};
#else
const struct columns_kernels SV_TABLE(columns_kernels) = {dots, combine, squares, products, pack};
#endif
