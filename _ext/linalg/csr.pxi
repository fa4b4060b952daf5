# Binding of matrices in compressed rows, of scalars and of blocks (csr.h, bsr.h).

cdef extern from "csr.h" nogil:
    struct sv_csr:
        const void *row_starts
        const void *columns
        const void *values
        const void *diagonal_at
        const double *inverse_diagonal

    const sv_operand_kernels *sv_csr_kernels(int, int)
    const sv_operand_kernels *sv_complex_kernels(int, int)
    void sv_csr_sweep_columns(int, int, const sv_operand *, double, sv_direction, size_t, const double *, double *)

cdef extern from "bsr.h" nogil:
    enum:
        SV_BLOCK_MAX

    struct sv_bsr:
        size_t rows
        size_t block
        const void *row_starts
        const void *columns
        const void *values
        const double *inverse

    void sv_bsr_sweep_nodes(int, int, const sv_bsr *, double, sv_direction, size_t, const double *, double *)


cdef struct Rows:
    # Compressed rows of either type of indices.
    const void *starts
    const void *columns
    Py_ssize_t count, entries
    bint wide


cdef Rows compressed(row_starts, columns) except *:
    """Both of int32, or both of int64; `count` rows, `entries` columns. `diagonal_places` looks into them."""
    cdef Rows rows
    rows.wide, rows.count, rows.entries = row_starts.itemsize == 8, len(row_starts) - 1, len(columns)
    if rows.count < 1 or rows.entries < 1:
        raise ValueError("the arrays of the matrix do not fit one another")
    rows.starts = integers(row_starts, rows.count + 1, rows.wide, "row_starts")
    rows.columns = integers(columns, rows.entries, rows.wide, "columns")
    cdef int64_t last = (<int64_t *>rows.starts)[rows.count] if rows.wide else (<int32_t *>rows.starts)[rows.count]
    if last != rows.entries:
        raise ValueError("the arrays of the matrix do not fit one another")
    return rows


cdef const void *entries_of(values, Py_ssize_t entries) except NULL:
    """float64 or float32, `entries` of them."""
    if values.itemsize == 4:
        return vector_of(values, entries, b"f", sizeof(float), "the matrix' values")
    return doubles(values, entries, "the matrix' values")


cdef class Csr(Operand):
    """Compressed rows, sorted and without duplicates, in their own order."""

    cdef sv_csr csr
    cdef Rows rows
    cdef bint narrow_values
    cdef int parts
    cdef object pattern

    def __cinit__(self, row_starts, columns, values, diagonal_at, diagonal, inverse_diagonal, int threads=1,
                  bint paired=False):
        """row_starts, columns, diagonal_at: all int32 or all int64; values: float64 or float32.

        paired: values, diagonals and vectors are pairs, the parts of complex numbers.
        """
        self.parts = 2 if paired else 1
        self.rows = compressed(row_starts, columns)
        self.csr.row_starts, self.csr.columns = self.rows.starts, self.rows.columns
        self.csr.diagonal_at = integers(diagonal_at, self.rows.count, self.rows.wide, "diagonal_at")
        self.operand.n, self.operand.threads = self.parts * self.rows.count, threads
        self.operand.matrix = &self.csr
        self.pattern = row_starts, columns, diagonal_at
        self.update(values, diagonal, inverse_diagonal)

    def packed(self, values):
        return values

    def update(self, values, diagonal, inverse_diagonal):
        """Other values in the same places; they are read where they are."""
        self.operand.diagonal = self.vector(diagonal, "diagonal")
        self.csr.inverse_diagonal = self.vector(inverse_diagonal, "inverse_diagonal")
        self.csr.values = entries_of(values, self.parts * self.rows.entries)
        self.known = None
        self.narrow_values = values.itemsize == 4
        if self.parts == 2:
            self.operand.does = sv_complex_kernels(self.rows.wide, self.narrow_values)
        else:
            self.operand.does = sv_csr_kernels(self.rows.wide, self.narrow_values)
        self.kept = values, diagonal, inverse_diagonal

    def sweep_columns(self, double omega, bint backward, const double[:, ::1] b, double[:, ::1] x):
        """One SOR sweep of each column of x, in place; of a real matrix."""
        cdef size_t count = x.shape[1]
        if self.parts != 1 or b.shape[0] != self.rows.count or x.shape[0] != self.rows.count or b.shape[1] != x.shape[1]:
            raise ValueError("b and x do not fit the matrix")
        if count == 0:
            return
        with nogil:
            sv_csr_sweep_columns(self.rows.wide, self.narrow_values, &self.operand, omega,
                                 SV_BACKWARD if backward else SV_FORWARD, count, &b[0, 0], &x[0, 0])


def sweep_nodes(row_starts, columns, values, const double[:, :, ::1] inverse, double omega, bint backward,
                const double[:, ::1] b, double[:, ::1] x):
    """One node-block SOR sweep of each column of x, in place: values and inverse of shape (blocks, m, m)."""
    cdef Rows rows = compressed(row_starts, columns)
    cdef Py_ssize_t m = inverse.shape[1], n = rows.count * m
    cdef sv_bsr A
    cdef bint narrow_values = values.itemsize == 4
    if not 2 <= m <= SV_BLOCK_MAX or inverse.shape[2] != m or inverse.shape[0] != rows.count:
        raise ValueError("the blocks do not fit")
    if b.shape[0] != n or x.shape[0] != n or b.shape[1] != x.shape[1]:
        raise ValueError("b and x do not fit the matrix")
    if x.shape[1] == 0:
        return
    A.rows, A.block, A.row_starts, A.columns = rows.count, m, rows.starts, rows.columns
    flat = values.reshape(-1)
    A.values, A.inverse = entries_of(flat, rows.entries * m * m), &inverse[0, 0, 0]
    cdef size_t count = x.shape[1]
    with nogil:
        sv_bsr_sweep_nodes(rows.wide, narrow_values, &A, omega, SV_BACKWARD if backward else SV_FORWARD, count,
                           &b[0, 0], &x[0, 0])
