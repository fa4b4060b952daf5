/* The two passes of a cycle for MANY right-hand sides; float32. See multilevel_many.h and, for the method,
 * multilevel_cycle.c, whose results these are but for the order of sums.
 *
 * A pass goes through the planes once, as a pipeline: plane k red, plane k - 1 black, plane k - 2 restricted or finished.
 * Where z is periodic it goes through them three times. Flops a cell and right-hand side, 3-D: down 18, up 23; bytes 12
 * and 16 (r, x), and 20 of fields for all MANY. A plane that fits the cache makes it wait for arithmetic alone.
 */
#include "many_rows.h"

enum { RED, BLACK };

/* sum + the couplings of cell i times the values around it, of the lanes from l on. */
INLINE vreal add_cells(const struct around *a, ptrdiff_t i, int l, vreal sum, int axes, int constant)
{
    ptrdiff_t at = MANY * i + l;
    vreal west = v_load(a->own + at - MANY), east = v_load(a->own + at + MANY);
    if (constant) {
        if (axes > 1)
            sum = v_fma(a->coupling[2], v_add(v_load(a->z[0] + at), v_load(a->z[1] + at)), sum);
        if (axes > 2)
            sum = v_fma(a->coupling[1], v_add(v_load(a->y[0] + at), v_load(a->y[1] + at)), sum);
        return v_fma(a->coupling[0], v_add(west, east), sum);
    }
    for (int side = 0; side < 2; side++) {
        if (axes > 1)
            sum = v_fma(v_set1(a->cz[side][i]), v_load(a->z[side] + at), sum);
        if (axes > 2)
            sum = v_fma(v_set1(a->cy[side][i]), v_load(a->y[side] + at), sum);
    }
    return v_fma(v_set1(a->cx[i + 1]), east, v_fma(v_set1(a->cx[i]), west, sum));
}

/* The first cell of a colour in row (k, j). */
INLINE ptrdiff_t first_of(int colour, ptrdiff_t k, ptrdiff_t j) { return (k + j + colour) & 1; }

/* x = r / d at red cells. */
static void red_plane(const struct many_level *level, ptrdiff_t k)
{
    const struct sv_level *g = level->g;
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        const real *inverse = row_of(g, g->inverse, k, j), *r = level->right + many_row(g, k, j);
        real *x = level->x + many_row(g, k, j);
        for (ptrdiff_t i = first_of(RED, k, j); i < g->n[0]; i += 2)
            EACH_PART(l)
        v_store(x + MANY * i + l, v_mul(v_set1(inverse[i]), v_load(r + MANY * i + l)));
        many_close(g, x);
    }
}

/* x = (r + sum c x) / d at the cells of a colour. */
INLINE void sweep_plane(const struct many_level *level, ptrdiff_t k, int colour, int axes, int constant)
{
    const struct sv_level *g = level->g;
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        struct around a = many_around(g, level->zeros, level->x, k, j, axes, constant);
        const real *inverse = row_of(g, g->inverse, k, j), *r = level->right + many_row(g, k, j);
        real *x = level->x + many_row(g, k, j);
        for (ptrdiff_t i = first_of(colour, k, j); i < g->n[0]; i += 2)
            EACH_PART(l)
        {
            vreal sum = add_cells(&a, i, l, v_load(r + MANY * i + l), axes, constant);
            v_store(x + MANY * i + l, v_mul(v_set1(inverse[i]), sum));
        }
        many_close(g, x);
    }
}

/* ---- between levels ---- */

/* The coarse rows that a fine row shares in: its own block's, and the neighbours' along y and z. */
struct shared_rows {
    ptrdiff_t at[4];
    int far_z[4], far_y[4], count;
    const real *share[3], *scale;
    int halved;
};

INLINE ptrdiff_t block_of(ptrdiff_t k, int far, int halved)
{
    return !halved ? k : (k >> 1) + (far ? (k & 1 ? 1 : -1) : 0);
}

INLINE struct shared_rows shared_rows(const struct sv_level *g, const struct sv_level *c, ptrdiff_t k, ptrdiff_t j,
                                      int axes)
{
    struct shared_rows rows = {.scale = row_of(g, g->scale, k, j), .halved = g->halved[0]};
    for (int axis = 0; axis < 3; axis++)
        rows.share[axis] = row_of(g, g->share[axis], k, j);
    for (int far_z = 0; far_z < (axes > 1 && g->halved[2] ? 2 : 1); far_z++)
        for (int far_y = 0; far_y < (axes > 2 && g->halved[1] ? 2 : 1); far_y++) {
            ptrdiff_t K = on_axis(block_of(k, far_z, g->halved[2]), c->n[2], c->periodic[2]);
            ptrdiff_t J = on_axis(block_of(j, far_y, g->halved[1]), c->n[1], c->periodic[1]);
            if (K < 0 || J < 0) /* its share is 0 */
                continue;
            rows.at[rows.count] = many_row(c, K, J);
            rows.far_z[rows.count] = far_z, rows.far_y[rows.count++] = far_y;
        }
    return rows;
}

/* What the coarse cells of these rows weigh for fine cell i, without the share along x. */
INLINE void weights_at(const struct shared_rows *rows, ptrdiff_t i, real weight[4])
{
    real z = rows->share[2][i], y = rows->share[1][i];
    for (int n = 0; n < rows->count; n++)
        weight[n] = (rows->far_z[n] ? z : 1 - z) * (rows->far_y[n] ? y : 1 - y);
}

/* Places of fine cell i's own coarse cell, and of the one beside it along x, which at an end lies beside the row. */
INLINE ptrdiff_t near_of(ptrdiff_t i, int halved) { return MANY * block_of(i, 0, halved); }
INLINE ptrdiff_t far_of(ptrdiff_t i, int halved) { return MANY * block_of(i, 1, halved); }

/* The residual of plane k at red cells, times scale, into the coarse right-hand side. */
INLINE void restrict_plane(const struct many_level *fine, const struct many_level *coarse, ptrdiff_t k, int axes,
                           int constant)
{
    const struct sv_level *g = fine->g;
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        struct around a = many_around(g, fine->zeros, fine->x, k, j, axes, constant);
        struct shared_rows rows = shared_rows(g, coarse->g, k, j, axes);
        for (ptrdiff_t i = first_of(RED, k, j); i < g->n[0]; i += 2) {
            real weight[4] = {0}, x = rows.share[0][i];
            ptrdiff_t near = near_of(i, rows.halved), far = far_of(i, rows.halved);
            weights_at(&rows, i, weight);
            EACH_PART(l)
            {
                vreal t = v_mul(v_set1(rows.scale[i]), add_cells(&a, i, l, v_set1(0), axes, constant));
                vreal there = v_mul(v_set1(x), t), here = v_sub(t, there);
                for (int n = 0; n < rows.count; n++) {
                    real *to = coarse->right + rows.at[n] + l;
                    vreal w = v_set1(weight[n]);
                    v_store(to + near, v_fma(w, here, v_load(to + near)));
                    if (rows.halved)
                        v_store(to + far, v_fma(w, there, v_load(to + far)));
                }
            }
        }
    }
}

/* What was added beside the rows of a coarse right-hand side belongs, where x is periodic, to their other ends. */
static void fold(const struct many_level *level)
{
    const struct sv_level *g = level->g;
    for (ptrdiff_t row = 0; row < g->n[1] * g->n[2]; row++) {
        real *first = level->right + MANY * (row * (g->n[0] + 2) + 1), *end = first + MANY * g->n[0];
        for (int l = 0; l < MANY; l++) {
            if (g->periodic[0])
                first[l] += end[l], end[l - MANY] += first[l - MANY];
            end[l] = first[l - MANY] = 0;
        }
    }
}

/* x = r / d + P e at red cells. */
INLINE void correct_plane(const struct many_level *fine, const struct many_level *coarse, ptrdiff_t k, int axes)
{
    const struct sv_level *g = fine->g;
    for (ptrdiff_t j = 0; j < g->n[1]; j++) {
        const real *inverse = row_of(g, g->inverse, k, j), *r = fine->right + many_row(g, k, j);
        struct shared_rows rows = shared_rows(g, coarse->g, k, j, axes);
        real *out = fine->x + many_row(g, k, j);
        for (ptrdiff_t i = first_of(RED, k, j); i < g->n[0]; i += 2) {
            real weight[4] = {0}, x = rows.share[0][i];
            ptrdiff_t near = near_of(i, rows.halved), far = far_of(i, rows.halved);
            weights_at(&rows, i, weight);
            EACH_PART(l)
            {
                vreal here = v_set1(0), there = v_set1(0);
                for (int n = 0; n < rows.count; n++) {
                    const real *from = coarse->x + rows.at[n] + l;
                    vreal w = v_set1(weight[n]);
                    here = v_fma(w, v_load(from + near), here);
                    there = v_fma(w, v_load(from + far), there);
                }
                vreal e = v_fma(v_set1(x), v_sub(there, here), here);
                vreal own = v_mul(v_set1(inverse[i]), v_load(r + MANY * i + l));
                v_store(out + MANY * i + l, v_fma(v_set1(rows.scale[i]), e, own));
            }
        }
        many_close(g, out);
    }
}

/* ---- the passes ---- */

enum stage { DOWN_RED, DOWN_BLACK, DOWN_COARSE, UP_RED, UP_BLACK, UP_FINAL };

INLINE void stage_plane(const struct many_level *fine, const struct many_level *coarse, enum stage stage, ptrdiff_t k,
                        int axes, int constant)
{
    if (k < 0 || k >= fine->g->n[2])
        return;
    switch (stage) {
    case DOWN_RED: red_plane(fine, k); break;
    case UP_RED: correct_plane(fine, coarse, k, axes); break;
    case DOWN_BLACK:
    case UP_BLACK: sweep_plane(fine, k, BLACK, axes, constant); break;
    case DOWN_COARSE: restrict_plane(fine, coarse, k, axes, constant); break;
    case UP_FINAL: sweep_plane(fine, k, RED, axes, constant); break;
    }
}

INLINE void passes(const struct many_level *fine, const struct many_level *coarse, enum stage first, int axes,
                   int constant)
{
    ptrdiff_t planes = fine->g->n[2];
    if (fine->g->periodic[2]) {
        for (int lag = 0; lag < 3; lag++)
            for (ptrdiff_t k = 0; k < planes; k++)
                stage_plane(fine, coarse, first + lag, k, axes, constant);
        return;
    }
    for (ptrdiff_t front = 0; front < planes + 2; front++) {
        stage_plane(fine, coarse, first, front, axes, constant);
        stage_plane(fine, coarse, first + 1, front - 1, axes, constant);
        stage_plane(fine, coarse, first + 2, front - 2, axes, constant);
    }
}

#define MAKE(axes, constant)                                                                                        \
    static void down_##axes##_##constant(const struct many_level *fine, const struct many_level *coarse)            \
    {                                                                                                               \
        passes(fine, coarse, DOWN_RED, axes, constant);                                                             \
    }                                                                                                               \
    static void up_##axes##_##constant(const struct many_level *fine, const struct many_level *coarse)              \
    {                                                                                                               \
        passes(fine, coarse, UP_RED, axes, constant);                                                               \
    }
LEVEL_EACH(MAKE)

static void restricted(const struct many_level *fine, const struct many_level *coarse)
{
    memset(coarse->right, 0, many_size(coarse->g) * sizeof(real));
    LEVEL_PICK(down, fine->g)(fine, coarse);
    fold(coarse);
}

static void prolonged(const struct many_level *fine, const struct many_level *coarse)
{
    LEVEL_PICK(up, fine->g)(fine, coarse);
}

const struct many_cycle_kernels SV_TABLE(many_cycle) = {restricted, prolonged};
