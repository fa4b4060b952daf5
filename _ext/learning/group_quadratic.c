/* Sweeps over the groups, then Newton's method where the penalty is smooth: see group_quadratic.h.
 *
 * Exact steps on one group after another find which groups are zero. Where none is, the norms are smooth, with Hessian
 * norm_k (I - u u') / |w_k| for u = w_k / |w_k|, and a Newton step by Cholesky takes all of them at once. Along the step
 * the objective is a parabola and norms of lines, so that its minimum is found without another product. Coordinates with
 * an l1 term or a sign that would cross zero stay there, where that lowers the objective, and leave; otherwise the first of
 * them stops the step. No move raises the objective.
 *
 * A Newton step costs f^3 / 3 flops for f coordinates that are not zero and p f for the gradient, a sweep p f.
 */
#include "group_quadratic.h"

#include <math.h>
#include <string.h>

SV_DISPATCH(struct group_quadratic_kernels, kernel_table, group_quadratic_kernels_f64)

#define ROUNDING 1e-15
/* A step shorter than this is a short one; what is added to a matrix that is not definite, relative to its diagonal. */
#define SHORT 0.1
#define SHORTEST_PROJECTED 0.01
#define SUFFICIENT 1e-4
#define RIDGE 1e-14

enum { FIRST_SWEEPS = 10, LATER_SWEEPS = 3, NEWTONS = 30, RIDGES = 6, MOST_IDLE = 4, MOST_SHORT = 3, BISECTIONS = 50 };

/* A step along which the objective is known. */
struct line {
    size_t free;       /* coordinates that move: q->face */
    double a, b;       /* derivative a + b t of the smooth part and the l1 terms */
    double end;        /* the first t where a coordinate meets its kink or bound */
    size_t blocking;   /* which that is, of the face */
};

static int has_kink(const struct sv_group_quadratic *q, size_t j)
{
    return q->l1[j] > 0 || q->low[j] == 0 || q->high[j] == 0;
}

static double size_of(const struct sv_group_quadratic *q, size_t k)
{
    double square = 0;
    for (int32_t j = q->start[k]; j < q->start[k + 1]; j++)
        square += q->w[j] * q->w[j];
    return sqrt(square);
}

/* The coordinates along which the objective is smooth, in q->face; each group's are neighbours. */
static size_t find_face(struct sv_group_quadratic *q)
{
    size_t free = 0;
    for (size_t k = 0; k < q->count; k++) {
        double norm = q->norm[k];
        if (norm > 0 && size_of(q, k) == 0)
            continue;
        for (int32_t j = q->start[k]; j < q->start[k + 1]; j++)
            if ((q->w[j] != 0 || !has_kink(q, (size_t)j)) && (norm > 0 || q->H[(size_t)j * (q->stride + 1)] > 0))
                q->face[free++] = j;
    }
    return free;
}

/* The end of the run of face coordinates that begins at `from` and belongs to group *k, which moves on to it. */
static size_t run_end(const struct sv_group_quadratic *q, size_t free, size_t from, size_t *k)
{
    while (q->start[*k + 1] <= q->face[from])
        ++*k;
    size_t to = from;
    while (to < free && q->face[to] < q->start[*k + 1])
        to++;
    return to;
}

/* The Hessian on the face, lower triangle in rows, with `ridge` times its diagonal added. */
static void assemble(struct sv_group_quadratic *q, size_t free, double ridge)
{
    for (size_t r = 0; r < free; r++) {
        const double *h = q->H + (size_t)q->face[r] * q->stride;
        double *row = q->factor + r * q->p;
        for (size_t c = 0; c <= r; c++)
            row[c] = h[q->face[c]];
    }
    for (size_t from = 0, k = 0, to; from < free; from = to) {
        to = run_end(q, free, from, &k);
        if (!(q->norm[k] > 0))
            continue;
        double size = size_of(q, k), bend = q->norm[k] / size;
        for (size_t r = from; r < to; r++) {
            double *row = q->factor + r * q->p, along = q->w[q->face[r]] / size;
            for (size_t c = from; c <= r; c++)
                row[c] -= bend * along * (q->w[q->face[c]] / size);
            row[r] += bend;
        }
    }
    if (ridge > 0) {
        double largest = 0;
        for (size_t r = 0; r < free; r++)
            largest = fmax(largest, q->factor[r * (q->p + 1)]);
        for (size_t r = 0; r < free; r++)
            q->factor[r * (q->p + 1)] += ridge * largest;
    }
}

/* The slope of the objective along each coordinate of the face. */
static void slopes(const struct sv_group_quadratic *q, size_t free, double *slope)
{
    for (size_t from = 0, k = 0, to; from < free; from = to) {
        to = run_end(q, free, from, &k);
        double inward = q->norm[k] > 0 ? q->norm[k] / size_of(q, k) : 0;
        for (size_t r = from; r < to; r++) {
            int32_t j = q->face[r];
            double l1 = q->w[j] > 0 ? q->l1[j] : q->w[j] < 0 ? -q->l1[j] : 0;
            slope[r] = q->g[j] + l1 + inward * q->w[j];
        }
    }
}

/* The Newton direction on the face, packed; returns whether there is one. */
static int direction(struct sv_group_quadratic *q, size_t free, double *way)
{
    int n = (int)free, lda = (int)q->p, one = 1, info = 1;
    char upper = 'U', transposed = 'T', plain = 'N';
    double ridge = 0;
    for (int trial = 0; trial < RIDGES && info != 0; trial++) {
        assemble(q, free, ridge);
        q->lapack.potrf(&upper, &n, q->factor, &lda, &info);
        ridge = ridge > 0 ? 100 * ridge : RIDGE;
    }
    if (info != 0)
        return 0;
    slopes(q, free, way);
    for (size_t r = 0; r < free; r++)
        way[r] = -way[r];
    q->lapack.trsv(&upper, &transposed, &plain, &n, q->factor, &lda, way, &one);
    q->lapack.trsv(&upper, &plain, &plain, &n, q->factor, &lda, way, &one);
    q->newtons++;
    for (size_t r = 0; r < free; r++)
        if (!isfinite(way[r]))
            return 0;
    return 1;
}

/* Where the step goes: `follow` is H way. */
static struct line line_along(const struct sv_group_quadratic *q, size_t free, const double *way, const double *follow)
{
    struct line line = {free, 0, 0, INFINITY, free};
    for (size_t r = 0; r < free; r++) {
        size_t j = (size_t)q->face[r];
        double w = q->w[j];
        line.a += way[r] * (q->g[j] + (w > 0 ? q->l1[j] : w < 0 ? -q->l1[j] : 0));
        line.b += way[r] * follow[j];
        if (has_kink(q, j) && w * way[r] < 0 && -w / way[r] < line.end) {
            line.end = -w / way[r];
            line.blocking = r;
        }
    }
    return line;
}

/* The derivative of the objective at t, and by how much it changed since t = 0. */
static double derivative(const struct sv_group_quadratic *q, const struct line *line, const double *way, double t,
                         double *change)
{
    double sum = line->a + line->b * t;
    *change = t * (line->a + 0.5 * line->b * t);
    for (size_t from = 0, k = 0, to; from < line->free; from = to) {
        to = run_end(q, line->free, from, &k);
        if (!(q->norm[k] > 0))
            continue;
        double here = 0, there = 0, slope = 0, gained = 0;
        for (size_t r = from; r < to; r++) {
            double w = q->w[q->face[r]], moved = w + t * way[r];
            here += w * w;
            there += moved * moved;
            slope += moved * way[r];
            gained += t * way[r] * (2 * w + t * way[r]);
        }
        if (there > 0)
            sum += q->norm[k] * slope / sqrt(there);
        *change += q->norm[k] * gained / (sqrt(there) + sqrt(here));
    }
    return sum;
}

/* The t where the objective is least, or 1 where that is no worse than 0. */
static double best_length(const struct sv_group_quadratic *q, const struct line *line, const double *way)
{
    double low = 0, high = fmin(1, line->end), change;
    double start = fabs(derivative(q, line, way, 0, &change)), end = derivative(q, line, way, high, &change);
    if (end <= 0 || (end <= SHORT * start && change <= 0))
        return high;
    for (int k = 0; k < BISECTIONS && high - low > 1e-3 * high; k++) {
        double middle = 0.5 * (low + high);
        if (derivative(q, line, way, middle, &change) > 0)
            high = middle;
        else
            low = middle;
    }
    return low;
}

/* By how much the objective changes with w += move on the face; `follow` is H move. */
static double change_by(const struct sv_group_quadratic *q, size_t free, const double *move, const double *follow)
{
    double change = 0;
    for (size_t from = 0, k = 0, to; from < free; from = to) {
        to = run_end(q, free, from, &k);
        double here = 0, there = 0, gained = 0;
        for (size_t r = from; r < to; r++) {
            int32_t j = q->face[r];
            double w = q->w[j], s = move[r];
            here += w * w;
            there += (w + s) * (w + s);
            gained += s * (2 * w + s);
            change += s * (q->g[j] + 0.5 * follow[j]) + q->l1[j] * (fabs(w + s) - fabs(w));
        }
        change += here > 0 ? q->norm[k] * gained / (sqrt(there) + sqrt(here)) : 0;
    }
    return change;
}

/* The step with all coordinates that would cross their kinks put there instead, or a part of it that lowers the objective
 * as it should; returns that part, 0 where there is none. */
static double projected_step(struct sv_group_quadratic *q, size_t free, const double *way, double slope)
{
    double *move = q->step + 2 * q->p, *follow = q->step + 3 * q->p;
    for (double t = 1; t > SHORTEST_PROJECTED; t *= 0.5) {
        for (size_t r = 0; r < free; r++) {
            double w = q->w[q->face[r]];
            int crosses = has_kink(q, (size_t)q->face[r]) && (w + t * way[r]) * w <= 0;
            move[r] = crosses ? -w : t * way[r];
        }
        memset(follow, 0, q->p * sizeof(double));
        kernel_table()->add_rows(q, follow, q->face, move, free);
        if (!(change_by(q, free, move, follow) <= SUFFICIENT * t * slope))
            continue;
        for (size_t r = 0; r < free; r++) {
            double *w = q->w + q->face[r];
            *w = move[r] == -*w ? 0 : *w + move[r];
        }
        for (size_t j = 0; j < q->p; j++)
            q->g[j] += follow[j];
        return t;
    }
    return 0;
}

/* A Newton step on the face; returns the share of it that was taken, 0 where there is none. *dropped: whether a
 * coordinate met zero. */
static double newton_step(struct sv_group_quadratic *q, int *dropped)
{
    double *way = q->step, *follow = q->step + q->p;
    size_t free = find_face(q);
    *dropped = 0;
    if (free == 0 || !direction(q, free, way))
        return 0;
    memset(follow, 0, q->p * sizeof(double));
    kernel_table()->add_rows(q, follow, q->face, way, free);
    struct line line = line_along(q, free, way, follow);
    if (line.end < 1) {
        double change, slope = derivative(q, &line, way, 0, &change), part = projected_step(q, free, way, slope);
        if (part > 0) {
            *dropped = 1;
            return part;
        }
    }
    double t = best_length(q, &line, way);
    *dropped = line.blocking < free && t == line.end;
    for (size_t r = 0; r < free; r++) {
        double *w = q->w + q->face[r], next = *w + t * way[r];
        int crosses = has_kink(q, (size_t)q->face[r]) && next * *w < 0;
        *w = crosses || (*dropped && r == line.blocking) ? 0 : next;
    }
    for (size_t j = 0; j < q->p; j++)
        q->g[j] += t * follow[j];
    return t;
}

/* A number that changes, nearly always, where a coordinate becomes zero or stops being it. */
static uint64_t pattern(const struct sv_group_quadratic *q)
{
    uint64_t hash = 0;
    for (size_t j = 0; j < q->p; j++)
        hash = hash * 0x9E3779B97F4A7C15u + (uint64_t)(q->w[j] != 0) + 1;
    return hash;
}

/* Sweeps until the coordinates that are zero stay. */
static void settle(struct sv_group_quadratic *q, double tol, int most)
{
    uint64_t before = pattern(q), now;
    for (int k = 0; k < most && kernel_table()->sweep(q) > tol; k++, before = now)
        if ((now = pattern(q)) == before)
            break;
}

/* Newton steps while they pay; returns the longest share that was taken. */
static double solve_face(struct sv_group_quadratic *q, double tol)
{
    double longest = 0, before = kernel_table()->violation(q, 0);
    for (int k = 0; k < NEWTONS && before > tol; k++) {
        int dropped;
        double t = newton_step(q, &dropped), now = kernel_table()->violation(q, 0);
        longest = fmax(longest, t);
        if (t == 0 || (!dropped && (t < SHORT || now > 0.5 * before)))
            break;
        before = now;
    }
    return longest;
}

/* The objective, less that of the smooth part at the origin; *size: the sum of its terms' magnitudes. */
static double objective(const struct sv_group_quadratic *q, double *size)
{
    double sum = 0;
    *size = 0;
    for (size_t k = 0; k < q->count; k++) {
        double bent = q->norm[k] * size_of(q, k);
        sum += bent;
        *size += bent;
    }
    for (size_t j = 0; j < q->p; j++) {
        double smooth = 0.5 * (q->g[j] + q->slope[j]) * (q->w[j] - q->origin[j]), bent = q->l1[j] * fabs(q->w[j]);
        sum += smooth + bent;
        *size += fabs(smooth) + bent;
    }
    return sum;
}

double sv_group_quadratic_minimise(struct sv_group_quadratic *q, double tol, int64_t max_phases)
{
    const struct group_quadratic_kernels *kernels = kernel_table();
    double violation = kernels->violation(q, 1), least = INFINITY, best = INFINITY, size;
    int idle = 0, brief = 0;
    memcpy(q->origin, q->w, q->p * sizeof(double));
    memcpy(q->slope, q->g, q->p * sizeof(double));
    q->stuck = 0;
    for (int64_t k = 0; k < max_phases && violation > tol; k++) {
        settle(q, tol, k == 0 ? FIRST_SWEEPS : LATER_SWEEPS);
        brief = solve_face(q, tol) < SHORT ? brief + 1 : 0;
        violation = kernels->violation(q, 1);
        double now = objective(q, &size);
        /* Where neither falls any more rounding has been reached. */
        int gained = violation <= 0.5 * best || now < least - ROUNDING * size;
        best = fmin(best, violation);
        least = fmin(least, now);
        idle = gained ? 0 : idle + 1;
        q->stuck = brief >= MOST_SHORT && violation > tol;
        if (violation <= tol || idle == MOST_IDLE || q->stuck)
            break;
    }
    return violation;
}
