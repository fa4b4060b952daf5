/* Conjugate gradients for S x = rhs, given the product with S and with a preconditioner. */
#ifndef SOLVERS_OT_CONJUGATE_GRADIENTS_H
#define SOLVERS_OT_CONJUGATE_GRADIENTS_H

#include <stddef.h>

struct ot_linear_system {
    size_t size;
    void (*product)(void *context, const double *x, double *out);
    void (*precondition)(void *context, const double *r, double *out);
    void *context;
};

/* Doubles of work space for a system of this size. */
static inline size_t ot_cg_worksize(size_t size) { return 4 * size; }

/* From x, without a product where that is 0, until the residual's 2-norm is at most `goal`. Returns the iterations; *residual becomes that norm. */
int sv_ot_conjugate_gradients(const struct ot_linear_system *system, const double *rhs, double *x, double goal,
                              int max_iter, double *residual, double *work);

#endif
