# The loop of method gala (gala.h): its state is an array of bytes.

cdef extern from "gala.h" nogil:
    enum: SV_GALA_FIRST, SV_GALA_LATER_MU, SV_GALA_ROUTES, SV_GALA_RUNNING

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
        int64_t onward

    ctypedef struct sv_gala:
        int64_t n
        int64_t m
        int64_t nit
        int64_t status
        double measure
        double strict

    int64_t sv_gala_bytes(int64_t, int64_t)
    int64_t sv_gala_work(int64_t, int64_t)
    int sv_gala_init(const sv_nlp *, const sv_sides *, const double *, const sv_gala_options *, sv_gala *, double *)
    int sv_gala_offer(const sv_nlp *, sv_gala *, const double *, const double *, const double *, double *)
    int sv_gala_run(const sv_nlp *, sv_gala *, int64_t, double, double *)
    int sv_gala_gives_up(const sv_gala *, int64_t, int64_t)
    int sv_gala_evaluate(const sv_nlp *, const sv_gala *, double *, double *, double *, double *)
    void sv_gala_answer(const sv_gala *, double *, double *, double *)


#: A first route has so many iterations, a solve so many routes; how much larger mu starts on the active sets of later ones.
FIRST, ROUTES, LATER_MU = SV_GALA_FIRST, SV_GALA_ROUTES, SV_GALA_LATER_MU


cdef int64_t state_bytes(NLP nlp):
    """Those of the loop, and behind them what the program learns from step to step."""
    return sv_gala_bytes(nlp.table.n, nlp.table.m) + nlp.table.carried * <int64_t>sizeof(double)


cdef carry(NLP nlp, sv_gala *state):
    nlp.table.carry(nlp.table.data, <double *>(<char *>state + sv_gala_bytes(nlp.table.n, nlp.table.m)))


cdef sv_gala *state_in(NLP nlp, block) except NULL:
    """Where the bytes of a state lie."""
    cdef Py_buffer view
    PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)
    cdef bint fits = view.len == state_bytes(nlp)
    cdef sv_gala *held = <sv_gala *>view.buf
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError("the state belongs to a problem of another size")
    return held


cdef sv_gala *gala_of(NLP nlp, block) except NULL:
    """The state behind these bytes, where it is one of this program."""
    held = state_in(nlp, block)
    if held.n != nlp.table.n or held.m != nlp.table.m:
        raise ValueError("the state belongs to a problem of another size")
    return held


def gala_init(NLP nlp, x0, Sides sides not None, dict options, offered=None,
              int64_t iterations=0, double seconds=0):
    """The first state, its measure, and what `gala_run` makes of it in so many iterations.

    None where the functions are not finite at x0. `offered`: multipliers y, z of x0.
    """
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    cdef sv_gala_options chosen = options
    block = np.zeros(state_bytes(nlp), np.uint8) if nlp.table.carried else np.empty(state_bytes(nlp), np.uint8)
    cdef sv_gala *held = state_in(nlp, block)
    cdef double *work = nlp.room(sv_gala_work(n, m))
    cdef const double *start = entries(x0, n)
    cdef int code
    cdef double measure
    carry(nlp, held)
    sides.fits(n, m)
    with nogil:
        code = sv_gala_init(&nlp.table, &sides.sides, start, &chosen, held, work)
    nlp.check()
    if code:
        return None
    if offered is not None:
        y, z = offered
        sv_gala_offer(&nlp.table, held, start, entries(y, m), entries(z, n), work)
        nlp.check()
    with nogil:
        code = sv_gala_run(&nlp.table, held, 0, 0, work)
        measure = held.measure
        if code == 0 and iterations > 0 and held.status == SV_GALA_RUNNING:
            sv_gala_run(&nlp.table, held, iterations, seconds, work)
    return measure, gala_told(nlp, block, held, work)


cdef gala_told(NLP nlp, block, sv_gala *held, double *work):
    """A state, its iterations, its status (-1: running), its measure, and the best x so far."""
    x = np.empty(nlp.table.n)
    sv_gala_answer(held, entries(x, nlp.table.n), work, work + nlp.table.m)  # the multipliers to where they are not in the way
    if nlp.error is not None:
        try:
            nlp.error.x = x
        except AttributeError:  # an exception that takes no attributes
            pass
    nlp.check()
    return block, held.nit, held.status, held.measure, x


def gala_run(NLP nlp, state, int64_t iterations, double seconds):
    """A state some iterations on, the iterations done, its status (-1: running), its measure, and the best x so far."""
    block = np.array(state, np.uint8)
    cdef sv_gala *held = gala_of(nlp, block)
    cdef double *work = nlp.room(sv_gala_work(nlp.table.n, nlp.table.m))
    carry(nlp, held)
    with nogil:
        sv_gala_run(&nlp.table, held, iterations, seconds, work)
    return gala_told(nlp, block, held, work)


def gala_gives_up(NLP nlp, state, int64_t first, int64_t max_iter):
    """Whether a route in this state is to give way to the next one."""
    return bool(sv_gala_gives_up(gala_of(nlp, state), first, max_iter))


def gala_best(NLP nlp, state):
    """The least measure of a state, as of an answer, and its status."""
    held = gala_of(nlp, state)
    return held.strict, held.status


def gala_answer(NLP nlp, state, Sides sides not None):
    """The best point of a state with its multipliers: x, y, z; there f, grad f; and its `kkt_numbers`, all recomputed."""
    cdef int64_t n = nlp.table.n, m = nlp.table.m
    x, z, g, y = np.empty(n), np.empty(n), np.empty(n), np.empty(m)
    cdef double *work = nlp.room(2 * n + 2 * m)
    cdef sv_kkt_point at
    if nlp.table.carried:  # what an approximation learns there is no part of the state
        state = np.array(state, np.uint8)
    cdef sv_gala *held = gala_of(nlp, state)
    if nlp.table.carried:
        carry(nlp, held)
    sides.fits(n, m)
    at.x, at.z, at.g, at.y, at.c = entries(x, n), entries(z, n), entries(g, n), entries(y, m), work
    sv_gala_answer(held, at.x, at.y, at.z)
    with nogil:
        sv_gala_evaluate(&nlp.table, held, &at.f, at.c, at.g, work + m)
        sv_kkt_numbers(n, m, &sides.sides, work + m, work + m + n, &at)
    nlp.check()
    return (x, y, z), (at.f, g), (at.stationarity, at.violation, at.complementarity)
