! solvers.h for Fortran 2018. Compile this file with the program, then `use solvers` there.
!
! Arrays and structures that may be NULL in C are optional here. A structure's fields begin with their defaults.
! A handle is a type(c_ptr). sv_error_text() gives the words of sv_last_error() and sv_status_text(status) those of
! sv_status_string(). Derived from the header by _ext/install/derive.py: do not edit.
module solvers
    use, intrinsic :: iso_c_binding
    implicit none
    public

    real(c_double), parameter :: SV_OMEGA_DEFAULT = 0.0_c_double
    real(c_double), parameter :: SV_OMEGA_YOUNG = -1.0_c_double
    real(c_double), parameter :: SV_OMEGA_ADAPTIVE = -2.0_c_double

    integer(c_int), parameter :: SV_CONVERGED = 0
    integer(c_int), parameter :: SV_CALLBACK_STOP = 2
    integer(c_int), parameter :: SV_MAX_ITER = 10
    integer(c_int), parameter :: SV_MAX_EVAL = 11
    integer(c_int), parameter :: SV_TIME_LIMIT = 12
    integer(c_int), parameter :: SV_STAGNATION = 13
    integer(c_int), parameter :: SV_DIVERGED = 14
    integer(c_int), parameter :: SV_NOT_SPD = 20
    integer(c_int), parameter :: SV_BREAKDOWN = 21
    integer(c_int), parameter :: SV_NONFINITE = 22
    integer(c_int), parameter :: SV_INFEASIBLE = 23
    integer(c_int), parameter :: SV_UNBOUNDED = 24
    integer(c_int), parameter :: SV_NOT_CERTIFIED = 26
    integer(c_int), parameter :: SV_LOCALLY_INFEASIBLE = 27
    integer(c_int), parameter :: SV_OK = 0
    integer(c_int), parameter :: SV_INVALID = -1
    integer(c_int), parameter :: SV_NO_MEMORY = -2
    integer(c_int), parameter :: SV_STRUCT_SIZE = -3
    integer(c_int), parameter :: SV_BUSY = -4

    integer(c_int), parameter :: SV_DIRICHLET = 0
    integer(c_int), parameter :: SV_NEUMANN = 1
    integer(c_int), parameter :: SV_PERIODIC = 2

    integer(c_int), parameter :: SV_NODES = 0
    integer(c_int), parameter :: SV_CELLS = 1

    integer(c_int), parameter :: SV_ORDERING_DEFAULT = 0
    integer(c_int), parameter :: SV_ORDERING_NATURAL = 1
    integer(c_int), parameter :: SV_ORDERING_WAVEFRONT = 2
    integer(c_int), parameter :: SV_ORDERING_MULTICOLOR = 3
    integer(c_int), parameter :: SV_ORDERING_REDBLACK = 4
    integer(c_int), parameter :: SV_ORDERING_AUTO = 5
    integer(c_int), parameter :: SV_ORDERING_BLOCKS = 6

    integer(c_int), parameter :: SV_SSOR_CG = 0
    integer(c_int), parameter :: SV_CG = 1
    integer(c_int), parameter :: SV_CHEBYSHEV = 2
    integer(c_int), parameter :: SV_SOR = 3
    integer(c_int), parameter :: SV_GAUSS_SEIDEL = 4
    integer(c_int), parameter :: SV_JACOBI = 5

    integer(c_int), parameter :: SV_NO_PRECONDITIONER = 0
    integer(c_int), parameter :: SV_BY_DIAGONAL = 1
    integer(c_int), parameter :: SV_BY_SSOR = 2
    integer(c_int), parameter :: SV_BY_IC0 = 3

    integer(c_int), parameter :: SV_FORWARD_SWEEP = 0
    integer(c_int), parameter :: SV_BACKWARD_SWEEP = 1
    integer(c_int), parameter :: SV_SYMMETRIC_SWEEP = 2

    integer(c_int), parameter :: SV_CG_DONE = 0
    integer(c_int), parameter :: SV_NEED_PRODUCT = 1
    integer(c_int), parameter :: SV_NEED_PRECONDITIONER = 2
    integer(c_int), parameter :: SV_NEED_SUMS = 3

    integer(c_int), parameter :: SV_NULLSPACE_NONE = 0
    integer(c_int), parameter :: SV_NULLSPACE_CONSTANT = 1
    integer(c_int), parameter :: SV_NULLSPACE_COMPONENTS = 2

    integer(c_int), parameter :: SV_CYCLE_V = 0
    integer(c_int), parameter :: SV_CYCLE_W = 1

    integer(c_int), parameter :: SV_OT_L1 = 0
    integer(c_int), parameter :: SV_OT_L2 = 1
    integer(c_int), parameter :: SV_OT_LINF = 2

    integer(c_int), parameter :: SV_OT_NEWTON = 0

    integer(c_int), parameter :: SV_OT_SQEUCLIDEAN = 0
    integer(c_int), parameter :: SV_OT_EUCLIDEAN = 1
    integer(c_int), parameter :: SV_OT_CITYBLOCK = 2
    integer(c_int), parameter :: SV_OT_CHEBYSHEV = 3
    integer(c_int), parameter :: SV_OT_COSINE = 4
    integer(c_int), parameter :: SV_OT_MINKOWSKI = 5

    integer(c_int), parameter :: SV_GLM_SQUARED = 0
    integer(c_int), parameter :: SV_GLM_LOGISTIC = 1
    integer(c_int), parameter :: SV_GLM_HUBER = 2
    integer(c_int), parameter :: SV_GLM_SQUARED_HINGE = 3
    integer(c_int), parameter :: SV_GLM_POISSON = 4

    integer(c_int), parameter :: SV_GAME_PDHG = 0
    integer(c_int), parameter :: SV_GAME_RM_PLUS = 1
    integer(c_int), parameter :: SV_GAME_PRM_PLUS = 2

    type, bind(c) :: sv_progress
        integer(c_size_t) :: struct_size
        integer(c_int64_t) :: nit
        real(c_double) :: measure
        real(c_double) :: seconds
        type(c_ptr) :: x
        integer(c_size_t) :: x_size
    end type

    type, bind(c) :: sv_control
        integer(c_size_t) :: struct_size = 48
        integer(c_int64_t) :: max_iter = -1
        real(c_double) :: time_limit = -1.0_c_double
        integer(c_int) :: threads = 0
        type(c_funptr) :: callback = c_null_funptr
        type(c_ptr) :: user = c_null_ptr
    end type

    type, bind(c) :: sv_report
        integer(c_size_t) :: struct_size = 40
        integer(c_int) :: status = 0
        integer(c_int64_t) :: nit = 0
        real(c_double) :: measure = 0.0_c_double
        real(c_double) :: seconds = 0.0_c_double
    end type

    type, bind(c) :: sv_grid
        integer(c_size_t) :: struct_size = 160
        integer(c_int) :: axes = 0
        integer(c_size_t) :: shape(3) = 1
        real(c_double) :: spacing(3) = 1.0_c_double
        integer(c_int) :: ends(2, 3) = 0
        integer(c_int) :: unknowns = SV_NODES
        integer(c_int) :: obstacle = SV_NEUMANN
        real(c_double) :: coefficient = 1.0_c_double
        type(c_ptr) :: cells = c_null_ptr
        type(c_ptr) :: faces(3) = c_null_ptr
        real(c_double) :: mass = 0.0_c_double
        type(c_ptr) :: masses = c_null_ptr
        type(c_ptr) :: mask = c_null_ptr
    end type

    type, bind(c) :: sv_linear_options
        integer(c_size_t) :: struct_size = 72
        integer(c_int) :: method = SV_SSOR_CG
        integer(c_int) :: ordering = SV_ORDERING_DEFAULT
        real(c_double) :: rtol = 1e-8_c_double
        real(c_double) :: atol = 0.0_c_double
        real(c_double) :: omega = SV_OMEGA_DEFAULT
        integer(c_int) :: direction = SV_FORWARD_SWEEP
        integer(c_int) :: check_every = 1
        integer(c_int) :: preconditioner = SV_NO_PRECONDITIONER
        integer(c_int) :: assume_symmetric = 0
        real(c_double) :: low = -1.0_c_double
        real(c_double) :: high = -1.0_c_double
    end type

    type, bind(c) :: sv_cg_request
        integer(c_size_t) :: struct_size = 88
        type(c_ptr) :: from = c_null_ptr
        type(c_ptr) :: to = c_null_ptr
        type(c_ptr) :: sums = c_null_ptr
        integer(c_int) :: count = 0
        type(c_ptr) :: x(3) = c_null_ptr
        type(c_ptr) :: y(3) = c_null_ptr
    end type

    type, bind(c) :: sv_cg_options
        integer(c_size_t) :: struct_size = 40
        real(c_double) :: rtol = 1e-8_c_double
        real(c_double) :: atol = 0.0_c_double
        integer(c_int) :: preconditioned = 0
        integer(c_size_t) :: size = 0
    end type

    type, bind(c) :: sv_multilevel_options
        integer(c_size_t) :: struct_size = 32
        integer(c_int) :: nullspace = SV_NULLSPACE_NONE
        integer(c_int) :: cycle = SV_CYCLE_V
        integer(c_int) :: line = -1
        integer(c_int) :: double_precision = 0
        integer(c_int) :: threads = 0
    end type

    type, bind(c) :: sv_omega_options
        integer(c_size_t) :: struct_size = 120
        integer(c_size_t) :: count = 20
        real(c_double) :: low = 1.0_c_double
        real(c_double) :: high = 1.98_c_double
        type(c_ptr) :: omegas = c_null_ptr
        type(c_ptr) :: learner = c_null_ptr
        type(c_ptr) :: context = c_null_ptr
        type(c_ptr) :: drift = c_null_ptr
        real(c_double) :: cost_floor = 1.0_c_double
        type(c_ptr) :: key = c_null_ptr
        integer(c_int64_t) :: seed = 0
        type(c_ptr) :: seed_words = c_null_ptr
        integer(c_size_t) :: option_count = 0
        type(c_ptr) :: option_names = c_null_ptr
        type(c_ptr) :: option_values = c_null_ptr
    end type

    type, bind(c) :: sv_ot_options
        integer(c_size_t) :: struct_size = 64
        real(c_double) :: tol = 1e-9_c_double
        integer(c_int) :: norm = SV_OT_L1
        integer(c_int) :: certify = 1
        integer(c_int) :: method = SV_OT_NEWTON
        integer(c_int) :: stage_sweeps = 2
        real(c_double) :: decay = 4.0_c_double
        real(c_double) :: stage_tol = 0.03_c_double
        type(c_ptr) :: f0 = c_null_ptr
        type(c_ptr) :: g0 = c_null_ptr
    end type

    type, bind(c) :: sv_ot_result
        integer(c_size_t) :: struct_size = 112
        real(c_double) :: value = 0.0_c_double
        real(c_double) :: value_linear = 0.0_c_double
        real(c_double) :: value_entropy = 0.0_c_double
        real(c_double) :: value_dual = 0.0_c_double
        real(c_double) :: marginal_error = 0.0_c_double
        real(c_double) :: gap = 0.0_c_double
        real(c_double) :: lp_lower = 0.0_c_double
        real(c_double) :: lp_upper = 0.0_c_double
        integer(c_int64_t) :: sinkhorn = 0
        integer(c_int64_t) :: newton = 0
        integer(c_int64_t) :: cg = 0
        integer(c_int64_t) :: scalings = 0
        integer(c_int64_t) :: passes = 0
    end type

    type, bind(c) :: sv_design
        integer(c_size_t) :: struct_size = 72
        integer(c_size_t) :: n = 0
        integer(c_size_t) :: d = 0
        type(c_ptr) :: X = c_null_ptr
        integer(c_ptrdiff_t) :: row_stride = 0
        integer(c_ptrdiff_t) :: column_stride = 0
        type(c_ptr) :: starts = c_null_ptr
        type(c_ptr) :: index = c_null_ptr
        type(c_ptr) :: value = c_null_ptr
    end type

    type, bind(c) :: sv_glm_penalty
        integer(c_size_t) :: struct_size = 48
        real(c_double) :: l1 = 0.0_c_double
        real(c_double) :: l2 = 0.0_c_double
        type(c_ptr) :: weights = c_null_ptr
        type(c_ptr) :: low = c_null_ptr
        type(c_ptr) :: high = c_null_ptr
    end type

    type, bind(c) :: sv_glm_options
        integer(c_size_t) :: struct_size = 48
        real(c_double) :: tol = 1e-6_c_double
        type(c_ptr) :: x0 = c_null_ptr
        real(c_double) :: intercept0 = 0.0_c_double
        integer(c_int64_t) :: first = 0
        integer(c_int) :: screening = 1
    end type

    type, bind(c) :: sv_glm_result
        integer(c_size_t) :: struct_size = 40
        real(c_double) :: intercept = 0.0_c_double
        real(c_double) :: fun = 0.0_c_double
        real(c_double) :: gap = 0.0_c_double
        real(c_double) :: kkt = 0.0_c_double
    end type

    type, bind(c) :: sv_game_data
        integer(c_size_t) :: struct_size = 64
        integer(c_size_t) :: m = 0
        integer(c_size_t) :: n = 0
        type(c_ptr) :: A = c_null_ptr
        integer(c_ptrdiff_t) :: row_stride = 0
        integer(c_ptrdiff_t) :: column_stride = 1
        type(c_ptr) :: linear_x = c_null_ptr
        type(c_ptr) :: linear_y = c_null_ptr
    end type

    type, bind(c) :: sv_game_options
        integer(c_size_t) :: struct_size = 40
        real(c_double) :: tol = 1e-6_c_double
        integer(c_int) :: method = SV_GAME_PDHG
        type(c_ptr) :: x0 = c_null_ptr
        type(c_ptr) :: y0 = c_null_ptr
    end type

    type, bind(c) :: sv_game_result
        integer(c_size_t) :: struct_size = 40
        real(c_double) :: value = 0.0_c_double
        real(c_double) :: low = 0.0_c_double
        real(c_double) :: high = 0.0_c_double
        real(c_double) :: gap = 0.0_c_double
    end type

    type, bind(c) :: sv_lp_program
        integer(c_size_t) :: struct_size = 104
        integer(c_size_t) :: m = 0
        integer(c_size_t) :: n = 0
        type(c_ptr) :: starts = c_null_ptr
        type(c_ptr) :: index = c_null_ptr
        type(c_ptr) :: starts64 = c_null_ptr
        type(c_ptr) :: index64 = c_null_ptr
        type(c_ptr) :: value = c_null_ptr
        type(c_ptr) :: c = c_null_ptr
        type(c_ptr) :: l = c_null_ptr
        type(c_ptr) :: u = c_null_ptr
        type(c_ptr) :: lb = c_null_ptr
        type(c_ptr) :: ub = c_null_ptr
    end type

    type, bind(c) :: sv_lp_options
        integer(c_size_t) :: struct_size = 40
        real(c_double) :: tol = 1e-6_c_double
        type(c_ptr) :: x0 = c_null_ptr
        type(c_ptr) :: y0 = c_null_ptr
        integer(c_int64_t) :: block = 40
    end type

    type, bind(c) :: sv_lp_result
        integer(c_size_t) :: struct_size = 64
        real(c_double) :: fun = 0.0_c_double
        real(c_double) :: dual_fun = 0.0_c_double
        real(c_double) :: gap = 0.0_c_double
        real(c_double) :: primal_residual = 0.0_c_double
        real(c_double) :: dual_residual = 0.0_c_double
        integer(c_int64_t) :: iterations = 0
        integer(c_int64_t) :: restarts = 0
    end type

    interface
        function sv_version_string() bind(c, name="sv_version_string") result(ended)
            import
            type(c_ptr) :: ended
        end function

        function sv_abi_version() bind(c, name="sv_abi_version") result(ended)
            import
            integer(c_int) :: ended
        end function

        function sv_isa() bind(c, name="sv_isa") result(ended)
            import
            type(c_ptr) :: ended
        end function

        function sv_isa_available() bind(c, name="sv_isa_available") result(ended)
            import
            type(c_ptr) :: ended
        end function

        function sv_sanitizer() bind(c, name="sv_sanitizer") result(ended)
            import
            type(c_ptr) :: ended
        end function

        function sv_get_num_threads() bind(c, name="sv_get_num_threads") result(ended)
            import
            integer(c_int) :: ended
        end function

        subroutine sv_set_num_threads(threads) bind(c, name="sv_set_num_threads")
            import
            integer(c_int), value :: threads
        end subroutine

        function sv_status_string(status) bind(c, name="sv_status_string") result(ended)
            import
            integer(c_int), value :: status
            type(c_ptr) :: ended
        end function

        function sv_last_error() bind(c, name="sv_last_error") result(ended)
            import
            type(c_ptr) :: ended
        end function

        function sv_softmax_f32(x, x_stride, y, y_stride, rows, length, threads) bind(c, name="sv_softmax_f32") &
            result(ended)
            import
            real(c_float), intent(in), optional :: x(*)
            integer(c_ptrdiff_t), value :: x_stride
            real(c_float), intent(inout), optional :: y(*)
            integer(c_ptrdiff_t), value :: y_stride
            integer(c_size_t), value :: rows
            integer(c_size_t), value :: length
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_softmax_f64(x, x_stride, y, y_stride, rows, length, threads) bind(c, name="sv_softmax_f64") &
            result(ended)
            import
            real(c_double), intent(in), optional :: x(*)
            integer(c_ptrdiff_t), value :: x_stride
            real(c_double), intent(inout), optional :: y(*)
            integer(c_ptrdiff_t), value :: y_stride
            integer(c_size_t), value :: rows
            integer(c_size_t), value :: length
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_log_softmax_f32(x, x_stride, y, y_stride, rows, length, &
            threads) bind(c, name="sv_log_softmax_f32") result(ended)
            import
            real(c_float), intent(in), optional :: x(*)
            integer(c_ptrdiff_t), value :: x_stride
            real(c_float), intent(inout), optional :: y(*)
            integer(c_ptrdiff_t), value :: y_stride
            integer(c_size_t), value :: rows
            integer(c_size_t), value :: length
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_log_softmax_f64(x, x_stride, y, y_stride, rows, length, &
            threads) bind(c, name="sv_log_softmax_f64") result(ended)
            import
            real(c_double), intent(in), optional :: x(*)
            integer(c_ptrdiff_t), value :: x_stride
            real(c_double), intent(inout), optional :: y(*)
            integer(c_ptrdiff_t), value :: y_stride
            integer(c_size_t), value :: rows
            integer(c_size_t), value :: length
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_logsumexp_f32(x, x_stride, b, b_stride, out, sign, rows, length, &
            threads) bind(c, name="sv_logsumexp_f32") result(ended)
            import
            real(c_float), intent(in), optional :: x(*)
            integer(c_ptrdiff_t), value :: x_stride
            real(c_float), intent(in), optional :: b(*)
            integer(c_ptrdiff_t), value :: b_stride
            real(c_float), intent(inout), optional :: out(*)
            real(c_float), intent(inout), optional :: sign(*)
            integer(c_size_t), value :: rows
            integer(c_size_t), value :: length
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_logsumexp_f64(x, x_stride, b, b_stride, out, sign, rows, length, &
            threads) bind(c, name="sv_logsumexp_f64") result(ended)
            import
            real(c_double), intent(in), optional :: x(*)
            integer(c_ptrdiff_t), value :: x_stride
            real(c_double), intent(in), optional :: b(*)
            integer(c_ptrdiff_t), value :: b_stride
            real(c_double), intent(inout), optional :: out(*)
            real(c_double), intent(inout), optional :: sign(*)
            integer(c_size_t), value :: rows
            integer(c_size_t), value :: length
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_linear_from_csr_i32(n, entries, row_starts, columns, values, &
            made) bind(c, name="sv_linear_from_csr_i32") result(ended)
            import
            integer(c_size_t), value :: n
            integer(c_size_t), value :: entries
            integer(c_int32_t), intent(in), optional :: row_starts(*)
            integer(c_int32_t), intent(in), optional :: columns(*)
            real(c_double), intent(in), optional :: values(*)
            type(c_ptr), intent(out) :: made
            integer(c_int) :: ended
        end function

        function sv_linear_from_csr_i64(n, entries, row_starts, columns, values, &
            made) bind(c, name="sv_linear_from_csr_i64") result(ended)
            import
            integer(c_size_t), value :: n
            integer(c_size_t), value :: entries
            integer(c_int64_t), intent(in), optional :: row_starts(*)
            integer(c_int64_t), intent(in), optional :: columns(*)
            real(c_double), intent(in), optional :: values(*)
            type(c_ptr), intent(out) :: made
            integer(c_int) :: ended
        end function

        function sv_linear_from_grid(grid, made) bind(c, name="sv_linear_from_grid") result(ended)
            import
            type(sv_grid), intent(in), optional :: grid
            type(c_ptr), intent(out) :: made
            integer(c_int) :: ended
        end function

        subroutine sv_linear_destroy(A) bind(c, name="sv_linear_destroy")
            import
            type(c_ptr), value :: A
        end subroutine

        function sv_linear_update(A, values) bind(c, name="sv_linear_update") result(ended)
            import
            type(c_ptr), value :: A
            real(c_double), intent(in), optional :: values(*)
            integer(c_int) :: ended
        end function

        function sv_linear_update_grid(A, grid) bind(c, name="sv_linear_update_grid") result(ended)
            import
            type(c_ptr), value :: A
            type(sv_grid), intent(in), optional :: grid
            integer(c_int) :: ended
        end function

        function sv_linear_size(A) bind(c, name="sv_linear_size") result(ended)
            import
            type(c_ptr), value :: A
            integer(c_size_t) :: ended
        end function

        function sv_linear_multiply(A, x, out, threads) bind(c, name="sv_linear_multiply") result(ended)
            import
            type(c_ptr), value :: A
            real(c_double), intent(in), optional :: x(*)
            real(c_double), intent(inout), optional :: out(*)
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_linear_residual(A, b, x, r, norm, threads) bind(c, name="sv_linear_residual") result(ended)
            import
            type(c_ptr), value :: A
            real(c_double), intent(in), optional :: b(*)
            real(c_double), intent(in), optional :: x(*)
            real(c_double), intent(inout), optional :: r(*)
            real(c_double), intent(inout), optional :: norm
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_linear_solve(A, b, x, options, control, report) bind(c, name="sv_linear_solve") result(ended)
            import
            type(c_ptr), value :: A
            real(c_double), intent(in), optional :: b(*)
            real(c_double), intent(inout), optional :: x(*)
            type(sv_linear_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            type(sv_report), intent(inout), optional :: report
            integer(c_int) :: ended
        end function

        function sv_linear_omega(A) bind(c, name="sv_linear_omega") result(ended)
            import
            type(c_ptr), value :: A
            real(c_double) :: ended
        end function

        function sv_linear_sweep(A, ordering, direction, omega, sweeps, b, x, &
            threads) bind(c, name="sv_linear_sweep") result(ended)
            import
            type(c_ptr), value :: A
            integer(c_int), value :: ordering
            integer(c_int), value :: direction
            real(c_double), value :: omega
            integer(c_int), value :: sweeps
            real(c_double), intent(in), optional :: b(*)
            real(c_double), intent(inout), optional :: x(*)
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_linear_precondition(A, ordering, omega, sweeps, r, z, &
            threads) bind(c, name="sv_linear_precondition") result(ended)
            import
            type(c_ptr), value :: A
            integer(c_int), value :: ordering
            real(c_double), value :: omega
            integer(c_int), value :: sweeps
            real(c_double), intent(in), optional :: r(*)
            real(c_double), intent(inout), optional :: z(*)
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_cg_create(n, b, x, options, control, made) bind(c, name="sv_cg_create") result(ended)
            import
            integer(c_size_t), value :: n
            real(c_double), intent(in), optional :: b(*)
            real(c_double), intent(in), optional :: x(*)
            type(sv_cg_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            type(c_ptr), intent(out) :: made
            integer(c_int) :: ended
        end function

        function sv_cg_step(cg, request) bind(c, name="sv_cg_step") result(ended)
            import
            type(c_ptr), value :: cg
            type(sv_cg_request), intent(inout), optional :: request
            integer(c_int) :: ended
        end function

        function sv_cg_answer(cg, x, report) bind(c, name="sv_cg_answer") result(ended)
            import
            type(c_ptr), value :: cg
            real(c_double), intent(inout), optional :: x(*)
            type(sv_report), intent(inout), optional :: report
            integer(c_int) :: ended
        end function

        subroutine sv_cg_destroy(cg) bind(c, name="sv_cg_destroy")
            import
            type(c_ptr), value :: cg
        end subroutine

        function sv_cg_solve(n, b, x, product, precondition, reduce, user, options, control, &
            report) bind(c, name="sv_cg_solve") result(ended)
            import
            integer(c_size_t), value :: n
            real(c_double), intent(in), optional :: b(*)
            real(c_double), intent(inout), optional :: x(*)
            type(c_funptr), value :: product
            type(c_funptr), value :: precondition
            type(c_funptr), value :: reduce
            type(c_ptr), value :: user
            type(sv_cg_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            type(sv_report), intent(inout), optional :: report
            integer(c_int) :: ended
        end function

        function sv_multilevel_create(M, grid, options) bind(c, name="sv_multilevel_create") result(ended)
            import
            type(c_ptr), intent(out) :: M
            type(sv_grid), intent(in), optional :: grid
            type(sv_multilevel_options), intent(in), optional :: options
            integer(c_int) :: ended
        end function

        subroutine sv_multilevel_destroy(M) bind(c, name="sv_multilevel_destroy")
            import
            type(c_ptr), value :: M
        end subroutine

        function sv_multilevel_update(M, grid) bind(c, name="sv_multilevel_update") result(ended)
            import
            type(c_ptr), value :: M
            type(sv_grid), intent(in), optional :: grid
            integer(c_int) :: ended
        end function

        function sv_multilevel_apply(M, r, z) bind(c, name="sv_multilevel_apply") result(ended)
            import
            type(c_ptr), value :: M
            real(c_double), intent(in), optional :: r(*)
            real(c_double), intent(inout), optional :: z(*)
            integer(c_int) :: ended
        end function

        function sv_multilevel_solve(M, b, x, rtol, atol, control, report) bind(c, name="sv_multilevel_solve") &
            result(ended)
            import
            type(c_ptr), value :: M
            real(c_double), intent(in), optional :: b(*)
            real(c_double), intent(inout), optional :: x(*)
            real(c_double), value :: rtol
            real(c_double), value :: atol
            type(sv_control), intent(in), optional :: control
            type(sv_report), intent(inout), optional :: report
            integer(c_int) :: ended
        end function

        function sv_multilevel_size(M) bind(c, name="sv_multilevel_size") result(ended)
            import
            type(c_ptr), value :: M
            integer(c_size_t) :: ended
        end function

        function sv_multilevel_levels(M) bind(c, name="sv_multilevel_levels") result(ended)
            import
            type(c_ptr), value :: M
            integer(c_int) :: ended
        end function

        function sv_multilevel_components(M) bind(c, name="sv_multilevel_components") result(ended)
            import
            type(c_ptr), value :: M
            integer(c_size_t) :: ended
        end function

        function sv_multilevel_shape(M, level, shape) bind(c, name="sv_multilevel_shape") result(ended)
            import
            type(c_ptr), value :: M
            integer(c_int), value :: level
            integer(c_size_t), intent(inout), optional :: shape(*)
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_create(tuner, options) bind(c, name="sv_omega_tuner_create") result(ended)
            import
            type(c_ptr), intent(out) :: tuner
            type(sv_omega_options), intent(in), optional :: options
            integer(c_int) :: ended
        end function

        subroutine sv_omega_tuner_destroy(tuner) bind(c, name="sv_omega_tuner_destroy")
            import
            type(c_ptr), value :: tuner
        end subroutine

        function sv_omega_tuner_ask(tuner, context, omega, id) bind(c, name="sv_omega_tuner_ask") result(ended)
            import
            type(c_ptr), value :: tuner
            real(c_double), value :: context
            real(c_double), intent(inout), optional :: omega
            integer(c_int64_t), intent(inout), optional :: id
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_tell(tuner, id, cost) bind(c, name="sv_omega_tuner_tell") result(ended)
            import
            type(c_ptr), value :: tuner
            integer(c_int64_t), value :: id
            real(c_double), value :: cost
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_pending(tuner, room, ids, omegas, count) bind(c, name="sv_omega_tuner_pending") &
            result(ended)
            import
            type(c_ptr), value :: tuner
            integer(c_size_t), value :: room
            integer(c_int64_t), intent(inout), optional :: ids(*)
            real(c_double), intent(inout), optional :: omegas(*)
            integer(c_size_t), intent(inout), optional :: count
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_count(tuner) bind(c, name="sv_omega_tuner_count") result(ended)
            import
            type(c_ptr), value :: tuner
            integer(c_size_t) :: ended
        end function

        function sv_omega_tuner_omegas(tuner, omegas) bind(c, name="sv_omega_tuner_omegas") result(ended)
            import
            type(c_ptr), value :: tuner
            real(c_double), intent(inout), optional :: omegas(*)
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_probabilities(tuner, context, &
            probabilities) bind(c, name="sv_omega_tuner_probabilities") result(ended)
            import
            type(c_ptr), value :: tuner
            real(c_double), value :: context
            real(c_double), intent(inout), optional :: probabilities(*)
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_best(tuner, context, omega) bind(c, name="sv_omega_tuner_best") result(ended)
            import
            type(c_ptr), value :: tuner
            real(c_double), value :: context
            real(c_double), intent(inout), optional :: omega
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_told(tuner, counts, costs) bind(c, name="sv_omega_tuner_told") result(ended)
            import
            type(c_ptr), value :: tuner
            integer(c_int64_t), intent(inout), optional :: counts(*)
            real(c_double), intent(inout), optional :: costs(*)
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_save(tuner, text, room, length) bind(c, name="sv_omega_tuner_save") result(ended)
            import
            type(c_ptr), value :: tuner
            character(kind=c_char), intent(inout), optional :: text(*)
            integer(c_size_t), value :: room
            integer(c_size_t), intent(inout), optional :: length
            integer(c_int) :: ended
        end function

        function sv_omega_tuner_load(tuner, text, length) bind(c, name="sv_omega_tuner_load") result(ended)
            import
            type(c_ptr), value :: tuner
            character(kind=c_char), intent(in), optional :: text(*)
            integer(c_size_t), value :: length
            integer(c_int) :: ended
        end function

        function sv_omega_grid(count, low, high, omegas) bind(c, name="sv_omega_grid") result(ended)
            import
            integer(c_size_t), value :: count
            real(c_double), value :: low
            real(c_double), value :: high
            real(c_double), intent(inout), optional :: omegas(*)
            integer(c_int) :: ended
        end function

        function sv_ot_solve(n, m, C, stride, a, b, reg, options, control, f, g, result, report, &
            plan) bind(c, name="sv_ot_solve") result(ended)
            import
            integer(c_size_t), value :: n
            integer(c_size_t), value :: m
            real(c_double), intent(in), optional :: C(*)
            integer(c_ptrdiff_t), value :: stride
            real(c_double), intent(in), optional :: a(*)
            real(c_double), intent(in), optional :: b(*)
            real(c_double), value :: reg
            type(sv_ot_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            real(c_double), intent(inout), optional :: f(*)
            real(c_double), intent(inout), optional :: g(*)
            type(sv_ot_result), intent(inout), optional :: result
            type(sv_report), intent(inout), optional :: report
            type(c_ptr), intent(out) :: plan
            integer(c_int) :: ended
        end function

        function sv_ot_solve_f32(n, m, C, stride, a, b, reg, options, control, f, g, result, report, &
            plan) bind(c, name="sv_ot_solve_f32") result(ended)
            import
            integer(c_size_t), value :: n
            integer(c_size_t), value :: m
            real(c_float), intent(in), optional :: C(*)
            integer(c_ptrdiff_t), value :: stride
            real(c_double), intent(in), optional :: a(*)
            real(c_double), intent(in), optional :: b(*)
            real(c_double), value :: reg
            type(sv_ot_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            real(c_double), intent(inout), optional :: f(*)
            real(c_double), intent(inout), optional :: g(*)
            type(sv_ot_result), intent(inout), optional :: result
            type(sv_report), intent(inout), optional :: report
            type(c_ptr), intent(out) :: plan
            integer(c_int) :: ended
        end function

        function sv_ot_solve_sample(n, m, d, X, X_stride, Y, Y_stride, metric, p, a, b, reg, options, control, f, g, &
            result, report, plan) bind(c, name="sv_ot_solve_sample") result(ended)
            import
            integer(c_size_t), value :: n
            integer(c_size_t), value :: m
            integer(c_size_t), value :: d
            real(c_double), intent(in), optional :: X(*)
            integer(c_ptrdiff_t), value :: X_stride
            real(c_double), intent(in), optional :: Y(*)
            integer(c_ptrdiff_t), value :: Y_stride
            integer(c_int), value :: metric
            real(c_double), value :: p
            real(c_double), intent(in), optional :: a(*)
            real(c_double), intent(in), optional :: b(*)
            real(c_double), value :: reg
            type(sv_ot_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            real(c_double), intent(inout), optional :: f(*)
            real(c_double), intent(inout), optional :: g(*)
            type(sv_ot_result), intent(inout), optional :: result
            type(sv_report), intent(inout), optional :: report
            type(c_ptr), intent(out) :: plan
            integer(c_int) :: ended
        end function

        function sv_ot_plan_dense(plan, P, stride, threads) bind(c, name="sv_ot_plan_dense") result(ended)
            import
            type(c_ptr), value :: plan
            real(c_double), intent(inout), optional :: P(*)
            integer(c_ptrdiff_t), value :: stride
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_ot_plan_matvec(plan, x, out, threads) bind(c, name="sv_ot_plan_matvec") result(ended)
            import
            type(c_ptr), value :: plan
            real(c_double), intent(in), optional :: x(*)
            real(c_double), intent(inout), optional :: out(*)
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_ot_plan_rmatvec(plan, x, out, threads) bind(c, name="sv_ot_plan_rmatvec") result(ended)
            import
            type(c_ptr), value :: plan
            real(c_double), intent(in), optional :: x(*)
            real(c_double), intent(inout), optional :: out(*)
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        function sv_ot_plan_argmax(plan, best, threads) bind(c, name="sv_ot_plan_argmax") result(ended)
            import
            type(c_ptr), value :: plan
            integer(c_ptrdiff_t), intent(inout), optional :: best(*)
            integer(c_int), value :: threads
            integer(c_int) :: ended
        end function

        subroutine sv_ot_plan_destroy(plan) bind(c, name="sv_ot_plan_destroy")
            import
            type(c_ptr), value :: plan
        end subroutine

        function sv_glm_create(glm, X, y, sample_weight, loss, fit_intercept) bind(c, name="sv_glm_create") result(ended)
            import
            type(c_ptr), intent(out) :: glm
            type(sv_design), intent(in), optional :: X
            real(c_double), intent(in), optional :: y(*)
            real(c_double), intent(in), optional :: sample_weight(*)
            integer(c_int), value :: loss
            integer(c_int), value :: fit_intercept
            integer(c_int) :: ended
        end function

        subroutine sv_glm_destroy(glm) bind(c, name="sv_glm_destroy")
            import
            type(c_ptr), value :: glm
        end subroutine

        function sv_glm_solve(glm, penalty, options, control, coef, result, report) bind(c, name="sv_glm_solve") &
            result(ended)
            import
            type(c_ptr), value :: glm
            type(sv_glm_penalty), intent(in), optional :: penalty
            type(sv_glm_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            real(c_double), intent(inout), optional :: coef(*)
            type(sv_glm_result), intent(inout), optional :: result
            type(sv_report), intent(inout), optional :: report
            integer(c_int) :: ended
        end function

        function sv_glm_path(glm, penalty, lams, count, options, control, coefs, intercepts, gaps, &
            statuses) bind(c, name="sv_glm_path") result(ended)
            import
            type(c_ptr), value :: glm
            type(sv_glm_penalty), intent(in), optional :: penalty
            real(c_double), intent(in), optional :: lams(*)
            integer(c_size_t), value :: count
            type(sv_glm_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            real(c_double), intent(inout), optional :: coefs(*)
            real(c_double), intent(inout), optional :: intercepts(*)
            real(c_double), intent(inout), optional :: gaps(*)
            integer(c_int), intent(inout), optional :: statuses(*)
            integer(c_int) :: ended
        end function

        function sv_glm_fit(X, y, sample_weight, loss, fit_intercept, penalty, options, control, coef, result, &
            report) bind(c, name="sv_glm_fit") result(ended)
            import
            type(sv_design), intent(in), optional :: X
            real(c_double), intent(in), optional :: y(*)
            real(c_double), intent(in), optional :: sample_weight(*)
            integer(c_int), value :: loss
            integer(c_int), value :: fit_intercept
            type(sv_glm_penalty), intent(in), optional :: penalty
            type(sv_glm_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            real(c_double), intent(inout), optional :: coef(*)
            type(sv_glm_result), intent(inout), optional :: result
            type(sv_report), intent(inout), optional :: report
            integer(c_int) :: ended
        end function

        function sv_matrix_game(game, options, control, x, y, result, report) bind(c, name="sv_matrix_game") result(ended)
            import
            type(sv_game_data), intent(in), optional :: game
            type(sv_game_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            real(c_double), intent(inout), optional :: x(*)
            real(c_double), intent(inout), optional :: y(*)
            type(sv_game_result), intent(inout), optional :: result
            type(sv_report), intent(inout), optional :: report
            integer(c_int) :: ended
        end function

        function sv_lp_solve(program, options, control, x, y, reduced_costs, ray, result, &
            report) bind(c, name="sv_lp_solve") result(ended)
            import
            type(sv_lp_program), intent(in), optional :: program
            type(sv_lp_options), intent(in), optional :: options
            type(sv_control), intent(in), optional :: control
            real(c_double), intent(inout), optional :: x(*)
            real(c_double), intent(inout), optional :: y(*)
            real(c_double), intent(inout), optional :: reduced_costs(*)
            real(c_double), intent(inout), optional :: ray(*)
            type(sv_lp_result), intent(inout), optional :: result
            type(sv_report), intent(inout), optional :: report
            integer(c_int) :: ended
        end function
    end interface

contains

    ! The characters before the terminating zero.
    function sv_text(address) result(text)
        type(c_ptr), intent(in) :: address
        character(:), allocatable :: text
        character(kind=c_char), pointer :: letters(:)
        integer :: length, k
        interface
            pure integer(c_size_t) function strlen(text) bind(c)
                import
                type(c_ptr), value, intent(in) :: text
            end function
        end interface
        length = int(strlen(address))
        call c_f_pointer(address, letters, [length])
        allocate (character(length) :: text)
        do k = 1, length
            text(k:k) = letters(k)
        end do
    end function

    function sv_error_text() result(text)
        character(:), allocatable :: text
        text = sv_text(sv_last_error())
    end function

    function sv_status_text(status) result(text)
        integer(c_int), intent(in) :: status
        character(:), allocatable :: text
        text = sv_text(sv_status_string(status))
    end function
end module
