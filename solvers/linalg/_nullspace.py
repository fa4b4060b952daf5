"""Singular systems whose null space is the constants, such as those of pure Neumann problems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.result import Status
from ._problem import LinearProblem, LinearResult, Matrix, norm
from ._symmetry import is_symmetric

Array = npt.NDArray[Any]

#: How large A @ ones may be in parts of the diagonal, for the rounding of whoever assembled A.
SLACK = 1e-10


def without_constants(A: Matrix, b: Array, nullspace: str | None) -> Array:
    """b less its mean, which lies in the range of A; ValueError where the constants are not A's null space."""
    if nullspace == "components":
        raise ValueError("nullspace='components' is for a GridOperator and the method 'multilevel-cg'")
    if nullspace != "constant":
        raise ValueError(f"nullspace must be None, 'constant' or 'components', not {nullspace!r}")
    off = norm(A.residual(np.zeros(A.size), np.ones(A.size)))
    if not (off <= SLACK * norm(A.operand("natural").diagonal) and is_symmetric(A)):
        raise ValueError("nullspace='constant' is for a real, symmetric A with A @ ones = 0")
    return np.asarray(b - b.mean())


def centred(result: LinearResult, problem: LinearProblem, whole: Array) -> LinearResult:
    """The result with x of mean zero, its residual formed anew. whole: b with its mean."""
    x = result.x - result.x.mean()
    left = norm(problem.A.residual(problem.b, x))
    status = Status.STAGNATION if result.success and left > problem.tol else result.status
    return replace(
        result, x=x, measure=left, residual_norm=left, success=status is Status.CONVERGED, status=status,
        message=result.message if status is result.status else status.sentence,
        stats={**result.stats, "projected": norm(whole - problem.b)},
    )  # fmt: skip


def explained(result: LinearResult, problem: LinearProblem) -> LinearResult:
    """The result, whose message tells of what no x gives: what was left out of b, or why the solve failed."""
    if problem.nullspace is not None:
        left_out = result.stats.get("projected", 0.0)
        size = left_out * problem.unit
        about = f"A part of b of norm {size:.3g}, which no x gives, was left out." if left_out > problem.tol else ""
    else:
        about = "" if result.success else _missing(result, problem)
    return replace(result, message=f"{result.message} {about}") if about else result


def _missing(result: LinearResult, problem: LinearProblem) -> str:
    """Why a solve failed, where the constants are the reason."""
    A, b = problem.A, problem.b
    failed = result.status in (Status.DIVERGED, Status.STAGNATION, Status.MAX_ITER)
    if not failed or A.capability == "complex-matrix":
        return ""
    with np.errstate(over="ignore", invalid="ignore"):
        off, lost = norm(A.residual(np.zeros(A.size), np.ones(A.size))), abs(b.sum()) / np.sqrt(A.size)
    if not (off <= SLACK * norm(A.operand("natural").diagonal) and lost > problem.tol and is_symmetric(A)):
        return ""
    about = f"A @ ones = 0, and no x gives the part of b along the constants (norm {lost * problem.unit:.3g})"
    return f'{about}: see nullspace="constant".'
