"""Jacobi's iteration, damped."""

from __future__ import annotations

from dataclasses import dataclass

from .._base.method import Method, register
from .._base.options import option
from . import _kernels
from ._problem import IterationState, Iterative, LinearProblem, LinearResult, following

#: Where the numbers of the loop have omega.
OMEGA = 5


@dataclass(frozen=True)
class Jacobi(Iterative):
    """x <- x + omega D^-1 (b - A x)."""

    omega: float = option(2 / 3, "damping", low=0.0, high=2.0, open=True)

    def init(self, problem: LinearProblem) -> IterationState:
        state = problem.start(_kernels.JACOBI_NUMBERS)
        state.numbers[OMEGA] = self.omega
        return state

    def step(self, problem: LinearProblem, state: IterationState) -> IterationState:
        operand = problem.operand("auto")
        b, x, kept = (operand.pack(vector) for vector in (problem.b, state.x, state.kept))
        numbers = state.numbers.copy()
        done, measure, outcome = _kernels.jacobi(
            operand, problem.tol, problem.every, b, x, None, kept, numbers, state.nit, problem.most(state.nit)
        )
        return following(state, operand, done, measure, outcome, x=x, kept=kept, numbers=numbers)

    def finish(self, problem: LinearProblem, state: IterationState) -> LinearResult:
        return problem.certify(state, {"omega": self.omega})


METHOD = register(
    Method(
        name="jacobi",
        family="linalg",
        summary="Jacobi's iteration, damped: all unknowns at once from the old ones",
        reference="Jacobi (1845), Ueber eine neue Aufloesungsart der bei der Methode der kleinsten Quadrate "
        "vorkommenden linearen Gleichungen",
        solver=Jacobi,
        capabilities=frozenset({"sparse-matrix", "complex-matrix", "grid"}),
    )
)
