/* Blocks are summed in lanes and the blocks' sums with what each addition loses: a few roundings, whatever the length.
 * They are of length n or m, little beside a pass over C.
 *
 * In NumPy: x.sum(), x @ y, w @ (x - y), ...
 */
#include <math.h>

#include "sums.h"

enum { BLOCK = 512, LANES = 8 };

struct total {
    double sum, lost;
};

static void add(struct total *total, const double *lane)
{
    const double x = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    const double sum = total->sum + x;
    total->lost += fabs(total->sum) >= fabs(x) ? (total->sum - sum) + x : (x - sum) + total->sum;
    total->sum = sum;
}

/* Defines a function that sums `term`, an expression in the index k. */
#define SUM_OF(name, parameters, term)                                             \
    double name parameters                                                         \
    {                                                                              \
        struct total total = {0, 0};                                               \
        for (size_t first = 0; first < size; first += BLOCK) {                     \
            const size_t last = size - first < BLOCK ? size : first + BLOCK;       \
            double lane[LANES] = {0};                                              \
            size_t group = first;                                                  \
            for (; group + LANES <= last; group += LANES)                          \
                for (size_t k = group; k < group + LANES; k++)                     \
                    lane[k - group] += (term);                                     \
            for (size_t k = group; k < last; k++)                                  \
                lane[k - group] += (term);                                         \
            add(&total, lane);                                                     \
        }                                                                          \
        return isfinite(total.sum) ? total.sum + total.lost : total.sum;           \
    }

SUM_OF(sv_ot_sum, (const double *x, size_t size), x[k])
SUM_OF(sv_ot_dot, (const double *x, const double *y, size_t size), x[k] * y[k])
SUM_OF(sv_ot_dot_change, (const double *w, const double *x, const double *y, size_t size), w[k] * (x[k] - y[k]))
SUM_OF(sv_ot_dot_size, (const double *w, const double *x, size_t size), w[k] * fabs(x[k]))
SUM_OF(sv_ot_entropy, (const double *w, size_t size), w[k] > 0 ? w[k] * log(w[k]) : 0)
SUM_OF(sv_ot_dot_log, (const double *x, const double *y, size_t size), x[k] * log(y[k]))
SUM_OF(sv_ot_distance_l1, (const double *x, const double *y, size_t size), fabs(y ? x[k] - y[k] : x[k]))
SUM_OF(sv_ot_distance_squared, (const double *x, const double *y, double unit, size_t size),
       (unit * (y ? x[k] - y[k] : x[k])) * (unit * (y ? x[k] - y[k] : x[k])))

double sv_ot_distance_linf(const double *x, const double *y, size_t size)
{
    double largest = 0;
    for (size_t k = 0; k < size; k++) {
        const double gap = fabs(y ? x[k] - y[k] : x[k]);
        if (gap > largest || gap != gap)
            largest = gap;
    }
    return largest;
}

double sv_ot_least(const double *x, size_t size)
{
    double least = x[0];
    for (size_t k = 1; k < size; k++)
        if (x[k] < least || x[k] != x[k])
            least = x[k];
    return least;
}

double sv_ot_largest(const double *x, size_t size)
{
    double largest = x[0];
    for (size_t k = 1; k < size; k++)
        if (x[k] > largest || x[k] != x[k])
            largest = x[k];
    return largest;
}

int sv_ot_all_finite(const double *x, size_t size)
{
    for (size_t k = 0; k < size; k++)
        if (!isfinite(x[k]))
            return 0;
    return 1;
}
