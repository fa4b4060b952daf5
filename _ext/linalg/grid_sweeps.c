/* Red-black sweeps of a stencil, several a pass over memory; float64 and float32.
 *
 * A half sweep takes a layer (2-D: a row; 3-D: a plane) of one colour from the layers of the other colour at both sides.
 * So half sweep h may follow one layer behind half sweep h - 1, and a pass over memory does as many as the second cache
 * has room for layers: with two, black row j - 1 right after red row j, one sweep reads and writes each cell once.
 * Layers are cut into blocks, one a thread: a block's half sweeps shrink by a layer at each cut side, and when all
 * blocks are done the wedges between them are. A periodic grid is cut once at least. Any such order gives the same bits.
 *
 * Bytes a cell and pass: 24 (x read and written, b read), + 32 in 2-D with variable couplings. Without memory in the way:
 * 7 loads and 4 multiply-adds a vector in 2-D.
 * Accuracy: each cell within 2 axes + 4 roundings of its largest term.
 * In NumPy, 1-D: for c in (0, 1): x[c::2] += omega * ((b - A @ x) / diagonal)[c::2]
 */
#include "grid_rows.h"

enum { SECOND_CACHE = 640 << 10, MOST_SWEEPS = 8, MOST_BLOCKS = 64 };

/* x <- (1 - omega) x + omega / diagonal (b + couplings times neighbours) in a row's cells of one colour. */
INLINE void relax_row(const struct around *a, const vreal coupling[3], const real *b, const real *inverse, real *x,
                      ptrdiff_t n, vreal omega, vreal keep, int axes, int constant)
{
    for (ptrdiff_t i = 0; i < n; i += SV_W) {
        vreal sum = add_around(a, i, coupling, v_load(b + i), axes, constant);
        vreal scale = v_mul(omega, v_load(inverse + i));
        v_store(x + i, v_fma(scale, sum, v_mul(keep, v_load(x + i))));
    }
}

INLINE void relax_layer(const struct sv_grid *g, double omega, int colour, ptrdiff_t layer, const real *b, real *x,
                        int axes, int constant)
{
    const vreal w = v_set1((real)omega), keep = v_set1((real)(1 - omega));
    vreal coupling[3];
    load_couplings(g, coupling);
    ptrdiff_t first = axes == 2 ? layer : 0, last = axes == 2 ? layer + 1 : axes == 3 ? g->n[1] : 1;
    ptrdiff_t k = axes == 3 ? layer : 0;
    for (ptrdiff_t j = first; j < last; j++) {
        ptrdiff_t row = row_place(g, j, k), parity = parity_of(colour, j, k);
        ptrdiff_t own = row + colour * g->half, other = row + (1 - colour) * g->half;
        struct around a = look_around(g, x, j, k, own, other, parity - 1, axes, constant);
        const real *inverse = constant ? diagonal_row(g, g->inverse, j, k, own) + parity * g->half
                                       : (const real *)g->inverse + own;
        show_ends(g, x + other, cells_of(g, 1 - parity));
        relax_row(&a, coupling, b + own, inverse, x + own, cells_of(g, parity), w, keep, axes, constant);
        hide_ends(g, x + other, cells_of(g, 1 - parity));
    }
}

typedef void (*layer_kernel)(const struct sv_grid *, double, int, ptrdiff_t, const real *, real *);

#define MAKE(axes, constant)                                                                                        \
    static void relax_layer_##axes##_##constant(const struct sv_grid *g, double omega, int colour, ptrdiff_t layer, \
                                                const real *b, real *x)                                             \
    {                                                                                                               \
        relax_layer(g, omega, colour, layer, b, x, axes, constant);                                                 \
    }
GRID_EACH(MAKE)

/* Half sweeps over the layers, cut into blocks. */
struct pass {
    const struct sv_grid *grid;
    layer_kernel relax;
    double omega;
    int first_colour;
    ptrdiff_t halves, layers, blocks;
    int cut_around;  /* the last block and the first are neighbours */
    const real *b;
    real *x;
};

static void half_layer(const struct pass *p, ptrdiff_t half, ptrdiff_t layer)
{
    p->relax(p->grid, p->omega, (int)((p->first_colour + half) & 1), layer, p->b, p->x);
}

static void relax_block(void *context, size_t index)
{
    const struct pass *p = context;
    ptrdiff_t block = (ptrdiff_t)index;
    ptrdiff_t from = block * p->layers / p->blocks, to = (block + 1) * p->layers / p->blocks;
    int cut_from = p->cut_around || block > 0, cut_to = p->cut_around || block + 1 < p->blocks;
    for (ptrdiff_t front = from; front < to + p->halves - 1; front++)
        for (ptrdiff_t half = 0; half < p->halves; half++) {
            ptrdiff_t layer = front - half;
            if (layer >= from + cut_from * half && layer < to - cut_to * half)
                half_layer(p, half, layer);
        }
}

/* What the blocks left at the cut before block `index` + 1 - cut_around. */
static void relax_wedge(void *context, size_t index)
{
    const struct pass *p = context;
    ptrdiff_t block = (ptrdiff_t)index + !p->cut_around, cut = block * p->layers / p->blocks;
    for (ptrdiff_t half = 1; half < p->halves; half++)
        for (ptrdiff_t layer = cut - half; layer < cut + half; layer++)
            half_layer(p, half, (layer + p->layers) % p->layers);
}

static void relax_pass(const struct pass *p, int threads)
{
    sv_parallel_for(threads, (size_t)p->blocks, relax_block, (void *)p);
    ptrdiff_t wedges = p->blocks - !p->cut_around;
    if (wedges > 0 && p->halves > 1)
        sv_parallel_for(threads, (size_t)wedges, relax_wedge, (void *)p);
}

/* Sweeps a pass: 2 S + 2 layers of all arrays that a sweep touches in the second cache, S at least 1. */
static size_t fitting_depth(const struct sv_grid *g)
{
    size_t cells = (size_t)(g->axes == 3 ? g->plane : g->pitch);
    size_t arrays = g->constant ? 2 : 3 + (size_t)g->axes;
    size_t layers = SECOND_CACHE / (cells * arrays * sizeof(real));
    size_t depth = layers > 2 ? (layers - 2) / 2 : 1;
    return depth < 1 ? 1 : depth > MOST_SWEEPS ? MOST_SWEEPS : depth;
}

static void sweeps(const struct sv_grid *g, double omega, int backward, size_t count, size_t depth, int threads,
                   const void *b, void *x)
{
    ptrdiff_t layers = g->axes == 3 ? g->n[2] : g->axes == 2 ? g->n[1] : 1;
    struct pass p = {g, GRID_PICK(relax_layer, g), omega, backward, 0, layers, 1, 0, b, x};
    p.cut_around = g->periodic[g->axes - 1] && layers > 1;
    depth = depth ? depth : fitting_depth(g);
    if (threads <= 0)
        threads = sv_get_num_threads();
    while (count > 0) {
        size_t now = count < depth ? count : depth;
        while (p.cut_around && now > 1 && 4 * (ptrdiff_t)now - 2 > layers)
            now--;
        p.halves = 2 * (ptrdiff_t)now;
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
