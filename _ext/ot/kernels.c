/* The fused passes of entropic optimal transport over blocks of rows.
 *
 *   sweep       a whole Sinkhorn iteration with one read of C and one exponential an entry; may store the plan as well
 *   marginals   row sums, column sums and <C, P> of the plan
 *   plan_rows   the plan itself
 *   large_entries  the plan's entries above a threshold, each row at its place in the full matrix
 *   column_max  the largest exponent of each column (for columns whose sum underflows)
 *   row_range   the least and the largest entry of each row of a matrix, and whether all are finite
 *   add_sums    sums plus sums, with what rounding takes off them (Knuth's two-sum)
 *
 * A sweep moves 8 bytes an entry (float64 C; 4 with float32 C; 0 from points) and does 16 operations, which
 * with 512-bit vectors on 256-bit pipes (Zen 4) take at least 1 cycle an entry: 0.27 ns at 3.7 GHz, against
 * 0.08 ns to read C from the last cache. Reached: 0.44 ns; the chain of each exponential is 50 cycles long and the
 * scheduler holds four of them, so that those of four vectors alternate (expcore.h). `make bench` prints what is reached.
 *
 * The exponent's reference is the row's previous potential: after the first sweep it is nearly right,
 * so no maximum is searched and the terms are the entries of the previous plan. A row whose sum leaves
 * the safe range (a first sweep, a jump of v) is done again with its true maximum as reference.
 *
 * Accuracy: the exponent z is rounded once or twice, an error of |z| 2^-53 that the formula itself
 * implies; 2^z is within 1.5 ULP (1e-14 in a sweep); sums run in SV_W lanes and leaves of rows.
 *
 * In NumPy (u, v and C in units of reg ln2):
 *     P = np.exp2(u[:, None] + v - C)
 *     s = P.sum(1)                                # sweep: u += log2(a / s), P *= a / s
 *     column_sums = P.sum(0)
 */
#include "live.h"

/* Sums outside are done again with the maximum as reference; inside, what was flushed to 0 is below 1e-50. So are sums
 * so far from a small weight that their ratio leaves the numbers. */
#define SUM_MIN 1e-250
#define SUM_MAX 1e250
#define FACTOR_MIN 1e-300

/* Terms whose places are looked at together: how many of them are large cannot be predicted, and each question costs as
 * much as a few terms. */
enum { WORD = 64 };

/* A bit for each of the `count` <= WORD terms that is >= least. */
INLINE uint64_t large_terms(const double *terms, size_t count, vreal least)
{
    uint64_t large = 0;
    for (size_t j = 0; j < count; j += SV_W)
        large |= (uint64_t)v_at_least(v_load_some(terms + j, count - j, -1), least) << j;
    return large;
}

/* The terms >= least of a row, times factor, and their columns; returns how many. */
INLINE size_t keep_large(const double *terms, double least, double factor, double *values, int *columns, size_t m)
{
    const vreal bound = v_set1(least);
    size_t kept = 0;
    for (size_t first = 0; first < m; first += WORD) {
        uint64_t large = m - first < WORD ? large_terms(terms + first, m - first, bound)
                                          : large_terms(terms + first, WORD, bound);
        for (; large; large &= large - 1) {
            const size_t at = first + (size_t)__builtin_ctzll(large);
            values[kept] = terms[at] * factor;
            columns[kept++] = (int)at;
        }
    }
    return kept;
}

/* Of a row's kept entries those that a larger share keeps; returns how many. */
INLINE size_t keep_larger(double least, double *values, int *columns, size_t count)
{
    size_t kept = 0;
    for (size_t k = 0; k < count; k++) {
        values[kept] = values[k];
        columns[kept] = columns[k];
        kept += values[k] >= least;
    }
    return kept;
}

/* Appends the large entries of row i, of sum `sum` and then `a`; returns how many. */
INLINE size_t thin_row(const struct ot_thinning *thinning, size_t used, const double *terms, double sum, double a,
                       size_t m)
{
    double *values = thinning->values + used, share = thinning->share;
    int *columns = thinning->columns + used;
    size_t kept = keep_large(terms, share * sum, a / sum, values, columns, m);
    while (kept > thinning->most)
        kept = keep_larger((share *= 4) * a, values, columns, kept);
    return kept;
}

/* Rows i to i + count - 1. Two at once load v once, and load and store the column sums once. What is stored are the terms,
 * and u is then what they were made at. */
INLINE void sweep_group(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                        double *column_sums, double *room, const struct ot_thinning *thinning,
                        const struct ot_storing *storing, size_t *used, size_t i, int count, int careful, int kind,
                        size_t d)
{
    struct row rows[2];
    double *terms[2], sums[2], factor[2];
    for (int k = 0; k < count; k++) {
        rows[k] = row_of(cost, scale, i + k);
        terms[k] = storing ? storing->plan + (i + k) * storing->stride
                           : place_for(&rows[k], room + k * ot_row_room(cost->m));
    }
    terms_of_rows(rows, cost, u + i, v, count, terms, sums, careful, kind, d);
    for (int k = 0; k < count; k++) {
        double *uk = u + i + k;
        if (!(sums[k] > SUM_MIN && sums[k] < SUM_MAX && a[i + k] > FACTOR_MIN * sums[k])) {
            *uk = -largest_exponent(&rows[k], cost, v, kind, d);
            sums[k] = terms_of(&rows[k], cost, *uk, v, terms[k], 1, kind, d);
        }
        factor[k] = a[i + k] / sums[k];
        if (storing)
            storing->x[i + k] = factor[k];
        else
            *uk += log2(factor[k]);
        if (thinning) {
            size_t kept = thin_row(thinning, *used, terms[k], sums[k], a[i + k], cost->m);
            thinning->counts[i + k] = (ptrdiff_t)kept;
            *used += kept;
        }
    }
    if (count == 2)
        add_two_scaled(column_sums, terms, factor, cost->m);
    else
        add_scaled(column_sums, terms[0], factor[0], cost->m);
}

/* A row of a sum below this part of its weight is done again with all terms. */
static const double LEAST_LIVE = 0x1p-58;

INLINE void add_scaled_at(size_t j, int vectors, const struct sv_ot_cost *cost, const double *terms, double factor,
                          double *sums)
{
    for (size_t at = j; at < j + (size_t)vectors * SV_W; at += SV_W) {
        const size_t left = left_of(cost, at, vectors);
        const vreal sum = v_load_some(sums + at, left, 0);
        v_store_some(sums + at, v_fma(v_set1(factor), v_load_some(terms + at, left, 0), sum), left);
    }
}

/* thin_row where but some places count. */
INLINE size_t thin_live_row(const struct ot_thinning *thinning, size_t used, const double *terms, double sum, double a,
                            size_t m, const int *places, size_t count)
{
    double *values = thinning->values + used, share = thinning->share;
    int *columns = thinning->columns + used;
    size_t kept = 0;
    for (size_t k = 0; k < count; k++) {
        const size_t j = (size_t)places[k], width = m - j < PLACE ? m - j : PLACE;
        const size_t more = keep_large(terms + j, share * sum, a / sum, values + kept, columns + kept, width);
        for (const size_t last = kept + more; kept < last; kept++)
            columns[kept] += (int)j;
    }
    while (kept > thinning->most)
        kept = keep_larger((share *= 4) * a, values, columns, kept);
    return kept;
}

/* A row of which few terms count; returns 0 where it has to be done with all. */
INLINE int sweep_live_row(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                          double *column_sums, double *room, const struct ot_thinning *thinning, size_t *used, size_t i,
                          int kind)
{
    enum { d = 0 };
    const struct row row = row_of(cost, scale, i);
    double *terms = place_for(&row, room);
    int *places = (int *)(room + ot_row_room(cost->m)); /* the second row's room */
    const size_t count = live_places(&row, cost, u[i], v, live_from(a[i]), NULL, places);
    if (!few_live(count, cost->m))
        return 0;
    vreal added = v_set1(0);
    const vreal vu = v_set1(u[i]);
    FOR_PLACES(places, count, add_terms, &row, cost, &vu, v, 1, &terms, &added, 0, kind, d);
    const double sum = v_sum_lanes(added), factor = a[i] / sum;
    if (!(sum > LEAST_LIVE * a[i] && sum < SUM_MAX && factor > FACTOR_MIN))
        return 0;
    u[i] += log2(factor);
    if (thinning) {
        const size_t kept = thin_live_row(thinning, *used, terms, sum, a[i], cost->m, places, count);
        thinning->counts[i] = (ptrdiff_t)kept;
        *used += kept;
    }
    FOR_PLACES(places, count, add_scaled_at, cost, terms, factor, column_sums);
    return 1;
}

INLINE void sweep_rows(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                       double *column_sums, double *room, const struct ot_thinning *thinning,
                       const struct ot_storing *storing, size_t first, size_t last, int careful, int kind, size_t d)
{
    size_t i = first, used = 0;
    const int in_memory = kind == SV_COST_FLOAT64 || kind == SV_COST_FLOAT32;
    /* The first row tells whether to ask at all. */
    while (in_memory && !careful && i < last
           && sweep_live_row(cost, scale, a, u, v, column_sums, room, thinning, &used, i, kind))
        i++;
    for (; i + 2 <= last; i += 2)
        sweep_group(cost, scale, a, u, v, column_sums, room, thinning, storing, &used, i, 2, careful, kind, d);
    if (i < last)
        sweep_group(cost, scale, a, u, v, column_sums, room, thinning, storing, &used, i, 1, careful, kind, d);
}

/* What the marginals add up over the columns of a row: its entries, and those times their costs. */
struct row_totals {
    vreal sum, paid;
};

INLINE void add_marginals(size_t j, int vectors, const struct row *rows, const struct sv_ot_cost *cost, const vreal *u,
                          const double *v, int count, double *column_sums, struct row_totals *totals, int kind, size_t d)
{
    vreal costs[2 * TOGETHER], terms[2 * TOGETHER];
    terms_at(rows, cost, u, v, j, count, vectors, costs, terms, 1, kind, d);
    for (int w = 0; w < vectors; w++) {
        const size_t at = j + (size_t)w * SV_W, left = left_of(cost, at, vectors);
        vreal column = v_load_some(column_sums + at, left, 0);
        for (int k = 0; k < count; k++) {
            const vreal p = fill_past(terms[k * vectors + w], left, 0);
            totals[k].sum = v_add(totals[k].sum, p);
            totals[k].paid = v_fma(costs[k * vectors + w], p, totals[k].paid);
            column = v_add(column, p);
        }
        v_store_some(column_sums + at, column, left);
    }
}

/* Rows i to i + count - 1; *paid grows by their <C, P>. */
INLINE void marginals_group(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                              double *row_sums, double *column_sums, double *paid, size_t i, int count, int kind, size_t d)
{
    struct row rows[2];
    struct row_totals totals[2];
    vreal each[2];
    for (int k = 0; k < count; k++) {
        rows[k] = row_of(cost, scale, i + k);
        totals[k] = (struct row_totals){v_set1(0), v_set1(0)};
        each[k] = v_set1(u[i + k]);
    }
    FOR_COLUMNS(add_marginals, rows, cost, each, v, count, column_sums, totals, kind, d);
    for (int k = 0; k < count; k++) {
        row_sums[i + k] = v_sum_lanes(totals[k].sum);
        *paid += v_sum_lanes(totals[k].paid);
    }
}

INLINE double marginals_of_rows(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                                double *row_sums, double *column_sums, size_t first, size_t last, int kind, size_t d)
{
    double total = 0;
    size_t i = first;
    for (; i + 2 <= last; i += 2)
        marginals_group(cost, scale, u, v, row_sums, column_sums, &total, i, 2, kind, d);
    if (i < last)
        marginals_group(cost, scale, u, v, row_sums, column_sums, &total, i, 1, kind, d);
    return total;
}

INLINE void stream_terms(size_t j, int vectors, const struct row *row, const struct sv_ot_cost *cost, const vreal *u,
                         const double *v, double *plan, int kind, size_t d)
{
    vreal costs[TOGETHER], terms[TOGETHER];
    terms_at(row, cost, u, v, j, 1, vectors, costs, terms, 1, kind, d);
    for (int w = 0; w < vectors; w++)
        v_stream(plan + j + w * SV_W, terms[w]);
}

INLINE void plan_of_rows(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, double *plan,
                         size_t stride, size_t first, size_t last, int past_cache, int kind, size_t d)
{
    const size_t m = cost->m;
    const int streamed = past_cache && !((uintptr_t)plan % sizeof(vreal) || stride % SV_W || m % SV_W);
    for (size_t i = first; i < last; i++, plan += stride) {
        struct row row = row_of(cost, scale, i);
        const vreal vu = v_set1(u[i]);
        if (streamed)
            FOR_COLUMNS(stream_terms, &row, cost, &vu, v, plan, kind, d);
        else
            terms_of(&row, cost, u[i], v, plan, 1, kind, d);
    }
    if (streamed)
        v_stream_fence();
}

INLINE void large_entries_of_rows(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                                  double threshold, double *values, int *columns, ptrdiff_t *counts, size_t first,
                                  size_t last, int kind, size_t d)
{
    for (size_t i = first; i < last; i++, values += cost->m, columns += cost->m) {
        struct row row = row_of(cost, scale, i);
        terms_of(&row, cost, u[i], v, values, 1, kind, d);
        ptrdiff_t kept = 0;
        for (size_t j = 0; j < cost->m; j++) { /* no branch: which entries are large cannot be predicted */
            double p = values[j];
            values[kept] = p;
            columns[kept] = (int)j;
            kept += p >= threshold;
        }
        counts[i - first] = kept;
    }
}

INLINE void column_max_of_rows(const struct sv_ot_cost *cost, double scale, const double *u, double *column_max,
                               size_t first, size_t last, int kind, size_t d)
{
    const size_t m = cost->m;
    for (size_t i = first; i < last; i++) {
        struct row row = row_of(cost, scale, i);
        const vreal vu = v_set1(u[i]);
        for (size_t j = 0; j < m; j += SV_W) {
            size_t left = m - j;
            vreal z = v_fnma(row.scale, cost_at(&row, cost, j, left, 1, kind, d), vu);
            v_store_some(column_max + j, v_max(z, v_load_some(column_max + j, left, 0)), left);
        }
    }
}

static void sweep(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                  double *column_sums, double *room, const struct ot_thinning *thinning,
                  const struct ot_storing *storing, size_t first, size_t last)
{
    if (cost->offset || storing)
        FOR_COST(sweep_rows, cost, scale, a, u, v, column_sums, room, thinning, storing, first, last, 1)
    else
        FOR_COST(sweep_rows, cost, scale, a, u, v, column_sums, room, thinning, NULL, first, last, 0)
}

static double marginals(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                        double *row_sums, double *column_sums, size_t first, size_t last)
{
    FOR_COST(marginals_of_rows, cost, scale, u, v, row_sums, column_sums, first, last)
}

static void plan_rows(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, double *plan,
                      size_t stride, size_t first, size_t last, int past_cache)
{
    FOR_COST(plan_of_rows, cost, scale, u, v, plan, stride, first, last, past_cache)
}

static void large_entries(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                          double threshold, double *values, int *columns, ptrdiff_t *counts, size_t first, size_t last)
{
    FOR_COST(large_entries_of_rows, cost, scale, u, v, threshold, values, columns, counts, first, last)
}

static void column_max(const struct sv_ot_cost *cost, double scale, const double *u, double *column_max,
                       size_t first, size_t last)
{
    FOR_COST(column_max_of_rows, cost, scale, u, column_max, first, last)
}

INLINE int range_of_rows(const struct sv_ot_cost *cost, double *least, double *largest, size_t first, size_t last,
                         int kind)
{
    const size_t m = cost->m;
    vreal spoilt = v_set1(0); /* NaN once an entry is not finite */
    for (size_t i = first; i < last; i++) {
        const struct row row = row_of(cost, 1, i);
        vreal low = v_set1(-INFINITY), high = low;
        for (size_t j = 0; j < m; j += SV_W) {
            const size_t left = m - j;
            const vreal c = cost_at(&row, cost, j, left, 0, kind, 0);
            low = v_max(fill_past(v_sub(v_set1(0), c), left, -INFINITY), low);
            high = v_max(fill_past(c, left, -INFINITY), high);
            spoilt = v_fma(fill_past(c, left, 0), v_set1(0), spoilt);
        }
        least[i] = 0 - v_max_lanes(low), largest[i] = v_max_lanes(high);
    }
    const double sum = v_sum_lanes(spoilt);
    return sum == sum;
}

static int row_range(const struct sv_ot_cost *cost, double *least, double *largest, size_t first, size_t last)
{
    return cost->kind == SV_COST_FLOAT64 ? range_of_rows(cost, least, largest, first, last, SV_COST_FLOAT64)
                                         : range_of_rows(cost, least, largest, first, last, SV_COST_FLOAT32);
}

INLINE void add_sums_at(double *sums, double *lost, const double *x, size_t left)
{
    const vreal old = v_load_some(sums, left, 0), added = v_load_some(x, left, 0), sum = v_add(old, added);
    const vreal seen = v_sub(sum, old), error = v_add(v_sub(old, v_sub(sum, seen)), v_sub(added, seen));
    v_store_some(sums, sum, left);
    v_store_some(lost, v_add(v_load_some(lost, left, 0), error), left);
}

static void add_sums(double *sums, double *lost, const double *x, size_t m)
{
    size_t j = 0;
    for (; j + SV_W <= m; j += SV_W)
        add_sums_at(sums + j, lost + j, x + j, SV_W);
    if (j < m)
        add_sums_at(sums + j, lost + j, x + j, m - j);
}

const struct ot_kernels SV_TABLE(ot_kernels) = {sweep, marginals, plan_rows, large_entries, column_max, row_range, add_sums};
