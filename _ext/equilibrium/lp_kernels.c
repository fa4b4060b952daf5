/* Steps of the primal-dual hybrid gradient method for linear programs: see lp.h.
 *
 * A step of z = (x, y), k steps after the anchor z0, with a = (k + 1) / (k + 2), in NumPy:
 *     p = np.clip(x - tau * (c - K.T @ y), lb, ub)
 *     d = K @ (2 * p - x)
 *     q = y - sigma * (d - np.clip(d - y / sigma, l, u))
 *     x, y = a * (2 * p - x) + (1 - a) * x0, a * (2 * q - y) + (1 - a) * y0
 * The new y_i is known once row i has been read, so that K'y of the next step is summed while the row is in the first
 * cache: a step reads K once, 12 bytes an entry, instead of twice, and of vectors 9 numbers a column and 5 a row. Of an
 * entry there are 4 flops, six loads (value and index twice, for the product and for the scatter) and one store. Beyond the
 * caches the memory bounds it, at 12 bytes an entry. Within, measured on a Sapphire Rapids VM: one long row's product takes
 * 1.5 cycles an entry and its scatter 2.0, bare loops without rows or vectors, and this sweep, vectors included, 4.2 with
 * eight entries a row, 1.2 times those 3.5. At the 0.35 to 0.43 ns of a cycle there that is 1.4 to 1.8 ns with eight, 1.2
 * with thirty and 1.0 with a hundred at the best; 1.0 with eight would be less than the bare loops take. A gather takes
 * the bare product to 0.95 cycles, but gains nothing in the sweep. Tried on four programs and no faster beyond the noise:
 * two products by K and a copy of K'; gathers, scatters, or both of AVX-512; four entries of a scatter at once; the
 * products of eight rows before their scatters (a fifth faster at a hundred entries a row, slower at eight); rows with
 * y_i = 0 left out. Sums are those of any order: |error| <= (entries of the row + 2) eps |K_i| |x|.
 */
#include "lp.h"

#include "simd.h"

/* Four sums whose order depends on the length of the row alone. */
INLINE double dot(const int32_t *index, const double *value, const double *x, size_t count)
{
    double a = 0, b = 0, c = 0, d = 0;
    size_t k = 0;
    for (; k + 4 <= count; k += 4) {
        a = r_fma(value[k], x[index[k]], a);
        b = r_fma(value[k + 1], x[index[k + 1]], b);
        c = r_fma(value[k + 2], x[index[k + 2]], c);
        d = r_fma(value[k + 3], x[index[k + 3]], d);
    }
    for (; k < count; k++)
        a = r_fma(value[k], x[index[k]], a);
    return (a + c) + (b + d);
}

INLINE void scatter(const int32_t *index, const double *value, double by, double *out, size_t count)
{
    for (size_t k = 0; k < count; k++)
        out[index[k]] = r_fma(value[k], by, out[index[k]]);
}

/* x becomes that of the next step, xbar = 2 p - x, K'y zero; with `tx` also p and x - p. */
INLINE void columns(const struct sv_lp *lp, const struct sv_lp_state *s, double tau, double a, double *tx, double *dx)
{
    const vreal step = v_set1(tau), ahead = v_set1(a), back = v_set1(1 - a), zero = v_set1(0);
    for (size_t j = 0; j < lp->n; j += SV_W) {
        size_t left = lp->n - j;
        vreal x = v_load_some(s->x + j, left, 0), g = v_load_some(lp->c + j, left, 0);
        g = v_sub(g, v_load_some(s->kty + j, left, 0));
        vreal p = v_sub(x, v_mul(step, g));
        p = v_max(v_load_some(lp->lb + j, left, 0), v_min(v_load_some(lp->ub + j, left, 0), p));
        vreal bar = v_sub(v_add(p, p), x);
        if (tx) {
            v_store_some(tx + j, p, left);
            v_store_some(dx + j, v_sub(x, p), left);
        }
        v_store_some(s->xbar + j, bar, left);
        v_store_some(s->x + j, v_fma(ahead, bar, v_mul(back, v_load_some(s->anchor_x + j, left, 0))), left);
        v_store_some(s->kty + j, zero, left);
    }
}

INLINE void rows(const struct sv_lp *lp, const struct sv_lp_state *s, double sigma, double a, double *ty, double *dy)
{
    const double inverse = 1 / sigma, back = 1 - a;
    for (size_t i = 0; i < lp->m; i++) {
        size_t from = (size_t)lp->starts[i], count = (size_t)lp->starts[i + 1] - from;
        double y = s->y[i], d = dot(lp->index + from, lp->value + from, s->xbar, count), side = r_fma(-inverse, y, d);
        side = side > lp->u[i] ? lp->u[i] : side;
        side = side < lp->l[i] ? lp->l[i] : side;
        double q = r_fma(-sigma, d - side, y);
        if (ty) {
            ty[i] = q;
            dy[i] = y - q;
        }
        s->y[i] = y = r_fma(a, 2 * q - y, back * s->anchor_y[i]);
        scatter(lp->index + from, lp->value + from, y, s->kty, count);
    }
}

static void steps(const struct sv_lp *lp, const struct sv_lp_state *s, double tau, double sigma, int64_t after,
                  int64_t count, double *tx, double *ty, double *dx, double *dy)
{
    for (int64_t k = after; k < after + count - 1; k++) {
        double a = (double)(k + 1) / (double)(k + 2);
        columns(lp, s, tau, a, NULL, NULL);
        rows(lp, s, sigma, a, NULL, NULL);
    }
    double a = (double)(after + count) / (double)(after + count + 1);
    columns(lp, s, tau, a, tx, dx);
    rows(lp, s, sigma, a, ty, dy);
}

static void product(const struct sv_lp *lp, const double *x, double *out)
{
    for (size_t i = 0; i < lp->m; i++) {
        size_t from = (size_t)lp->starts[i];
        out[i] = dot(lp->index + from, lp->value + from, x, (size_t)lp->starts[i + 1] - from);
    }
}

static void transposed(const struct sv_lp *lp, const double *y, double *out)
{
    memset(out, 0, lp->n * sizeof *out);
    for (size_t i = 0; i < lp->m; i++) {
        size_t from = (size_t)lp->starts[i];
        scatter(lp->index + from, lp->value + from, y[i], out, (size_t)lp->starts[i + 1] - from);
    }
}

const struct lp_kernels SV_TABLE(lp_kernels) = {steps, product, transposed};
