/* Coordinate descent on working sets, for penalised generalised linear models, with no help from BLAS:
 *
 *     minimise  F(w) = sum_i s_i loss(x_i'w, y_i) + sum_j l1_j |w_j| + 1/2 l2_j w_j^2   over  low <= w <= high
 *
 * X: dense columns, or CSC, and perhaps a last one of ones, which is stored nowhere. The method and its pieces:
 * coordinate_descent.c; the gap: coordinate_gap.c. Python's loop and the C interface run the same steps.
 */
#ifndef SOLVERS_LEARNING_COORDINATE_DESCENT_H
#define SOLVERS_LEARNING_COORDINATE_DESCENT_H

#include <stddef.h>
#include <stdint.h>

#include "losses.h"
#include "runtime.h"
#include "separable.h"
#include "sparse.h"

/* A fit. The caller owns all arrays, and changes none of them between the calls. */
struct sv_fit {
    size_t n, d;                 /* samples, features; coordinates: d, and one more with `ones` */
    int ones;
    struct sv_compressed sparse; /* CSC, where `dense` is NULL */
    const double *dense;         /* columns of n entries that begin `stride` apart */
    size_t stride;
    struct sv_loss loss;
    struct sv_separable penalty; /* of all coordinates; that of ones has none */
    const double *norms;         /* 2-norms of the columns: see sv_fit_norms */
    double tol;
    int64_t first;               /* columns of the first working set; 0: chosen */
    int screening, threads;
    int entries;                 /* SV_MIXED or SV_FLAT of sparse columns, as sv_fit_norms tells; 0: not known */
    int from_zero;               /* whether every fit starts at zero: what holds there is then left to sv_fit_begin */
    double *with_targets;        /* room for X'y, which sv_fit_norms then makes, too: of least squares from zero; or NULL */
    double *work;                /* sv_fit_work() doubles */
    int32_t *places;             /* 3 (d + 1) */
    /* By sv_fit_prepare. */
    struct sv_separable_kind kind; /* of the features' penalty */
    int selects;                 /* whether it may hold coefficients at zero */
    int whole;                   /* whether passes look at screened columns, too: of few, that spares the last pass */
    int flat;                    /* whether X is sparse, of columns of one value each, and its Gram matrix without weights */
    int at_once;                 /* whether that of all columns is cheap, too, by bits */
    double curvature, heaviest;  /* the loss's greatest, infinity where there is none; the largest weight of a sample */
    double at_zero;              /* the objective at w = 0; NaN before the first pass where fits start there */
};

/* Where a fit is: arrays and numbers, which may be saved and taken up again to the same bits. */
struct sv_fit_state {
    double *w, *z, *v, *g;       /* coefficients, X w, the loss's derivative in z and its gradient in w */
    uint8_t *alive, *working;    /* coordinates that may be nonzero at the optimum; that are worked on */
    double primal, dual, kkt;    /* the objective, the best lower bound so far (coordinate_gap.c), the violation */
    double measure;              /* what is compared with tol: see sv_fit_measure */
    double floor;                /* the least curvature of a sample in a model, as a share of the largest */
    int64_t nit, idle;           /* steps; those in a row that brought nothing */
    int64_t crawls;              /* whether sweeps were given up for a Gram matrix */
    int64_t newtons, grams, sweeps, products;
};

/* What is known of a w from one pass over the data. */
struct sv_fit_bounds {
    struct sv_loss_sums sums;
    double primal, dual, kkt;
    double share, apart; /* the dual point: share v, but for a part of norm `apart` that balances an intercept */
};

SV_BINDING size_t sv_fit_work(size_t n, size_t d);

/* Norms of the columns of X, that of ones included; sparse ones are added to what is there, zeros. Returns 0 where
 * indices of sparse columns do not rise or fit, else what `entries` says of a fit. */
SV_BINDING int sv_fit_norms(const struct sv_fit *fit, double *norms);
/* What holds of the fit at all; all fields above are set. */
SV_BINDING void sv_fit_prepare(struct sv_fit *fit);

/* The state at state->w, before the first step; `guess` (may be NULL) marks columns that are likely to be in use. */
SV_BINDING void sv_fit_begin(struct sv_fit *fit, struct sv_fit_state *state, const uint8_t *guess);
/* A larger working set, the objective minimised on it, a pass over the data. */
SV_BINDING void sv_fit_step(struct sv_fit *fit, struct sv_fit_state *state);
/* SV_CONVERGED, or a failure; -1 to go on. */
SV_BINDING int sv_fit_reached(const struct sv_fit *fit, const struct sv_fit_state *state);

/* Whether no penalty and no bound ends the way along w, and all labels lie on their sides of the plane z = X w = 0: the loss
 * falls for ever along it. */
SV_BINDING int sv_fit_separates(const struct sv_fit *fit, const double *w, const double *z);

/* All of it computed from w; writes z, v and g, the latter in the coordinates that are alive (NULL: all), 0 elsewhere. */
SV_BINDING void sv_fit_bound(struct sv_fit *fit, const double *w, const uint8_t *alive, double *z, double *v, double *g,
                             struct sv_fit_bounds *bounds);
/* The gap in units of the objective at zero: of one pass, so that whoever has the coefficients can compute the same. */
SV_BINDING double sv_fit_measure(const struct sv_fit *fit, double primal, double dual);
/* alive = 0 where the bounds tell that a coordinate is zero at the optimum. */
SV_BINDING void sv_fit_screen(const struct sv_fit *fit, const double *w, const double *g,
                              const struct sv_fit_bounds *bounds, uint8_t *alive);

#endif
