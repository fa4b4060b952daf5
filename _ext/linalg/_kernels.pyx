# cython: freethreading_compatible=True
"""Binding of the kernels for linear systems: matrices as operands, the methods' loops as functions of them.

Shapes are checked here, since a wrong one would read foreign memory; values are checked by the callers.
"""

from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_SIMPLE,
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcmp, memcpy, memset

import numpy as np

from solvers._base._runtime import Scratch

cdef extern from "operand.h" nogil:
    enum sv_direction:
        SV_FORWARD
        SV_BACKWARD

    struct sv_operand:
        size_t n
        const sv_operand_kernels *does
        const void *matrix
        const double *diagonal
        double entry
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


cdef void *vector_of(array, size_t length, bytes kinds, Py_ssize_t width, str name, bint writable=False) except NULL:
    """Where a contiguous vector of one of these kinds of numbers begins, see the module `struct`.

    The caller keeps the array. A typed memoryview takes three times as long to make.
    """
    cdef Py_buffer view
    cdef size_t found = 0
    PyObject_GetBuffer(array, &view, PyBUF_ND | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0))
    cdef bint fits = view.ndim == 1 and view.itemsize == width and view.format[0] in kinds and view.format[1] == 0
    if fits:
        found = view.shape[0]
    cdef void *address = view.buf
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"{name} must be a vector of {8 * width}-bit {'reals' if kinds in b'df' else 'integers'}")
    if found != length:
        raise ValueError(f"{name} has length {found}, not {length}")
    return address


cdef double *doubles(array, size_t length, str name, bint writable=False) except NULL:
    """Where a vector of float64 begins."""
    return <double *>vector_of(array, length, b"d", sizeof(double), name, writable)


cdef const void *integers(array, size_t length, bint wide, str name) except NULL:
    """Where a vector of int32 begins, or where `wide` of int64."""
    return vector_of(array, length, b"lq" if wide else b"il", 8 if wide else 4, name)


def same(one, other):
    """Whether two contiguous arrays of one type have the same bits."""
    cdef Py_buffer left, right
    PyObject_GetBuffer(one, &left, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(other, &right, PyBUF_SIMPLE)
    except BaseException:
        PyBuffer_Release(&left)
        raise
    cdef bint equal = left.len == right.len and (left.buf == right.buf or memcmp(left.buf, right.buf, left.len) == 0)
    PyBuffer_Release(&left)
    PyBuffer_Release(&right)
    return equal


cdef class Room:
    """Memory that begins at a cache line, zeros unless told otherwise: the loads of a chunk then cross none."""

    cdef void *at
    cdef object block

    def __cinit__(self, size_t size, bint clear=True):
        self.block = Scratch(size)
        cdef size_t address = address_of(self.block, True)
        self.at = <void *>address
        if clear and self.block.used:
            memset(self.at, 0, size)


cdef aligned(Py_ssize_t size, dtype, bint clear=False):
    """A new vector that begins at a cache line; not yet filled, or zeros."""
    if size == 0:
        return np.zeros(0, dtype)
    cdef Room room = Room.__new__(Room, size * dtype.itemsize, clear)
    return np.frombuffer(room.block, dtype)


cdef Room workspace(size_t doubles):
    """Zeros: the padding of an operand's order must not be left undefined."""
    return Room.__new__(Room, doubles * sizeof(double))


FLOAT64 = np.dtype(np.float64)


cdef class Operand:
    """A matrix as the iterative methods see it; the subclasses tell where it is kept."""

    cdef sv_operand operand
    cdef object kept  # what the pointers point into
    cdef dict known  # what was worked out of the values

    cdef const double *vector(self, values, str name) except NULL:
        return doubles(values, self.operand.n, name)

    cdef double *out(self, values, str name) except NULL:
        return doubles(values, self.operand.n, name, True)

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
        return aligned(self.operand.n, FLOAT64, True)

    def room(self):
        """A new vector that a kernel is to fill; zeros where the operand's kernels need finite numbers there."""
        return self.zeros()

    cdef Room workspace(self, size_t vectors):
        """The same, for so many vectors."""
        return workspace(vectors * self.operand.n)

    cdef size_t unknowns_of(self):
        """The length of vectors in the user's order."""
        return self.operand.n

    cdef const double *taken(self, const double *given, double *room) noexcept nogil:
        """A vector of the user's in the operand's order, in that room; itself where the orders are the same."""
        return given

    cdef void start(self, const double *given, double *out) noexcept nogil:
        """A vector of the user's (NULL: zeros) in the operand's order."""
        if given == NULL:
            memset(out, 0, self.operand.n * sizeof(double))
        elif self.taken(given, out) != out:
            memcpy(out, given, self.operand.n * sizeof(double))

    def copied(self, vector):
        """A new vector of the same numbers, both in the operand's order."""
        new = aligned(self.operand.n, FLOAT64)
        new[:] = vector
        return new

    def pack(self, values):
        """A new vector in the operand's order, from one in the user's."""
        return self.copied(values)

    def packed(self, values):
        """As `pack`, but not to be changed: where the orders are the same it is the vector itself."""
        return self.pack(values)

    def unpack(self, values):
        """A new vector in the user's order."""
        return np.array(values)

    def unpacked(self, values):
        """As `unpack`, in memory that is used again: for what the user seldom looks at."""
        return self.copied(values)

    @property
    def diagonal(self):
        """A new array of A's diagonal, in the operand's order."""
        if self.operand.diagonal == NULL:
            return np.full(self.operand.n, self.operand.entry)
        return np.array(<double[:self.operand.n]><double *>self.operand.diagonal)

    @property
    def least_diagonal(self):
        """The least entry of A's diagonal."""
        return self.once("least", self.find_least_diagonal)

    def find_least_diagonal(self):
        cdef const double *d = self.operand.diagonal
        cdef size_t i, n = self.operand.n
        cdef double one = float("inf"), other = one, third = one, fourth = one
        for i in range(0, n - n % 4, 4):  # four at a time: a minimum waits for the one before
            one, other = min(one, d[i]), min(other, d[i + 1])
            third, fourth = min(third, d[i + 2]), min(fourth, d[i + 3])
        for i in range(n - n % 4, n):
            one = min(one, d[i])
        return min(min(one, other), min(third, fourth))

    def once(self, str name, make):
        """What `make` returned when it was first called under this name for the values that the matrix has."""
        if self.known is None:
            self.known = {}
        if name not in self.known:
            self.known[name] = make()
        return self.known[name]

    def multiply(self, x, out):
        """out = A x; returns x'A x."""
        cdef const double *px = self.vector(x, "x")
        cdef double *po = self.out(out, "out")
        cdef double product
        with nogil:
            product = self.operand.does.multiply(&self.operand, px, po)
        return product

    def residual(self, b, x, r):
        """r = b - A x; returns r'r."""
        cdef const double *pb = self.vector(b, "b")
        cdef const double *px = self.vector(x, "x")
        cdef double *pr = self.out(r, "r")
        cdef double square
        with nogil:
            square = self.operand.does.residual(&self.operand, pb, px, pr)
        return square

    def residual_norm(self, b, x):
        """The 2-norm of b - A x; b packed, x in the user's order."""
        cdef const double *pb = self.vector(b, "b")
        packed = self.packed(x)
        cdef const double *px = self.vector(packed, "x")
        cdef Room work = Room.__new__(Room, self.operand.n * sizeof(double), False)
        cdef double square
        with nogil:
            square = self.operand.does.residual(&self.operand, pb, px, <double *>work.at)
        return sqrt(square)

    def sweep(self, double omega, bint backward, b, x):
        """One SOR sweep of x, in place."""
        cdef const double *pb = self.vector(b, "b")
        cdef double *px = self.out(x, "x")
        with nogil:
            self.operand.does.sweep(&self.operand, omega, SV_BACKWARD if backward else SV_FORWARD, pb, px)

    def measured_sweep(self, double omega, bint backward, b, x, d):
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

    def jacobi(self, double omega, double momentum, b, x, out):
        """out = x + momentum (x - out) + omega (b - A x) / diagonal; returns r'r at x."""
        cdef const double *pb = self.vector(b, "b")
        cdef const double *px = self.vector(x, "x")
        cdef double *po = self.out(out, "out")
        cdef double square
        with nogil:
            square = self.operand.does.jacobi(&self.operand, omega, momentum, pb, px, po)
        return square

    def triangular_solve(self, double omega, bint upper, rhs, out):
        """out = (D / omega + L)^-1 rhs, or with U."""
        cdef const double *pr = self.vector(rhs, "rhs")
        cdef double *po = self.out(out, "out")
        with nogil:
            if upper:
                self.operand.does.upper_solve(&self.operand, omega, pr, po)
            else:
                self.operand.does.lower_solve(&self.operand, omega, pr, po)

    def eisenstat(self, double omega, v, t, q):
        """q = t + (D / omega + L)^-1 (v - (2 / omega - 1) D t); returns v'q."""
        cdef const double *pv = self.vector(v, "v")
        cdef const double *pt = self.vector(t, "t")
        cdef double *pq = self.out(q, "q")
        cdef double product
        with nogil:
            product = self.operand.does.eisenstat(&self.operand, omega, pv, pt, pq)
        return product

    def lower_product(self, double omega, r, out):
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
include "forecast.pxi"
include "glance.pxi"
include "multilevel_stencil.pxi"
include "multilevel_plan.pxi"
include "multilevel.pxi"
include "multilevel_cg.pxi"
