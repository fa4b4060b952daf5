"""Conjugate gradients around a multilevel cycle: float64 outside, float32 inside.

Flexible in one vector: each direction is made orthogonal to the last by what the matrix says of both (Kaneda and
others' orthogonalisation with a memory of one, which for an exact linear symmetric map is conjugate gradients).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from . import _kernels
from ._grid import GridOperator
from ._multilevel import NULLSPACES, Multilevel, multilevel, refused
from ._problem import NOT_FINITE, OUTCOMES, LinearProblem, LinearResult, norm

Array = npt.NDArray[Any]

#: Where the numbers of the loop have the count of restarts from a recomputed residual.
RESTARTS = 8

#: Cells times iterations of one step of the loop.
STEP_CELLS = 60_000_000


@dataclass(frozen=True, eq=False)
class MultilevelState:
    """The iterate, its residual by recurrence and the direction, in the user's order."""

    x: Array
    r: Array
    p: Array
    #: Numbers of the compiled loop; the first five are those of `sv_monitor`.
    numbers: Array
    outcome: int
    nit: int
    measure: float


@dataclass(frozen=True)
class MultilevelCg:
    """Conjugate gradients with a V-cycle as preconditioner, for a `GridOperator`."""

    nullspace: str | None = option(
        None, "what to do on components without a sink: project b, and x to mean zero; None: refuse", choices=NULLSPACES
    )
    outside: str = option("refuse", "b that is not 0 outside of the mask", choices=("refuse", "ignore"))

    def init(self, problem: LinearProblem) -> MultilevelState:
        M, b, x = self._hierarchy(problem), self._right(problem), self._inside(problem, problem.x0)
        numbers = np.zeros(_kernels.MULTILEVEL_NUMBERS)
        loop = _kernels.MultilevelCg(M.stencil, M.kernel, b, x, numbers)
        measure = loop.start()
        numbers[[0, 1]] = measure  # first, best
        return MultilevelState(x, loop.vector("r"), np.zeros_like(x), numbers, 0, 0, measure)

    def step(self, problem: LinearProblem, state: MultilevelState) -> MultilevelState:
        M, b, numbers = self._hierarchy(problem), self._right(problem), state.numbers.copy()
        loop = _kernels.MultilevelCg(M.stencil, M.kernel, b, state.x, numbers, state.r, state.p)
        most = 1 if problem.every else max(1, STEP_CELLS // problem.A.size)
        most = min(most, problem.max_iter - state.nit)
        done, measure, outcome = loop.iterate(problem.tol, problem.floor, state.measure, state.nit, most)
        if outcome == NOT_FINITE:
            return replace(state, nit=state.nit + done, measure=measure, outcome=outcome)
        x, r, p = (loop.vector(name) for name in "xrp")
        return MultilevelState(x, r, p, numbers, outcome, state.nit + done, measure)

    def done(self, problem: LinearProblem, state: MultilevelState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        return OUTCOMES.get(state.outcome)

    def finish(self, problem: LinearProblem, state: MultilevelState) -> LinearResult:
        M, b = self._hierarchy(problem), self._right(problem)
        x, left = self._measured(M, b, state.x)
        if not left <= problem.tol:
            start, at_start = self._measured(M, b, self._inside(problem, problem.x0))
            x, left = (x, left) if left <= at_start else (start, at_start)
        stats = {
            "restarts": int(state.numbers[RESTARTS]), "levels": len(M.levels), "components": len(M.null),
            "projected": problem.remember("projected", float) if M.null else 0.0,
        }  # fmt: skip
        return LinearResult(
            x=x, measure=left, residual_norm=left, stats=stats,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip

    def _measured(self, M: Multilevel, b: Array, x: Array) -> tuple[Array, float]:
        """x, of mean zero where the operator is singular, and the norm of its residual."""
        x = _projected(x, M.null)
        residual, _ = M.stencil.product(b, x)
        return x, norm(residual)

    def _hierarchy(self, problem: LinearProblem) -> Multilevel:
        M: Multilevel = problem.remember("hierarchy", lambda: self._made(problem))
        return M

    def _made(self, problem: LinearProblem) -> Multilevel:
        M = problem.M
        if M is None:
            op: GridOperator = problem.A  # type: ignore[assignment]
            if self.nullspace not in op.hierarchies:
                op.hierarchies[self.nullspace] = multilevel(op, nullspace=self.nullspace, threads=problem.threads)
            M = op.hierarchies[self.nullspace]
        if not isinstance(M, Multilevel) or M.operator is not problem.A:
            raise ValueError("M must come from multilevel(A), for this very A, or be left out")
        M.threads = problem.threads
        return M

    def _inside(self, problem: LinearProblem, x: Array) -> Array:
        """x with zeros outside of the mask."""
        mask = problem.A.mask  # type: ignore[attr-defined]
        return x if mask is None else np.where(mask.ravel(), x, 0.0)

    def _right(self, problem: LinearProblem) -> Array:
        """b inside of the mask, and consistent."""
        b: Array = problem.remember("right", lambda: self._checked(problem))
        return b

    def _checked(self, problem: LinearProblem) -> Array:
        b = self._inside(problem, problem.b)
        if self.outside == "refuse" and b is not problem.b and not np.array_equal(b, problem.b):
            at = int(np.flatnonzero(b != problem.b)[0])
            raise ValueError(f'b must be 0 outside of the mask, not {problem.b[at]} in row {at} (outside="ignore")')
        consistent = _projected(b, self._hierarchy(problem).null)
        problem.remember("projected", lambda: norm(b - consistent))
        return consistent


def _projected(vector: Array, components: list[Array]) -> Array:
    """The vector with mean zero on each component."""
    if not components:
        return vector
    result = vector.copy()
    for cells in components:
        result[cells] -= result[cells].mean()
    return result


def serves(A: Any, M: Any) -> str:
    """Why the method is not the one to take by default for this operator and preconditioner; empty where it is."""
    if not isinstance(A, GridOperator):
        return "A is no GridOperator"
    if M is not None and not isinstance(M, Multilevel):
        return "M is not from multilevel"
    if why := refused(A):
        return why
    try:
        if M is None and None not in A.hierarchies:
            A.hierarchies[None] = multilevel(A)
    except ValueError as error:
        return str(error)
    return ""


METHOD = register(
    Method(
        name="multilevel-cg",
        family="linalg",
        summary="conjugate gradients around a multilevel cycle in float32, for grid operators: counts that do not grow",
        reference="Brandt (1977), Multi-level adaptive solutions to boundary-value problems; Tatebe (1993), The "
        "multigrid preconditioned conjugate gradient method; Kaneda et al. (2023), A deep conjugate direction method, "
        "arXiv 2205.10763",
        solver=MultilevelCg,
        capabilities=frozenset({"grid", "hierarchy"}),
    )
)
