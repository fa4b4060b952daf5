/* Preconditioned conjugate gradients (see conjugate_gradients.h): beside the products an iteration passes over six
 * vectors. In SciPy: scipy.sparse.linalg.cg(S, rhs, x, M=M)
 */
#include <math.h>
#include <string.h>

#include "conjugate_gradients.h"

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

static int all_zero(const double *x, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (x[k] != 0)
            return 0;
    return 1;
}

/* r = rhs - S x */
static void residual_at(const struct ot_linear_system *system, const double *rhs, const double *x, double *r)
{
    memcpy(r, rhs, system->size * sizeof(double));
    if (all_zero(x, system->size))
        return;
    system->product(system->context, x, r);
    for (size_t j = 0; j < system->size; j++)
        r[j] = rhs[j] - r[j];
}

int sv_ot_conjugate_gradients(const struct ot_linear_system *system, const double *rhs, double *x, double goal,
                              int max_iter, double *residual, double *work)
{
    const size_t size = system->size;
    double *r = work, *z = r + size, *direction = z + size, *product = direction + size;
    residual_at(system, rhs, x, r);
    double rho = 0;
    int iteration = 0;
    for (*residual = sqrt(dot(r, r, size)); *residual > goal && iteration < max_iter; iteration++) {
        system->precondition(system->context, r, z);
        double next = dot(r, z, size), keep = iteration ? next / rho : 0;
        for (size_t j = 0; j < size; j++)
            direction[j] = z[j] + (iteration ? keep * direction[j] : 0);
        rho = next;
        system->product(system->context, direction, product);
        double curvature = dot(direction, product, size);
        if (!(curvature > 0)) /* along the null vector, up to rounding */
            break;
        double step = rho / curvature;
        for (size_t j = 0; j < size; j++) {
            x[j] += step * direction[j];
            r[j] -= step * product[j];
        }
        *residual = sqrt(dot(r, r, size));
    }
    return iteration;
}
