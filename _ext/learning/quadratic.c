/* Sweeps over the coordinates, then an active-set method on the face they settle on: see quadratic.h.
 *
 * Sweeps find which coordinates are free. There the equations are linear, and a step with the Cholesky factor of H on the
 * face solves them, up to the first coordinate that would change sign or pass a bound: it stops there and leaves the face,
 * and the rest goes on (its right side only shrinks by what was done of the step, so H is not needed for that). Where the
 * face is solved, coordinates whose equations are violated most enter, by a coordinate step each: many at once as long as
 * few leave again, in the end one. Every move lowers the objective, so that no face comes back, and the last one ends at
 * rounding. The factor is kept: a coordinate that enters costs a triangular solve, one that leaves a chain of rotations,
 * both O(|face|^2); after many changes LAPACK factors anew.
 *
 * A coordinate that depends on those of the face (|face| reaches the rank of H) is exchanged for one of them: along
 * the dependency the objective is linear, and it is followed down to the first coordinate that it brings to its end.
 * Where it is flat without an end the coordinate stays as it is, free but outside of the face: as long as the face stays
 * its equation is met where theirs are. Where the face shrinks it may be needed again, and is looked at anew.
 */
#include "quadratic.h"

#include <math.h>
#include <string.h>

SV_DISPATCH(struct quadratic_kernels, kernel_table, quadratic_kernels_f64)

/* What a linear dependency leaves of a pivot, relatively; a slope along one that is no rounding, of its terms' size. */
#define DEPENDENT 1e-12
#define STEEP 1e-6
/* A share in a dependency that is rounding: along it a coordinate would meet its end at 1e16. */
#define FAINT 1e-7
#define ROUNDING 1e-15
#define NORMAL 1e-290

/* More first sweeps pay on large faces, where each change of the face costs as much as a sweep. */
enum { FIRST_SWEEPS = 10, MORE_SWEEPS = 30, COORDINATES_A_SWEEP = 50, MOST_IDLE = 4, FIRST_ENTRIES = 16, MOST_EXCHANGES = 3 };

static double *row_of(struct sv_quadratic *q, size_t k) { return q->factor + k * q->stride; }

/* Whether w_j can move both ways with a linear gradient: neither at a bound nor at the kink of the l1 term. */
static int is_free(const struct sv_quadratic *q, size_t j)
{
    double w = q->w[j];
    return (q->weight[j] == 0 || w != 0) && w > q->low[j] && w < q->high[j] && q->H[j * q->stride + j] > 0;
}

/* L x = b, or L' x = b where `transposed`, in place. */
static void triangular(struct sv_quadratic *q, double *x, int transposed)
{
    /* Rows of L are columns of an upper triangle to Fortran. */
    int n = (int)q->size, lda = (int)q->stride, one = 1;
    char upper = 'U', trans = transposed ? 'N' : 'T', diag = 'N';
    if (n)
        q->lapack.trsv(&upper, &trans, &diag, &n, q->factor, &lda, x, &one);
}

/* The row of L that coordinate j would get, in place of the next one; returns whether it is independent of the face. */
static int new_row(struct sv_quadratic *q, size_t j)
{
    size_t s = q->size;
    const double *h = q->H + j * q->stride;
    double *row = row_of(q, s);
    for (size_t k = 0; k < s; k++)
        row[k] = h[q->face[k]];
    triangular(q, row, 0);
    double pivot = h[j] - kernel_table()->dot(row, row, s);
    row[s] = sqrt(fmax(pivot, 0));
    return pivot > DEPENDENT * h[j];
}

/* Takes coordinate j, whose row new_row has made, into the face. */
static void enter(struct sv_quadratic *q, size_t j)
{
    q->face[q->size] = (int32_t)j;
    q->place[j] = (int32_t)q->size++;
    q->updates++;
}

/* hypot, which takes longer, where squares would not be normal numbers. */
static double length_of(double x, double y)
{
    double square = x * x + y * y;
    return square > NORMAL && square < 1 / NORMAL ? sqrt(square) : hypot(x, y);
}

/* The rotations `from` to `to` - 1 on rows of L, each of which has its entry of the first one's column in `carried`. */
static inline void rotated(double *const row[], double *carried, int rows, size_t from, size_t to, const double *cosine,
                           const double *sine)
{
    for (size_t i = from; i < to; i++)
        for (int c = 0; c < rows; c++) {
            double next = row[c][i + 1];
            row[c][i] = cosine[i] * carried[c] + sine[i] * next;
            carried[c] = cosine[i] * next - sine[i] * carried[c];
        }
}

/* Takes the k-th coordinate out of the face: its row goes, and rotations make the rest triangular again. Four rows at a
 * time go through those before them, since each has to wait for its own last rotation. */
static void leave(struct sv_quadratic *q, size_t k)
{
    enum { ROWS = 4 };
    double *cosine = q->step + q->p, *sine = cosine + q->p;
    size_t last = q->size - 1;
    q->place[q->face[k]] = -1;
    for (size_t from = k; from < last; from += ROWS) {
        int rows = last - from < ROWS ? (int)(last - from) : ROWS;
        double *row[ROWS], carried[ROWS];
        for (int c = 0; c < rows; c++) {
            row[c] = row_of(q, from + (size_t)c);
            memcpy(row[c], row_of(q, from + (size_t)c + 1), (from + (size_t)c + 2) * sizeof(double));
            carried[c] = row[c][k];
        }
        if (rows == ROWS)
            rotated(row, carried, ROWS, k, from, cosine, sine);
        else
            rotated(row, carried, rows, k, from, cosine, sine);
        for (int c = 0; c < rows; c++) {
            size_t r = from + (size_t)c;
            rotated(row + c, carried + c, 1, from, r, cosine, sine);
            double length = length_of(carried[c], row[c][r + 1]);
            cosine[r] = carried[c] / length;
            sine[r] = row[c][r + 1] / length;
            row[c][r] = length;
            q->face[r] = q->face[r + 1];
            q->place[q->face[r]] = (int32_t)r;
        }
    }
    q->size = last;
    q->updates++;
}

/* The face of `count` coordinates anew, by LAPACK; returns whether it is definite. */
static int factorised(struct sv_quadratic *q, const int32_t *coordinates, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const double *h = q->H + (size_t)coordinates[k] * q->stride;
        double *row = row_of(q, k);
        for (size_t i = 0; i <= k; i++)
            row[i] = h[coordinates[i]];
    }
    int n = (int)count, lda = (int)q->stride, info = 0;
    char upper = 'U';
    q->lapack.potrf(&upper, &n, q->factor, &lda, &info);
    q->factorisations++;
    for (size_t k = 0; k < count && info == 0; k++) {
        double pivot = row_of(q, k)[k];
        if (!(pivot * pivot > DEPENDENT * q->H[(size_t)coordinates[k] * (q->stride + 1)]))
            info = 1;
    }
    return info == 0;
}

/* Where coordinate j ends in the direction of `way`: a bound, or the kink at zero. */
static double end_of(const struct sv_quadratic *q, size_t j, double way)
{
    double w = q->w[j], below = q->low[j], above = q->high[j];
    if (q->weight[j] > 0 && w > 0)
        below = fmax(below, 0);
    if (q->weight[j] > 0 && w < 0)
        above = fmin(above, 0);
    return way < 0 ? below : above;
}

/* How much of a step coordinate j can take. */
static double reach(const struct sv_quadratic *q, size_t j, double step)
{
    return step == 0 ? INFINITY : (end_of(q, j, step) - q->w[j]) / step;
}

/* Moves coordinate j, not beyond its end; returns whether it got there. */
static int moved_to_end(struct sv_quadratic *q, size_t j, double step, int is_end)
{
    double end = end_of(q, j, step), w = q->w[j] + step;
    int there = is_end || (step < 0 ? w <= end : step > 0 && w >= end);
    q->w[j] = there ? end : w;
    return there;
}

/* Takes the face's coordinates by the step `share` q->step; those that come to their end, `blocking` among them, leave.
 * Returns how many left; `rest` is packed like the face. */
static int advance(struct sv_quadratic *q, double share, size_t blocking, double *rest)
{
    int left = 0;
    for (size_t k = q->size; k-- > 0;)
        if (moved_to_end(q, (size_t)q->face[k], share * q->step[k], k == blocking)) {
            memmove(rest + k, rest + k + 1, (q->size - k - 1) * sizeof(double));
            leave(q, k);
            left++;
        }
    return left;
}

/* What is not yet zero of the gradient along coordinate j, the l1 term included. */
static double rest_of(const struct sv_quadratic *q, size_t j)
{
    return q->g[j] + (q->w[j] > 0 ? q->weight[j] : q->w[j] < 0 ? -q->weight[j] : 0);
}

/* The square root of H_jj. */
static double width_of(const struct sv_quadratic *q, size_t j) { return sqrt(q->H[j * (q->stride + 1)]); }

/* A bound on all H^(1/2) w could be: no term of Hw is larger than this times its row's width. */
static double extent(const struct sv_quadratic *q)
{
    double sum = 0;
    for (size_t j = 0; j < q->p; j++)
        if (q->w[j] != 0)
            sum += width_of(q, j) * fabs(q->w[j]);
    return sum;
}

/* The terms that cancel in rest_of: its gradient is that of the start and Hw, and rounding where both balance. */
static double size_of(const struct sv_quadratic *q, size_t j, double extent)
{
    return fabs(q->slope[j]) + q->weight[j] + width_of(q, j) * extent;
}

/* How far coordinate j can go along the dependency: j by `way`, the face by -way q->step. *blocking: whose end is first
 * met, the size of the face if it is that of j. */
static double room(const struct sv_quadratic *q, size_t j, double way, size_t *blocking)
{
    double length = reach(q, j, way);
    *blocking = q->size;
    for (size_t k = 0; k < q->size; k++) {
        double part = reach(q, (size_t)q->face[k], -way * q->step[k]);
        if (part < length) {
            length = part;
            *blocking = k;
        }
    }
    return length;
}

/* Coordinate j depends on the face by the row that new_row left: along the dependency, downhill, until a coordinate
 * meets its end. Either that is j, or another one leaves the face. Downhill without an end there is no minimum; where it
 * is flat both ways do, and the nearer end is taken, since the iterate must not walk off by rounding. */
static void exchange(struct sv_quadratic *q, size_t j)
{
    size_t s = q->size, blocking, behind;
    double all = extent(q), slope = rest_of(q, j), size = size_of(q, j, all), width = width_of(q, j), *along = q->step;
    memcpy(along, row_of(q, s), s * sizeof(double));
    triangular(q, along, 1);
    for (size_t k = 0; k < s; k++) {
        size_t other = (size_t)q->face[k];
        if (fabs(along[k]) * width_of(q, other) <= FAINT * width)
            along[k] = 0;
        slope -= along[k] * rest_of(q, other);
        size += fabs(along[k]) * size_of(q, other, all);
    }
    double way = slope > 0 ? -1 : 1, length = room(q, j, way, &blocking), back = room(q, j, -way, &behind);
    if (fabs(slope) <= ROUNDING * size && back < length) {
        way = -way;
        length = back;
        blocking = behind;
    }
    if (!(length < INFINITY)) { /* where it is flat to rounding nothing is lost by giving j up */
        q->endless |= fabs(slope) > STEEP * size;
        length = 0;
    }
    for (size_t k = 0; k < s; k++)
        along[k] *= -way;
    moved_to_end(q, j, length * way, blocking == s && length > 0);
    if (length > 0)
        advance(q, length, blocking, q->step + 3 * q->p);
}

/* Makes the face that of the free coordinates; those that depend on others are exchanged. */
static void find_face(struct sv_quadratic *q)
{
    size_t count = 0, changes = 0;
    int32_t *coordinates = (int32_t *)(q->step + q->p); /* lent for the moment */
    for (size_t j = 0; j < q->p; j++) {
        int wanted = is_free(q, j);
        changes += wanted != (q->place[j] >= 0);
        if (wanted)
            coordinates[count++] = (int32_t)j;
    }
    if (changes == 0)
        return;
    if (changes > 4 + count / 8) {
        for (size_t k = 0; k < q->size; k++)
            q->place[q->face[k]] = -1;
        q->size = 0;
        if (factorised(q, coordinates, count)) {
            memcpy(q->face, coordinates, count * sizeof *coordinates);
            for (size_t k = 0; k < count; k++)
                q->place[q->face[k]] = (int32_t)k;
            q->size = count;
            return;
        }
    }
    for (size_t k = q->size; k-- > 0;)
        if (!is_free(q, (size_t)q->face[k]))
            leave(q, k);
    for (size_t j = 0; j < q->p; j++)
        if (q->place[j] < 0 && is_free(q, j)) {
            int tries = MOST_EXCHANGES, independent = 0;
            while (is_free(q, j) && !(independent = new_row(q, j)) && tries-- > 0)
                exchange(q, j);
            if (is_free(q, j) && independent)
                enter(q, j);
        }
}

/* Whether the whole step, each coordinate stopped at its own end, lowers the objective by more than `share` of it does, which
 * stops all at the first end met. Then `rest` is what is left of the right side there: the step leaves nothing, so that it is
 * what the columns of those stopped make of what they lack. */
static int stopping_each(struct sv_quadratic *q, double share, double *rest)
{
    size_t s = q->size;
    double *made = q->step + q->p, all = 0, each = 0; /* of H */
    memset(made, 0, s * sizeof(double));
    for (size_t k = 0; k < s; k++) {
        size_t j = (size_t)q->face[k];
        all += rest[k] * q->step[k];
        double end = end_of(q, j, q->step[k]), lacks = end - q->w[j] - q->step[k];
        if (!(reach(q, j, q->step[k]) < 1))
            continue;
        const double *h = q->H + j * q->stride;
        for (size_t i = 0; i < s; i++)
            made[i] += lacks * h[q->face[i]];
    }
    for (size_t k = 0; k < s; k++) {
        size_t j = (size_t)q->face[k];
        int stops = reach(q, j, q->step[k]) < 1;
        each += 0.5 * (stops ? end_of(q, j, q->step[k]) - q->w[j] : q->step[k]) * (rest[k] - made[k]);
    }
    if (!(each > (1 - 0.5 * share) * share * all))
        return 0;
    for (size_t k = 0; k < s; k++)
        rest[k] = -made[k];
    return 1;
}

/* One Newton step on the face, as far as it goes; `rest` is what is left of the right side, before and after.
 * Returns whether it went all the way; -1 where it makes no sense. */
static int newton_step(struct sv_quadratic *q, double *rest)
{
    size_t s = q->size, blocking = s, ends = 0;
    double share = 1, largest = 0;
    memcpy(q->step, rest, s * sizeof(double));
    triangular(q, q->step, 0);
    triangular(q, q->step, 1);
    q->newtons++;
    for (size_t k = 0; k < s; k++) {
        double part = reach(q, (size_t)q->face[k], q->step[k]);
        largest = fmax(largest, fabs(q->step[k]));
        ends += part < 1;
        if (part < share) {
            share = part;
            blocking = k;
        }
    }
    if (!(largest < INFINITY))
        return -1;
    if (ends > 1 && stopping_each(q, share, rest))
        return advance(q, 1, s, rest) == 0;
    for (size_t k = 0; k < s; k++)
        rest[k] *= 1 - share;
    return advance(q, share, blocking, rest) == 0;
}

/* Whether a free coordinate is outside of the face: given up since it depended on those within. */
static int some_are_spare(const struct sv_quadratic *q)
{
    for (size_t j = 0; j < q->p; j++)
        if (q->place[j] < 0 && is_free(q, j))
            return 1;
    return 0;
}

/* Newton steps on the face of the iterate until it is solved, then the gradient there. Returns how many coordinates left. */
static int solve_face(struct sv_quadratic *q)
{
    double *rest = q->step + 3 * q->p;
    int left = 0, before;
    do { /* each time there are fewer free coordinates */
        before = left;
        memcpy(q->from, q->w, q->p * sizeof(double));
        find_face(q);
        for (size_t k = 0; k < q->size; k++)
            rest[k] = -rest_of(q, (size_t)q->face[k]);
        while (q->size > 0 && newton_step(q, rest) == 0)
            left++;
        kernel_table()->follow(q);
    } while (left > before && !q->endless && some_are_spare(q));
    return left;
}

/* Moves the coordinate outside of the face whose equation is violated most, up to `most` times. Returns the moves. */
static int admit(struct sv_quadratic *q, double tol, int most)
{
    int moves = 0;
    while (moves < most && kernel_table()->greedy_step(q) > tol)
        moves++;
    return moves;
}

/* A number that changes, nearly always, where a coordinate becomes free or bound, or changes sign. */
static uint64_t pattern(const struct sv_quadratic *q)
{
    uint64_t hash = 0;
    for (size_t j = 0; j < q->p; j++)
        hash = hash * 0x9E3779B97F4A7C15u + (uint64_t)(q->w[j] > 0) + 2 * (uint64_t)(q->w[j] < 0) +
               4 * (uint64_t)is_free(q, j);
    return hash;
}

/* Sweeps until the free coordinates and their signs stay. */
static void settle(struct sv_quadratic *q, double tol)
{
    uint64_t before = pattern(q), now;
    size_t more = q->p / COORDINATES_A_SWEEP;
    int most = FIRST_SWEEPS + (int)(more < MORE_SWEEPS ? more : MORE_SWEEPS);
    for (int k = 0; k < most && kernel_table()->sweep(q) > tol; k++, before = now)
        if ((now = pattern(q)) == before)
            break;
}

/* The objective, less that of the smooth part at the origin; *size: the sum of its terms' magnitudes. */
static double objective(const struct sv_quadratic *q, double *size)
{
    double sum = 0;
    *size = 0;
    for (size_t j = 0; j < q->p; j++) {
        double smooth = 0.5 * (q->g[j] + q->slope[j]) * (q->w[j] - q->origin[j]), bent = q->weight[j] * fabs(q->w[j]);
        sum += smooth + bent;
        *size += fabs(smooth) + bent;
    }
    return sum;
}

double sv_quadratic_minimise(struct sv_quadratic *q, double tol, int64_t max_phases)
{
    const struct quadratic_kernels *kernels = kernel_table();
    double violation = kernels->violation(q), least = INFINITY, best = INFINITY, size;
    int entries = FIRST_ENTRIES, idle = 0;
    q->endless = 0;
    memcpy(q->origin, q->w, q->p * sizeof(double));
    memcpy(q->slope, q->g, q->p * sizeof(double));
    if (q->size == 0 && violation > tol)
        settle(q, tol);
    for (int64_t k = 0; k < max_phases && violation > tol; k++) {
        int left = solve_face(q);
        if (q->endless)
            return INFINITY;
        violation = kernels->violation(q);
        double now = objective(q, &size);
        /* Where neither falls any more rounding has been reached. */
        int gained = violation <= 0.5 * best || now < least - ROUNDING * size;
        best = fmin(best, violation);
        least = fmin(least, now);
        idle = gained ? 0 : idle + 1;
        if (violation <= tol || idle == MOST_IDLE)
            break;
        int most = (int)(q->size / 4) + FIRST_ENTRIES, entered = admit(q, tol, entries);
        entries = 2 * left > entered ? entries / 2 : 2 * entries;
        entries = entries < 1 ? 1 : entries > most ? most : entries;
    }
    return violation;
}
