/* The incomplete Cholesky factor of a handle's matrix, made when it is first asked for and kept until the values change:
 * what Ic0Preconditioner is in Python. */
#include <stdlib.h>
#include <string.h>

#include "interface_systems.h"

/* A pivot at most this part of its diagonal entry breaks the factorisation; the shifts that are then tried. */
#define LEAST_PIVOT 1e-8
static const double shifts[] = {0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0};

static int64_t index_at(int wide, const void *indices, size_t k)
{
    return wide ? ((const int64_t *)indices)[k] : ((const int32_t *)indices)[k];
}

/* The upper triangle from the lower one, for a symmetric pattern: the mirror images of a row's entries come in the order
 * in which the rows are gone through. next: n numbers. */
static void mirror(const struct sv_linear *A, double *values, int64_t *next)
{
    for (size_t i = 0; i < A->n; i++)
        next[i] = index_at(A->wide, A->starts, i);
    for (size_t i = 0; i < A->n; i++)
        for (int64_t k = index_at(A->wide, A->starts, i); k < index_at(A->wide, A->starts, i + 1); k++) {
            const size_t j = (size_t)index_at(A->wide, A->columns, (size_t)k);
            const int64_t image = next[j]++;
            if (j > i)
                values[k] = values[image];
        }
}

static int factored(struct sv_linear *A, struct sv_factor *factor, int64_t *work)
{
    const struct sv_pattern pattern = {A->n, A->starts, A->columns, A->wide};
    if (!sv_linalg_symmetric_pattern(&pattern, NULL, work))
        return sv_fail(SV_INVALID, "A: its pattern is not symmetric, as SV_BY_IC0 needs");
    ptrdiff_t broken = 0;
    for (size_t k = 0; k < sizeof shifts / sizeof *shifts && broken >= 0; k++)
        broken = sv_ic0(A->n, A->wide, A->starts, A->columns, A->at, A->values, shifts[k], LEAST_PIVOT, factor->values);
    if (broken >= 0)
        return sv_fail(SV_INVALID, "A has no incomplete Cholesky factorisation, even with 11 times its diagonal");
    mirror(A, factor->values, work);
    for (size_t i = 0; i < A->n; i++) {
        factor->diagonal[i] = factor->values[index_at(A->wide, A->at, i)];
        factor->inverse[i] = 1 / factor->diagonal[i];
    }
    factor->csr.row_starts = A->starts, factor->csr.columns = A->columns, factor->csr.diagonal_at = A->at;
    factor->csr.values = factor->values, factor->csr.inverse_diagonal = factor->inverse;
    factor->operand.n = A->n, factor->operand.matrix = &factor->csr, factor->operand.diagonal = factor->diagonal;
    factor->operand.does = sv_csr_kernels(A->wide, 0);
    factor->operand.threads = 1;
    factor->valid = 1;
    return SV_OK;
}

int sv_linear_ic0(struct sv_linear *A, const struct sv_operand **operand)
{
    struct sv_factor *factor = &A->factor;
    if (A->box)
        return sv_fail(SV_INVALID, "A was made from a grid: SV_BY_IC0 takes a sparse matrix");
    if (!factor->valid) {
        int64_t *work = sv_zeros(A->n, sizeof *work);
        if (!factor->values) {
            factor->values = sv_zeros(A->entries, sizeof(double));
            factor->diagonal = sv_zeros(A->n, sizeof(double)), factor->inverse = sv_zeros(A->n, sizeof(double));
        }
        int status = work && factor->values && factor->diagonal && factor->inverse
                         ? factored(A, factor, work)
                         : sv_fail(SV_NO_MEMORY, "A: no memory for its factor");
        free(work);
        if (status)
            return status;
    }
    *operand = &factor->operand;
    return SV_OK;
}

void sv_factor_destroy(struct sv_factor *factor)
{
    free(factor->values), free(factor->diagonal), free(factor->inverse);
}
