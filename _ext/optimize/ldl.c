/* L D L' by the kernel for small orders, by LAPACK for large ones: see ldl.h. */
#include "ldl.h"

#include <math.h>

SV_DISPATCH(struct ldl_kernels, kernel_table, ldl_kernels_f64)

int64_t sv_ldl_stride(int64_t n) { return (n + SV_LDL_PAD - 1) / SV_LDL_PAD * SV_LDL_PAD; }

int64_t sv_ldl_work(int64_t n) { return n < SV_LDL_BLOCKED ? 2 * sv_ldl_stride(n) : SV_LDL_PANEL * n; }

static int blocked(const sv_ldl *of) { return of->sytrf && of->n >= SV_LDL_BLOCKED; }

/* The signs of D as LAPACK leaves it. What is nothing but rounding becomes so large that solves leave it out. */
static void count(sv_ldl *of, double tiny)
{
    of->negative = of->zero = 0;
    for (int64_t k = 0; k < of->n; k++) {
        double *d = of->K + k * of->stride + k;
        if (of->order[k] < 0) { /* a block of two, one eigenvalue on each side of 0 */
            if (fabs(d[1]) <= tiny) {
                d[0] = d[of->stride + 1] = 0;
                d[1] = 0x1p1000;
                of->zero += 2;
            } else {
                of->negative++;
            }
            k++;
        } else if (fabs(*d) <= tiny) {
            *d = INFINITY;
            of->zero++;
        } else {
            of->negative += *d < 0;
        }
    }
}

void sv_ldl_factor(sv_ldl *of, double tiny)
{
    if (!blocked(of)) {
        kernel_table()->factor(of, tiny);
        return;
    }
    /* A row-major upper triangle is Fortran's lower one. */
    int n = (int)of->n, stride = (int)of->stride, lwork = (int)sv_ldl_work(of->n), info = 0;
    of->sytrf("L", &n, of->K, &stride, of->order, of->work, &lwork, &info);
    count(of, tiny);
}

void sv_ldl_solve(const sv_ldl *of, double *b)
{
    if (!blocked(of)) {
        kernel_table()->solve(of, b);
        return;
    }
    int n = (int)of->n, stride = (int)of->stride, one = 1, info = 0;
    of->sytrs("L", &n, &one, of->K, &stride, of->order, b, &n, &info);
}
