"""Right-hand sides so large or so small that squares leave the range of floats: counted in a power of two."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .._base.result import SolveResult, Status
from . import _kernels
from ._problem import LinearResult, Matrix, norm

Array = npt.NDArray[Any]
Result = TypeVar("Result", bound=LinearResult)

#: Norms of a right-hand side between which the squares of its numbers, and of those of small residuals, are exact.
SMALLEST, LARGEST = _kernels.SMALLEST, 1 / _kernels.SMALLEST


def unit_of(b: Array, size: float) -> float:
    """What b is to be counted in: nearly always 1. size: its norm, which may have overflowed or vanished."""
    if SMALLEST <= size <= LARGEST:
        return 1.0
    largest = float(np.abs(b).max(initial=0.0))
    # neither zeros nor what is no number get better by it
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if 0 < largest < math.inf else 1.0


def start_in(unit: float, x0: Array, A: Matrix, b: Array) -> Array:
    """The start in this unit, as b is; zeros where it is so far off that its residual overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.asarray(x0 / unit)
        near = math.isfinite(norm(A.residual(b, scaled)))
    return scaled if near else np.zeros_like(x0)


def callback_in(unit: float, callback: Callable[[SolveResult], Any]) -> Callable[[SolveResult], Any]:
    """The user's callback, for iterates in this unit."""
    return lambda seen: callback(seen.changed(x=seen.x * unit, measure=seen.measure * unit))


def out_of(unit: float, result: Result, A: Matrix, tol: float) -> Result:
    """The result in the user's numbers, judged anew: x may have overflowed there, or vanished. tol: in this unit."""
    found = np.ascontiguousarray(result.x).view(np.float64)  # a complex product has more to overflow
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        scaled = found * unit
        lost = scaled / unit - found
        left = result.measure + (norm(A.residual(np.zeros(A.size), lost)) if lost.any() else 0.0)
    status = result.status
    if result.success and not left <= tol:
        status = Status.STAGNATION if math.isfinite(left) else Status.NONFINITE
    message = result.message if status is result.status else status.sentence
    return result.changed(
        x=scaled.view(result.x.dtype), measure=left * unit, residual_norm=left * unit, message=message, status=status,
        success=status is Status.CONVERGED, history={**result.history, **_scaled(result.history, "measure", unit)},
        stats={**result.stats, **_scaled(result.stats, "projected", unit)},
    )  # fmt: skip


def _scaled(numbers: dict[str, Any], name: str, unit: float) -> dict[str, Any]:
    return {name: numbers[name] * unit} if name in numbers else {}
