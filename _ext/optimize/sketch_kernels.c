/* Kaczmarz projections, the steps that carry momentum, and the Hadamard transform: see sketch.h.
 *
 * A row is read once from wherever it lies (8 bytes an entry, 12 of CSR) and a second time from the first cache, for 4
 * flops: the bound is the memory's bandwidth. Rows are drawn ahead, and while x moves along one row the next is fetched.
 * In NumPy:
 *     i = draw(k); x -= omega * (A[i] @ x - b[i]) / (A[i] @ A[i]) * A[i]
 *     H = scipy.linalg.hadamard(rows) @ X
 */
#include "sketch.h"

#include "segments.h"
#include "random_bits.h"

enum { LINE = 64 / sizeof(double), PANEL = 64 };

/* ---- vectors --------------------------------------------------------------------------------------------------- */

INLINE double dot(const double *a, const double *x, size_t n)
{
    vreal sum[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    size_t k = 0;
    for (; k + 4 * SV_W <= n; k += 4 * SV_W)
        for (int c = 0; c < 4; c++)
            sum[c] = v_fma(v_load(a + k + c * SV_W), v_load(x + k + c * SV_W), sum[c]);
    for (; k < n; k += SV_W)
        sum[0] = v_fma(v_load_some(a + k, n - k, 0), v_load_some(x + k, n - k, 0), sum[0]);
    return v_sum_lanes(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
}

static void add(size_t n, double a, const double *x, double *y)
{
    vreal by = v_set1(a);
    size_t k = 0;
    for (; k + SV_W <= n; k += SV_W)
        v_store(y + k, v_fma(by, v_load(x + k), v_load(y + k)));
    if (k < n)
        v_store_n(y + k, v_fma(by, v_load_n(x + k, n - k, 0), v_load_n(y + k, n - k, 0)), n - k);
}

/* y += a x, and what the next projection reads is fetched meanwhile. */
INLINE void add_ahead(size_t n, double a, const double *x, double *y, const double *next)
{
    vreal by = v_set1(a);
    size_t k = 0;
    for (; k + LINE <= n; k += LINE) {
        __builtin_prefetch(next + k);
        for (size_t c = 0; c < LINE; c += SV_W)
            v_store(y + k + c, v_fma(by, v_load(x + k + c), v_load(y + k + c)));
    }
    if (k < n) {
        __builtin_prefetch(next + k);
        add(n - k, a, x + k, y + k);
    }
}

/* to = a x + b y. */
INLINE void blend(size_t n, double a, const double *x, double b, const double *y, double *to)
{
    vreal left = v_set1(a), right = v_set1(b);
    for (size_t k = 0; k < n; k += SV_W)
        v_store_some(to + k, v_fma(left, v_load_some(x + k, n - k, 0), v_mul(right, v_load_some(y + k, n - k, 0))),
                     n - k);
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

/* Where a projection starts. */
INLINE const double *point(const struct sv_sketch *p) { return p->carry == SV_CARRY_NESTEROV ? p->y : p->x; }

/* Before the step: what is carried, without it. */
INLINE void begin(struct sv_sketch *p)
{
    if (p->carry == SV_CARRY_MOMENTUM)
        blend(p->cols, p->momentum, p->v, 0, p->v, p->v);
    else if (p->carry == SV_CARRY_NESTEROV) {
        blend(p->cols, p->memory, p->v, 1 - p->memory, p->y, p->v);
        memcpy(p->x, p->y, p->cols * sizeof *p->x);
    }
}

/* After it. */
INLINE void end(struct sv_sketch *p)
{
    if (p->carry == SV_CARRY_MOMENTUM)
        add(p->cols, 1, p->v, p->x);
    else if (p->carry == SV_CARRY_NESTEROV)
        blend(p->cols, p->mix, p->v, 1 - p->mix, p->x, p->y);
}

/* x -= factor step, with what is carried. */
static void advance(struct sv_sketch *p, const double *step, double factor)
{
    begin(p);
    if (p->carry == SV_CARRY_MOMENTUM)
        add(p->cols, -factor, step, p->v);
    else
        add(p->cols, -factor, step, p->x);
    if (p->carry == SV_CARRY_NESTEROV)
        add(p->cols, -factor * p->pull, step, p->v);
    end(p);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

INLINE size_t drawn(const struct sv_sketch *p, uint64_t k)
{
    uint64_t coin;
    if (p->rule == SV_PICK_CYCLIC)
        return (size_t)(k % p->rows);
    size_t i = (size_t)sv_index_below(sv_bits_at(p->seed, SV_STREAM_PICK, k), p->rows, &coin);
    if (p->rule == SV_PICK_NORMS && (uint32_t)(coin >> 32) >= p->table.threshold[i])
        i = p->table.alias[i];
    return i;
}

INLINE double residual_of(const struct sv_sketch *p, size_t i)
{
    const double *x = point(p);
    if (p->dense)
        return dot(p->dense + i * p->cols, x, p->cols) - p->b[i];
    size_t from = (size_t)p->sparse.starts[i];
    return segment_dot(p->sparse.index + from, p->sparse.value + from, x, (size_t)p->sparse.starts[i + 1] - from) -
           p->b[i];
}

/* to -= factor row i, one entry at a time: places may not meet within a row, but lie anywhere. */
INLINE void scatter(const struct sv_sketch *p, size_t i, double factor, double *to)
{
    for (int32_t e = p->sparse.starts[i]; e < p->sparse.starts[i + 1]; e++)
        to[p->sparse.index[e]] -= factor * p->sparse.value[e];
}

INLINE void along_row(struct sv_sketch *p, size_t i, double factor, size_t next)
{
    if (p->dense && p->carry == SV_CARRY_NOTHING) {
        add_ahead(p->cols, -factor, p->dense + i * p->cols, p->x, p->dense + next * p->cols);
        return;
    }
    if (p->dense) {
        advance(p, p->dense + i * p->cols, factor);
        return;
    }
    begin(p);
    scatter(p, i, factor, p->carry == SV_CARRY_MOMENTUM ? p->v : p->x);
    if (p->carry == SV_CARRY_NESTEROV)
        scatter(p, i, factor * p->pull, p->v);
    end(p);
}

/* The row with the largest distance among those drawn; *squares grows by the mean of their squared residuals. */
INLINE size_t largest(const struct sv_sketch *p, uint64_t k, double *residual, double *squares)
{
    size_t best = 0;
    double most = -1, sum = 0;
    for (size_t j = 0; j < p->tries; j++) {
        uint64_t rest;
        uint64_t bits = sv_bits_at(p->seed, SV_STREAM_PICK, k * p->tries + j);
        size_t i = (size_t)sv_index_below(bits, p->rows, &rest);
        double r = residual_of(p, i), distance = r * r * p->inverse[i];
        sum += r * r;
        if (distance > most) {
            most = distance;
            best = i;
            *residual = r;
        }
    }
    *squares += sum / (double)p->tries * (double)p->rows;
    return best;
}

static double rows(struct sv_sketch *p, uint64_t from, size_t count)
{
    double squares = 0;
    size_t next = p->rule == SV_PICK_LARGEST || !count ? 0 : drawn(p, from);
    for (size_t k = 0; k < count; k++) {
        size_t i = next;
        double r = 0;
        if (p->rule == SV_PICK_LARGEST)
            i = largest(p, from + k, &r, &squares);
        else {
            next = drawn(p, from + k + 1);
            r = residual_of(p, i);
            squares += r * r * (p->rule == SV_PICK_NORMS ? p->total * p->inverse[i] : (double)p->rows);
        }
        along_row(p, i, p->omega * r * p->inverse[i], next);
    }
    return count ? squares / (double)count : -1;
}

/* ---- Hadamard transform ---------------------------------------------------------------------------------------- */

/* Columns in panels that stay in the second cache while all levels of butterflies run over them. */
static void hadamard(double *X, size_t rows, size_t cols)
{
    for (size_t from = 0; from < cols; from += PANEL) {
        size_t width = cols - from < PANEL ? cols - from : PANEL;
        for (size_t half = 1; half < rows; half *= 2)
            for (size_t i = 0; i < rows; i += 2 * half)
                for (size_t k = i; k < i + half; k++) {
                    double *a = X + k * cols + from, *b = a + half * cols;
                    for (size_t c = 0; c < width; c += SV_W) {
                        vreal left = v_load_some(a + c, width - c, 0), right = v_load_some(b + c, width - c, 0);
                        v_store_some(a + c, v_add(left, right), width - c);
                        v_store_some(b + c, v_sub(left, right), width - c);
                    }
                }
    }
}

const struct sketch_kernels SV_TABLE(sketch_kernels) = {rows, add, advance, hadamard};
