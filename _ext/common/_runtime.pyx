# cython: freethreading_compatible=True
"""Binding of the library's run-time settings: version, instruction-set level, threads."""

cdef extern from "solvers.h" nogil:
    const char *sv_version_string()
    const char *sv_isa()
    const char *sv_isa_available()
    const char *sv_sanitizer()
    int sv_get_num_threads()
    void sv_set_num_threads(int threads)


def build_info():
    """What the library is and how it runs."""
    return {
        "version": sv_version_string().decode(),
        "isa": sv_isa().decode(),
        "isa_available": sv_isa_available().decode(),
        "sanitizer": sv_sanitizer().decode(),
    }


def get_num_threads():
    """Threads of a call that names none."""
    return sv_get_num_threads()


def set_num_threads(int threads):
    """Set the threads of calls that name none."""
    sv_set_num_threads(threads)
