"""Deep conjugate directions: conjugate directions out of any map of the residual, a neural net for one.

The method of Kaneda, Akar, Chen, Kala, Hyde and Teran (2023), arXiv 2205.10763. The map f tells a direction up to its
length; it is made A-orthogonal to the last k ones, and the step along it is the best in the norm of A. So whatever f
returns the error's norm does not grow, and for a linear, symmetric, positive definite f the iterates are those of
preconditioned conjugate gradients.

Differs from the paper in:

1. Where f's direction is not finite, lies along the last ones, has no curvature, or five in a row change nothing, the
   residual takes its place.
2. The residual by recurrence is replaced by the true one every `refresh` iterations, and wherever it says that the goal
   is reached.
3. The k directions are taken off a second time where little of f's is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._cg import require_spd
from ._directions import direction
from ._kernels import dot
from ._problem import NOT_FINITE, OUTCOMES, IterationState, LinearProblem, LinearResult, norm, widened

Array = npt.NDArray[Any]

CODES = {status: code for code, status in OUTCOMES.items()}

#: Where the numbers of a state have: the least residual, its iteration, the residual at the kept point, how often the
#: residual took f's place, steps in a row that changed nothing, the true residual at the last false claim of success.
BEST, BEST_AT, KEPT, FALLBACKS, IDLE, CLAIMED, COUNT = 1, 2, 3, 5, 6, 7, 8

#: Iterations without progress that are a standstill.
PATIENCE = 1000
#: Steps that change nothing before the residual is tried.
IDLE_MOST = 5
#: A cosine between direction and residual that is nothing but rounding.
NO_ANGLE = 2.0**-46
EPS = 2.0**-52
#: The part of a direction that is left, once the last ones are taken off, where there is nothing but rounding.
NOTHING_LEFT = 2.0**-40


@dataclass(frozen=True, eq=False)
class DcdmState(IterationState):
    """With the residual by recurrence, and the last directions, their products with A and their curvatures d'Ad."""

    r: Array
    directions: Array
    products: Array
    #: 0 where there is no direction yet.
    curvatures: Array


@dataclass(frozen=True)
class DeepConjugateDirections:
    """Conjugate directions from any map of the residual."""

    k: int = option(2, "directions to which the next one is made A-orthogonal", low=1, unit="directions")
    refresh: int = option(50, "iterations between true residuals", low=1, unit="iterations")

    def init(self, problem: LinearProblem) -> DcdmState:
        require_spd(problem, "dcdm")
        direction(problem)
        state = problem.start(COUNT)
        state.numbers[CLAIMED] = math.inf
        k = min(self.k, len(state.x))  # no more are A-orthogonal
        none = np.zeros((k, len(state.x)))
        r = problem.A.residual(problem.b, state.x)
        return widened(state, DcdmState, r=r, directions=none, products=none, curvatures=np.zeros(k))

    def step(self, problem: LinearProblem, state: DcdmState) -> DcdmState:
        if not math.isfinite(state.measure):
            return replace(state, outcome=NOT_FINITE)
        numbers, r = state.numbers.copy(), state.r
        found = self._found(problem, state, numbers)
        if found is None:
            return replace(state, numbers=numbers, outcome=CODES[Status.STAGNATION])
        d, q, curvature = found
        if curvature <= 0:
            return replace(state, numbers=numbers, outcome=CODES[Status.NOT_SPD])
        slope = dot(d, r)
        numbers[IDLE] = 0 if abs(slope) > NO_ANGLE * norm(d) * norm(r) else numbers[IDLE] + 1
        length, nit = slope / curvature, state.nit + 1
        x, r = state.x + length * d, r - length * q
        measure = norm(r)
        claims = measure <= max(problem.tol, problem.floor)
        if claims or nit % self.refresh == 0:
            r = problem.A.residual(problem.b, x)
            measure = norm(r)
        if not math.isfinite(measure):
            return replace(state, numbers=numbers, nit=nit, measure=measure, outcome=NOT_FINITE)
        outcome = _watched(numbers, measure, nit, claims and measure > problem.tol)
        kept = x if measure == numbers[KEPT] else state.kept
        slot = state.nit % len(state.curvatures)
        directions, products, curvatures = state.directions.copy(), state.products.copy(), state.curvatures.copy()
        directions[slot], products[slot], curvatures[slot] = d, q, curvature
        return DcdmState(x, kept, numbers, outcome, nit, measure, r, directions, products, curvatures)

    def done(self, problem: LinearProblem, state: DcdmState) -> Status | None:
        return problem.done(state)

    def finish(self, problem: LinearProblem, state: DcdmState) -> LinearResult:
        stats = {"direction": direction(problem)[0], "n_fallback": int(state.numbers[FALLBACKS])}
        return problem.certify(state, stats)

    def _found(self, problem: LinearProblem, state: DcdmState, numbers: Array) -> tuple[Array, Array, float] | None:
        """The next direction, its product and curvature, at most 0 where A is not positive definite along the residual;
        None where A times the residual vanishes."""
        r = state.r
        if numbers[IDLE] < IDLE_MOST:
            found = self._conjugated(problem, state, direction(problem)[1](r / norm(r)))
            if found is not None:
                return found
        else:
            numbers[IDLE] = 0
        numbers[FALLBACKS] += 1
        found = self._conjugated(problem, state, r)
        if found is not None:
            return found
        q, curvature = _product(problem, r)
        largest = float(problem.operand("natural").diagonal.max())
        return (r, q, curvature) if norm(q) > EPS * largest * norm(r) else None

    def _conjugated(self, problem: LinearProblem, state: DcdmState, z: Array) -> tuple[Array, Array, float] | None:
        """z less its parts along the last directions, its product with A, its curvature; None if that is rounding."""
        largest = float(abs(z).max())
        if not 0 < largest < math.inf:
            return None
        d = np.ldexp(z, -math.frexp(largest)[1])  # of a size whose square is finite
        before = norm(d)
        for _ in range(2):
            length = norm(d)
            for p, q, curvature in zip(state.directions, state.products, state.curvatures, strict=True):
                if curvature > 0:
                    d = d - (dot(d, q) / float(curvature)) * p
            if not norm(d) < 0.1 * length:
                break
        if not norm(d) > NOTHING_LEFT * before:
            return None
        q, curvature = _product(problem, d)
        sound = math.isfinite(curvature) and curvature > EPS * norm(d) * norm(q)
        return (d, q, curvature) if sound else None


def _product(problem: LinearProblem, d: Array) -> tuple[Array, float]:
    """A d and d'A d."""
    operand = problem.operand("natural")
    curvature = operand.multiply(operand.pack(d), out := np.zeros(operand.size))
    return operand.unpack(out), curvature


def _watched(numbers: Array, measure: float, nit: int, denied: bool) -> int:
    """The outcome, from the residual's norm after an iteration. denied: the residual by recurrence met the goal, or was
    down to rounding, and the true one is above the goal: twice without a gain is a standstill."""
    if measure < 0.999 * numbers[BEST]:
        numbers[BEST], numbers[BEST_AT] = measure, nit
    if measure <= 0.1 * numbers[KEPT]:
        numbers[KEPT] = measure
    if denied:
        if measure > 0.5 * numbers[CLAIMED]:
            return CODES[Status.STAGNATION]
        numbers[CLAIMED] = measure
    return CODES[Status.STAGNATION] if nit - numbers[BEST_AT] > PATIENCE else 0


METHOD = register(
    Method(
        name="dcdm",
        family="linalg",
        summary="conjugate directions from any map of the residual: a shipped convolutional net on 2-D and 3-D grids",
        reference="Kaneda, Akar, Chen, Kala, Hyde and Teran (2023), A deep conjugate direction method for iteratively "
        "solving linear systems, arXiv 2205.10763",
        solver=DeepConjugateDirections,
        capabilities=frozenset({"sparse-matrix", "grid", "preconditioner"}),
    )
)
