/* Rows of vectors that hold MANY right-hand sides: see multilevel_many.h. For both float widths. */
#ifndef SOLVERS_LINALG_MANY_ROWS_H
#define SOLVERS_LINALG_MANY_ROWS_H

#include "multilevel_many.h"
#include "multilevel_rows.h"

/* The registers of a cell. */
#define EACH_PART(l) for (int l = 0; l < MANY; l += SV_W)

INLINE ptrdiff_t many_row(const struct sv_level *g, ptrdiff_t k, ptrdiff_t j)
{
    return MANY * ((k * g->n[1] + j) * (g->n[0] + 2) + 1);
}

/* Row (k, j) of x, of the zeros where the grid has none. */
INLINE const real *many_row_of(const struct sv_level *g, const real *zeros, const real *x, ptrdiff_t k, ptrdiff_t j)
{
    k = on_axis(k, g->n[2], g->periodic[2]), j = on_axis(j, g->n[1], g->periodic[1]);
    return k < 0 || j < 0 ? zeros + MANY : x + many_row(g, k, j);
}

INLINE struct around many_around(const struct sv_level *g, const real *zeros, const real *x, ptrdiff_t k, ptrdiff_t j,
                                 int axes, int constant)
{
    struct around a = {.own = x + many_row(g, k, j)};
    if (axes > 1)
        a.z[0] = many_row_of(g, zeros, x, k - 1, j), a.z[1] = many_row_of(g, zeros, x, k + 1, j);
    if (axes > 2)
        a.y[0] = many_row_of(g, zeros, x, k, j - 1), a.y[1] = many_row_of(g, zeros, x, k, j + 1);
    couple(&a, g, k, j, axes, constant);
    return a;
}

/* What lies before and after a row's cells, where x is periodic. */
INLINE void many_close(const struct sv_level *g, real *row)
{
    if (g->periodic[0]) {
        memcpy(row - MANY, row + MANY * (g->n[0] - 1), MANY * sizeof(real));
        memcpy(row + MANY * g->n[0], row, MANY * sizeof(real));
    }
}

#endif
