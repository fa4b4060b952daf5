/* Gram matrices of dense columns by BLAS, and the pick of the kernels for this CPU: see columns.h.
 *
 * Rows are scaled and gathered in blocks that stay in the second cache, and each block is a rank-k update of one
 * triangle: n p^2 flops, and no copy of the columns in memory. In NumPy:
 *     H = (X[:, W] * roots[:, None]).T @ (X[:, W] * roots[:, None])
 */
#include "columns.h"

#include <string.h>

SV_DISPATCH(struct columns_kernels, kernel_table, columns_kernels_f64)
SV_DISPATCH(struct columns_float_kernels, float_table, columns_float_kernels_f64)
SV_DISPATCH(struct single_gram_kernels, single_table, single_gram_kernels_f32)

void sv_columns_dots(const double *X, size_t n, size_t stride, size_t count, const int32_t *list, const double *v,
                     double *out)
{
    kernel_table()->dots(X, n, stride, count, list, v, out);
}

void sv_columns_combine(const double *X, size_t n, size_t stride, size_t count, const int32_t *list,
                        const double *factor, double *z)
{
    kernel_table()->combine(X, n, stride, count, list, factor, z);
}

void sv_columns_squares(const double *X, size_t n, size_t stride, size_t count, double *out)
{
    kernel_table()->squares(X, n, stride, count, out);
}

/* Products of columns, some rows of H a task: a multiple of the columns that are taken at once. */
enum { ROWS_A_TASK = 16 };

struct products {
    const double *X, *weights;
    size_t n, stride, rows, count, order;
    const int32_t *list;
    double *H;
};

static void some_products(void *context, size_t task)
{
    const struct products *p = context;
    size_t first = task * ROWS_A_TASK, above = p->rows - first < ROWS_A_TASK ? p->rows : first + ROWS_A_TASK;
    kernel_table()->products(p->X, p->n, p->stride, first, above, p->count, p->list, p->weights, p->H, p->order);
}

void sv_columns_products(const double *X, size_t n, size_t stride, size_t rows, size_t count, const int32_t *list,
                         const double *weights, int threads, double *H, size_t order)
{
    struct products p = {X, weights, n, stride, rows, count, order, list, H};
    if (threads > 1)
        sv_parallel_for(threads, (rows + ROWS_A_TASK - 1) / ROWS_A_TASK, some_products, &p);
    else
        kernel_table()->products(X, n, stride, 0, rows, count, list, weights, H, order);
}

/* Rows of a block: their doubles fill half a mebibyte. */
static size_t rows_of(size_t p)
{
    size_t rows = 65536 / (p ? p : 1);
    return rows < 128 ? 128 : rows > 2048 ? 2048 : rows & ~(size_t)7;
}

size_t sv_columns_gram_work(size_t p) { return rows_of(p) * p; }

/* H += the products of `rows` rows of p columns, which lie one after the other (kept = 0: instead of what is in H). The
 * lower triangle to Fortran is the upper one of the rows of H. */
static void add_products(double *block, size_t rows, size_t stride, size_t p, double kept, double *H, sv_syrk syrk)
{
    char lower = 'L', transposed = 'T';
    double one = 1;
    int columns = (int)p, count = (int)rows, lda = (int)stride;
    syrk(&lower, &transposed, &columns, &count, &one, block, &lda, &kept, H, &columns);
}

static void mirror(double *H, size_t p)
{
    for (size_t a = 0; a < p; a++)
        for (size_t b = 0; b < a; b++)
            H[a * p + b] = H[b * p + a];
}

void sv_columns_gram(const double *X, size_t n, size_t stride, size_t p, const int32_t *list,
                     const double *roots, double *H, double *work, sv_syrk syrk)
{
    size_t block = list || roots ? rows_of(p) : 0;
    if (!block)
        add_products((double *)X, n, stride, p, 0, H, syrk);
    for (size_t from = 0; block && from < n; from += block) {
        size_t to = from + block < n ? from + block : n;
        kernel_table()->scaled_rows(X, stride, p, list, from, to, roots, work);
        add_products(work, to - from, to - from, p, from > 0, H, syrk);
    }
    mirror(H, p);
}

/* Columns of a block in single precision, and its rows, so many that it stays in the second cache. */
static size_t packed_columns(size_t p) { return (p + SV_SINGLE_COLUMNS - 1) / SV_SINGLE_COLUMNS * SV_SINGLE_COLUMNS; }

static size_t packed_rows(size_t p)
{
    size_t rows = 131072 / (p ? p : 1);
    return rows < 512 ? 512 : rows > 2048 ? 2048 : rows & ~(size_t)15;
}

size_t sv_columns_single_work(size_t p) { return packed_rows(p) * packed_columns(p); }

void sv_columns_single_gram(const double *X, const float *single, size_t n, size_t stride, size_t p,
                            const int32_t *list, const double *roots, const double *scale, double *H, float *work)
{
    size_t block = packed_rows(p), columns = packed_columns(p);
    memset(H, 0, p * p * sizeof *H);
    for (size_t from = 0; from < n; from += block) {
        size_t rows = n - from < block ? n - from : block, padded = (rows + 15) & ~(size_t)15;
        memset(work + p * padded, 0, (columns - p) * padded * sizeof *work);
        for (size_t k = 0; k < p; k++) {
            size_t place = (list ? (size_t)list[k] : k) * stride + from;
            single_table()->pack(X ? X + place : NULL, X ? NULL : single + place, roots + from, scale[k], rows, padded,
                                 work + k * padded);
        }
        single_table()->products(work, padded, p, H);
    }
    for (size_t a = 0; a < p; a++)
        for (size_t b = a; b < p; b++)
            H[a * p + b] /= scale[a] * scale[b];
    mirror(H, p);
}

void sv_columns_float_dots(const float *X, size_t n, size_t stride, size_t count, const int32_t *list, const double *v,
                           double *out)
{
    float_table()->dots(X, n, stride, count, list, v, out);
}

void sv_columns_float_combine(const float *X, size_t n, size_t stride, size_t count, const int32_t *list,
                              const double *factor, double *z)
{
    float_table()->combine(X, n, stride, count, list, factor, z);
}

void sv_columns_float_squares(const float *X, size_t n, size_t stride, size_t count, double *out)
{
    float_table()->squares(X, n, stride, count, out);
}

void sv_columns_float_gram(const float *X, size_t n, size_t stride, size_t p, const int32_t *list, const double *roots,
                           double *H, double *work, sv_syrk syrk)
{
    size_t block = rows_of(p);
    for (size_t from = 0; from < n; from += block) {
        size_t to = from + block < n ? from + block : n;
        float_table()->scaled_rows(X, stride, p, list, from, to, roots, work);
        add_products(work, to - from, to - from, p, from > 0, H, syrk);
    }
    mirror(H, p);
}
