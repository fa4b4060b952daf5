! The 2-D Poisson problem by conjugate gradients with SSOR; then steps of the heat equation, for which a tuner learns
! the relaxation parameter omega from the iterations that each step took. See poisson.c.
!
!     eval gfortran $(pkg-config --variable=includedir solvers)/solvers.f90 poisson.f90 -o poisson \
!         $(pkg-config --libs solvers)
program poisson_and_heat
    use solvers
    implicit none
    integer, parameter :: side = 256, plate = 64, steps = 40
    type(sv_control) :: control

    control%threads = 1
    print '(4a)', 'solvers ', sv_text(sv_version_string()), ', level ', sv_text(sv_isa())
    call poisson
    call heat

contains

    ! Ends the program where a call was refused.
    subroutine check(status)
        integer(c_int), intent(in) :: status
        if (status < 0) then
            print '(3a)', sv_status_text(status), ' ', sv_error_text()
            error stop
        end if
    end subroutine

    ! shift I + scale L on side^2 unknowns, L the five-point Laplacian with zeros around; columns rise in each row, and
    ! are numbered from 0 on, as in C.
    function five_points(side, shift, scale) result(A)
        integer, intent(in) :: side
        real(c_double), intent(in) :: shift, scale
        type(c_ptr) :: A
        integer(c_int32_t), allocatable :: starts(:), columns(:)
        real(c_double), allocatable :: values(:)
        integer(c_int32_t) :: beside(5), row, k
        logical :: there(5)
        integer :: i, j, p

        allocate (starts(side * side + 1), columns(5 * side * side), values(5 * side * side))
        k = 0
        do row = 0, side * side - 1
            i = row / side
            j = mod(row, side)
            beside = [row - side, row - 1, row, row + 1, row + side]
            there = [i > 0, j > 0, .true., j < side - 1, i < side - 1]
            starts(row + 1) = k
            do p = 1, 5
                if (.not. there(p)) cycle
                k = k + 1
                columns(k) = beside(p)
                values(k) = merge(shift + 4 * scale, -scale, p == 3)
            end do
        end do
        starts(side * side + 1) = k
        call check(sv_linear_from_csr_i32(int(side * side, c_size_t), int(k, c_size_t), starts, columns, values, A))
    end function

    ! One number that differs where any bit of the answer does.
    function digest(x) result(all)
        real(c_double), intent(in) :: x(:)
        integer(c_int64_t) :: all
        integer :: i
        all = 0
        do i = 1, size(x)
            all = ieor(ishftc(all, 7), transfer(x(i), all))
        end do
    end function

    subroutine poisson
        real(c_double), allocatable :: b(:), x(:)
        type(sv_report) :: report
        type(c_ptr) :: A

        A = five_points(side, 0.0_c_double, 1.0_c_double)
        allocate (b(side * side), x(side * side))
        b = 1
        x = 0
        call check(sv_linear_solve(A, b, x, control=control, report=report))
        print '(a, i0, a, i0, a, z16.16)', 'poisson: status ', report%status, ' after ', report%nit, &
            ' iterations, bits ', digest(x)
        call sv_linear_destroy(A)
    end subroutine

    ! Implicit Euler: (I + 16 L) u_new = u.
    subroutine heat
        real(c_double) :: b(plate * plate), u(plate * plate)
        type(sv_linear_options) :: options
        type(sv_report) :: report
        type(c_ptr) :: A, tuner
        integer(c_int64_t) :: question, iterations
        integer :: i, x, y, step

        A = five_points(plate, 1.0_c_double, 16.0_c_double)
        do i = 0, plate * plate - 1
            y = i / plate + 1
            x = mod(i, plate) + 1
            u(i + 1) = real(y * (plate + 1 - y) * x * (plate + 1 - x), c_double) / 2**20
        end do
        call check(sv_omega_tuner_create(tuner))
        iterations = 0
        do step = 1, steps
            b = u
            call check(sv_omega_tuner_ask(tuner, 0.0_c_double, options%omega, question))
            call check(sv_linear_solve(A, b, u, options, control, report))
            call check(sv_omega_tuner_tell(tuner, question, real(report%nit, c_double)))
            iterations = iterations + report%nit
        end do
        print '(a, i0, a, i0, a, z16.16)', 'heat: ', steps, ' steps, ', iterations, ' iterations, bits ', digest(u)
        call sv_omega_tuner_destroy(tuner)
        call sv_linear_destroy(A)
    end subroutine
end program
