"""Bounds and constraints in all forms that `scipy.optimize.minimize` takes, read as pieces of a program.

SciPy's objects are known by their attributes: nothing of scipy.optimize is loaded for them.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.compiled import address_of
from .._base.errors import nearest
from ._curvature import Curvature, is_strategy
from ._differences import STEPS, Differences, coloured, is_scheme
from ._function import rows_functions
from ._pieces import LinearRows, Rows, broadcast, sides

Array = npt.NDArray[Any]

#: What takes the place of a derivative that nobody has asked for in particular.
DEFAULT_SCHEME = "3-point"
#: Bounds that are none are kept for up to so many variables.
FEW = 64


# ---- bounds --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Box:
    """Bounds of the variables, and which of them must hold from the start."""

    lower: Array
    upper: Array
    #: Of each variable; None: of none.
    keep: Array | None = None

    @cached_property
    def within(self) -> Callable[[Array], Array]:
        """A copy of a point, moved within the bounds; complex steps have no order, and stay as they are."""
        if np.isinf(self.lower).all() and np.isinf(self.upper).all():
            return np.ndarray.copy
        lower, upper = self.lower, self.upper
        return lambda x: np.minimum(np.maximum(x, lower), upper) if x.dtype.kind == "f" else x.copy()

    def start(self, x0: Array) -> Array:
        """x0, moved within the bounds; a warning where the user wanted it there."""
        if self.within is np.ndarray.copy:
            return x0.copy()
        inside = np.minimum(np.maximum(x0, self.lower), self.upper)
        if self.keep is not None and (self.keep & (inside != x0)).any():
            i = int(np.flatnonzero(self.keep & (inside != x0))[0])
            warnings.warn(
                f"x0[{i}] = {x0[i]:g} is outside bounds that are to be kept feasible: the solve starts within them",
                UserWarning,
                stacklevel=4,
            )
        return inside


def box(bounds: Any, n: int) -> Box:
    """Of None, of SciPy's Bounds, or of a sequence of pairs in which None is no bound."""
    if bounds is None:
        return _free(n) if n <= FEW else Box(np.full(n, -np.inf), np.full(n, np.inf))
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        low, high, _ = sides(bounds.lb, bounds.ub, n, "bounds")
        return Box(low, high, broadcast(getattr(bounds, "keep_feasible", False), n, "bounds.keep_feasible", bool))
    try:
        pairs = [(low, high) for low, high in bounds]
    except (TypeError, ValueError):
        raise ValueError("bounds must be a scipy.optimize.Bounds or a sequence of pairs (low, high)") from None
    if len(pairs) != n:
        raise ValueError(f"bounds must have {n} pairs, one for each variable, not {len(pairs)}")
    lower = [-np.inf if a is None else _number(a) for a, _ in pairs]
    upper = [np.inf if b is None else _number(b) for _, b in pairs]
    return Box(*sides(lower, upper, n, "bounds")[:2])


@cache
def _free(n: int) -> Box:
    """No bounds on a few variables: made once, since that takes as long as some iterations."""
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    lower.flags.writeable = upper.flags.writeable = False
    return Box(lower, upper)


def _number(value: Any) -> float:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.size != 1:
        raise ValueError(f"bounds must be pairs of numbers or None, not {value!r}")
    return float(array.item())


# ---- constraints ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Steps:
    """How differences are taken in this program where they are."""

    box: Box
    relative: Any = None
    absolute: Any = None
    #: The pattern of Hessians and the colours of its columns, where the user tells them.
    hessians: tuple[scipy.sparse.csr_array, Array] | None = None

    def twice(self, scheme: str) -> Differences:
        """The differences of a scheme, for Hessians."""
        pattern, colours = self.hessians or (None, None)
        return self.by(scheme, pattern=pattern, colours=colours)

    def by(self, scheme: str, **changes: Any) -> Differences:
        """The differences of a scheme."""
        given = Differences(scheme, self.box.lower, self.box.upper, self.relative, self.absolute)
        return dataclasses.replace(given, **changes) if changes else given


def read(constraints: Any, x0: Array, steps: Steps, scheme: str) -> list[Rows]:
    """The constraints of one object or of a sequence of them; `scheme` serves those without a Jacobian."""
    if _is_one(constraints):
        return [_one(constraints, x0, steps, scheme, "constraints")]
    try:
        several = list(constraints)
    except TypeError:
        raise TypeError(f"constraints must be dicts or scipy.optimize's objects, not {constraints!r:.60}") from None
    return [_one(given, x0, steps, scheme, f"constraints[{k}]") for k, given in enumerate(several)]


def _is_one(given: Any) -> bool:
    return isinstance(given, Mapping) or hasattr(given, "lb")


def _one(given: Any, x0: Array, steps: Steps, scheme: str, name: str) -> Rows:
    if isinstance(given, Mapping):
        return _of_dict(given, x0, steps, scheme, name)
    if hasattr(given, "A"):
        rows: Rows = LinearRows(given.A, len(x0), name)
        rows.limit(given.lb, given.ub, getattr(given, "keep_feasible", False), x0)
        return _kept(rows, x0)
    fun = getattr(given, "fun", None)
    if callable(fun) or address_of(fun) is not None:
        return _nonlinear(given, x0, steps, name)
    raise TypeError(f"{name} must be a dict, a LinearConstraint or a NonlinearConstraint, not {given!r:.60}")


def _of_dict(given: Mapping[str, Any], x0: Array, steps: Steps, scheme: str, name: str) -> Rows:
    kind = given.get("type")
    if not isinstance(kind, str) or kind.lower() not in ("eq", "ineq"):
        raise ValueError(f"{name}['type'] must be 'eq' or 'ineq', not {kind!r}")
    if not callable(given.get("fun")):
        raise ValueError(f"{name}['fun'] must be callable, not {given.get('fun')!r}")
    args = given.get("args", ())
    args = args if isinstance(args, tuple) else (args,)
    jac = given.get("jac")
    if jac is None or jac is False:
        jac = scheme
    fun = _with(given["fun"], args)
    rows = Rows(fun, _derivative(_with(jac, args), steps, f"{name}['jac']"), len(x0), name)
    rows.within = steps.box.within
    rows.limit(0.0, 0.0 if kind.lower() == "eq" else np.inf, False, x0)
    return rows


def _nonlinear(given: Any, x0: Array, steps: Steps, name: str) -> Rows:
    relative = getattr(given, "finite_diff_rel_step", None)
    own = steps if relative is None else dataclasses.replace(steps, relative=relative)
    raw = given.fun, getattr(given, "jac", DEFAULT_SCHEME), getattr(given, "hess", None)
    # a compiled function does not tell how many rows it has: the sides do
    fun, jac, hess = rows_functions(*raw, max(np.size(given.lb), np.size(given.ub)))
    jac = _derivative(jac, own, f"{name}.jac")
    rows = Rows(fun, jac, len(x0), name)
    rows.raw, rows.within = raw, steps.box.within
    rows.limit(given.lb, given.ub, getattr(given, "keep_feasible", False), x0)
    pattern = getattr(given, "finite_diff_jac_sparsity", None)
    if pattern is not None and isinstance(jac, Differences):
        shape, named = (rows.total, len(x0)), f"{name}.finite_diff_jac_sparsity"
        held, colours = coloured(pattern, shape, named)
        if rows.places is not None:
            held, colours = coloured(held[rows.places], (rows.m, len(x0)), named)
        rows.jac = dataclasses.replace(jac, pattern=held, colours=colours)
    rows.curvature = curvature(hess, rows, own, f"{name}.hess", _spread(hess, rows))
    return _kept(rows, x0)


def _spread(given: Any, rows: Rows) -> Callable[[Array, Array], Any]:
    """The user's Hessian of y'c, for multipliers of the rows that the program has."""

    calls, places, total = rows.calls, rows.places, rows.total  # but not the rows, which will hold this function

    def hess(x: Array, y: Array) -> Any:
        calls.nhev += 1
        v = y.copy()
        if places is not None:
            v = np.zeros(total)
            v[places] = y
        return given(x.copy(), v)

    return hess


def _with(fun: Any, args: tuple[Any, ...]) -> Any:
    return fun if not args or not callable(fun) else lambda x: fun(x, *args)


def _kept(rows: Rows, x0: Array) -> Rows:
    """ValueError where the start violates rows that are to be kept feasible, as SciPy has it."""
    if rows.keep.any() and not rows.feasible(x0):
        raise ValueError(f"{rows.name}: x0 violates rows that keep_feasible asks to hold throughout")
    return rows


# ---- derivatives of a piece ----------------------------------------------------------------------


def _derivative(jac: Any, steps: Steps, name: str) -> Any:
    """A callable as it is, or the differences that the word names."""
    if is_scheme(jac):
        return steps.by(jac)
    if isinstance(jac, str):
        raise ValueError(f"{name} must be callable or a scheme of differences, not {jac!r}{nearest(jac, STEPS)}")
    if not callable(jac):
        raise TypeError(f"{name} must be callable or a scheme of differences, not {type(jac).__name__}")
    return jac


def curvature(hess: Any, piece: Any, steps: Steps, name: str, call: Any) -> Curvature | None:
    """What makes the piece's Hessian; None where it is left to the program's approximation."""
    if hess is None or _is_default(hess, piece):
        return None
    if is_scheme(hess):
        if isinstance(piece.jac, Differences):
            raise ValueError(
                f"{name} cannot be taken by differences ({hess!r}) of a derivative that is itself one: pass jac, or "
                "leave the Hessian to quasi-Newton updates"
            )
        return Curvature(steps.twice(hess), piece, name)
    if is_strategy(hess):
        return Curvature(hess, piece, name)
    if not callable(hess):
        words = f"must be callable, a scheme of differences or a HessianUpdateStrategy, not {hess!r:.60}"
        raise ValueError(f"{name} {words}{nearest(hess, STEPS) if isinstance(hess, str) else ''}")
    return Curvature(call, piece, name)


def _is_default(hess: Any, piece: Any) -> bool:
    """A constraint's hess=BFGS() is what NonlinearConstraint puts there where its user says nothing."""
    if isinstance(piece, Rows) and type(hess).__name__ == "BFGS":
        return bool(hess.exception_strategy == "skip_update" and hess.min_curvature == 1e-8)
    return False
