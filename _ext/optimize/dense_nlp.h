/* sv_nlp (nlp.h) of a program whose Jacobian and Hessian are dense: products, factors of K, and a memo of the last points.
 *
 * A function is evaluated once a point: of a trial that is refused f and c, of one that is taken everything, and nothing
 * twice. Matrices are row-major. K is scaled to diag(s) K diag(s) (s powers of two: no rounding), so that rows of H + diag(dx)
 * and of J are of size 1 whatever the units, and factored by ldl.h; solves are refined with K itself.
 *
 * Cost: factor (n + m)^3 / 3 flops; solve 4 (n + m)^2, and as much for each step of refinement; products 2 n m and 2 n^2.
 * Memory: SV_DENSE_POINTS Jacobians, H and K.
 */
#ifndef SOLVERS_OPTIMIZE_DENSE_NLP_H
#define SOLVERS_OPTIMIZE_DENSE_NLP_H

#include "ldl.h"
#include "nlp.h"
#include "quasi.h"

enum { SV_DENSE_POINTS = 4 };

/* What is known at a point, times the scales. */
typedef struct sv_dense_point {
    double *x, *c, *g, *J;
    double f;
    int64_t f_known, c_known, g_known, J_known;
    int64_t used; /* when it was last asked for */
} sv_dense_point;

typedef struct sv_dense {
    int64_t n, m;
    /* The program's functions, each with its own data, which return 0 or SV_STOP (compiled.h has such ones). */
    int (*value)(void *data, const double *x, double *f);
    int (*gradient)(void *data, const double *x, double *g);
    int (*constraints)(void *data, const double *x, double *c);
    int (*jacobian)(void *data, const double *x, double *J);
    int (*hessian)(void *data, const double *x, double sigma, const double *y, double *H);
    void *value_data, *gradient_data, *constraints_data, *jacobian_data, *hessian_data;
    int64_t nfev, njev, nhev, row_nfev, row_njev; /* calls: of the objective's functions, of the rows' */
    int quasi; /* which approximation (quasi.h) stands for `hessian`, if any */
    /* Below is ours. */
    double f_scale, *c_scale;
    sv_dense_point point[SV_DENSE_POINTS];
    sv_dense_point *current; /* whose J is the current one; NULL: none yet */
    int64_t time;
    double *H, *H_x, *H_y, H_sigma; /* the current Hessian, both triangles, and where it was taken; H_known: whether it was */
    int64_t H_known;
    double *carried, *quasi_work;
    sv_ldl ldl;
    double *s, *dx, *dc, *rest, *change, *product;
    int with_hessian;
} sv_dense;

/* Doubles of memory for a program of n variables and m rows. */
SV_BINDING int64_t sv_dense_size(int64_t n, int64_t m);

/* Readies `of`, whose n, m, quasi, functions and ldl.sytrf, ldl.sytrs are set, and fills the table. */
SV_BINDING void sv_dense_begin(sv_dense *of, double *memory, sv_nlp *table);

struct dense_nlp_kernels {
    /* The largest |values| or |values * times|, NaN where one is not finite. */
    double (*most)(const double *values, const double *times, size_t count);
    /* out = by * values * times. */
    void (*scaled)(const double *values, double by, const double *times, size_t count, double *out);
};

#endif
