"""The methods' loops as functions of operands, and the preconditioners."""

cdef extern from "monitor.h" nogil:
    enum sv_outcome:
        OUTCOME_GOING_ON

    struct sv_monitor:
        double first
        double best
        double kept

cdef extern from "sor.h" nogil:
    enum sv_sweep:
        SV_SWEEP_FORWARD
        SV_SWEEP_BACKWARD
        SV_SWEEP_SYMMETRIC

    struct sv_sor_settings:
        sv_sweep kind
        double goal
        int check_every
        int adaptive
        int measure_last

    struct sv_sor_numbers:
        sv_monitor monitor

    int sv_linalg_sor(const sv_operand *, const sv_sor_settings *, const double *, double *, double *, sv_sor_numbers *,
                      int, int, double *, sv_outcome *, double *)

cdef extern from "jacobi.h" nogil:
    struct sv_jacobi_settings:
        double goal
        int measure_last

    struct sv_jacobi_numbers:
        sv_monitor monitor

    int sv_linalg_jacobi(const sv_operand *, const sv_jacobi_settings *, const double *, double *, double *,
                         sv_jacobi_numbers *, int, int, double *, sv_outcome *, double *)
    int sv_linalg_chebyshev(const sv_operand *, const sv_jacobi_settings *, const double *, double *, double *, double *,
                            sv_jacobi_numbers *, int, int, double *, sv_outcome *, double *)

cdef extern from "spectrum.h" nogil:
    enum:
        SV_LANCZOS

    double sv_linalg_dot(size_t, const double *, const double *)
    double sv_linalg_norm(size_t, const double *)
    double sv_linalg_row_sum_omega(const sv_operand *, const double *, double *)
    void sv_linalg_noise(size_t, double *)
    double sv_linalg_young(const sv_operand *, const double *, double *, size_t, double *)
    void sv_linalg_chebyshev_bounds(const sv_operand *, const double *, double *, size_t, double *, double *, double *)

cdef extern from "precondition.h" nogil:
    struct sv_preconditioner:
        void (*apply)(const sv_preconditioner *, const double *, double *) noexcept nogil
        const sv_operand *A
        double omega
        int sweeps
        const double *weights
        size_t n
        void *caller

    void sv_diagonal_apply(const sv_preconditioner *, const double *, double *) noexcept
    void sv_ssor_apply(const sv_preconditioner *, const double *, double *) noexcept
    ptrdiff_t sv_ic0(size_t, int, const void *, const void *, const void *, const double *, double, double, double *)

cdef extern from "cg.h" nogil:
    struct sv_cg_numbers:
        sv_monitor monitor

    struct sv_cg:
        double *x
        double *r
        double *v
        double *kept
        sv_cg_numbers *numbers
        double residual
        sv_outcome outcome

    void sv_linalg_cg_start(const sv_operand *, const sv_preconditioner *, sv_cg *)
    int sv_linalg_cg(const sv_operand *, const sv_preconditioner *, const double *, sv_cg *, double, double, int, int,
                     double *)
    void sv_linalg_ssor_cg_start(const sv_operand *, double, const double *, sv_cg *)
    int sv_linalg_ssor_cg(const sv_operand *, double, const double *, sv_cg *, double, double, int, int, double *)

#: Norms of a right-hand side are usually between this and 1 over it: see `_units`.
SMALLEST = 2.0**-400
cdef double USUAL = SMALLEST
#: The part of norm(b) below which rounding leaves nothing of a residual that a recurrence tells.
cdef double NOTHING = 2.0**-54
ROUNDING = NOTHING

#: The kinds of SOR sweeps.
SWEEPS = {"forward": SV_SWEEP_FORWARD, "backward": SV_SWEEP_BACKWARD, "symmetric": SV_SWEEP_SYMMETRIC}

#: How many numbers each method takes from one call to the next; the first five are the monitor's.
SOR_NUMBERS = sizeof(sv_sor_numbers) // sizeof(double)
JACOBI_NUMBERS = sizeof(sv_jacobi_numbers) // sizeof(double)
CG_NUMBERS = sizeof(sv_cg_numbers) // sizeof(double)


cdef double *of_size(numbers, size_t count) except NULL:
    return doubles(numbers, count, "numbers", True)


def sor(Operand A, str kind, double goal, int check_every, bint adaptive, bint measure_last, b, x, kept, numbers,
        int nit, int most):
    """SOR sweeps on x, in place: (sweeps, the last norm of the residual that was seen, outcome)."""
    cdef const double *pb = A.vector(b, "b")
    cdef double *px = A.out(x, "x")
    cdef double *pk = A.out(kept, "kept")
    cdef sv_sor_numbers *pn = <sv_sor_numbers *>of_size(numbers, SOR_NUMBERS)
    cdef sv_sor_settings settings
    cdef sv_outcome outcome = OUTCOME_GOING_ON
    cdef double residual = 0
    cdef int sweeps
    if check_every < 1:
        raise ValueError("check_every must be at least 1")
    settings.kind, settings.goal, settings.check_every = SWEEPS[kind], goal, check_every
    settings.adaptive, settings.measure_last = adaptive, measure_last
    cdef Room work = workspace(2 * A.operand.n)
    with nogil:
        sweeps = sv_linalg_sor(&A.operand, &settings, pb, px, pk, pn, nit, most, &residual, &outcome, <double *>work.at)
    return sweeps, residual, <int>outcome


def jacobi(Operand A, double goal, bint measure_last, b, x, back, kept, numbers, int nit, int most):
    """Jacobi's iterations on x, in place, or Chebyshev's where `back`, the x before, is given: as `sor`."""
    cdef const double *pb = A.vector(b, "b")
    cdef double *px = A.out(x, "x")
    cdef double *before = NULL if back is None else A.out(back, "back")
    cdef double *pk = A.out(kept, "kept")
    cdef sv_jacobi_numbers *pn = <sv_jacobi_numbers *>of_size(numbers, JACOBI_NUMBERS)
    cdef sv_jacobi_settings settings
    cdef sv_outcome outcome = OUTCOME_GOING_ON
    cdef double residual = 0
    cdef int done
    settings.goal, settings.measure_last = goal, measure_last
    cdef Room work = workspace(A.operand.n)
    with nogil:
        if before == NULL:
            done = sv_linalg_jacobi(&A.operand, &settings, pb, px, pk, pn, nit, most, &residual, &outcome, <double *>work.at)
        else:
            done = sv_linalg_chebyshev(&A.operand, &settings, pb, px, before, pk, pn, nit, most, &residual, &outcome,
                                       <double *>work.at)
    return done, residual, <int>outcome


# ---- what methods want to know before they begin ------------------------------------------------

#: Products of Lanczos' iteration.
LANCZOS = SV_LANCZOS


def norm(vector):
    """The 2-norm; NumPy's takes longer than the sum itself where that is short."""
    cdef size_t length = len(vector)
    return sv_linalg_norm(length, doubles(vector, length, "vector")) if length else 0.0


def dot(x, y):
    """x'y on the caller's thread: a threaded BLAS leaves a thread that spins for milliseconds, beside ours."""
    cdef size_t length = len(x)
    return sv_linalg_dot(length, doubles(x, length, "x"), doubles(y, length, "y")) if length else 0.0


def row_sum_omega(Operand A, ones):
    """SSOR's omega from the Rayleigh quotient of the constant vector; ones: packed."""
    cdef const double *given = A.vector(ones, "ones")
    cdef Room work = workspace(A.operand.n)
    cdef double omega
    with nogil:
        omega = sv_linalg_row_sum_omega(&A.operand, given, <double *>work.at)
    return min(omega, SV_BLOCKS_OMEGA) if isinstance(A, Sell) and (<Sell>A).sell.in_blocks else omega


cdef noise(Operand A, size_t unknowns):
    """Packed."""
    cdef double[::1] values = np.empty(unknowns)
    sv_linalg_noise(unknowns, &values[0])
    return A.pack(values.base)


def young(Operand A, ones, size_t unknowns):
    """Young's omega from Lanczos' iteration; ones: packed, 1 at the unknowns."""
    cdef const double *given = A.vector(ones, "ones")
    start = noise(A, unknowns)
    cdef double *begun = A.out(start, "start")
    cdef Room work = workspace((SV_LANCZOS + 3) * A.operand.n)
    cdef double omega
    with nogil:
        omega = sv_linalg_young(&A.operand, given, begun, unknowns, <double *>work.at)
    return omega


def chebyshev_bounds(Operand A, residual, size_t unknowns, double low, double high):
    """(low, high), where they are NaN from Lanczos' iteration; residual: packed."""
    cdef const double *given = A.vector(residual, "residual")
    start = noise(A, unknowns)
    cdef double *begun = A.out(start, "start")
    cdef Room work = workspace((SV_LANCZOS + 3) * A.operand.n)
    with nogil:
        sv_linalg_chebyshev_bounds(&A.operand, given, begun, unknowns, &low, &high, <double *>work.at)
    return low, high


# ---- preconditioners ---------------------------------------------------------------------------


cdef class Preconditioner:
    """M^-1 for vectors in the order of an operand; the subclasses tell how."""

    cdef sv_preconditioner preconditioner
    cdef Operand operand
    cdef object kept  # what the pointers point into, or the function
    cdef object error  # what the function raised

    def apply(self, r, z):
        """z = M^-1 r."""
        cdef const double *pr = self.operand.vector(r, "r")
        cdef double *pz = self.operand.out(z, "z")
        if pr == pz:
            raise ValueError("z must not be r")
        with nogil:
            self.preconditioner.apply(&self.preconditioner, pr, pz)
        self.raise_error()

    cdef int raise_error(self) except -1:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return 0


cdef class Diagonal(Preconditioner):
    """M^-1 = the diagonal matrix of `weights`."""

    def __cinit__(self, Operand operand, weights):
        self.operand, self.kept = operand, weights
        self.preconditioner.apply, self.preconditioner.n = sv_diagonal_apply, operand.operand.n
        self.preconditioner.weights = operand.vector(weights, "weights")


cdef class Ssor(Preconditioner):
    """`sweeps` symmetric SOR sweeps from zero."""

    def __cinit__(self, Operand operand, double omega, int sweeps=1):
        self.operand = operand
        self.preconditioner.apply, self.preconditioner.A = sv_ssor_apply, &operand.operand
        self.preconditioner.omega, self.preconditioner.sweeps = omega, sweeps


cdef void call_back(const sv_preconditioner *M, const double *r, double *z) noexcept with gil:
    """z = M^-1 r by a function of Python; NaN where that raises, which ends the iteration."""
    cdef Preconditioner self = <Preconditioner>M.caller
    cdef size_t n = self.operand.operand.n, i
    cdef const double[::1] given
    cdef double[::1] result
    try:
        given = <const double[:n]>r
        result = self.operand.pack(self.kept(self.operand.unpack(given)))
        for i in range(n):
            z[i] = result[i]
    except BaseException as error:
        self.error = error
        for i in range(n):
            z[i] = float("nan")


cdef class Called(Preconditioner):
    """M^-1 as a function of Python: from a vector in the user's order to another."""

    def __cinit__(self, Operand operand, function):
        self.operand, self.kept = operand, function
        self.preconditioner.apply, self.preconditioner.caller = call_back, <void *>self


def ic0(row_starts, columns, diagonal_at, values, double shift, double least, out):
    """The incomplete Cholesky factorisation of precondition.h: the row that broke it, or -1. Arrays as for `Csr`."""
    cdef Rows rows = compressed(row_starts, columns)
    cdef const void *at = integers(diagonal_at, rows.count, rows.wide, "diagonal_at")
    cdef const double *given = doubles(values, rows.entries, "values")
    cdef double *factor = doubles(out, rows.entries, "out", True)
    cdef ptrdiff_t broken
    with nogil:
        broken = sv_ic0(rows.count, rows.wide, rows.starts, rows.columns, at, given, shift, least, factor)
    return broken


# ---- conjugate gradients -----------------------------------------------------------------------


cdef class ConjugateGradients:
    """Vectors of a solve, as the loops of conjugate gradients take them; all are changed in place."""

    cdef Operand A
    cdef Preconditioner M
    cdef sv_cg state
    cdef const double *b
    cdef object kept

    def __cinit__(self, Operand A, Preconditioner M, b, x, r, v, kept, numbers):
        self.A, self.M, self.kept = A, M, (b, x, r, v, kept, numbers)
        if M is not None and M.operand.operand.n != A.operand.n:
            raise ValueError("M has another size than A")
        self.b = A.vector(b, "b")
        self.state.x, self.state.r, self.state.v = A.out(x, "x"), A.out(r, "r"), A.out(v, "v")
        self.state.kept = A.out(kept, "kept")
        self.state.numbers = <sv_cg_numbers *>of_size(numbers, CG_NUMBERS)

    cdef const sv_preconditioner *preconditioner(self) noexcept:
        return NULL if self.M is None else &self.M.preconditioner

    def start(self, double residual, double omega=0):
        """v and the numbers from r = b - A x, of this norm; with an omega in Eisenstat's variables, r among them."""
        cdef const sv_preconditioner *M = self.preconditioner()
        self.state.residual = residual
        with nogil:
            if omega == 0:
                sv_linalg_cg_start(&self.A.operand, M, &self.state)
            else:
                sv_linalg_ssor_cg_start(&self.A.operand, omega, self.b, &self.state)
        if self.M is not None:
            self.M.raise_error()

    def iterate(self, double goal, double floor, double residual, int nit, int most, double omega=0):
        """Iterations, plain or with an omega Eisenstat's: (how many, the residual's norm, outcome)."""
        cdef int done
        self.state.residual = residual
        cdef Room work = self.A.workspace(2)
        cdef const sv_preconditioner *M = self.preconditioner()
        with nogil:
            if omega == 0:
                done = sv_linalg_cg(&self.A.operand, M, self.b, &self.state, goal, floor, nit, most, <double *>work.at)
            else:
                done = sv_linalg_ssor_cg(&self.A.operand, omega, self.b, &self.state, goal, floor, nit, most, <double *>work.at)
        if self.M is not None:
            self.M.raise_error()
        return done, self.state.residual, <int>self.state.outcome


def ssor_cg(Operand A, double omega, b, x0, double rtol, double atol, int most):
    """The first iterations from the user's b and x0 (None: zero) at once: what the class above makes of them.

    (norm of the residual at x0, that of b, iterations, the last norm, outcome, vectors by name, numbers); None where one
    of these norms is not of the usual size, or the start good enough.
    """
    cdef size_t unknowns = A.unknowns_of(), n = A.operand.n
    cdef const double *right = doubles(b, unknowns, "b")
    cdef const double *begun = NULL if x0 is None else doubles(x0, unknowns, "x0")
    cdef double size = sv_linalg_norm(unknowns, right), at_start, goal = max(rtol * size, atol)
    if not USUAL <= size <= 1 / USUAL:
        return None
    vectors = {"x": A.room(), "r": A.room(), "v": A.room(), "kept": A.room()}
    numbers = np.zeros(CG_NUMBERS)
    cdef Room packed = Room.__new__(Room, n * sizeof(double), False), work = A.workspace(2)
    cdef ConjugateGradients loop = ConjugateGradients.__new__(
        ConjugateGradients, A, None, vectors["x"], *vectors.values(), numbers
    )
    cdef sv_cg *state = &loop.state
    cdef int done = 0
    with nogil:
        right = A.taken(right, <double *>packed.at)
        A.start(begun, state.x)
        sv_linalg_ssor_cg_start(&A.operand, omega, right, state)
        at_start = state.residual
        if goal < at_start < INFINITY:
            state.numbers.monitor.first = state.numbers.monitor.best = state.numbers.monitor.kept = at_start
            done = sv_linalg_ssor_cg(&A.operand, omega, right, state, goal, NOTHING * size, 0, most, <double *>work.at)
            if state.numbers.monitor.kept == at_start:  # none since
                A.start(begun, state.kept)
    return (at_start, size, done, state.residual, <int>state.outcome, vectors, numbers) if done else None
