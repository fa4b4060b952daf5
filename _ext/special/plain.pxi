# Included by _kernels.pyx. Calls on contiguous rows of NumPy arrays, as users make them: a call on few numbers would
# else cost more for its checks, made in Python, than for its arithmetic. What is not so plain is declined, by None, and
# nothing is done: then Python takes its time to convert, or to say what is wrong.
from cpython.exc cimport PyErr_Clear
from cpython.object cimport PyObject
from cpython.buffer cimport PyBUF_C_CONTIGUOUS

import numpy

cdef extern from "Python.h":
    # As the header has it, an error being a number: to decline must not cost an exception.
    int get_buffer "PyObject_GetBuffer"(PyObject *, Py_buffer *, int) noexcept

cdef extern from "../common/runtime.h" nogil:
    int sv_get_num_threads()

cdef object ndarray = numpy.ndarray
cdef object new_array = numpy.empty
cdef object float32 = numpy.float32
cdef object float64 = numpy.float64

cdef enum:
    FEW = 1024  # numbers that are copied in less time than NumPy takes for an array of a given shape and type


cdef Rows hold_plain(object array, bint writable):
    """A contiguous, native, aligned ndarray of float32 or float64 with one axis or two; None for all else."""
    cdef Rows rows = Rows.__new__(Rows)
    cdef Py_buffer *view = &rows.view
    cdef int access = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0)
    if type(array) is not ndarray:
        return None
    if get_buffer(<PyObject *>array, view, access) < 0:
        PyErr_Clear()
        return None
    # NumPy puts a letter before the type where it is not native or not aligned.
    if not 1 <= view.ndim <= 2 or (view.format[0] != c"f" and view.format[0] != c"d") or view.format[1] != 0:
        return None
    rows.dtype = view.format[0]
    rows.rows = view.shape[0] if view.ndim == 2 else 1
    rows.length = rows.stride = view.shape[view.ndim - 1]
    return rows


cdef bint is_last(object axis, int ndim):
    """Whether an axis argument means the last of so many; None means all, and there is one."""
    if axis is None:
        return ndim == 1
    return type(axis) is int and (axis == ndim - 1 or axis == -1)


cdef int threads_of(object threads):
    """What a `threads` argument asks for; 0 where Python must look at it."""
    if threads is None:
        return sv_get_num_threads()
    return threads if type(threads) is int and 0 < threads <= 0xffff else 0


cdef bint lie_apart(Rows x, Rows y) noexcept:
    """Whether they share no number, or all."""
    cdef const char *a = <const char *>x.view.buf
    cdef const char *b = <const char *>y.view.buf
    return a == b or b >= a + x.view.len or a >= b + y.view.len


cdef object map_plain(object x, object axis, object out, object threads, int method, Kernel kernel):
    """kernel of plain rows, into `out` or a new array; None where something is not plain."""
    cdef Rows source, target = None
    cdef int count = threads_of(threads)
    if count == 0:
        return None
    if out is None and type(x) is ndarray and x.size <= FEW:  # worked on in the copy, which is contiguous
        out = x.copy()
        target = source = hold_plain(out, True)
    else:
        source = hold_plain(x, False)
    if source is None or not is_last(axis, source.view.ndim):
        return None
    if target is None:
        if out is None:
            out = new_array(x.shape, x.dtype)
        target = hold_plain(out, True)
        if target is None or target.view.ndim != source.view.ndim:
            return None
        if not target.matches(source) or not lie_apart(source, target):
            return None
    run_map(source, target, count, method, kernel)
    return out


cdef bint counts_all(object where, object temperature):
    """Whether neither a mask nor a temperature is given."""
    return where is None and type(temperature) is float and <double>temperature == 1.0


def softmax_of(x, axis, where, temperature, out, threads, int method=0):
    """softmax of rows, with the arguments as users give them, by a method of rows.h; None where something is not plain."""
    return map_plain(x, axis, out, threads, method, softmax_rows) if counts_all(where, temperature) else None


def log_softmax_of(x, axis, where, temperature, out, threads):
    """log(softmax), as softmax_of."""
    return map_plain(x, axis, out, threads, 0, log_softmax_rows) if counts_all(where, temperature) else None


cdef int logsumexp_plain(Rows x, void *values, int threads) noexcept nogil:
    """The signs of sums without weights tell nothing that the values do not."""
    if x.dtype == c"d":
        return sv_logsumexp_f64(<double *>x.view.buf, x.stride, NULL, 0, <double *>values, NULL, x.rows, x.length,
                                threads)
    return sv_logsumexp_f32(<float *>x.view.buf, x.stride, NULL, 0, <float *>values, NULL, x.rows, x.length, threads)


def logsumexp_of(x, axis, threads):
    """logsumexp of rows, as softmax_of: an array of their number, or of one row a scalar of x's type."""
    cdef Rows rows = hold_plain(x, False), values
    cdef int count = threads_of(threads), bad
    cdef double wide = 0
    cdef float narrow = 0
    cdef void *to = <void *>&wide
    if rows is None or count == 0 or not is_last(axis, rows.view.ndim):
        return None
    cdef bint many = rows.view.ndim == 2
    if many:
        result = new_array(rows.rows, x.dtype)
        values = hold_plain(result, True)
        to = values.view.buf
    elif rows.dtype == c"f":
        to = <void *>&narrow
    if rows.rows * rows.length < NOGIL_MIN:
        bad = logsumexp_plain(rows, to, count)
    else:
        with nogil:
            bad = logsumexp_plain(rows, to, count)
    check(bad)
    if many:
        return result
    return float64(wide) if rows.dtype == c"d" else float32(narrow)
