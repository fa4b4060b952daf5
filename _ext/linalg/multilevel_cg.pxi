"""Conjugate gradients around a hierarchy, for one right-hand side or many: see multilevel_cg.h and multilevel_many.h."""

from libc.math cimport sqrt

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
        int ready
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
        self.state.ready = 0

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
        self.state.ready = 0
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
