/* The threshold of the projection on the simplex, exactly: see simplex.h.
 *
 * f(t) = sum max(v - t, 0) - mass is convex, falls, and is linear between the entries of v. Newton's method on it comes
 * from any t with f(t) < inf and a nonzero slope to the left of the root in one step, and from there it rises to the
 * root through finitely many pieces (Michelot 1986; Condat 2016, Math. Program. 158). A step costs one pass, 8 bytes and
 * 3 flops an entry. From a guess near the root two passes do; without one, entries that are below t can never count
 * again, so they are dropped, and the passes together cost O(n) for entries in random order.
 *
 * Each step adds to t a mean of what is above it, so that the last, small one gives t to an ulp or so; sums run in
 * blocks, with an error of some (BLOCK / 32 + n / BLOCK) eps. Points far from the simplex are first moved along (1, ..., 1),
 * which changes nothing but the size of what is rounded. In NumPy:
 *     while (f := np.maximum(v - t, 0).sum() - mass) > 0: t += f / np.count_nonzero(v >= t)
 */
#include "simplex.h"

#include "simd.h"

enum { BLOCK = 2048, PASSES_BEFORE_DROPPING = 2, FAR = 1024 };

/* sum max(v - t, 0), and how many entries are >= t. */
static double excess(const double *v, size_t n, double t, size_t *count)
{
    const vreal limit = v_set1(t), zero = v_set1(0);
    double total = 0;
    size_t above = 0;
    for (size_t from = 0; from < n; from += BLOCK) {
        size_t to = n - from < BLOCK ? n : from + BLOCK, k = from;
        vreal sum[4] = {zero, zero, zero, zero};
        for (; k + 4 * SV_W <= to; k += 4 * SV_W) {
            unsigned bits = 0;
            for (int c = 0; c < 4; c++) {
                vreal here = v_load(v + k + c * SV_W);
                sum[c] = v_add(sum[c], v_max(zero, v_sub(here, limit)));
                bits |= v_at_least(here, limit) << (c * SV_W);
            }
            above += (size_t)__builtin_popcount(bits);
        }
        for (; k < to; k += SV_W) {
            vreal here = v_load_some(v + k, to - k, -INFINITY);
            sum[0] = v_add(sum[0], v_max(zero, v_sub(here, limit)));
            above += (size_t)__builtin_popcount(v_at_least(here, limit));
        }
        total += v_sum_lanes(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
    }
    *count = above;
    return total;
}

/* A t to the left of the root: the larger of two that are. */
static double first_threshold(const double *v, size_t n, double mass)
{
    vreal sum = v_set1(0), most = v_set1(-INFINITY);
    for (size_t k = 0; k < n; k += SV_W) {
        sum = v_add(sum, v_load_some(v + k, n - k, 0));
        most = v_max(most, v_load_some(v + k, n - k, -INFINITY));
    }
    double by_mean = (v_sum_lanes(sum) - mass) / (double)n, by_largest = v_max_lanes(most) - mass;
    return by_mean > by_largest ? by_mean : by_largest;
}

/* The entries that are at least t, to the front of `kept`. */
static size_t drop(const double *v, size_t n, double t, double *kept)
{
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        double here = v[k];
        kept[count] = here;
        count += here >= t;
    }
    return count;
}

/* The threshold itself. */
static double threshold(const double *v, size_t n, double mass, double guess, double *work)
{
    const double *left = v;
    size_t size = n, count;
    double t = guess;
    if (isfinite(t)) { /* from either side of the root to its left */
        double above = excess(v, n, t, &count);
        t = count ? t + (above - mass) / (double)count : NAN;
    }
    if (!isfinite(t))
        t = first_threshold(v, n, mass);
    for (int pass = 1;; pass++) {
        double above = excess(left, size, t, &count), next = t + (above - mass) / (double)(count ? count : 1);
        if (!(next > t)) {
            t = count ? next : t;
            break;
        }
        t = next;
        if (pass >= PASSES_BEFORE_DROPPING && size > 8 * SV_W) {
            size = drop(left, size, t, work);
            left = work;
        }
    }
    return t;
}

static double largest(const double *v, size_t n)
{
    vreal most = v_set1(-INFINITY);
    for (size_t k = 0; k < n; k += SV_W)
        most = v_max(most, v_load_some(v + k, n - k, -INFINITY));
    return v_max_lanes(most);
}

/* out = max(v - t, floor) */
static void cut(const double *v, size_t n, double t, double floor, double *out)
{
    const vreal limit = v_set1(t), least = v_set1(floor);
    for (size_t k = 0; k < n; k += SV_W)
        v_store_some(out + k, v_max(least, v_sub(v_load_some(v + k, n - k, 0), limit)), n - k);
}

static double project(const double *v, size_t n, double mass, double guess, double *out, double *work)
{
    double t = threshold(v, n, mass, guess, work), moved = 0;
    if (fabs(t) > FAR * mass) { /* an ulp of it is no longer small beside the mass: so the largest entry becomes 0 */
        moved = largest(v, n);
        cut(v, n, moved, -INFINITY, out);
        v = out;
        t = threshold(v, n, mass, NAN, work);
    }
    cut(v, n, t, 0, out);
    return moved + t;
}

const struct simplex_kernels SV_TABLE(simplex_kernels) = {project};
