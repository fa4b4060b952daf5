/* The pick of the projection's kernel for this CPU: see simplex.h. */
#include "simplex.h"

SV_DISPATCH(struct simplex_kernels, kernel_table, simplex_kernels_f64)

double sv_equilibrium_simplex(const double *v, size_t n, double mass, double guess, double *out, double *work)
{
    return kernel_table()->project(v, n, mass, guess, out, work);
}
