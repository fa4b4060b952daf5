# Binding of the kernels for penalties on groups.

cdef extern from "grouped.h" nogil:
    struct sv_grouped:
        size_t count
        const int32_t *start
        const int32_t *order
        const double *norm
        const double *l1
        const double *low
        const double *high

    struct sv_grouped_measures:
        double value
        double kkt
        double above

    void sv_grouped_measure(const sv_grouped *, const double *, const double *, sv_grouped_measures *) noexcept
    double sv_grouped_value(const sv_grouped *, const double *) noexcept
    void sv_grouped_violations(const sv_grouped *, const double *, const double *, double *) noexcept
    double sv_grouped_limit(const sv_grouped *, const double *, const double *) noexcept


cdef class GroupTerms:
    """The terms of a penalty on groups: the number of each coordinate's group, a norm a group, and arrays of the length
    of the coordinates."""

    cdef sv_grouped penalty
    cdef size_t d
    cdef object kept

    def __init__(self, group_of, const double[::1] norms, const double[::1] l1, const double[::1] low,
                 const double[::1] high):
        cdef const int32_t[::1] order = np.argsort(group_of, kind="stable").astype(np.int32)
        sizes = np.bincount(group_of, minlength=norms.shape[0])
        cdef const int32_t[::1] start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        if not len(order) == len(l1) == len(low) == len(high) or len(sizes) != len(norms):
            raise ValueError("the terms do not fit the groups")
        self.kept = order, start, norms, l1, low, high
        self.penalty.count, self.d = norms.shape[0], order.shape[0]
        self.penalty.start = &start[0]
        if self.d:
            self.penalty.order, self.penalty.norm, self.penalty.l1 = &order[0], &norms[0], &l1[0]
            self.penalty.low, self.penalty.high = &low[0], &high[0]
        else:
            self.penalty.count = 0

    cdef int check(self, str name, const double[::1] x) except -1:
        if <size_t>x.shape[0] < self.d:
            raise ValueError(f"{name} has length {x.shape[0]}, not {self.d}")
        return 0

    def value(self, const double[::1] w):
        """The penalty of w."""
        self.check("w", w)
        return sv_grouped_value(&self.penalty, &w[0]) if self.d else 0.0

    def measure(self, const double[::1] w, const double[::1] g):
        """The value, the largest violation, and the largest t for which the conjugate at -t g is finite."""
        cdef sv_grouped_measures at = sv_grouped_measures(0, 0, 0)
        self.check("w", w)
        self.check("g", g)
        if self.d == 0:
            return 0.0, 0.0, np.inf
        with nogil:
            sv_grouped_measure(&self.penalty, &w[0], &g[0], &at)
        return at.value, at.kkt, at.above

    def violations(self, const double[::1] w, const double[::1] g):
        """The 2-norm of each group's violations."""
        self.check("w", w)
        self.check("g", g)
        out = np.zeros(self.penalty.count)
        cdef double[::1] violation = out
        if self.penalty.count:
            with nogil:
                sv_grouped_violations(&self.penalty, &w[0], &g[0], &violation[0])
        return out

    def limit(self, const double[::1] g, const double[::1] slack=None):
        """The largest t for which the conjugate at -t g is finite, g known to the slack."""
        self.check("g", g)
        if slack is not None:
            self.check("slack", slack)
        if self.d == 0:
            return np.inf
        return sv_grouped_limit(&self.penalty, &g[0], &slack[0] if slack is not None else NULL)


cdef extern from "group_quadratic.h" nogil:
    struct sv_group_quadratic:
        size_t p
        size_t stride
        const double *H
        size_t count
        const int32_t *start
        const double *norm
        const double *l1
        const double *low
        const double *high
        const uint8_t *plain
        const double *values
        const double *vectors
        const int64_t *place
        double *w
        double *g
        double *factor
        double *step
        double *origin
        double *slope
        int32_t *face
        sv_lapack lapack
        int64_t sweeps
        int64_t newtons
        int32_t stuck

    double sv_group_quadratic_minimise(sv_group_quadratic *, double, int64_t) noexcept nogil


def minimise_groups(const double[:, ::1] H, const int32_t[::1] start, const double[::1] norm, const double[::1] l1,
                    const double[::1] low, const double[::1] high, const double[::1] values,
                    const double[::1] vectors, double[::1] w, double[::1] g, double tol, int64_t max_phases):
    """(violation reached, whether short steps made it give up); w and g are changed in place.

    Groups are the runs of coordinates from start[k] to start[k + 1]; values and vectors: the eigenvalues and, in
    columns, the eigenvectors of their blocks of H, one after the other."""
    cdef sv_group_quadratic q
    cdef size_t p = w.shape[0], count = norm.shape[0]
    sizes = np.diff(start).astype(np.int64)
    if start.shape[0] != count + 1 or start[0] != 0 or start[count] != p or np.any(sizes < 1):
        raise ValueError(f"start must rise from 0 to {p} in {count} steps")
    if H.shape[0] != p or H.shape[1] < p:
        raise ValueError(f"H is {H.shape[0]} x {H.shape[1]}, but there are {p} coordinates")
    for name, vector, length in (("l1", l1, p), ("low", low, p), ("high", high, p), ("g", g, p), ("values", values, p),
                                 ("vectors", vectors, (sizes * sizes).sum())):
        if len(vector) != length:
            raise ValueError(f"{name} has length {len(vector)}, not {length}")
    if p == 0:
        return 0.0, False
    cdef uint8_t[::1] plain = np.ones(count, np.uint8)
    cdef size_t k
    cdef int32_t j
    for k in range(count):
        for j in range(start[k], start[k + 1]):
            plain[k] = plain[k] and not (l1[j] > 0 or low[j] == 0 or high[j] == 0)
    cdef const int64_t[::1] place = np.concatenate([[0], np.cumsum(sizes * sizes)])
    cdef double[:, ::1] factor = np.empty((p, p))
    cdef double[:, ::1] work = np.empty((7, p))
    cdef int32_t[::1] face = np.empty(p, np.int32)
    cdef double violation
    q.p, q.stride, q.count = p, H.shape[1], count
    q.H, q.start, q.norm, q.l1, q.low, q.high = &H[0, 0], &start[0], &norm[0], &l1[0], &low[0], &high[0]
    q.plain, q.values, q.vectors, q.place = &plain[0], &values[0], &vectors[0], &place[0]
    q.w, q.g, q.factor, q.step, q.face = &w[0], &g[0], &factor[0, 0], &work[0, 0], &face[0]
    q.origin, q.slope = &work[5, 0], &work[6, 0]
    q.lapack.potrf, q.lapack.trsv = dpotrf, dtrsv
    q.sweeps = q.newtons = q.stuck = 0
    with nogil:
        violation = sv_group_quadratic_minimise(&q, tol, max_phases)
    return violation, bool(q.stuck)


def group_eigen(const double[:, ::1] H, const int32_t[::1] start):
    """Eigenvalues, rising, and eigenvectors in columns, of the blocks of H from start[k] to start[k + 1], one after the
    other."""
    cdef size_t count = start.shape[0] - 1, k, i, j
    sizes = np.diff(start).astype(np.int64)
    if start[0] != 0 or start[count] > H.shape[0] or start[count] > H.shape[1] or np.any(sizes < 1):
        raise ValueError("the groups do not fit H")
    cdef int64_t most = sizes.max(initial=1)
    values, vectors = np.empty(start[count]), np.empty(int((sizes * sizes).sum()))
    if count == 0:
        return values, vectors
    cdef double[::1] value = values, vector = vectors, work = np.empty(1 + 6 * most + 2 * most * most)
    cdef int32_t[::1] places = np.empty(3 + 5 * most, np.int32)
    cdef int m, room = <int>work.shape[0], more = <int>places.shape[0], info = 0
    cdef char *jobs = b"V"
    cdef char *lower = b"L"
    cdef double *V
    cdef size_t place = 0
    with nogil:
        for k in range(count):
            m, V = start[k + 1] - start[k], &vector[place]
            for i in range(<size_t>m):
                for j in range(<size_t>m):
                    V[i * m + j] = H[start[k] + i, start[k] + j]
            dsyevd(jobs, lower, &m, V, &m, &value[start[k]], &work[0], &room, <int *>&places[0], &more, &info)
            if info != 0:
                break
            for i in range(<size_t>m):  # LAPACK's columns lie one after the other
                for j in range(i):
                    V[i * m + j], V[j * m + i] = V[j * m + i], V[i * m + j]
            place += <size_t>m * <size_t>m
    if info != 0:
        raise np.linalg.LinAlgError("the eigenvalues of a group did not converge")
    return values, vectors
