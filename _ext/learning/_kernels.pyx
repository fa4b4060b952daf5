# cython: freethreading_compatible=True
"""Binding of the kernels for penalised regression."""

from libc.stdint cimport int32_t, int64_t

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
