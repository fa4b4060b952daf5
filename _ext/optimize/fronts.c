/* The analysis of a sparse L D L' after its order: see multifrontal.h.
 *
 * The elimination tree and the counts of L's columns follow the rows' subtrees (Liu, 1990): as many steps as L has entries.
 * A front whose last child stands right before it takes that child in where few zeros come with it, the more the smaller the
 * two are: tiny fronts cost more in handling than in arithmetic.
 */
#include <math.h>
#include <string.h>

#include "multifrontal.h"

void sv_optimize_scales(const struct sv_pattern *K, const double *value, double *s, double *scaled, double *most)
{
    for (int32_t j = 0; j < K->n; j++)
        s[j] = 1;
    for (int sweep = 0; sweep < 3; sweep++) {
        for (int32_t j = 0; j < K->n; j++) {
            most[j] = 0;
            for (int32_t e = K->starts[j]; e < K->starts[j + 1]; e++) {
                double size = fabs(value[e]) * s[K->index[e]];
                most[j] = size > most[j] ? size : most[j];
            }
        }
        for (int32_t j = 0; j < K->n; j++)
            if (most[j] > 0)
                s[j] /= sqrt(most[j] * s[j]);
    }
    for (int32_t j = 0; j < K->n; j++)
        for (int32_t e = K->starts[j]; e < K->starts[j + 1]; e++)
            scaled[e] = value[e] * s[j] * s[K->index[e]];
}

void sv_optimize_mates(int32_t m, int32_t n, const int32_t *starts, const int32_t *index, const double *value, int32_t *mate,
                       int32_t *taken)
{
    memset(taken, 0, (size_t)n * sizeof *taken);
    for (int32_t i = 0; i < m; i++) {
        double most = 0, best = 0;
        mate[i] = -1;
        for (int32_t e = starts[i]; e < starts[i + 1]; e++) {
            double size = fabs(value[e]);
            most = size > most ? size : most;
            if (size > best && !taken[index[e]])
                best = size, mate[i] = index[e];
        }
        if (mate[i] >= 0 && best >= 0.1 * most)
            taken[mate[i]] = 1;
        else
            mate[i] = -1;
    }
}

void sv_optimize_groups(const struct sv_pattern *K, int32_t groups, const int32_t *begin, const int32_t *member,
                        const int32_t *of, int32_t *starts, int32_t *index, int32_t *mark)
{
    int32_t to = 0;
    for (int32_t g = 0; g < groups; g++)
        mark[g] = -1;
    for (int32_t g = 0; g < groups; g++) {
        starts[g] = to;
        mark[g] = g;
        for (int32_t q = begin[g]; q < begin[g + 1]; q++)
            for (int32_t j = member[q], e = K->starts[j]; e < K->starts[j + 1]; e++) {
                int32_t other = of[K->index[e]];
                if (mark[other] != g)
                    mark[other] = g, index[to++] = other;
            }
    }
    starts[groups] = to;
}

static void find_tree(const struct sv_pattern *K, const int32_t *order, const int32_t *inverse, int32_t *parent,
                      int32_t *ancestor)
{
    for (int32_t k = 0; k < K->n; k++) {
        int32_t j = order[k];
        parent[k] = ancestor[k] = -1;
        for (int32_t e = K->starts[j]; e < K->starts[j + 1]; e++)
            for (int32_t i = inverse[K->index[e]], above; i >= 0 && i < k; i = above) {
                above = ancestor[i];
                ancestor[i] = k;
                if (above < 0)
                    parent[i] = k;
            }
    }
}

/* place[k]: where column k comes in an order of depth first; of a column's children that of the longest column is last. */
static void depth_first(int32_t n, const int32_t *parent, const int32_t *count, int32_t *place, int32_t *work)
{
    int32_t *child = work, *sibling = work + n, *stack = work + 2 * (size_t)n, top, done = 0;
    for (int32_t k = 0; k < n; k++)
        child[k] = -1;
    for (int32_t k = n - 1; k >= 0; k--) {
        int32_t p = parent[k], first = p < 0 ? -1 : child[p];
        sibling[k] = -1;
        if (p < 0)
            continue;
        if (first >= 0 && count[k] > count[first]) { /* the first is visited last */
            sibling[k] = first;
            child[p] = k;
        } else if (first >= 0) {
            sibling[k] = sibling[first];
            sibling[first] = k;
        } else
            child[p] = k;
    }
    for (int32_t root = 0; root < n; root++) {
        if (parent[root] >= 0)
            continue;
        /* Every column is put on the stack once, and stays below its children: they are taken off in order. */
        for (stack[0] = root, top = 0; top >= 0;) {
            int32_t k = stack[top], c = child[k];
            if (c < 0) {
                place[k] = done++;
                top--;
                continue;
            }
            child[k] = -1;
            for (; c >= 0; c = sibling[c])
                stack[++top] = c;
        }
    }
}

void sv_optimize_tree(const struct sv_pattern *K, const int32_t *weight, int32_t *order, int32_t *inverse, int32_t *parent,
                      int32_t *count, int32_t *work)
{
    const int32_t n = K->n;
    int32_t *old_parent = work, *old_count = work + n, *mark = work + 2 * (size_t)n;
    for (int32_t k = 0; k < n; k++)
        inverse[order[k]] = k;
    find_tree(K, order, inverse, old_parent, mark);
    for (int32_t k = 0; k < n; k++) {
        int32_t j = order[k];
        mark[k] = k;
        old_count[k] = weight[j];
        for (int32_t e = K->starts[j]; e < K->starts[j + 1]; e++)
            for (int32_t i = inverse[K->index[e]]; i < k && mark[i] != k; i = old_parent[i]) {
                mark[i] = k;
                old_count[i] += weight[j];
            }
    }
    int32_t *place = parent; /* until the end */
    depth_first(n, old_parent, old_count, place, mark);
    for (int32_t k = 0; k < n; k++) {
        count[place[k]] = old_count[k];
        mark[place[k]] = order[k];
    }
    memcpy(order, mark, (size_t)n * sizeof *order);
    for (int32_t k = 0; k < n; k++)
        mark[place[k]] = old_parent[k] < 0 ? -1 : place[old_parent[k]];
    memcpy(parent, mark, (size_t)n * sizeof *parent);
    for (int32_t k = 0; k < n; k++)
        inverse[order[k]] = k;
}

/* Whether `columns` columns may stand together with this share of zeros. */
static int worth(int32_t columns, double share)
{
    return columns <= 8 ? share < 0.8 : columns <= 24 ? share < 0.2 : columns <= 64 ? share < 0.1 : share < 0.05;
}

int32_t sv_optimize_fronts(int32_t n, const int32_t *offset, const int32_t *parent, const int32_t *count, int32_t *first,
                           int32_t *height, int32_t *above, int32_t *work)
{
    int32_t fronts = 0, *of = work;
    double *zeros = (double *)(work + 2 * (size_t)((n + 1) / 2)); /* aligned as work is */
    for (int32_t k = 0; k < n; k++) {
        if (k > 0 && parent[k - 1] == k && count[k - 1] == count[k] + offset[k] - offset[k - 1])
            continue;
        /* Front `fronts` begins at k; the one before is complete: it takes its last children in. */
        first[fronts] = k;
        fronts++;
    }
    first[fronts] = n;
    int32_t top = 0; /* fronts 0..top-1 are final so far; they only move down */
    for (int32_t s = 0; s < fronts; s++) {
        int32_t begin = first[s], end = first[s + 1], tall = count[begin];
        double empty = 0;
        while (top > 0 && parent[begin - 1] >= begin && parent[begin - 1] < end) {
            int32_t more = offset[begin] - offset[first[top - 1]], columns = offset[end] - offset[first[top - 1]];
            double added = (double)more * (tall + more - height[top - 1]), entries;
            entries = (double)columns * (tall + more) - 0.5 * columns * (columns - 1.0);
            double sum = empty + zeros[top - 1] + added;
            if (sum > 0 && !worth(columns, sum / entries))
                break;
            empty = sum;
            begin = first[top - 1];
            tall += more;
            top--;
        }
        first[top] = begin;
        height[top] = tall;
        zeros[top] = empty;
        top++;
    }
    first[top] = n;
    for (int32_t s = 0; s < top; s++)
        for (int32_t k = first[s]; k < first[s + 1]; k++)
            of[k] = s;
    for (int32_t s = 0; s < top; s++) {
        int32_t p = parent[first[s + 1] - 1];
        above[s] = p < 0 ? -1 : of[p];
    }
    return top;
}

void sv_optimize_borders(const struct sv_pattern *K, const int32_t *group, struct sv_fronts *f, int32_t *work)
{
    int32_t *of = work, *mark = work + f->n;
    f->edge[0] = f->entry[0] = 0;
    for (int32_t s = 0; s < f->fronts; s++) {
        int32_t columns = f->first[s + 1] - f->first[s];
        f->edge[s + 1] = f->edge[s] + f->height[s] - columns;
        mark[s] = -1;
        for (int32_t k = f->first[s]; k < f->first[s + 1]; k++)
            of[k] = s;
    }
    /* Row by row: each front on the way up from an entry has the row, and those of its group. */
    for (int32_t k = 0, from = 0, to = 0; k < f->n; k++) {
        if (k == to)
            for (from = to++; to < f->n && group[to] == group[from];)
                to++;
        int32_t j = f->order[k];
        int64_t e = f->entry[k];
        for (int32_t q = K->starts[j]; q < K->starts[j + 1]; q++) {
            int32_t i = f->inverse[K->index[q]];
            if (i >= k) {
                f->row[e] = i;
                f->source[e++] = q;
                continue;
            }
            for (int32_t s = of[i]; s != of[k] && mark[s] != from; s = f->above[s]) {
                mark[s] = from;
                for (int32_t row = from; row < to; row++)
                    f->border[f->edge[s]++] = row;
            }
        }
        f->entry[k + 1] = e;
    }
    for (int32_t s = f->fronts; s > 0; s--)
        f->edge[s] = f->edge[s - 1];
    f->edge[0] = 0;
}

void sv_optimize_room(const struct sv_fronts *f, int64_t *factor, int64_t *rows, int64_t *stack, int32_t *work)
{
    int32_t *children = work;
    int64_t now = 0;
    *factor = *rows = *stack = 0;
    memset(children, 0, (size_t)f->fronts * sizeof *children);
    /* The remains of the children of front s lie on top of the stack, one after the other. */
    int64_t *size = (int64_t *)(work + 2 * (size_t)((f->fronts + 1) / 2));
    int32_t top = 0;
    for (int32_t s = 0; s < f->fronts; s++) {
        int64_t tall = f->height[s], columns = f->first[s + 1] - f->first[s], left = tall - columns;
        *factor += tall * columns;
        *rows += tall;
        if (now + tall * (tall + SV_PANEL) > *stack)
            *stack = now + tall * (tall + SV_PANEL);
        for (int32_t c = 0; c < children[s]; c++)
            now -= size[--top];
        if (f->above[s] >= 0)
            children[f->above[s]]++;
        size[top++] = f->above[s] >= 0 ? left * left : 0;
        now += size[top - 1];
        if (f->above[s] < 0)
            top--;
    }
}
