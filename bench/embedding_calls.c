/* Loops of calls from C, for bench/embedding.py: what a call costs a program that has no Python in it. */
#include <stdint.h>

#include "solvers.h"

void loop_softmax(long calls, const double *x, double *y, size_t length)
{
    for (long k = 0; k < calls; k++)
        sv_softmax_f64(x, (ptrdiff_t)length, y, (ptrdiff_t)length, 1, length, 1);
}

void loop_sweep(long calls, sv_linear *A, const double *b, double *x)
{
    for (long k = 0; k < calls; k++)
        sv_linear_sweep(A, SV_ORDERING_NATURAL, SV_FORWARD_SWEEP, 1.5, 1, b, x, 1);
}

/* One call of so many sweeps: the kernel alone. */
void loop_kernel(long calls, sv_linear *A, const double *b, double *x)
{
    sv_linear_sweep(A, SV_ORDERING_NATURAL, SV_FORWARD_SWEEP, 1.5, (int)calls, b, x, 1);
}

void loop_apply(long calls, sv_multilevel *M, const double *r, double *z)
{
    for (long k = 0; k < calls; k++)
        sv_multilevel_apply(M, r, z);
}

void loop_solve(long calls, sv_linear *A, const double *b, double *x, size_t n)
{
    for (long k = 0; k < calls; k++) {
        for (size_t i = 0; i < n; i++)
            x[i] = 0;
        sv_linear_solve(A, b, x, NULL, NULL, NULL);
    }
}

/* A matrix made, solved with and let go, each time. */
void loop_made(long calls, size_t n, size_t entries, const int64_t *starts, const int64_t *columns,
               const double *values, const double *b, double *x)
{
    for (long k = 0; k < calls; k++) {
        sv_linear *A;
        sv_linear_from_csr_i64(n, entries, starts, columns, values, &A);
        loop_solve(1, A, b, x, n);
        sv_linear_destroy(A);
    }
}
