"""The C interface as a C program sees it: the shared library through its header's functions, by ctypes."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

import solvers

LIBRARY = ctypes.CDLL(next(str(path) for path in sorted(Path(solvers.get_library_dir()).glob("libsolvers*.so*"))))
LIBRARY.sv_last_error.restype = ctypes.c_char_p
LIBRARY.sv_status_string.restype = ctypes.c_char_p

DOUBLES = ctypes.POINTER(ctypes.c_double)


class Progress(ctypes.Structure):
    """sv_progress."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("nit", ctypes.c_int64), ("measure", ctypes.c_double),
        ("seconds", ctypes.c_double), ("x", DOUBLES), ("x_size", ctypes.c_size_t),
    )  # fmt: skip


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Progress))


class Control(ctypes.Structure):
    """sv_control."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("max_iter", ctypes.c_int64), ("time_limit", ctypes.c_double),
        ("threads", ctypes.c_int), ("callback", CALLBACK), ("user", ctypes.c_void_p),
    )  # fmt: skip

    def __init__(self, max_iter=-1, time_limit=-1.0, threads=1, callback=None):
        super().__init__(ctypes.sizeof(Control), max_iter, time_limit, threads, callback or CALLBACK(), None)


class Report(ctypes.Structure):
    """sv_report."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("status", ctypes.c_int), ("nit", ctypes.c_int64),
        ("measure", ctypes.c_double), ("seconds", ctypes.c_double),
    )  # fmt: skip

    def __init__(self):
        super().__init__(ctypes.sizeof(Report))


def doubles(array):
    """The address of an array of float64 that the caller keeps alive."""
    assert array.dtype == np.float64
    assert array.flags.c_contiguous
    return array.ctypes.data_as(DOUBLES)


def last_error():
    """What the last refused call of this thread said."""
    return LIBRARY.sv_last_error().decode()
