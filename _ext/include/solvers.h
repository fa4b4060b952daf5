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

/* ---- linalg: grids --------------------------------------------------------------------------- */

/* What lies at an end of the box, or at a cell that takes no part. */
enum sv_end { SV_DIRICHLET = 0, SV_NEUMANN = 1, SV_PERIODIC = 2 };
/* Where the unknowns lie. A wall at zero is one spacing from the last node, but half a spacing from the last cell. */
enum sv_unknowns { SV_NODES = 0, SV_CELLS = 1 };

/* -div(coefficient grad) + mass by finite volumes on a box, the GridOperator of Python: 3, 5 or 7 points a row. Vectors
 * and arrays are in C order: the last axis runs fastest. The arrays are read, or copied, by the call that is given the
 * structure, and not needed after it. Begin with SV_GRID_INIT, then set axes and shape at least:
 *     sv_grid grid = SV_GRID_INIT;
 *     grid.axes = 2, grid.shape[0] = 256, grid.shape[1] = 128; */
typedef struct sv_grid_of_cells {
    size_t struct_size;
    int axes;               /* 1 to 3 */
    size_t shape[3];        /* unknowns along each axis */
    double spacing[3];      /* the distance between them, along each axis; 1 */
    int ends[3][2];         /* the low and the high end of each axis: enum sv_end; SV_DIRICHLET, which is zero there */
    int unknowns;           /* enum sv_unknowns; SV_NODES */
    int obstacle;           /* towards cells that take no part: SV_NEUMANN (no flux, the default) or SV_DIRICHLET */
    double coefficient;     /* a number >= 0; 1 */
    const double *cells;    /* or values at the cells, of which a face takes the harmonic mean; NULL */
    const double *faces[3]; /* or values at the faces along each axis, the low boundary first, each array one longer than
                               the shape along its axis; NULL */
    double mass;            /* added to the diagonal, >= 0 for the multilevel method; 0 */
    const double *masses;   /* or one a cell; NULL */
    const uint8_t *mask;    /* one a cell, 0 for a cell that takes no part: its row is the identity's; NULL: all do */
} sv_grid;
#define SV_GRID_INIT                                                                                       \
    {sizeof(sv_grid), 0, {1, 1, 1}, {1.0, 1.0, 1.0}, {{0, 0}, {0, 0}, {0, 0}}, SV_NODES, SV_NEUMANN, 1.0,  \
     NULL, {NULL, NULL, NULL}, 0.0, NULL, NULL}

/* ---- linalg: linear systems with a sparse matrix, or on a grid ------------------------------ */

/* The order in which the unknowns are taken. */
enum sv_ordering {
    SV_ORDERING_DEFAULT = 0,    /* the method's own: automatic for SV_SSOR_CG, natural for sweeps */
    SV_ORDERING_NATURAL = 1,    /* as the rows stand */
    SV_ORDERING_WAVEFRONT = 2,  /* groups of rows that are independent: the natural order's results, to rounding */
    SV_ORDERING_MULTICOLOR = 3, /* few large groups; its sweeps are another iteration */
    SV_ORDERING_REDBLACK = 4,   /* two groups, where the matrix' graph has no cycle of odd length */
    SV_ORDERING_AUTO = 5,       /* the fastest with the natural order's results */
    SV_ORDERING_BLOCKS = 6      /* the natural order inside blocks of rows that have colours: threads wait less often */
};

/* The methods, as in Python. */
enum sv_linear_method {
    SV_SSOR_CG = 0, /* conjugate gradients preconditioned by SSOR, one read of the matrix each; A positive definite */
    SV_CG = 1,      /* conjugate gradients with `preconditioner`; A positive definite */
    SV_CHEBYSHEV = 2, /* Jacobi's, accelerated by polynomials; A positive definite */
    SV_SOR = 3,
    SV_GAUSS_SEIDEL = 4,
    SV_JACOBI = 5
};
enum sv_linear_preconditioner { SV_NO_PRECONDITIONER = 0, SV_BY_DIAGONAL = 1, SV_BY_SSOR = 2, SV_BY_IC0 = 3 };
enum sv_sweep_direction { SV_FORWARD_SWEEP = 0, SV_BACKWARD_SWEEP = 1, SV_SYMMETRIC_SWEEP = 2 };

/* What `omega` may be beside a number between 0 and 2. */
#define SV_OMEGA_DEFAULT 0.0   /* SSOR-CG: from the row sums; SOR and SV_BY_SSOR: 1; Jacobi: 2/3 */
#define SV_OMEGA_YOUNG (-1.0)  /* SOR: Young's, from a few steps of Lanczos' iteration */
#define SV_OMEGA_ADAPTIVE (-2.0) /* SOR: from 1 on, raised as the observed rate says */

typedef struct sv_linear_options {
    size_t struct_size;
    int method;          /* enum sv_linear_method; SV_SSOR_CG */
    int ordering;        /* enum sv_ordering, of SSOR-CG, SOR and Gauss-Seidel; SV_ORDERING_DEFAULT */
    double rtol, atol;   /* the norm of b - A x must come to max(rtol norm(b), atol), 2-norms; 1e-8 and 0 */
    double omega;        /* SV_OMEGA_DEFAULT */
    int direction;       /* of sweeps: enum sv_sweep_direction; SV_FORWARD_SWEEP */
    int check_every;     /* sweeps between two looks at the residual; 1 */
    int preconditioner;  /* of SV_CG: enum sv_linear_preconditioner; SV_NO_PRECONDITIONER */
    int assume_symmetric; /* not 0: symmetry is not looked for where a method needs it */
    double low, high;    /* of Chebyshev: bounds of the eigenvalues of D^-1 A; negative, the default: estimated */
} sv_linear_options;
#define SV_LINEAR_OPTIONS_INIT \
    {sizeof(sv_linear_options), SV_SSOR_CG, SV_ORDERING_DEFAULT, 1e-8, 0.0, SV_OMEGA_DEFAULT, SV_FORWARD_SWEEP, 1, \
     SV_NO_PRECONDITIONER, 0, -1.0, -1.0}

/* A matrix made ready for solves. What an ordering needs is worked out when it is first asked for, and kept. */
typedef struct sv_linear sv_linear;

/* From compressed rows: those of row i are values[row_starts[i]] to values[row_starts[i + 1] - 1], with their columns
 * from 0 on. `entries`: the length of columns and values, and row_starts[n]. The arrays are copied. Rows may be unsorted
 * and have duplicates, which are summed; every diagonal entry must be there, nonzero and not subnormal. *made becomes the
 * handle; destroying NULL does nothing. */
SV_API int sv_linear_from_csr_i32(size_t n, size_t entries, const int32_t *row_starts, const int32_t *columns,
                                  const double *values, sv_linear **made);
SV_API int sv_linear_from_csr_i64(size_t n, size_t entries, const int64_t *row_starts, const int64_t *columns,
                                  const double *values, sv_linear **made);
/* From the operator on a grid; its arrays are not needed afterwards. Orderings: natural and red-black. */
SV_API int sv_linear_from_grid(const sv_grid *grid, sv_linear **made);
SV_API void sv_linear_destroy(sv_linear *A);

/* Other values in the same places, in the order of the first; nothing is analysed again. */
SV_API int sv_linear_update(sv_linear *A, const double *values);
/* Other numbers on a grid of the same shape. */
SV_API int sv_linear_update_grid(sv_linear *A, const sv_grid *grid);

/* Unknowns; 0 for NULL. */
SV_API size_t sv_linear_size(const sv_linear *A);

/* out = A x; r = b - A x. The norm of r goes to *norm where that is not NULL. Vectors do not overlap. */
SV_API int sv_linear_multiply(sv_linear *A, const double *x, double *out, int threads);
SV_API int sv_linear_residual(sv_linear *A, const double *b, const double *x, double *r, double *norm, int threads);

/* Solves A x = b; x: where to start, and the answer. Where a solve fails x is the best point kept. options, control and
 * report may be NULL; max_iter is 10000 where it is left open. Same bits as solvers.linalg.solve. */
SV_API int sv_linear_solve(sv_linear *A, const double *b, double *x, const sv_linear_options *options,
                           const sv_control *control, sv_report *report);

/* The omega that the last solve ended with; NaN before one that has an omega. */
SV_API double sv_linear_omega(const sv_linear *A);

/* `sweeps` SOR sweeps of x in place, a symmetric one forward and backward, and z = M^-1 r by so many symmetric sweeps
 * from zero, SSOR as a preconditioner: for hosts with loops of their own. Nothing is tested for convergence, vectors are
 * not searched for NaN, and nothing is allocated after the first call with an ordering. Vectors do not overlap. */
SV_API int sv_linear_sweep(sv_linear *A, int ordering, int direction, double omega, int sweeps, const double *b,
                           double *x, int threads);
SV_API int sv_linear_precondition(sv_linear *A, int ordering, double omega, int sweeps, const double *r, double *z,
                                  int threads);

/* Conjugate gradients for hosts that keep their matrix, their preconditioner and their processes. n: the numbers that
 * this process holds of each vector; every process runs a handle of its own with the same options and limits, and all
 * decide alike, of reduced sums alone. The host steps:
 *     while ((need = sv_cg_step(cg, &request)) > SV_CG_DONE)
 *         SV_NEED_PRODUCT:        request.to = A request.from
 *         SV_NEED_PRECONDITIONER: request.to = M^-1 request.from
 *         SV_NEED_SUMS:           request.sums[k], k < request.count, hold this process' part; they become the sums over
 *                                 all processes. One process alone has nothing to do. A host with an inner product of its
 *                                 own puts that of request.x[k] and request.y[k] there, where these are not NULL. */
enum sv_cg_need { SV_CG_DONE = 0, SV_NEED_PRODUCT = 1, SV_NEED_PRECONDITIONER = 2, SV_NEED_SUMS = 3 };
typedef struct sv_cg_request {
    size_t struct_size;
    const double *from;
    double *to;
    double *sums;
    int count; /* at most 3 */
    const double *x[3];
    const double *y[3];
} sv_cg_request;
#define SV_CG_REQUEST_INIT {sizeof(sv_cg_request), NULL, NULL, NULL, 0, {NULL, NULL, NULL}, {NULL, NULL, NULL}}

typedef struct sv_cg_options {
    size_t struct_size;
    double rtol, atol;  /* as of sv_linear_options; 1e-8 and 0 */
    int preconditioned; /* not 0: SV_NEED_PRECONDITIONER is asked for; sv_cg_solve sets it itself */
    size_t size;        /* unknowns of all processes; 0: n */
} sv_cg_options;
#define SV_CG_OPTIONS_INIT {sizeof(sv_cg_options), 1e-8, 0.0, 0, 0}

typedef struct sv_cg_run sv_cg;

/* b and x, where to start, are copied; a callback in the control sees this process' part of x. Where a process' callback
 * stops, or its time is over, all end after the same iteration. */
SV_API int sv_cg_create(size_t n, const double *b, const double *x, const sv_cg_options *options,
                        const sv_control *control, sv_cg **made);
/* What is needed next (enum sv_cg_need), or an error. */
SV_API int sv_cg_step(sv_cg *cg, sv_cg_request *request);
/* After SV_CG_DONE: the answer, its residual recomputed by a product of its own, and how the solve ended. */
SV_API int sv_cg_answer(sv_cg *cg, double *x, sv_report *report);
SV_API void sv_cg_destroy(sv_cg *cg);

/* The same in one call. y = A x, and y = M^-1 x (precondition may be NULL: none); the sums of `count` numbers as above
 * (reduce may be NULL: one process). What is not 0 stops the solve: SV_CALLBACK_STOP, with a measure that is NaN. */
typedef int (*sv_mapping)(void *user, const double *x, double *y);
typedef int (*sv_summing)(void *user, int count, const double *const *x, const double *const *y, double *sums);
SV_API int sv_cg_solve(size_t n, const double *b, double *x, sv_mapping product, sv_mapping precondition, sv_summing reduce,
                       void *user, const sv_cg_options *options, const sv_control *control, sv_report *report);

/* ---- linalg: the multilevel preconditioner of a grid ---------------------------------------- */

/* An approximate inverse M of a grid's operator, symmetric positive definite: one cycle over levels of ever coarser
 * grids. It is what multilevel(grid) is in Python, and its solve what the method "multilevel-cg" is, to the bit. */
typedef struct sv_multilevel_handle sv_multilevel;

/* What is done about cells without a way to any sink (a wall at zero, a mass), on which the operator is singular. */
enum sv_nullspace {
    SV_NULLSPACE_NONE = 0,      /* it is refused */
    SV_NULLSPACE_CONSTANT = 1,  /* allowed where that is all cells */
    SV_NULLSPACE_COMPONENTS = 2 /* allowed for any of them */
};
enum sv_cycle { SV_CYCLE_V = 0, SV_CYCLE_W = 1 };

typedef struct sv_multilevel_options {
    size_t struct_size;
    int nullspace;        /* enum sv_nullspace; SV_NULLSPACE_NONE */
    int cycle;            /* enum sv_cycle; SV_CYCLE_V */
    int line;             /* an axis of the grid: its lines of cells are relaxed at once; -1: cells are */
    int double_precision; /* 1: the cycle is in float64; 0: in float32, and conjugate gradients around it in float64 */
    int threads;          /* of the set-up and of sv_multilevel_apply; 0 or less: see sv_get_num_threads */
} sv_multilevel_options;
#define SV_MULTILEVEL_OPTIONS_INIT {sizeof(sv_multilevel_options), SV_NULLSPACE_NONE, SV_CYCLE_V, -1, 0, 0}

/* The grid's mass must be at least 0. A grid that is singular without a `nullspace` is refused with SV_INVALID. The
 * learned corrections that Python has are not offered. */
SV_API int sv_multilevel_create(sv_multilevel **M, const sv_grid *grid, const sv_multilevel_options *options);
SV_API void sv_multilevel_destroy(sv_multilevel *M);
/* Set up anew for a grid of the same shape, with the options of the beginning: for a new mask, coefficient or mass. Where
 * that fails M stays what it was. */
SV_API int sv_multilevel_update(sv_multilevel *M, const sv_grid *grid);

/* z = M r, r of as many numbers as the grid has unknowns, outside of the mask too (z is 0 there); z may be r. No number is
 * looked at: what is not finite makes z so. It allocates nothing, and may stand in a host's own iteration as it is. */
SV_API int sv_multilevel_apply(sv_multilevel *M, const double *r, double *z);

/* Solves A x = b from x on by conjugate gradients: norm(b - A x) <= max(rtol norm(b), atol), formed anew from the x that
 * is returned, which is the measure. b must be 0 outside of the mask, and 0 or of a norm from 2^-400 to 2^400. With a
 * null space b is taken, and x returned, with mean 0 on each component without sinks. max_iter: 10,000. */
SV_API int sv_multilevel_solve(sv_multilevel *M, const double *b, double *x, double rtol, double atol,
                               const sv_control *control, sv_report *report);

/* Unknowns; levels, of which the 0-th is the grid; components without sinks. 0 of NULL. */
SV_API size_t sv_multilevel_size(const sv_multilevel *M);
SV_API int sv_multilevel_levels(const sv_multilevel *M);
SV_API size_t sv_multilevel_components(const sv_multilevel *M);
/* The shape of a level along the axes of the grid, 1 beyond them. */
SV_API int sv_multilevel_shape(const sv_multilevel *M, int level, size_t shape[3]);

/* ---- linalg: tuners of omega ---------------------------------------------------------------- */

/* Chooses omega before each solve of a sequence and learns from the costs it is told: OmegaTuner of Python, to the bit.
 * A question and its answer allocate nothing and take a microsecond or two. */
typedef struct sv_omega_tuner sv_omega_tuner;

typedef struct sv_omega_options {
    size_t struct_size;
    size_t count;               /* how many values of omega; 20 */
    double low, high;           /* equally spaced in log(2 - omega) between these: 1 and 1.98 */
    const double *omegas;       /* or the values themselves, each once, all in (0, 2); NULL */
    const char *learner;        /* "tsallis-dr", "tsallis", "tsallis-rv", "binned", "chebcb", "gp" or "gp-forgetting";
                                   NULL: "tsallis-dr", with a context "gp" */
    const double *context;      /* the two ends of a number that is known before each solve and that the costs depend
                                   on: for "binned", "chebcb" and "gp", which need it; NULL */
    const char *drift;          /* of "tsallis-dr", for costs that change: "auto", "discount", "window", "reset"; NULL */
    double cost_floor;          /* what no solve costs less than: 1 */
    const char *key;            /* of one of several sequences with one seed; NULL: "" */
    uint64_t seed;              /* that of rng=seed in Python; 0 */
    const uint32_t *seed_words; /* or the four numbers that state_dict() calls "seed"; NULL */
    size_t option_count;        /* options of the learner by name, as in Python; truth is 1, falsehood 0 */
    const char *const *option_names;
    const double *option_values;
} sv_omega_options;
#define SV_OMEGA_OPTIONS_INIT \
    {sizeof(sv_omega_options), 20, 1.0, 1.98, NULL, NULL, NULL, NULL, 1.0, NULL, 0, NULL, 0, NULL, NULL}

/* What the options point to is copied. */
SV_API int sv_omega_tuner_create(sv_omega_tuner **tuner, const sv_omega_options *options);
SV_API void sv_omega_tuner_destroy(sv_omega_tuner *tuner);

/* The omega for the next solve, and the question's number, from 0 on. `context` counts where the tuner has one. At most
 * 1024 questions stay open; beyond that the oldest is dropped. */
SV_API int sv_omega_tuner_ask(sv_omega_tuner *tuner, double context, double *omega, int64_t *id);
/* What the solve of a question cost: iterations, seconds, anything >= 0 of which less is better. In any order, each once.
 * Of a solve that failed tell twice the most iterations it may take, as Python's solve() does; of one that was stopped
 * tell nothing: its question may stay open. */
SV_API int sv_omega_tuner_tell(sv_omega_tuner *tuner, int64_t id, double cost);
/* The open questions, oldest first: at most `room` of them (0, with NULLs, to count). */
SV_API int sv_omega_tuner_pending(sv_omega_tuner *tuner, size_t room, int64_t *ids, double *omegas, size_t *count);

/* How many values there are, and the values; 0 of NULL. */
SV_API size_t sv_omega_tuner_count(const sv_omega_tuner *tuner);
SV_API int sv_omega_tuner_omegas(const sv_omega_tuner *tuner, double *omegas);
/* With which probabilities they would be chosen next, and the likeliest. */
SV_API int sv_omega_tuner_probabilities(sv_omega_tuner *tuner, double context, double *probabilities);
SV_API int sv_omega_tuner_best(sv_omega_tuner *tuner, double context, double *omega);
/* How often the cost of each was told, and the sums of these costs. */
SV_API int sv_omega_tuner_told(sv_omega_tuner *tuner, int64_t *counts, double *costs);

/* All that it knows, open questions included, as the JSON of Python's state_dict(), with a 0 at its end. `length`, without
 * that 0, is always set; where `room` does not hold it all, text (may be NULL then) is left alone, and the call returns
 * SV_OK for room 0, else SV_INVALID. */
SV_API int sv_omega_tuner_save(sv_omega_tuner *tuner, char *text, size_t room, size_t *length);
/* Goes on to the same bits from what this, or json.dumps(tuner.state_dict()), wrote for a tuner of the same values,
 * learner, context, drift and options; of several keys it takes its own, or begins it anew. Where the text does not fit,
 * or is damaged, nothing changes. */
SV_API int sv_omega_tuner_load(sv_omega_tuner *tuner, const char *text, size_t length);

/* `count` values between two ends, 0 < low < high < 2, equally spaced in log(2 - omega). */
SV_API int sv_omega_grid(size_t count, double low, double high, double *omegas);

/* ---- ot: entropic optimal transport --------------------------------------------------------- */

/* The plan P >= 0 of n sources and m targets that has the row sums a and the column sums b and the least
 * <C, P> + reg KL(P | a b'), as solvers.ot.solve finds it, to the same bits:
 * P_ij = exp((f_i + g_j - C_ij) / reg). */

enum sv_ot_norm { SV_OT_L1 = 0, SV_OT_L2 = 1, SV_OT_LINF = 2 };

enum sv_ot_method { SV_OT_NEWTON = 0 };

enum sv_ot_metric {
    SV_OT_SQEUCLIDEAN = 0,
    SV_OT_EUCLIDEAN = 1,
    SV_OT_CITYBLOCK = 2,
    SV_OT_CHEBYSHEV = 3,
    SV_OT_COSINE = 4,
    SV_OT_MINKOWSKI = 5
};

typedef struct sv_ot_options {
    size_t struct_size;
    double tol;         /* bound on the norm of (P 1 - a, P' 1 - b) */
    int norm;           /* enum sv_ot_norm */
    int certify;        /* whether the result gets gap, lp_lower and lp_upper: three more passes over C */
    int method;         /* enum sv_ot_method */
    int stage_sweeps;   /* of newton: sweeps at most before a stage's first Newton step */
    double decay;       /* of newton: factor by which reg falls from stage to stage */
    double stage_tol;   /* of newton: l1 marginal error that ends a stage, as a share of the mass */
    const double *f0, *g0; /* potentials to start from, as a solve gives them, n and m; or NULL */
} sv_ot_options;
#define SV_OT_OPTIONS_INIT {sizeof(sv_ot_options), 1e-9, SV_OT_L1, 1, SV_OT_NEWTON, 2, 4.0, 0.03, NULL, NULL}

typedef struct sv_ot_result {
    size_t struct_size;
    double value;          /* <C, P> + reg KL(P | a b') */
    double value_linear;   /* <C, P> */
    double value_entropy;  /* <C, P> + reg sum P log P */
    double value_dual;     /* at (f, g): never above the least value of a plan with these marginals */
    double marginal_error; /* of the plan, recomputed: what was compared with tol */
    double gap;            /* bounds how far value_dual is from the optimum; NaN without certify */
    double lp_lower, lp_upper; /* bounds of the least <C, P> without entropy; NaN without certify */
    int64_t sinkhorn, newton, cg, scalings, passes; /* iterations of each kind; reads of a stored plan and of C */
} sv_ot_result;
#define SV_OT_RESULT_INIT {sizeof(sv_ot_result), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0}

/* A plan whose entries are made when they are asked for. Of a solve with a matrix it reads the caller's matrix, which
 * must stay as it was while the handle lives. */
typedef struct sv_ot_plan sv_ot_plan;

/* C has n rows of m contiguous costs, any finite numbers, `stride` >= m apart. a (n) and b (m): weights >= 0 of equal
 * mass, NULL for equal weights that sum to 1; b is rescaled where the masses differ by 1e-6 or less. reg > 0 is in units
 * of the cost. Any of the outputs may be NULL: f (n) and g (m), -inf at weights of 0; result; report; plan, which
 * becomes a handle that the caller destroys. Returns the status, negative only where nothing was written; max_iter is
 * 10000 where control leaves it open, and the callback's x is NULL. */
SV_API int sv_ot_solve(size_t n, size_t m, const double *C, ptrdiff_t stride, const double *a, const double *b,
                       double reg, const sv_ot_options *options, const sv_control *control, double *f, double *g,
                       sv_ot_result *result, sv_report *report, sv_ot_plan **plan);
SV_API int sv_ot_solve_f32(size_t n, size_t m, const float *C, ptrdiff_t stride, const double *a, const double *b,
                           double reg, const sv_ot_options *options, const sv_control *control, double *f, double *g,
                           sv_ot_result *result, sv_report *report, sv_ot_plan **plan);

/* The same between points, X (n, d) and Y (m, d) with rows X_stride and Y_stride apart, the costs made on the fly by the
 * metric (enum sv_ot_metric; p > 0 is the exponent of SV_OT_MINKOWSKI): O(n + m) memory. The points are copied. */
SV_API int sv_ot_solve_sample(size_t n, size_t m, size_t d, const double *X, ptrdiff_t X_stride, const double *Y,
                              ptrdiff_t Y_stride, int metric, double p, const double *a, const double *b, double reg,
                              const sv_ot_options *options, const sv_control *control, double *f, double *g,
                              sv_ot_result *result, sv_report *report, sv_ot_plan **plan);

/* P with rows `stride` apart; P x, x (m); P' x, x (n); where each source sends most, the first such target, -1 for
 * sources of weight 0. threads as in sv_control. */
SV_API int sv_ot_plan_dense(sv_ot_plan *plan, double *P, ptrdiff_t stride, int threads);
SV_API int sv_ot_plan_matvec(sv_ot_plan *plan, const double *x, double *out, int threads);
SV_API int sv_ot_plan_rmatvec(sv_ot_plan *plan, const double *x, double *out, int threads);
SV_API int sv_ot_plan_argmax(sv_ot_plan *plan, ptrdiff_t *best, int threads);
SV_API void sv_ot_plan_destroy(sv_ot_plan *plan);

/* ---- learning: penalised generalised linear models ------------------------------------------ */

/*     minimise  sum_i s_i loss(x_i'w + b, y_i)  +  sum_j p_j (l1 |w_j| + l2 w_j^2 / 2)   over  low <= w <= high
 *
 * by coordinate descent on working sets: solvers.learning.glm(..., method="coordinate-descent") in Python, to the same
 * bits. The sums are not divided by n. */

/* A matrix of n samples (rows) and d features: dense, x_ij = X[i * row_stride + j * column_stride], or, where X is NULL,
 * CSC: column j has value[k] in row index[k], rows rising, for starts[j] <= k < starts[j + 1]. Dense columns that are
 * contiguous (row_stride 1, column_stride >= n) and CSC are read in place; other strides are copied once. */
typedef struct sv_design {
    size_t struct_size;
    size_t n, d;
    const double *X;
    ptrdiff_t row_stride, column_stride;
    const int32_t *starts, *index;
    const double *value;
} sv_design;
#define SV_DESIGN_INIT {sizeof(sv_design), 0, 0, NULL, 0, 0, NULL, NULL, NULL}

/* The numbers are those in Python. Labels of the logistic loss and the squared hinge are -1 and 1, both among them;
 * Poisson's counts >= 0. */
enum sv_glm_loss {
    SV_GLM_SQUARED = 0,       /* (z - y)^2 / 2 */
    SV_GLM_LOGISTIC = 1,      /* log(1 + exp(-y z)) */
    SV_GLM_HUBER = 2,         /* (z - y)^2 / 2 up to a distance of 1, linear beyond */
    SV_GLM_SQUARED_HINGE = 3, /* max(0, 1 - y z)^2 / 2 */
    SV_GLM_POISSON = 4        /* exp(z) - y z */
};

typedef struct sv_glm_penalty {
    size_t struct_size;
    double l1, l2;            /* >= 0 */
    const double *weights;    /* p: d numbers >= 0; 0 leaves a coefficient free, infinity keeps it at 0; NULL: ones */
    const double *low, *high; /* d numbers each, low <= 0 <= high, infinite where there is no bound; NULL: none */
} sv_glm_penalty;
#define SV_GLM_PENALTY_INIT {sizeof(sv_glm_penalty), 0.0, 0.0, NULL, NULL, NULL}

typedef struct sv_glm_options {
    size_t struct_size;
    double tol;        /* success is gap <= tol times the objective at w = 0 */
    const double *x0;  /* d coefficients to start from, or NULL: zeros; and the intercept; not used where zeros are
                          better */
    double intercept0;
    int64_t first;     /* columns that join the working set at first; 0: 128, of losses other than squares 12 */
    int screening;     /* whether columns that the gap proves to be zero are dropped */
} sv_glm_options;
#define SV_GLM_OPTIONS_INIT {sizeof(sv_glm_options), 1e-6, NULL, 0.0, 0, 1}

/* What is known of an answer, all of it computed from the coefficients that are returned. */
typedef struct sv_glm_result {
    size_t struct_size;
    double intercept;  /* 0 without one */
    double fun;        /* the objective */
    double gap;        /* an upper bound of how far it is from its least value; where coefficients have neither penalty
                          nor two bounds, from that of coefficients up to 10^4 times as large */
    double kkt;        /* the largest violation of an optimality condition, in units of the gradient */
} sv_glm_result;
#define SV_GLM_RESULT_INIT {sizeof(sv_glm_result), 0.0, 0.0, 0.0, 0.0}

/* Checked samples, ready for fits at many penalties. X is not copied where it is read in place, and must then live as
 * long as this; y and sample_weight (n numbers >= 0; NULL: ones) are copied. */
typedef struct sv_glm sv_glm;
SV_API int sv_glm_create(sv_glm **glm, const sv_design *X, const double *y, const double *sample_weight, int loss,
                         int fit_intercept);
SV_API void sv_glm_destroy(sv_glm *glm);

/* coef: d coefficients, written; result and report may be NULL. The callback's x is the coefficients. Where a plane
 * separates the labels and nothing is penalised no coefficients are the best: SV_DIVERGED, and those reached. */
SV_API int sv_glm_solve(sv_glm *glm, const sv_glm_penalty *penalty, const sv_glm_options *options,
                        const sv_control *control, double *coef, sv_glm_result *result, sv_report *report);

/* Fits at several strengths of the penalty: its l1 and l2 times each of the `count` numbers lams >= 0. They run from the
 * largest strength to the smallest, whatever their order: each starts from the answer before, with the columns that the
 * sequential strong rule keeps, as solvers.learning.glm_path does; options->x0 must be NULL. The limits of control hold
 * for each fit; a callback that stops ends the path, whose rest is then as its last fit. coefs: count rows of d;
 * intercepts, gaps and statuses: count each, or NULL. Returns the status of the first fit, in that order, that did not
 * succeed, else SV_CONVERGED. */
SV_API int sv_glm_path(sv_glm *glm, const sv_glm_penalty *penalty, const double *lams, size_t count,
                       const sv_glm_options *options, const sv_control *control, double *coefs, double *intercepts,
                       double *gaps, int *statuses);

/* All in one call. */
SV_API int sv_glm_fit(const sv_design *X, const double *y, const double *sample_weight, int loss, int fit_intercept,
                      const sv_glm_penalty *penalty, const sv_glm_options *options, const sv_control *control,
                      double *coef, sv_glm_result *result, sv_report *report);

/* ---- equilibrium: matrix games and linear programs ------------------------------------------ */

/*     min over x in the simplex of n,  max over y in the simplex of m,  of  y'A x + linear_x'x + linear_y'y
 *
 * solvers.equilibrium.matrix_game(A, method=..., polish=False) in Python, to the same bits. What Python does without
 * polish=False needs dense factorisations of LAPACK and is not here: games where a player has few strategies are solved
 * by a simplex method there, larger ones are finished by it, both down to rounding. Here the gap falls step by step: quickly
 * to 1e-6 of the size of A, and on degenerate games slowly below that. */
typedef struct sv_game_data {
    size_t struct_size;
    size_t m, n;      /* strategies of the player who maximises (rows), and of the one who minimises */
    const double *A;  /* entry i, j at A[i * row_stride + j * column_stride] */
    ptrdiff_t row_stride, column_stride;
    const double *linear_x, *linear_y; /* n and m numbers, or NULL: none */
} sv_game_data;
#define SV_GAME_DATA_INIT {sizeof(sv_game_data), 0, 0, NULL, 0, 1, NULL, NULL}

enum sv_game_method {
    SV_GAME_PDHG = 0,    /* "game-pdhg": restarted reflected Halpern PDHG, on floats as long as that cannot be seen */
    SV_GAME_RM_PLUS = 1, /* "rm-plus": regret matching+ */
    SV_GAME_PRM_PLUS = 2 /* "prm-plus": its predictive form; a good first 1e-3 */
};

typedef struct sv_game_options {
    size_t struct_size;
    double tol;            /* of the gap, in the units of A */
    int method;            /* enum sv_game_method */
    const double *x0, *y0; /* strategies of n and of m numbers to start at, both or NULL */
} sv_game_options;
#define SV_GAME_OPTIONS_INIT {sizeof(sv_game_options), 1e-6, SV_GAME_PDHG, NULL, NULL}

/* Computed from the strategies that are returned and A as given: the value of the game lies within low..high. */
typedef struct sv_game_result {
    size_t struct_size;
    double value;     /* the middle of the bounds */
    double low, high; /* what y guarantees, and what x does */
    double gap;       /* their distance */
} sv_game_result;
#define SV_GAME_RESULT_INIT {sizeof(sv_game_result), 0.0, 0.0, 0.0, 0.0}

/* Writes the strategies x (n) and y (m). Two copies of A are made, in floats, and where they are wanted in doubles, too.
 * Limits are looked at every 16 iterations; with a callback at each, and its x is the best x so far and then the best y. */
SV_API int sv_matrix_game(const sv_game_data *game, const sv_game_options *options, const sv_control *control, double *x,
                          double *y, sv_game_result *result, sv_report *report);

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
    const double *l, *u;               /* m each; infinite, or at least 1e20, where there is no side; NULL: none there */
    const double *lb, *ub;             /* n each; infinite, or at least 1e20, for no bound; NULL: 0, and infinity */
} sv_lp_program;
#define SV_LP_PROGRAM_INIT {sizeof(sv_lp_program), 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}

typedef struct sv_lp_options {
    size_t struct_size;
    double tol;            /* of the largest of three: what violates the rows, relative to 1 + the 2-norm of the sides
                              (of rows that have entries), the reduced costs that no bound takes, to 1 + that of c, and the relative gap */
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
