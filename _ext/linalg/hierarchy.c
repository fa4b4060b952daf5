/* A hierarchy for a grid: its memory, its first level from the grid, then the set-up of multilevel_setup.c.
 *
 * The levels' axes are x, y, z, of which x runs fastest; a grid of two axes has x and z. What only the set-up reads of the
 * first level is given back after it.
 */
#include "hierarchy.h"

#include <stdlib.h>
#include <string.h>

#include "interface.h"

/* ---- memory ---- */

static void *take(struct blocks *blocks, size_t bytes, int *used)
{
    if (blocks->count == blocks->room) {
        const size_t room = 2 * blocks->room + 64;
        struct block *list = realloc(blocks->list, room * sizeof *list);
        if (!list)
            return NULL;
        blocks->list = list, blocks->room = room;
    }
    void *at = sv_scratch_take(bytes, used);
    if (at)
        blocks->list[blocks->count++] = (struct block){at, bytes};
    return at;
}

static void *zeros(struct blocks *blocks, size_t bytes)
{
    int used;
    void *at = take(blocks, bytes, &used);
    return at && used ? memset(at, 0, bytes) : at;
}

/* A field of a level: zeros beside its rows. */
static void *field(struct blocks *blocks, const struct sv_level *g, size_t width)
{
    int used;
    void *at = take(blocks, g->size * width, &used);
    if (at && used)
        sv_level_clear(g, width, at);
    return at;
}

static void release(struct blocks *blocks)
{
    while (blocks->count--)
        sv_scratch_give(blocks->list[blocks->count].at, blocks->list[blocks->count].bytes);
    free(blocks->list);
    *blocks = (struct blocks){0};
}

static int no_memory(size_t cells) { return sv_fail(SV_NO_MEMORY, "there is no memory for %zu cells", cells); }

/* ---- the axes ---- */

/* The grid's axis that is x, y or z; -1 where there is none. */
static int axis_of(const sv_grid *g, int place)
{
    return place == 0 ? g->axes - 1 : place == 1 ? (g->axes == 3 ? 1 : -1) : g->axes > 1 ? 0 : -1;
}

static int is_constant(const sv_grid *g) { return !g->cells && !g->faces[0] && !g->masses; }

static double strength(const sv_grid *g, size_t size, int axis, double *sample)
{
    if (!g->cells && !g->faces[0])
        return g->coefficient / (g->spacing[axis] * g->spacing[axis]);
    size_t count = 0;
    for (size_t at = 0; at < size; at += sv_plan_stride(size))
        sample[count++] = sv_grid_coupling(g, axis, at);
    return sv_plan_strength(sample, count);
}

static int planned(const sv_grid *g, size_t size, int line, struct sv_planned *levels)
{
    struct sv_plan plan = {.line = -1};
    double *sample = malloc((size / sv_plan_stride(size) + 1) * sizeof *sample);
    if (!sample)
        return no_memory(size);
    for (int k = 0; k < 3; k++) {
        const int axis = axis_of(g, k);
        plan.n[k] = axis < 0 ? 1 : (ptrdiff_t)g->shape[axis];
        plan.periodic[k] = axis >= 0 && g->ends[axis][0] == SV_PERIODIC;
        plan.strength[k] = axis < 0 ? 0 : strength(g, size, axis, sample);
        if (axis >= 0 && axis == line)
            plan.line = k;
    }
    free(sample);
    if (!sv_plan_levels(&plan, levels))
        return sv_fail(SV_INVALID, "grid->shape needs more than %d levels", MULTILEVEL_MOST);
    return SV_OK;
}

/* ---- the levels ---- */

static int shape_level(struct sv_hierarchy *h, struct sv_level *g, const ptrdiff_t n[3], const int halved[3],
                       size_t width)
{
    for (int k = 0; k < 3; k++) {
        const int axis = axis_of(&h->grid, k);
        g->n[k] = n[k], g->halved[k] = halved[k];
        g->periodic[k] = n[k] > 1 && axis >= 0 && h->grid.ends[axis][0] == SV_PERIODIC;
    }
    g->line = -1, g->visits = 1;
    g->axes = n[1] > 1 ? 3 : n[2] > 1 ? 2 : 1;
    g->pitch = MULTILEVEL_LEAD + (n[0] + 15) / 16 * 16; /* a row's end and the next one's beginning share zeros */
    g->size = (size_t)(n[1] * n[2] * g->pitch) + 2 * MULTILEVEL_LEAD;
    return (g->zeros = zeros(&h->kept, ((size_t)g->pitch + 3 * MULTILEVEL_LEAD) * width)) != NULL;
}

static int make_faces(struct sv_hierarchy *h, struct blocks *blocks, struct sv_level *g, size_t width)
{
    for (int k = 0; k < 3; k++)
        if ((k == 0 || h->M.level[0].n[k] > 1) && !(g->face[k] = field(blocks, g, width)))
            return 0;
    return 1;
}

/* The table of rows with the same bits. */
static int make_same(struct sv_hierarchy *h, struct sv_level *g, int which)
{
    return (g->same[which] = zeros(&h->kept, (size_t)(g->n[1] * g->n[2]) * sizeof *g->same[which])) != NULL;
}

/* The fields of level l, whose shape is set; 0 where there is no memory. */
static int make_fields(struct sv_hierarchy *h, int l, size_t width)
{
    struct sv_level *g = &h->M.level[l];
    for (int k = 0; k < 3; k++)
        if (g->halved[k]) {
            if (!(g->share[k] = field(&h->kept, g, width)))
                return 0;
            sv_level_clear_share(g, k, width, g->share[k]);
        }
    if (!(g->inverse = field(&h->kept, g, width)) || !(g->scale = field(&h->kept, g, width)))
        return 0;
    for (int which = 0; which < SHARED_FIELDS && !h->M.general; which++)
        if (!make_same(h, g, which))
            return 0;
    if (h->M.general && !(g->left = field(&h->kept, g, width)))
        return 0;
    if (h->M.general && l && h->twice && !(g->first = field(&h->kept, g, width)))
        return 0;
    if (g->line >= 0 && !(g->pivot = field(&h->kept, g, width)))
        return 0;
    if (!l)
        return 1;
    return make_faces(h, &h->kept, g, width) && (g->wall = field(&h->kept, g, width)) &&
           (g->mass = field(&h->kept, g, width)) && (g->right = field(&h->kept, g, width)) &&
           (g->x = field(&h->kept, g, width));
}

static int make_levels(struct sv_hierarchy *h, const struct sv_planned *levels, int line)
{
    const size_t width = h->M.single ? sizeof(float) : sizeof(double);
    h->M.levels = levels->levels;
    for (int l = 0; l < levels->levels; l++) {
        struct sv_level *g = &h->M.level[l];
        if (!shape_level(h, g, levels->n[l], levels->halved[l], width))
            return 0;
        for (int k = 0; k < 3; k++)
            if (axis_of(&h->grid, k) == line && line >= 0 && g->n[k] > 1)
                g->line = k;
        if (!make_fields(h, l, width))
            return 0;
        if (sv_multilevel_work(g) > h->part)
            h->part = sv_multilevel_work(g);
    }
    const int none[3] = {0, 0, 0};
    const ptrdiff_t *last = levels->n[levels->levels - 1];
    const size_t cells = (size_t)(last[0] * last[1] * last[2]);
    double *inverse = zeros(&h->kept, cells * cells * sizeof *inverse);
    h->M.last = inverse;
    return inverse && (h->M.ends = zeros(&h->kept, 2 * cells * sizeof(double))) &&
           shape_level(h, &h->A, levels->n[0], none, sizeof(double)) && make_same(h, &h->A, SHARED_INVERSE) &&
           (h->diagonal = field(&h->kept, &h->A, sizeof(double))) &&
           (h->given = zeros(&h->kept, h->M.level[0].size * width)) &&
           (h->result = zeros(&h->kept, h->M.level[0].size * width));
}

/* ---- the first level ---- */

static int make_alike(struct blocks *blocks, struct sv_level *g)
{
    for (int kind = 0; kind < ALIKE_KINDS; kind++)
        if (!(g->alike[kind] = zeros(blocks, (size_t)(g->n[1] * g->n[2]) * sizeof *g->alike[kind])))
            return 0;
    return 1;
}

static int fill_constant(struct sv_hierarchy *h, const sv_grid *grid, struct blocks *lent)
{
    struct sv_level *g = &h->M.level[0];
    const double factor = grid->unknowns == SV_CELLS ? 2 : 1;
    const size_t width = h->M.single ? sizeof(float) : sizeof(double);
    struct sv_cells cells = {.mask = grid->mask, .mass = grid->mass};
    double sum = 0;
    for (int k = 0; k < 3; k++) {
        const int axis = axis_of(grid, k);
        const double c = axis < 0 ? 0 : grid->coefficient / (grid->spacing[axis] * grid->spacing[axis]);
        cells.coupling[k] = c, sum += c;
        for (int high = 0; high < 2 && axis >= 0; high++)
            cells.side[k][high] = factor * c * (grid->ends[axis][high] == SV_DIRICHLET);
        cells.obstacle[k] = factor * c * (grid->obstacle == SV_DIRICHLET);
    }
    h->scale = sv_plan_scale(2 * factor * sum + grid->mass);
    h->A.constant = g->constant = 1;
    for (int k = 0; k < 3; k++)
        h->A.coupling[k] = cells.coupling[k], g->coupling[k] = h->scale * cells.coupling[k];
    if (!make_faces(h, lent, g, width) || !(g->wall = field(lent, g, width)) || !(g->mass = field(lent, g, width)))
        return no_memory(h->cells);
    for (int l = 0; l < h->M.levels && !h->M.general; l++)
        if (!make_alike(&h->kept, &h->M.level[l]))
            return no_memory(h->cells);
    if (!make_alike(&h->kept, &h->A))
        return no_memory(h->cells);
    sv_setup_kernels(0)->fill(&h->A, &cells, 1, h->diagonal, h->M.threads);
    sv_setup_kernels(h->M.single)->fill(g, &cells, h->scale, NULL, h->M.threads);
    return SV_OK;
}

static void pack(struct sv_hierarchy *h, double scale, int close, const double *from, void *to)
{
    sv_setup_kernels(h->M.single)->pack(&h->M.level[0], scale, close, from, to, h->M.threads);
}

/* values: room for a number a cell. */
static void pack_variable(struct sv_hierarchy *h, const sv_grid *grid, double *values)
{
    const struct sv_setup_kernels *outer = sv_setup_kernels(0);
    struct sv_level *g = &h->M.level[0];
    double most = 0;
    sv_grid_diagonal(grid, values);
    for (size_t i = 0; i < h->cells; i++) {
        values[i] = !grid->mask || grid->mask[i] ? values[i] : 0;
        most = values[i] > most ? values[i] : most;
    }
    outer->pack(&h->A, 1, 0, values, h->diagonal, h->M.threads);
    h->scale = sv_plan_scale(most);
    for (int k = 0; k < 3; k++) {
        const int axis = axis_of(grid, k);
        if (axis < 0)
            continue;
        sv_grid_couplings(grid, axis, values);
        outer->pack(&h->A, 1, 1, values, h->A.face[k], h->M.threads);
        if (g->face[k])
            pack(h, h->scale, 1, values, g->face[k]);
    }
    sv_grid_walls(grid, values);
    pack(h, h->scale, 0, values, g->wall);
    for (size_t i = 0; i < h->cells; i++)
        values[i] = grid->mask && !grid->mask[i] ? 0 : grid->masses ? grid->masses[i] : grid->mass;
    pack(h, h->scale, 0, values, g->mass);
    for (size_t i = 0; i < h->cells; i++)
        values[i] = grid->mask && !grid->mask[i] ? -1 : 0;
    pack(h, 1, 0, values, g->inverse);
    sv_setup_kernels(h->M.single)->invert(g, NULL, h->M.threads);
}

static int fill_variable(struct sv_hierarchy *h, const sv_grid *grid, struct blocks *lent)
{
    struct sv_level *g = &h->M.level[0];
    const size_t width = h->M.single ? sizeof(float) : sizeof(double);
    int used;
    double *values = take(lent, h->cells * sizeof *values, &used);
    if (!values || !make_faces(h, &h->kept, g, width) || !(g->wall = field(lent, g, width)) ||
        !(g->mass = field(lent, g, width)))
        return no_memory(h->cells);
    for (int k = 0; k < 3; k++)
        if (axis_of(grid, k) >= 0 && (!(h->A.face[k] = field(&h->kept, &h->A, sizeof(double))) ||
                                      !(h->M.ways.half[k] = field(lent, g, width)) ||
                                      !(h->M.ways.through[k] = field(lent, g, width))))
            return no_memory(h->cells);
    pack_variable(h, grid, values);
    if (!sv_setup_kernels(h->M.single)->rough(g))
        h->M.ways = (struct sv_ways){{NULL}, {NULL}};
    return SV_OK;
}

/* The levels from the grid, and the inverse of the last. */
static int fill(struct sv_hierarchy *h, const sv_grid *grid)
{
    struct blocks lent = {0};
    struct sv_level *g = &h->M.level[0];
    const int constant = is_constant(grid);
    int status = constant ? fill_constant(h, grid, &lent) : fill_variable(h, grid, &lent);
    if (!status) {
        sv_level_share(&h->A, SHARED_INVERSE, h->diagonal, sizeof(double), h->M.threads);
        sv_multilevel_setup(&h->M);
        if (!sv_plan_last(&h->M, h->floating.count > 0, (double *)h->M.last))
            status = no_memory(h->cells);
    }
    if (!status && h->twice)
        sv_multilevel_settle(&h->M);
    g->wall = g->mass = NULL;
    h->M.ways = (struct sv_ways){{NULL}, {NULL}};
    if (constant)
        g->face[0] = g->face[1] = g->face[2] = NULL;
    release(&lent);
    return status;
}

/* ---- all of it ---- */

static int check_floating(const struct sv_floating *f, int nullspace)
{
    if (!f->count)
        return SV_OK;
    if (nullspace == SV_NULLSPACE_NONE)
        return sv_fail(SV_INVALID,
                       "grid is singular: %zu of %zu components (one with cell %zu) have no sink (no wall, no mass); set "
                       "options->nullspace, or leave them out of the mask",
                       f->count, f->parts, f->example);
    if (nullspace == SV_NULLSPACE_CONSTANT && f->parts > 1)
        return sv_fail(SV_INVALID,
                       "grid has %zu components, %zu of them (one with cell %zu) without a sink, and "
                       "options->nullspace = SV_NULLSPACE_CONSTANT is for one: take SV_NULLSPACE_COMPONENTS",
                       f->parts, f->count, f->example);
    return SV_OK;
}

/* What is kept of the grid. */
static int keep_grid(struct sv_hierarchy *h, const sv_grid *grid)
{
    h->grid = *grid;
    h->grid.cells = h->grid.masses = h->grid.faces[0] = h->grid.faces[1] = h->grid.faces[2] = NULL;
    if (!grid->mask)
        return SV_OK;
    int used;
    uint8_t *mask = take(&h->kept, h->cells, &used);
    if (!mask)
        return no_memory(h->cells);
    h->grid.mask = memcpy(mask, grid->mask, h->cells);
    return SV_OK;
}

static int make(struct sv_hierarchy *h, const sv_grid *grid, const sv_multilevel_options *options, int threads)
{
    struct sv_planned levels;
    int status = keep_grid(h, grid);
    if (!status)
        status = sv_grid_floating(grid, h->cells, &h->floating);
    if (!status)
        status = check_floating(&h->floating, options->nullspace);
    if (!status)
        status = planned(grid, h->cells, options->line, &levels);
    if (status)
        return status;
    h->twice = options->cycle == SV_CYCLE_W;
    h->M.single = !options->double_precision;
    h->M.general = levels.odd || options->line >= 0 || h->twice;
    if (!make_levels(h, &levels, options->line))
        return no_memory(h->cells);
    status = sv_hierarchy_threads(h, threads);
    return status ? status : fill(h, grid);
}

int sv_hierarchy_threads(struct sv_hierarchy *h, int threads)
{
    const size_t width = h->M.single ? sizeof(float) : sizeof(double);
    threads = threads > 1 ? threads : 1;
    if (threads > h->parts) {
        void *work = zeros(&h->kept, h->part * (size_t)threads * width);
        if (!work)
            return no_memory(h->cells);
        h->M.work = work, h->parts = threads;
    }
    h->M.threads = threads;
    return SV_OK;
}

int sv_hierarchy_make(const sv_grid *grid, size_t size, const sv_multilevel_options *options, int threads,
                      struct sv_hierarchy **found)
{
    struct sv_hierarchy *h = calloc(1, sizeof *h);
    *found = NULL;
    if (!h)
        return no_memory(size);
    h->cells = size;
    int status = make(h, grid, options, threads);
    if (status)
        sv_hierarchy_free(h);
    else
        *found = h;
    return status;
}

void sv_hierarchy_free(struct sv_hierarchy *h)
{
    if (!h)
        return;
    sv_grid_floating_free(&h->floating);
    release(&h->kept);
    free(h);
}

int sv_hierarchy_prepare(struct sv_hierarchy *h)
{
    struct sv_multilevel_cg *s = &h->cg;
    const size_t width = h->M.single ? sizeof(float) : sizeof(double);
    double *b, *start;
    int used;
    if (h->start)
        return SV_OK;
    if (!(b = field(&h->kept, &h->A, sizeof(double))) || !(s->x = field(&h->kept, &h->A, sizeof(double))) ||
        !(s->r = field(&h->kept, &h->A, sizeof(double))) || !(s->p = field(&h->kept, &h->A, width)) ||
        !(s->q = field(&h->kept, &h->A, sizeof(double))) || !(s->cast = field(&h->kept, &h->A, width)) ||
        !(s->z = field(&h->kept, &h->A, width)) ||
        !(s->partial = zeros(&h->kept, 2 * (size_t)h->A.n[2] * sizeof(double))) ||
        !(start = take(&h->kept, h->cells * sizeof *start, &used)))
        return no_memory(h->cells);
    s->M = &h->M, s->A = &h->A, s->diagonal = h->diagonal, s->b = b, s->numbers = &h->numbers;
    h->start = start;
    return SV_OK;
}
