# cython: freethreading_compatible=True
"""Binding of the kernels of block coordinate descent: forests, and steps on quadratic functions.

Shapes are checked here, since a wrong one would read foreign memory; values are checked by the callers.
"""

from libc.stdint cimport int32_t, int64_t

import numpy as np

cdef extern from "forest.h" nogil:
    struct sv_rows:
        int32_t n
        const int64_t *starts
        const int32_t *columns
        const double *values

    struct sv_forest:
        int32_t n
        int32_t classes
        const int32_t *starts
        const int32_t *parent
        double *link
        double *diagonal
        double *factor
        double *inverse
        int64_t *cross_starts
        int32_t *cross_columns
        double *cross_values

    int32_t sv_classes(const sv_rows *, const int32_t *, int, int32_t *, int32_t *)
    int sv_forest_order(const sv_rows *, const int32_t *, int32_t, int32_t *, int32_t *, int32_t *, int32_t *)
    void sv_forest_fill(const sv_rows *, const int32_t *, const int32_t *, const int32_t *, sv_forest *)
    int32_t sv_forest_factor(sv_forest *)
    void sv_forest_solve(const sv_forest *, int32_t, double *)

    struct sv_forest_cg_vectors:
        double *x
        double *r
        double *v
        double *w
        double *z
        double *q
        double rho
        double residual
        int outcome

    void sv_forest_cg_start(const sv_forest *, const double *, sv_forest_cg_vectors *)
    int sv_forest_cg(const sv_forest *, const double *, sv_forest_cg_vectors *, double, int)

cdef extern from "quadratic.h" nogil:
    struct sv_box:
        const double *l1
        const double *lower
        const double *upper

    void sv_add_columns(const sv_rows *, size_t, const int64_t *, const double *, double *)
    double sv_block_sweeps(size_t, const double *, const sv_box *, int, double *, double *)


def block_sweeps(const double[:, ::1] H, const double[::1] l1, const double[::1] lower, const double[::1] upper, int sweeps,
                 double[::1] u, double[::1] g):
    """Sweeps of coordinate descent on a block, in place: the largest change of the last, in the gradient's scale."""
    cdef size_t n = H.shape[0]
    cdef sv_box box
    cdef double largest
    if <size_t>H.shape[1] != n or n == 0:
        raise ValueError("H must be square")
    if {l1.shape[0], lower.shape[0], upper.shape[0], u.shape[0], g.shape[0]} != {H.shape[0]}:
        raise ValueError("the vectors must have the length of H's rows")
    box.l1, box.lower, box.upper = &l1[0], &lower[0], &upper[0]
    with nogil:
        largest = sv_block_sweeps(n, &H[0, 0], &box, sweeps, &u[0], &g[0])
    return largest


cdef class Rows:
    """A square sparse matrix in rows (CSR), its indices checked once."""

    cdef sv_rows rows
    cdef readonly object kept

    def __init__(self, matrix):
        cdef const int64_t[::1] starts = np.ascontiguousarray(matrix.indptr, np.int64)
        cdef const int32_t[::1] columns = np.ascontiguousarray(matrix.indices, np.int32)
        cdef const double[::1] values = np.ascontiguousarray(matrix.data, np.float64)
        cdef Py_ssize_t n = matrix.shape[0]
        ends, indices = np.asarray(starts), np.asarray(columns)
        if matrix.shape[1] != n or n >= 2**31 or len(ends) != n + 1 or len(indices) != len(values):
            raise ValueError("matrix must be square, in rows, with fewer than 2^31 of them")
        if ends[0] != 0 or ends[n] != len(indices) or (np.diff(ends) < 0).any():
            raise ValueError("the ends of the matrix's rows are broken")
        if len(indices) and not (indices.min() >= 0 and indices.max() < n):
            raise ValueError("the columns of the matrix lie outside of it")
        self.kept = (starts, columns, values)
        self.rows.n = <int32_t>n
        self.rows.starts = &starts[0]
        self.rows.columns = &columns[0] if len(indices) else NULL
        self.rows.values = &values[0] if len(indices) else NULL

    def classes(self, const int32_t[::1] order, bint forests):
        """(class of each node, number of classes): colours, or forests."""
        cdef int32_t n = self.rows.n
        cdef int32_t[::1] class_of = np.empty(max(n, 1), np.int32)
        cdef int32_t[::1] work = np.empty(max(3 * n, 1), np.int32)
        cdef int32_t count = 0
        if order.shape[0] != n or not np.array_equal(np.sort(order), np.arange(n)):
            raise ValueError("order must be a permutation of the nodes")
        if n:
            with nogil:
                count = sv_classes(&self.rows, &order[0], forests, &class_of[0], &work[0])
        return np.asarray(class_of)[:n], count

    def add_columns(self, const int64_t[::1] block, const double[::1] s, double[::1] g):
        """g += A[:, block] s, in place, for a symmetric A."""
        cdef size_t count = block.shape[0]
        if g.shape[0] != self.rows.n or <size_t>s.shape[0] != count:
            raise ValueError("g and s must have the lengths of the matrix and the block")
        if count == 0:
            return
        seen = np.asarray(block)
        if seen.min() < 0 or seen.max() >= self.rows.n:
            raise ValueError("the block lies outside of the matrix")
        with nogil:
            sv_add_columns(&self.rows, count, &block[0], &s[0], &g[0])


cdef class Forests:
    """The unknowns of a matrix in classes whose graphs are forests, each class ready for elimination.

    class_of: the class of each node, -1 for one that takes no part. ValueError where a class has a cycle.
    """

    cdef sv_forest forest
    cdef readonly object nodes  # the node at each place
    cdef readonly object starts
    cdef object kept

    def __init__(self, Rows matrix, const int32_t[::1] class_of, int32_t classes):
        cdef int32_t n = matrix.rows.n
        if class_of.shape[0] != n or n == 0 or classes < 1:
            raise ValueError("class_of must have an entry for each node")
        seen = np.asarray(class_of)
        if seen.min() < -1 or seen.max() >= classes:
            raise ValueError("class_of lies outside of the classes")
        cdef int32_t[::1] nodes = np.zeros(n, np.int32)
        cdef int32_t[::1] parent = np.zeros(n, np.int32)
        cdef int32_t[::1] starts = np.zeros(classes + 1, np.int32)
        cdef int32_t[::1] place = np.empty(n, np.int32)
        cdef int cycle
        with nogil:
            cycle = sv_forest_order(&matrix.rows, &class_of[0], classes, &nodes[0], &parent[0], &starts[0], &place[0])
        if cycle:
            raise ValueError("a block is no forest: its graph has a cycle")
        cdef int32_t size = starts[classes]
        where = np.full(n, -1, np.int32)
        where[np.asarray(nodes)[:size]] = np.arange(size, dtype=np.int32)
        place = where
        entries = max(len(matrix.kept[1]), 1)
        cdef double[:, ::1] numbers = np.zeros((4, max(size, 1)))
        cdef int64_t[::1] cross_starts = np.zeros(size + 1, np.int64)
        cdef int32_t[::1] cross_columns = np.empty(entries, np.int32)
        cdef double[::1] cross_values = np.empty(entries)
        f = &self.forest
        f.n, f.classes, f.starts, f.parent = size, classes, &starts[0], &parent[0]
        f.link, f.diagonal, f.factor, f.inverse = &numbers[0, 0], &numbers[1, 0], &numbers[2, 0], &numbers[3, 0]
        f.cross_starts, f.cross_columns, f.cross_values = &cross_starts[0], &cross_columns[0], &cross_values[0]
        self.nodes, self.starts = np.asarray(nodes)[:size], np.asarray(starts)
        self.kept = (nodes, parent, starts, numbers, cross_starts, cross_columns, cross_values)
        cdef int32_t singular
        with nogil:
            sv_forest_fill(&matrix.rows, &nodes[0], &place[0], &class_of[0], f)
            singular = sv_forest_factor(f)
        if singular >= 0:
            raise np.linalg.LinAlgError(f"the block of unknown {self.nodes[singular]} is singular or not positive definite")

    def solve(self, int32_t b, double[::1] y):
        """Solve with class b, in place; y is in the order of `nodes`."""
        if y.shape[0] != self.forest.n or not 0 <= b < self.forest.classes:
            raise ValueError("y must have an entry for each node, and b be a class")
        if self.forest.n:
            with nogil:
                sv_forest_solve(&self.forest, b, &y[0])

    def conjugate_gradients(self, const double[::1] b, double[:, ::1] vectors, double rho, double residual, double goal,
                            int most):
        """CG in place: (iterations, rho, largest entry of the residual by recurrence, outcome).

        vectors: x, r, v and w in rows, in the order of `nodes`; a rho below 0 begins at x.
        """
        cdef int32_t n = self.forest.n
        cdef int done
        cdef sv_forest_cg_vectors at
        if n == 0 or b.shape[0] != n or vectors.shape[0] != 4 or vectors.shape[1] != n:
            raise ValueError("b and the vectors must have an entry for each node")
        cdef double[:, ::1] work = np.zeros((2, n))
        at.x, at.r, at.v, at.w = &vectors[0, 0], &vectors[1, 0], &vectors[2, 0], &vectors[3, 0]
        at.z, at.q = &work[0, 0], &work[1, 0]
        at.rho, at.residual = rho, residual
        with nogil:
            if rho < 0:
                sv_forest_cg_start(&self.forest, &b[0], &at)
            done = sv_forest_cg(&self.forest, &b[0], &at, goal, most)
        return done, at.rho, at.residual, at.outcome
