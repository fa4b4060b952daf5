/* Products of the plan with a few vectors. */
#ifndef SOLVERS_OT_PRODUCTS_H
#define SOLVERS_OT_PRODUCTS_H

#include "ot.h"

/* More vectors than this are better served by blocks of the plan and a matrix product. */
enum { OT_PRODUCT_MAX = 4 };

/* Doubles of work space for k <= OT_PRODUCT_MAX vectors. */
SV_BINDING size_t sv_ot_product_worksize(size_t n, size_t m, size_t k);

/* out (n, k) = P x', x (k, m), both contiguous. */
SV_BINDING void sv_ot_apply(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                            const double *x, size_t k, double *out, double *work, int threads);

/* out (k, m) = x' P, x (n, k), both contiguous. */
SV_BINDING void sv_ot_apply_transposed(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                                       const double *x, size_t k, double *out, double *work, int threads);

/* What a level provides: the same for the rows [first, last), the transposed product being added to `out`.
 * `room`: that of one row. */
struct ot_product_kernels {
    void (*apply)(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, const double *x,
                  size_t k, double *out, double *room, size_t first, size_t last);
    void (*apply_transposed)(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                             const double *x, size_t k, double *out, double *room, size_t first, size_t last);
};

#endif
