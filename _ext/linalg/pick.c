/* The kernels of the level in use. */
#include "csr.h"
#include "tuner.h"
#include "vectors.h"

typedef const struct sv_operand_kernels *const csr_tables[4];

SV_DISPATCH(csr_tables, csr_table, csr_kernels_f64)
SV_DISPATCH(struct vector_kernels, vector_table, vector_kernels_f64)
SV_DISPATCH(struct sv_tuner_kind, gaussian_table, tuner_gaussian_f64)

const struct sv_operand_kernels *sv_csr_kernels(int wide_indices, int float32_values)
{
    return (*csr_table())[2 * !!wide_indices + !!float32_values];
}

const struct vector_kernels *linalg_vectors(void) { return vector_table(); }

const struct sv_tuner_kind *sv_tuner_gaussian(void) { return gaussian_table(); }
