/* An order of approximately least degree: see multifrontal.h.
 *
 * The graph of what remains is kept as lists of variables and elements (Amestoy, Davis and Duff, 1996): an eliminated
 * pivot becomes an element, the list of the variables that it joined, and swallows the elements next to it. A variable's
 * degree is bounded by the sizes of its elements outside of the newest one. Variables with the same neighbours are
 * joined; those with no neighbour outside of the element go with its pivot. Rows of very many entries come last.
 * The lists never need more room than the matrix; where they have wandered to the end, they are moved together.
 */
#include <math.h>
#include <string.h>

#include "multifrontal.h"

enum { VARIABLE, ELEMENT, GONE };

struct graph {
    int32_t n, columns, *list; /* columns: of all groups together, more than any degree */
    int64_t used, room;
    /* Of a variable: its list begins at `at`, `elements` elements, then variables, `length` in all; `size`: how many columns
     * it stands for (negative: in the newest element), whose chain runs over `chain` to `tail`. Of an element: its
     * variables, and in `degree` how many columns they stand for. */
    int32_t *at, *length, *elements, *size, *degree, *kind, *chain, *tail;
    /* Variables by degree (later by a hash of their lists): doubly linked. */
    int32_t *head, *next, *before;
    /* stamp[e] - mark: how much of element e is outside of the newest one. */
    int32_t *stamp, mark, least;
};

static void insert(struct graph *g, int32_t i)
{
    int32_t d = g->degree[i], first = g->head[d];
    g->next[i] = first;
    g->before[i] = -1;
    if (first >= 0)
        g->before[first] = i;
    g->head[d] = i;
    if (d < g->least)
        g->least = d;
}

static void take_out(struct graph *g, int32_t i)
{
    int32_t next = g->next[i], before = g->before[i];
    if (next >= 0)
        g->before[next] = before;
    if (before >= 0)
        g->next[before] = next;
    else
        g->head[g->degree[i]] = next;
}

/* Moves all lists to the front of the room: the first entry of each changes places with its owner's name meanwhile. */
static void move_together(struct graph *g)
{
    for (int32_t i = 0; i < g->n; i++)
        if (g->kind[i] != GONE && g->length[i] > 0) {
            int32_t first = g->at[i];
            g->at[i] = g->list[first];
            g->list[first] = ~i;
        }
    int64_t to = 0;
    for (int64_t from = 0; from < g->used;) {
        int32_t owner = ~g->list[from++];
        if (owner < 0)
            continue;
        g->list[to] = g->at[owner];
        g->at[owner] = (int32_t)to++;
        for (int32_t k = 1; k < g->length[owner]; k++)
            g->list[to++] = g->list[from++];
    }
    g->used = to;
}

static void join(struct graph *g, int32_t i, int32_t with)
{
    g->chain[g->tail[with]] = i;
    g->tail[with] = g->tail[i];
    g->size[i] = 0;
    g->kind[i] = GONE;
}

/* The variables of a list that are not in the newest element yet enter it, at list[end]; returns its new end. */
static int64_t enter(struct graph *g, int64_t from, int64_t count, int64_t end, int32_t *weight)
{
    for (int64_t k = from; k < from + count; k++) {
        int32_t i = g->list[k], size = g->size[i];
        if (g->kind[i] != VARIABLE || size <= 0)
            continue;
        *weight += size;
        g->size[i] = -size;
        g->list[end++] = i;
        take_out(g, i);
    }
    return end;
}

/* The pivot's neighbours become the newest element, from list[start]; returns their weight. */
static int32_t gather(struct graph *g, int32_t pivot, int64_t *start, int64_t *end)
{
    int32_t weight = 0, elements = g->elements[pivot];
    if (elements == 0) {
        *start = g->at[pivot];
        *end = enter(g, *start, g->length[pivot], *start, &weight);
        return weight;
    }
    int64_t most = g->length[pivot] - elements;
    for (int32_t k = 0; k < elements; k++)
        most += g->length[g->list[g->at[pivot] + k]];
    if (g->used + most > g->room)
        move_together(g);
    *start = *end = g->used;
    int32_t at = g->at[pivot];
    *end = enter(g, at + elements, g->length[pivot] - elements, *end, &weight);
    for (int32_t k = 0; k < elements; k++) {
        int32_t e = g->list[at + k];
        *end = enter(g, g->at[e], g->length[e], *end, &weight);
        g->kind[e] = GONE;
    }
    g->used = *end;
    return weight;
}

/* stamp[e] - mark becomes the weight of each element e outside of the newest one. */
static void count_outside(struct graph *g, int64_t start, int64_t end)
{
    for (int64_t k = start; k < end; k++) {
        int32_t i = g->list[k], size = -g->size[i];
        const int32_t *elements = g->list + g->at[i];
        for (int32_t q = 0; q < g->elements[i]; q++) {
            int32_t e = elements[q];
            if (g->kind[e] != ELEMENT)
                continue;
            if (g->stamp[e] < g->mark)
                g->stamp[e] = g->degree[e] + g->mark;
            g->stamp[e] -= size;
        }
    }
}

/* The list of variable i anew, with the newest element first; its outside degree. *hash sums its entries. */
static int32_t renew(struct graph *g, int32_t i, int32_t pivot, uint32_t *hash)
{
    int32_t *list = g->list + g->at[i], kept = 0, outside = 0;
    *hash = 0;
    for (int32_t k = 0; k < g->elements[i]; k++) {
        int32_t e = list[k];
        if (g->kind[e] != ELEMENT)
            continue;
        int32_t left = g->stamp[e] - g->mark;
        if (left == 0) {
            g->kind[e] = GONE; /* all of it is in the newest element */
            continue;
        }
        outside += left;
        *hash += (uint32_t)e;
        list[kept++] = e;
    }
    int32_t variables = kept;
    for (int32_t k = g->elements[i]; k < g->length[i]; k++) {
        int32_t j = list[k];
        if (g->kind[j] != VARIABLE || g->size[j] <= 0)
            continue;
        outside += g->size[j];
        *hash += (uint32_t)j;
        list[kept++] = j;
    }
    /* At least one entry has gone, the pivot or an element of its: there is room for the newest. */
    list[kept++] = list[variables];
    list[variables] = list[0];
    list[0] = pivot;
    g->elements[i] = variables + 1;
    g->length[i] = kept;
    return outside;
}

static int same(struct graph *g, int32_t i, int32_t j)
{
    if (g->length[i] != g->length[j] || g->elements[i] != g->elements[j])
        return 0;
    for (int32_t k = 1; k < g->length[j]; k++)
        if (g->stamp[g->list[g->at[j] + k]] != g->mark)
            return 0;
    return 1;
}

/* Joins variables of the newest element whose lists agree. bucket: heads by hash; chained by `next`, hash in `before`. */
static void join_same(struct graph *g, int32_t *bucket, int64_t start, int64_t end)
{
    for (int64_t k = start; k < end; k++) {
        int32_t i = g->list[k];
        if (g->size[i] == 0)
            continue;
        int32_t hash = g->before[i];
        i = bucket[hash];
        bucket[hash] = -1;
        for (; i >= 0 && g->next[i] >= 0; i = g->next[i]) {
            g->mark++;
            for (int32_t q = 1; q < g->length[i]; q++)
                g->stamp[g->list[g->at[i] + q]] = g->mark;
            int32_t before = i;
            for (int32_t j = g->next[i]; j >= 0; j = g->next[j]) {
                if (!same(g, i, j)) {
                    before = j;
                    continue;
                }
                g->size[i] += g->size[j]; /* both negative */
                join(g, j, i);
                g->next[before] = g->next[j];
            }
        }
    }
}

static void fresh_marks(struct graph *g, int32_t ahead)
{
    g->mark += ahead;
    if (g->mark < INT32_MAX - 3 * g->columns)
        return;
    memset(g->stamp, 0, (size_t)g->n * sizeof *g->stamp);
    g->mark = 1;
}

/* One pivot; returns how many columns went with it. */
static int32_t eliminate(struct graph *g, int32_t pivot, int32_t left, int32_t *bucket)
{
    int64_t start, end, kept;
    int32_t taken = g->size[pivot];
    g->size[pivot] = -taken;
    int32_t weight = gather(g, pivot, &start, &end);
    g->kind[pivot] = ELEMENT;
    fresh_marks(g, g->columns + 1);
    count_outside(g, start, end);
    for (int64_t k = start; k < end; k++) {
        uint32_t hash;
        int32_t i = g->list[k], size = -g->size[i], outside = renew(g, i, pivot, &hash);
        if (outside == 0) {
            join(g, i, pivot);
            taken += size;
            weight -= size;
            continue;
        }
        g->degree[i] = outside < g->degree[i] ? outside : g->degree[i];
        hash %= (uint32_t)g->n;
        g->next[i] = bucket[hash];
        bucket[hash] = i;
        g->before[i] = (int32_t)hash;
    }
    fresh_marks(g, g->columns + 1);
    join_same(g, bucket, start, end);
    left -= taken;
    kept = start;
    for (int64_t k = start; k < end; k++) {
        int32_t i = g->list[k], size = -g->size[i];
        if (size == 0)
            continue;
        int64_t degree = (int64_t)g->degree[i] + weight - size;
        g->size[i] = size;
        g->degree[i] = (int32_t)(degree < left - size ? degree : left - size);
        insert(g, i);
        g->list[kept++] = i;
    }
    g->length[pivot] = (int32_t)(kept - start);
    g->at[pivot] = (int32_t)start;
    g->degree[pivot] = weight;
    g->size[pivot] = taken;
    if (g->used == end)
        g->used = kept;
    if (kept == start)
        g->kind[pivot] = GONE;
    return taken;
}

void sv_optimize_degrees(const struct sv_pattern *K, const int32_t *weight, int32_t *order, int32_t *list, int64_t room,
                         int32_t *work)
{
    int32_t n = K->n, done = 0, whole = 0;
    size_t N = (size_t)n;
    struct graph g = {
        .n = n, .list = list, .room = room, .at = work, .length = work + N, .elements = work + 2 * N,
        .size = work + 3 * N, .degree = work + 4 * N, .kind = work + 5 * N, .chain = work + 6 * N, .tail = work + 7 * N,
        .next = work + 8 * N, .before = work + 9 * N, .stamp = work + 10 * N, .head = work + 11 * N, .mark = 1,
    };
    int32_t *bucket = order; /* the order fills from its end's chains only after all is done */
    const double many = fmax(16, 10 * sqrt((double)n));
    for (int32_t j = 0; j < n; j++) {
        g.at[j] = (int32_t)g.used;
        for (int32_t e = K->starts[j]; e < K->starts[j + 1]; e++)
            if (K->index[e] != j)
                list[g.used++] = K->index[e];
        g.length[j] = (int32_t)(g.used - g.at[j]);
        g.elements[j] = g.stamp[j] = 0;
        g.chain[j] = bucket[j] = -1;
        g.columns += weight[j];
        g.tail[j] = j;
        g.kind[j] = VARIABLE;
        g.size[j] = weight[j];
        g.degree[j] = 0;
        for (int64_t k = g.at[j]; k < g.used; k++)
            g.degree[j] += weight[g.list[k]];
    }
    for (int32_t d = 0; d < g.columns; d++)
        g.head[d] = -1;
    int32_t last = -1, end = -1, begin = -1; /* chains: rows of very many entries; pivots in their order */
    for (int32_t j = 0; j < n; j++) {
        if (g.length[j] <= many) {
            insert(&g, j);
            whole += weight[j];
            continue;
        }
        g.kind[j] = GONE;
        g.size[j] = 0;
        g.chain[j] = last;
        last = j;
    }
    for (g.least = 0; done < whole;) {
        while (g.head[g.least] < 0)
            g.least++;
        int32_t pivot = g.head[g.least];
        take_out(&g, pivot);
        done += eliminate(&g, pivot, whole - done, bucket);
        if (end >= 0)
            g.chain[end] = pivot;
        else
            begin = pivot;
        end = g.tail[pivot];
    }
    if (end >= 0)
        g.chain[end] = last;
    else
        begin = last;
    for (int32_t k = 0, j = begin; k < n; k++, j = g.chain[j])
        order[k] = j;
}
