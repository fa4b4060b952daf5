# cython: freethreading_compatible=True
"""Binding of the library's run-time: version, instruction-set level, threads, memory that is used again."""

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_GetName, PyCapsule_GetPointer
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.stdint cimport uintptr_t

import numpy as np

cdef extern from "<dlfcn.h>" nogil:
    ctypedef struct Dl_info:
        const char *dli_fname
    int dladdr(const void *address, Dl_info *info)

cdef extern from "solvers.h" nogil:
    const char *sv_version_string()
    const char *sv_isa()
    const char *sv_isa_available()
    const char *sv_sanitizer()
    int sv_get_num_threads()
    void sv_set_num_threads(int threads)

cdef extern from "runtime.h" nogil:
    void *sv_scratch_take(size_t bytes, int *used)
    void sv_scratch_give(void *block, size_t bytes)
    size_t sv_scratch_resting()
    void sv_scratch_release()


def build_info():
    """What the library is and how it runs."""
    return {
        "version": sv_version_string().decode(),
        "isa": sv_isa().decode(),
        "isa_available": sv_isa_available().decode(),
        "sanitizer": sv_sanitizer().decode(),
    }


def library_path():
    """Where the shared library lies that this process runs, in bytes, as the loader was given it."""
    cdef Dl_info info
    if not dladdr(<const void *>&sv_version_string, &info):
        raise OSError("the loader does not know where the library came from")
    return info.dli_fname


def columns(list rows):
    """Rows (nit, measure, seconds) of a history as three arrays; a short one takes NumPy as long as some iterations."""
    cdef Py_ssize_t k, count = len(rows)
    nit, measure, seconds = np.empty(count, np.int64), np.empty(count), np.empty(count)
    for k in range(count):
        nit[k], measure[k], seconds[k] = rows[k]
    return nit, measure, seconds


def held_by(function):
    """The address in the capsule that is a LowLevelCallable's first item, and its context: the user's data, or None."""
    capsule = <object>PyTuple_GET_ITEM(function, 0)  # whatever it was made from; its own indexing refuses
    address, data = <uintptr_t>PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule)), PyCapsule_GetContext(capsule)
    return address, <uintptr_t>data if data != NULL else None


def get_num_threads():
    """Threads of a call that names none."""
    return sv_get_num_threads()


def set_num_threads(int threads):
    """Set the threads of calls that name none."""
    sv_set_num_threads(threads)


cdef class Scratch:
    """A block of bytes from those that rest, or new; it goes back to rest with its last view. See runtime.h.

    used: whether something is left in it from before; else it is all zeros.
    """

    cdef void *block
    cdef size_t bytes_
    cdef readonly bint used

    def __cinit__(self, size_t bytes_):
        cdef int used
        self.block = sv_scratch_take(bytes_, &used)
        if self.block == NULL:
            raise MemoryError(f"no memory for {bytes_} bytes")
        self.bytes_, self.used = bytes_, used

    def __dealloc__(self):
        if self.block != NULL:
            sv_scratch_give(self.block, self.bytes_)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.block, self.bytes_, 0, flags)


def scratch_resting():
    """Bytes of the blocks that rest until they are wanted again."""
    return sv_scratch_resting()


def scratch_release():
    """Give the blocks that rest back to the system."""
    sv_scratch_release()
