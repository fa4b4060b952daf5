"""What the levels of a hierarchy and the vectors around it have in common, and the stencil: see multilevel.h."""

cdef extern from "multilevel.h" nogil:
    enum:
        MULTILEVEL_LEAD
        MULTILEVEL_MOST
        SHARED_INVERSE
        SHARED_FIELDS
        ALIKE_GIVEN
        ALIKE_ALL
        ALIKE_KINDS

    struct sv_level:
        ptrdiff_t n[3]
        ptrdiff_t pitch
        size_t size
        int periodic[3]
        int axes
        int halved[3]
        int constant
        double coupling[3]
        void *face[3]
        void *inverse
        void *share[3]
        void *scale
        void *wall
        void *mass
        void *right
        void *x
        int line
        void *pivot
        void *left
        void *first
        int visits
        const void *zeros
        int32_t *same[SHARED_FIELDS]
        int32_t *alike[ALIKE_KINDS]

    struct sv_cells:
        const unsigned char *mask
        double coupling[3]
        double side[3][2]
        double obstacle[3]
        double mass

    struct sv_setup_kernels:
        void (*fill)(const sv_level *, const sv_cells *, double, void *, int) noexcept nogil
        void (*pack)(const sv_level *, double, int, const double *, void *, int) noexcept nogil
        void (*invert)(const sv_level *, void *, int) noexcept nogil
        int (*rough)(const sv_level *) noexcept nogil

    struct sv_cycle_kernels:
        void (*restricted)(const sv_level *, const sv_level *, const void *, void *, int) noexcept nogil
        void (*interpolate)(const sv_level *, const sv_level *, void *, void *, int) noexcept nogil

    struct sv_ways:
        void *half[3]
        void *through[3]

    struct sv_multilevel:
        int levels
        int single
        int threads
        int general
        sv_level level[MULTILEVEL_MOST]
        const double *last
        double *ends
        void *work
        sv_ways ways

    struct sv_outer_kernels:
        double (*residual)(const sv_level *, const double *, const double *, const double *, double *, double *,
                           int) noexcept nogil
        void (*cast)(const sv_level *, int, double, const double *, void *, int) noexcept nogil
        void (*unpack)(const sv_level *, const double *, double *, int) noexcept nogil

    const sv_setup_kernels *sv_setup_kernels_of "sv_setup_kernels"(int)
    const sv_cycle_kernels *sv_cycle_kernels_of "sv_cycle_kernels"(int)
    const sv_outer_kernels *sv_outer_kernels_of "sv_outer_kernels"()
    void sv_level_clear(const sv_level *, size_t, void *)
    void sv_level_clear_share(const sv_level *, int, size_t, void *)
    void sv_level_share(const sv_level *, int, const void *, size_t, int)
    size_t sv_multilevel_work(const sv_level *)
    void sv_multilevel_setup(const sv_multilevel *)
    void sv_multilevel_settle(sv_multilevel *)
    void sv_multilevel_apply_by(const sv_multilevel *, double, const double *, double *, void *, void *)


cdef class Fields:
    """Arrays that structs point into, kept alive; all begin at a cache line."""

    cdef dict kept

    def __cinit__(self):
        self.kept = {}

    cdef void *make(self, str name, size_t length, dtype) except NULL:
        room = Scratch(length * np.dtype(dtype).itemsize)
        self.kept[name] = array = np.frombuffer(room, dtype)
        if room.used:
            array.fill(0)
        cdef size_t address = address_of(array)
        return <void *>address

    cdef void *make_field(self, str name, const sv_level *g, dtype) except NULL:
        """A field of a level, zeros beside its rows; what is in them is left open."""
        cdef size_t width = np.dtype(dtype).itemsize
        room = Scratch(g.size * width)
        self.kept[name] = array = np.frombuffer(room, dtype)
        cdef size_t address = address_of(array)
        if room.used:
            sv_level_clear(g, width, <void *>address)
        return <void *>address

    cdef int make_alike(self, str name, sv_level *g) except -1:
        """Room for the numbers of rows that the set-up finds alike."""
        for kind in range(ALIKE_KINDS):
            g.alike[kind] = <int32_t *>self.make(f"alike {name} {kind}", g.n[1] * g.n[2], np.int32)
        return 0


cdef int shape_level(sv_level *g, n, periodic, halved, Fields fields, str name, dtype) except -1:
    """Sizes, and the row of zeros. n, periodic, halved: along (x, y, z)."""
    cdef int axis
    for axis in range(3):
        g.n[axis], g.periodic[axis], g.halved[axis] = n[axis], bool(periodic[axis]) and n[axis] > 1, halved[axis]
    g.line = -1
    g.axes = 3 if n[1] > 1 else 2 if n[2] > 1 else 1
    g.pitch = MULTILEVEL_LEAD + (n[0] + 15) // 16 * 16  # a row's end and the next one's beginning share zeros
    g.size = n[1] * n[2] * g.pitch + 2 * MULTILEVEL_LEAD
    g.zeros = fields.make(f"zeros {name}", g.pitch + 3 * MULTILEVEL_LEAD, dtype)
    return 0


cdef class Stencil(Fields):
    """The matrix in float64, in the hierarchy's layout; `level` also serves as the layout of the outer vectors."""

    cdef sv_level level
    cdef double *diagonal
    cdef readonly Py_ssize_t cells
    cdef public int threads

    def __init__(self, n, periodic, int threads=1):
        shape_level(&self.level, n, periodic, (0, 0, 0), self, "", np.float64)
        self.diagonal = <double *>self.make_field("diagonal", &self.level, np.float64)
        self.level.same[SHARED_INVERSE] = <int32_t *>self.make("same", n[1] * n[2], np.int32)
        self.cells, self.threads = n[0] * n[1] * n[2], threads

    def set_constant(self, couplings, sides, obstacles, double mass, mask):
        """Couplings along (x, y, z), what the ends of the box and obstacles add, and who takes part (uint8, or None)."""
        cdef sv_cells cells = cells_of(self.kept, couplings, sides, obstacles, mass, mask, self.cells)
        self.level.constant = 1
        for axis in range(3):
            self.level.coupling[axis] = couplings[axis]
        self.make_alike("", &self.level)
        with nogil:
            sv_setup_kernels_of(0).fill(&self.level, &cells, 1, self.diagonal, self.threads)
            sv_level_share(&self.level, SHARED_INVERSE, self.diagonal, sizeof(double), self.threads)

    def set_variable(self, faces, diagonal):
        """Couplings with the cell before along (x, y, z), None for an axis that is not there; the diagonal."""
        self.level.constant = 0
        for axis in range(3):
            if faces[axis] is not None:
                self.level.face[axis] = self.make_field(f"face {axis}", &self.level, np.float64)
                self.pack_into(faces[axis], <double *>self.level.face[axis], True)
        self.pack_into(diagonal, self.diagonal)
        with nogil:
            sv_level_share(&self.level, SHARED_INVERSE, self.diagonal, sizeof(double), self.threads)

    cdef int pack_into(self, values, double *to, bint close=False) except -1:
        cdef const double[::1] given = np.ascontiguousarray(values, np.float64).reshape(-1)
        if given.shape[0] != self.cells:
            raise ValueError(f"{given.shape[0]} values for {self.cells} cells")
        with nogil:
            sv_setup_kernels_of(0).pack(&self.level, 1, close, &given[0], to, self.threads)
        return 0

    def unpack(self, const double[::1] packed):
        out = np.empty(self.cells)
        cdef double[::1] to = out
        if <size_t>packed.shape[0] != self.level.size:
            raise ValueError("a packed vector of another size")
        with nogil:
            sv_outer_kernels_of().unpack(&self.level, &packed[0], &to[0], self.threads)
        return out


cdef sv_cells cells_of(dict kept, couplings, sides, obstacles, double mass, mask, Py_ssize_t count) except *:
    cdef sv_cells cells
    cdef const unsigned char[::1] view
    cells.mask = NULL
    if mask is not None:
        kept["mask"] = view = np.ascontiguousarray(mask).view(np.uint8).reshape(-1)
        if view.shape[0] != count:
            raise ValueError("the mask has another size")
        cells.mask = &view[0]
    for axis in range(3):
        cells.coupling[axis], cells.obstacle[axis] = couplings[axis], obstacles[axis]
        cells.side[axis][0], cells.side[axis][1] = sides[axis]
    cells.mass = mass
    return cells
