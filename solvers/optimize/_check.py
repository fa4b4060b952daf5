"""The user's derivatives against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from ._constraints import Steps
from ._curvature import is_operator, is_strategy
from ._differences import Differences
from ._pieces import Objective, Rows

Array = npt.NDArray[Any]

#: How far they may be apart, relative to the largest entry of their row and at least 1.
APART = 1e-4


def check_derivatives(f: Objective, rows: list[Rows], x: Array, steps: Steps) -> None:
    """ValueError that names the worst entry where a derivative at x is not what central differences say."""
    by = steps.by("3-point")
    if not isinstance(f.jac, Differences):
        _compare("jac", f.derivative(x), by(f.value, x, f.value(x)))
    for r in rows:
        if not r.linear and not isinstance(r.jac, Differences):
            _compare(f"{r.name}.jac", r.derivative(x), by(r.value, x, r.value(x)))
    _compare_curvature("hess", f, 1.0, x, by)
    for r in rows:
        _compare_curvature(f"{r.name}.hess", r, np.ones(r.m), x, by)


def _compare_curvature(name: str, piece: Any, w: Any, x: Array, by: Differences) -> None:
    own = piece.curvature
    if (
        own is None
        or piece.approximated
        or isinstance(piece.jac, Differences)
        or isinstance(own.given, Differences)
        or is_strategy(own.given)
    ):
        return
    H = own(x, w)
    if is_operator(H):
        H = np.array([H @ column for column in np.eye(len(x))]).T

    def slope(z: Array) -> Any:
        return piece.pull(piece.slopes(z), w)

    _compare(name, H, by(slope, x, slope(x)))


def _compare(name: str, given: Any, expected: Array) -> None:
    given = given.toarray() if scipy.sparse.issparse(given) else np.asarray(given)
    apart = np.abs(given - expected)
    size = np.maximum(1.0, np.maximum(np.abs(given), np.abs(expected)).max(axis=-1, keepdims=True, initial=0.0))
    bad = ~(apart <= APART * size)
    if not bad.any():
        return
    worst = np.unravel_index(int(np.argmax(np.where(bad, np.nan_to_num(apart / size, nan=np.inf), -1.0))), apart.shape)
    place = ", ".join(str(int(k)) for k in worst)
    raise ValueError(
        f"{name} is not the derivative at x0: entry [{place}] is {given[worst]:.8g}, differences give "
        f"{expected[worst]:.8g} ({int(bad.sum())} of {bad.size} entries are apart)"
    )
