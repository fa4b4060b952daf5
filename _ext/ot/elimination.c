/* An approximate Cholesky factor of the thinned Newton system of entropic transport, by sampled elimination.
 *
 * With the sign of the column part turned, [diag(a) -P; -P' diag(d)] is the Laplacian of the bipartite graph whose
 * edges weigh P_ij, plus an excess on the diagonal: what was dropped of the plan, and the damping. Eliminating a
 * vertex k of neighbours l with weights w_l, excess e and total t = sum w_l + e joins every two neighbours by an edge
 * w_l w_l' / t and adds w_l e / t to their excess. Here only a tree of that clique is kept: every neighbour, from
 * the lightest, is joined to one heavier neighbour l', drawn with probability w_l' / (sum of the heavier ones), by an
 * edge that makes the expectation right. So the factor stays as sparse as the graph, it is exact on trees (to which
 * the plan tends for small reg), and conjugate gradients with it need some tens of steps however badly the weights
 * scale. Vertices of least degree go first.
 *
 * Of a wide plan not every entry becomes an edge: where a row and a column have more than SAMPLES, one of the smaller ones
 * stands for others like it, with the weight of all; about (n + m) SAMPLES edges are left at most.
 *
 * After Kyng and Sachdeva (2016), arXiv 1605.02353, and Gao, Kyng and Spielman (2023), arXiv 2303.00709. Differs in:
 * 1. The excess is eliminated exactly instead of through a vertex of its own.
 * 2. The draws come from a fixed seed, so that a solve repeats to the same bits.
 *
 * Time: some 100 ns an entry of P; applying it moves 12 bytes an entry of the factor, twice.
 */
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elimination.h"

enum { BUCKETS = 128, NONE = -1, SAMPLES = 16, UNIT_ROUNDS = 4 };

struct graph {
    /* Edge e has the halves 2e and 2e + 1, each in the list of one end and pointing to the other; weight 0: dead. */
    int *to, *next;
    double *weight;
    int *head;     /* first half of each vertex */
    int *degree;   /* live halves of each vertex, several edges to one neighbour counted each */
    double *excess;
    /* Vertices by degree, in doubly linked lists. */
    int bucket[BUCKETS], *before, *after;
    uint64_t random;
};

/* A neighbour of the vertex in elimination. */
struct neighbour {
    double weight, heavier; /* heavier: the weights of those that follow in ascending order */
    int vertex, half, power;
};

static int bucket_of(int degree)
{
    if (degree < BUCKETS / 2)
        return degree;
    int coarse = BUCKETS / 2 + degree / (BUCKETS / 2);
    return coarse < BUCKETS ? coarse : BUCKETS - 1;
}

static void enter(struct graph *g, int vertex)
{
    int *first = &g->bucket[bucket_of(g->degree[vertex])];
    g->before[vertex] = NONE;
    g->after[vertex] = *first;
    if (*first != NONE)
        g->before[*first] = vertex;
    *first = vertex;
}

static void leave(struct graph *g, int vertex)
{
    int before = g->before[vertex], after = g->after[vertex];
    if (before != NONE)
        g->after[before] = after;
    else
        g->bucket[bucket_of(g->degree[vertex])] = after;
    if (after != NONE)
        g->before[after] = before;
}

static void change_degree(struct graph *g, int vertex, int change)
{
    if (bucket_of(g->degree[vertex]) == bucket_of(g->degree[vertex] + change)) {
        g->degree[vertex] += change;
        return;
    }
    leave(g, vertex);
    g->degree[vertex] += change;
    enter(g, vertex);
}

static double uniform(struct graph *g) /* xorshift64* */
{
    g->random ^= g->random >> 12;
    g->random ^= g->random << 25;
    g->random ^= g->random >> 27;
    return (double)((g->random * 0x2545F4914F6CDD1DULL) >> 11) * 0x1p-53;
}

static void link_half(struct graph *g, int half, int vertex, int to)
{
    g->to[half] = to;
    g->next[half] = g->head[vertex];
    g->head[vertex] = half;
}

/* Of each row and column the value from which on an entry is an edge by itself: so that about SAMPLES edges are left
 * of it when each smaller entry becomes one with the probability value / unit. `room`: 3 (n + m) doubles, the units the
 * first of them. */
static void sampling_units(const struct sv_ot_thinned *p, double *room)
{
    const size_t n = p->n, size = n + p->m;
    double *unit = room, *small = unit + size, *large = small + size;
    for (size_t vertex = 0; vertex < size; vertex++)
        unit[vertex] = INFINITY;
    for (int round = 0; round < UNIT_ROUNDS; round++) {
        memset(small, 0, 2 * size * sizeof(double));
        for (size_t i = 0; i < n; i++)
            for (ptrdiff_t k = p->row_starts[i]; k < p->row_starts[i + 1]; k++) {
                const size_t j = n + (size_t)p->columns[k];
                const double value = p->values[k];
                *(value < unit[i] ? &small[i] : &large[i]) += value < unit[i] ? value : 1;
                *(value < unit[j] ? &small[j] : &large[j]) += value < unit[j] ? value : 1;
            }
        for (size_t vertex = 0; vertex < size; vertex++)
            unit[vertex] = large[vertex] < SAMPLES ? small[vertex] / (SAMPLES - large[vertex]) : unit[vertex];
    }
}

static void build_graph(struct graph *g, const struct sv_ot_thinned *p, double *room)
{
    const double *unit_of = room;
    sampling_units(p, room);
    const int n = (int)p->n, size = n + (int)p->m;
    for (int vertex = 0; vertex < size; vertex++) {
        g->head[vertex] = NONE;
        g->degree[vertex] = 0;
        g->excess[vertex] = vertex < n ? p->a[vertex] : p->diagonal[vertex - n];
    }
    int edge = 0;
    for (int i = 0; i < n; i++) {
        double passed = uniform(g); /* of the small entries, in units of what they are sampled by */
        for (ptrdiff_t k = p->row_starts[i]; k < p->row_starts[i + 1]; k++) {
            const int j = n + p->columns[k];
            const double value = p->values[k], unit = fmin(unit_of[i], unit_of[j]);
            g->excess[i] -= value, g->excess[j] -= value;
            if (!(value > 0) || (value < unit && (passed += value / unit) < 1))
                continue;
            passed -= value < unit;
            g->weight[edge] = fmax(value, unit);
            link_half(g, 2 * edge, i, j);
            link_half(g, 2 * edge + 1, j, i);
            g->degree[i]++, g->degree[j]++;
            edge++;
        }
    }
    for (int b = 0; b < BUCKETS; b++)
        g->bucket[b] = NONE;
    for (int vertex = size - 1; vertex >= 0; vertex--) {
        if (!(g->excess[vertex] > 0)) /* rounding */
            g->excess[vertex] = 0;
        enter(g, vertex);
    }
}

/* The living neighbours of a vertex, edges to the same one merged into the first; returns how many. */
static int collect(struct graph *g, int vertex, struct neighbour *found, int *place)
{
    int count = 0;
    for (int half = g->head[vertex]; half != NONE; half = g->next[half]) {
        double weight = g->weight[half >> 1];
        int to = g->to[half];
        if (weight == 0)
            continue;
        if (place[to] == NONE) {
            place[to] = count;
            found[count++] = (struct neighbour){.weight = weight, .vertex = to, .half = half};
        } else {
            found[place[to]].weight += weight;
            g->weight[half >> 1] = 0;
            change_degree(g, to, -1);
        }
    }
    for (int k = 0; k < count; k++)
        place[found[k].vertex] = NONE;
    return count;
}

/* Ascending; where there are many, by powers of two alone, which is as good for the draws. `room`: as many. */
static void sort_by_weight(struct neighbour *found, int count, struct neighbour *room)
{
    enum { FEW = 24, POWERS = 64 };
    if (count <= FEW) {
        for (int k = 1; k < count; k++) {
            struct neighbour one = found[k];
            int at = k;
            for (; at > 0 && found[at - 1].weight > one.weight; at--)
                found[at] = found[at - 1];
            found[at] = one;
        }
        return;
    }
    int top = -5000, starts[POWERS + 1] = {0};
    for (int k = 0; k < count; k++) {
        found[k].power = ilogb(found[k].weight);
        top = found[k].power > top ? found[k].power : top;
    }
    for (int k = 0; k < count; k++) {
        int power = POWERS - 1 - (top - found[k].power);
        found[k].power = power > 0 ? power : 0;
        starts[found[k].power + 1]++;
    }
    for (int power = 0; power < POWERS; power++)
        starts[power + 1] += starts[power];
    for (int k = 0; k < count; k++)
        room[starts[found[k].power]++] = found[k];
    memcpy(found, room, (size_t)count * sizeof(*found));
}

/* Which of the neighbours after k the edge of k goes to: drawn by weight. */
static int draw(struct graph *g, const struct neighbour *found, int k, int count)
{
    double goal = found[k].heavier * (1 - uniform(g)); /* > 0: as much of the heavier ones lies at or after the one drawn */
    int low = k + 1, high = count - 1;                 /* the last l with weight_l + heavier_l >= goal */
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (found[middle].weight + found[middle].heavier >= goal)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Replace the edges of an eliminated vertex by a tree among its neighbours, which come in ascending order. */
static void join_neighbours(struct graph *g, struct neighbour *found, int count, double excess, double total)
{
    double heavier = 0;
    for (int k = count - 1; k >= 0; k--) {
        found[k].heavier = heavier;
        heavier += found[k].weight;
    }
    for (int k = 0; k < count; k++) {
        int vertex = found[k].vertex, half = found[k].half;
        g->excess[vertex] += found[k].weight * (excess / total);
        double weight = found[k].weight * (found[k].heavier / total);
        g->weight[half >> 1] = weight;
        if (weight == 0) { /* the heaviest, and what underflows */
            change_degree(g, vertex, -1);
            continue;
        }
        int other = found[draw(g, found, k, count)].vertex;
        g->to[half ^ 1] = other;
        link_half(g, half, other, vertex);
        change_degree(g, other, 1);
    }
}

static int next_vertex(const struct graph *g, int *lowest)
{
    while (g->bucket[*lowest] == NONE)
        ++*lowest;
    return g->bucket[*lowest];
}

size_t sv_ot_factor_worksize(size_t n, size_t m, size_t entries)
{
    size_t size = n + m, ints = 4 * entries + 5 * size;
    return entries + size + (ints * sizeof(int) + sizeof(double) - 1) / sizeof(double)
           + 2 * size * sizeof(struct neighbour) / sizeof(double);
}

int sv_ot_factorise(const struct sv_ot_thinned *p, struct sv_ot_factor *factor, double *work)
{
    const size_t size = p->n + p->m, entries = (size_t)p->row_starts[p->n];
    struct graph g = {.weight = work, .excess = work + entries, .random = 0x9E3779B97F4A7C15ULL};
    struct neighbour *found = (struct neighbour *)(g.excess + size);
    struct neighbour *room = found + size;
    g.to = (int *)(room + size);
    g.next = g.to + 2 * entries;
    g.head = g.next + 2 * entries;
    g.degree = g.head + size;
    g.before = g.degree + size;
    g.after = g.before + size;
    int *place = g.after + size, lowest = 0;
    size_t filled = 0;
    build_graph(&g, p, (double *)found);
    for (size_t vertex = 0; vertex < size; vertex++)
        place[vertex] = NONE;
    for (size_t step = 0; step < size; step++) {
        int vertex = next_vertex(&g, &lowest);
        leave(&g, vertex);
        int count = collect(&g, vertex, found, place);
        if (filled + (size_t)count > factor->capacity)
            return 0;
        sort_by_weight(found, count, room);
        double total = g.excess[vertex];
        for (int k = 0; k < count; k++)
            total += found[k].weight;
        factor->order[step] = vertex;
        factor->starts[step] = (ptrdiff_t)filled;
        factor->inverse[step] = total > 0 ? 1 / total : 0; /* 0: the last of a part without excess, fixed at 0 */
        for (int k = 0; k < count; k++, filled++) {
            factor->vertices[filled] = found[k].vertex;
            factor->values[filled] = found[k].weight / total;
        }
        join_neighbours(&g, found, count, g.excess[vertex], total);
        /* Only neighbours lose degree, and one at most each beside those of merged edges. */
        for (int k = 0; k < count; k++)
            if (bucket_of(g.degree[found[k].vertex]) < lowest)
                lowest = bucket_of(g.degree[found[k].vertex]);
    }
    factor->starts[size] = (ptrdiff_t)filled;
    factor->size = size;
    return 1;
}

int sv_ot_factor_make(const struct sv_ot_thinned *p, struct sv_ot_factor *f)
{
    const size_t size = p->n + p->m, entries = (size_t)p->row_starts[p->n];
    const size_t capacity = 6 * entries + 4 * size;
    *f = (struct sv_ot_factor){0};
    if (size + 4 * entries > INT_MAX) /* halves of edges are numbered by ints */
        return 0;
    *f = (struct sv_ot_factor){
        .capacity = capacity, .order = malloc(size * sizeof(int)), .starts = malloc((size + 1) * sizeof(ptrdiff_t)),
        .inverse = malloc(size * sizeof(double)), .vertices = malloc(capacity * sizeof(int)),
        .values = malloc(capacity * sizeof(double))};
    double *work = malloc(sv_ot_factor_worksize(p->n, p->m, entries) * sizeof(double));
    int made = f->order && f->starts && f->inverse && f->vertices && f->values && work ? 1 : -1;
    if (made > 0)
        made = sv_ot_factorise(p, f, work);
    free(work);
    return made;
}

void sv_ot_factor_free(struct sv_ot_factor *f)
{
    free(f->order), free(f->starts), free(f->inverse), free(f->vertices), free(f->values);
    *f = (struct sv_ot_factor){0};
}

void sv_ot_factor_solve(const struct sv_ot_factor *f, double *x)
{
    const size_t size = f->size;
    for (size_t step = 0; step < size; step++) {
        double value = x[f->order[step]];
        for (ptrdiff_t k = f->starts[step]; k < f->starts[step + 1]; k++)
            x[f->vertices[k]] += f->values[k] * value;
    }
    for (size_t step = size; step-- > 0;) {
        double value = x[f->order[step]] * f->inverse[step];
        for (ptrdiff_t k = f->starts[step]; k < f->starts[step + 1]; k++)
            value += f->values[k] * x[f->vertices[k]];
        x[f->order[step]] = value;
    }
}
