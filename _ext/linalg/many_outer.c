/* The passes of conjugate gradients for MANY right-hand sides, in float64: see multilevel_many.h, and
 * multilevel_outer.c for one. All wait for memory: product 16 bytes a cell and right-hand side, dot 12, direction 28,
 * advance 52. Sums go row by row.
 */
#include "many_rows.h"

#define PARTS (MANY / SV_W)

INLINE void put_sums(double *sums, const vreal *parts)
{
    EACH_PART(l) v_store(sums + l, v_add(v_load(sums + l), parts[l / SV_W]));
}

#define EACH_ROW(g, k, j)                                                                                           \
    for (ptrdiff_t k = 0; k < (g)->n[2]; k++)                                                                       \
        for (ptrdiff_t j = 0; j < (g)->n[1]; j++)

/* A x in a row's cell i: 0 outside of the mask. */
struct around_cells {
    struct around a;
    const double *diagonal;
};

INLINE struct around_cells cells_around(const struct sv_level *g, const double *diagonal, const struct many_vectors *v,
                                        const double *x, ptrdiff_t k, ptrdiff_t j, int axes, int constant)
{
    return (struct around_cells){many_around(g, v->zeros, x, k, j, axes, constant), diagonal + row_at(g, k, j)};
}

INLINE vreal matrix_times(const struct around_cells *c, ptrdiff_t i, int l, int axes, int constant)
{
    const struct around *a = &c->a;
    ptrdiff_t at = MANY * i + l;
    vreal sum = v_mul(v_set1(c->diagonal[i]), v_load(a->own + at));
    vreal west = v_load(a->own + at - MANY), east = v_load(a->own + at + MANY);
    if (constant) {
        sum = v_fnma(a->coupling[0], v_add(west, east), sum);
        if (axes > 1)
            sum = v_fnma(a->coupling[2], v_add(v_load(a->z[0] + at), v_load(a->z[1] + at)), sum);
        if (axes > 2)
            sum = v_fnma(a->coupling[1], v_add(v_load(a->y[0] + at), v_load(a->y[1] + at)), sum);
        return c->diagonal[i] == 0 ? v_set1(0) : sum;
    }
    sum = v_fnma(v_set1(a->cx[i]), west, v_fnma(v_set1(a->cx[i + 1]), east, sum));
    for (int side = 0; side < 2; side++) {
        if (axes > 1)
            sum = v_fnma(v_set1(a->cz[side][i]), v_load(a->z[side] + at), sum);
        if (axes > 2)
            sum = v_fnma(v_set1(a->cy[side][i]), v_load(a->y[side] + at), sum);
    }
    return c->diagonal[i] == 0 ? v_set1(0) : sum;
}

INLINE void product_of(const struct sv_level *g, const double *diagonal, struct many_vectors *v, double *sums, int axes,
                       int constant)
{
    memset(sums, 0, MANY * sizeof(double));
    EACH_ROW(g, k, j)
    {
        struct around_cells c = cells_around(g, diagonal, v, v->p, k, j, axes, constant);
        double *q = v->q + many_row(g, k, j);
        vreal parts[PARTS];
        EACH_PART(l) parts[l / SV_W] = v_set1(0);
        for (ptrdiff_t i = 0; i < g->n[0]; i++)
            EACH_PART(l)
        {
            vreal value = matrix_times(&c, i, l, axes, constant);
            v_store(q + MANY * i + l, value);
            parts[l / SV_W] = v_fma(v_load(c.a.own + MANY * i + l), value, parts[l / SV_W]);
        }
        put_sums(sums, parts);
    }
}

struct given {
    const double *b;
    ptrdiff_t stride;
    int count;
};

INLINE void residual_of(const struct sv_level *g, const double *diagonal, struct many_vectors *v, struct given given,
                        double *sums, int axes, int constant)
{
    memset(sums, 0, MANY * sizeof(double));
    EACH_ROW(g, k, j)
    {
        struct around_cells c = cells_around(g, diagonal, v, v->x, k, j, axes, constant);
        const double *b = given.b + (k * g->n[1] + j) * g->n[0] * given.stride;
        double *q = v->q + many_row(g, k, j);
        vreal parts[PARTS];
        EACH_PART(l) parts[l / SV_W] = v_set1(0);
        for (ptrdiff_t i = 0; i < g->n[0]; i++) {
            double right[MANY] = {0};
            if (c.diagonal[i] != 0)
                memcpy(right, b + i * given.stride, (size_t)given.count * sizeof(double));
            EACH_PART(l)
            {
                vreal value = v_sub(v_load(right + l), matrix_times(&c, i, l, axes, constant));
                v_store(q + MANY * i + l, value);
                parts[l / SV_W] = v_fma(value, value, parts[l / SV_W]);
            }
        }
        put_sums(sums, parts);
    }
}

#define MAKE(axes, constant)                                                                                        \
    static void product_##axes##_##constant(const struct sv_level *g, const double *diagonal,                       \
                                            struct many_vectors *v, double *sums)                                   \
    {                                                                                                               \
        product_of(g, diagonal, v, sums, axes, constant);                                                           \
    }                                                                                                               \
    static void residual_##axes##_##constant(const struct sv_level *g, const double *diagonal,                      \
                                             struct many_vectors *v, struct given given, double *sums)              \
    {                                                                                                               \
        residual_of(g, diagonal, v, given, sums, axes, constant);                                                   \
    }
LEVEL_EACH(MAKE)

static void product(const struct sv_level *A, const double *diagonal, struct many_vectors *v, double *sums)
{
    LEVEL_PICK(product, A)(A, diagonal, v, sums);
}

static void residual(const struct sv_level *A, const double *diagonal, struct many_vectors *v, const double *b,
                     ptrdiff_t stride, int count, double *sums)
{
    LEVEL_PICK(residual, A)(A, diagonal, v, (struct given){b, stride, count}, sums);
}

static void dot(const struct sv_level *g, const float *z, const double *q, double *sums)
{
    memset(sums, 0, MANY * sizeof(double));
    EACH_ROW(g, k, j)
    {
        ptrdiff_t row = many_row(g, k, j);
        vreal parts[PARTS];
        EACH_PART(l) parts[l / SV_W] = v_set1(0);
        for (ptrdiff_t at = row; at < row + MANY * g->n[0]; at += MANY)
            EACH_PART(l)
        parts[l / SV_W] = v_fma(v_load_float(z + at + l), v_load(q + at + l), parts[l / SV_W]);
        put_sums(sums, parts);
    }
}

static void direction(const struct sv_level *g, const float *z, const double *beta, struct many_vectors *v, double *sums)
{
    memset(sums, 0, MANY * sizeof(double));
    EACH_ROW(g, k, j)
    {
        ptrdiff_t row = many_row(g, k, j);
        vreal parts[PARTS];
        EACH_PART(l) parts[l / SV_W] = v_set1(0);
        for (ptrdiff_t at = row; at < row + MANY * g->n[0]; at += MANY)
            EACH_PART(l)
        {
            vreal next = v_fma(v_load(beta + l), v_load(v->p + at + l), v_load_float(z + at + l));
            v_store(v->p + at + l, next);
            parts[l / SV_W] = v_fma(next, v_load(v->r + at + l), parts[l / SV_W]);
        }
        many_close(g, v->p + row);
        put_sums(sums, parts);
    }
}

static void advance(const struct sv_level *g, const double *alpha, const double *scale, struct many_vectors *v,
                    float *cast, double *sums)
{
    memset(sums, 0, MANY * sizeof(double));
    EACH_ROW(g, k, j)
    {
        ptrdiff_t row = many_row(g, k, j);
        vreal parts[PARTS];
        EACH_PART(l) parts[l / SV_W] = v_set1(0);
        for (ptrdiff_t at = row; at < row + MANY * g->n[0]; at += MANY) {
            double scaled[MANY];
            EACH_PART(l)
            {
                vreal a = v_load(alpha + l);
                v_store(v->x + at + l, v_fma(a, v_load(v->p + at + l), v_load(v->x + at + l)));
                vreal left = v_fnma(a, v_load(v->q + at + l), v_load(v->r + at + l));
                v_store(v->r + at + l, left);
                v_store(scaled + l, v_mul(left, v_load(scale + l)));
                parts[l / SV_W] = v_fma(left, left, parts[l / SV_W]);
            }
            for (int l = 0; l < MANY; l++)
                cast[at + l] = (float)scaled[l];
        }
        many_close(g, v->x + row);
        put_sums(sums, parts);
    }
}

const struct many_outer_kernels SV_TABLE(many_outer) = {product, residual, dot, direction, advance};
