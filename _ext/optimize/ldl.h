/* K = L D L' of a symmetric, possibly indefinite matrix, with its inertia, and solves with it.
 *
 * Rows and columns are interchanged (rook pivoting, so that the entries of L stay below 2.8) and D has blocks of 1x1 and 2x2.
 * A row and column that elimination leaves below `tiny` in every entry counts as an eigenvalue 0: a change of K by so much
 * makes it one. Solves leave such a component of D^-1 out, which gives one of the solutions where there is one.
 *
 * K is row-major, its upper triangle is read and overwritten, what lies below is scratch; rows begin `stride` apart, a
 * multiple of SV_LDL_PAD, and the columns from n to the stride are zeros.
 *
 * From SV_LDL_BLOCKED on LAPACK's sytrf and sytrs serve, handed in, since the library links none (NULL: never).
 */
#ifndef SOLVERS_OPTIMIZE_LDL_H
#define SOLVERS_OPTIMIZE_LDL_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

enum { SV_LDL_PAD = 8, SV_LDL_BLOCKED = 256, SV_LDL_PANEL = 64 };

typedef void (*sv_sytrf)(char *uplo, int *n, double *a, int *lda, int *ipiv, double *work, int *lwork, int *info);
typedef void (*sv_sytrs)(char *uplo, int *n, int *nrhs, double *a, int *lda, int *ipiv, double *b, int *ldb, int *info);

/* A factor, in the caller's memory. */
typedef struct sv_ldl {
    int64_t n, stride;
    double *K;        /* n * stride; after factoring the rows of L' right of the diagonal */
    double *inverse;  /* 2 * n: D^-1, the diagonal, then the entry (k, k + 1) of 2x2 blocks, else 0 */
    double *work;     /* sv_ldl_work(n) */
    int32_t *order;   /* n: row k of the factor is row order[k] of K; or LAPACK's pivots */
    sv_sytrf sytrf;
    sv_sytrs sytrs;
    int64_t negative, zero;
} sv_ldl;

/* The smallest stride of n columns, and doubles of work. */
SV_BINDING int64_t sv_ldl_stride(int64_t n);
SV_BINDING int64_t sv_ldl_work(int64_t n);

/* Factors K in place and counts its eigenvalues < 0 and = 0. */
SV_BINDING void sv_ldl_factor(sv_ldl *of, double tiny);

/* b := K^-1 b. */
SV_BINDING void sv_ldl_solve(const sv_ldl *of, double *b);

struct ldl_kernels {
    void (*factor)(sv_ldl *of, double tiny);
    void (*solve)(const sv_ldl *of, double *b);
};

#endif
