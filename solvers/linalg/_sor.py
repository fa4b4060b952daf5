"""Successive over-relaxation, and Gauss and Seidel's iteration, which is that with omega = 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._base.errors import OptionError
from .._base.method import Method, register
from .._base.options import option
from . import _kernels
from ._problem import ORDERINGS, IterationState, Iterative, LinearProblem, LinearResult, following
from ._symmetry import objection

#: Where the numbers of the loop have omega, and how often it was raised.
OMEGA, RAISES = 5, 12


@dataclass(frozen=True)
class GaussSeidel(Iterative):
    """x <- x + (D + L)^-1 (b - A x)."""

    sweep: str = option("forward", "direction of a sweep", choices=tuple(_kernels.SWEEPS))
    ordering: str = option("natural", "order of the unknowns", choices=ORDERINGS)
    check_every: int = option(1, "sweeps between two looks at the residual", low=1, unit="sweeps")

    def init(self, problem: LinearProblem) -> IterationState:
        state = problem.start(_kernels.SOR_NUMBERS)
        state.numbers[OMEGA] = self._first_omega(problem, state)
        return state

    def step(self, problem: LinearProblem, state: IterationState) -> IterationState:
        operand = problem.operand(self.ordering)
        b, x, kept = (operand.pack(vector) for vector in (problem.b, state.x, state.kept))
        numbers = state.numbers.copy()
        sweeps, measure, outcome = _kernels.sor(
            operand, self.sweep, problem.tol, self.check_every, self._omega() == "adaptive", problem.every, b, x, kept,
            numbers, state.nit, problem.most(state.nit),
        )  # fmt: skip
        return following(state, operand, sweeps, measure, outcome, x=x, kept=kept, numbers=numbers)

    def finish(self, problem: LinearProblem, state: IterationState) -> LinearResult:
        raised = {"raises": int(state.numbers[RAISES])} if self._omega() == "adaptive" else {}
        lanczos = {"omega_products": min(_kernels.LANCZOS, problem.A.size)} if self._omega() == "young" else {}
        return problem.certify(state, {"omega": float(state.numbers[OMEGA]), **raised, **lanczos})

    def _omega(self) -> float | str:
        return 1.0

    def _first_omega(self, problem: LinearProblem, state: IterationState) -> float:
        omega = self._omega()
        if omega == "adaptive" or (omega == "young" and state.measure <= problem.tol):
            return 1.0
        if omega != "young":
            return float(omega)
        why = objection(problem.A, problem.assume_symmetric)
        if why:
            raise ValueError(f"omega='young' needs a symmetric positive definite matrix: {why}")
        operand = problem.operand(self.ordering)
        return _kernels.young(operand, operand.pack(np.ones(problem.A.size)), problem.A.size)


@dataclass(frozen=True)
class Sor(GaussSeidel):
    """x <- x + (D / omega + L)^-1 (b - A x).

    omega = "young": Young's best omega for consistently ordered matrices, from an estimate of the spectral radius of
    Jacobi's iteration. omega = "adaptive": from 1 on, raised as the observed rate says (Hageman and Young, 1981).
    """

    omega: float | str = option(
        1.0, "relaxation; young: from a few Lanczos steps; adaptive: from the observed rate",
        low=0.0, high=2.0, open=True, choices=("young", "adaptive"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.omega == "adaptive" and self.sweep == "symmetric":
            raise OptionError("omega='adaptive' follows the rate of forward or backward sweeps, not of symmetric ones")

    def _omega(self) -> float | str:
        return self.omega


CAPABILITIES = frozenset({"sparse-matrix", "complex-matrix", "grid"})

METHOD = register(
    Method(
        name="sor",
        family="linalg",
        summary="successive over-relaxation, in place, one read of the matrix a sweep",
        reference="Young (1954), Iterative methods for solving partial difference equations of elliptic type; Hageman "
        "and Young (1981), Applied iterative methods; Khodak et al. (2024), Learning to Relax, arXiv 2310.02246",
        solver=Sor,
        capabilities=CAPABILITIES,
    )
)

GAUSS_SEIDEL = register(
    Method(
        name="gauss-seidel",
        family="linalg",
        summary="Gauss and Seidel's iteration: sweeps in place, without relaxation",
        reference="Seidel (1874), Ueber ein Verfahren, die Gleichungen ... durch successive Annaeherung aufzuloesen",
        solver=GaussSeidel,
        capabilities=CAPABILITIES,
    )
)
