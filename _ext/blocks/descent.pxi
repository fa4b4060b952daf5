cdef extern from "descent.h" nogil:
    ctypedef enum sv_block_rule:
        pass
    ctypedef enum sv_block_update:
        pass

    struct sv_block_lapack:
        void (*potrf)(char *, int *, double *, int *, int *) noexcept nogil
        void (*potrs)(char *, int *, int *, double *, int *, double *, int *, int *) noexcept nogil
        void (*syev)(char *, char *, int *, double *, int *, double *, double *, int *, int *) noexcept nogil

    struct sv_descent:
        size_t n
        sv_rows rows
        const double *dense
        sv_box box
        bint plain
        int rule
        int update
        size_t count
        size_t most
        const int64_t *starts
        const int64_t *members
        const double *constants
        const double *scored
        const double *stepped
        double least
        double whole
        const int64_t *squares
        const double *inverses
        const double *factors
        const signed char *sound
        sv_block_lapack lapack
        const int64_t *order
        int64_t epoch
        double scale
        double tol
        int64_t patience
        double *x
        double *g
        double f
        double fun
        double measure
        double best
        double low
        int64_t nit
        int64_t quiet
        int outcome
        double *work
        int64_t *chosen

    void sv_descend(sv_descent *, int64_t)
    void sv_largest(size_t, const double *, size_t, double *, int64_t *)


def largest(const double[::1] scores, Py_ssize_t count):
    """The indices of the so many largest scores >= 0, ascending, the lowest of equals."""
    cdef size_t n = scores.shape[0]
    if not 0 < count <= scores.shape[0]:
        raise ValueError("count must be between 1 and the number of scores")
    cdef double[::1] work = np.empty(n)
    cdef int64_t[::1] chosen = np.empty(count, np.int64)
    with nogil:
        sv_largest(n, &scores[0], count, &work[0], &chosen[0])
    return np.asarray(chosen)


cdef class Descent:
    """The rules of a block descent on a quadratic, as descent.h has them: many updates a call.

    Q: Rows, or a dense matrix. rule, update: numbers of the enumerations there. block: the fixed blocks, or how many
    coordinates a block takes. scored, stepped, inverses, factors: see descent.h; None where a rule has none.
    """

    cdef sv_descent run
    cdef object kept

    def __init__(self, Q, l1, lower, upper, bint plain, int rule, int update, blocks, constants, scored, stepped, double whole,
                 inverses, factors, double scale, double tol, int64_t patience):
        cdef const double[::1] vector
        cdef const double[:, ::1] dense
        cdef const int64_t[::1] numbers
        cdef const signed char[::1] flags
        cdef Rows rows
        run, n = &self.run, len(constants)
        run.n, run.plain, run.rule, run.update = n, plain, rule, update
        run.scale, run.tol, run.patience = scale, tol, patience
        run.least, run.whole = 1e-15 * constants.max(), whole
        if isinstance(Q, Rows):
            rows = Q
            run.rows = rows.rows
            size = rows.rows.n
        else:
            dense = Q
            run.rows.starts, run.dense = NULL, &dense[0, 0]
            size = Q.shape[0] if Q.shape[0] == Q.shape[1] else -1
        if size != n or not 0 <= rule <= 4 or not 0 <= update <= 3:
            raise ValueError("the matrix and the constants must be of one size, the rules among those known")
        fixed = not isinstance(blocks, int)
        count, most = (len(blocks), max(len(b) for b in blocks)) if fixed else (0, blocks)
        run.count, run.most = count, most
        if not fixed and not 1 <= most <= n:
            raise ValueError("blocks must have 1 to n coordinates")
        lengths = {"l1": (l1, n), "lower": (lower, n), "upper": (upper, n), "constants": (constants, n),
                   "scored": (scored, n), "stepped": (stepped, count if update == 0 else n)}
        for name, (array, length) in lengths.items():
            if array is not None and (len(array) != length or array.dtype != np.float64):
                raise ValueError(f"{name} must have length {length}")
        if (scored is None and (1 < rule < 4 or (rule == 4 and not fixed))) or (stepped is None and (update == 1 or (update == 0 and fixed))):
            raise ValueError("the rules need constants")
        vector = l1; run.box.l1 = &vector[0]
        vector = lower; run.box.lower = &vector[0]
        vector = upper; run.box.upper = &vector[0]
        vector = constants; run.constants = &vector[0]
        if scored is not None:
            vector = scored; run.scored = &vector[0]
        elif not plain and 0 < rule < 4:
            raise ValueError("the rules need constants")
        if stepped is not None:
            vector = stepped; run.stepped = &vector[0]
        kept = [Q, l1, lower, upper, constants, scored, stepped]
        if fixed:
            sizes = np.array([len(b) for b in blocks], np.int64)
            starts, squares = (np.concatenate([[0], np.cumsum(s)]).astype(np.int64) for s in (sizes, sizes**2))
            members = np.concatenate(blocks).astype(np.int64)
            if not np.array_equal(np.sort(members), np.arange(n)):
                raise ValueError("blocks must hold each coordinate once")
            numbers = starts; run.starts = &numbers[0]
            numbers = members; run.members = &numbers[0]
            numbers = squares; run.squares = &numbers[0]
            kept += [starts, members, squares]
            for parts, needed, which in ((inverses, rule == 4, 0), (factors, update >= 2 and plain, 1)):
                if not needed:
                    continue
                if [np.shape(part) for part in parts if part is not None] != [
                        (m, m) for m, part in zip(sizes.tolist(), parts, strict=True) if part is not None]:
                    raise ValueError("a block's matrix must be of its size")
                together = np.concatenate([np.zeros(m * m) if part is None else np.asarray(part).ravel()
                                        for m, part in zip(sizes.tolist(), parts, strict=True)])
                sound = np.array([part is not None for part in parts], np.int8)
                vector, flags = together, sound
                if which:
                    run.factors, run.sound = &vector[0], &flags[0]
                else:
                    run.inverses = &vector[0]
                kept += [together, sound]
        cdef double[::1] work = np.zeros(5 * n + 8 * most + 2 * most * most + 128)
        cdef int64_t[::1] chosen = np.zeros(2 * most, np.int64)
        run.work, run.chosen = &work[0], &chosen[0]
        run.lapack.potrf, run.lapack.potrs, run.lapack.syev = dpotrf, dpotrs, dsyev
        self.kept = [*kept, work, chosen]

    @property
    def drawn(self):
        """Whether the caller gives the order, and so many entries of it make an epoch."""
        return (self.run.count or self.run.n) if self.run.rule == 0 else 0

    def advance(self, double[::1] x, double[::1] g, numbers, counts, const int64_t[::1] order, int64_t epoch, int64_t steps):
        """At most so many updates, x and g in place: (numbers, counts, outcome) after them.

        numbers: f, fun, measure, best, low; counts: nit, quiet. order: of whole epochs from `epoch` on, where it is drawn.
        """
        run = &self.run
        cdef int64_t a_epoch = run.count if run.count else (run.n + run.most - 1) // run.most
        run.f, run.fun, run.measure, run.best, run.low = numbers
        run.nit, run.quiet = counts
        if x.shape[0] != <Py_ssize_t>run.n or g.shape[0] != <Py_ssize_t>run.n:
            raise ValueError("x and g must have an entry for each coordinate")
        if run.rule == 0:
            entries = self.drawn
            epochs = order.shape[0] // entries
            seen = np.asarray(order)
            if order.shape[0] == 0 or seen.min() < 0 or seen.max() >= entries:
                raise ValueError("order must hold numbers of blocks or coordinates")
            if not epoch * a_epoch <= run.nit <= run.nit + steps <= (epoch + epochs) * a_epoch:
                raise ValueError("order must reach as far as the steps")
            run.order, run.epoch = &order[0], epoch
        run.x, run.g = &x[0], &g[0]
        with nogil:
            sv_descend(run, steps)
        return (run.f, run.fun, run.measure, run.best, run.low), (run.nit, run.quiet), run.outcome
