"""States of solvers: plain dataclasses of arrays and scalars, replaced step by step."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def replace(state: T, **changes: Any) -> T:
    """A copy of a dataclass instance with some fields changed, in a microsecond.

    `dataclasses.replace` looks at every field anew and calls ``__init__``: for a state of thirty fields it takes as
    long as a pass over a small problem.
    """
    if not changes.keys() <= state.__dict__.keys():
        raise TypeError(f"{type(state).__name__} has no field {sorted(changes.keys() - state.__dict__.keys())[0]!r}")
    new = object.__new__(type(state))
    new.__dict__.update(state.__dict__, **changes)
    return new


def made(kind: type[T], **fields: Any) -> T:
    """A dataclass instance of all its fields, without ``__init__``, which a frozen class makes slow."""
    new = object.__new__(kind)
    new.__dict__.update(fields)
    return new
