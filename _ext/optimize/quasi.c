/* Quasi-Newton approximations: see quasi.h. In NumPy, of BFGS:
 *     Bs = B @ s;  t = 1 if s @ q >= 0.2 * s @ Bs else 0.8 * (s @ Bs) / (s @ Bs - s @ q);  r = t * q + (1 - t) * Bs
 *     B += np.outer(r, r) / (s @ r) - np.outer(Bs, Bs) / (s @ Bs)
 */
#include "quasi.h"

#include <math.h>
#include <string.h>

#include "vectors.h"

typedef struct {
    double *begun, *pairs; /* whether there is a point before; steps that have taught B */
    double *x, *g, *J;     /* of the point before */
    double *B;             /* n * n; or the pairs of L-BFGS: steps, then changes, the newest in row (pairs - 1) % PAIRS */
    int64_t size;
} memory;

static memory parts(int kind, int64_t n, int64_t m, double *numbers)
{
    int64_t at[] = {0, 1, 2, 2 + n, 2 + 2 * n, 2 + 2 * n + m * n};
    int64_t size = at[5] + (kind == SV_QUASI_LBFGS ? 2 * SV_QUASI_PAIRS * n : n * n);
    if (!numbers)
        return (memory){.size = size};
    return (memory){numbers, numbers + at[1], numbers + at[2], numbers + at[3], numbers + at[4], numbers + at[5], size};
}

int64_t sv_quasi_size(int kind, int64_t n, int64_t m) { return kind == SV_QUASI_NONE ? 0 : parts(kind, n, m, NULL).size; }

int64_t sv_quasi_work(int64_t n) { return 3 * n; }

static void identity(int64_t n, double by, double *B)
{
    memset(B, 0, (size_t)(n * n) * sizeof *B);
    for (int64_t i = 0; i < n; i++)
        B[i * n + i] = by;
}

/* B += by v v'. */
static void add(int64_t n, double by, const double *v, double *B)
{
    for (int64_t i = 0; i < n; i++)
        vector_combine(n, B + i * n, by * v[i], v, B + i * n);
}

static void product(int64_t n, const double *B, const double *s, double *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = vector_dot(n, B + i * n, s);
}

/* q becomes Powell's r. Returns s'r, not positive where the step teaches nothing. */
static double damp(int64_t n, const double *s, const double *Bs, double *q)
{
    double curved = vector_dot(n, s, Bs), along = vector_dot(n, s, q);
    if (along < 0.2 * curved) {
        double t = 0.8 * curved / (curved - along);
        for (int64_t i = 0; i < n; i++)
            q[i] = t * q[i] + (1 - t) * Bs[i];
        along = vector_dot(n, s, q);
    }
    return isfinite(along) && isfinite(curved) && curved > 0 ? along : 0;
}

static void bfgs(int64_t n, const double *s, const double *r, double *Bs, double *B)
{
    product(n, B, s, Bs);
    add(n, -1 / vector_dot(n, s, Bs), Bs, B);
    add(n, 1 / vector_dot(n, s, r), r, B);
}

/* The multiple of I that a first step suggests; 1 where it suggests none. */
static double multiple(int64_t n, const double *s, const double *q)
{
    double by = vector_dot(n, q, q) / vector_dot(n, s, q);
    return by > 1e-8 && by < 1e8 ? by : 1;
}

static void learn_bfgs(int64_t n, const memory *at, const double *s, double *q, double *Bs)
{
    if (*at->pairs == 0)
        identity(n, multiple(n, s, q), at->B);
    product(n, at->B, s, Bs);
    if (damp(n, s, Bs, q) > 0) {
        bfgs(n, s, q, Bs, at->B);
        ++*at->pairs;
    }
}

static void learn_sr1(int64_t n, const memory *at, const double *s, double *q, double *v)
{
    if (*at->pairs == 0) /* twice as much: the multiple itself would make B singular along the way */
        identity(n, 2 * multiple(n, s, q), at->B);
    product(n, at->B, s, v);
    vector_combine(n, q, -1, v, v);
    double along = vector_dot(n, v, s), size = sqrt(vector_dot(n, v, v) * vector_dot(n, s, s));
    if (isfinite(size) && size > 0 && fabs(along) >= 1e-8 * size) {
        add(n, 1 / along, v, at->B);
        ++*at->pairs;
    }
}

/* H = B of the pairs. */
static void assemble(int64_t n, const memory *at, double *Bs, double *H)
{
    int64_t pairs = (int64_t)*at->pairs, first = pairs > SV_QUASI_PAIRS ? pairs - SV_QUASI_PAIRS : 0;
    const double *changes = at->B + SV_QUASI_PAIRS * n;
    int64_t last = (pairs - 1) % SV_QUASI_PAIRS * n;
    identity(n, pairs > 0 ? multiple(n, at->B + last, changes + last) : 1, H);
    for (int64_t k = first; k < pairs; k++)
        bfgs(n, at->B + k % SV_QUASI_PAIRS * n, changes + k % SV_QUASI_PAIRS * n, Bs, H);
}

static void learn_lbfgs(int64_t n, const memory *at, const double *s, double *q, double *Bs, double *H)
{
    if (*at->pairs == 0)
        identity(n, multiple(n, s, q), H);
    else
        assemble(n, at, Bs, H);
    product(n, H, s, Bs);
    if (damp(n, s, Bs, q) > 0) {
        int64_t to = (int64_t)*at->pairs % SV_QUASI_PAIRS * n;
        vector_copy(n, s, at->B + to);
        vector_copy(n, q, at->B + SV_QUASI_PAIRS * n + to);
        ++*at->pairs;
    }
}

/* s and q of the step from the point before. Returns whether x has moved. */
static int step(int64_t n, int64_t m, const memory *at, const double *x, const double *g, const double *J, double sigma,
                const double *y, double *s, double *q)
{
    int moved = 0;
    for (int64_t i = 0; i < n; i++) {
        s[i] = x[i] - at->x[i];
        q[i] = sigma * (g[i] - at->g[i]);
        moved |= s[i] != 0;
    }
    for (int64_t c = 0; c < m; c++)
        for (int64_t i = 0; i < n; i++)
            q[i] += y[c] * (J[c * n + i] - at->J[c * n + i]);
    return moved;
}

void sv_quasi_update(int kind, int64_t n, int64_t m, const double *x, const double *g, const double *J, double sigma,
                     const double *y, double *numbers, double *work, double *H)
{
    memory at = parts(kind, n, m, numbers);
    double *s = work, *q = work + n, *v = work + 2 * n;
    size_t bytes = (size_t)(n * n) * sizeof *H;
    if (sigma == 0) {
        memset(H, 0, bytes);
        return;
    }
    if (*at.begun != 0 && step(n, m, &at, x, g, J, sigma, y, s, q)) {
        if (kind == SV_QUASI_BFGS)
            learn_bfgs(n, &at, s, q, v);
        else if (kind == SV_QUASI_SR1)
            learn_sr1(n, &at, s, q, v);
        else
            learn_lbfgs(n, &at, s, q, v, H);
    }
    *at.begun = 1;
    vector_copy(n, x, at.x);
    vector_copy(n, g, at.g);
    if (m)
        vector_copy(m * n, J, at.J);
    if (kind == SV_QUASI_LBFGS)
        assemble(n, &at, v, H);
    else if (*at.pairs == 0)
        identity(n, 1, H);
    else
        memcpy(H, at.B, bytes);
}
