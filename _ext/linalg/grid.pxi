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
        ptrdiff_t strips
        size_t size
        int periodic[3]
        int constant
        int uniform
        double coupling[3]
        double entry
        const void *faces[3]
        const void *diagonal
        const void *inverse
        const void *zeros
        int single

    struct sv_grid_layout:
        void (*sweeps)(const sv_grid *, double, int, size_t, size_t, int, const void *, void *) noexcept nogil
        void (*pack)(const sv_grid *, const void *, void *) noexcept nogil
        void (*unpack)(const sv_grid *, const void *, void *) noexcept nogil

    struct sv_grid_form "sv_grid_slanted":
        sv_grid_layout layout
        const sv_operand_kernels *kernels
        int width

    const sv_operand_kernels *sv_grid_kernels(sv_grid_ordering)
    const sv_grid_form *sv_grid_slanted()
    void sv_grid_lay_slanted(sv_grid *, const ptrdiff_t *, int)
    int sv_grid_slants(const ptrdiff_t *)
    void sv_grid_lay_out(sv_grid *, const ptrdiff_t *, const int *, int, int)
    void sv_grid_constant_rows(sv_grid *, const double *, void *, void *, double *)
    void sv_grid_wrap(const sv_grid *, void *)
    void sv_grid_seen(const sv_grid *, const void *, double *)
    const sv_grid_layout *sv_grid_layout_of "sv_grid_layout"(int)

cdef extern from "interface_grid.h" nogil:
    enum sv_end:
        SV_DIRICHLET
        SV_NEUMANN
        SV_PERIODIC

    enum sv_unknowns:
        SV_NODES
        SV_CELLS

    struct sv_grid_of_cells:
        int axes
        size_t shape[3]
        double spacing[3]
        int ends[3][2]
        int unknowns
        int obstacle
        double coefficient
        const double *cells
        const double *faces[3]
        double mass
        const double *masses
        const uint8_t *mask

    void sv_grid_couplings(const sv_grid_of_cells *, int, double *)
    void sv_grid_walls(const sv_grid_of_cells *, double *)
    void sv_grid_diagonal(const sv_grid_of_cells *, double *)
    double sv_grid_least_diagonal(const sv_grid_of_cells *)
    void sv_grid_constant_numbers(const sv_grid_of_cells *, double *, double *)
    int sv_grid_uniform(const sv_grid_of_cells *, double *, double *)

#: Bytes of a cache line.
LINE = 64


cdef dict ENDS = {"dirichlet": SV_DIRICHLET, "neumann": SV_NEUMANN, "periodic": SV_PERIODIC}


cdef class GridNumbers:
    """What a GridOperator is made of, checked by it, and the numbers that follow: see interface_grid.h."""

    cdef sv_grid_of_cells grid
    cdef size_t size
    cdef object kept

    def __cinit__(self, tuple shape, tuple spacing, tuple ends, str unknowns, str obstacle, coeff, cells, mass, mask):
        """coeff: a float or an array of faces an axis; mass: a float or an array; cells, mask: an array or None."""
        cdef sv_grid_of_cells *g = &self.grid
        cdef int axis
        g.axes, self.size = len(shape), 1
        for axis in range(g.axes):
            g.shape[axis], g.spacing[axis] = shape[axis], spacing[axis]
            g.ends[axis][0], g.ends[axis][1] = ENDS[ends[axis][0]], ENDS[ends[axis][1]]
            self.size *= g.shape[axis]
        g.unknowns, g.obstacle = SV_CELLS if unknowns == "cells" else SV_NODES, ENDS[obstacle]
        self.kept = coeff, cells, mass, mask
        if isinstance(coeff, float):
            g.coefficient = coeff
        else:
            for axis in range(g.axes):
                g.faces[axis] = doubles(coeff[axis].reshape(-1), self.size // g.shape[axis] * (g.shape[axis] + 1), "coeff")
        if cells is not None:
            g.cells = doubles(cells.reshape(-1), self.size, "coeff")
        if isinstance(mass, float):
            g.mass = mass
        else:
            g.masses = doubles(mass.reshape(-1), self.size, "mass")
        if mask is not None:
            g.mask = <const uint8_t *>vector_of(mask.reshape(-1), self.size, b"?", 1, "mask")

    @property
    def slants(self):
        """Whether the operator is one number on the diagonal and one an axis, on a shape for the slanted layout."""
        cdef double coupling[3]
        cdef double entry
        cdef ptrdiff_t n[3]
        cdef int axis
        for axis in range(3):
            n[axis] = self.grid.shape[self.grid.axes - 1 - axis] if axis < self.grid.axes else 1
        return bool(sv_grid_slants(n) and sv_grid_uniform(&self.grid, coupling, &entry))

    def coupling(self, int axis):
        """Each cell's coupling with the one before along an axis, flat; 0 where there is none."""
        if not 0 <= axis < self.grid.axes:
            raise IndexError(axis)
        cdef double[::1] out = np.empty(self.size)
        with nogil:
            sv_grid_couplings(&self.grid, axis, &out[0])
        return out.base

    def walls(self):
        """What Dirichlet walls, of the box and of obstacles, add to the diagonal; flat."""
        cdef double[::1] out = np.empty(self.size)
        with nogil:
            sv_grid_walls(&self.grid, &out[0])
        return out.base

    def diagonal(self):
        """The diagonal; 1 outside of the mask."""
        cdef double[::1] out = np.empty(self.size)
        with nogil:
            sv_grid_diagonal(&self.grid, &out[0])
        return out.base

    def least_diagonal(self):
        """Its least entry, where there is no mask."""
        cdef double least
        with nogil:
            least = sv_grid_least_diagonal(&self.grid)
        return least


cdef class Grid(Operand):
    """A stencil in one ordering: see grid.h. Its float32 form has sweeps alone."""

    cdef sv_grid grid
    cdef const sv_grid_layout *layout
    cdef readonly object dtype

    def __cinit__(self, shape, periodic, str ordering, dtype=np.float64, int threads=1):
        """shape: (nz, ny, nx), with ones in front of what has fewer axes than three; `set` must follow.

        ordering: "natural", "redblack", or "slanted" for what SSOR-CG needs, in natural order, of an operator that `slants`.
        """
        cdef sv_grid *g = &self.grid
        cdef bint redblack = ordering == "redblack"
        cdef const sv_grid_form *form
        cdef ptrdiff_t n[3]
        cdef int wraps[3]
        self.dtype = np.dtype(dtype)
        for axis in range(3):
            n[axis], wraps[axis] = shape[2 - axis], bool(periodic[2 - axis])
        if ordering == "slanted":
            form = sv_grid_slanted()
            sv_grid_lay_slanted(g, n, form.width)
            self.layout, self.operand.does = &form.layout, form.kernels
        else:
            sv_grid_lay_out(g, n, wraps, redblack, self.dtype.itemsize == 4)
            self.layout = sv_grid_layout_of(g.single)
            self.operand.does = sv_grid_kernels(SV_GRID_REDBLACK if redblack else SV_GRID_NATURAL)
        self.operand.n, self.operand.threads, self.operand.matrix = g.size, threads, g
        self.kept = {}

    cdef const void *hold(self, str name, values, Py_ssize_t length) except NULL:
        """The address of an array of the grid's type, kept alive."""
        array = np.ascontiguousarray(values, self.dtype)
        if array.size != length:
            raise ValueError(f"{name} has {array.size} elements, not {length}")
        self.kept[name] = array
        cdef size_t address = address_of(array)
        return <const void *>address

    def set_constant(self, GridNumbers numbers):
        """Of coefficients that are numbers, on a grid of this shape."""
        cdef sv_grid *g = &self.grid
        cdef const sv_grid_of_cells *given = &numbers.grid
        if given.shape[given.axes - 1] != <size_t>g.n[0] or numbers.size != <size_t>(g.n[0] * g.n[1] * g.n[2]):
            raise ValueError("the numbers are those of another grid")
        cdef size_t rows = 16 * g.pitch * (4 if g.single else 8)
        cdef Room numbers_of_rows = Room.__new__(Room, 16 * g.n[0] * sizeof(double), False)
        cdef Room tables = Room.__new__(Room, 2 * rows + 8 * (g.pitch + 2 * LINE))
        cdef Room seen = Room.__new__(Room, g.size * sizeof(double), False)
        g.constant = 1
        g.diagonal, g.inverse, g.zeros = tables.at, <char *>tables.at + rows, <char *>tables.at + 2 * rows
        with nogil:
            sv_grid_constant_numbers(given, g.coupling, <double *>numbers_of_rows.at)
            sv_grid_constant_rows(g, <double *>numbers_of_rows.at, <void *>g.diagonal, <void *>g.inverse, <double *>seen.at)
        self.kept = tables, seen
        self.operand.diagonal = <double *>seen.at
        self.known = {"least": numbers.least_diagonal()}

    def set_uniform(self, GridNumbers numbers):
        """Of an operator that slants, on a grid of this shape."""
        cdef sv_grid *g = &self.grid
        cdef const sv_grid_of_cells *given = &numbers.grid
        if given.shape[given.axes - 1] != <size_t>g.n[0] or numbers.size != <size_t>(g.n[0] * g.n[1] * g.n[2]):
            raise ValueError("the numbers are those of another grid")
        if not g.strips or not numbers.slants or not sv_grid_uniform(given, g.coupling, &g.entry):
            raise ValueError("the operator does not slant")
        cdef Room zeros = Room.__new__(Room, g.pitch * sizeof(double))
        g.constant = g.uniform = 1
        g.zeros, self.kept, self.operand.entry = zeros.at, zeros, g.entry
        self.known = {"least": g.entry}

    def set_variable(self, faces, diagonal):
        """Couplings with the cell before along (z, y, x), each of the grid's shape; the diagonal likewise."""
        cdef sv_grid *g = &self.grid
        cdef double[::1] seen = aligned(g.size, FLOAT64)
        g.constant = g.uniform = 0
        for axis in range(3):
            g.faces[axis] = self.hold(f"faces {axis}", self.pack(faces[2 - axis]), g.size)
        if g.periodic[0]:
            sv_grid_wrap(g, <void *>g.faces[0])
        g.diagonal = self.hold("diagonal", self.pack(diagonal), g.size)
        g.inverse = self.hold("inverse", self.pack(1 / np.asarray(diagonal)), g.size)
        g.zeros = self.hold("zeros", np.zeros(g.pitch + 2 * LINE), g.pitch + 2 * LINE)
        sv_grid_seen(g, g.diagonal, &seen[0])
        self.kept["seen"] = seen
        self.operand.diagonal = &seen[0]

    def zeros(self):
        return aligned(self.grid.size, self.dtype, True)

    def room(self):
        return aligned(self.grid.size, self.dtype)  # a grid's kernels write the zeros between rows, too

    cdef Room workspace(self, size_t vectors):
        return Room.__new__(Room, vectors * self.operand.n * sizeof(double), False)

    cdef size_t unknowns_of(self):
        return self.grid.n[0] * self.grid.n[1] * self.grid.n[2]

    cdef const double *taken(self, const double *given, double *room) noexcept nogil:
        self.layout.pack(&self.grid, given, room)
        return room

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

    def unpacked(self, values):
        return self.unpack(values, aligned(self.grid.n[0] * self.grid.n[1] * self.grid.n[2], self.dtype))

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
