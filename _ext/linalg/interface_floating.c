/* The parts of a grid that hang together and have no sink: a union of neighbours that are coupled, then one pass for the
 * sinks. Some ten passes over the grid, and 8 bytes a cell; none of them where all coefficients are positive and there is
 * a mass, or a wall that every part of the mask comes to.
 * In SciPy: scipy.sparse.csgraph.connected_components of the couplings, scipy.ndimage.label of the mask
 */
#include <stdlib.h>

#include "interface.h"
#include "interface_grid.h"
#include "mask_runs.h"

static double mass_of(const sv_grid *g, size_t at) { return g->masses ? g->masses[at] : g->mass; }

/* Whether all neighbours that take part are coupled. */
static int joined(const sv_grid *g, size_t size)
{
    if (!g->cells && !g->faces[0])
        return g->coefficient > 0;
    for (int axis = 0; axis < g->axes; axis++) {
        const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis];
        const double *values = g->cells ? g->cells : g->faces[axis];
        const size_t count = g->cells ? size : size / (n * stride) * (n + 1) * stride;
        for (size_t k = 0; k < count; k++)
            if (!(values[k] > 0))
                return 0;
    }
    return 1;
}

static int has_walls(const sv_grid *g)
{
    for (int axis = 0; axis < g->axes; axis++)
        if (g->ends[axis][0] == SV_DIRICHLET || g->ends[axis][1] == SV_DIRICHLET)
            return 1;
    return 0;
}

/* Whether some, and whether all cells have a mass. */
static void masses(const sv_grid *g, size_t size, int *some, int *all)
{
    *some = *all = g->mass > 0;
    if (!g->masses)
        return;
    *some = 0, *all = 1;
    for (size_t k = 0; k < size; k++) {
        *some |= g->masses[k] > 0;
        *all &= g->masses[k] > 0;
    }
}

static ptrdiff_t first_of(ptrdiff_t *part, ptrdiff_t i)
{
    while (part[i] != i)
        i = part[i] = part[part[i]];
    return i;
}

/* part[i]: the first cell of the part that cell i belongs to; -1 outside of the mask. */
static void unite(const sv_grid *g, size_t size, int together, ptrdiff_t *part)
{
    for (size_t i = 0; i < size; i++)
        part[i] = !g->mask || g->mask[i] ? (ptrdiff_t)i : -1;
    for (int axis = 0; axis < g->axes; axis++) {
        const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis];
        const int wraps = g->ends[axis][0] == SV_PERIODIC;
        size_t i = 0;
        for (size_t layer = 0; layer < size / stride; layer++)
            for (size_t k = 0; k < stride; k++, i++) {
                const int first = layer % n == 0;
                const size_t before = first ? i + (n - 1) * stride : i - stride;
                if (part[i] < 0 || (first && (!wraps || n == 1)) || part[before] < 0)
                    continue;
                if (!together && !(sv_grid_coupling(g, axis, i) > 0))
                    continue;
                const ptrdiff_t p = first_of(part, (ptrdiff_t)i), q = first_of(part, (ptrdiff_t)before);
                part[p < q ? q : p] = p < q ? p : q;
            }
    }
    for (size_t i = 0; i < size; i++)
        if (part[i] >= 0)
            part[i] = first_of(part, (ptrdiff_t)i);
}

/* Marks the parts that have a cell at a wall of the box; returns how many. */
static size_t at_walls(const sv_grid *g, size_t size, const ptrdiff_t *part, uint8_t *drained)
{
    size_t count = 0;
    for (int axis = 0; axis < g->axes; axis++) {
        const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis];
        for (int high = 0; high < 2; high++)
            for (size_t k = 0; k < size / n && g->ends[axis][high] == SV_DIRICHLET; k++) {
                const size_t i = (k / stride * n + (high ? n - 1 : 0)) * stride + k % stride;
                if (part[i] >= 0 && !drained[part[i]])
                    drained[part[i]] = 1, count++;
            }
    }
    return count;
}

/* Where part[i] belongs to a part with a sink it becomes -1. */
static int drain(const sv_grid *g, size_t size, int together, int all, size_t parts, ptrdiff_t *part)
{
    uint8_t *drained = calloc(size, 1);
    double *walls = NULL;
    int status = SV_OK;
    if (!drained)
        return sv_fail(SV_NO_MEMORY, "there is no memory for the components of %zu cells", size);
    if (!(together && at_walls(g, size, part, drained) == parts)) {
        walls = malloc(size * sizeof *walls);
        if (walls)
            sv_grid_walls(g, walls);
        else
            status = sv_fail(SV_NO_MEMORY, "there is no memory for the components of %zu cells", size);
        for (size_t i = 0; i < size && walls; i++)
            if (part[i] >= 0 && (all || walls[i] + mass_of(g, i) > 0))
                drained[part[i]] = 1;
    }
    for (size_t i = 0; i < size; i++)
        if (part[i] >= 0 && drained[part[i]])
            part[i] = -1;
    free(walls);
    free(drained);
    return status;
}

/* The cells of each part that is left, side by side. */
static int gather(size_t size, const ptrdiff_t *part, struct sv_floating *f)
{
    size_t total = 0, at = 0;
    ptrdiff_t *place = malloc(size * sizeof *place);
    for (size_t i = 0; i < size && place; i++)
        if (part[i] >= 0) {
            if (part[i] == (ptrdiff_t)i && !f->count++)
                f->example = i;
            total++;
        }
    f->ends = calloc(f->count + 1, sizeof *f->ends);
    f->cells = malloc((total + 1) * sizeof *f->cells);
    if (!place || !f->ends || !f->cells) {
        free(place);
        sv_grid_floating_free(f);
        return sv_fail(SV_NO_MEMORY, "there is no memory for the components of %zu cells", size);
    }
    for (size_t i = 0; i < size; i++)
        if (part[i] == (ptrdiff_t)i)
            place[i] = (ptrdiff_t)at++;
    for (size_t i = 0; i < size; i++)
        if (part[i] >= 0)
            f->ends[place[part[i]] + 1]++;
    for (size_t k = 0; k < f->count; k++)
        f->ends[k + 1] += f->ends[k];
    for (size_t i = 0; i < size; i++)
        if (part[i] >= 0)
            f->cells[f->ends[place[part[i]]]++] = (ptrdiff_t)i;
    free(place);
    return SV_OK;
}

/* Whether every part of the mask comes to a wall of the box, neighbours being joined: the quick look. */
static int masked_drained(const sv_grid *g)
{
    size_t shape[3] = {1, 1, 1};
    int wall[3][2] = {{0, 0}, {0, 0}, {0, 0}};
    for (int axis = 0, at = 3 - g->axes; axis < g->axes; axis++, at++) {
        shape[at] = g->shape[axis];
        for (int high = 0; high < 2; high++)
            wall[at][high] = g->ends[axis][high] == SV_DIRICHLET;
    }
    return sv_mask_drained(g->mask, shape, wall);
}

static size_t count_parts(const ptrdiff_t *part, size_t size)
{
    size_t parts = 0;
    for (size_t i = 0; i < size; i++)
        parts += part[i] == (ptrdiff_t)i;
    return parts;
}

int sv_grid_floating(const sv_grid *g, size_t size, struct sv_floating *f)
{
    int some, all, together = joined(g, size);
    *f = (struct sv_floating){.parts = 1};
    masses(g, size, &some, &all);
    if (g->mask && (all || (together && masked_drained(g))))
        return SV_OK;
    if (!g->mask && (all || (together && (some || has_walls(g)))))
        return SV_OK;
    if (!g->mask && together) {
        f->ends = calloc(1, sizeof *f->ends);
        if (!f->ends)
            return sv_fail(SV_NO_MEMORY, "there is no memory for a number");
        f->count = 1, f->ends[0] = size;
        return SV_OK;
    }
    ptrdiff_t *part = malloc(size * sizeof *part);
    if (!part)
        return sv_fail(SV_NO_MEMORY, "there is no memory for the components of %zu cells", size);
    unite(g, size, together, part);
    f->parts = count_parts(part, size);
    int status = drain(g, size, together, all, f->parts, part);
    if (!status)
        status = gather(size, part, f);
    free(part);
    return status;
}

void sv_grid_floating_free(struct sv_floating *f)
{
    free(f->ends);
    free(f->cells);
    f->ends = NULL, f->cells = NULL, f->count = 0;
}
