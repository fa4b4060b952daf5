/* Dense programs: see dense_nlp.h. K in NumPy:
 *     K = np.block([[H + np.diag(dx), J.T], [J, -np.diag(dc)]]);  S = np.diag(s);  factor(S @ K @ S)
 */
#include "dense_nlp.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "columns.h"

SV_DISPATCH(struct dense_nlp_kernels, kernel_table, dense_nlp_kernels_f64)

/* Refinement ends where a step does not halve what is left, or after so many. */
enum { REFINEMENTS = 5 };

typedef struct {
    double *memory; /* NULL: only count */
    int64_t used;
} arena;

static double *take(arena *from, int64_t count)
{
    double *taken = from->memory ? from->memory + from->used : NULL;
    from->used += (count + SV_LDL_PAD - 1) / SV_LDL_PAD * SV_LDL_PAD;
    return taken;
}

/* Hands out all arrays; returns how much they take. */
static int64_t lay_out(sv_dense *of, double *memory)
{
    int64_t n = of->n, m = of->m, N = n + m;
    arena from = {memory, 0};
    for (sv_dense_point *at = of->point; at < of->point + SV_DENSE_POINTS; at++) {
        at->x = take(&from, n);
        at->c = take(&from, m);
        at->g = take(&from, n);
        at->J = take(&from, m * n);
    }
    of->c_scale = take(&from, m);
    of->H = take(&from, n * n);
    of->H_x = take(&from, n);
    of->H_y = take(&from, m);
    of->ldl.n = N;
    of->ldl.stride = sv_ldl_stride(N);
    of->ldl.K = take(&from, N * of->ldl.stride);
    of->ldl.inverse = take(&from, 2 * N);
    of->ldl.work = take(&from, sv_ldl_work(N));
    of->ldl.order = (int32_t *)take(&from, N);
    of->s = take(&from, N);
    of->dx = take(&from, n);
    of->dc = take(&from, m);
    of->rest = take(&from, N);
    of->change = take(&from, N);
    of->product = take(&from, n);
    of->quasi_work = take(&from, sv_quasi_work(n));
    return from.used;
}

int64_t sv_dense_size(int64_t n, int64_t m)
{
    sv_dense of = {.n = n, .m = m};
    return lay_out(&of, NULL);
}

/* ---- points ------------------------------------------------------------------------------------ */

static void forget(sv_dense_point *at)
{
    at->f_known = at->c_known = at->g_known = at->J_known = 0;
}

/* The point x, remembered or in the place of the one that was not asked for the longest. */
static sv_dense_point *find(sv_dense *of, const double *x)
{
    size_t bytes = (size_t)of->n * sizeof *x;
    sv_dense_point *oldest = NULL;
    for (sv_dense_point *at = of->point; at < of->point + SV_DENSE_POINTS; at++) {
        if (at->used > 0 && memcmp(at->x, x, bytes) == 0) {
            at->used = ++of->time;
            return at;
        }
        if (at != of->current && (!oldest || at->used < oldest->used))
            oldest = at;
    }
    memcpy(oldest->x, x, bytes);
    forget(oldest);
    oldest->used = ++of->time;
    return oldest;
}

static void multiply(double *values, int64_t count, double by)
{
    if (by != 1)
        for (int64_t i = 0; i < count; i++)
            values[i] *= by;
}

static int values(void *data, const double *x, double *f, double *c)
{
    sv_dense *of = data;
    sv_dense_point *at = find(of, x);
    if (f && !at->f_known) {
        of->nfev++;
        if (of->value(of->value_data, at->x, &at->f))
            return SV_STOP;
        at->f *= of->f_scale;
        at->f_known = 1;
    }
    if (of->m && !at->c_known) {
        of->row_nfev++;
        if (of->constraints(of->constraints_data, at->x, at->c))
            return SV_STOP;
        for (int64_t i = 0; i < of->m; i++)
            at->c[i] *= of->c_scale[i];
        at->c_known = 1;
    }
    if (f)
        *f = at->f;
    if (of->m) /* c is none where there are no rows */
        memcpy(c, at->c, (size_t)of->m * sizeof *c);
    return 0;
}

static int gradient(sv_dense *of, sv_dense_point *at)
{
    if (at->g_known)
        return 0;
    of->njev++;
    if (of->gradient(of->gradient_data, at->x, at->g))
        return SV_STOP;
    multiply(at->g, of->n, of->f_scale);
    at->g_known = 1;
    return 0;
}

static int jacobian_at(sv_dense *of, sv_dense_point *at)
{
    if (at->J_known || of->m == 0)
        return 0;
    of->row_njev++;
    if (of->jacobian(of->jacobian_data, at->x, at->J))
        return SV_STOP;
    for (int64_t i = 0; i < of->m; i++)
        multiply(at->J + i * of->n, of->n, of->c_scale[i]);
    at->J_known = 1;
    return 0;
}

static int slopes(void *data, const double *x, double *g)
{
    sv_dense *of = data;
    sv_dense_point *at = find(of, x);
    if ((g && gradient(of, at)) || jacobian_at(of, at))
        return SV_STOP;
    of->current = at;
    if (g)
        memcpy(g, at->g, (size_t)of->n * sizeof *g);
    return 0;
}

/* What is remembered is scaled along where it had no scales yet; else it is forgotten, as dividing would round. */
static int scale(void *data, double f_scale, const double *c_scale)
{
    sv_dense *of = data;
    int same = of->f_scale == f_scale, plain = of->f_scale == 1;
    for (int64_t i = 0; i < of->m; i++) {
        same &= of->c_scale[i] == c_scale[i];
        plain &= of->c_scale[i] == 1;
    }
    if (same)
        return 0;
    of->f_scale = f_scale;
    if (of->m)
        memcpy(of->c_scale, c_scale, (size_t)of->m * sizeof *c_scale);
    of->H_known = 0;
    for (sv_dense_point *at = of->point; at < of->point + SV_DENSE_POINTS; at++) {
        at->f *= f_scale;
        multiply(at->g, of->n, f_scale);
        for (int64_t i = 0; i < of->m; i++) {
            at->c[i] *= c_scale[i];
            multiply(at->J + i * of->n, of->n, c_scale[i]);
        }
        if (!plain)
            forget(at);
    }
    return 0;
}

static void carry(void *data, double *numbers)
{
    sv_dense *of = data;
    of->carried = numbers;
    of->H_known = 0;
}

/* ---- matrices ---------------------------------------------------------------------------------- */

/* The upper triangle from the lower one. SV_FAILED where an entry is not finite. */
static int mirror(double *H, int64_t n)
{
    double sound = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            H[j * n + i] = H[i * n + j];
            sound += H[i * n + j] - H[i * n + j];
        }
        sound += H[i * n + i] - H[i * n + i];
    }
    return sound == 0 ? 0 : SV_FAILED;
}

/* H by the approximation, which learns from the point. */
static int approximate(sv_dense *of)
{
    sv_dense_point *at = find(of, of->H_x);
    if (gradient(of, at) || jacobian_at(of, at))
        return SV_STOP;
    sv_quasi_update(of->quasi, of->n, of->m, at->x, at->g, at->J, of->H_sigma, of->H_y, of->carried, of->quasi_work, of->H);
    of->H_known = 1;
    return 0;
}

static int curvature(void *data, const double *x, double sigma, const double *y)
{
    sv_dense *of = data;
    size_t n = (size_t)of->n * sizeof *x, m = (size_t)of->m * sizeof *y;
    double *weights = of->rest;
    if (of->H_known && of->H_sigma == sigma && memcmp(of->H_x, x, n) == 0 && memcmp(of->H_y, y, m) == 0)
        return 0;
    of->H_known = 0;
    memcpy(of->H_x, x, n);
    if (of->m)
        memcpy(of->H_y, y, m);
    of->H_sigma = sigma;
    for (int64_t i = 0; i < of->m; i++)
        weights[i] = y[i] * of->c_scale[i];
    if (of->quasi)
        return approximate(of);
    of->nhev++;
    if (of->hessian(of->hessian_data, of->H_x, sigma * of->f_scale, weights, of->H))
        return SV_STOP;
    int code = mirror(of->H, of->n);
    of->H_known = code == 0;
    return code;
}

static int rows(void *data, double *out)
{
    sv_dense *of = data;
    for (int64_t i = 0; i < of->m; i++) {
        out[i] = 0;
        for (int64_t j = 0; j < of->n; j++)
            out[i] = fmax(out[i], fabs(of->current->J[i * of->n + j]));
    }
    return 0;
}

static int jacobian(void *data, const double *v, double *out)
{
    sv_dense *of = data;
    sv_columns_dots(of->current->J, (size_t)of->n, (size_t)of->n, (size_t)of->m, NULL, v, out);
    return 0;
}

static int adjoint(void *data, const double *y, double *out)
{
    sv_dense *of = data;
    sv_columns_combine(of->current->J, (size_t)of->n, (size_t)of->n, (size_t)of->m, NULL, y, out);
    return 0;
}

static int hessian(void *data, const double *v, double *out)
{
    sv_dense *of = data;
    sv_columns_dots(of->H, (size_t)of->n, (size_t)of->n, (size_t)of->n, NULL, v, out);
    return 0;
}

/* ---- systems ----------------------------------------------------------------------------------- */

/* A power of two near 1 / size, or its root; 0 for 0. */
static double unit(double size, int halves)
{
    int exponent;
    if (size == 0)
        return 0;
    frexp(size, &exponent);
    return ldexp(1, halves == 2 ? -exponent : -exponent / 2);
}

/* s: rows of H + diag(dx) of size 1, then those of J diag(s), or of dc where that is large; a variable that H and dx leave
 * out is measured by its column of J. SV_FAILED where an entry is not finite. */
static int scales(sv_dense *of)
{
    int64_t n = of->n, m = of->m, empty = 0;
    const double *J = m ? of->current->J : NULL;
    double *sx = of->s, *sc = of->s + n, sound = 0;
    double (*most_of)(const double *, const double *, size_t) = kernel_table()->most;
    for (int64_t i = 0; i < n; i++) {
        const double *H = of->H + i * n;
        double most = of->with_hessian ? most_of(H, NULL, (size_t)n) : 0;
        double diagonal = fabs(of->dx[i] + (of->with_hessian ? H[i] : 0));
        sound += most + diagonal;
        sx[i] = unit(diagonal > most ? diagonal : most, 1);
        empty += sx[i] == 0;
    }
    for (int64_t c = 0; c < m; c++) {
        double most = most_of(J + c * n, sx, (size_t)n), own = fabs(of->dc[c]);
        sound += most + own;
        most = sqrt(own) > most ? sqrt(own) : most;
        sc[c] = most > 0 ? unit(most, 2) : 1;
    }
    for (int64_t i = 0; empty && i < n; i++)
        if (sx[i] == 0) {
            double most = 0;
            for (int64_t c = 0; c < m; c++)
                most = fmax(most, fabs(J[c * n + i]) * sc[c]);
            sx[i] = most > 0 ? unit(most, 2) : 1;
        }
    return sound - sound == 0 ? 0 : SV_FAILED;
}

/* Where row i of K is written: from the boundary of a vector on, so that nothing old is met by those of ldl.h. */
static double *begun(sv_ldl *ldl, int64_t i)
{
    double *row = ldl->K + i * ldl->stride;
    int64_t from = i / SV_LDL_PAD * SV_LDL_PAD;
    memset(row + from, 0, (size_t)(ldl->stride - from) * sizeof *row);
    return row;
}

static void assemble(sv_dense *of)
{
    int64_t n = of->n, m = of->m;
    const double *s = of->s, *J = m ? of->current->J : NULL;
    const struct dense_nlp_kernels *kernels = kernel_table();
    for (int64_t i = 0; i < n; i++) {
        double *to = begun(&of->ldl, i);
        const double *H = of->H + i * n;
        if (of->with_hessian)
            kernels->scaled(H + i, s[i], s + i, (size_t)(n - i), to + i);
        to[i] = ((of->with_hessian ? H[i] : 0) + of->dx[i]) * s[i] * s[i];
        for (int64_t c = 0; c < m; c++)
            to[n + c] = J[c * n + i] * s[i] * s[n + c];
    }
    for (int64_t c = n; c < n + m; c++)
        begun(&of->ldl, c)[c] = -of->dc[c - n] * s[c] * s[c];
}

static int factor(void *data, int with_hessian, const double *dx, const double *dc, int64_t *negative, int64_t *zero)
{
    sv_dense *of = data;
    of->with_hessian = with_hessian;
    memcpy(of->dx, dx, (size_t)of->n * sizeof *dx);
    if (of->m)
        memcpy(of->dc, dc, (size_t)of->m * sizeof *dc);
    if (scales(of))
        return SV_FAILED;
    assemble(of);
    sv_ldl_factor(&of->ldl, 4 * (double)of->ldl.n * DBL_EPSILON);
    *negative = of->ldl.negative;
    *zero = of->ldl.zero;
    return 0;
}

/* rest = rhs - K z; returns its largest |entry|. */
static double residual(sv_dense *of, const double *rhs, const double *z, double *rest)
{
    int64_t n = of->n, m = of->m;
    double most = 0, *product = of->product;
    if (m)
        adjoint(of, z + n, rest);
    else
        memset(rest, 0, (size_t)n * sizeof *rest);
    if (of->with_hessian)
        hessian(of, z, product);
    for (int64_t i = 0; i < n; i++)
        rest[i] = rhs[i] - rest[i] - (of->with_hessian ? product[i] : 0) - of->dx[i] * z[i];
    if (m)
        jacobian(of, z, rest + n);
    for (int64_t i = 0; i < m; i++)
        rest[n + i] = rhs[n + i] - rest[n + i] + of->dc[i] * z[n + i];
    for (int64_t i = 0; i < n + m; i++)
        most = fabs(rest[i]) > most || isnan(rest[i]) ? fabs(rest[i]) : most;
    return most;
}

static void scaled_solve(const sv_dense *of, double *b)
{
    for (int64_t i = 0; i < of->ldl.n; i++)
        b[i] *= of->s[i];
    sv_ldl_solve(&of->ldl, b);
    for (int64_t i = 0; i < of->ldl.n; i++)
        b[i] *= of->s[i];
}

static int solve(void *data, const double *rhs, double rtol, double *out)
{
    sv_dense *of = data;
    int64_t N = of->ldl.n;
    double goal = rtol * kernel_table()->most(rhs, NULL, (size_t)N), left, before = INFINITY;
    memcpy(out, rhs, (size_t)N * sizeof *out);
    scaled_solve(of, out);
    for (int round = 0; (left = residual(of, rhs, out, of->rest)) > goal && round < REFINEMENTS; round++) {
        if (left > before) /* the last step has brought nothing */
            for (int64_t i = 0; i < N; i++)
                out[i] -= of->change[i];
        if (left > before / 2)
            break;
        before = left;
        memcpy(of->change, of->rest, (size_t)N * sizeof *out);
        scaled_solve(of, of->change);
        for (int64_t i = 0; i < N; i++)
            out[i] += of->change[i];
    }
    return isfinite(left) ? 0 : SV_FAILED;
}

void sv_dense_begin(sv_dense *of, double *memory, sv_nlp *table)
{
    lay_out(of, memory);
    of->current = NULL;
    of->time = of->H_known = 0;
    of->f_scale = 1;
    for (sv_dense_point *at = of->point; at < of->point + SV_DENSE_POINTS; at++) {
        at->used = 0;
        forget(at);
    }
    for (int64_t i = 0; i < of->m; i++)
        of->c_scale[i] = 1;
    *table = (sv_nlp){
        .n = of->n, .m = of->m, .data = of, .carried = sv_quasi_size(of->quasi, of->n, of->m), .carry = carry,
        .values = values, .slopes = slopes, .curvature = curvature, .scale = scale, .rows = rows,
        .jacobian = jacobian, .adjoint = adjoint, .hessian = hessian, .factor = factor, .solve = solve,
    };
}
