# The loop of method gala (gala.h): its state is an array of bytes.

cdef extern from "gala.h" nogil:
    enum: SV_GALA_FIRST

    struct sv_gala_options:
        double tol
        double mu
        double push
        double max_shift
        int64_t monotone
        int64_t exact
        int64_t projected
        int64_t window
        int64_t sequential

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
    int sv_gala_gives_up(const sv_gala *, int64_t, int64_t)
    int sv_gala_evaluate(const sv_nlp *, const sv_gala *, double *, double *, double *, double *)
    void sv_gala_answer(const sv_gala *, double *, double *, double *)


#: A first route has so many iterations.
FIRST = SV_GALA_FIRST


cdef int64_t state_bytes(NLP nlp):
    """Those of the loop, and behind them what the program learns from step to step."""
    return sv_gala_bytes(nlp.table.n, nlp.table.m) + nlp.table.carried * <int64_t>sizeof(double)


cdef carry(NLP nlp, uint8_t[::1] state):
    nlp.table.carry(nlp.table.data, <double *>(&state[0] + sv_gala_bytes(nlp.table.n, nlp.table.m)))


cdef sv_gala *gala_of(NLP nlp, const uint8_t[::1] state) except NULL:
    """The state behind these bytes, where it is one of this program."""
    held = <sv_gala *>&state[0] if state.shape[0] == state_bytes(nlp) else NULL
    if held == NULL or held.n != nlp.table.n or held.m != nlp.table.m:
        raise ValueError("the state belongs to a problem of another size")
    return held


def gala_init(NLP nlp, const double[::1] x0 not None, Sides sides not None, dict options):
    """The first state, as bytes; None where the functions are not finite at x0."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    cdef sv_gala_options chosen = options
    block = np.zeros(state_bytes(nlp), np.uint8)
    cdef uint8_t[::1] state = block
    cdef double *work = nlp.room(sv_gala_work(n, m))
    cdef const double *start = entries(x0, n)
    cdef int code
    carry(nlp, state)
    sides.fits(n, m)
    with nogil:
        code = sv_gala_init(&nlp.table, &sides.sides, start, &chosen, <sv_gala *>&state[0], work)
    nlp.check()
    return None if code else block


def gala_offer(NLP nlp, uint8_t[::1] state not None, const double[::1] x0 not None, const double[::1] y not None,
               const double[::1] z not None):
    """Let the first state take up x0 with its multipliers, in place."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    cdef sv_gala *held = gala_of(nlp, state)
    cdef const double *at = entries(x0, n)
    cdef const double *rows = entries(y, m)
    cdef const double *bounds = entries(z, n)
    cdef double *work = nlp.room(sv_gala_work(n, m))
    carry(nlp, state)
    with nogil:
        sv_gala_offer(&nlp.table, held, at, rows, bounds, work)
    nlp.check()


def gala_run(NLP nlp, state, int64_t iterations, double seconds):
    """A state some iterations on, the iterations done, its status (-1: running), its measure, and the best x so far."""
    block = np.array(state, np.uint8)
    cdef uint8_t[::1] bytes_of = block
    cdef sv_gala *held = gala_of(nlp, bytes_of)
    cdef double *work = nlp.room(sv_gala_work(nlp.table.n, nlp.table.m))
    carry(nlp, bytes_of)
    with nogil:
        sv_gala_run(&nlp.table, held, iterations, seconds, work)
    x = np.empty(nlp.table.n)
    cdef double[::1] to_x = x
    sv_gala_answer(held, &to_x[0], work, work + nlp.table.m)  # the multipliers to where they are not in the way
    if nlp.error is not None:
        try:
            nlp.error.x = x
        except AttributeError:  # an exception that takes no attributes
            pass
    nlp.check()
    return block, held.nit, held.status, held.measure, x


def gala_gives_up(NLP nlp, const uint8_t[::1] state not None, int64_t first, int64_t max_iter):
    """Whether a first route in this state is to give way to the one on active sets."""
    return bool(sv_gala_gives_up(gala_of(nlp, state), first, max_iter))


def gala_best(NLP nlp, const uint8_t[::1] state not None):
    """The least measure of a state, and its status."""
    held = gala_of(nlp, state)
    return held.best, held.status


def gala_answer(NLP nlp, state):
    """The best point of a state with its multipliers: x, y, z; and there, in the user's units: f, grad f, c, J'y."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    cdef uint8_t[::1] bytes_of = np.array(state, np.uint8)
    cdef sv_gala *held = gala_of(nlp, bytes_of)
    x, z, g, product = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    y, c = np.empty(m), np.empty(m)
    cdef double[::1] to_x = x, to_z = z, to_g = g, to_product = product, to_y = y, to_c = c
    cdef double *row_y = &to_y[0] if m else NULL
    cdef double *row_c = &to_c[0] if m else NULL
    cdef double f = 0
    sv_gala_answer(held, &to_x[0], row_y, &to_z[0])
    carry(nlp, bytes_of)
    with nogil:
        sv_gala_evaluate(&nlp.table, held, &f, row_c, &to_g[0], &to_product[0])
    nlp.check()
    return (x, y, z), (f, g, c, product)
