/* The primal network simplex for a transportation problem on few arcs.
 *
 *     minimise  sum_e cost_e flow_e   over  flow >= 0  that leave source i with a_i and reach sink j with b_j
 *
 * A basis is a spanning tree of the sources, the sinks and a root. Arcs from a source to the root (cost base_i, the
 * potential that the source starts with) hold the trees together that the flow leaves apart. As nothing leaves the
 * root they never carry flow; they only ever leave the basis. All arcs point from a source to a sink or the root,
 * so the arc between a node and its parent carries flow up if the node is a source, and down if it is a sink.
 *
 * Potentials are kept as height = f for sources and -g for sinks: the reduced cost of an arc is then
 * cost - height_source + height_sink, and a pivot moves all heights of a subtree, or else of all that is not in it
 * (the smaller of the two), by the same amount.
 *
 * No cycling: the basis stays strongly feasible (Cunningham 1976), that is every arc that points away from the root
 * carries flow. Flows are whole numbers below 2^53 (the caller's units), so that this holds to the bit. A basis then
 * never comes back, whichever arcs the caller adds or takes out between calls.
 *
 * The subtree of a node is a block of the thread, a cyclic preorder; a pivot cuts and splices blocks. It costs the
 * two paths to the join, plus the smaller side; pricing scans blocks of some sqrt(arcs) / 2 arcs and enters the best.
 * Where all arcs of a matrix are there, pricing takes whole rows, by vectors: 0.1 ns an arc, next to nothing.
 *
 * In SciPy: scipy.optimize.linprog(cost, A_eq=incidence, b_eq=[a, b])
 */
#include <math.h>
#include <string.h>

#include "ot.h"

/* Pivots go on until no reduced cost is below -COARSE * tolerance, and then -tolerance; see pivot_until. */
#define COARSE 1e3
enum { FINE_REFRESH = 32 };
/* Entries of a matrix that a pivot looks at, at least, in whole rows. */
enum { MATRIX_BLOCK = 160 };

SV_DISPATCH(struct ot_price_kernels, pricing, ot_price_kernels_f64)

struct simplex {
    const struct sv_ot_network *net;
    struct sv_ot_tree tree;
    int nodes, root; /* all but the root; the root's index */
    int *thread, *previous, *last, *size;
};

size_t sv_ot_network_worksize(size_t n, size_t m) { return 4 * (n + m + 1); }

static struct simplex prepare(const struct sv_ot_network *net, const struct sv_ot_tree *tree, int *work)
{
    const size_t count = net->n + net->m + 1;
    return (struct simplex){.net = net, .tree = *tree, .nodes = (int)count - 1, .root = (int)count - 1,
                            .thread = work, .previous = work + count, .last = work + 2 * count,
                            .size = work + 3 * count};
}

static int is_source(const struct simplex *s, int node) { return node < (int)s->net->n; }

/* Where an arc begins and ends: all arcs of a matrix need no list of that. */
static int source_of(const struct sv_ot_network *net, size_t e) { return net->rows ? net->rows[e] : (int)(e / net->m); }
static int sink_of(const struct sv_ot_network *net, size_t e)
{
    return (int)net->n + (net->rows ? net->columns[e] : (int)(e % net->m));
}

/* The thread, and the subtrees' sizes and last nodes, from the parents. Returns whether these make a tree. */
static int thread_tree(struct simplex *s)
{
    int seen = 0;
    const int *parent = s->tree.parent;
    int *child = s->size, *sibling = s->last; /* heads of lists of children, at first */
    for (int u = 0; u <= s->root; u++)
        child[u] = -1;
    for (int u = 0; u < s->root; u++)
        sibling[u] = child[parent[u]], child[parent[u]] = u;
    for (int u = s->root, after;; u = after) { /* preorder: down, or else right, or else up and right */
        after = child[u];
        for (int up = u; after < 0 && up != s->root; up = parent[up])
            after = sibling[up];
        s->thread[u] = after < 0 ? s->root : after;
        s->previous[s->thread[u]] = u;
        seen++;
        if (after < 0)
            break;
    }
    if (seen <= s->root)
        return 0;
    for (int u = 0; u <= s->root; u++)
        s->size[u] = 1, s->last[u] = u;
    for (int u = s->previous[s->root]; u != s->root; u = s->previous[u]) {
        s->size[parent[u]] += s->size[u];
        if (s->last[parent[u]] == parent[u]) /* the first that comes, from the end, is the last child */
            s->last[parent[u]] = s->last[u];
    }
    return 1;
}

/* The heights, summed along the tree: no rounding error of the pivots is left in them. */
static void set_heights(struct simplex *s)
{
    const struct sv_ot_network *net = s->net;
    double *height = s->tree.height;
    height[s->root] = 0;
    for (int u = s->thread[s->root]; u != s->root; u = s->thread[u]) {
        int arc = s->tree.arc[u];
        double cost = arc < 0 ? net->base[u] : net->costs[arc];
        height[u] = height[s->tree.parent[u]] + (is_source(s, u) ? cost : -cost);
    }
}

static double reduced_cost(const struct simplex *s, size_t e)
{
    const struct sv_ot_network *net = s->net;
    return net->costs[e] - s->tree.height[source_of(net, e)] + s->tree.height[sink_of(net, e)];
}

static int in_tree(const struct simplex *s, size_t e)
{
    int i = source_of(s->net, e), j = sink_of(s->net, e);
    return s->tree.arc[i] == (int)e || s->tree.arc[j] == (int)e;
}

/* Where all arcs of a matrix are there: the arc of least reduced cost in the next block of rows that has one below
 * -tolerance; -1 if no block has. */
static ptrdiff_t find_in_matrix(const struct simplex *s, size_t *next, double tolerance)
{
    const size_t n = s->net->n, m = s->net->m, block = 1 + MATRIX_BLOCK / m;
    const double *height = s->tree.height;
    double least = -tolerance, sum;
    ptrdiff_t found = -1;
    size_t i = *next < n ? *next : 0;
    for (size_t seen = 0; seen < n; seen++) {
        const ptrdiff_t j = pricing()->below(s->net->costs + i * m, height + n, m, height[i] + least, &sum);
        if (j >= 0 && !in_tree(s, i * m + (size_t)j))
            least = sum - height[i], found = (ptrdiff_t)(i * m) + j;
        i = i + 1 < n ? i + 1 : 0;
        if (found >= 0 && (seen + 1) % block == 0)
            break;
    }
    *next = i;
    return found;
}

/* The arc of least reduced cost in the next block that has one below -tolerance; -1 if no block has. */
static ptrdiff_t find_entering(const struct simplex *s, size_t *next, double tolerance)
{
    if (!s->net->rows)
        return find_in_matrix(s, next, tolerance);
    const size_t arcs = s->net->arcs, block = 20 + (size_t)(0.5 * sqrt((double)arcs));
    double least = -tolerance;
    ptrdiff_t found = -1;
    size_t e = *next < arcs ? *next : 0;
    for (size_t seen = 0; seen < arcs; seen++) {
        double c = reduced_cost(s, e);
        if (c < least && !in_tree(s, e))
            least = c, found = (ptrdiff_t)e;
        e = e + 1 < arcs ? e + 1 : 0;
        if (found >= 0 && (seen + 1) % block == 0)
            break;
    }
    *next = e;
    return found;
}

struct cycle {
    int source, sink; /* ends of the entering arc */
    int join;         /* where their paths to the root meet */
    int leaving;      /* the node whose parent arc leaves */
    int source_side;  /* whether that lies on the source's path */
    double flow;      /* what goes around */
};

/* The cycle that an arc closes. Going around it from the join in the arc's direction, the leaving arc is the last that
 * blocks: on the sink's path the highest, or else on the source's the lowest. The basis stays strongly feasible. */
static struct cycle find_cycle(const struct simplex *s, size_t e)
{
    const int *parent = s->tree.parent, *size = s->size;
    const double *flow = s->tree.flow;
    struct cycle c = {.source = source_of(s->net, e), .sink = sink_of(s->net, e)};
    double up = INFINITY, down = INFINITY;
    int lowest = -1, highest = -1, u = c.source, v = c.sink;
    while (u != v) {
        if (size[u] < size[v]) {
            if (is_source(s, u) && flow[u] < up)
                up = flow[u], lowest = u;
            u = parent[u];
        } else {
            if (!is_source(s, v) && flow[v] <= down)
                down = flow[v], highest = v;
            v = parent[v];
        }
    }
    c.join = u;
    c.source_side = up < down;
    c.leaving = c.source_side ? lowest : highest;
    c.flow = c.source_side ? up : down;
    return c;
}

static void push_flow(struct simplex *s, const struct cycle *c)
{
    for (int u = c->source; u != c->join; u = s->tree.parent[u])
        s->tree.flow[u] += is_source(s, u) ? -c->flow : c->flow;
    for (int v = c->sink; v != c->join; v = s->tree.parent[v])
        s->tree.flow[v] += is_source(s, v) ? c->flow : -c->flow;
}

/* Adds to the heights of the subtree u ... last, or the opposite to all others. */
static void shift_heights(struct simplex *s, int u, int last, int size, double amount)
{
    double *height = s->tree.height;
    const int *thread = s->thread;
    if (2 * size > s->nodes) {
        int end = u;
        u = thread[last], last = s->previous[end], amount = -amount;
    }
    for (;; u = thread[u]) {
        height[u] += amount;
        if (u == last)
            return;
    }
}

/* Cuts off the subtree of the leaving node, makes its node `top` its root, and hangs that on `target` by the arc.
 * A subtree is the block of the thread from its root to the root's `last`; without the block of one child it stays one
 * piece, so the new block is those pieces, chained from the new root up to the old. */
static void rehang(struct simplex *s, const struct cycle *c, int top, int target, int arc)
{
    struct sv_ot_tree *tree = &s->tree;
    int *thread = s->thread, *previous = s->previous, *last = s->last, *size = s->size;
    const int total = size[c->leaving], old_parent = tree->parent[c->leaving], old_end = last[c->leaving];
    const int before_all = previous[c->leaving];
    int chain_end = -1, below_end = -1, below_before = -1, below_size = 0;
    int parent = target, u = top;
    double flow = c->flow;
    for (;;) { /* from the new root up to the old one: each block without that of its child on the way */
        int up = tree->parent[u], up_arc = tree->arc[u], full_size = size[u], full_end = last[u];
        int end = full_end == below_end ? below_before : full_end;
        int before = previous[u], after = thread[end];
        double up_flow = tree->flow[u];
        thread[before] = after, previous[after] = before;
        if (chain_end >= 0)
            thread[chain_end] = u, previous[u] = chain_end;
        chain_end = end;
        tree->parent[u] = parent, tree->arc[u] = arc, tree->flow[u] = flow;
        size[u] = total - below_size;
        if (u == c->leaving)
            break;
        parent = u, arc = up_arc, flow = up_flow;
        below_end = full_end, below_before = before, below_size = full_size;
        u = up;
    }
    for (; u != target; u = tree->parent[u])
        last[u] = chain_end;
    for (u = old_parent; u >= 0 && last[u] == old_end; u = tree->parent[u])
        last[u] = before_all;
    for (u = old_parent; u != c->join; u = tree->parent[u])
        size[u] -= total;
    for (u = target; u != c->join; u = tree->parent[u])
        size[u] += total;
    int after = thread[target];
    thread[target] = top, previous[top] = target;
    thread[chain_end] = after, previous[after] = chain_end;
    for (u = target; u >= 0 && last[u] == target; u = tree->parent[u])
        last[u] = chain_end;
}

/* Returns whether the arc could enter: not where the flows are no numbers. */
static int pivot(struct simplex *s, size_t e)
{
    double c = reduced_cost(s, e);
    struct cycle cycle = find_cycle(s, e);
    if (cycle.leaving < 0)
        return 0;
    if (cycle.flow > 0)
        push_flow(s, &cycle);
    int top = cycle.source_side ? cycle.source : cycle.sink;
    rehang(s, &cycle, top, cycle.source_side ? cycle.sink : cycle.source, (int)e);
    shift_heights(s, top, s->last[top], s->size[top], cycle.source_side ? c : -c);
    return 1;
}

/* Pivots until no arc is below -tolerance or `most` are made; heights are summed anew every `refresh` pivots. */
static ptrdiff_t pivot_until(struct simplex *s, double tolerance, ptrdiff_t refresh, ptrdiff_t most)
{
    ptrdiff_t pivots = 0;
    size_t next = 0;
    for (ptrdiff_t e; pivots < most && (e = find_entering(s, &next, tolerance)) >= 0;) {
        if (!pivot(s, (size_t)e))
            break;
        if (++pivots % refresh == 0)
            set_heights(s);
    }
    set_heights(s);
    return pivots;
}

ptrdiff_t sv_ot_network_simplex(const struct sv_ot_network *net, struct sv_ot_tree *tree, double tolerance,
                                ptrdiff_t max_pivots, int *work)
{
    struct simplex s = prepare(net, tree, work);
    if (!thread_tree(&s))
        return -1;
    set_heights(&s);
    /* First with a tolerance that the drift of the heights stays below: else ties would enter for nothing. */
    ptrdiff_t pivots = pivot_until(&s, COARSE * tolerance, s.nodes, max_pivots);
    ptrdiff_t most = max_pivots - pivots < s.nodes ? max_pivots - pivots : s.nodes;
    return pivots + pivot_until(&s, tolerance, FINE_REFRESH, most);
}

void sv_ot_network_ship(const struct sv_ot_network *net, const ptrdiff_t *order, size_t count, double *a, double *b,
                        double *shipped)
{
    for (size_t k = 0; k < count; k++) {
        double *left_a = &a[net->rows[order[k]]], *left_b = &b[net->columns[order[k]]];
        double flow = *left_a < *left_b ? *left_a : *left_b;
        shipped[order[k]] = flow;
        *left_a -= flow;
        *left_b -= flow;
    }
}

/* Hangs the nodes below `top`, in the forest of the arcs that carry flow, on their parents. */
static void hang_component(const struct sv_ot_network *net, struct sv_ot_tree *tree, const int *starts,
                           const int *incident, const double *shipped, int top, int *stack)
{
    int depth = 0;
    stack[depth++] = top;
    while (depth) {
        int u = stack[--depth], n = (int)net->n;
        for (int k = starts[u]; k < starts[u + 1]; k++) {
            int e = incident[k], v = u < n ? n + net->columns[e] : net->rows[e];
            if (v == tree->parent[u])
                continue;
            tree->parent[v] = u, tree->arc[v] = e, tree->flow[v] = shipped[e];
            stack[depth++] = v;
        }
    }
}

void sv_ot_network_start(const struct sv_ot_network *net, const double *shipped, struct sv_ot_tree *tree, int *work)
{
    const int n = (int)net->n, nodes = (int)(net->n + net->m);
    int *starts = work, *incident = work + nodes + 1, *stack = work + 3 * (nodes + 1);
    memset(starts, 0, ((size_t)nodes + 1) * sizeof(int));
    for (size_t e = 0; e < net->arcs; e++)
        if (shipped[e] > 0)
            starts[net->rows[e] + 1]++, starts[n + net->columns[e] + 1]++;
    for (int u = 0; u < nodes; u++)
        starts[u + 1] += starts[u];
    memcpy(stack, starts, ((size_t)nodes + 1) * sizeof(int));
    for (size_t e = 0; e < net->arcs; e++)
        if (shipped[e] > 0)
            incident[stack[net->rows[e]]++] = (int)e, incident[stack[n + net->columns[e]]++] = (int)e;
    for (int u = 0; u <= nodes; u++)
        tree->parent[u] = tree->arc[u] = -1, tree->flow[u] = 0;
    for (int u = 0; u < n; u++) {
        if (tree->parent[u] >= 0)
            continue;
        tree->parent[u] = nodes;
        hang_component(net, tree, starts, incident, shipped, u, stack);
    }
}

int sv_ot_network_flows(const struct sv_ot_network *net, const struct sv_ot_tree *tree, const double *a,
                         const double *b, double *flow, int *work)
{
    struct simplex s = prepare(net, tree, work);
    if (!thread_tree(&s))
        return 0;
    memcpy(flow, a, net->n * sizeof(double));
    for (size_t j = 0; j < net->m; j++)
        flow[net->n + j] = -b[j];
    flow[s.root] = 0;
    for (int u = s.previous[s.root]; u != s.root; u = s.previous[u]) { /* what a subtree has too much goes up */
        flow[tree->parent[u]] += flow[u];
        if (!is_source(&s, u))
            flow[u] = -flow[u];
    }
    return 1;
}

/* Fills the rows one after the other, each by its cheapest arcs to sinks that have room, whose entries in `heights` are
 * finite; returns how many arcs. */
static size_t fill_rows(const struct sv_ot_network *net, double *a, double *b, double *heights, int *rows, int *columns,
                        double *shipped)
{
    size_t count = 0;
    for (size_t i = 0; i < net->n; i++)
        while (a[i] > 0) {
            double least;
            const ptrdiff_t j = pricing()->below(net->costs + i * net->m, heights, net->m, INFINITY, &least);
            if (j < 0)
                break;
            const double flow = a[i] < b[j] ? a[i] : b[j];
            rows[count] = (int)i, columns[count] = (int)j, shipped[count++] = flow;
            a[i] -= flow, b[j] -= flow;
            if (!(b[j] > 0))
                heights[j] = INFINITY;
        }
    return count;
}

size_t sv_ot_network_fill_worksize(size_t n, size_t m) { return n + m + sv_ot_network_worksize(n, m) + 2 * (n + m); }

void sv_ot_network_fill(const struct sv_ot_network *net, double *a, double *b, const double *g, struct sv_ot_tree *tree,
                        double *work)
{
    const size_t n = net->n, m = net->m;
    double *shipped = work;
    int *rows = (int *)(shipped + n + m), *columns = rows + n + m, *room = columns + n + m;
    for (size_t j = 0; j < m; j++)
        tree->height[j] = -g[j];
    struct sv_ot_network filled = {.n = n, .m = m, .rows = rows, .columns = columns};
    filled.arcs = fill_rows(net, a, b, tree->height, rows, columns, shipped);
    sv_ot_network_start(&filled, shipped, tree, room);
    for (size_t u = 0; u < n + m; u++)
        if (tree->arc[u] >= 0)
            tree->arc[u] = rows[tree->arc[u]] * (int)m + columns[tree->arc[u]];
}
