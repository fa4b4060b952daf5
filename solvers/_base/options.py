"""Options of a method: declared once, as the fields of its solver class.

    @dataclass(frozen=True)
    class SinkhornNewtonSparse:
        warmup: int = option(20, "Sinkhorn sweeps before the first Newton step", low=0, unit="sweeps")

A string takes one of its `choices`; a number that may be a word too is declared as ``float | str``, with the words as
choices. From the declaration come the checks, the nearest spelling, the listing and the docs.
"""

from __future__ import annotations

import dataclasses
import numbers
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar

import numpy as np

from .errors import OptionError, nearest

T = TypeVar("T")

#: Types whose values tell all of themselves: equal ones of one type build the same solver.
PLAIN = frozenset((int, float, str, bool, type(None)))


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
    #: Words that it takes.
    choices: tuple[str, ...] = ()
    #: Whether the bounds themselves are outside.
    open: bool = False
    optional: bool = False

    @property
    def range(self) -> str:
        """The values it takes, in words."""
        if self.type is bool:
            return "True or False"
        if self.type is object:
            return "an object"
        words = [repr(word) for word in self.choices]
        if self.type is not str:
            equal = "" if self.open else "="
            low = "" if self.low is None else f">{equal} {self.low:g}"
            high = "" if self.high is None else f"<{equal} {self.high:g}"
            words.insert(0, " and ".join(b for b in (low, high) if b) or "any")
        return " or ".join([*words, "None"] if self.optional else words)

    def check(self, value: Any) -> Any:
        """The value as this option's type; OptionError where it does not fit."""
        if self.type is object or (value is None and self.optional):
            return value
        if isinstance(value, str) and self.choices:
            if value not in self.choices:
                raise OptionError(f"option {self.name!r} must be {self.range}, not {value!r}")
            return value
        kinds: dict[type, Any] = {int: numbers.Integral, float: numbers.Real, bool: (bool, np.bool_)}
        is_number = isinstance(value, kinds.get(self.type, self.type))
        if not is_number or (self.type is not bool and isinstance(value, bool)):
            raise OptionError(f"option {self.name!r} takes {self.type.__name__} ({self.range}), not {value!r}")
        if not self._within(value):
            raise OptionError(f"option {self.name!r} must be {self.range}, not {value!r}")
        return self.type(value)

    def _within(self, value: Any) -> bool:
        if value != value or (self.open and value in (self.low, self.high)):  # NaN is in no range
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def option(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    open: bool = False,
    choices: tuple[str, ...] = (),
    unit: str = "",
) -> Any:
    """A field of a solver class that users may set through ``options=``."""
    about = {"text": text, "low": low, "high": high, "open": open, "choices": choices, "unit": unit}
    return dataclasses.field(default=default, metadata=about)


@cache
def declared(solver: type) -> tuple[Option, ...]:
    """The options of a solver class, in the order of its fields."""
    hints = typing.get_type_hints(solver)
    found = []
    for field in dataclasses.fields(solver):
        hint = hints[field.name]
        kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        optional = type(None) in kinds
        # a number before the words it may be
        kind = min((t for t in kinds if t is not type(None)), key=lambda t: t is str)
        found.append(Option(field.name, kind, field.default, optional=optional, **field.metadata))
    return tuple(found)


@cache
def _default(solver: type[T]) -> T:
    """The solver without options: one object for all solves."""
    return solver()


def as_mapping(options: Any) -> Mapping[str, Any]:
    """What a call has got as `options`, none of them for None."""
    if options is not None and not isinstance(options, Mapping):
        raise OptionError(f"options must map names to values, not {options!r}")
    return {} if options is None else options


def build(solver: type[T], method: str, given: Mapping[str, Any] | None) -> T:
    """A solver with the given options, all checked before anything is evaluated."""
    frozen = solver.__dataclass_params__.frozen  # type: ignore[attr-defined]
    given = as_mapping(given)
    if not given:
        return _default(solver) if frozen else solver()  # type: ignore[arg-type]
    if frozen and all(type(value) in PLAIN for value in given.values()):
        known: T = _built(solver, method, tuple((n, type(v), v) for n, v in given.items()))  # type: ignore[arg-type]
        return known
    return _checked(solver, method, given)


@lru_cache(maxsize=256)
def _built(solver: type[T], method: str, given: tuple[tuple[str, type, Any], ...]) -> T:
    """One object for all solves with these options: a sequence asks for the same ones each time."""
    return _checked(solver, method, {name: value for name, _, value in given})


def _checked(solver: type[T], method: str, given: Mapping[str, Any]) -> T:
    known = {o.name: o for o in declared(solver)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise OptionError(f"method {method!r} has no option {name!r}{nearest(name, known)}")
    return solver(**{name: known[name].check(value) for name, value in given.items()})
