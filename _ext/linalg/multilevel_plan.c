/* The shapes of a hierarchy's levels, and its last level solved exactly.
 *
 * An axis is halved as long as its couplings are not weaker than the strongest by more than ANISOTROPY: halving divides
 * them by 4. The last level has at most MOST_LAST cells, or cannot be halved.
 *
 * Its matrix B, scaled to a diagonal of ones, is inverted by Cholesky's factor. Where parts of it have no sinks, their
 * indicators v (scaled, of length 1) are its null space, and pinv(B) = (B + sum v v')^-1 - sum v v'. Where the factor
 * breaks down (parts that hang together by a thread) Jacobi's rotations give the eigenvectors, of which those are left
 * out that belong to less than SINGULAR of the largest eigenvalue.
 * Cost: n^3 multiply-adds, n <= 256; rotations some fifty times that. Bytes: 8 n^2 beside the result.
 * In NumPy: np.linalg.inv(B), or np.linalg.pinv(B, SINGULAR, hermitian=True)
 */
#include "multilevel_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LAST = 256, SHORTEST = 4, SAMPLE = 4096, LEAF = 128, MOST_SWEEPS = 30 };
#define ANISOTROPY 8.0
#define SINGULAR 1e-9
#define LEAST_PIVOT 1e-13 /* of a diagonal of ones: below, rounding may have made it */

/* ---- the levels ---- */

static int plan(const struct sv_plan *given, int odd, struct sv_planned *planned)
{
    ptrdiff_t n[3];
    double strength[3];
    memcpy(n, given->n, sizeof n);
    memcpy(strength, given->strength, sizeof strength);
    for (int l = 0; l < MULTILEVEL_MOST; l++) {
        int may[3], any = 0;
        ptrdiff_t shortest = PTRDIFF_MAX, cells = 1;
        double strongest = 0;
        for (int k = 0; k < 3; k++) {
            int stays = given->periodic[k] && (odd ? n[k] == 2 : n[k] / 2 % 2 == 1);
            may[k] = n[k] > 1 && !stays;
            any |= may[k];
            shortest = n[k] > 1 && n[k] < shortest ? n[k] : shortest;
            cells *= n[k];
            if (may[k] && k != given->line && strength[k] > strongest)
                strongest = strength[k];
        }
        memcpy(planned->n[l], n, sizeof n);
        memset(planned->halved[l], 0, sizeof planned->halved[l]);
        planned->levels = l + 1;
        if (!any || (cells <= MOST_LAST && (shortest <= SHORTEST || shortest == PTRDIFF_MAX)))
            return 1;
        for (int k = 0; k < 3; k++)
            if (may[k] && (k == given->line || strength[k] * ANISOTROPY >= strongest)) {
                planned->halved[l][k] = 1;
                n[k] = (n[k] + 1) / 2;
                strength[k] /= 4;
            }
        /* what all axes share of the change does not matter */
    }
    return 0;
}

int sv_plan_levels(const struct sv_plan *given, struct sv_planned *planned)
{
    int fits = plan(given, 0, planned), odd = 0;
    const ptrdiff_t *last = planned->n[planned->levels - 1];
    for (int k = 0; k < 3; k++)
        odd |= given->periodic[k] && given->n[k] > 1 && given->n[k] % 2;
    /* red would touch red around an odd axis; and the fused passes want an even axis on every level */
    odd |= last[0] * last[1] * last[2] > MOST_LAST;
    if (odd)
        fits = plan(given, 1, planned);
    planned->odd = odd;
    return fits;
}

size_t sv_plan_stride(size_t size)
{
    size_t stride = size / SAMPLE;
    return (stride ? stride : 1) | 1;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sv_plan_strength(double *couplings, size_t count)
{
    size_t positive = 0;
    for (size_t k = 0; k < count; k++)
        if (couplings[k] > 0)
            couplings[positive++] = couplings[k];
    if (!positive)
        return 0;
    qsort(couplings, positive, sizeof *couplings, compare);
    const double upper = couplings[positive / 2];
    return positive % 2 ? upper : (couplings[positive / 2 - 1] + upper) / 2;
}

double sv_plan_scale(double size) { return size > 0 && size < INFINITY ? ldexp(1, -(int)nearbyint(log2(size))) : 1; }

/* ---- sums ---- */

/* In halves down to LEAF numbers: its rounding grows with the logarithm of the count. */
static double sum_of(const double *vector, const ptrdiff_t *cells, size_t from, size_t count)
{
    if (count > LEAF)
        return sum_of(vector, cells, from, count / 2) + sum_of(vector, cells, from + count / 2, count - count / 2);
    double sum = 0;
    for (size_t k = from; k < from + count; k++)
        sum += vector[cells ? cells[k] : (ptrdiff_t)k];
    return sum;
}

void sv_plan_project(const ptrdiff_t *cells, size_t count, double *vector)
{
    const double mean = sum_of(vector, cells, 0, count) / (double)count;
    for (size_t k = 0; k < count; k++)
        vector[cells ? cells[k] : (ptrdiff_t)k] -= mean;
}

/* ---- the last level ---- */

struct last {
    int n, *number;  /* cells that take part, and the place of each cell among them, or -1 */
    int *part;       /* a cell of the same connected part: its representative */
    double *matrix, *scale, *sinks;
};

static double value(const struct sv_multilevel *M, const void *field, ptrdiff_t at)
{
    return !field ? 0 : M->single ? ((const float *)field)[at] : ((const double *)field)[at];
}

static int representative(int *part, int i)
{
    while (part[i] != i)
        i = part[i] = part[part[i]];
    return i;
}

static void join(struct last *s, ptrdiff_t i, ptrdiff_t j, double coupling)
{
    double *a = s->matrix;
    const ptrdiff_t n = s->n;
    const int p = representative(s->part, (int)i), q = representative(s->part, (int)j);
    a[i * n + i] += coupling, a[j * n + j] += coupling;
    a[i * n + j] -= coupling, a[j * n + i] -= coupling;
    if (p != q)
        s->part[p < q ? q : p] = p < q ? p : q;
}

/* The cell before cell i along an axis, around the end of the grid too. */
static ptrdiff_t before(const struct sv_level *g, int axis, ptrdiff_t i)
{
    const ptrdiff_t stride = axis == 0 ? 1 : axis == 1 ? g->n[0] : g->n[0] * g->n[1];
    return i / stride % g->n[axis] ? i - stride : i + (g->n[axis] - 1) * stride;
}

static void assemble(const struct sv_multilevel *M, struct last *s)
{
    const struct sv_level *g = &M->level[M->levels - 1];
    const ptrdiff_t cells = g->n[0] * g->n[1] * g->n[2];
    for (ptrdiff_t i = 0; i < cells; i++) {
        const ptrdiff_t at = i / g->n[0] * g->pitch + MULTILEVEL_LEAD + i % g->n[0];
        const int k = s->number[i];
        if (k >= 0) {
            const double sink = value(M, g->wall, at) + value(M, g->mass, at);
            s->matrix[(ptrdiff_t)k * s->n + k] += sink, s->sinks[k] += sink;
        }
        for (int axis = 0; axis < 3; axis++) {
            const double coupling = value(M, g->face[axis], at);
            const int other = coupling != 0 ? s->number[before(g, axis, i)] : -1, one = k >= 0 ? k : other;
            if (coupling != 0 && k >= 0 && other >= 0)
                join(s, k, other, coupling);
            else if (coupling != 0 && one >= 0) /* towards one that takes no part */
                s->matrix[(ptrdiff_t)one * s->n + one] += coupling, s->sinks[one] += coupling;
        }
    }
}

/* Adds (1) to, or takes (-1) from a matrix the projection to the null space: of each part without sinks. */
static void deflate(const struct last *s, double sign, double *a)
{
    const int n = s->n;
    for (int p = 0; p < n; p++) {
        double sinks = 0, most = 0, length = 0;
        if (s->part[p] != p)
            continue;
        for (int i = 0; i < n; i++)
            if (s->part[i] == p) {
                const double diagonal = 1 / (s->scale[i] * s->scale[i]);
                sinks += s->sinks[i], length += diagonal, most = diagonal > most ? diagonal : most;
            }
        if (sinks > SINGULAR * most)
            continue;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n && s->part[i] == p; j++)
                if (s->part[j] == p)
                    a[i * n + j] += sign / (s->scale[i] * s->scale[j] * length);
    }
}

/* a = L L' in place, rows of L; then L^-1, then a = L^-T L^-1. 0 where a pivot is nearly 0. */
static int inverted(int n, double *a, double *work)
{
    for (int j = 0; j < n; j++) { /* rows of L' = columns of L: what is subtracted lies side by side */
        double *row = a + (ptrdiff_t)j * n;
        for (int k = 0; k < j; k++) {
            const double *above = a + (ptrdiff_t)k * n, factor = above[j];
            for (int i = j; i < n && factor != 0; i++)
                row[i] -= factor * above[i];
        }
        if (!(row[j] > LEAST_PIVOT))
            return 0;
        const double inverse = 1 / sqrt(row[j]);
        for (int i = j; i < n; i++)
            row[i] *= inverse;
    }
    /* With U = L': U' (U X) = 1, rows of X side by side: first down, then up. */
    memset(work, 0, (size_t)n * (size_t)n * sizeof *work);
    for (int j = 0; j < n; j++) {
        double *x = work + (ptrdiff_t)j * n;
        x[j] = 1;
        for (int k = 0; k < j; k++) {
            const double factor = a[(ptrdiff_t)k * n + j], *above = work + (ptrdiff_t)k * n;
            for (int i = 0; i <= k && factor != 0; i++)
                x[i] -= factor * above[i];
        }
        for (int i = 0; i <= j; i++)
            x[i] /= a[(ptrdiff_t)j * n + j];
    }
    for (int j = n - 1; j >= 0; j--) {
        double *x = work + (ptrdiff_t)j * n;
        const double *row = a + (ptrdiff_t)j * n;
        for (int k = j + 1; k < n; k++) {
            const double factor = row[k], *below = work + (ptrdiff_t)k * n;
            for (int i = 0; i < n && factor != 0; i++)
                x[i] -= factor * below[i];
        }
        for (int i = 0; i < n; i++)
            x[i] /= row[j];
    }
    memcpy(a, work, (size_t)n * (size_t)n * sizeof *work);
    return 1;
}

static void rotate(int n, double *a, double *v, int p, int q)
{
    double *row = a + (ptrdiff_t)p * n, *other = a + (ptrdiff_t)q * n;
    const double tau = (other[q] - row[p]) / (2 * row[q]);
    const double t = (tau < 0 ? -1 : 1) / (fabs(tau) + hypot(1, tau)), c = 1 / hypot(1, t), s = t * c;
    for (ptrdiff_t k = 0; k < n; k++) {
        const double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = c * x - s * y, a[k * n + q] = s * x + c * y;
    }
    double *first = v + (ptrdiff_t)p * n, *second = v + (ptrdiff_t)q * n;
    for (ptrdiff_t k = 0; k < n; k++) {
        const double x = row[k], y = other[k], z = first[k], w = second[k];
        row[k] = c * x - s * y, other[k] = s * x + c * y;
        first[k] = c * z - s * w, second[k] = s * z + c * w;
    }
}

/* The pseudo-inverse by eigenvectors (rows of v). */
static void pseudo_inverted(int n, double *a, double *v)
{
    for (ptrdiff_t k = 0; k < (ptrdiff_t)n * n; k++)
        v[k] = k % (n + 1) == 0;
    for (int sweep = 0; sweep < MOST_SWEEPS; sweep++) {
        double off = 0, on = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t j = 0; j <= i; j++)
                *(i == j ? &on : &off) += a[i * n + j] * a[i * n + j];
        if (off <= 1e-32 * on)
            break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                if (a[(ptrdiff_t)p * n + q] != 0)
                    rotate(n, a, v, p, q);
    }
    double largest = 0;
    for (ptrdiff_t k = 0; k < n; k++)
        largest = fmax(largest, a[k * n + k]);
    for (ptrdiff_t k = 0; k < n; k++) { /* each vector by the root of its inverse */
        const double size = a[k * n + k], root = size > SINGULAR * largest ? 1 / sqrt(size) : 0;
        for (ptrdiff_t i = 0; i < n; i++)
            v[k * n + i] *= root;
    }
    memset(a, 0, (size_t)n * (size_t)n * sizeof *a);
    for (ptrdiff_t k = 0; k < n; k++)
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t j = 0; j < n; j++)
                a[i * n + j] += v[k * n + i] * v[k * n + j];
}

/* The matrix with a diagonal of ones. */
static void scaled(struct last *s, double *to)
{
    for (ptrdiff_t i = 0; i < s->n; i++)
        s->scale[i] = 1 / sqrt(s->matrix[i * s->n + i]);
    for (ptrdiff_t i = 0; i < s->n; i++)
        for (ptrdiff_t j = 0; j < s->n; j++)
            to[i * s->n + j] = s->matrix[i * s->n + j] * s->scale[i] * s->scale[j];
}

static void invert_last(struct last *s, int singular, double *a, double *work)
{
    const int n = s->n;
    for (int i = 0; i < n; i++)
        s->part[i] = representative(s->part, i);
    scaled(s, a);
    if (singular)
        deflate(s, 1, a);
    if (inverted(n, a, work)) {
        if (singular)
            deflate(s, -1, a);
    } else {
        scaled(s, a);
        pseudo_inverted(n, a, work);
    }
}

int sv_plan_last(const struct sv_multilevel *M, int singular, double *inverse)
{
    const struct sv_level *g = &M->level[M->levels - 1];
    const ptrdiff_t cells = g->n[0] * g->n[1] * g->n[2];
    const size_t square = (size_t)cells * (size_t)cells;
    double *room = calloc(3 * square + 2 * (size_t)cells, sizeof *room);
    int *places = malloc(2 * (size_t)cells * sizeof *places);
    struct last s = {0, places, places + cells, room, room + square, room + square + cells};
    double *a = s.sinks + cells, *work = a + square;
    for (ptrdiff_t i = 0; i < cells && places && room; i++) {
        const ptrdiff_t at = i / g->n[0] * g->pitch + MULTILEVEL_LEAD + i % g->n[0];
        s.number[i] = value(M, g->inverse, at) > 0 ? s.n : -1;
        if (s.number[i] >= 0)
            s.part[s.n] = s.n, s.n++;
    }
    if (places && room) {
        memset(inverse, 0, square * sizeof *inverse);
        assemble(M, &s);
        invert_last(&s, singular, a, work);
        for (ptrdiff_t i = 0; i < cells; i++)
            for (ptrdiff_t j = 0; j < cells; j++) {
                const int k = s.number[i], l = s.number[j];
                if (k >= 0 && l >= 0)
                    inverse[i * cells + j] =
                        (a[(ptrdiff_t)k * s.n + l] + a[(ptrdiff_t)l * s.n + k]) / 2 * s.scale[k] * s.scale[l];
            }
    }
    const int done = places && room;
    free(places);
    free(room);
    return done;
}
