"""Conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.result import Status
from . import _kernels
from ._problem import LinearProblem, LinearResult

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class CgState:
    """The iterate, its residual, the direction."""

    x: Array
    r: Array
    v: Array
    rho: float
    broken: bool
    nit: int
    measure: float


@dataclass(frozen=True)
class ConjugateGradients:
    """The iterate of least error in the norm of A among all that the residuals so far span."""

    def init(self, problem: LinearProblem) -> CgState:
        r = problem.plan.residual(problem.b, problem.x0)
        rho = float(r @ r)
        return CgState(problem.x0, r, r, rho, False, 0, float(np.sqrt(rho)))

    def step(self, problem: LinearProblem, state: CgState) -> CgState:
        x, r, v = state.x.copy(), state.r.copy(), state.v.copy()
        operand = problem.plan.operand("natural")
        done, rho, measure, broken = _kernels.cg(operand, x, r, v, state.rho, problem.tol, problem.most(state.nit))
        if not np.isfinite(measure):
            return replace(state, nit=state.nit + done, measure=measure)
        return CgState(x, r, v, rho, broken, state.nit + done, measure)

    def done(self, problem: LinearProblem, state: CgState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        if state.broken:
            return Status.NOT_SPD
        return None if np.isfinite(state.measure) else Status.NONFINITE

    def finish(self, problem: LinearProblem, state: CgState) -> LinearResult:
        return problem.certify(state, {})


METHOD = register(
    Method(
        name="cg",
        family="linalg",
        summary="conjugate gradients, for symmetric positive definite matrices",
        reference="Hestenes and Stiefel (1952), Methods of conjugate gradients for solving linear systems",
        solver=ConjugateGradients,
        capabilities=frozenset({"sparse-matrix"}),
    )
)
