"""A program of a batch solved by itself: what its compiled routes leave has further starts in `minimize`."""

from __future__ import annotations

import copy
import ctypes
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import LowLevelCallable

from .._base.result import Status
from ._result import MinimizeResult
from ._solve import minimize

Array = npt.NDArray[Any]


def left(status: Array, linear: bool) -> list[int]:
    """The programs that further starts may solve: on the rows alone where they curve, with room about equations."""
    worth = [Status.STAGNATION] if linear else [Status.STAGNATION, Status.LOCALLY_INFEASIBLE]
    return [int(k) for k in np.flatnonzero(np.isin(status, worth))]


def alone(
    functions: tuple[Any, Any, Any],
    x0: Array,
    data: Array | None,
    limits: tuple[Array, Array],
    constraints: list[tuple[Any, int]],
    rows: tuple[Array, Array],
    **more: Any,
) -> MinimizeResult:
    """One program: its start, user_data and bounds; constraints with their numbers of rows, and all sides."""
    fun, jac, hess = (_with(function, data) for function in functions)
    own, first = [], 0
    for given, count in constraints:
        one = copy.copy(given)
        one.lb, one.ub = (side[first : first + count] for side in rows)
        first += count
        if not hasattr(one, "A"):
            one.fun, one.jac, one.hess = (_with(getattr(given, part), data) for part in ("fun", "jac", "hess"))
        own.append(one)
    bounds = list(zip(*limits, strict=True)) if np.isfinite(limits).any() else None
    found = minimize(fun, x0, jac=jac, hess=hess, bounds=bounds, constraints=own, threads=1, **more)
    return cast(MinimizeResult, found)


def _with(function: Any, data: Array | None) -> Any:
    """The compiled function with the address of these numbers as its user_data."""
    if data is None:
        return function
    return LowLevelCallable(getattr(function, "function", None) or function.ctypes, ctypes.c_void_p(data.ctypes.data))
