/* The passes that certify an answer of entropic optimal transport. */
#ifndef SOLVERS_OT_CERTIFICATE_H
#define SOLVERS_OT_CERTIFICATE_H

#include "ot.h"

/* Scales the plan below its marginals. With F_ij = x_i y_j P_ij, y (m,) given and x_i <= 1 the largest number with
 * sum_j F_ij <= a_i: x, row_sums and column_sums of F, and sum_ij (C_ij - offset_i) F_ij (returned).
 * work: sv_ot_worksize(n, m) doubles. */
SV_BINDING double sv_ot_scale_below(const struct sv_ot_cost *cost, double scale, const double *a, const double *u,
                                    const double *v, const double *y, double *x, double *row_sums,
                                    double *column_sums, double *work, int threads);

/* What one pass finds of a plan P and of F = P diag(y). */
struct ot_examined {
    double *row_sums, *column_sums; /* of P */
    double *below_rows;             /* row sums of F */
    double *column_max;             /* max_i u_i - scale * (C_ij - offset_i) */
    double paid, paid_below;        /* sum_ij (C_ij - offset_i) times the entries of P and of F */
    double least;                   /* given: entries below 2 to this may be taken for 0 */
};

/* sv_ot_marginals, sv_ot_column_max and what F has, in one read of C with one exponential an entry; row and column sums,
 * the paid of P and the maxima are theirs to the bit, but for what is lost below 2^least. work: sv_ot_worksize(n, m) doubles. */
SV_BINDING void sv_ot_examine(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                              const double *y, struct ot_examined *out, double *work, int threads);

/* row_max_i = max_j v_j - scale * (C_ij - offset_i), and product_i = sum_j (C_ij - offset_i) w_j. */
SV_BINDING void sv_ot_row_max(const struct sv_ot_cost *cost, double scale, const double *v, const double *w,
                              double *row_max, double *product, int threads);

/* What a level provides: the same for the rows [first, last), column sums being added to. `room`: that of one row, of two
 * for examine. */
struct ot_certificate_kernels {
    double (*scale_below)(const struct sv_ot_cost *cost, double scale, const double *a, const double *u,
                          const double *v, const double *y, double *x, double *row_sums, double *column_sums,
                          double *room, size_t first, size_t last);
    void (*row_max)(const struct sv_ot_cost *cost, double scale, const double *v, const double *w, double *row_max,
                    double *product, size_t first, size_t last);
    /* out: what is paid, columns and maxima are added to. */
    void (*examine)(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *y,
                    struct ot_examined *out, double *room, size_t first, size_t last);
};

#endif
