/* Runs of cells that take part, and what they hang together as. See mask_runs.c. */
#ifndef SOLVERS_LINALG_MASK_RUNS_H
#define SOLVERS_LINALG_MASK_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* Whether each part of a mask (a byte a cell in C order, 0 for a cell that takes no part), neighbours being joined, has a
 * cell at an end of the box for which `wall` is not 0. 0 too where there is no memory to tell. */
SV_BINDING int sv_mask_drained(const uint8_t *mask, const size_t shape[3], const int wall[3][2]);

#endif
