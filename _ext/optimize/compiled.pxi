# Nonlinear programs' functions that users have compiled (compiled.h).

from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_GetName, PyCapsule_GetPointer
from cpython.tuple cimport PyTuple_GET_ITEM

from libc.math cimport isfinite

from scipy import LowLevelCallable

from .._base.compiled import address_of

REAL = np.dtype(np.float64)

cdef extern from "compiled.h" nogil:
    ctypedef double sv_compiled_fun(int, double *, void *) noexcept
    ctypedef void sv_compiled_vector(int, double *, double *, void *) noexcept
    ctypedef void sv_compiled_rows(int, int, double *, double *, void *) noexcept
    ctypedef void sv_compiled_curvature(int, int, double *, double *, double *, void *) noexcept

    struct sv_compiled_block:
        int64_t count
        const double *matrix
        sv_compiled_rows *con
        sv_compiled_rows *con_jac
        sv_compiled_curvature *con_hess
        void *con_data
        void *con_jac_data
        void *con_hess_data

    struct sv_compiled:
        int64_t n
        int64_t blocks
        sv_compiled_fun *fun
        sv_compiled_vector *jac
        sv_compiled_vector *hess
        void *fun_data
        void *jac_data
        void *hess_data
        const sv_compiled_block *block
        double *work

    int sv_compiled_value(void *, const double *, double *) noexcept
    int sv_compiled_gradient(void *, const double *, double *) noexcept
    int sv_compiled_constraints(void *, const double *, double *) noexcept
    int sv_compiled_jacobian(void *, const double *, double *) noexcept
    int sv_compiled_hessian(void *, const double *, double, const double *, double *) noexcept


cdef void *compiled_address(object function, void **data):
    """The address of a compiled function, and of its user's data; NULL for a function of Python's, or None."""
    data[0] = NULL
    if type(function) is LowLevelCallable:  # what comes most often: as `held_by` reads it, without Python's numbers
        capsule = <object>PyTuple_GET_ITEM(function, 0)
        data[0] = PyCapsule_GetContext(capsule)
        return PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))
    found = None if function is None else address_of(function)
    if found is None:
        return NULL
    if found[1] is not None:
        data[0] = <void *><uintptr_t>found[1]
    return <void *><uintptr_t>found[0]


cdef class Compiled:
    """A program's functions that can be called without the interpreter.

    Parameters
    ----------
    n : int
    fun, jac, hess : scipy.LowLevelCallable, numba cfunc, other callable or None
        The objective's; the matrices are row-major and arrive as zeros, of Hessians the lower triangle is read::

            double fun(int n, double *x, void *user_data)
            void jac(int n, double *x, double *g, void *user_data)
            void hess(int n, double *x, double *H, void *user_data)

    constraints : sequence of arrays and of tuples (count, con, con_jac, con_hess)
        Blocks of rows in order: the (count, n) matrix of linear rows, or functions of a block::

            void con(int n, int m, double *x, double *c, void *user_data)
            void con_jac(int n, int m, double *x, double *J, void *user_data)
            void con_hess(int n, int m, double *x, double *y, double *H, void *user_data)     of y'c

    What is a function of Python's, or None, leaves that function of the program to Python: the properties `has_fun`,
    `has_gradient`, `has_constraints`, `has_jacobian` and `has_hessian` tell which of the methods below are compiled.
    """

    cdef sv_compiled table
    cdef sv_compiled_block *block
    cdef object kept
    cdef readonly int64_t m
    cdef readonly bint has_fun, has_gradient, has_constraints, has_jacobian, has_hessian

    def __cinit__(self):
        self.block = NULL

    def __init__(self, int64_t n, fun=None, jac=None, hess=None, constraints=()):
        cdef int64_t k
        cdef double[:, ::1] matrix
        cdef int64_t blocks = len(constraints)
        cdef sv_compiled_block *block
        self.table.n, self.table.blocks = n, blocks
        self.table.fun = <sv_compiled_fun *>compiled_address(fun, &self.table.fun_data)
        self.table.jac = <sv_compiled_vector *>compiled_address(jac, &self.table.jac_data)
        self.table.hess = <sv_compiled_vector *>compiled_address(hess, &self.table.hess_data)
        self.has_fun, self.has_gradient, self.has_hessian = (
            self.table.fun != NULL, self.table.jac != NULL, self.table.hess != NULL)
        free(self.block)
        # the numbers for work lie behind the blocks
        self.block = <sv_compiled_block *>calloc(1, (blocks + 1) * sizeof(sv_compiled_block) + n * n * sizeof(double))
        if self.block == NULL:
            raise MemoryError
        self.table.block, self.table.work = self.block, <double *>(self.block + blocks + 1)
        self.has_constraints = self.has_jacobian = True
        self.m, kept = 0, [fun, jac, hess]
        for k, rows in enumerate(constraints):
            block = self.block + k
            if isinstance(rows, tuple):
                block.count, con, con_jac, con_hess = rows
                block.con = <sv_compiled_rows *>compiled_address(con, &block.con_data)
                block.con_jac = <sv_compiled_rows *>compiled_address(con_jac, &block.con_jac_data)
                block.con_hess = <sv_compiled_curvature *>compiled_address(con_hess, &block.con_hess_data)
                self.has_constraints = self.has_constraints and block.con != NULL
                self.has_jacobian = self.has_jacobian and block.con_jac != NULL
                self.has_hessian = self.has_hessian and block.con_hess != NULL
                kept.append(rows)
            else:
                matrix = np.array(rows, np.float64, order="C", ndmin=2)
                if matrix.shape[1] != n:
                    raise ValueError(f"linear rows must have {n} columns, not {matrix.shape[1]}")
                # a matrix without rows has no address, but is one
                block.count, block.matrix = matrix.shape[0], &matrix[0, 0] if matrix.size else self.table.work
                kept.append(matrix)
            self.m += block.count
        self.kept = kept

    def __dealloc__(self):
        free(self.block)

    @property
    def whole(self):
        """Whether nothing is left to Python."""
        return (self.has_fun and self.has_gradient and self.has_constraints and self.has_jacobian
                and self.has_hessian)

    def fun(self, const double[::1] x not None):
        """f(x)."""
        cdef double f = 0
        self._needs(self.has_fun, x)
        sv_compiled_value(&self.table, &x[0], &f)
        return f

    def gradient(self, const double[::1] x not None):
        """The gradient of f at x, shape (n,)."""
        self._needs(self.has_gradient, x)
        cdef double[::1] g = np.empty(self.table.n)
        sv_compiled_gradient(&self.table, &x[0], &g[0])
        return np.asarray(g)

    def constraints(self, const double[::1] x not None):
        """c(x), shape (m,)."""
        self._needs(self.has_constraints, x)
        cdef double[::1] c = np.empty(max(self.m, 1))
        sv_compiled_constraints(&self.table, &x[0], &c[0])
        return np.asarray(c)[: self.m]

    def jacobian(self, const double[::1] x not None):
        """J(x), shape (m, n)."""
        self._needs(self.has_jacobian, x)
        cdef double[:, ::1] J = np.empty((max(self.m, 1), self.table.n))
        sv_compiled_jacobian(&self.table, &x[0], &J[0, 0])
        return np.asarray(J)[: self.m]

    def hessian(self, const double[::1] x not None, double sigma, const double[::1] y not None):
        """The Hessian of sigma f + y'c at x, shape (n, n)."""
        self._needs(self.has_hessian and y.shape[0] == self.m, x)
        cdef double[:, ::1] H = np.empty((self.table.n, self.table.n))
        sv_compiled_hessian(&self.table, &x[0], sigma, &y[0] if self.m else NULL, &H[0, 0])
        lower = np.tril(H)
        return lower + np.tril(lower, -1).T

    cdef _needs(self, bint there, const double[::1] x):
        if not there:
            raise ValueError("this function of the program is not compiled, or y has another length")
        if x.shape[0] != self.table.n or self.table.n == 0:
            raise ValueError(f"x must have {self.table.n} entries, not {x.shape[0]}")


cdef plain_sides(side):
    """A side of rows as an array: of a number, one row's; None for what else it may be."""
    if type(side) is float or type(side) is int:
        return np.full(1, side, np.float64)
    return side if type(side) is np.ndarray and side.dtype is REAL and side.ndim == 1 else None


def plainly(fun, jac, hess, constraint, x0):
    """The plainest programs, read in a microsecond: compiled functions alone, of an objective and of one constraint or none.

    Returns (Compiled, a copy of x0, lower and upper sides of the rows); None where anything is otherwise, or wrong.
    """
    cdef int64_t i, n
    if type(x0) is not np.ndarray or x0.dtype is not REAL or x0.ndim != 1:
        return None
    if type(fun) is not LowLevelCallable and address_of(fun) is None:
        return None
    point, n = x0.copy(), len(x0)
    cdef const double *start = entries(point, n)
    for i in range(n):
        if not isfinite(start[i]):
            return None
    if n == 0:
        return None
    if constraint is None:
        empty = np.empty(0)
        functions = Compiled(n, fun, jac, hess)
        return (functions, point, empty, empty) if functions.whole else None
    if getattr(constraint, "keep_feasible", True) is not False or hasattr(constraint, "A"):
        return None
    lower, upper = plain_sides(getattr(constraint, "lb", None)), plain_sides(getattr(constraint, "ub", None))
    if lower is None or upper is None or len(lower) != len(upper) or len(lower) == 0:
        return None
    sides = sound_sides(lower, upper)
    if sides is None or not sides[2]:
        return None
    con, con_jac, con_hess = (getattr(constraint, name, None) for name in ("fun", "jac", "hess"))
    functions = Compiled(n, fun, jac, hess, [(len(lower), con, con_jac, con_hess)])
    return (functions, point, sides[0], sides[1]) if functions.whole else None
