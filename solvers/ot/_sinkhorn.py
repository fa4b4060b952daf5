"""Sinkhorn's iteration in the log domain, one fused read of the cost an iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.result import Status
from ._problem import TransportProblem, TransportResult

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class SinkhornState:
    """Potentials in base 2 with the row sums met, and the column sums there."""

    u: Array
    v: Array
    column_sums: Array
    nit: int
    measure: float
    #: The smallest measure so far, and the step that had it.
    best: float
    best_nit: int


@dataclass(frozen=True)
class Sinkhorn:
    """Alternate u = best response to v and v = best response to u.

    A step is a whole iteration: v from the column sums, then u and the new column sums in one pass. The
    rows are met exactly after it, so the error of the columns is the error of the plan.
    """

    def init(self, problem: TransportProblem) -> SinkhornState:
        u, column_sums = problem.sweep(problem.u0, problem.v0)
        measure = problem.error(None, column_sums)
        return SinkhornState(u, problem.v0, column_sums, 0, measure, measure, 0)

    def step(self, problem: TransportProblem, state: SinkhornState) -> SinkhornState:
        v = problem.best_v(state.u, state.v, state.column_sums)
        u, column_sums = problem.sweep(state.u, v)
        measure, nit = problem.error(None, column_sums), state.nit + 1
        if not np.isfinite(measure):
            return SinkhornState(state.u, state.v, state.column_sums, nit, measure, state.best, state.best_nit)
        best, best_nit = (measure, nit) if measure < state.best else (state.best, state.best_nit)
        return SinkhornState(u, v, column_sums, nit, measure, best, best_nit)

    def done(self, problem: TransportProblem, state: SinkhornState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: TransportProblem, state: SinkhornState) -> TransportResult:
        return problem.certify(state, {"sinkhorn": state.nit})


METHOD = register(
    Method(
        name="sinkhorn",
        family="ot",
        summary="Sinkhorn's iteration in the log domain, one read of the cost an iteration",
        reference="Cuturi (2013), Sinkhorn distances, arXiv 1306.0895; Schmitzer (2019), arXiv 1610.06519",
        solver=Sinkhorn,
        capabilities=frozenset({"dense-cost", "point-cloud", "block-cost"}),
    )
)
