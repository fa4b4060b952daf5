"""Successive over-relaxation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from . import _kernels
from ._problem import LinearProblem, LinearResult

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class SorState:
    """The iterate and its residual's norm."""

    x: Array
    nit: int
    measure: float


@dataclass(frozen=True)
class Sor:
    """x <- x + (D / omega + L)^-1 (b - A x); omega = 1 is Gauss and Seidel's iteration."""

    omega: float = option(1.0, "relaxation, between 0 and 2", low=0.0, high=2.0)

    def __post_init__(self) -> None:
        if not 0 < self.omega < 2:
            raise ValueError(f"omega must lie between 0 and 2, not {self.omega!r}")

    def init(self, problem: LinearProblem) -> SorState:
        return SorState(problem.x0, 0, float(np.linalg.norm(problem.plan.residual(problem.b, problem.x0))))

    def step(self, problem: LinearProblem, state: SorState) -> SorState:
        x, operand = state.x.copy(), problem.plan.operand("natural")
        most = problem.most(state.nit)
        sweeps, measure = _kernels.sor(operand, self.omega, "forward", problem.b, x, problem.tol, most)
        if not np.isfinite(measure):
            return replace(state, nit=state.nit + sweeps, measure=measure)
        return SorState(x, state.nit + sweeps, measure)

    def done(self, problem: LinearProblem, state: SorState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        return None if np.isfinite(state.measure) else Status.NONFINITE

    def finish(self, problem: LinearProblem, state: SorState) -> LinearResult:
        return problem.certify(state, {})


METHOD = register(
    Method(
        name="sor",
        family="linalg",
        summary="successive over-relaxation, in place, one read of the matrix a sweep",
        reference="Young (1954), Iterative methods for solving partial difference equations of elliptic type; "
        "Khodak et al. (2024), Learning to Relax, arXiv 2310.02246",
        solver=Sor,
        capabilities=frozenset({"sparse-matrix"}),
    )
)
