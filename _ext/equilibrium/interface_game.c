/* Matrix games in the C interface: the data checked, shifted and scaled as solvers/equilibrium/_game.py does it, then the
 * steps of game.c. What happens around these steps is as in _game_pdhg.py and _regret.py, without their exact end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "game.h"
#include "interface.h"
#include "payoff.h"
#include "solvers.h"

/* As in Python: steps at most, power steps for the first norm, what storing entries in [-1, 1] as floats may change of a
 * gap, and how far from 1 the sum of a start may be. */
enum { STEPS = 100000, NORM_STEPS = 4 };
#define NARROW 0x1p-23
#define SUM 1e-6

/* A game in work; vectors of n + m entries in one block, x or G first. */
struct play {
    struct sv_payoff payoff;
    double *dense;           /* A with the linear terms, by rows; NULL where there are none */
    double shift, scale;
    struct sv_game narrow, wide;
    float *floats;           /* their entries, by rows and by columns; NULL until they are wanted */
    double *doubles;
    double *vectors;         /* all others */
    double *first, *answer, *shown, *against, *state;
    int32_t *list;
    double gap;              /* of the answer, the running one */
    int64_t nit;
    int settled;
};

static int check_pair(const double *x, size_t length, const char *name)
{
    double sum = 0;
    int status = sv_check_finite(x, length, name);
    if (status)
        return status;
    for (size_t k = 0; k < length; k++) {
        if (x[k] < 0)
            return sv_fail(SV_INVALID, "%s[%zu] is %g; a strategy has no negative entries", name, k, x[k]);
        sum += x[k];
    }
    return fabs(sum - 1) > SUM ? sv_fail(SV_INVALID, "%s has the sum %g, not 1", name, sum) : SV_OK;
}

static int check(const sv_game_data *g, const sv_game_options *o)
{
    int status;
    size_t size;
    if (!g->A)
        return sv_fail(SV_INVALID, "game->A is NULL");
    if (g->m == 0 || g->n == 0)
        return sv_fail(SV_INVALID, "game->m and game->n: %zu x %zu strategies; each player has some", g->m, g->n);
    if (g->m > INT32_MAX / 8 || g->n > INT32_MAX / 8)
        return sv_fail(SV_NO_MEMORY, "game->m and game->n: %zu x %zu strategies are too many", g->m, g->n);
    if ((status = sv_product(g->m, g->n, "game->m and game->n", &size)) ||
        (status = sv_product(size, 2 * sizeof(double), "game->m and game->n", &size)))
        return status;
    if (o->method < SV_GAME_PDHG || o->method > SV_GAME_PRM_PLUS)
        return sv_fail(SV_INVALID, "options->method is %d, none of enum sv_game_method", o->method);
    if (!(o->tol > 0) || isinf(o->tol))
        return sv_fail(SV_INVALID, "options->tol is %g; it must be positive and finite", o->tol);
    if (!o->x0 != !o->y0)
        return sv_fail(SV_INVALID, "options->x0 and options->y0 must be given together");
    for (size_t i = 0; i < g->m; i++)
        for (size_t j = 0; j < g->n; j++) {
            double entry = g->A[(ptrdiff_t)i * g->row_stride + (ptrdiff_t)j * g->column_stride];
            if (!isfinite(entry))
                return sv_fail(SV_INVALID, "game->A[%zu, %zu] is %g", i, j, entry);
        }
    if ((g->linear_x && (status = sv_check_finite(g->linear_x, g->n, "game->linear_x"))) ||
        (g->linear_y && (status = sv_check_finite(g->linear_y, g->m, "game->linear_y"))) ||
        (o->x0 && (status = check_pair(o->x0, g->n, "options->x0"))))
        return status;
    return o->y0 ? check_pair(o->y0, g->m, "options->y0") : SV_OK;
}

/* ---- the game in the form of the methods ---- */

static double entry(const struct play *p, size_t i, size_t j)
{
    const struct sv_payoff *g = &p->payoff;
    if (p->dense)
        return p->dense[i * g->n + j];
    return g->A[(ptrdiff_t)i * g->row_stride + (ptrdiff_t)j * g->column_stride];
}

static int take(struct play *p, const sv_game_data *g)
{
    size_t m = g->m, n = g->n, size = m + n, longer = m > n ? m : n;
    const sv_game_data *linear = g->linear_x || g->linear_y ? g : NULL;
    memset(p, 0, sizeof *p);
    p->payoff = (struct sv_payoff){m, n, g->A, g->row_stride, g->column_stride, g->linear_x, g->linear_y};
    p->vectors = calloc(12 * size + 4 * longer, sizeof *p->vectors);
    p->list = malloc(longer * sizeof *p->list);
    if (linear)
        p->dense = malloc(m * n * sizeof *p->dense);
    if (!p->vectors || !p->list || (linear && !p->dense))
        return sv_fail(SV_NO_MEMORY, "game: no memory for %zu x %zu strategies", m, n);
    p->first = p->vectors;
    p->answer = p->first + size;
    p->shown = p->answer + size;
    p->against = p->shown + size;
    p->state = p->against + size;
    for (size_t i = 0; i < m && linear; i++)
        for (size_t j = 0; j < n; j++)
            p->dense[i * n + j] = (g->A[(ptrdiff_t)i * g->row_stride + (ptrdiff_t)j * g->column_stride] +
                                   (g->linear_x ? g->linear_x[j] : 0)) + (g->linear_y ? g->linear_y[i] : 0);
    return SV_OK;
}

static void give_back(struct play *p)
{
    free(p->dense);
    free(p->floats);
    free(p->doubles);
    free(p->vectors);
    free(p->list);
}

/* The game with entries of one kind. */
static int store(struct play *p, int as_float)
{
    const struct sv_payoff *g = &p->payoff;
    size_t entries = g->m * g->n;
    void *block = malloc(2 * entries * (as_float ? sizeof(float) : sizeof(double)));
    if (!block)
        return sv_fail(SV_NO_MEMORY, "game: no memory for two copies of A");
    const double *from = p->dense ? p->dense : g->A;
    ptrdiff_t row_stride = p->dense ? (ptrdiff_t)g->n : g->row_stride, column_stride = p->dense ? 1 : g->column_stride;
    struct sv_game game = {.m = g->m, .n = g->n};
    if (as_float) {
        p->floats = block;
        sv_game_copy(from, 0, g->m, g->n, row_stride, column_stride, p->shift, p->scale, 1, p->floats,
                     p->floats + entries);
        game.rows32 = p->floats;
        game.columns32 = p->floats + entries;
        p->narrow = game;
    } else {
        p->doubles = block;
        sv_game_copy(from, 0, g->m, g->n, row_stride, column_stride, p->shift, p->scale, 0, p->doubles,
                     p->doubles + entries);
        game.rows64 = p->doubles;
        game.columns64 = p->doubles + entries;
        p->wide = game;
    }
    return SV_OK;
}

/* max H and min G of the strategies that a pair stands for, which go to `shown`. */
static void certify(struct play *p, const double *pair, double *low, double *high)
{
    size_t m = p->payoff.m, n = p->payoff.n;
    sv_payoff_strategy(pair, n, p->shown);
    sv_payoff_strategy(pair + n, m, p->shown + n);
    sv_payoff_against(&p->payoff, p->shown, p->shown + n, p->against, p->against + n, p->list);
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t j = 0; j < n; j++)
        *low = p->against[j] >= *low ? *low : p->against[j]; /* a NaN stays */
    for (size_t i = 0; i < m; i++)
        *high = p->against[n + i] <= *high ? *high : p->against[n + i];
}

static double at_least_zero(double gap) { return gap > 0 || isnan(gap) ? gap : 0; }

/* Shift and scale, and the first answer: the caller's start, else the best pure pair, which is no place to start: then
 * `first` is uniform. */
static void begin(struct play *p, const double *x0, const double *y0)
{
    size_t m = p->payoff.m, n = p->payoff.n, at_x = 0, at_y = 0;
    double *above = p->against, *below = p->against + n, most = -INFINITY, least = INFINITY, low, high;
    for (size_t j = 0; j < n; j++)
        above[j] = -INFINITY;
    for (size_t i = 0; i < m; i++) {
        below[i] = INFINITY;
        for (size_t j = 0; j < n; j++) {
            double a = entry(p, i, j);
            above[j] = a > above[j] ? a : above[j];
            below[i] = a < below[i] ? a : below[i];
        }
    }
    for (size_t j = 0; j < n; j++) {
        at_x = above[j] < above[at_x] ? j : at_x;
        most = above[j] > most ? above[j] : most;
    }
    for (size_t i = 0; i < m; i++) {
        at_y = below[i] > below[at_y] ? i : at_y;
        least = below[i] < least ? below[i] : least;
    }
    p->shift = most / 2 + least / 2;
    p->scale = sv_payoff_scale(fmax(fabs(most - p->shift), fabs(least - p->shift)));
    if (x0) {
        sv_payoff_strategy(x0, n, p->first);
        sv_payoff_strategy(y0, m, p->first + n);
        memcpy(p->answer, p->first, (m + n) * sizeof(double));
        certify(p, p->answer, &low, &high);
        p->gap = at_least_zero(high - low);
        return;
    }
    for (size_t k = 0; k < m + n; k++)
        p->first[k] = 1 / (double)(k < n ? n : m);
    p->answer[at_x] = p->answer[n + at_y] = 1;
    p->gap = at_least_zero(above[at_x] - below[at_y]);
}

/* ---- the methods ---- */

static int ended(struct play *p, const struct sv_watch *watch, double tol, int first)
{
    int reached = p->gap <= tol ? SV_CONVERGED : !isfinite(p->gap) ? SV_NONFINITE : p->settled ? SV_STAGNATION : -1;
    if (watch->control.callback && !first) {
        sv_payoff_strategy(p->answer, p->payoff.n, p->shown);
        sv_payoff_strategy(p->answer + p->payoff.n, p->payoff.m, p->shown + p->payoff.n);
    }
    return sv_ended(watch, reached, first, p->nit, p->gap, p->shown, p->payoff.m + p->payoff.n);
}

static int better(struct play *p, double gap, const double *pair)
{
    if (!(gap < p->gap))
        return 0;
    p->gap = gap;
    memcpy(p->answer, pair, (p->payoff.m + p->payoff.n) * sizeof *pair);
    return 1;
}

static int run_pdhg(struct play *p, const struct sv_watch *watch, double tol, int *end)
{
    size_t m = p->payoff.m, n = p->payoff.n, size = m + n, bytes = size * sizeof(double);
    double *v = p->state;
    struct sv_game_pdhg s = {
        .pair = v, .products = v + size, .anchor = v + 2 * size, .anchor_products = v + 3 * size, .best = v + 4 * size,
        .next = v + 5 * size, .next_products = v + 6 * size, .work = v + 7 * size, .list = p->list, .norm = 1,
        .weight = 1, .threshold_x = NAN, .threshold_y = NAN, .best_gap = INFINITY, .residual = INFINITY,
        .first_residual = INFINITY,
    };
    struct sv_game_course course = {0, INFINITY, 0, 0};
    int status, narrow = 1;
    for (int first = 1; (*end = ended(p, watch, tol, first)) < 0; first = 0) {
        if (first) {
            if ((status = store(p, 1)))
                return status;
            memcpy(s.pair, p->first, bytes);
            memcpy(s.anchor, p->first, bytes);
            memcpy(s.best, p->first, bytes);
            sv_game_products(&p->narrow, s.pair, s.products, s.work, s.list);
            memcpy(s.anchor_products, s.products, bytes);
            s.norm = sv_game_norm(&p->narrow, NORM_STEPS, s.next, s.work, s.list);
        }
        int64_t steps = sv_game_steps(p->nit, watch->control.max_iter, watch->control.callback != NULL);
        int look = sv_game_pdhg_advance(narrow ? &p->narrow : &p->wide, &s, &course, steps);
        p->nit = course.nit;
        better(p, s.best_gap * p->scale + (narrow ? NARROW * p->scale : 0), s.best);
        if (!look || !sv_game_spent(s.best_gap, narrow) || p->gap <= tol)
            continue;
        if (!narrow) {
            p->settled = 1;
            continue;
        }
        if ((status = store(p, 0)))
            return status;
        sv_game_pdhg_resume(&p->wide, &s, &course);
        narrow = 0;
    }
    return SV_OK;
}

static int run_regret(struct play *p, const struct sv_watch *watch, double tol, int predictive, int *end)
{
    size_t size = p->payoff.m + p->payoff.n;
    double *v = p->state;
    struct sv_game_regret s = {
        .regrets = v, .pair = v + size, .products = v + 2 * size, .average = v + 3 * size,
        .average_products = v + 4 * size, .best = v + 5 * size, .best_gap = INFINITY, .predictive = predictive,
        .work = v + 7 * size, .list = p->list,
    };
    int status;
    memcpy(s.pair, p->first, size * sizeof(double));
    memcpy(s.best, p->first, size * sizeof(double));
    for (int first = 1; (*end = ended(p, watch, tol, first)) < 0; first = 0) {
        if (first && (status = store(p, 0)))
            return status;
        int64_t steps = sv_game_steps(p->nit, watch->control.max_iter, watch->control.callback != NULL);
        sv_game_regret_run(&p->wide, &s, steps);
        p->nit += steps;
        if (better(p, s.best_gap * p->scale, s.best))
            p->settled = sv_game_spent(s.best_gap, 0);
    }
    return SV_OK;
}

int sv_matrix_game(const sv_game_data *game, const sv_game_options *options, const sv_control *control, double *x,
                   double *y, sv_game_result *result, sv_report *report)
{
    sv_game_data data = SV_GAME_DATA_INIT;
    sv_game_options chosen = SV_GAME_OPTIONS_INIT;
    sv_game_result told = SV_GAME_RESULT_INIT;
    sv_report sized = SV_REPORT_INIT;
    struct sv_watch watch;
    struct play p;
    int status, end;
    double low, high;
    SV_NEED(game);
    SV_NEED(x);
    SV_NEED(y);
    if ((status = sv_read_struct(&data, sizeof data, game, "game")) ||
        (status = sv_read_struct(&chosen, sizeof chosen, options, "options")) ||
        (status = sv_read_struct(&told, sizeof told, result, "result")) ||
        (status = sv_read_struct(&sized, sizeof sized, report, "report")) ||
        (status = sv_begin(&watch, control, STEPS)) || (status = check(&data, &chosen)))
        return status;
    if (!(status = take(&p, &data))) {
        begin(&p, chosen.x0, chosen.y0);
        status = chosen.method == SV_GAME_PDHG
                     ? run_pdhg(&p, &watch, chosen.tol, &end)
                     : run_regret(&p, &watch, chosen.tol, chosen.method == SV_GAME_PRM_PLUS, &end);
    }
    if (!status) {
        certify(&p, p.answer, &low, &high);
        memcpy(x, p.shown, data.n * sizeof *x);
        memcpy(y, p.shown + data.n, data.m * sizeof *y);
        double gap = at_least_zero(high - low);
        status = sv_judged(&watch, end, p.nit, gap, chosen.tol, report);
        if (low > high) { /* by rounding */
            double other = low;
            low = high;
            high = other;
        }
        told = (sv_game_result){told.struct_size, low / 2 + high / 2, low, high, gap};
        if (result)
            memcpy(result, &told, told.struct_size);
    }
    give_back(&p);
    return status;
}
