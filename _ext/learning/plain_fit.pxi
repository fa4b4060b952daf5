from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_F_CONTIGUOUS, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_IsContiguous, PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject_GenericSetAttr
from libc.limits cimport INT_MAX
from libc.math cimport isfinite
from libc.stdint cimport INT64_MAX

from scipy.sparse import issparse


cdef extern from "runtime.h" nogil:
    void *sv_scratch_take(size_t, int *)
    void sv_scratch_give(void *, size_t)

# Bytes up to which malloc gives blocks without asking the system for pages.
cdef enum:
    HEAP = 65536

# As names of this module: to look them up elsewhere takes longer.
cdef object new_array = np.empty, ndarray = np.ndarray, FLOAT64 = np.dtype(np.float64)
cdef object new_object = object.__new__


cdef int _is_number(x, double *value) except -1:
    """Whether x is a float or an int that fits one."""
    if isinstance(x, float):
        value[0] = x
        return 1
    if not isinstance(x, int):
        return 0
    try:
        value[0] = x
    except OverflowError:
        return 0
    return 1


cdef int _is_count(x, int64_t least, int64_t most, int64_t *value) except -1:
    """Whether x is an int from `least` to `most`."""
    if type(x) is not int:
        return 0
    try:
        value[0] = x
    except OverflowError:
        return 0
    return least <= value[0] <= most


cdef class PlainFits:
    """Calls of `glm` that one call of the kernels serves: see solvers/learning/_small.py, which tells what they need."""

    cdef dict losses, shares
    cdef object small, slim, flat, threads, result, name, converged, status, message

    def __init__(self, dict losses, dict shares, small, slim, flat, threads, result, name, converged, status, message):
        """`losses`: name -> number, whether there is always a least value, whether it is quadratic; `shares`: penalty ->
        that of its l1 terms; `small`, `slim`, `flat`: of which sizes the fits are; `threads`: of a call that does not say; `result`, `name`: of what is
        made, a class that keeps its fields in its dict; `converged`, `status`, `message`: how a fit ended."""
        self.losses, self.shares, self.threads = losses, shares, threads
        self.small, self.slim, self.flat = small, slim, flat
        self.result, self.name, self.converged, self.status, self.message = result, name, converged, status, message

    def fit(self, X, y, loss, penalty, lam, l1_ratio, bounds, ones, tol, max_iter, threads, why):
        """The result; None where the arguments need a closer look. `why`: what the message says of the method."""
        cdef double start = perf_counter(), goal
        cdef double terms[4]
        cdef int64_t most, count
        cdef bint dense = type(X) is ndarray, bounded, coercive, selects, flat = False
        if not (dense or (issparse(X) and X.format == "csc")):
            return None
        if not (X.dtype is FLOAT64 and X.ndim == 2 and type(ones) is bool and type(y) is ndarray):
            return None
        n, d = X.shape
        if not (n > 0 and d > 0 and y.dtype.kind in "if" and y.ndim == 1 and len(y) == n):
            return None
        if not (type(tol) is float and 0 < tol < INFINITY and _is_count(max_iter, 0, INT64_MAX, &most)):
            return None
        if type(loss) is not str or loss not in self.losses or not self.place_terms(penalty, lam, l1_ratio, bounds, terms):
            return None
        kind, attained, quadratic = self.losses[loss]
        bounded = isfinite(terms[2]) and isfinite(terms[3])
        coercive = terms[0] > 0 or terms[1] > 0 or bounded
        if not self.small(X.size, d + ones):
            selects = terms[0] > 0 or terms[2] == 0 or terms[3] == 0
            flat = not dense and quadratic and self.flat(X.size, (n, d))
            if not (selects and (flat or (dense and self.slim((n, d), coercive)))):
                return None
        if not (attained or coercive):  # it takes more to tell whether there is a minimum
            return None
        if not _is_count(threads, 1, INT_MAX, &count):
            count = self.threads(threads)
        goal = tol
        targets = y if y.dtype is FLOAT64 and y.flags.c_contiguous else np.ascontiguousarray(y, FLOAT64)
        columns = X if dense else Compressed(
            X.indptr.astype(np.int32, copy=False), X.indices.astype(np.int32, copy=False), X.data, n)
        fit = _whole_fit(columns, targets, kind, terms, ones, goal, most, <int>count, start, flat)
        return None if fit is None else self.made(fit, goal, start, count, why)

    cdef int place_terms(self, penalty, lam, l1_ratio, bounds, double *terms) except -1:
        """Writes the l1 and l2 terms and the bounds of every column; returns whether they are plain."""
        cdef double strength, share
        if type(penalty) is not str or penalty not in self.shares:
            return 0
        if not (_is_number(lam, &strength) and 0 <= strength < INFINITY):
            return 0
        if not (_is_number(l1_ratio, &share) and 0 <= share <= 1) or (penalty == "none" and strength > 0):
            return 0
        own = self.shares[penalty]
        if own is not None:
            share = own
        terms[0], terms[1], terms[2], terms[3] = share * strength, (1 - share) * strength, -INFINITY, INFINITY
        if bounds is None:
            return 1
        if type(bounds) is not tuple or len(bounds) != 2:
            return 0
        return (_is_number(bounds[0], &terms[2]) and _is_number(bounds[1], &terms[3])
                and terms[2] <= 0 <= terms[3])

    cdef made(self, tuple fit, double tol, double start, threads, why):
        """The fit, and what is told of it."""
        coef, intercept, primal, dual, kkt, measure, nit, ended, rest = fit
        cdef double gap = <double>primal - <double>dual
        status = self.converged if <double>measure <= tol else self.status(ended, measure, tol)
        result = new_object(self.result)
        told = {
            "x": coef, "coef": coef, "intercept": intercept, "fun": primal, "gap": gap if gap > 0 else 0.0, "kkt": kkt,
            "measure": measure, "success": status is self.converged, "status": status,
            "message": self.message(status, why), "nit": nit, "method": self.name, "_rest": rest, "_threads": threads,
            "_seconds": perf_counter() - start,
        }
        PyObject_GenericSetAttr(result, "__dict__", told)  # the class is frozen
        return result


cdef _whole_fit(X, y, int kind, const double *terms, bint ones, double tol, int64_t most, int threads, double start,
                bint flat):
    """A whole fit from zero of `Compressed` columns, or an array, with the same `terms` for all columns: l1, l2, low,
    high. In one call with few objects: what is made and checked elsewhere takes longer than small fits.

    Returns None where the numbers need a closer look: what is not finite, targets that do not fit the loss, indices that
    do not rise; with `flat`, columns of more than one value (see sparse.h). Else the coefficients and the intercept; the
    objective, its bound, the violation and the measure there, of a pass over all columns; how many steps, and the number
    of the status that ends the fit, -1 to go on; and the rest, which `plain_state` explains."""
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
            bytes_ = sizeof(double) * (sv_fit_work(fit.n, fit.d) + 6 * width + fit.n) + 3 * sizeof(int32_t) * (fit.d + 1)
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


cdef _plain_fit(sv_fit *fit, double *block, const double *y, const double *terms, int64_t most, double start, bint flat):
    """The fit in a block of memory that is there for it."""
    cdef size_t n = fit.n, d = fit.d, width = d + (fit.ones != 0), work = sv_fit_work(n, d), j, working = 0, alive = 0
    cdef double *rest = block + work
    cdef double l1 = terms[0], l2 = terms[1], low = terms[2], high = terms[3]
    cdef bint fits
    fit.work, fit.norms = block, rest
    fit.penalty.d, fit.penalty.l1, fit.penalty.l2 = width, rest + width, rest + 2 * width
    fit.penalty.low, fit.penalty.high = rest + 3 * width, rest + 4 * width
    fit.loss.n, fit.loss.y, fit.places = n, rest + 6 * width, <int32_t *>(rest + 6 * width + n)
    if fit.loss.kind == SV_LOSS_SQUARED:
        fit.with_targets = rest + 5 * width
    with nogil:
        for j in range(width):
            rest[j] = 0
            rest[width + j], rest[2 * width + j], rest[3 * width + j], rest[4 * width + j] = l1, l2, low, high
        if fit.ones:
            rest[width + d], rest[2 * width + d], rest[3 * width + d], rest[4 * width + d] = 0, 0, -INFINITY, INFINITY
        fits = sv_learning_targets(fit.loss.kind, n, y, rest + 6 * width)
        fit.entries = sv_fit_norms(fit, rest) if fits else 0
        fits = fit.entries != 0
        for j in range(d):
            fits = fits and rest[j] <= DBL_MAX
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
    if alive < width and not fit.whole and state.measure > fit.tol:  # else the last step ended with such a pass
        more = new_array(2 * n + width)
        _bound_apart(fit, state.w, more, &at)
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
