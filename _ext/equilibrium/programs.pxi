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


cdef const double *_numbers(const double[::1] values, size_t length) except? NULL:
    """Where the numbers are; of none, nowhere."""
    if <size_t>values.shape[0] != length:
        raise ValueError(f"an array has length {values.shape[0]} instead of {length}")
    return &values[0] if length else NULL


cdef class LinearProgramSteps:
    """A linear program of m rows in CSR, and steps on it. Indices of a row rise."""

    cdef sv_lp lp
    cdef object kept

    def __init__(self, const int32_t[::1] starts, const int32_t[::1] index, const double[::1] value,
                 const double[::1] c, const double[::1] l, const double[::1] u, const double[::1] lb,
                 const double[::1] ub):
        cdef size_t m = starts.shape[0] - 1, n = c.shape[0], i
        cdef int32_t e
        if starts[0] != 0 or starts[m] != index.shape[0] or index.shape[0] != value.shape[0]:
            raise ValueError("the starts of a sparse matrix do not fit its entries")
        for i in range(m):
            if starts[i] > starts[i + 1]:
                raise ValueError("the starts of a sparse matrix must rise")
        for e in range(index.shape[0]):
            if index[e] < 0 or <size_t>index[e] >= n:
                raise ValueError("an index of a sparse matrix is outside")
        self.kept = (starts, index, value, c, l, u, lb, ub)
        self.lp.m, self.lp.n = m, n
        self.lp.starts = &starts[0]
        self.lp.index = &index[0] if index.shape[0] else NULL
        self.lp.value = &value[0] if value.shape[0] else NULL
        self.lp.c, self.lp.l, self.lp.u = _numbers(c, n), _numbers(l, m), _numbers(u, m)
        self.lp.lb, self.lp.ub = _numbers(lb, n), _numbers(ub, n)

    def run(self, double[::1] x, double[::1] y, double[::1] kty, const double[::1] anchor_x,
            const double[::1] anchor_y, double tau, double sigma, int64_t after, int64_t count,
            double[::1] tx, double[::1] ty, double[::1] dx, double[::1] dy):
        """`count` steps in place; T(z) and z - T(z) of the last one's start."""
        cdef size_t m = self.lp.m, n = self.lp.n
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
            sv_equilibrium_lp_steps(&self.lp, &state, tau, sigma, after, count, out[0], out[1], out[2], out[3])

    def product(self, const double[::1] x, double[::1] out):
        """out = K x."""
        cdef const double *given = _numbers(x, self.lp.n)
        cdef double *into = <double *>_numbers(out, self.lp.m)
        with nogil:
            sv_equilibrium_lp_product(&self.lp, given, into)

    def transposed(self, const double[::1] y, double[::1] out):
        """out = K'y."""
        cdef const double *given = _numbers(y, self.lp.m)
        cdef double *into = <double *>_numbers(out, self.lp.n)
        with nogil:
            sv_equilibrium_lp_transposed(&self.lp, given, into)


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
