/* Gram matrices of dense columns, and the pick of the kernels for this CPU: see columns.h.
 *
 * Rows are scaled and packed in blocks that stay in the second cache, and the products of each block are added to one
 * triangle: n p^2 flops, and no copy of the columns in memory. In NumPy:
 *     H = (X[:, W] * roots[:, None]).T @ (X[:, W] * roots[:, None])
 */
#include "columns.h"

#include <math.h>
#include <string.h>

SV_DISPATCH(struct columns_kernels, kernel_table, columns_kernels_f64)
SV_DISPATCH(struct columns_float_kernels, float_table, columns_float_kernels_f64)
SV_DISPATCH(struct packed_gram_kernels, packed_doubles, packed_gram_kernels_f64)
SV_DISPATCH(struct packed_gram_kernels, packed_singles, packed_gram_kernels_f32)

/* Rows of a packed block; in single precision, whose sums are of no more than these, the fewest. */
enum { FEWEST_ROWS = 256, MOST_ROWS = 2048, BLOCK_BYTES = 1 << 19 };

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

/* Bytes of the columns that are read twice in turn: they stay in the second cache; a multiple of four columns. */
enum { TWICE = 1 << 18, FOUR = 4 };

void sv_columns_squares_and_dots(const double *X, size_t n, size_t stride, size_t count, const double *v, double *squares,
                                 double *dots)
{
    size_t fit = TWICE / (n * sizeof *X + 1) / FOUR * FOUR, some = !v ? count : fit > FOUR ? fit : FOUR;
    for (size_t from = 0; from < count; from += some) {
        size_t here = count - from < some ? count - from : some;
        kernel_table()->squares(X + from * stride, n, stride, here, squares + from);
        if (v)
            kernel_table()->dots(X + from * stride, n, stride, here, NULL, v, dots + from);
    }
}

static size_t packed_columns(size_t p, size_t entry)
{
    size_t width = SV_PANEL_BYTES / entry;
    return (p + width - 1) / width * width;
}

/* Rows of a block: it fills half a mebibyte, so that it stays in the second cache. */
static size_t rows_of(size_t p, size_t entry)
{
    size_t rows = BLOCK_BYTES / (packed_columns(p + 1, entry) * entry);
    return rows < FEWEST_ROWS || entry == sizeof(float) ? FEWEST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
}

/* Enough for fewer columns, too, whose blocks have more rows. */
static size_t packed_bytes(size_t p, size_t entry)
{
    size_t row = packed_columns(p, entry) * entry, bytes = FEWEST_ROWS * row;
    if (entry == sizeof(double) && bytes < BLOCK_BYTES)
        bytes = MOST_ROWS * row < BLOCK_BYTES ? MOST_ROWS * row : BLOCK_BYTES;
    return bytes + SV_PANEL_BYTES;
}

/* The first line of a cache within. */
static void *aligned(void *work) { return (char *)work + (SV_PANEL_BYTES - (uintptr_t)work % SV_PANEL_BYTES) % SV_PANEL_BYTES; }

size_t sv_columns_gram_work(size_t p) { return packed_bytes(p, sizeof(double)) / sizeof(double); }
size_t sv_columns_single_work(size_t p) { return packed_bytes(p, sizeof(float)) / sizeof(float); }

/* Of the first rows of H, rows of p. */
static void mirror(double *H, size_t rows, size_t p)
{
    for (size_t a = 0; a < rows; a++)
        for (size_t b = 0; b < a; b++)
            H[a * p + b] = H[b * p + a];
}

/* What is packed: X or, where that is NULL, `stored`, in double precision or, with `to_single`, in single. */
struct packing {
    const double *X;
    const float *stored;
    size_t n, stride;
    const int32_t *list;
    const double *weights, *roots, *scale; /* of rows, their roots, of columns; NULL: ones */
    int to_single;
};

/* The first `above` rows of the upper triangle of H. */
static void add_blocks(const struct packing *of, size_t above, size_t p, double *H, size_t order, void *work)
{
    size_t most = rows_of(p, of->to_single ? sizeof(float) : sizeof(double));
    const struct packed_gram_kernels *packed = of->to_single ? packed_singles() : packed_doubles();
    double *block = of->to_single ? NULL : aligned(work), roots[MOST_ROWS];
    float *single = of->to_single ? aligned(work) : NULL;
    for (size_t a = 0; a < above; a++)
        memset(H + a * order, 0, p * sizeof *H);
    for (size_t from = 0; from < of->n; from += most) {
        size_t rows = of->n - from < most ? of->n - from : most;
        const double *own = of->roots ? of->roots + from : of->weights ? roots : NULL;
        for (size_t i = 0; of->weights && i < rows; i++)
            roots[i] = sqrt(of->weights[from + i]);
        if (of->X)
            kernel_table()->pack(of->X + from, of->stride, p, of->list, rows, own, of->scale, block, single);
        else
            float_table()->pack(of->stored + from, of->stride, p, of->list, rows, own, of->scale, block, single);
        packed->products(single ? (void *)single : (void *)block, rows, above, p, H, order);
    }
}

void sv_columns_products(const double *X, size_t n, size_t stride, size_t rows, size_t count, const int32_t *list,
                         const double *weights, double *H, size_t order, double *work)
{
    const struct packing all = {.X = X, .n = n, .stride = stride, .list = list, .weights = weights};
    if (work)
        add_blocks(&all, rows, count, H, order, work);
    else
        kernel_table()->products(X, n, stride, rows, count, list, weights, H, order);
}

void sv_columns_gram(const double *X, size_t n, size_t stride, size_t p, const int32_t *list, const double *roots, double *H,
                     double *work)
{
    const struct packing all = {.X = X, .n = n, .stride = stride, .list = list, .roots = roots};
    add_blocks(&all, p, p, H, p, work);
    mirror(H, p, p);
}

void sv_columns_float_gram(const float *X, size_t n, size_t stride, size_t p, const int32_t *list, const double *roots,
                           double *H, double *work)
{
    const struct packing all = {.stored = X, .n = n, .stride = stride, .list = list, .roots = roots};
    add_blocks(&all, p, p, H, p, work);
    mirror(H, p, p);
}

void sv_columns_single_gram(const double *X, const float *single, size_t n, size_t stride, size_t rows, size_t p,
                            const int32_t *list, const double *roots, const double *scale, double *H, float *work)
{
    const struct packing all = {X, single, n, stride, list, NULL, roots, scale, 1};
    add_blocks(&all, rows, p, H, p, work);
    for (size_t a = 0; a < rows; a++)
        for (size_t b = a; b < p; b++)
            H[a * p + b] /= scale[a] * scale[b];
    mirror(H, rows, p);
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
