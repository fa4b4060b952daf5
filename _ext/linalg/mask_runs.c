/* Whether every part of a mask comes to a wall of the box: a union of runs of cells along the last axis.
 *
 * Most rows of a mask are a run or two, so that this costs little more than one look at each byte; at worst, where cells
 * alternate, half a run a cell, of 24 bytes.
 * In SciPy: labels, count = scipy.ndimage.label(mask); set(labels at the walls) >= set(range(1, count + 1))
 */
#include "mask_runs.h"

#include <stdlib.h>
#include <string.h>

struct run {
    size_t begin, end, part; /* cells of its row; a run of the same part, itself the first of it */
};

struct runs {
    struct run *list;
    size_t *first; /* of each row, and the end */
    uint8_t *drained;
    size_t count, room;
};

static int add_run(struct runs *r, size_t begin, size_t end)
{
    if (r->count == r->room) {
        const size_t room = 2 * r->room + 1024;
        struct run *list = realloc(r->list, room * sizeof *list);
        if (!list)
            return 0;
        r->list = list, r->room = room;
    }
    r->list[r->count] = (struct run){begin, end, r->count};
    r->count++;
    return 1;
}

static int find_runs(struct runs *r, const uint8_t *mask, size_t rows, size_t cells)
{
    for (size_t row = 0; row < rows; row++, mask += cells) {
        r->first[row] = r->count;
        for (size_t i = 0, end; i < cells; i = end + 1) {
            end = i;
            if (!mask[i])
                continue;
            const uint8_t *gap = memchr(mask + i, 0, cells - i);
            end = gap ? (size_t)(gap - mask) : cells;
            if (!add_run(r, i, end))
                return 0;
        }
    }
    r->first[rows] = r->count;
    return 1;
}

static size_t first_of(struct run *list, size_t k)
{
    while (list[k].part != k)
        k = list[k].part = list[list[k].part].part;
    return k;
}

/* Joins the runs of two rows that lie side by side. */
static void join_rows(struct runs *r, size_t row, size_t before)
{
    for (size_t a = r->first[row], b = r->first[before]; a < r->first[row + 1] && b < r->first[before + 1];) {
        const struct run *p = &r->list[a], *q = &r->list[b];
        if (p->begin < q->end && q->begin < p->end) {
            const size_t i = first_of(r->list, a), j = first_of(r->list, b);
            r->list[i < j ? j : i].part = i < j ? i : j;
        }
        if (p->end < q->end)
            a++;
        else
            b++;
    }
}

static int all_drained(struct runs *r, const size_t shape[3], const int wall[3][2])
{
    for (size_t row = 0; row < shape[0] * shape[1]; row++) {
        const size_t k = row / shape[1], j = row % shape[1];
        const int here = (wall[0][0] && k == 0) || (wall[0][1] && k == shape[0] - 1) || (wall[1][0] && j == 0) ||
                         (wall[1][1] && j == shape[1] - 1);
        for (size_t a = r->first[row]; a < r->first[row + 1]; a++) {
            const struct run *run = &r->list[a];
            if (here || (wall[2][0] && run->begin == 0) || (wall[2][1] && run->end == shape[2]))
                r->drained[first_of(r->list, a)] = 1;
        }
    }
    for (size_t a = 0; a < r->count; a++)
        if (r->list[a].part == a && !r->drained[a])
            return 0;
    return 1;
}

int sv_mask_drained(const uint8_t *mask, const size_t shape[3], const int wall[3][2])
{
    const size_t rows = shape[0] * shape[1];
    struct runs r = {.first = malloc((rows + 1) * sizeof *r.first)};
    int drained = r.first && find_runs(&r, mask, rows, shape[2]) && (r.drained = calloc(r.count + 1, 1));
    for (size_t row = 0; row < rows && drained; row++) {
        if (row % shape[1])
            join_rows(&r, row, row - 1);
        if (row >= shape[1])
            join_rows(&r, row, row - shape[1]);
    }
    drained = drained && all_drained(&r, shape, wall);
    free(r.first);
    free(r.list);
    free(r.drained);
    return drained;
}
