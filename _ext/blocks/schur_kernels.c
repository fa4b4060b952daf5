/* The passes of an iteration of schur.h, in float or double (b bytes).
 *
 * An iteration over F: 2 passes, 2 (4 + b) bytes of parents and factors, b of pivots, 2 (4 + b) for each entry between
 * F and R, 5 b of vectors; over R: 5 passes, 2 (4 + b) + b and 17 b of vectors. On a lattice in two forests of float
 * that is 90 bytes and 18 flops an unknown, beside 100 bytes and more for a product with all of A in double. The trees'
 * passes are loops over scalars, 3 cycles a node where no branch is mispredicted: bandwidth and they weigh about alike.
 *
 * Accuracy: that of the elimination without fill-in, in the kernels' precision; the caller's residual is double. In NumPy:
 *
 *     z = solve(M, r); rho, before = r @ z, rho; beta = rho / before
 *     v = z + beta * v; w = r + beta * w
 *     q = w + E @ v - A_RF @ solve(A_FF, A_FR @ v)          # E: what M lacks of A_RR
 *     a = rho / (v @ q); x += a * v; r -= a * q
 */
#include "schur.h"

#include "simd.h"

/* Roots have a place after the last one for their parent: it stays 0 in y, and takes products with 0. */

/* y_i += sign times row i of `values`, times v; y becomes L^-1 y. */
INLINE void descend(int32_t n, const int32_t *parent, const real *factor, real *y)
{
    for (int32_t i = 0; i < n; i++)
        y[parent[i]] -= factor[i] * y[i];
}

/* u = L^-T D^-1 y, and y = 0. */
INLINE void ascend(int32_t n, const int32_t *parent, const real *factor, const real *inverse, real *y, real *u)
{
    u[n] = 0;
    for (int32_t i = n; i-- > 0;) {
        u[i] = y[i] * inverse[i] - factor[i] * u[parent[i]];
        y[i] = 0;
    }
    y[n] = 0;
}

/* u = -A_FF^-1 A_FR v, and q += A_RF u. */
static void through_first(const struct sv_schur *s, const real *v, real *y, real *u, real *q)
{
    const int32_t *starts = s->cross_starts, *columns = s->cross_columns, *parent = s->parent, n = s->first;
    const real *values = s->cross_values, *factor = s->factor, *inverse = s->inverse;
    for (int32_t i = 0; i < n; i++) {
        real sum = y[i];
        for (int32_t k = starts[i]; k < starts[i + 1]; k++)
            sum -= values[k] * v[columns[k]];
        y[i] = sum;
        y[parent[i]] -= factor[i] * sum;
    }
    u[n] = 0;
    for (int32_t i = n; i-- > 0;) {
        real at = y[i] * inverse[i] - factor[i] * u[parent[i]];
        u[i] = at;
        y[i] = 0;
        for (int32_t k = starts[i]; k < starts[i + 1]; k++)
            q[columns[k]] += values[k] * at;
    }
    y[n] = 0;
}

/* z = M^-1 r; y is work, 0 before and after. */
static void precondition(const struct sv_schur *s, const real *r, real *y, real *z)
{
    const int32_t *parent = s->parent + s->first, n = s->n - s->first;
    const real *factor = (const real *)s->factor + s->first, *inverse = (const real *)s->inverse + s->first;
    for (int32_t i = 0; i < n; i++) {
        real sum = y[i] + r[i];
        y[i] = sum;
        y[parent[i]] -= factor[i] * sum;
    }
    ascend(n, parent, factor, inverse, y, z);
}

/* Lane sums of so many entries in `real`, the rest in double. */
enum { RUN = 2048 };

INLINE double dot(const real *x, const real *y, size_t n)
{
    double total = 0;
    for (size_t from = 0; from < n; from += RUN) {
        size_t to = n - from < RUN ? n : from + RUN;
        vreal even = v_set1(0), odd = v_set1(0);
        size_t k = from;
        for (; k + 2 * SV_W <= to; k += 2 * SV_W) {
            even = v_fma(v_load(x + k), v_load(y + k), even);
            odd = v_fma(v_load(x + k + SV_W), v_load(y + k + SV_W), odd);
        }
        for (; k < to; k += SV_W)
            even = v_fma(v_load_some(x + k, to - k, 0), v_load_some(y + k, to - k, 0), even);
        total += (double)v_sum_lanes(v_add(even, odd));
    }
    return total;
}

/* v = z + beta v, w = r + beta w, q = w. */
static void turn(size_t n, double by, const real *z, const real *r, real *v, real *w, real *q)
{
    vreal beta = v_set1((real)by);
    for (size_t k = 0; k < n; k += SV_W) {
        size_t left = n - k;
        vreal next = v_fma(beta, v_load_some(w + k, left, 0), v_load_some(r + k, left, 0));
        v_store_some(v + k, v_fma(beta, v_load_some(v + k, left, 0), v_load_some(z + k, left, 0)), left);
        v_store_some(w + k, next, left);
        v_store_some(q + k, next, left);
    }
}

/* x += a v, r -= a q; returns the largest entry of r. */
static double advance(size_t n, double by, const real *v, const real *q, real *x, real *r)
{
    vreal a = v_set1((real)by), largest = v_set1(0);
    for (size_t k = 0; k < n; k += SV_W) {
        size_t left = n - k;
        vreal after = v_fnma(a, v_load_some(q + k, left, 0), v_load_some(r + k, left, 0));
        v_store_some(x + k, v_fma(a, v_load_some(v + k, left, 0), v_load_some(x + k, left, 0)), left);
        v_store_some(r + k, after, left);
        largest = v_max(v_max(largest, after), v_sub(v_set1(0), after));
    }
    return (double)v_max_lanes(largest);
}

/* q += E v */
static void beyond_forest(const struct sv_schur *s, const real *v, real *q)
{
    const int32_t *starts = s->rest_starts, *columns = s->rest_columns, n = s->n - s->first;
    const real *values = s->rest_values;
    for (int32_t i = 0; i < n; i++) {
        real sum = q[i];
        for (int32_t k = starts[i]; k < starts[i + 1]; k++)
            sum += values[k] * v[columns[k]];
        q[i] = sum;
    }
}

/* The parts of what is carried, and of the work. */
struct vectors {
    real *v, *w, *x, *r, *eliminated; /* of R; the last of F */
    real *y, *z, *q;                  /* work of R */
    real *first, *u;                  /* work of F */
};

static struct vectors cut(const struct sv_schur *s, const struct sv_schur_run *run)
{
    size_t rest = (size_t)(s->n - s->first), first = (size_t)s->first;
    real *carried = run->vectors, *work = run->work;
    return (struct vectors){
        .v = carried, .w = carried + rest, .x = carried + 2 * rest, .r = carried + 3 * rest,
        .eliminated = carried + 4 * rest, .y = work, .z = work + rest + 1, .q = work + 2 * rest + 2,
        .first = work + 3 * rest + 2, .u = work + 3 * rest + first + 3,
    };
}

/* eliminated = A_FF^-1 r_F, r_R -= A_RF eliminated: the residual of S. */
static void begin(const struct sv_schur *s, struct sv_schur_run *run, const double *residual)
{
    struct vectors at = cut(s, run);
    int32_t first = s->first, rest = s->n - first;
    for (int32_t i = 0; i < first; i++)
        at.first[i] = (real)(run->unit * residual[s->nodes[i]]);
    for (int32_t i = 0; i < rest; i++)
        at.r[i] = (real)(run->unit * residual[s->nodes[first + i]]);
    at.first[first] = 0;
    descend(first, s->parent, s->factor, at.first);
    ascend(first, s->parent, s->factor, s->inverse, at.first, at.u);
    memcpy(at.eliminated, at.u, (size_t)first * sizeof(real));
    memset(at.x, 0, (size_t)rest * sizeof(real));
    const real *values = s->cross_values;
    for (int32_t i = 0; i < first; i++)
        for (int32_t k = s->cross_starts[i]; k < s->cross_starts[i + 1]; k++)
            at.r[s->cross_columns[k]] -= values[k] * at.u[i];
}

/* x moves by the step in R, and in F by what follows from it. */
static void move(const struct sv_schur *s, struct sv_schur_run *run, double *x)
{
    struct vectors at = cut(s, run);
    int32_t first = s->first, rest = s->n - first;
    double back = s->scale / run->unit;
    memset(at.first, 0, ((size_t)first + 1) * sizeof(real));
    through_first(s, at.x, at.first, at.u, at.q);
    for (int32_t i = 0; i < first; i++)
        x[s->nodes[i]] += back * ((double)at.eliminated[i] + (double)at.u[i]);
    for (int32_t i = 0; i < rest; i++)
        x[s->nodes[first + i]] += back * (double)at.x[i];
}

static int iterate(const struct sv_schur *s, struct sv_schur_run *run, int most)
{
    struct vectors at = cut(s, run);
    size_t rest = (size_t)(s->n - s->first), first = (size_t)s->first;
    double goal = run->goal * run->unit, left = advance(rest, 0, at.r, at.r, at.x, at.r);
    int done = 0;
    run->outcome = 0;
    memset(at.y, 0, (rest + 1) * sizeof(real));
    memset(at.first, 0, (first + 1) * sizeof(real));
    while (done < most && left > goal) {
        precondition(s, at.r, at.y, at.z);
        double rho = dot(at.r, at.z, rest);
        turn(rest, run->rho > 0 ? rho / run->rho : 0, at.z, at.r, at.v, at.w, at.q);
        run->rho = rho;
        if (s->rest_starts[rest])
            beyond_forest(s, at.v, at.q);
        through_first(s, at.v, at.first, at.u, at.q);
        double curvature = dot(at.v, at.q, rest);
        if (!(curvature > 0 && isfinite(rho))) {
            run->outcome = isfinite(curvature) && isfinite(rho) ? 1 : 2;
            break;
        }
        left = advance(rest, rho / curvature, at.v, at.q, at.x, at.r);
        done++;
    }
    run->left = left / run->unit;
    return done;
}

static void store(const struct sv_schur *out, const double *pivot, const double *link, int32_t i)
{
    ((real *)out->factor)[i] = (real)(link[i] / pivot[i]);
    ((real *)out->inverse)[i] = (real)(1 / pivot[i]);
}

static void entry(void *values, int64_t at, double value) { ((real *)values)[at] = (real)value; }

const struct schur_kernels SV_TABLE(schur_kernels) = {store, entry, begin, iterate, move};
