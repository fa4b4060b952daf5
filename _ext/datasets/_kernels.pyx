# cython: freethreading_compatible=True
"""Binding of the reader of LIBSVM's format."""

from libc.stdint cimport int32_t, int64_t

import numpy as np

cdef extern from "libsvm.h" nogil:
    enum sv_libsvm_fault:
        pass

    struct sv_libsvm:
        const char *text
        const char *end
        double *labels
        int64_t *queries
        int64_t *ends
        int32_t *columns
        double *values
        double (*hard_number)(const char *, size_t, int *) noexcept nogil
        size_t rows
        size_t entries
        int32_t least
        int32_t greatest
        int64_t lines
        const char *place

    sv_libsvm_fault sv_libsvm_read(sv_libsvm *) noexcept nogil


cdef double hard_number(const char *token, size_t length, int *bad) noexcept with gil:
    try:
        if b"_" in token[:length]:  # Python allows 1_000
            raise ValueError
        return float(token[:length])
    except ValueError:
        bad[0] = 1
        return 0.0


def read_lines(const unsigned char[::1] text):
    """What whole lines of text hold.

    Returns labels, query numbers (-1 without one), ends of the rows, columns as written, values; the lowest and the
    highest column; and how it ended: (fault, lines read before, byte where it stopped).
    """
    cdef size_t length = text.shape[0]
    cdef double[::1] labels = np.empty(length // 2 + 1)
    cdef int64_t[::1] queries = np.empty(length // 2 + 1, np.int64)
    cdef int64_t[::1] ends = np.empty(length // 2 + 1, np.int64)
    cdef int32_t[::1] columns = np.empty(length // 4 + 1, np.int32)
    cdef double[::1] values = np.empty(length // 4 + 1)
    cdef sv_libsvm r
    cdef int fault
    r.text = <const char *>&text[0] if length else NULL
    r.end = r.text + length
    r.labels, r.queries, r.ends = &labels[0], &queries[0], &ends[0]
    r.columns, r.values = &columns[0], &values[0]
    r.hard_number = hard_number
    with nogil:
        fault = sv_libsvm_read(&r)
    # Copies: the room was for the most that the text could hold.
    rows, entries = r.rows, r.entries
    return (
        np.array(labels[:rows]), np.array(queries[:rows]), np.array(ends[:rows]), np.array(columns[:entries]),
        np.array(values[:entries]), (r.least, r.greatest), (fault, r.lines, r.place - r.text),
    )
