/* The driver of restarted reflected Halpern steps on a linear program: blocks of the steps of lp.h on the program that is
 * left after what presolve.c takes out, scaled; looks at the whole program as it was given; restarts; rays. */
#ifndef SOLVERS_EQUILIBRIUM_LP_PDHG_H
#define SOLVERS_EQUILIBRIUM_LP_PDHG_H

#include "program.h"

/* A program ready for the steps; what it was made of must stay. */
struct sv_lp_prepared {
    const struct sv_program *whole;
    const struct sv_reduced *reduced;
    struct sv_lp lp; /* what is left, scaled */
    struct sv_scales scales;
    double *owned;
};

/* SV_OK, or SV_NO_MEMORY, with nothing to free. */
SV_BINDING int sv_lp_prepare(const struct sv_reduced *reduced, struct sv_lp_prepared *prepared);
SV_BINDING void sv_lp_prepared_free(struct sv_lp_prepared *prepared);

/* Where the method is. Vectors of what is left: z = (x, y), K'y, the anchor; of the whole: the best pair so far, and the
 * ray. All of it is needed to go on to the same bits. */
struct sv_lp_pdhg {
    double *x, *y, *kty, *anchor_x, *anchor_y;
    double *best_x, *best_y, *ray_x, *ray_y;
    int64_t count, total;  /* iterations since the anchor, and in all */
    double first, last;    /* residuals at the anchor's first look and at the last one */
    double norm;           /* bound on that of the scaled matrix, from below at first */
    double weight, summed, best_weight, distance; /* see restart.h */
    int verdict;           /* 0, or which ray has been verified: 1 ray_y, infeasible; 2 ray_x, unbounded */
    int64_t stale;         /* blocks without a much better measure */
    int64_t restarts, nit; /* nit: blocks */
    double measure;        /* of the best pair */
};

/* Doubles of `work` for the next two. */
SV_BINDING size_t sv_lp_pdhg_worksize(const struct sv_lp_prepared *prepared);
/* At a start of the whole, which is left alone. */
SV_BINDING void sv_lp_pdhg_init(const struct sv_lp_prepared *prepared, const double *x0, const double *y0,
                                struct sv_lp_pdhg *state, double *work);
/* A block of iterations, a look, and a restart where it is wanted. block >= 2: iterations between looks at first. */
SV_BINDING void sv_lp_pdhg_step(const struct sv_lp_prepared *prepared, struct sv_lp_pdhg *state, int64_t block,
                                double *work);
/* SV_CONVERGED, a verified ray's status, SV_STAGNATION, or -1 to go on. */
SV_BINDING int sv_lp_pdhg_done(double tol, double measure, int verdict, int64_t stale, int64_t nit);

#endif
