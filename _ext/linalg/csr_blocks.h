/* Passes over compressed rows that have no order in the rows: tasks on blocks of them. */
#ifndef SOLVERS_LINALG_CSR_BLOCKS_H
#define SOLVERS_LINALG_CSR_BLOCKS_H

#include "operand.h"

/* At most BLOCKS tasks, of no less than BLOCK_ROWS rows each. */
enum { BLOCKS = 64, BLOCK_ROWS = 4096 };

struct csr_pass {
    const struct sv_operand *A;
    double factor, momentum;
    const double *b, *x;
    double *out;
    size_t rows; /* of a block */
    double sums[BLOCKS];
};

/* Runs the task on blocks of the n rows, which depend on n alone; returns the sum of what they summed. */
static inline double in_blocks(struct csr_pass *pass, size_t n, sv_task task)
{
    size_t blocks = n / BLOCK_ROWS < 1 ? 1 : n / BLOCK_ROWS;
    if (blocks > BLOCKS)
        blocks = BLOCKS;
    pass->rows = (n + blocks - 1) / blocks;
    sv_parallel_for(pass->A->threads, blocks, task, pass);
    double sum = 0;
    for (size_t k = 0; k < blocks; k++)
        sum += pass->sums[k];
    return sum;
}

#endif
