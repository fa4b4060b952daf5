/* What a kernel may know of the CPU beside the instruction set. */
#ifndef SOLVERS_CPU_H
#define SOLVERS_CPU_H

/* Whether vectors are shuffled beside as many multiply-adds as the CPU can do: AMD's. Intel's with AVX-512 do one of them
 * less. */
int sv_shuffles_beside(void);

#endif
