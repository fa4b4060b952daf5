# Linear programs.

cdef extern from "lp.h" nogil:
    struct sv_lp:
        size_t m
        size_t n
        const int32_t *starts
        const int32_t *index
        const double *value
        const double *c
        const double *l
        const double *u
        const double *lb
        const double *ub

    struct sv_lp_state:
        double *x
        double *y
        double *kty
        double *xbar
        const double *anchor_x
        const double *anchor_y

    void sv_equilibrium_lp_steps(const sv_lp *, const sv_lp_state *, double, double, int64_t, int64_t, double *,
                                 double *, double *, double *) noexcept
    void sv_equilibrium_lp_product(const sv_lp *, const double *, double *) noexcept
    void sv_equilibrium_lp_transposed(const sv_lp *, const double *, double *) noexcept

cdef extern from "program.h" nogil:
    double SV_PROGRAM_INFINITE

    struct sv_program:
        sv_lp lp
        double side_norm
        double cost_norm

    struct sv_program_worth:
        double fun
        double dual_fun
        double primal
        double dual
        double measure

    struct sv_reduced:
        sv_lp lp
        size_t bound_count

    struct sv_scales:
        double *rows
        double *columns
        double sides
        double cost

    void sv_program_norms(sv_program *) noexcept
    void sv_program_judge(const sv_program *, double *, double *, double *, double *, double *,
                          sv_program_worth *) noexcept
    int sv_program_infeasible(const sv_program *, const double *, double *, double *) noexcept
    int sv_program_unbounded(const sv_program *, const double *, double *, double *) noexcept
    int sv_reduce(const sv_program *, sv_reduced *) noexcept
    void sv_reduced_free(sv_reduced *) noexcept
    void sv_reduced_point(const sv_reduced *, const double *, int, double *) noexcept
    void sv_reduced_multipliers(const sv_reduced *, const double *, const double *, double *, double *) noexcept
    void sv_program_scale(const sv_lp *, double *, double *, double *, double *, double *, double *, int, sv_scales *,
                          double *) noexcept

cdef extern from "restart.h" nogil:
    struct sv_restart_weight:
        double value
        double low
        double high
        double summed
        double best
        double distance

    int sv_restart_fallen(double, double, double, double, double) noexcept
    int sv_restart_wanted(double, double, double, int64_t, int64_t) noexcept
    void sv_restart_weigh(sv_restart_weight *, double, double, double) noexcept

cdef extern from "lp_pdhg.h" nogil:
    struct sv_lp_prepared:
        sv_lp lp

    struct sv_lp_pdhg:
        double *x
        double *y
        double *kty
        double *anchor_x
        double *anchor_y
        double *best_x
        double *best_y
        double *ray_x
        double *ray_y
        int64_t count
        int64_t total
        double first
        double last
        double norm
        double weight
        double summed
        double best_weight
        double distance
        int verdict
        int64_t stale
        int64_t restarts
        int64_t nit
        double measure

    int sv_lp_prepare(const sv_reduced *, sv_lp_prepared *) noexcept
    void sv_lp_prepared_free(sv_lp_prepared *) noexcept
    size_t sv_lp_pdhg_worksize(const sv_lp_prepared *) noexcept
    void sv_lp_pdhg_init(const sv_lp_prepared *, const double *, const double *, sv_lp_pdhg *, double *) noexcept
    void sv_lp_pdhg_step(const sv_lp_prepared *, sv_lp_pdhg *, int64_t, double *) noexcept
    int sv_lp_pdhg_done(double, double, int, int64_t, int64_t) noexcept


INFINITE = SV_PROGRAM_INFINITE

cdef double _nowhere[1]


cdef const double *_numbers(const double[::1] values, size_t length) except NULL:
    """Where the numbers are; of none, anywhere."""
    if <size_t>values.shape[0] != length:
        raise ValueError(f"an array has length {values.shape[0]} instead of {length}")
    return &values[0] if length else _nowhere


cdef object _copied(const double *values, size_t length):
    out = np.empty(length)
    cdef double[::1] to = out
    if length:
        memcpy(&to[0], values, length * sizeof(double))
    return out


cdef object _copied_integers(const int32_t *values, size_t length):
    out = np.empty(length, np.int32)
    cdef int32_t[::1] to = out
    if length:
        memcpy(&to[0], values, length * sizeof(int32_t))
    return out


cdef class SparseRows:
    """A sparse matrix in CSR of which only products with vectors are wanted: a fifth of SciPy's time on small ones."""

    cdef sv_lp matrix
    cdef object kept

    def __init__(self, matrix):
        cdef const int32_t[::1] starts = np.ascontiguousarray(matrix.indptr, np.int32)
        cdef const int32_t[::1] index = np.ascontiguousarray(matrix.indices, np.int32)
        cdef const double[::1] value = np.ascontiguousarray(matrix.data, np.float64)
        self.matrix.m, self.matrix.n = matrix.shape
        _check_rows(starts, index, value, self.matrix.n)
        self.kept = np.asarray(starts), np.asarray(index), np.asarray(value)
        self.matrix.starts = &starts[0]
        self.matrix.index = &index[0] if index.shape[0] else NULL
        self.matrix.value = &value[0] if value.shape[0] else _nowhere

    def __matmul__(self, const double[::1] x not None):
        cdef const double *given = _numbers(x, self.matrix.n)
        found = np.empty(self.matrix.m)
        cdef double[::1] out = found
        if self.matrix.m:
            sv_equilibrium_lp_product(&self.matrix, given, &out[0])
        return found


cdef _check_rows(const int32_t[::1] starts, const int32_t[::1] index, const double[::1] value, size_t n):
    """ValueError where they are no CSR matrix of n columns."""
    cdef size_t m = starts.shape[0] - 1, i
    cdef int32_t e
    if starts[0] != 0 or starts[m] != index.shape[0] or index.shape[0] != value.shape[0]:
        raise ValueError("the starts of a sparse matrix do not fit its entries")
    for i in range(m):
        if starts[i] > starts[i + 1]:
            raise ValueError("the starts of a sparse matrix must rise")
    for e in range(index.shape[0]):
        if index[e] < 0 or <size_t>index[e] >= n:
            raise ValueError("an index of a sparse matrix is outside")


cdef class CompiledProgram:
    """A linear program of m rows in CSR, the objective minimised. Indices of a row rise."""

    cdef sv_program program
    cdef object kept

    def __init__(self, const int32_t[::1] starts, const int32_t[::1] index, const double[::1] value,
                 const double[::1] c, const double[::1] l, const double[::1] u, const double[::1] lb,
                 const double[::1] ub):
        cdef size_t m = starts.shape[0] - 1, n = c.shape[0]
        _check_rows(starts, index, value, n)
        self.kept = (np.asarray(starts), np.asarray(index), np.asarray(value), np.asarray(c), np.asarray(l),
                     np.asarray(u), np.asarray(lb), np.asarray(ub))
        cdef sv_lp *lp = &self.program.lp
        lp.m, lp.n = m, n
        lp.starts = &starts[0]
        lp.index = &index[0] if index.shape[0] else NULL
        lp.value = &value[0] if value.shape[0] else _nowhere
        lp.c, lp.l, lp.u = _numbers(c, n), _numbers(l, m), _numbers(u, m)
        lp.lb, lp.ub = _numbers(lb, n), _numbers(ub, n)
        sv_program_norms(&self.program)

    def __reduce__(self):
        return CompiledProgram, self.kept

    def judge(self, x, y):
        """x within its bounds and y with the signs of its rows, reduced costs, the part of them that bounds take, the
        activity, and fun, dual_fun, primal, dual, measure."""
        cdef size_t m = self.program.lp.m, n = self.program.lp.n
        x, y = np.array(x, np.float64), np.array(y, np.float64)
        reduced, z, activity = np.empty(n), np.empty(n), np.empty(m)
        cdef double *point = <double *>_numbers(x, n)
        cdef double *multipliers = <double *>_numbers(y, m)
        cdef double *costs = <double *>_numbers(reduced, n)
        cdef double *taken = <double *>_numbers(z, n)
        cdef double *product = <double *>_numbers(activity, m)
        cdef sv_program_worth worth
        with nogil:
            sv_program_judge(&self.program, point, multipliers, costs, taken, product, &worth)
        return x, y, reduced, z, activity, worth.fun, worth.dual_fun, worth.primal, worth.dual, worth.measure

    def infeasible(self, const double[::1] y):
        """y with largest entry 1, where it proves that no x satisfies rows and bounds; else None."""
        cdef size_t m = self.program.lp.m, n = self.program.lp.n
        ray, work = np.empty(m), np.empty(n)
        cdef const double *given = _numbers(y, m)
        cdef double *out = <double *>_numbers(ray, m)
        cdef double *room = <double *>_numbers(work, n)
        cdef int proves
        with nogil:
            proves = sv_program_infeasible(&self.program, given, out, room)
        return ray if proves else None

    def unbounded(self, const double[::1] x):
        """x with largest entry 1, where the objective falls along it and rows and bounds hold; else None."""
        cdef size_t m = self.program.lp.m, n = self.program.lp.n
        ray, work = np.empty(n), np.empty(m)
        cdef const double *given = _numbers(x, n)
        cdef double *out = <double *>_numbers(ray, n)
        cdef double *room = <double *>_numbers(work, m)
        cdef int proves
        with nogil:
            proves = sv_program_unbounded(&self.program, given, out, room)
        return ray if proves else None

    def scaled(self, bint sums):
        """Entries, c, l, u, lb, ub scaled, the factors of rows and of columns, and those of all sides and costs."""
        cdef sv_lp *lp = &self.program.lp
        cdef size_t m = lp.m, n = lp.n, entries = lp.starts[lp.m]
        parts = (_copied(lp.value, entries), _copied(lp.c, n), _copied(lp.l, m), _copied(lp.u, m), _copied(lp.lb, n),
                 _copied(lp.ub, n), np.empty(m), np.empty(n), np.empty(m + n))
        cdef double *to[9]
        cdef sv_scales scales
        for k in range(9):
            to[k] = <double *>_numbers(parts[k], len(parts[k]))
        scales.rows, scales.columns = to[6], to[7]
        with nogil:
            sv_program_scale(lp, to[0], to[1], to[2], to[3], to[4], to[5], sums, &scales, to[8])
        return *parts[:8], scales.sides, scales.cost

    def run(self, double[::1] x, double[::1] y, double[::1] kty, const double[::1] anchor_x,
            const double[::1] anchor_y, double tau, double sigma, int64_t after, int64_t count,
            double[::1] tx, double[::1] ty, double[::1] dx, double[::1] dy):
        """`count` steps in place; T(z) and z - T(z) of the last one's start."""
        cdef size_t m = self.program.lp.m, n = self.program.lp.n
        cdef double[::1] xbar = np.empty(n)
        cdef sv_lp_state state
        cdef double *out[4]
        if count < 1 or after < 0:
            raise ValueError("there must be steps to take")
        state.x, state.y, state.kty = <double *>_numbers(x, n), <double *>_numbers(y, m), <double *>_numbers(kty, n)
        state.anchor_x, state.anchor_y, state.xbar = _numbers(anchor_x, n), _numbers(anchor_y, m), &xbar[0]
        out[0], out[1] = <double *>_numbers(tx, n), <double *>_numbers(ty, m)
        out[2], out[3] = <double *>_numbers(dx, n), <double *>_numbers(dy, m)
        with nogil:
            sv_equilibrium_lp_steps(&self.program.lp, &state, tau, sigma, after, count, out[0], out[1], out[2], out[3])

    def product(self, const double[::1] x, double[::1] out):
        """out = K x."""
        cdef const double *given = _numbers(x, self.program.lp.n)
        cdef double *into = <double *>_numbers(out, self.program.lp.m)
        with nogil:
            sv_equilibrium_lp_product(&self.program.lp, given, into)

    def transposed(self, const double[::1] y, double[::1] out):
        """out = K'y."""
        cdef const double *given = _numbers(y, self.program.lp.m)
        cdef double *into = <double *>_numbers(out, self.program.lp.n)
        with nogil:
            sv_equilibrium_lp_transposed(&self.program.lp, given, into)


cdef class ReducedProgram:
    """What is left of a program after what decides nothing was taken out."""

    cdef sv_reduced reduced
    cdef CompiledProgram whole

    def __init__(self, CompiledProgram whole):
        if self.whole is not None:
            raise TypeError("a reduced program is made once")
        cdef int status
        with nogil:
            status = sv_reduce(&whole.program, &self.reduced)
        if status:
            raise MemoryError("there is no memory for a copy of the program")
        self.whole = whole

    def __dealloc__(self):
        sv_reduced_free(&self.reduced)

    def parts(self):
        """starts, index, value, c, l, u, lb, ub."""
        cdef sv_lp *lp = &self.reduced.lp
        cdef size_t m = lp.m, n = lp.n, entries = lp.starts[lp.m]
        return (_copied_integers(lp.starts, m + 1), _copied_integers(lp.index, entries), _copied(lp.value, entries),
                _copied(lp.c, n), _copied(lp.l, m), _copied(lp.u, m), _copied(lp.lb, n), _copied(lp.ub, n))

    def point(self, const double[::1] x, bint fixed=True):
        """x of the whole; a direction, without `fixed`, has zeros at fixed columns."""
        cdef const double *given = _numbers(x, self.reduced.lp.n)
        whole = np.empty(self.whole.program.lp.n)
        sv_reduced_point(&self.reduced, given, fixed, <double *>_numbers(whole, len(whole)))
        return whole

    def multipliers(self, const double[::1] y, bint costs=True):
        """y of the whole, whose reduced costs are what the rows that became bounds do not take; without costs, for
        rays."""
        cdef const double *given = _numbers(y, self.reduced.lp.m)
        whole, work = np.empty(self.whole.program.lp.m), np.empty(self.whole.program.lp.n)
        cdef const double *c = self.whole.program.lp.c if costs else NULL
        sv_reduced_multipliers(&self.reduced, given, c, <double *>_numbers(whole, len(whole)),
                               <double *>_numbers(work, len(work)))
        return whole


cdef class PreparedProgram:
    """A reduced program, scaled, and the steps of the first-order method. Vectors of a state: x, y, kty, anchor_x,
    anchor_y, best_x, best_y, ray_x, ray_y; numbers: count, total, first, last, norm, weight, summed, best_weight,
    distance, verdict, stale, restarts, nit, measure."""

    cdef sv_lp_prepared prepared
    cdef ReducedProgram reduced

    def __init__(self, ReducedProgram reduced):
        if self.reduced is not None:
            raise TypeError("a prepared program is made once")
        cdef int status
        with nogil:
            status = sv_lp_prepare(&reduced.reduced, &self.prepared)
        if status:
            raise MemoryError("there is no memory for a copy of the program")
        self.reduced = reduced

    def __dealloc__(self):
        sv_lp_prepared_free(&self.prepared)

    cdef int point(self, sv_lp_pdhg *s, vectors) except -1:
        cdef size_t m = self.prepared.lp.m, n = self.prepared.lp.n
        cdef size_t M = self.reduced.whole.program.lp.m, N = self.reduced.whole.program.lp.n
        s.x, s.y, s.kty = <double *>_numbers(vectors[0], n), <double *>_numbers(vectors[1], m), <double *>_numbers(vectors[2], n)
        s.anchor_x, s.anchor_y = <double *>_numbers(vectors[3], n), <double *>_numbers(vectors[4], m)
        s.best_x, s.best_y = <double *>_numbers(vectors[5], N), <double *>_numbers(vectors[6], M)
        s.ray_x, s.ray_y = <double *>_numbers(vectors[7], N), <double *>_numbers(vectors[8], M)
        return 0

    cdef object numbers(self, sv_lp_pdhg *s):
        return (s.count, s.total, s.first, s.last, s.norm, s.weight, s.summed, s.best_weight, s.distance, s.verdict,
                s.stale, s.restarts, s.nit, s.measure)

    def init(self, const double[::1] x0, const double[::1] y0):
        """Vectors and numbers at a start of the whole."""
        cdef size_t m = self.prepared.lp.m, n = self.prepared.lp.n
        cdef size_t M = self.reduced.whole.program.lp.m, N = self.reduced.whole.program.lp.n
        cdef const double *x = _numbers(x0, N)
        cdef const double *y = _numbers(y0, M)
        vectors = [np.empty(length) for length in (n, m, n, n, m, N, M, N, M)]
        cdef double[::1] work = np.empty(sv_lp_pdhg_worksize(&self.prepared) + 1)
        cdef sv_lp_pdhg s
        self.point(&s, vectors)
        with nogil:
            sv_lp_pdhg_init(&self.prepared, x, y, &s, &work[0])
        return vectors, self.numbers(&s)

    def step(self, vectors, numbers, int64_t block):
        """A block of iterations and a look, in place; the new numbers."""
        cdef double[::1] work = np.empty(sv_lp_pdhg_worksize(&self.prepared) + 1)
        cdef sv_lp_pdhg s
        if block < 2:
            raise ValueError("a block has two iterations at least")
        self.point(&s, vectors)
        (s.count, s.total, s.first, s.last, s.norm, s.weight, s.summed, s.best_weight, s.distance, s.verdict, s.stale,
         s.restarts, s.nit, s.measure) = numbers
        with nogil:
            sv_lp_pdhg_step(&self.prepared, &s, block, &work[0])
        return self.numbers(&s)


def lp_pdhg_done(double tol, double measure, int verdict, int64_t stale, int64_t nit):
    """The number of the status that ends the method, or -1."""
    return sv_lp_pdhg_done(tol, measure, verdict, stale, nit)


def restart_wanted(double residual, double last, double anchor, int64_t count, int64_t total):
    """Whether to restart: residuals now, at the last look, and at the first step from the anchor; iterations since the
    anchor, and in all."""
    return sv_restart_wanted(residual, last, anchor, count, total) != 0


def restart_fallen(double residual, double last, double anchor, double sufficient=0.2, double necessary=0.5):
    """Whether the residual is below that share of the anchor's, or below the other one and rising."""
    return sv_restart_fallen(residual, last, anchor, sufficient, necessary) != 0


def restart_weight(double value, double low, double high, double summed, double best, double distance, double move_x,
                   double move_y, double balance):
    """value, summed, best and distance for the next anchor."""
    cdef sv_restart_weight weight = sv_restart_weight(value, low, high, summed, best, distance)
    sv_restart_weigh(&weight, move_x, move_y, balance)
    return weight.value, weight.summed, weight.best, weight.distance


cdef extern from "least_degree.h" nogil:
    double sv_equilibrium_least_degree(size_t, uint64_t *, int32_t *, int32_t *, double) noexcept


def elimination(const int32_t[::1] starts, const int32_t[::1] index, double most):
    """The order of least degree of a symmetric matrix in CSR, and the multiplications of its factorisation; where these
    are more than `most`, the order is of no use."""
    cdef size_t n = starts.shape[0] - 1, words = (starts.shape[0] + 62) // 64, i
    cdef int32_t e
    if starts[0] != 0 or starts[n] != index.shape[0]:
        raise ValueError("the starts of a sparse matrix do not fit its entries")
    graph = np.zeros(max(n * words, 1), np.uint64)
    order, degree = np.empty(max(n, 1), np.int32), np.empty(max(n, 1), np.int32)
    cdef uint64_t[::1] bits = graph
    cdef int32_t[::1] pivots = order, degrees = degree
    cdef double cost
    with nogil:
        for i in range(n):
            for e in range(starts[i], starts[i + 1]):
                if index[e] < 0 or <size_t>index[e] >= n:
                    with gil:
                        raise ValueError("an index of a sparse matrix is outside")
                if <size_t>index[e] != i:
                    bits[i * words + index[e] // 64] |= (<uint64_t>1) << (index[e] % 64)
                    bits[index[e] * words + i // 64] |= (<uint64_t>1) << (i % 64)
        cost = sv_equilibrium_least_degree(n, &bits[0], &pivots[0], &degrees[0], most)
    return order[:n], cost
