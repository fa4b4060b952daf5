/* Restarted reflected Halpern PDHG on a matrix game: see game.h.
 *
 *     T(z): x+ = P(x - eta / w G(y)),  y+ = P(y + eta w (2 H(x+) - H(x)))      P the projection on a simplex
 *     z  <- a (2 T(z) - z) + (1 - a) anchor,   a = (k + 1) / (k + 2)
 *
 * Only products of T(z) are computed, over the strategies that it plays; those of z follow by the same recursion as z,
 * and are exact again after a restart. Between points of a simplex only the centred A acts, A less the means of its
 * rows and columns, so its norm, often far smaller, sets the step. It is known from below only: where a step's moves
 * show that it is larger, the step is taken again with the norm seen, and a new anchor.
 *
 * A step reads the columns that x+ plays and the rows that y+ plays, 4 or 8 bytes an entry (12 sparse), and some twenty
 * passes over vectors. In NumPy:
 *     x1 = P(x - eta / w * G); H1 = A @ x1; y1 = P(y + eta * w * (2 * H1 - H)); G1 = A.T @ y1
 */
#include "game.h"

#include <math.h>
#include <string.h>

#include "random_bits.h"
#include "restart.h"
#include "simplex.h"

SV_DISPATCH(struct game_kernels, kernel_table, game_kernels_f64)

/* Of the bound on the step, what is used; how much a norm that was too small is raised beyond what was seen. */
#define STEP 0.998
#define RAISE 1.02

/* Steps between looks at restarts, and the bounds of the weight: beyond them degenerate games stall. */
enum { LOOK = 16 };
#define LEAST_WEIGHT 0.25
#define LARGEST_WEIGHT 4.0
/* Gaps of the scaled game from where float entries might be seen, and below which nothing is left to gain. */
#define WIDEN 1e-6
#define ROUNDING 1e-15

/* The entries that are not zero, and where they are. */
static size_t played(const double *x, size_t n, int32_t *list, double *factor)
{
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        list[count] = (int32_t)k;
        factor[count] = x[k];
        count += x[k] != 0;
    }
    return count;
}

static void scatter(const struct sv_game_sparse *lines, size_t length, size_t count, const int32_t *list,
                    const double *factor, double *out)
{
    memset(out, 0, length * sizeof *out);
    for (size_t k = 0; k < count; k++)
        for (int32_t e = lines->starts[list[k]]; e < lines->starts[list[k] + 1]; e++)
            out[lines->index[e]] += factor[k] * lines->value[e];
}

static double dot(const double *u, const double *v, size_t n)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += u[k] * v[k];
    return sum;
}

/* A x, and A'y, of any vectors, and how many entries were read (sparse: at most). work: as many doubles as x has. */
static double times_x(const struct sv_game *game, const double *x, double *out, double *work, int32_t *list)
{
    size_t count = played(x, game->n, list, work);
    if (game->columns32)
        kernel_table()->combine_float(game->columns32, game->m, count, list, work, out);
    else if (game->columns64)
        kernel_table()->combine(game->columns64, game->m, count, list, work, out);
    else
        scatter(&game->columns, game->m, count, list, work, out);
    return (double)count * (double)game->m;
}

static double times_y(const struct sv_game *game, const double *y, double *out, double *work, int32_t *list)
{
    size_t count = played(y, game->m, list, work);
    if (game->rows32)
        kernel_table()->combine_float(game->rows32, game->n, count, list, work, out);
    else if (game->rows64)
        kernel_table()->combine(game->rows64, game->n, count, list, work, out);
    else
        scatter(&game->rows, game->n, count, list, work, out);
    return (double)count * (double)game->n;
}

static void add_linear(const double *own, const double *other, const double *strategy, size_t length, size_t n,
                       double *out)
{
    double constant = other ? dot(other, strategy, n) : 0;
    for (size_t k = 0; k < length; k++)
        out[k] += (own ? own[k] : 0) + constant;
}

/* H of x, and G of y. */
static double against_x(const struct sv_game *game, const double *x, double *H, double *work, int32_t *list)
{
    double reads = times_x(game, x, H, work, list);
    if (game->linear_x || game->linear_y)
        add_linear(game->linear_y, game->linear_x, x, game->m, game->n, H);
    return reads;
}

static double against_y(const struct sv_game *game, const double *y, double *G, double *work, int32_t *list)
{
    double reads = times_y(game, y, G, work, list);
    if (game->linear_x || game->linear_y)
        add_linear(game->linear_x, game->linear_y, y, game->n, game->m, G);
    return reads;
}

void sv_game_products(const struct sv_game *game, const double *pair, double *products, double *work, int32_t *list)
{
    against_x(game, pair, products + game->n, work, list);
    against_y(game, pair + game->n, products, work, list);
}

static double gap_of(const struct sv_game *game, const double *products)
{
    return kernel_table()->largest(game->m, 1, products + game->n) + kernel_table()->largest(game->n, -1, products);
}

/* T of the pair, its products and gap. */
static void step(const struct sv_game *game, struct sv_game_pdhg *s)
{
    const struct game_kernels *kernels = kernel_table();
    size_t m = game->m, n = game->n, longer = m > n ? m : n;
    double eta = STEP / s->norm, *point = s->work, *work = s->work + longer;
    kernels->ahead(n, s->pair, -eta / s->weight, s->products, 0, s->products, point);
    s->threshold_x = sv_equilibrium_simplex(point, n, 1, s->threshold_x, s->next, work);
    s->reads += against_x(game, s->next, s->next_products + n, work, s->list);
    double sigma = eta * s->weight;
    kernels->ahead(m, s->pair + n, 2 * sigma, s->next_products + n, -sigma, s->products + n, point);
    s->threshold_y = sv_equilibrium_simplex(point, m, 1, s->threshold_y, s->next + n, work);
    s->reads += against_y(game, s->next + n, s->next_products, work, s->list);
    s->gap = gap_of(game, s->next_products);
}

/* The residual of a step in PDHG's own norm. Returns the norm that the step's moves show: more than s->norm where that
 * was too small. */
static double measure(const struct sv_game *game, struct sv_game_pdhg *s)
{
    const struct game_kernels *kernels = kernel_table();
    size_t m = game->m, n = game->n;
    double eta = STEP / s->norm;
    struct sv_game_sums x = kernels->differences(n, s->pair, s->next, s->pair, s->next);
    struct sv_game_sums y = kernels->differences(m, s->pair + n, s->next + n, s->products + n, s->next_products + n);
    double plain = s->weight * x.square + y.square / s->weight, cross = 2 * eta * y.cross;
    s->residual = sqrt(fmax(plain - cross, 0));
    double image = sqrt(fmax(y.image_square - y.image * y.image / (double)m, 0)), length = sqrt(x.square);
    /* Moves at the level of rounding tell nothing. */
    if (!(length > 1e-9) || !(image > 1e-9 * s->norm))
        return 0;
    double by_image = image / length, by_cross = fabs(cross) / plain * s->norm;
    return by_image > by_cross ? by_image : by_cross;
}

static void keep_best(const struct sv_game *game, const double *pair, double gap, double *best, double *best_gap)
{
    if (gap < *best_gap) {
        *best_gap = gap;
        memcpy(best, pair, (game->m + game->n) * sizeof *best);
    }
}

void sv_game_pdhg_run(const struct sv_game *game, struct sv_game_pdhg *s, int64_t steps)
{
    const struct game_kernels *kernels = kernel_table();
    size_t size = game->m + game->n;
    for (int64_t k = 0; k < steps; k++) {
        step(game, s);
        double seen;
        while ((seen = measure(game, s)) > s->norm) {
            s->norm = RAISE * seen;
            s->raises++;
            s->count = 0;
            memcpy(s->anchor, s->pair, size * sizeof(double));
            memcpy(s->anchor_products, s->products, size * sizeof(double));
            step(game, s);
        }
        if (s->count == 0)
            s->first_residual = s->residual;
        keep_best(game, s->next, s->gap, s->best, &s->best_gap);
        s->count++;
        double share = (double)s->count / (double)(s->count + 1);
        kernels->reflect(size, share, s->next, s->anchor, s->pair);
        kernels->reflect(size, share, s->next_products, s->anchor_products, s->products);
    }
}

void sv_game_pdhg_restart(const struct sv_game *game, struct sv_game_pdhg *s, double moves[2])
{
    const struct game_kernels *kernels = kernel_table();
    size_t m = game->m, n = game->n, bytes = (m + n) * sizeof(double);
    moves[0] = sqrt(kernels->differences(n, s->next, s->anchor, s->next, s->next).square);
    moves[1] = sqrt(kernels->differences(m, s->next + n, s->anchor + n, s->next, s->next).square);
    memcpy(s->pair, s->next, bytes);
    memcpy(s->anchor, s->next, bytes);
    memcpy(s->products, s->next_products, bytes);
    memcpy(s->anchor_products, s->next_products, bytes);
    s->count = 0;
}

int64_t sv_game_steps(int64_t nit, int64_t max_iter, int every)
{
    int64_t left = max_iter - nit > 1 ? max_iter - nit : 1, look = LOOK - nit % LOOK;
    return every ? 1 : look < left ? look : left;
}

int sv_game_pdhg_advance(const struct sv_game *game, struct sv_game_pdhg *s, struct sv_game_course *course,
                         int64_t steps)
{
    sv_game_pdhg_run(game, s, steps);
    course->nit += steps;
    if (course->nit % LOOK)
        return 0;
    if (!sv_restart_wanted(s->residual, course->last, s->first_residual, s->count, course->nit)) {
        course->last = s->residual;
        return 1;
    }
    struct sv_restart_weight weight = {s->weight, LEAST_WEIGHT, LARGEST_WEIGHT, course->summed, NAN, INFINITY};
    double moves[2];
    sv_game_pdhg_restart(game, s, moves);
    sv_restart_weigh(&weight, moves[0], moves[1], 1);
    s->weight = weight.value;
    course->summed = weight.summed;
    course->last = INFINITY;
    course->restarts++;
    return 1;
}

int sv_game_spent(double gap, int narrow) { return gap <= (narrow ? WIDEN : ROUNDING); }

void sv_game_pdhg_resume(const struct sv_game *game, struct sv_game_pdhg *s, struct sv_game_course *course)
{
    size_t bytes = (game->m + game->n) * sizeof(double);
    memcpy(s->pair, s->best, bytes);
    memcpy(s->anchor, s->best, bytes);
    sv_game_products(game, s->best, s->products, s->work, s->list);
    memcpy(s->anchor_products, s->products, bytes);
    s->best_gap = s->first_residual = s->residual = course->last = INFINITY;
    s->count = 0;
}

/* v less its mean; returns its length then. */
static double centre(double *v, size_t n)
{
    double sum = 0, square = 0;
    for (size_t k = 0; k < n; k++)
        sum += v[k];
    for (size_t k = 0; k < n; k++) {
        v[k] -= sum / (double)n;
        square += v[k] * v[k];
    }
    return sqrt(square);
}

double sv_game_norm(const struct sv_game *game, int steps, double *start, double *work, int32_t *list)
{
    size_t longer = game->m > game->n ? game->m : game->n;
    double norm = 0, *image = work + longer;
    for (size_t j = 0; j < game->n; j++)
        start[j] = sv_uniform(sv_bits_at(0, 0, j)) - 0.5;
    for (int k = 0; k < steps; k++) {
        double length = centre(start, game->n);
        for (size_t j = 0; j < game->n && length > 0; j++)
            start[j] /= length;
        times_x(game, start, image, work, list);
        double first = centre(image, game->m);
        times_y(game, image, start, work, list);
        double second = centre(start, game->n);
        norm = fmax(norm, fmax(first, first > 0 ? second / first : 0));
    }
    return norm > 0 ? norm : 1;
}

/* The strategy that plays by regrets, and how much they are in all; uniform where there are none. */
static void by_regret(const double *regrets, const double *hint, double own, size_t n, double *x)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        double r = hint ? regrets[k] + own - hint[k] : regrets[k];
        x[k] = r > 0 ? r : 0;
        sum += x[k];
    }
    for (size_t k = 0; k < n; k++)
        x[k] = sum > 0 ? x[k] / sum : 1 / (double)n;
}

/* Takes in the losses sign * products that the strategy x met. */
static void regret(double *regrets, const double *products, double sign, const double *x, size_t n)
{
    double own = dot(products, x, n);
    for (size_t k = 0; k < n; k++) {
        double r = regrets[k] + sign * (own - products[k]);
        regrets[k] = r > 0 ? r : 0;
    }
}

/* The next strategy of one player; with predictions, as though the losses met last came again. */
static void play(const struct sv_game_regret *s, size_t from, size_t n, double sign, double *loss)
{
    if (!s->predictive) {
        by_regret(s->regrets + from, NULL, 0, n, s->pair + from);
        return;
    }
    for (size_t k = 0; k < n; k++)
        loss[k] = sign * s->products[from + k];
    by_regret(s->regrets + from, loss, dot(loss, s->pair + from, n), n, s->pair + from);
}

void sv_game_regret_run(const struct sv_game *game, struct sv_game_regret *s, int64_t steps)
{
    size_t m = game->m, n = game->n, size = m + n;
    for (int64_t k = 0; k < steps; k++) {
        if (s->count > 0)
            play(s, 0, n, 1, s->work);
        s->reads += against_x(game, s->pair, s->products + n, s->work, s->list);
        /* y regrets what it played before, now that x has moved */
        regret(s->regrets + n, s->products + n, -1, s->pair + n, m);
        play(s, n, m, -1, s->work);
        s->reads += against_y(game, s->pair + n, s->products, s->work, s->list);
        regret(s->regrets, s->products, 1, s->pair, n);
        s->count++;
        double t = (double)s->count, weight = s->predictive ? t * t : t;
        s->weights += weight;
        double share = weight / s->weights;
        for (size_t j = 0; j < size; j++) {
            s->average[j] += share * (s->pair[j] - s->average[j]);
            s->average_products[j] += share * (s->products[j] - s->average_products[j]);
        }
        keep_best(game, s->average, gap_of(game, s->average_products), s->best, &s->best_gap);
        keep_best(game, s->pair, gap_of(game, s->products), s->best, &s->best_gap);
    }
}

/* Tiles go through a buffer, so that both copies are written in runs. */
enum { TILE = 32 };

#define COPY(name, in, out)                                                                                       \
    static void name(const in *A, size_t m, size_t n, ptrdiff_t row_stride, ptrdiff_t column_stride, double shift, \
                     double factor, out *rows, out *columns)                                                      \
    {                                                                                                             \
        out tile[TILE][TILE + 1];                                                                                 \
        for (size_t i0 = 0; i0 < m; i0 += TILE)                                                                   \
            for (size_t j0 = 0; j0 < n; j0 += TILE) {                                                             \
                size_t height = m - i0 < TILE ? m - i0 : TILE, width = n - j0 < TILE ? n - j0 : TILE;             \
                for (size_t i = 0; i < height; i++) {                                                             \
                    const in *from = A + (ptrdiff_t)(i0 + i) * row_stride + (ptrdiff_t)j0 * column_stride;        \
                    if (column_stride == 1)                                                                       \
                        for (size_t j = 0; j < width; j++)                                                        \
                            tile[i][j] = (out)(((double)from[j] - shift) * factor);                               \
                    else                                                                                          \
                        for (size_t j = 0; j < width; j++)                                                        \
                            tile[i][j] = (out)(((double)from[(ptrdiff_t)j * column_stride] - shift) * factor);    \
                    memcpy(rows + (i0 + i) * n + j0, tile[i], width * sizeof(out));                               \
                }                                                                                                 \
                for (size_t j = 0; j < width; j++)                                                                \
                    for (size_t i = 0; i < height; i++)                                                           \
                        columns[(j0 + j) * m + i0 + i] = tile[i][j];                                              \
            }                                                                                                     \
    }

COPY(float_to_float, float, float)
COPY(float_to_double, float, double)
COPY(double_to_float, double, float)
COPY(double_to_double, double, double)

void sv_game_copy(const void *A, int is_float, size_t m, size_t n, ptrdiff_t row_stride, ptrdiff_t column_stride,
                  double shift, double scale, int as_float, void *rows, void *columns)
{
    double factor = 1 / scale;
    if (is_float && as_float)
        float_to_float(A, m, n, row_stride, column_stride, shift, factor, rows, columns);
    else if (is_float)
        float_to_double(A, m, n, row_stride, column_stride, shift, factor, rows, columns);
    else if (as_float)
        double_to_float(A, m, n, row_stride, column_stride, shift, factor, rows, columns);
    else
        double_to_double(A, m, n, row_stride, column_stride, shift, factor, rows, columns);
}
