/* Restarted reflected Halpern steps of the primal-dual hybrid gradient method for linear programs: see lp_pdhg.h.
 *
 * Lu & Yang (2024, arXiv 2407.16144), with the restarts and the controller of the primal weight of Lu et al. (2025,
 * arXiv 2507.14051), which are in restart.c. Where it differs from the papers stands in solvers/equilibrium/_lp_pdhg.py.
 */
#include "lp_pdhg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"
#include "restart.h"
#include "solvers.h"

/* What a step is of the longest one that is known to converge, and by how much an observed norm is exceeded. */
#define SHARE 0.998
#define MARGIN 1.02
enum { POWER_STEPS = 20 };
/* How far the weight may leave 1 in either direction. */
#define REACH 1e5
/* Blocks without a better measure that end the method: more of them, the more there have been. And fewer where the
 * measure is about that of rounding. */
enum { PATIENCE = 2000, LITTLE_PATIENCE = 60 };
#define ROUNDING 1e-11
/* A measure that is no better than this share of the best has not got on. */
#define BETTER 0.9
/* After so many blocks a look comes one block later, and at most so many blocks later: looks are dear where the matrix
 * is small, and late in a run little is lost by fewer of them. */
enum { SELDOM = 100, FEWER = 3 };
/* Blocks between two looks for rays, and measures that a ray of an infeasible program has, at least: below, the program
 * is about to be solved. */
enum { RAYS = 8 };
#define HOPELESS 1e-5

/* What a step needs: vectors of what is left, and of the whole. */
struct room {
    double *xbar, *tx, *dx, *move_x, *ty, *dy, *product, *move_y;
    double *x, *reduced, *z, *ray_x, *y, *activity, *ray_y;
    double norm; /* the largest that a displacement has shown */
};

static struct room rooms(const struct sv_lp_prepared *p, double *work)
{
    size_t n = p->lp.n, m = p->lp.m, N = p->whole->lp.n, M = p->whole->lp.m;
    struct room r = {.xbar = work};
    r.tx = r.xbar + n;
    r.dx = r.tx + n;
    r.move_x = r.dx + n;
    r.ty = r.move_x + n;
    r.dy = r.ty + m;
    r.product = r.dy + m;
    r.move_y = r.product + m;
    r.x = r.move_y + m;
    r.reduced = r.x + N;
    r.z = r.reduced + N;
    r.ray_x = r.z + N;
    r.y = r.ray_x + N;
    r.activity = r.y + M;
    r.ray_y = r.activity + M;
    return r;
}

size_t sv_lp_pdhg_worksize(const struct sv_lp_prepared *p)
{
    return 4 * (p->lp.n + p->lp.m) + 4 * p->whole->lp.n + 3 * p->whole->lp.m;
}

int sv_lp_prepare(const struct sv_reduced *reduced, struct sv_lp_prepared *p)
{
    const struct sv_lp *lp = &reduced->lp;
    size_t m = lp->m, n = lp->n, entries = (size_t)lp->starts[m];
    memset(p, 0, sizeof *p);
    p->whole = reduced->whole;
    p->reduced = reduced;
    p->owned = malloc((entries + 5 * n + 4 * m + 1) * sizeof *p->owned);
    if (!p->owned)
        return sv_fail(SV_NO_MEMORY, "program: no memory for a copy");
    double *value = p->owned, *c = value + entries, *lb = c + n, *ub = lb + n, *l = ub + n, *u = l + m;
    p->scales.rows = u + m;
    p->scales.columns = p->scales.rows + m;
    memcpy(value, lp->value, entries * sizeof(double));
    memcpy(c, lp->c, n * sizeof(double));
    memcpy(lb, lp->lb, n * sizeof(double));
    memcpy(ub, lp->ub, n * sizeof(double));
    memcpy(l, lp->l, m * sizeof(double));
    memcpy(u, lp->u, m * sizeof(double));
    sv_program_scale(lp, value, c, l, u, lb, ub, 1, &p->scales, p->scales.columns + n);
    p->lp = (struct sv_lp){m, n, lp->starts, lp->index, value, c, l, u, lb, ub};
    return SV_OK;
}

void sv_lp_prepared_free(struct sv_lp_prepared *p)
{
    free(p->owned);
    memset(p, 0, sizeof *p);
}

/* The whole's pair of a scaled one, and directions alike. `scratch`: as many doubles as the longer of x and y. */
static void whole_x(const struct sv_lp_prepared *p, double sign, const double *x, int fixed, double *scratch,
                    double *whole)
{
    for (size_t j = 0; j < p->lp.n; j++)
        scratch[j] = p->scales.columns[j] * (sign * x[j]) / p->scales.sides;
    sv_reduced_point(p->reduced, scratch, fixed, whole);
}

static void whole_y(const struct sv_lp_prepared *p, double sign, const double *y, const double *c, double *scratch,
                    double *whole, double *work)
{
    for (size_t i = 0; i < p->lp.m; i++)
        scratch[i] = p->scales.rows[i] * (sign * y[i]) / p->scales.cost;
    sv_reduced_multipliers(p->reduced, scratch, c, whole, work);
}

static void anchor(const struct sv_lp_prepared *p, struct sv_lp_pdhg *s, const double *x, const double *y)
{
    memmove(s->x, x, p->lp.n * sizeof *x);
    memmove(s->y, y, p->lp.m * sizeof *y);
    memmove(s->anchor_x, s->x, p->lp.n * sizeof *x);
    memmove(s->anchor_y, s->y, p->lp.m * sizeof *y);
    sv_equilibrium_lp_transposed(&p->lp, s->y, s->kty);
    s->count = 0;
    s->first = s->last = INFINITY;
}

/* The norm of the scaled matrix, by power steps from below; it is never more than 1. */
static double norm_of(const struct sv_lp *lp, double *v, double *u)
{
    double norm = 0;
    if (lp->m == 0 || lp->starts[lp->m] == 0)
        return 1;
    for (size_t j = 0; j < lp->n; j++)
        v[j] = sin((double)(j + 1));
    for (int k = 0; k < POWER_STEPS; k++) {
        double length = sqrt(sv_program_dot(v, v, lp->n));
        if (!(length > 0))
            break;
        for (size_t j = 0; j < lp->n; j++)
            v[j] /= length;
        sv_equilibrium_lp_product(lp, v, u);
        norm = sqrt(sv_program_dot(u, u, lp->m));
        sv_equilibrium_lp_transposed(lp, u, v);
    }
    norm *= MARGIN;
    return norm > 0 && norm < 1 ? norm : 1;
}

void sv_lp_pdhg_init(const struct sv_lp_prepared *p, const double *x0, const double *y0, struct sv_lp_pdhg *s,
                     double *work)
{
    struct room r = rooms(p, work);
    struct sv_program_worth worth;
    size_t N = p->whole->lp.n, M = p->whole->lp.m;
    memcpy(s->best_x, x0, N * sizeof *x0);
    memcpy(s->best_y, y0, M * sizeof *y0);
    sv_program_judge(p->whole, s->best_x, s->best_y, r.reduced, r.z, r.activity, &worth);
    for (size_t j = 0; j < p->lp.n; j++) {
        double x = s->best_x[p->reduced->columns[j]] * p->scales.sides / p->scales.columns[j];
        x = x < p->lp.lb[j] ? p->lp.lb[j] : x;
        r.tx[j] = x > p->lp.ub[j] ? p->lp.ub[j] : x;
    }
    for (size_t i = 0; i < p->lp.m; i++)
        r.ty[i] = s->best_y[p->reduced->rows[i]] * p->scales.cost / p->scales.rows[i];
    anchor(p, s, r.tx, r.ty);
    memset(s->ray_x, 0, N * sizeof *s->ray_x);
    memset(s->ray_y, 0, M * sizeof *s->ray_y);
    s->norm = norm_of(&p->lp, r.dx, r.product);
    s->weight = 1;
    s->summed = 0;
    s->best_weight = NAN;
    s->distance = INFINITY;
    s->measure = worth.measure;
    s->total = s->stale = s->restarts = s->nit = 0;
    s->verdict = 0;
}

static void walk(const struct sv_lp_prepared *p, struct sv_lp_pdhg *s, struct room *r, int64_t count)
{
    double eta = SHARE / s->norm;
    const struct sv_lp_state state = {s->x, s->y, s->kty, r->xbar, s->anchor_x, s->anchor_y};
    sv_equilibrium_lp_steps(&p->lp, &state, eta / s->weight, eta * s->weight, s->count, count, r->tx, r->ty, r->dx,
                            r->dy);
    s->count += count;
}

/* |z - T(z)| in the metric of the steps, of the last iteration's z. */
static double residual_of(const struct sv_lp_prepared *p, const struct sv_lp_pdhg *s, struct room *r)
{
    sv_equilibrium_lp_product(&p->lp, r->dx, r->product);
    double xx = sv_program_dot(r->dx, r->dx, p->lp.n), yy = sv_program_dot(r->dy, r->dy, p->lp.m);
    double image = sv_program_dot(r->product, r->product, p->lp.m);
    if (xx > 0 && sqrt(image / xx) > r->norm)
        r->norm = sqrt(image / xx);
    double cross = 2 * (SHARE / s->norm) * sv_program_dot(r->dy, r->product, p->lp.m);
    double square = s->weight * xx + yy / s->weight + cross;
    return isfinite(square) ? sqrt(square > 0 ? square : 0) : INFINITY;
}

/* What z - T(z), the move from the anchor or T(z) itself prove, as rays of the whole. */
static void look_for_rays(const struct sv_lp_prepared *p, struct sv_lp_pdhg *s, struct room *r)
{
    for (size_t j = 0; j < p->lp.n; j++)
        r->move_x[j] = r->tx[j] - s->anchor_x[j];
    for (size_t i = 0; i < p->lp.m; i++)
        r->move_y[i] = r->ty[i] - s->anchor_y[i];
    double *const xs[] = {r->dx, r->move_x, r->tx}, *const ys[] = {r->dy, r->move_y, r->ty};
    for (int k = 0; k < 3; k++) {
        for (int sign = 1; sign >= -1; sign -= 2) {
            whole_x(p, sign, xs[k], 0, r->xbar, r->x);
            if (sv_program_unbounded(p->whole, r->x, r->ray_x, r->activity)) {
                memcpy(s->ray_x, r->ray_x, p->whole->lp.n * sizeof *s->ray_x);
                s->verdict = 2;
                return;
            }
        }
        for (int sign = 1; sign >= -1; sign -= 2) {
            whole_y(p, sign, ys[k], NULL, r->product, r->y, r->reduced);
            if (sv_program_infeasible(p->whole, r->y, r->ray_y, r->reduced)) {
                memcpy(s->ray_y, r->ray_y, p->whole->lp.m * sizeof *s->ray_y);
                s->verdict = 1;
                return;
            }
        }
    }
}

/* Takes in what T(z) is worth on the whole; the ratio of its relative residuals. */
static double judge(const struct sv_lp_prepared *p, struct sv_lp_pdhg *s, struct room *r)
{
    struct sv_program_worth worth;
    whole_x(p, 1, r->tx, 1, r->xbar, r->x);
    whole_y(p, 1, r->ty, p->whole->lp.c, r->product, r->y, r->reduced);
    sv_program_judge(p->whole, r->x, r->y, r->reduced, r->z, r->activity, &worth);
    double primal = worth.primal / (1 + p->whole->side_norm), dual = worth.dual / (1 + p->whole->cost_norm);
    s->stale = worth.measure < BETTER * s->measure ? 0 : s->stale + 1;
    if (worth.measure < s->measure) {
        memcpy(s->best_x, r->x, p->whole->lp.n * sizeof *s->best_x);
        memcpy(s->best_y, r->y, p->whole->lp.m * sizeof *s->best_y);
        s->measure = worth.measure;
    }
    if (s->nit % RAYS == 0 && !(s->measure < HOPELESS))
        look_for_rays(p, s, r);
    return dual > 0 ? primal / dual : INFINITY;
}

static double distance(const double *u, const double *v, double *work, size_t length)
{
    for (size_t k = 0; k < length; k++)
        work[k] = u[k] - v[k];
    return sqrt(sv_program_dot(work, work, length));
}

static void reweigh(const struct sv_lp_prepared *p, struct sv_lp_pdhg *s, struct room *r, double balance)
{
    struct sv_restart_weight weight = {s->weight, 1 / REACH, REACH, s->summed, s->best_weight, s->distance};
    double move_x = distance(r->tx, s->anchor_x, r->move_x, p->lp.n);
    double move_y = distance(r->ty, s->anchor_y, r->move_y, p->lp.m);
    sv_restart_weigh(&weight, move_x, move_y, balance);
    /* Half the step that the controller asks for, in the logarithm: whole ones may swing. */
    s->weight = sqrt(weight.value * s->weight);
    s->summed = weight.summed;
    s->best_weight = weight.best;
    s->distance = weight.distance;
    s->restarts++;
}

void sv_lp_pdhg_step(const struct sv_lp_prepared *p, struct sv_lp_pdhg *s, int64_t block, double *work)
{
    struct room r = rooms(p, work);
    int64_t later = s->total / (SELDOM * block);
    block *= 1 + (later < FEWER ? later : FEWER);
    s->nit++;
    if (s->count == 0) {
        walk(p, s, &r, 1);
        s->first = residual_of(p, s, &r);
        walk(p, s, &r, block - 1);
    } else {
        walk(p, s, &r, block);
    }
    double residual = residual_of(p, s, &r);
    if (!isfinite(residual)) { /* the steps are too long: half of them, from the anchor */
        s->norm *= 2;
        anchor(p, s, s->anchor_x, s->anchor_y);
        return;
    }
    s->total += block;
    double balance = judge(p, s, &r);
    if (r.norm > s->norm) {
        s->norm = MARGIN * r.norm;
        anchor(p, s, r.tx, r.ty);
    } else if (sv_restart_wanted(residual, s->last, s->first, s->count, s->total)) {
        reweigh(p, s, &r, balance);
        anchor(p, s, r.tx, r.ty);
    } else {
        s->last = residual;
    }
}

int sv_lp_pdhg_done(double tol, double measure, int verdict, int64_t stale, int64_t nit)
{
    if (measure <= tol)
        return SV_CONVERGED;
    if (verdict)
        return verdict == 1 ? SV_INFEASIBLE : SV_UNBOUNDED;
    int64_t patience = (measure < ROUNDING ? LITTLE_PATIENCE : PATIENCE) + nit / 2;
    return stale >= patience ? SV_STAGNATION : -1;
}
