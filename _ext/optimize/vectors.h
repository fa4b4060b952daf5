/* Small vector operations of the methods for nonlinear programs: one order of summation, whatever the length. */
#ifndef SOLVERS_OPTIMIZE_VECTORS_H
#define SOLVERS_OPTIMIZE_VECTORS_H

#include <math.h>
#include <stdint.h>

static inline double vector_dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static inline void vector_copy(int64_t n, const double *from, double *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = from[i];
}

/* out = a + t b; out may be a or b. */
static inline void vector_combine(int64_t n, const double *a, double t, const double *b, double *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] + t * b[i];
}

/* The largest |entry|; NaN where there is one. */
static inline double vector_largest(int64_t n, const double *a)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i]) <= largest)) {
            largest = fabs(a[i]);
            if (isnan(largest))
                break;
        }
    return largest;
}

#endif
