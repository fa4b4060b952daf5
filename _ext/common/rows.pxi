# Included by the bindings. Array arguments are taken through the buffer protocol: no NumPy C API, no NumPy ABI.
cimport cython
from cpython.buffer cimport (
    Py_buffer, PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)

# Work on fewer elements keeps the GIL: letting go of it would cost about as much.
cdef enum:
    NOGIL_MIN = 8192


@cython.final
@cython.freelist(8)
cdef class Rows:
    """A 1-D (one row) or 2-D array of native float32 or float64, contiguous along its last axis."""

    cdef Py_buffer view
    cdef Py_ssize_t rows, length, stride   # stride between rows, in elements
    cdef char dtype                        # c"f" or c"d"

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    cdef inline bint matches(self, Rows other) noexcept:
        return self.rows == other.rows and self.length == other.length and self.dtype == other.dtype


cdef inline Rows take_rows(object array, bint writable):
    cdef Rows taken = Rows.__new__(Rows)
    cdef Py_buffer *view = &taken.view
    PyObject_GetBuffer(array, view, PyBUF_FORMAT | (PyBUF_STRIDES | PyBUF_WRITABLE if writable else PyBUF_STRIDES))
    taken.dtype = view.format[0]
    taken.rows, taken.stride = 1, 0
    if view.ndim == 1:
        taken.length = view.shape[0]
    elif view.ndim == 2:
        taken.rows, taken.length = view.shape[0], view.shape[1]
        taken.stride = view.strides[0] // view.itemsize
    if (
        not 1 <= view.ndim <= 2
        or (taken.dtype != c"f" and taken.dtype != c"d") or view.format[1] != 0
        or (taken.length > 1 and view.strides[view.ndim - 1] != view.itemsize)
        or (view.ndim == 2 and view.strides[0] % view.itemsize)
    ):
        raise ValueError("expected one or two dimensions of native float32 or float64, contiguous along the last")
    return taken
