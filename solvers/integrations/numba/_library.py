"""The C library's functions, for ctypes and for Numba."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import llvmlite.binding
from numba import types

from ..._base._runtime import library_path

#: The library that Python runs.
LIBRARY = ctypes.CDLL(os.fsdecode(library_path()))
LIBRARY.sv_last_error.restype = ctypes.c_char_p


def external(name: str, returns: Any, *arguments: Any) -> types.ExternalFunction:
    """A function of the library as compiled code calls it.

    It is bound by its name, so that code which Numba kept on disk finds it in another process: the name must have been
    announced there, too, when Numba's extensions were loaded.
    """
    llvmlite.binding.add_symbol(name, ctypes.cast(getattr(LIBRARY, name), ctypes.c_void_p).value)
    return types.ExternalFunction(name, returns(*arguments))


def done(status: int) -> None:
    """Raise what a call from Python was refused for."""
    if status < 0:
        raise ValueError(LIBRARY.sv_last_error().decode())
