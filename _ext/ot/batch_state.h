/* The state of one small problem while it is solved, its vectors, and an evaluation of its scalings. */
#ifndef SOLVERS_OT_BATCH_STATE_H
#define SOLVERS_OT_BATCH_STATE_H

#include "batch.h"
#include "expcore.h"
#include "fused.h"

#define COLUMN_MIN 1e-280 /* a column sum below this part of its weight may have lost digits */
#define LOG2_E_DOUBLE 0x1.71547652b82fep+0

enum { LARGEST_EXPONENT = 1020 /* 2 to this power is a number, and so is its inverse */ };
/* Numbers of solvers.Status. */
enum { STATUS_CONVERGED = 0, STATUS_MAX_ITER = 10, STATUS_STAGNATION = 13, STATUS_NONFINITE = 22 };

struct solve {
    const struct sv_ot_batch *batch;
    const struct ot_float_kernel *in_float_kernel;
    const void *matrix; /* of this problem */
    size_t n, m, rows, ld; /* rows: those of positive weight */
    int exponent; /* the weights are taken in units of 2^exponent, so that no mass is too small for float32 */
    double scale, mass, tol, roundoff, span; /* mass and tol: in these units */
    double *offset; /* (n,) of the batch */
    double *K;
    float *K_float;
    /* rows */
    double *a, *y, *u, *weight, *row;
    int *kept;
    /* columns; 0 past the end and at zero weights */
    double *b, *x, *c, *v, *line, *step, *x_old, *c_old, *diagonal, *precondition, *left, *residual, *direction, *image, *scaled;
    float *float_x, *float_sums, *float_weight, *float_row;
    double l1, error; /* of the columns: the l1 norm, and the norm asked for */
    int sinkhorn, newton, cg, in_float;
    int in_place; /* C can be read where it is */
    const char *ahead, *ahead_end; /* the costs of the next problem that are still to be fetched */
};

/* What a product has time for: some cache lines of the next problem's costs on their way from memory. */
enum { LINE_BYTES = 64, LINES_AHEAD = 32 };
INLINE void fetch_ahead(struct solve *s)
{
    const char *last = s->ahead_end - s->ahead > LINES_AHEAD * LINE_BYTES ? s->ahead + LINES_AHEAD * LINE_BYTES : s->ahead_end;
    for (; s->ahead < last; s->ahead += LINE_BYTES)
        __builtin_prefetch(s->ahead, 0, 2);
}

INLINE double dot(const double *p, const double *q, size_t ld)
{
    vreal sum = v_set1(0);
    for (size_t j = 0; j < ld; j += SV_W)
        sum = v_fma(v_load(p + j), v_load(q + j), sum);
    return v_sum_lanes(sum);
}

/* The column sums are those of K' y times x; the errors of the columns. */
static void measure(struct solve *s)
{
    vreal sum = v_set1(0), squares = sum, most = sum;
    for (size_t j = 0; j < s->ld; j += SV_W) {
        const vreal c = v_mul(v_load(s->c + j), v_load(s->x + j));
        v_store(s->c + j, c);
        const vreal gap = v_sub(v_load(s->b + j), c), size = v_max(gap, v_sub(v_set1(0), gap));
        sum = v_add(sum, size);
        squares = v_fma(gap, gap, squares);
        most = v_max(size, most);
    }
    s->l1 = v_sum_lanes(sum);
    s->error = s->batch->norm == SV_NORM_L1   ? s->l1
               : s->batch->norm == SV_NORM_L2 ? sqrt(v_sum_lanes(squares))
                                              : v_max_lanes(most);
}

/* y, c and the errors at x. */
static void evaluate(struct solve *s)
{
    fetch_ahead(s);
    fused_product(s->K, s->rows, s->ld, s->x, s->a, s->y, s->c, 1);
    measure(s);
}

/* p += log2 q for q >= 0; a subnormal q, of weights near the end of the numbers, by the library. */
static void add_log2(double *p, const double *q, size_t size)
{
    for (size_t i = 0; i < size; i += SV_W) {
        const vreal x = v_load_some(q + i, size - i, 1);
        if (v_at_least(x, v_set1(0x1p-1022)) == v_at_least(v_set1(1), v_set1(1)))
            v_store_some(p + i, v_add(v_load_some(p + i, size - i, 0), v_log2(x)), size - i);
        else
            for (size_t k = i; k < size && k < i + SV_W; k++)
                p[k] += log2(q[k]);
    }
}

/* Potentials given out: those of the weights as given. */
static void put_potentials(const struct solve *s, double *u, double *v)
{
    for (size_t i = 0; i < s->n; i++)
        u[i] = s->rows < s->n ? -INFINITY : s->u[i] + s->exponent;
    for (size_t i = 0; s->rows < s->n && i < s->rows; i++)
        u[s->kept[i]] = s->u[i] + s->exponent;
    for (size_t j = 0; j < s->m; j++)
        v[j] = s->b[j] > 0 ? s->v[j] : -INFINITY;
}

#endif
