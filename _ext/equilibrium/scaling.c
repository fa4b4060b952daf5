/* Scaling of linear programs: rows and columns of like size, sides and objective of size one. See program.h.
 *
 * Ruiz' passes divide rows and columns by the square roots of their largest entries; a pass of Pock and Chambolle (2011)
 * then by the square roots of their sums of absolute entries. All that is promised of a solution is measured on
 * the user's data.
 */
#include "program.h"

#include <math.h>
#include <string.h>

enum { RUIZ_PASSES = 10 };

static double larger(double a, double b) { return a > b ? a : b; }

static double finite_or_zero(double x) { return isfinite(x) ? x : 0; }

/* The factors of a pass: 1 / sqrt of the largest entries, or of the sums, and 1 where there are none. */
static void factors(const struct sv_lp *lp, const double *value, int sums, double *rows, double *columns)
{
    memset(columns, 0, lp->n * sizeof *columns);
    for (size_t i = 0; i < lp->m; i++) {
        double by_row = 0;
        for (int32_t k = lp->starts[i]; k < lp->starts[i + 1]; k++) {
            double size = fabs(value[k]), *column = columns + lp->index[k];
            by_row = sums ? by_row + size : larger(size, by_row);
            *column = sums ? *column + size : larger(size, *column);
        }
        rows[i] = 1 / sqrt(by_row > 0 ? by_row : 1);
    }
    for (size_t j = 0; j < lp->n; j++)
        columns[j] = 1 / sqrt(columns[j] > 0 ? columns[j] : 1);
}

/* v becomes v factor and then v more, or v / factor; infinite sides stay. */
static void scale(double *v, const double *factor, int divide, size_t length)
{
    for (size_t k = 0; k < length; k++)
        v[k] = divide ? v[k] / factor[k] : v[k] * factor[k];
}

static void scale_all(double *v, double factor, size_t length)
{
    for (size_t k = 0; k < length; k++)
        v[k] *= factor;
}

void sv_program_scale(const struct sv_lp *lp, double *value, double *c, double *l, double *u, double *lb, double *ub,
                      int sums, struct sv_scales *s, double *work)
{
    size_t m = lp->m, n = lp->n;
    double *rows = work, *columns = work + m;
    for (size_t i = 0; i < m; i++)
        s->rows[i] = 1;
    for (size_t j = 0; j < n; j++)
        s->columns[j] = 1;
    for (int pass = 0; pass < RUIZ_PASSES + (sums != 0); pass++) {
        factors(lp, value, pass == RUIZ_PASSES, rows, columns);
        for (size_t i = 0; i < m; i++)
            for (int32_t k = lp->starts[i]; k < lp->starts[i + 1]; k++)
                value[k] *= rows[i] * columns[lp->index[k]];
        scale(s->rows, rows, 0, m);
        scale(s->columns, columns, 0, n);
    }
    scale(c, s->columns, 0, n);
    scale(l, s->rows, 0, m);
    scale(u, s->rows, 0, m);
    scale(lb, s->columns, 1, n);
    scale(ub, s->columns, 1, n);
    for (size_t i = 0; i < m; i++)
        work[i] = larger(fabs(finite_or_zero(l[i])), fabs(finite_or_zero(u[i])));
    s->sides = 1 / (1 + sqrt(sv_program_dot(work, work, m)));
    s->cost = 1 / (1 + sqrt(sv_program_dot(c, c, n)));
    scale_all(c, s->cost, n);
    scale_all(l, s->sides, m);
    scale_all(u, s->sides, m);
    scale_all(lb, s->sides, n);
    scale_all(ub, s->sides, n);
}
