/* See interface_grid.h.
 *
 * In NumPy, along an axis: before = faces[:-1] / (h * h), 0 at an end without a cell beyond; with a mask times
 * (mask & that of the cell before); diagonal = mass + walls + before + after, or, where all cells take part,
 * mass + (the sums of each axis' two faces, added up).
 */
#include "interface_grid.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "interface.h"

static const char *const axis_names[3] = {"0", "1", "2"};

size_t sv_grid_stride(const sv_grid *g, int axis)
{
    size_t stride = 1;
    for (int k = axis + 1; k < g->axes; k++)
        stride *= g->shape[k];
    return stride;
}

int sv_grid_constant(const sv_grid *g) { return !g->cells && !g->faces[0] && !g->masses && !g->mask; }

static int check_shape(const sv_grid *g, size_t *size)
{
    if (g->axes < 1 || g->axes > 3)
        return sv_fail(SV_INVALID, "grid->axes is %d, not 1, 2 or 3", g->axes);
    *size = 1;
    size_t most = 1;
    for (int axis = 0; axis < g->axes; axis++) {
        if (g->shape[axis] < 1)
            return sv_fail(SV_INVALID, "grid->shape[%d] is 0", axis);
        if (!(g->spacing[axis] > 0 && g->spacing[axis] < INFINITY))
            return sv_fail(SV_INVALID, "grid->spacing[%d] is %g, not positive and finite", axis, g->spacing[axis]);
        int status = sv_product(*size, g->shape[axis], "grid->shape", size);
        if (!status) /* the faces are one more along an axis, and all in bytes */
            status = sv_product(most, g->shape[axis] < SIZE_MAX ? g->shape[axis] + 1 : SIZE_MAX, "grid->shape", &most);
        if (!status)
            status = sv_product(most, 8 * sizeof(double), "grid->shape", &(size_t){0});
        if (status)
            return status;
    }
    return SV_OK;
}

static int check_kinds(const sv_grid *g)
{
    for (int axis = 0; axis < g->axes; axis++) {
        for (int high = 0; high < 2; high++)
            if (g->ends[axis][high] < SV_DIRICHLET || g->ends[axis][high] > SV_PERIODIC)
                return sv_fail(SV_INVALID, "grid->ends[%d][%d] is %d, no enum sv_end", axis, high, g->ends[axis][high]);
        if ((g->ends[axis][0] == SV_PERIODIC) != (g->ends[axis][1] == SV_PERIODIC))
            return sv_fail(SV_INVALID, "grid->ends[%d]: periodic at one end alone", axis);
    }
    if (g->unknowns != SV_NODES && g->unknowns != SV_CELLS)
        return sv_fail(SV_INVALID, "grid->unknowns is %d, no enum sv_unknowns", g->unknowns);
    if (g->obstacle != SV_DIRICHLET && g->obstacle != SV_NEUMANN)
        return sv_fail(SV_INVALID, "grid->obstacle is %d, neither SV_NEUMANN nor SV_DIRICHLET", g->obstacle);
    return SV_OK;
}

static int check_values(const double *values, size_t count, int positive, const char *name)
{
    int status = sv_check_finite(values, count, name);
    for (size_t i = 0; i < count && positive && !status; i++)
        if (values[i] < 0)
            status = sv_fail(SV_INVALID, "%s[%zu] is %g, below 0", name, i, values[i]);
    return status;
}

static int check_faces(const sv_grid *g, size_t size)
{
    static const char *const names[3] = {"grid->faces[0]", "grid->faces[1]", "grid->faces[2]"};
    for (int axis = 0; axis < g->axes; axis++) {
        const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis], outer = size / (n * stride);
        const double *faces = g->faces[axis];
        if (!faces)
            return sv_fail(SV_INVALID, "%s is NULL, where others are given", names[axis]);
        int status = check_values(faces, outer * (n + 1) * stride, 1, names[axis]);
        if (status)
            return status;
        for (size_t k = 0; g->ends[axis][0] == SV_PERIODIC && k < outer * stride; k++) {
            size_t first = k / stride * (n + 1) * stride + k % stride;
            if (faces[first] != faces[first + n * stride])
                return sv_fail(SV_INVALID, "%s: axis %s is periodic, but its first and last faces differ", names[axis],
                               axis_names[axis]);
        }
    }
    return SV_OK;
}

static int check_coefficient(const sv_grid *g, size_t size)
{
    int faces = g->faces[0] || g->faces[1] || g->faces[2];
    if (g->cells && faces)
        return sv_fail(SV_INVALID, "grid->cells and grid->faces are both given");
    if (faces)
        return check_faces(g, size);
    if (g->cells)
        return check_values(g->cells, size, 1, "grid->cells");
    if (!(g->coefficient >= 0 && g->coefficient < INFINITY))
        return sv_fail(SV_INVALID, "grid->coefficient is %g, not >= 0 and finite", g->coefficient);
    return SV_OK;
}

static double quotient(const sv_grid *g, int axis, double value)
{
    return value / (g->spacing[axis] * g->spacing[axis]);
}

/* The harmonic mean of two cells that share a face; halves first: the product of two large ones may overflow. */
static double between(double before, double after)
{
    double both = before + after;
    return (both > 0 ? before / both : 0) * after * 2;
}

/* A cell, and how to go through all. */
struct place {
    size_t at, i[3];                /* its number; along each axis */
    size_t n[3], stride[3], before[3]; /* whole layers of an axis that lie before it, counted over the axes in front */
};

static struct place first_place(const sv_grid *g)
{
    struct place p = {0};
    for (int axis = 0; axis < 3; axis++) {
        p.n[axis] = axis < g->axes ? g->shape[axis] : 1;
        p.stride[axis] = axis < g->axes ? sv_grid_stride(g, axis) : 1;
    }
    return p;
}

static void next_place(struct place *p, int axes)
{
    p->at++;
    for (int axis = axes - 1; axis >= 0; axis--) {
        if (++p->i[axis] < p->n[axis])
            return;
        p->i[axis] = 0;
        p->before[axis]++; /* the next one along the axes in front of this */
    }
}

static struct place place_at(const sv_grid *g, size_t at)
{
    struct place p = first_place(g);
    p.at = at;
    for (int axis = 0; axis < g->axes; axis++)
        p.i[axis] = at / p.stride[axis] % p.n[axis], p.before[axis] = at / (p.stride[axis] * p.n[axis]);
    return p;
}

/* The coefficient at the low (0) or the high (1) face of a cell along an axis. */
static double face(const sv_grid *g, int axis, const struct place *p, int high)
{
    const size_t stride = p->stride[axis], n = p->n[axis], i = p->i[axis];
    if (g->faces[0])
        return g->faces[axis][p->at + (p->before[axis] + (size_t)high) * stride];
    if (!g->cells)
        return g->coefficient;
    const int wraps = g->ends[axis][0] == SV_PERIODIC;
    const double *own = g->cells + p->at, *end = own - i * stride; /* the first cell along the axis */
    if (high)
        return between(*own, i + 1 < n ? own[stride] : wraps ? *end : *own);
    return between(i > 0 ? *(own - stride) : wraps ? end[(n - 1) * stride] : *own, *own);
}

/* Whether the neighbour along an axis is there, and where it is. */
static int beside(const sv_grid *g, int axis, const struct place *p, int high, size_t *other)
{
    const size_t stride = p->stride[axis], n = p->n[axis];
    if (high ? p->i[axis] + 1 < n : p->i[axis] > 0) {
        *other = high ? p->at + stride : p->at - stride;
        return 1;
    }
    if (n == 1 || g->ends[axis][0] != SV_PERIODIC)
        return 0;
    *other = high ? p->at - (n - 1) * stride : p->at + (n - 1) * stride;
    return 1;
}

/* With the neighbour before (0) or after (1). */
static double coupling(const sv_grid *g, int axis, const struct place *p, int high)
{
    size_t other = 0;
    if (!beside(g, axis, p, high, &other) || (g->mask && !(g->mask[p->at] && g->mask[other])))
        return 0;
    return quotient(g, axis, face(g, axis, p, high));
}

static size_t size_of(const sv_grid *g)
{
    size_t size = 1;
    for (int axis = 0; axis < g->axes; axis++)
        size *= g->shape[axis];
    return size;
}

#define EACH_CELL(g, p) \
    for (struct place p = first_place(g), end_ = {.at = size_of(g)}; p.at < end_.at; next_place(&p, (g)->axes))

/* Whether the loops over whole layers below serve: those over cells take several times as long. */
static int by_layers(const sv_grid *g) { return g->faces[0] && !g->mask; }

static void couplings_by_layers(const sv_grid *g, int axis, double *out)
{
    const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis], block = n * stride;
    const int alone = n == 1 || g->ends[axis][0] != SV_PERIODIC;
    const double square = g->spacing[axis] * g->spacing[axis], *faces = g->faces[axis];
    for (size_t at = 0; at < size_of(g); at += block, faces += block + stride)
        for (size_t k = 0; k < block; k++)
            out[at + k] = k < stride && alone ? 0 : faces[k] / square;
}

void sv_grid_couplings(const sv_grid *g, int axis, double *out)
{
    if (by_layers(g)) {
        couplings_by_layers(g, axis, out);
        return;
    }
    EACH_CELL(g, p)
        out[p.at] = coupling(g, axis, &p, 0);
}

double sv_grid_coupling(const sv_grid *g, int axis, size_t cell)
{
    const struct place p = place_at(g, cell);
    return coupling(g, axis, &p, 0);
}

/* The coefficient that a cell has towards a wall. */
static double own_face(const sv_grid *g, int axis, const struct place *p, int high)
{
    return g->cells ? g->cells[p->at] : face(g, axis, p, high);
}

/* What an axis adds to a cell's diagonal by its walls. */
static double wall(const sv_grid *g, int axis, const struct place *p)
{
    double sum = 0;
    for (int high = 0; high < 2; high++) {
        size_t other = 0;
        int end = high ? p->i[axis] + 1 == p->n[axis] : p->i[axis] == 0;
        if (end && g->ends[axis][high] == SV_DIRICHLET)
            sum += own_face(g, axis, p, high);
        if (g->mask && g->obstacle == SV_DIRICHLET && beside(g, axis, p, high, &other) && !g->mask[other])
            sum += own_face(g, axis, p, high);
    }
    const double factor = g->unknowns == SV_CELLS ? 2 : 1;
    return sum * (factor / (g->spacing[axis] * g->spacing[axis]));
}

static double walls(const sv_grid *g, const struct place *p)
{
    double sum = 0;
    if (g->mask && !g->mask[p->at])
        return 0;
    for (int axis = 0; axis < g->axes; axis++)
        sum += wall(g, axis, p);
    return sum;
}

void sv_grid_walls(const sv_grid *g, double *out)
{
    EACH_CELL(g, p)
        out[p.at] = walls(g, &p);
}

/* Of both faces along an axis, all cells taking part. */
static double part(const sv_grid *g, int axis, const struct place *p)
{
    double sides[2];
    for (int high = 0; high < 2; high++) {
        size_t other = 0;
        const int end = high ? p->i[axis] + 1 == p->n[axis] : p->i[axis] == 0;
        sides[high] = quotient(g, axis, face(g, axis, p, high));
        if (end && g->ends[axis][high] == SV_DIRICHLET)
            sides[high] *= g->unknowns == SV_CELLS ? 2 : 1;
        else if (!beside(g, axis, p, high, &other))
            sides[high] = 0;
    }
    return sides[0] + sides[1];
}

/* What an axis of constant coefficient adds to the diagonal of its i-th cell, where all cells take part. */
static double profile(const sv_grid *g, int axis, size_t i)
{
    const struct place p = place_at(g, i * sv_grid_stride(g, axis));
    return part(g, axis, &p);
}

static double whole_diagonal(const sv_grid *g, const struct place *p)
{
    double sum = 0;
    for (int axis = 0; axis < g->axes; axis++)
        sum += part(g, axis, p);
    return (g->masses ? g->masses[p->at] : g->mass) + sum;
}

static double masked_diagonal(const sv_grid *g, const struct place *p)
{
    if (!g->mask[p->at])
        return 1;
    double sum = (g->masses ? g->masses[p->at] : g->mass) + walls(g, p);
    for (int axis = 0; axis < g->axes; axis++) {
        sum += coupling(g, axis, p, 0);
        sum += coupling(g, axis, p, 1);
    }
    return sum;
}

/* What a face at a layer's low (0) or high (1) end counts. */
static double end_factor(const sv_grid *g, int axis, int high)
{
    if (g->ends[axis][high] == SV_DIRICHLET)
        return g->unknowns == SV_CELLS ? 2 : 1;
    return g->ends[axis][high] == SV_PERIODIC && g->shape[axis] > 1;
}

static void add_parts(const sv_grid *g, int axis, double *out)
{
    const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis], block = n * stride;
    const double square = g->spacing[axis] * g->spacing[axis], *faces = g->faces[axis];
    const double low = end_factor(g, axis, 0), high = end_factor(g, axis, 1);
    for (size_t at = 0; at < size_of(g); at += block, faces += block + stride) {
        double *layers = out + at;
        for (size_t k = 0; k < stride; k++)
            layers[k] += faces[k] / square * low + faces[k + stride] / square * (n == 1 ? high : 1);
        for (size_t k = stride; k + stride < block; k++)
            layers[k] += faces[k] / square + faces[k + stride] / square;
        for (size_t k = block - stride; k < block && n > 1; k++)
            layers[k] += faces[k] / square + faces[k + stride] / square * high;
    }
}

static void diagonal_by_layers(const sv_grid *g, double *out)
{
    const size_t size = size_of(g);
    memset(out, 0, size * sizeof *out);
    for (int axis = 0; axis < g->axes; axis++)
        add_parts(g, axis, out);
    for (size_t at = 0; at < size; at++)
        out[at] = (g->masses ? g->masses[at] : g->mass) + out[at];
}

void sv_grid_diagonal(const sv_grid *g, double *out)
{
    if (by_layers(g)) {
        diagonal_by_layers(g, out);
        return;
    }
    EACH_CELL(g, p)
        out[p.at] = g->mask ? masked_diagonal(g, &p) : whole_diagonal(g, &p);
}

/* Of constant coefficients one profile an axis says all. */
double sv_grid_least_diagonal(const sv_grid *g)
{
    double least = INFINITY;
    if (!sv_grid_constant(g)) {
        EACH_CELL(g, p)
            least = fmin(least, whole_diagonal(g, &p));
        return least;
    }
    double sum = 0;
    for (int axis = 0; axis < g->axes; axis++) {
        const size_t last = g->shape[axis] - 1, some[3] = {0, last / 2, last};
        double lowest = INFINITY;
        for (int k = 0; k < 3; k++)
            lowest = fmin(lowest, profile(g, axis, some[k]));
        sum += lowest;
    }
    return g->mass + sum;
}

void sv_grid_constant_numbers(const sv_grid *g, double coupling[3], double *rows)
{
    const int along = g->axes - 1;
    const size_t nx = g->shape[along];
    double at[2][4] = {{0}}; /* what y and z add at the low end (1), the high end (2), both (3) or amid (0) */
    for (int k = 0; k < 3; k++) {
        const int axis = along - k;
        const int alone = axis >= 0 && g->shape[axis] == 1 && g->ends[axis][0] == SV_PERIODIC;
        coupling[k] = axis >= 0 && !alone ? quotient(g, axis, g->coefficient) : 0;
        if (k == 0 || axis < 0)
            continue;
        const size_t last = g->shape[axis] - 1, places[4] = {(last + 1) / 2, 0, last, 0};
        for (int kind = 0; kind < 4; kind++)
            at[k - 1][kind] = profile(g, axis, places[kind]);
    }
    const double first = profile(g, along, 0), amid = profile(g, along, nx > 2), last = profile(g, along, nx - 1);
    for (size_t kind = 0; kind < 16; kind++)
        for (size_t i = 0; i < nx; i++) {
            const double own = i == 0 ? first : i + 1 == nx ? last : amid;
            rows[kind * nx + i] = ((g->mass + at[0][kind % 4]) + at[1][kind / 4]) + own;
        }
}

int sv_grid_uniform(const sv_grid *g, double coupling[3], double *entry)
{
    const int along = g->axes - 1;
    int uniform = sv_grid_constant(g) && g->unknowns == SV_NODES;
    *entry = g->mass;
    for (int axis = 0; axis < g->axes; axis++)
        uniform &= g->ends[axis][0] == SV_DIRICHLET && g->ends[axis][1] == SV_DIRICHLET;
    for (int k = 1; k < 4 && uniform; k++) { /* y, z, x, as the diagonal is summed */
        const int axis = along - k % 3;
        coupling[k % 3] = axis >= 0 ? quotient(g, axis, g->coefficient) : 0;
        *entry += axis >= 0 ? profile(g, axis, 0) : 0;
    }
    return uniform;
}

int sv_grid_read(sv_grid *grid, const sv_grid *given, size_t *size)
{
    const sv_grid defaults = SV_GRID_INIT;
    *grid = defaults;
    SV_NEED(given);
    int status = sv_read_struct(grid, sizeof defaults, given, "grid");
    if (!status)
        status = check_shape(grid, size);
    if (!status)
        status = check_kinds(grid);
    if (!status)
        status = check_coefficient(grid, *size);
    if (!status && grid->masses)
        status = check_values(grid->masses, *size, 0, "grid->masses");
    if (!status && !grid->masses && !isfinite(grid->mass))
        status = sv_fail(SV_INVALID, "grid->mass is %g", grid->mass);
    if (!status && !grid->mask) {
        double least = sv_grid_least_diagonal(grid);
        if (!(least >= DBL_MIN))
            status = sv_fail(SV_INVALID,
                             "grid->coefficient and grid->mass must make the diagonal positive; its least entry is %g",
                             least);
    }
    return status;
}
