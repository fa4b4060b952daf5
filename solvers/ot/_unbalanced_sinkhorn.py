"""The scaling iteration of unbalanced transport, each iteration with the best shift of the potentials.

Follows Sejourne, Vialard and Peyre (2022), arXiv 2201.00730, whose translation-invariant iteration maximises the
dual over the common shift of the potentials too. Differs from it in:

1. The shift is found behind the rows' answer, from the two masses alone (`UnbalancedProblem.respond` derives it).
2. The columns' half has none of its own: the rows' answer sees the column potentials only up to a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._base.method import Method, register
from .._base.result import Status
from ._unbalanced import UnbalancedProblem, UnbalancedResult, UnbalancedState


@dataclass(frozen=True)
class UnbalancedSinkhorn:
    """Alternate the columns' and the rows' best answers, the potentials shifted against one another for the best.

    A step is a whole iteration, one read of the cost. The rows are at their targets after it, so the error of
    the columns is the error of the plan.
    """

    def init(self, problem: UnbalancedProblem) -> UnbalancedState:
        return problem.start()

    def step(self, problem: UnbalancedProblem, state: UnbalancedState) -> UnbalancedState:
        return problem.advance(state, problem.scaling_step(state))

    def done(self, problem: UnbalancedProblem, state: UnbalancedState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: UnbalancedProblem, state: UnbalancedState) -> UnbalancedResult:
        return problem.certify(state, {"scaling": state.nit})


METHOD = register(
    Method(
        name="unbalanced-sinkhorn",
        family="ot",
        summary="the scaling iteration of unbalanced transport with the best shift of the potentials in each iteration",
        reference="Chizat, Peyre, Schmitzer, Vialard (2018), arXiv 1607.05816; Sejourne, Vialard, Peyre (2022), "
        "Faster unbalanced optimal transport, arXiv 2201.00730",
        solver=UnbalancedSinkhorn,
        capabilities=frozenset({"unbalanced-cost", "unbalanced-points"}),
    )
)
