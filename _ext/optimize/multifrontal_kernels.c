/* One dense front of a sparse L D L': see multifrontal.h.
 *
 * Panels of SV_PANEL columns are eliminated one pivot at a time, each changing the rest of its panel; then all columns
 * behind are changed at once, 4 columns times 4 vectors in registers. A pivot of one column is taken where it is at least
 * `threshold` times the largest entry next to it, one of two columns where its inverse is small enough for the same bound
 * on L (Duff and Reid, 1996). Columns without a pivot wait behind the others. About columns * height^2 multiply-adds; the
 * second part is bound by them, the first by the second cache, which holds the panel. In NumPy, the second part:
 *     F[e:, e:] -= L[e:, k:e] @ D[k:e, k:e] @ L[e:, k:e].T
 */
#include "multifrontal.h"

#include "simd.h"

/* C -= L W over `count` pivots, for NV vectors of rows (of the last of which `left` rows count) and NC columns. */
INLINE void change_block(double *C, const double *L, const double *W, int64_t height, int64_t count, int NV, int NC,
                         size_t left)
{
    vreal sum[4][4];
    for (int c = 0; c < NC; c++)
        for (int v = 0; v < NV; v++)
            sum[c][v] = v_load_some(C + c * height + v * SV_W, left - (size_t)v * SV_W, 0);
    for (int64_t p = 0; p < count; p++) {
        vreal l[4];
        for (int v = 0; v < NV; v++)
            l[v] = v_load_some(L + p * height + v * SV_W, left - (size_t)v * SV_W, 0);
        for (int c = 0; c < NC; c++) {
            vreal w = v_set1(W[p * height + c]);
            for (int v = 0; v < NV; v++)
                sum[c][v] = v_fnma(l[v], w, sum[c][v]);
        }
    }
    for (int c = 0; c < NC; c++)
        for (int v = 0; v < NV; v++)
            v_store_some(C + c * height + v * SV_W, sum[c][v], left - (size_t)v * SV_W);
}

/* The columns from `end` on after the pivots begin..begin + count, whose rows of D L' are in the panel. What is changed of
 * the upper triangle is never read. */
static void change_rest(const struct front_task *t, int64_t begin, int64_t count, int64_t end)
{
    const int64_t height = t->height;
    const double *L = t->F + begin * height;
    for (int64_t i = end; i < height;) {
        const int whole = height - i >= 4 * SV_W;
        const int64_t step = whole ? 4 * SV_W : SV_W, stop = i + step < height ? i + step : height;
        const size_t left = (size_t)(height - i);
        int64_t j = end;
        for (; j + 4 <= stop; j += 4) {
            double *C = t->F + j * height + i;
            if (whole)
                change_block(C, L + i, t->panel + j, height, count, 4, 4, 4 * SV_W);
            else
                change_block(C, L + i, t->panel + j, height, count, 1, 4, left);
        }
        for (; j < stop; j++) {
            double *C = t->F + j * height + i;
            if (whole)
                change_block(C, L + i, t->panel + j, height, count, 4, 1, 4 * SV_W);
            else
                change_block(C, L + i, t->panel + j, height, count, 1, 1, left);
        }
        i += step;
    }
}

static void swap_numbers(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* Rows and columns a < b change places, in L and in the pivots' rows `done` of the panel too. */
static void swap(struct front_task *t, int64_t a, int64_t b, int64_t done)
{
    const int64_t height = t->height;
    double *F = t->F;
    if (a == b)
        return;
    for (int64_t p = 0; p < a; p++)
        swap_numbers(F + p * height + a, F + p * height + b);
    for (int64_t p = 0; p < done; p++)
        swap_numbers(t->panel + p * height + a, t->panel + p * height + b);
    swap_numbers(F + a * height + a, F + b * height + b);
    for (int64_t i = a + 1; i < b; i++)
        swap_numbers(F + a * height + i, F + i * height + b);
    for (int64_t i = b + 1; i < height; i++)
        swap_numbers(F + a * height + i, F + b * height + i);
    int32_t row = t->rows[a];
    t->rows[a] = t->rows[b];
    t->rows[b] = row;
}

/* The largest entry of column c from row k on, without rows c and `skip`; *where: its row, if before `end`: the largest of
 * those. */
static double largest(const struct front_task *t, int64_t k, int64_t c, int64_t skip, int64_t end, int64_t *where)
{
    const double *column = t->F + c * t->height;
    double most = 0;
    *where = -1;
    for (int64_t i = k; i < c; i++) {
        double size = fabs(t->F[i * t->height + c]);
        if (size > most && i != skip)
            most = size, *where = i;
    }
    for (int64_t i = c + 1; i < end; i++)
        if (fabs(column[i]) > most && i != skip)
            most = fabs(column[i]), *where = i;
    vreal more = v_set1(0);
    int64_t i = end > c ? end : c + 1;
    for (; i + SV_W <= t->height; i += SV_W)
        more = v_max(v_abs(v_load(column + i)), more);
    double rest = v_max_lanes(more);
    for (; i < t->height; i++)
        rest = fabs(column[i]) > rest ? fabs(column[i]) : rest;
    return rest > most ? rest : most;
}

/* How many columns the next pivot takes of those in k..end, after it was brought to k: 1 or 2; 0 where there is none;
 * -1 for a column of zeros. */
static int find_pivot(struct front_task *t, int64_t k, int64_t end, int64_t done)
{
    const int64_t height = t->height;
    for (int64_t c = k; c < end; c++) {
        int64_t r, ignored;
        double own = t->F[c * height + c], most = largest(t, k, c, -1, end, &r);
        if (!(fabs(own) > t->tiny || most > t->tiny)) {
            swap(t, k, c, done);
            return -1;
        }
        if (fabs(own) >= t->threshold * most && fabs(own) > t->tiny) {
            swap(t, k, c, done);
            return 1;
        }
        if (r < 0)
            continue;
        double off = t->F[(r > c ? c : r) * height + (r > c ? r : c)], other = t->F[r * height + r];
        double det = fabs(own * other - off * off), mine = largest(t, k, c, r, end, &ignored);
        double theirs = largest(t, k, r, c, end, &ignored);
        if (fabs(off) > t->tiny && t->threshold * (fabs(other) * mine + fabs(off) * theirs) <= det &&
            t->threshold * (fabs(off) * mine + fabs(own) * theirs) <= det) {
            swap(t, k, c < r ? c : r, done);
            swap(t, k + 1, c < r ? r : c, done);
            return 2;
        }
    }
    return 0;
}

/* column -= a x (+ b y), rows from `from` to height. */
INLINE void subtract(double *column, int64_t from, int64_t height, const double *x, double a, const double *y, double b)
{
    int64_t i = from;
    const vreal va = v_set1(a), vb = v_set1(b);
    for (; i + SV_W <= height; i += SV_W) {
        vreal v = v_fnma(v_load(x + i), va, v_load(column + i));
        v_store(column + i, y ? v_fnma(v_load(y + i), vb, v) : v);
    }
    for (; i < height; i++)
        column[i] -= a * x[i] + (y ? b * y[i] : 0);
}

static void one(struct front_task *t, int64_t k, int64_t end, double *W)
{
    const int64_t height = t->height;
    double *column = t->F + k * height, pivot = column[k], inverse = 1 / pivot;
    for (int64_t i = k + 1; i < height; i++) {
        W[i] = column[i];
        column[i] *= inverse;
    }
    for (int64_t j = k + 1; j < end; j++)
        subtract(t->F + j * height, j, height, column, W[j], 0, 0);
    t->negative += pivot < 0;
}

static void two(struct front_task *t, int64_t k, int64_t end, double *W)
{
    const int64_t height = t->height;
    double *x = t->F + k * height, *y = x + height, *V = W + height;
    const double a = x[k], b = x[k + 1], c = y[k + 1], scale = fabs(b);
    /* D^-1 by way of D / |b|, whose determinant neither over- nor underflows. */
    const double det = (a / scale) * (c / scale) - 1, over = 1 / (scale * det);
    const double p = c / scale * over, q = -(b / scale) * over, r = a / scale * over;
    for (int64_t i = k + 2; i < height; i++) {
        W[i] = x[i];
        V[i] = y[i];
        x[i] = p * W[i] + q * V[i];
        y[i] = q * W[i] + r * V[i];
    }
    for (int64_t j = k + 2; j < end; j++)
        subtract(t->F + j * height, j, height, x, W[j], y, V[j]);
    t->negative += det < 0 ? 1 : a < 0 ? 2 : 0;
    t->rows[k] = ~t->rows[k];
    t->rows[k + 1] = ~t->rows[k + 1];
}

/* Pivots among the columns begin..end; returns where they end. */
static int64_t eliminate_panel(struct front_task *t, int64_t begin, int64_t end)
{
    int64_t k = begin, taken;
    while (k < end && (taken = find_pivot(t, k, end, k - begin)) != 0) {
        double *W = t->panel + (k - begin) * t->height;
        if (taken == 1)
            one(t, k, end, W);
        else if (taken == 2)
            two(t, k, end, W);
        else
            for (int64_t i = k; i < t->height; i++)
                t->F[k * t->height + i] = W[i] = 0;
        t->zero += taken < 0;
        k += taken < 0 ? 1 : taken;
    }
    return k;
}

static int64_t eliminate(struct front_task *t)
{
    int64_t k = 0, tried = 0;
    while (k < t->columns) {
        int64_t waiting = t->columns - k, end = k + (waiting < SV_PANEL ? waiting : SV_PANEL);
        int64_t to = eliminate_panel(t, k, end);
        if (to > k)
            change_rest(t, k, to - k, end);
        tried = to > k ? 0 : tried + end - k;
        k = to;
        if (tried >= t->columns - k) {
            if (!t->last || k == t->columns || t->threshold == 0)
                break;
            t->threshold = t->threshold > 1e-16 ? 1e-4 * t->threshold : 0; /* here all must be eliminated */
            tried = 0;
        }
        for (int64_t failed = end - to, q = 0; q < failed && to + q < t->columns - 1 - q; q++)
            swap(t, to + q, t->columns - 1 - q, 0);
    }
    return k;
}

static void forward(const double *L, int64_t height, int64_t pivots, const int32_t *rows, double *x)
{
    for (int64_t k = 0; k < pivots; k++) {
        const double *column = L + k * height;
        if (rows[k] < 0) {
            subtract(x, k + 2, height, column, x[k], column + height, x[k + 1]);
            k++;
        } else
            subtract(x, k + 1, height, column, x[k], 0, 0);
    }
    for (int64_t k = 0; k < pivots; k++) {
        const double *column = L + k * height;
        if (rows[k] < 0) {
            const double b = column[k + 1], scale = fabs(b), a = column[k] / scale, c = column[height + k + 1] / scale;
            const double over = 1 / (scale * (a * c - 1)), u = x[k], v = x[k + 1];
            x[k] = (c * u - b / scale * v) * over;
            x[k + 1] = (a * v - b / scale * u) * over;
            k++;
        } else
            x[k] = column[k] == 0 ? 0 : x[k] / column[k];
    }
}

/* x[k] -= the column's dot with what is below. */
INLINE double dot(const double *column, const double *x, int64_t from, int64_t height)
{
    vreal sum = v_set1(0);
    int64_t i = from;
    for (; i + SV_W <= height; i += SV_W)
        sum = v_fma(v_load(column + i), v_load(x + i), sum);
    double rest = v_sum_lanes(sum);
    for (; i < height; i++)
        rest += column[i] * x[i];
    return rest;
}

static void backward(const double *L, int64_t height, int64_t pivots, const int32_t *rows, double *x)
{
    for (int64_t k = pivots - 1; k >= 0; k--) {
        const double *column = L + k * height;
        if (rows[k] < 0) {
            double second = dot(column, x, k + 1, height), first = dot(column - height, x, k + 1, height);
            x[k] -= second;
            x[k - 1] -= first;
            k--;
        } else
            x[k] -= dot(column, x, k + 1, height);
    }
}

const struct multifrontal_kernels SV_TABLE(multifrontal_kernels) = {eliminate, forward, backward};
