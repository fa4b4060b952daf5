/* What a pair is worth on a dense game: see payoff.h. A is read once a product, 8 bytes an entry, and of the lines that
 * a strategy plays alone where they are contiguous, or few. */
#include "payoff.h"

#include <math.h>
#include <string.h>

#include "game.h"
#include "program.h"

SV_DISPATCH(struct game_kernels, kernel_table, game_kernels_f64)

/* The inverse of the share of the strategies below which those played are gathered. */
enum { FEW = 16, LARGEST_EXPONENT = 1000 };

/* out = A x, A of m x n with any strides. */
static void times(const double *A, size_t m, size_t n, ptrdiff_t row_stride, ptrdiff_t column_stride, const double *x,
                  double *out, int32_t *list)
{
    const struct game_kernels *kernels = kernel_table();
    size_t played = 0;
    for (size_t j = 0; j < n; j++) {
        list[played] = (int32_t)j;
        played += x[j] != 0;
    }
    if (row_stride == 1) {
        memset(out, 0, m * sizeof *out);
        for (size_t k = 0; k < played; k++) {
            const double *column = A + list[k] * column_stride;
            kernels->ahead(m, out, x[list[k]], column, 0, out, out);
        }
        return;
    }
    for (size_t i = 0; i < m; i++) {
        const double *row = A + (ptrdiff_t)i * row_stride;
        double sum = 0;
        if (column_stride == 1 && played * FEW >= n)
            sum = kernels->dot(n, row, x);
        else
            for (size_t k = 0; k < played; k++)
                sum += row[list[k] * column_stride] * x[list[k]];
        out[i] = sum;
    }
}

void sv_payoff_against(const struct sv_payoff *game, const double *x, const double *y, double *G, double *H,
                       int32_t *list)
{
    size_t m = game->m, n = game->n;
    times(game->A, m, n, game->row_stride, game->column_stride, x, H, list);
    times(game->A, n, m, game->column_stride, game->row_stride, y, G, list);
    double by_x = game->linear_x ? sv_program_dot(game->linear_x, x, n) : 0;
    double by_y = game->linear_y ? sv_program_dot(game->linear_y, y, m) : 0;
    for (size_t j = 0; j < n; j++)
        G[j] += (game->linear_x ? game->linear_x[j] : 0) + by_y;
    for (size_t i = 0; i < m; i++)
        H[i] += (game->linear_y ? game->linear_y[i] : 0) + by_x;
}

void sv_payoff_strategy(const double *values, size_t length, double *strategy)
{
    double sum = 0, part = 0;
    for (size_t k = 0; k < length; k++) {
        strategy[k] = values[k] > 0 ? values[k] : 0;
        part += strategy[k];
        if (k % 256 == 255) { /* rounding grows with the blocks */
            sum += part;
            part = 0;
        }
    }
    sum += part;
    for (size_t k = 0; k < length; k++)
        strategy[k] /= sum;
}

double sv_payoff_scale(double size)
{
    int exponent;
    if (!(size > 0))
        return 1;
    if (frexp(size, &exponent) == 0.5)
        exponent--;
    exponent = exponent > LARGEST_EXPONENT ? LARGEST_EXPONENT : exponent;
    return ldexp(1, exponent < -LARGEST_EXPONENT ? -LARGEST_EXPONENT : exponent);
}
