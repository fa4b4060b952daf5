/* Picks the kernels of losses.h for this CPU. */
#include "losses.h"

SV_DISPATCH(struct loss_kernels, kernel_table, loss_kernels_f64)

void sv_learning_loss(const struct sv_loss *loss, const double *z, const double *way, double share, double *trial,
                      double *derivative, double *second, struct sv_loss_sums *sums)
{
    kernel_table()->evaluate(loss, z, way, share, trial, derivative, second, sums);
}

double sv_learning_conjugate(const struct sv_loss *loss, const double *v, double share)
{
    return kernel_table()->conjugate(loss, v, share);
}
