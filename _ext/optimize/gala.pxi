# The loop of method gala (gala.h): its state is an array of bytes.

cdef extern from "gala.h" nogil:
    struct sv_gala_options:
        double tol
        double mu
        double push
        double max_shift
        int64_t monotone
        int64_t exact
        int64_t projected
        int64_t window

    ctypedef struct sv_gala:
        int64_t n
        int64_t m
        int64_t nit
        int64_t status
        double measure
        double best

    int64_t sv_gala_bytes(int64_t, int64_t)
    int64_t sv_gala_work(int64_t, int64_t)
    int sv_gala_init(const sv_nlp *, const sv_sides *, const double *, const sv_gala_options *, sv_gala *, double *)
    int sv_gala_offer(const sv_nlp *, sv_gala *, const double *, const double *, const double *, double *)
    int sv_gala_run(const sv_nlp *, sv_gala *, int64_t, double, double *)
    int sv_gala_evaluate(const sv_nlp *, const sv_gala *, double *, double *, double *, double *)
    void sv_gala_answer(const sv_gala *, double *, double *, double *)


cdef const double[::1] exactly(values, int64_t count, str name):
    cdef const double[::1] given = np.ascontiguousarray(values, np.float64)
    if given.shape[0] != count:
        raise ValueError(f"{name} must have length {count}, not {given.shape[0]}")
    return given


cdef int64_t state_bytes(NLP nlp):
    """Those of the loop, and behind them what the program learns from step to step."""
    return sv_gala_bytes(nlp.table.n, nlp.table.m) + nlp.table.carried * <int64_t>sizeof(double)


cdef carry(NLP nlp, uint8_t[::1] state):
    nlp.table.carry(nlp.table.data, <double *>(&state[0] + sv_gala_bytes(nlp.table.n, nlp.table.m)))


def gala_init(NLP nlp, x0, lower, upper, row_lower, row_upper, dict options):
    """The first state, as bytes; None where the functions are not finite at x0."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    cdef const double[::1] start = exactly(x0, n, "x0")
    cdef const double[::1] lo = exactly(lower, n, "lower"), up = exactly(upper, n, "upper")
    cdef const double[::1] row_lo = exactly(row_lower, m, "row_lower"), row_up = exactly(row_upper, m, "row_upper")
    cdef sv_gala_options chosen = options
    block = np.zeros(state_bytes(nlp), np.uint8)
    cdef uint8_t[::1] state = block
    carry(nlp, state)
    cdef double[::1] work = nlp.room(sv_gala_work(n, m))
    cdef sv_sides sides
    sides.lower, sides.upper = &lo[0], &up[0]
    if m:
        sides.row_lower, sides.row_upper = &row_lo[0], &row_up[0]
    cdef int code
    with nogil:
        code = sv_gala_init(&nlp.table, &sides, &start[0], &chosen, <sv_gala *>&state[0], &work[0])
    nlp.check()
    return None if code else block


def gala_offer(NLP nlp, uint8_t[::1] state not None, x0, y, z):
    """Let the first state take up x0 with its multipliers, in place."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    cdef const double[::1] at = exactly(x0, n, "x0"), rows = exactly(y, m, "y"), bounds = exactly(z, n, "z")
    if state.shape[0] != state_bytes(nlp):
        raise ValueError("the state belongs to a problem of another size")
    cdef double[::1] work = np.empty(sv_gala_work(n, m))
    carry(nlp, state)
    with nogil:
        sv_gala_offer(&nlp.table, <sv_gala *>&state[0], &at[0], &rows[0] if m else NULL, &bounds[0], &work[0])
    nlp.check()


def gala_run(NLP nlp, state, int64_t iterations, double seconds):
    """A state some iterations on, the iterations done, its status (-1: running) and its measure."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    block = np.array(state, np.uint8)
    if len(block) != state_bytes(nlp):
        raise ValueError("the state belongs to a problem of another size")
    cdef uint8_t[::1] bytes_of = block
    cdef sv_gala *held = <sv_gala *>&bytes_of[0]
    cdef double[::1] work = nlp.room(sv_gala_work(n, m))
    if held.n != n or held.m != m:
        raise ValueError("the state belongs to a problem of another size")
    carry(nlp, bytes_of)
    with nogil:
        sv_gala_run(&nlp.table, held, iterations, seconds, &work[0])
    if nlp.error is not None:
        try:
            nlp.error.x = gala_answer(nlp, block)[0]
        except AttributeError:  # an exception that takes no attributes
            pass
    nlp.check()
    return block, held.nit, held.status, held.measure


def gala_answer(NLP nlp, const uint8_t[::1] state):
    """The best point of a state with its multipliers: x, y, z."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    if state.shape[0] != state_bytes(nlp):
        raise ValueError("the state belongs to a problem of another size")
    x, y, z = np.empty(n), np.empty(m), np.empty(n)
    cdef double[::1] to_x = x, to_y = y, to_z = z
    sv_gala_answer(<const sv_gala *>&state[0], &to_x[0], &to_y[0] if m else NULL, &to_z[0])
    return x, y, z


def gala_best(NLP nlp, const uint8_t[::1] state):
    """The least measure of a state, and its status."""
    if state.shape[0] != state_bytes(nlp):
        raise ValueError("the state belongs to a problem of another size")
    held = <const sv_gala *>&state[0]
    return held.best, held.status


def gala_evaluate(NLP nlp, state):
    """At the best point of a state, in the user's units: f, grad f, c, J'y."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    if len(state) != state_bytes(nlp):
        raise ValueError("the state belongs to a problem of another size")
    cdef uint8_t[::1] held = np.array(state, np.uint8)
    g, c, product = np.empty(n), np.empty(m), np.zeros(n)
    cdef double[::1] to_g = g, to_c = c, to_product = product
    cdef double f = 0
    carry(nlp, held)
    with nogil:
        sv_gala_evaluate(&nlp.table, <sv_gala *>&held[0], &f, &to_c[0] if m else NULL, &to_g[0], &to_product[0])
    nlp.check()
    return f, g, c, product
