/* Block and sketched projections, and the pick of the kernels for this CPU: see sketch.h.
 *
 * A block of q rows: a pass for A_B x, two triangular solves of q^2 flops, a pass for A_B'u, the second out of the cache
 * where the block fits; its factor costs q^2 cols + q^3 / 3 flops once. W W' is scaled to a unit diagonal; where it is near
 * singular (rows that depend on one another) a factor with pivots projects onto those that do not. In NumPy:
 *     W = S.T @ A; x -= omega * W.T @ np.linalg.lstsq(W @ W.T, W @ x - S.T @ b)[0]
 */
#include "sketch.h"

#include <math.h>
#include <string.h>

#include "random_bits.h"

SV_DISPATCH(struct sketch_kernels, kernel_table, sketch_kernels_f64)

/* Of the unit diagonal of W W': below it a pivot is rounding. */
#define DEPENDENT 1e-12

size_t sv_sketch_work(size_t q)
{
    size_t gram = sv_columns_gram_work(q);
    return gram > 2 * q ? gram : 2 * q;
}

void sv_sketch_hadamard(double *X, size_t rows, size_t cols) { kernel_table()->hadamard(X, rows, cols); }

/* ---- products with rows ---------------------------------------------------------------------------------------- */

static void dots(const struct sv_sketch *p, size_t count, const int32_t *list, const double *x, double *out)
{
    if (p->dense)
        sv_columns_dots(p->dense, p->cols, p->cols, count, list, x, out);
    else
        sv_compressed_gather(&p->sparse, count, list, x, out);
}

double sv_sketch_residual(const struct sv_sketch *p, double *r)
{
    double sum[4] = {0, 0, 0, 0};
    dots(p, p->rows, NULL, p->x, r);
    for (size_t i = 0; i < p->rows; i++) {
        r[i] -= p->b[i];
        sum[i & 3] += r[i] * r[i];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* to += factor row i. */
static void add_row(const struct sv_sketch *p, size_t i, double factor, double *to)
{
    if (p->dense) {
        kernel_table()->add(p->cols, factor, p->dense + i * p->cols, to);
    } else {
        int32_t row = (int32_t)i;
        sv_compressed_scatter(&p->sparse, 1, &row, &factor, to);
    }
}

/* ---- small systems --------------------------------------------------------------------------------------------- */

/* A_B A_B' for the rows that the list names. */
static void gram_of_rows(struct sv_sketch *p, size_t q, const int32_t *list, double *gram)
{
    if (p->dense) {
        sv_columns_gram(p->dense, p->cols, p->cols, q, list, NULL, gram, p->work);
        return;
    }
    memset(p->step, 0, p->cols * sizeof *p->step);
    for (size_t a = 0; a < q; a++) {
        add_row(p, (size_t)list[a], 1, p->step);
        sv_compressed_gather(&p->sparse, a + 1, list, p->step, gram + a * q);
        for (int32_t e = p->sparse.starts[list[a]]; e < p->sparse.starts[list[a] + 1]; e++)
            p->step[p->sparse.index[e]] = 0;
        for (size_t b = 0; b < a; b++)
            gram[b * q + a] = gram[a * q + b];
    }
}

/* A unit diagonal; work gets the scales. */
static void scaled(size_t q, double *gram, double *scale)
{
    for (size_t a = 0; a < q; a++)
        scale[a] = gram[a * q + a] > 0 ? 1 / sqrt(gram[a * q + a]) : 0;
    for (size_t a = 0; a < q; a++) {
        for (size_t b = 0; b < q; b++)
            gram[a * q + b] *= scale[a] * scale[b];
        gram[a * q + a] = scale[a] > 0 ? 1 : 0;
    }
}

/* The rank; the diagonal of what is below it is lost. The factor is of gram with its rows in the order of the pivots. */
static int32_t factored(struct sv_sketch *p, size_t q, const double *gram, double *factor, int32_t *pivots)
{
    char lower = 'L';
    int order = (int)q, info = 0, rank = order;
    double least = 1;
    memcpy(factor, gram, q * q * sizeof *gram);
    p->lapack.potrf(&lower, &order, factor, &order, &info);
    for (size_t a = 0; a < q && !info; a++)
        least = fmin(least, factor[a * q + a] * factor[a * q + a]);
    for (size_t a = 0; a < q; a++)
        pivots[a] = (int32_t)a + 1;
    if (info || !(least > DEPENDENT)) {
        double smallest = DEPENDENT;
        memcpy(factor, gram, q * q * sizeof *gram);
        p->lapack.pstrf(&lower, &order, factor, &order, pivots, &rank, &smallest, p->work, &info);
    }
    return (int32_t)rank;
}

/* u = (W W')^+ t on the rows that the pivots name first, in t's place; scale as `scaled` made it. */
static void solved(struct sv_sketch *p, size_t q, double *factor, const int32_t *pivots, int32_t rank,
                   const double *scale, double *t)
{
    char lower = 'L', plain = 'N', transposed = 'T';
    int one = 1, order = (int)q, size = (int)rank;
    double *u = p->work + q;
    for (int32_t a = 0; a < rank; a++)
        u[a] = t[pivots[a] - 1] * scale[pivots[a] - 1];
    p->lapack.trsv(&lower, &plain, &plain, &size, factor, &order, u, &one);
    p->lapack.trsv(&lower, &transposed, &plain, &size, factor, &order, u, &one);
    memset(t, 0, q * sizeof *t);
    for (int32_t a = 0; a < rank; a++)
        t[pivots[a] - 1] = u[a] * scale[pivots[a] - 1];
}

/* ---- blocks of rows -------------------------------------------------------------------------------------------- */

static double *start_of(struct sv_sketch *p) { return p->carry == SV_CARRY_NESTEROV ? p->y : p->x; }

/* The projection onto the rows that the list names. Returns |A_B x - b_B|^2. */
static double onto_rows(struct sv_sketch *p, size_t q, const int32_t *list, double *factor, int32_t *pivots,
                        int32_t *rank)
{
    double squares = 0, *t = p->t;
    dots(p, q, list, start_of(p), t);
    for (size_t a = 0; a < q; a++) {
        t[a] -= p->b[list[a]];
        squares += t[a] * t[a];
    }
    if (*rank < 0) {
        gram_of_rows(p, q, list, p->gram);
        scaled(q, p->gram, p->work);
        *rank = factored(p, q, p->gram, factor, pivots);
    }
    for (size_t a = 0; a < q; a++)
        p->work[a] = sqrt(p->inverse[list[a]]);
    solved(p, q, factor, pivots, *rank, p->work, t);
    if (p->dense) {
        sv_columns_combine(p->dense, p->cols, p->cols, q, list, t, p->step);
    } else {
        memset(p->step, 0, p->cols * sizeof *p->step);
        sv_compressed_scatter(&p->sparse, q, list, t, p->step);
    }
    kernel_table()->advance(p, p->step, p->omega);
    return squares;
}

/* The order of the blocks in this pass over the partition. */
static void shuffled(struct sv_sketch *p, size_t blocks, uint64_t pass)
{
    for (size_t k = 0; k < blocks; k++)
        p->turn[k] = (int64_t)k;
    for (size_t k = 0; k + 1 < blocks; k++) {
        uint64_t rest, bits = sv_bits_at(p->seed, SV_STREAM_TURN, pass * blocks + k);
        size_t other = k + (size_t)sv_index_below(bits, blocks - k, &rest);
        int64_t kept = p->turn[k];
        p->turn[k] = p->turn[other];
        p->turn[other] = kept;
    }
}

static double through_partition(struct sv_sketch *p, uint64_t from, size_t count)
{
    size_t blocks = (p->rows + p->q - 1) / p->q, met = 0;
    double squares = 0;
    for (size_t k = 0; k < count; k++) {
        if (k == 0 || (from + k) % blocks == 0)
            shuffled(p, blocks, (from + k) / blocks);
        size_t block = (size_t)p->turn[(from + k) % blocks];
        size_t first = block * p->rows / blocks, q = (block + 1) * p->rows / blocks - first;
        squares += onto_rows(p, q, p->order + first, p->factors + block * p->q * p->q, p->pivots + block * p->q,
                             p->rank + block);
        met += q;
    }
    return met ? squares / (double)met * (double)p->rows : -1;
}

static double through_subsets(struct sv_sketch *p, uint64_t from, size_t count)
{
    double squares = 0;
    for (size_t k = 0; k < count; k++) {
        int32_t rank = -1;
        int64_t *chosen = p->turn + p->rows;
        sv_distinct_draw(p->turn, p->rows, p->seed, SV_STREAM_PICK, (from + k) * p->q, p->q, chosen);
        for (size_t a = 0; a < p->q; a++)
            p->order[a] = (int32_t)chosen[a];
        squares += onto_rows(p, p->q, p->order, p->factors, p->pivots, &rank);
    }
    return count ? squares / (double)(count * p->q) * (double)p->rows : -1;
}

/* ---- sketches that combine rows -------------------------------------------------------------------------------- */

/* Normal numbers, two a draw of two (Box and Muller 1958), divided by sqrt(q): number i of sketch k. */
static void normal(const struct sv_sketch *p, uint64_t k)
{
    const double turn = 6.283185307179586477, size = 1 / sqrt((double)p->q);
    size_t count = p->rows * p->q;
    for (size_t i = 0; i < count; i += 2) {
        uint64_t bits[2];
        sv_philox(p->seed, SV_STREAM_ENTRIES, k * ((count + 1) / 2) + i / 2, bits);
        double radius = size * sqrt(-2 * log(1 - sv_uniform(bits[0]))), angle = turn * sv_uniform(bits[1]);
        p->S[i] = radius * cos(angle);
        if (i + 1 < count)
            p->S[i + 1] = radius * sin(angle);
    }
}

static void form_gaussian(struct sv_sketch *p, uint64_t k)
{
    normal(p, k);
    for (size_t j = 0; j < p->q; j++) {
        double *s = p->S + j * p->rows;
        p->t[j] = 0;
        for (size_t i = 0; i < p->rows; i++) {
            s[i] *= p->weight[i];
            p->t[j] += s[i] * p->b[i];
        }
    }
    if (p->dense && p->q > 1) {
        char plain = 'N';
        double one = 1, nothing = 0;
        int cols = (int)p->cols, q = (int)p->q, rows = (int)p->rows;
        p->lapack.gemm(&plain, &plain, &cols, &q, &rows, &one, (double *)p->dense, &cols, p->S, &rows, &nothing, p->W,
                       &cols);
    } else if (p->dense) {
        sv_columns_combine(p->dense, p->cols, p->cols, p->rows, NULL, p->S, p->W);
    } else {
        memset(p->W, 0, p->q * p->cols * sizeof *p->W);
        for (size_t j = 0; j < p->q; j++)
            sv_compressed_scatter(&p->sparse, p->rows, NULL, p->S + j * p->rows, p->W + j * p->cols);
    }
}

static void form_signs(struct sv_sketch *p, uint64_t k)
{
    size_t nonzeros = p->kind == SV_SKETCH_COUNT ? 1 : p->nonzeros;
    double size = 1 / sqrt((double)nonzeros);
    memset(p->W, 0, p->q * p->cols * sizeof *p->W);
    memset(p->t, 0, p->q * sizeof *p->t);
    for (size_t i = 0; i < p->rows; i++)
        for (size_t c = 0; c < nonzeros; c++) {
            double sign;
            uint64_t bits = sv_bits_at(p->seed, SV_STREAM_ENTRIES, (k * p->rows + i) * nonzeros + c);
            size_t to = sv_sketch_bucket(p->q, nonzeros, bits, c, &sign);
            double factor = sign * size * p->weight[i];
            add_row(p, i, factor, p->W + to * p->cols);
            p->t[to] += factor * p->b[i];
        }
}

void sv_sketch_form(struct sv_sketch *p, uint64_t k)
{
    if (p->kind == SV_SKETCH_GAUSSIAN)
        form_gaussian(p, k);
    else
        form_signs(p, k);
}

static void onto_sketch(struct sv_sketch *p, uint64_t k)
{
    size_t q = p->q;
    double *along = p->factors; /* W x */
    sv_sketch_form(p, k);
    sv_columns_dots(p->W, p->cols, p->cols, q, NULL, start_of(p), along);
    for (size_t a = 0; a < q; a++)
        p->t[a] = along[a] - p->t[a];
    sv_columns_gram(p->W, p->cols, p->cols, q, NULL, NULL, p->gram, p->work);
    double *scale = p->gram + q * q;
    scaled(q, p->gram, scale);
    int32_t rank = factored(p, q, p->gram, p->factors, p->pivots);
    solved(p, q, p->factors, p->pivots, rank, scale, p->t);
    sv_columns_combine(p->W, p->cols, p->cols, q, NULL, p->t, p->step);
    kernel_table()->advance(p, p->step, p->omega);
}

/* ---- runs ------------------------------------------------------------------------------------------------------ */

double sv_sketch_run(struct sv_sketch *p, uint64_t from, size_t count)
{
    if (p->carry == SV_CARRY_NESTEROV)
        for (size_t j = 0; j < p->cols; j++)
            p->y[j] = p->mix * p->v[j] + (1 - p->mix) * p->x[j];
    if (p->kind == SV_SKETCH_ROW)
        return kernel_table()->rows(p, from, count);
    if (p->kind == SV_SKETCH_BLOCK)
        return p->rule == SV_PICK_TURNS ? through_partition(p, from, count) : through_subsets(p, from, count);
    for (size_t k = 0; k < count; k++)
        onto_sketch(p, from + k);
    return -1;
}

uint64_t sv_sketch_until(struct sv_sketch *p, uint64_t from, uint64_t most, size_t every, double target, double *r,
                         double *reached)
{
    uint64_t made = 0;
    *reached = sqrt(sv_sketch_residual(p, r));
    while (made < most && *reached > target) {
        size_t count = most - made < every ? (size_t)(most - made) : every;
        sv_sketch_run(p, from + made, count);
        made += count;
        *reached = sqrt(sv_sketch_residual(p, r));
    }
    return made;
}
