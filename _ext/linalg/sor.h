/* Successive over-relaxation. */
#ifndef SOLVERS_LINALG_SOR_H
#define SOLVERS_LINALG_SOR_H

#include "monitor.h"
#include "operand.h"

enum sv_sweep { SV_SWEEP_FORWARD, SV_SWEEP_BACKWARD, SV_SWEEP_SYMMETRIC };

struct sv_sor_settings {
    enum sv_sweep kind; /* a symmetric sweep is a forward and a backward one */
    double goal;        /* what the residual's norm must come down to */
    int check_every;    /* sweeps between two looks at the residual */
    int adaptive;       /* whether omega follows the observed rate; not with symmetric sweeps */
    int measure_last;   /* whether the residual of the last x is measured in any case */
};

/* Numbers that go from one call to the next; all double, as in sv_monitor. */
struct sv_sor_numbers {
    struct sv_monitor monitor;
    double omega;
    double residual; /* the last one seen; 0 at the start */
    double change;   /* norm of the last sweep's change of x */
    double rates[3]; /* the last ratios of such norms */
    double since;    /* sweeps since omega was changed */
    double raises;   /* times it was changed */
};

/* Sweeps on x from its `nit`-th on, at most `most`. *residual becomes the last norm seen: at the returned x where that
 * was reached or asked for, else at an x before it. Returns the sweeps made. work: 2 n doubles. */
SV_BINDING int sv_linalg_sor(const struct sv_operand *A, const struct sv_sor_settings *settings, const double *b,
                             double *x, double *kept, struct sv_sor_numbers *numbers, int nit, int most,
                             double *residual, enum sv_outcome *outcome, double *work);

#endif
