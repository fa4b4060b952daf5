/* A nonlinear program as the methods for it see one: its functions, and the linear algebra of its KKT systems.
 *
 *     min f(x)   with   lower <= x <= upper,   row_lower <= c(x) <= row_upper
 *
 * The functions and the matrices belong to whoever fills the table: dense in C (dense_nlp.c), or Python objects (nlp.pxi), which
 * may keep them sparse, or know products with them alone. A method sees vectors only: it never asks for an entry of a matrix.
 * There is one current Jacobian J and one current Hessian H; slopes() and curvature() replace them.
 *
 * Every function returns 0; SV_STOP where the solve must end at once (an exception is pending); or SV_FAILED where the linear
 * algebra cannot serve this K (a pivot that is 0, directions of negative curvature): the method then shifts it.
 */
#ifndef SOLVERS_OPTIMIZE_NLP_H
#define SOLVERS_OPTIMIZE_NLP_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

enum { SV_STOP = 1, SV_FAILED = 2 };

typedef struct sv_nlp {
    int64_t n, m;
    /* Whether all rows are known to be linear in x: their multipliers then do not enter H. */
    int64_t linear;
    void *data;
    /* Numbers that the owner of the table learns from step to step, an approximation of H for instance: 0 where the Hessian is
     * the functions' own. They lie in the method's state, zeros at its start, so that a copy of it goes on to the same bits;
     * carry() tells where they are, before anything else is asked for, and again where they have moved. */
    int64_t carried;
    void (*carry)(void *data, double *numbers);
    /* f(x) and c(x), times the scales; they may come out infinite or NaN, which is no error. f NULL: c alone is wanted, and
     * the objective is not called. */
    int (*values)(void *data, const double *x, double *f, double *c);
    /* The gradient of f at x; the Jacobian at x becomes the current one. A point that was asked for lately is remembered.
     * g NULL: the Jacobian alone is wanted. */
    int (*slopes)(void *data, const double *x, double *g);
    /* The Hessian of sigma f + y'c at x becomes the current one. SV_FAILED: it is not finite, and serves nothing. */
    int (*curvature)(void *data, const double *x, double sigma, const double *y);
    /* From now on f is multiplied by f_scale, c_i by c_scale[i] (powers of two); J, H and g accordingly. Called before the
     * first step, and with the same numbers again whenever a state is taken up. */
    int (*scale)(void *data, double f_scale, const double *c_scale);
    /* The largest |entry| of each row of J. */
    int (*rows)(void *data, double *out);
    /* out = J v,  out = J'y,  out = H v. */
    int (*jacobian)(void *data, const double *v, double *out);
    int (*adjoint)(void *data, const double *y, double *out);
    int (*hessian)(void *data, const double *v, double *out);
    /* Prepares K = [[H + diag(dx), J'], [J, -diag(dc)]] (H is left out where with_hessian is 0), and counts its eigenvalues
     * < 0 and = 0. A step along the solution is one of descent for the right reasons where negative = m and zero = 0.
     * negative = -1: not counted (iterative solvers; they return SV_FAILED where they meet negative curvature).
     * Entries of dx and dc may be huge (1e20 fixes a variable, or frees a row of its constraint). */
    int (*factor)(void *data, int with_hessian, const double *dx, const double *dc, int64_t *negative, int64_t *zero);
    /* out = K^-1 rhs, n + m numbers, refined until |rhs - K out| <= rtol |rhs| or as far as rounding lets it. */
    int (*solve)(void *data, const double *rhs, double rtol, double *out);
} sv_nlp;

/* Sides of the variables (n) and of the rows (m), in the scales in force; +-infinity where there is none. Rows whose sides
 * are equal are equalities.
 *
 * Multipliers y of the rows and z of the variables have the sign of grad f + J'y + z = 0: at most 0 at a lower side, at least
 * 0 at an upper one. */
struct sv_sides {
    const double *lower, *upper, *row_lower, *row_upper;
};

#endif
