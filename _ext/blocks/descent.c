/* Block descent at the instruction set in use: see descent.h. */
#include "descent.h"

SV_DISPATCH(struct descent_kernels, kernels, descent_kernels_f64)

void sv_descend(struct sv_descent *run, int64_t steps) { kernels()->descend(run, steps); }

void sv_largest(size_t n, const double *scores, size_t count, double *work, int64_t *chosen)
{
    kernels()->largest(n, scores, count, work, chosen);
}
