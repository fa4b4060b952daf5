# Nonlinear programs whose functions and matrices are a Python object's (sv_nlp of nlp.h). The object has the attributes n and
# m and the functions below by the same names (`Backend` in solvers/optimize/_nlp.py says what each takes and returns). An
# exception in one of them ends the solve and is raised by whoever called it.

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free

cdef extern from "runtime.h" nogil:
    void *sv_scratch_take(size_t bytes, int *used)
    void sv_scratch_give(void *block, size_t bytes)

cdef extern from "nlp.h" nogil:
    enum: SV_STOP, SV_FAILED

    struct sv_nlp:
        int64_t n
        int64_t m
        int64_t linear
        void *data
        int64_t carried
        void (*carry)(void *, double *) noexcept nogil
        int (*values)(void *, const double *, double *, double *) noexcept nogil
        int (*slopes)(void *, const double *, double *) noexcept nogil
        int (*curvature)(void *, const double *, double, const double *) noexcept nogil
        int (*scale)(void *, double, const double *) noexcept nogil
        int (*rows)(void *, double *) noexcept nogil
        int (*jacobian)(void *, const double *, double *) noexcept nogil
        int (*adjoint)(void *, const double *, double *) noexcept nogil
        int (*hessian)(void *, const double *, double *) noexcept nogil
        int (*factor)(void *, int, const double *, const double *, int64_t *, int64_t *) noexcept nogil
        int (*solve)(void *, const double *, double, double *) noexcept nogil


cdef class NLP:
    """The table of functions of a nonlinear program; what runs it calls `check` afterwards."""

    cdef sv_nlp table
    cdef object error
    cdef double *spare
    cdef int64_t spares

    def __dealloc__(self):
        if self.spare != NULL:
            sv_scratch_give(self.spare, self.spares * sizeof(double))

    cdef double *room(self, int64_t count) except NULL:
        """Numbers for the work of a method: the same memory each time, since the system clears new pages."""
        cdef int used
        if self.spares <= count:
            if self.spare != NULL:
                sv_scratch_give(self.spare, self.spares * sizeof(double))
            self.spares, self.spare = count + 1, <double *>sv_scratch_take((count + 1) * sizeof(double), &used)
            if self.spare == NULL:
                self.spares = 0
                raise MemoryError(f"no memory for {count} numbers")
        return self.spare

    cdef check(self):
        """Raise what a function of the program has raised."""
        error, self.error = self.error, None
        if error is not None:
            raise error

    # The functions of the table for Python code, as `Backend` in solvers/optimize/_nlp.py has them.

    @property
    def carried(self):
        """How many numbers the program learns from step to step (nlp.h)."""
        return self.table.carried

    @property
    def counts(self):
        """What the linear algebra has counted, by name."""
        return {}

    @property
    def n(self):
        return self.table.n

    @property
    def m(self):
        return self.table.m

    def values(self, x):
        cdef double f = 0
        c = np.zeros(self.table.m)
        self._served(self.table.values(self.table.data, entries(x, self.table.n), &f, entries(c, self.table.m)))
        return f, c

    def slopes(self, x):
        g = np.zeros(self.table.n)
        self._served(self.table.slopes(self.table.data, entries(x, self.table.n), entries(g, self.table.n)))
        return g

    def curvature(self, x, double sigma, y):
        return bool(self._served(
            self.table.curvature(self.table.data, entries(x, self.table.n), sigma, entries(y, self.table.m))))

    def scale(self, double f_scale, c_scale):
        self._served(self.table.scale(self.table.data, f_scale, entries(c_scale, self.table.m)))

    def rows(self):
        out = np.zeros(self.table.m)
        self._served(self.table.rows(self.table.data, entries(out, self.table.m)))
        return out

    def jacobian(self, v):
        out = np.zeros(self.table.m)
        self._served(self.table.jacobian(self.table.data, entries(v, self.table.n), entries(out, self.table.m)))
        return out

    def adjoint(self, y):
        out = np.zeros(self.table.n)
        self._served(self.table.adjoint(self.table.data, entries(y, self.table.m), entries(out, self.table.n)))
        return out

    def hessian(self, v):
        out = np.zeros(self.table.n)
        self._served(self.table.hessian(self.table.data, entries(v, self.table.n), entries(out, self.table.n)))
        return out

    def factor(self, bint with_hessian, dx, dc):
        cdef int64_t negative = 0, zero = 0
        if not self._served(self.table.factor(self.table.data, with_hessian, entries(dx, self.table.n),
                                              entries(dc, self.table.m), &negative, &zero)):
            return None
        return negative, zero

    def solve(self, rhs, double rtol):
        cdef int64_t size = self.table.n + self.table.m
        out = np.zeros(size)
        if not self._served(self.table.solve(self.table.data, entries(rhs, size), rtol, entries(out, size))):
            return None
        return out

    cdef int _served(self, int code) except -1:
        self.check()
        return code == 0


cdef double nothing = 0


cdef double *entries(values, int64_t count) except NULL:
    """Where a contiguous vector of so many numbers begins; a typed memoryview takes several times as long to make.

    The caller keeps the array, and knows whether it may be written to.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(values, &view, PyBUF_ND | PyBUF_FORMAT)
    cdef bint reals = view.ndim == 1 and view.format[0] == c"d" and view.format[1] == 0
    cdef int64_t found = view.shape[0] if reals else -1
    cdef double *begin = <double *>view.buf
    PyBuffer_Release(&view)
    if not reals:
        raise TypeError("a contiguous vector of float64 was expected")
    if found != count:
        raise ValueError(f"{count} numbers were expected, not {found}")
    return begin if count else &nothing


cdef copied(const double *values, int64_t count):
    """A new array: a user's function may keep what it is given."""
    out = np.empty(count)
    if count:
        memcpy(entries(out, count), values, count * sizeof(double))
    return out


cdef int into(object values, int64_t count, double *out) except -1:
    given = np.ascontiguousarray(values, np.float64)
    cdef const double *numbers = entries(given, count)
    if count:
        memcpy(out, numbers, count * sizeof(double))
    return 0


cdef class PythonNLP(NLP):
    """The program of a Python backend."""

    cdef object backend

    def __init__(self, backend):
        self.backend = backend
        self.table.carry = carry_nothing
        self.table.n, self.table.m, self.table.data = backend.n, backend.m, <void *>self
        self.table.linear = getattr(backend, "linear", False)
        self.table.values, self.table.slopes, self.table.curvature = python_values, python_slopes, python_curvature
        self.table.scale, self.table.rows = python_scale, python_rows
        self.table.jacobian, self.table.adjoint, self.table.hessian = python_jacobian, python_adjoint, python_hessian
        self.table.factor, self.table.solve = python_factor, python_solve

    @property
    def counts(self):
        return self.backend.counts


cdef void carry_nothing(void *data, double *numbers) noexcept nogil:
    pass


cdef int python_values(void *data, const double *x, double *f, double *c) noexcept with gil:
    self = <PythonNLP>data
    try:
        at = copied(x, self.table.n)
        if f != NULL:
            f[0], values = self.backend.values(at)
        else:
            values = self.backend.constraints(at)
        into(values, self.table.m, c)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_slopes(void *data, const double *x, double *g) noexcept with gil:
    self = <PythonNLP>data
    try:
        at = copied(x, self.table.n)
        if g != NULL:
            into(self.backend.slopes(at), self.table.n, g)
        else:
            self.backend.linearise(at)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_curvature(void *data, const double *x, double sigma, const double *y) noexcept with gil:
    self = <PythonNLP>data
    try:
        if not self.backend.curvature(copied(x, self.table.n), sigma, copied(y, self.table.m)):
            return SV_FAILED
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_scale(void *data, double f_scale, const double *c_scale) noexcept with gil:
    self = <PythonNLP>data
    try:
        self.backend.scale(f_scale, copied(c_scale, self.table.m))
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_rows(void *data, double *out) noexcept with gil:
    self = <PythonNLP>data
    try:
        into(self.backend.rows(), self.table.m, out)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_jacobian(void *data, const double *v, double *out) noexcept with gil:
    self = <PythonNLP>data
    try:
        into(self.backend.jacobian(copied(v, self.table.n)), self.table.m, out)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_adjoint(void *data, const double *y, double *out) noexcept with gil:
    self = <PythonNLP>data
    try:
        into(self.backend.adjoint(copied(y, self.table.m)), self.table.n, out)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_hessian(void *data, const double *v, double *out) noexcept with gil:
    self = <PythonNLP>data
    try:
        into(self.backend.hessian(copied(v, self.table.n)), self.table.n, out)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_factor(void *data, int with_hessian, const double *dx, const double *dc, int64_t *negative,
                       int64_t *zero) noexcept with gil:
    self = <PythonNLP>data
    try:
        counts = self.backend.factor(bool(with_hessian), copied(dx, self.table.n), copied(dc, self.table.m))
        if counts is None:
            return SV_FAILED
        negative[0], zero[0] = counts
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0


cdef int python_solve(void *data, const double *rhs, double rtol, double *out) noexcept with gil:
    self = <PythonNLP>data
    cdef int64_t size = self.table.n + self.table.m
    try:
        solution = self.backend.solve(copied(rhs, size), rtol)
        if solution is None:
            return SV_FAILED
        into(solution, size, out)
    except BaseException as error:
        self.error = error
        return SV_STOP
    return 0
