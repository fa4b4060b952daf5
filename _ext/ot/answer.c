/* See answer.h. The formulas of the certificate are derived in solvers/ot/_rounding.py. */
#include <math.h>

#include "answer.h"
#include "sums.h"

/* The bounds are widened by so many roundings of the sums of which they are made. */
static const double ROUNDINGS = 8 * 0x1p-52;
/* Costs of this size in units of reg are those of forbidden arcs. */
static const double FORBIDDEN_EXPONENT = 1e100;

/* A plan scaled with known column sums is kept where they were as good as rounding allows, so many times, or where that
 * loses less than this share of the marginal error, about half of which is lost anyway. */
static const double ROUNDED_SUMS = 16, SMALL_LOSS = 0.1;

struct sums {
    double *rows, *columns; /* of the plan */
    double *below_rows, *below_columns; /* of the plan scaled below its marginals */
    double *u, *v, *product;
    double paid, paid_below; /* by the plan, and scaled */
    int examined; /* whether the column maxima are in v */
    int scaled;   /* whether the plan is scaled */
};

size_t sv_ot_certify_worksize(size_t n, size_t m) { return 4 * n + 3 * m; }

void sv_ot_potentials(const struct ot_problem *p, const double *u, const double *v, double *f, double *g)
{
    for (size_t i = 0; i < p->n; i++)
        f[i] = u[i] / p->scale;
    for (size_t j = 0; j < p->m; j++)
        g[j] = v[j] / p->scale + (p->column_offset ? p->column_offset[j] : 0);
    double shift = sv_ot_dot(p->b, g, p->m) / p->mass_b;
    if (!isfinite(shift)) { /* large costs times a large mass */
        shift = 0;
        for (size_t j = 0; j < p->m; j++)
            shift += p->b[j] / p->mass_b * g[j];
    }
    for (size_t i = 0; i < p->n; i++)
        f[i] = (f[i] + shift) + (p->offset ? p->offset[i] : 0);
    for (size_t j = 0; j < p->m; j++)
        g[j] -= shift;
}

/* The value of the feasible potentials (c-transform of v, v) in the problem without entropy, and C w, w in column_rest. */
static int lower_bound(const struct ot_problem *p, const struct ot_rounding *rounding, const struct sums *s,
                       double *lower)
{
    if (p->passes->row_max(p->cost, p->scale, s->v, rounding->column_rest, s->u, s->product, p->threads))
        return OT_GAVE_UP;
    const double value = -(sv_ot_dot(p->a, s->u, p->n) - sv_ot_dot(p->b, s->v, p->m)) / p->scale;
    const double rest = sv_ot_offset_part(p, p->a, p->b);
    const double size = (sv_ot_dot_size(p->a, s->u, p->n) + sv_ot_dot_size(p->b, s->v, p->m)) / p->scale + fabs(rest);
    *lower = value + rest - ROUNDINGS * size;
    return OT_DONE;
}

/* max(0, weights - sums); returns its sum. */
static double missing_of(const double *weights, const double *sums, double *missing, size_t size)
{
    for (size_t k = 0; k < size; k++)
        missing[k] = weights[k] > sums[k] ? weights[k] - sums[k] : 0;
    return sv_ot_sum(missing, size);
}

/* The factor at most 1 that brings a column down to its weight. */
static double factor_of(double weight, double sum) { return weight / (sum > weight ? sum : weight); }

/* Whether the columns, scaled by y before their sums were known, lost no more and hardly less than they had to; what
 * they and the rows, which the methods meet, exceed their weights by is then taken off the whole plan. */
static int fits(const struct ot_problem *p, const struct ot_rounding *rounding, struct sums *s)
{
    const double error = sv_ot_distance_l1(s->columns, p->b, p->m) + sv_ot_distance_l1(s->rows, p->a, p->n);
    const double loss = fmax(SMALL_LOSS * error, ROUNDED_SUMS * p->roundoff) / p->mass_a;
    const double *y = rounding->column_scale;
    double theta = 1;
    for (size_t j = 0; j < p->m; j++) {
        if (!(fabs(y[j] / factor_of(p->b[j], s->columns[j]) - 1) <= loss))
            return 0;
        s->below_columns[j] = y[j] * s->columns[j];
        theta = fmin(theta, factor_of(p->b[j], s->below_columns[j]));
    }
    for (size_t i = 0; i < p->n; i++)
        theta = fmin(theta, factor_of(p->a[i], s->below_rows[i]));
    if (!(1 - theta <= loss))
        return 0;
    for (size_t i = 0; i < p->n; i++)
        rounding->row_scale[i] = theta, s->below_rows[i] *= theta;
    for (size_t j = 0; j < p->m; j++)
        s->below_columns[j] *= theta;
    s->paid_below *= theta;
    return 1;
}

/* The sums of the plan; where the column sums are known well enough, also the plan scaled below its marginals. */
static int look_at(const struct ot_problem *p, const double *u, const double *v, const double *known,
                   const struct ot_rounding *rounding, struct sums *s)
{
    if (!known || !p->passes->examine)
        return p->passes->marginals(p->cost, p->scale, u, v, s->rows, s->columns, &s->paid, p->threads) ? OT_GAVE_UP
                                                                                                        : OT_DONE;
    double *y = rounding->column_scale;
    for (size_t j = 0; j < p->m; j++)
        y[j] = factor_of(p->b[j], known[j]);
    struct ot_examined out = {.row_sums = s->rows, .column_sums = s->columns, .below_rows = s->below_rows,
                              .column_max = s->v, .least = ilogb(sv_ot_least(p->a, p->n)) - OT_LOST};
    if (p->passes->examine(p->cost, p->scale, u, v, y, &out, p->threads))
        return OT_GAVE_UP;
    s->paid = out.paid, s->paid_below = out.paid_below;
    s->examined = 1;
    s->scaled = fits(p, rounding, s);
    return OT_DONE;
}

/* The plan scaled below its marginals, and what each then lacks: returns the mass, to be spread by a rank-one term;
 * entropy: of what the rows and the columns lack. */
static int scaled_below(const struct ot_problem *p, const double *u, const double *v, const struct ot_rounding *rounding,
                        struct sums *s, double *missing, double *entropy)
{
    double *y = rounding->column_scale, *share = rounding->column_rest;
    for (size_t j = 0; !s->scaled && j < p->m; j++)
        y[j] = factor_of(p->b[j], s->columns[j]);
    if (!s->scaled
        && p->passes->scale_below(p->cost, p->scale, p->a, u, v, y, rounding->row_scale, s->below_rows,
                                  s->below_columns, &s->paid_below, p->threads))
        return OT_GAVE_UP;
    const double rows = missing_of(p->a, s->below_rows, rounding->row_rest, p->n);
    const double columns = missing_of(p->b, s->below_columns, share, p->m);
    *missing = rows > columns ? rows : columns;
    *entropy = sv_ot_entropy(rounding->row_rest, p->n) + sv_ot_entropy(share, p->m);
    for (size_t j = 0; *missing > 0 && j < p->m; j++)
        share[j] /= *missing;
    return OT_DONE;
}

/* The terms of KL(R | P); all sums are over R, F or W, none over P but the mass. */
static double divergence(const struct ot_problem *p, const double *u, const double *v, const struct ot_rounding *rounding,
                         const struct sums *s, double extra, double missing, double entropy)
{
    const double mass = p->mass_a;
    double kl = sv_ot_sum(s->rows, p->n) - mass + sv_ot_dot_log(s->below_rows, rounding->row_scale, p->n)
                + sv_ot_dot_log(s->below_columns, rounding->column_scale, p->m);
    if (!(missing > 0))
        return kl;
    if (missing < mass)
        kl -= (mass - missing) * log1p(-missing / mass);
    kl += entropy - missing * log(missing);
    kl -= missing * log(missing / mass);
    const double columns = missing * sv_ot_dot(rounding->column_rest, v, p->m);
    return kl + OT_LN2 * (p->scale * extra - (sv_ot_dot(rounding->row_rest, u, p->n) + columns));
}

static int certificate(const struct ot_problem *p, const double *u, const double *v, const struct ot_rounding *rounding,
                       struct sums *s, struct sv_ot_answer *answer)
{
    double missing, entropy;
    if (!s->examined && p->passes->column_max(p->cost, p->scale, u, s->v, p->threads))
        return OT_GAVE_UP;
    for (size_t j = 0; j < p->m; j++) {
        s->v[j] = -s->v[j];
        rounding->column_rest[j] = 0;
    }
    answer->gap = answer->lp_upper = INFINITY;
    if (!(sv_ot_all_finite(s->rows, p->n) && sv_ot_all_finite(s->columns, p->m)))
        return lower_bound(p, rounding, s, &answer->lp_lower);
    if (scaled_below(p, u, v, rounding, s, &missing, &entropy)
        || lower_bound(p, rounding, s, &answer->lp_lower))
        return OT_GAVE_UP;
    const double extra = sv_ot_dot(rounding->row_rest, s->product, p->n), rest = sv_ot_offset_part(p, p->a, p->b);
    if (p->forbidden && !(p->scale * extra < FORBIDDEN_EXPONENT))
        return OT_DONE;
    const double paid = s->paid_below;
    answer->lp_upper = paid + extra + rest + ROUNDINGS * (fabs(paid) + fabs(extra) + fabs(rest));
    const double kl = divergence(p, u, v, rounding, s, extra, missing, entropy);
    answer->gap = kl == kl ? fmax(kl, 0) / (p->scale * OT_LN2) : INFINITY;
    answer->rounded = 1;
    return OT_DONE;
}

int sv_ot_certify(const struct ot_problem *p, const double *u, const double *v, const double *known, int certified,
                  struct sv_ot_answer *answer, const struct ot_rounding *rounding, double *work)
{
    const size_t n = p->n, m = p->m;
    struct sums s = {.rows = work, .below_rows = work + n, .u = work + 2 * n, .product = work + 3 * n,
                     .columns = work + 4 * n, .below_columns = work + 4 * n + m, .v = work + 4 * n + 2 * m};
    if (look_at(p, u, v, certified ? known : NULL, rounding, &s))
        return OT_GAVE_UP;
    /* sum P log P, from log P = ln2 (u + v) - (C - offset) / reg */
    const double log_plan = OT_LN2 * (sv_ot_dot(u, s.rows, n) + sv_ot_dot(v, s.columns, m)) - s.paid / p->reg;
    const double linear = s.paid + sv_ot_offset_part(p, s.rows, s.columns);
    const double log_product = sv_ot_dot_log(s.rows, p->a, n) + sv_ot_dot_log(s.columns, p->b, m);
    const double dual = (sv_ot_dot(p->a, u, n) + sv_ot_dot(p->b, v, m)) / p->scale;
    const double mass = sv_ot_sum(s.rows, n) - p->mass_a + sv_ot_entropy(p->a, n) + sv_ot_entropy(p->b, m);
    *answer = (struct sv_ot_answer){
        .marginal_error = sv_ot_error(p, s.rows, s.columns), .value = linear + p->reg * (log_plan - log_product),
        .value_linear = linear, .value_entropy = linear + p->reg * log_plan,
        .value_dual = dual - p->reg * mass + sv_ot_offset_part(p, p->a, p->b),
        .gap = NAN, .lp_lower = NAN, .lp_upper = NAN};
    return certified ? certificate(p, u, v, rounding, &s, answer) : OT_DONE;
}
