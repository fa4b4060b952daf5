/* See interface_grid.h. The sums are formed in the order in which GridOperator forms them.
 *
 * In NumPy, along an axis: before = faces[:-1] / (h * h), 0 at an end without a cell beyond; with a mask times
 * (mask & that of the cell before); diagonal = mass + walls + before + after, or, where all cells take part,
 * mass + (the sums of each axis' two faces, added up).
 */
#include "interface_grid.h"

#include <float.h>
#include <math.h>

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

/* The coefficient at the low (0) or the high (1) face of cell `at`, the i-th along the axis. */
static double face(const sv_grid *g, int axis, size_t at, size_t i, int high)
{
    const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis];
    if (g->faces[0])
        return g->faces[axis][at + (at / (n * stride) + (size_t)high) * stride];
    if (!g->cells)
        return g->coefficient;
    const int wraps = g->ends[axis][0] == SV_PERIODIC;
    const double *own = g->cells + at, *end = own - i * stride; /* the first cell along the axis */
    if (high)
        return between(*own, i + 1 < n ? own[stride] : wraps ? *end : *own);
    return between(i > 0 ? *(own - stride) : wraps ? end[(n - 1) * stride] : *own, *own);
}

/* Whether the neighbour along an axis is there, and where it is. */
static int beside(const sv_grid *g, int axis, size_t at, size_t i, int high, size_t *other)
{
    const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis];
    if (high ? i + 1 < n : i > 0) {
        *other = high ? at + stride : at - stride;
        return 1;
    }
    if (n == 1 || g->ends[axis][0] != SV_PERIODIC)
        return 0;
    *other = high ? at - (n - 1) * stride : at + (n - 1) * stride;
    return 1;
}

static double coupling(const sv_grid *g, int axis, size_t at, size_t i)
{
    size_t other = at;
    if (!beside(g, axis, at, i, 0, &other) || (g->mask && !(g->mask[at] && g->mask[other])))
        return 0;
    return quotient(g, axis, face(g, axis, at, i, 0));
}

void sv_grid_couplings(const sv_grid *g, int axis, double *out)
{
    const size_t stride = sv_grid_stride(g, axis), n = g->shape[axis];
    size_t size = 1;
    for (int k = 0; k < g->axes; k++)
        size *= g->shape[k];
    for (size_t at = 0; at < size; at++)
        out[at] = coupling(g, axis, at, at / stride % n);
}

/* The coefficient that a cell has towards a wall. */
static double own_face(const sv_grid *g, int axis, size_t at, size_t i, int high)
{
    return g->cells ? g->cells[at] : face(g, axis, at, i, high);
}

/* What an axis adds to a cell's diagonal by its walls. */
static double wall(const sv_grid *g, int axis, size_t at, size_t i)
{
    double sum = 0;
    for (int high = 0; high < 2; high++) {
        size_t other = at;
        int end = high ? i + 1 == g->shape[axis] : i == 0, there = beside(g, axis, at, i, high, &other);
        if (end && g->ends[axis][high] == SV_DIRICHLET)
            sum += own_face(g, axis, at, i, high);
        if (g->mask && g->obstacle == SV_DIRICHLET && there && !g->mask[other])
            sum += own_face(g, axis, at, i, high);
    }
    const double factor = g->unknowns == SV_CELLS ? 2 : 1;
    return sum * (factor / (g->spacing[axis] * g->spacing[axis]));
}

static double walls(const sv_grid *g, size_t at)
{
    double sum = 0;
    if (g->mask && !g->mask[at])
        return 0;
    for (int axis = 0; axis < g->axes; axis++)
        sum += wall(g, axis, at, at / sv_grid_stride(g, axis) % g->shape[axis]);
    return sum;
}

static size_t size_of(const sv_grid *g)
{
    size_t size = 1;
    for (int axis = 0; axis < g->axes; axis++)
        size *= g->shape[axis];
    return size;
}

void sv_grid_walls(const sv_grid *g, double *out)
{
    const size_t size = size_of(g);
    for (size_t at = 0; at < size; at++)
        out[at] = walls(g, at);
}

/* Of both faces along an axis, all cells taking part. */
static double part(const sv_grid *g, int axis, size_t at, size_t i)
{
    double sides[2];
    for (int high = 0; high < 2; high++) {
        size_t other = at;
        const int end = high ? i + 1 == g->shape[axis] : i == 0;
        sides[high] = quotient(g, axis, face(g, axis, at, i, high));
        if (end && g->ends[axis][high] == SV_DIRICHLET)
            sides[high] *= g->unknowns == SV_CELLS ? 2 : 1;
        else if (!beside(g, axis, at, i, high, &other))
            sides[high] = 0;
    }
    return sides[0] + sides[1];
}

double sv_grid_profile(const sv_grid *g, int axis, size_t i) { return part(g, axis, i * sv_grid_stride(g, axis), i); }

static double whole_diagonal(const sv_grid *g, size_t at)
{
    double sum = 0;
    for (int axis = 0; axis < g->axes; axis++)
        sum += part(g, axis, at, at / sv_grid_stride(g, axis) % g->shape[axis]);
    return (g->masses ? g->masses[at] : g->mass) + sum;
}

static double masked_diagonal(const sv_grid *g, size_t at)
{
    if (!g->mask[at])
        return 1;
    double sum = (g->masses ? g->masses[at] : g->mass) + walls(g, at);
    for (int axis = 0; axis < g->axes; axis++) {
        size_t next = at, i = at / sv_grid_stride(g, axis) % g->shape[axis];
        sum += coupling(g, axis, at, i);
        if (beside(g, axis, at, i, 1, &next))
            sum += coupling(g, axis, next, i + 1 < g->shape[axis] ? i + 1 : 0);
    }
    return sum;
}

void sv_grid_diagonal(const sv_grid *g, double *out)
{
    const size_t size = size_of(g);
    for (size_t at = 0; at < size; at++)
        out[at] = g->mask ? masked_diagonal(g, at) : whole_diagonal(g, at);
}

/* Of constant coefficients one profile an axis says all. */
static double least_diagonal(const sv_grid *g, size_t size)
{
    double least = INFINITY;
    if (!sv_grid_constant(g)) {
        for (size_t at = 0; at < size; at++)
            least = fmin(least, whole_diagonal(g, at));
        return least;
    }
    double sum = 0;
    for (int axis = 0; axis < g->axes; axis++) {
        const size_t last = g->shape[axis] - 1, some[3] = {0, last / 2, last};
        double lowest = INFINITY;
        for (int k = 0; k < 3; k++)
            lowest = fmin(lowest, sv_grid_profile(g, axis, some[k]));
        sum += lowest;
    }
    return g->mass + sum;
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
        double least = least_diagonal(grid, *size);
        if (!(least >= DBL_MIN))
            status = sv_fail(SV_INVALID,
                             "grid->coefficient and grid->mass must make the diagonal positive; its least entry is %g",
                             least);
    }
    return status;
}
