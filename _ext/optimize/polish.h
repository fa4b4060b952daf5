/* The measure of a KKT point, and the polish of one: Newton steps on the rows and bounds that are active there.
 *
 * measure = max(|grad f + J'y + z|_inf / s, violation, complementarity / s),  s = max(100, mean |multipliers|) / 100
 *
 * in the user's units: f, c, g, J divided by the scales. Complementarity is |multiplier| * slack to the side that its sign
 * belongs to, |multiplier| alone where that side is infinite.
 */
#ifndef SOLVERS_OPTIMIZE_POLISH_H
#define SOLVERS_OPTIMIZE_POLISH_H

#include "nlp.h"

/* The scales in force: f times `objective`, row i times rows[i]. s is at most `loosest`. */
struct sv_scales {
    double objective;
    const double *rows;
    double loosest;
};

/* A point with its multipliers; the arrays are the caller's. f, g, c as the table gives them (scaled, c without the sides). */
struct sv_kkt_point {
    double f;
    double *x, *g, *z; /* n */
    double *c, *y;     /* m */
    double stationarity, violation, complementarity, measure; /* in the user's units */
    double s;
};

/* Fills the four numbers of a point whose f, x, g, c, y, z are set; J is that of x. work: n. */
SV_BINDING int sv_kkt_measure(const sv_nlp *nlp, const struct sv_sides *sides, const struct sv_scales *scales, double *work,
                              struct sv_kkt_point *at);

/* The same in the user's units of a point whose J'y is `product`, stationarity and complementarity over s, which here is at
 * most SV_LARGEST_SCALE: multipliers that dependent sides let grow without end must not make up for what they leave.
 * work: n + m. */
enum { SV_LARGEST_SCALE = 1000 };
SV_BINDING void sv_kkt_numbers(int64_t n, int64_t m, const struct sv_sides *sides, const double *product, double *work,
                               struct sv_kkt_point *at);

SV_BINDING int64_t sv_polish_work(int64_t n, int64_t m);

/* What holds at the point: sides whose multiplier is larger than the slack; than its square; or than 100 times the slack, and
 * then the variables stay where they are, with what that leaves of complementarity: their sides need not be told apart. */
enum { SV_POLISH_NEAR, SV_POLISH_WIDE, SV_POLISH_HELD };

/* At most `steps` Newton steps, no more once stationarity, violation and complementarity are `enough`, on the sides that hold
 * at the point, which is replaced where, and only where, its measure improves; of SV_POLISH_HELD, where stationarity does and
 * the measure is at most twice `enough`. Returns 0, or SV_STOP. J and H end as those of another point. */
SV_BINDING int sv_polish(const sv_nlp *nlp, const struct sv_sides *sides, const struct sv_scales *scales, int64_t steps,
                         double enough, int holding, double *work, struct sv_kkt_point *at, int *improved);

#endif
