"""Conjugate gradients around a multilevel cycle: float64 outside, float32 inside.

Flexible in one vector: each direction is made orthogonal to the last by what the matrix says of both (Kaneda and
others' orthogonalisation with a memory of one, which for an exact linear symmetric map is conjugate gradients).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _kernels
from ._grid import GridOperator
from ._multilevel import Multilevel, own, refused
from ._problem import NOT_FINITE, OUTCOMES, REACHED, LinearProblem, LinearResult, norm

Array = npt.NDArray[Any]

#: Where the numbers of the loop have the count of restarts from a recomputed residual.
RESTARTS = 8

#: What of b may lie in the null space, in parts of its norm, for the rounding of whoever made b.
INCONSISTENT = 1e-10

#: Cells times iterations of one step of the loop.
STEP_CELLS = 60_000_000


@dataclass(frozen=True, eq=False)
class MultilevelState:
    """The iterate, its residual by recurrence and the direction, in the user's order.

    Of a state that has converged r and p are empty: each is as long as x, and whoever goes on from there to a smaller
    tolerance starts from the true residual.
    """

    x: Array
    r: Array
    p: Array
    #: Numbers of the compiled loop; the first five are those of `sv_monitor`.
    numbers: Array
    outcome: int
    nit: int
    measure: float
    #: Whether `measure` is that of b - A x formed anew.
    exact: bool = False

    varying: ClassVar = ("r", "p")


@dataclass
class Loop:
    """The memory of a solve: what its steps would else make anew."""

    kernel: _kernels.MultilevelCg
    #: b, as it is solved for.
    right: Array
    #: The state whose vectors the kernel has at hand.
    holds: MultilevelState | None = None

    def measured(self, x: Array) -> float:
        """The norm of b - A x, formed anew."""
        self.holds = None  # the kernel's direction goes
        residual: float = self.kernel.measured(x)
        return residual


@dataclass(frozen=True)
class MultilevelCg:
    """Conjugate gradients with a V-cycle as preconditioner, for a `GridOperator`."""

    outside: str = option("refuse", "b that is not 0 outside of the mask", choices=("refuse", "ignore"))

    def init(self, problem: LinearProblem) -> MultilevelState:
        if (known := problem.known) is not None:
            nothing = np.empty(0)
            return MultilevelState(
                known.x, nothing, nothing, np.zeros(_kernels.MULTILEVEL_NUMBERS), 0, known.nit, known.measure, True
            )
        loop, x = self._loop(problem), _inside(problem, problem.x0)
        numbers = np.zeros(_kernels.MULTILEVEL_NUMBERS)
        measure = loop.kernel.start(x, numbers)
        numbers[[0, 1]] = measure  # first, best
        r = loop.kernel.vector("r") if x.any() else loop.right
        loop.holds = MultilevelState(x, r, np.zeros(x.shape), numbers, 0, 0, measure)
        return loop.holds

    def step(self, problem: LinearProblem, state: MultilevelState) -> MultilevelState:
        loop, numbers = self._loop(problem), state.numbers.copy()
        if loop.holds is not state and len(state.r):
            loop.kernel.load(state.x, state.r, state.p)
        elif not len(state.r):
            loop.kernel.start(state.x, numbers)
        loop.holds = None
        most = 1 if problem.every else max(1, STEP_CELLS // problem.A.size)
        most = min(most, problem.max_iter - state.nit)
        with self._hierarchy(problem).lock:
            done, measure, outcome = loop.kernel.iterate(
                numbers, problem.tol, problem.floor, state.measure, state.nit, most
            )
        if outcome == NOT_FINITE:
            return replace(state, nit=state.nit + done, measure=measure, outcome=outcome)
        x = loop.kernel.vector("x")
        r, p = (np.empty(0) if measure <= problem.tol else loop.kernel.vector(name) for name in "rp")
        loop.holds = MultilevelState(x, r, p, numbers, outcome, state.nit + done, measure, outcome == REACHED)
        return loop.holds

    def done(self, problem: LinearProblem, state: MultilevelState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        return OUTCOMES.get(state.outcome)

    def finish(self, problem: LinearProblem, state: MultilevelState) -> LinearResult:
        M = self._hierarchy(problem)
        x, left = _projected(state.x, M.null), state.measure
        if not (state.exact and x is state.x and left <= problem.tol):
            x, left = self._better(problem, x, M)
        if "loop" in problem.remembered and not M.spare:
            M.spare.append(self._loop(problem).kernel)
            problem.forget("loop")
        stats = {
            "restarts": int(state.numbers[RESTARTS]), "levels": len(M.levels), "components": len(M.null),
            "projected": problem.remember("projected", float) if M.null else 0.0,
            "together": problem.known is not None, "used_correction": M.used_correction,
            "setup_seconds": M.setup_seconds, "bytes_per_iteration": M.kernel.bytes_per_iteration(M.stencil),
        }  # fmt: skip
        return LinearResult(
            x=x, measure=left, residual_norm=left, stats=stats,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip

    def _better(self, problem: LinearProblem, x: Array, M: Multilevel) -> tuple[Array, float]:
        """Of x and the start the one with the smaller residual, formed anew; x where it is at its goal."""
        loop = self._loop(problem)
        left = loop.measured(x)
        if left <= problem.tol:
            return x, left
        start = _projected(_inside(problem, problem.x0), M.null)
        at_start = loop.measured(start)
        return (x, left) if left <= at_start else (start, at_start)

    def _loop(self, problem: LinearProblem) -> Loop:
        loop: Loop = problem.remember("loop", lambda: self._made_loop(problem))
        return loop

    def _made_loop(self, problem: LinearProblem) -> Loop:
        M = self._hierarchy(problem)
        right = self._right(problem)
        try:
            kernel = M.spare.pop()  # of an earlier solve: new memory costs more than some iterations
        except IndexError:
            kernel = _kernels.MultilevelCg(M.stencil, M.kernel)
        kernel.take(right)
        return Loop(kernel, right)

    def _hierarchy(self, problem: LinearProblem) -> Multilevel:
        M: Multilevel = problem.remember("hierarchy", lambda: self._made(problem))
        return M

    def _made(self, problem: LinearProblem) -> Multilevel:
        M: Any = problem.M
        if M is None:
            if not isinstance(problem.A, GridOperator):
                raise TypeError(f"multilevel-cg needs a GridOperator, not {type(problem.A).__name__}")
            M = own(problem.A, problem.nullspace, problem.threads)
        checked = check_hierarchy(M, problem.A)
        checked.threads = problem.threads
        return checked

    def _right(self, problem: LinearProblem) -> Array:
        """b inside of the mask, and consistent."""
        b = _inside(problem, problem.b)
        if self.outside == "refuse" and b is not problem.b:
            at = int(np.flatnonzero(b != problem.b)[0])
            raise ValueError(f'b must be 0 outside of the mask, not {problem.b[at]} in row {at} (outside="ignore")')
        consistent = _projected(b, self._hierarchy(problem).null)
        problem.remember("projected", lambda: 0.0 if consistent is b else norm(b - consistent))
        return consistent


def _inside(problem: LinearProblem, vector: Array) -> Array:
    """The vector, with zeros outside of the mask; itself where they are there already."""
    grid: GridOperator = problem.A  # type: ignore[assignment]
    if not vector[grid.outside].any():
        return vector
    inside = vector.copy()
    inside[grid.outside] = 0.0
    return inside


def _projected(vector: Array, components: list[Array]) -> Array:
    """The vector with mean zero on each component."""
    if not components:
        return vector
    result = vector.copy()
    for cells in components:
        _kernels.project(result, cells)
    return result


def check_hierarchy(M: Any, A: Any) -> Multilevel:
    """M; ValueError unless it is what `multilevel` made of A, as it is now."""
    if not isinstance(M, Multilevel) or M.operator is not A:
        raise ValueError("M must come from multilevel(A), for this very A, or be left out")
    if not M.current:
        raise ValueError("A has been updated since M was set up: call M.update() first")
    return M


def serves(A: Any, M: Any, nullspace: str | None) -> str:
    """Why the method is not the one to take by default for this operator and preconditioner; empty where it is."""
    if not isinstance(A, GridOperator):
        return "A is no GridOperator"
    if M is not None and not isinstance(M, Multilevel):
        return "M is not from multilevel"
    if why := refused(A):
        return why
    try:
        if M is None:
            own(A, nullspace)
    except ValueError as error:
        return str(error)
    return ""


def needed_nullspace(A: Any, b: Array) -> str | None:
    """ "components" for a singular grid and a b in its range; ValueError where no x gives b."""
    if not isinstance(A, GridOperator) or refused(A) or not serves(A, None, None):
        return None
    lost = norm(b - _projected(b, own(A, "components").null))
    if lost > INCONSISTENT * norm(b):
        raise ValueError(
            f"{serves(A, None, None)}: no x gives b, of which a part of norm {lost:.3g} lies in the null space"
        )
    return "components"


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
