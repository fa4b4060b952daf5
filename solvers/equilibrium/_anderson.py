"""Anderson's acceleration of a fixed-point iteration, with a safeguard.

The next iterate is T applied to the affine combination of the last ones whose combined residual is least, to first
order: with the differences dX and dR of iterates and residuals r = x - T(x),

    g = argmin |r - dR g|^2 + lam |g|^2,  lam = 1e-10 |dR|_F^2;    x+ = x - r - (dX - dR) g

For maps that are not contractions it may wander for ever. Differs from the papers in: 1. a candidate is taken only
where its residual is at most twice the least so far, and only while that least still falls; else the iteration takes a
step of Halpern's, which converges for every nonexpansive map, on a track of its own. The track starts anew from the
best point when that has half the residual of the track's anchor. 2. The least-squares problem is solved by its normal
equations, which the regularisation keeps well enough conditioned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from ._guard import Iterate, Walk
from ._problem import Inclusion
from ._sets import length

Array = npt.NDArray[Any]

REGULARISATION = 1e-10
#: A candidate's residual over the least so far; and how many memories long the least may stay as it is.
TOLERATED, PATIENCE = 2.0, 2


@dataclass(frozen=True, eq=False)
class Accelerated(Iterate):
    """The state: also the differences since the last rejection, and the track of anchored steps."""

    moves: Array = None  # type: ignore[assignment]
    changes: Array = None  # type: ignore[assignment]
    held: int = 0
    #: The least residual so far, and when it last fell by a percent.
    least: float = 0.0
    fell: int = 0
    anchor: Array = None  # type: ignore[assignment]
    at_anchor: float = 0.0
    track: Array = None  # type: ignore[assignment]
    track_value: Array = None  # type: ignore[assignment]
    k: int = 0
    rejections: int = 0


@dataclass(frozen=True)
class Anderson(Walk):
    """Anderson acceleration of type II."""

    memory: int = option(8, "differences in memory", low=1, high=100)

    State = Accelerated
    share = 1.0

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """No memory, and the anchor here."""
        none = np.zeros((min(self.memory, len(z)), len(z)))
        residual = length(F)
        return {
            "moves": none, "changes": none, "held": 0, "least": residual, "fell": 0, "anchor": z,
            "at_anchor": residual, "track": z, "track_value": F, "k": 0,
        }  # fmt: skip

    def move(self, problem: Inclusion, state: Accelerated) -> tuple[Array, Array, dict[str, Any]]:
        """A candidate; an anchored step where it is rejected."""
        z = self._candidate(state)
        F = problem.evaluate(z)
        residual = length(F)
        patient = state.nit - state.fell <= PATIENCE * len(state.moves)
        if residual <= TOLERATED * state.least and patient:
            return z, F, {"natural": residual, **self._kept(state, z, F, residual)}
        return self._anchored(problem, state)

    def _candidate(self, state: Accelerated) -> Array:
        z = state.z - state.step * state.F
        count = min(state.held, len(state.moves))
        if count:
            dR, dX = state.changes[:count], state.moves[:count]
            gram = dR @ dR.T
            gram.flat[:: count + 1] += REGULARISATION * gram.trace() + 1e-300
            weights = np.linalg.solve(gram, dR @ state.F)
            z -= weights @ (dX - state.step * dR)
        return z

    def _kept(self, state: Accelerated, z: Array, F: Array, residual: float) -> dict[str, Any]:
        """The memory with this move, in place of the oldest."""
        moves, changes = state.moves.copy(), state.changes.copy()
        slot = state.held % len(moves)
        moves[slot], changes[slot] = z - state.z, F - state.F
        new: dict[str, Any] = {"moves": moves, "changes": changes, "held": state.held + 1}
        if residual < 0.99 * state.least:
            new |= {"least": residual, "fell": state.nit + 1}
        return new

    def _anchored(self, problem: Inclusion, state: Accelerated) -> tuple[Array, Array, dict[str, Any]]:
        """A step of Halpern's, from the best point where that is much better than the anchor of the track."""
        anchor, track, F, k, at = state.anchor, state.track, state.track_value, state.k, state.at_anchor
        if state.measure <= 0.5 * at:
            anchor = track = state.best
            F, k = problem.evaluate(track), 0
            at = length(F)
        z = track - state.step * F
        z += (anchor - z) / (k + 2)
        there = problem.evaluate(z)
        residual = length(there)
        new = {
            "natural": residual, "held": 0, "anchor": anchor, "at_anchor": at, "track": z, "track_value": there,
            "k": k + 1, "fell": state.nit + 1, "least": min(residual, state.least), "rejections": state.rejections + 1,
        }  # fmt: skip
        return z, there, new


METHOD = register(
    Method(
        name="anderson",
        family="equilibrium",
        summary="Anderson acceleration with a safeguard: the method for contractions",
        reference="Anderson (1965), Iterative procedures for nonlinear integral equations; Walker, Ni (2011), "
        "Anderson acceleration for fixed-point iterations; Zhang, O'Donoghue, Boyd (2020), arXiv 1808.03971",
        solver=Anderson,
        capabilities=frozenset({"fixed-point"}),
    )
)
