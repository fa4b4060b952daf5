"""The scaling iteration of unbalanced transport, with the best shift of the potentials and with extrapolation.

Follows Sejourne, Vialard and Peyre (2022), arXiv 2201.00730, whose translation-invariant iteration maximises the
dual over the common shift of the potentials too. Differs from it in:

1. The shift is found behind the rows' answer, from the two masses alone (`UnbalancedProblem.respond` derives it).
2. The columns' half has none of its own: the rows' answer sees the column potentials only up to a constant.
3. The iteration is taken as a fixed-point map of the column potentials and extrapolated by Anderson's method (1965)
   from its last steps. Its derivative is similar to a symmetric one with eigenvalues in [0, 1), for which
   extrapolation acts like conjugate gradients do for linear systems. A step that lowers the dual is replaced by a
   plain one, which raises it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._anderson import extrapolated, remembered
from ._unbalanced import UnbalancedProblem, UnbalancedResult, UnbalancedState

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class UnbalancedSinkhornState(UnbalancedState):
    """The state of a scaling iteration, and its last steps."""

    #: Of the last steps, in a ring of (memory + 1) rows: the columns' answers, and what they differ by from where they
    #: were given.
    answers: Array
    moves: Array
    known: int
    #: Extrapolations that lowered the dual.
    refused: int


@dataclass(frozen=True)
class UnbalancedSinkhorn:
    """Alternate the columns' and the rows' best answers, the potentials shifted against one another for the best.

    A step is a whole iteration, one read of the cost (two where an extrapolation is refused). The rows are at their
    targets after it, so the error of the columns is the error of the plan.
    """

    memory: int = option(8, "last steps from which the next is extrapolated; 0: none", low=0, high=50, unit="steps")

    def init(self, problem: UnbalancedProblem) -> UnbalancedSinkhornState:
        start = problem.start()
        empty = np.zeros((self.memory + 1, len(start.v)))
        return UnbalancedSinkhornState(**vars(start), answers=empty, moves=empty, known=0, refused=0)

    def step(self, problem: UnbalancedProblem, state: UnbalancedSinkhornState) -> UnbalancedSinkhornState:
        answer = problem.column_answer(state)
        answers, moves = remembered(state.answers, state.moves, answer, answer - problem.column_place(state))
        known = min(state.known + 1, len(moves))
        state = replace(state, answers=answers, moves=moves, known=known)
        following = problem.moved(state, extrapolated(answers[:known], moves[:known], problem.b))
        if not (problem.gain(state, following) >= 0 or following.measure < state.measure):
            following = problem.moved(replace(state, known=1, refused=state.refused + 1), answer)
        return problem.advance(state, following)

    def done(self, problem: UnbalancedProblem, state: UnbalancedSinkhornState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: UnbalancedProblem, state: UnbalancedSinkhornState) -> UnbalancedResult:
        return problem.certify(state, {"scaling": state.nit, "refused": state.refused})


METHOD = register(
    Method(
        name="unbalanced-sinkhorn",
        family="ot",
        summary="the scaling iteration of unbalanced transport, shifted for the best and extrapolated",
        reference="Chizat, Peyre, Schmitzer, Vialard (2018), arXiv 1607.05816; Sejourne, Vialard, Peyre (2022), "
        "Faster unbalanced optimal transport, arXiv 2201.00730; Anderson (1965), Iterative procedures for nonlinear "
        "integral equations",
        solver=UnbalancedSinkhorn,
        capabilities=frozenset({"unbalanced-cost", "unbalanced-points"}),
    )
)
