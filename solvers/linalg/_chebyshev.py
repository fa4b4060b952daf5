"""Chebyshev's iteration: Jacobi's, accelerated by polynomials that are small between two bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._base.errors import OptionError
from .._base.method import Method, register
from .._base.options import option
from . import _kernels
from ._problem import IterationState, Iterative, LinearProblem, LinearResult, following, widened
from ._symmetry import objection

#: Where the numbers of the loop have the bounds and the count of restarts.
LOW, HIGH, RESTARTS = 6, 7, 12


@dataclass(frozen=True, eq=False)
class ChebyshevState(IterationState):
    """With the x before."""

    back: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chebyshev(Iterative):
    """Three-term recurrence for the eigenvalues of D^-1 A in [low, high]; no inner product but the residual's norm.

    Bounds that are not given come from a few steps of Lanczos' iteration. They are corrected where the
    residual grows (the upper one) or falls too slowly (the lower one).
    """

    low: float | None = option(None, "lower bound of the eigenvalues of D^-1 A", low=0.0)
    high: float | None = option(None, "upper bound of the eigenvalues of D^-1 A", low=0.0)

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise OptionError(f"option 'low' must be at most 'high', {self.high!r}, not {self.low!r}")

    def init(self, problem: LinearProblem) -> ChebyshevState:
        why = objection(problem.A, problem.assume_symmetric)
        if why:
            raise ValueError(f"method 'chebyshev' needs a symmetric positive definite matrix: {why}")
        state = problem.start(_kernels.JACOBI_NUMBERS)
        if state.measure > problem.tol:
            state.numbers[[LOW, HIGH]] = self._bounds(problem)
        return widened(state, ChebyshevState, back=state.x)

    def step(self, problem: LinearProblem, state: ChebyshevState) -> ChebyshevState:
        operand = problem.operand("auto")
        b, x, back, kept = (operand.pack(vector) for vector in (problem.b, state.x, state.back, state.kept))
        numbers = state.numbers.copy()
        done, measure, outcome = _kernels.jacobi(
            operand, problem.tol, problem.every, b, x, back, kept, numbers, state.nit, problem.most(state.nit)
        )
        return following(state, operand, done, measure, outcome, x=x, back=back, kept=kept, numbers=numbers)

    def finish(self, problem: LinearProblem, state: ChebyshevState) -> LinearResult:
        low, high, restarts = (float(state.numbers[k]) for k in (LOW, HIGH, RESTARTS))
        return problem.certify(state, {"low": low, "high": high, "restarts": int(restarts)})

    def _bounds(self, problem: LinearProblem) -> tuple[float, float]:
        operand = problem.operand("auto")
        residual = operand.zeros()
        operand.residual(problem.packed_b(operand), operand.pack(problem.x0), residual)
        low, high = (np.nan if bound is None else bound for bound in (self.low, self.high))
        return _kernels.chebyshev_bounds(operand, residual, problem.A.size, low, high)


METHOD = register(
    Method(
        name="chebyshev",
        family="linalg",
        summary="Jacobi's iteration accelerated by Chebyshev polynomials, for symmetric positive definite matrices",
        reference="Golub and Varga (1961), Chebyshev semi-iterative methods; Manteuffel (1977), The Tchebychev "
        "iteration for nonsymmetric linear systems",
        solver=Chebyshev,
        capabilities=frozenset({"sparse-matrix", "grid"}),
    )
)
