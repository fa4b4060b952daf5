/* Block updates on a quadratic: see descent.h.
 *
 * A greedy update reads g twice (scores, measure): 24 bytes and 4 flops a coordinate without a penalty; the columns of Q
 * add 8 bytes and 2 flops an entry (dense: g is moved once for four columns), 12 bytes where Q is sparse. The bound is
 * the bandwidth of the cache that holds g and Q. Accuracy: that of sums in the order of the coordinates. In NumPy:
 *
 *     b = argmax over blocks of sum(g[b]**2 / (2 L[b]))       # or the `most` largest g**2 / (2 L)
 *     s = prox(x[b] - g[b] / L_b) - x[b]                        # or -solve(Q[b][:, b], g[b])
 *     g += Q[:, b] @ s; x[b] += s; measure = max(abs(g))
 */
#include "descent.h"

#include "simd.h"

#define ULP 2.220446049250313e-16
#define RANK 1e-12
#define FAR 1e6
#define HUGE_X 1e100

#define SETTLED 1e-10

enum { PHASES = 200, THRESHOLDS = 10 };

/* The parts of the work. */
struct room {
    int32_t *marks;               /* n */
    double *scores, *candidates;  /* n each */
    double *dense, *product;      /* n each: for gsq with variable blocks */
    double *s, *slope, *u, *r, *d, *l1, *low, *high; /* most each */
    double *H, *F; /* most^2 each */
    double *more;  /* 128 */
    int64_t *block, *free;
    size_t size;
};

static struct room cut(const struct sv_descent *run)
{
    size_t n = run->n, most = run->most;
    struct room at = {.marks = (int32_t *)run->work, .scores = run->work + n, .candidates = run->work + 2 * n,
                      .dense = run->work + 3 * n, .product = run->work + 4 * n};
    double *next = at.product + n, **rows[] = {&at.s, &at.slope, &at.u, &at.r, &at.d, &at.l1, &at.low, &at.high};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++, next += most)
        *rows[k] = next;
    at.H = next, at.F = next + most * most, at.more = next + 2 * most * most;
    at.block = run->chosen, at.free = run->chosen + most;
    return at;
}

/* ---- the penalty ------------------------------------------------------------------------------- */

INLINE double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

INLINE double prox(const struct sv_box *box, size_t i, double v, double L)
{
    double shrunk = fabs(v) - box->l1[i] / L, moved = copysign(shrunk > 0 ? shrunk : 0, v);
    return moved < box->lower[i] ? box->lower[i] : moved > box->upper[i] ? box->upper[i] : moved;
}

/* Whether a coordinate at 0 stays there: most do, and cost no division. */
INLINE bool rests(const struct sv_box *box, size_t i, double x, double g)
{
    double l1 = box->l1[i], lower = box->lower[i], upper = box->upper[i];
    return x == 0 && lower <= 0 && upper >= 0 && (lower == 0 || g <= l1) && (upper == 0 || -g <= l1);
}

/* What coordinate i could gain with curvature L. */
INLINE double progress(const struct sv_box *box, size_t i, double x, double g, double L)
{
    if (rests(box, i, x, g))
        return 0;
    double s = prox(box, i, x - g / L, L) - x;
    if (s == 0)
        return 0;
    double l1 = box->l1[i], sign = sign_of(x != 0 ? x : s), end = x + s;
    double gain = -(s * (g + l1 * sign + L / 2 * s) + l1 * (end * sign < 0 ? 2 * fabs(end) : 0));
    return gain > 0 ? gain : 0;
}

/* L (x - prox(x - g / L)), as problem.kkt has it. */
INLINE double violation(const struct sv_box *box, size_t i, double x, double g, double L)
{
    double l1 = box->l1[i], lower = box->lower[i], upper = box->upper[i];
    if (l1 == 0 && lower == -INFINITY && upper == INFINITY)
        return fabs(g);
    if (rests(box, i, x, g))
        return 0;
    double tilted = g + l1 * sign_of(x), u = x - tilted / L;
    if ((u * x > 0 || (l1 == 0 && u == u)) && u > lower && u < upper)
        return fabs(tilted);
    return fabs(L * (x - prox(box, i, x - g / L, L)));
}

static double penalty_of(const struct sv_descent *run)
{
    double sum = 0;
    for (size_t i = 0; !run->plain && i < run->n; i++)
        sum += run->box.l1[i] * fabs(run->x[i]);
    return sum;
}

static double largest_entry(size_t n, const double *x)
{
    vreal top = v_set1(0);
    for (size_t k = 0; k < n; k += SV_W)
        top = v_max(top, v_abs(v_load_some(x + k, n - k, 0)));
    return v_max_lanes(top);
}

static double measure_of(const struct sv_descent *run)
{
    if (run->plain)
        return largest_entry(run->n, run->g) / run->scale;
    double most = 0;
    for (size_t i = 0; i < run->n; i++) {
        double here = violation(&run->box, i, run->x[i], run->g[i], run->constants[i]);
        most = here > most ? here : most;
    }
    return most / run->scale;
}

/* ---- which block ------------------------------------------------------------------------------- */

static void score(const struct sv_descent *run, double *scores)
{
    const double *g = run->g, *L = run->scored;
    if (run->plain)
        for (size_t i = 0; i < run->n; i++)
            scores[i] = L ? g[i] * g[i] / (2 * L[i]) : g[i] * g[i];
    else
        for (size_t i = 0; i < run->n; i++)
            scores[i] = progress(&run->box, i, run->x[i], g[i], L[i]);
}

INLINE uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Of n numbers >= 0 the rank-th largest (from 1 on): their bits, eleven at a time from the top, tell it. */
static double ranked(size_t n, const double *from, size_t rank, double *work)
{
    enum { BITS = 11, BINS = 1 << BITS };
    uint32_t bins[BINS];
    for (int shift = 52; ; shift = shift > BITS ? shift - BITS : 0) {
        memset(bins, 0, sizeof bins);
        for (size_t i = 0; i < n; i++)
            bins[bits_of(from[i]) >> shift & (BINS - 1)]++;
        size_t bin = BINS;
        while (bins[--bin] < rank)
            rank -= bins[bin];
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            double value = from[i];
            work[kept] = value; /* overwritten by the next that stays */
            kept += (bits_of(value) >> shift & (BINS - 1)) == bin;
        }
        n = kept, from = work;
        if (shift == 0 || n == 1)
            return work[0];
    }
}

static void largest(size_t n, const double *scores, size_t count, double *work, int64_t *chosen)
{
    size_t at = 0;
    double least = count < n ? ranked(n, scores, count, work) : NAN;
    if (isnan(least)) { /* all of them, or no number to go by */
        for (size_t i = 0; i < count && i < n; i++)
            chosen[i] = (int64_t)i;
        return;
    }
    size_t above = 0;
    for (size_t i = 0; i < n; i++)
        above += scores[i] > least;
    size_t equal = count - above;
    for (size_t i = 0; i < n && at < count; i++)
        if (scores[i] > least || (scores[i] == least && equal && equal--))
            chosen[at++] = (int64_t)i;
}

/* g'H^-1 g / 2 of fixed block k. */
static double quadratic_score(const struct sv_descent *run, size_t k)
{
    const int64_t *b = run->members + run->starts[k];
    size_t size = (size_t)(run->starts[k + 1] - run->starts[k]);
    const double *inverse = run->inverses + run->squares[k];
    double sum = 0;
    for (size_t i = 0; i < size; i++) {
        double row = 0;
        for (size_t j = 0; j < size; j++)
            row += inverse[i * size + j] * run->g[b[j]];
        sum += row * run->g[b[i]];
    }
    return sum / 2;
}

static size_t best_block(const struct sv_descent *run, double *scores)
{
    size_t best = 0;
    double top = -INFINITY;
    if (run->rule != SV_GSQ)
        score(run, scores);
    for (size_t k = 0; k < run->count; k++) {
        double sum = 0;
        if (run->rule == SV_GSQ)
            sum = quadratic_score(run, k);
        else
            for (int64_t i = run->starts[k]; i < run->starts[k + 1]; i++)
                sum += scores[run->members[i]];
        if (sum > top)
            top = sum, best = k;
    }
    return best;
}

/* Those of `order` from place `at` on, ascending, each once. */
static size_t drawn(const int64_t *order, size_t count, int64_t *block)
{
    size_t size = 0;
    for (size_t k = 0; k < count; k++) {
        int64_t i = order[k];
        size_t at = size;
        while (at && block[at - 1] > i)
            at--;
        if (at && block[at - 1] == i)
            continue;
        memmove(block + at + 1, block + at, (size - at) * sizeof *block);
        block[at] = i;
        size++;
    }
    return size;
}

/* ---- blocks of Q -------------------------------------------------------------------------------- */

/* H = Q[b][:, b] */
static void gather(const struct sv_descent *run, const struct room *at, double *H)
{
    size_t size = at->size;
    const int64_t *b = at->block;
    if (!run->rows.starts) {
        for (size_t i = 0; i < size; i++)
            for (size_t j = 0; j < size; j++)
                H[i * size + j] = run->dense[(size_t)b[i] * run->n + (size_t)b[j]];
        return;
    }
    sv_block_of(&run->rows, size, b, at->marks, H);
}

/* Cholesky's factor of H in place, where it is a sound one. */
static bool factored(const struct sv_descent *run, size_t size, double *H, double *diagonal)
{
    int n = (int)size, info = 0;
    for (size_t i = 0; i < size; i++)
        if (!((diagonal[i] = H[i * size + i]) > 0))
            return false;
    run->lapack.potrf("L", &n, H, &n, &info);
    for (size_t i = 0; !info && i < size; i++)
        if (!(H[i * size + i] * H[i * size + i] > RANK * diagonal[i]))
            return false;
    return !info;
}

static void solve(const struct sv_descent *run, size_t size, const double *factor, double *s)
{
    int n = (int)size, one = 1, info;
    run->lapack.potrs("L", &n, &one, (double *)factor, &n, s, &n, &info);
}

/* g += Q[:, b] s; dense: four columns in one pass. */
static void add_columns(const struct sv_descent *run, const struct room *at, double *g)
{
    enum { COLUMNS = 4 };
    if (run->rows.starts) {
        sv_add_columns(&run->rows, at->size, at->block, at->s, g);
        return;
    }
    for (size_t from = 0; from < at->size; from += COLUMNS) {
        const double *row[COLUMNS];
        vreal by[COLUMNS];
        for (size_t c = 0; c < COLUMNS; c++) {
            size_t k = from + c < at->size ? from + c : from;
            row[c] = run->dense + (size_t)at->block[k] * run->n;
            by[c] = v_set1(from + c < at->size ? at->s[k] : 0);
        }
        for (size_t j = 0; j < run->n; j += SV_W) {
            vreal sum = v_load_some(g + j, run->n - j, 0);
            for (size_t c = 0; c < COLUMNS; c++)
                sum = v_fma(by[c], v_load_some(row[c] + j, run->n - j, 0), sum);
            v_store_some(g + j, sum, run->n - j);
        }
    }
}

/* ---- the next one ------------------------------------------------------------------------------- */

/* The block of the best value of the model, by hard thresholding from the exact step on the largest scores; false where
 * that step needs more than a Cholesky factor. */
static bool thresholded(const struct sv_descent *run, struct room *at)
{
    size_t n = run->n;
    score(run, at->scores);
    largest(n, at->scores, at->size = run->most, at->candidates, at->block);
    if (at->size == n)
        return true;
    gather(run, at, at->H);
    if (!factored(run, at->size, at->H, at->d))
        return false;
    for (size_t k = 0; k < at->size; k++)
        at->s[k] = -run->g[at->block[k]];
    solve(run, at->size, at->H, at->s);
    memset(at->dense, 0, n * sizeof(double));
    for (size_t k = 0; k < at->size; k++)
        at->dense[at->block[k]] = at->s[k];
    for (int step = 0; step < THRESHOLDS; step++) {
        double change = 0;
        memcpy(at->product, run->g, n * sizeof(double));
        add_columns(run, at, at->product);
        for (size_t i = 0; i < n; i++) {
            at->product[i] = at->dense[i] - at->product[i] / run->whole;
            at->scores[i] = fabs(at->product[i]);
        }
        for (size_t k = 0; k < at->size; k++) /* what leaves the block changes by what it was */
            at->free[k] = at->block[k];
        largest(n, at->scores, at->size, at->candidates, at->block);
        for (size_t k = 0; k < at->size; k++) {
            at->s[k] = at->product[at->block[k]];
            change = fmax(change, fabs(at->s[k] - at->dense[at->block[k]]));
        }
        for (size_t k = 0; k < at->size; k++)
            at->dense[at->block[k]] -= at->s[k]; /* what is left at the others is what they lose */
        for (size_t k = 0; k < at->size; k++) {
            change = fmax(change, fabs(at->dense[at->free[k]]));
            at->dense[at->free[k]] = 0;
        }
        for (size_t k = 0; k < at->size; k++)
            at->dense[at->block[k]] = at->s[k];
        if (change < SETTLED)
            break;
    }
    return true;
}

/* The next block into at->block, its number where it is a fixed one into k; false where the caller has to find it. */
static bool next_block(const struct sv_descent *run, struct room *at, size_t *k)
{
    if (!run->count) {
        size_t steps = (run->n + run->most - 1) / run->most;
        if (run->rule == SV_ORDERED) {
            size_t from = (size_t)(run->nit % (int64_t)steps) * run->most;
            size_t epoch = (size_t)(run->nit / (int64_t)steps - run->epoch);
            size_t count = run->n - from < run->most ? run->n - from : run->most;
            at->size = drawn(run->order + epoch * run->n + from, count, at->block);
        } else if (run->rule == SV_GSQ) {
            return thresholded(run, at);
        } else {
            score(run, at->scores);
            largest(run->n, at->scores, at->size = run->most, at->candidates, at->block);
        }
        return true;
    }
    int64_t count = (int64_t)run->count;
    *k = run->rule == SV_ORDERED ? (size_t)run->order[run->nit - run->epoch * count] : best_block(run, at->scores);
    at->size = (size_t)(run->starts[*k + 1] - run->starts[*k]);
    memcpy(at->block, run->members + run->starts[*k], at->size * sizeof *at->block);
    return true;
}

/* ---- the step on it ---------------------------------------------------------------------------- */

/* The prox-gradient step with one curvature, or those of the coordinates. */
static void proximal(const struct sv_descent *run, struct room *at, double L, const double *each)
{
    for (size_t k = 0; k < at->size; k++) {
        size_t i = (size_t)at->block[k];
        double curvature = each ? each[i] : L, x = run->x[i];
        at->s[k] = run->plain ? -run->g[i] / curvature : prox(&run->box, i, x - run->g[i] / curvature, curvature) - x;
    }
}

/* The largest eigenvalue of a block's matrix. */
static double curvature_of(const struct sv_descent *run, struct room *at)
{
    int n = (int)at->size, info, room = 3 * n;
    if (n == 1)
        return run->constants[at->block[0]];
    gather(run, at, at->H);
    run->lapack.syev("N", "L", &n, at->H, &n, at->u, at->F, &room, &info);
    return info ? 0 : at->u[n - 1] > run->least ? at->u[n - 1] : run->least;
}

/* One Newton step on the coordinates that are free, to where the first of them meets an end; whether it was a whole one,
 * or there is none. */
static bool newton_on_support(const struct sv_descent *run, struct room *at)
{
    size_t size = at->size, count = 0;
    double *u = at->u, *r = at->r, *d = at->d, *F = at->F, top = 0, far = 0, length = 1;
    for (size_t i = 0; i < size; i++) {
        if (u[i] > at->low[i] && u[i] < at->high[i] && (u[i] != 0 || at->l1[i] == 0))
            at->free[count++] = (int64_t)i;
        far = fmax(far, fabs(u[i]));
    }
    if (!count)
        return true;
    for (size_t j = 0; j < count; j++) {
        size_t i = (size_t)at->free[j];
        for (size_t k = 0; k < count; k++)
            F[j * count + k] = at->H[i * size + (size_t)at->free[k]];
        d[j] = -(r[i] + at->l1[i] * sign_of(u[i]));
    }
    int n = (int)count, info;
    run->lapack.potrf("L", &n, F, &n, &info);
    if (info)
        return true;
    solve(run, count, F, d);
    for (size_t j = 0; j < count; j++)
        top = fmax(top, fabs(d[j]));
    if (!(top < 1e8 * (1 + far)))
        return true;
    double *toward = at->slope, *lengths = at->s; /* free until the step is known */
    for (size_t j = 0; j < count; j++) {
        size_t i = (size_t)at->free[j];
        toward[j] = d[j] > 0 ? at->high[i] : at->low[i];
        if (at->l1[i] > 0 && sign_of(u[i]) * d[j] < 0)
            toward[j] = d[j] > 0 ? fmin(toward[j], 0) : fmax(toward[j], 0);
        lengths[j] = d[j] != 0 ? (toward[j] - u[i]) / d[j] : INFINITY;
        length = fmin(length, lengths[j]);
    }
    for (size_t j = 0; j < count; j++) {
        size_t i = (size_t)at->free[j];
        double moved = lengths[j] <= length ? toward[j] : u[i] + length * d[j], change = moved - u[i];
        for (size_t k = 0; change != 0 && k < size; k++)
            r[k] += at->H[i * size + k] * change;
        u[i] = moved;
    }
    return length == 1;
}

/* The step that minimises the block's own quadratic with its penalty: sweeps find the signs, Newton steps the digits.
 * l1 goes into the gradient where a limit gives the sign. */
static bool minimise(const struct sv_descent *run, struct room *at)
{
    size_t size = at->size;
    double slope = 0, weight = 0, extent = 0;
    gather(run, at, at->H);
    for (size_t k = 0; k < size; k++) {
        size_t i = (size_t)at->block[k];
        double l1 = run->box.l1[i], low = run->box.lower[i], high = run->box.upper[i];
        if (at->H[k * size + k] < 0)
            return false;
        at->u[k] = run->x[i], at->low[k] = low, at->high[k] = high;
        at->r[k] = run->g[i] + (low >= 0 ? l1 : high <= 0 ? -l1 : 0);
        at->l1[k] = low >= 0 || high <= 0 ? 0 : l1;
        slope = fmax(slope, fabs(at->r[k])), weight = fmax(weight, at->l1[k]);
        extent = fmax(extent, fabs(at->H[k * size + k] * at->u[k]));
    }
    struct sv_box box = {at->l1, at->low, at->high};
    for (int phase = 0; phase < PHASES; phase++) {
        if (sv_block_sweeps(size, at->H, &box, 2, at->u, at->r) <= 1e-15 * (slope + weight + extent))
            break;
        for (int newton = 0; newton < 4 && !newton_on_support(run, at); newton++)
            ;
    }
    for (size_t k = 0; k < size; k++)
        at->s[k] = at->u[k] - run->x[at->block[k]];
    return true;
}

/* Fills at->s; false where the caller has to do it. */
static bool step_on(const struct sv_descent *run, struct room *at, size_t k)
{
    if (run->update == SV_LB) {
        double L = run->count ? run->stepped[k] : curvature_of(run, at);
        if (!(L > 0))
            return false;
        proximal(run, at, L, NULL);
        return true;
    }
    if (run->update == SV_DIAG) {
        proximal(run, at, 0, run->stepped);
        return true;
    }
    if (!run->plain)
        return minimise(run, at);
    const double *factor = run->count ? run->factors + run->squares[k] : at->H;
    if (run->count && !run->sound[k])
        return false;
    if (!run->count) {
        gather(run, at, at->H);
        if (!factored(run, at->size, at->H, at->d))
            return false;
    }
    for (size_t j = 0; j < at->size; j++)
        at->s[j] = -run->g[at->block[j]];
    solve(run, at->size, factor, at->s);
    return true;
}

/* ---- the point after it ------------------------------------------------------------------------ */

/* What the step has shown, as descent.py's _trouble. */
static enum sv_block_outcome trouble(const struct sv_descent *run, const struct room *at, double f, double fun,
                                     double slope)
{
    double slack = 100 * ULP * fmax(fmax(fabs(run->f), fabs(run->fun)), fabs(fun)), bend = f - run->f - slope;
    if (bend < -1e-9 * fabs(slope) - slack)
        return SV_INDEFINITE;
    double moved = 0;
    for (size_t k = 0; k < at->size; k++)
        moved = fmax(moved, fabs(run->x[at->block[k]]));
    if (bend <= 1e-14 * fabs(slope) && -slope > slack && moved > FAR) {
        double before = 0; /* of the point before; nearly always the step is not long enough to ask */
        for (size_t k = 0; k < at->size; k++)
            before = fmax(before, fabs(at->u[k])), at->marks[at->block[k]] = 1;
        for (size_t i = 0; i < run->n; i++)
            before = at->marks[i] == 0 ? fmax(before, fabs(run->x[i])) : before;
        for (size_t k = 0; k < at->size; k++)
            at->marks[at->block[k]] = 0;
        if (moved > FAR * (1 + before))
            return SV_NO_BOTTOM;
    }
    return moved > HUGE_X ? SV_NO_BOTTOM : SV_GOES_ON;
}

/* Moves x, g and the objective; false where the step is taken back. */
static bool move(struct sv_descent *run, const struct room *at)
{
    double slope = 0, twice = 0;
    bool finite = true;
    for (size_t k = 0; k < at->size; k++) {
        at->slope[k] = run->g[at->block[k]];
        at->u[k] = run->x[at->block[k]];
        slope += at->slope[k] * at->s[k];
        finite = finite && isfinite(at->s[k]);
    }
    if (finite)
        add_columns(run, at, run->g);
    for (size_t k = 0; k < at->size; k++) {
        twice += at->s[k] * (at->slope[k] + run->g[at->block[k]]);
        run->x[at->block[k]] += at->s[k];
    }
    double f = run->f + twice / 2, fun = f + penalty_of(run);
    run->outcome = finite && isfinite(fun) ? trouble(run, at, f, fun, slope) : SV_LEFT_NUMBERS;
    if (run->outcome == SV_GOES_ON) {
        run->f = f, run->fun = fun;
        return true;
    }
    for (size_t k = 0; k < at->size; k++)
        run->x[at->block[k]] = at->u[k];
    return false;
}

/* The measure, and whether it has stood still for too long. */
static void watch(struct sv_descent *run)
{
    run->measure = measure_of(run);
    if (run->measure < 0.9 * run->best) {
        run->quiet = 0, run->best = run->measure, run->low = run->fun;
    } else if (run->quiet > run->patience) {
        if (run->low - run->fun > 4 * ULP * fabs(run->fun))
            run->quiet = 0, run->low = run->fun;
        else
            run->outcome = SV_QUIET;
    }
}

static void descend(struct sv_descent *run, int64_t steps)
{
    struct room at = cut(run);
    int64_t epoch = (int64_t)(run->count ? run->count : (run->n + run->most - 1) / run->most);
    run->outcome = SV_GOES_ON;
    for (int64_t done = 0; done < steps && run->outcome == SV_GOES_ON && run->measure > run->tol; done++) {
        size_t k = 0;
        if (!next_block(run, &at, &k) || !step_on(run, &at, k)) {
            run->outcome = SV_DECLINED;
            return;
        }
        run->nit++;
        bool moves = false;
        for (size_t j = 0; j < at.size; j++)
            moves = moves || at.s[j] != 0;
        if (moves && !move(run, &at))
            return;
        run->quiet++;
        if (run->rule != SV_ORDERED || run->nit % epoch == 0)
            watch(run);
    }
}

const struct descent_kernels SV_TABLE(descent_kernels) = {descend, largest};
