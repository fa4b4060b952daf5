/* A row-then-column product with one read of the matrix, for either float width.
 *
 *     row_i = weight_i / s_i  or  weight_i * s_i,   s = M x,        sums = M' row
 *
 * With division that is a Sinkhorn iteration in the kernel domain, with multiplication the normal matrix M' W M that
 * a Newton step needs. Four rows at a time: x is loaded once for them, and the sums are loaded and stored once. Every
 * entry is loaded twice, the second time from the first cache, and takes two multiply-adds: 2 / (2 SV_W) cycles an entry
 * on two 256-bit pipes where the matrix is in cache. Rows are `ld` apart; ld is a multiple of SV_W and what lies past
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

/* Rows of `vectors` vectors, a constant: they stay in registers between the two uses, and so do the sums. */
INLINE void fused_narrow(const real *matrix, size_t rows, const real *x, const real *weight, real *row, real *sums,
                         int vectors, int group, int divide)
{
    vreal total[8], entry[4][8];
    for (int j = 0; j < vectors; j++)
        total[j] = v_set1(0);
    size_t i = 0;
    for (; i + (size_t)group <= rows; i += (size_t)group) {
        for (int k = 0; k < group; k++) {
            vreal s = v_set1(0), t = s;
            for (int j = 0; j < vectors; j++) {
                entry[k][j] = v_load(matrix + ((i + k) * vectors + j) * SV_W);
                if (j & 1)
                    t = v_fma(entry[k][j], v_load(x + j * SV_W), t);
                else
                    s = v_fma(entry[k][j], v_load(x + j * SV_W), s);
            }
            real sum = v_sum_lanes(v_add(s, t));
            row[i + k] = divide ? weight[i + k] / sum : weight[i + k] * sum;
        }
        for (int k = 0; k < group; k++)
            for (int j = 0; j < vectors; j++)
                total[j] = v_fma(entry[k][j], v_set1(row[i + k]), total[j]);
    }
    for (int j = 0; j < vectors; j++)
        v_store(sums + j * SV_W, total[j]);
    for (; i < rows; i++)
        fused_group(matrix + i * vectors * SV_W, vectors * SV_W, x, weight + i, row + i, sums, 1, divide);
}

INLINE void fused_product(const real *matrix, size_t rows, size_t ld, const real *x, const real *weight, real *row,
                          real *sums, int divide)
{
#if defined(__AVX512F__) && !defined(SV_PLAIN_C) /* 32 registers */
    switch (ld / SV_W) {
    case 1: fused_narrow(matrix, rows, x, weight, row, sums, 1, 4, divide); return;
    case 2: fused_narrow(matrix, rows, x, weight, row, sums, 2, 4, divide); return;
    case 3: fused_narrow(matrix, rows, x, weight, row, sums, 3, 4, divide); return;
    case 4: fused_narrow(matrix, rows, x, weight, row, sums, 4, 4, divide); return;
    case 6: fused_narrow(matrix, rows, x, weight, row, sums, 6, 2, divide); return;
    case 8: fused_narrow(matrix, rows, x, weight, row, sums, 8, 2, divide); return;
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
