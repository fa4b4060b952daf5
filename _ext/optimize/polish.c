/* The measure of a KKT point and its polish: see polish.h. In NumPy, for the active rows A and the free variables F:
 *     step = solve(block([[H[F, F], J[A][:, F].T], [J[A][:, F], 0]]), -r_[(g + J.T @ y)[F], c[A] - side])
 */
#include "polish.h"

#include <string.h>

#include "vectors.h"

static const double AWAY = 1e20; /* on the diagonal of K: fixes a variable, frees a row */
static const double SURE = 1e-2; /* a slack below this part of its multiplier belongs to a side that holds */
static const double SOFT = 1e-8; /* on the diagonal of rows of which held variables may leave too little */

/* What |multiplier| * slack lacks of 0: the slack to the side that the sign belongs to, 1 where there is none. */
static double mismatch(double multiplier, double value, double lower, double upper)
{
    double slack = multiplier < 0 ? value - lower : upper - value;
    return fabs(multiplier) * (isfinite(slack) ? fabs(slack) : 1);
}

static double outside(double value, double lower, double upper)
{
    double below = lower - value, above = value - upper, most = below > above ? below : above;
    return most > 0 ? most : 0; /* fmax would be a call: it has its own rules for NaN */
}

/* The larger, or NaN: fmax would drop it. */
static double larger(double a, double b)
{
    return b > a || isnan(b) ? b : a;
}

int sv_kkt_measure(const sv_nlp *nlp, const struct sv_sides *sides, const struct sv_scales *scales, double *work,
                   struct sv_kkt_point *at)
{
    int64_t n = nlp->n, m = nlp->m;
    double sum = 0, unit = 1 / scales->objective; /* scales are powers of two: nothing is rounded */
    memset(work, 0, (size_t)n * sizeof(double));
    int failed = m ? nlp->adjoint(nlp->data, at->y, work) : 0;
    if (failed)
        return failed;
    at->stationarity = at->violation = at->complementarity = 0;
    for (int64_t j = 0; j < n; j++) {
        sum += fabs(at->z[j]) * unit;
        at->stationarity = larger(at->stationarity, fabs(at->g[j] + work[j] + at->z[j]) * unit);
        at->violation = larger(at->violation, outside(at->x[j], sides->lower[j], sides->upper[j]));
        at->complementarity =
            larger(at->complementarity, mismatch(at->z[j], at->x[j], sides->lower[j], sides->upper[j]) * unit);
    }
    for (int64_t i = 0; i < m; i++) {
        double scale = scales->rows[i], by = 1 / scale, value = at->c[i] * by, y = at->y[i] * scale * unit;
        double low = sides->row_lower[i] * by, high = sides->row_upper[i] * by;
        sum += fabs(y);
        at->violation = larger(at->violation, outside(value, low, high));
        at->complementarity = larger(at->complementarity, low == high ? 0 : mismatch(y, value, low, high));
    }
    at->s = fmin(fmax(100, sum / (double)(n + m)) / 100, scales->loosest);
    at->measure = larger(larger(at->stationarity / at->s, at->violation), at->complementarity / at->s);
    return 0;
}

struct known {
    int64_t n;
    const double *product;
};

/* J'y where that has been computed. */
static int known_adjoint(void *data, const double *y, double *out)
{
    const struct known *of = data;
    (void)y;
    memcpy(out, of->product, (size_t)of->n * sizeof *out);
    return 0;
}

void sv_kkt_numbers(int64_t n, int64_t m, const struct sv_sides *sides, const double *product, double *work,
                    struct sv_kkt_point *at)
{
    struct known of = {n, product};
    const sv_nlp table = {.n = n, .m = m, .data = &of, .adjoint = known_adjoint};
    for (int64_t j = 0; j < m; j++)
        work[n + j] = 1;
    sv_kkt_measure(&table, sides, &(struct sv_scales){1, work + n, SV_LARGEST_SCALE}, work, at);
    at->stationarity /= at->s;
    at->complementarity /= at->s;
}

/* Which sides hold: the side's value, or NaN. */
struct space {
    const sv_nlp *nlp;
    const struct sv_sides *sides;
    double *side_x, *side_c;          /* n, m */
    double *fixed, *freed;            /* n, m: diagonals of K */
    double *rhs, *step;               /* n + m */
    double *work;                     /* n */
    struct sv_kkt_point trial;        /* 3 n + 2 m */
};

int64_t sv_polish_work(int64_t n, int64_t m)
{
    return 2 * (n + m) + 2 * (n + m) + n + 3 * n + 2 * m;
}

static struct space divided(const sv_nlp *nlp, const struct sv_sides *sides, double *work)
{
    int64_t n = nlp->n, m = nlp->m;
    struct space s = {.nlp = nlp, .sides = sides, .side_x = work};
    s.side_c = s.side_x + n;
    s.fixed = s.side_c + m;
    s.freed = s.fixed + n;
    s.rhs = s.freed + m;
    s.step = s.rhs + n + m;
    s.work = s.step + n + m;
    s.trial.x = s.work + n;
    s.trial.g = s.trial.x + n;
    s.trial.z = s.trial.g + n;
    s.trial.c = s.trial.z + n;
    s.trial.y = s.trial.c + m;
    return s;
}

/* The side that holds where a value is nearer to it than its multiplier, times `unit`, is to 0. */
static double active(double multiplier, double unit, double value, double lower, double upper, int holding)
{
    double reach = fabs(multiplier) * unit;
    if (holding == SV_POLISH_WIDE && reach < 1) /* of a path where slack * multiplier = mu: slacks up to mu^(1/3) */
        reach = sqrt(reach);
    if (lower == upper || (multiplier < 0 && value - lower < reach))
        return lower;
    return multiplier > 0 && upper - value < reach ? upper : NAN;
}

/* The measure without its scale s. */
static double plain(const struct sv_kkt_point *at)
{
    return larger(larger(at->stationarity, at->violation), at->complementarity);
}

/* Multipliers count in the objective's own units: one that was scaled by its slope at a start far away has small ones, and
 * sides that hold all the same. */
static void identify(struct space *s, const struct sv_scales *scales, const struct sv_kkt_point *at, int holding)
{
    const struct sv_sides *sides = s->sides;
    double unit = 1 / scales->objective, unit_x = holding == SV_POLISH_HELD ? SURE * unit : unit;
    for (int64_t j = 0; j < s->nlp->n; j++) {
        s->side_x[j] = active(at->z[j], unit_x, at->x[j], sides->lower[j], sides->upper[j], holding);
        if (holding == SV_POLISH_HELD && !isnan(s->side_x[j]))
            s->side_x[j] = at->x[j];
        s->fixed[j] = isnan(s->side_x[j]) ? 0 : AWAY;
    }
    for (int64_t i = 0; i < s->nlp->m; i++) {
        s->side_c[i] = active(at->y[i], unit, at->c[i], sides->row_lower[i], sides->row_upper[i], holding);
        s->freed[i] = isnan(s->side_c[i]) ? AWAY : holding == SV_POLISH_HELD ? SOFT : 0;
    }
}

/* Rows of held variables alone are met as they are, and keep their multipliers. J is that of the point. */
static int leave_held_rows(struct space *s, const struct sv_kkt_point *at)
{
    int64_t n = s->nlp->n, m = s->nlp->m;
    double *some = s->step, *moved = s->step + n; /* along a direction of no row in particular */
    for (int64_t j = 0; j < n; j++)
        some[j] = isnan(s->side_x[j]) ? 1 + 0.5 * cos((double)(j + 1)) : 0;
    int failed = m ? s->nlp->jacobian(s->nlp->data, some, moved) : 0;
    for (int64_t i = 0; i < m && !failed; i++)
        if (moved[i] == 0 && !isnan(s->side_c[i])) {
            s->side_c[i] = at->c[i];
            s->freed[i] = 1;
        }
    return failed;
}

static void copy(const sv_nlp *nlp, const struct sv_kkt_point *from, struct sv_kkt_point *to)
{
    vector_copy(nlp->n, from->x, to->x);
    vector_copy(nlp->n, from->g, to->g);
    vector_copy(nlp->n, from->z, to->z);
    vector_copy(nlp->m, from->c, to->c);
    vector_copy(nlp->m, from->y, to->y);
    to->f = from->f;
    to->stationarity = from->stationarity;
    to->violation = from->violation;
    to->complementarity = from->complementarity;
    to->measure = from->measure;
}

/* Functions at the trial's x; z balances the gradient at the sides that hold; multipliers of the wrong sign are dropped. */
static int evaluated(struct space *s, struct sv_kkt_point *t)
{
    int64_t n = s->nlp->n, m = s->nlp->m;
    int failed = s->nlp->values(s->nlp->data, t->x, &t->f, t->c);
    if (failed || (failed = s->nlp->slopes(s->nlp->data, t->x, t->g)))
        return failed;
    for (int64_t i = 0; i < m; i++)
        if ((t->y[i] < 0 && isinf(s->sides->row_lower[i])) || (t->y[i] > 0 && isinf(s->sides->row_upper[i])))
            t->y[i] = 0;
    memset(s->work, 0, (size_t)n * sizeof(double));
    if (m && (failed = s->nlp->adjoint(s->nlp->data, t->y, s->work)))
        return failed;
    for (int64_t j = 0; j < n; j++) {
        double z = isnan(s->side_x[j]) ? 0 : -(t->g[j] + s->work[j]);
        t->z[j] = (z < 0 && isinf(s->sides->lower[j])) || (z > 0 && isinf(s->sides->upper[j])) ? 0 : z;
    }
    return 0;
}

/* Factors the system of the sides that hold; where it is singular (sides that depend on one another, no curvature along
 * them), with a shift that Newton's steps outlast. */
static int factored(struct space *s)
{
    int64_t negative = 0, zero = 0;
    int failed = s->nlp->factor(s->nlp->data, 1, s->fixed, s->freed, &negative, &zero);
    for (double shift = 1e-8; failed != SV_STOP && (failed || zero > 0); shift *= 100) {
        if (shift > 1e-3)
            return SV_FAILED;
        for (int64_t j = 0; j < s->nlp->n; j++)
            s->fixed[j] = fmax(s->fixed[j], shift);
        for (int64_t i = 0; i < s->nlp->m; i++)
            s->freed[i] = fmax(s->freed[i], shift);
        failed = s->nlp->factor(s->nlp->data, 1, s->fixed, s->freed, &negative, &zero);
    }
    return failed;
}

/* One Newton step of the trial, whose functions are known, on the sides that hold. */
static int newton(struct space *s, struct sv_kkt_point *t)
{
    int64_t n = s->nlp->n, m = s->nlp->m;
    int failed = s->nlp->curvature(s->nlp->data, t->x, 1, t->y);
    if (failed || (failed = factored(s)))
        return failed;
    for (int64_t j = 0; j < n; j++)
        s->rhs[j] = isnan(s->side_x[j]) ? -(t->g[j] + s->work[j]) : 0;
    for (int64_t i = 0; i < m; i++)
        s->rhs[n + i] = isnan(s->side_c[i]) ? 0 : s->side_c[i] - t->c[i];
    if ((failed = s->nlp->solve(s->nlp->data, s->rhs, 1e-12, s->step)))
        return failed;
    for (int64_t j = 0; j < n; j++)
        if (isnan(s->side_x[j]))
            t->x[j] = fmin(fmax(t->x[j] + s->step[j], s->sides->lower[j]), s->sides->upper[j]);
    for (int64_t i = 0; i < m; i++)
        t->y[i] = isnan(s->side_c[i]) ? 0 : t->y[i] + s->step[n + i];
    return evaluated(s, t);
}

/* Whether the trial after k steps is the better point. */
static int better(const struct sv_kkt_point *t, const struct sv_kkt_point *at, int64_t k, double enough, int holding)
{
    if (holding != SV_POLISH_HELD)
        return t->measure < at->measure;
    return k > 0 && plain(t) <= 2 * enough && t->stationarity < at->stationarity;
}

int sv_polish(const sv_nlp *nlp, const struct sv_sides *sides, const struct sv_scales *scales, int64_t steps, double enough,
              int holding, double *work, struct sv_kkt_point *at, int *improved)
{
    struct space s = divided(nlp, sides, work);
    struct sv_kkt_point *t = &s.trial;
    *improved = 0;
    copy(nlp, at, t);
    identify(&s, scales, at, holding);
    for (int64_t j = 0; j < nlp->n; j++)
        if (!isnan(s.side_x[j]))
            t->x[j] = s.side_x[j];
    for (int64_t i = 0; i < nlp->m; i++)
        if (isnan(s.side_c[i]))
            t->y[i] = 0;
    int failed = holding == SV_POLISH_HELD ? leave_held_rows(&s, at) : 0;
    if (!failed)
        failed = evaluated(&s, t);
    for (int64_t k = 0; k <= steps && !failed; k++) {
        if ((failed = sv_kkt_measure(nlp, sides, scales, s.work, t)))
            break;
        if (better(t, at, k, enough, holding)) {
            copy(nlp, t, at);
            *improved = 1;
        } else if (k > 0 && !(t->measure < 1e3 * at->measure)) {
            break;
        }
        if (holding == SV_POLISH_HELD ? *improved && at->stationarity <= SURE * enough : plain(at) <= enough)
            break;
        if (k < steps)
            failed = newton(&s, t);
    }
    return failed == SV_STOP ? failed : 0;
}
