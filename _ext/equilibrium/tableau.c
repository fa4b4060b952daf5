/* The parametric self-dual simplex method on a dense dictionary: see tableau.h.
 *
 * The largest mu at which an entry of b + mu b' or c + mu c' becomes negative names the row that leaves, or the column
 * that enters; the ratio test of the other kind names its partner (Vanderbei, Linear Programming, chapter 7). It begins
 * at any basis, and from one that is nearly optimal there are few pivots. With random b', c' > 0 no two entries vanish
 * at once, so that mu falls with each pivot and no basis comes back, however degenerate the program.
 *
 * The ratio test takes the largest pivot among those that are first to within a tolerance (Harris 1973). A pivot costs
 * one pass over D, 16 bytes an entry.
 */
#include "tableau.h"

#include <math.h>

SV_DISPATCH(struct tableau_kernels, kernel_table, tableau_kernels_f64)

/* Entries too small to pivot on, in units of 1 and of the largest of their row or column, and how far the ratio test may
 * go below zero. */
#define LEAST_PIVOT 1e-9
#define HARRIS 1e-12

/* Exchanges what is basic in row i for what is not in column j. */
static void pivot(struct sv_tableau *t, size_t i, size_t j)
{
    size_t n = t->columns;
    double *d = t->D + i * n, p = d[j];
    for (size_t k = 0; k < n; k++)
        t->row[k] = -d[k] / p;
    t->row[j] = 1 / p;
    for (size_t k = 0; k < t->rows; k++) {
        t->column[k] = t->D[k * n + j];
        t->D[k * n + j] = 0;
    }
    kernel_table()->eliminate(t, i);
    double b = -t->b[i] / p, moving = -t->b_moving[i] / p, c = t->c[j], c_moving = t->c_moving[j];
    for (size_t k = 0; k < t->rows; k++) {
        t->b[k] += t->column[k] * b;
        t->b_moving[k] += t->column[k] * moving;
    }
    t->b[i] = b;
    t->b_moving[i] = moving;
    t->c[j] = t->c_moving[j] = 0;
    for (size_t k = 0; k < n; k++) {
        d[k] = t->row[k];
        t->c[k] += c * t->row[k];
        t->c_moving[k] += c_moving * t->row[k];
    }
    int64_t label = t->row_label[i];
    t->row_label[i] = t->column_label[j];
    t->column_label[j] = label;
    t->pivots++;
}

/* The entry that is first to become negative as mu falls, and at which mu; -inf: none. */
static size_t first_negative(const double *fixed, const double *moving, size_t n, double tol, double *mu)
{
    size_t first = 0;
    *mu = -INFINITY;
    for (size_t k = 0; k < n; k++) {
        double lacking = -fixed[k] - tol;
        if (lacking <= 0)
            continue;
        double at = moving[k] > HARRIS ? lacking / moving[k] : INFINITY;
        if (at > *mu) {
            *mu = at;
            first = k;
        }
    }
    return first;
}

/* Which of the values fixed + mu moving, falling at the rates `rate` > 0, is the first to vanish; n: none falls. */
static size_t ratio_test(const double *fixed, const double *moving, double mu, const double *entries, size_t step,
                         double sign, size_t n)
{
    double least = INFINITY, largest = 1;
    size_t chosen = n;
    for (size_t k = 0; k < n; k++)
        largest = fmax(largest, fabs(entries[k * step]));
    double least_pivot = LEAST_PIVOT * largest;
    largest = 0;
    for (size_t k = 0; k < n; k++) {
        double rate = sign * entries[k * step];
        if (rate > least_pivot) {
            double at = (fmax(fixed[k] + mu * moving[k], 0) + HARRIS) / rate;
            least = at < least ? at : least;
        }
    }
    for (size_t k = 0; k < n; k++) {
        double rate = sign * entries[k * step];
        if (rate > least_pivot && rate > largest && fmax(fixed[k] + mu * moving[k], 0) <= least * rate) {
            largest = rate;
            chosen = k;
        }
    }
    return chosen;
}

int sv_tableau_minimise(struct sv_tableau *t, double tol, int64_t most_pivots)
{
    double last = INFINITY;
    for (int64_t k = 0; k < most_pivots; k++) {
        double row_mu, column_mu;
        size_t i = first_negative(t->b, t->b_moving, t->rows, tol, &row_mu);
        size_t j = first_negative(t->c, t->c_moving, t->columns, tol, &column_mu);
        double mu = row_mu > column_mu ? row_mu : column_mu;
        if (!(mu > 0))
            return SV_TABLEAU_OPTIMAL;
        if (mu == INFINITY) /* rounding made it negative where mu cannot help */
            mu = isfinite(last) ? last : 0;
        last = mu;
        if (row_mu >= column_mu)
            j = ratio_test(t->c, t->c_moving, mu, t->D + i * t->columns, 1, 1, t->columns);
        else
            i = ratio_test(t->b, t->b_moving, mu, t->D + j, t->columns, -1, t->rows);
        if (i == t->rows || j == t->columns)
            return SV_TABLEAU_STUCK;
        pivot(t, i, j);
    }
    return SV_TABLEAU_TIRED;
}

void sv_tableau_enter(struct sv_tableau *t, uint8_t *row_marked, uint8_t *column_marked, double least)
{
    for (;;) {
        double most = least;
        size_t row = t->rows, column = 0;
        for (size_t i = 0; i < t->rows; i++)
            for (size_t j = 0; row_marked[i] && j < t->columns; j++) {
                double size = column_marked[j] ? fabs(t->D[i * t->columns + j]) : 0;
                if (size > most) {
                    most = size;
                    row = i;
                    column = j;
                }
            }
        if (row == t->rows)
            return;
        pivot(t, row, column);
        row_marked[row] = column_marked[column] = 0;
    }
}
