/* A nonlinear program's functions that users have compiled, called without the interpreter.
 *
 * The objective's are those of minimize's other methods; those of the constraints come in blocks of rows, one a constraint
 * object of the user's, each with its own user_data. Matrices are row-major, and arrive filled with zeros: what a function
 * does not write is 0. Of a Hessian the lower triangle (row >= column) is read. x and y must not be changed. NaN and infinity
 * say that a function is not defined at x; there is no other way to fail.
 *
 *     double fun(int n, double *x, void *user_data)                                      f(x)
 *     void   jac(int n, double *x, double *g, void *user_data)                           g (n): its gradient
 *     void   hess(int n, double *x, double *H, void *user_data)                          H (n x n): its Hessian
 *
 *     void   con(int n, int m, double *x, double *c, void *user_data)                    c (m): the rows of a block
 *     void   con_jac(int n, int m, double *x, double *J, void *user_data)                J (m x n): their Jacobian
 *     void   con_hess(int n, int m, double *x, double *y, double *H, void *user_data)    H (n x n): the Hessian of y'c
 */
#ifndef SOLVERS_OPTIMIZE_COMPILED_H
#define SOLVERS_OPTIMIZE_COMPILED_H

#include <stdint.h>

#include "runtime.h"

typedef double sv_compiled_fun(int n, double *x, void *user_data);
typedef void sv_compiled_vector(int n, double *x, double *out, void *user_data);
typedef void sv_compiled_rows(int n, int m, double *x, double *out, void *user_data);
typedef void sv_compiled_curvature(int n, int m, double *x, double *y, double *H, void *user_data);

/* A block of rows: of functions, or linear where there is a matrix (count x n). */
typedef struct sv_compiled_block {
    int64_t count;
    const double *matrix;
    sv_compiled_rows *con, *con_jac;
    sv_compiled_curvature *con_hess; /* NULL: the rows do not curve */
    void *con_data, *con_jac_data, *con_hess_data;
} sv_compiled_block;

typedef struct sv_compiled {
    int64_t n, blocks;
    sv_compiled_fun *fun;
    sv_compiled_vector *jac, *hess; /* hess NULL: f does not curve */
    void *fun_data, *jac_data, *hess_data;
    const sv_compiled_block *block;
    double *work; /* n * n numbers */
} sv_compiled;

/* The whole program's functions, which return 0 (`data` is an sv_compiled): f; g (n); c and J of all blocks, one after the
 * other; and the lower triangle of H (n x n), the Hessian of sigma f + y'c. */
SV_BINDING int sv_compiled_value(void *data, const double *x, double *f);
SV_BINDING int sv_compiled_gradient(void *data, const double *x, double *g);
SV_BINDING int sv_compiled_constraints(void *data, const double *x, double *c);
SV_BINDING int sv_compiled_jacobian(void *data, const double *x, double *J);
SV_BINDING int sv_compiled_hessian(void *data, const double *x, double sigma, const double *y, double *H);

#endif
