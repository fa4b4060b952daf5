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

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from ._unbalanced import UnbalancedProblem, UnbalancedResult, UnbalancedState

Array = npt.NDArray[Any]

#: Directions in which the last steps hardly differ count as none.
SMALLEST_SINGULAR_VALUE = 1e-10


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
        state = _remember(state, answer, answer - problem.column_place(state))
        following = problem.moved(state, _extrapolated(state, problem.b))
        if not (problem.gain(state, following) >= 0 or following.measure < state.measure):
            following = problem.moved(replace(state, known=1, refused=state.refused + 1), answer)
        return problem.advance(state, following)

    def done(self, problem: UnbalancedProblem, state: UnbalancedSinkhornState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: UnbalancedProblem, state: UnbalancedSinkhornState) -> UnbalancedResult:
        return problem.certify(state, {"scaling": state.nit, "refused": state.refused})


def _remember(state: UnbalancedSinkhornState, answer: Array, move: Array) -> UnbalancedSinkhornState:
    """The state with one more step, the newest first."""
    answers, moves = (np.roll(known, 1, axis=0) for known in (state.answers, state.moves))
    answers[0], moves[0] = answer, move
    return replace(state, answers=answers, moves=moves, known=min(state.known + 1, len(moves)))


def _extrapolated(state: UnbalancedSinkhornState, weights: Array) -> Array:
    """The combination of the last answers, with coefficients of sum 1, whose combined move is smallest."""
    newest: Array = state.answers[0]
    if state.known < 2:
        return newest
    turns = np.diff(state.moves[: state.known], axis=0)
    scale = np.sqrt(weights)
    coefficients = np.linalg.lstsq((turns * scale).T, -state.moves[0] * scale, rcond=SMALLEST_SINGULAR_VALUE)[0]
    extrapolated: Array = newest + coefficients @ np.diff(state.answers[: state.known], axis=0)
    return extrapolated


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
