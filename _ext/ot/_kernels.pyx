# cython: freethreading_compatible=True
"""Binding of the transport kernels: the cost as an object, the passes as its methods.

Shapes are checked here, since a wrong one would read foreign memory; values are checked by the callers.
"""

from cpython.buffer cimport (
    Py_buffer, PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.limits cimport INT_MAX
from libc.math cimport HUGE_VAL
from libc.stdlib cimport free

cdef extern from "stdlib.h" nogil:
    void *aligned_alloc(size_t, size_t)

cdef extern from "ot.h" nogil:
    cdef enum sv_ot_cost_kind:
        SV_COST_FLOAT64
        SV_COST_FLOAT32
        SV_COST_SQEUCLIDEAN
        SV_COST_EUCLIDEAN
        SV_COST_CITYBLOCK
        SV_COST_CHEBYSHEV
        SV_COST_MINKOWSKI

    struct sv_ot_cost:
        sv_ot_cost_kind kind
        size_t n, m, d
        const void *matrix
        Py_ssize_t stride
        const double *x
        const double *y
        double p
        const double *offset
        const double *column_offset

    struct sv_ot_sparse_hessian:
        size_t n, m
        const Py_ssize_t *row_starts
        const int *columns
        const double *values
        const double *row_sums
        const double *column_sums

    struct ot_thinning:
        double share
        size_t most
        double *values
        int *columns
        Py_ssize_t *counts

    struct ot_storing:
        double *plan
        size_t stride
        double *x

    enum:
        OT_LEAF_ROWS

    size_t sv_ot_worksize(size_t, size_t)
    size_t sv_ot_thinned_room(size_t, size_t, size_t)
    void sv_ot_sweep_thinned(const sv_ot_cost *, double, const double *, double *, const double *, double *, double *,
                             const ot_thinning *, double *, int)
    void sv_ot_sweep(const sv_ot_cost *, double, const double *, double *, const double *, double *, double *, double *,
                     int)
    void sv_ot_damped_sweep(const sv_ot_cost *, double, const double *, double, double *, const double *, double *,
                            double *, double *, int)
    double sv_ot_marginals(const sv_ot_cost *, double, const double *, const double *, double *, double *, double *,
                           double *, int)
    void sv_ot_plan_rows(const sv_ot_cost *, double, const double *, const double *, size_t, size_t, double *, size_t, int)
    void sv_ot_store(const sv_ot_cost *, double, const double *, double *, const double *, const ot_storing *, double *,
                     double *, double *, int)
    void sv_ot_large_entries(const sv_ot_cost *, double, const double *, const double *, size_t, size_t, double,
                             double *, int *, Py_ssize_t *, int)
    void sv_ot_column_max(const sv_ot_cost *, double, const double *, double *, double *, int)
    int sv_ot_row_range(const sv_ot_cost *, double *, double *)
    int sv_ot_newton_cg(const sv_ot_sparse_hessian *, const double *, const double *, double *, double *, double, int,
                        double *)

cdef extern from "certificate.h" nogil:
    double sv_ot_scale_below(const sv_ot_cost *, double, const double *, const double *, const double *,
                             const double *, double *, double *, double *, double *, int)
    void sv_ot_row_max(const sv_ot_cost *, double, const double *, const double *, double *, double *, int)

cdef extern from "products.h" nogil:
    int OT_PRODUCT_MAX
    size_t sv_ot_product_worksize(size_t, size_t, size_t)
    void sv_ot_apply(const sv_ot_cost *, double, const double *, const double *, const double *, size_t, double *,
                     double *, int)
    void sv_ot_apply_transposed(const sv_ot_cost *, double, const double *, const double *, const double *, size_t,
                                double *, double *, int)

#: Vectors at most in one product.
PRODUCT_MAX, LEAF_ROWS = OT_PRODUCT_MAX, OT_LEAF_ROWS

METRICS = {
    "sqeuclidean": SV_COST_SQEUCLIDEAN, "euclidean": SV_COST_EUCLIDEAN, "cityblock": SV_COST_CITYBLOCK,
    "chebyshev": SV_COST_CHEBYSHEV, "minkowski": SV_COST_MINKOWSKI,
}


cdef const double *vector(const double[::1] values, Py_ssize_t length, str name) except NULL:
    if values.shape[0] != length or length == 0:
        raise ValueError(f"{name} has length {values.shape[0]}, not {length}")
    return &values[0]


cdef double *out_vector(double[::1] values, Py_ssize_t length, str name) except NULL:
    return <double *>vector(values, length, name)


cdef int fit_rows(double[:, :] plan, Py_ssize_t rows, Py_ssize_t m) except -1:
    """Refuse what is not so many rows of m entries side by side."""
    if (plan.shape[0] != rows or plan.shape[1] != m or plan.strides[0] % 8 or plan.strides[1] != 8
            or plan.strides[0] < 8 * m):
        raise ValueError("these rows of the plan do not fit")
    return 0


cdef double *workspace(size_t doubles) except NULL:
    """Room that begins at a cache line."""
    cdef double *work = <double *>aligned_alloc(64, (doubles * sizeof(double) + 63) // 64 * 64)
    if work == NULL:
        raise MemoryError
    return work


cdef class Cost:
    """A cost matrix, stored or made from points; the methods work on the plan 2^(u_i + v_j - scale (C_ij - offset_i)).

    With a column_offset, C_ij - offset_i means C_ij - offset_i - column_offset_j throughout.
    """

    cdef sv_ot_cost cost
    cdef Py_buffer matrix
    cdef const double[:, ::1] x, y
    cdef const double[::1] offset, column_offset

    def __cinit__(self, matrix=None, x=None, y=None, metric=None, offset=None, column_offset=None,
                  double p=2.0):
        if matrix is not None:
            self._take_matrix(matrix)
        else:
            self.x, self.y = x, y
            self.cost.kind = <sv_ot_cost_kind><int>METRICS[metric]
            if not p > 0:
                raise ValueError("p is not positive")
            self.cost.p = p
            self.cost.n, self.cost.d, self.cost.m = self.x.shape[0], self.x.shape[1], self.y.shape[1]
            if self.y.shape[0] != self.x.shape[1] or not self.cost.d:
                raise ValueError("x is (n, d) and y is (d, m) with the same d > 0")
            if self.cost.n and self.cost.m:
                self.cost.x, self.cost.y = &self.x[0, 0], &self.y[0, 0]
        if not self.cost.n or not self.cost.m:
            raise ValueError("the cost is empty")
        if offset is not None:
            self.offset = offset
            self.cost.offset = vector(self.offset, self.cost.n, "offset")
        if column_offset is not None:
            if offset is None:
                raise ValueError("column_offset is given without offset")
            self.column_offset = column_offset
            self.cost.column_offset = vector(self.column_offset, self.cost.m, "column_offset")

    cdef _take_matrix(self, matrix):
        cdef Py_buffer *view = &self.matrix
        PyObject_GetBuffer(matrix, view, PyBUF_FORMAT | PyBUF_STRIDES)
        if view.ndim != 2 or view.format[0] not in b"df" or view.format[1] != 0:
            raise ValueError("the cost matrix has two dimensions and native float32 or float64 entries")
        if view.shape[1] > 1 and view.strides[1] != view.itemsize or view.strides[0] % view.itemsize:
            raise ValueError("the rows of the cost matrix are not contiguous")
        self.cost.kind = SV_COST_FLOAT64 if view.format[0] == c"d" else SV_COST_FLOAT32
        self.cost.n, self.cost.m = view.shape[0], view.shape[1]
        self.cost.matrix, self.cost.stride = view.buf, view.strides[0] // view.itemsize

    def __dealloc__(self):
        PyBuffer_Release(&self.matrix)

    @property
    def shape(self):
        return self.cost.n, self.cost.m

    def sweep(self, double scale, const double[::1] a, double[::1] u, const double[::1] v, double[::1] column_sums,
              int threads, double[::1] rest=None):
        """One Sinkhorn iteration: u (in place) so that the rows sum to a, then the column sums.

        rest, here and below: becomes what rounding took off the column sums.
        """
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pa = vector(a, n, "a")
        cdef double *pu = out_vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        cdef double *pc = out_vector(column_sums, m, "column_sums")
        cdef double *pe = NULL if rest is None else out_vector(rest, m, "rest")
        cdef double *work = workspace(sv_ot_worksize(n, m))
        with nogil:
            sv_ot_sweep(&self.cost, scale, pa, pu, pv, pc, pe, work, threads)
        free(work)

    def sweep_thinned(self, double scale, const double[::1] a, double[::1] u, const double[::1] v,
                      double[::1] column_sums, double share, Py_ssize_t most, double[::1] values, int[::1] columns,
                      Py_ssize_t[::1] counts, int threads, double[::1] rest=None):
        """A sweep that also keeps the entries >= share * a_i of the new plan, at most `most` a row, in place."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pa = vector(a, n, "a")
        cdef double *pu = out_vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        cdef double *pc = out_vector(column_sums, m, "column_sums")
        cdef double *pe = NULL if rest is None else out_vector(rest, m, "rest")
        cdef ot_thinning thinning
        cdef size_t room = sv_ot_thinned_room(n, m, most)
        if most < 1 or <size_t>values.shape[0] < room or <size_t>columns.shape[0] < room or counts.shape[0] != n:
            raise ValueError("values, columns and counts do not fit")
        if not share > 0:
            raise ValueError("share must be positive")
        thinning.share, thinning.most = share, most
        thinning.values, thinning.columns, thinning.counts = &values[0], &columns[0], &counts[0]
        cdef double *work = workspace(sv_ot_worksize(n, m))
        with nogil:
            sv_ot_sweep_thinned(&self.cost, scale, pa, pu, pv, pc, pe, &thinning, work, threads)
        free(work)

    def damped_sweep(self, double scale, const double[::1] base, double damping, double[::1] u, const double[::1] v,
                     double[::1] q, double[::1] column_sums, int threads):
        """q = log2 sum_j 2^(v_j - scale (C_ij - offset_i)), u = base - damping * q, then the column sums; in place."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pb = vector(base, n, "base")
        cdef double *pu = out_vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        cdef double *pq = out_vector(q, n, "q")
        cdef double *pc = out_vector(column_sums, m, "column_sums")
        cdef double *work = workspace(sv_ot_worksize(n, m))
        with nogil:
            sv_ot_damped_sweep(&self.cost, scale, pb, damping, pu, pv, pq, pc, work, threads)
        free(work)

    def marginals(self, double scale, const double[::1] u, const double[::1] v, double[::1] row_sums,
                  double[::1] column_sums, int threads, double[::1] rest=None):
        """Row sums and column sums of the plan, in place; returns sum_ij (C_ij - offset_i) P_ij."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pu = vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        cdef double *pr = out_vector(row_sums, n, "row_sums")
        cdef double *pc = out_vector(column_sums, m, "column_sums")
        cdef double *pe = NULL if rest is None else out_vector(rest, m, "rest")
        cdef double paid
        cdef double *work = workspace(sv_ot_worksize(n, m))
        with nogil:
            paid = sv_ot_marginals(&self.cost, scale, pu, pv, pr, pc, pe, work, threads)
        free(work)
        return paid

    def plan_rows(self, double scale, const double[::1] u, const double[::1] v, Py_ssize_t first, Py_ssize_t last,
                  double[:, :] plan, int threads):
        """Rows [first, last) of the plan, in place."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pu = vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        if not 0 <= first < last <= n:
            raise ValueError("these rows of the plan do not fit")
        fit_rows(plan, last - first, m)
        with nogil:
            sv_ot_plan_rows(&self.cost, scale, pu, pv, first, last, &plan[0, 0], plan.strides[0] // 8, threads)

    def store(self, double scale, const double[::1] a, double[::1] u, const double[::1] v, double[:, :] plan,
              double[::1] x, double[::1] column_sums, int threads, double[::1] rest=None):
        """The plan, x that makes its rows sum to a, and the column sums of diag(x) plan, all in place.

        u changes where a row's sum is out of range there.
        """
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pa = vector(a, n, "a")
        cdef double *pu = out_vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        cdef double *pc = out_vector(column_sums, m, "column_sums")
        cdef double *pe = NULL if rest is None else out_vector(rest, m, "rest")
        cdef ot_storing storing
        fit_rows(plan, n, m)
        storing.plan, storing.stride, storing.x = &plan[0, 0], plan.strides[0] // 8, out_vector(x, n, "x")
        cdef double *work = workspace(sv_ot_worksize(n, m))
        with nogil:
            sv_ot_store(&self.cost, scale, pa, pu, pv, &storing, pc, pe, work, threads)
        free(work)

    def large_entries(self, double scale, const double[::1] u, const double[::1] v, Py_ssize_t first, Py_ssize_t last,
                      double threshold, double[::1] values, int[::1] columns, Py_ssize_t[::1] counts, int threads):
        """Entries >= threshold of the rows [first, last) of the plan, in place: values, columns, and counts a row."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pu = vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        if not 0 <= first < last <= n or counts.shape[0] != last - first:
            raise ValueError("these rows of the plan do not fit")
        if values.shape[0] < (last - first) * m or columns.shape[0] < (last - first) * m:
            raise ValueError("values and columns need room for all entries of the rows")
        with nogil:
            sv_ot_large_entries(&self.cost, scale, pu, pv, first, last, threshold, &values[0], &columns[0], &counts[0],
                                threads)

    def column_max(self, double scale, const double[::1] u, double[::1] out, int threads):
        """max_i u_i - scale (C_ij - offset_i) of each column, in place."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pu = vector(u, n, "u")
        cdef double *po = out_vector(out, m, "out")
        cdef double *work = workspace(sv_ot_worksize(n, m))
        with nogil:
            sv_ot_column_max(&self.cost, scale, pu, po, work, threads)
        free(work)

    def row_range(self):
        """The least and the largest entry of each row of a matrix, without offsets, and whether all are finite."""
        cdef double[::1] least = numpy.empty(self.cost.n), largest = numpy.empty(self.cost.n)
        if self.cost.x != NULL:
            raise ValueError("the cost is not a matrix")
        with nogil:
            finite = sv_ot_row_range(&self.cost, &least[0], &largest[0])
        return least.base, largest.base, bool(finite)

    def apply(self, double scale, const double[::1] u, const double[::1] v, const double[:, ::1] x, double[:, ::1] out,
              int threads):
        """out (n, k) = P x', in place, for x (k, m) with few rows."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m, k = x.shape[0]
        cdef const double *pu = vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        if not 0 < k <= OT_PRODUCT_MAX or x.shape[1] != m or out.shape[0] != n or out.shape[1] != k:
            raise ValueError("the vectors do not fit")
        cdef double *work = workspace(sv_ot_product_worksize(n, m, k))
        with nogil:
            sv_ot_apply(&self.cost, scale, pu, pv, &x[0, 0], k, &out[0, 0], work, threads)
        free(work)

    def apply_transposed(self, double scale, const double[::1] u, const double[::1] v, const double[:, ::1] x,
                         double[:, ::1] out, int threads):
        """out (k, m) = x' P, in place, for x (n, k) with few columns."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m, k = x.shape[1]
        cdef const double *pu = vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        if not 0 < k <= OT_PRODUCT_MAX or x.shape[0] != n or out.shape[0] != k or out.shape[1] != m:
            raise ValueError("the vectors do not fit")
        cdef double *work = workspace(sv_ot_product_worksize(n, m, k))
        with nogil:
            sv_ot_apply_transposed(&self.cost, scale, pu, pv, &x[0, 0], k, &out[0, 0], work, threads)
        free(work)

    def row_max(self, double scale, const double[::1] v, const double[::1] w, double[::1] out, double[::1] product,
                int threads):
        """max_j v_j - scale (C_ij - offset_i) and sum_j (C_ij - offset_i) w_j of each row, in place."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pv = vector(v, m, "v")
        cdef const double *pw = vector(w, m, "w")
        cdef double *po = out_vector(out, n, "out")
        cdef double *pp = out_vector(product, n, "product")
        with nogil:
            sv_ot_row_max(&self.cost, scale, pv, pw, po, pp, threads)

    def scale_below(self, double scale, const double[::1] a, const double[::1] u, const double[::1] v,
                    const double[::1] y, double[::1] x, double[::1] row_sums, double[::1] column_sums, int threads):
        """F = diag(x) P diag(y) with the largest x <= 1 whose row sums stay at most a: x and F's sums, in place;
        returns sum_ij (C_ij - offset_i) F_ij."""
        cdef Py_ssize_t n = self.cost.n, m = self.cost.m
        cdef const double *pa = vector(a, n, "a")
        cdef const double *pu = vector(u, n, "u")
        cdef const double *pv = vector(v, m, "v")
        cdef const double *py = vector(y, m, "y")
        cdef double *px = out_vector(x, n, "x")
        cdef double *pr = out_vector(row_sums, n, "row_sums")
        cdef double *pc = out_vector(column_sums, m, "column_sums")
        cdef double paid
        cdef double *work = workspace(sv_ot_worksize(n, m))
        with nogil:
            paid = sv_ot_scale_below(&self.cost, scale, pa, pu, pv, py, px, pr, pc, work, threads)
        free(work)
        return paid


cdef int check_rows(const Py_ssize_t[::1] row_starts, const int[::1] columns, const double[::1] values, Py_ssize_t n,
                    Py_ssize_t m) except -1:
    """Compressed rows: indices that stay within bounds."""
    cdef Py_ssize_t k
    if row_starts.shape[0] != n + 1 or row_starts[0] != 0 or row_starts[n] > min(columns.shape[0], values.shape[0]):
        raise ValueError("row_starts does not fit the entries")
    for k in range(n):
        if row_starts[k] > row_starts[k + 1]:
            raise ValueError("row_starts decreases")
    for k in range(row_starts[n]):
        if not 0 <= columns[k] < m:
            raise ValueError("a column index is out of range")
    return 0


def newton_cg(const Py_ssize_t[::1] row_starts, const int[::1] columns, const double[::1] values,
              const double[::1] row_sums, const double[::1] column_sums, const double[::1] p, const double[::1] q,
              double[::1] x, double[::1] y, double rtol, int max_iter):
    """Solve the thinned Newton system for (x, y), in place; returns the iterations taken."""
    cdef Py_ssize_t n = row_sums.shape[0], m = column_sums.shape[0]
    cdef sv_ot_sparse_hessian hessian
    cdef int taken
    check_rows(row_starts, columns, values, n, m)
    hessian.n, hessian.m = n, m
    hessian.row_starts = &row_starts[0]
    hessian.columns = &columns[0] if columns.shape[0] else NULL
    hessian.values = &values[0] if values.shape[0] else NULL
    hessian.row_sums = vector(row_sums, n, "row_sums")
    hessian.column_sums = vector(column_sums, m, "column_sums")
    cdef const double *pp = vector(p, n, "p")
    cdef const double *pq = vector(q, m, "q")
    cdef double *px = out_vector(x, n, "x")
    cdef double *py = out_vector(y, m, "y")
    cdef double *work = workspace(4 * (n + m))
    with nogil:
        taken = sv_ot_newton_cg(&hessian, pp, pq, px, py, rtol, max_iter, work)
    free(work)
    return taken


def thinned_room(Py_ssize_t n, Py_ssize_t m, Py_ssize_t most):
    """Entries that `Cost.sweep_thinned` needs room for."""
    return sv_ot_thinned_room(n, m, most)


include "exact.pxi"
include "batch.pxi"
include "newton.pxi"
