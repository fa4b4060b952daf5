/* Users' compiled functions as those of one program: see compiled.h. Bookkeeping around calls; the product with the matrix of
 * linear rows reads it once. In NumPy:
 *     c = np.concatenate([A @ x if linear else con(x) for ...]);   H = sigma * hess(x) + sum(con_hess(x, y[block]) for ...)
 */
#include "compiled.h"

#include <string.h>

int sv_compiled_value(void *data, const double *x, double *f)
{
    const sv_compiled *P = data;
    *f = P->fun((int)P->n, (double *)x, P->fun_data);
    return 0;
}

int sv_compiled_gradient(void *data, const double *x, double *g)
{
    const sv_compiled *P = data;
    memset(g, 0, (size_t)P->n * sizeof *g);
    P->jac((int)P->n, (double *)x, g, P->jac_data);
    return 0;
}

static void linear(const double *A, int64_t rows, int64_t n, const double *x, double *c)
{
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += A[i * n + j] * x[j];
        c[i] = sum;
    }
}

int sv_compiled_constraints(void *data, const double *x, double *c)
{
    const sv_compiled *P = data;
    for (const sv_compiled_block *b = P->block; b < P->block + P->blocks; c += b->count, b++)
        if (b->matrix) {
            linear(b->matrix, b->count, P->n, x, c);
        } else {
            memset(c, 0, (size_t)b->count * sizeof *c);
            b->con((int)P->n, (int)b->count, (double *)x, c, b->con_data);
        }
    return 0;
}

int sv_compiled_jacobian(void *data, const double *x, double *J)
{
    const sv_compiled *P = data;
    for (const sv_compiled_block *b = P->block; b < P->block + P->blocks; J += b->count * P->n, b++) {
        size_t bytes = (size_t)(b->count * P->n) * sizeof *J;
        if (b->matrix) {
            memcpy(J, b->matrix, bytes);
        } else {
            memset(J, 0, bytes);
            b->con_jac((int)P->n, (int)b->count, (double *)x, J, b->con_jac_data);
        }
    }
    return 0;
}

static void add(int64_t n, double by, const double *from, double *H)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            H[i * n + j] += by * from[i * n + j];
}

int sv_compiled_hessian(void *data, const double *x, double sigma, const double *y, double *H)
{
    const sv_compiled *P = data;
    size_t bytes = (size_t)(P->n * P->n) * sizeof *H;
    memset(H, 0, bytes);
    if (P->hess && sigma != 0) {
        memset(P->work, 0, bytes);
        P->hess((int)P->n, (double *)x, P->work, P->hess_data);
        add(P->n, sigma, P->work, H);
    }
    for (const sv_compiled_block *b = P->block; b < P->block + P->blocks; y += b->count, b++)
        if (b->con_hess) {
            memset(P->work, 0, bytes);
            b->con_hess((int)P->n, (int)b->count, (double *)x, (double *)y, P->work, b->con_hess_data);
            add(P->n, 1, P->work, H);
        }
    return 0;
}
