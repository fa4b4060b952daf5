/* Conjugate gradients for the thinned semi-dual Newton system, S x = rhs (see elimination.h).
 *
 * A product with S traverses the entries once: row by row t = <row, x> / a, then the row times t is taken off. An
 * iteration moves 12 bytes and does 4 flops an entry: bound by the scattered loads and stores, about 1 ns an entry
 * where P lies in the second cache.
 *
 * In SciPy: S = diags(diagonal) - P.T @ diags(1 / a) @ P
 *           scipy.sparse.linalg.cg(S, rhs, x, M=diags(1 / S.diagonal()))
 */
#include <math.h>
#include <string.h>

#include "conjugate_gradients.h"
#include "elimination.h"

/* The diagonal of S is at least this share of `diagonal`: rounding must not make it vanish. */
static const double LEAST_DIAGONAL = 1e-3;

struct schur {
    const struct sv_ot_thinned *p;
    const struct sv_ot_factor *factor;
    double *room; /* n + m: the factor's right-hand side; without a factor the diagonal of S */
};

static void multiply(void *context, const double *x, double *out)
{
    const struct sv_ot_thinned *p = ((const struct schur *)context)->p;
    for (size_t j = 0; j < p->m; j++)
        out[j] = p->diagonal[j] * x[j];
    for (size_t i = 0; i < p->n; i++) {
        const ptrdiff_t first = p->row_starts[i], last = p->row_starts[i + 1];
        double sum[4] = {0};
        ptrdiff_t k = first;
        for (; k + 4 <= last; k += 4)
            for (int lane = 0; lane < 4; lane++)
                sum[lane] += p->values[k + lane] * x[p->columns[k + lane]];
        for (; k < last; k++)
            sum[0] += p->values[k] * x[p->columns[k]];
        const double t = ((sum[0] + sum[1]) + (sum[2] + sum[3])) / p->a[i];
        for (k = first; k < last; k++)
            out[p->columns[k]] -= p->values[k] * t;
    }
}

static void diagonal_of(const struct sv_ot_thinned *p, double *out)
{
    memcpy(out, p->diagonal, p->m * sizeof(double));
    for (size_t i = 0; i < p->n; i++)
        for (ptrdiff_t k = p->row_starts[i]; k < p->row_starts[i + 1]; k++)
            out[p->columns[k]] -= p->values[k] * p->values[k] / p->a[i];
    for (size_t j = 0; j < p->m; j++)
        out[j] = fmax(out[j], LEAST_DIAGONAL * p->diagonal[j]);
}

static void by_diagonal(void *context, const double *r, double *out)
{
    const struct schur *schur = context;
    for (size_t j = 0; j < schur->p->m; j++)
        out[j] = r[j] / schur->room[j];
}

/* The column part of the factor's solution with 0 for the rows. */
static void by_factor(void *context, const double *r, double *out)
{
    const struct schur *schur = context;
    const size_t n = schur->p->n, m = schur->p->m;
    memset(schur->room, 0, n * sizeof(double));
    memcpy(schur->room + n, r, m * sizeof(double));
    sv_ot_factor_solve(schur->factor, schur->room);
    memcpy(out, schur->room + n, m * sizeof(double));
}

size_t sv_ot_schur_cg_worksize(size_t n, size_t m) { return ot_cg_worksize(m) + n + m; }

int sv_ot_schur_cg(const struct sv_ot_thinned *p, const double *rhs, double *x, double goal, int max_iter,
                   const struct sv_ot_factor *factor, double *residual, double *work)
{
    struct schur schur = {p, factor, work + ot_cg_worksize(p->m)};
    if (!factor)
        diagonal_of(p, schur.room);
    struct ot_linear_system system = {p->m, multiply, factor ? by_factor : by_diagonal, &schur};
    return sv_ot_conjugate_gradients(&system, rhs, x, goal, max_iter, residual, work);
}
