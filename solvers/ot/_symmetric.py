"""Transport of a weighted set to itself: one potential, by the averaged fixed point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method
from .._base.result import Status
from ._problem import LN2, TransportProblem, TransportResult

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class SymmetricState:
    """The potential w in base 2, as the plan has it less the offsets, and the best answer to it."""

    u: Array
    v: Array
    answer: Array
    nit: int
    measure: float
    #: The smallest measure so far, and the step that had it.
    best: float
    best_nit: int


@dataclass(frozen=True)
class SymmetricSinkhorn:
    """The mean of w and the best answer T(w) to it, for a symmetric cost and equal weights.

    The derivative of T is minus a matrix with eigenvalues between -1 and 1, between 0 and 1 where exp(-C / reg) is
    positive definite, as it is for all metrics of this family. There the error at least halves in every step near
    the solution, whatever reg. A step is one read of the cost.
    """

    def init(self, problem: TransportProblem) -> SymmetricState:
        zero = np.zeros_like(problem.v0)
        return _evaluated(problem, zero, zero, 0, np.inf, 0)

    def step(self, problem: TransportProblem, state: SymmetricState) -> SymmetricState:
        w = 0.5 * (state.v + problem.lifted[1] + state.answer)
        return _evaluated(problem, w, state.answer, state.nit + 1, state.best, state.best_nit)

    def done(self, problem: TransportProblem, state: SymmetricState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: TransportProblem, state: SymmetricState) -> TransportResult:
        return problem.certify(state, {"averaged": state.nit})


def _evaluated(
    problem: TransportProblem, w: Array, reference: Array, nit: int, best: float, best_nit: int
) -> SymmetricState:
    rows, columns = problem.lifted
    answer = problem.sweep(reference - rows, w - columns)[0] + rows
    with np.errstate(over="ignore"):
        gap = problem.a * np.expm1(LN2 * (w - answer))  # the row sums at w, less a; those of the columns are the same
    measure = problem.size([gap, gap])
    if measure < best:
        best, best_nit = measure, nit
    return SymmetricState(w - rows, w - columns, answer, nit, measure, best, best_nit)


#: Not registered: it serves the divergence alone, whose self terms are symmetric by construction.
METHOD = Method(
    name="symmetric-sinkhorn",
    family="ot",
    summary="the averaged fixed point of transport of a weighted set to itself",
    reference="Feydy, Sejourne, Vialard, Amari, Trouve, Peyre (2019), arXiv 1810.08278",
    solver=SymmetricSinkhorn,
    capabilities=frozenset({"dense-cost", "point-cloud"}),
)
