# cython: freethreading_compatible=True
"""Binding of the softmax kernels. Only memory safety is checked here; solvers/special/_softmax.py checks the rest."""

include "rows.pxi"

cdef extern from "solvers.h" nogil:
    int sv_log_softmax_f32(const float *, Py_ssize_t, float *, Py_ssize_t, size_t, size_t, int)
    int sv_log_softmax_f64(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t, int)
    int sv_logsumexp_f32(const float *, Py_ssize_t, const float *, Py_ssize_t, float *, float *, size_t, size_t, int)
    int sv_logsumexp_f64(const double *, Py_ssize_t, const double *, Py_ssize_t, double *, double *, size_t, size_t,
                         int)
    const char *sv_last_error()

cdef extern from "rows.h" nogil:
    void sv_softmax_by_f32(int, const float *, Py_ssize_t, float *, Py_ssize_t, size_t, size_t, int)
    void sv_softmax_by_f64(int, const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t, int)
    enum sv_column_function:
        SV_SOFTMAX
        SV_LOG_SOFTMAX
        SV_LOGSUMEXP
    struct sv_columns:
        sv_column_function function
        const void *x
        void *y
        void *sign
        Py_ssize_t x_stride, x_outer, y_stride, y_outer
        size_t outer, length, width
        const unsigned char *where
        Py_ssize_t where_outer, where_stride, where_width
        const void *temperature
        Py_ssize_t temperature_outer, temperature_width
    int sv_columns_f32(const sv_columns *, int)
    int sv_columns_f64(const sv_columns *, int)

cdef extern from "pairs.h" nogil:
    struct sv_line_sum:
        double top
    void sv_join_sums(sv_line_sum *, const sv_line_sum *, size_t)
    void sv_add_to_sums_f32(const float *, Py_ssize_t, sv_line_sum *, size_t, size_t, int)
    void sv_add_to_sums_f64(const double *, Py_ssize_t, sv_line_sum *, size_t, size_t, int)
    void sv_divide_by_sums_f32(const float *, Py_ssize_t, float *, Py_ssize_t, sv_line_sum *, size_t, size_t, int)
    void sv_divide_by_sums_f64(const double *, Py_ssize_t, double *, Py_ssize_t, sv_line_sum *, size_t, size_t, int)
    void sv_subtract_sums_f32(const float *, Py_ssize_t, float *, Py_ssize_t, sv_line_sum *, size_t, size_t, int)
    void sv_subtract_sums_f64(const double *, Py_ssize_t, double *, Py_ssize_t, sv_line_sum *, size_t, size_t, int)
    void sv_log_of_sums_f32(const sv_line_sum *, float *, size_t)
    void sv_log_of_sums_f64(const sv_line_sum *, double *, size_t)
    void sv_add_to_dots_f32(const float *, Py_ssize_t, const float *, Py_ssize_t, double *, size_t, size_t, int)
    void sv_add_to_dots_f64(const double *, Py_ssize_t, const double *, Py_ssize_t, double *, size_t, size_t, int)
    void sv_jvp_by_dots_f32(const float *, Py_ssize_t, const float *, Py_ssize_t, float *, Py_ssize_t,
                            const double *, size_t, size_t, int)
    void sv_jvp_by_dots_f64(const double *, Py_ssize_t, const double *, Py_ssize_t, double *, Py_ssize_t,
                            const double *, size_t, size_t, int)
    void sv_softmax_jvp_f32(const float *, Py_ssize_t, const float *, Py_ssize_t, float *, Py_ssize_t,
                            size_t, size_t, int)
    void sv_softmax_jvp_f64(const double *, Py_ssize_t, const double *, Py_ssize_t, double *, Py_ssize_t,
                            size_t, size_t, int)

from cpython.buffer cimport PyBuffer_IsContiguous
from libc.stdint cimport uint16_t
from libc.string cimport memset

cdef extern from "copy.h" nogil:
    void sv_half_to_float(const uint16_t *, float *, size_t)
    void sv_float_to_half(const float *, uint16_t *, size_t)
    void sv_copy_f32(int, const Py_ssize_t *, void *, const Py_ssize_t *, const void *, const Py_ssize_t *)
    void sv_copy_f64(int, const Py_ssize_t *, void *, const Py_ssize_t *, const void *, const Py_ssize_t *)


cdef int softmax_rows(Rows x, Rows y, int threads, int method) noexcept nogil:
    if x.dtype == c"d":
        sv_softmax_by_f64(method, <double *>x.view.buf, x.stride, <double *>y.view.buf, y.stride, x.rows, x.length,
                          threads)
    else:
        sv_softmax_by_f32(method, <float *>x.view.buf, x.stride, <float *>y.view.buf, y.stride, x.rows, x.length,
                          threads)
    return 0


cdef int log_softmax_rows(Rows x, Rows y, int threads, int method) noexcept nogil:
    if x.dtype == c"d":
        return sv_log_softmax_f64(<double *>x.view.buf, x.stride, <double *>y.view.buf, y.stride, x.rows, x.length,
                                  threads)
    return sv_log_softmax_f32(<float *>x.view.buf, x.stride, <float *>y.view.buf, y.stride, x.rows, x.length, threads)


ctypedef int (*Kernel)(Rows, Rows, int, int) noexcept nogil


cdef int check(int bad) except -1:
    if bad:
        raise ValueError(sv_last_error().decode())
    return 0


cdef int run_map(Rows x, Rows y, int threads, int method, Kernel kernel) except -1:
    cdef int bad
    if x.rows * x.length < NOGIL_MIN:
        bad = kernel(x, y, threads, method)
    else:
        with nogil:
            bad = kernel(x, y, threads, method)
    return check(bad)


cdef int map_rows(object x, object y, int threads, int method, Kernel kernel) except -1:
    cdef Rows source = take_rows(x, False), target = take_rows(y, True)
    if not source.matches(target):
        raise ValueError("input and output differ in shape or dtype")
    return run_map(source, target, threads, method, kernel)


def softmax(x, y, int threads=0, int method=0):
    """y = softmax of each row of x; y may be x. The methods are those of rows.h."""
    map_rows(x, y, threads, method, softmax_rows)


def log_softmax(x, y, int threads=0):
    """y = log(softmax) of each row of x, as softmax."""
    map_rows(x, y, threads, 0, log_softmax_rows)


include "plain.pxi"


def logsumexp(x, b, out, sign, int threads=0):
    """out, sign = log|sum b exp(x)| and the sum's sign, one of each a row; b or None; out and sign 1-D."""
    cdef Rows rx = take_rows(x, False), ry = take_rows(out, True), rs = take_rows(sign, True), rb = None
    cdef const void *weights = NULL
    cdef Py_ssize_t b_stride = 0
    cdef int bad
    if b is not None:
        rb = take_rows(b, False)
        weights, b_stride = rb.view.buf, rb.stride
        if not rb.matches(rx):
            raise ValueError("input and weights differ in shape or dtype")
    if not ry.matches(rs) or ry.rows != 1 or ry.length != rx.rows or ry.dtype != rx.dtype:
        raise ValueError("input and output differ in shape or dtype")
    if rx.rows * rx.length < NOGIL_MIN:
        bad = logsumexp_rows(rx, weights, b_stride, ry, rs, threads)
    else:
        with nogil:
            bad = logsumexp_rows(rx, weights, b_stride, ry, rs, threads)
    check(bad)


cdef int logsumexp_rows(Rows x, const void *weights, Py_ssize_t b_stride, Rows y, Rows sign,
                        int threads) noexcept nogil:
    if x.dtype == c"d":
        return sv_logsumexp_f64(<double *>x.view.buf, x.stride, <double *>weights, b_stride, <double *>y.view.buf,
                                <double *>sign.view.buf, x.rows, x.length, threads)
    return sv_logsumexp_f32(<float *>x.view.buf, x.stride, <float *>weights, b_stride, <float *>y.view.buf,
                            <float *>sign.view.buf, x.rows, x.length, threads)


# ---- sums that are put together piece by piece: (rows, 5) float64, a struct sv_line_sum a row ----------


cdef Rows take_words(object array, bint writable, Py_ssize_t words):
    """The rows of so many float64 each, without gaps."""
    cdef Rows taken = take_rows(array, writable)
    cdef bint dense = taken.rows < 2 or taken.stride == words
    if taken.dtype != c"d" or taken.length != words or taken.view.ndim != 2 or not dense:
        raise ValueError("expected contiguous rows of " + str(words) + " float64")
    return taken


def join_sums(sums, more):
    """sums += more."""
    cdef Rows rs = take_words(sums, True, 5), rm = take_words(more, False, 5)
    if rs.rows != rm.rows:
        raise ValueError("sums differ in number")
    sv_join_sums(<sv_line_sum *>rs.view.buf, <const sv_line_sum *>rm.view.buf, rs.rows)


def add_to_sums(x, sums, int threads=0):
    """sums[r] += the exponentials of row r of x."""
    cdef Rows rx = take_rows(x, False), rs = take_words(sums, True, 5)
    cdef sv_line_sum *entries = <sv_line_sum *>rs.view.buf
    if rx.rows != rs.rows:
        raise ValueError("input and sums differ in number")
    with nogil:
        if rx.dtype == c"d":
            sv_add_to_sums_f64(<double *>rx.view.buf, rx.stride, entries, rx.rows, rx.length, threads)
        else:
            sv_add_to_sums_f32(<float *>rx.view.buf, rx.stride, entries, rx.rows, rx.length, threads)


cdef void divide_rows(Rows x, Rows y, Rows sums, int threads) noexcept nogil:
    cdef sv_line_sum *entries = <sv_line_sum *>sums.view.buf
    if x.dtype == c"d":
        sv_divide_by_sums_f64(<double *>x.view.buf, x.stride, <double *>y.view.buf, y.stride, entries, x.rows, x.length,
                              threads)
    else:
        sv_divide_by_sums_f32(<float *>x.view.buf, x.stride, <float *>y.view.buf, y.stride, entries, x.rows, x.length,
                              threads)


cdef void subtract_rows(Rows x, Rows y, Rows sums, int threads) noexcept nogil:
    cdef sv_line_sum *entries = <sv_line_sum *>sums.view.buf
    if x.dtype == c"d":
        sv_subtract_sums_f64(<double *>x.view.buf, x.stride, <double *>y.view.buf, y.stride, entries, x.rows, x.length,
                             threads)
    else:
        sv_subtract_sums_f32(<float *>x.view.buf, x.stride, <float *>y.view.buf, y.stride, entries, x.rows, x.length,
                             threads)


cdef map_by_sums(object x, object y, object sums, int threads, void (*kernel)(Rows, Rows, Rows, int) noexcept nogil):
    cdef Rows rx = take_rows(x, False), ry = take_rows(y, True), rs = take_words(sums, False, 5)
    if not rx.matches(ry) or rx.rows != rs.rows:
        raise ValueError("input, output and sums differ in shape or dtype")
    with nogil:
        kernel(rx, ry, rs, threads)


def divide_by_sums(x, y, sums, int threads=0):
    """y[r] = exp(x[r]) / sums[r]; y may be x."""
    map_by_sums(x, y, sums, threads, divide_rows)


def subtract_sums(x, y, sums, int threads=0):
    """y[r] = x[r] - log(sums[r]); y may be x."""
    map_by_sums(x, y, sums, threads, subtract_rows)


def log_of_sums(sums, out):
    """out[r] = log(sums[r]); out is one row."""
    cdef Rows rs = take_words(sums, False, 5), ry = take_rows(out, True)
    if ry.rows != 1 or ry.length != rs.rows:
        raise ValueError("sums and output differ in number")
    if ry.dtype == c"d":
        sv_log_of_sums_f64(<sv_line_sum *>rs.view.buf, <double *>ry.view.buf, rs.rows)
    else:
        sv_log_of_sums_f32(<sv_line_sum *>rs.view.buf, <float *>ry.view.buf, rs.rows)


# ---- the derivative of softmax ---------------------------------------------------------------------


def softmax_jvp(y, v, out, int threads=0):
    """out = y (v - <y, v>) for each row; out may be y or v."""
    cdef Rows ry = take_rows(y, False), rv = take_rows(v, False), ro = take_rows(out, True)
    if not ry.matches(rv) or not ry.matches(ro):
        raise ValueError("inputs and output differ in shape or dtype")
    with nogil:
        if ry.dtype == c"d":
            sv_softmax_jvp_f64(<double *>ry.view.buf, ry.stride, <double *>rv.view.buf, rv.stride,
                               <double *>ro.view.buf, ro.stride, ry.rows, ry.length, threads)
        else:
            sv_softmax_jvp_f32(<float *>ry.view.buf, ry.stride, <float *>rv.view.buf, rv.stride,
                               <float *>ro.view.buf, ro.stride, ry.rows, ry.length, threads)


def add_to_dots(y, v, dots, int threads=0):
    """dots[r] += <y[r], v[r]>, two words each."""
    cdef Rows ry = take_rows(y, False), rv = take_rows(v, False), rd = take_words(dots, True, 2)
    if not ry.matches(rv) or rd.rows != ry.rows:
        raise ValueError("inputs differ in shape or dtype")
    with nogil:
        if ry.dtype == c"d":
            sv_add_to_dots_f64(<double *>ry.view.buf, ry.stride, <double *>rv.view.buf, rv.stride,
                               <double *>rd.view.buf, ry.rows, ry.length, threads)
        else:
            sv_add_to_dots_f32(<float *>ry.view.buf, ry.stride, <float *>rv.view.buf, rv.stride,
                               <double *>rd.view.buf, ry.rows, ry.length, threads)


def jvp_by_dots(y, v, out, dots, int threads=0):
    """out[r] = y[r] (v[r] - dots[r]); out may be y or v."""
    cdef Rows ry = take_rows(y, False), rv = take_rows(v, False), ro = take_rows(out, True)
    cdef Rows rd = take_words(dots, False, 2)
    if not ry.matches(rv) or not ry.matches(ro) or rd.rows != ry.rows:
        raise ValueError("inputs and output differ in shape or dtype")
    with nogil:
        if ry.dtype == c"d":
            sv_jvp_by_dots_f64(<double *>ry.view.buf, ry.stride, <double *>rv.view.buf, rv.stride,
                               <double *>ro.view.buf, ro.stride, <double *>rd.view.buf, ry.rows, ry.length, threads)
        else:
            sv_jvp_by_dots_f32(<float *>ry.view.buf, ry.stride, <float *>rv.view.buf, rv.stride,
                               <float *>ro.view.buf, ro.stride, <double *>rd.view.buf, ry.rows, ry.length, threads)


# ---- copies between layouts ------------------------------------------------------------------------


@cython.final
cdef class Block:
    """An array of native, aligned float32 or float64, of any strides."""

    cdef Py_buffer view

    def __cinit__(self, array, bint writable):
        cdef int access = PyBUF_STRIDES | PyBUF_WRITABLE if writable else PyBUF_STRIDES
        PyObject_GetBuffer(array, &self.view, PyBUF_FORMAT | access)

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    cdef bint is_plain(self) noexcept:
        cdef Py_ssize_t size = self.view.itemsize
        cdef int axis
        if (self.view.format[0] != c"f" and self.view.format[0] != c"d") or self.view.format[1] != 0:
            return False
        if <size_t>self.view.buf % <size_t>size:
            return False
        for axis in range(self.view.ndim):
            if self.view.strides[axis] % size:
                return False
        return True


def copy(to, source):
    """to = source, of the same shape and dtype; in tiles where one is the other transposed."""
    cdef Block target = Block(to, True), origin = Block(source, False)
    cdef int axis, ndim = target.view.ndim
    if not target.is_plain() or not origin.is_plain():
        raise ValueError("expected native, aligned float32 or float64")
    if origin.view.ndim != ndim or target.view.itemsize != origin.view.itemsize:
        raise ValueError("source and target differ in shape or dtype")
    for axis in range(ndim):
        if target.view.shape[axis] != origin.view.shape[axis]:
            raise ValueError("source and target differ in shape or dtype")
    with nogil:
        if target.view.itemsize == 8:
            sv_copy_f64(ndim, target.view.shape, target.view.buf, target.view.strides, origin.view.buf,
                        origin.view.strides)
        else:
            sv_copy_f32(ndim, target.view.shape, target.view.buf, target.view.strides, origin.view.buf,
                        origin.view.strides)


# ---- along columns ---------------------------------------------------------------------------------


def softmax_columns(x, y, where=None, temperature=None, int threads=0):
    """y = softmax of (outer, length, width) arrays along their length; the width is contiguous. y may be x.

    where: booleans of that shape, of any strides; temperature: of that shape, with stride 0 along the length."""
    map_columns(SV_SOFTMAX, x, y, where, temperature, threads)


def log_softmax_columns(x, y, where=None, temperature=None, int threads=0):
    """y = log(softmax), as softmax_columns."""
    map_columns(SV_LOG_SOFTMAX, x, y, where, temperature, threads)


def logsumexp_columns(x, out, sign, where=None, temperature=None, int threads=0):
    """out, sign = log(sum exp(x)) along the length and the sum's sign; out and sign are (outer, width), contiguous."""
    cdef Block source = Block(x, False), target = Block(out, True), signs = Block(sign, True), block
    cdef sv_columns given = columns_of(source)
    for block in (target, signs):
        if (not block.is_plain() or block.view.ndim != 2 or block.view.itemsize != source.view.itemsize
                or block.view.shape[0] != source.view.shape[0] or block.view.shape[1] != source.view.shape[2]
                or not PyBuffer_IsContiguous(&block.view, c"C")):
            raise ValueError("input and output differ in shape or dtype")
    given.function = SV_LOGSUMEXP
    given.y, given.sign = target.view.buf, signs.view.buf
    run_columns(&given, source, where, temperature, threads)


cdef sv_columns columns_of(Block source):
    cdef Py_buffer *a = &source.view
    cdef sv_columns given
    memset(&given, 0, sizeof(given))
    if a.ndim != 3 or not source.is_plain():
        raise ValueError("expected three dimensions of native, aligned float32 or float64")
    if a.shape[2] > 1 and a.strides[2] != a.itemsize:
        raise ValueError("expected a contiguous last axis")
    given.x, given.x_outer, given.x_stride = a.buf, a.strides[0] // a.itemsize, a.strides[1] // a.itemsize
    given.outer, given.length, given.width = a.shape[0], a.shape[1], a.shape[2]
    return given


cdef map_columns(sv_column_function function, object x, object y, object where, object temperature, int threads):
    cdef Block source = Block(x, False), target = Block(y, True)
    cdef sv_columns given = columns_of(source), results = columns_of(target)
    if not same_shape(source, target) or target.view.itemsize != source.view.itemsize:
        raise ValueError("input and output differ in shape or dtype")
    given.function = function
    given.y, given.y_outer, given.y_stride = target.view.buf, results.x_outer, results.x_stride
    run_columns(&given, source, where, temperature, threads)


cdef bint same_shape(Block a, Block b):
    return a.view.ndim == b.view.ndim and all([a.view.shape[k] == b.view.shape[k] for k in range(a.view.ndim)])


cdef run_columns(sv_columns *given, Block source, object where, object temperature, int threads):
    cdef Block mask, divisor
    cdef Py_ssize_t size = source.view.itemsize
    cdef int failed
    if where is not None:
        mask = Block(where, False)
        if not same_shape(source, mask) or mask.view.itemsize != 1:
            raise ValueError("expected one boolean an element")
        given.where = <unsigned char *>mask.view.buf
        given.where_outer, given.where_stride, given.where_width = (
            mask.view.strides[0], mask.view.strides[1], mask.view.strides[2])
    if temperature is not None:
        divisor = Block(temperature, False)
        if not divisor.is_plain() or not same_shape(source, divisor) or divisor.view.itemsize != size:
            raise ValueError("input and temperature differ in shape or dtype")
        given.temperature = divisor.view.buf
        given.temperature_outer = divisor.view.strides[0] // size
        given.temperature_width = divisor.view.strides[2] // size
    with nogil:
        failed = sv_columns_f64(given, threads) if size == 8 else sv_columns_f32(given, threads)
    if failed:
        raise MemoryError("no memory for a column")


def half_to_float(const uint16_t[::1] bits, float[::1] numbers):
    """numbers = the float16 of these bits."""
    if bits.shape[0] != numbers.shape[0]:
        raise ValueError("bits and numbers differ in length")
    if bits.shape[0]:
        with nogil:
            sv_half_to_float(&bits[0], &numbers[0], bits.shape[0])


def float_to_half(const float[::1] numbers, uint16_t[::1] bits):
    """bits = those of the nearest float16."""
    if bits.shape[0] != numbers.shape[0]:
        raise ValueError("bits and numbers differ in length")
    if bits.shape[0]:
        with nogil:
            sv_float_to_half(&numbers[0], &bits[0], bits.shape[0])
