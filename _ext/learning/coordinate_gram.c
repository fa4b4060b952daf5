/* X'D X of a working set's columns, and the active-set method of quadratic.h on it.
 *
 * Where columns all but depend on one another sweeps crawl, and conjugate gradients lose what rounding takes: a factor of the
 * matrix does not. It costs n p^2 / 2 multiply-adds, in tiles of columns (sparse: the squares of the rows' entries over 2, or
 * p / 2 passes over the entries, by dots of a scattered column with those after it). quadratic.h wants LAPACK's factorisation and triangular solves; this library links none, and the
 * two here serve faces of at most SV_GRAM_MOST coordinates, by dots of rows: n^3 / 6 multiply-adds, from the second cache.
 */
#include "coordinate_gram.h"

#include <math.h>
#include <string.h>

#include "columns.h"
#include "quadratic.h"

SV_DISPATCH(struct quadratic_kernels, kernel_table, quadratic_kernels_f64)

enum { PHASES = 200, FEW_FEATURES = 8, PACKED = 96 };

/* Features of less than this share of entries are multiplied row by row: a product a pair of entries, each at a scattered
 * place, where dots take one an entry and column. */
#define SPARSE 0.3

/* What a sparse entry takes to be turned to its row, and a pair of them; to become a bit, and a word of bits of a pair of
 * columns; where a sweep takes one. */
#define TURNED 4
#define SCATTERED 1.5
#define SET 1
#define WORDS 0.4

/* What a move may seem to raise the objective by rounding, relative to its terms. */
#define ROUNDING 1e-13

/* ---- a factor ---- */

/* To Fortran the rows of L are the columns of an upper triangle. */
static void factor_rows(char *uplo, int *n, double *a, int *lda, int *info)
{
    (void)uplo;
    *info = kernel_table()->factor(a, (size_t)*n, (size_t)*lda);
}

/* L x = b ('T') or L'x = b ('N'), in place. */
static void solve_rows(char *uplo, char *trans, char *diag, int *n, double *a, int *lda, double *x, int *incx)
{
    (void)uplo, (void)diag, (void)incx;
    kernel_table()->solve(a, (size_t)*n, (size_t)*lda, x, *trans == 'N');
}

int sv_gram_factor(double *a, size_t n) { return kernel_table()->factor(a, n, n) == 0; }

void sv_gram_solve(const double *a, size_t n, double *x)
{
    kernel_table()->solve(a, n, n, x, 0);
    kernel_table()->solve(a, n, n, x, 1);
}

/* ---- the matrix ---- */

static double sum_of(const double *x, size_t n)
{
    double sum[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        sum[i & 3] += x[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* The upper triangle of X'D X of dense features, and the products with the ones. Many columns are packed for it, where there
 * is memory. */
static void form_dense(const struct sv_sweeps *s, size_t features, double *weights, double *H)
{
    size_t p = s->p, bytes = features >= PACKED ? sv_columns_gram_work(features) * sizeof *H : 0;
    int used;
    double *block = bytes ? sv_scratch_take(bytes, &used) : NULL;
    sv_columns_products(s->dense, s->n, s->stride, features, features, s->list, s->weights, H, p, block);
    if (block)
        sv_scratch_give(block, bytes);
    if (!s->ones)
        return;
    double *last = H + (p - 1) * p;
    for (size_t i = 0; i < s->n; i++)
        weights[i] = s->weights ? s->weights[i] : 1;
    sv_columns_dots(s->dense, s->n, s->stride, features, s->list, weights, last);
    for (size_t a = 0; a < features; a++)
        H[a * p + p - 1] = last[a];
}

/* Entries of the working set's features, in shares of a dense matrix. */
static double density(const struct sv_sweeps *s, size_t features)
{
    double entries = 0;
    if (s->dense)
        return 1;
    for (size_t a = 0; a < features; a++)
        entries += (double)sv_sweeps_entries(s, a);
    return entries / ((double)s->n * (double)features);
}

double sv_gram_costs_by_bits(size_t n, size_t columns, double entries)
{
    double pairs = 0.5 * (double)columns * (double)columns;
    return SET + WORDS * pairs * (double)n / (64 * entries);
}

static double costs_of_bits(const struct sv_sweeps *s, size_t features)
{
    return sv_gram_costs_by_bits(s->n, features, density(s, features) * (double)s->n * (double)features);
}

/* The same by rows. */
static double costs_of_rows(const struct sv_sweeps *s, size_t features)
{
    return TURNED + 0.5 * SCATTERED * density(s, features) * (double)features;
}

double sv_gram_costs(const struct sv_sweeps *s)
{
    size_t features = s->p - (s->ones != 0);
    double sweeps = 0.5 * (double)s->p;
    if (s->dense || features == 0)
        return sweeps;
    sweeps = density(s, features) < SPARSE ? costs_of_rows(s, features) : sweeps;
    return s->flat ? fmin(sweeps, costs_of_bits(s, features)) : sweeps;
}

/* The same of sparse features, as the sum of the rows' outer products: some rows at a time, turned from columns into the
 * buffer of p^2 doubles; cursor: 2p. */
static void form_by_rows(const struct sv_sweeps *s, size_t features, double *buffer, int32_t *cursor, double *H)
{
    const struct sv_compressed X = s->sparse;
    size_t room = s->p * s->p * 2 / 3, most = room / features < s->p ? room / features : s->p - 1;
    int32_t *place = (int32_t *)(buffer + room), *starts = cursor + s->p;
    memset(H, 0, s->p * s->p * sizeof *H);
    for (size_t a = 0; a < features; a++)
        cursor[a] = X.starts[sv_sweeps_column(s, a)];
    for (size_t from = 0, end; from < s->n; from = end) {
        end = from + most < s->n ? from + most : s->n;
        /* starts[i + 1] counts, then is where row i goes on, and in the end where it ends. */
        memset(starts, 0, (end - from + 1) * sizeof *starts);
        for (size_t a = 0; a < features; a++)
            for (int32_t e = cursor[a]; e < X.starts[sv_sweeps_column(s, a) + 1] && (size_t)X.index[e] < end; e++)
                starts[(size_t)X.index[e] - from + 1]++;
        for (size_t i = 0, sum = 0, count; i < end - from; i++, sum += count) {
            count = (size_t)starts[i + 1];
            starts[i + 1] = (int32_t)sum;
        }
        for (size_t a = 0; a < features; a++) {
            int32_t e = cursor[a];
            for (; e < X.starts[sv_sweeps_column(s, a) + 1] && (size_t)X.index[e] < end; e++) {
                int32_t at = starts[(size_t)X.index[e] - from + 1]++;
                place[at] = (int32_t)a;
                buffer[at] = X.value[e];
            }
            cursor[a] = e;
        }
        const struct sv_compressed rows = {starts, place, buffer, NULL};
        sv_compressed_gram(&rows, end - from, s->weights ? s->weights + from : NULL, H, s->p, 0);
    }
}

/* The same of flat columns, which are written as bits into the buffer, some rows at a time. */
static void form_by_bits(const struct sv_sweeps *s, size_t features, double *buffer, int32_t *cursor, double *H)
{
    sv_compressed_flat_gram(&s->sparse, s->n, features, s->list, (uint64_t *)buffer, s->p, cursor, H, s->p);
}

/* The same by dots of a scattered column with those after it. */
static void form_by_dots(const struct sv_sweeps *s, size_t features, double *scaled, double *H)
{
    memset(scaled, 0, s->n * sizeof *scaled);
    for (size_t a = 0; a < features; a++) {
        const int32_t *starts = s->sparse.starts + sv_sweeps_column(s, a);
        double *row = H + a * s->p;
        for (int32_t e = starts[0]; e < starts[1]; e++) {
            int32_t i = s->sparse.index[e];
            scaled[i] = s->weights ? s->weights[i] * s->sparse.value[e] : s->sparse.value[e];
        }
        sv_compressed_gather(&s->sparse, features - a, s->list + a, scaled, row + a);
        for (int32_t e = starts[0]; e < starts[1]; e++)
            scaled[s->sparse.index[e]] = 0;
    }
}

/* The products of sparse features with the ones. */
static void add_ones(const struct sv_sweeps *s, size_t features, double *H)
{
    const struct sv_compressed X = s->sparse;
    for (size_t a = 0; a < features; a++) {
        double sum = 0;
        for (int32_t e = X.starts[sv_sweeps_column(s, a)]; e < X.starts[sv_sweeps_column(s, a) + 1]; e++)
            sum += (s->weights ? s->weights[X.index[e]] : 1) * X.value[e];
        H[a * s->p + s->p - 1] = sum;
    }
}

/* H (p x p) = X'D X and the l2 terms on its diagonal; buffer and cursor as of form_by_rows. */
static void form(const struct sv_sweeps *s, double *scaled, double *H, double *buffer, int32_t *cursor)
{
    size_t p = s->p, features = p - (s->ones != 0);
    int by_rows = !s->dense && features >= FEW_FEATURES && density(s, features) < SPARSE;
    if (s->dense)
        form_dense(s, features, scaled, H);
    else if (s->flat && features > 0 && !(by_rows && costs_of_rows(s, features) < costs_of_bits(s, features)))
        form_by_bits(s, features, buffer, cursor, H);
    else if (by_rows)
        form_by_rows(s, features, buffer, cursor, H);
    else
        form_by_dots(s, features, scaled, H);
    if (s->ones && !s->dense)
        add_ones(s, features, H);
    if (s->ones)
        H[p * p - 1] = s->weights ? sum_of(s->weights, s->n) : (double)s->n;
    for (size_t a = 0; a < p; a++) {
        H[a * p + a] += s->l2[a];
        for (size_t b = 0; b < a; b++)
            H[a * p + b] = H[b * p + a];
    }
}

int sv_gram_minimise(struct sv_sweeps *model, double *slope, double tol, double *scaled, double *work, int32_t *places)
{
    size_t p = model->p;
    double *H = work, *factor = H + p * p, *before = factor + p * p, *w = before + p, *rest = w + p;
    double rise = 0, size = 0;
    form(model, scaled, H, factor, places);
    memcpy(before, slope, p * sizeof *before);
    memcpy(w, model->w, p * sizeof *w);
    for (size_t k = 0; k < 2 * p; k++)
        places[k] = -1;
    struct sv_quadratic q = {
        .p = p, .stride = p, .H = H, .weight = model->l1, .low = model->low, .high = model->high, .w = w, .g = slope,
        .face = places, .place = places + p, .factor = factor, .step = rest, .from = rest + 4 * p, .origin = rest + 5 * p,
        .slope = rest + 6 * p, .lapack = {factor_rows, solve_rows}};
    if (isinf(sv_quadratic_minimise(&q, tol, PHASES)))
        return 0;
    for (size_t k = 0; k < p; k++) {
        double smooth = 0.5 * (before[k] + slope[k]) * (w[k] - model->w[k]);
        double bent = model->l1[k] * (fabs(w[k]) - fabs(model->w[k]));
        rise += smooth + bent;
        size += fabs(smooth) + fabs(bent);
    }
    if (!(rise <= ROUNDING * size))
        return 0;
    memcpy(model->w, w, p * sizeof *w);
    return 1;
}
