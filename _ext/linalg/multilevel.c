/* The hierarchy and its cycle: see multilevel.h. */
#include "multilevel.h"
#include "multilevel_net.h"
#include "multilevel_plan.h"
#include "spectrum.h"

#include <math.h>
#include <string.h>

SV_DISPATCH(struct sv_setup_kernels, single_setup, setup_kernels_f32)
SV_DISPATCH(struct sv_setup_kernels, double_setup, setup_kernels_f64)
SV_DISPATCH(struct sv_coarsen_kernels, single_coarsen, coarsen_kernels_f32)
SV_DISPATCH(struct sv_coarsen_kernels, double_coarsen, coarsen_kernels_f64)
SV_DISPATCH(struct sv_cycle_kernels, single_cycle, cycle_kernels_f32)
SV_DISPATCH(struct sv_cycle_kernels, double_cycle, cycle_kernels_f64)
SV_DISPATCH(struct sv_general_kernels, single_general, general_kernels_f32)
SV_DISPATCH(struct sv_general_kernels, double_general, general_kernels_f64)
SV_DISPATCH(struct sv_learned_kernels, single_net, net_kernels_f32)
SV_DISPATCH(struct sv_learned_kernels, double_net, net_kernels_f64)
SV_DISPATCH(struct sv_outer_kernels, outer_table, outer_kernels_f64)

const struct sv_setup_kernels *sv_setup_kernels(int single) { return single ? single_setup() : double_setup(); }

const struct sv_cycle_kernels *sv_cycle_kernels(int single) { return single ? single_cycle() : double_cycle(); }

const struct sv_general_kernels *sv_general_kernels(int single) { return single ? single_general() : double_general(); }

const struct sv_outer_kernels *sv_outer_kernels(void) { return outer_table(); }

size_t sv_multilevel_work(const struct sv_level *g)
{
    return (size_t)(6 * g->n[1] * sv_half_pitch(g) + 5 * g->pitch + 4 * MULTILEVEL_LEAD);
}

void sv_level_clear(const struct sv_level *g, size_t width, void *field)
{
    char *at = field;
    size_t rows = (size_t)(g->n[1] * g->n[2]), cells = (size_t)g->n[0], beside = (size_t)g->pitch - cells;
    memset(at, 0, MULTILEVEL_LEAD * width);
    at += MULTILEVEL_LEAD * width;
    for (size_t row = 0; row < rows; row++, at += (size_t)g->pitch * width)
        memset(at + cells * width, 0, beside * width);
    memset(at, 0, MULTILEVEL_LEAD * width);
}

void sv_level_clear_share(const struct sv_level *g, int axis, size_t width, void *field)
{
    char *rows = (char *)field + MULTILEVEL_LEAD * width;
    const size_t pitch = (size_t)g->pitch * width, cells = (size_t)g->n[0];
    sv_level_clear(g, width, field);
    for (ptrdiff_t row = 0; row < g->n[1] * g->n[2]; row++) {
        char *at = rows + (size_t)row * pitch;
        const int end = axis == 1 ? row % g->n[1] == g->n[1] - 1 : row / g->n[1] == g->n[2] - 1;
        if (axis == 0)
            memset(at + (cells - 1) * width, 0, width);
        else if (end)
            memset(at, 0, cells * width);
    }
}

struct sharing {
    const struct sv_level *g;
    int32_t *same;
    const char *field;
    size_t width, parts;
};

static int alike(const struct sharing *s, ptrdiff_t a, ptrdiff_t b)
{
    const size_t pitch = (size_t)s->g->pitch * s->width;
    const char *rows = s->field + MULTILEVEL_LEAD * s->width;
    return !memcmp(rows + (size_t)a * pitch, rows + (size_t)b * pitch, (size_t)s->g->n[0] * s->width);
}

/* Rows are compared with what stands for the row before, in the plane and then in the plane before: that finds nearly
 * all. A part looks at its own planes alone; whichever row stands for another, the bits are the same. */
static void share_part(void *context, size_t index)
{
    const struct sharing *s = context;
    const ptrdiff_t ny = s->g->n[1], planes = s->g->n[2], parts = (ptrdiff_t)s->parts;
    const ptrdiff_t from = (ptrdiff_t)index * planes / parts * ny, to = ((ptrdiff_t)index + 1) * planes / parts * ny;
    for (ptrdiff_t row = from; row < to; row++) {
        const ptrdiff_t before[2] = {row % ny ? row - 1 : -1, row - ny};
        s->same[row] = (int32_t)row;
        for (int side = 0; side < 2 && s->same[row] == row; side++)
            if (before[side] >= from && alike(s, row, s->same[before[side]]))
                s->same[row] = s->same[before[side]];
    }
}

void sv_level_share(const struct sv_level *g, int which, const void *field, size_t width, int threads)
{
    struct sharing s = {.g = g, .same = g->same[which], .field = field, .width = width, .parts = 1};
    if (!field || !s.same)
        return;
    if (threads > 1 && g->size >> 16)
        s.parts = (size_t)(threads < g->n[2] ? threads : g->n[2]);
    sv_parallel_for(threads, s.parts, share_part, &s);
}

static double value(const struct sv_multilevel *M, const void *field, ptrdiff_t at)
{
    return M->single ? ((const float *)field)[at] : ((const double *)field)[at];
}

static void set(const struct sv_multilevel *M, void *field, ptrdiff_t at, double x)
{
    if (M->single)
        ((float *)field)[at] = (float)x;
    else
        ((double *)field)[at] = x;
}

static ptrdiff_t place(const struct sv_level *g, ptrdiff_t cell)
{
    return cell / g->n[0] * g->pitch + MULTILEVEL_LEAD + cell % g->n[0];
}

void sv_multilevel_coarsen(const struct sv_multilevel *M, int l)
{
    const struct sv_coarsen_kernels *kernels = M->single ? single_coarsen() : double_coarsen();
    kernels->coarsen(&M->level[l], &M->level[l + 1], &M->ways, M->threads);
    sv_setup_kernels(M->single)->invert(&M->level[l + 1], NULL, M->threads);
}

static void share(const struct sv_multilevel *M, int l, int which, const void *field)
{
    sv_level_share(&M->level[l], which, field, M->single ? sizeof(float) : sizeof(double), M->threads);
}

void sv_multilevel_weigh(const struct sv_multilevel *M, int l)
{
    const struct sv_level *fine = &M->level[l], *coarse = &M->level[l + 1];
    for (int axis = 0; axis < 3; axis++)
        share(M, l, SHARED_SHARES + axis, fine->share[axis]);
    share(M, l, SHARED_INVERSE, fine->inverse);
    ptrdiff_t cells = coarse->n[0] * coarse->n[1] * coarse->n[2];
    for (ptrdiff_t i = 0; i < cells; i++) {
        ptrdiff_t at = place(coarse, i);
        set(M, coarse->x, at, value(M, coarse->inverse, at) > 0);
    }
    if (M->general)
        sv_general_kernels(M->single)->interpolate(fine, coarse, fine->scale);
    else
        sv_cycle_kernels(M->single)->interpolate(fine, coarse, fine->scale, M->work, M->threads);
    sv_setup_kernels(M->single)->weigh(fine, M->threads);
    share(M, l, SHARED_SCALE, fine->scale);
    if (fine->line >= 0)
        sv_general_kernels(M->single)->factor(fine);
}

void sv_multilevel_setup(const struct sv_multilevel *M)
{
    for (int l = 0; l + 1 < M->levels; l++) {
        sv_multilevel_coarsen(M, l);
        sv_multilevel_weigh(M, l);
    }
}

/* ---- with learned corrections ---- */

enum { POOLS = 3 * 3 + 2 };

/* Two axes or more, all of them halved: the net knows nothing else. */
static int net_serves(const struct sv_level *g)
{
    int axes = 0;
    for (int axis = 0; axis < 3; axis++) {
        axes += g->n[axis] > 1;
        if (g->n[axis] > 1 && !g->halved[axis])
            return 0;
    }
    return axes > 1;
}

size_t sv_learned_pools(const struct sv_multilevel *M)
{
    size_t most = 0;
    for (int l = 1; l < M->levels; l++)
        if (net_serves(&M->level[l - 1]) && M->level[l].size > most)
            most = M->level[l].size;
    return POOLS * most;
}

size_t sv_learned_work(const struct sv_multilevel *M)
{
    size_t most = 0;
    for (int l = 0; l < M->levels; l++)
        if (net_work(&M->level[l]) > most)
            most = net_work(&M->level[l]);
    return most;
}

void sv_learned_coarsen(const struct sv_multilevel *M, int l, const void *parameters, void *factor, void *pools, void *work)
{
    const struct sv_level *fine = &M->level[l], *coarse = &M->level[l + 1];
    const struct sv_learned_kernels *net = M->single ? single_net() : double_net();
    sv_multilevel_coarsen(M, l);
    if (!net_serves(fine)) {
        sv_multilevel_weigh(M, l);
        return;
    }
    memset(pools, 0, POOLS * coarse->size * (M->single ? sizeof(float) : sizeof(double)));
    net->correct(fine, coarse, parameters, factor, pools, work, M->threads);
    sv_setup_kernels(M->single)->invert(coarse, NULL, M->threads);
    sv_multilevel_weigh(M, l);
    net->rescale(fine, factor, M->threads);
    share(M, l, SHARED_SCALE, fine->scale);
}

/* ---- the cycle ---- */

/* x = last right, of the last level. */
static void solve_last(const struct sv_multilevel *M, const void *right, void *x)
{
    const struct sv_level *g = &M->level[M->levels - 1];
    ptrdiff_t cells = g->n[0] * g->n[1] * g->n[2];
    double *in = M->ends, *out = in + cells;
    for (ptrdiff_t i = 0; i < cells; i++)
        in[i] = value(M, right, place(g, i)), out[i] = 0;
    for (ptrdiff_t j = 0; j < cells; j++)
        for (ptrdiff_t i = 0; i < cells; i++)
            out[i] += M->last[j * cells + i] * in[j];
    for (ptrdiff_t i = 0; i < cells; i++)
        set(M, x, place(g, i), out[i]);
}

/* x = M right from level l on, step by step. */
static void general_cycle(const struct sv_multilevel *M, int l, const void *right, void *x)
{
    const struct sv_general_kernels *kernels = sv_general_kernels(M->single);
    const struct sv_level *fine = &M->level[l], *coarse = fine + 1;
    int last = l + 1 == M->levels;
    if (last) {
        solve_last(M, right, x);
        return;
    }
    kernels->add(fine, NULL, NULL, x, 1);
    kernels->sweep(fine, right, x, 0);
    kernels->residual(fine, right, x, fine->left);
    kernels->restricted(fine, coarse, fine->left);
    general_cycle(M, l + 1, coarse->right, coarse->x);
    for (int visit = 1; visit < coarse->visits; visit++) {
        kernels->add(coarse, NULL, coarse->x, coarse->first, 1);
        kernels->residual(coarse, coarse->right, coarse->x, coarse->left);
        kernels->add(coarse, NULL, coarse->left, coarse->right, 1);
        general_cycle(M, l + 1, coarse->right, coarse->x);
        kernels->add(coarse, NULL, coarse->first, coarse->x, 0);
    }
    kernels->interpolate(fine, coarse, fine->left);
    kernels->add(fine, fine->scale, fine->left, x, 0);
    kernels->sweep(fine, right, x, 1);
}

/* Two visits with the map C make 2 C - C A C, which is definite where the eigenvalues of C A are below 2: jumps of the
 * coefficient may raise some above. A power iteration comes near the largest from below. */
enum { POWERS = 12 };
#define LARGEST 1.6

static double norm_of(const struct sv_multilevel *M, const struct sv_level *g, const void *x)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < g->n[0] * g->n[1] * g->n[2]; i++)
        sum += value(M, x, place(g, i)) * value(M, x, place(g, i));
    return sqrt(sum);
}

void sv_multilevel_settle(struct sv_multilevel *M)
{
    const struct sv_general_kernels *kernels = sv_general_kernels(M->single);
    for (int l = M->levels - 2; l > 0; l--) {
        struct sv_level *g = &M->level[l];
        ptrdiff_t cells = g->n[0] * g->n[1] * g->n[2];
        double size = 0, before = 1;
        kernels->add(g, NULL, NULL, g->x, 1);
        for (ptrdiff_t i = 0; i < cells; i++) /* neither smooth nor rough, where cells take part */
            set(M, g->x, place(g, i), (value(M, g->inverse, place(g, i)) > 0) * (1 + i % 7 - i % 2 * 4.5));
        before = norm_of(M, g, g->x);
        for (int n = 0; n < POWERS && before > 0; n++) {
            kernels->add(g, NULL, NULL, g->right, 1);
            kernels->residual(g, g->right, g->x, g->left);
            kernels->add(g, NULL, g->left, g->right, 1);
            general_cycle(M, l, g->right, g->x);
            double after = norm_of(M, g, g->x);
            size = after / before;
            for (ptrdiff_t i = 0; i < cells && after > 0; i++)
                set(M, g->x, place(g, i), value(M, g->x, place(g, i)) / after);
            kernels->add(g, NULL, g->x, g->x, 1); /* closes its rows */
            before = after > 0 ? 1 : 0;
        }
        g->visits = size < LARGEST ? 2 : 1;
    }
}

static void cycle(const struct sv_multilevel *M, const void *r, void *z, const double *q, double *partial)
{
    const struct sv_cycle_kernels *kernels = sv_cycle_kernels(M->single);
    const struct sv_level *level = M->level;
    int last = M->levels - 1;
    for (int l = 0; l < last; l++)
        kernels->restricted(&level[l], &level[l + 1], l ? level[l].right : r, M->work, M->threads);
    solve_last(M, last ? level[last].right : r, last ? level[last].x : z);
    for (int l = last - 1; l >= 0; l--)
        kernels->prolonged(&level[l], &level[l + 1], l ? level[l].right : r, l ? level[l].x : z, l ? NULL : q, partial,
                           M->work, M->threads);
}

void sv_multilevel_cycle(const struct sv_multilevel *M, const void *r, void *z)
{
    if (!M->general) {
        cycle(M, r, z, NULL, NULL);
        return;
    }
    general_cycle(M, 0, r, z);
    sv_general_kernels(M->single)->open_rows(&M->level[0], z);
}

/* (a, b) of two vectors of the first level, of the hierarchy's type. */
static double product_of(const struct sv_multilevel *M, const void *a, const void *b)
{
    const struct sv_level *g = &M->level[0];
    double sum = 0;
    for (ptrdiff_t i = 0; i < g->n[0] * g->n[1] * g->n[2]; i++)
        sum += value(M, a, place(g, i)) * value(M, b, place(g, i));
    return sum;
}

void sv_multilevel_cycle_with(const struct sv_multilevel *M, const void *cast, void *z, const double *q, double *partial,
                              double sums[2])
{
    const ptrdiff_t planes = M->level[0].n[2];
    if (M->general || M->levels == 1) { /* no pass up makes z */
        sv_multilevel_cycle(M, cast, z);
        sums[0] = outer_table()->dot(&M->level[0], M->single, z, q, partial, M->threads);
        sums[1] = product_of(M, z, cast);
        return;
    }
    cycle(M, cast, z, q, partial);
    sums[0] = sums[1] = 0;
    for (ptrdiff_t k = 0; k < planes; k++)
        sums[0] += partial[k], sums[1] += partial[planes + k];
}

static void unpack(const struct sv_multilevel *M, double scale, const void *vector, double *z)
{
    const struct sv_level *g = &M->level[0];
    for (ptrdiff_t row = 0; row < g->n[1] * g->n[2]; row++, z += g->n[0]) {
        const float *single = (const float *)vector + row * g->pitch + MULTILEVEL_LEAD;
        const double *full = (const double *)vector + row * g->pitch + MULTILEVEL_LEAD;
        for (ptrdiff_t i = 0; i < g->n[0]; i++)
            z[i] = scale * (M->single ? (double)single[i] : full[i]);
    }
}

void sv_multilevel_apply_by(const struct sv_multilevel *M, double scale, const double *r, double *z, void *given,
                            void *result)
{
    const struct sv_level *g = &M->level[0];
    const double unit = sv_plan_scale(sv_linalg_norm((size_t)(g->n[0] * g->n[1] * g->n[2]), r));
    sv_setup_kernels(M->single)->pack(g, unit, 0, r, given, M->threads);
    sv_multilevel_cycle(M, given, result);
    unpack(M, scale / unit, result, z);
}
