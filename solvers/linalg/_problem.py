"""The checked linear system and the result of a solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.result import SolveResult, Status
from ._matrix import Plan

Array = npt.NDArray[Any]

#: Multiply-adds that one step of a method may take, so that Ctrl-C, limits and the log are served between steps.
STEP_WORK = 20_000_000


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LinearResult(SolveResult):
    """Result of a linear solve: a `SolveResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The solution.
    residual_norm : float
        ``norm(b - A @ x)``, recomputed in float64 from the returned x; equal to `measure`.
    """

    residual_norm: float


@dataclass(frozen=True, eq=False, repr=False)
class LinearProblem:
    """A linear system, ready for the methods."""

    plan: Plan
    b: Array
    x0: Array
    #: What the residual's 2-norm must come down to.
    tol: float
    max_iter: int
    #: Whether every iteration is a step of its own.
    every: bool
    threads: int

    def __repr__(self) -> str:
        return f"<{self.title}>"

    @property
    def needs(self) -> frozenset[str]:
        """The capability that a method must have."""
        return frozenset({"sparse-matrix"})

    @property
    def stats(self) -> dict[str, Any]:
        return {"copies": self.plan.copies}

    @property
    def title(self) -> str:
        return f"{self.plan.size} unknowns, {self.plan.matrix.nnz} entries, tol {self.tol:g}"

    def most(self, nit: int) -> int:
        """Iterations that the next step may make."""
        fits = 1 if self.every else max(1, STEP_WORK // (self.plan.matrix.nnz + 8 * self.plan.size))
        return min(fits, self.max_iter - nit)

    def answer(self, state: Any) -> Array:
        """The iterate of a state."""
        x: Array = state.x.view()
        x.flags.writeable = False
        return x

    def certify(self, state: Any, stats: dict[str, Any]) -> LinearResult:
        """The result of a state, its residual recomputed."""
        norm = float(np.linalg.norm(self.plan.residual(self.b, state.x)))
        return LinearResult(
            x=state.x, measure=norm, residual_norm=norm, stats=stats,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip
