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
