/* The products of packed columns: see columns.h.
 *
 * A panel has the columns of a cache line side by side, row after row. A tile of the result stays in registers while its rows
 * pass: of one panel an entry at a time is multiplied with vectors of up to three others. 2 flops a product, bound by the
 * multipliers; sums run over a block of rows in this precision, and over the blocks in double. In NumPy: H += block.T @ block
 */
#include "columns.h"

#include "simd.h"

enum {
    WIDTH = SV_PANEL_BYTES / sizeof(real),
    VECTORS = WIDTH / SV_W, /* of a panel's row */
    ROWS = VECTORS == 1 ? 8 : VECTORS == 2 ? 4 : 2,
    PANELS = VECTORS == 1 ? 3 : 1,
};

/* sum = the products of ROWS columns from `a` on with those of so many panels from `b` on, `apart` from one another. */
INLINE void tile(const real *a, const real *b, size_t rows, size_t apart, int panels, real *sum)
{
    vreal sums[ROWS * PANELS * VECTORS];
#pragma GCC unroll 32
    for (int k = 0; k < ROWS * panels * VECTORS; k++)
        sums[k] = v_set1(0);
    for (size_t i = 0; i < rows; i++, a += WIDTH, b += WIDTH) {
        vreal here[PANELS * VECTORS];
#pragma GCC unroll 16
        for (int k = 0; k < panels * VECTORS; k++)
            here[k] = v_load(b + (size_t)(k / VECTORS) * apart + (size_t)(k % VECTORS) * SV_W);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) {
            vreal other = v_set1(a[r]);
#pragma GCC unroll 16
            for (int k = 0; k < panels * VECTORS; k++)
                sums[r * panels * VECTORS + k] = v_fma(other, here[k], sums[r * panels * VECTORS + k]);
        }
    }
#pragma GCC unroll 32
    for (int k = 0; k < ROWS * panels * VECTORS; k++)
        v_store(sum + k * SV_W, sums[k]);
}

static void products(const void *block, size_t rows, size_t above, size_t p, double *H, size_t order)
{
    const size_t apart = rows * WIDTH, panels = (p + WIDTH - 1) / WIDTH;
    for (size_t a = 0; a < above; a += ROWS)
        for (size_t b = a / WIDTH; b < panels; b += PANELS) {
            real sum[ROWS * PANELS * WIDTH];
            const real *left = (const real *)block + a / WIDTH * apart + a % WIDTH, *right = (const real *)block + b * apart;
            size_t count = panels - b < PANELS ? panels - b : PANELS, columns = p - b * WIDTH;
            if (count == PANELS)
                tile(left, right, rows, apart, PANELS, sum);
            else if (count == 1)
                tile(left, right, rows, apart, 1, sum);
            else
                tile(left, right, rows, apart, 2 < PANELS ? 2 : 1, sum);
            columns = columns < count * WIDTH ? columns : count * WIDTH;
            for (size_t i = 0; i < ROWS && a + i < above; i++)
                for (size_t j = 0; j < columns; j++)
                    H[(a + i) * order + b * WIDTH + j] += sum[i * count * WIDTH + j];
        }
}

const struct packed_gram_kernels SV_TABLE(packed_gram_kernels) = {products};
