/* The hierarchy and its cycle: see multilevel.h. */
#include "multilevel.h"

#include <string.h>

SV_DISPATCH(struct sv_setup_kernels, single_setup, setup_kernels_f32)
SV_DISPATCH(struct sv_setup_kernels, double_setup, setup_kernels_f64)
SV_DISPATCH(struct sv_cycle_kernels, single_cycle, cycle_kernels_f32)
SV_DISPATCH(struct sv_cycle_kernels, double_cycle, cycle_kernels_f64)
SV_DISPATCH(struct sv_outer_kernels, outer_table, outer_kernels_f64)

const struct sv_setup_kernels *sv_setup_kernels(int single) { return single ? single_setup() : double_setup(); }

const struct sv_cycle_kernels *sv_cycle_kernels(int single) { return single ? single_cycle() : double_cycle(); }

const struct sv_outer_kernels *sv_outer_kernels(void) { return outer_table(); }

size_t sv_multilevel_work(const struct sv_level *g)
{
    size_t rows = (size_t)(g->halved[1] ? (g->n[1] + 1) / 2 : g->n[1]), pitch = (size_t)g->pitch;
    return 6 * (size_t)g->n[1] * pitch + (8 * rows + 4) * pitch + 4 * MULTILEVEL_LEAD;
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
    sv_setup_kernels(M->single)->coarsen(&M->level[l], &M->level[l + 1], M->threads);
}

void sv_multilevel_weigh(const struct sv_multilevel *M, int l)
{
    const struct sv_level *fine = &M->level[l], *coarse = &M->level[l + 1];
    ptrdiff_t cells = coarse->n[0] * coarse->n[1] * coarse->n[2];
    for (ptrdiff_t i = 0; i < cells; i++) {
        ptrdiff_t at = place(coarse, i);
        set(M, coarse->x, at, value(M, coarse->inverse, at) > 0);
    }
    sv_cycle_kernels(M->single)->interpolate(fine, coarse, fine->scale, M->work, M->threads);
    sv_setup_kernels(M->single)->weigh(fine, M->threads);
}

void sv_multilevel_setup(const struct sv_multilevel *M)
{
    for (int l = 0; l + 1 < M->levels; l++) {
        sv_multilevel_coarsen(M, l);
        sv_multilevel_weigh(M, l);
    }
}

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

void sv_multilevel_cycle(const struct sv_multilevel *M, const void *r, void *z)
{
    const struct sv_cycle_kernels *kernels = sv_cycle_kernels(M->single);
    int last = M->levels - 1;
    for (int l = 0; l < last; l++)
        kernels->restricted(&M->level[l], &M->level[l + 1], l ? M->level[l].right : r, M->work, M->threads);
    solve_last(M, last ? M->level[last].right : r, last ? M->level[last].x : z);
    for (int l = last - 1; l >= 0; l--)
        kernels->prolonged(&M->level[l], &M->level[l + 1], l ? M->level[l].right : r, l ? M->level[l].x : z, M->work,
                           M->threads);
}
