"""Sinkhorn's iteration in the log domain, one fused read of the cost an iteration; extrapolated where asked for.

The iteration is a fixed-point map of the column potentials, whose derivative is similar to a symmetric one with
eigenvalues in [0, 1]. For such maps Anderson's extrapolation from the last steps (see _anderson.py) acts like
conjugate gradients do for linear systems. A step that would lower the dual is replaced by a plain one, which raises
it: so the extrapolated iteration converges where the plain one does.
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
    #: Of the last steps, in a ring of (memory + 1) rows, none without memory: the best column potentials, and what
    #: they differ by from those that they answered to.
    answers: Array
    moves: Array
    known: int
    #: Extrapolations that lowered the dual.
    refused: int


@dataclass(frozen=True)
class Sinkhorn:
    """Alternate u = best response to v and v = best response to u.

    A step is a whole iteration: v from the column sums, then u and the new column sums in one pass (two passes where
    an extrapolation is refused). The rows are met exactly after it, so the error of the columns is the error of the
    plan.
    """

    memory: int = option(0, "last steps from which the next is extrapolated; 0: none", low=0, high=50, unit="steps")

    def init(self, problem: TransportProblem) -> SinkhornState:
        u, column_sums = problem.sweep(problem.u0, problem.v0)
        measure = problem.error(None, column_sums)
        ring = np.zeros((self.memory + 1 if self.memory else 0, len(problem.v0)))
        return SinkhornState(
            u, problem.v0, column_sums, 0, measure, measure, 0, answers=ring, moves=ring, known=0, refused=0
        )

    def step(self, problem: TransportProblem, state: SinkhornState) -> SinkhornState:
        v = problem.best_v(state.u, state.v, state.column_sums)
        following = _extrapolated(problem, state, v) if self.memory else _moved(problem, state, v)
        if not np.isfinite(following.measure):
            return replace(state, nit=following.nit, measure=following.measure)
        return following

    def done(self, problem: TransportProblem, state: SinkhornState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: TransportProblem, state: SinkhornState) -> TransportResult:
        return problem.certify(state, {"sinkhorn": state.nit, "refused": state.refused})


def _moved(problem: TransportProblem, state: SinkhornState, v: Array) -> SinkhornState:
    """The state at the column potentials v, one iteration later."""
    u, column_sums = problem.sweep(state.u, v)
    measure, nit = problem.error(None, column_sums), state.nit + 1
    best, best_nit = (measure, nit) if measure < state.best else (state.best, state.best_nit)
    return replace(
        state, u=u, v=v, column_sums=column_sums, nit=nit, measure=measure, best=best, best_nit=best_nit
    )  # fmt: skip


def _extrapolated(problem: TransportProblem, state: SinkhornState, answer: Array) -> SinkhornState:
    """The state at the extrapolated column potentials; at the answer itself where these are no better."""
    answers, moves = remembered(state.answers, state.moves, answer, answer - state.v)
    known = min(state.known + 1, len(moves))
    state = replace(state, answers=answers, moves=moves, known=known)
    if known > 1:
        following = _moved(problem, state, extrapolated(answers[:known], moves[:known], problem.b))
        if _ascends(problem, state, following):
            return following
        state = replace(state, known=1, refused=state.refused + 1)
    return _moved(problem, state, answer)


def _ascends(problem: TransportProblem, old: SinkhornState, new: SinkhornState) -> bool:
    """Whether the dual rises; where rounding hides that, whether the marginal error falls."""
    if not np.isfinite(new.measure):
        return False
    # With the rows met the plan's mass is that of a, and the dual is <a, u> + <b, v> in units of reg ln2. Its gain is
    # formed from differences: the dual itself would drown it in rounding.
    gain = problem.rise(old.u, new.u) + float(problem.b @ (new.v - old.v))
    rounding = 1e-15 * (problem.weight(old.u) + float(problem.b @ np.abs(old.v)))
    return gain > rounding or (gain >= -rounding and new.measure < old.measure)


METHOD = register(
    Method(
        name="sinkhorn",
        family="ot",
        summary="Sinkhorn's iteration in the log domain, one read of the cost an iteration",
        reference="Cuturi (2013), Sinkhorn distances, arXiv 1306.0895; Schmitzer (2019), arXiv 1610.06519; Anderson "
        "(1965), Iterative procedures for nonlinear integral equations",
        solver=Sinkhorn,
        capabilities=frozenset({"dense-cost", "point-cloud", "block-cost", "sharded"}),
    )
)
