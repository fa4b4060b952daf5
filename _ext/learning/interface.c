/* sv_glm_create: the samples of generalised linear models, checked once: see solvers.h. */
#include "interface_glm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Columns that are copied side by side. */
enum { TOGETHER = 16 };

static double *taken(double **rest, size_t count)
{
    double *array = *rest;
    *rest += count;
    return array;
}

static double entry(const sv_design *X, size_t i, size_t j)
{
    return X->X[(ptrdiff_t)i * X->row_stride + (ptrdiff_t)j * X->column_stride];
}

/* ---- checks ---- */

static int check_dense(const sv_design *X)
{
    size_t rows = (size_t)llabs(X->row_stride), columns = (size_t)llabs(X->column_stride), unused;
    int status = sv_product(X->n, rows, "X->row_stride", &unused);
    if (!status)
        status = sv_product(X->d, columns, "X->column_stride", &unused);
    /* In the order in which they lie. */
    int by_rows = columns < rows;
    for (size_t a = 0; !status && a < (by_rows ? X->n : X->d); a++)
        for (size_t b = 0; b < (by_rows ? X->d : X->n); b++) {
            size_t i = by_rows ? a : b, j = by_rows ? b : a;
            double x = entry(X, i, j);
            if (!isfinite(x))
                return sv_fail(SV_INVALID, "X->X[%zu, %zu] is %g", i, j, x);
        }
    return status;
}

static int check_sparse(const sv_design *X)
{
    if (!X->starts)
        return sv_fail(SV_INVALID, "X->X and X->starts are both NULL");
    if (X->starts[0] != 0)
        return sv_fail(SV_INVALID, "X->starts[0] is %d", (int)X->starts[0]);
    for (size_t j = 0; j < X->d; j++)
        if (X->starts[j + 1] < X->starts[j])
            return sv_fail(SV_INVALID, "X->starts[%zu] is less than the one before", j + 1);
    if (X->starts[X->d] == 0)
        return SV_OK;
    SV_NEED(X->index);
    SV_NEED(X->value);
    for (size_t j = 0; j < X->d; j++)
        for (int32_t e = X->starts[j], last = -1; e < X->starts[j + 1]; last = X->index[e++])
            if (X->index[e] <= last || (size_t)X->index[e] >= X->n)
                return sv_fail(SV_INVALID, "X->index[%d] is %d: rows of a column must rise and be below n", (int)e,
                               (int)X->index[e]);
    return sv_check_finite(X->value, (size_t)X->starts[X->d], "X->value");
}

static int check_targets(const double *y, size_t n, int loss)
{
    int labels = loss == SV_GLM_LOGISTIC || loss == SV_GLM_SQUARED_HINGE, status = sv_check_finite(y, n, "y");
    size_t of_class[2] = {0, 0};
    if (status)
        return status;
    for (size_t i = 0; i < n; i++) {
        if (labels && fabs(y[i]) != 1)
            return sv_fail(SV_INVALID, "y[%zu] is %g, but labels are -1 and 1", i, y[i]);
        if (loss == SV_GLM_POISSON && y[i] < 0)
            return sv_fail(SV_INVALID, "y[%zu] is %g, but counts are >= 0", i, y[i]);
        of_class[y[i] > 0]++;
    }
    if (labels && (of_class[0] == 0 || of_class[1] == 0))
        return sv_fail(SV_INVALID, "y has labels of one class alone");
    return SV_OK;
}

int sv_glm_check_side(const double *x, size_t d, int side, const char *name)
{
    for (size_t j = 0; x && j < d; j++)
        if (!(side * x[j] >= 0))
            return sv_fail(SV_INVALID, "%s[%zu] is %g, but must be %s 0", name, j, x[j], side > 0 ? ">=" : "<=");
    return SV_OK;
}

/* ---- samples ---- */

static int is_kept(const double *s, size_t i) { return !s || s[i] > 0; }

/* Dense columns of the samples that count. */
static int place_dense(sv_glm *glm, const sv_design *X, const double *s)
{
    struct sv_fit *fit = &glm->fit;
    size_t size;
    if (fit->n == X->n && X->row_stride == 1 && X->column_stride >= (ptrdiff_t)X->n) {
        fit->dense = X->X;
        fit->stride = (size_t)X->column_stride;
        return SV_OK;
    }
    int status = sv_product(fit->n, fit->d, "X", &size);
    if (status || size > PTRDIFF_MAX / sizeof(double) || !(glm->columns = malloc((size + 1) * sizeof(double))))
        return status ? status : sv_fail(SV_NO_MEMORY, "X: no memory for a copy by columns");
    /* Some columns at a time: of rows that lie together, each is read once for all of them. */
    for (size_t from = 0; from < fit->d; from += TOGETHER) {
        size_t end = from + TOGETHER < fit->d ? from + TOGETHER : fit->d, row = 0;
        for (size_t i = 0; i < X->n; i++) {
            if (!is_kept(s, i))
                continue;
            for (size_t j = from; j < end; j++)
                glm->columns[j * fit->n + row] = entry(X, i, j);
            row++;
        }
    }
    fit->dense = glm->columns;
    fit->stride = fit->n;
    return SV_OK;
}

/* The same of sparse columns. */
static int place_sparse(sv_glm *glm, const sv_design *X, const double *s)
{
    struct sv_fit *fit = &glm->fit;
    size_t entries = (size_t)X->starts[X->d];
    int32_t *number, count = 0;
    fit->sparse = (struct sv_compressed){X->starts, X->index, X->value, NULL};
    if (fit->n == X->n)
        return SV_OK;
    glm->columns = malloc((entries + 1) * sizeof(double));
    glm->starts = malloc((entries + X->d + X->n + 1) * sizeof(int32_t));
    if (!glm->columns || !glm->starts)
        return sv_fail(SV_NO_MEMORY, "X: no memory for the samples of positive weight");
    int32_t *index = glm->starts + X->d + 1;
    number = index + entries; /* of each sample among those that count */
    for (size_t i = 0; i < X->n; i++)
        number[i] = is_kept(s, i) ? count++ : -1;
    count = 0;
    glm->starts[0] = 0;
    for (size_t j = 0; j < X->d; j++) {
        for (int32_t e = X->starts[j]; e < X->starts[j + 1]; e++)
            if (number[X->index[e]] >= 0) {
                index[count] = number[X->index[e]];
                glm->columns[count++] = X->value[e];
            }
        glm->starts[j + 1] = count;
    }
    fit->sparse = (struct sv_compressed){glm->starts, index, glm->columns, NULL};
    return SV_OK;
}

/* All other memory, and the samples' targets and weights. */
static int place_vectors(sv_glm *glm, const double *y, const double *s, size_t samples, int loss)
{
    struct sv_fit *fit = &glm->fit;
    size_t n = fit->n, all = fit->d + (fit->ones != 0), uniform = 1, k = 0;
    double *rest = glm->numbers = malloc((4 * n + 7 * all + sv_fit_work(n, fit->d)) * sizeof(double));
    glm->places = malloc(3 * (fit->d + 1) * sizeof(int32_t));
    glm->masks = malloc(3 * (fit->d + 1));
    if (!glm->numbers || !glm->places || !glm->masks)
        return sv_fail(SV_NO_MEMORY, "X: no memory for vectors of its sizes");
    glm->y = taken(&rest, n), glm->s = taken(&rest, n), glm->state.z = taken(&rest, n), glm->state.v = taken(&rest, n);
    glm->l1 = taken(&rest, all), glm->l2 = taken(&rest, all), glm->low = taken(&rest, all);
    glm->high = taken(&rest, all), glm->norms = taken(&rest, all);
    glm->state.w = taken(&rest, all), glm->state.g = taken(&rest, all);
    glm->state.alive = glm->masks;
    glm->state.working = glm->masks + fit->d + 1;
    glm->guess = glm->state.working + fit->d + 1;
    fit->work = rest;
    fit->places = glm->places;
    for (size_t i = 0; i < samples; i++)
        if (is_kept(s, i)) {
            glm->y[k] = y[i];
            glm->s[k] = s ? s[i] : 1;
            uniform &= glm->s[k++] == 1;
        }
    fit->loss = (struct sv_loss){loss, n, glm->y, uniform ? NULL : glm->s};
    fit->penalty = (struct sv_separable){all, glm->l1, glm->l2, glm->low, glm->high};
    fit->norms = glm->norms;
    sv_fit_norms(fit, glm->norms);
    return SV_OK;
}

static int check_samples(const sv_design *X, const double *y, const double *s, int loss, size_t *kept)
{
    size_t entries;
    if (X->n == 0)
        return sv_fail(SV_INVALID, "X has no samples");
    if (X->n >= INT32_MAX || X->d >= INT32_MAX)
        return sv_fail(SV_NO_MEMORY, "X: n and d must be below 2^31 - 1");
    int status = sv_product(X->n, X->d, "X", &entries);
    if (!status)
        status = X->X ? check_dense(X) : X->d > 0 || X->starts ? check_sparse(X) : SV_OK;
    if (!status && s && !(status = sv_check_finite(s, X->n, "sample_weight")))
        status = sv_glm_check_side(s, X->n, 1, "sample_weight");
    *kept = 0;
    for (size_t i = 0; !status && i < X->n; i++)
        *kept += is_kept(s, i);
    if (!status && *kept == 0)
        return sv_fail(SV_INVALID, "sample_weight is 0 throughout");
    return status ? status : check_targets(y, X->n, loss);
}

int sv_glm_create(sv_glm **glm, const sv_design *X, const double *y, const double *sample_weight, int loss,
                  int fit_intercept)
{
    static const int32_t nothing[1] = {0};
    sv_design given = SV_DESIGN_INIT;
    size_t kept = 0;
    SV_NEED(glm);
    SV_NEED(X);
    SV_NEED(y);
    int status = sv_read_struct(&given, sizeof given, X, "X");
    if (!status && (loss < SV_GLM_SQUARED || loss > SV_GLM_POISSON))
        status = sv_fail(SV_INVALID, "loss: there is no loss of number %d", loss);
    if (!status)
        status = check_samples(&given, y, sample_weight, loss, &kept);
    if (status)
        return status;
    if (!given.X && !given.starts)
        given.starts = nothing;
    sv_glm *made = calloc(1, sizeof *made);
    if (!made)
        return sv_fail(SV_NO_MEMORY, "glm: no memory");
    atomic_flag_clear(&made->guard.taken);
    made->fit.n = kept, made->fit.d = given.d, made->fit.ones = fit_intercept != 0;
    status = given.X ? place_dense(made, &given, sample_weight) : place_sparse(made, &given, sample_weight);
    if (!status)
        status = place_vectors(made, y, sample_weight, given.n, loss);
    if (status) {
        sv_glm_destroy(made);
        return status;
    }
    *glm = made;
    return SV_OK;
}

void sv_glm_destroy(sv_glm *glm)
{
    if (!glm)
        return;
    free(glm->numbers);
    free(glm->columns);
    free(glm->places);
    free(glm->starts);
    free(glm->masks);
    free(glm);
}
