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
