"""A multilevel hierarchy for a stencil, and the conjugate gradients around it: see multilevel.h."""

from libc.math cimport sqrt

cdef extern from "multilevel.h" nogil:
    enum:
        MULTILEVEL_LEAD
        MULTILEVEL_MOST
        SHARED_INVERSE
        SHARED_FIELDS

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
    void sv_multilevel_cycle(const sv_multilevel *, const void *, void *)
    void sv_multilevel_unpack(const sv_multilevel *, double, const void *, double *)

cdef extern from "multilevel_plan.h" nogil:
    struct sv_plan:
        ptrdiff_t n[3]
        int periodic[3]
        double strength[3]
        int line

    struct sv_planned:
        int levels
        int odd
        ptrdiff_t n[MULTILEVEL_MOST][3]
        int halved[MULTILEVEL_MOST][3]

    int sv_plan_levels(const sv_plan *, sv_planned *)
    size_t sv_plan_stride(size_t)
    double sv_plan_strength(double *, size_t)
    double sv_plan_scale(double)
    int sv_plan_last(const sv_multilevel *, int, double *)
    void sv_plan_project(const ptrdiff_t *, size_t, double *)

cdef extern from "mask_runs.h" nogil:
    int sv_mask_drained(const unsigned char *, const size_t *, const int (*)[2])

cdef extern from "multilevel_net.h" nogil:
    enum:
        NET_PARAMETERS

    size_t sv_learned_pools(const sv_multilevel *)
    size_t sv_learned_work(const sv_multilevel *)
    void sv_learned_coarsen(const sv_multilevel *, int, const void *, void *, void *, void *)

cdef extern from "multilevel_cg.h" nogil:
    struct sv_multilevel_numbers:
        double curvature

    struct sv_multilevel_cg:
        const sv_multilevel *M
        const sv_level *A
        const double *diagonal
        const double *b
        double *x
        double *r
        void *p
        double *q
        void *cast
        void *z
        double *partial
        sv_multilevel_numbers *numbers
        double residual
        sv_outcome outcome

    void sv_multilevel_cg_start(sv_multilevel_cg *)
    int sv_multilevel_cg_iterate(sv_multilevel_cg *, double, double, int, int)
    double sv_multilevel_cg_bytes(const sv_multilevel *, const sv_level *)

cdef extern from "multilevel_many.h" nogil:
    enum:
        MANY

    struct sv_many:
        const sv_multilevel *M
        const sv_level *A
        const double *diagonal
        const double *b
        double *x
        ptrdiff_t count
        const double *goals
        double *residuals
        int64_t *iterations
        int64_t most
        int threads

    size_t sv_many_work(const sv_multilevel *)
    void sv_many_solve(const sv_many *, void *)

#: Right-hand sides that are solved together.
MULTILEVEL_MANY = MANY

MULTILEVEL_NUMBERS = sizeof(sv_multilevel_numbers) // sizeof(double)


def plan_levels(n, periodic, strength, int line):
    """A ((cells along x, y, z), (whether the next level halves them)) for each level, and whether cycles go step by step.

    n, periodic, strength: the cells along (x, y, z), 1 where there is no such axis; whether it is periodic; how strong
    its couplings are. line: the axis whose lines are relaxed at once, or -1.
    """
    cdef sv_plan plan
    cdef sv_planned planned
    for k in range(3):
        plan.n[k], plan.periodic[k], plan.strength[k] = n[k], periodic[k], strength[k]
    plan.line = line
    if not sv_plan_levels(&plan, &planned):
        raise ValueError(f"more than {MULTILEVEL_MOST} levels")
    levels = [
        (tuple([planned.n[l][k] for k in range(3)]), tuple([planned.halved[l][k] for k in range(3)]))
        for l in range(planned.levels)
    ]
    return levels, bool(planned.odd)


def plan_strength(couplings):
    """The median of those of some thousands of couplings that are positive, 0 where none is."""
    cdef double[::1] some = np.array(couplings.reshape(-1)[::sv_plan_stride(couplings.size)], np.float64)
    return sv_plan_strength(&some[0], some.shape[0])


def plan_scale(double size):
    """About 1 / size, exactly representable."""
    return sv_plan_scale(size)


def drained(mask, walls):
    """Whether each part of a mask has a cell at a wall: an end of an axis (low, high) that `walls` has True for."""
    cdef const unsigned char[::1] view = np.ascontiguousarray(mask).view(np.uint8).reshape(-1)
    cdef size_t shape[3]
    cdef int wall[3][2]
    cdef int found
    if view.shape[0] == 0:
        return True
    before = 3 - mask.ndim
    for k in range(3):
        shape[k] = mask.shape[k - before] if k >= before else 1
        for high in range(2):
            wall[k][high] = walls[k - before][high] if k >= before else 0
    with nogil:
        found = sv_mask_drained(&view[0], shape, wall)
    return bool(found)


def project(double[::1] vector, const ptrdiff_t[::1] cells):
    """The cells of a vector less their mean, in place."""
    if cells.shape[0] and not (0 <= cells[0] and cells[cells.shape[0] - 1] < vector.shape[0]):
        raise ValueError("cells, in increasing order, must be places of the vector")
    if cells.shape[0]:
        with nogil:
            sv_plan_project(&cells[0], cells.shape[0], &vector[0])


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


cdef class Multilevel(Fields):
    """The hierarchy. levels: a (n, halved) along (x, y, z) for each level, the finest first. general: its cycle goes step
    by step; with lines along `line` (of x, y, z; -1: none), `visits` times to each level."""

    cdef sv_multilevel M
    cdef size_t part     # of the work, a thread's
    cdef bint twice      # whether levels may be visited twice
    cdef int parts
    cdef readonly object dtype
    cdef readonly double scale
    cdef readonly Py_ssize_t cells

    def __init__(self, levels, periodic, bint single, int threads=1, bint general=False, int line=-1, int visits=1):
        cdef sv_level *g
        if not 1 <= len(levels) <= MULTILEVEL_MOST:
            raise ValueError(f"{len(levels)} levels: 1 to {MULTILEVEL_MOST} are possible")
        self.dtype = np.dtype(np.float32 if single else np.float64)
        if not -1 <= line < 3 or not 1 <= visits <= 2 or (not general and (line >= 0 or visits > 1)):
            raise ValueError(f"line {line}, {visits} visits")
        self.M.levels, self.M.single, self.scale = len(levels), single, 1
        self.M.general, self.twice = general, visits > 1
        for l, (n, halved) in enumerate(levels):
            g = &self.M.level[l]
            shape_level(g, n, periodic, halved, self, f"{l}", self.dtype)
            for axis in range(3):
                if halved[axis]:
                    g.share[axis] = self.make_field(f"share {l} {axis}", g, self.dtype)
                    sv_level_clear_share(g, axis, self.dtype.itemsize, g.share[axis])
            g.inverse = self.make_field(f"inverse {l}", g, self.dtype)
            g.scale = self.make_field(f"scale {l}", g, self.dtype)
            if not general:
                for field in range(SHARED_FIELDS):
                    g.same[field] = <int32_t *>self.make(f"same {l} {field}", n[1] * n[2], np.int32)
            g.visits = 1
            g.line = line if line >= 0 and g.n[line] > 1 else -1
            if general:
                g.left = self.make_field(f"left {l}", g, self.dtype)
            if general and l and visits > 1:
                g.first = self.make_field(f"first {l}", g, self.dtype)
            if g.line >= 0:
                g.pivot = self.make_field(f"pivot {l}", g, self.dtype)
            if l:
                self.make_faces(l)
                g.wall = self.make_field(f"wall {l}", g, self.dtype)
                g.mass = self.make_field(f"mass {l}", g, self.dtype)
                g.right = self.make_field(f"right {l}", g, self.dtype)
                g.x = self.make_field(f"x {l}", g, self.dtype)
            self.part = max(self.part, sv_multilevel_work(g))
        self.cells = levels[0][0][0] * levels[0][0][1] * levels[0][0][2]
        self.threads = threads
        n = levels[-1][0]
        self.M.ends = <double *>self.make("ends", 2 * n[0] * n[1] * n[2], np.float64)

    cdef int make_faces(self, int l) except -1:
        cdef sv_level *g = &self.M.level[l]
        for axis in range(3):
            if axis == 0 or self.M.level[0].n[axis] > 1:
                g.face[axis] = self.make_field(f"face {l} {axis}", g, self.dtype)
        return 0

    cdef int borrow(self, bint faces) except -1:
        """The first level's fields that only the set-up reads: two in a block, which a vector of a solve takes next."""
        cdef sv_level *g = &self.M.level[0]
        cdef size_t width = self.dtype.itemsize
        cdef size_t address
        axes = [axis for axis in range(3) if axis == 0 or g.n[axis] > 1]
        kinds = ["face"] if faces else ["half", "through"]
        names = [f"{kind} 0 {axis}" for kind in kinds for axis in axes] + ["wall 0", "mass 0"]
        for first in range(0, len(names), 2):
            pair = names[first:first + 2]
            room = np.frombuffer(Scratch(len(pair) * g.size * width), self.dtype)
            for k, name in enumerate(pair):
                self.kept[name] = array = room[k * g.size:(k + 1) * g.size]
                address = address_of(array)
                sv_level_clear(g, width, <void *>address)
                if name == "wall 0":
                    g.wall = <void *>address
                elif name == "mass 0":
                    g.mass = <void *>address
                elif faces:
                    g.face[int(name[-1])] = <void *>address
                elif name.startswith("half"):
                    self.M.ways.half[int(name[-1])] = <void *>address
                else:
                    self.M.ways.through[int(name[-1])] = <void *>address
        return 0

    cdef int give_back(self, bint faces) except -1:
        cdef sv_level *g = &self.M.level[0]
        if self.M.levels == 1:  # the last level's matrix is made from them
            return 0
        for kind in ["wall", "mass"]:
            self.kept.pop(f"{kind} 0", None)
        for kind in ["face"] if faces else ["half", "through"]:
            for axis in range(3):
                self.kept.pop(f"{kind} 0 {axis}", None)
        g.wall = g.mass = NULL
        for axis in range(3):
            self.M.ways.half[axis] = self.M.ways.through[axis] = NULL
            if faces:
                g.face[axis] = NULL
        return 0

    @property
    def levels(self):
        return self.M.levels

    @property
    def general(self):
        """Whether the cycle goes step by step."""
        return bool(self.M.general)

    @property
    def threads(self):
        """Threads of later calls; the bits do not depend on it."""
        return self.M.threads

    @threads.setter
    def threads(self, int count):
        if max(count, 1) > self.parts:
            self.parts = count
            self.M.work = self.make("work", self.part * count, self.dtype)
        self.M.threads = max(count, 1)

    cdef int make_levels(self, learned) except -1:
        """All levels from the first; `learned`: the parameters of the net that corrects them, or None."""
        cdef int l
        cdef size_t at[4]
        if learned is None:
            with nogil:
                sv_multilevel_setup(&self.M)
            return 0
        parameters = np.ascontiguousarray(learned, self.dtype)
        if parameters.shape != (NET_PARAMETERS,):
            raise ValueError(f"{NET_PARAMETERS} parameters are needed, not {parameters.shape}")
        width = self.dtype.itemsize
        lengths = self.M.level[0].size, sv_learned_pools(&self.M), self.M.threads * sv_learned_work(&self.M)
        rooms = [np.frombuffer(Scratch(max(1, length) * width), self.dtype) for length in lengths]
        for l, array in enumerate([parameters, *rooms]):
            at[l] = address_of(array)
        with nogil:
            for l in range(self.M.levels - 1):
                sv_learned_coarsen(&self.M, l, <const void *>at[0], <void *>at[1], <void *>at[2], <void *>at[3])

    def set_constant(self, couplings, sides, obstacles, double mass, mask, double scale, learned=None):
        """As `Stencil.set_constant`; all is multiplied by `scale`. learned: see `make_levels`."""
        cdef sv_level *g = &self.M.level[0]
        cdef sv_cells cells = cells_of(self.kept, couplings, sides, obstacles, mass, mask, self.cells)
        g.constant, self.scale = 1, scale
        for axis in range(3):
            g.coupling[axis] = scale * couplings[axis]
        self.borrow(True)
        with nogil:
            sv_setup_kernels_of(self.M.single).fill(g, &cells, scale, NULL, self.M.threads)
        self.make_levels(learned)
        self.give_back(True)

    def set_variable(self, faces, wall, mass, mask, double scale, learned=None):
        """Couplings along (x, y, z), what walls and reaction add to the diagonal, and who takes part (or None)."""
        cdef sv_level *g = &self.M.level[0]
        g.constant, self.scale = 0, scale
        if g.face[0] == NULL:
            self.make_faces(0)
        self.borrow(False)
        for axis in range(3):
            if g.face[axis] != NULL and faces[axis] is not None:
                self.pack_into(faces[axis], g.face[axis], scale, True)
        self.pack_into(wall, g.wall, scale)
        self.pack_into(mass, g.mass, scale)
        self.pack_into(np.zeros(self.cells) if mask is None else np.where(mask, 0.0, -1.0), g.inverse, 1)
        with nogil:
            sv_setup_kernels_of(self.M.single).invert(g, NULL, self.M.threads)
            if not sv_setup_kernels_of(self.M.single).rough(g):
                self.M.ways.half[0] = NULL
        self.make_levels(learned)
        self.give_back(False)

    cdef int pack_into(self, values, void *to, double scale, bint close=False) except -1:
        cdef const double[::1] given = np.ascontiguousarray(values, np.float64).reshape(-1)
        if given.shape[0] != self.cells:
            raise ValueError(f"{given.shape[0]} values for {self.cells} cells")
        with nogil:
            sv_setup_kernels_of(self.M.single).pack(&self.M.level[0], scale, close, &given[0], to, self.M.threads)
        return 0

    @property
    def visits(self):
        """How often a cycle goes to each level."""
        return [self.M.level[l].visits for l in range(self.M.levels)]

    def bytes_per_iteration(self, Stencil A):
        """Bytes that an iteration for A must move; None for cycles that go step by step."""
        return None if self.M.general else sv_multilevel_cg_bytes(&self.M, &A.level)

    def field(self, str name, int level, axis=None):
        """A field of a level, as an array of that level's shape (z, y, x), in float64; for the last level and tests."""
        cdef sv_level *g = &self.M.level[level]
        array = self.kept.get(f"{name} {level}" if axis is None else f"{name} {level} {axis}")
        if array is None:
            return np.zeros((g.n[2], g.n[1], g.n[0]))
        return self.rows_of(array, level).astype(np.float64)

    cdef rows_of(self, array, int level):
        """The cells of a field or vector of a level, (z, y, x)."""
        cdef sv_level *g = &self.M.level[level]
        rows = array[:g.n[2] * g.n[1] * g.pitch].reshape(g.n[2], g.n[1], g.pitch)
        return rows[:, :, MULTILEVEL_LEAD:MULTILEVEL_LEAD + g.n[0]]

    def solve_last(self, bint singular):
        """The inverse of the last level's matrix; where `singular`, of parts without sinks the pseudo-inverse."""
        cdef sv_level *g = &self.M.level[self.M.levels - 1]
        cdef Py_ssize_t cells = g.n[0] * g.n[1] * g.n[2]
        cdef double[:, ::1] view = np.empty((cells, cells))
        cdef int done
        with nogil:
            done = sv_plan_last(&self.M, singular, &view[0, 0])
        if not done:
            raise MemoryError
        self.kept["last"] = view
        self.M.last = &view[0, 0]
        if self.twice:
            with nogil:
                sv_multilevel_settle(&self.M)

    def cycle(self, r, double[::1] out):
        """out = M r, in lexicographic order."""
        cdef size_t at[2]
        if out.shape[0] != self.cells:
            raise ValueError(f"{out.shape[0]} values for {self.cells} cells")
        for k, name in enumerate(("given", "result")):  # made when they are first wanted, and kept
            if name not in self.kept:
                self.make(name, self.M.level[0].size, self.dtype)
            at[k] = address_of(self.kept[name])
        self.pack_into(r, <void *>at[0], 1)
        with nogil:
            sv_multilevel_cycle(&self.M, <const void *>at[0], <void *>at[1])
            sv_multilevel_unpack(&self.M, self.scale, <const void *>at[1], &out[0])

    def restricted(self, r):
        """The right-hand side of the second level for a residual on the first, (z, y, x); for tests."""
        cdef sv_level *g = &self.M.level[0]
        given = aligned(g.size, self.dtype)
        given.fill(0)
        cdef size_t source = given.ctypes.data
        self.pack_into(r, <void *>source, 1)
        sv_cycle_kernels_of(self.M.single).restricted(
            g, &self.M.level[1], <const void *>source, self.M.work, self.M.threads
        )
        return self.field("right", 1)

    def interpolated(self, e):
        """P e from the second level to the first, (z, y, x); for tests."""
        cdef sv_level *g = &self.M.level[0]
        cdef sv_level *c = &self.M.level[1]
        result = aligned(g.size, self.dtype)
        result.fill(0)
        cdef size_t target = result.ctypes.data
        n = (c.n[2], c.n[1], c.n[0])
        rows = self.kept["x 1"][:n[0] * n[1] * c.pitch].reshape(n[0], n[1], c.pitch)
        rows[:, :, MULTILEVEL_LEAD:MULTILEVEL_LEAD + n[2]] = np.reshape(e, n)
        sv_cycle_kernels_of(self.M.single).interpolate(g, c, <void *>target, self.M.work, self.M.threads)
        n = (g.n[2], g.n[1], g.n[0])
        rows = result[:n[0] * n[1] * g.pitch].reshape(n[0], n[1], g.pitch)
        return rows[:, :, MULTILEVEL_LEAD:MULTILEVEL_LEAD + n[2]] * self.field("scale", 0)


cdef class MultilevelCg(Fields):
    """Vectors of a solve, in the stencil's layout: `take` sets b, `start` or `load` the others."""

    cdef sv_multilevel_cg state
    cdef Multilevel M
    cdef Stencil A

    def __init__(self, Stencil A, Multilevel M):
        if A.level.size != M.M.level[0].size or A.level.pitch != M.M.level[0].pitch:
            raise ValueError("the hierarchy is that of another grid")
        self.A, self.M = A, M
        self.state.M, self.state.A, self.state.diagonal = &M.M, &A.level, A.diagonal
        for name in ("b", "x", "r", "q"):
            self.make_field(name, &A.level, np.float64)
        self.state.b, self.state.x = self.at("b"), self.at("x")
        self.state.r, self.state.q = self.at("r"), self.at("q")
        self.state.p = self.make_field("p", &A.level, M.dtype)
        self.state.cast = self.make_field("cast", &A.level, M.dtype)
        self.state.z = self.make_field("z", &A.level, M.dtype)
        self.state.partial = <double *>self.make("partial", 2 * A.level.n[2], np.float64)

    cdef double *at(self, str name) except NULL:
        cdef double[::1] vector = self.kept[name]
        return &vector[0]

    def vector(self, str name):
        """x, r or p in lexicographic order."""
        if name == "p":
            return self.M.rows_of(self.kept[name], 0).astype(np.float64).reshape(-1)
        return self.A.unpack(self.kept[name])

    def take(self, b):
        """The right-hand side."""
        self.A.pack_into(b, self.at("b"))

    def load(self, x, r, p):
        """Vectors of an earlier `vector`."""
        self.A.pack_into(x, self.at("x"), True)
        self.A.pack_into(r, self.at("r"))
        self.M.pack_into(p, self.state.p, 1, True)

    def start(self, x, double[::1] numbers):
        """From x; returns the residual's norm."""
        self.A.pack_into(x, self.at("x"), True)
        self.state.numbers = <sv_multilevel_numbers *>of_size(numbers, MULTILEVEL_NUMBERS)
        with nogil:
            sv_multilevel_cg_start(&self.state)
        return self.state.residual

    def measured(self, x):
        """The norm of b - A x; the residual by recurrence is lost."""
        cdef double *at = self.at("q")
        cdef double *out = self.at("r")
        cdef double square
        self.A.pack_into(x, at, True)
        with nogil:
            square = sv_outer_kernels_of().residual(
                &self.A.level, self.A.diagonal, self.state.b, at, out, self.state.partial, self.M.M.threads
            )
        return sqrt(square)

    def iterate(self, double[::1] numbers, double goal, double floor, double residual, int nit, int most):
        """(iterations, the residual's norm, outcome)"""
        cdef int done
        self.state.numbers = <sv_multilevel_numbers *>of_size(numbers, MULTILEVEL_NUMBERS)
        self.state.residual = residual
        with nogil:
            done = sv_multilevel_cg_iterate(&self.state, goal, floor, nit, most)
        return done, self.state.residual, <int>self.state.outcome


def solve_many(Stencil A, Multilevel M, const double[:, ::1] b, double[:, ::1] x, const double[::1] goals,
               int64_t most, int threads):
    """A x = b for the columns of b, from x on, in place: (norms of b - A x formed anew, iterations).

    A column that does not come to its goal by its recurrence, in `most` iterations, is left where it is.
    """
    cdef sv_many many
    cdef Py_ssize_t count = b.shape[1], groups = (count + MANY - 1) // MANY
    cdef double[::1] residuals = np.empty(count)
    cdef int64_t[::1] iterations = np.zeros(count, np.int64)
    if not M.M.single or M.M.general or A.level.size != M.M.level[0].size or A.level.pitch != M.M.level[0].pitch:
        raise ValueError("the hierarchy is in float64, general, or that of another grid")
    if b.shape[0] != A.cells or x.shape[0] != A.cells or x.shape[1] != count or goals.shape[0] != count:
        raise ValueError(f"b, x and goals for {A.cells} cells do not fit one another")
    if count == 0:
        return np.asarray(residuals), np.asarray(iterations)
    threads = max(1, min(threads, groups))
    each = sv_many_work(&M.M)
    room = Scratch(threads * each)
    work = np.frombuffer(room, np.uint8)
    if room.used:
        work.fill(0)
    cdef size_t address = address_of(work)
    many.M, many.A, many.diagonal, many.count = &M.M, &A.level, A.diagonal, count
    many.b, many.x, many.goals = &b[0, 0], &x[0, 0], &goals[0]
    many.residuals, many.iterations = &residuals[0], &iterations[0]
    many.most, many.threads = most, threads
    with nogil:
        sv_many_solve(&many, <void *>address)
    return np.asarray(residuals), np.asarray(iterations)
