/* Forests of a graph for schur.h: which edges, in which order of elimination, and their factors. */
#include "schur.h"

#include <math.h>
#include <string.h>

SV_DISPATCH(struct schur_kernels, double_kernels, schur_kernels_f64)
SV_DISPATCH(struct schur_kernels, single_kernels, schur_kernels_f32)

#define SINGULAR 1e-14

enum { SWEEPS = 4, EXPONENTS = 64 };

/* ---- edges ------------------------------------------------------------------------------------- */

static int32_t root_of(int32_t *up, int32_t i)
{
    while (up[i] != i)
        i = up[i] = up[up[i]];
    return i;
}

/* Edges that close no cycle. */
struct edges {
    int32_t *up, *from, *to;
    int32_t count;
};

/* Whether the edge joins two trees, which are then one. */
static int joins(struct edges *edges, int32_t i, int32_t j)
{
    int32_t a = root_of(edges->up, i), b = root_of(edges->up, j);
    if (a == b)
        return 0;
    edges->up[a] = b;
    edges->from[edges->count] = i, edges->to[edges->count++] = j;
    return 1;
}

/* The edges inside the classes; 1 where they close a cycle. */
static int edges_within(const struct sv_rows *A, const int32_t *class_of, struct edges *edges)
{
    for (int32_t i = 0; i < A->n; i++)
        for (int64_t k = A->starts[i]; k < A->starts[i + 1]; k++) {
            int32_t j = A->columns[k];
            if (j < i && class_of[i] == class_of[j] && !joins(edges, i, j))
                return 1;
        }
    return 0;
}

/* How many powers of two an entry lies below the largest. */
static int smallness(double value, double largest)
{
    int below = ilogb(largest) - ilogb(value);
    return value == 0 || below >= EXPONENTS ? EXPONENTS - 1 : below < 0 ? 0 : below;
}

/* The edges between the classes of R, the heaviest first but for a factor of two. */
static void edges_between(const struct sv_rows *A, const int32_t *class_of, struct edges *edges)
{
    double largest = 0;
    char present[EXPONENTS] = {0};
    for (int pass = -2; pass < EXPONENTS; pass++) {
        if (pass >= 0 && !present[pass])
            continue;
        for (int32_t i = 0; i < A->n; i++)
            for (int64_t k = class_of[i] ? A->starts[i] : A->starts[i + 1]; k < A->starts[i + 1]; k++) {
                int32_t j = A->columns[k];
                double size = fabs(A->values[k]);
                if (j >= i || !class_of[j] || class_of[i] == class_of[j])
                    continue;
                if (pass == -2)
                    largest = fmax(largest, size);
                else if (pass == -1)
                    present[smallness(size, largest)] = 1;
                else if (smallness(size, largest) == pass)
                    joins(edges, i, j);
            }
        if (pass == -2 && !(largest > 0))
            return;
    }
}

/* ---- the order of elimination ------------------------------------------------------------------ */

/* Directed edges from the roots down: up[i] is the node above i, -1 at a root. Roots have the highest index of their
 * tree. starts, near: neighbours in the forest; queue: work. */
static void direct(int32_t n, const struct edges *edges, int32_t *starts, int32_t *near, int32_t *queue, int32_t *up)
{
    memset(starts, 0, ((size_t)n + 1) * sizeof *starts);
    for (int32_t e = 0; e < edges->count; e++)
        starts[edges->from[e]]++, starts[edges->to[e]]++;
    int32_t total = 0;
    for (int32_t i = 0; i <= n; i++) {
        int32_t degree = i < n ? starts[i] : 0;
        starts[i] = total;
        total += degree;
    }
    for (int32_t e = 0; e < edges->count; e++) {
        near[starts[edges->from[e]]++] = edges->to[e];
        near[starts[edges->to[e]]++] = edges->from[e];
    }
    for (int32_t i = n; i > 0; i--)
        starts[i] = starts[i - 1];
    starts[0] = 0;
    for (int32_t i = 0; i < n; i++)
        up[i] = -2;
    for (int32_t root = n; root-- > 0;) {
        if (up[root] != -2)
            continue;
        int32_t end = 0;
        up[root] = -1, queue[end++] = root;
        for (int32_t head = 0; head < end; head++)
            for (int32_t k = starts[queue[head]]; k < starts[queue[head] + 1]; k++)
                if (up[near[k]] == -2)
                    up[near[k]] = queue[head], queue[end++] = near[k];
    }
}

/* The nodes of F, then those of R, all below their trees' nodes above: by index as far as that goes, so that nodes that
 * are near in the matrix are so in memory. waiting, left: work. Returns the size of F. */
static int32_t arrange(int32_t n, const int32_t *class_of, const int32_t *up, int32_t *waiting, int32_t *left,
                       int32_t *nodes)
{
    int32_t at = 0, first = 0;
    memset(waiting, 0, (size_t)n * sizeof *waiting);
    for (int32_t i = 0; i < n; i++)
        if (up[i] >= 0)
            waiting[up[i]]++;
    for (int rest = 0; rest < 2; rest++) {
        int32_t count = 0;
        for (int32_t i = 0; i < n; i++)
            if ((class_of[i] != 0) == rest)
                left[count++] = i;
        for (int sweep = 0; count && sweep <= SWEEPS; sweep++) {
            for (int32_t k = 0; k < count; k++) {
                int32_t i = left[sweep % 2 ? count - 1 - k : k];
                if (waiting[i] < 0)
                    continue;
                /* the last sweep climbs as far as it can */
                while (waiting[i] == 0) {
                    nodes[at++] = i, waiting[i] = -1;
                    if (up[i] < 0)
                        break;
                    waiting[up[i]]--;
                    if (sweep < SWEEPS)
                        break;
                    i = up[i];
                }
            }
            int32_t end = 0;
            for (int32_t k = 0; k < count; k++)
                if (waiting[left[k]] >= 0)
                    left[end++] = left[k];
            count = end;
        }
        if (!rest)
            first = at;
    }
    return first;
}

/* Whether each node has at most one neighbour of its part above it in the order of the indices (or in the reverse
 * order): the part is a forest then, that neighbour stands above the node, and the indices are an order. */
static int by_index(const struct sv_rows *A, const int32_t *class_of, int32_t part, int reverse, int32_t *up)
{
    for (int32_t i = 0; i < A->n; i++) {
        if (class_of[i] != part)
            continue;
        int32_t above = -1;
        for (int64_t k = A->starts[i]; k < A->starts[i + 1]; k++) {
            int32_t j = A->columns[k];
            if (j == i || class_of[j] != part || (j < i) != reverse)
                continue;
            if (above >= 0)
                return 0;
            above = j;
        }
        up[i] = above;
    }
    return 1;
}

/* The order where there are two classes and that of the indices will do; the size of F, or -1. */
static int32_t arrange_by_index(const struct sv_rows *A, const int32_t *class_of, int32_t *up, int32_t *nodes)
{
    int32_t at = 0, first = 0;
    for (int32_t part = 0; part < 2; part++) {
        int reverse = 0;
        while (reverse < 2 && !by_index(A, class_of, part, reverse, up))
            reverse++;
        if (reverse == 2)
            return -1;
        for (int32_t k = 0; k < A->n; k++) {
            int32_t i = reverse ? A->n - 1 - k : k;
            if (class_of[i] == part)
                nodes[at++] = i;
        }
        if (!part)
            first = at;
    }
    return at == A->n ? first : -1;
}

int32_t sv_schur_order(const struct sv_rows *A, const int32_t *class_of, int spanning, int32_t *nodes, int32_t *parent,
                       int32_t *work)
{
    int32_t n = A->n, *up = work, *place = work + n;
    int32_t first = arrange_by_index(A, class_of, up, nodes);
    if (first < 0) {
        struct edges edges = {.up = work + n, .from = work + 2 * n, .to = work + 3 * n, .count = 0};
        int32_t *starts = work + 4 * n, *near = work + 5 * n + 1;
        for (int32_t i = 0; i < n; i++)
            edges.up[i] = i;
        if (edges_within(A, class_of, &edges))
            return -1;
        if (spanning)
            edges_between(A, class_of, &edges);
        direct(n, &edges, starts, near, nodes, up);
        first = arrange(n, class_of, up, starts, near, nodes);
    }
    for (int32_t k = 0; k < n; k++)
        place[nodes[k]] = k;
    for (int32_t k = 0; k < n; k++) {
        int32_t above = up[nodes[k]], from = k < first ? 0 : first;
        parent[k] = above >= 0 ? place[above] - from : k < first ? first : n - first;
    }
    return first;
}

/* ---- factors ----------------------------------------------------------------------------------- */

int32_t sv_schur_fill(const struct sv_rows *A, const int32_t *place, int single, double *work, struct sv_schur *out)
{
    const struct schur_kernels *kernels = single ? single_kernels() : double_kernels();
    double *pivot = work, *link = work + out->n, *diagonal = work + 2 * out->n;
    int32_t cross = 0, beyond = 0, first = out->first;
    double largest = 0;
    for (int64_t k = 0; k < A->starts[A->n]; k++)
        largest = fmax(largest, fabs(A->values[k]));
    out->scale = largest > 0 && isfinite(largest) ? ldexp(1, -ilogb(largest)) : 1;
    for (int32_t i = 0; i < out->n; i++) {
        int32_t v = out->nodes[i], from = i < first ? 0 : first, up = out->parent[i] + from;
        if (i < first)
            out->cross_starts[i] = cross;
        else
            out->rest_starts[i - first] = beyond;
        link[i] = pivot[i] = 0;
        for (int64_t k = A->starts[v]; k < A->starts[v + 1]; k++) {
            int32_t j = place[A->columns[k]];
            double value = out->scale * A->values[k];
            if (j == i)
                pivot[i] += value;
            else if (i < first && j >= first)
                out->cross_columns[cross] = j - first, kernels->entry(out->cross_values, cross++, value);
            else if (j == up)
                link[i] = value;
            else if (i >= first && j >= first && out->parent[j] + first != i)
                out->rest_columns[beyond] = j - first, kernels->entry(out->rest_values, beyond++, value);
        }
    }
    out->cross_starts[first] = cross;
    out->rest_starts[out->n - first] = beyond;
    memcpy(diagonal, pivot, (size_t)out->n * sizeof *pivot);
    for (int32_t i = 0; i < out->n; i++) {
        int32_t from = i < first ? 0 : first, up = out->parent[i], end = i < first ? first : out->n - first;
        if (!(pivot[i] > SINGULAR * diagonal[i]))
            return i;
        kernels->store(out, pivot, link, i);
        if (up < end)
            pivot[from + up] -= link[i] * (link[i] / pivot[i]);
    }
    return -1;
}

static const struct schur_kernels *kernels(int single) { return single ? single_kernels() : double_kernels(); }

void sv_schur_begin(const struct sv_schur *schur, int single, struct sv_schur_run *run, const double *residual)
{
    kernels(single)->begin(schur, run, residual);
}

int sv_schur_iterate(const struct sv_schur *schur, int single, struct sv_schur_run *run, int most)
{
    return kernels(single)->iterate(schur, run, most);
}

void sv_schur_move(const struct sv_schur *schur, int single, struct sv_schur_run *run, double *x)
{
    kernels(single)->move(schur, run, x);
}
