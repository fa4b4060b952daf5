/* Estimates of the eigenvalues of D^-1 A: one product with A each for the row sums, 20 for Lanczos' iteration, which
 * orthogonalises each new vector twice against all before (Giraud et al. 2005: then to rounding).
 * In NumPy: scipy.linalg.eigh_tridiagonal(along, between), of the basis that makes D^-1/2 A D^-1/2 tridiagonal.
 */
#include "spectrum.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "vectors.h"

/* Bounds of the omega that is chosen. */
#define LEAST_OMEGA 1.0
#define LARGEST_OMEGA 1.95
/* The margins that bounds get. */
#define BELOW 0.8
#define ABOVE 1.05

double sv_linalg_dot(size_t n, const double *x, const double *y) { return sv_linalg_vectors()->dot(n, x, y); }

double sv_linalg_norm(size_t n, const double *x) { return sqrt(sv_linalg_vectors()->dot(n, x, x)); }

double sv_linalg_row_sum_omega(const struct sv_operand *A, const double *ones, double *work)
{
    const double *other = A->diagonal ? A->diagonal : ones;
    double sum = sv_linalg_vectors()->dot(A->n, ones, other) * (A->diagonal ? 1 : A->entry);
    double quotient = A->does->multiply(A, ones, work) / sum;
    double omega = 2 / (1 + sqrt(2 * (quotient < 0 ? 0 : quotient)));
    return omega < LEAST_OMEGA ? LEAST_OMEGA : omega > LARGEST_OMEGA ? LARGEST_OMEGA : omega;
}

void sv_linalg_noise(size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) { /* the bits of Steele, Lea and Flood's mixer (2014) of i */
        uint64_t z = ((uint64_t)i + 1) * UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        z ^= z >> 31;
        out[i] = sqrt(3) * ((double)(z >> 11) * 0x1p-52 - 1);
    }
}

/* The eigenvalues of a small symmetric matrix by Jacobi's rotations (1846), on its diagonal in the end; `last` becomes
 * the last component of each eigenvector. */
static void diagonalise(int n, double T[SV_LANCZOS][SV_LANCZOS], double *last)
{
    for (int i = 0; i < n; i++)
        last[i] = i == n - 1;
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0, on = 0;
        for (int p = 0; p < n; p++)
            for (int q = 0; q < n; q++)
                *(p == q ? &on : &off) += T[p][q] * T[p][q];
        if (off <= 0x1p-110 * on)
            return;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                if (T[p][q] == 0)
                    continue;
                const double angle = 0.5 * atan2(2 * T[p][q], T[q][q] - T[p][p]), c = cos(angle), s = sin(angle);
                for (int k = 0; k < n; k++) {
                    const double kp = T[k][p], kq = T[k][q];
                    T[k][p] = c * kp - s * kq, T[k][q] = s * kp + c * kq;
                }
                for (int k = 0; k < n; k++) {
                    const double pk = T[p][k], qk = T[q][k];
                    T[p][k] = c * pk - s * qk, T[q][k] = s * pk + c * qk;
                }
                const double before = last[p];
                last[p] = c * before - s * last[q], last[q] = s * before + c * last[q];
            }
    }
}

/* w less its parts along `count` vectors of length n, twice. */
static void orthogonalise(size_t n, int count, const double *basis, double *w)
{
    double along[SV_LANCZOS + 1];
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 0; k < count; k++)
            along[k] = sv_linalg_vectors()->dot(n, basis + (size_t)k * n, w);
        enum { BLOCK = 512 }; /* of w, that stays near while the basis goes by */
        for (size_t from = 0; from < n; from += BLOCK) {
            const size_t to = n - from < BLOCK ? n : from + BLOCK;
            for (int k = 0; k < count; k++)
                for (size_t i = from; i < to; i++)
                    w[i] -= along[k] * basis[(size_t)k * n + i];
        }
    }
}

/* The Ritz values of the tridiagonal matrix that the steps made. */
static void extremes(int count, const double *along, const double *between, struct sv_spectrum *seen)
{
    double T[SV_LANCZOS][SV_LANCZOS] = {{0}}, last[SV_LANCZOS];
    int low = 0, high = 0, finite = count > 0;
    for (int k = 0; k < count; k++) {
        finite = finite && isfinite(along[k]) && isfinite(between[k]);
        T[k][k] = along[k];
        if (k + 1 < count)
            T[k][k + 1] = T[k + 1][k] = between[k];
    }
    if (!finite) {
        seen->low = seen->high = seen->low_error = seen->high_error = NAN;
        return;
    }
    diagonalise(count, T, last);
    for (int k = 1; k < count; k++) {
        low = T[k][k] < T[low][low] ? k : low;
        high = T[k][k] > T[high][high] ? k : high;
    }
    seen->low = T[low][low], seen->high = T[high][high];
    seen->low_error = between[count - 1] * fabs(last[low]), seen->high_error = between[count - 1] * fabs(last[high]);
}

void sv_linalg_spectrum(const struct sv_operand *A, const double *start, size_t unknowns, int steps, double *work,
                        struct sv_spectrum *seen)
{
    const size_t n = A->n;
    double along[SV_LANCZOS], between[SV_LANCZOS], *scaled = work, *w = work + n, *basis = work + 2 * n;
    int count = 0;
    steps = steps < SV_LANCZOS ? steps : SV_LANCZOS;
    for (size_t i = 0; i < n; i++)
        w[i] = start[i] * sqrt(A->diagonal[i]);
    double length = sv_linalg_norm(n, w);
    while (count < steps && (size_t)count < unknowns) {
        double *v = basis + (size_t)count * n;
        for (size_t i = 0; i < n; i++) {
            v[i] = w[i] / length;
            scaled[i] = v[i] / sqrt(A->diagonal[i]);
        }
        A->does->multiply(A, scaled, w);
        for (size_t i = 0; i < n; i++)
            w[i] /= sqrt(A->diagonal[i]);
        along[count] = sv_linalg_vectors()->dot(n, w, v);
        orthogonalise(n, count + 1, basis, w);
        between[count] = length = sv_linalg_norm(n, w);
        count++;
        if (!isfinite(length) || length <= 1e-12 * fabs(along[0]))
            break;
    }
    seen->products = count;
    extremes(count, along, between, seen);
}

double sv_linalg_young(const struct sv_operand *A, const double *ones, double *noise, size_t unknowns, double *work)
{
    struct sv_spectrum seen;
    /* nearly constant, like the eigenvectors that matter for discretised differential operators */
    for (size_t i = 0; i < A->n; i++)
        noise[i] = ones[i] + 0.1 * noise[i];
    sv_linalg_spectrum(A, noise, unknowns, SV_LANCZOS, work, &seen);
    double mu = 1 - seen.low;
    mu = mu < 0 ? 0 : mu > 1 - 1e-12 ? 1 - 1e-12 : mu;
    return 2 / (1 + sqrt(1 - mu * mu));
}

void sv_linalg_chebyshev_bounds(const struct sv_operand *A, const double *residual, double *noise, size_t unknowns,
                                double *low, double *high, double *work)
{
    if (isnan(*low) || isnan(*high)) {
        struct sv_spectrum seen;
        const double size = sv_linalg_norm(A->n, residual);
        for (size_t i = 0; i < A->n; i++)
            noise[i] /= A->diagonal[i];
        A->does->multiply(A, noise, work);
        const double length = sv_linalg_norm(A->n, work), factor = 0.1 * size / (length > 0 ? length : 1);
        for (size_t i = 0; i < A->n; i++)
            noise[i] = (residual[i] + factor * work[i]) / A->diagonal[i];
        sv_linalg_spectrum(A, noise, unknowns, SV_LANCZOS, work, &seen);
        *high = isnan(*high) ? ABOVE * (seen.high + seen.high_error) : *high;
        *low = isnan(*low) ? BELOW * seen.low : *low;
    }
    /* the polynomials want an interval */
    *high = *high < 1e-300 ? 1e-300 : *high;
    *low = *low < 1e-12 * *high ? 1e-12 * *high : *low;
    *low = *low > *high / 1.001 ? *high / 1.001 : *low;
}
