/* The kernels of the level in use. */
#include "bsr.h"
#include "csr.h"
#include "sell.h"
#include "tuner.h"
#include "vectors.h"

typedef const struct sv_operand_kernels *const csr_tables[4];
typedef const struct sv_operand_kernels *const sell_tables[2];
typedef const sv_csr_columns column_tables[4];
typedef const sv_bsr_sweep node_tables[4];

SV_DISPATCH(csr_tables, csr_table, csr_kernels_f64)
SV_DISPATCH(csr_tables, complex_table, complex_kernels_f64)
SV_DISPATCH(column_tables, column_table, csr_columns_f64)
SV_DISPATCH(node_tables, node_table, bsr_sweeps_f64)
SV_DISPATCH(sell_tables, sell_table, sell_kernels_f64)
SV_DISPATCH(struct vector_kernels, vector_table, vector_kernels_f64)
SV_DISPATCH(struct sv_tuner_kind, gaussian_table, tuner_gaussian_f64)

const struct sv_operand_kernels *sv_csr_kernels(int wide_indices, int float32_values)
{
    return (*csr_table())[2 * !!wide_indices + !!float32_values];
}

const struct sv_operand_kernels *sv_complex_kernels(int wide_indices, int float32_parts)
{
    return (*complex_table())[2 * !!wide_indices + !!float32_parts];
}

void sv_csr_sweep_columns(int wide_indices, int float32_values, const struct sv_operand *A, double omega,
                          enum sv_direction direction, size_t count, const double *b, double *x)
{
    (*column_table())[2 * !!wide_indices + !!float32_values](A, omega, direction, count, b, x);
}

void sv_bsr_sweep_nodes(int wide_indices, int float32_values, const struct sv_bsr *A, double omega,
                        enum sv_direction direction, size_t count, const double *b, double *x)
{
    (*node_table())[2 * !!wide_indices + !!float32_values](A, omega, direction, count, b, x);
}

const struct sv_operand_kernels *sv_sell_kernels(int float32_values) { return (*sell_table())[!!float32_values]; }

const struct vector_kernels *sv_linalg_vectors(void) { return vector_table(); }

const struct sv_tuner_kind *sv_tuner_gaussian(void) { return gaussian_table(); }
