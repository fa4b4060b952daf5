"""Stencils on a box as operands: the layout of their vectors, and the arrays that the kernels read."""

cdef extern from "grid.h" nogil:
    enum sv_grid_ordering:
        SV_GRID_NATURAL
        SV_GRID_REDBLACK

    struct sv_grid:
        int axes
        ptrdiff_t n[3]
        ptrdiff_t lead
        ptrdiff_t pitch
        ptrdiff_t plane
        ptrdiff_t half
        size_t size
        int periodic[3]
        int constant
        double coupling[3]
        const void *faces[3]
        const void *diagonal
        const void *inverse
        const void *zeros
        int single

    struct sv_grid_layout:
        void (*sweeps)(const sv_grid *, double, int, size_t, size_t, int, const void *, void *) noexcept nogil
        void (*pack)(const sv_grid *, const void *, void *) noexcept nogil
        void (*unpack)(const sv_grid *, const void *, void *) noexcept nogil

    const sv_operand_kernels *sv_grid_kernels(sv_grid_ordering)
    const sv_grid_layout *sv_grid_layout_of "sv_grid_layout"(int)

#: Elements of the longest vector, by size in bytes; arrays begin at a cache line.
LINE = 64


cdef aligned(Py_ssize_t length, dtype):
    """A new array that begins at a cache line, not yet filled."""
    bytes_ = length * dtype.itemsize
    room = np.empty(bytes_ + LINE, np.uint8)
    cdef Py_ssize_t skip = -address_of(room) % LINE
    return room[skip:skip + bytes_].view(dtype)


def unaliased(Py_ssize_t length, Py_ssize_t width):
    """A pitch of at least `length`, a multiple of `width`, at which rows side by side do not fall on the same addresses
    modulo a page: there a load would wait for an older store to its neighbour."""
    cdef Py_ssize_t pitch = -(-length // width) * width, bytes_ = LINE // width
    while pitch * bytes_ > 3800 and not 320 <= pitch * bytes_ % 4096 <= 3776:
        pitch += width
    return pitch


cdef class Grid(Operand):
    """A stencil in one ordering: see grid.h. Its float32 form has sweeps alone."""

    cdef sv_grid grid
    cdef const sv_grid_layout *layout
    cdef readonly object dtype

    def __cinit__(self, shape, periodic, bint redblack, dtype=np.float64, int threads=1):
        """shape: (nz, ny, nx), with ones in front of what has fewer axes than three; `set` must follow."""
        cdef sv_grid *g = &self.grid
        cdef Py_ssize_t nz, ny, nx, width
        nz, ny, nx = shape
        self.dtype = np.dtype(dtype)
        width = LINE // self.dtype.itemsize
        g.axes = 3 if nz > 1 else 2 if ny > 1 else 1
        g.n[0], g.n[1], g.n[2] = nx, ny, nz
        for axis in range(3):
            g.periodic[axis] = bool(periodic[2 - axis]) and g.n[axis] > 1
        if redblack:
            g.half = unaliased((nx + 1) // 2 + 2, width)
            g.pitch = unaliased(2 * g.half, width)
        else:
            g.half, g.pitch = 0, unaliased(nx + 2, width)
        g.lead, g.plane = width, unaliased(ny * g.pitch, width)
        g.size = 2 * width + (nz - 1) * g.plane + ny * g.pitch
        g.single = self.dtype.itemsize == 4
        self.layout = sv_grid_layout_of(g.single)
        self.operand.n, self.operand.threads, self.operand.matrix = g.size, threads, g
        self.operand.does = sv_grid_kernels(SV_GRID_REDBLACK if redblack else SV_GRID_NATURAL)
        self.kept = {}

    cdef const void *hold(self, str name, values, Py_ssize_t length) except NULL:
        """The address of an array of the grid's type, kept alive."""
        array = np.ascontiguousarray(values, self.dtype)
        if array.size != length:
            raise ValueError(f"{name} has {array.size} elements, not {length}")
        self.kept[name] = array
        cdef size_t address = address_of(array)
        return <const void *>address

    def set_constant(self, couplings, rows):
        """Couplings along (z, y, x), and the diagonal's 16 rows, (16, nx): see grid.h."""
        cdef sv_grid *g = &self.grid
        cdef const double[:, ::1] spread = rows
        cdef double[::1] seen
        cdef Py_ssize_t i, j, k, at, kind
        table, inverse = aligned_zeros(32 * g.pitch, self.dtype.type).reshape(2, 16, g.pitch)
        for parity in range(2 if g.half else 1):
            part = rows[:, parity::2] if g.half else rows
            place = slice(parity * g.half, parity * g.half + part.shape[1])
            table[:, place], inverse[:, place] = part, 1 / part
        g.constant = 1
        for axis in range(3):
            g.coupling[axis] = couplings[2 - axis]
        g.diagonal = self.hold("diagonal", table, table.size)
        g.inverse = self.hold("inverse", inverse, table.size)
        g.zeros = self.hold("zeros", np.zeros(g.pitch + 2 * LINE), g.pitch + 2 * LINE)
        # what the methods see as the diagonal
        seen = aligned(g.size, np.dtype(np.float64))
        with nogil:
            for i in range(<Py_ssize_t>g.size):
                seen[i] = 1
            for k in range(g.n[2]):
                for j in range(g.n[1]):
                    kind = (j == 0) + 2 * (j == g.n[1] - 1) + 4 * ((k == 0) + 2 * (k == g.n[2] - 1))
                    at = g.lead + k * g.plane + j * g.pitch
                    for i in range(g.n[0]):
                        if g.half:
                            seen[at + ((i + j + k) & 1) * g.half + i // 2] = spread[kind, i]
                        else:
                            seen[at + i] = spread[kind, i]
        self.kept["seen"] = seen
        self.operand.diagonal = &seen[0]

    def set_variable(self, faces, diagonal):
        """Couplings with the cell before along (z, y, x), each of the grid's shape; the diagonal likewise."""
        cdef sv_grid *g = &self.grid
        cdef Py_ssize_t at, row, nx = g.n[0]
        g.constant = 0
        for axis in range(3):
            array = self.pack(faces[2 - axis])
            if axis == 0 and g.periodic[0]:
                for k in range(g.n[2]):
                    for j in range(g.n[1]):
                        row = g.lead + k * g.plane + j * g.pitch
                        at = row + nx
                        if g.half:
                            # nx is even: the cell that would follow has the parity of the first
                            row += g.half * ((j + k) & 1)
                            at = row + nx // 2
                        array[at] = array[row]
            g.faces[axis] = self.hold(f"faces {axis}", array, g.size)
        inverse = self.pack(1 / np.asarray(diagonal))
        g.diagonal = self.hold("diagonal", self.pack(diagonal), g.size)
        g.inverse = self.hold("inverse", inverse, g.size)
        g.zeros = self.hold("zeros", np.zeros(g.pitch + 2 * LINE), g.pitch + 2 * LINE)
        # what the methods see as the diagonal: 1 outside the cells
        cdef double[::1] values = self.pack(diagonal).astype(np.float64, copy=False)
        cdef Py_ssize_t i
        for i in range(values.shape[0]):
            if values[i] == 0:
                values[i] = 1
        self.kept["seen"] = values
        self.operand.diagonal = &values[0]

    def zeros(self):
        return aligned_zeros(self.grid.size, self.dtype.type)

    def pack(self, values):
        cdef Py_ssize_t n = self.grid.n[0] * self.grid.n[1] * self.grid.n[2]
        given = np.ascontiguousarray(values, self.dtype)
        if given.size != n:
            raise ValueError(f"a vector has {given.size} elements, not {n}")
        packed = aligned(self.grid.size, self.dtype)
        cdef size_t source = address_of(given), target = address_of(packed)
        with nogil:
            self.layout.pack(&self.grid, <const void *>source, <void *>target)
        return packed

    def unpack(self, values, out=None):
        cdef Py_ssize_t n = self.grid.n[0] * self.grid.n[1] * self.grid.n[2]
        given = np.ascontiguousarray(values, self.dtype)
        if given.size != self.grid.size:
            raise ValueError(f"a packed vector has {given.size} elements, not {self.grid.size}")
        result = np.empty(n, self.dtype) if out is None else out
        if result.size != n or not result.flags.c_contiguous or result.dtype != self.dtype:
            raise ValueError("out must be contiguous, of the grid's size and type")
        cdef size_t source = address_of(given), target = address_of(result, True)
        with nogil:
            self.layout.unpack(&self.grid, <const void *>source, <void *>target)
        return result

    def sweeps(self, double omega, bint backward, b, x, size_t count, size_t depth=0, int threads=1):
        """`count` red-black sweeps of the packed x, in place, `depth` a pass over memory (0: what fits the cache)."""
        if not self.grid.half:
            raise ValueError("the ordering must be red-black")
        for array, name in ((b, "b"), (x, "x")):
            if array.dtype != self.dtype or array.size != self.grid.size or not array.flags.c_contiguous:
                raise ValueError(f"{name} must be a packed vector")
        cdef size_t right = address_of(b), place = address_of(x, True)
        with nogil:
            self.layout.sweeps(&self.grid, omega, backward, count, depth, threads, <const void *>right, <void *>place)
