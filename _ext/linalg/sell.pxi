# Binding of the analysis of patterns and of matrices in groups of independent rows (orderings.h, sell.h).

cdef extern from "sell.h" nogil:
    enum:
        SV_CHUNK

    struct sv_chunk:
        int64_t first_lower
        int64_t first_upper
        int64_t at
        int32_t lower
        unsigned int upper
        unsigned int gathered

    struct sv_piece:
        int64_t chunk
        int64_t end
        int64_t first
        int64_t last

    struct sv_sell:
        size_t chunks
        size_t pieces
        const sv_chunk *chunk
        const sv_piece *piece
        const int32_t *index
        const void *values
        const double *inverse_diagonal
        int split

    const sv_operand_kernels *sv_sell_kernels(int)

cdef extern from "orderings.h" nogil:
    struct sv_pattern:
        size_t n
        const void *row_starts
        const void *columns
        int wide

    struct sv_destinations:
        void *to
        int wide

    enum sv_flaw:
        SV_SOUND
        SV_BAD_STARTS
        SV_BAD_COLUMN
        SV_NOT_SORTED
        SV_NO_DIAGONAL

    sv_flaw sv_linalg_diagonal(const sv_pattern *, size_t, void *, size_t *)
    int sv_linalg_symmetric_pattern(const sv_pattern *, int64_t *)
    int64_t sv_linalg_levels(const sv_pattern *, int32_t *)
    int64_t sv_linalg_two_colors(const sv_pattern *, int32_t *, int32_t *)
    int64_t sv_linalg_greedy_colors(const sv_pattern *, int32_t *, int32_t *)
    void sv_linalg_group_chunks(size_t, const int32_t *, size_t, int64_t *)
    void sv_linalg_places(size_t, const int32_t *, size_t, const int64_t *, int32_t *, int32_t *, int64_t *)
    void sv_linalg_layout(const sv_pattern *, size_t, const int32_t *, const int32_t *, sv_chunk *, int64_t *,
                          int64_t *)
    void sv_linalg_slots(const sv_pattern *, size_t, const int32_t *, const int32_t *, const sv_chunk *, int32_t *,
                         sv_destinations)
    size_t sv_linalg_pieces(size_t, const int64_t *, sv_piece *)
    void sv_linalg_fill(size_t, sv_destinations, const void *, int, void *)
    void sv_linalg_pack(size_t, size_t, const int32_t *, const double *, size_t, double *)
    void sv_linalg_unpack(size_t, const int32_t *, const double *, double *, size_t)

#: A pass in groups goes to threads with so many chunks at least, in all and in a group's mean: threads wait for one
#: another after each group, and on a busy machine long for one that has lost its core.
SPLIT_CHUNKS = 4096
GROUP_CHUNKS = 256


cdef sv_pattern pattern_of(row_starts, columns) except *:
    cdef Rows rows = compressed(row_starts, columns)
    cdef sv_pattern A
    A.n, A.row_starts, A.columns, A.wide = rows.count, rows.starts, rows.columns, rows.wide
    return A


cdef int32_t[::1] of_each_row(const sv_pattern *A) except *:
    """A number a row."""
    if A.n >= 2**31:
        raise ValueError(f"an ordering other than the natural one takes less than 2**31 rows, not {A.n}")
    return np.empty(A.n, np.int32)


#: What `diagonal_places` finds wrong.
FLAWS = {SV_SOUND: None, SV_BAD_STARTS: "starts", SV_BAD_COLUMN: "column", SV_NOT_SORTED: "sorting",
         SV_NO_DIAGONAL: "diagonal"}


def diagonal_places(row_starts, columns):
    """Where each row's diagonal entry is: (those places, None or the kind of flaw, the row of the flaw).

    The kinds: "starts" (not ascending), "column" (outside the matrix), "sorting" (a row not sorted, or with
    duplicates), "diagonal" (no entry there).
    """
    cdef sv_pattern A = pattern_of(row_starts, columns)
    at = np.empty(A.n, row_starts.dtype)
    cdef char[::1] places = at.view(np.int8)
    cdef size_t row, entries = len(columns)
    cdef sv_flaw flaw
    with nogil:
        flaw = sv_linalg_diagonal(&A, entries, &places[0], &row)
    return at, FLAWS[flaw], row


def symmetric_pattern(row_starts, columns):
    """Whether with an entry (i, j) there is always (j, i); rows sorted, without duplicates."""
    cdef sv_pattern A = pattern_of(row_starts, columns)
    cdef int64_t[::1] work = np.empty(A.n, np.int64)
    cdef bint symmetric
    with nogil:
        symmetric = sv_linalg_symmetric_pattern(&A, &work[0])
    return symmetric


def levels(row_starts, columns):
    """The level sets of the triangles: (the level of each row, their number)."""
    cdef sv_pattern A = pattern_of(row_starts, columns)
    cdef int32_t[::1] level = of_each_row(&A)
    cdef int64_t count
    with nogil:
        count = sv_linalg_levels(&A, &level[0])
    return level.base, count


def colors(row_starts, columns, bint two):
    """A colouring of a symmetric pattern: (the colour of each row, their number), 0 where `two` do not suffice."""
    cdef sv_pattern A = pattern_of(row_starts, columns)
    cdef int32_t[::1] color = of_each_row(&A), work = of_each_row(&A)
    cdef int64_t count
    with nogil:
        count = (sv_linalg_two_colors if two else sv_linalg_greedy_colors)(&A, &color[0], &work[0])
    return color.base, count


cdef class Sell(Operand):
    """Rows in groups, each group's rows independent of one another.

    Attributes
    ----------
    groups : int
        Their number.
    stored : int
        Numbers kept of the matrix, padding among them, without the diagonal.
    gathered : float
        The share of chunks whose columns are not side by side.
    """

    cdef sv_sell sell
    cdef sv_destinations destinations
    cdef Py_ssize_t entries
    cdef const int32_t[::1] place
    cdef object pattern
    cdef readonly Py_ssize_t groups, stored
    cdef readonly double gathered

    def __cinit__(self, row_starts, columns, const int32_t[::1] group, Py_ssize_t groups, int threads=1):
        """group: (n,), the group of each row. `update` gives the values."""
        cdef sv_pattern A = pattern_of(row_starts, columns)
        cdef size_t chunks, k
        cdef int64_t slots, indices, gathered = 0
        if <size_t>group.shape[0] != A.n or groups < 1 or np.min(group) < 0 or np.max(group) >= groups:
            raise ValueError("the groups do not fit")
        cdef int64_t[::1] bounds = np.empty(groups + 1, np.int64), work = np.empty(groups, np.int64)
        with nogil:
            sv_linalg_group_chunks(A.n, &group[0], groups, &bounds[0])
        chunks = bounds[groups]
        if SV_CHUNK * chunks >= 2**31:
            raise ValueError(f"this ordering takes less than 2**31 rows with its padding, not {SV_CHUNK * chunks}")
        cdef int32_t[::1] place = of_each_row(&A), row = np.empty(SV_CHUNK * chunks, np.int32)
        cdef char[::1] chunk = np.empty(chunks * sizeof(sv_chunk), np.int8)
        with nogil:
            sv_linalg_places(A.n, &group[0], groups, &bounds[0], &place[0], &row[0], &work[0])
            sv_linalg_layout(&A, chunks, &place[0], &row[0], <sv_chunk *>&chunk[0], &slots, &indices)
        cdef size_t pieces = sv_linalg_pieces(groups, &bounds[0], NULL)
        cdef char[::1] piece = np.empty(pieces * sizeof(sv_piece), np.int8)
        cdef int32_t[::1] index = np.empty(max(indices, 1), np.int32)
        self.destinations.wide = SV_CHUNK * slots >= 2**31
        self.entries = len(columns)
        cdef char[::1] to = np.empty(self.entries * (8 if self.destinations.wide else 4), np.int8)
        self.destinations.to = &to[0]
        with nogil:
            sv_linalg_slots(&A, chunks, &place[0], &row[0], <sv_chunk *>&chunk[0], &index[0], self.destinations)
            sv_linalg_pieces(groups, &bounds[0], <sv_piece *>&piece[0])
            for k in range(chunks):
                gathered += (<sv_chunk *>&chunk[0])[k].gathered
        self.sell.chunks, self.sell.chunk = chunks, <sv_chunk *>&chunk[0]
        self.sell.pieces, self.sell.piece = pieces, <sv_piece *>&piece[0]
        self.sell.index = &index[0]
        self.sell.split = chunks >= max(SPLIT_CHUNKS, GROUP_CHUNKS * groups)
        self.place = place
        self.pattern = chunk, piece, index, to
        self.operand.n, self.operand.threads, self.operand.matrix = SV_CHUNK * chunks, threads, &self.sell
        self.groups, self.stored, self.gathered = groups, SV_CHUNK * slots, gathered / <double>chunks

    def update(self, values, const double[::1] diagonal, const double[::1] inverse_diagonal):
        """The values of the entries, in the order of the rows, and the diagonal."""
        cdef const void *data = entries_of(values, self.entries)
        cdef bint narrow = values.itemsize == 4
        cdef size_t n = self.place.shape[0], size = self.operand.n
        if <size_t>diagonal.shape[0] != n or <size_t>inverse_diagonal.shape[0] != n:
            raise ValueError("the diagonals do not fit")
        cdef double[::1] packed = aligned_zeros(size, np.float64), inverse = aligned_zeros(size, np.float64)
        packed[:] = 1
        inverse[:] = 1
        # unused slots stay 0
        stored = self.kept[0] if self.kept is not None and self.kept[0].itemsize == values.itemsize else None
        if stored is None:
            stored = aligned_zeros(max(self.stored, 1), np.float32 if narrow else np.float64)
        cdef char[::1] bytes_ = stored.view(np.int8)
        with nogil:
            sv_linalg_fill(self.entries, self.destinations, data, narrow, &bytes_[0])
            sv_linalg_pack(n, 0, &self.place[0], &diagonal[0], 1, &packed[0])
            sv_linalg_pack(n, 0, &self.place[0], &inverse_diagonal[0], 1, &inverse[0])
        self.sell.values, self.sell.inverse_diagonal = &bytes_[0], &inverse[0]
        self.operand.diagonal = &packed[0]
        self.operand.does = sv_sell_kernels(narrow)
        self.kept = stored, packed, inverse

    def pack(self, values):
        """A new vector in the operand's order, padded by 0, from one in the user's."""
        cdef const double[:] given = np.asarray(values, np.float64)
        if given.shape[0] != self.place.shape[0]:
            raise ValueError(f"a vector has length {given.shape[0]}, not {self.place.shape[0]}")
        if given.strides[0] % <Py_ssize_t>sizeof(double) or given.strides[0] < 0:
            given = np.ascontiguousarray(given)
        cdef double[::1] packed = aligned_zeros(self.operand.n, np.float64)
        cdef size_t n = self.place.shape[0], stride = given.strides[0] // sizeof(double)
        with nogil:
            sv_linalg_pack(n, self.operand.n, &self.place[0], &given[0], stride, &packed[0])
        return packed.base

    def unpack(self, values):
        """A new vector in the user's order."""
        cdef const double[::1] given = values
        cdef const double *packed = self.vector(given, "values")
        cdef size_t n = self.place.shape[0]
        cdef double[::1] out = np.empty(n)
        with nogil:
            sv_linalg_unpack(n, &self.place[0], packed, &out[0], 1)
        return out.base
