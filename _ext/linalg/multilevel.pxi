"""A multilevel hierarchy for a stencil: see multilevel.h."""

cdef extern from "multilevel_net.h" nogil:
    enum:
        NET_PARAMETERS

    size_t sv_learned_pools(const sv_multilevel *)
    size_t sv_learned_work(const sv_multilevel *)
    void sv_learned_coarsen(const sv_multilevel *, int, const void *, void *, void *, void *)


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

    cdef int liken(self, int levels) except -1:
        """The set-up looks for rows that are alike on so many levels; what the net corrects it does not know."""
        for l in range(self.M.levels):
            if l < levels:
                self.make_alike(f"{l}", &self.M.level[l])
            else:
                self.M.level[l].alike[ALIKE_GIVEN] = self.M.level[l].alike[ALIKE_ALL] = NULL
        return 0

    def set_constant(self, couplings, sides, obstacles, double mass, mask, double scale, learned=None):
        """As `Stencil.set_constant`; all is multiplied by `scale`. learned: see `make_levels`."""
        cdef sv_level *g = &self.M.level[0]
        cdef sv_cells cells = cells_of(self.kept, couplings, sides, obstacles, mass, mask, self.cells)
        g.constant, self.scale = 1, scale
        for axis in range(3):
            g.coupling[axis] = scale * couplings[axis]
        self.liken(0 if self.M.general else self.M.levels if learned is None else 1)
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
        self.liken(0)
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
        cdef const double[::1] right = np.ascontiguousarray(r, np.float64)
        if out.shape[0] != self.cells or right.shape[0] != self.cells:
            raise ValueError(f"{right.shape[0]} values, and {out.shape[0]}, for {self.cells} cells")
        for k, name in enumerate(("given", "result")):  # made when they are first wanted, and kept
            if name not in self.kept:
                self.make(name, self.M.level[0].size, self.dtype)
            at[k] = address_of(self.kept[name])
        with nogil:
            sv_multilevel_apply_by(&self.M, self.scale, &right[0], &out[0], <void *>at[0], <void *>at[1])

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
