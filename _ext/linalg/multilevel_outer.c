/* The passes of the conjugate gradients around a cycle, in float64, each with the sums that it can give.
 *
 * Bytes a cell, 3-D, a float32 cycle: product 24 (x, out; constant couplings, the diagonal read), 48 else; dot 12;
 * direction 28; advance 52. All wait for memory. Sums are one a plane, added in the planes' order: the bits do not
 * depend on threads. Rounding of a sum: about n/32 ulp at most of the sum of magnitudes.
 * In NumPy: q = A @ x; p = z + beta * p; x += alpha * p; r -= alpha * q; cast = (scale * r).astype(np.float32)
 */
#include "multilevel_rows.h"

struct outer {
    const struct sv_level *g;
    const double *diagonal, *in[3];
    double *out[2], *partial, alpha, scale;
    const void *z;
    void *cast;
    double *to;
    int single;
    ptrdiff_t parts;
};

static double over_planes(struct outer *o, sv_task task, int threads)
{
    double sum = 0;
    o->parts = parts_of(o->g, o->g->n[2], threads);
    sv_parallel_for(threads, (size_t)o->parts, task, o);
    for (ptrdiff_t k = 0; k < o->g->n[2] && o->partial; k++)
        sum += o->partial[k];
    return sum;
}

#define EACH_ROW(o, index, k, j)                                                                                    \
    for (ptrdiff_t k = (ptrdiff_t)(index) * (o)->g->n[2] / (o)->parts,                                              \
                   to_ = ((ptrdiff_t)(index) + 1) * (o)->g->n[2] / (o)->parts;                                      \
         k < to_; k++)                                                                                              \
        for (ptrdiff_t j = 0; j < (o)->g->n[1]; j++)

INLINE void put_sum(const struct outer *o, ptrdiff_t k, ptrdiff_t j, vreal sum)
{
    o->partial[k] = (j ? o->partial[k] : 0) + v_sum_lanes(sum);
}

INLINE struct around vector_around(const struct sv_level *g, const double *x, ptrdiff_t k, ptrdiff_t j, int axes,
                                   int constant)
{
    struct around a = {.own = x + row_at(g, k, j)};
    if (axes > 1)
        a.z[0] = row_of(g, x, k - 1, j), a.z[1] = row_of(g, x, k + 1, j);
    if (axes > 2)
        a.y[0] = row_of(g, x, k, j - 1), a.y[1] = row_of(g, x, k, j + 1);
    couple(&a, g, k, j, axes, constant);
    return a;
}

INLINE void product_part(const struct outer *o, size_t index, int axes, int constant)
{
    const struct sv_level *g = o->g;
    EACH_ROW(o, index, k, j)
    {
        struct around a = vector_around(g, o->in[0], k, j, axes, constant);
        ptrdiff_t row = row_at(g, k, j);
        const double *x = o->in[0] + row, *b = o->in[1] ? o->in[1] + row : NULL, *d = o->diagonal + row;
        double *out = o->out[0] + row;
        vreal sum = v_set1(0), none = v_set1(0);
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W) {
            vreal diagonal = v_load(d + i), here = v_load(x + i);
            vreal q = v_sub(v_mul(diagonal, here), add_around(&a, i, none, axes, constant));
            if (b)
                q = v_sub(v_load(b + i), q);
            q = v_if_equal(diagonal, none, none, q); /* outside of the mask, and where a periodic row begins again */
            v_store(out + i, q);
            sum = v_fma(b ? q : here, q, sum);
        }
        put_sum(o, k, j, sum);
    }
}

#define MAKE(axes, constant)                                                                                        \
    static void product_##axes##_##constant(void *o, size_t index) { product_part(o, index, axes, constant); }
LEVEL_EACH(MAKE)

static double product(const struct sv_level *A, const double *diagonal, const double *b, const double *x, double *out,
                      double *partial, int threads)
{
    struct outer o = {.g = A, .diagonal = diagonal, .in = {x, b}, .out = {out}, .partial = partial};
    return over_planes(&o, LEVEL_PICK(product, A), threads);
}

/* ---- the cycle's result, float32 or float64 ---- */

INLINE vreal load_cycle(const void *z, ptrdiff_t at, int single)
{
    return single ? v_load_float((const float *)z + at) : v_load((const double *)z + at);
}

INLINE void dot_part(const struct outer *o, size_t index, int single)
{
    EACH_ROW(o, index, k, j)
    {
        ptrdiff_t row = row_at(o->g, k, j);
        vreal sum = v_set1(0);
        for (ptrdiff_t i = 0; i < o->g->n[0]; i += SV_W)
            sum = v_fma(load_cycle(o->z, row + i, single), v_load(o->in[0] + row + i), sum);
        put_sum(o, k, j, sum);
    }
}

static void dot_single(void *o, size_t index) { dot_part(o, index, 1); }
static void dot_double(void *o, size_t index) { dot_part(o, index, 0); }

static double dot(const struct sv_level *A, int single, const void *z, const double *q, double *partial, int threads)
{
    struct outer o = {.g = A, .z = z, .in = {q}, .partial = partial};
    return over_planes(&o, single ? dot_single : dot_double, threads);
}

INLINE void direction_part(const struct outer *o, size_t index, int single)
{
    const vreal beta = v_set1(o->alpha);
    EACH_ROW(o, index, k, j)
    {
        ptrdiff_t row = row_at(o->g, k, j);
        double *p = o->out[0] + row;
        const double *r = o->in[0] + row;
        vreal sum = v_set1(0);
        for (ptrdiff_t i = 0; i < o->g->n[0]; i += SV_W) {
            vreal next = v_fma(beta, v_load(p + i), load_cycle(o->z, row + i, single));
            v_store(p + i, next);
            sum = v_fma(next, v_load(r + i), sum);
        }
        close_row(o->g, p);
        put_sum(o, k, j, sum);
    }
}

static void direction_single(void *o, size_t index) { direction_part(o, index, 1); }
static void direction_double(void *o, size_t index) { direction_part(o, index, 0); }

static double direction(const struct sv_level *A, int single, double beta, const void *z, const double *r, double *p,
                        double *partial, int threads)
{
    struct outer o = {.g = A, .z = z, .in = {r}, .out = {p}, .alpha = beta, .partial = partial};
    return over_planes(&o, single ? direction_single : direction_double, threads);
}

INLINE void cast_row(const double *r, void *cast, ptrdiff_t row, ptrdiff_t nx, double scale, int single)
{
    for (ptrdiff_t i = 0; i < nx; i++)
        if (single)
            ((float *)cast)[row + i] = (float)(scale * r[i]);
        else
            ((double *)cast)[row + i] = scale * r[i];
}

INLINE void advance_part(const struct outer *o, size_t index, int single)
{
    const vreal alpha = v_set1(o->alpha);
    EACH_ROW(o, index, k, j)
    {
        ptrdiff_t row = row_at(o->g, k, j);
        const double *p = o->in[0] + row, *q = o->in[1] + row;
        double *x = o->out[0] + row, *r = o->out[1] + row;
        vreal sum = v_set1(0);
        for (ptrdiff_t i = 0; i < o->g->n[0]; i += SV_W) {
            v_store(x + i, v_fma(alpha, v_load(p + i), v_load(x + i)));
            vreal left = v_fnma(alpha, v_load(q + i), v_load(r + i));
            v_store(r + i, left);
            sum = v_fma(left, left, sum);
        }
        close_row(o->g, x);
        cast_row(r, o->cast, row, o->g->n[0], o->scale, single);
        put_sum(o, k, j, sum);
    }
}

static void advance_single(void *o, size_t index) { advance_part(o, index, 1); }
static void advance_double(void *o, size_t index) { advance_part(o, index, 0); }

static double advance(const struct sv_level *A, int single, double alpha, double scale, const double *p,
                      const double *q, double *x, double *r, void *cast, double *partial, int threads)
{
    struct outer o = {.g = A, .in = {p, q}, .out = {x, r}, .alpha = alpha, .scale = scale, .cast = cast,
                      .partial = partial};
    return over_planes(&o, single ? advance_single : advance_double, threads);
}

static void cast_part(void *context, size_t index)
{
    const struct outer *o = context;
    EACH_ROW(o, index, k, j)
    cast_row(o->in[0] + row_at(o->g, k, j), o->cast, row_at(o->g, k, j), o->g->n[0], o->scale, o->single);
}

static void cast(const struct sv_level *A, int single, double scale, const double *r, void *cast, int threads)
{
    struct outer o = {.g = A, .in = {r}, .scale = scale, .cast = cast, .single = single};
    over_planes(&o, cast_part, threads);
}

static void unpack_part(void *context, size_t index)
{
    const struct outer *o = context;
    EACH_ROW(o, index, k, j)
    memcpy(o->to + (k * o->g->n[1] + j) * o->g->n[0], o->in[0] + row_at(o->g, k, j),
           (size_t)o->g->n[0] * sizeof(double));
}

static void unpack(const struct sv_level *A, const double *from, double *to, int threads)
{
    struct outer o = {.g = A, .in = {from}, .to = to};
    over_planes(&o, unpack_part, threads);
}

const struct sv_outer_kernels SV_TABLE(outer_kernels) = {product, dot, direction, advance, cast, unpack};
