# cython: freethreading_compatible=True
"""Binding of the kernels for penalised regression."""

from libc.stdint cimport int32_t, int64_t, uint8_t

import numpy as np

from scipy.linalg.cython_blas cimport dtrsv
from scipy.linalg.cython_lapack cimport dpotrf

cdef extern from "quadratic.h" nogil:
    struct sv_lapack:
        void (*potrf)(char *, int *, double *, int *, int *) noexcept nogil
        void (*trsv)(char *, char *, char *, int *, double *, int *, double *, int *) noexcept nogil

    struct sv_quadratic:
        size_t p
        size_t stride
        const double *H
        const double *weight
        const double *low
        const double *high
        double *w
        double *g
        size_t size
        int32_t *face
        int32_t *place
        double *factor
        double *step
        double *start "from"
        double *origin
        double *slope
        sv_lapack lapack
        int64_t sweeps
        int64_t moves
        int64_t newtons
        int64_t factorisations
        int64_t updates

    double sv_quadratic_minimise(sv_quadratic *, double, int64_t) noexcept nogil


cdef class Quadratic:
    """A dense quadratic with l1 weights and bounds, and the factor on its face."""

    cdef sv_quadratic q
    cdef object kept

    def __init__(self, const double[:, ::1] H, const double[::1] weight, const double[::1] low,
                 const double[::1] high, double[::1] w, double[::1] g):
        cdef size_t p = w.shape[0]
        cdef int32_t[::1] face = np.empty(p, np.int32)
        cdef int32_t[::1] place = np.full(p, -1, np.int32)
        cdef double[:, ::1] factor = np.empty((p, H.shape[1]))
        cdef double[::1] step = np.empty(4 * p)
        cdef double[:, ::1] start = np.empty((3, p))
        if H.shape[0] < w.shape[0] or H.shape[1] < w.shape[0]:
            raise ValueError(f"H is {H.shape[0]} x {H.shape[1]}, but there are {p} coordinates")
        for name, vector in (("weight", weight), ("low", low), ("high", high), ("g", g)):
            if len(vector) != len(w):
                raise ValueError(f"{name} has length {len(vector)}, not {p}")
        self.kept = H, weight, low, high, w, g, face, place, factor, step, start
        self.q.p = p
        if p == 0:
            return
        self.q.stride = H.shape[1]
        self.q.H, self.q.weight, self.q.low, self.q.high = &H[0, 0], &weight[0], &low[0], &high[0]
        self.q.w, self.q.g = &w[0], &g[0]
        self.q.face, self.q.place = &face[0], &place[0]
        self.q.factor, self.q.step, self.q.start = &factor[0, 0], &step[0], &start[0, 0]
        self.q.origin, self.q.slope = &start[1, 0], &start[2, 0]
        self.q.lapack.potrf, self.q.lapack.trsv = dpotrf, dtrsv

    def minimise(self, double tol, int64_t max_phases):
        """The violation reached; w and g are changed in place."""
        cdef double violation
        with nogil:
            violation = sv_quadratic_minimise(&self.q, tol, max_phases)
        return violation

    @property
    def counts(self):
        """What was done so far."""
        return {"sweeps": self.q.sweeps, "moves": self.q.moves, "newtons": self.q.newtons,
                "factorisations": self.q.factorisations, "updates": self.q.updates}


cdef extern from "gram.h" nogil:
    void sv_learning_csr_gram(size_t, const int32_t *, const int32_t *, const double *, const int32_t *, const double *,
                              double *, size_t, size_t, int32_t *, double *)


def csr_gram(const int32_t[::1] starts, const int32_t[::1] columns, const double[::1] values,
             const int32_t[::1] where, double[:, ::1] H, size_t p, weights=None):
    """H[:p, :p] += X_W' D X_W of a CSR matrix; where[column] is its place in W, below p, or -1; H of zeros."""
    cdef size_t n = starts.shape[0] - 1
    if H.shape[0] < p or H.shape[1] < p:
        raise ValueError(f"H is {H.shape[0]} x {H.shape[1]}, not {p} x {p}")
    longest = int(np.diff(starts).max(initial=0))
    cdef int32_t[::1] place = np.empty(longest + 1, np.int32)
    cdef double[::1] entry = np.empty(longest + 1)
    cdef const double[::1] given
    cdef const double *scale = NULL
    if weights is not None:
        given = weights
        if given.shape[0] != n:
            raise ValueError(f"weights has length {given.shape[0]}, not {n}")
        scale = &given[0]
    if p and n and values.shape[0]:
        with nogil:
            sv_learning_csr_gram(n, &starts[0], &columns[0], &values[0], &where[0], scale, &H[0, 0], H.shape[1], p,
                                 &place[0], &entry[0])


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
    kinked = (np.asarray(l1) > 0) | (np.asarray(low) == 0) | (np.asarray(high) == 0)
    cdef const uint8_t[::1] plain = (~np.logical_or.reduceat(kinked, start[:count])).astype(np.uint8)
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


cdef extern from "solvers.h" nogil:
    void sv_softmax_f64(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t, int)
    void sv_log_softmax_f64(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t, int)


def softmax(const double[:, ::1] z):
    """The softmax of each row, a new array."""
    return _of_rows(z, sv_softmax_f64)


def log_softmax(const double[:, ::1] z):
    """Its logarithm."""
    return _of_rows(z, sv_log_softmax_f64)


cdef _of_rows(const double[:, ::1] z, void (*kernel)(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t,
                                                    int) noexcept nogil):
    cdef size_t n = z.shape[0], length = z.shape[1]
    found = np.empty((n, length))
    cdef double[:, ::1] y = found
    if n and length:
        with nogil:
            kernel(&z[0, 0], length, &y[0, 0], length, n, length, 0)
    return found
