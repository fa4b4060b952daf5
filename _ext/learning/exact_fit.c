/* Coefficients >= 0 that fit many columns to few samples exactly.
 *
 * An active-set method finds them one column at a time, on faces as large as the number of samples, whose columns all but
 * depend on one another. Here all columns are in use at first, by the solution of least norm, X'u with X X'u = y; those whose
 * coefficients are below zero leave, and so on. Often no more leave after a few times, and there is nothing left to be found;
 * else nothing is known. A round costs n^2 / 2 multiply-adds a column and n^3 / 6 for the factor, as of coordinate_gram.c.
 */
#include "exact_fit.h"

#include <math.h>
#include <string.h>

#include "columns.h"
#include "coordinate_gram.h"

/* Columns for each sample, at least, and such that lead downhill: of few the fit would be made; rounds; solutions with what
 * the last one left; columns that are turned at once. */
enum { MANY = 4, DOWNHILL = 2, ROUNDS = 20, SOLUTIONS = 3, TURNED = 512 };

static int serves(const struct sv_fit *fit, const double *g)
{
    const struct sv_separable *p = &fit->penalty;
    size_t downhill = 0;
    int plain = fit->dense && !fit->ones && fit->loss.kind == SV_LOSS_SQUARED;
    plain = plain && fit->n <= SV_GRAM_MOST && fit->d >= MANY * fit->n;
    for (size_t j = 0; plain && j < fit->d; j++)
        plain = p->l1[j] == 0 && p->l2[j] == 0 && p->low[j] == 0 && p->high[j] == INFINITY;
    for (size_t j = 0; plain && j < fit->d; j++)
        downhill += g[j] < 0;
    return plain && downhill >= DOWNHILL * fit->n;
}

/* K = X X' of the columns in the list, in its lower triangle; H: n x n; panel: n x turned. */
static void form(const struct sv_fit *fit, size_t count, size_t turned, double *panel, double *H, double *K)
{
    size_t n = fit->n;
    memset(K, 0, n * n * sizeof *K);
    for (size_t from = 0; from < count; from += turned) {
        size_t some = count - from < turned ? count - from : turned;
        for (size_t c = 0; c < some; c++) {
            const double *x = fit->dense + (size_t)fit->places[from + c] * fit->stride;
            for (size_t i = 0; i < n; i++)
                panel[i * turned + c] = x[i];
        }
        sv_columns_products(panel, some, turned, n, n, NULL, NULL, H, n, NULL);
        for (size_t a = 0; a < n; a++)
            for (size_t b = a; b < n; b++)
                K[b * n + a] += H[a * n + b];
    }
}

/* w = X'u for which X w = y, of the columns in the list, as far as rounding lets it; r: what is left of y. */
static void solve(const struct sv_fit *fit, size_t count, const double *K, double *w, double *r, double *u, double *more)
{
    size_t n = fit->n;
    memset(w, 0, count * sizeof *w);
    memcpy(r, fit->loss.y, n * sizeof *r);
    for (int k = 0; k < SOLUTIONS; k++) {
        memcpy(u, r, n * sizeof *u);
        sv_gram_solve(K, n, u);
        sv_columns_dots(fit->dense, n, fit->stride, count, fit->places, u, more);
        for (size_t j = 0; j < count; j++)
            w[j] += more[j];
        sv_columns_combine(fit->dense, n, fit->stride, count, fit->places, w, u);
        for (size_t i = 0; i < n; i++)
            r[i] = fit->loss.y[i] - u[i];
    }
}

int sv_fit_exactly(struct sv_fit *fit, const double *g, double *coef)
{
    size_t n = fit->n, count = fit->d, kept = 0;
    if (!serves(fit, g)) /* else there is room for what follows */
        return 0;
    double *w = fit->work, *more = w + count, *r = more + count, *u = r + n, *K = u + n, *H = K + n * n, *panel = H + n * n;
    size_t room = (sv_fit_work(n, fit->d) - (size_t)(panel - fit->work)) / n, turned = room < TURNED ? room : TURNED;
    for (size_t j = 0; j < count; j++)
        fit->places[j] = (int32_t)j;
    for (int round = 0; round < ROUNDS && count >= n; round++, count = kept) {
        form(fit, count, turned, panel, H, K);
        if (!sv_gram_factor(K, n))
            return 0;
        solve(fit, count, K, w, r, u, more);
        kept = 0;
        for (size_t j = 0; j < count; j++)
            if (w[j] >= 0) {
                w[kept] = w[j];
                fit->places[kept++] = fit->places[j];
            }
        if (kept == count) {
            double left = 0;
            for (size_t i = 0; i < n; i++)
                left += r[i] * r[i] * (fit->loss.s ? fit->loss.s[i] : 1);
            if (!(left <= fit->tol * fit->at_zero))
                return 0;
            memset(coef, 0, fit->d * sizeof *coef);
            for (size_t j = 0; j < count; j++)
                coef[fit->places[j]] = w[j];
            return 1;
        }
    }
    return 0;
}
