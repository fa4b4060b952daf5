# cython: freethreading_compatible=True
"""Binding of the softmax kernels. Only memory safety is checked here; solvers/special/_softmax.py checks the rest."""

include "rows.pxi"

cdef extern from "solvers.h" nogil:
    void sv_softmax_f32(const float *, Py_ssize_t, float *, Py_ssize_t, size_t, size_t, int)
    void sv_softmax_f64(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t, int)
    void sv_log_softmax_f32(const float *, Py_ssize_t, float *, Py_ssize_t, size_t, size_t, int)
    void sv_log_softmax_f64(const double *, Py_ssize_t, double *, Py_ssize_t, size_t, size_t, int)
    void sv_logsumexp_f32(const float *, Py_ssize_t, const float *, Py_ssize_t, float *, float *, size_t, size_t, int)
    void sv_logsumexp_f64(const double *, Py_ssize_t, const double *, Py_ssize_t, double *, double *, size_t, size_t,
                          int)


cdef void softmax_rows(Rows x, Rows y, int threads) noexcept nogil:
    if x.dtype == c"d":
        sv_softmax_f64(<double *>x.view.buf, x.stride, <double *>y.view.buf, y.stride, x.rows, x.length, threads)
    else:
        sv_softmax_f32(<float *>x.view.buf, x.stride, <float *>y.view.buf, y.stride, x.rows, x.length, threads)


cdef void log_softmax_rows(Rows x, Rows y, int threads) noexcept nogil:
    if x.dtype == c"d":
        sv_log_softmax_f64(<double *>x.view.buf, x.stride, <double *>y.view.buf, y.stride, x.rows, x.length, threads)
    else:
        sv_log_softmax_f32(<float *>x.view.buf, x.stride, <float *>y.view.buf, y.stride, x.rows, x.length, threads)


cdef map_rows(object x, object y, int threads, void (*kernel)(Rows, Rows, int) noexcept nogil):
    cdef Rows rx = take_rows(x, False), ry = take_rows(y, True)
    if not rx.matches(ry):
        raise ValueError("input and output differ in shape or dtype")
    if rx.rows * rx.length < NOGIL_MIN:
        kernel(rx, ry, threads)
    else:
        with nogil:
            kernel(rx, ry, threads)


def softmax(x, y, int threads=0):
    """y = softmax of each row of x; y may be x."""
    map_rows(x, y, threads, softmax_rows)


def log_softmax(x, y, int threads=0):
    """y = log(softmax) of each row of x; y may be x."""
    map_rows(x, y, threads, log_softmax_rows)


def logsumexp(x, b, out, sign, int threads=0):
    """out, sign = log|sum b exp(x)| and the sum's sign, one of each a row; b or None; out and sign 1-D."""
    cdef Rows rx = take_rows(x, False), ry = take_rows(out, True), rs = take_rows(sign, True), rb = None
    cdef const void *weights = NULL
    cdef Py_ssize_t b_stride = 0
    if b is not None:
        rb = take_rows(b, False)
        weights, b_stride = rb.view.buf, rb.stride
        if not rb.matches(rx):
            raise ValueError("input and weights differ in shape or dtype")
    if not ry.matches(rs) or ry.rows != 1 or ry.length != rx.rows or ry.dtype != rx.dtype:
        raise ValueError("input and output differ in shape or dtype")
    with nogil:
        if rx.dtype == c"d":
            sv_logsumexp_f64(<double *>rx.view.buf, rx.stride, <double *>weights, b_stride,
                             <double *>ry.view.buf, <double *>rs.view.buf, rx.rows, rx.length, threads)
        else:
            sv_logsumexp_f32(<float *>rx.view.buf, rx.stride, <float *>weights, b_stride,
                             <float *>ry.view.buf, <float *>rs.view.buf, rx.rows, rx.length, threads)
