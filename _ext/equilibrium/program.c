/* What a pair is worth on a linear program, and what a ray proves: see program.h.
 *
 * All is measured in double precision on the data as given. Sums run over blocks of 256 terms in four lanes, so that
 * their rounding grows with the number of blocks, and their order depends on the length alone.
 */
#include "program.h"

#include <float.h>
#include <math.h>

/* How small a ray's violation of what it must satisfy exactly has to be, relative to what it proves; how far what it
 * proves has to stand above the terms that cancel in it. Entries below the last share of its largest may be rounding: a
 * ray that proves nothing with them may do so without; or they may belong to rows or columns of large entries. */
#define RAY_TOLERANCE 1e-8
#define RAY_ROUNDING 1e-9
#define RAY_LEAST 1e-13

struct sum {
    double lane[4], total;
};

enum { BLOCK = 256 };

static inline double lanes(const struct sum *s) { return (s->lane[0] + s->lane[2]) + (s->lane[1] + s->lane[3]); }

static inline void add(struct sum *s, size_t k, double term)
{
    s->lane[k % 4] += term;
    if (k % BLOCK == BLOCK - 1) {
        s->total += lanes(s);
        s->lane[0] = s->lane[1] = s->lane[2] = s->lane[3] = 0;
    }
}

static inline double total(const struct sum *s) { return s->total + lanes(s); }

double sv_program_dot(const double *u, const double *v, size_t length)
{
    double sum = 0;
    for (size_t from = 0; from < length; from += BLOCK) {
        size_t to = length - from < BLOCK ? length : from + BLOCK, k = from;
        double a = 0, b = 0, c = 0, d = 0;
        for (; k + 4 <= to; k += 4) {
            a += u[k] * v[k];
            b += u[k + 1] * v[k + 1];
            c += u[k + 2] * v[k + 2];
            d += u[k + 3] * v[k + 3];
        }
        for (; k < to; k++)
            a += u[k] * v[k];
        sum += (a + c) + (b + d);
    }
    return sum;
}

static double larger(double a, double b) { return a > b ? a : b; }

static double finite_or_zero(double x) { return isfinite(x) ? x : 0; }

void sv_program_norms(struct sv_program *program)
{
    const struct sv_lp *lp = &program->lp;
    struct sum squares = {{0}, 0};
    for (size_t i = 0; i < lp->m; i++) {
        double side = larger(fabs(finite_or_zero(lp->l[i])), fabs(finite_or_zero(lp->u[i])));
        add(&squares, i, lp->starts[i] < lp->starts[i + 1] ? side * side : 0); /* rows without entries decide nothing */
    }
    program->side_norm = sqrt(total(&squares));
    program->cost_norm = sqrt(sv_program_dot(lp->c, lp->c, lp->n));
}

/* The multiplier, or 0 where the row has no side for its sign; of a variable's reduced cost what a finite bound takes. */
static double taken(double value, double low, double high) { return isfinite(value > 0 ? low : high) ? value : 0; }

/* l'y+ - u'y- of values without weight on infinite sides, and the sum of its terms' sizes. */
static double support(const double *values, const double *low, const double *high, size_t length, double *terms)
{
    struct sum sum = {{0}, 0}, sizes = {{0}, 0};
    for (size_t k = 0; k < length; k++) {
        double term = values[k] * finite_or_zero(values[k] > 0 ? low[k] : high[k]);
        add(&sum, k, term);
        add(&sizes, k, fabs(term));
    }
    *terms += total(&sizes);
    return total(&sum);
}

void sv_program_judge(const struct sv_program *program, double *x, double *y, double *reduced, double *z,
                      double *activity, struct sv_program_worth *worth)
{
    const struct sv_lp *lp = &program->lp;
    struct sum primal = {{0}, 0}, dual = {{0}, 0};
    double terms = 0;
    for (size_t j = 0; j < lp->n; j++) {
        double value = x[j] < lp->lb[j] ? lp->lb[j] : x[j];
        x[j] = (value > lp->ub[j] ? lp->ub[j] : value) + 0.0; /* no negative zero */
    }
    for (size_t i = 0; i < lp->m; i++)
        y[i] = taken(y[i], lp->l[i], lp->u[i]);
    sv_equilibrium_lp_product(lp, x, activity);
    sv_equilibrium_lp_transposed(lp, y, reduced);
    for (size_t i = 0; i < lp->m; i++) {
        double below = lp->l[i] - activity[i], above = activity[i] - lp->u[i];
        double violation = (below < 0 ? 0 : below) + (above < 0 ? 0 : above); /* a NaN stays */
        add(&primal, i, violation * violation);
    }
    for (size_t j = 0; j < lp->n; j++) {
        reduced[j] = lp->c[j] - reduced[j];
        z[j] = taken(reduced[j], lp->lb[j], lp->ub[j]);
        double left = reduced[j] - z[j];
        add(&dual, j, left * left);
    }
    worth->primal = sqrt(total(&primal));
    worth->dual = sqrt(total(&dual));
    worth->fun = sv_program_dot(lp->c, x, lp->n);
    worth->dual_fun = support(y, lp->l, lp->u, lp->m, &terms) + support(z, lp->lb, lp->ub, lp->n, &terms);
    double gap = fabs(worth->fun - worth->dual_fun) / (1 + fabs(worth->fun) + fabs(worth->dual_fun));
    double by_rows = worth->primal / (1 + program->side_norm), by_columns = worth->dual / (1 + program->cost_norm);
    /* a sum is not finite where a part is not, which the larger of two might hide */
    worth->measure = isfinite(gap + by_rows + by_columns) ? larger(larger(by_rows, by_columns), gap) : NAN;
}

/* The values with largest entry 1; 0 where they are all zero. */
static int normalised(double *ray, size_t length)
{
    double size = 0;
    for (size_t k = 0; k < length; k++)
        size = larger(fabs(ray[k]), size);
    for (size_t k = 0; k < length && size > 0; k++)
        ray[k] /= size;
    return size > 0;
}

/* Without the entries that may be rounding; 0 where there are none. */
static int tidied(double *ray, size_t length)
{
    int changed = 0;
    for (size_t k = 0; k < length; k++) {
        int small = ray[k] != 0 && fabs(ray[k]) < RAY_LEAST;
        changed |= small;
        ray[k] = small ? 0 : ray[k];
    }
    return changed;
}

/* Where x is within its bounds and A x within the sides, the support of (y, -A'y) is not positive. Components of A'y on
 * infinite bounds have no place in it; they must be so small that only an x beyond the finite bounds' size over
 * RAY_TOLERANCE could make up for the support. */
static int proves_infeasible(const struct sv_lp *lp, const double *ray, double *work)
{
    sv_equilibrium_lp_transposed(lp, ray, work);
    struct sum leak = {{0}, 0};
    double reach = 0, terms = 0;
    for (size_t j = 0; j < lp->n; j++) {
        double z = taken(-work[j], lp->lb[j], lp->ub[j]);
        add(&leak, j, fabs(-work[j] - z));
        work[j] = z;
        reach = larger(larger(fabs(finite_or_zero(lp->lb[j])), fabs(finite_or_zero(lp->ub[j]))), reach);
    }
    double value = support(ray, lp->l, lp->u, lp->m, &terms) + support(work, lp->lb, lp->ub, lp->n, &terms);
    return value > larger(RAY_ROUNDING * terms, total(&leak) * (1 + reach) / RAY_TOLERANCE);
}

int sv_program_infeasible(const struct sv_program *program, const double *y, double *ray, double *work)
{
    const struct sv_lp *lp = &program->lp;
    for (size_t i = 0; i < lp->m; i++)
        ray[i] = taken(finite_or_zero(y[i]), lp->l[i], lp->u[i]);
    return normalised(ray, lp->m) &&
           (proves_infeasible(lp, ray, work) || (tidied(ray, lp->m) && proves_infeasible(lp, ray, work)));
}

/* The objective falls along the ray, and what runs into a side of a row is small beside the row's terms. */
static int proves_unbounded(const struct sv_lp *lp, const double *ray, double *work)
{
    sv_equilibrium_lp_product(lp, ray, work);
    double relative = 0;
    for (size_t i = 0; i < lp->m; i++) {
        double terms = 0, leak = isfinite(work[i] > 0 ? lp->u[i] : lp->l[i]) ? fabs(work[i]) : 0;
        for (int32_t k = lp->starts[i]; k < lp->starts[i + 1]; k++)
            terms += fabs(lp->value[k]) * fabs(ray[lp->index[k]]);
        relative = larger(leak / larger(terms, DBL_MIN), relative);
    }
    struct sum size = {{0}, 0};
    for (size_t j = 0; j < lp->n; j++)
        add(&size, j, fabs(lp->c[j]) * fabs(ray[j]));
    double descent = -sv_program_dot(lp->c, ray, lp->n) / larger(total(&size), DBL_MIN);
    return descent > larger(RAY_ROUNDING, relative / RAY_TOLERANCE);
}

int sv_program_unbounded(const struct sv_program *program, const double *x, double *ray, double *work)
{
    const struct sv_lp *lp = &program->lp;
    for (size_t j = 0; j < lp->n; j++) {
        double value = finite_or_zero(x[j]);
        ray[j] = isfinite(value > 0 ? lp->ub[j] : lp->lb[j]) ? 0 : value;
    }
    return normalised(ray, lp->n) &&
           (proves_unbounded(lp, ray, work) || (tidied(ray, lp->n) && proves_unbounded(lp, ray, work)));
}
