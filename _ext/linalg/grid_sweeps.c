/* Red-black sweeps of a stencil, several a pass over memory; float64 and float32.
 *
 * A half sweep takes a layer (2-D: a row; 3-D: a plane) of one colour from the layers of the other colour at both
 * sides. So half sweep h may follow one layer behind half sweep h - 1, and a pass over memory does as many as the
 * second cache has room for layers: with two, black row j - 1 right after red row j, one sweep reads and writes each
 * cell once. Layers are cut into blocks, one a thread: a block's half sweeps shrink by a layer at each cut side, and
 * when all blocks are done the wedges between them are. A periodic grid is cut once at least. Any such order gives
 * the same bits.
 *
 * In 3-D, where the layers of even two sweeps are too large for that cache, a pass goes through strips of a plane's
 * rows one after another, each half sweep a row lower than the one before: what it needs of the strip before is done,
 * and what that strip needed is not yet overwritten.
 *
 * With constant couplings two half sweeps go through a vector of cells together: what the first makes the second reads,
 * and what the second overwrites the first has read. In 3-D all half sweeps of a front go row by row, so that memory
 * is read evenly.
 *
 * Bytes a cell and pass: 24 (x read and written, b read), + 32 in 2-D with variable couplings; a pass of S sweeps in
 * strips reads (1 + 2 S / rows) as much. A triad a = b + s c counts 24 bytes an element too, but moves 32, since it
 * reads the lines that it writes: one sweep a pass can at most have 4/3 of its byte rate from memory.
 * Measured on one core, in parts of the triad's byte rate; AHEAD and the sizes of caches were chosen on the Zen 5:
 *             Zen 5                               Sapphire Rapids, a virtual machine with slow memory, before pairs
 *   256^2     one sweep a pass 1.2 to 1.4,        one 1.3 to 1.4, as many as fit 1.6
 *             eight 1.8 to 2.0
 *   2048^2    one 1.2 to 1.4, eight 2.2 to 2.9    one 1.46, as many as fit 3.4
 *   192^3     one 0.9, as many as fit 1.2         one 1.1 to 1.3, as many as fit 1.8 (1.4 without strips)
 * One sweep a pass waits for memory: its four streams, two rows of either colour, are asked for a row ahead, since none
 * lasts for more than two pages. A core that can run some twelve vectors ahead of the oldest one gets less so: at 2048^2
 * 0.9 with 512-bit vectors, where 128-bit ones, four to a line, had 1.2. Idle instructions that fill its window mend
 * that, rows at other places in their pages do not; so beyond the caches full-line vectors are paced. In the caches that
 * would cost a third. In place, x = b + a x on whole vectors has 1.4 to 1.6 of the triad.
 * Accuracy: each cell within 2 axes + 4 roundings of its largest term.
 * In NumPy, 1-D: for c in (0, 1): x[c::2] += omega * ((b - A @ x) / diagonal)[c::2]
 */
#include "grid_rows.h"

enum { FIRST_CACHE = 48 << 10, SECOND_CACHE = 640 << 10, THIRD_CACHE = 8 << 20, MOST_SWEEPS = 8, MOST_BLOCKS = 64,
       TOGETHER = 2, AHEAD = 3584 / sizeof(real), LINE = 64 / sizeof(real), STRIP = 4096 };

/* x <- (1 - omega) x + omega / diagonal (b + couplings times neighbours) in the cells [from, to) of a row and colour;
 * `to` lies at the row's end or a vector's. */
INLINE void relax_part(const struct around *a, const vreal coupling[3], const real *b, const real *inverse, real *x,
                       ptrdiff_t from, ptrdiff_t to, vreal omega, vreal keep, int axes, int constant)
{
    for (ptrdiff_t i = from; i < to; i += SV_W) {
        vreal sum = add_around(a, i, coupling, v_load(b + i), axes, constant);
        vreal scale = v_mul(omega, v_load(inverse + i));
        v_store(x + i, v_fma(scale, sum, v_mul(keep, v_load(x + i))));
    }
}

/* A row of one colour, and what of the other colour is around it: beside it along x, in the rows at its sides of a
 * plane, in the layers before and after. */
struct line {
    const real *b, *beside, *low, *high, *before, *after;
    real *x;
};

/* i, which the core learns when v is there; `none` is 0, but not to the compiler. */
INLINE ptrdiff_t once_known(ptrdiff_t i, vreal v, ptrdiff_t none)
{
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return i + (bits & none);
}

/* relax_part amid the rows of one half sweep, or of two of which the second is a layer behind, with constant couplings,
 * where all cells have one diagonal: scaled[axis] = omega coupling / diagonal, scaled[3] = omega / diagonal. What the
 * first makes the second reads as its layer after, and the layer before of the first is the second's own: they stay in
 * registers. The neighbours along x are one aligned vector and the one before or after it: a 512-bit load across cache
 * lines would cost twice a shuffle. Paced, each vector waits for the first load of the one before. */
INLINE void relax_uniform(const struct line *line, int count, const vreal scaled[4], ptrdiff_t from, ptrdiff_t to,
                          vreal keep, ptrdiff_t ahead, int paced, int parity, int axes)
{
    const real *far = line[0].after;
    vreal last[TOGETHER];
#pragma GCC unroll 2
    for (int h = 0; h < count; h++)
        last[h] = v_load(line[h].beside + from - (parity ? 0 : SV_W));
    (void)last;
    for (ptrdiff_t i = from; i < to; i += SV_W) {
        for (ptrdiff_t at = i + ahead; ahead && at < i + ahead + SV_W; at += LINE) {
            __builtin_prefetch(line[0].x + at);
            __builtin_prefetch(far + at);
            __builtin_prefetch(line[0].b + at);
            __builtin_prefetch(line[count - 1].b + at);
        }
        const vreal first = v_load(line[0].x + i);
        vreal after = v_load(far + i), own = first;
#pragma GCC unroll 2
        for (int h = 0; h < count; h++) {
            vreal before = v_load(line[h].before + i);
            vreal sum = v_fma(scaled[3], v_load(line[h].b + i), v_mul(keep, own));
            sum = v_fma(scaled[axes - 1], v_add(before, after), sum);
            if (axes == 3)
                sum = v_fma(scaled[1], v_add(v_load(line[h].low + i), v_load(line[h].high + i)), sum);
#ifdef V_HAS_SCALEF /* AVX-512 */
            vreal next = v_load(line[h].beside + i + (parity ? SV_W : 0));
            vreal pair = parity ? v_add(last[h], v_down(last[h], next, 1)) : v_add(next, v_up(next, last[h], 1));
            last[h] = next;
#else
            vreal pair = v_add(v_load(line[h].beside + i + parity - 1), v_load(line[h].beside + i + parity));
#endif
            after = v_fma(scaled[0], pair, sum);
            v_store(line[h].x + i, after);
            own = before;
        }
        if (ahead && paced)
            i = once_known(i, first, ahead & 1); /* even, as all pitches are */
    }
}

struct rows;

/* Half sweeps over the layers, cut into blocks. */
struct pass {
    const struct sv_grid *grid;
    void (*relax)(const struct pass *, const struct rows *);
    double omega;
    int first_colour;
    ptrdiff_t halves, layers, blocks;
    ptrdiff_t width, strip;  /* of a layer, and what of it is taken through all half sweeps at once */
    int slanted;     /* a strip goes through all fronts, each half sweep a row lower */
    ptrdiff_t ahead; /* from a row to the one that is asked for meanwhile; 0: all is near */
    int paced;       /* vectors wait for one another, lest the core runs ahead of what it has asked for */
    int cut_around;  /* the last block and the first are neighbours */
    /* relax_uniform's cells in rows with neighbours at all sides, whose first has i = 0 or 1, and its numbers there */
    ptrdiff_t from[2], to[2];
    real scaled[4];
    const real *b;
    real *x;
};

/* Rows [row, last) of a plane (2-D: one), whose cells [low, high) half sweeps [half, end) relax, the first in `layer`,
 * each a layer behind the one before. */
struct rows {
    ptrdiff_t half, end, layer, row, last, low, high;
};

/* The cells of a row of n from where relax_uniform serves, in whole vectors: a Neumann end has another diagonal. What it
 * wrote past the row's end is then cleared. */
INLINE ptrdiff_t uniform_from(const real *inverse) { return inverse[0] == inverse[SV_W] ? 0 : SV_W; }
INLINE ptrdiff_t uniform_to(const real *inverse, ptrdiff_t n)
{
    return (n - 1 + (inverse[n - 1] == inverse[SV_W] ? SV_W : 0)) / SV_W * SV_W;
}

INLINE void clear_past(real *x, ptrdiff_t n, ptrdiff_t to)
{
    if (to > n)
        v_store(x + to - SV_W, v_keep(v_load(x + to - SV_W), (size_t)(n + SV_W - to), 0));
}

INLINE const real *inverse_row(const struct sv_grid *g, ptrdiff_t j, ptrdiff_t k, ptrdiff_t parity)
{
    return diagonal_row(g, g->inverse, j, k, 0) + parity * g->half;
}

static void lay_amid(struct pass *p)
{
    const struct sv_grid *g = p->grid;
    for (ptrdiff_t parity = 0; parity < 2; parity++) {
        const ptrdiff_t n = cells_of(g, parity);
        if (!g->constant || p->layers < 3 || n <= SV_W + 1 || (g->axes == 3 && g->n[1] < 3))
            continue;
        const real *inverse = inverse_row(g, 1, g->axes == 3, parity);
        p->from[parity] = uniform_from(inverse), p->to[parity] = uniform_to(inverse, n);
        p->scaled[3] = (real)p->omega * inverse[SV_W];
        for (int axis = 0; axis < 3; axis++)
            p->scaled[axis] = p->scaled[3] * (real)g->coupling[axis];
    }
}

/* Half sweep `half` in a row of a layer, at the ends of the grid or amid it, with constant couplings. */
INLINE void relax_row(const struct pass *p, ptrdiff_t half, ptrdiff_t layer, ptrdiff_t row, ptrdiff_t low,
                      ptrdiff_t high, int axes)
{
    const struct sv_grid *g = p->grid;
    const vreal omega = v_set1((real)p->omega), keep = v_set1((real)(1 - p->omega));
    vreal coupling[3];
    load_couplings(g, coupling);
    const ptrdiff_t j = axes == 3 ? row : layer, k = axes == 3 ? layer : 0, place = row_place(g, j, k);
    const ptrdiff_t colour = (p->first_colour + half) & 1, parity = parity_of((int)colour, j, k);
    const ptrdiff_t n = cells_of(g, parity), n_other = cells_of(g, 1 - parity);
    const ptrdiff_t own = place + colour * g->half, other = place + (1 - colour) * g->half;
    const struct around a = look_around(g, p->x, j, k, own, other, parity - 1, axes, 1);
    const real *inverse = inverse_row(g, j, k, parity);
    ptrdiff_t from = high, to = high;
    show_ends(g, p->x + other, n_other);
    if (n > SV_W + 1) {
        from = low > 0 ? low : uniform_from(inverse), to = high < n ? high : uniform_to(inverse, n);
        vreal scaled[4] = {v_set1(0), v_set1(0), v_set1(0), v_mul(omega, v_set1(inverse[SV_W]))};
        for (int axis = 0; axis < axes; axis++)
            scaled[axis] = v_mul(scaled[3], coupling[axis]);
        const struct line line = {p->b + own, p->x + other, a.x[2], a.x[3], a.x[2 * axes - 2], a.x[2 * axes - 1],
                                  p->x + own};
        parity ? relax_uniform(&line, 1, scaled, from, to, keep, 0, 0, 1, axes)
               : relax_uniform(&line, 1, scaled, from, to, keep, 0, 0, 0, axes);
        clear_past(p->x + own, n, to);
    }
    relax_part(&a, coupling, p->b + own, inverse, p->x + own, low, from, omega, keep, axes, 1);
    relax_part(&a, coupling, p->b + own, inverse, p->x + own, to, high, omega, keep, axes, 1);
    hide_ends(g, p->x + other, n_other);
}

#define MAKE_ROW(axes)                                                                                              \
    static void relax_row_##axes(const struct pass *p, ptrdiff_t half, ptrdiff_t layer, ptrdiff_t row,              \
                                 ptrdiff_t low, ptrdiff_t high)                                                     \
    {                                                                                                               \
        relax_row(p, half, layer, row, low, high, axes);                                                         \
    }
MAKE_ROW(2)
MAKE_ROW(3)

/* Half sweeps [half, half + TOGETHER) in a row of as many layers, each with neighbours at all sides. A vector of cells
 * needs none but itself of the rows that are relaxed here. */
INLINE void relax_amid(const struct pass *p, const struct rows *r, ptrdiff_t half, ptrdiff_t row, const vreal scaled[4],
                       vreal keep, int parity, int axes)
{
    const struct sv_grid *g = p->grid;
    const ptrdiff_t n = cells_of(g, parity), high = r->high < n ? r->high : n, step = axes == 3 ? g->plane : g->pitch;
    const ptrdiff_t from = r->low > 0 ? r->low : p->from[parity], to = high < n ? high : p->to[parity];
    const ptrdiff_t layer = r->layer - (half - r->half), colour = (p->first_colour + half) & 1;
    const ptrdiff_t place = axes == 3 ? row_place(g, row, layer) : row_place(g, layer, 0);
    struct line line[TOGETHER];
#pragma GCC unroll 2
    for (int h = 0; h < TOGETHER; h++) {
        ptrdiff_t own = place - h * step + (colour ^ (h & 1)) * g->half;
        ptrdiff_t other = place - h * step + (1 - (colour ^ (h & 1))) * g->half;
        const real *beside = p->x + other;
        line[h] = (struct line){p->b + own, beside, beside - g->pitch, beside + g->pitch, beside - step, beside + step,
                                p->x + own};
        show_ends(g, beside, cells_of(g, 1 - parity));
    }
    if (p->ahead && half == 0)
        relax_uniform(line, TOGETHER, scaled, from, to, keep, p->ahead, p->paced, parity, axes);
    else
        relax_uniform(line, TOGETHER, scaled, from, to, keep, 0, 0, parity, axes);
    for (int h = 0; h < TOGETHER; h++) {
        hide_ends(g, line[h].beside, cells_of(g, 1 - parity));
        clear_past(line[h].x, n, to);
    }
    for (int h = 0; h < TOGETHER && r->low < from; h++)
        (axes == 3 ? relax_row_3 : relax_row_2)(p, half + h, layer - h, row, r->low, from);
    for (int h = 0; h < TOGETHER && to < high; h++)
        (axes == 3 ? relax_row_3 : relax_row_2)(p, half + h, layer - h, row, to, high);
}

/* With variable couplings too much is read to go through a row's half sweeps at once: one after another. */
INLINE void relax_variable(const struct pass *p, const struct rows *r, const struct sv_grid *g, const real *b, real *x,
                           int axes)
{
    const vreal w = v_set1((real)p->omega), keep = v_set1((real)(1 - p->omega));
    const vreal none[3] = {v_set1(0), v_set1(0), v_set1(0)};
    for (ptrdiff_t half = r->half, layer = r->layer; half < r->end; half++, layer--) {
        const int colour = (p->first_colour + (int)half) & 1;
        const ptrdiff_t low = r->low, most = r->high, last = r->last;
        for (ptrdiff_t row = r->row; row < last; row++) {
            ptrdiff_t j = axes == 3 ? row : layer, k = axes == 3 ? layer : 0, place = row_place(g, j, k);
            ptrdiff_t parity = parity_of(colour, j, k), n = cells_of(g, parity);
            ptrdiff_t own = place + colour * g->half, other = place + (1 - colour) * g->half;
            struct around a = look_around(g, x, j, k, own, other, parity - 1, axes, 0);
            show_ends(g, x + other, cells_of(g, 1 - parity));
            relax_part(&a, none, b + own, (const real *)g->inverse + own, x + own, low, most < n ? most : n, w, keep,
                       axes, 0);
            hide_ends(g, x + other, cells_of(g, 1 - parity));
        }
    }
}

INLINE void relax_rows(const struct pass *p, const struct rows *r, int axes, int constant)
{
    if (!constant) {
        relax_variable(p, r, p->grid, p->b, p->x, axes);
        return;
    }
    const struct sv_grid *g = p->grid;
    const vreal keep = v_set1((real)(1 - p->omega));
    const vreal scaled[4] = {v_set1(p->scaled[0]), v_set1(p->scaled[1]), v_set1(p->scaled[2]), v_set1(p->scaled[3])};
    for (ptrdiff_t row = r->row; row < r->last; row++) {
        /* colour and layer change together */
        const int parity = (int)parity_of((p->first_colour + (int)r->half) & 1, r->layer, row);
        const ptrdiff_t n = cells_of(g, parity), high = r->high < n ? r->high : n;
        const int amid = p->scaled[3] != 0 && n > SV_W + 1 && (axes == 2 || (row > 0 && row + 1 < g->n[1]));
        for (ptrdiff_t half = r->half, layer = r->layer; half < r->end && r->low < high;) {
            ptrdiff_t most = amid && layer + 1 < p->layers ? (r->end - half < layer ? r->end - half : layer) : 1;
            if (most >= TOGETHER) {
                parity ? relax_amid(p, r, half, row, scaled, keep, 1, axes)
                       : relax_amid(p, r, half, row, scaled, keep, 0, axes);
                half += TOGETHER, layer -= TOGETHER;
            } else {
                (axes == 3 ? relax_row_3 : relax_row_2)(p, half, layer, row, r->low, high);
                half++, layer--;
            }
        }
    }
}

#define MAKE(axes, constant)                                                                                        \
    static void relax_rows_##axes##_##constant(const struct pass *p, const struct rows *r)                          \
    {                                                                                                               \
        relax_rows(p, r, axes, constant);                                                                           \
    }
GRID_EACH(MAKE)

/* The layers that a block's half sweep may take: one fewer at each cut side than the half sweep before. */
struct reach {
    ptrdiff_t from, to;
    int cut_from, cut_to;
};

/* A strip's cells of a row (2-D) in half sweeps [first, end) of a front. */
INLINE void relax_cells(const struct pass *p, ptrdiff_t front, ptrdiff_t first, ptrdiff_t end, ptrdiff_t low)
{
    const struct rows rows = {.half = first, .end = end, .layer = front - first, .last = 1, .low = low,
                              .high = low + p->strip};
    p->relax(p, &rows);
}

/* A strip's rows of a plane (3-D), one half sweep after another. */
INLINE void relax_planes(const struct pass *p, ptrdiff_t front, ptrdiff_t first, ptrdiff_t end, ptrdiff_t low)
{
    for (ptrdiff_t half = first; half < end; half++) {
        const ptrdiff_t from = low - p->slanted * half, to = from + p->strip;
        const struct rows rows = {.half = half, .end = half + 1, .layer = front - half, .row = from > 0 ? from : 0,
                                  .last = to < p->width ? to : p->width, .high = p->grid->n[0]};
        p->relax(p, &rows);
    }
}

/* The same row by row through all half sweeps, so that memory is read evenly. */
INLINE void relax_strip(const struct pass *p, ptrdiff_t front, ptrdiff_t first, ptrdiff_t end, ptrdiff_t low)
{
    const ptrdiff_t high = low + p->strip, last = high < p->width ? high : p->width;
    struct rows rows = {.high = p->grid->n[0]};
    const ptrdiff_t start = p->slanted ? low - end + 1 : low;
    for (rows.row = start > 0 ? start : 0; rows.row < last; rows.row = rows.last) {
        ptrdiff_t before = p->slanted ? low - rows.row : 0, after = p->slanted ? high - rows.row : end;
        rows.half = before > first ? before : first, rows.end = after < end ? after : end;
        /* rows that all half sweeps reach go together */
        rows.last = p->slanted && high - end + 1 < last ? high - end + 1 : last;
        if (before > 0 || after < end)
            rows.last = rows.row + 1;
        rows.layer = front - rows.half;
        p->relax(p, &rows);
    }
}

INLINE void relax_front(const struct pass *p, const struct reach *r, ptrdiff_t front, ptrdiff_t low)
{
    ptrdiff_t first = front - r->to + 1, end = (front - r->from) / (1 + r->cut_from) + 1;
    if (r->cut_to)
        first = front < r->to ? 0 : end;
    first = first > 0 ? first : 0, end = end < p->halves ? end : p->halves;
    if (first >= end)
        return;
    if (p->grid->axes < 3)
        relax_cells(p, front, first, end, low);
    else
        p->grid->constant ? relax_strip(p, front, first, end, low) : relax_planes(p, front, first, end, low);
}

static void relax_block(void *context, size_t index)
{
    const struct pass *p = context;
    ptrdiff_t block = (ptrdiff_t)index;
    const struct reach r = {block * p->layers / p->blocks, (block + 1) * p->layers / p->blocks,
                            p->cut_around || block > 0, p->cut_around || block + 1 < p->blocks};
    const ptrdiff_t fronts = r.to + p->halves - 1;
    if (p->slanted) {
        for (ptrdiff_t low = 0; low < p->width + p->halves - 1; low += p->strip)
            for (ptrdiff_t front = r.from; front < fronts; front++)
                relax_front(p, &r, front, low);
        return;
    }
    for (ptrdiff_t front = r.from; front < fronts; front++)
        for (ptrdiff_t low = 0; low < p->width; low += p->strip)
            relax_front(p, &r, front, low);
}

/* What the blocks left at the cut before block `index` + 1 - cut_around. */
static void relax_wedge(void *context, size_t index)
{
    const struct pass *p = context;
    ptrdiff_t block = (ptrdiff_t)index + !p->cut_around, cut = block * p->layers / p->blocks;
    struct rows rows = {.last = p->grid->axes == 3 ? p->grid->n[1] : 1, .high = p->grid->n[0]};
    for (rows.half = 1; rows.half < p->halves; rows.half++)
        for (ptrdiff_t layer = cut - rows.half; layer < cut + rows.half; layer++) {
            rows.end = rows.half + 1, rows.layer = (layer + p->layers) % p->layers;
            p->relax(p, &rows);
        }
}

static void relax_pass(const struct pass *p, int threads)
{
    sv_parallel_for(threads, (size_t)p->blocks, relax_block, (void *)p);
    ptrdiff_t wedges = p->blocks - !p->cut_around;
    if (wedges > 0 && p->halves > 1)
        sv_parallel_for(threads, (size_t)wedges, relax_wedge, (void *)p);
}

/* Bytes of all arrays that a sweep touches, for so many cells. */
static size_t touched(const struct sv_grid *g, ptrdiff_t cells)
{
    return (size_t)cells * (g->constant ? 2 : 3 + (size_t)g->axes) * sizeof(real);
}

/* Rows of a slanted strip whose 2 S + 2 layers fit the second cache. */
static ptrdiff_t slanted_rows(const struct sv_grid *g, size_t depth)
{
    return (ptrdiff_t)(SECOND_CACHE / (touched(g, g->pitch) * (2 * depth + 2)));
}

/* Sweeps a pass: 2 S + 2 layers in the first cache if those of three sweeps fit it, else in the second. Where that
 * holds not even two sweeps' (planes of more than 100 x 100), strips of a plane's rows in it: they read 2 S rows more
 * than they are wide, so that a sweep costs
 * (1 + 2 S / rows) / S reads of a cell. */
static size_t fitting_depth(const struct sv_grid *g, int *slanted)
{
    size_t layers = SECOND_CACHE / touched(g, g->axes == 3 ? g->plane : g->pitch);
    *slanted = g->axes == 3 && layers < 6 && !g->periodic[1];
    if (!*slanted) {
        if (g->axes < 3 && FIRST_CACHE / touched(g, g->pitch) >= 8)
            layers = FIRST_CACHE / touched(g, g->pitch);
        layers = layers >= 6 ? layers : THIRD_CACHE / touched(g, g->axes == 3 ? g->plane : g->pitch);
        size_t depth = layers > 2 ? (layers - 2) / 2 : 1;
        return depth < 1 ? 1 : depth > MOST_SWEEPS ? MOST_SWEEPS : depth;
    }
    size_t best = 1;
    double least = 1;
    for (size_t depth = 2; depth <= MOST_SWEEPS; depth++) {
        double rows = (double)slanted_rows(g, depth), reads = (1 + 2 * (double)depth / rows) / (double)depth;
        if (rows > 2 * (double)depth && reads < least)
            best = depth, least = reads;
    }
    return best;
}

/* What is taken through all half sweeps of a front at once, each on a layer of its own that needs of the one before
 * it the same places alone: in 2-D four rows of it should fit the first cache, in 3-D all layers' rows the second.
 * A slanted strip goes through all fronts before the next one begins: each half sweep lies a row lower. */
static ptrdiff_t strip_of(const struct pass *p)
{
    const struct sv_grid *g = p->grid;
    if (g->axes == 2)
        return g->constant && p->halves <= 2 ? p->width : STRIP / (ptrdiff_t)sizeof(real);
    ptrdiff_t rows = slanted_rows(g, (size_t)p->halves / 2);
    return g->axes == 3 && rows >= 4 ? rows : p->width;
}

static void sweeps(const struct sv_grid *g, double omega, int backward, size_t count, size_t depth, int threads,
                   const void *b, void *x)
{
    ptrdiff_t layers = g->axes == 3 ? g->n[2] : g->axes == 2 ? g->n[1] : 1;
    struct pass p = {.grid = g, .relax = GRID_PICK(relax_rows, g), .omega = omega, .first_colour = backward,
                     .layers = layers, .b = b, .x = x};
    p.width = g->axes == 3 ? g->n[1] : cells_of(g, 0);
    if (g->size * sizeof(real) > SECOND_CACHE / 8) /* smaller ones are read again before others' data come between */
        p.ahead = g->pitch * (g->pitch < AHEAD ? AHEAD / g->pitch : 1);
    p.paced = SV_W * sizeof(real) == 64 && g->size * sizeof(real) > THIRD_CACHE;
    lay_amid(&p);
    p.cut_around = g->periodic[g->axes - 1] && layers > 1;
    size_t fits = fitting_depth(g, &p.slanted);
    depth = depth ? depth : fits;
    if (threads <= 0)
        threads = sv_get_num_threads();
    while (count > 0) {
        size_t now = count < depth ? count : depth;
        while (p.cut_around && now > 1 && 4 * (ptrdiff_t)now - 2 > layers)
            now--;
        p.halves = 2 * (ptrdiff_t)now;
        p.strip = strip_of(&p);
        /* a block must hold the wedges at both its ends, and work enough to wake a thread for */
        ptrdiff_t most = layers / (4 * p.halves), worth = (ptrdiff_t)(g->size * now >> 15);
        p.blocks = threads < most ? threads : most;
        p.blocks = p.blocks < worth ? p.blocks : worth;
        p.blocks = p.blocks < 1 ? 1 : p.blocks > MOST_BLOCKS ? MOST_BLOCKS : p.blocks;
        relax_pass(&p, threads);
        count -= now;
    }
}

static void pack(const struct sv_grid *g, const void *from, void *to)
{
    const real *in = from;
    real *out = to;
    ptrdiff_t nx = g->n[0];
    clear_between(g, out);
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++, in += nx) {
            real *row = out + row_place(g, j, k);
            if (!g->half) {
                memcpy(row, in, (size_t)nx * sizeof(real));
                memset(row + nx, 0, (size_t)(g->pitch - nx) * sizeof(real));
                continue;
            }
            ptrdiff_t red = parity_of(0, j, k), reds = cells_of(g, red), blacks = nx - reds;
            real *even = row + red * g->half, *odd = row + (1 - red) * g->half;
            for (ptrdiff_t m = 0; m < nx / 2; m++)
                even[m] = in[2 * m], odd[m] = in[2 * m + 1];
            if (nx & 1)
                even[nx / 2] = in[nx - 1];
            memset(row + reds, 0, (size_t)(g->half - reds) * sizeof(real));
            memset(row + g->half + blacks, 0, (size_t)(g->pitch - g->half - blacks) * sizeof(real));
        }
}

static void unpack(const struct sv_grid *g, const void *from, void *to)
{
    const real *in = from;
    real *out = to;
    ptrdiff_t nx = g->n[0];
    for (ptrdiff_t k = 0; k < g->n[2]; k++)
        for (ptrdiff_t j = 0; j < g->n[1]; j++, out += nx) {
            const real *row = in + row_place(g, j, k);
            if (!g->half) {
                memcpy(out, row, (size_t)nx * sizeof(real));
                continue;
            }
            ptrdiff_t red = parity_of(0, j, k);
            const real *even = row + red * g->half, *odd = row + (1 - red) * g->half;
            for (ptrdiff_t m = 0; m < nx / 2; m++)
                out[2 * m] = even[m], out[2 * m + 1] = odd[m];
            if (nx & 1)
                out[nx - 1] = even[nx / 2];
        }
}

const struct sv_grid_layout SV_TABLE(grid_layout) = {sweeps, pack, unpack};
