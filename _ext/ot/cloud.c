/* See cloud.h. Passes over the coordinates: (n + m) d operations. */
#include <math.h>

#include "cloud.h"

/* The width of the box in coordinate k. */
static double width(const struct sv_ot_cost *cost, size_t k)
{
    double low = cost->x[k], high = low;
    for (size_t i = 1; i < cost->n; i++) {
        const double x = cost->x[i * cost->d + k];
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    for (size_t j = 0; j < cost->m; j++) {
        const double y = cost->y[k * cost->m + j];
        low = y < low ? y : low;
        high = y > high ? y : high;
    }
    return high - low;
}

double sv_ot_cloud_span(const struct sv_ot_cost *cost)
{
    double largest = 0, squares = 0, sum = 0, p = INFINITY;
    for (size_t k = 0; k < cost->d; k++) {
        const double w = width(cost, k);
        largest = w > largest ? w : largest;
        squares += w * w;
    }
    switch (cost->kind) {
    case SV_COST_SQEUCLIDEAN: return squares;
    case SV_COST_EUCLIDEAN: p = 2; break;
    case SV_COST_CITYBLOCK: p = 1; break;
    case SV_COST_MINKOWSKI: p = cost->p; break;
    default: break;
    }
    if (isinf(p) || largest == 0 || isinf(largest))
        return largest;
    for (size_t k = 0; k < cost->d; k++)
        sum += pow(width(cost, k) / largest, p);
    return largest * pow(sum, 1 / p);
}

size_t sv_ot_directions(const double *points, size_t n, size_t d, double *out)
{
    for (size_t i = 0; i < n; i++) {
        double largest = 0, squares = 0;
        for (size_t k = 0; k < d; k++)
            largest = fmax(largest, fabs(points[i * d + k]));
        if (largest == 0)
            return i;
        for (size_t k = 0; k < d; k++) {
            out[i * d + k] = points[i * d + k] / largest;
            squares += out[i * d + k] * out[i * d + k];
        }
        const double length = sqrt(2 * squares);
        for (size_t k = 0; k < d; k++)
            out[i * d + k] /= length;
    }
    return n;
}
