"""Functions that users have compiled: their addresses, for calls without the interpreter."""

from __future__ import annotations

from typing import Any

from scipy import LowLevelCallable

from ._runtime import held_by


def address_of(function: Any) -> tuple[int, int | None] | None:
    """(address, address of the user's data) of a compiled function: a LowLevelCallable, or numba's cfunc."""
    if isinstance(function, LowLevelCallable):
        # its first item is a capsule of the address, whatever it was made from, with the data as context
        held, data = held_by(tuple.__getitem__(function, 0))
        return held, data or None
    address = getattr(function, "address", None)
    return (address, None) if isinstance(address, int) else None
