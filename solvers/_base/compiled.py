"""Functions that users have compiled: their addresses, for calls without the interpreter."""

from __future__ import annotations

import ctypes
from typing import Any

from scipy import LowLevelCallable


def address_of(function: Any) -> tuple[int, int | None] | None:
    """(address, address of the user's data) of a compiled function: a LowLevelCallable, or numba's cfunc."""
    if isinstance(function, LowLevelCallable):
        inner = function.function
        data = function.user_data
        return _pointer(inner), None if data is None else _pointer(data)
    if isinstance(getattr(function, "address", None), int):
        return function.address, None
    return None


def _pointer(thing: Any) -> int:
    if type(thing).__name__ == "PyCapsule":
        name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
        name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        return int(pointer(thing, name(thing)))
    found = ctypes.cast(thing, ctypes.c_void_p).value
    if found is None:
        raise ValueError("a LowLevelCallable without an address")
    return found
