"""Functions that users have compiled: their addresses, for calls without the interpreter."""

from __future__ import annotations

from typing import Any

from scipy import LowLevelCallable

from ._runtime import held_by


def address_of(function: Any) -> tuple[int, int | None] | None:
    """(address, address of the user's data) of a compiled function: a LowLevelCallable, or numba's cfunc."""
    if isinstance(function, LowLevelCallable):
        return held_by(function)
    address = getattr(function, "address", None)
    return (address, None) if isinstance(address, int) else None
