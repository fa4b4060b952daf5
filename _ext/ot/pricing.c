/* Exact pricing of all n x m arcs of a transportation problem: the least reduced cost of each row, and its arcs.
 *
 * Moves 8 bytes an entry (float64 C; 4 with float32 C; 0 from points) and does two operations: no exponential, the
 * speed of memory. Columns go in blocks of BLOCK; only a block that beats the row's threshold is looked at again.
 * The threshold is the row's limit, and once `most` arcs are kept the worst of them. Row i begins at block i, so that
 * among equals different rows keep different columns.
 *
 * In NumPy:  r = C - g;  least = r.min(1);  columns = [row.argsort()[:most] for row in r], those with r < limit
 */
#include "cost.h"

enum { BLOCK = 64 };

struct kept {
    int count, most;
    int *columns;
    double *costs;
    double gain[SV_PRICE_MOST]; /* g_j - C_ij, decreasing */
    double threshold;           /* what an arc must exceed */
};

/* Enters an arc at its place; ties stay in the order in which they come. */
INLINE void keep(struct kept *kept, double gain, double cost, size_t column)
{
    int k = kept->count < kept->most ? kept->count++ : kept->most - 1;
    for (; k > 0 && kept->gain[k - 1] < gain; k--) {
        kept->gain[k] = kept->gain[k - 1];
        kept->costs[k] = kept->costs[k - 1];
        kept->columns[k] = kept->columns[k - 1];
    }
    kept->gain[k] = gain, kept->costs[k] = cost, kept->columns[k] = (int)column;
    if (kept->count == kept->most)
        kept->threshold = kept->gain[kept->most - 1];
}

INLINE void keep_of_block(struct kept *kept, const struct row *row, const struct sv_ot_cost *cost, const double *g,
                          size_t j, size_t end, int kind, size_t d)
{
    double c[SV_W];
    for (; j < end; j += SV_W) {
        size_t left = end - j < SV_W ? end - j : SV_W;
        v_store(c, cost_at(row, cost, j, cost->m - j, 0, kind, d));
        for (size_t lane = 0; lane < left; lane++)
            if (g[j + lane] - c[lane] > kept->threshold)
                keep(kept, g[j + lane] - c[lane], c[lane], j + lane);
    }
}

INLINE void price_rows(const struct sv_ot_cost *cost, const double *g, const double *limit, double *least, int most,
                       int *counts, int *columns, double *costs, size_t first, size_t last, int kind, size_t d)
{
    const size_t m = cost->m;
    for (size_t i = first; i < last; i++) {
        struct row row = row_of(cost, 1, i);
        struct kept kept = {.most = most, .columns = columns + i * (size_t)most, .costs = costs + i * (size_t)most,
                            .threshold = -limit[i]};
        vreal top = v_set1(-INFINITY);
        const size_t blocks = (m + BLOCK - 1) / BLOCK;
        for (size_t k = 0, b = i % blocks; k < blocks; k++, b = b + 1 < blocks ? b + 1 : 0) {
            size_t start = b * BLOCK, end = m - start < BLOCK ? m : start + BLOCK;
            vreal best = v_set1(-INFINITY);
            for (size_t j = start; j < end; j += SV_W) {
                vreal gain = v_sub(v_load_some(g + j, m - j, 0), cost_at(&row, cost, j, m - j, 0, kind, d));
                best = v_max(fill_past(gain, m - j, -INFINITY), best);
            }
            top = v_max(best, top);
            if (most > 0 && v_max_lanes(best) > kept.threshold)
                keep_of_block(&kept, &row, cost, g, start, end, kind, d);
        }
        least[i] = -v_max_lanes(top);
        counts[i] = kept.count;
    }
}

static void price(const struct sv_ot_cost *cost, const double *g, const double *limit, double *least, int most,
                  int *counts, int *columns, double *costs, size_t first, size_t last)
{
    FOR_COST(price_rows, cost, g, limit, least, most, counts, columns, costs, first, last)
}

/* -(costs_j + heights_j) of the columns from j on; nothing is larger past the end. */
INLINE vreal gain_at(const double *costs, const double *heights, size_t j, size_t left)
{
    const vreal sum = v_add(v_load_some(costs + j, left, 0), v_load_some(heights + j, left, 0));
    return fill_past(v_sub(v_set1(0), sum), left, -INFINITY);
}

static ptrdiff_t below(const double *costs, const double *heights, size_t m, double bound, double *least)
{
    vreal top = v_set1(-INFINITY);
    size_t j = 0;
    for (; j + SV_W <= m; j += SV_W)
        top = v_max(gain_at(costs, heights, j, SV_W), top);
    if (j < m)
        top = v_max(gain_at(costs, heights, j, m - j), top);
    const double most = v_max_lanes(top);
    *least = -most;
    if (!(*least < bound))
        return -1;
    for (j = 0; j < m; j += SV_W) {
        const unsigned there = v_at_least(gain_at(costs, heights, j, m - j), v_set1(most));
        if (there)
            return (ptrdiff_t)j + __builtin_ctz(there);
    }
    return -1;
}

const struct ot_price_kernels SV_TABLE(ot_price_kernels) = {price, below};
