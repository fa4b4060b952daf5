/* L D L' of small symmetric matrices, unblocked: see ldl.h.
 *
 * Right-looking: a pivot row w, contiguous, changes the row i > k of what is left by -l_i w, from the diagonal on; rows start
 * at a vector's boundary, so that whole vectors are changed (what they touch below the diagonal is scratch). n^3 / 3 flops
 * over n^2 numbers: bound by the loads and the store of the first cache up to n of about 64, 3 a 2 W flops, by the second
 * cache's beyond. A solve reads the factor twice, 2 n^2 flops. Backward stable: |E| <= c n eps max |entries met|, which rook
 * pivoting bounds as complete pivoting does in practice. Pivots: Ashcraft, Grimes and Lewis, SIAM J. Matrix Anal. Appl. 20
 * (1998). In NumPy, without pivots:
 *     for k in range(n):
 *         l = K[k, k + 1:] / K[k, k]
 *         K[k + 1:, k + 1:] -= np.outer(l, K[k, k + 1:])
 *         K[k, k + 1:] = l
 */
#include "ldl.h"

#include "simd.h"

/* (1 + sqrt 17) / 8 bounds the growth of one 2x2 and of two 1x1 pivots alike. */
static const double ALPHA = 0.6403882032022076;

typedef struct {
    double *K;
    size_t n, stride;
} matrix;

INLINE double *row(matrix A, size_t i) { return A.K + i * A.stride; }

/* The largest |entry| of row[from..n). */
INLINE double largest_of(const double *values, size_t from, size_t n)
{
    if (n - from < 2 * SV_W) {
        double most = 0;
        for (size_t j = from; j < n; j++) {
            double size = fabs(values[j]);
            most = size > most ? size : most;
        }
        return most;
    }
    vreal most = v_set1(0);
    for (size_t j = from; j < n; j += SV_W)
        most = v_max(v_abs(v_load_some(values + j, n - j, 0)), most);
    return v_max_lanes(most);
}

/* The largest |entry| of row and column r of what is left from k on, but for the diagonal, and where it is. */
static double largest(matrix A, size_t k, size_t r, size_t *where)
{
    double most = 0;
    *where = r;
    for (size_t i = k; i < r; i++)
        if (fabs(row(A, i)[r]) > most) {
            most = fabs(row(A, i)[r]);
            *where = i;
        }
    double right = largest_of(row(A, r), r + 1, A.n);
    if (right > most) {
        most = right;
        *where = r + 1;
        while (fabs(row(A, r)[*where]) < most)
            (*where)++;
    }
    return most;
}

/* Interchanges p < q: rows and columns of what is left, and what the rows before have of L'. */
static void interchange(matrix A, size_t p, size_t q, int32_t *order)
{
    if (p == q)
        return;
    double *P = row(A, p), *Q = row(A, q), keep;
#define SWAP(a, b) (keep = (a), (a) = (b), (b) = keep)
    for (size_t i = 0; i < p; i++)
        SWAP(row(A, i)[p], row(A, i)[q]);
    SWAP(P[p], Q[q]);
    for (size_t i = p + 1; i < q; i++)
        SWAP(P[i], row(A, i)[q]);
    for (size_t j = q + 1; j < A.n; j++)
        SWAP(P[j], Q[j]);
#undef SWAP
    int32_t at = order[p];
    order[p] = order[q];
    order[q] = at;
}

/* Brings the next pivot to k, or to k and k + 1; returns its order, 0 where row k is nothing but rounding. */
static int next_pivot(matrix A, size_t k, double tiny, int32_t *order)
{
    double diagonal = fabs(row(A, k)[k]), most = largest_of(row(A, k), k + 1, A.n);
    if (!(diagonal > tiny || most > tiny))
        return 0;
    if (diagonal >= ALPHA * most)
        return 1;
    size_t p = k, r, next;
    most = largest(A, k, k, &r);
    for (;;) {
        double beyond = largest(A, k, r, &next);
        if (fabs(row(A, r)[r]) >= ALPHA * beyond) {
            interchange(A, k, r, order);
            return 1;
        }
        if (next == p || beyond <= most) {
            size_t low = p < r ? p : r, high = p < r ? r : p;
            interchange(A, k, low, order);
            interchange(A, k + 1, high, order);
            return 2;
        }
        p = r;
        r = next;
        most = beyond;
    }
}

/* Row k of what is left by a pivot of one: row k of L', and the rows below without it. */
static void eliminate_one(matrix A, size_t k, double inverse, double *l)
{
    double *w = row(A, k);
    for (size_t i = k + 1; i < A.n; i++)
        l[i] = w[i] * inverse;
    for (size_t i = k + 1; i < A.n; i++) {
        double *to = row(A, i);
        vreal by = v_set1(l[i]);
        if (l[i] == 0)
            continue;
        for (size_t j = i / SV_W * SV_W; j < A.n; j += SV_W)
            v_store(to + j, v_fnma(by, v_load(w + j), v_load(to + j)));
    }
    memcpy(w + k + 1, l + k + 1, (A.n - k - 1) * sizeof *l);
}

/* The same for the pivot of rows k and k + 1, [[a, b], [b, c]]^-1. */
static void eliminate_two(matrix A, size_t k, double a, double b, double c, double *l)
{
    double *w = row(A, k), *v = row(A, k + 1), *m = l + A.stride;
    for (size_t i = k + 2; i < A.n; i++) {
        l[i] = a * w[i] + b * v[i];
        m[i] = b * w[i] + c * v[i];
    }
    for (size_t i = k + 2; i < A.n; i++) {
        double *to = row(A, i);
        vreal by = v_set1(l[i]), and = v_set1(m[i]);
        if (l[i] == 0 && m[i] == 0)
            continue;
        for (size_t j = i / SV_W * SV_W; j < A.n; j += SV_W)
            v_store(to + j, v_fnma(and, v_load(v + j), v_fnma(by, v_load(w + j), v_load(to + j))));
    }
    memcpy(w + k + 2, l + k + 2, (A.n - k - 2) * sizeof *l);
    memcpy(v + k + 2, m + k + 2, (A.n - k - 2) * sizeof *l);
}

/* Where row k's whole vectors begin. */
INLINE size_t first_vector(size_t k) { return (k + 1) / SV_W * SV_W; }

/* What of those, and of those of the row before, is not L' becomes 0, so that solves take them whole. */
INLINE void clear_up_to(matrix A, size_t k, size_t last)
{
    for (size_t j = k / SV_W * SV_W; j <= last; j++)
        row(A, k)[j] = 0;
}

static void factor(sv_ldl *of, double tiny)
{
    matrix A = {of->K, (size_t)of->n, (size_t)of->stride};
    double *diagonal = of->inverse, *beside = of->inverse + A.n;
    of->negative = of->zero = 0;
    for (size_t k = 0; k < A.n; k++)
        of->order[k] = (int32_t)k;
    for (size_t k = 0; k < A.n;) {
        double *w = row(A, k);
        int size = next_pivot(A, k, tiny, of->order);
        beside[k] = 0;
        if (size == 0) {
            diagonal[k] = 0;
            memset(w + k + 1, 0, (A.n - k - 1) * sizeof *w);
            of->zero++;
        } else if (size == 1) {
            diagonal[k] = 1 / w[k];
            of->negative += w[k] < 0;
            eliminate_one(A, k, diagonal[k], of->work);
        } else {
            /* Its determinant is negative, by the choice of it; scaled by b, as a and c may be small. */
            double b = w[k + 1], a = w[k] / b, c = row(A, k + 1)[k + 1] / b, scale = 1 / (b * (a * c - 1));
            diagonal[k] = c * scale;
            diagonal[k + 1] = a * scale;
            beside[k] = -scale;
            beside[k + 1] = 0;
            of->negative++;
            eliminate_two(A, k, diagonal[k], beside[k], diagonal[k + 1], of->work);
            clear_up_to(A, k, k + 1);
            k++;
        }
        clear_up_to(A, k, k);
        k++;
    }
}

static void solve(const sv_ldl *of, double *b)
{
    matrix A = {of->K, (size_t)of->n, (size_t)of->stride};
    const double *diagonal = of->inverse, *beside = of->inverse + A.n;
    double *z = of->work;
    for (size_t k = 0; k < A.n; k++)
        z[k] = b[of->order[k]];
    memset(z + A.n, 0, (A.stride - A.n) * sizeof *z);
    /* Two rows at a time, since each waits for what the one before has done to z. */
    size_t even = A.n / 2 * 2;
    for (size_t k = 0; k < even; k += 2) {
        const double *l = row(A, k), *m = row(A, k + 1);
        vreal by = v_set1(z[k]), and = v_set1(z[k + 1] - l[k + 1] * z[k]);
        for (size_t j = first_vector(k); j < A.n; j += SV_W)
            v_store(z + j, v_fnma(and, v_load(m + j), v_fnma(by, v_load(l + j), v_load(z + j))));
    }
    for (size_t k = 0; k < A.n; k++) {
        double here = z[k];
        z[k] = diagonal[k] * here;
        if (beside[k] != 0) {
            z[k] += beside[k] * z[k + 1];
            z[k + 1] = diagonal[k + 1] * z[k + 1] + beside[k] * here;
            k++;
        }
    }
    for (size_t k = even; k > 0;) {
        k -= 2;
        const double *l = row(A, k), *m = row(A, k + 1);
        vreal sum = v_set1(0), below = v_set1(0);
        for (size_t j = first_vector(k); j < A.n; j += SV_W) {
            vreal here = v_load(z + j);
            sum = v_fma(v_load(l + j), here, sum);
            below = v_fma(v_load(m + j), here, below);
        }
        double change = v_sum_lanes(below);
        z[k + 1] -= change;
        z[k] -= v_sum_lanes(sum) - l[k + 1] * change;
    }
    for (size_t k = 0; k < A.n; k++)
        b[of->order[k]] = z[k];
}

const struct ldl_kernels SV_TABLE(ldl_kernels) = {factor, solve};
