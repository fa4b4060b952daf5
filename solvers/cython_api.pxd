# All of solvers.h: cimport solvers.cython_api as sv. Compile with -I of solvers.get_include(), and link with
# the library of solvers.get_library_dir(). Derived from the header by _ext/install/derive.py: do not edit.
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "solvers.h" nogil:
    const int SV_ABI_VERSION
    const double SV_OMEGA_DEFAULT
    const double SV_OMEGA_YOUNG
    const double SV_OMEGA_ADAPTIVE

    enum sv_status:
        SV_CONVERGED
        SV_CALLBACK_STOP
        SV_MAX_ITER
        SV_MAX_EVAL
        SV_TIME_LIMIT
        SV_STAGNATION
        SV_DIVERGED
        SV_NOT_SPD
        SV_BREAKDOWN
        SV_NONFINITE
        SV_INFEASIBLE
        SV_UNBOUNDED
        SV_NOT_CERTIFIED
        SV_LOCALLY_INFEASIBLE
        SV_OK
        SV_INVALID
        SV_NO_MEMORY
        SV_STRUCT_SIZE
        SV_BUSY

    enum sv_end:
        SV_DIRICHLET
        SV_NEUMANN
        SV_PERIODIC

    enum sv_unknowns:
        SV_NODES
        SV_CELLS

    enum sv_ordering:
        SV_ORDERING_DEFAULT
        SV_ORDERING_NATURAL
        SV_ORDERING_WAVEFRONT
        SV_ORDERING_MULTICOLOR
        SV_ORDERING_REDBLACK
        SV_ORDERING_AUTO
        SV_ORDERING_BLOCKS

    enum sv_linear_method:
        SV_SSOR_CG
        SV_CG
        SV_CHEBYSHEV
        SV_SOR
        SV_GAUSS_SEIDEL
        SV_JACOBI

    enum sv_linear_preconditioner:
        SV_NO_PRECONDITIONER
        SV_BY_DIAGONAL
        SV_BY_SSOR
        SV_BY_IC0

    enum sv_sweep_direction:
        SV_FORWARD_SWEEP
        SV_BACKWARD_SWEEP
        SV_SYMMETRIC_SWEEP

    enum sv_cg_need:
        SV_CG_DONE
        SV_NEED_PRODUCT
        SV_NEED_PRECONDITIONER
        SV_NEED_SUMS

    enum sv_nullspace:
        SV_NULLSPACE_NONE
        SV_NULLSPACE_CONSTANT
        SV_NULLSPACE_COMPONENTS

    enum sv_cycle:
        SV_CYCLE_V
        SV_CYCLE_W

    enum sv_ot_norm:
        SV_OT_L1
        SV_OT_L2
        SV_OT_LINF

    enum sv_ot_method:
        SV_OT_NEWTON

    enum sv_ot_metric:
        SV_OT_SQEUCLIDEAN
        SV_OT_EUCLIDEAN
        SV_OT_CITYBLOCK
        SV_OT_CHEBYSHEV
        SV_OT_COSINE
        SV_OT_MINKOWSKI

    enum sv_glm_loss:
        SV_GLM_SQUARED
        SV_GLM_LOGISTIC
        SV_GLM_HUBER
        SV_GLM_SQUARED_HINGE
        SV_GLM_POISSON

    enum sv_game_method:
        SV_GAME_PDHG
        SV_GAME_RM_PLUS
        SV_GAME_PRM_PLUS

    ctypedef struct sv_progress:
        size_t struct_size
        int64_t nit
        double measure
        double seconds
        const double *x
        size_t x_size

    ctypedef int (*sv_callback)(void *user, const sv_progress *progress) noexcept

    ctypedef struct sv_control:
        size_t struct_size
        int64_t max_iter
        double time_limit
        int threads
        sv_callback callback
        void *user
    const sv_control SV_CONTROL_INIT "((sv_control)SV_CONTROL_INIT)"

    ctypedef struct sv_report:
        size_t struct_size
        int status
        int64_t nit
        double measure
        double seconds
    const sv_report SV_REPORT_INIT "((sv_report)SV_REPORT_INIT)"

    ctypedef struct sv_grid:
        size_t struct_size
        int axes
        size_t shape[3]
        double spacing[3]
        int ends[3][2]
        int unknowns
        int obstacle
        double coefficient
        const double *cells
        const double *faces[3]
        double mass
        const double *masses
        const uint8_t *mask
    const sv_grid SV_GRID_INIT "((sv_grid)SV_GRID_INIT)"

    ctypedef struct sv_linear_options:
        size_t struct_size
        int method
        int ordering
        double rtol
        double atol
        double omega
        int direction
        int check_every
        int preconditioner
        int assume_symmetric
        double low
        double high
    const sv_linear_options SV_LINEAR_OPTIONS_INIT "((sv_linear_options)SV_LINEAR_OPTIONS_INIT)"

    ctypedef struct sv_linear:
        pass

    ctypedef struct sv_cg_request:
        size_t struct_size
        const double *from_
        double *to
        double *sums
        int count
        const double *x[3]
        const double *y[3]
    const sv_cg_request SV_CG_REQUEST_INIT "((sv_cg_request)SV_CG_REQUEST_INIT)"

    ctypedef struct sv_cg_options:
        size_t struct_size
        double rtol
        double atol
        int preconditioned
        size_t size
    const sv_cg_options SV_CG_OPTIONS_INIT "((sv_cg_options)SV_CG_OPTIONS_INIT)"

    ctypedef struct sv_cg:
        pass

    ctypedef int (*sv_mapping)(void *user, const double *x, double *y) noexcept

    ctypedef int (*sv_summing)(void *user, int count, const double *const *x, const double *const *y, double *sums) noexcept

    ctypedef struct sv_multilevel:
        pass

    ctypedef struct sv_multilevel_options:
        size_t struct_size
        int nullspace
        int cycle
        int line
        int double_precision
        int threads
    const sv_multilevel_options SV_MULTILEVEL_OPTIONS_INIT "((sv_multilevel_options)SV_MULTILEVEL_OPTIONS_INIT)"

    ctypedef struct sv_omega_tuner:
        pass

    ctypedef struct sv_omega_options:
        size_t struct_size
        size_t count
        double low
        double high
        const double *omegas
        const char *learner
        const double *context
        const char *drift
        double cost_floor
        const char *key
        uint64_t seed
        const uint32_t *seed_words
        size_t option_count
        const char *const *option_names
        const double *option_values
    const sv_omega_options SV_OMEGA_OPTIONS_INIT "((sv_omega_options)SV_OMEGA_OPTIONS_INIT)"

    ctypedef struct sv_ot_options:
        size_t struct_size
        double tol
        int norm
        int certify
        int method
        int stage_sweeps
        double decay
        double stage_tol
        const double *f0
        const double *g0
    const sv_ot_options SV_OT_OPTIONS_INIT "((sv_ot_options)SV_OT_OPTIONS_INIT)"

    ctypedef struct sv_ot_result:
        size_t struct_size
        double value
        double value_linear
        double value_entropy
        double value_dual
        double marginal_error
        double gap
        double lp_lower
        double lp_upper
        int64_t sinkhorn
        int64_t newton
        int64_t cg
        int64_t scalings
        int64_t passes
    const sv_ot_result SV_OT_RESULT_INIT "((sv_ot_result)SV_OT_RESULT_INIT)"

    ctypedef struct sv_ot_plan:
        pass

    ctypedef struct sv_design:
        size_t struct_size
        size_t n
        size_t d
        const double *X
        ptrdiff_t row_stride
        ptrdiff_t column_stride
        const int32_t *starts
        const int32_t *index
        const double *value
    const sv_design SV_DESIGN_INIT "((sv_design)SV_DESIGN_INIT)"

    ctypedef struct sv_glm_penalty:
        size_t struct_size
        double l1
        double l2
        const double *weights
        const double *low
        const double *high
    const sv_glm_penalty SV_GLM_PENALTY_INIT "((sv_glm_penalty)SV_GLM_PENALTY_INIT)"

    ctypedef struct sv_glm_options:
        size_t struct_size
        double tol
        const double *x0
        double intercept0
        int64_t first
        int screening
    const sv_glm_options SV_GLM_OPTIONS_INIT "((sv_glm_options)SV_GLM_OPTIONS_INIT)"

    ctypedef struct sv_glm_result:
        size_t struct_size
        double intercept
        double fun
        double gap
        double kkt
    const sv_glm_result SV_GLM_RESULT_INIT "((sv_glm_result)SV_GLM_RESULT_INIT)"

    ctypedef struct sv_glm:
        pass

    ctypedef struct sv_game_data:
        size_t struct_size
        size_t m
        size_t n
        const double *A
        ptrdiff_t row_stride
        ptrdiff_t column_stride
        const double *linear_x
        const double *linear_y
    const sv_game_data SV_GAME_DATA_INIT "((sv_game_data)SV_GAME_DATA_INIT)"

    ctypedef struct sv_game_options:
        size_t struct_size
        double tol
        int method
        const double *x0
        const double *y0
    const sv_game_options SV_GAME_OPTIONS_INIT "((sv_game_options)SV_GAME_OPTIONS_INIT)"

    ctypedef struct sv_game_result:
        size_t struct_size
        double value
        double low
        double high
        double gap
    const sv_game_result SV_GAME_RESULT_INIT "((sv_game_result)SV_GAME_RESULT_INIT)"

    ctypedef struct sv_lp_program:
        size_t struct_size
        size_t m
        size_t n
        const int32_t *starts
        const int32_t *index
        const int64_t *starts64
        const int64_t *index64
        const double *value
        const double *c
        const double *l
        const double *u
        const double *lb
        const double *ub
    const sv_lp_program SV_LP_PROGRAM_INIT "((sv_lp_program)SV_LP_PROGRAM_INIT)"

    ctypedef struct sv_lp_options:
        size_t struct_size
        double tol
        const double *x0
        const double *y0
        int64_t block
    const sv_lp_options SV_LP_OPTIONS_INIT "((sv_lp_options)SV_LP_OPTIONS_INIT)"

    ctypedef struct sv_lp_result:
        size_t struct_size
        double fun
        double dual_fun
        double gap
        double primal_residual
        double dual_residual
        int64_t iterations
        int64_t restarts
    const sv_lp_result SV_LP_RESULT_INIT "((sv_lp_result)SV_LP_RESULT_INIT)"

    const char *sv_version_string()
    int sv_abi_version()
    const char *sv_isa()
    const char *sv_isa_available()
    const char *sv_sanitizer()
    int sv_get_num_threads()
    void sv_set_num_threads(int threads)
    const char *sv_status_string(int status)
    const char *sv_last_error()
    int sv_softmax_f32(const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride, size_t rows, size_t length,
            int threads)
    int sv_softmax_f64(const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride, size_t rows,
            size_t length, int threads)
    int sv_log_softmax_f32(const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride, size_t rows,
            size_t length, int threads)
    int sv_log_softmax_f64(const double *x, ptrdiff_t x_stride, double *y, ptrdiff_t y_stride, size_t rows,
            size_t length, int threads)
    int sv_logsumexp_f32(const float *x, ptrdiff_t x_stride, const float *b, ptrdiff_t b_stride, float *out,
            float *sign, size_t rows, size_t length, int threads)
    int sv_logsumexp_f64(const double *x, ptrdiff_t x_stride, const double *b, ptrdiff_t b_stride, double *out,
            double *sign, size_t rows, size_t length, int threads)
    int sv_linear_from_csr_i32(size_t n, size_t entries, const int32_t *row_starts, const int32_t *columns,
            const double *values, sv_linear **made)
    int sv_linear_from_csr_i64(size_t n, size_t entries, const int64_t *row_starts, const int64_t *columns,
            const double *values, sv_linear **made)
    int sv_linear_from_grid(const sv_grid *grid, sv_linear **made)
    void sv_linear_destroy(sv_linear *A)
    int sv_linear_update(sv_linear *A, const double *values)
    int sv_linear_update_grid(sv_linear *A, const sv_grid *grid)
    size_t sv_linear_size(const sv_linear *A)
    int sv_linear_multiply(sv_linear *A, const double *x, double *out, int threads)
    int sv_linear_residual(sv_linear *A, const double *b, const double *x, double *r, double *norm, int threads)
    int sv_linear_solve(sv_linear *A, const double *b, double *x, const sv_linear_options *options,
            const sv_control *control, sv_report *report)
    double sv_linear_omega(const sv_linear *A)
    int sv_linear_sweep(sv_linear *A, int ordering, int direction, double omega, int sweeps, const double *b,
            double *x, int threads)
    int sv_linear_precondition(sv_linear *A, int ordering, double omega, int sweeps, const double *r, double *z,
            int threads)
    int sv_cg_create(size_t n, const double *b, const double *x, const sv_cg_options *options,
            const sv_control *control, sv_cg **made)
    int sv_cg_step(sv_cg *cg, sv_cg_request *request)
    int sv_cg_answer(sv_cg *cg, double *x, sv_report *report)
    void sv_cg_destroy(sv_cg *cg)
    int sv_cg_solve(size_t n, const double *b, double *x, sv_mapping product, sv_mapping precondition,
            sv_summing reduce, void *user, const sv_cg_options *options, const sv_control *control,
            sv_report *report)
    int sv_multilevel_create(sv_multilevel **M, const sv_grid *grid, const sv_multilevel_options *options)
    void sv_multilevel_destroy(sv_multilevel *M)
    int sv_multilevel_update(sv_multilevel *M, const sv_grid *grid)
    int sv_multilevel_apply(sv_multilevel *M, const double *r, double *z)
    int sv_multilevel_solve(sv_multilevel *M, const double *b, double *x, double rtol, double atol,
            const sv_control *control, sv_report *report)
    size_t sv_multilevel_size(const sv_multilevel *M)
    int sv_multilevel_levels(const sv_multilevel *M)
    size_t sv_multilevel_components(const sv_multilevel *M)
    int sv_multilevel_shape(const sv_multilevel *M, int level, size_t shape[3])
    int sv_omega_tuner_create(sv_omega_tuner **tuner, const sv_omega_options *options)
    void sv_omega_tuner_destroy(sv_omega_tuner *tuner)
    int sv_omega_tuner_ask(sv_omega_tuner *tuner, double context, double *omega, int64_t *id)
    int sv_omega_tuner_tell(sv_omega_tuner *tuner, int64_t id, double cost)
    int sv_omega_tuner_pending(sv_omega_tuner *tuner, size_t room, int64_t *ids, double *omegas, size_t *count)
    size_t sv_omega_tuner_count(const sv_omega_tuner *tuner)
    int sv_omega_tuner_omegas(const sv_omega_tuner *tuner, double *omegas)
    int sv_omega_tuner_probabilities(sv_omega_tuner *tuner, double context, double *probabilities)
    int sv_omega_tuner_best(sv_omega_tuner *tuner, double context, double *omega)
    int sv_omega_tuner_told(sv_omega_tuner *tuner, int64_t *counts, double *costs)
    int sv_omega_tuner_save(sv_omega_tuner *tuner, char *text, size_t room, size_t *length)
    int sv_omega_tuner_load(sv_omega_tuner *tuner, const char *text, size_t length)
    int sv_omega_grid(size_t count, double low, double high, double *omegas)
    int sv_ot_solve(size_t n, size_t m, const double *C, ptrdiff_t stride, const double *a, const double *b,
            double reg, const sv_ot_options *options, const sv_control *control, double *f, double *g,
            sv_ot_result *result, sv_report *report, sv_ot_plan **plan)
    int sv_ot_solve_f32(size_t n, size_t m, const float *C, ptrdiff_t stride, const double *a, const double *b,
            double reg, const sv_ot_options *options, const sv_control *control, double *f, double *g,
            sv_ot_result *result, sv_report *report, sv_ot_plan **plan)
    int sv_ot_solve_sample(size_t n, size_t m, size_t d, const double *X, ptrdiff_t X_stride, const double *Y,
            ptrdiff_t Y_stride, int metric, double p, const double *a, const double *b, double reg,
            const sv_ot_options *options, const sv_control *control, double *f, double *g, sv_ot_result *result,
            sv_report *report, sv_ot_plan **plan)
    int sv_ot_plan_dense(sv_ot_plan *plan, double *P, ptrdiff_t stride, int threads)
    int sv_ot_plan_matvec(sv_ot_plan *plan, const double *x, double *out, int threads)
    int sv_ot_plan_rmatvec(sv_ot_plan *plan, const double *x, double *out, int threads)
    int sv_ot_plan_argmax(sv_ot_plan *plan, ptrdiff_t *best, int threads)
    void sv_ot_plan_destroy(sv_ot_plan *plan)
    int sv_glm_create(sv_glm **glm, const sv_design *X, const double *y, const double *sample_weight, int loss,
            int fit_intercept)
    void sv_glm_destroy(sv_glm *glm)
    int sv_glm_solve(sv_glm *glm, const sv_glm_penalty *penalty, const sv_glm_options *options,
            const sv_control *control, double *coef, sv_glm_result *result, sv_report *report)
    int sv_glm_path(sv_glm *glm, const sv_glm_penalty *penalty, const double *lams, size_t count,
            const sv_glm_options *options, const sv_control *control, double *coefs, double *intercepts,
            double *gaps, int *statuses)
    int sv_glm_fit(const sv_design *X, const double *y, const double *sample_weight, int loss, int fit_intercept,
            const sv_glm_penalty *penalty, const sv_glm_options *options, const sv_control *control, double *coef,
            sv_glm_result *result, sv_report *report)
    int sv_matrix_game(const sv_game_data *game, const sv_game_options *options, const sv_control *control,
            double *x, double *y, sv_game_result *result, sv_report *report)
    int sv_lp_solve(const sv_lp_program *program, const sv_lp_options *options, const sv_control *control,
            double *x, double *y, double *reduced_costs, double *ray, sv_lp_result *result, sv_report *report)
