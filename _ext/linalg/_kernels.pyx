# cython: freethreading_compatible=True
"""Binding of the kernels for linear systems: matrices as operands, the methods' loops as functions of them.

Shapes are checked here, since a wrong one would read foreign memory; values are checked by the callers.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free

import numpy as np

cdef extern from "stdlib.h" nogil:
    void *aligned_alloc(size_t, size_t)

cdef extern from "operand.h" nogil:
    enum sv_direction:
        SV_FORWARD
        SV_BACKWARD

    struct sv_operand:
        size_t n
        const sv_operand_kernels *does
        const void *matrix
        const double *diagonal
        int threads

    struct sv_operand_kernels:
        double (*multiply)(const sv_operand *, const double *, double *) noexcept nogil
        double (*residual)(const sv_operand *, const double *, const double *, double *) noexcept nogil
        void (*sweep)(const sv_operand *, double, sv_direction, const double *, double *) noexcept nogil
        double (*measured_sweep)(const sv_operand *, double, sv_direction, const double *, double *,
                                 double *) noexcept nogil
        double (*jacobi)(const sv_operand *, double, double, const double *, const double *, double *) noexcept nogil
        void (*lower_solve)(const sv_operand *, double, const double *, double *) noexcept nogil
        void (*upper_solve)(const sv_operand *, double, const double *, double *) noexcept nogil
        double (*eisenstat)(const sv_operand *, double, const double *, const double *, double *) noexcept nogil
        double (*lower_product)(const sv_operand *, double, const double *, double *) noexcept nogil
        void (*sweeps)(const sv_operand *, double, sv_direction, const double *, double *, int) noexcept nogil

cdef extern from "csr.h" nogil:
    struct sv_csr:
        const void *row_starts
        const void *columns
        const void *values
        const void *diagonal_at
        const double *inverse_diagonal

    const sv_operand_kernels *sv_csr_kernels(int, int)

cdef extern from "sor.h" nogil:
    enum sv_sweep:
        SV_SWEEP_FORWARD
        SV_SWEEP_BACKWARD
        SV_SWEEP_SYMMETRIC

    int sv_linalg_sor(const sv_operand *, double, sv_sweep, const double *, double *, double, int, double *, double *)

cdef extern from "cg.h" nogil:
    struct sv_cg:
        double *x
        double *r
        double *v
        double rho
        double residual
        int broken

    int sv_linalg_cg(const sv_operand *, sv_cg *, double, int, double *)

#: The kinds of SOR sweeps.
SWEEPS = {"forward": SV_SWEEP_FORWARD, "backward": SV_SWEEP_BACKWARD, "symmetric": SV_SWEEP_SYMMETRIC}


cdef double *workspace(size_t doubles) except NULL:
    """Room that begins at a cache line."""
    cdef double *work = <double *>aligned_alloc(64, (doubles * sizeof(double) + 63) // 64 * 64)
    if work == NULL:
        raise MemoryError
    return work


cdef class Operand:
    """A matrix as the iterative methods see it; the subclasses tell where it is kept."""

    cdef sv_operand operand
    cdef object kept  # what the pointers point into

    cdef const double *vector(self, const double[::1] values, str name) except NULL:
        if <size_t>values.shape[0] != self.operand.n:
            raise ValueError(f"{name} has length {values.shape[0]}, not {self.operand.n}")
        return &values[0]

    cdef double *out(self, double[::1] values, str name) except NULL:
        return <double *>self.vector(values, name)

    @property
    def size(self):
        """The length of the vectors, with padding where the operand's order has some."""
        return self.operand.n

    def pack(self, values):
        """A new vector in the operand's order, from one in the user's."""
        return np.array(values, np.float64)

    def unpack(self, values):
        """A new vector in the user's order."""
        return np.array(values)

    def multiply(self, const double[::1] x, double[::1] out):
        """out = A x; returns x'A x."""
        cdef const double *px = self.vector(x, "x")
        cdef double *po = self.out(out, "out")
        cdef double product
        with nogil:
            product = self.operand.does.multiply(&self.operand, px, po)
        return product

    def residual(self, const double[::1] b, const double[::1] x, double[::1] r):
        """r = b - A x; returns r'r."""
        cdef const double *pb = self.vector(b, "b")
        cdef const double *px = self.vector(x, "x")
        cdef double *pr = self.out(r, "r")
        cdef double square
        with nogil:
            square = self.operand.does.residual(&self.operand, pb, px, pr)
        return square

    def sweep(self, double omega, bint backward, const double[::1] b, double[::1] x):
        """One SOR sweep of x, in place."""
        cdef const double *pb = self.vector(b, "b")
        cdef double *px = self.out(x, "x")
        with nogil:
            self.operand.does.sweep(&self.operand, omega, SV_BACKWARD if backward else SV_FORWARD, pb, px)

    def measured_sweep(self, double omega, bint backward, const double[::1] b, double[::1] x, double[::1] d):
        """One SOR sweep of x, in place, and the change d; returns r'r before it."""
        cdef const double *pb = self.vector(b, "b")
        cdef double *px = self.out(x, "x")
        cdef double *pd = self.out(d, "d")
        cdef double square
        with nogil:
            square = self.operand.does.measured_sweep(
                &self.operand, omega, SV_BACKWARD if backward else SV_FORWARD, pb, px, pd
            )
        return square

    def jacobi(self, double omega, double momentum, const double[::1] b, const double[::1] x, double[::1] out):
        """out = x + momentum (x - out) + omega (b - A x) / diagonal; returns r'r at x."""
        cdef const double *pb = self.vector(b, "b")
        cdef const double *px = self.vector(x, "x")
        cdef double *po = self.out(out, "out")
        cdef double square
        with nogil:
            square = self.operand.does.jacobi(&self.operand, omega, momentum, pb, px, po)
        return square

    def triangular_solve(self, double omega, bint upper, const double[::1] rhs, double[::1] out):
        """out = (D / omega + L)^-1 rhs, or with U."""
        cdef const double *pr = self.vector(rhs, "rhs")
        cdef double *po = self.out(out, "out")
        with nogil:
            if upper:
                self.operand.does.upper_solve(&self.operand, omega, pr, po)
            else:
                self.operand.does.lower_solve(&self.operand, omega, pr, po)

    def eisenstat(self, double omega, const double[::1] v, const double[::1] t, double[::1] q):
        """q = t + (D / omega + L)^-1 (v - (2 / omega - 1) D t); returns v'q."""
        cdef const double *pv = self.vector(v, "v")
        cdef const double *pt = self.vector(t, "t")
        cdef double *pq = self.out(q, "q")
        cdef double product
        with nogil:
            product = self.operand.does.eisenstat(&self.operand, omega, pv, pt, pq)
        return product

    def lower_product(self, double omega, const double[::1] r, double[::1] out):
        """out = (D / omega + L) r; returns out'out."""
        cdef const double *pr = self.vector(r, "r")
        cdef double *po = self.out(out, "out")
        cdef double square
        with nogil:
            square = self.operand.does.lower_product(&self.operand, omega, pr, po)
        return square


cdef class Csr(Operand):
    """Compressed rows, sorted and without duplicates, in their own order."""

    cdef sv_csr csr

    def __cinit__(self, row_starts, columns, values, diagonal_at, const double[::1] diagonal,
                  const double[::1] inverse_diagonal, int threads=1):
        """row_starts, columns, diagonal_at: all int32 or all int64; values: float64 or float32."""
        cdef Py_ssize_t n = diagonal.shape[0], entries
        cdef const int32_t[::1] starts32, columns32, at32
        cdef const int64_t[::1] starts64, columns64, at64
        cdef const double[::1] values64
        cdef const float[::1] values32
        wide, narrow_values = row_starts.itemsize == 8, values.itemsize == 4
        if n == 0 or inverse_diagonal.shape[0] != n:
            raise ValueError("the diagonals do not fit")
        if wide:
            starts64, columns64, at64 = row_starts, columns, diagonal_at
            fits = starts64.shape[0] == n + 1 and at64.shape[0] == n and columns64.shape[0] == starts64[n]
            entries = columns64.shape[0]
            if fits:
                self.csr.row_starts, self.csr.columns, self.csr.diagonal_at = &starts64[0], &columns64[0], &at64[0]
        else:
            starts32, columns32, at32 = row_starts, columns, diagonal_at
            fits = starts32.shape[0] == n + 1 and at32.shape[0] == n and columns32.shape[0] == starts32[n]
            entries = columns32.shape[0]
            if fits:
                self.csr.row_starts, self.csr.columns, self.csr.diagonal_at = &starts32[0], &columns32[0], &at32[0]
        if not fits or values.size != entries:
            raise ValueError("the arrays of the matrix do not fit one another")
        if narrow_values:
            values32 = values
            self.csr.values = &values32[0]
        else:
            values64 = values
            self.csr.values = &values64[0]
        self.csr.inverse_diagonal = &inverse_diagonal[0]
        self.operand.n, self.operand.threads = n, threads
        self.operand.matrix, self.operand.diagonal = &self.csr, &diagonal[0]
        self.operand.does = sv_csr_kernels(wide, narrow_values)
        self.kept = row_starts, columns, values, diagonal_at, diagonal, inverse_diagonal


def sor(Operand A, double omega, str kind, const double[::1] b, double[::1] x, double goal, int most):
    """SOR sweeps on x, in place, at most `most`, until the residual's norm is at most `goal`: (sweeps, that norm)."""
    cdef const double *pb = A.vector(b, "b")
    cdef double *px = A.out(x, "x")
    cdef sv_sweep sweep = SWEEPS[kind]
    cdef double residual = 0
    cdef int sweeps
    cdef double *work = workspace(2 * A.operand.n)
    with nogil:
        sweeps = sv_linalg_sor(&A.operand, omega, sweep, pb, px, goal, most, &residual, work)
    free(work)
    return sweeps, residual


def cg(Operand A, double[::1] x, double[::1] r, double[::1] v, double rho, double goal, int most):
    """CG iterations on x, r and v, in place: (iterations, rho, r's norm, whether the curvature was not positive)."""
    cdef sv_cg state
    state.x, state.r, state.v = A.out(x, "x"), A.out(r, "r"), A.out(v, "v")
    state.rho, state.residual, state.broken = rho, rho ** 0.5, 0
    cdef int iterations
    cdef double *work = workspace(A.operand.n)
    with nogil:
        iterations = sv_linalg_cg(&A.operand, &state, goal, most, work)
    free(work)
    return iterations, state.rho, state.residual, bool(state.broken)


include "grid.pxi"
