/* The orders in which a linear system may be taken, made when they are first asked for: what _orderings.py has in
 * Python. */
#include <stdlib.h>
#include <string.h>

#include "interface_systems.h"

/* Levels that pad to more than this times the rows, or the entries, are too short for eight rows at a time. */
#define PADDING 2
/* A pass in groups goes to threads with so many chunks at least, in all and in a group's mean. */
enum { SPLIT_CHUNKS = 4096, GROUP_CHUNKS = 256 };

static int no_memory(const struct sv_linear *A) { return sv_fail(SV_NO_MEMORY, "ordering: no memory for %zu rows", A->n); }

static struct sv_pattern pattern_of(const struct sv_linear *A)
{
    struct sv_pattern pattern = {A->n, A->starts, A->columns, A->wide};
    return pattern;
}

void sv_order_destroy(struct sv_order *order)
{
    if (!order)
        return;
    for (size_t k = 0; k < sizeof order->owned / sizeof *order->owned; k++)
        free(order->owned[k]);
    free(order->place), free(order->stored), free(order->diagonal), free(order->inverse);
    free(order->vectors[0]), free(order->vectors[1]), free(order->vectors[2]);
    free(order);
}

const double *sv_order_pack(const struct sv_order *order, const double *given, double *packed)
{
    if (order->natural)
        return given;
    if (order->layout)
        order->layout->pack(&order->grid, given, packed);
    else
        sv_linalg_pack(order->n, order->operand.n, order->place, given, 1, packed);
    return packed;
}

void sv_order_take(const struct sv_order *order, const double *given, double *packed)
{
    if (sv_order_pack(order, given, packed) != packed)
        memcpy(packed, given, order->n * sizeof *packed);
}

void sv_order_unpack(const struct sv_order *order, const double *packed, double *out)
{
    if (order->layout)
        order->layout->unpack(&order->grid, packed, out);
    else if (!order->natural)
        sv_linalg_unpack(order->n, order->place, packed, out, 1);
    else if (out != packed)
        memcpy(out, packed, order->n * sizeof *out);
}

void sv_order_update(const struct sv_linear *A, struct sv_order *order)
{
    if (order->layout)
        return;
    if (order->natural) {
        order->csr.values = A->values, order->csr.inverse_diagonal = A->inverse;
        order->operand.diagonal = A->diagonal;
        return;
    }
    for (size_t i = 0; i < order->operand.n; i++)
        order->diagonal[i] = order->inverse[i] = 1;
    sv_linalg_fill(A->entries, order->to, A->values, 0, order->stored);
    sv_linalg_pack(A->n, 0, order->place, A->diagonal, 1, order->diagonal);
    sv_linalg_pack(A->n, 0, order->place, A->inverse, 1, order->inverse);
}

static int natural(const struct sv_linear *A, struct sv_order *order)
{
    order->natural = 1;
    order->csr.row_starts = A->starts, order->csr.columns = A->columns, order->csr.diagonal_at = A->at;
    order->operand.n = A->n, order->operand.matrix = &order->csr;
    order->operand.does = sv_csr_kernels(A->wide, 0);
    return SV_OK;
}

/* Which group each row is in, and where the groups are those of blocks, these. */
struct grouping {
    int32_t *group;
    size_t groups;
    int in_blocks;
    struct sv_blocks blocks;
};

/* The layout of the groups; *stored: the numbers kept of the matrix. row: of each place, the operand's length. */
static int laid_out(const struct sv_linear *A, struct sv_order *order, const struct grouping *by, const int64_t *bounds,
                    size_t *stored)
{
    const struct sv_pattern pattern = pattern_of(A);
    const size_t groups = by->groups, chunks = (size_t)bounds[groups];
    int64_t slots = 0, indices = 0;
    struct sv_chunk *chunk = order->owned[0] = sv_zeros(chunks, sizeof *chunk);
    int32_t *row = order->owned[1] = sv_zeros(SV_CHUNK * chunks, sizeof *row);
    int64_t *work = sv_zeros(groups, sizeof *work);
    order->place = sv_zeros(A->n, sizeof *order->place);
    if (!chunk || !row || !work || !order->place) {
        free(work);
        return no_memory(A);
    }
    sv_linalg_places(A->n, by->group, groups, bounds, order->place, row, work);
    free(work);
    sv_linalg_layout(&pattern, chunks, order->place, row, chunk, &slots, &indices);
    const size_t pieces = by->in_blocks ? by->blocks.count : sv_linalg_pieces(groups, bounds, NULL);
    struct sv_piece *piece = order->owned[2] = sv_zeros(pieces, sizeof *piece);
    int32_t *index = order->owned[3] = sv_zeros((size_t)indices, sizeof *index);
    order->to.wide = SV_CHUNK * slots >= (int64_t)1 << 31;
    order->to.to = order->owned[4] = sv_zeros(A->entries, order->to.wide ? sizeof(int64_t) : sizeof(int32_t));
    if (!piece || !index || !order->to.to)
        return no_memory(A);
    sv_linalg_slots(&pattern, chunks, order->place, row, chunk, index, order->to);
    if (by->in_blocks)
        sv_linalg_block_pieces(&by->blocks, bounds, piece);
    else
        sv_linalg_pieces(groups, bounds, piece);
    order->sell.chunks = chunks, order->sell.chunk = chunk;
    order->sell.pieces = pieces, order->sell.piece = piece;
    order->sell.index = index;
    order->sell.in_blocks = by->in_blocks;
    *stored = SV_CHUNK * (size_t)slots;
    return SV_OK;
}

static int in_groups(const struct sv_linear *A, struct sv_order *order, const struct grouping *by, size_t *stored)
{
    const size_t groups = by->groups, waits = by->in_blocks ? by->blocks.colors : groups;
    int64_t *bounds = sv_zeros(groups + 1, sizeof *bounds);
    if (!bounds)
        return no_memory(A);
    sv_linalg_group_chunks(A->n, by->group, groups, bounds);
    const size_t chunks = (size_t)bounds[groups], size = SV_CHUNK * chunks;
    int status = size < (size_t)1 << 31
                     ? laid_out(A, order, by, bounds, stored)
                     : sv_fail(SV_INVALID, "ordering: this one takes less than 2^31 rows with its padding, not %zu", size);
    free(bounds);
    if (status)
        return status;
    order->sell.split = chunks >= SPLIT_CHUNKS && chunks >= GROUP_CHUNKS * waits;
    order->operand.n = size, order->operand.matrix = &order->sell;
    order->operand.does = sv_sell_kernels(0);
    order->stored = sv_zeros(*stored, sizeof(double));
    order->diagonal = sv_zeros(size, sizeof(double)), order->inverse = sv_zeros(size, sizeof(double));
    if (!order->stored || !order->diagonal || !order->inverse)
        return no_memory(A);
    order->sell.values = order->stored, order->sell.inverse_diagonal = order->inverse;
    order->operand.diagonal = order->diagonal;
    return SV_OK;
}

/* The level sets of the whole matrix, or of blocks; by->group: room. */
static int find_levels(const struct sv_linear *A, struct grouping *by)
{
    const struct sv_pattern pattern = pattern_of(A);
    if (!by->in_blocks) {
        by->groups = (size_t)sv_linalg_levels(&pattern, by->group);
        return SV_OK;
    }
    int32_t *work = sv_zeros(A->n, sizeof *work);
    if (!work)
        return no_memory(A);
    sv_linalg_blocks(&pattern, by->group, work, &by->blocks);
    by->groups = (size_t)by->blocks.group[by->blocks.count];
    free(work);
    return SV_OK;
}

/* *pays: whether the levels are long enough. */
static int wavefront(const struct sv_linear *A, struct sv_order *order, struct grouping *by, int *pays)
{
    size_t stored = 0;
    int status = find_levels(A, by);
    *pays = 8 * by->groups <= PADDING * A->n + 64;
    if (status || !*pays)
        return status;
    status = in_groups(A, order, by, &stored);
    *pays = stored <= PADDING * A->entries + 512;
    return status;
}

/* The pattern of A + A' in 64-bit indices; free both of its arrays. */
static int symmetrised(const struct sv_linear *A, struct sv_pattern *both)
{
    const struct sv_pattern pattern = pattern_of(A);
    int64_t *starts = sv_zeros(A->n + 2, sizeof *starts), *columns = sv_zeros(2 * A->entries, sizeof *columns);
    int64_t *mine = sv_zeros(A->n + 1, sizeof *mine);
    both->n = A->n, both->row_starts = starts, both->columns = columns, both->wide = 1;
    if (!starts || !columns || !mine) {
        free(mine);
        return no_memory(A);
    }
    /* both triangles side by side, each entry in its own row and in its column's */
    const int64_t *s64 = A->starts, *c64 = A->columns;
    const int32_t *s32 = A->starts, *c32 = A->columns;
#define START(i) (pattern.wide ? s64[i] : s32[i])
#define COLUMN(k) (pattern.wide ? c64[k] : c32[k])
    for (size_t i = 0; i < A->n; i++)
        for (int64_t k = START(i); k < START(i + 1); k++)
            mine[i]++, mine[COLUMN(k)]++;
    for (size_t i = 0; i < A->n; i++)
        starts[i + 1] = starts[i] + mine[i], mine[i] = starts[i];
    for (size_t i = 0; i < A->n; i++)
        for (int64_t k = START(i); k < START(i + 1); k++)
            columns[mine[i]++] = COLUMN(k), columns[mine[COLUMN(k)]++] = (int64_t)i;
#undef START
#undef COLUMN
    free(mine);
    return SV_OK;
}

/* Colourings look at a row's columns in any order, and duplicates do not harm. */
static int coloured(const struct sv_linear *A, int ordering, int32_t *group, size_t *groups)
{
    struct sv_pattern pattern = pattern_of(A), own = pattern;
    int64_t *work = sv_zeros(A->n, sizeof *work);
    int status = work ? SV_OK : no_memory(A);
    if (!status && !sv_linalg_symmetric_pattern(&pattern, NULL, work))
        status = symmetrised(A, &pattern);
    if (!status) {
        *groups = (size_t)sv_linalg_two_colors(&pattern, group, (int32_t *)work);
        if (!*groups && ordering == SV_ORDERING_REDBLACK)
            status = sv_fail(SV_INVALID, "ordering: red-black takes a matrix whose graph has no cycle of odd length; "
                                         "multicolor takes any");
        else if (!*groups)
            *groups = (size_t)sv_linalg_greedy_colors(&pattern, group, (int32_t *)work);
    }
    if (pattern.row_starts != own.row_starts)
        free((void *)pattern.row_starts), free((void *)pattern.columns);
    free(work);
    return status;
}

/* *pays: 0 where the natural order is to be taken instead. */
static int grouped(const struct sv_linear *A, int ordering, struct sv_order *order, int *pays)
{
    if (A->n >= (size_t)1 << 31)
        return sv_fail(SV_INVALID, "ordering: any but the natural one takes less than 2^31 rows, not %zu", A->n);
    struct grouping by = {.in_blocks = ordering == SV_ORDERING_BLOCKS};
    by.group = sv_zeros(A->n, sizeof *by.group);
    if (!by.group)
        return no_memory(A);
    size_t stored;
    int status;
    if (ordering == SV_ORDERING_WAVEFRONT || by.in_blocks) {
        status = wavefront(A, order, &by, pays);
    } else {
        status = coloured(A, ordering, by.group, &by.groups);
        if (!status)
            status = in_groups(A, order, &by, &stored);
    }
    free(by.group);
    return status;
}

/* Room for what keeps nothing between calls; whether there was memory for it. */
static int with_vectors(struct sv_order *order)
{
    for (int k = 0; k < 3; k++)
        if (!(order->vectors[k] = sv_zeros(order->operand.n, sizeof(double))))
            return 0;
    return 1;
}

static int make(struct sv_linear *A, int ordering, struct sv_order **made)
{
    int pays = 1, status;
    struct sv_order *order = calloc(1, sizeof *order);
    if (!order)
        return no_memory(A);
    order->n = A->n;
    order->operand.threads = 1;
    if (A->box)
        status = sv_box_order(A->box, ordering, order);
    else
        status = ordering == SV_ORDERING_NATURAL ? natural(A, order) : grouped(A, ordering, order, &pays);
    if (!status && pays && !order->natural && !with_vectors(order))
        status = no_memory(A);
    if (status || !pays) {
        sv_order_destroy(order);
        return status ? status : sv_linear_order(A, SV_ORDERING_NATURAL, SV_ORDERING_NATURAL, made);
    }
    sv_order_update(A, order);
    *made = order;
    return SV_OK;
}

static int ordered(struct sv_linear *A, int ordering, struct sv_order **found)
{
    int status = A->orders[ordering] ? SV_OK : make(A, ordering, &A->orders[ordering]);
    if (!status)
        *found = A->orders[ordering];
    return status;
}

int sv_linear_for_ssor_cg(struct sv_linear *A, int ordering, struct sv_order **found)
{
    const int natural = ordering == SV_ORDERING_DEFAULT || ordering == SV_ORDERING_AUTO || ordering == SV_ORDERING_NATURAL;
    if (natural && A->box && A->box->uniform && sv_grid_slants(A->box->n))
        return ordered(A, SV_SLANTED, found);
    return sv_linear_order(A, ordering, SV_ORDERING_AUTO, found);
}

int sv_linear_order(struct sv_linear *A, int ordering, int otherwise, struct sv_order **found)
{
    if (ordering == SV_ORDERING_DEFAULT)
        ordering = otherwise;
    if (ordering == SV_ORDERING_AUTO)
        ordering = A->box ? SV_ORDERING_NATURAL : SV_ORDERING_WAVEFRONT;
    if (ordering < SV_ORDERING_NATURAL || ordering > SV_ORDERING_BLOCKS)
        return sv_fail(SV_INVALID, "ordering is %d, no enum sv_ordering", ordering);
    return ordered(A, ordering, found);
}
