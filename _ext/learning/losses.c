/* What holds of the losses, and the pick of the kernels for this CPU: see losses.h. */
#include "losses.h"

#include <math.h>

SV_DISPATCH(struct loss_kernels, kernel_table, loss_kernels_f64)

void sv_learning_loss(const struct sv_loss *loss, const double *z, const double *way, double share, double *trial,
                      double *derivative, double *second, struct sv_loss_sums *sums)
{
    kernel_table()->evaluate(loss, z, way, share, trial, derivative, second, sums);
}

struct sv_loss_traits sv_learning_loss_traits(int kind)
{
    if (kind == SV_LOSS_LOGISTIC)
        return (struct sv_loss_traits){0.25, 0};
    return kind == SV_LOSS_POISSON ? (struct sv_loss_traits){INFINITY, 0} : (struct sv_loss_traits){1, 1};
}

double sv_learning_conjugate(const struct sv_loss *loss, const double *v, double share)
{
    return kernel_table()->conjugate(loss, v, share);
}

/* Labels of two classes as -1 and 1, the larger of which is 1. */
static int signs_of(size_t n, const double *y, double *out)
{
    size_t lower = 0, upper = 0;
    double low = n ? y[0] : 0, high = low;
    for (size_t i = 0; i < n; i++) {
        low = y[i] < low ? y[i] : low;
        high = y[i] > high ? y[i] : high;
    }
    for (size_t i = 0; i < n; i++) {
        lower += y[i] == low;
        upper += y[i] == high;
        out[i] = y[i] == high ? 1 : -1;
    }
    return low < high && lower + upper == n; /* a NaN is neither */
}

int sv_learning_targets(int kind, size_t n, const double *y, double *out)
{
    int fits = 1;
    if (kind == SV_LOSS_LOGISTIC || kind == SV_LOSS_SQUARED_HINGE)
        return signs_of(n, y, out);
    for (size_t i = 0; kind == SV_LOSS_POISSON && i < n; i++)
        fits &= y[i] >= 0;
    return kernel_table()->copied(n, y, out) && fits;
}
