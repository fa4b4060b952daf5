"""The registry: one `Method` record a method, and everything that follows from it.

A method is declared at the end of its own file:

    METHOD = register(Method(name="sinkhorn", family="ot", solver=Sinkhorn, ...))

Dispatch by ``method="..."``, the listing of ``python -m solvers methods``, the checks of options and the
contract tests read that record; there is no second list. Other packages register theirs through the
entry-point group ``solvers.methods``: an entry point is a `Method`.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from .errors import MethodError, nearest
from .options import Option, declared

#: The sub-packages that register methods when they are imported.
FAMILIES = ("equilibrium", "learning", "linalg", "optimize", "ot")

_registry: dict[tuple[str, str], Method] = {}


@dataclass(frozen=True)
class Method:
    """The one declaration of a method.

    Parameters
    ----------
    name : str
        What users pass as ``method=``, in kebab-case.
    family : str
        The sub-package whose problems it solves.
    summary : str
        One sentence.
    reference : str
        Authors, year, title, identifier.
    solver : type
        A frozen dataclass; its fields are the options, and it has ``init, step, done, finish``
        (see `solvers._base.iterate.Solver`).
    capabilities : frozenset of str
        What the method can serve. A problem names what it needs; a method that lacks one of those
        words is refused before anything is evaluated.
    """

    name: str
    family: str
    summary: str
    reference: str
    solver: type[Any]
    capabilities: frozenset[str] = frozenset()

    @property
    def options(self) -> tuple[Option, ...]:
        """The options, read from the fields of the solver class."""
        return declared(self.solver)  # type: ignore[arg-type]


def register(method: Method) -> Method:
    """Enter a method; its name must be free, and its record complete."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", method.name):
        raise MethodError(f"{method.name!r} is not a kebab-case name")
    missing = [part for part in ("init", "step", "done", "finish") if not callable(getattr(method.solver, part, None))]
    if missing or not (method.summary and method.reference):
        raise MethodError(f"the record of {method.name!r} is incomplete: {', '.join(missing) or 'summary, reference'}")
    if _registry.setdefault((method.family, method.name), method) is not method:
        raise MethodError(f"family {method.family!r} has a method {method.name!r} already")
    return method


@cache
def _load_plugins() -> None:
    for point in entry_points(group="solvers.methods"):
        try:
            register(point.load())
        except Exception as error:  # a broken plug-in must not break the library
            warnings.warn(f"plug-in {point.name!r} is skipped: {error}", RuntimeWarning, stacklevel=3)


def methods(family: str | None = None) -> list[Method]:
    """All registered methods, or those of one family, in the order of family and name.

    Raises
    ------
    MethodError
        A family that has no methods.
    """
    for name in FAMILIES:
        importlib.import_module(f"solvers.{name}")
    _load_plugins()
    families = {key[0] for key in _registry}
    if family is not None and family not in families:
        raise MethodError(f"there are no methods of a family {family!r}{nearest(family, families)}")
    return [m for key, m in sorted(_registry.items()) if family in (None, key[0])]


def lookup(family: str, name: str, needs: Iterable[str] = ()) -> Method:
    """The method of that name, if it serves a problem that needs these capabilities."""
    if not isinstance(name, str):
        raise MethodError(f"method must be a name, not {name!r}")
    if (family, name) not in _registry:
        _load_plugins()
    if (family, name) not in _registry:
        known = [m.name for m in methods(family)]
        raise MethodError(f"family {family!r} has no method {name!r}{nearest(name, known)}")
    method = _registry[family, name]
    if not method.capabilities.issuperset(needs):
        missing = sorted(set(needs) - method.capabilities)
        able = [m.name for m in methods(family) if m.capabilities >= set(needs)]
        raise MethodError(
            f"method {name!r} cannot serve this problem: it lacks {', '.join(missing)}; "
            f"methods that have it: {', '.join(able[:3]) or 'none'}"
        )
    return method
