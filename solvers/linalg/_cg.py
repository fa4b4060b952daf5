"""Conjugate gradients, with and without a preconditioner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.state import made
from . import _kernels
from ._precondition import preconditioner
from ._problem import IterationState, Iterative, LinearProblem, LinearResult, following
from ._symmetry import objection

Array = npt.NDArray[Any]

#: Where the numbers of the loop have the count of restarts.
RESTARTS = 8

#: The vectors of a state.
VECTORS = ("x", "r", "v", "kept")


@dataclass(frozen=True, eq=False)
class CgState(IterationState):
    """With the residual by recurrence and the direction."""

    r: Array
    v: Array


@dataclass(frozen=True)
class ConjugateGradients(Iterative):
    """The iterate of least error in the norm of A among all that the residuals so far span."""

    def init(self, problem: LinearProblem) -> CgState:
        require_spd(problem, "cg")
        return started(problem, "natural")

    def step(self, problem: LinearProblem, state: CgState) -> CgState:
        return iterated(problem, state, "natural", preconditioner(problem), 0.0)

    def finish(self, problem: LinearProblem, state: CgState) -> LinearResult:
        return problem.certify(state, {"restarts": int(state.numbers[RESTARTS])}, formed=True)


def require_spd(problem: LinearProblem, method: str) -> None:
    """ValueError where the matrix is plainly not symmetric positive definite."""
    why = objection(problem.A, problem.assume_symmetric)
    if why:
        raise ValueError(f"method {method!r} needs a symmetric positive definite matrix: {why}")


def started(problem: LinearProblem, ordering: str) -> CgState:
    """The state at x0. r and v are those of nothing done: the first step makes them from x."""
    vectors, at_start = _residual_at(problem, problem.x0, problem.operand(ordering))
    first = begun(problem.x0, at_start)
    problem.keep_packed(first, vectors)
    return first


def begun(x0: Array, at_start: float) -> CgState:
    """The same, of a start whose residual has this norm."""
    numbers = np.zeros(_kernels.CG_NUMBERS)
    numbers[0] = numbers[1] = numbers[3] = at_start  # first, best, kept
    nothing = np.ndarray(len(x0), np.float64, bytes(8), strides=(0,))
    return made(CgState, x=x0, kept=x0, numbers=numbers, outcome=0, nit=0, measure=at_start, r=nothing, v=nothing)


def _residual_at(problem: LinearProblem, at: Array, operand: _kernels.Operand) -> tuple[dict[str, Array], float]:
    """x and its residual r in the operand's order, and the norm of r."""
    x, r = operand.pack(at), operand.room()
    return {"x": x, "r": r}, math.sqrt(operand.residual(problem.packed_b(operand), x, r))


def iterated(
    problem: LinearProblem, state: CgState, ordering: str, M: _kernels.Preconditioner | None, omega: float
) -> CgState:
    """The state some iterations later; in Eisenstat's variables where omega is not 0."""
    operand = problem.operand(ordering)
    numbers = state.numbers.copy()
    vectors = problem.packed(state)
    if state.nit == 0:
        vectors = vectors or _residual_at(problem, state.x, operand)[0]
        vectors |= {"v": operand.room(), "kept": operand.copied(vectors["x"])}
    elif vectors is None:
        vectors = {name: operand.pack(getattr(state, name)) for name in VECTORS}
    x, r, v, kept = (vectors[name] for name in VECTORS)
    loop = _kernels.ConjugateGradients(operand, M, problem.packed_b(operand), x, r, v, kept, numbers)
    if state.nit == 0:
        loop.start(state.measure, omega)
    done, measure, outcome = loop.iterate(
        problem.tol, problem.floor, state.measure, state.nit, problem.most(state.nit), omega
    )
    new = following(state, operand, done, measure, outcome, **vectors, numbers=numbers)
    if not outcome:
        problem.keep_packed(new, vectors)
    return new


METHOD = register(
    Method(
        name="cg",
        family="linalg",
        summary="conjugate gradients with any preconditioner, for symmetric positive definite matrices",
        reference="Hestenes and Stiefel (1952), Methods of conjugate gradients for solving linear systems",
        solver=ConjugateGradients,
        capabilities=frozenset({"sparse-matrix", "grid", "preconditioner", "hierarchy"}),
    )
)
