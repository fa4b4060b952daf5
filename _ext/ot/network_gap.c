/* What decides on an answer of exact transport, summed along the tree and over the nodes; see ot.h. */
#include <math.h>

#include "ot.h"
#include "sums.h"

/* sum_i weights_i |x_i - mean| */
static double spread_of(const double *weights, const double *x, double mean, size_t size)
{
    double sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += weights[i] * fabs(x[i] - mean);
    return sum;
}

struct sv_ot_gap sv_ot_network_gap(const struct sv_ot_network *net, const int *arc, const double *flow, const double *a,
                                   const double *b, const double *f, const double *g)
{
    const size_t n = net->n, m = net->m;
    const double in_rows = sv_ot_dot(a, f, n), in_columns = sv_ot_dot(b, g, m), mass = sv_ot_sum(a, n);
    double value = 0;
    for (size_t u = 0; u < n + m; u++)
        if (arc[u] >= 0)
            value += flow[u] * SV_FLOW_UNIT * net->costs[arc[u]];
    return (struct sv_ot_gap){
        .value = value, .dual = in_rows + in_columns, .size = sv_ot_dot_size(a, f, n) + sv_ot_dot_size(b, g, m),
        .spread = spread_of(a, f, in_rows / mass, n) + spread_of(b, g, in_columns / mass, m)};
}
