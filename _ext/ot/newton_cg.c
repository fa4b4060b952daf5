/* Conjugate gradients for the thinned Newton system of entropic optimal transport.
 *
 *     M (x; y) = (p; q),   M = [diag(r) P; P' diag(c)],   P sparse, r and c the full plan's sums
 *
 * M is diagonally dominant (the sums count the dropped entries too) and positive semidefinite; its
 * one null vector, where nothing was dropped, is (1; -1), to which a gradient is orthogonal.
 * One traversal of P serves both halves of a product. An iteration moves 12 bytes and does 4 flops
 * an entry, and 13 vectors of length n + m: bound by the cache that holds P.
 *
 * In SciPy: scipy.sparse.linalg.cg(M, rhs, M=diags(1 / M.diagonal()))
 */
#include <math.h>
#include <string.h>

#include "ot.h"

static void multiply(const struct sv_ot_sparse_hessian *h, const double *x, double *out)
{
    const double *y = x + h->n;
    double *out_y = out + h->n;
    for (size_t j = 0; j < h->m; j++)
        out_y[j] = h->column_sums[j] * y[j];
    for (size_t i = 0; i < h->n; i++) {
        double sum = h->row_sums[i] * x[i];
        for (ptrdiff_t k = h->row_starts[i]; k < h->row_starts[i + 1]; k++) {
            int j = h->columns[k];
            sum += h->values[k] * y[j];
            out_y[j] += h->values[k] * x[i];
        }
        out[i] = sum;
    }
}

static double dot(const double *x, const double *y, size_t n)
{
    double sum[4] = {0};
    size_t k = 0;
    for (; k + 4 <= n; k += 4)
        for (int lane = 0; lane < 4; lane++)
            sum[lane] += x[k + lane] * y[k + lane];
    for (; k < n; k++)
        sum[0] += x[k] * y[k];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void precondition(const struct sv_ot_sparse_hessian *h, const double *residual, double *out)
{
    for (size_t i = 0; i < h->n; i++)
        out[i] = residual[i] / h->row_sums[i];
    for (size_t j = 0; j < h->m; j++)
        out[h->n + j] = residual[h->n + j] / h->column_sums[j];
}

int sv_ot_newton_cg(const struct sv_ot_sparse_hessian *h, const double *p, const double *q, double *x, double *y,
                    double rtol, int max_iter, double *work)
{
    const size_t size = h->n + h->m;
    double *residual = work, *direction = work + size, *product = work + 2 * size, *scaled = work + 3 * size;
    memcpy(residual, p, h->n * sizeof(double));
    memcpy(residual + h->n, q, h->m * sizeof(double));
    memset(x, 0, h->n * sizeof(double));
    memset(y, 0, h->m * sizeof(double));
    precondition(h, residual, direction);
    double rho = dot(residual, direction, size), goal = rtol * sqrt(dot(residual, residual, size));
    int iteration = 0;
    for (; iteration < max_iter && rho > 0; iteration++) {
        multiply(h, direction, product);
        double curvature = dot(direction, product, size);
        if (!(curvature > 0)) /* along the null vector, up to rounding */
            break;
        double step = rho / curvature;
        for (size_t i = 0; i < h->n; i++)
            x[i] += step * direction[i];
        for (size_t j = 0; j < h->m; j++)
            y[j] += step * direction[h->n + j];
        for (size_t k = 0; k < size; k++)
            residual[k] -= step * product[k];
        if (sqrt(dot(residual, residual, size)) <= goal)
            return iteration + 1;
        precondition(h, residual, scaled);
        double next = dot(residual, scaled, size);
        for (size_t k = 0; k < size; k++)
            direction[k] = scaled[k] + next / rho * direction[k];
        rho = next;
    }
    return iteration;
}
