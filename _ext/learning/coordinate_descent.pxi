cdef extern from "coordinate_descent.h" nogil:
    struct sv_fit:
        size_t n
        size_t d
        int ones
        sv_compressed sparse
        const double *dense
        size_t stride
        sv_loss loss
        sv_separable penalty
        const double *norms
        double tol
        int64_t first
        int screening
        int threads
        int entries
        int from_zero
        double *with_targets
        double *work
        int32_t *places
        int whole
        int flat
        double at_zero

    struct sv_fit_state:
        double *w
        double *z
        double *v
        double *g
        uint8_t *alive
        uint8_t *working
        double primal
        double dual
        double kkt
        double measure
        double floor
        int64_t nit
        int64_t idle
        int64_t crawls
        int64_t newtons
        int64_t grams
        int64_t sweeps
        int64_t products

    struct sv_fit_bounds:
        sv_loss_sums sums
        double primal
        double dual
        double kkt
        double share
        double apart

    size_t sv_fit_work(size_t, size_t) noexcept
    int sv_fit_norms(const sv_fit *, double *) noexcept
    void sv_fit_prepare(sv_fit *) noexcept
    void sv_fit_begin(sv_fit *, sv_fit_state *, const uint8_t *) noexcept
    void sv_fit_step(sv_fit *, sv_fit_state *) noexcept
    int sv_fit_reached(const sv_fit *, const sv_fit_state *) noexcept
    void sv_fit_bound(sv_fit *, const double *, const uint8_t *, double *, double *, double *, sv_fit_bounds *) noexcept
    double sv_fit_measure(const sv_fit *, double, double) noexcept


cdef int _place_matrix(sv_fit *fit, X, bint ones) except -1:
    """Sets the fit's matrix: `Compressed` columns or `Columns`, all of them."""
    cdef Compressed sparse
    cdef Columns dense
    fit.ones = ones
    if isinstance(X, Columns):
        dense = X
        if dense.list != NULL or dense.single != NULL:
            raise ValueError("X must be all columns, in double precision")
        fit.dense, fit.stride, fit.n, fit.d = dense.X, dense.stride, dense.n, dense.count
    else:
        sparse = X
        if sparse.X.single != NULL:
            raise ValueError("X must be in double precision")
        fit.sparse, fit.n, fit.d = sparse.X, sparse.width, sparse.count
    return 0


def column_norms(X, bint ones):
    """The 2-norms of the columns, and that of a column of ones."""
    cdef sv_fit fit
    memset(&fit, 0, sizeof(fit))
    _place_matrix(&fit, X, ones)
    found = np.zeros(fit.d + ones)
    cdef double[::1] norms = found
    if fit.n and found.size:
        with nogil:
            sv_fit_norms(&fit, &norms[0])
    return found


cdef class Descent:
    """Coordinate descent on working sets: a fit, whose state the caller keeps."""

    cdef sv_fit fit
    cdef object kept

    def __init__(self, X, bint ones, LossTerms loss, SeparableTerms penalty, const double[::1] norms, double tol,
                 int64_t first, bint screening, int threads):
        """X: `Compressed` columns, or `Columns`, all of them; with `ones` a last one of ones."""
        _place_matrix(&self.fit, X, ones)
        cdef size_t width = self.fit.d + ones
        if loss.loss.n != self.fit.n or penalty.penalty.d != width or <size_t>norms.shape[0] != width:
            raise ValueError(f"loss, penalty or norms do not fit the {self.fit.n} x {width} matrix")
        cdef double[::1] work = np.empty(sv_fit_work(self.fit.n, self.fit.d))
        cdef int32_t[::1] places = np.empty(3 * self.fit.d + 3, np.int32)
        self.kept = X, loss, penalty, norms, work, places
        self.fit.loss, self.fit.penalty = loss.loss, penalty.penalty
        self.fit.norms = &norms[0] if width else NULL
        self.fit.tol, self.fit.first, self.fit.screening, self.fit.threads = tol, first, screening, threads
        self.fit.work, self.fit.places = &work[0], &places[0]
        with nogil:
            sv_fit_prepare(&self.fit)

    def penalise(self, SeparableTerms penalty):
        """Another penalty of the same coordinates."""
        if penalty.penalty.d != self.fit.d + (self.fit.ones != 0):
            raise ValueError("penalty does not fit")
        self.kept = (*self.kept[:2], penalty, *self.kept[3:])
        self.fit.penalty = penalty.penalty
        with nogil:
            sv_fit_prepare(&self.fit)

    cdef int place(self, sv_fit_state *state, arrays, numbers) except -1:
        """The state, its arrays borrowed."""
        cdef double[::1] w = arrays[0], z = arrays[1], v = arrays[2], g = arrays[3]
        cdef uint8_t[::1] alive = arrays[4], working = arrays[5]
        cdef size_t width = self.fit.d + (self.fit.ones != 0)
        if not <Py_ssize_t>self.fit.n == z.shape[0] == v.shape[0]:
            raise ValueError(f"z and v must have length {self.fit.n}")
        if not <Py_ssize_t>width == w.shape[0] == g.shape[0] == alive.shape[0] == working.shape[0]:
            raise ValueError(f"w, g, alive and working must have length {width}")
        memset(state, 0, sizeof(sv_fit_state))
        state.z, state.v = &z[0], &v[0]
        if width:
            state.w, state.g, state.alive, state.working = &w[0], &g[0], &alive[0], &working[0]
        if numbers is not None:
            state.primal, state.dual, state.kkt, state.measure, state.floor = numbers[:5]
            (state.nit, state.idle, state.crawls, state.newtons, state.grams, state.sweeps,
             state.products) = numbers[5:12]
        return 0

    cdef numbers(self, const sv_fit_state *state):
        """With the number of the status that ends the fit there, -1 to go on, as the last."""
        return (state.primal, state.dual, state.kkt, state.measure, state.floor, state.nit, state.idle, state.crawls,
                state.newtons, state.grams, state.sweeps, state.products, sv_fit_reached(&self.fit, state))

    cdef begun(self, sv_fit_state *state, w0, const uint8_t[::1] guessed):
        """The arrays of the state at w0, which `state` borrows."""
        cdef size_t n = self.fit.n, width = self.fit.d + (self.fit.ones != 0)
        if guessed is not None and <size_t>guessed.shape[0] != width:
            raise ValueError("guess must have the length of w0")
        arrays = (w0.copy(), np.empty(n), np.empty(n), np.empty(width), np.empty(width, np.uint8),
                  np.empty(width, np.uint8))
        self.place(state, arrays, None)
        cdef const uint8_t *likely = &guessed[0] if guessed is not None and width else NULL
        with nogil:
            sv_fit_begin(&self.fit, state, likely)
        return arrays

    def begin(self, w0, guess=None):
        """The arrays and the numbers of the state at w0; `guess` marks columns that are likely to be in use."""
        cdef sv_fit_state state
        arrays = self.begun(&state, w0, guess)
        return arrays, self.numbers(&state)

    def step(self, arrays, numbers):
        """The numbers after a step, which changes the arrays."""
        cdef sv_fit_state state
        self.place(&state, arrays, numbers)
        with nogil:
            sv_fit_step(&self.fit, &state)
        return self.numbers(&state)

    def advance(self, w0, guess, int64_t most, double start):
        """From w0 on until the fit ends, or `most` steps: the arrays and the numbers there, and a row for each state
        before: its steps, its measure, and the seconds since the start."""
        cdef sv_fit_state state
        arrays = self.begun(&state, w0, guess)
        rows = []
        while state.nit < most and sv_fit_reached(&self.fit, &state) < 0:
            rows.append((state.nit, state.measure, perf_counter() - start))
            with nogil:
                sv_fit_step(&self.fit, &state)
            PyErr_CheckSignals()
        return arrays, self.numbers(&state), rows

    def bound(self, const double[::1] w, double[::1] z, double[::1] v, double[::1] g):
        """The loss's four sums, and the objective, its bound, the violation and the dual point's share; z, v and g are
        written."""
        cdef sv_fit_bounds at
        cdef size_t width = self.fit.d + (self.fit.ones != 0)
        if not <Py_ssize_t>width == w.shape[0] == g.shape[0] or not <Py_ssize_t>self.fit.n == z.shape[0] == v.shape[0]:
            raise ValueError("the arrays do not fit the matrix")
        cdef double *gradient = &g[0] if width else NULL
        cdef const double *at_w = &w[0] if width else NULL
        with nogil:
            sv_fit_bound(&self.fit, at_w, NULL, &z[0], &v[0], gradient, &at)
        return (at.sums.value, at.sums.square, at.sums.cross, at.sums.total), (at.primal, at.dual, at.kkt, at.share)

    def measure(self, double primal, double dual):
        """What is compared with the tolerance."""
        return sv_fit_measure(&self.fit, primal, dual)
