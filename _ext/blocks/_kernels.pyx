# cython: freethreading_compatible=True
"""Binding of the kernels of block coordinate descent: forests, and steps on quadratic functions.

Shapes are checked here, since a wrong one would read foreign memory; values are checked by the callers.
"""

from libc.stdint cimport int32_t, int64_t

import numpy as np

from scipy.linalg.cython_lapack cimport dpotrf, dpotrs, dsyev

cdef extern from "group_step.h" nogil:
    double sv_group_norm(const double *, const double *, size_t, double, double) noexcept


def group_norm(const double[::1] values, const double[::1] v, double weight):
    """The root rho > 0 of sum v^2 / (values rho + weight)^2 = 1, for values >= 0 and 0 < weight < norm(v)."""
    cdef size_t m = values.shape[0]
    cdef double size = np.linalg.norm(v)
    if <size_t>v.shape[0] != m or not 0 < weight < size:
        raise ValueError(f"{m} values, {v.shape[0]} entries of norm {size} and the weight {weight} have no root")
    return sv_group_norm(&values[0], &v[0], m, weight, size)


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

cdef extern from "schur.h" nogil:
    struct sv_schur:
        int32_t n
        int32_t first
        const int32_t *nodes
        const int32_t *parent
        void *factor
        void *inverse
        int32_t *cross_starts
        int32_t *cross_columns
        void *cross_values
        int32_t *rest_starts
        int32_t *rest_columns
        void *rest_values
        double scale

    struct sv_schur_run:
        void *vectors
        void *work
        double unit
        double rho
        double goal
        double left
        int outcome

    int32_t sv_schur_order(const sv_rows *, const int32_t *, int, int32_t *, int32_t *, int32_t *)
    int32_t sv_schur_fill(const sv_rows *, const int32_t *, int, double *, sv_schur *)
    void sv_schur_begin(const sv_schur *, int, sv_schur_run *, const double *)
    int sv_schur_iterate(const sv_schur *, int, sv_schur_run *, int)
    void sv_schur_move(const sv_schur *, int, sv_schur_run *, double *)

cdef extern from "quadratic.h" nogil:
    struct sv_box:
        const double *l1
        const double *lower
        const double *upper

    void sv_add_columns(const sv_rows *, size_t, const int64_t *, const double *, double *)
    void sv_block_of(const sv_rows *, size_t, const int64_t *, int32_t *, double *)
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

    def block(self, const int64_t[::1] block):
        """A[block][:, block], dense."""
        cdef size_t count = block.shape[0]
        cdef double[:, ::1] H = np.empty((count, count))
        cdef int32_t[::1] work = np.zeros(max(self.rows.n, 1), np.int32)
        if count == 0:
            return np.asarray(H)
        seen = np.asarray(block)
        if seen.min() < 0 or seen.max() >= self.rows.n:
            raise ValueError("the block lies outside of the matrix")
        with nogil:
            sv_block_of(&self.rows, count, &block[0], &work[0], &H[0, 0])
        return np.asarray(H)


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


cdef class Schur:
    """A matrix in two parts, the first a forest, ready for conjugate gradients on its Schur complement (schur.h).

    class_of: 0 for the first part; more for the rest, whose classes are forests. ValueError where a class has a cycle,
    LinAlgError where a class is singular or not positive definite. single: float32, which serves for a part of the way.
    """

    cdef sv_schur schur
    cdef readonly bint single
    cdef readonly int32_t first  # unknowns of the first part
    cdef object kept

    def __init__(self, Rows matrix, const int32_t[::1] class_of, bint single):
        cdef int32_t n = matrix.rows.n
        if class_of.shape[0] != n or n == 0 or np.asarray(class_of).min() < 0:
            raise ValueError("class_of must have a class for each node")
        cdef int32_t singular = self.build(matrix, class_of, single, True)
        if singular >= self.first:  # the forest that spans the rest is no principal submatrix: its classes are
            singular = self.build(matrix, class_of, single, False)
        if singular >= 0:
            raise np.linalg.LinAlgError(
                f"the block of unknown {self.kept[0][singular]} is singular or not positive definite")

    cdef int32_t build(self, Rows matrix, const int32_t[::1] class_of, bint single, bint spanning):
        """The first place whose pivot vanishes, or -1."""
        cdef int32_t n = matrix.rows.n, first, singular
        cdef int32_t[::1] nodes = np.empty(n, np.int32)
        cdef int32_t[::1] parent = np.empty(n, np.int32)
        cdef int32_t[::1] work = np.empty(7 * <size_t>n + 1, np.int32)
        with nogil:
            first = sv_schur_order(&matrix.rows, &class_of[0], spanning, &nodes[0], &parent[0], &work[0])
        if first < 0:
            raise ValueError("a block is no forest: its graph has a cycle")
        real = np.float32 if single else np.float64
        size = np.dtype(real).itemsize
        entries = len(matrix.kept[1])
        # room for the most that there may be, of which only what is used gets memory
        cdef char[:, ::1] numbers = np.empty((2, (n + entries) * size), np.int8)
        cdef int32_t[:, ::1] places = np.empty((2, n + 1 + entries), np.int32)
        cdef double[::1] room = np.empty(3 * <size_t>n)
        cdef size_t width = size, total = n
        s = &self.schur
        s.n, s.first, s.nodes, s.parent = n, first, &nodes[0], &parent[0]
        s.factor, s.inverse = &numbers[0, 0], &numbers[1, 0]
        s.cross_values, s.rest_values = &numbers[0, 0] + total * width, &numbers[1, 0] + total * width
        s.cross_starts, s.rest_starts = &places[0, 0], &places[1, 0]
        s.cross_columns, s.rest_columns = &places[0, 0] + total + 1, &places[1, 0] + total + 1
        self.kept, self.single, self.first = (np.asarray(nodes), parent, numbers, places), single, first
        with nogil:
            singular = sv_schur_fill(&matrix.rows, &work[n], single, &room[0], s)
        return singular

    @property
    def carried(self):
        """Entries of the vectors that iterations carry."""
        return 4 * <Py_ssize_t>self.schur.n - 3 * <Py_ssize_t>self.first

    cdef object ready(self, vectors, double unit, sv_schur_run *run):
        """What keeps the run's arrays alive; checked."""
        real = np.float32 if self.single else np.float64
        if vectors.shape != (self.carried,) or vectors.dtype != real or not vectors.flags.c_contiguous:
            raise ValueError(f"vectors must be {self.carried} of {real.__name__}")
        cdef char[::1] carried = vectors.view(np.int8)
        cdef char[::1] work = np.empty((3 * <size_t>self.schur.n + 8) * np.dtype(real).itemsize, np.int8)
        run.vectors, run.work, run.unit = &carried[0], &work[0], unit
        return carried, work

    def begin(self, const double[::1] residual, vectors, double unit):
        """A stage, from b - A x, by node; unit: the residual times this is of the size of 1."""
        cdef sv_schur_run run
        kept = self.ready(vectors, unit, &run)
        if residual.shape[0] != self.schur.n:
            raise ValueError("the residual must have an entry for each node")
        with nogil:
            sv_schur_begin(&self.schur, self.single, &run, &residual[0])

    def iterate(self, vectors, double unit, double rho, double goal, int most):
        """At most so many iterations: (how many, rho, largest entry of the residual by recurrence, outcome)."""
        cdef sv_schur_run run
        cdef int done
        kept = self.ready(vectors, unit, &run)
        run.rho, run.goal = rho, goal
        with nogil:
            done = sv_schur_iterate(&self.schur, self.single, &run, most)
        return done, run.rho, run.left, run.outcome

    def move(self, vectors, double unit, double[::1] x):
        """x, by node, by the step of the stage."""
        cdef sv_schur_run run
        kept = self.ready(vectors, unit, &run)
        if x.shape[0] != self.schur.n:
            raise ValueError("x must have an entry for each node")
        with nogil:
            sv_schur_move(&self.schur, self.single, &run, &x[0])


include "descent.pxi"
