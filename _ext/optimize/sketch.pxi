# Sketch and project (sketch.h). A `Sketch` holds the matrix, what is drawn, and the work space; its vectors x and v are the
# caller's, who sets them before a run.

from scipy.linalg.cython_blas cimport dgemm, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf, dpstrf

cdef extern from "sketch.h" nogil:
    enum: SV_SKETCH_ROW, SV_SKETCH_BLOCK, SV_SKETCH_GAUSSIAN, SV_SKETCH_SIGN
    enum: SV_PICK_TURNS, SV_PICK_NORMS
    enum: SV_STREAM_PARTITION

    struct sv_compressed:
        const int32_t *starts
        const int32_t *index
        const double *value
        const float *single

    struct sv_alias:
        size_t n
        uint32_t *threshold
        uint32_t *alias

    struct sv_sketch_lapack:
        void (*gemm)(char *, char *, int *, int *, int *, double *, double *, int *, double *, int *, double *, double *,
                     int *) noexcept nogil
        void (*potrf)(char *, int *, double *, int *, int *) noexcept nogil
        void (*pstrf)(char *, int *, double *, int *, int *, int *, double *, double *, int *) noexcept nogil
        void (*trsv)(char *, char *, char *, int *, double *, int *, double *, int *) noexcept nogil

    struct sv_sketch:
        size_t rows
        size_t cols
        const double *dense
        sv_compressed sparse
        const double *b
        const double *inverse
        const double *weight
        int kind
        int rule
        int carry
        size_t q
        size_t tries
        size_t nonzeros
        double omega
        double momentum
        double mix
        double pull
        double memory
        uint64_t seed
        sv_alias table
        double total
        double *x
        double *v
        double *y
        double *W
        double *S
        double *step
        double *t
        double *gram
        double *work
        int32_t *order
        int64_t *turn
        double *factors
        int32_t *pivots
        int32_t *rank
        sv_sketch_lapack lapack

    size_t sv_sketch_work(size_t)
    double sv_sketch_run(sv_sketch *, uint64_t, size_t)
    double sv_sketch_residual(const sv_sketch *, double *)
    uint64_t sv_sketch_until(sv_sketch *, uint64_t, uint64_t, size_t, double, double *, double *)
    void sv_sketch_form(sv_sketch *, uint64_t)
    void sv_sketch_hadamard(double *, size_t, size_t)
    void sv_alias_build(sv_alias *, const double *, double *, double *)
    void sv_distinct_draw(int64_t *, size_t, uint64_t, uint64_t, uint64_t, size_t, int64_t *)
    void sv_columns_squares(const double *, size_t, size_t, size_t, double *)
    void sv_compressed_gram(const sv_compressed *, size_t, const double *, double *, size_t, size_t)
    int sv_compressed_squares(const sv_compressed *, size_t, size_t, double *, double *)


cdef int take(sv_sketch *p, const double[:, ::1] dense, sparse, const double[::1] b, size_t q, size_t nonzeros) except -1:
    """The system into the struct: a dense matrix, or (starts, index, value, columns) of CSR."""
    cdef const int32_t[::1] starts, index
    cdef const double[::1] value
    if sparse is None:
        p.rows, p.cols, p.dense = dense.shape[0], dense.shape[1], &dense[0, 0]
    else:
        starts, index, value, p.cols = sparse
        p.rows = starts.shape[0] - 1
        p.sparse.starts = &starts[0]
        p.sparse.index = &index[0] if index.shape[0] else NULL
        p.sparse.value, p.sparse.single = &value[0] if value.shape[0] else NULL, NULL
    if <size_t>b.shape[0] != p.rows or not 0 < q <= p.rows or not 0 < nonzeros <= q:
        raise ValueError(f"{b.shape[0]} right-hand sides, {p.rows} rows, {q} and {nonzeros} of a sketch")
    p.b, p.q, p.nonzeros = &b[0], q, nonzeros
    return 0


def sketched(const double[:, ::1] dense, sparse, const double[::1] b, size_t q, size_t nonzeros, uint64_t seed):
    """(S'A, S'b) of a sparse sign sketch with q columns."""
    cdef sv_sketch p
    cdef double[::1] ones = np.ones(b.shape[0])
    take(&p, dense, sparse, b, q, nonzeros)
    if sparse is not None:
        p.dense = NULL
    W, t = np.empty((q, p.cols)), np.empty(q)
    cdef double[:, ::1] sums = W
    cdef double[::1] right = t
    p.kind, p.seed, p.weight, p.W, p.t = SV_SKETCH_SIGN, seed, &ones[0], &sums[0, 0], &right[0]
    with nogil:
        sv_sketch_form(&p, 0)
    return W, t


cdef class Sketch:
    """Projections of one system by one kind of sketch; codes are those of the enums in sketch.h."""

    cdef sv_sketch p
    cdef object kept
    cdef list arrays
    cdef double[::1] residuals
    cdef readonly object x
    cdef readonly object v
    cdef object sums

    def __init__(self, const double[:, ::1] dense, sparse, const double[::1] b, int kind, int rule, int carry, size_t q,
                 size_t tries, size_t nonzeros, bint equilibrated, double omega, double momentum, nesterov, uint64_t seed):
        cdef double[::1] squares
        take(&self.p, dense, sparse, b, q, nonzeros)
        if tries < 1:
            raise ValueError("one row at least is drawn")
        self.kept, self.arrays = (dense, sparse, b), []
        self.p.kind, self.p.rule, self.p.carry, self.p.tries, self.p.seed = kind, rule, carry, tries, seed
        self.p.omega, self.p.momentum = omega, momentum
        self.p.mix, self.p.pull, self.p.memory = nesterov
        squares = np.empty(self.p.rows)
        if sparse is None:
            sv_columns_squares(self.p.dense, self.p.cols, self.p.cols, self.p.rows, &squares[0])
        elif not sv_compressed_squares(&self.p.sparse, self.p.rows, self.p.cols, &squares[0], NULL):
            raise ValueError("the columns of a row must rise and be below the number of columns")
        square = np.asarray(squares)
        inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0)
        self.p.inverse = self.doubles(inverse)
        self.p.weight = self.doubles(np.sqrt(inverse) if equilibrated else np.ones_like(square))
        self.p.total = square.sum()
        self.room(square)

    cdef double *doubles(self, array) except NULL:
        """Where an array begins; it is kept."""
        cdef double[::1] view = array
        self.arrays.append(view)
        return &view[0]

    cdef int32_t *whole(self, array) except NULL:
        cdef int32_t[::1] view = array
        self.arrays.append(view)
        return &view[0]

    cdef room(self, square):
        """The work space of this kind of sketch, and its table of rows or partition."""
        cdef size_t q = self.p.q, rows = self.p.rows, blocks = (rows + q - 1) // q
        cdef uint32_t[::1] table
        cdef int64_t[::1] places
        combined = self.p.kind not in (SV_SKETCH_ROW, SV_SKETCH_BLOCK)
        kept = blocks if self.p.kind == SV_SKETCH_BLOCK and self.p.rule == SV_PICK_TURNS else 1
        self.x, self.v = np.zeros(self.p.cols), np.zeros(self.p.cols)
        self.p.x, self.p.v = self.doubles(self.x), self.doubles(self.v)
        self.p.y, self.p.step = self.doubles(np.empty(self.p.cols)), self.doubles(np.empty(self.p.cols))
        self.residuals = np.empty(rows)
        if self.p.kind == SV_SKETCH_ROW:
            if self.p.rule == SV_PICK_NORMS:
                table = np.empty(2 * rows, np.uint32)
                self.arrays.append(table)
                self.p.table.n, self.p.table.threshold, self.p.table.alias = rows, &table[0], &table[rows]
                # a row of zeros is never wrong: that it is drawn now and then does no harm
                sv_alias_build(&self.p.table, self.doubles(np.maximum(square, 1e-300)), self.doubles(np.empty(rows)),
                               self.doubles(np.empty(2 * rows)))
            return
        self.p.t, self.p.gram = self.doubles(np.empty(q)), self.doubles(np.empty(q * q + q))
        self.p.work = self.doubles(np.empty(sv_sketch_work(q)))
        self.p.factors = self.doubles(np.empty(kept * q * q))
        self.p.pivots, self.p.rank = self.whole(np.empty(kept * q, np.int32)), self.whole(np.full(kept, -1, np.int32))
        self.p.lapack.gemm, self.p.lapack.potrf = dgemm, dpotrf
        self.p.lapack.pstrf, self.p.lapack.trsv = dpstrf, dtrsv
        if combined:
            self.sums = np.empty((q, self.p.cols)), np.empty(q)
            self.p.W, self.p.t = self.doubles(self.sums[0].ravel()), self.doubles(self.sums[1])
            self.p.S = self.doubles(np.empty(q * rows if self.p.kind == SV_SKETCH_GAUSSIAN else 1))
            return
        places = np.arange(2 * rows, dtype=np.int64)
        self.arrays.append(places)
        self.p.turn = &places[0]
        order = np.empty(rows, np.int64)
        if self.p.rule == SV_PICK_TURNS:
            sv_distinct_draw(&places[0], rows, self.p.seed, SV_STREAM_PARTITION, 0, rows, &places[rows])
            order = np.asarray(places[rows:])
        self.p.order = self.whole(order.astype(np.int32))

    def run(self, uint64_t first, size_t count):
        """Projections from number `first` on; an estimate of norm(A @ x - b), NaN where there is none."""
        cdef double squares
        with nogil:
            squares = sv_sketch_run(&self.p, first, count)
        return sqrt(squares) if squares >= 0 or squares != squares else float("nan")

    def residual(self):
        """norm(A @ x - b)."""
        cdef double squares
        with nogil:
            squares = sv_sketch_residual(&self.p, &self.residuals[0])
        return sqrt(squares)

    def until(self, uint64_t first, uint64_t most, size_t every, double target):
        """(projections made, norm(A @ x - b)): until that is at most the target, looked at after each `every`."""
        cdef double reached = 0
        cdef uint64_t made
        with nogil:
            made = sv_sketch_until(&self.p, first, most, every, target, &self.residuals[0], &reached)
        return made, reached

    def formed(self, uint64_t k):
        """(S'A, S'b) of projection k, for the kinds that combine rows."""
        if self.sums is None:
            raise ValueError("this sketch combines no rows")
        with nogil:
            sv_sketch_form(&self.p, k)
        return self.sums[0].copy(), self.sums[1].copy()


def gram(const int32_t[::1] starts, const int32_t[::1] index, const double[::1] value, size_t cols,
         const double[::1] weights):
    """X' diag(weights) X, dense, of a CSR matrix whose columns rise in each row: the caller knows."""
    cdef sv_compressed X
    out = np.zeros((cols, cols))
    cdef double[:, ::1] H = out
    cdef size_t rows = starts.shape[0] - 1
    if <size_t>weights.shape[0] != rows or index.shape[0] != value.shape[0] or starts[rows] > index.shape[0]:
        raise ValueError(f"{weights.shape[0]} weights, {rows} rows, {index.shape[0]} entries")
    if cols and index.shape[0]:
        # no foreign memory is touched; negative ones are the largest of all without their sign
        ends, columns = np.asarray(starts), np.asarray(index).view(np.uint32)
        if starts[0] < 0 or (ends[1:] < ends[:-1]).any() or columns.max() >= cols:
            raise ValueError("rows must follow one another, and columns be below their number")
        X.starts, X.index, X.value, X.single = &starts[0], &index[0], &value[0], NULL
        with nogil:
            sv_compressed_gram(&X, rows, &weights[0], &H[0, 0], cols, cols)
    return out


def hadamard(double[:, ::1] X):
    """The unnormalised Walsh-Hadamard transform of the columns, in place; a power of 2 rows."""
    cdef size_t rows = X.shape[0], cols = X.shape[1]
    if rows & (rows - 1) or not rows or not cols:
        raise ValueError(f"a power of 2 rows is needed, not {rows}")
    with nogil:
        sv_sketch_hadamard(&X[0, 0], rows, cols)
