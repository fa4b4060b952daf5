# cython: freethreading_compatible=True
"""Binding of the kernels for linear systems: matrices as operands, the methods' loops as functions of them.

Shapes are checked here, since a wrong one would read foreign memory; values are checked by the callers.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from solvers._base._runtime import Scratch

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


cdef size_t address_of(array, bint writable=False) except? 0:
    """Where a contiguous array begins; a tenth of the time that NumPy's own `ctypes` takes."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
    cdef size_t address = <size_t>view.buf
    PyBuffer_Release(&view)
    return address


cdef aligned_zeros(Py_ssize_t size, dtype):
    """Zeros that begin at a cache line: the loads of a chunk then cross none."""
    size *= dtype().itemsize
    room = np.zeros(size + 64, np.int8)
    cdef Py_ssize_t first = -address_of(room) % 64
    return room[first:first + size].view(dtype)


cdef double *workspace(size_t doubles) except NULL:
    """Room that begins at a cache line, of zeros: the padding of an operand's order must not be left undefined."""
    cdef double *work = <double *>aligned_alloc(64, (doubles * sizeof(double) + 63) // 64 * 64)
    if work == NULL:
        raise MemoryError
    memset(work, 0, doubles * sizeof(double))
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

    @property
    def threads(self):
        """Threads that a pass may use; its results do not depend on it."""
        return self.operand.threads

    @threads.setter
    def threads(self, int threads):
        self.operand.threads = max(threads, 1)

    def zeros(self):
        """A new vector of zeros in the operand's order, which begins at a cache line."""
        return aligned_zeros(self.operand.n, np.float64)

    def pack(self, values):
        """A new vector in the operand's order, from one in the user's."""
        return np.array(values, np.float64)

    def unpack(self, values):
        """A new vector in the user's order."""
        return np.array(values)

    @property
    def diagonal(self):
        """A new array of A's diagonal, in the operand's order."""
        return np.array(<double[:self.operand.n]><double *>self.operand.diagonal)

    @property
    def least_diagonal(self):
        """The least entry of A's diagonal."""
        return float(np.asarray(<double[:self.operand.n]><double *>self.operand.diagonal).min())

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


include "csr.pxi"
include "sell.pxi"


include "methods.pxi"
include "grid.pxi"
include "conv.pxi"
include "tuner.pxi"
include "multilevel.pxi"
