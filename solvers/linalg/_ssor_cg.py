"""Conjugate gradients preconditioned by SSOR, in Eisenstat's form: one read of the matrix an iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from .._base.method import Method, register
from .._base.options import option
from . import _kernels
from ._cg import RESTARTS, CgState, iterated, require_spd, started
from ._problem import ORDERINGS, Iterative, LinearProblem, LinearResult, Matrix, for_ssor_cg


@dataclass(frozen=True)
class SsorCg(Iterative):
    """CG on (K + L)^-1 A (K + U)^-1 with the preconditioner K = D / omega.

    omega = "auto": 2 / (1 + sqrt(2 t)), the best for SSOR itself where the least eigenvalue of D^-1 A is t and the
    matrix is like a discretised differential operator; t is taken from the Rayleigh quotient of the constant vector.
    """

    omega: float | str = option(
        "auto", "relaxation of the SSOR preconditioner; auto: from the row sums",
        low=0.0, high=2.0, open=True, choices=("auto",),
    )  # fmt: skip
    ordering: str = option("auto", "order of the unknowns; colours spoil an omega above 1", choices=ORDERINGS)

    def order_of(self, A: Matrix) -> str:
        """The ordering, by the name of the operand that serves."""
        return for_ssor_cg(self.ordering, A)

    def init(self, problem: LinearProblem) -> CgState:
        if problem.begun is not None:
            return cast(CgState, problem.begun[0])
        require_spd(problem, "ssor-cg")
        return started(problem, self.order_of(problem.A))

    def step(self, problem: LinearProblem, state: CgState) -> CgState:
        if problem.begun is not None and state is problem.begun[0]:
            return cast(CgState, problem.begun[1])
        return iterated(problem, state, self.order_of(problem.A), None, self._omega(problem))

    def finish(self, problem: LinearProblem, state: CgState) -> LinearResult:
        stats = {"omega": self._omega(problem), "restarts": int(state.numbers[RESTARTS])}
        return problem.certify(state, stats, formed=True)

    def _omega(self, problem: LinearProblem) -> float:
        if self.omega == "auto":
            operand = problem.operand(self.order_of(problem.A))
            return float(problem.remember("omega", lambda: row_sum_omega(operand, problem.A.size)))
        return float(self.omega)


def row_sum_omega(operand: _kernels.Operand, size: int) -> float:
    """The omega of the Rayleigh quotient of the constant vector, from 1 to 1.95; of each matrix but once."""
    return float(operand.once("omega", lambda: _kernels.row_sum_omega(operand, operand.pack(np.ones(size)))))


METHOD = register(
    Method(
        name="ssor-cg",
        family="linalg",
        summary="conjugate gradients preconditioned by SSOR at the cost of plain ones: one read of the matrix each",
        reference="Eisenstat (1981), Efficient implementation of a class of preconditioned conjugate gradient methods; "
        "Axelsson (1972), A generalized SSOR method; Khodak et al. (2024), Learning to Relax, arXiv 2310.02246",
        solver=SsorCg,
        capabilities=frozenset({"sparse-matrix", "grid"}),
    )
)
