/* The losses of a linear model, of a margin or prediction z and a target y. */
#ifndef SOLVERS_LOSS_KINDS_H
#define SOLVERS_LOSS_KINDS_H

/* The numbers are also those of the classes in learning/_losses.py. */
enum sv_loss_kind { SV_LOSS_SQUARED, SV_LOSS_LOGISTIC, SV_LOSS_HUBER, SV_LOSS_SQUARED_HINGE, SV_LOSS_POISSON };

#endif
