/* Parts of a step on a quadratic function. 12 bytes and 2 flops an entry of A; 8 bytes and 2 flops an entry of H for a
 * coordinate that moves. A sweep in NumPy:
 *
 *     for i in range(n):
 *         v = clip(soft(u[i] - g[i] / H[i, i], l1[i] / H[i, i]), lower[i], upper[i])
 *         g += H[i] * (v - u[i]); u[i] = v
 */
#include "quadratic.h"

#include <math.h>
#include <string.h>

void sv_add_columns(const struct sv_rows *A, size_t count, const int64_t *block, const double *s, double *g)
{
    for (size_t k = 0; k < count; k++)
        for (int64_t e = A->starts[block[k]]; s[k] != 0 && e < A->starts[block[k] + 1]; e++)
            g[A->columns[e]] += A->values[e] * s[k];
}

void sv_block_of(const struct sv_rows *A, size_t count, const int64_t *block, int32_t *work, double *H)
{
    memset(H, 0, count * count * sizeof *H);
    for (size_t j = 0; j < count; j++)
        work[block[j]] = (int32_t)j + 1;
    for (size_t i = 0; i < count; i++)
        for (int64_t e = A->starts[block[i]]; e < A->starts[block[i] + 1]; e++)
            if (work[A->columns[e]])
                H[i * count + (size_t)work[A->columns[e]] - 1] += A->values[e];
    for (size_t j = 0; j < count; j++)
        work[block[j]] = 0;
}

double sv_block_sweeps(size_t n, const double *H, const struct sv_box *box, int sweeps, double *u, double *g)
{
    double largest = 0;
    for (int sweep = 0; sweep < sweeps; sweep++) {
        largest = 0;
        for (size_t i = 0; i < n; i++) {
            double curvature = H[i * n + i];
            if (!(curvature > 0))
                continue;
            double v = u[i] - g[i] / curvature;
            if (box->l1[i] > 0)
                v = copysign(fmax(fabs(v) - box->l1[i] / curvature, 0), v);
            v = fmin(fmax(v, box->lower[i]), box->upper[i]);
            double change = v - u[i];
            if (change == 0)
                continue;
            u[i] = v;
            largest = fmax(largest, fabs(change) * curvature);
            for (size_t j = 0; j < n; j++)
                g[j] += H[i * n + j] * change;
        }
    }
    return largest;
}
