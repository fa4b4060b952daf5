/* Conjugate gradients around a multilevel cycle. */
#ifndef SOLVERS_LINALG_MULTILEVEL_CG_H
#define SOLVERS_LINALG_MULTILEVEL_CG_H

#include "monitor.h"
#include "multilevel.h"

/* Numbers that go from one call to the next; all double, as in sv_monitor. */
struct sv_multilevel_numbers {
    struct sv_monitor monitor;
    double curvature; /* (p, A p); 0: there is no direction yet */
    double verified;  /* the residual's norm when it was last recomputed; infinite before */
    double scale;     /* what the residual is multiplied by for the cycle: about 1 / its norm */
    double restarts;
    double off;       /* (p, r) after such a restart; else it is 0, but for rounding */
};

struct sv_multilevel_cg {
    const struct sv_multilevel *M;
    const struct sv_level *A;         /* float64 */
    const double *diagonal, *b;
    double *x, *r, *q;                /* the iterate, its residual by recurrence, A p; all of A's layout */
    void *p, *cast, *z;               /* the direction, and two for the cycle, of its type */
    double *partial;                  /* two numbers a plane */
    int ready;                        /* whether q and cast are those of p and r */
    struct sv_multilevel_numbers *numbers;
    double residual;
    enum sv_outcome outcome;
};

/* r = b - A x, no direction, and the numbers but the monitor's, from x. Whoever sets r, p or q otherwise sets `ready` to
 * 0. */
SV_BINDING void sv_multilevel_cg_start(struct sv_multilevel_cg *state);

/* Iterations from the `nit`-th on, at most `most`, until the residual, recomputed, is at most `goal` in norm; it is
 * recomputed where the recurrence comes to max(goal, floor). Returns the iterations made. */
SV_BINDING int sv_multilevel_cg_iterate(struct sv_multilevel_cg *state, double goal, double floor, int nit, int most);

/* Bytes that an iteration must move at least: each pass its vectors and fields once, of a field whose rows are shared
 * those that differ. For the fused cycle. */
SV_BINDING double sv_multilevel_cg_bytes(const struct sv_multilevel *M, const struct sv_level *A);

#endif
