# cython: freethreading_compatible=True
"""Binding of the kernels for penalised regression."""

from time import perf_counter

from cpython.exc cimport PyErr_CheckSignals
from libc.float cimport DBL_MAX
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

import numpy as np

from scipy.linalg.cython_blas cimport dsyrk, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf, dsyevd

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
        cdef int32_t[::1] places = np.full(2 * p, -1, np.int32)
        cdef double[::1] work = np.empty(p * (H.shape[1] + 7))
        if H.shape[0] < w.shape[0] or H.shape[1] < w.shape[0]:
            raise ValueError(f"H is {H.shape[0]} x {H.shape[1]}, but there are {p} coordinates")
        if not weight.shape[0] == low.shape[0] == high.shape[0] == g.shape[0] == w.shape[0]:
            raise ValueError(f"weight, low, high and g must all have length {p}, as w")
        self.kept = H, weight, low, high, w, g, places, work
        self.q.p = p
        if p == 0:
            return
        self.q.stride = H.shape[1]
        self.q.H, self.q.weight, self.q.low, self.q.high = &H[0, 0], &weight[0], &low[0], &high[0]
        self.q.w, self.q.g = &w[0], &g[0]
        self.q.face, self.q.place = &places[0], &places[p]
        self.q.step, self.q.start, self.q.origin, self.q.slope = &work[0], &work[4 * p], &work[5 * p], &work[6 * p]
        self.q.factor = &work[7 * p]
        self.q.lapack.potrf, self.q.lapack.trsv = dpotrf, dtrsv

    def weigh(self, const double[::1] weight):
        """Other l1 weights; w and g may have been written anew, too. The factor is used again."""
        if <size_t>weight.shape[0] != self.q.p:
            raise ValueError(f"weight must have length {self.q.p}")
        self.kept = (*self.kept[:1], weight, *self.kept[2:])
        self.q.weight = &weight[0] if self.q.p else NULL

    def minimise(self, double tol, int64_t max_phases):
        """The violation reached, infinity where there is no minimum; w and g are changed in place."""
        cdef double violation
        with nogil:
            violation = sv_quadratic_minimise(&self.q, tol, max_phases)
        return violation

    @property
    def counts(self):
        """What was done so far."""
        return {"sweeps": self.q.sweeps, "moves": self.q.moves, "newtons": self.q.newtons,
                "factorisations": self.q.factorisations, "updates": self.q.updates}


cdef extern from "losses.h" nogil:
    struct sv_loss:
        int kind
        size_t n
        const double *y
        const double *s

    struct sv_loss_sums:
        double value
        double square
        double cross
        double total

    void sv_learning_loss(const sv_loss *, const double *, const double *, double, double *, double *, double *,
                          sv_loss_sums *) noexcept
    double sv_learning_conjugate(const sv_loss *, const double *, double) noexcept
    int sv_learning_targets(int, size_t, const double *, double *) noexcept

    struct sv_loss_traits:
        double curvature
        int in_parts

    sv_loss_traits sv_learning_loss_traits(int) noexcept


def loss_traits(int kind):
    """The largest second derivative of a term, and whether the loss is quadratic in parts."""
    cdef sv_loss_traits traits = sv_learning_loss_traits(kind)
    return traits.curvature, bool(traits.in_parts)


cdef class LossTerms:
    """The terms of a loss: its targets and the weights of the samples, None for ones."""

    cdef sv_loss loss
    cdef object kept

    def __init__(self, int kind, const double[::1] y, const double[::1] s=None):
        if s is not None and len(s) != len(y):
            raise ValueError(f"s has length {len(s)}, not {len(y)}")
        self.kept = y, s
        self.loss.kind, self.loss.n = kind, y.shape[0]
        self.loss.y = &y[0] if y.shape[0] else NULL
        self.loss.s = &s[0] if s is not None and y.shape[0] else NULL

    cdef int check(self, str name, const double[::1] x) except -1:
        if x is not None and <size_t>x.shape[0] != self.loss.n:
            raise ValueError(f"{name} has length {x.shape[0]}, not {self.loss.n}")
        return 0

    def evaluate(self, const double[::1] z, double[::1] derivative=None, double[::1] second=None,
                 const double[::1] way=None, double share=0, double[::1] trial=None):
        """The value, sum v^2 / s, v @ y and sum v, v the derivative, at z, or at trial = z + share way."""
        cdef sv_loss_sums sums = sv_loss_sums(0, 0, 0, 0)
        self.check("z", z)
        self.check("derivative", derivative)
        self.check("second", second)
        self.check("way", way)
        self.check("trial", trial)
        if self.loss.n:
            with nogil:
                sv_learning_loss(&self.loss, &z[0], &way[0] if way is not None else NULL, share,
                                 &trial[0] if way is not None else NULL,
                                 &derivative[0] if derivative is not None else NULL,
                                 &second[0] if second is not None else NULL, &sums)
        return sums.value, sums.square, sums.cross, sums.total

    def conjugate(self, const double[::1] v, double share):
        """The conjugate at share v, of the logistic or Poisson's loss."""
        self.check("v", v)
        cdef double value = 0
        if self.loss.n:
            with nogil:
                value = sv_learning_conjugate(&self.loss, &v[0], share)
        return value


cdef extern from "separable.h" nogil:
    struct sv_separable:
        size_t d
        const double *l1
        const double *l2
        const double *low
        const double *high

    struct sv_separable_measures:
        double value
        double kkt
        double below
        double above

    struct sv_separable_kind_s "sv_separable_kind":
        double largest_l1
        int has_l2
        int is_gauge
        int has_dual

    sv_separable_kind_s sv_separable_kind(const sv_separable *) noexcept
    void sv_separable_measure(const sv_separable *, const double *, const double *, sv_separable_measures *) noexcept
    void sv_separable_violations(const sv_separable *, const double *, const double *, double *) noexcept
    double sv_separable_conjugate(const sv_separable *, const double *, double) noexcept
    struct sv_separable_slopes_s "sv_separable_slopes":
        double sum
        double steepest

    sv_separable_slopes_s sv_separable_slopes(const sv_separable *, const double *, const double *, const double *) noexcept


cdef class SeparableTerms:
    """The terms of a separable penalty, arrays of the same length."""

    cdef sv_separable penalty
    cdef object kept

    def __init__(self, const double[::1] l1, const double[::1] l2, const double[::1] low, const double[::1] high):
        if not len(l1) == len(l2) == len(low) == len(high):
            raise ValueError("the terms have different lengths")
        self.kept = l1, l2, low, high
        self.penalty.d = l1.shape[0]
        if self.penalty.d:
            self.penalty.l1, self.penalty.l2 = &l1[0], &l2[0]
            self.penalty.low, self.penalty.high = &low[0], &high[0]

    cdef int check(self, str name, const double[::1] x) except -1:
        if <size_t>x.shape[0] < self.penalty.d:
            raise ValueError(f"{name} has length {x.shape[0]}, not {self.penalty.d}")
        return 0

    def kind(self, size_t d):
        """Of the first d coordinates: the largest l1 weight, whether there are l2 terms, whether the penalty is a gauge,
        and whether each coordinate has a penalty or two bounds."""
        cdef sv_separable first = self.penalty
        first.d = min(d, self.penalty.d)
        cdef sv_separable_kind_s kind = sv_separable_kind(&first)
        return kind.largest_l1, bool(kind.has_l2), bool(kind.is_gauge), bool(kind.has_dual)

    def measure(self, const double[::1] w, const double[::1] g):
        """The value, the largest violation, and the limits of t between which the conjugate at -t g is finite."""
        cdef sv_separable_measures at = sv_separable_measures(0, 0, 0, 0)
        self.check("w", w)
        self.check("g", g)
        if self.penalty.d == 0:
            return 0.0, 0.0, -np.inf, np.inf
        with nogil:
            sv_separable_measure(&self.penalty, &w[0], &g[0], &at)
        return at.value, at.kkt, at.below, at.above

    def violations(self, const double[::1] w, const double[::1] g):
        """How far each coordinate's equation is from being met."""
        self.check("w", w)
        self.check("g", g)
        out = np.empty(self.penalty.d)
        cdef double[::1] violation = out
        if self.penalty.d:
            with nogil:
                sv_separable_violations(&self.penalty, &w[0], &g[0], &violation[0])
        return out

    def conjugate(self, const double[::1] g, double share):
        """The conjugate at -share g."""
        self.check("g", g)
        return sv_separable_conjugate(&self.penalty, &g[0], share) if self.penalty.d else 0.0

    def slopes(self, const double[::1] norms, const double[::1] w, const double[::1] g):
        """How much lower than at w the objective may be where ``norms @ abs(w)`` is up to r: the first number, and r times
        the second."""
        cdef sv_separable_slopes_s at = sv_separable_slopes_s(0, 0)
        self.check("norms", norms)
        self.check("w", w)
        self.check("g", g)
        if self.penalty.d:
            at = sv_separable_slopes(&self.penalty, &norms[0], &w[0], &g[0])
        return at.sum, at.steepest


cdef extern from "sparse.h" nogil:
    struct sv_compressed:
        const int32_t *starts
        const int32_t *index
        const double *value
        const float *single

    void sv_compressed_gather(const sv_compressed *, size_t, const int32_t *, const double *, double *) noexcept
    void sv_compressed_scatter(const sv_compressed *, size_t, const int32_t *, const double *, double *) noexcept
    int sv_compressed_squares(const sv_compressed *, size_t, size_t, double *, double *) noexcept
    int sv_compressed_is_flat(const sv_compressed *, size_t) noexcept
    void sv_compressed_csc_rows(const sv_compressed *, size_t, const int32_t *, size_t, int32_t *, int32_t *,
                              double *) noexcept
    void sv_compressed_spread(const sv_compressed *, size_t, const int32_t *, size_t, double *) noexcept
    void sv_compressed_csc_cross(const sv_compressed *, size_t, const int32_t *, size_t, const int32_t *,
                               const double *, double *, double *) noexcept
    size_t sv_compressed_csr_rows(const sv_compressed *, size_t, const int32_t *, int32_t *, int32_t *,
                                double *) noexcept
    void sv_compressed_gram(const sv_compressed *, size_t, const double *, double *, size_t, size_t) noexcept


cdef class Compressed:
    """A sparse matrix of `count` segments, rows of CSR or columns of CSC, and `width` indices; its entries may be in
    single precision."""

    cdef sv_compressed X
    cdef object kept
    cdef readonly size_t count
    cdef readonly size_t width

    def __init__(self, const int32_t[::1] starts, const int32_t[::1] index, value, size_t width):
        cdef const double[::1] entries
        cdef const float[::1] single
        cdef size_t k
        cdef bint rising = starts[0] == 0
        self.count, self.width, self.kept = starts.shape[0] - 1, width, (starts, index, value)
        for k in range(self.count):
            rising = rising and starts[k] <= starts[k + 1]
        if not rising or starts[self.count] > index.shape[0] or starts[self.count] > len(value):
            raise ValueError("the starts of a sparse matrix do not fit its entries")
        self.X.starts = &starts[0]
        self.X.index = &index[0] if index.shape[0] else NULL
        if value.dtype == np.float32:
            single = value
            self.X.single = &single[0] if len(value) else NULL
        else:
            entries = value
            self.X.value = &entries[0] if len(value) else NULL

    cdef int check_segments(self, const int32_t[::1] segments) except -1:
        cdef Py_ssize_t k
        for k in range(segments.shape[0]):
            if not 0 <= segments[k] < <Py_ssize_t>self.count:
                raise ValueError("a segment that the matrix does not have")
        return 0

    def gather(self, const double[::1] x, double[::1] out, const int32_t[::1] segments=None):
        """out[k] = segment k @ x, of all segments or of those named."""
        cdef size_t count = self.count if segments is None else segments.shape[0]
        if <size_t>x.shape[0] < self.width or <size_t>out.shape[0] < count:
            raise ValueError("x or out is too short")
        if count:
            with nogil:
                sv_compressed_gather(&self.X, count, &segments[0] if segments is not None else NULL,
                                   &x[0] if x.shape[0] else NULL, &out[0])

    def scatter(self, const double[::1] factor, double[::1] out, const int32_t[::1] segments=None):
        """out += factor[k] segment k, over all segments or those named."""
        cdef size_t count = self.count if segments is None else segments.shape[0]
        if <size_t>factor.shape[0] < count or <size_t>out.shape[0] < self.width:
            raise ValueError("factor or out is too short")
        if count and self.width:
            with nogil:
                sv_compressed_scatter(&self.X, count, &segments[0] if segments is not None else NULL, &factor[0], &out[0])

    def is_flat(self):
        """Whether each segment has one value at all its places."""
        return bool(sv_compressed_is_flat(&self.X, self.count))

    def squares(self, int by_index):
        """The sums of the squares of each segment, or of each index; None where indices do not rise or do not fit."""
        out = np.zeros(self.width if by_index else self.count)
        cdef double[::1] sums = out
        cdef double *to = &sums[0] if sums.shape[0] else NULL
        cdef int fits
        with nogil:
            fits = sv_compressed_squares(&self.X, self.count, self.width, NULL if by_index else to,
                                       to if by_index else NULL)
        return out if fits else None

    def columns_as_rows(self, const int32_t[::1] columns):
        """Of CSC: these columns, rising, as a CSR matrix."""
        cdef size_t p = columns.shape[0], entries = self.entries_of(columns)
        cdef int32_t[::1] starts = np.empty(self.width + 1, np.int32)
        cdef int32_t[::1] place = np.empty(max(entries, 1), np.int32)
        cdef double[::1] value = np.empty(max(entries, 1))
        with nogil:
            sv_compressed_csc_rows(&self.X, p, &columns[0] if p else NULL, self.width, &starts[0], &place[0], &value[0])
        return Compressed(starts, place, np.asarray(value), p)

    def entries_of(self, const int32_t[::1] segments):
        """How many entries these segments store."""
        cdef size_t entries = 0, k
        for k in range(<size_t>segments.shape[0]):
            entries += self.X.starts[segments[k] + 1] - self.X.starts[segments[k]]
        return entries

    def cross(self, const int32_t[::1] left, const int32_t[::1] right=None, const double[::1] weights=None):
        """Of CSC: X_left' D X_right; without `right` X_left' D X_left."""
        cdef size_t p = left.shape[0], q = left.shape[0] if right is None else right.shape[0]
        if weights is not None and <size_t>weights.shape[0] != self.width:
            raise ValueError(f"weights has length {weights.shape[0]}, not {self.width}")
        out = np.empty((p, q))
        cdef double[:, ::1] into = out
        cdef double[::1] work = np.zeros(self.width + 1)
        if p and q:
            with nogil:
                sv_compressed_csc_cross(&self.X, p, &left[0], q, &right[0] if right is not None else NULL,
                                      &weights[0] if weights is not None else NULL, &work[0], &into[0, 0])
        return out

    def spread(self, const int32_t[::1] segments):
        """These segments as the columns of a dense matrix, in Fortran order."""
        cdef size_t p = segments.shape[0]
        out = np.zeros((p, self.width))
        cdef double[:, ::1] into = out
        if p and self.width:
            with nogil:
                sv_compressed_spread(&self.X, p, &segments[0], self.width, &into[0, 0])
        return out.T

    def rows_of_columns(self, const int32_t[::1] columns):
        """Of CSR: its rows with these columns alone, rising."""
        cdef size_t p = columns.shape[0], k, entries
        cdef int32_t[::1] where = np.full(self.width + 1, -1, np.int32)
        for k in range(p):
            where[columns[k]] = <int32_t>k
        with nogil:
            entries = sv_compressed_csr_rows(&self.X, self.count, &where[0], NULL, NULL, NULL)
        cdef int32_t[::1] starts = np.empty(self.count + 1, np.int32)
        cdef int32_t[::1] place = np.empty(max(entries, 1), np.int32)
        cdef double[::1] value = np.empty(max(entries, 1))
        with nogil:
            sv_compressed_csr_rows(&self.X, self.count, &where[0], &starts[0], &place[0], &value[0])
        return Compressed(starts, place, np.asarray(value), p)

    @property
    def entries(self):
        """How many entries are stored."""
        return self.X.starts[self.count]

    def gram(self, double[:, ::1] H, const double[::1] weights=None):
        """H[:width, :width] += X' D X of CSR, H of zeros."""
        if <size_t>min(H.shape[0], H.shape[1]) < self.width:
            raise ValueError(f"H is {H.shape[0]} x {H.shape[1]}, not {self.width} x {self.width}")
        if weights is not None and <size_t>weights.shape[0] != self.count:
            raise ValueError(f"weights has length {weights.shape[0]}, not {self.count}")
        if self.width and self.count:
            with nogil:
                sv_compressed_gram(&self.X, self.count, &weights[0] if weights is not None else NULL, &H[0, 0],
                                 H.shape[1], self.width)


cdef extern from "columns.h" nogil:
    ctypedef void (*sv_syrk)(char *, char *, int *, int *, double *, double *, int *, double *, double *,
                             int *) noexcept nogil

    void sv_columns_dots(const double *, size_t, size_t, size_t, const int32_t *, const double *, double *) noexcept
    void sv_columns_combine(const double *, size_t, size_t, size_t, const int32_t *, const double *,
                             double *) noexcept
    void sv_columns_squares(const double *, size_t, size_t, size_t, double *) noexcept
    void sv_columns_products(const double *, size_t, size_t, size_t, size_t, const int32_t *, const double *, int,
                             double *, size_t) noexcept
    void sv_columns_gram(const double *, size_t, size_t, size_t, const int32_t *, const double *, double *,
                                double *, sv_syrk) noexcept
    size_t sv_columns_gram_work(size_t) noexcept
    void sv_columns_single_gram(const double *, const float *, size_t, size_t, size_t, const int32_t *, const double *,
                                const double *, double *, float *) noexcept
    size_t sv_columns_single_work(size_t) noexcept
    void sv_columns_float_dots(const float *, size_t, size_t, size_t, const int32_t *, const double *,
                               double *) noexcept
    void sv_columns_float_combine(const float *, size_t, size_t, size_t, const int32_t *, const double *,
                                  double *) noexcept
    void sv_columns_float_squares(const float *, size_t, size_t, size_t, double *) noexcept
    void sv_columns_float_gram(const float *, size_t, size_t, size_t, const int32_t *, const double *, double *,
                               double *, sv_syrk) noexcept


cdef class Columns:
    """Chosen columns, or all, of a matrix whose columns are contiguous; its entries may be in single precision."""

    cdef object kept
    cdef const double *X
    cdef const float *single
    cdef const int32_t *list
    cdef readonly size_t n
    cdef readonly size_t count
    cdef size_t stride

    def __init__(self, X, const int32_t[::1] columns=None):
        cdef const double[::1, :] entries
        cdef const float[::1, :] single
        self.kept = X, columns
        self.n = self.stride = X.shape[0]
        self.count = X.shape[1] if columns is None else columns.shape[0]
        cdef Py_ssize_t k
        if columns is not None:
            for k in range(columns.shape[0]):
                if not 0 <= columns[k] < X.shape[1]:
                    raise ValueError("a column that X does not have")
        self.X, self.single = NULL, NULL
        if X.dtype == np.float32:
            single = X
            self.single = &single[0, 0] if X.size else NULL
        else:
            entries = X
            self.X = &entries[0, 0] if X.size else NULL
        self.list = &columns[0] if columns is not None and columns.shape[0] else NULL

    def dots(self, const double[::1] v, double[::1] out):
        """out = X' v."""
        if <size_t>v.shape[0] != self.n or <size_t>out.shape[0] < self.count:
            raise ValueError("v or out does not fit X")
        if self.single != NULL and self.n and self.count:
            with nogil:
                sv_columns_float_dots(self.single, self.n, self.stride, self.count, self.list, &v[0], &out[0])
        elif self.n and self.count:
            with nogil:
                sv_columns_dots(self.X, self.n, self.stride, self.count, self.list, &v[0], &out[0])

    def combine(self, const double[::1] factor, double[::1] z):
        """z = X factor."""
        if <size_t>factor.shape[0] < self.count or <size_t>z.shape[0] != self.n:
            raise ValueError("factor or z does not fit X")
        cdef const double *factors = &factor[0] if self.count else NULL
        if self.single != NULL and self.n:
            with nogil:
                sv_columns_float_combine(self.single, self.n, self.stride, self.count, self.list, factors, &z[0])
        elif self.n:
            with nogil:
                sv_columns_combine(self.X, self.n, self.stride, self.count, self.list, factors, &z[0])

    def squares(self):
        """The sums of the squares of all columns of X."""
        out = np.zeros(self.count)
        cdef double[::1] sums = out
        if self.n and self.count:
            with nogil:
                self._squares(0, 0, self.n, self.count, &sums[0])
        return out

    cdef void _squares(self, size_t row, size_t column, size_t rows, size_t count, double *sums) noexcept nogil:
        if self.single != NULL:
            sv_columns_float_squares(self.single + column * self.stride + row, rows, self.stride, count, sums)
        else:
            sv_columns_squares(self.X + column * self.stride + row, rows, self.stride, count, sums)

    def dots_and_squares(self, const double[::1] v, double[::1] out):
        """The squares, and out = X' v, of a whole X: it comes by blocks that stay in the second cache for both."""
        if self.list != NULL or <size_t>v.shape[0] != self.n or <size_t>out.shape[0] < self.count:
            raise ValueError("v or out does not fit X")
        squares = np.zeros(self.count)
        cdef double[::1] sums = squares
        cdef double some[8]
        cdef double more[8]
        cdef size_t from_, rows, column, count, k
        with nogil:
            for column in range(0, self.count, 8):
                count = min(<size_t>8, self.count - column)
                for k in range(count):
                    out[column + k] = 0
                for from_ in range(0, self.n, 4096):
                    rows = min(<size_t>4096, self.n - from_)
                    self._squares(from_, column, rows, count, some)
                    if self.single != NULL:
                        sv_columns_float_dots(self.single + column * self.stride + from_, rows, self.stride, count, NULL,
                                              &v[from_], more)
                    else:
                        sv_columns_dots(self.X + column * self.stride + from_, rows, self.stride, count, NULL, &v[from_],
                                        more)
                    for k in range(count):
                        sums[column + k] += some[k]
                        out[column + k] += more[k]
        return squares

    def border(self, size_t rows, const double[::1] weights, int threads):
        """The first rows of X' D X, of columns in double precision; D of ones where `weights` is None."""
        if self.X == NULL or rows > self.count or (weights is not None and <size_t>weights.shape[0] != self.n):
            raise ValueError("there are no such products")
        H = np.empty((rows, self.count))
        cdef double[:, ::1] into = H
        cdef const double *D = &weights[0] if weights is not None else NULL
        if rows:
            with nogil:
                sv_columns_products(self.X, self.n, self.stride, rows, self.count, self.list, D, threads, &into[0, 0],
                                    self.count)
        left = np.tril_indices(rows, -1)
        H[left] = H[left[::-1]]
        return H

    def gram(self, const double[::1] roots=None):
        """X' D X, D the squares of the roots."""
        if roots is not None and <size_t>roots.shape[0] != self.n:
            raise ValueError(f"roots has length {roots.shape[0]}, not {self.n}")
        H = np.zeros((self.count, self.count))
        cdef double[:, ::1] into = H
        # All columns as they are go to BLAS in place.
        scaled = self.list != NULL or roots is not None or self.single != NULL
        cdef double[::1] work = np.empty(sv_columns_gram_work(self.count) if scaled else 1)
        cdef const double *weights = &roots[0] if roots is not None else NULL
        if self.single != NULL and self.n and self.count:
            with nogil:
                sv_columns_float_gram(self.single, self.n, self.stride, self.count, self.list, weights, &into[0, 0],
                                      &work[0], dsyrk)
        elif self.n and self.count:
            with nogil:
                sv_columns_gram(self.X, self.n, self.stride, self.count, self.list, weights, &into[0, 0], &work[0],
                                dsyrk)
        return H

    def gram_in_single(self, const double[::1] roots, const double[::1] scale):
        """The same in single precision, the columns times `scale`: wrong by about 1e-7 in units of their norms."""
        if <size_t>roots.shape[0] != self.n or <size_t>scale.shape[0] < self.count:
            raise ValueError("roots or scale does not fit X")
        H = np.zeros((self.count, self.count))
        cdef double[:, ::1] into = H
        cdef float[::1] work = np.empty(sv_columns_single_work(self.count) + 1, np.float32)
        if self.n and self.count:
            with nogil:
                sv_columns_single_gram(self.X, self.single, self.n, self.stride, self.count, self.list, &roots[0],
                                       &scale[0], &into[0, 0], &work[0])
        return H


include "sweeps.pxi"
include "coordinate_descent.pxi"
include "plain_fit.pxi"
include "groups.pxi"


cdef extern from "solvers.h" nogil:
    int sv_softmax_f64(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t, int)
    int sv_log_softmax_f64(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t, int)
    const char *sv_last_error()


def softmax(const double[:, ::1] z):
    """The softmax of each row, a new array."""
    return _of_rows(z, sv_softmax_f64)


def log_softmax(const double[:, ::1] z):
    """Its logarithm."""
    return _of_rows(z, sv_log_softmax_f64)


cdef _of_rows(const double[:, ::1] z, int (*kernel)(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t,
                                                   int) noexcept nogil):
    cdef size_t n = z.shape[0], length = z.shape[1]
    found = np.empty((n, length))
    cdef double[:, ::1] y = found
    cdef int bad = 0
    if n and length:
        with nogil:
            bad = kernel(&z[0, 0], length, &y[0, 0], length, n, length, 0)
    if bad:
        raise ValueError(sv_last_error().decode())
    return found
