/* The handle of a linear system on a grid: what GridOperator and its operands are in Python. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "interface_systems.h"

#include "interface_grid.h"

static int no_memory(size_t n) { return sv_fail(SV_NO_MEMORY, "grid: no memory for %zu unknowns", n); }

void sv_box_destroy(struct sv_box *box)
{
    if (!box)
        return;
    for (int axis = 0; axis < 3; axis++)
        free(box->faces[axis]);
    free(box->rows), free(box->diagonal);
    free(box);
}

/* The numbers of the operator, all that is kept of the caller's grid. */
static int boxed(const sv_grid *grid, size_t size, struct sv_box **made)
{
    struct sv_box *box = *made = calloc(1, sizeof *box);
    if (!box)
        return no_memory(size);
    for (int k = 0; k < 3; k++) { /* along x, y, z; ones where there are fewer axes */
        const int axis = grid->axes - 1 - k;
        box->n[k] = axis >= 0 ? (ptrdiff_t)grid->shape[axis] : 1;
        box->periodic[k] = axis >= 0 && grid->ends[axis][0] == SV_PERIODIC;
    }
    box->constant = sv_grid_constant(grid);
    box->uniform = sv_grid_uniform(grid, box->coupling, &box->entry);
    if (box->constant) {
        if (!(box->rows = sv_zeros(16 * (size_t)box->n[0], sizeof(double))))
            return no_memory(size);
        sv_grid_constant_numbers(grid, box->coupling, box->rows);
        return SV_OK;
    }
    if (!(box->diagonal = sv_zeros(size, sizeof(double))))
        return no_memory(size);
    sv_grid_diagonal(grid, box->diagonal);
    for (size_t i = 0; i < size; i++)
        if (!(box->diagonal[i] >= DBL_MIN))
            return sv_fail(SV_INVALID, "grid: cell %zu has a diagonal entry of %g: neither neighbours nor sinks", i,
                           box->diagonal[i]);
    for (int k = 0; k < 3; k++) {
        if (!(box->faces[k] = sv_zeros(size, sizeof(double))))
            return no_memory(size);
        if (k < grid->axes)
            sv_grid_couplings(grid, grid->axes - 1 - k, box->faces[k]);
    }
    return SV_OK;
}

static int constant(const struct sv_box *box, struct sv_order *order)
{
    struct sv_grid *g = &order->grid;
    double *table = order->owned[0] = sv_zeros(16 * (size_t)g->pitch, sizeof *table);
    double *inverse = order->owned[1] = sv_zeros(16 * (size_t)g->pitch, sizeof *inverse);
    if (!table || !inverse)
        return no_memory(order->n);
    g->constant = 1;
    memcpy(g->coupling, box->coupling, sizeof g->coupling);
    sv_grid_constant_rows(g, box->rows, table, inverse, order->diagonal);
    g->diagonal = table, g->inverse = inverse;
    return SV_OK;
}

static int variable(const struct sv_box *box, struct sv_order *order)
{
    struct sv_grid *g = &order->grid;
    for (int k = 0; k < 3; k++) {
        if (!(order->owned[k] = sv_zeros(g->size, sizeof(double))))
            return no_memory(order->n);
        order->layout->pack(g, box->faces[k], order->owned[k]);
        g->faces[k] = order->owned[k];
    }
    if (g->periodic[0])
        sv_grid_wrap(g, order->owned[0]);
    double *diagonal = order->owned[3] = sv_zeros(g->size, sizeof *diagonal);
    double *inverse = order->owned[4] = sv_zeros(g->size, sizeof *inverse);
    double *own = sv_zeros(order->n, sizeof *own);
    if (diagonal && inverse && own) {
        for (size_t i = 0; i < order->n; i++)
            own[i] = 1 / box->diagonal[i];
        order->layout->pack(g, box->diagonal, diagonal);
        order->layout->pack(g, own, inverse);
        sv_grid_seen(g, diagonal, order->diagonal);
        g->diagonal = diagonal, g->inverse = inverse;
    }
    free(own);
    return diagonal && inverse && own ? SV_OK : no_memory(order->n);
}

static int slanted(const struct sv_box *box, struct sv_order *order)
{
    struct sv_grid *g = &order->grid;
    const struct sv_grid_slanted *form = sv_grid_slanted();
    sv_grid_lay_slanted(g, box->n, form->width);
    g->constant = g->uniform = 1;
    memcpy(g->coupling, box->coupling, sizeof g->coupling);
    g->entry = order->operand.entry = box->entry;
    order->layout = &form->layout;
    order->operand.n = g->size, order->operand.matrix = g, order->operand.does = form->kernels;
    g->zeros = order->stored = sv_zeros((size_t)g->pitch, sizeof(double));
    return g->zeros ? SV_OK : no_memory(order->n);
}

int sv_box_order(const struct sv_box *box, int ordering, struct sv_order *order)
{
    const int redblack = ordering == SV_ORDERING_REDBLACK;
    if (ordering == SV_SLANTED)
        return slanted(box, order);
    if (!redblack && ordering != SV_ORDERING_NATURAL)
        return sv_fail(SV_INVALID, "ordering: a grid takes the natural one, red-black, or the automatic one");
    for (int k = 0; k < 3 && redblack; k++)
        if (box->periodic[k] && box->n[k] > 1 && box->n[k] % 2)
            return sv_fail(SV_INVALID, "ordering: a grid that is periodic with an odd number of cells along an axis "
                                       "has no red-black one");
    struct sv_grid *g = &order->grid;
    sv_grid_lay_out(g, box->n, box->periodic, redblack, 0);
    order->layout = sv_grid_layout(0);
    order->operand.n = g->size, order->operand.matrix = g;
    order->operand.does = sv_grid_kernels(redblack ? SV_GRID_REDBLACK : SV_GRID_NATURAL);
    order->diagonal = sv_zeros(g->size, sizeof(double));
    order->stored = sv_zeros((size_t)g->pitch + 128, sizeof(double)); /* its zeros */
    if (!order->diagonal || !order->stored)
        return no_memory(order->n);
    order->operand.diagonal = order->diagonal;
    g->zeros = order->stored;
    return box->constant ? constant(box, order) : variable(box, order);
}

/* Of the size of vectors at least once with the zeros between its rows, which may be several times the cells. */
static int fits(const sv_grid *grid)
{
    size_t padded = 1, bytes;
    for (int axis = 0; axis < grid->axes; axis++) {
        size_t n = grid->shape[axis] + (axis == grid->axes - 1 ? 600 : axis == grid->axes - 2 ? 1 : 0);
        int status = sv_product(padded, n, "grid->shape", &padded);
        if (status)
            return status;
    }
    return sv_product(padded, 8 * 64, "grid->shape", &bytes);
}

static int read(const sv_grid *given, size_t *size, struct sv_box **box, size_t *entries)
{
    sv_grid grid;
    *box = NULL;
    int status = sv_grid_read(&grid, given, size);
    if (!status)
        status = fits(&grid);
    if (status)
        return status;
    *entries = *size * (1 + 2 * (size_t)grid.axes);
    status = boxed(&grid, *size, box);
    if (status) {
        sv_box_destroy(*box);
        *box = NULL;
    }
    return status;
}

int sv_linear_from_grid(const sv_grid *grid, sv_linear **made)
{
    size_t size, entries;
    struct sv_box *box;
    SV_NEED(made);
    *made = NULL;
    SV_NEED(grid);
    int status = read(grid, &size, &box, &entries);
    if (status)
        return status;
    sv_linear *A = sv_linear_new(size, entries);
    if (!A) {
        sv_box_destroy(box);
        return no_memory(size);
    }
    A->box = box;
    A->symmetric = 1;
    *made = A;
    return SV_OK;
}

int sv_linear_update_grid(sv_linear *A, const sv_grid *grid)
{
    size_t size, entries;
    struct sv_box *box;
    SV_NEED(A);
    SV_NEED(grid);
    if (!A->box)
        return sv_fail(SV_INVALID, "A was not made from a grid");
    int status = sv_enter(&A->guard);
    if (status)
        return status;
    status = read(grid, &size, &box, &entries);
    if (!status && memcmp(box->n, A->box->n, sizeof box->n)) {
        sv_box_destroy(box);
        status = sv_fail(SV_INVALID, "grid->shape is another than that of A");
    } else if (!status) {
        sv_box_destroy(A->box);
        A->box = box;
        sv_linear_forget(A);
    }
    sv_leave(&A->guard);
    return status;
}
