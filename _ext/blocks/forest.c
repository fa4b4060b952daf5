/* Forests in a graph, and elimination on them: 24 bytes read and 4 flops a node in a solve, in two passes.
 * The first class: sum(link^2 / pivot) leaves no fill-in on a tree, so that elimination from the leaves is exact:
 *
 *     for i in order:           y[parent[i]] -= link[i] / pivot[i] * y[i]
 *     for i in reversed(order): y[i] = y[i] / pivot[i] - link[i] / pivot[i] * y[parent[i]]
 *
 * Accuracy: that of Cholesky's factorisation without fill-in.
 */
#include "forest.h"

#define SINGULAR 1e-14

/* ---- classes ----------------------------------------------------------------------------------- */

static int32_t root_of(int32_t *up, int32_t i)
{
    while (up[i] != i)
        i = up[i] = up[up[i]];
    return i;
}

/* Whether node v may join class c: its neighbours there stand in different trees, or there are none at all. `seen` and
 * `mark` remember the trees met. */
static int fits(const struct sv_rows *pattern, int32_t v, int32_t c, int forests, const int32_t *class_of, int32_t *up,
                int32_t *seen, int32_t mark)
{
    for (int64_t k = pattern->starts[v]; k < pattern->starts[v + 1]; k++) {
        int32_t u = pattern->columns[k];
        if (u == v || class_of[u] != c)
            continue;
        if (!forests)
            return 0;
        int32_t root = root_of(up, u);
        if (seen[root] == mark)
            return 0;
        seen[root] = mark;
    }
    return 1;
}

int32_t sv_classes(const struct sv_rows *pattern, const int32_t *order, int forests, int32_t *class_of, int32_t *work)
{
    int32_t n = pattern->n, classes = 0, mark = 0;
    int32_t *up = work, *seen = work + n;
    for (int32_t i = 0; i < n; i++)
        class_of[i] = -1, up[i] = i, seen[i] = -1;
    for (int32_t k = 0; k < n; k++) {
        int32_t v = order[k], c = 0;
        while (c < classes && !fits(pattern, v, c, forests, class_of, up, seen, mark++)) {
            c++;
            if (mark == INT32_MAX) { /* the marks begin anew */
                for (int32_t i = 0; i < n; i++)
                    seen[i] = -1;
                mark = 0;
            }
        }
        if (c == classes)
            classes++;
        class_of[v] = c;
        for (int64_t e = pattern->starts[v]; e < pattern->starts[v + 1]; e++) {
            int32_t u = pattern->columns[e];
            if (u != v && class_of[u] == c)
                up[root_of(up, u)] = v;
        }
    }
    return classes;
}

/* ---- the order of elimination ------------------------------------------------------------------ */

/* Breadth first over the tree of `root`, from place `at` on in `queue`; below holds the place of each node's parent.
 * Returns the place after the tree, or -1 where a cycle is met. */
static int32_t walk(const struct sv_rows *pattern, const int32_t *class_of, int32_t root, int32_t at, int32_t *queue,
                    int32_t *below, int32_t *place)
{
    int32_t end = at;
    queue[end] = root, below[end] = -1, place[root] = end++;
    for (int32_t head = at; head < end; head++) {
        int32_t v = queue[head];
        for (int64_t k = pattern->starts[v]; k < pattern->starts[v + 1]; k++) {
            int32_t u = pattern->columns[k];
            if (u == v || class_of[u] != class_of[v] || (below[head] >= 0 && u == queue[below[head]]))
                continue;
            if (place[u] >= 0)
                return -1;
            queue[end] = u, below[end] = head, place[u] = end++;
        }
    }
    return end;
}

static void reverse(int32_t *nodes, int32_t *parent, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++)
        if (parent[i] >= 0)
            parent[i] = from + to - 1 - parent[i];
    for (int32_t i = from, j = to - 1; i < j; i++, j--) {
        int32_t node = nodes[i], up = parent[i];
        nodes[i] = nodes[j], nodes[j] = node;
        parent[i] = parent[j], parent[j] = up;
    }
}

/* The trees of class c from place `at` on, each from its node of lowest index, or of highest. Returns the place after
 * them, or -1 at a cycle. */
static int32_t walk_class(const struct sv_rows *pattern, const int32_t *class_of, int32_t c, int highest, int32_t at,
                          int32_t *nodes, int32_t *parent, int32_t *place)
{
    for (int32_t k = 0; k < pattern->n && at >= 0; k++) {
        int32_t v = highest ? pattern->n - 1 - k : k, from = at;
        if (class_of[v] != c || place[v] >= 0)
            continue;
        at = walk(pattern, class_of, v, at, nodes, parent, place);
        if (at >= 0)
            reverse(nodes, parent, from, at);
    }
    return at;
}

/* Whether all parents in [from, to) have indices on one side of their children's: then the order of the indices is one
 * of elimination. It keeps neighbours of other classes near one another in memory. */
static int by_index(const int32_t *nodes, const int32_t *parent, int highest, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++)
        if (parent[i] >= 0 && (nodes[parent[i]] > nodes[i]) != highest)
            return 0;
    return 1;
}

static void sort_class(const struct sv_rows *pattern, const int32_t *class_of, int highest, int32_t from, int32_t to,
                       int32_t *nodes, int32_t *parent, int32_t *place)
{
    int32_t c = class_of[nodes[from]], at = from;
    for (int32_t i = from; i < to; i++) /* for now the node of the parent */
        place[nodes[i]] = parent[i] >= 0 ? nodes[parent[i]] : -1;
    for (int32_t k = 0; k < pattern->n; k++) {
        int32_t v = highest ? k : pattern->n - 1 - k;
        if (class_of[v] == c)
            nodes[at] = v, parent[at++] = place[v];
    }
    for (int32_t i = from; i < to; i++)
        place[nodes[i]] = i;
    for (int32_t i = from; i < to; i++)
        if (parent[i] >= 0)
            parent[i] = place[parent[i]];
}

int sv_forest_order(const struct sv_rows *pattern, const int32_t *class_of, int32_t classes, int32_t *nodes,
                    int32_t *parent, int32_t *starts, int32_t *work)
{
    int32_t *place = work, n = pattern->n, at = 0;
    for (int32_t i = 0; i < n; i++)
        place[i] = -1;
    for (int32_t c = 0; c < classes; c++) {
        int32_t from = starts[c] = at;
        for (int highest = 1; highest >= 0; highest--) {
            for (int32_t i = from; i < at; i++)
                place[nodes[i]] = -1;
            at = walk_class(pattern, class_of, c, highest, from, nodes, parent, place);
            if (at < 0)
                return 1;
            if (at > from && by_index(nodes, parent, highest, from, at)) {
                sort_class(pattern, class_of, highest, from, at, nodes, parent, place);
                break;
            }
        }
    }
    starts[classes] = at;
    return 0;
}

/* ---- elimination ------------------------------------------------------------------------------- */

void sv_forest_fill(const struct sv_rows *A, const int32_t *nodes, const int32_t *place, const int32_t *class_of,
                    struct sv_forest *out)
{
    int64_t cross = 0;
    for (int32_t i = 0; i < out->n; i++) {
        int32_t v = nodes[i];
        out->link[i] = out->diagonal[i] = 0;
        out->cross_starts[i] = cross;
        for (int64_t k = A->starts[v]; k < A->starts[v + 1]; k++) {
            int32_t u = A->columns[k], j = place[u];
            if (j < 0) /* outside the block */
                continue;
            if (u == v)
                out->diagonal[i] += A->values[k];
            else if (class_of[u] != class_of[v])
                out->cross_columns[cross] = j, out->cross_values[cross++] = A->values[k];
            else if (j == out->parent[i])
                out->link[i] = A->values[k];
        }
    }
    out->cross_starts[out->n] = cross;
}

int32_t sv_forest_factor(struct sv_forest *forest)
{
    for (int32_t i = 0; i < forest->n; i++)
        forest->inverse[i] = forest->diagonal[i]; /* the pivots, for now */
    for (int32_t i = 0; i < forest->n; i++) {
        double pivot = forest->inverse[i];
        if (!(pivot > SINGULAR * forest->diagonal[i]))
            return i;
        forest->inverse[i] = 1 / pivot;
        int32_t up = forest->parent[i];
        if (up < 0) {
            forest->factor[i] = 0;
            continue;
        }
        forest->factor[i] = forest->link[i] / pivot;
        forest->inverse[up] -= forest->link[i] * forest->factor[i];
    }
    return -1;
}

void sv_forest_solve(const struct sv_forest *forest, int32_t b, double *y)
{
    const int32_t from = forest->starts[b], to = forest->starts[b + 1], *parent = forest->parent;
    const double *factor = forest->factor, *inverse = forest->inverse;
    for (int32_t i = from; i < to; i++)
        if (parent[i] >= 0)
            y[parent[i]] -= factor[i] * y[i];
    for (int32_t i = to; i-- > from;)
        y[i] = y[i] * inverse[i] - (parent[i] >= 0 ? factor[i] * y[parent[i]] : 0);
}
