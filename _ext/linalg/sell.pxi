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
        int in_blocks
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

    double SV_BLOCKS_OMEGA

    struct sv_blocks:
        size_t count
        size_t colors
        int32_t *group

    void sv_linalg_blocks(const sv_pattern *, int32_t *, int32_t *, sv_blocks *)
    void sv_linalg_block_pieces(const sv_blocks *, const int64_t *, sv_piece *)
    sv_flaw sv_linalg_diagonal(const sv_pattern *, size_t, void *, size_t *)
    ptrdiff_t sv_linalg_diagonal_values(const sv_pattern *, const void *, const void *, int, double *, double *)
    int sv_linalg_symmetric_pattern(const sv_pattern *, int64_t *, int64_t *)
    int sv_linalg_symmetric(const sv_pattern *, const void *, int, const double *, double, int64_t *)
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
    cdef void *places = <void *>address_of(at)
    cdef size_t row, entries = len(columns)
    cdef sv_flaw flaw
    with nogil:
        flaw = sv_linalg_diagonal(&A, entries, places, &row)
    return at, FLAWS[flaw], row


def diagonal_values(row_starts, columns, at, values):
    """(the diagonal, 1 over it, the first row where it is zero, subnormal or not finite, else -1)."""
    if len(at) == 0:
        return np.empty(0), np.empty(0), -1
    cdef sv_pattern A = pattern_of(row_starts, columns)
    cdef const void *data = entries_of(values, len(columns))
    cdef const void *places = integers(at, A.n, A.wide, "at")
    diagonal, inverse = np.empty(A.n), np.empty(A.n)
    cdef double *to = doubles(diagonal, A.n, "diagonal", True)
    cdef double *over = doubles(inverse, A.n, "inverse", True)
    cdef bint narrow = values.itemsize == 4
    cdef ptrdiff_t row
    with nogil:
        row = sv_linalg_diagonal_values(&A, places, data, narrow, to, over)
    return diagonal, inverse, row


def symmetric_pattern(row_starts, columns):
    """Whether with an entry (i, j) there is always (j, i); rows sorted, without duplicates."""
    return images(row_starts, columns, False) is not None


def images(row_starts, columns, bint told=True):
    """Where the entry (j, i) of each entry (i, j) lies, if `told`; None where the pattern is not symmetric."""
    cdef sv_pattern A = pattern_of(row_starts, columns)
    cdef Room work = Room.__new__(Room, 8 * A.n)
    found = np.empty(len(columns) if told else 0, np.int64)
    cdef int64_t *to = <int64_t *>address_of(found) if told else NULL
    cdef bint symmetric
    with nogil:
        symmetric = sv_linalg_symmetric_pattern(&A, to, <int64_t *>work.at)
    return found if symmetric else None


def symmetric(row_starts, columns, values, diagonal, double slack):
    """Whether each entry agrees with its image, zero where there is none, to `slack`: see orderings.h."""
    cdef sv_pattern A = pattern_of(row_starts, columns)
    cdef Room work = Room.__new__(Room, 8 * A.n)
    cdef const void *data = entries_of(values, len(columns))
    cdef const double *at_diagonal = doubles(diagonal, A.n, "diagonal")
    cdef bint narrow = values.itemsize == 4, same
    with nogil:
        same = sv_linalg_symmetric(&A, data, narrow, at_diagonal, slack, <int64_t *>work.at)
    return same


def levels(row_starts, columns):
    """The level sets of the triangles: (the level of each row, their number)."""
    cdef sv_pattern A = pattern_of(row_starts, columns)
    cdef int32_t[::1] level = of_each_row(&A)
    cdef int64_t count
    with nogil:
        count = sv_linalg_levels(&A, &level[0])
    return level.base, count


cdef class Blocks:
    """Blocks of rows: see orderings.h.

    Attributes
    ----------
    group : ndarray, shape (n,)
        The group of each row, a level set of the triangles inside its block.
    count, groups, colors : int
        The number of blocks, of groups, of the blocks' colours.
    """

    cdef sv_blocks found
    cdef readonly object group

    def __cinit__(self, row_starts, columns):
        cdef sv_pattern A = pattern_of(row_starts, columns)
        cdef int32_t[::1] group = of_each_row(&A), work = of_each_row(&A)
        with nogil:
            sv_linalg_blocks(&A, &group[0], &work[0], &self.found)
        self.group = group.base

    @property
    def groups(self):
        return self.found.group[self.found.count]

    @property
    def count(self):
        return self.found.count

    @property
    def colors(self):
        return self.found.colors


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
    cdef size_t unknowns
    cdef int32_t *place
    cdef object pattern
    cdef bint narrow
    cdef readonly Py_ssize_t groups, stored
    cdef readonly double gathered

    def __cinit__(self, row_starts, columns, const int32_t[::1] group, Py_ssize_t groups, int threads=1,
                  Blocks blocks=None):
        """group: (n,), the group of each row, in `blocks` or not. `update` gives the values."""
        cdef sv_pattern A = pattern_of(row_starts, columns)
        cdef size_t chunks, pieces, k
        cdef int64_t slots, indices, gathered = 0
        cdef bint fit = <size_t>group.shape[0] == A.n < 2**31 and groups > 0
        for k in range(A.n if fit else 0):
            fit &= 0 <= group[k] < groups
        if not fit or (blocks is not None and groups != blocks.groups):
            raise ValueError("the groups do not fit")
        cdef size_t waits = groups if blocks is None else blocks.found.colors
        cdef Room bounds = Room.__new__(Room, 8 * (groups + 1)), work = Room.__new__(Room, 8 * groups)
        with nogil:
            sv_linalg_group_chunks(A.n, &group[0], groups, <int64_t *>bounds.at)
        chunks = (<int64_t *>bounds.at)[groups]
        if SV_CHUNK * chunks >= 2**31:
            raise ValueError(f"this ordering takes less than 2**31 rows with its padding, not {SV_CHUNK * chunks}")
        cdef Room place = Room.__new__(Room, 4 * A.n), row = Room.__new__(Room, 4 * SV_CHUNK * chunks)
        cdef Room chunk = Room.__new__(Room, chunks * sizeof(sv_chunk))
        cdef int32_t *places = <int32_t *>place.at
        cdef int32_t *rows = <int32_t *>row.at
        cdef sv_chunk *described = <sv_chunk *>chunk.at
        with nogil:
            sv_linalg_places(A.n, &group[0], groups, <int64_t *>bounds.at, places, rows, <int64_t *>work.at)
            sv_linalg_layout(&A, chunks, places, rows, described, &slots, &indices)
            if blocks is None:
                pieces = sv_linalg_pieces(groups, <int64_t *>bounds.at, NULL)
            else:
                pieces = blocks.found.count
        self.entries, self.destinations.wide = len(columns), SV_CHUNK * slots >= 2**31
        cdef Room piece = Room.__new__(Room, pieces * sizeof(sv_piece)), index = Room.__new__(Room, 4 * indices)
        cdef Room to = Room.__new__(Room, self.entries * (8 if self.destinations.wide else 4))
        self.destinations.to = to.at
        with nogil:
            sv_linalg_slots(&A, chunks, places, rows, described, <int32_t *>index.at, self.destinations)
            if blocks is None:
                sv_linalg_pieces(groups, <int64_t *>bounds.at, <sv_piece *>piece.at)
            else:
                sv_linalg_block_pieces(&blocks.found, <int64_t *>bounds.at, <sv_piece *>piece.at)
            for k in range(chunks):
                gathered += described[k].gathered
        self.sell.chunks, self.sell.chunk = chunks, described
        self.sell.pieces, self.sell.piece = pieces, <sv_piece *>piece.at
        self.sell.index = <int32_t *>index.at
        self.sell.in_blocks = blocks is not None
        self.sell.split = chunks >= max(SPLIT_CHUNKS, GROUP_CHUNKS * waits)
        self.unknowns, self.place = A.n, places
        self.pattern = place, chunk, piece, index, to
        self.operand.n, self.operand.threads, self.operand.matrix = SV_CHUNK * chunks, threads, &self.sell
        self.groups, self.stored, self.gathered = groups, SV_CHUNK * slots, gathered / <double>chunks

    def update(self, values, diagonal, inverse_diagonal):
        """The values of the entries, in the order of the rows, and the diagonal."""
        cdef const void *data = entries_of(values, self.entries)
        cdef const double *entries = doubles(diagonal, self.unknowns, "diagonal")
        cdef const double *inverses = doubles(inverse_diagonal, self.unknowns, "inverse_diagonal")
        cdef bint narrow = values.itemsize == 4
        cdef Py_ssize_t size = 8 * self.operand.n, k
        cdef Room packed = Room.__new__(Room, size), inverse = Room.__new__(Room, size)
        # unused slots stay 0
        cdef Room stored = self.kept[0] if self.kept is not None and self.narrow == narrow else None
        if stored is None:
            stored = Room.__new__(Room, self.stored * (4 if narrow else 8))
        cdef double *on_diagonal = <double *>packed.at
        cdef double *over = <double *>inverse.at
        with nogil:
            for k in range(self.operand.n):
                on_diagonal[k] = over[k] = 1
            sv_linalg_fill(self.entries, self.destinations, data, narrow, stored.at)
            sv_linalg_pack(self.unknowns, 0, self.place, entries, 1, on_diagonal)
            sv_linalg_pack(self.unknowns, 0, self.place, inverses, 1, over)
        self.sell.values, self.sell.inverse_diagonal, self.operand.diagonal = stored.at, over, on_diagonal
        self.operand.does = sv_sell_kernels(narrow)
        self.kept, self.narrow, self.known = (stored, packed, inverse), narrow, None

    cdef size_t unknowns_of(self):
        return self.unknowns

    cdef const double *taken(self, const double *given, double *room) noexcept nogil:
        memset(room, 0, self.operand.n * sizeof(double))
        sv_linalg_pack(self.unknowns, 0, self.place, given, 1, room)
        return room

    def pack(self, values):
        """A new vector in the operand's order, padded by 0, from one in the user's."""
        given = np.asarray(values, np.float64)
        cdef Py_buffer view
        PyObject_GetBuffer(given, &view, PyBUF_STRIDES)
        cdef const double *source = <const double *>view.buf
        cdef Py_ssize_t length = view.shape[0] if view.ndim == 1 else -1, step = view.strides[0] if view.ndim else 0
        PyBuffer_Release(&view)
        if length != <Py_ssize_t>self.unknowns:
            raise ValueError(f"a vector has length {length}, not {self.unknowns}")
        if step < 0 or step % <Py_ssize_t>sizeof(double):
            return self.pack(np.ascontiguousarray(given))
        packed = aligned(self.operand.n, FLOAT64, True)
        cdef double *target = self.out(packed, "packed")
        cdef size_t stride = step // sizeof(double)
        with nogil:
            sv_linalg_pack(self.unknowns, 0, self.place, source, stride, target)
        return packed

    def unpack(self, values):
        """A new vector in the user's order."""
        return self.unpacked_into(values, np.empty(self.unknowns))

    def unpacked(self, values):
        return self.unpacked_into(values, aligned(self.unknowns, FLOAT64))

    cdef unpacked_into(self, values, out):
        cdef const double *packed = self.vector(values, "values")
        cdef double *target = doubles(out, self.unknowns, "out", True)
        with nogil:
            sv_linalg_unpack(self.unknowns, self.place, packed, target, 1)
        return out
