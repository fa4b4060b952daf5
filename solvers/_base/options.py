"""Options of a method: declared once, as the fields of its solver class.

    @dataclass(frozen=True)
    class SinkhornNewtonSparse:
        warmup: int = option(20, "Sinkhorn sweeps before the first Newton step", low=0, unit="sweeps")

From the declaration come the checks, the nearest spelling, the listing and the docs.
"""

from __future__ import annotations

import dataclasses
import numbers
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from .errors import OptionError, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """One option of a method."""

    name: str
    type: type
    default: Any
    text: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    optional: bool = False

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        if self.type is bool:
            return "True or False"
        low = "" if self.low is None else f">= {self.low:g}"
        high = "" if self.high is None else f"<= {self.high:g}"
        bounds = " and ".join(b for b in (low, high) if b) or "any"
        return f"{bounds} or None" if self.optional else bounds

    def check(self, value: Any) -> Any:
        """The value as this option's type; OptionError where it does not fit."""
        if value is None and self.optional:
            return None
        kinds: dict[type, Any] = {int: numbers.Integral, float: numbers.Real}
        is_number = isinstance(value, kinds.get(self.type, self.type))
        if not is_number or (self.type is not bool and isinstance(value, bool)):
            raise OptionError(f"option {self.name!r} takes {self.type.__name__} ({self.range}), not {value!r}")
        if (self.low is not None and not value >= self.low) or (self.high is not None and not value <= self.high):
            raise OptionError(f"option {self.name!r} must be {self.range}, not {value!r}")
        return self.type(value)


def option(default: Any, text: str, *, low: float | None = None, high: float | None = None, unit: str = "") -> Any:
    """A field of a solver class that users may set through ``options=``."""
    return dataclasses.field(default=default, metadata={"text": text, "low": low, "high": high, "unit": unit})


@cache
def declared(solver: type) -> tuple[Option, ...]:
    """The options of a solver class, in the order of its fields."""
    hints = typing.get_type_hints(solver)
    found = []
    for field in dataclasses.fields(solver):
        hint = hints[field.name]
        optional = isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
        kind = next(t for t in typing.get_args(hint) if t is not type(None)) if optional else hint
        found.append(Option(field.name, kind, field.default, optional=optional, **field.metadata))
    return tuple(found)


def build(solver: type[T], method: str, given: Mapping[str, Any] | None) -> T:
    """A solver with the given options, all checked before anything is evaluated."""
    known = {o.name: o for o in declared(solver)}  # type: ignore[arg-type]
    for name in given or {}:
        if name not in known:
            raise OptionError(f"method {method!r} has no option {name!r}{nearest(name, known)}")
    return solver(**{name: known[name].check(value) for name, value in (given or {}).items()})
