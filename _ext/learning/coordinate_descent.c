/* Working sets, and the objective minimised on them by coordinate descent: see coordinate_descent.h.
 *
 * A pass over the data gives the gradient, the gap, coordinates that are zero at the optimum, and those whose equations
 * are violated most, in units of their columns' norms: these join the working set. On it least squares are minimised by
 * sweeps of exact coordinate steps against a kept residual, then by conjugate gradients on the face that the sweeps settle
 * on (sweeps.h); small sets, and those where sweeps crawl, by sweeps with the gradient at hand and an active-set method on
 * their Gram matrix (coordinate_gram.c). Other losses are replaced there by their quadratic model, minimised in the same way, and a line search
 * on the kept predictors follows; where it takes little of a step, the next models have more curvature.
 * Of non-negative least squares with many more columns than samples an exact fit is tried first (exact_fit.c).
 *
 * The frame is that of celer (Massias, Gramfort, Salmon, 2018, arXiv 1802.07481) and skglm (Bertrand and others, 2022,
 * arXiv 2204.07826); exact steps on coordinates and many of them at once: Nutini, Laradji, Schmidt, 2022, arXiv 1712.08859.
 * Differs in:
 * 1. No extrapolation of the sweeps (Anderson's): once the signs have settled the rest is linear, and conjugate gradients
 *    take the best step of all that the same products could give, without a guard on the objective.
 * 2. The inner problem is solved to a share of the violation, so that the last passes are not wasted on the first sets.
 * 3. The gap is of X w computed anew from w at each pass, so that no rounding of the kept residual stays in the answer.
 */
#include "coordinate_descent.h"

#include <math.h>
#include <string.h>

#include "coordinate_gram.h"
#include "exact_fit.h"
#include "solvers.h"
#include "sweeps.h"

enum { FIRST = 128, FIRST_ANEW = 12, NEWTON_STEPS = 3, SMOOTH_STEPS = 10, HALVINGS = 60, MOST_SWEEPS = 300, MOST_IDLE = 3, LEAVING = 10 };

/* Working sets whose Gram matrix is formed without further ado, if it costs no more than so many sweeps, and else after a
 * share of that (half as many columns without kinks and bounds: conjugate gradients need no sweeps there); sweeps that are given
 * up for a larger one, at least. */
enum { FEW = 128, CHEAP = 32, SOME_SWEEPS = 30 };
#define SOON 0.2

#define TINY 1e-300
/* Rounding of the objective, relative to it or to that at zero. */
#define NOISE 1e-15
/* Sufficient decrease; a share of a step that tells of a bad model; the least curvature of a sample. */
#define ARMIJO 1e-4
#define SHORT 0.05
#define LEAST 1e-15
/* The share of the largest curvature that all samples have after a short step, by how much it grows with the next one, falls
 * with a whole step, and where it is given up. */
#define FIRST_FLOOR 1e-4
#define STEEPER 100
#define FLATTER 10
#define LEAST_FLOOR 1e-8
/* The norm that shorter columns count with in a preconditioner, as a share of the longest. */
#define ROUGH 1e-5
/* A coefficient beyond which there seems to be no minimum; a margin that no rounding of X w makes. */
#define LARGEST 1e8
#define APART 1.0

static size_t width(const struct sv_fit *fit) { return fit->d + (fit->ones != 0); }

/* 11 arrays of all coordinates and 9 of all samples, of which a pass over the data uses the first; and a Gram matrix. */
size_t sv_fit_work(size_t n, size_t d)
{
    size_t p = d + 1 < SV_GRAM_MOST ? d + 1 : SV_GRAM_MOST;
    return 11 * (d + 1) + 9 * n + 2 * p * p + 9 * p;
}

/* ---- what holds of a fit at all ---- */

void sv_fit_prepare(struct sv_fit *fit)
{
    struct sv_separable features = fit->penalty;
    struct sv_loss_sums sums;
    double *zeros = fit->work + width(fit);
    features.d = fit->d;
    fit->kind = sv_separable_kind(&features);
    fit->selects = fit->kind.largest_l1 > 0;
    for (size_t j = 0; j < fit->d; j++)
        fit->selects |= features.low[j] == 0 || features.high[j] == 0;
    fit->curvature = sv_learning_loss_traits(fit->loss.kind).curvature;
    fit->whole = fit->d <= FEW;
    fit->flat = !fit->dense && fit->loss.kind == SV_LOSS_SQUARED && !fit->loss.s &&
                (fit->entries ? fit->entries == SV_FLAT : sv_compressed_is_flat(&fit->sparse, fit->d));
    fit->at_once = fit->flat && fit->selects && fit->d <= SV_GRAM_MOST && fit->d > 0 &&
                   sv_gram_costs_by_bits(fit->n, fit->d, (double)(fit->sparse.starts[fit->d] - fit->sparse.starts[0])) <= CHEAP;
    fit->heaviest = fit->loss.s ? 0 : 1;
    for (size_t i = 0; fit->loss.s && i < fit->n; i++)
        fit->heaviest = fmax(fit->heaviest, fit->loss.s[i]);
    fit->at_zero = NAN;
    if (fit->from_zero)
        return;
    memset(zeros, 0, fit->n * sizeof *zeros);
    sv_learning_loss(&fit->loss, zeros, NULL, 0, NULL, NULL, NULL, &sums);
    fit->at_zero = sums.value;
}

/* ---- the working set ---- */

/* How many columns join at first. Few where each step has a Gram matrix of its own: the first ones are of models that are
 * far from the loss. */
static size_t usual_first(const struct sv_fit *fit)
{
    return fit->first ? (size_t)fit->first : fit->loss.kind == SV_LOSS_SQUARED ? FIRST : FIRST_ANEW;
}

/* The same, of columns whose Gram matrix bits make: all that may have one. */
static size_t first_of(const struct sv_fit *fit)
{
    return fit->at_once && !fit->first ? SV_GRAM_MOST : usual_first(fit);
}

/* How far the equation of coordinate j is from being met, in units of its column's norm. */
static void violations(const struct sv_fit *fit, const struct sv_fit_state *state, double *violation)
{
    sv_separable_violations(&fit->penalty, state->w, state->g, violation);
    for (size_t j = 0; j < width(fit); j++)
        if (violation[j] != 0)
            violation[j] /= fmax(fit->norms[j], TINY);
}

/* Before or after in the order of falling keys, then rising numbers. */
static int before(const double *key, int32_t a, int32_t b) { return key[a] > key[b] || (key[a] == key[b] && a < b); }

/* Brings the first `room` of that order to the front of the list. */
static void select_first(int32_t *list, size_t count, size_t room, const double *key)
{
    size_t from = 0, to = count;
    while (to - from > 1 && room > from && room < to) {
        int32_t a = list[from], b = list[from + (to - from) / 2], c = list[to - 1];
        int32_t pivot = before(key, a, b) ? (before(key, b, c) ? b : before(key, a, c) ? c : a)
                                          : (before(key, a, c) ? a : before(key, b, c) ? c : b);
        size_t low = from, high = to;
        for (size_t k = from; k < high;) {
            int32_t here = list[k];
            if (before(key, here, pivot)) {
                list[k++] = list[low];
                list[low++] = here;
            } else if (here != pivot) {
                list[k] = list[--high];
                list[high] = here;
            } else {
                k++;
            }
        }
        if (room <= low) /* the pivot lies at low */
            to = low;
        else
            from = low + 1;
    }
}

/* Columns with the largest violations join; screened ones leave, and those that rest at zero where there is no dual bound
 * or the model is another one next time. Returns whether the working set stayed as it was. */
static int grow(struct sv_fit *fit, struct sv_fit_state *state)
{
    double *violation = fit->work;
    size_t count = 0, candidates = 0, support = 0, left = 0;
    int32_t *list = fit->places;
    /* Where Gram matrices are made anew at each step, columns that rest cost more than passes that bring them back; in the
     * first steps only, so that none comes and goes for ever. */
    int anew = fit->loss.kind != SV_LOSS_SQUARED && state->nit < LEAVING;
    int leave = fit->selects && (!fit->kind.has_dual || anew);
    violations(fit, state, violation);
    for (size_t j = 0; j < fit->d; j++) {
        int rests = leave && state->w[j] == 0 && violation[j] == 0;
        if (state->working[j] && (!state->alive[j] || rests)) {
            state->working[j] = 0;
            left++;
        }
        count += state->working[j];
        support += state->w[j] != 0;
        if (!state->working[j] && state->alive[j] && violation[j] > 0)
            list[candidates++] = (int32_t)j;
    }
    /* Where most are violated all join: to make the matrix anew for those that lack would cost as much again. */
    int all = fit->at_once && !fit->first && fit->kind.has_dual && 2 * (count + candidates) > fit->d;
    for (size_t j = 0; all && j < fit->d; j++)
        if (!state->working[j] && state->alive[j] && violation[j] == 0)
            list[candidates++] = (int32_t)j;
    /* As many as are in use are a guess of what lacks. */
    size_t first = first_of(fit), aim = 2 * support > first ? 2 * support : first;
    size_t room = aim > count + support / 2 ? aim - count : support / 2;
    if (room < 10)
        room = 10;
    if (!fit->kind.has_dual && room > fit->n / 4 + 10)
        room = fit->n / 4 + 10;
    if (candidates > room)
        select_first(list, candidates, room, violation);
    else
        room = candidates;
    for (size_t k = 0; k < room; k++)
        state->working[list[k]] = 1;
    return room == 0 && left == 0;
}

/* ---- the objective on the working set ---- */

/* Steps on the columns of the working set. Arrays of its coordinates, and of all samples. */
struct walk {
    struct sv_fit *fit;
    struct sv_fit_state *state;
    struct sv_separable part;
    struct sv_sweeps model; /* at its w and q */
    int32_t *list;
    double *w, *g;                   /* where the walk is, */
    double *z, *v, *D;               /* X w, the loss's first and second derivative there */
    double *way, *trial, *v_there, *D_there;
    double *target, *q;              /* the model's */
    double *gram;                    /* work */
    double value, violation, noise;  /* of the loss at w; of the equations */
    double entries;                  /* of the working set's columns */
};

/* `array` of so many doubles from the rest of the work. */
static double *taken(double **rest, size_t count)
{
    double *array = *rest;
    *rest += count;
    return array;
}

static void begin_walk(struct walk *walk, struct sv_fit *fit, struct sv_fit_state *state)
{
    size_t p = 0, n = fit->n, all = width(fit);
    double *rest = fit->work, *l1, *l2, *low, *high;
    *walk = (struct walk){.fit = fit, .state = state, .list = fit->places};
    l1 = taken(&rest, all), l2 = taken(&rest, all), low = taken(&rest, all), high = taken(&rest, all);
    walk->w = taken(&rest, all), walk->g = taken(&rest, all), walk->target = taken(&rest, all);
    for (size_t j = 0; j < all; j++) {
        if (!state->working[j])
            continue;
        l1[p] = fit->penalty.l1[j], l2[p] = fit->penalty.l2[j];
        low[p] = fit->penalty.low[j], high[p] = fit->penalty.high[j];
        walk->w[p] = state->w[j], walk->g[p] = state->g[j];
        walk->list[p++] = (int32_t)j;
    }
    walk->part = (struct sv_separable){p, l1, l2, low, high};
    walk->q = taken(&rest, n);
    walk->model = (struct sv_sweeps){
        .n = n, .p = p, .sparse = fit->sparse, .dense = fit->dense, .stride = fit->stride, .list = walk->list,
        .flat = fit->flat, .ones = fit->ones, .l1 = l1, .l2 = l2, .low = low, .high = high, .w = walk->target, .q = walk->q,
        .curvature = taken(&rest, all), .work = taken(&rest, 3 * all + n), .face = fit->places + fit->d + 1};
    for (size_t k = 0; k < p; k++)
        walk->entries += (double)sv_sweeps_entries(&walk->model, k);
    walk->z = taken(&rest, n), walk->v = taken(&rest, n), walk->D = taken(&rest, n), walk->way = taken(&rest, n);
    walk->trial = taken(&rest, n), walk->v_there = taken(&rest, n), walk->D_there = taken(&rest, n);
    walk->gram = rest;
    walk->violation = state->kkt;
}

/* The share of the violation that the tolerance asks for: the gap falls with it. */
static double needed(const struct walk *walk) { return 0.3 * walk->fit->tol / fmax(walk->state->measure, TINY); }

/* The share of the violation of all at which sweeps may stop: more is of use where other columns have theirs. */
static double share_of_squares(const struct walk *walk)
{
    double *old = walk->model.work, most = 0;
    sv_separable_violations(&walk->part, walk->w, walk->g, old);
    for (size_t k = 0; k < walk->part.d; k++)
        most = fmax(most, old[k]);
    return fmin(fmax(needed(walk), most >= 0.5 * walk->state->kkt ? 0.01 : 0.1), 0.1);
}

/* The same of a Newton step, whose own error falls with the square of the violation. */
static double share_of_newton(const struct walk *walk)
{
    double size = fmax(walk->fit->kind.largest_l1, TINY);
    for (size_t k = 0; k < walk->part.d; k++)
        size = fmax(size, fabs(walk->g[k]));
    return fmin(fmax(needed(walk), walk->violation / size), walk->fit->selects ? 0.1 : 0.3);
}

/* By the Gram matrix, from where the walk is, to the square of the violation, but not below rounding. */
static int by_gram(struct walk *walk)
{
    double size = fmax(walk->violation, walk->fit->kind.largest_l1), *slope = walk->model.work;
    size_t p = walk->part.d;
    if (p == 0 || p > SV_GRAM_MOST)
        return 0;
    for (size_t k = 0; k < p; k++) {
        size = fmax(size, fabs(walk->g[k]));
        slope[k] = walk->g[k] + walk->part.l2[k] * walk->w[k];
    }
    double tol = fmax(1e-3 * walk->violation * fmin(1e-2, walk->violation / fmax(size, TINY)), 1e-16 * size);
    memcpy(walk->target, walk->w, p * sizeof *walk->target);
    walk->state->grams++;
    return sv_gram_minimise(&walk->model, slope, tol, walk->way, walk->gram, walk->model.face);
}

/* About the curvatures of the columns, by the mean of the samples': without kinks and bounds they only precondition, and the
 * exact ones would cost as much as a product. */
static void estimate_curvatures(struct walk *walk)
{
    const struct sv_fit *fit = walk->fit;
    double mean = 0, least = 0;
    for (size_t i = 0; i < fit->n; i++)
        mean += walk->D[i];
    mean /= (double)fit->n;
    for (size_t k = 0; k < walk->part.d; k++)
        least = fmax(least, ROUGH * fit->norms[walk->list[k]]);
    for (size_t k = 0; k < walk->part.d; k++) {
        double norm = fmax(fit->norms[walk->list[k]], least);
        walk->model.curvature[k] = mean * norm * norm + walk->part.l2[k];
    }
}

/* target = the model's minimiser over the working set, from w, where the loss has the derivative v. Sweeps that have
 * cost what the Gram matrix would are given up for it, and not tried again. */
static void minimise_model(struct walk *walk, const double *weights, double tol)
{
    struct sv_fit_state *state = walk->state;
    size_t p = walk->part.d;
    double costs = sv_gram_costs(&walk->model), most = MOST_SWEEPS * walk->entries;
    int smooth = sv_sweeps_smooth(&walk->model), is_small = p <= (smooth ? FEW / 2 : FEW);
    double worth = (is_small ? SOON * costs : fmax(SOME_SWEEPS, costs)) * walk->entries;
    int may = p <= SV_GRAM_MOST, at_once = ((is_small || walk->fit->at_once) && costs <= CHEAP) || state->crawls;
    walk->model.weights = weights;
    state->newtons++;
    if (may && at_once && by_gram(walk))
        return;
    may = may && !at_once;
    memcpy(walk->target, walk->w, p * sizeof *walk->target);
    memcpy(walk->q, walk->v, walk->fit->n * sizeof *walk->q);
    if (weights == walk->D && smooth)
        estimate_curvatures(walk);
    else
        sv_sweeps_curvatures(&walk->model);
    if (sv_sweeps_minimise(&walk->model, tol, may ? worth : most) <= tol || !may)
        return;
    state->crawls = 1;
    if (by_gram(walk))
        return;
    memcpy(walk->target, walk->w, p * sizeof *walk->target);
    memcpy(walk->q, walk->v, walk->fit->n * sizeof *walk->q);
    sv_sweeps_minimise(&walk->model, tol, most);
}

static double penalty_value(const struct sv_separable *p, const double *w)
{
    double sum = 0;
    for (size_t k = 0; k < p->d; k++)
        sum += p->l1[k] * fabs(w[k]) + 0.5 * p->l2[k] * w[k] * w[k];
    return sum;
}

/* X (target - w). */
static void predictors_of_step(struct walk *walk)
{
    double *change = walk->model.work;
    struct sv_sweeps all = walk->model;
    size_t moved = 0;
    all.face = walk->model.face;
    for (size_t k = 0; k < walk->part.d; k++) {
        double by = walk->target[k] - walk->w[k];
        if (by != 0) {
            all.face[moved] = (int32_t)k;
            change[moved++] = by;
        }
    }
    sv_sweeps_combine(&all, moved, change, walk->way);
}

static void swap(double **a, double **b)
{
    double *kept = *a;
    *a = *b;
    *b = kept;
}

/* Goes as far towards the target as gives enough decrease, without a pass over the data; returns the share, 0 where
 * nothing helps. */
static double line_search(struct walk *walk)
{
    const struct sv_separable *part = &walk->part;
    double here = penalty_value(part, walk->w), there = penalty_value(part, walk->target), slope = there - here;
    double share = 1, *between = walk->model.work;
    for (size_t k = 0; k < part->d; k++)
        slope += walk->g[k] * (walk->target[k] - walk->w[k]);
    slope = fmin(slope, 0);
    for (int trial = 0; trial < HALVINGS; trial++, share /= 2) {
        struct sv_loss_sums sums;
        sv_learning_loss(&walk->fit->loss, walk->z, walk->way, share, walk->trial, walk->v_there, walk->D_there, &sums);
        for (size_t k = 0; k < part->d; k++)
            between[k] = share == 1 ? walk->target[k] : walk->w[k] + share * (walk->target[k] - walk->w[k]);
        if (share < 1)
            there = penalty_value(part, between);
        if (sums.value + there <= walk->value + here + ARMIJO * share * slope + walk->noise) {
            memcpy(walk->w, between, part->d * sizeof *between);
            swap(&walk->z, &walk->trial);
            swap(&walk->v, &walk->v_there);
            swap(&walk->D, &walk->D_there);
            walk->value = sums.value;
            return share;
        }
    }
    return 0;
}

/* The least curvature of a sample in the next models, as a share of the largest that its loss can have. */
static void keep_above(struct walk *walk)
{
    const struct sv_loss *loss = &walk->fit->loss;
    double floor = walk->state->floor > 0 ? walk->state->floor * walk->fit->curvature : 0;
    for (size_t i = 0; i < loss->n; i++) {
        double least = floor * (loss->s ? loss->s[i] : 1);
        least = least > LEAST ? least : LEAST;
        walk->D[i] = walk->D[i] > least ? walk->D[i] : least; /* fmax would be a call a sample */
    }
}

/* After a step of which little was taken: the next model has more curvature. Of Huber's loss the slope over the distance,
 * with which it lies above the objective: reweighted least squares. Of the others a share of the largest that there is,
 * which stays until whole steps are taken, since samples without any let a step go as far as the penalty does. Returns
 * whether there is more. */
static int lift(struct walk *walk, int lifted)
{
    const struct sv_loss *loss = &walk->fit->loss;
    double *floor = &walk->state->floor;
    if (isinf(walk->fit->curvature) || (loss->kind == SV_LOSS_HUBER ? lifted : *floor == 1))
        return 0;
    if (loss->kind != SV_LOSS_HUBER)
        *floor = fmin(fmax(STEEPER * *floor, FIRST_FLOOR), 1);
    for (size_t i = 0; loss->kind == SV_LOSS_HUBER && i < loss->n; i++)
        walk->D[i] = (loss->s ? loss->s[i] : 1) / fmax(1, fabs(walk->z[i] - loss->y[i]));
    return 1;
}

/* The gradient at w on the working set, and the violation there. */
static void look(struct walk *walk)
{
    struct sv_separable_measures measures;
    struct sv_sweeps at = walk->model;
    at.q = walk->v;
    for (size_t k = 0; k < walk->part.d; k++)
        at.face[k] = (int32_t)k;
    sv_sweeps_dots(&at, walk->part.d, walk->g);
    sv_separable_measure(&walk->part, walk->w, walk->g, &measures);
    walk->violation = measures.kkt;
}

/* Whether another step should wait for a pass over the data, whatever the violation is: one over all coordinates tells
 * more, and costs little beside a step on all of them. */
static int enough(const struct walk *walk, int steps)
{
    const struct sv_fit *fit = walk->fit;
    return walk->part.d == width(fit) || steps >= (fit->kind.largest_l1 > 0 ? NEWTON_STEPS : SMOOTH_STEPS);
}

/* The loss and its derivatives where the last pass was. The logistic curvature is that of the probability u of the other
 * label, u (1 - u), and s u the size of the derivative, which is known. */
static void begin_newton(struct walk *walk)
{
    const struct sv_fit *fit = walk->fit;
    const struct sv_fit_state *state = walk->state;
    const double *s = fit->loss.s;
    struct sv_loss_sums sums;
    memcpy(walk->z, state->z, fit->n * sizeof *walk->z);
    if (fit->loss.kind != SV_LOSS_LOGISTIC) {
        sv_learning_loss(&fit->loss, walk->z, NULL, 0, NULL, walk->v, walk->D, &sums);
        walk->value = sums.value;
        return;
    }
    memcpy(walk->v, state->v, fit->n * sizeof *walk->v);
    for (size_t i = 0; i < fit->n; i++) {
        double size = fabs(walk->v[i]);
        walk->D[i] = s ? size * (1 - size / s[i]) : size * (1 - size);
    }
    walk->value = state->primal - penalty_value(&fit->penalty, state->w);
}

static void newton(struct walk *walk)
{
    const struct sv_fit *fit = walk->fit;
    const struct sv_fit_state *state = walk->state;
    int lifted = 0;
    begin_newton(walk);
    walk->noise = NOISE * fmax(fabs(fit->at_zero), fabs(state->primal));
    for (int steps = 1;; steps++) {
        keep_above(walk);
        minimise_model(walk, walk->D, share_of_newton(walk) * walk->violation);
        predictors_of_step(walk);
        double share = line_search(walk);
        if (share == 1)
            walk->state->floor = walk->state->floor > LEAST_FLOOR ? walk->state->floor / FLATTER : 0;
        lifted = share < SHORT && lift(walk, lifted && share == 0);
        if (share == 0 && !lifted)
            return;
        if ((share > 0 && !lifted && enough(walk, steps)) || steps > 2 * SMOOTH_STEPS)
            return;
        if (share > 0)
            look(walk);
        if (share > 0 && !lifted && walk->violation <= 0.1 * state->kkt)
            return;
    }
}

/* ---- the steps of a fit ---- */

/* All that is known at state->w, by a pass over the columns that are left; where that would do, over all of them: those that
 * are zero at the optimum may bound the dual point here. */
static void look_at_all(struct sv_fit *fit, struct sv_fit_state *state)
{
    struct sv_fit_bounds bounds;
    int some = !fit->whole && memchr(state->alive, 0, fit->d);
    sv_fit_bound(fit, state->w, some ? state->alive : NULL, state->z, state->v, state->g, &bounds);
    if (some && sv_fit_measure(fit, bounds.primal, bounds.dual) <= fit->tol)
        sv_fit_bound(fit, state->w, NULL, state->z, state->v, state->g, &bounds);
    if (fit->screening)
        sv_fit_screen(fit, state->w, state->g, &bounds, state->alive);
    state->primal = bounds.primal;
    state->kkt = bounds.kkt;
    state->dual = bounds.dual;
    state->measure = sv_fit_measure(fit, state->primal, state->dual);
}

/* A start that is worse than zero is of no use, and Poisson's loss might overflow there. The coefficient of an empty
 * column has no curvature that a step could go by; zero is its best value. */
static void start(struct sv_fit *fit, struct sv_fit_state *state)
{
    struct sv_fit_bounds at;
    size_t used = 0;
    for (size_t j = 0; j < width(fit); j++) {
        if (fit->norms[j] == 0)
            state->w[j] = 0;
        used += state->w[j] != 0;
    }
    if (used == 0)
        return;
    sv_fit_bound(fit, state->w, NULL, state->z, state->v, state->g, &at);
    if (!(at.primal <= fit->at_zero))
        memset(state->w, 0, width(fit) * sizeof *state->w);
}

void sv_fit_begin(struct sv_fit *fit, struct sv_fit_state *state, const uint8_t *guess)
{
    int all = !fit->selects || fit->d <= usual_first(fit);
    start(fit, state);
    for (size_t j = 0; j < width(fit); j++) {
        state->alive[j] = 1;
        state->working[j] = all || state->w[j] != 0 || (guess && guess[j]) || j == fit->d;
    }
    state->floor = 0;
    state->nit = state->idle = state->crawls = state->newtons = state->grams = state->sweeps = state->products = 0;
    look_at_all(fit, state);
}

void sv_fit_step(struct sv_fit *fit, struct sv_fit_state *state)
{
    struct walk walk;
    if (state->nit == 0 && state->primal == fit->at_zero && sv_fit_exactly(fit, state->g, state->w)) {
        look_at_all(fit, state);
        state->nit++;
        return;
    }
    int same = grow(fit, state);
    double primal = state->primal, measure = state->measure;
    begin_walk(&walk, fit, state);
    if (fit->loss.kind == SV_LOSS_SQUARED) {
        walk.v = state->v;
        minimise_model(&walk, fit->loss.s, share_of_squares(&walk) * state->kkt);
        swap(&walk.w, &walk.target);
    } else {
        newton(&walk);
    }
    for (size_t k = 0; k < walk.part.d; k++)
        state->w[walk.list[k]] = walk.w[k];
    state->sweeps += walk.model.sweeps;
    state->products += walk.model.products;
    look_at_all(fit, state);
    int gained = primal - state->primal > NOISE * fabs(primal) || state->measure < 0.5 * measure;
    state->idle = gained || !same ? 0 : state->idle + 1;
    state->nit++;
}

int sv_fit_separates(const struct sv_fit *fit, const double *w, const double *z)
{
    const struct sv_separable *p = &fit->penalty;
    if (fit->kind.has_dual || fit->loss.kind != SV_LOSS_LOGISTIC)
        return 0;
    for (size_t i = 0; i < fit->n; i++)
        if (!(fit->loss.y[i] * z[i] >= APART))
            return 0;
    for (size_t j = 0; j < width(fit); j++)
        if (w[j] != 0 && (p->l1[j] > 0 || p->l2[j] > 0 || isfinite(w[j] > 0 ? p->high[j] : p->low[j])))
            return 0;
    return 1;
}

int sv_fit_reached(const struct sv_fit *fit, const struct sv_fit_state *state)
{
    if (sv_fit_separates(fit, state->w, state->z))
        return SV_DIVERGED;
    if (state->measure <= fit->tol)
        return SV_CONVERGED;
    if (!isfinite(state->primal))
        return SV_NONFINITE;
    int endless = !sv_learning_loss_traits(fit->loss.kind).in_parts;
    for (size_t j = 0; endless && !fit->kind.has_dual && j < width(fit); j++)
        if (fabs(state->w[j]) > LARGEST)
            return SV_DIVERGED;
    return state->idle >= MOST_IDLE ? SV_STAGNATION : -1;
}
