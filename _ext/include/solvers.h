/* solvers.h - the C interface of the solvers toolkit.
 *
 * C99 and C++11. Every function is safe to call from several threads at once. The caller owns every
 * buffer; nothing is allocated, printed or kept. Strides count elements, not bytes.
 */
#ifndef SOLVERS_H
#define SOLVERS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SV_API __attribute__((visibility("default")))
#else
#define SV_API
#endif

/* ---- the library itself ------------------------------------------------------------------- */

/* "major.minor.patch" */
SV_API const char *sv_version_string(void);

/* The instruction-set level in use: "baseline", "avx2" or "avx512". The environment variable
 * SOLVERS_ISA, read at the first call into the library, caps it with the same words. */
SV_API const char *sv_isa(void);

/* The best level that this CPU and this build have, whatever SOLVERS_ISA says. */
SV_API const char *sv_isa_available(void);

/* "address" where the library was built with AddressSanitizer, else "none". */
SV_API const char *sv_sanitizer(void);

/* How many threads a call uses where its `threads` argument is 0 or less. At first that is
 * SOLVERS_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may run on, at most 8. */
SV_API int sv_get_num_threads(void);
SV_API void sv_set_num_threads(int threads);

/* ---- special: softmax and its logarithm ---------------------------------------------------- */

/* y[r][i] = exp(x[r][i]) / sum_k exp(x[r][k]) for `rows` rows of `length` contiguous elements;
 * consecutive rows lie x_stride and y_stride elements apart. y may be x; no other overlap.
 * A row with a NaN, with +inf, or of -inf alone gives NaN throughout. At most 2 ULP from exact. */
SV_API void sv_softmax_f32(const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride,
                           size_t rows, size_t length, int threads);
SV_API void sv_softmax_f64(const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride,
                           size_t rows, size_t length, int threads);

/* y[r][i] = log(softmax(x[r])[i]), to full relative accuracy also where the probability is nearly 1. */
SV_API void sv_log_softmax_f32(const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride,
                               size_t rows, size_t length, int threads);
SV_API void sv_log_softmax_f64(const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride,
                               size_t rows, size_t length, int threads);

/* out[r] = log |sum_k b[r][k] exp(x[r][k])|; sign[r] is the sign of the sum: -1, 0 or 1, or NaN.
 * b may be NULL (all ones), sign may be NULL. Where b is 0, x must be -inf. An empty row gives -inf. */
SV_API void sv_logsumexp_f32(const float *x, ptrdiff_t x_stride, const float *b, ptrdiff_t b_stride,
                             float *out, float *sign, size_t rows, size_t length, int threads);
SV_API void sv_logsumexp_f64(const double *x, ptrdiff_t x_stride, const double *b, ptrdiff_t b_stride,
                             double *out, double *sign, size_t rows, size_t length, int threads);

#ifdef __cplusplus
}
#endif

#endif
