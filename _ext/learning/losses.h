/* Losses of generalised linear models: value, derivatives and conjugates, one pass each over the samples. */
#ifndef SOLVERS_LEARNING_LOSSES_H
#define SOLVERS_LEARNING_LOSSES_H

#include <stddef.h>

#include "loss_kinds.h"
#include "runtime.h"

struct sv_loss {
    int kind;
    size_t n;
    const double *y; /* targets; labels are +1 and -1 */
    const double *s; /* weights of the samples, > 0; NULL: ones */
};

/* What one pass tells beside the arrays: of the value and of its derivative v in z. */
struct sv_loss_sums {
    double value;  /* sum s loss(z, y) */
    double square; /* sum v^2 / s */
    double cross;  /* sum v y */
    double total;  /* sum v */
};

/* At z, or where `way` is given at trial = z + share way. derivative and second (the diagonal of the Hessian in z) are
 * written where they are not NULL. */
SV_BINDING void sv_learning_loss(const struct sv_loss *loss, const double *z, const double *way, double share,
                                 double *trial, double *derivative, double *second, struct sv_loss_sums *sums);

/* The conjugate, max over z of share v'z - loss(z), where it is finite; v of the losses whose conjugate the sums do not
 * tell: logistic and Poisson. */
SV_BINDING double sv_learning_conjugate(const struct sv_loss *loss, const double *v, double share);

/* What holds of a loss by its kind alone. */
struct sv_loss_traits {
    double curvature; /* the largest second derivative of a term of weight 1; infinity: there is none */
    int in_parts;     /* whether it is quadratic in parts, so that it has a least value at finite z, and the sums tell
                         its conjugate */
};
SV_BINDING struct sv_loss_traits sv_learning_loss_traits(int kind);

/* out = targets as a loss wants them: of labels of two classes -1, and 1 for the larger. Returns whether they fit: finite,
 * of two classes, or >= 0. */
SV_BINDING int sv_learning_targets(int kind, size_t n, const double *y, double *out);

struct loss_kernels {
    void (*evaluate)(const struct sv_loss *loss, const double *z, const double *way, double share, double *trial,
                     double *derivative, double *second, struct sv_loss_sums *sums);
    double (*conjugate)(const struct sv_loss *loss, const double *v, double share);
    /* out = y; returns whether all are finite. */
    int (*copied)(size_t n, const double *y, double *out);
};

#endif
