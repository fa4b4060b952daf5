"""The record of a learner, and the list of them: each is declared once, at the end of its own file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.errors import MethodError, nearest
from .._base.options import Option, declared

Array = npt.NDArray[Any]

#: What can be done about costs that change over time.
DRIFTS = ("auto", "discount", "window", "reset")


@dataclass(frozen=True, eq=False)
class Arms:
    """What a learner chooses from, and for."""

    count: int
    #: Where the arms lie on a scale over which costs vary smoothly, in [0, 1]; None where they have no order.
    places: Array | None
    #: The ends of the contexts.
    context: tuple[float, float] | None
    drift: str | None


class Core(NamedTuple):
    """What the compiled learner is made of: see the C file of that kind."""

    kind: str
    settings: Array
    tables: Array


@dataclass(frozen=True)
class Learner:
    """The one declaration of a learner.

    Parameters
    ----------
    name : str
        What users pass as ``learner=``.
    summary, reference : str
        One sentence; authors, year, title, identifier.
    settings : type
        A frozen dataclass whose fields are the options, with ``core(arms) -> Core``.
    contextual : bool
        Whether it takes a context, and needs it.
    drifts : frozenset of str
        Which values of ``drift=`` it knows.
    ordered : bool
        Whether the arms must lie on a scale.
    floor : bool
        Whether costs count from the least possible one; else their logarithm is learned.
    """

    name: str
    summary: str
    reference: str
    settings: type[Any]
    contextual: bool = False
    drifts: frozenset[str] = frozenset()
    ordered: bool = False
    floor: bool = True

    #: Where `python -m solvers methods` lists it.
    family: ClassVar[str] = "learner"

    @property
    def options(self) -> tuple[Option, ...]:
        """The options, read from the fields of the settings."""
        return declared(self.settings)  # type: ignore[arg-type]


_registry: dict[str, Learner] = {}


def register(learner: Learner) -> Learner:
    """Enter a learner; its name must be free."""
    if _registry.setdefault(learner.name, learner) is not learner:
        raise MethodError(f"there is a learner {learner.name!r} already")
    return learner


def learners() -> list[Learner]:
    """All learners that tuners may use, by name."""
    return [_registry[name] for name in sorted(_registry)]


def lookup(name: str, arms: Arms) -> Learner:
    """The learner of that name, if it serves these arms."""
    if name not in _registry:
        raise MethodError(f"there is no learner {name!r}{nearest(name, _registry)}")
    learner = _registry[name]
    if learner.contextual and arms.context is None:
        raise MethodError(f"learner {name!r} needs context=(low, high)")
    if arms.context is not None and not learner.contextual:
        able = ", ".join(repr(known.name) for known in learners() if known.contextual)
        raise MethodError(f"learner {name!r} takes no context; those that do: {able}")
    if arms.drift is not None and arms.drift not in learner.drifts:
        known = ", ".join(repr(drift) for drift in DRIFTS if drift in learner.drifts) or "none"
        raise MethodError(f"learner {name!r} does not know drift={arms.drift!r}; it knows: {known}")
    if learner.ordered and arms.places is None:
        raise MethodError(f"learner {name!r} is for arms on a scale, such as omega; these are names")
    return learner


def no_tables() -> Array:
    """For kinds that have none."""
    return np.empty(0)
