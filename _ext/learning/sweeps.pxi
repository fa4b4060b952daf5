cdef extern from "sweeps.h" nogil:
    struct sv_sweeps:
        size_t n
        size_t p
        sv_compressed sparse
        const double *dense
        const float *single
        size_t stride
        const int32_t *list
        int ones
        const double *weights
        const double *l1
        const double *l2
        const double *low
        const double *high
        double *curvature
        double *w
        double *q
        double *work
        int32_t *face
        int64_t sweeps
        int64_t products
        double entries

    void sv_sweeps_curvatures(sv_sweeps *) noexcept nogil
    double sv_sweeps_minimise(sv_sweeps *, double, double) noexcept nogil


cdef class Sweeps:
    """A quadratic v'X s + s'X'D X s / 2 with a separable penalty of w + s, X chosen columns and perhaps one of ones."""

    cdef sv_sweeps s
    cdef object kept

    def __init__(self, X, const int32_t[::1] columns, bint ones, const double[::1] weights, terms, double[::1] w,
                 double[::1] q):
        """X: `Compressed` columns, of which `columns` names some, or `Columns`; terms: l1, l2, low, high.

        w and q = v are changed in place."""
        cdef size_t n = q.shape[0], p, rows
        cdef const double[::1] l1 = terms[0], l2 = terms[1], low = terms[2], high = terms[3]
        cdef Compressed sparse
        cdef Columns dense
        if isinstance(X, Columns):
            dense = X
            self.s.dense, self.s.single, self.s.stride, self.s.list = dense.X, dense.single, dense.stride, dense.list
            rows, p = dense.n, dense.count
        else:
            sparse = X
            self.s.sparse, rows, p = sparse.X, sparse.width, columns.shape[0]
            self.s.list = &columns[0] if p else NULL
            sparse.check_segments(columns)
        p += ones
        if rows != n:
            raise ValueError(f"q has length {n}, not {rows}")
        cdef double[::1] work = np.empty(4 * p + n)
        cdef int32_t[::1] face = np.empty(p + 1, np.int32)
        if weights is not None and <size_t>weights.shape[0] != n:
            raise ValueError(f"weights has length {weights.shape[0]}, not {n}")
        if not l1.shape[0] == l2.shape[0] == low.shape[0] == high.shape[0] == w.shape[0] == <Py_ssize_t>p:
            raise ValueError(f"w and the terms must have length {p}")
        self.kept = X, columns, weights, l1, l2, low, high, w, q, work, face
        self.s.n, self.s.p, self.s.ones = n, p, ones
        if p == 0 or n == 0:
            self.s.p = 0
            return
        self.s.weights = &weights[0] if weights is not None else NULL
        self.s.l1, self.s.l2, self.s.low, self.s.high = &l1[0], &l2[0], &low[0], &high[0]
        self.s.w, self.s.q, self.s.face = &w[0], &q[0], &face[0]
        self.s.curvature, self.s.work = &work[0], &work[p]
        with nogil:
            sv_sweeps_curvatures(&self.s)

    def minimise(self, double tol, double most):
        """The violation met by the last sweep over all; w and q are changed in place, at most `most` entries read."""
        cdef double violation = 0
        if self.s.p:
            with nogil:
                violation = sv_sweeps_minimise(&self.s, tol, most)
        return violation

    @property
    def counts(self):
        """What was done so far."""
        return {"sweeps": self.s.sweeps, "products": self.s.products, "entries": self.s.entries}
