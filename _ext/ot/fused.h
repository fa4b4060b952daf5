/* A row-then-column product with one read of the matrix, for either float width.
 *
 *     row_i = weight_i / s_i  or  weight_i * s_i,   s = M x,        sums = M' row
 *
 * With division that is a Sinkhorn iteration in the kernel domain, with multiplication the normal matrix M' W M that
 * a Newton step needs. Four rows at a time: x is loaded once for them, and the sums are loaded and stored once. Every
 * entry is loaded twice, the second time from the first cache, and takes two multiply-adds: 2 / (2 SV_W) cycles an entry
 * on two 256-bit pipes where the matrix is in cache. With 32 registers and short rows SV_W rows at a time: what bounds
 * them otherwise is to sum the lanes of each row by itself, and a division for each. Rows are `ld` apart; ld is a multiple of SV_W and what lies past
 * the last column is 0.
 */
#ifndef SOLVERS_OT_FUSED_H
#define SOLVERS_OT_FUSED_H

#include "simd.h"

INLINE void fused_group(const real *matrix, size_t ld, const real *x, const real *weight, real *row, real *sums,
                        int count, int divide)
{
    vreal s[4], factor[4];
    for (int k = 0; k < count; k++)
        s[k] = v_set1(0);
    for (size_t j = 0; j < ld; j += SV_W) {
        vreal xj = v_load(x + j);
        for (int k = 0; k < count; k++)
            s[k] = v_fma(v_load(matrix + k * ld + j), xj, s[k]);
    }
    for (int k = 0; k < count; k++) {
        real sum = v_sum_lanes(s[k]);
        row[k] = divide ? weight[k] / sum : weight[k] * sum;
        factor[k] = v_set1(row[k]);
    }
    for (size_t j = 0; j < ld; j += SV_W) {
        vreal sum = v_load(sums + j);
        for (int k = 0; k < count; k++)
            sum = v_fma(v_load(matrix + k * ld + j), factor[k], sum);
        v_store(sums + j, sum);
    }
}

#ifdef V_HAS_TRANSPOSE
/* What `count` rows of `vectors` vectors, at most SV_W rows, have in `row`. Their lanes are summed together, in two
 * operations a row. */
INLINE void fused_rows(const real *matrix, const vreal *x, const real *weight, real *row, size_t count, int vectors,
                       int divide)
{
    vreal sums[SV_W];
    const int stride = vectors * SV_W;
    for (int k = 0; k < SV_W; k++) {
        const real *entries = matrix + ((size_t)k < count ? (size_t)k : 0) * (size_t)stride;
        sums[k] = v_mul(v_load(entries), x[0]);
        for (int j = 1; j < vectors; j++)
            sums[k] = v_fma(v_load(entries + j * SV_W), x[j], sums[k]);
    }
    const vreal sum = v_fold(sums, v_add), weights = v_load_some(weight, count, 0);
    v_store_some(row, divide ? v_div(weights, sum) : v_mul(weights, sum), count);
    __asm__ volatile("" ::: "memory"); /* each factor is loaded to all lanes: to shuffle it there would hold up the sums */
}

/* total += M' row of these rows. */
INLINE void fused_columns(const real *matrix, const real *row, vreal *total, size_t count, int vectors)
{
    for (size_t k = 0; k < count; k++)
        for (int j = 0; j < vectors; j++)
            total[j] = v_fma(v_load(matrix + (k * (size_t)vectors + (size_t)j) * SV_W), v_set1(row[k]), total[j]);
}

/* Rows of `vectors` vectors, a constant: x and the sums stay in registers. From the first product of some rows to what
 * they add to the sums is a long way, through the sum of their lanes and memory: the next rows' products go before it. */
INLINE void fused_narrow(const real *matrix, size_t rows, const real *x, const real *weight, real *row, real *sums,
                         int vectors, int divide)
{
    vreal factor[8], total[8];
    for (int j = 0; j < vectors; j++)
        factor[j] = v_load(x + j * SV_W), total[j] = v_set1(0);
    const size_t ld = (size_t)vectors * SV_W, whole = rows - rows % SV_W;
    size_t i = 0;
    if (whole)
        fused_rows(matrix, factor, weight, row, SV_W, vectors, divide);
    for (; i + 2 * SV_W <= rows; i += SV_W) {
        fused_rows(matrix + (i + SV_W) * ld, factor, weight + i + SV_W, row + i + SV_W, SV_W, vectors, divide);
        fused_columns(matrix + i * ld, row + i, total, SV_W, vectors);
    }
    if (whole < rows)
        fused_rows(matrix + whole * ld, factor, weight + whole, row + whole, rows - whole, vectors, divide);
    if (whole)
        fused_columns(matrix + i * ld, row + i, total, SV_W, vectors);
    if (whole < rows)
        fused_columns(matrix + whole * ld, row + whole, total, rows - whole, vectors);
    for (int j = 0; j < vectors; j++)
        v_store(sums + j * SV_W, total[j]);
}
#endif

INLINE void fused_product(const real *matrix, size_t rows, size_t ld, const real *x, const real *weight, real *row,
                          real *sums, int divide)
{
#ifdef V_HAS_TRANSPOSE /* and 32 registers */
    switch (ld / SV_W) {
    case 1: fused_narrow(matrix, rows, x, weight, row, sums, 1, divide); return;
    case 2: fused_narrow(matrix, rows, x, weight, row, sums, 2, divide); return;
    case 3: fused_narrow(matrix, rows, x, weight, row, sums, 3, divide); return;
    case 4: fused_narrow(matrix, rows, x, weight, row, sums, 4, divide); return;
    case 6: fused_narrow(matrix, rows, x, weight, row, sums, 6, divide); return;
    case 8: fused_narrow(matrix, rows, x, weight, row, sums, 8, divide); return;
    default: break;
    }
#endif
    memset(sums, 0, ld * sizeof(real));
    size_t i = 0;
    for (; i + 4 <= rows; i += 4)
        fused_group(matrix + i * ld, ld, x, weight + i, row + i, sums, 4, divide);
    for (; i < rows; i++)
        fused_group(matrix + i * ld, ld, x, weight + i, row + i, sums, 1, divide);
}

#endif
