/* The passes of the conjugate gradients around a cycle, in float64, each with the sums that it can give.
 *
 * Bytes a cell, 3-D, a float32 cycle: dot 12; direction 20 and the diagonal; advance 48; residual 24 and the diagonal,
 * and 24 more with variable couplings, as the direction. The diagonal is 8, little where its rows are shared. All wait
 * for memory. Sums are one a plane, added in the planes' order: the bits do not depend on threads. Rounding of a sum:
 * about n/32 ulp at most of the sum of magnitudes.
 * In NumPy: p = z + beta * p; q = A @ p; x += alpha * p; r -= alpha * q; cast = (scale * r).astype(np.float32)
 */
#include "multilevel_rows.h"

struct outer {
    const struct sv_level *g;
    const double *diagonal, *b, *r;
    double *x, *out, *left, alpha, scale;
    double *partial;     /* a number a plane */
    const void *z;
    void *p, *cast;
    double *to;
    int single;
    ptrdiff_t parts;
    void (*plane)(const struct outer *o, ptrdiff_t k); /* of the product */
};

static void over_planes(struct outer *o, sv_task task, int threads)
{
    o->parts = parts_of(o->g, o->g->n[2], threads);
    sv_parallel_for(threads, (size_t)o->parts, task, o);
}

static double sum_of(const struct outer *o)
{
    double sum = 0;
    for (ptrdiff_t k = 0; k < o->g->n[2]; k++)
        sum += o->partial[k];
    return sum;
}

INLINE void put_sum(const struct outer *o, ptrdiff_t k, ptrdiff_t j, vreal sum)
{
    o->partial[k] = (j ? o->partial[k] : 0) + v_sum_lanes(sum);
}

INLINE void range_of(const struct outer *o, size_t index, ptrdiff_t *from, ptrdiff_t *to)
{
    *from = (ptrdiff_t)index * o->g->n[2] / o->parts;
    *to = ((ptrdiff_t)index + 1) * o->g->n[2] / o->parts;
}

#define EACH_PLANE(o, index, k)                                                                                     \
    for (ptrdiff_t k = (ptrdiff_t)(index) * (o)->g->n[2] / (o)->parts,                                              \
                   to_ = ((ptrdiff_t)(index) + 1) * (o)->g->n[2] / (o)->parts;                                      \
         k < to_; k++)
#define EACH_ROW(o, index, k, j) EACH_PLANE(o, index, k) for (ptrdiff_t j = 0; j < (o)->g->n[1]; j++)

/* ---- products; vectors of the cycle are float32 or float64 ---- */

INLINE vreal load_from(const void *row, ptrdiff_t i, int single)
{
    return single ? v_load_float((const float *)row + i) : v_load((const double *)row + i);
}

INLINE void store_to(void *row, ptrdiff_t i, vreal v, int single)
{
    double lanes[SV_W];
    if (!single)
        v_store((double *)row + i, v);
    else {
        v_store(lanes, v);
        for (int lane = 0; lane < SV_W; lane++)
            ((float *)row)[i + lane] = (float)lanes[lane];
    }
}

INLINE const void *place_in(const void *x, ptrdiff_t at, int single)
{
    return single ? (const void *)((const float *)x + at) : (const void *)((const double *)x + at);
}

/* The rows of a vector around those of the cells. */
struct beside {
    const void *own, *y[2], *z[2];
};

/* Row (k, j), of zeros where the grid has none: those of a double, twice as many of a float. */
INLINE const void *vector_row(const struct sv_level *g, const void *x, ptrdiff_t k, ptrdiff_t j, int single)
{
    k = on_axis(k, g->n[2], g->periodic[2]), j = on_axis(j, g->n[1], g->periodic[1]);
    return k < 0 || j < 0 ? (const void *)no_row(g) : place_in(x, row_at(g, k, j), single);
}

INLINE vreal add_beside(const struct around *a, const struct beside *b, ptrdiff_t i, int axes, int constant, int single)
{
    struct values v = {.x = {load_from(b->own, i - 1, single), load_from(b->own, i + 1, single)}};
    for (int side = 0; side < 2 && axes > 1; side++)
        v.z[side] = load_from(b->z[side], i, single);
    for (int side = 0; side < 2 && axes > 2; side++)
        v.y[side] = load_from(b->y[side], i, single);
    struct values c = v;
    if (!constant)
        c = couplings(a, i, axes);
    return add_values(a, &c, &v, v_set1(0), axes, constant);
}

/* What a product is the first to read, and writes, of row j + AHEAD. */
INLINE void fetch_ahead(const struct outer *o, ptrdiff_t k, ptrdiff_t j, int constant)
{
    const struct sv_level *g = o->g;
    const ptrdiff_t ahead = j + AHEAD;
    const size_t bytes = (size_t)g->n[0] * sizeof(double);
    if (ahead >= g->n[1])
        return;
    for (int axis = 0; axis < 3 && !constant; axis++)
        if (g->face[axis])
            fetch(row_of(g, g->face[axis], k + (axis == 2), ahead), bytes);
    const double *diagonal = shared_row(g, SHARED_INVERSE, o->diagonal, k, ahead);
    if (diagonal != shared_row(g, SHARED_INVERSE, o->diagonal, k, j))
        fetch(diagonal, bytes);
    fetch(o->out + row_at(g, k, ahead), bytes);
}

/* out = b - A p, or A p where b is NULL, in a plane. */
INLINE void product_plane(const struct outer *o, ptrdiff_t k, int axes, int constant, int single)
{
    const struct sv_level *g = o->g;
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        ptrdiff_t row = row_at(g, k, j);
        struct around a;
        struct beside near = {.own = place_in(o->p, row, single)};
        couple(&a, g, k, j, axes, constant);
        for (int side = 0; side < 2; side++) {
            near.z[side] = vector_row(g, o->p, k + 2 * side - 1, j, single);
            near.y[side] = vector_row(g, o->p, k, j + 2 * side - 1, single);
        }
        const double *b = o->b ? o->b + row : NULL, *d = shared_row(g, SHARED_INVERSE, o->diagonal, k, j);
        double *out = o->out + row;
        fetch_ahead(o, k, j, constant);
        vreal sum = v_set1(0), none = v_set1(0);
        for (ptrdiff_t i = 0; i < g->n[0]; i += SV_W) {
            vreal diagonal = v_load(d + i), here = load_from(near.own, i, single);
            vreal q = v_sub(v_mul(diagonal, here), add_beside(&a, &near, i, axes, constant, single));
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
    static void double_##axes##_##constant(const struct outer *o, ptrdiff_t k)                                      \
    {                                                                                                               \
        product_plane(o, k, axes, constant, 0);                                                                     \
    }                                                                                                               \
    static void single_##axes##_##constant(const struct outer *o, ptrdiff_t k)                                      \
    {                                                                                                               \
        product_plane(o, k, axes, constant, 1);                                                                     \
    }
LEVEL_EACH(MAKE)

static void product_part(void *context, size_t index)
{
    const struct outer *o = context;
    EACH_PLANE(o, index, k)
    o->plane(o, k);
}

static double residual(const struct sv_level *A, const double *diagonal, const double *b, const double *x, double *out,
                       double *partial, int threads)
{
    struct outer o = {.g = A, .diagonal = diagonal, .b = b, .p = (void *)x, .out = out, .partial = partial,
                      .plane = LEVEL_PICK(double, A)};
    over_planes(&o, product_part, threads);
    return sum_of(&o);
}

static double product(const struct sv_level *A, int single, const double *diagonal, const void *p, double *q,
                      double *partial, int threads)
{
    struct outer o = {.g = A, .diagonal = diagonal, .p = (void *)p, .out = q, .partial = partial,
                      .plane = single ? LEVEL_PICK(single, A) : LEVEL_PICK(double, A)};
    over_planes(&o, product_part, threads);
    return sum_of(&o);
}

/* ---- the other passes ---- */

INLINE void dot_part(const struct outer *o, size_t index, int single)
{
    EACH_ROW(o, index, k, j)
    {
        ptrdiff_t row = row_at(o->g, k, j);
        const void *z = place_in(o->z, row, single);
        vreal sum = v_set1(0);
        for (ptrdiff_t i = 0; i < o->g->n[0]; i += SV_W)
            sum = v_fma(load_from(z, i, single), v_load(o->out + row + i), sum);
        put_sum(o, k, j, sum);
    }
}

static void dot_single(void *o, size_t index) { dot_part(o, index, 1); }
static void dot_double(void *o, size_t index) { dot_part(o, index, 0); }

static double dot(const struct sv_level *A, int single, const void *z, const double *q, double *partial, int threads)
{
    struct outer o = {.g = A, .z = z, .out = (double *)q, .partial = partial};
    over_planes(&o, single ? dot_single : dot_double, threads);
    return sum_of(&o);
}

INLINE void close_direction(const struct sv_level *g, void *p, int single)
{
    ptrdiff_t nx = g->n[0];
    float *narrow = p;
    double *wide = p;
    if (g->periodic[0] && single)
        narrow[-1] = narrow[nx - 1], narrow[nx] = narrow[0];
    else if (g->periodic[0])
        wide[-1] = wide[nx - 1], wide[nx] = wide[0];
}

/* p = z + beta p in a plane. */
INLINE void turn_plane(const struct outer *o, ptrdiff_t k, int single)
{
    const vreal beta = v_set1(o->alpha);
    const int first = o->alpha == 0;
    for (ptrdiff_t j = 0; j < o->g->n[1]; j++) {
        ptrdiff_t row = row_at(o->g, k, j);
        void *p = (void *)place_in(o->p, row, single);
        const void *z = place_in(o->z, row, single);
        for (ptrdiff_t i = 0; i < o->g->n[0]; i += SV_W) {
            vreal next = load_from(z, i, single);
            if (!first)
                next = v_fma(beta, load_from(p, i, single), next);
            store_to(p, i, next, single);
        }
        close_direction(o->g, p, single);
    }
}

/* p in all planes of a part; one plane behind q, where the planes on both sides are the part's own. */
INLINE void direction_part(const struct outer *o, size_t index, int single)
{
    ptrdiff_t from, to;
    range_of(o, index, &from, &to);
    for (ptrdiff_t k = from; k < to; k++) {
        turn_plane(o, k, single);
        if (k - 1 > from)
            o->plane(o, k - 1);
    }
}

static void direction_single(void *o, size_t index) { direction_part(o, index, 1); }
static void direction_double(void *o, size_t index) { direction_part(o, index, 0); }

/* q in a part's first and last plane. */
static void ends_part(void *context, size_t index)
{
    const struct outer *o = context;
    ptrdiff_t from, to;
    range_of(o, index, &from, &to);
    o->plane(o, from);
    if (to - 1 > from)
        o->plane(o, to - 1);
}

static double direction(const struct sv_level *A, int single, const double *diagonal, double beta, const void *z, void *p,
                        double *q, double *partial, int threads)
{
    struct outer o = {.g = A, .diagonal = diagonal, .alpha = beta, .z = z, .p = p, .out = q, .partial = partial,
                      .plane = single ? LEVEL_PICK(single, A) : LEVEL_PICK(double, A)};
    over_planes(&o, single ? direction_single : direction_double, threads);
    over_planes(&o, ends_part, threads);
    return sum_of(&o);
}

INLINE void cast_row(const double *r, void *cast, ptrdiff_t row, ptrdiff_t nx, double scale, int single)
{
    for (ptrdiff_t i = 0; i < nx; i++)
        if (single)
            ((float *)cast)[row + i] = (float)(scale * r[i]);
        else
            ((double *)cast)[row + i] = scale * r[i];
}

/* From the last plane to the first: of those p and q were written last. */
INLINE void advance_part(const struct outer *o, size_t index, int single)
{
    const vreal alpha = v_set1(o->alpha);
    ptrdiff_t from, to;
    range_of(o, index, &from, &to);
    for (ptrdiff_t k = to - 1; k >= from; k--)
        for (ptrdiff_t j = 0; j < o->g->n[1]; j++) {
        ptrdiff_t row = row_at(o->g, k, j);
        const void *p = place_in(o->p, row, single);
        const double *q = o->out + row;
        double *x = o->x + row, *r = o->left + row;
        vreal sum = v_set1(0);
        for (ptrdiff_t i = 0; i < o->g->n[0]; i += SV_W) {
            v_store(x + i, v_fma(alpha, load_from(p, i, single), v_load(x + i)));
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

static double advance(const struct sv_level *A, int single, double alpha, double scale, const void *p,
                      const double *q, double *x, double *r, void *cast, double *partial, int threads)
{
    struct outer o = {.g = A, .p = (void *)p, .out = (double *)q, .x = x, .left = r, .alpha = alpha, .scale = scale,
                      .cast = cast, .partial = partial};
    over_planes(&o, single ? advance_single : advance_double, threads);
    return sum_of(&o);
}

static void cast_part(void *context, size_t index)
{
    const struct outer *o = context;
    EACH_ROW(o, index, k, j)
    cast_row(o->r + row_at(o->g, k, j), o->cast, row_at(o->g, k, j), o->g->n[0], o->scale, o->single);
}

static void cast(const struct sv_level *A, int single, double scale, const double *r, void *cast, int threads)
{
    struct outer o = {.g = A, .r = r, .scale = scale, .cast = cast, .single = single};
    over_planes(&o, cast_part, threads);
}

static void unpack_part(void *context, size_t index)
{
    const struct outer *o = context;
    EACH_ROW(o, index, k, j)
    memcpy(o->to + (k * o->g->n[1] + j) * o->g->n[0], o->r + row_at(o->g, k, j),
           (size_t)o->g->n[0] * sizeof(double));
}

static void unpack(const struct sv_level *A, const double *from, double *to, int threads)
{
    struct outer o = {.g = A, .r = from, .to = to};
    over_planes(&o, unpack_part, threads);
}

const struct sv_outer_kernels SV_TABLE(outer_kernels) = {residual, product, dot, direction, advance, cast, unpack};
