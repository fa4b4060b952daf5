/* The analysis of a sparse pattern (orderings.h): a few passes over its entries, none of them more than O(z) but for
 * the search of a slot, which is short. All of it once a pattern; `sv_linalg_fill` alone runs when values change.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "orderings.h"

#define INLINE static inline __attribute__((always_inline))

/* Does `call`, of an inline function of `known`, with the width of the indices known to the compiler: a test at each
 * index takes a tenth to a third of the time of these passes. */
#define OF_KNOWN_WIDTH(A, call)                 \
    do {                                        \
        struct sv_pattern known = *(A);         \
        if (known.wide) {                       \
            known.wide = 1;                     \
            call;                               \
        } else {                                \
            known.wide = 0;                     \
            call;                               \
        }                                       \
    } while (0)

INLINE int64_t start(const struct sv_pattern *A, size_t i)
{
    return A->wide ? ((const int64_t *)A->row_starts)[i] : ((const int32_t *)A->row_starts)[i];
}

INLINE size_t column(const struct sv_pattern *A, int64_t k)
{
    return A->wide ? (size_t)((const int64_t *)A->columns)[k] : (size_t)((const int32_t *)A->columns)[k];
}

/* Whether the row's columns ascend within the matrix; *at becomes the place of the one on the diagonal, -1 without. */
INLINE int ascends(const struct sv_pattern *A, size_t row, int64_t first, int64_t last, int64_t *at)
{
    int sorted = 1;
    size_t before = 0;
    *at = -1;
    for (int64_t k = first; k < last; k++) {
        const size_t j = column(A, k); /* below 0 it is large */
        sorted &= k == first || before < j;
        *at = j == row ? k : *at;
        before = j;
    }
    return sorted && before < A->n;
}

/* What a row is that does not ascend, or is too long. */
INLINE enum sv_flaw flaw_of(const struct sv_pattern *A, int64_t first, int64_t last)
{
    for (int64_t k = first; k < last; k++)
        if (column(A, k) >= A->n)
            return SV_BAD_COLUMN;
    return SV_NOT_SORTED;
}

INLINE enum sv_flaw diagonal(const struct sv_pattern *A, size_t entries, void *at, size_t *row)
{
    enum sv_flaw found = SV_SOUND;
    *row = 0;
    if (start(A, 0) != 0 || start(A, A->n) != (int64_t)entries)
        return SV_BAD_STARTS;
    for (size_t i = 0; i < A->n; i++) {
        const int64_t first = start(A, i), last = start(A, i + 1);
        int64_t place;
        if (first > last || last > (int64_t)entries)
            return *row = i, SV_BAD_STARTS;
        enum sv_flaw flaw = ascends(A, i, first, last, &place) ? SV_SOUND : flaw_of(A, first, last);
        if (flaw == SV_BAD_COLUMN)
            return *row = i, flaw;
        if (!flaw && place < 0)
            flaw = SV_NO_DIAGONAL;
        if (A->wide)
            ((int64_t *)at)[i] = place;
        else
            ((int32_t *)at)[i] = (int32_t)place;
        /* rows that are not sorted come before a missing diagonal: sorting changes where it would be */
        if (flaw && (!found || (found == SV_NO_DIAGONAL && flaw == SV_NOT_SORTED))) {
            found = flaw;
            *row = i;
        }
    }
    return found;
}

enum sv_flaw sv_linalg_diagonal(const struct sv_pattern *A, size_t entries, void *at, size_t *row)
{
    OF_KNOWN_WIDTH(A, return diagonal(&known, entries, at, row));
}

static inline double value_at(const void *values, int float32, int64_t k)
{
    return float32 ? (double)((const float *)values)[k] : ((const double *)values)[k];
}

ptrdiff_t sv_linalg_diagonal_values(const struct sv_pattern *A, const void *at, const void *values, int float32,
                                    double *diagonal, double *inverse)
{
    const double least = float32 ? FLT_MIN : DBL_MIN;
    for (size_t i = 0; i < A->n; i++) {
        const double d = value_at(values, float32, A->wide ? ((const int64_t *)at)[i] : ((const int32_t *)at)[i]);
        if (!(fabs(d) >= least) || !isfinite(d))
            return (ptrdiff_t)i;
        if (diagonal)
            diagonal[i] = d, inverse[i] = 1 / d;
    }
    return -1;
}

/* Rows come in ascending order, so those that hold an entry of column j come in the order of row j's own entries. */
INLINE int symmetric_pattern(const struct sv_pattern *A, int64_t *images, int64_t *work)
{
    for (size_t i = 0; i < A->n; i++)
        work[i] = start(A, i);
    for (size_t i = 0; i < A->n; i++)
        for (int64_t k = start(A, i); k < start(A, i + 1); k++) {
            size_t j = column(A, k);
            if (work[j] == start(A, j + 1) || column(A, work[j]) != i)
                return 0;
            if (images)
                images[k] = work[j];
            work[j]++;
        }
    return 1;
}

int sv_linalg_symmetric_pattern(const struct sv_pattern *A, int64_t *images, int64_t *work)
{
    OF_KNOWN_WIDTH(A, return symmetric_pattern(&known, images, work));
}

/* |a - b| <= slack (|a| + |b|), or slack of the diagonal entries' mean: in a matrix that is positive definite that is
 * the most that an entry may be, and where an assembly cancels, rounding is all that is left of small ones. */
static inline int agree(double a, double b, const double *diagonal, size_t i, size_t j, double slack)
{
    const double off = fabs(a - b);
    return off <= slack * (fabs(a) + fabs(b)) || off <= slack * sqrt(fabs(diagonal[i])) * sqrt(fabs(diagonal[j]));
}

/* As above, but over the upper triangle, with what has no image compared with zero. */
INLINE int symmetric(const struct sv_pattern *A, const void *values, int float32, const double *diagonal,
                     double slack, int64_t *work)
{
    for (size_t i = 0; i < A->n; i++)
        work[i] = start(A, i);
    for (size_t i = 0; i < A->n; i++) {
        int64_t k = work[i];
        const int64_t last = start(A, i + 1);
        for (; k < last && column(A, k) < i; k++) /* those that no row above has asked for */
            if (!agree(value_at(values, float32, k), 0, diagonal, i, column(A, k), slack))
                return 0;
        for (k += k < last && column(A, k) == i; k < last; k++) {
            const size_t j = column(A, k);
            const int64_t end = start(A, j + 1);
            int64_t there = work[j];
            for (; there < end && column(A, there) < i; there++)
                if (!agree(value_at(values, float32, there), 0, diagonal, j, column(A, there), slack))
                    return 0;
            double image = 0;
            if (there < end && column(A, there) == i)
                image = value_at(values, float32, there++);
            work[j] = there;
            if (!agree(value_at(values, float32, k), image, diagonal, i, j, slack))
                return 0;
        }
    }
    return 1;
}

int sv_linalg_symmetric(const struct sv_pattern *A, const void *values, int float32, const double *diagonal,
                        double slack, int64_t *work)
{
    OF_KNOWN_WIDTH(A, return symmetric(&known, values, float32, diagonal, slack, work));
}

INLINE int64_t levels(const struct sv_pattern *A, int32_t *level)
{
    int32_t top = -1;
    memset(level, 0, A->n * sizeof *level);
    for (size_t i = 0; i < A->n; i++) {
        int32_t mine = level[i];
        int64_t k = start(A, i), last = start(A, i + 1);
        for (; k < last && column(A, k) < i; k++)
            if (level[column(A, k)] >= mine)
                mine = level[column(A, k)] + 1;
        level[i] = mine;
        /* a later row that this one reads must not be done before it, even if it does not read this one */
        for (; k < last; k++)
            if (column(A, k) > i && level[column(A, k)] <= mine)
                level[column(A, k)] = mine + 1;
        top = mine > top ? mine : top;
    }
    return (int64_t)top + 1;
}

int64_t sv_linalg_levels(const struct sv_pattern *A, int32_t *level)
{
    OF_KNOWN_WIDTH(A, return levels(&known, level));
}

/* The level of each row among those of its own block; count: of each block. */
static void levels_in_blocks(const struct sv_pattern *A, size_t rows, int32_t *level, int32_t *count)
{
    memset(level, 0, A->n * sizeof *level);
    for (size_t i = 0; i < A->n; i++) {
        const size_t block = i / rows, begin = block * rows, end = begin + rows;
        int32_t mine = level[i];
        for (int64_t k = start(A, i); k < start(A, i + 1); k++) {
            const size_t j = column(A, k);
            if (j >= begin && j < i && level[j] >= mine)
                mine = level[j] + 1;
        }
        level[i] = mine;
        for (int64_t k = start(A, i); k < start(A, i + 1); k++) {
            const size_t j = column(A, k);
            if (j > i && j < end && level[j] <= mine)
                level[j] = mine + 1;
        }
        count[block] = mine >= count[block] ? mine + 1 : count[block];
    }
}

/* A colour for each block, the first that no block before it which shares an entry has; returns their number. */
static size_t color_blocks(const struct sv_pattern *A, size_t rows, size_t blocks, size_t *color)
{
    uint32_t near[SV_BLOCKS] = {0};
    size_t colors = 0;
    for (size_t i = 0; i < A->n; i++)
        for (int64_t k = start(A, i); k < start(A, i + 1); k++) {
            const size_t mine = i / rows, other = column(A, k) / rows;
            near[mine] |= (uint32_t)1 << other;
            near[other] |= (uint32_t)1 << mine;
        }
    for (size_t block = 0; block < blocks; block++) {
        uint32_t taken = 0;
        for (size_t other = 0; other < block; other++)
            if (near[block] >> other & 1)
                taken |= (uint32_t)1 << color[other];
        for (color[block] = 0; taken >> color[block] & 1;)
            color[block]++;
        colors = color[block] >= colors ? color[block] + 1 : colors;
    }
    return colors;
}

void sv_linalg_blocks(const struct sv_pattern *A, int32_t *group, int32_t *work, struct sv_blocks *blocks)
{
    size_t rows = (A->n + SV_BLOCKS - 1) / SV_BLOCKS, color[SV_BLOCKS];
    rows = rows < SV_BLOCK_ROWS ? SV_BLOCK_ROWS : rows;
    const size_t count = (A->n + rows - 1) / rows;
    int32_t levels[SV_BLOCKS] = {0}, first[SV_BLOCKS], groups = 0, *level = work;
    levels_in_blocks(A, rows, level, levels);
    blocks->colors = color_blocks(A, rows, count, color);
    blocks->count = 0;
    for (size_t c = 0; c < blocks->colors; c++)
        for (size_t block = 0; block < count; block++)
            if (color[block] == c) {
                blocks->color[blocks->count] = (int32_t)c;
                blocks->group[blocks->count++] = first[block] = groups;
                groups += levels[block];
            }
    blocks->group[blocks->count] = groups;
    for (size_t i = 0; i < A->n; i++)
        group[i] = first[i / rows] + level[i];
}

/* From each row not yet coloured, breadth first. */
INLINE int64_t two_colors(const struct sv_pattern *A, int32_t *color, int32_t *work)
{
    int32_t most = 0;
    memset(color, 0xff, A->n * sizeof *color);
    for (size_t from = 0; from < A->n; from++) {
        if (color[from] >= 0)
            continue;
        size_t first = 0, last = 0;
        color[from] = 0;
        work[last++] = (int32_t)from;
        while (first < last) {
            size_t i = (size_t)work[first++];
            for (int64_t k = start(A, i); k < start(A, i + 1); k++) {
                size_t j = column(A, k);
                if (j == i)
                    continue;
                if (color[j] == color[i])
                    return 0;
                if (color[j] < 0) {
                    color[j] = 1 - color[i];
                    most = 1;
                    work[last++] = (int32_t)j;
                }
            }
        }
    }
    return (int64_t)most + 1;
}

int64_t sv_linalg_two_colors(const struct sv_pattern *A, int32_t *color, int32_t *work)
{
    OF_KNOWN_WIDTH(A, return two_colors(&known, color, work));
}

INLINE int64_t greedy_colors(const struct sv_pattern *A, int32_t *color, int32_t *work)
{
    int32_t colors = 0, *taken_by = work;
    memset(color, 0xff, A->n * sizeof *color);
    memset(taken_by, 0xff, A->n * sizeof *taken_by);
    for (size_t i = 0; i < A->n; i++) {
        for (int64_t k = start(A, i); k < start(A, i + 1); k++)
            if (color[column(A, k)] >= 0)
                taken_by[color[column(A, k)]] = (int32_t)i;
        int32_t mine = 0;
        while (taken_by[mine] == (int32_t)i)
            mine++;
        color[i] = mine;
        colors = mine >= colors ? mine + 1 : colors;
    }
    return colors;
}

int64_t sv_linalg_greedy_colors(const struct sv_pattern *A, int32_t *color, int32_t *work)
{
    OF_KNOWN_WIDTH(A, return greedy_colors(&known, color, work));
}

void sv_linalg_group_chunks(size_t n, const int32_t *group, size_t groups, int64_t *chunks)
{
    memset(chunks, 0, (groups + 1) * sizeof *chunks);
    for (size_t i = 0; i < n; i++)
        chunks[group[i] + 1]++;
    for (size_t g = 0; g < groups; g++)
        chunks[g + 1] = chunks[g] + (chunks[g + 1] + SV_CHUNK - 1) / SV_CHUNK;
}

void sv_linalg_places(size_t n, const int32_t *group, size_t groups, const int64_t *chunks, int32_t *place,
                      int32_t *row, int64_t *work)
{
    int64_t *next = work; /* where each group's next row goes */
    for (size_t g = 0; g < groups; g++)
        next[g] = SV_CHUNK * chunks[g];
    for (size_t p = 0; p < SV_CHUNK * (size_t)chunks[groups]; p++)
        row[p] = -1;
    for (size_t i = 0; i < n; i++) {
        int64_t at = next[group[i]]++;
        place[i] = (int32_t)at;
        row[at] = (int32_t)i;
    }
}

/* One half of a chunk's entries, those before or those after the diagonal in the operand's order. */
enum { SLOTS_MAX = 48 };
struct half {
    int32_t base[SLOTS_MAX]; /* of slots with one number for all eight rows, in the order found */
    int bases;               /* their number; SLOTS_MAX + 1 where they are too many */
    int longest;             /* entries of the longest row */
};

/* guess: the slot where it lies in a regular matrix. */
INLINE void add_base(struct half *half, int32_t base, int guess)
{
    if (guess < half->bases && guess < SLOTS_MAX && half->base[guess] == base)
        return;
    for (int s = 0; s < half->bases && s < SLOTS_MAX; s++)
        if (half->base[s] == base)
            return;
    if (half->bases < SLOTS_MAX)
        half->base[half->bases] = base;
    half->bases += half->bases <= SLOTS_MAX;
}

INLINE void describe(const struct sv_pattern *A, const int32_t *place, const int32_t *row, size_t chunk,
                     struct half half[2])
{
    half[0].bases = half[1].bases = half[0].longest = half[1].longest = 0;
    for (int lane = 0; lane < SV_CHUNK; lane++) {
        const int32_t at = (int32_t)(SV_CHUNK * chunk) + lane;
        if (row[at] < 0)
            continue;
        int count[2] = {0, 0};
        for (int64_t k = start(A, (size_t)row[at]); k < start(A, (size_t)row[at] + 1); k++) {
            const int32_t other = place[column(A, k)];
            if (other == at)
                continue;
            add_base(&half[other > at], other - lane, count[other > at]++);
        }
        for (int side = 0; side < 2; side++)
            half[side].longest = count[side] > half[side].longest ? count[side] : half[side].longest;
    }
}

/* A gathered slot costs several loads, one with a base a single one: twice the slots are still cheaper. */
static int bases_pay(const struct half *half, int64_t padded)
{
    if (half->bases > SLOTS_MAX || half->bases > 2 * half->longest + 1)
        return 0;
    for (int s = 0; s < half->bases; s++)
        if (half->base[s] < 0 || half->base[s] > padded - SV_CHUNK)
            return 0;
    return 1;
}

INLINE void layout(const struct sv_pattern *A, size_t chunks, const int32_t *place, const int32_t *row,
                   struct sv_chunk *chunk, int64_t *slots, int64_t *indices)
{
    int64_t lowers = 0, uppers = 0;
    *indices = 0;
    for (size_t c = 0; c < chunks; c++) {
        struct half half[2];
        describe(A, place, row, c, half);
        int64_t padded = (int64_t)(SV_CHUNK * chunks);
        int gathered = !(bases_pay(&half[0], padded) && bases_pay(&half[1], padded));
        int lower = gathered ? half[0].longest : half[0].bases, upper = gathered ? half[1].longest : half[1].bases;
        chunk[c].first_lower = lowers;
        chunk[c].first_upper = uppers;
        chunk[c].at = *indices;
        chunk[c].lower = lower;
        chunk[c].upper = (uint32_t)upper & INT32_MAX;
        chunk[c].gathered = gathered;
        lowers += lower;
        uppers += upper;
        *indices += (int64_t)(lower + upper) * (gathered ? SV_CHUNK : 1);
    }
    for (size_t c = 0; c < chunks; c++)
        chunk[c].first_upper += lowers;
    *slots = lowers + uppers;
}

void sv_linalg_layout(const struct sv_pattern *A, size_t chunks, const int32_t *place, const int32_t *row,
                      struct sv_chunk *chunk, int64_t *slots, int64_t *indices)
{
    OF_KNOWN_WIDTH(A, layout(&known, chunks, place, row, chunk, slots, indices));
}

static void send(struct sv_destinations to, int64_t entry, int64_t place)
{
    if (to.wide)
        ((int64_t *)to.to)[entry] = place;
    else
        ((int32_t *)to.to)[entry] = (int32_t)place;
}

static int64_t destination(const struct sv_chunk *chunk, int slot, int lane)
{
    int64_t first = slot < chunk->lower ? chunk->first_lower : chunk->first_upper - chunk->lower;
    return SV_CHUNK * (first + slot) + lane;
}

INLINE void gathered_slots(const struct sv_pattern *A, const int32_t *place, const int32_t *row, size_t c,
                           const struct sv_chunk *chunk, int32_t *index, struct sv_destinations to)
{
    for (int lane = 0; lane < SV_CHUNK; lane++) {
        const int32_t at = (int32_t)(SV_CHUNK * c) + lane;
        int next[2] = {0, chunk->lower};
        for (int s = 0; s < chunk->lower + (int)chunk->upper; s++) /* where a slot stays empty, the row reads itself */
            index[chunk->at + SV_CHUNK * s + lane] = at;
        if (row[at] < 0)
            continue;
        for (int64_t k = start(A, (size_t)row[at]); k < start(A, (size_t)row[at] + 1); k++) {
            const int32_t other = place[column(A, k)];
            if (other == at) {
                send(to, k, -1);
                continue;
            }
            int slot = next[other > at]++;
            index[chunk->at + SV_CHUNK * slot + lane] = other;
            send(to, k, destination(chunk, slot, lane));
        }
    }
}

/* Bases are found in the order in which `describe` counted them. */
INLINE void based_slots(const struct sv_pattern *A, const int32_t *place, const int32_t *row, size_t c,
                        const struct sv_chunk *chunk, int32_t *index, struct sv_destinations to)
{
    int32_t *const base[2] = {index + chunk->at, index + chunk->at + chunk->lower};
    int found[2] = {0, 0};
    for (int lane = 0; lane < SV_CHUNK; lane++) {
        const int32_t at = (int32_t)(SV_CHUNK * c) + lane;
        if (row[at] < 0)
            continue;
        int guess[2] = {0, 0};
        for (int64_t k = start(A, (size_t)row[at]); k < start(A, (size_t)row[at] + 1); k++) {
            const int32_t other = place[column(A, k)];
            if (other == at) {
                send(to, k, -1);
                continue;
            }
            const int side = other > at;
            int slot = guess[side]++;
            if (slot >= found[side] || base[side][slot] != other - lane)
                for (slot = 0; slot < found[side] && base[side][slot] != other - lane;)
                    slot++;
            if (slot == found[side])
                base[side][found[side]++] = other - lane;
            send(to, k, destination(chunk, side ? chunk->lower + slot : slot, lane));
        }
    }
}

INLINE void slots(const struct sv_pattern *A, size_t chunks, const int32_t *place, const int32_t *row,
                  const struct sv_chunk *chunk, int32_t *index, struct sv_destinations to)
{
    for (size_t c = 0; c < chunks; c++)
        if (chunk[c].gathered)
            gathered_slots(A, place, row, c, &chunk[c], index, to);
        else
            based_slots(A, place, row, c, &chunk[c], index, to);
}

void sv_linalg_slots(const struct sv_pattern *A, size_t chunks, const int32_t *place, const int32_t *row,
                     const struct sv_chunk *chunk, int32_t *index, struct sv_destinations to)
{
    OF_KNOWN_WIDTH(A, slots(&known, chunks, place, row, chunk, index, to));
}

/* Small pieces share a group evenly, large ones are drawn less often. */
enum { PIECE_CHUNKS = 16 };

size_t sv_linalg_pieces(size_t groups, const int64_t *chunks, struct sv_piece *piece)
{
    size_t total = 0;
    for (size_t g = 0; g < groups; g++) {
        int64_t all = chunks[g + 1] - chunks[g], count = (all + PIECE_CHUNKS - 1) / PIECE_CHUNKS;
        count = count < SV_PIECES ? count : SV_PIECES;
        for (int64_t k = 0; piece && k < count; k++)
            piece[total + (size_t)k] = (struct sv_piece){chunks[g] + all * k / count, chunks[g] + all * (k + 1) / count,
                                                         (int64_t)total, (int64_t)total + count};
        total += (size_t)count;
    }
    return total;
}

void sv_linalg_block_pieces(const struct sv_blocks *blocks, const int64_t *chunks, struct sv_piece *piece)
{
    for (size_t k = 0, first = 0, last = 0; k < blocks->count; k++) {
        if (k == last)
            for (first = last; last < blocks->count && blocks->color[last] == blocks->color[k];)
                last++;
        piece[k] = (struct sv_piece){chunks[blocks->group[k]], chunks[blocks->group[k + 1]], (int64_t)first,
                                     (int64_t)last};
    }
}

#define FILL(index, value)                                           \
    do {                                                             \
        const index *at = to.to;                                     \
        for (size_t k = 0; k < entries; k++)                         \
            if (at[k] >= 0)                                          \
                ((value *)values)[at[k]] = ((const value *)data)[k]; \
    } while (0)

void sv_linalg_fill(size_t entries, struct sv_destinations to, const void *data, int float32, void *values)
{
    if (to.wide && float32)
        FILL(int64_t, float);
    else if (to.wide)
        FILL(int64_t, double);
    else if (float32)
        FILL(int32_t, float);
    else
        FILL(int32_t, double);
}

void sv_linalg_pack(size_t n, size_t padded, const int32_t *place, const double *from, size_t stride, double *to)
{
    memset(to, 0, padded * sizeof *to);
    for (size_t i = 0; i < n; i++)
        to[place[i]] = from[i * stride];
}

void sv_linalg_unpack(size_t n, const int32_t *place, const double *from, double *to, size_t stride)
{
    for (size_t i = 0; i < n; i++)
        to[i * stride] = from[place[i]];
}
