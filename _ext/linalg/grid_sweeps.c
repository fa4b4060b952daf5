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
 * Bytes a cell and pass: 24 (x read and written, b read), + 32 in 2-D with variable couplings; a pass of S sweeps in
 * strips reads (1 + 2 S / rows) as much. A triad a = b + s c counts 24 bytes an element too, but moves 32, since it
 * reads the lines that it writes: one sweep a pass can at most have 4/3 of its byte rate from memory. Without memory in
 * the way: 5 loads, 4 multiply-adds and a store a vector in 2-D, 5.5 cycles of a Zen 4 for 8 cells, or 0.20 ns each;
 * rows of 128 vectors from the second cache take 0.28, strips of rows and all.
 * Measured on one core, in parts of the triad's byte rate; AHEAD and the sizes of caches were chosen on the Zen 4:
 *             Zen 4, busy                            Sapphire Rapids, a virtual machine with slow memory
 *   256^2     one sweep a pass 0.81, four 1.03       one 1.3 to 1.4, as many as fit 1.6
 *   2048^2    one 0.62, two 1.0, four 1.46           one 1.46, as many as fit 3.4
 *   192^3     one 0.42, four 0.70 (without strips)   one 1.1 to 1.3, as many as fit 1.8 (1.4 without strips)
 * One sweep a pass waits for memory: its four streams, two rows of either colour, are fetched ahead by hand, since none
 * lasts for more than two pages. (Without that 0.52 of the triad at 2048^2 of the Zen 4; into the first cache, or
 * further ahead, is no better.)
 * Accuracy: each cell within 2 axes + 4 roundings of its largest term.
 * In NumPy, 1-D: for c in (0, 1): x[c::2] += omega * ((b - A @ x) / diagonal)[c::2]
 */
#include "grid_rows.h"

enum { SECOND_CACHE = 640 << 10, THIRD_CACHE = 8 << 20, MOST_SWEEPS = 8, MOST_BLOCKS = 64, AHEAD = 1024, STRIP = 4096 };

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

/* How far ahead of a row the lines are that the next ones will need, of its colour and of the other: a row of one
 * colour is too short for the hardware to see that it goes on a row later. 0: all is in cache. */
struct fetch {
    ptrdiff_t ahead, other;
};

/* The same amid a row with constant couplings, where all cells have one diagonal: scaled[axis] = omega coupling /
 * diagonal, scaled[3] = omega / diagonal. The neighbours along x are one aligned vector and the one before or after it:
 * a 512-bit load across cache lines would cost twice a shuffle. */
INLINE void relax_uniform(const struct around *a, const vreal scaled[4], const real *b, real *x, ptrdiff_t from,
                          ptrdiff_t to, vreal keep, const struct fetch *fetch, int fresh, int parity, int axes)
{
    const real *beside = a->x[1 - parity];
    vreal last = v_load(beside + from - (parity ? 0 : SV_W));
    (void)last;
    for (ptrdiff_t i = from; i < to; i += SV_W) {
        if (fresh) {
            __builtin_prefetch(b + i + fetch->ahead, 0, 2);
            __builtin_prefetch(b + i + fetch->other, 0, 2);
            __builtin_prefetch(x + i + fetch->ahead, 0, 2);
            __builtin_prefetch(a->x[2 * axes - 1] + i + fetch->ahead, 0, 2);
        }
        vreal sum = v_fma(scaled[3], v_load(b + i), v_mul(keep, v_load(x + i)));
        for (int axis = axes - 1; axis > 0; axis--)
            sum = v_fma(scaled[axis], v_add(v_load(a->x[2 * axis] + i), v_load(a->x[2 * axis + 1] + i)), sum);
#ifdef V_HAS_SCALEF /* AVX-512 */
        vreal next = v_load(beside + i + (parity ? SV_W : 0));
        vreal pair = parity ? v_add(last, v_down(last, next, 1)) : v_add(next, v_up(next, last, 1));
        last = next;
#else
        vreal pair = v_add(v_load(a->x[0] + i), v_load(a->x[1] + i));
#endif
        v_store(x + i, v_fma(scaled[0], pair, sum));
    }
}

/* The cells [low, high) of a row's n, both at a vector's end or the row's. */
INLINE void relax_row(const struct around *a, const vreal coupling[3], const real *b, const real *inverse, real *x,
                      ptrdiff_t n, ptrdiff_t low, ptrdiff_t high, vreal omega, vreal keep, const struct fetch *fetch,
                      int parity, int axes, int constant)
{
    ptrdiff_t inner = (n - 1) / SV_W * SV_W;
    if (!constant || inner <= SV_W) {
        relax_part(a, coupling, b, inverse, x, low, high, omega, keep, axes, constant);
        return;
    }
    vreal scaled[4] = {v_set1(0), v_set1(0), v_set1(0), v_mul(omega, v_set1(inverse[SV_W]))};
    for (int axis = 0; axis < axes; axis++)
        scaled[axis] = v_mul(scaled[3], coupling[axis]);
    /* a Neumann end has another diagonal, and what is no whole vector ends in zeros */
    ptrdiff_t from = low > 0 || inverse[0] == inverse[SV_W] ? low : SV_W;
    ptrdiff_t to = high < n || (n % SV_W == 0 && inverse[n - 1] == inverse[SV_W]) ? high : inner;
    if (low < from)
        relax_part(a, coupling, b, inverse, x, low, from, omega, keep, axes, constant);
    if (fetch->ahead)
        parity ? relax_uniform(a, scaled, b, x, from, to, keep, fetch, 1, 1, axes)
               : relax_uniform(a, scaled, b, x, from, to, keep, fetch, 1, 0, axes);
    else
        parity ? relax_uniform(a, scaled, b, x, from, to, keep, fetch, 0, 1, axes)
               : relax_uniform(a, scaled, b, x, from, to, keep, fetch, 0, 0, axes);
    if (to < high)
        relax_part(a, coupling, b, inverse, x, to, high, omega, keep, axes, constant);
}

/* A strip of a layer: of a row the cells, of a plane the rows [low, high). */
INLINE void relax_layer(const struct sv_grid *g, double omega, int colour, ptrdiff_t layer, ptrdiff_t low,
                        ptrdiff_t high, ptrdiff_t ahead, const real *b, real *x, int axes, int constant)
{
    const vreal w = v_set1((real)omega), keep = v_set1((real)(1 - omega));
    vreal coupling[3];
    load_couplings(g, coupling);
    const struct fetch fetch = {ahead, ahead + (1 - 2 * colour) * g->half};
    ptrdiff_t first = axes == 2 ? layer : axes == 3 ? low : 0, last = axes == 2 ? layer + 1 : axes == 3 ? high : 1;
    ptrdiff_t k = axes == 3 ? layer : 0;
    for (ptrdiff_t j = first; j < last; j++) {
        ptrdiff_t row = row_place(g, j, k), parity = parity_of(colour, j, k);
        ptrdiff_t own = row + colour * g->half, other = row + (1 - colour) * g->half;
        struct around a = look_around(g, x, j, k, own, other, parity - 1, axes, constant);
        const real *inverse = constant ? diagonal_row(g, g->inverse, j, k, own) + parity * g->half
                                       : (const real *)g->inverse + own;
        ptrdiff_t n = cells_of(g, parity), from = axes == 2 ? low : 0, to = axes == 2 && high < n ? high : n;
        show_ends(g, x + other, cells_of(g, 1 - parity));
        if (from < to)
            relax_row(&a, coupling, b + own, inverse, x + own, n, from, to, w, keep, &fetch, (int)parity, axes,
                      constant);
        hide_ends(g, x + other, cells_of(g, 1 - parity));
    }
}

typedef void (*layer_kernel)(const struct sv_grid *, double, int, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                             const real *, real *);

#define MAKE(axes, constant)                                                                                        \
    static void relax_layer_##axes##_##constant(const struct sv_grid *g, double omega, int colour, ptrdiff_t layer, \
                                                ptrdiff_t low, ptrdiff_t high, ptrdiff_t ahead, const real *b,      \
                                                real *x)                                                            \
    {                                                                                                               \
        relax_layer(g, omega, colour, layer, low, high, ahead, b, x, axes, constant);                               \
    }
GRID_EACH(MAKE)

/* Half sweeps over the layers, cut into blocks. */
struct pass {
    const struct sv_grid *grid;
    layer_kernel relax;
    double omega;
    int first_colour;
    ptrdiff_t halves, layers, blocks;
    ptrdiff_t width, strip;  /* of a layer, and what of it is taken through all half sweeps at once */
    int slanted;     /* a strip goes through all fronts, each half sweep a row lower */
    ptrdiff_t ahead;
    int cut_around;  /* the last block and the first are neighbours */
    const real *b;
    real *x;
};

static void half_layer(const struct pass *p, ptrdiff_t half, ptrdiff_t layer, ptrdiff_t low, ptrdiff_t high)
{
    p->relax(p->grid, p->omega, (int)((p->first_colour + half) & 1), layer, low, high, half ? 0 : p->ahead, p->b, p->x);
}

/* The layers that a block's half sweep may take: one fewer at each cut side than the half sweep before. */
struct reach {
    ptrdiff_t from, to;
    int cut_from, cut_to;
};

INLINE void relax_front(const struct pass *p, const struct reach *r, ptrdiff_t front, ptrdiff_t low)
{
    for (ptrdiff_t half = 0; half < p->halves; half++) {
        ptrdiff_t layer = front - half, shift = p->slanted * half;
        ptrdiff_t first = low > shift ? low - shift : 0, end = low + p->strip - shift;
        end = end < p->width ? end : p->width;
        if (layer >= r->from + r->cut_from * half && layer < r->to - r->cut_to * half && first < end)
            half_layer(p, half, layer, first, end);
    }
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
    for (ptrdiff_t half = 1; half < p->halves; half++)
        for (ptrdiff_t layer = cut - half; layer < cut + half; layer++)
            half_layer(p, half, (layer + p->layers) % p->layers, 0, p->width);
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

/* Sweeps a pass: 2 S + 2 layers in the second cache. Where that holds not even two sweeps' (planes of more than
 * 100 x 100), strips of a plane's rows in it: they read 2 S rows more than they are wide, so that a sweep costs
 * (1 + 2 S / rows) / S reads of a cell. */
static size_t fitting_depth(const struct sv_grid *g, int *slanted)
{
    size_t layers = SECOND_CACHE / touched(g, g->axes == 3 ? g->plane : g->pitch);
    *slanted = g->axes == 3 && layers < 6 && !g->periodic[1];
    if (!*slanted) {
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
        return STRIP / (ptrdiff_t)sizeof(real);
    ptrdiff_t rows = slanted_rows(g, (size_t)p->halves / 2);
    return g->axes == 3 && rows >= 4 ? rows : p->width;
}

static void sweeps(const struct sv_grid *g, double omega, int backward, size_t count, size_t depth, int threads,
                   const void *b, void *x)
{
    ptrdiff_t layers = g->axes == 3 ? g->n[2] : g->axes == 2 ? g->n[1] : 1;
    struct pass p = {.grid = g, .relax = GRID_PICK(relax_layer, g), .omega = omega, .first_colour = backward,
                     .layers = layers, .b = b, .x = x};
    p.width = g->axes == 3 ? g->n[1] : cells_of(g, 0);
    if (g->size * 2 * sizeof(real) > SECOND_CACHE)
        p.ahead = g->pitch * (g->pitch < AHEAD ? AHEAD / g->pitch : 1);
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
