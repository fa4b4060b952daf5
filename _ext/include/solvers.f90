! solvers.h for Fortran 2018. Compile this file with the program, then `use solvers` there.
!
! Arrays and structures that may be NULL in C are optional here. A structure's fields begin with their defaults.
! A handle is a type(c_ptr). sv_error_text() gives the words of sv_last_error() and sv_status_text(status) those of
! sv_status_string(). Derived from the header by _ext/install/derive.py: do not edit.
module solvers
    use, intrinsic :: iso_c_binding
    implicit none
    public

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

    type, bind(c) :: sv_progress
        integer(c_size_t) :: struct_size
        integer(c_int64_t) :: nit
        real(c_double) :: measure
        real(c_double) :: seconds
        type(c_ptr) :: x = c_null_ptr
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
