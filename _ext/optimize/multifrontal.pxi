# Sparse symmetric matrices as L D L' (multifrontal.h): analysed once a pattern, factored as often as values come.

cdef extern from "multifrontal.h" nogil:
    struct sv_pattern:
        int32_t n
        const int32_t *starts
        const int32_t *index

    struct sv_fronts:
        int32_t n
        int32_t fronts
        const int32_t *order
        const int32_t *inverse
        const int32_t *first
        const int32_t *height
        const int32_t *above
        int64_t *edge
        int32_t *border
        int64_t *entry
        int32_t *row
        int32_t *source

    struct sv_front:
        int64_t at
        int64_t list
        int32_t height
        int32_t pivots

    struct sv_factor:
        double *factor
        double *stack
        int32_t *rows
        sv_front *front
        int64_t factor_room
        int64_t rows_room
        int64_t stack_room
        int64_t factor_used
        int64_t rows_used
        int64_t negative
        int64_t zero
        int64_t delayed

    void sv_optimize_scales(const sv_pattern *, const double *, double *, double *, double *) noexcept
    void sv_optimize_mates(int32_t, int32_t, const int32_t *, const int32_t *, const double *, int32_t *,
                           int32_t *) noexcept
    void sv_optimize_groups(const sv_pattern *, int32_t, const int32_t *, const int32_t *, const int32_t *, int32_t *,
                            int32_t *, int32_t *) noexcept
    void sv_optimize_degrees(const sv_pattern *, const int32_t *, int32_t *, int32_t *, int64_t, int32_t *) noexcept
    void sv_optimize_tree(const sv_pattern *, const int32_t *, int32_t *, int32_t *, int32_t *, int32_t *, int32_t *) noexcept
    int32_t sv_optimize_fronts(int32_t, const int32_t *, const int32_t *, const int32_t *, int32_t *, int32_t *, int32_t *,
                               int32_t *) noexcept
    void sv_optimize_borders(const sv_pattern *, const int32_t *, sv_fronts *, int32_t *) noexcept
    void sv_optimize_room(const sv_fronts *, int64_t *, int64_t *, int64_t *, int32_t *) noexcept
    int sv_optimize_multifrontal(const sv_fronts *, const double *, double, double, sv_factor *, int32_t *) noexcept
    void sv_optimize_frontal_solve(const sv_fronts *, const sv_factor *, double *, double *) noexcept


cdef class Multifrontal:
    """Factors of symmetric matrices with one pattern: `starts` and `index` (int32) of the whole matrix in CSC form.

    `group`: of each column the group, numbered from 0 without a gap, with which it is eliminated; None: each for itself.
    """

    cdef int32_t n
    cdef sv_fronts fronts
    cdef sv_factor result
    cdef bint factored
    # What the structs point to.
    cdef int32_t[::1] order, inverse, first, height, above, border, row, source, rows, work
    cdef int64_t[::1] edge, entry
    cdef double[::1] factor_of, stack, vector
    cdef object front

    def __init__(self, const int32_t[::1] starts not None, const int32_t[::1] index not None, group=None):
        cdef int32_t n = starts.shape[0] - 1, j, count
        cdef int32_t e
        cdef int64_t entries = index.shape[0], factor, rows, stack
        if n < 1 or starts[0] != 0 or starts[n] != entries:
            raise ValueError("starts must run from 0 to the number of entries")
        for j in range(n):
            if starts[j] > starts[j + 1]:
                raise ValueError("starts must not fall")
        for e in range(starts[n]):
            if not 0 <= index[e] < n:
                raise ValueError(f"index[{e}] is out of range")
        self.n, self.factored = n, False
        self.factor_of, self.stack, self.vector, self.rows = np.empty(0), np.empty(0), np.empty(2 * n), np.empty(0, np.int32)
        cdef sv_pattern K = sv_pattern(n, &starts[0], &index[0])
        if entries + entries // 2 + n > 2**31 - 1:
            raise ValueError("more entries than 32-bit indices serve")
        of = np.arange(n, dtype=np.int32) if group is None else np.asarray(group).astype(np.int32)
        weights = np.bincount(of).astype(np.int32)
        if of.shape != (n,) or weights.min() == 0:
            raise ValueError(f"group must be {n} numbers without a gap from 0 on")
        cdef int32_t groups = len(weights)
        begins = np.concatenate([[0], np.cumsum(weights)]).astype(np.int32)
        members = np.argsort(of, kind="stable").astype(np.int32)
        cdef int32_t[::1] weight = weights, begin = begins, member = members, group_of = of
        cdef int32_t[::1] group_starts = np.empty(groups + 1, np.int32), group_index = np.empty(entries, np.int32)
        cdef int32_t[::1] lists = np.empty(entries + entries // 2 + n, np.int32)
        cdef int32_t[::1] group_order, inverse, parent, counts, first
        group_order, inverse, parent, counts = (np.empty(groups, np.int32) for _ in range(4))
        first = np.empty(groups + 1, np.int32)
        self.work = np.empty(12 * <int64_t>n + 2, np.int32)
        self.height, self.above = np.empty(groups, np.int32), np.empty(groups, np.int32)
        cdef sv_pattern Q = sv_pattern(groups, &group_starts[0], &group_index[0])
        with nogil:
            sv_optimize_groups(&K, groups, &begin[0], &member[0], &group_of[0], &group_starts[0], &group_index[0],
                               &self.work[0])
            sv_optimize_degrees(&Q, &weight[0], &group_order[0], &lists[0], lists.shape[0], &self.work[0])
            sv_optimize_tree(&Q, &weight[0], &group_order[0], &inverse[0], &parent[0], &counts[0], &self.work[0])
        # From groups to columns.
        ordered = weights[np.asarray(group_order)]
        offsets = np.concatenate([[0], np.cumsum(ordered)]).astype(np.int32)
        self.order = members[np.repeat(begins[np.asarray(group_order)] - offsets[:-1], ordered) + np.arange(n)]
        self.inverse = np.empty(n, np.int32)
        np.asarray(self.inverse)[np.asarray(self.order)] = np.arange(n)
        cdef int32_t[::1] offset = offsets, label = np.repeat(np.arange(groups, dtype=np.int32), ordered)
        count = sv_optimize_fronts(groups, &offset[0], &parent[0], &counts[0], &first[0], &self.height[0],
                                   &self.above[0], &self.work[0])
        self.first = offsets[np.asarray(first)[: count + 1]]
        widths = np.diff(np.asarray(self.first))
        borders = int((np.asarray(self.height)[:count] - widths).sum(dtype=np.int64))
        self.edge, self.border = np.empty(count + 1, np.int64), np.empty(max(borders, 1), np.int32)
        self.entry = np.empty(n + 1, np.int64)
        self.row, self.source = np.empty(entries, np.int32), np.empty(entries, np.int32)
        self.fronts = sv_fronts(n, count, &self.order[0], &self.inverse[0], &self.first[0], &self.height[0],
                                &self.above[0], &self.edge[0], &self.border[0], &self.entry[0], &self.row[0],
                                &self.source[0])
        with nogil:
            sv_optimize_borders(&K, &label[0], &self.fronts, &self.work[0])
            sv_optimize_room(&self.fronts, &factor, &rows, &stack, &self.work[0])
        self.result.factor_room, self.result.rows_room, self.result.stack_room = factor, rows, stack
        self.front = np.empty(2 * count * sizeof(sv_front) // 8, np.int64)

    @property
    def entries(self):
        """Numbers that the factor holds where no pivot is put off."""
        return self.result.factor_used if self.factored else self.result.factor_room

    @property
    def flops(self):
        """Multiply-adds of a factorisation where no pivot is put off."""
        count = self.fronts.fronts
        tall = np.asarray(self.height)[:count].astype(np.float64)
        left = tall - np.diff(np.asarray(self.first))
        return float(((tall * (tall + 1) * (2 * tall + 1) - left * (left + 1) * (2 * left + 1)) / 12).sum())

    @property
    def delayed(self):
        """Columns that were put off to the next front, each time that one was."""
        return self.result.delayed

    def factor(self, const double[::1] values not None, double threshold, double tiny):
        """The counts of eigenvalues < 0 and = 0 of the matrix with these values, whose factors are kept."""
        if values.shape[0] != self.row.shape[0]:
            raise ValueError(f"{self.row.shape[0]} values were expected, not {values.shape[0]}")
        cdef int lacking
        cdef int64_t[::1] front = self.front
        self.factored = False
        while True:
            self._rooms()
            self.result.front = <sv_front *>&front[0]
            with nogil:
                lacking = sv_optimize_multifrontal(&self.fronts, &values[0], threshold, tiny, &self.result,
                                                   &self.work[0])
            if lacking == 0:
                self.factored = True
                return self.result.negative, self.result.zero
            if lacking == 1:
                self.result.factor_room += self.result.factor_room // 2 + 1024
            elif lacking == 2:
                self.result.rows_room += self.result.rows_room // 2 + 1024
            else:
                self.result.stack_room += self.result.stack_room // 2 + 1024

    def _rooms(self):
        if self.factor_of.shape[0] != self.result.factor_room:
            self.factor_of = np.empty(0)
            self.factor_of = np.empty(self.result.factor_room)
        if self.rows.shape[0] != self.result.rows_room:
            self.rows = np.empty(self.result.rows_room, np.int32)
        if self.stack.shape[0] != self.result.stack_room:
            self.stack = np.empty(0)
            self.stack = np.empty(self.result.stack_room)
        self.result.factor, self.result.rows, self.result.stack = &self.factor_of[0], &self.rows[0], &self.stack[0]

    def solve(self, const double[::1] rhs not None):
        """The solution by the factors, not refined."""
        if not self.factored:
            raise ValueError("there are no factors")
        if rhs.shape[0] != self.n:
            raise ValueError(f"{self.n} numbers were expected, not {rhs.shape[0]}")
        out = np.array(rhs)
        cdef double[::1] x = out
        with nogil:
            sv_optimize_frontal_solve(&self.fronts, &self.result, &x[0], &self.vector[0])
        return out


def equilibrated(const int32_t[::1] starts not None, const int32_t[::1] index not None,
                 const double[::1] value not None):
    """s, such that the largest entry of each row of ``s K s`` is about 1, and the entries of that matrix (CSC)."""
    cdef int32_t n = starts.shape[0] - 1
    scales, scaled, work = np.empty(n), np.empty(len(value)), np.empty(n)
    cdef double[::1] s = scales, out = scaled, most = work
    cdef sv_pattern K = sv_pattern(n, &starts[0], &index[0])
    with nogil:
        sv_optimize_scales(&K, &value[0], &s[0], &out[0], &most[0])
    return scales, scaled


def mates(int64_t n, const int32_t[::1] starts not None, const int32_t[::1] index not None,
          const double[::1] value not None):
    """Of each row of a CSR matrix with n columns one of its columns, each column once, with a large entry; or -1."""
    cdef int32_t m = starts.shape[0] - 1
    cdef int32_t[::1] mate = np.empty(m + 1, np.int32), taken = np.empty(n + 1, np.int32)
    cdef const int32_t *columns = &index[0] if index.shape[0] else NULL
    cdef const double *values = &value[0] if index.shape[0] else NULL
    with nogil:
        sv_optimize_mates(m, n, &starts[0], columns, values, &mate[0], &taken[0])
    return np.asarray(mate)[:m]
