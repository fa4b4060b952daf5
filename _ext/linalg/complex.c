/* Sweeps, products and Jacobi's steps with a complex matrix in compressed rows, in the order of the rows.
 *
 * Vectors are of real numbers, the two parts of each unknown side by side, so that the methods' loops know nothing of
 * complex numbers: norms and sums are the same. Bytes a row and pass: 20 z/n + 8 + 64; 8 flops an entry where a real
 * matrix has 2, on less than twice the bytes. The matrix as a real one of twice the rows would take 48 bytes an entry.
 * A sweep is a recurrence as in csr.c, of two FMAs.
 * Accuracy: each part of a row sum within 2 z_i + 3 ulp of the largest partial sum.
 * In NumPy, forward: for i in range(n): x[i] += omega * (b[i] - A[i] @ x) / A[i, i], with complex numbers
 */
#include "csr.h"

#include "csr_blocks.h"
#include "simd.h"

struct number {
    double re, im;
};

INLINE struct number number_at(const double *vector, size_t i)
{
    return (struct number){vector[2 * i], vector[2 * i + 1]};
}

INLINE void put_number(double *vector, size_t i, struct number value)
{
    vector[2 * i] = value.re, vector[2 * i + 1] = value.im;
}

/* c + a b */
INLINE struct number plus_times(struct number c, struct number a, struct number b)
{
    return (struct number){r_fma(-a.im, b.im, r_fma(a.re, b.re, c.re)), r_fma(a.im, b.re, r_fma(a.re, b.im, c.im))};
}

/* c - a b */
INLINE struct number less_times(struct number c, struct number a, struct number b)
{
    return (struct number){r_fma(a.im, b.im, r_fma(-a.re, b.re, c.re)), r_fma(-a.im, b.re, r_fma(-a.re, b.im, c.im))};
}

INLINE struct number times(struct number a, struct number b)
{
    return plus_times((struct number){0, 0}, a, b);
}

#define ROWS_FILE "complex_rows.h"
#include "each_type.h"

const struct sv_operand_kernels *const SV_TABLE(complex_kernels)[4] = {
    &kernels_i32_f64, &kernels_i32_f32, &kernels_i64_f64, &kernels_i64_f32};
