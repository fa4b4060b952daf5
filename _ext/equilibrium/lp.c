/* Calls of the kernels for linear programs: see lp.h. One thread: a step of what fits the caches is shorter than the
 * two meetings of threads that it would take. */
#include "lp.h"

SV_DISPATCH(struct lp_kernels, kernel_table, lp_kernels_f64)

void sv_equilibrium_lp_steps(const struct sv_lp *lp, const struct sv_lp_state *state, double tau, double sigma,
                             int64_t after, int64_t count, double *tx, double *ty, double *dx, double *dy)
{
    kernel_table()->steps(lp, state, tau, sigma, after, count, tx, ty, dx, dy);
}

void sv_equilibrium_lp_product(const struct sv_lp *lp, const double *x, double *out)
{
    kernel_table()->product(lp, x, out);
}

void sv_equilibrium_lp_transposed(const struct sv_lp *lp, const double *y, double *out)
{
    kernel_table()->transposed(lp, y, out);
}
