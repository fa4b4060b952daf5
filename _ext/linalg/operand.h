/* What the iterative methods ask of a matrix. Each kind of matrix (csr.c, ...) provides one table of kernels a level; the
 * methods (sor.c, cg.c, ...) know no other way to a matrix.
 *
 * A = L + D + U: the strictly lower triangle, the diagonal, the strictly upper triangle, in the order in which the
 * operand keeps its unknowns; with 0 < omega < 2 let K = D / omega. Vectors are float64, n long, in that same order,
 * and do not overlap unless a line says so. An operand may pad its order with unknowns of its own: their rows are those
 * of the identity, and where vectors come in with 0 there they go out with 0.
 */
#ifndef SOLVERS_LINALG_OPERAND_H
#define SOLVERS_LINALG_OPERAND_H

#include <stddef.h>

#include "runtime.h"

struct sv_operand {
    size_t n;
    const struct sv_operand_kernels *does;
    const void *matrix;     /* as those kernels know it */
    const double *diagonal; /* (n,), none of them 0; NULL: all are `entry` */
    double entry;
    int threads;
};

enum sv_direction { SV_FORWARD, SV_BACKWARD };

/* What conjugate gradients in Eisenstat's variables keep: see ssor_cg.c. */
struct sv_ssor_vectors {
    double *x, *r, *v, *t;
    const double *q;
    double *kept; /* gets x too, where it is not NULL */
};

struct sv_operand_kernels {
    /* out = A x; returns x'A x. */
    double (*multiply)(const struct sv_operand *A, const double *x, double *out);

    /* r = b - A x; returns r'r. */
    double (*residual)(const struct sv_operand *A, const double *b, const double *x, double *r);

    /* x <- x + (K + L)^-1 (b - A x) in place, or with U for L where the direction is backward. */
    void (*sweep)(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b, double *x);

    /* The same, and returns r'r of the residual *before* the sweep, at no further read of A; d: work, (n,). */
    double (*measured_sweep)(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b,
                             double *x, double *d);

    /* out = x + momentum (x - out) + omega D^-1 (b - A x), where `out` holds an earlier x; returns r'r at x. Jacobi's
     * step with momentum 0 (out is then not read), Chebyshev's otherwise. */
    double (*jacobi)(const struct sv_operand *A, double omega, double momentum, const double *b, const double *x,
                     double *out);

    /* (K + L) out = rhs, and (K + U) out = rhs; in place where out is rhs. Here and in `eisenstat` what is in the result
     * before must be finite numbers: a kernel may multiply them by a zero that pads its rows. */
    void (*lower_solve)(const struct sv_operand *A, double omega, const double *rhs, double *out);
    void (*upper_solve)(const struct sv_operand *A, double omega, const double *rhs, double *out);

    /* q = t + (K + L)^-1 (v - (2/omega - 1) D t); returns v'q. With t = (K + U)^-1 v that is (K + L)^-1 A (K + U)^-1 v:
     * Eisenstat's product with the preconditioned matrix, in one read of A. */
    double (*eisenstat)(const struct sv_operand *A, double omega, const double *v, const double *t, double *q);

    /* out = (K + L) r; returns out'out: the true residual of one in Eisenstat's variables. Where there is an `advance`
     * out may be NULL: the sum alone. */
    double (*lower_product)(const struct sv_operand *A, double omega, const double *r, double *out);

    /* `count` sweeps at once, for less memory traffic than one by one and to the same bits; NULL where there is no such
     * way. */
    void (*sweeps)(const struct sv_operand *A, double omega, enum sv_direction direction, const double *b, double *x,
                   int count);

    /* Both passes of an iteration of SSOR-CG with its vector work; NULL where there is no such way. The first is
     * `eisenstat` and q'D q. The second: x += alpha t, r -= alpha q, v = D r + beta v, then t = (K + U)^-1 v with the
     * bits of `upper_solve`, whose result t must have been; returns r'D r. */
    double (*eisenstat_sums)(const struct sv_operand *A, double omega, const double *v, const double *t, double *q,
                             double *square);
    double (*advance)(const struct sv_operand *A, double omega, double alpha, double beta,
                      const struct sv_ssor_vectors *s);

    /* What comes before them: r = (K + L)^-1 (b - A x) and v = D r in one pass, which takes r'D r too. Returns the square
     * of b - A x with the bits of `residual`. */
    double (*begin)(const struct sv_operand *A, double omega, const double *b, const double *x, double *r, double *v,
                    double *rho);
};

#endif
