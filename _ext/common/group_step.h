/* The one equation of an exact step on a group of coordinates with a penalty on its 2-norm.
 *
 * With the group's curvature G = V diag(e) V':
 *     argmin over u of  1/2 u'G u - b'u + weight |u|_2   =   V (rho v / (e rho + weight)),   v = V'b,
 * where rho = |u|_2 is the root of  sum(v^2 / (e rho + weight)^2) = 1, and u = 0 where |v|_2 <= weight.
 */
#ifndef SOLVERS_GROUP_STEP_H
#define SOLVERS_GROUP_STEP_H

#include <math.h>
#include <stddef.h>

/* The root rho > 0 for |v|_2 = size > weight > 0 and e >= 0, to rounding. Newton's method on 1 / sqrt(sum), which is
 * concave and nearly a line, from below; a bracket keeps it safe. O(m) an iteration, three to six of them. */
static inline double sv_group_norm(const double *e, const double *v, size_t m, double weight, double size)
{
    double least = INFINITY, most = 0;
    for (size_t k = 0; k < m; k++) {
        least = fmin(least, e[k]);
        most = fmax(most, e[k]);
    }
    double low = (size - weight) / fmax(most, 1e-300), high = least > 0 ? (size - weight) / least : 1e300, rho = low;
    for (int trial = 0; trial < 100; trial++) {
        double square = 0, bend = 0;
        for (size_t k = 0; k < m; k++) {
            double inverse = 1 / (e[k] * rho + weight), t = v[k] * inverse;
            square += t * t;
            bend += t * t * e[k] * inverse;
        }
        if (square > 1)
            low = rho;
        else
            high = rho;
        double length = sqrt(square), next = rho + (length - 1) * square / bend;
        if (!(next >= low && next <= high))
            next = high < 1e300 ? 0.5 * (low + high) : 2 * rho;
        if (fabs(next - rho) <= 4e-16 * next)
            return next;
        rho = next;
    }
    return rho;
}

#endif
