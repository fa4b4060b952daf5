/* The rows of a stencil in red-black order, and both colours in one pass: see grid_redblack.c. */
#ifndef SOLVERS_LINALG_GRID_REDBLACK_H
#define SOLVERS_LINALG_GRID_REDBLACK_H

#include "grid_parts.h"

#define GRID ((const struct sv_grid *)A->matrix)

enum kind { MEASURED, TRIANGULAR, EISENSTAT, TRIANGLE };

/* The arrays of a call: y is made from rhs; of t, Eisenstat's, or x of a triangle's product. */
struct call {
    const struct sv_operand *A;
    double omega;
    int first;  /* the colour that comes first: red, but black in what goes backward */
    const double *rhs, *t;
    double *y, *d;
};

/* One row's cells of one colour; `second`: this colour has the other before it. Returns the running sum of
 *   MEASURED    nothing: y is relaxed, d its change
 *   TRIANGULAR  nothing: y = omega / D (rhs + couplings y')
 *   EISENSTAT   rhs y:   y = t + omega / D (rhs + couplings (y - t)') - (2 - omega) t
 *   TRIANGLE    y y:     y = D / omega t - couplings t', stored where there is a y */
INLINE vreal colour_row(const struct sv_grid *g, const struct call *call, ptrdiff_t j, ptrdiff_t k, int colour,
                        int second, vreal total, enum kind kind, int axes, int constant)
{
    const vreal w = v_set1(call->omega), keep = v_set1(1 - call->omega), back = v_set1(2 - call->omega);
    const vreal inverse_omega = v_set1(1 / call->omega);
    vreal coupling[3];
    load_couplings(g, coupling);
    ptrdiff_t place = row_place(g, j, k), parity = parity_of(colour, j, k);
    ptrdiff_t own = place + colour * g->half, other = place + (1 - colour) * g->half;
    ptrdiff_t n = cells_of(g, parity), n_other = cells_of(g, 1 - parity);
    const void *scales = kind == TRIANGLE ? g->diagonal : g->inverse;
    const real *scale = constant ? diagonal_row(g, scales, j, k, own) + parity * g->half : (const real *)scales + own;
    const real *seen = kind == TRIANGLE ? call->t : call->y;
    const int looks = second || kind == MEASURED;
    struct around a = look_around(g, seen, j, k, own, other, parity - 1, axes, constant), minus = a;
    if (kind == EISENSTAT)
        minus = look_around(g, call->t, j, k, own, other, parity - 1, axes, constant);
    if (looks) {
        show_ends(g, seen + other, n_other);
        if (kind == EISENSTAT)
            show_ends(g, call->t + other, n_other);
    }
    for (ptrdiff_t i = 0; i < n; i += SV_W) {
        vreal sum = kind == TRIANGLE ? v_set1(0) : v_load(call->rhs + own + i), y;
        if (looks)
            sum = add_around(&a, i, coupling, sum, axes, constant);
        if (looks && kind == EISENSTAT)
            sum = v_sub(sum, add_around(&minus, i, coupling, v_set1(0), axes, constant));
        /* past the row's end `sum` may hold what was never written */
        vreal factor = v_mul(kind == TRIANGLE ? inverse_omega : w, v_load(scale + i));
        if (kind == MEASURED) {
            vreal old = v_load(call->y + own + i);
            y = v_fma(factor, sum, v_mul(keep, old));
            v_store(call->d + own + i, v_sub(y, old));
        } else if (kind == TRIANGULAR) {
            y = kept(v_mul(factor, sum), n - i);
        } else if (kind == EISENSTAT) {
            vreal t = v_load(call->t + own + i);
            y = kept(v_add(t, v_fnma(back, t, v_mul(factor, sum))), n - i);
            total = v_fma(v_load(call->rhs + own + i), y, total);
        } else {
            y = kept(v_sub(v_mul(factor, v_load(call->t + own + i)), sum), n - i);
            total = v_fma(y, y, total);
        }
        if (kind != TRIANGLE || call->y)
            v_store(call->y + own + i, y);
    }
    if (looks) {
        hide_ends(g, seen + other, n_other);
        if (kind == EISENSTAT)
            hide_ends(g, call->t + other, n_other);
    }
    /* the other colour will read the place before its neighbours */
    if (!second && kind != TRIANGLE)
        call->y[place + g->half - 1] = call->y[place + g->pitch - 1] = 0;
    ptrdiff_t room = colour ? g->pitch - g->half : g->half;
    if (kind != TRIANGLE || call->y)
        finish_row(call->y + own, n, room);
    if (kind == MEASURED)
        finish_row(call->d + own, n, room);
    return total;
}

INLINE vreal colour_layer(const struct call *call, ptrdiff_t layer, int colour, vreal total, enum kind kind, int axes,
                          int constant)
{
    const struct sv_grid *g = call->A->matrix;
    ptrdiff_t from = axes == 2 ? layer : 0, to = axes == 2 ? layer + 1 : axes == 3 ? g->n[1] : 1;
    for (ptrdiff_t j = from; j < to; j++)
        total = colour_row(g, call, j, axes == 3 ? layer : 0, colour, colour != call->first, total, kind, axes,
                           constant);
    return total;
}

/* Both colours in one pass over memory: the second follows the first a layer behind, and is made up for where the
 * layers are periodic. */
INLINE double both_colours(const struct call *call, enum kind kind, int axes, int constant)
{
    const struct sv_grid *g = call->A->matrix;
    ptrdiff_t layers = axes == 3 ? g->n[2] : axes == 2 ? g->n[1] : 1;
    int around = g->periodic[axes - 1] && axes > 1;
    vreal total = v_set1(0);
    for (ptrdiff_t front = 0; front <= layers; front++) {
        if (front < layers)
            total = colour_layer(call, front, call->first, total, kind, axes, constant);
        if (front > around)
            total = colour_layer(call, front - 1, !call->first, total, kind, axes, constant);
    }
    if (around)
        total = colour_layer(call, 0, !call->first, total, kind, axes, constant);
    return v_sum_lanes(total);
}

#endif
