/* solvers.h - the C interface of the solvers toolkit.
 *
 * C99 and C++11. The caller owns every buffer; nothing is printed, and nothing is kept but in handles, which the caller
 * creates and destroys. Every function may be called from several threads at once, each with handles of its own; a
 * handle that another thread uses at that moment is refused with SV_BUSY. Strides count elements, not bytes.
 *
 * What may fail returns a status (enum sv_status): negative numbers are errors of the call, of which sv_last_error()
 * tells more, and nothing was changed. Structures begin with their own size, which their _INIT macros fill in, so that
 * later versions may add fields at the end; NULL for a structure of options stands for its defaults.
 */
#ifndef SOLVERS_H
#define SOLVERS_H

#include <stddef.h>
#include <stdint.h>

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

/* The number of this interface. Within one number functions, fields and status numbers are only added. */
#define SV_ABI_VERSION 0
SV_API int sv_abi_version(void);

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

/* ---- how a call ends ----------------------------------------------------------------------- */

/* Those that are not negative are the numbers of solvers.Status in Python. SV_CONVERGED alone is success: a measure
 * recomputed in double precision from the answer that is returned meets the tolerance. */
enum sv_status {
    SV_CONVERGED = 0,
    SV_CALLBACK_STOP = 2,
    SV_MAX_ITER = 10,
    SV_MAX_EVAL = 11,
    SV_TIME_LIMIT = 12,
    SV_STAGNATION = 13,
    SV_DIVERGED = 14,
    SV_NOT_SPD = 20,
    SV_BREAKDOWN = 21,
    SV_NONFINITE = 22,
    SV_INFEASIBLE = 23,
    SV_UNBOUNDED = 24,
    SV_NOT_CERTIFIED = 26,
    SV_LOCALLY_INFEASIBLE = 27,
    SV_OK = 0,             /* of calls that solve nothing */
    SV_INVALID = -1,       /* an argument that makes no sense: a NULL, a size, NaN in the data, an unknown choice */
    SV_NO_MEMORY = -2,     /* no memory, or sizes whose product overflows */
    SV_STRUCT_SIZE = -3,   /* a structure whose first field is not a size that this library knows */
    SV_BUSY = -4           /* the handle is in use by another thread */
};

/* What the status says, and what to try, in a sentence; never NULL. */
SV_API const char *sv_status_string(int status);

/* Why the last call of this thread that returned a negative status did: begins with the argument's name. Never NULL;
 * empty where there was none. Valid until this thread's next such call. */
SV_API const char *sv_last_error(void);

/* ---- limits and reports of a solve --------------------------------------------------------- */

/* What a callback is shown: valid during the call. */
typedef struct sv_progress {
    size_t struct_size;
    int64_t nit;
    double measure;   /* the running number that will be compared with the tolerance */
    double seconds;   /* since the solve began */
    const double *x;  /* the present answer, or NULL where it is at hand in another form alone */
    size_t x_size;
} sv_progress;

/* Returns 0 to go on, anything else to stop: the status is then SV_CALLBACK_STOP. */
typedef int (*sv_callback)(void *user, const sv_progress *progress);

typedef struct sv_control {
    size_t struct_size;
    int64_t max_iter;    /* steps at most; negative: as many as the same call in Python allows */
    double time_limit;   /* seconds at most; negative: no limit */
    int threads;         /* 0 or less: see sv_get_num_threads; the bits do not depend on it */
    sv_callback callback; /* called after each step, or NULL */
    void *user;          /* handed to the callback */
} sv_control;
#define SV_CONTROL_INIT {sizeof(sv_control), -1, -1.0, 0, NULL, NULL}

typedef struct sv_report {
    size_t struct_size;
    int status;       /* what the call returned */
    int64_t nit;      /* steps taken */
    double measure;   /* recomputed from the answer: what was compared with the tolerance */
    double seconds;
} sv_report;
#define SV_REPORT_INIT {sizeof(sv_report), 0, 0, 0.0, 0.0}

/* ---- special: softmax and its logarithm ---------------------------------------------------- */

/* y[r][i] = exp(x[r][i]) / sum_k exp(x[r][k]) for `rows` rows of `length` contiguous elements;
 * consecutive rows lie x_stride and y_stride elements apart. y may be x; no other overlap.
 * A row with a NaN, with +inf, or of -inf alone gives NaN throughout. At most 2 ULP from exact.
 * Here and below: SV_OK, or SV_INVALID or SV_NO_MEMORY, and then nothing was written; where there
 * are no elements, their pointers are not looked at. */
SV_API int sv_softmax_f32(const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride,
                          size_t rows, size_t length, int threads);
SV_API int sv_softmax_f64(const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride,
                          size_t rows, size_t length, int threads);

/* y[r][i] = log(softmax(x[r])[i]), to full relative accuracy also where the probability is nearly 1. */
SV_API int sv_log_softmax_f32(const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride,
                              size_t rows, size_t length, int threads);
SV_API int sv_log_softmax_f64(const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride,
                              size_t rows, size_t length, int threads);

/* out[r] = log |sum_k b[r][k] exp(x[r][k])|; sign[r] is the sign of the sum: -1, 0 or 1, or NaN.
 * b may be NULL (all ones), sign may be NULL. Where b is 0, x must be -inf. An empty row gives -inf. */
SV_API int sv_logsumexp_f32(const float *x, ptrdiff_t x_stride, const float *b, ptrdiff_t b_stride,
                            float *out, float *sign, size_t rows, size_t length, int threads);
SV_API int sv_logsumexp_f64(const double *x, ptrdiff_t x_stride, const double *b, ptrdiff_t b_stride,
                            double *out, double *sign, size_t rows, size_t length, int threads);

/* ---- linalg: linear systems with a sparse matrix, or on a grid ------------------------------ */

/* ---- linalg: the multilevel preconditioner of a grid ---------------------------------------- */

/* ---- linalg: tuners of omega ---------------------------------------------------------------- */

/* ---- ot: entropic optimal transport --------------------------------------------------------- */

/* ---- learning: penalised generalised linear models ------------------------------------------ */

/* ---- equilibrium: matrix games and linear programs ------------------------------------------ */

/*     minimise  c'x   subject to   l <= A x <= u,   lb <= x <= ub
 *
 * by restarted reflected Halpern steps of the primal-dual hybrid gradient method: solvers.equilibrium.lp(...,
 * method="lp-pdhg") in Python, to the same bits. The default there, for programs whose factors are cheap, is an
 * interior-point method, which this interface does not have. */
typedef struct sv_lp_program {
    size_t struct_size;
    size_t m, n;                       /* rows, which may be none, and columns */
    const int32_t *starts, *index;     /* A in CSR: row i has value[k] in column index[k] for */
    const int64_t *starts64, *index64; /* starts[i] <= k < starts[i + 1]; as one pair or the other, at most 2^31 - 1
                                          entries */
    const double *value;
    const double *c;                   /* n */
    const double *l, *u;               /* m each; infinite where there is no side; NULL: no sides of that kind */
    const double *lb, *ub;             /* n each; infinite where there is no bound; NULL: 0, and infinity */
} sv_lp_program;
#define SV_LP_PROGRAM_INIT {sizeof(sv_lp_program), 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}

typedef struct sv_lp_options {
    size_t struct_size;
    double tol;            /* of the largest of three: what violates the rows, relative to 1 + the 2-norm of the sides,
                              the reduced costs that no bound takes, to 1 + that of c, and the relative gap */
    const double *x0, *y0; /* a start of n and of m numbers, or NULL: the point in the bounds nearest to 0, and zeros */
    int64_t block;         /* iterations between two looks, 2 to 10000; a step that max_iter counts */
} sv_lp_options;
#define SV_LP_OPTIONS_INIT {sizeof(sv_lp_options), 1e-6, NULL, NULL, 40}

/* What is known of the answer, all of it computed from x and y and the data as given. */
typedef struct sv_lp_result {
    size_t struct_size;
    double fun, dual_fun; /* the objective, and its bound by y */
    double gap;           /* their distance */
    double primal_residual, dual_residual; /* 2-norms */
    int64_t iterations, restarts;
} sv_lp_result;
#define SV_LP_RESULT_INIT {sizeof(sv_lp_result), 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0}

/* Writes x (n), and where they are not NULL the multipliers y of the rows (m), y_i >= 0 at l_i and <= 0 at u_i, the
 * reduced costs c - A'y (n), and `ray`, max(m, n) numbers, where the status is
 *   SV_INFEASIBLE: m multipliers that prove it by Farkas' lemma; zeros where the sides of one row, or the bounds of one
 *                  column, contradict one another;
 *   SV_UNBOUNDED:  a direction of n numbers along which the objective falls for ever. x is then a feasible point, to
 *                  within result->primal_residual; where that is large, none was found, and there may be none.
 * Rays are checked on the data as given. Data is read in place where the indices are 32 bits wide and rise in each row,
 * and no entry is 0; else it is copied, and entries of one place are summed. The callback's x is the best so far. */
SV_API int sv_lp_solve(const sv_lp_program *program, const sv_lp_options *options, const sv_control *control, double *x,
                       double *y, double *reduced_costs, double *ray, sv_lp_result *result, sv_report *report);

#ifdef __cplusplus
}
#endif

#endif
