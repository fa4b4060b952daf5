/* The products of packed columns in single precision: see columns.h.
 *
 * Some columns stay in the first cache while the others pass by, four at a time, tiles of them in registers: a flop in single precision
 * takes half as long as one in double, and a tile of 4 x 4 needs half a load a product; bound by the multipliers. Sums run over
 * a block of rows in single precision, and over the blocks in double. In NumPy: H += block @ block.T
 */
#include "columns.h"

#include "simd.h"

enum { COLUMNS = SV_SINGLE_COLUMNS, ACROSS = SV_W >= 16 ? 4 : 2 };

/* Entries of the columns that stay: half of the first cache. */
enum { HELD = 6144 };

/* sum[a][b] = x_a . y_b, of columns `rows` apart. */
INLINE void tile(const float *x, const float *y, size_t rows, real sum[COLUMNS * ACROSS])
{
    vreal sums[COLUMNS * ACROSS];
    for (int k = 0; k < COLUMNS * ACROSS; k++)
        sums[k] = v_set1(0);
    for (size_t i = 0; i < rows; i += SV_W) {
        vreal here[ACROSS];
        for (int b = 0; b < ACROSS; b++)
            here[b] = v_load(y + b * rows + i);
        for (int a = 0; a < COLUMNS; a++) {
            vreal other = v_load(x + a * rows + i);
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

/* H += the products of four columns from a on with those from b on. */
INLINE void add_tile(const float *block, size_t rows, size_t p, size_t a, size_t b, double *H)
{
    real sum[COLUMNS * ACROSS];
    tile(block + a * rows, block + b * rows, rows, sum);
    if (a + COLUMNS <= p && b + ACROSS <= p) {
        for (size_t i = 0; i < COLUMNS; i++)
            for (size_t j = 0; j < ACROSS; j++)
                H[(a + i) * p + b + j] += sum[i * ACROSS + j];
        return;
    }
    for (size_t i = 0; i < COLUMNS && a + i < p; i++)
        for (size_t j = 0; j < ACROSS && b + j < p; j++)
            H[(a + i) * p + b + j] += sum[i * ACROSS + j];
}

static void products(const float *block, size_t rows, size_t p, double *H)
{
    size_t held = HELD / rows & ~(size_t)(ACROSS - 1);
    held = held < ACROSS ? ACROSS : held;
    for (size_t from = 0; from < p; from += held)
        for (size_t a = 0; a < p && a < from + held; a += COLUMNS)
            for (size_t b = a > from ? a : from; b < p && b < from + held; b += ACROSS)
                add_tile(block, rows, p, a, b, H);
}

/* block = (float)(factor roots x) of one column, zeros from `rows` to `padded`. */
static void pack(const double *x, const float *single, const double *roots, double factor, size_t rows, size_t padded,
                 float *block)
{
    for (size_t i = 0; i < rows && single; i++)
        block[i] = (float)(factor * roots[i] * single[i]);
    for (size_t i = 0; i < rows && !single; i++)
        block[i] = (float)(factor * roots[i] * x[i]);
    for (size_t i = rows; i < padded; i++)
        block[i] = 0;
}

const struct single_gram_kernels SV_TABLE(single_gram_kernels) = {products, pack};
