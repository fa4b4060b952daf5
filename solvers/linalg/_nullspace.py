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


def centred(result: LinearResult, problem: LinearProblem) -> LinearResult:
    """The result with x of mean zero, its residual formed anew."""
    x = result.x - result.x.mean()
    left = norm(problem.A.residual(problem.b, x))
    status = Status.STAGNATION if result.success and left > problem.tol else result.status
    return replace(
        result, x=x, measure=left, residual_norm=left, success=status is Status.CONVERGED, status=status,
        message=result.message if status is result.status else status.sentence,
    )  # fmt: skip


def with_hint(result: LinearResult, problem: LinearProblem) -> LinearResult:
    """The result of a solve that failed; its message says so where the reason is that no x gives b."""
    A, b = problem.A, problem.b
    failed = result.status in (Status.DIVERGED, Status.STAGNATION, Status.MAX_ITER)
    if problem.nullspace is not None or not failed or A.capability == "complex-matrix":
        return result
    with np.errstate(over="ignore", invalid="ignore"):
        off, lost = norm(A.residual(np.zeros(A.size), np.ones(A.size))), abs(b.sum()) / np.sqrt(A.size)
    if off <= SLACK * norm(A.operand("natural").diagonal) and lost > problem.tol and is_symmetric(A):
        hint = f"A @ ones = 0, and no x gives the part of b along the constants (norm {lost:.3g}): see nullspace="
        return replace(result, message=f'{result.message} {hint}"constant".')
    return result
