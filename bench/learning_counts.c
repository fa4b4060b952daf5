/* Iteration counts that the learners are replayed on, of plain loops over a five-point stencil: of the benchmark's own,
 * so that they depend on nothing of the library. Grids have a border of zeros: (m + 2)^2 values.
 */
#include <string.h>

static double dot(long n, const double *x, const double *y)
{
    double sum = 0;
    for (long k = 0; k < n; k++)
        sum += x[k] * y[k];
    return sum;
}

/* out = diagonal x - off (neighbours of x). */
static void multiply(long m, double diagonal, double off, const double *x, double *out)
{
    const long row = m + 2;
    for (long i = 1; i <= m; i++)
        for (long k = i * row + 1; k <= i * row + m; k++)
            out[k] = diagonal * x[k] - off * (x[k - 1] + x[k + 1] + x[k - row] + x[k + row]);
}

/* SOR sweeps from 0 until ||r|| < tol ||b||, at most `most`. x, r: work. */
static int sor(long m, double diagonal, const double *b, double omega, double tol, int most, double *x, double *r)
{
    const long row = m + 2, n = row * row;
    const double goal = tol * tol * dot(n, b, b);
    memset(x, 0, n * sizeof *x);
    memset(r, 0, n * sizeof *r);
    for (int sweep = 1; sweep <= most; sweep++) {
        for (long i = 1; i <= m; i++)
            for (long k = i * row + 1; k <= i * row + m; k++)
                x[k] += omega * (b[k] + x[k - 1] + x[k + 1] + x[k - row] + x[k + row] - diagonal * x[k]) / diagonal;
        multiply(m, diagonal, 1, x, r);
        for (long k = 0; k < n; k++)
            r[k] = b[k] - r[k];
        if (dot(n, r, r) < goal)
            return sweep;
    }
    return most;
}

/* counts[t, a] of shifted Laplacians: diagonals (instances,), right-hand sides (instances, (m + 2)^2), omegas like
 * counts. */
void learning_sor(long m, long instances, long arms, const double *diagonals, const double *b, const double *omegas,
                  double tol, int most, int *counts, double *work)
{
    const long n = (m + 2) * (m + 2);
    for (long t = 0; t < instances; t++)
        for (long a = 0; a < arms; a++)
            counts[t * arms + a] =
                sor(m, diagonals[t], b + t * n, omegas[t * arms + a], tol, most, work, work + n);
}

/* z = (K + U)^-1 K (K + L)^-1 r, K = diagonal / omega. */
static void ssor(long m, double diagonal, double off, double omega, const double *r, double *z)
{
    const long row = m + 2;
    const double share = omega / diagonal;
    for (long i = 1; i <= m; i++)
        for (long k = i * row + 1; k <= i * row + m; k++)
            z[k] = share * (r[k] + off * (z[k - 1] + z[k - row]));
    for (long i = m; i >= 1; i--)
        for (long k = i * row + m; k >= i * row + 1; k--)
            z[k] += share * off * (z[k + 1] + z[k + row]);
}

/* Conjugate gradients from x0 until ||r|| <= tol ||b||, with SSOR or, at omega 0, with nothing; x: the solution. */
int learning_cg(long m, double diagonal, double off, const double *b, const double *x0, double omega, double tol,
                int most, double *x, double *work)
{
    const long n = (m + 2) * (m + 2);
    double *r = work, *z = r + n, *v = z + n, *q = v + n, before = 1;
    memset(work, 0, 4 * n * sizeof *work);
    memcpy(x, x0, n * sizeof *x);
    multiply(m, diagonal, off, x, q);
    for (long k = 0; k < n; k++)
        r[k] = b[k] - q[k];
    const double goal = tol * tol * dot(n, b, b);
    int count = 0;
    for (; count < most && dot(n, r, r) > goal; count++) {
        if (omega > 0)
            ssor(m, diagonal, off, omega, r, z);
        else
            memcpy(z, r, n * sizeof *z);
        const double now = dot(n, r, z), beta = count ? now / before : 0;
        before = now;
        for (long k = 0; k < n; k++)
            v[k] = z[k] + beta * v[k];
        multiply(m, diagonal, off, v, q);
        const double alpha = now / dot(n, v, q);
        for (long k = 0; k < n; k++) {
            x[k] += alpha * v[k];
            r[k] -= alpha * q[k];
        }
    }
    return count;
}
