/* The measure of a KKT point of polish.h. One product with J', and O(n + m). Twin:
 *     r = g + J.T @ y + z; slack = np.where(y > 0, row_upper - c, c - row_lower); |y| * np.minimum(|slack|, ...)
 */
#include <math.h>

#include "polish.h"

/* |multiplier| times the slack to the side that its sign belongs to; without that side, |multiplier|. */
static double product(double multiplier, double value, double lower, double upper, double scale)
{
    if (multiplier == 0 || lower == upper)
        return 0;
    double slack = multiplier > 0 ? upper - value : value - lower;
    return fabs(multiplier) * (isfinite(slack) ? fabs(slack) / scale : 1);
}

static double beyond(double value, double lower, double upper)
{
    double out = fmax(lower - value, value - upper);
    return isnan(value) ? INFINITY : fmax(out, 0);
}

static double larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

int sv_kkt_measure(const sv_nlp *nlp, const struct sv_sides *sides, const struct sv_scales *scales, double *work,
                   struct sv_kkt_point *at)
{
    double stationarity = 0, violation = 0, complementarity = 0, sum = 0, f_scale = scales->objective;
    int code = nlp->adjoint(nlp->data, at->y, work);
    if (code)
        return code;
    for (int64_t i = 0; i < nlp->n; i++) {
        double z = at->z[i] / f_scale;
        stationarity = larger(fabs((at->g[i] + work[i]) / f_scale + z), stationarity);
        violation = larger(beyond(at->x[i], sides->lower[i], sides->upper[i]), violation);
        complementarity = larger(product(z, at->x[i], sides->lower[i], sides->upper[i], 1), complementarity);
        sum += fabs(z);
    }
    for (int64_t j = 0; j < nlp->m; j++) {
        double scale = scales->rows[j], y = at->y[j] * scale / f_scale;
        violation = larger(beyond(at->c[j], sides->row_lower[j], sides->row_upper[j]) / scale, violation);
        complementarity = larger(product(y, at->c[j], sides->row_lower[j], sides->row_upper[j], scale), complementarity);
        sum += fabs(y);
    }
    double s = fmax(100, sum / (double)(nlp->n + nlp->m)) / 100;
    at->stationarity = stationarity, at->violation = violation, at->complementarity = complementarity;
    at->measure = larger(stationarity / s, larger(violation, complementarity / s));
    return 0;
}
