from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_F_CONTIGUOUS, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_IsContiguous, PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc


cdef extern from "runtime.h" nogil:
    void *sv_scratch_take(size_t, int *)
    void sv_scratch_give(void *, size_t)

# Bytes up to which malloc gives blocks without asking the system for pages.
cdef enum:
    HEAP = 65536

cdef object new_array = np.empty


def plain_terms(shares, penalty, lam, l1_ratio, bounds, ones, tol, max_iter):
    """The l1 and l2 terms and the bounds of every column; None where these, or the other arguments, need a closer look."""
    cdef double strength, ratio, low = -INFINITY, high = INFINITY
    if not (type(tol) is float and type(max_iter) is int and type(ones) is bool and type(penalty) is str):
        return None
    if not (0 < <double>tol < INFINITY and max_iter >= 0 and penalty in shares):
        return None
    if not (isinstance(lam, (float, int)) and isinstance(l1_ratio, (float, int))):
        return None
    strength, ratio = lam, l1_ratio
    if not (0 <= strength < INFINITY and 0 <= ratio <= 1) or (penalty == "none" and strength > 0):
        return None
    if bounds is not None:
        if type(bounds) is not tuple or len(bounds) != 2:
            return None
        below, above = bounds
        if not (isinstance(below, (float, int)) and isinstance(above, (float, int))):
            return None
        low, high = below, above
        if not low <= 0 <= high:
            return None
    own = shares[penalty]
    if own is not None:
        ratio = own
    return ratio * strength, (1 - ratio) * strength, low, high


def plain_fit(X, y, int kind, terms, bint ones, double tol, int64_t most, int threads, double start, bint flat=False):
    """A whole fit from zero of `Compressed` columns, or an array, with the same `terms` for all columns: l1,
    l2, low, high. In one call with few objects: what is made and checked elsewhere takes longer than small fits.

    Returns None where the numbers need a closer look: what is not finite, targets that do not fit the loss, indices that
    do not rise; with `flat`, columns of more than one value (see sparse.h). Else the coefficients and the intercept; the objective, its bound, the violation and the measure there, of
    a pass over all columns; how many steps, and the number of the status that ends the fit, -1 to go on; and the rest,
    which `plain_state` explains."""
    cdef sv_fit fit
    cdef Py_buffer entries, targets
    cdef size_t bytes_, width
    cdef char *block
    cdef int used
    memset(&fit, 0, sizeof(fit))
    cdef bint dense = not isinstance(X, Compressed)
    if dense:
        PyObject_GetBuffer(X, &entries, PyBUF_STRIDES)
        if not PyBuffer_IsContiguous(&entries, b"F"):
            PyBuffer_Release(&entries)
            X = np.asfortranarray(X)
            PyObject_GetBuffer(X, &entries, PyBUF_F_CONTIGUOUS)
        fit.dense, fit.n, fit.d = <const double *>entries.buf, entries.shape[0], entries.shape[1]
        fit.stride, fit.ones = fit.n, ones
    else:
        _place_matrix(&fit, X, ones)
    try:
        PyObject_GetBuffer(y, &targets, PyBUF_C_CONTIGUOUS)
        try:
            width = fit.d + ones
            if fit.n == 0 or fit.d == 0 or <size_t>targets.len != fit.n * sizeof(double):
                raise ValueError("X has no entries, or y not its length")
            bytes_ = sizeof(double) * (sv_fit_work(fit.n, fit.d) + 5 * width + fit.n) + 3 * sizeof(int32_t) * (fit.d + 1)
            block = <char *>(PyMem_RawMalloc(bytes_) if bytes_ <= HEAP else sv_scratch_take(bytes_, &used))
            if block == NULL:
                raise MemoryError
            try:
                fit.tol, fit.screening, fit.threads, fit.from_zero, fit.loss.kind = tol, 1, threads, 1, kind
                return _plain_fit(&fit, <double *>block, <const double *>targets.buf, terms, most, start, flat)
            finally:
                if bytes_ <= HEAP:
                    PyMem_RawFree(block)
                else:
                    sv_scratch_give(block, bytes_)
        finally:
            PyBuffer_Release(&targets)
    finally:
        if dense:
            PyBuffer_Release(&entries)


cdef _plain_fit(sv_fit *fit, double *block, const double *y, terms, int64_t most, double start,
                bint flat):
    """The fit in a block of memory that is there for it."""
    cdef size_t n = fit.n, d = fit.d, width = d + (fit.ones != 0), work = sv_fit_work(n, d), j, working = 0, alive = 0
    cdef double *rest = block + work
    cdef double l1 = terms[0], l2 = terms[1], low = terms[2], high = terms[3]
    cdef bint fits
    fit.work, fit.norms = block, rest
    fit.penalty.d, fit.penalty.l1, fit.penalty.l2 = width, rest + width, rest + 2 * width
    fit.penalty.low, fit.penalty.high = rest + 3 * width, rest + 4 * width
    fit.loss.n, fit.loss.y, fit.places = n, rest + 5 * width, <int32_t *>(rest + 5 * width + n)
    with nogil:
        for j in range(width):
            rest[j] = 0
            rest[width + j], rest[2 * width + j], rest[3 * width + j], rest[4 * width + j] = l1, l2, low, high
        if fit.ones:
            rest[width + d], rest[2 * width + d], rest[3 * width + d], rest[4 * width + d] = 0, 0, -INFINITY, INFINITY
        fit.entries = sv_fit_norms(fit, rest)
        fits = fit.entries != 0
        for j in range(d):
            fits = fits and rest[j] <= DBL_MAX
        fits = fits and sv_learning_targets(fit.loss.kind, n, y, rest + 5 * width)
        if fits:
            sv_fit_prepare(fit)
    if not fits or (flat and not fit.flat):
        return None
    cdef sv_fit_state state
    cdef sv_fit_bounds at
    kept = PyBytes_FromStringAndSize(NULL, 2 * (sizeof(double) * (n + width) + width))
    cdef double *arrays = <double *>PyBytes_AS_STRING(kept)
    memset(&state, 0, sizeof(state))
    state.w, state.g, state.z, state.v = arrays, arrays + width, arrays + 2 * width, arrays + 2 * width + n
    state.alive = <uint8_t *>(arrays + 2 * (width + n))
    state.working = state.alive + width
    rows = []
    with nogil:
        memset(state.w, 0, width * sizeof(double))
        sv_fit_begin(fit, &state, NULL)
    while state.nit < most and sv_fit_reached(fit, &state) < 0:
        rows.append((state.measure, perf_counter() - start))
        with nogil:
            sv_fit_step(fit, &state)
        PyErr_CheckSignals()
    cdef int ended = sv_fit_reached(fit, &state)
    for j in range(width):
        working += state.working[j]
        alive += state.alive[j]
    at.primal, at.dual, at.kkt = state.primal, state.dual, state.kkt
    if alive < width and not fit.whole:  # else the last step ended with such a pass
        more = new_array(2 * n + width)
        _bound_apart(fit, state.w, more, &at)
        at.dual = sv_fit_better(fit, at.dual, state.dual)
    coef = new_array(d)
    cdef Py_buffer view
    PyObject_GetBuffer(coef, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    for j in range(d):
        (<double *>view.buf)[j] = state.w[j]
    PyBuffer_Release(&view)
    numbers = (state.primal, state.dual, state.kkt, state.measure, state.floor, state.nit, state.idle, state.crawls,
               state.newtons, state.grams, state.sweeps, state.products, ended)
    return (coef, state.w[d] if fit.ones else 0.0, at.primal, at.dual, at.kkt,
            sv_fit_measure(fit, at.primal, at.dual), state.nit, ended,
            (kept, n, width, numbers, (working, width - alive), rows))


cdef int _bound_apart(sv_fit *fit, const double *w, double[::1] into, sv_fit_bounds *at) except -1:
    """The certificate at w of all columns, in arrays of its own."""
    cdef size_t n = fit.n
    with nogil:
        sv_fit_bound(fit, w, NULL, &into[0], &into[n], &into[2 * n], at)
    return 0


def plain_state(rest):
    """What `plain_fit` found beside the answer: the state's arrays and numbers; how many columns are worked on, and were
    screened; the measures and seconds of the states before the last."""
    kept, n, width, numbers, counts, rows = rest
    block = np.frombuffer(kept, count=2 * (n + width)).copy()
    marks = np.frombuffer(kept, np.uint8, offset=block.nbytes).copy()
    arrays = (block[:width], block[2 * width:2 * width + n], block[2 * width + n:], block[width:2 * width],
              marks[:width], marks[width:])
    return arrays, numbers, counts, rows
