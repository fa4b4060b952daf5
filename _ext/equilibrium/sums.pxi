# Finite sums: random numbers by counter, alias tables, losses of rows in groups.

from scipy.linalg.cython_blas cimport dsyrk

cdef extern from "sampling.h" nogil:
    struct sv_alias:
        size_t n
        uint32_t *threshold
        uint32_t *alias

    void sv_alias_build(sv_alias *, const double *, double *, double *) noexcept
    void sv_alias_draw(const sv_alias *, uint64_t, uint64_t, uint64_t, size_t, int64_t *) noexcept
    void sv_uniform_draw(size_t, uint64_t, uint64_t, uint64_t, size_t, int64_t *) noexcept
    void sv_distinct_draw(int64_t *, size_t, uint64_t, uint64_t, uint64_t, size_t, int64_t *) noexcept
    void sv_uniform_numbers(uint64_t, uint64_t, uint64_t, size_t, double *) noexcept

    ctypedef void (*sv_component)(int64_t, int, const double *, double *, void *) noexcept nogil
    void sv_components(sv_component, void *, const int64_t *, size_t, int, const double *, double *) noexcept

cdef extern from "random_bits.h" nogil:
    void sv_philox(uint64_t, uint64_t, uint64_t, uint64_t *) noexcept


def random_bits(uint64_t seed, uint64_t stream, uint64_t block):
    """The two draws of a block, 64 bits each."""
    cdef uint64_t[2] out
    sv_philox(seed, stream, block, out)
    return out[0], out[1]


cdef class AliasTable:
    """Draws from weights > 0 in one look-up; `probability` is exact for what is drawn."""

    cdef sv_alias table
    cdef object kept
    cdef readonly object probability

    def __init__(self, const double[::1] weight):
        cdef size_t n = weight.shape[0]
        if n == 0:
            raise ValueError("an alias table needs a weight")
        if n >= <size_t>1 << 32:
            raise ValueError("an alias table has less than 2^32 weights")
        cdef uint32_t[:, ::1] columns = np.empty((2, n), np.uint32)
        cdef double[::1] work = np.empty(2 * n)
        self.probability = np.empty(n)
        cdef double[::1] probability = self.probability
        self.kept = columns
        self.table.n, self.table.threshold, self.table.alias = n, &columns[0, 0], &columns[1, 0]
        with nogil:
            sv_alias_build(&self.table, &weight[0], &probability[0], &work[0])
        self.probability.flags.writeable = False

    def draw(self, uint64_t seed, uint64_t stream, uint64_t first, size_t count):
        """Indices: draws first, first + 1, ... of a stream."""
        out = np.empty(count, np.int64)
        cdef int64_t[::1] to = out
        if count:
            with nogil:
                sv_alias_draw(&self.table, seed, stream, first, count, &to[0])
        return out


def uniform_indices(size_t n, uint64_t seed, uint64_t stream, uint64_t first, size_t count):
    """Indices below n, all as likely as one another."""
    if n == 0:
        raise ValueError("no index lies below 0")
    out = np.empty(count, np.int64)
    cdef int64_t[::1] to = out
    if count:
        with nogil:
            sv_uniform_draw(n, seed, stream, first, count, &to[0])
    return out


def distinct_indices(int64_t[::1] order, uint64_t seed, uint64_t stream, uint64_t first, size_t count):
    """Distinct indices, all sets as likely as one another; order is 0, 1, 2, ... and so again after."""
    cdef size_t n = order.shape[0]
    if count > n:
        raise ValueError(f"there are no {count} distinct indices below {n}")
    out = np.empty(count, np.int64)
    cdef int64_t[::1] to = out
    if count:
        with nogil:
            sv_distinct_draw(&order[0], n, seed, stream, first, count, &to[0])
    return out


def components(size_t function, size_t data, const int64_t[::1] index, const double[::1] z, double[:, ::1] out):
    """The values of compiled components, given the addresses of their function and of its data, in the rows of out."""
    if out.shape[0] != index.shape[0] or out.shape[1] != z.shape[0]:
        raise ValueError("out does not fit the indices and z")
    if index.shape[0] and z.shape[0]:
        with nogil:
            sv_components(<sv_component>function, <void *>data, &index[0], index.shape[0], <int>z.shape[0], &z[0],
                          &out[0, 0])


def uniform_numbers(uint64_t seed, uint64_t stream, uint64_t first, size_t count):
    """Numbers uniform in [0, 1)."""
    out = np.empty(count)
    cdef double[::1] to = out
    if count:
        with nogil:
            sv_uniform_numbers(seed, stream, first, count, &to[0])
    return out


cdef extern from "groups.h" nogil:
    ctypedef void (*sv_syrk)(char *, char *, int *, int *, double *, double *, int *, double *, double *,
                             int *) noexcept nogil

    struct sv_group_rows:
        size_t n
        size_t d
        size_t groups
        const double *X
        const double *y
        const int32_t *group
        int kind

    struct sv_group_sums:
        double *loss
        double *gradient
        double *hessian
        const double *share
        double *value
        double *slope
        sv_syrk syrk

    struct sv_group_loop:
        sv_group_rows rows
        const int64_t *start
        const int32_t *batch
        double l2
        double keep
        double step_w
        double step_q
        const double *snapshot
        const double *F
        const double *value
        const double *slope
        double *z
        double *sum
        double *work
        uint64_t seed
        uint64_t first

    size_t sv_groups_work(const sv_group_rows *, int) noexcept
    void sv_groups_pass(const sv_group_rows *, const double *, sv_group_sums *, double *, int) noexcept
    void sv_groups_loop(sv_group_loop *, int64_t) noexcept


cdef class GroupRows:
    """Rows of a linear model, each in a group from 0 to groups - 1, all of which have rows."""

    cdef sv_group_rows A
    cdef object kept
    cdef readonly object counts

    def __init__(self, const double[:, ::1] X, const double[::1] y, const int32_t[::1] group, int kind):
        self.A.n, self.A.d, self.A.kind = X.shape[0], X.shape[1], kind
        if self.A.n == 0 or self.A.d == 0:
            raise ValueError("X has no rows or no columns")
        if <size_t>y.shape[0] != self.A.n or <size_t>group.shape[0] != self.A.n:
            raise ValueError(f"y and group must have length {self.A.n}, as X")
        self.counts = np.bincount(np.asarray(group))
        if self.counts.min() == 0:
            raise ValueError("a group has no rows")
        self.A.groups = self.counts.shape[0]
        self.kept = X, y, group
        self.A.X, self.A.y, self.A.group = &X[0, 0], &y[0], &group[0]

    def sums(self, const double[::1] w, double[::1] loss, double[:, ::1] gradient, const double[::1] share=None,
             double[:, ::1] hessian=None, double[:, ::1] terms=None, int threads=1):
        """Sums over each group of the losses and gradients; with `hessian` (its lower triangle) that of the losses
        weighted by the share of their group; with `terms` each row's loss and derivative."""
        cdef size_t d = self.A.d, groups = self.A.groups
        if <size_t>w.shape[0] != d or <size_t>loss.shape[0] != groups or <size_t>gradient.shape[0] != groups \
                or <size_t>gradient.shape[1] != d:
            raise ValueError("w, loss or gradient does not fit the rows")
        if hessian is not None and (share is None or <size_t>share.shape[0] != groups
                                    or <size_t>hessian.shape[0] != d or <size_t>hessian.shape[1] != d):
            raise ValueError("share or hessian does not fit the rows")
        if terms is not None and (terms.shape[0] != 2 or <size_t>terms.shape[1] != self.A.n):
            raise ValueError("terms does not fit the rows")
        cdef sv_group_sums out
        cdef double[::1] work = np.empty(sv_groups_work(&self.A, hessian is not None))
        out.loss, out.gradient, out.syrk = &loss[0], &gradient[0, 0], dsyrk
        out.hessian = &hessian[0, 0] if hessian is not None else NULL
        out.share = &share[0] if hessian is not None else NULL
        out.value = &terms[0, 0] if terms is not None else NULL
        out.slope = &terms[1, 0] if terms is not None else NULL
        with nogil:
            sv_groups_pass(&self.A, &w[0], &out, &work[0], threads)

    def loop(self, const int64_t[::1] start, const int32_t[::1] batch, double l2, double keep, double step_w,
             double step_q, const double[::1] snapshot, const double[::1] F, const double[:, ::1] terms,
             double[::1] z, double[::1] sum, uint64_t seed, uint64_t first, int64_t steps):
        """Steps of variance-reduced extragradient from the snapshot; z and sum are changed in place. Returns the first
        draw that was not used."""
        cdef size_t size = self.A.d + self.A.groups, g
        if start.shape[0] != batch.shape[0] + 1 or <size_t>batch.shape[0] != self.A.groups or start[0] != 0 \
                or <size_t>start[batch.shape[0]] != self.A.n:
            raise ValueError("start and batch do not fit the groups")
        for g in range(self.A.groups):
            if not 1 <= batch[g] <= start[g + 1] - start[g]:
                raise ValueError(f"the batch of group {g} must have from 1 to all of its rows")
        if not <Py_ssize_t>size == snapshot.shape[0] == F.shape[0] == z.shape[0] == sum.shape[0]:
            raise ValueError(f"a point has {size} entries")
        if terms.shape[0] != 2 or <size_t>terms.shape[1] != self.A.n:
            raise ValueError("terms does not fit the rows")
        cdef double[::1] work = np.empty(4 * size)
        cdef sv_group_loop all
        all.rows, all.start, all.batch, all.l2, all.keep = self.A, &start[0], &batch[0], l2, keep
        all.step_w, all.step_q, all.snapshot, all.F = step_w, step_q, &snapshot[0], &F[0]
        all.value, all.slope, all.z, all.sum, all.work = &terms[0, 0], &terms[1, 0], &z[0], &sum[0], &work[0]
        all.seed, all.first = seed, first
        with nogil:
            sv_groups_loop(&all, steps)
        return all.first
