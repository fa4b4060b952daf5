"""What the anchored methods share: when the anchor moves, to where, and with what step from there.

Each iterate is pulled to the anchor with a weight 1 / (k + c), which gives the rate 1 / k of the residual; where
problems are better than the worst case, moving the anchor makes it linear. Here the anchor moves when the residual is a
tenth of what it was at the anchor, or half of it and rising. Fewer restarts than in Lu and Yang's rule (a fifth, and
one after 36 % of all iterations in any case) take a third fewer evaluations on bilinear and affine problems: what the
pull gains comes late. With the anchor two things change:

1. The new anchor is, where its residual is smaller, the affine combination of iterates since the last anchor whose
   combined residual is least: nothing else is as good a guess where F is nearly affine on the active face. Up to MEMORY
   iterates are kept, evenly spaced; when the memory is full every other one goes, and the guess is tried there, too. It
   costs an evaluation, and is taken only if that shows a residual that is smaller (without a restart: half as large).
2. The step grows by a fifth: the moves since tell a search whether the operator allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._guard import Iterate, Walk
from ._problem import Inclusion
from ._sets import length

Array = npt.NDArray[Any]

#: The residual has fallen so far below that at the anchor; or so far, and it rises.
SUFFICIENT, NECESSARY = 0.1, 0.5
#: Iterates in memory; the share of the residual that a guess must come down to where no restart is due.
MEMORY, WORTH = 10, 0.5
#: Of the step at a new anchor.
GROWTH = 1.2


@dataclass(frozen=True, eq=False)
class AnchoredIterate(Iterate):
    """The state: also the anchor, and what is remembered since."""

    anchor: Array = None  # type: ignore[assignment]
    #: Iterations since the anchor, the residual there, and the last.
    k: int = 0
    at_anchor: float = 0.0
    last: float = 0.0
    points: Array = None  # type: ignore[assignment]
    residuals: Array = None  # type: ignore[assignment]
    #: How many points are in memory, and how far apart.
    held: int = 0
    spacing: int = 1
    restarts: int = 0


class Anchored(Walk):
    """The base of the anchored methods."""

    State = AnchoredIterate
    restart: str

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """Everything anew at z."""
        residual = length(problem.displacement(z, F, problem.scratch("displacement")))
        memory = np.zeros((0 if self.restart == "never" else MEMORY, len(z)))
        return {"points": memory, "residuals": memory, **_anew(z, residual)}

    def advance(self, problem: Inclusion, state: Any) -> tuple[Array, Array, float]:
        """The next iterate, F there, and the step that was taken."""
        raise NotImplementedError

    def move(self, problem: Inclusion, state: AnchoredIterate) -> tuple[Array, Array, dict[str, Any]]:
        """One iteration, with a restart where that is due."""
        z, F, step = self.advance(problem, state)
        displacement = problem.displacement(z, F, np.empty_like(z))
        residual = length(displacement)
        changes: dict[str, Any] = {"k": state.k + 1, "last": residual, "natural": residual, "step": step}
        if self.restart == "never" or not np.isfinite(residual):
            return z, F, changes
        due = is_due(residual, state.last, state.at_anchor)
        points, residuals, held, spacing = self._remembered(state, z, displacement)
        full = held == MEMORY
        if (due or full) and held > 1:
            guess = combined(points[:held], residuals[:held])
            problem.resolvent(guess, step, guess)
            there = problem.evaluate(guess)
            found = length(problem.displacement(guess, there, problem.scratch("displacement")))
            if found < (1.0 if due else WORTH) * residual:
                z, F, residual, due = guess, there, found, True
        if due:
            anew = {**_anew(z, residual), "restarts": state.restarts + 1}
            return z, F, {**changes, **anew, "natural": residual, "step": self.lengthened(problem, state, step)}
        if full:
            points, residuals = (np.concatenate((kept[1::2], kept[::2])) for kept in (points, residuals))
            held, spacing = MEMORY // 2, 2 * spacing
        changes |= {"points": points, "residuals": residuals, "held": held, "spacing": spacing}
        return z, F, changes

    def lengthened(self, problem: Inclusion, state: AnchoredIterate, step: float) -> float:
        """The step that is tried at a new anchor."""
        return GROWTH * step

    def _remembered(self, state: AnchoredIterate, z: Array, displacement: Array) -> tuple[Array, Array, int, int]:
        """The memory with this iterate, if it is its turn."""
        if (state.k + 1) % state.spacing:
            return state.points, state.residuals, state.held, state.spacing
        held = state.held
        # What was never written takes no memory: a long vector is copied only where there is one.
        points, residuals = np.zeros_like(state.points), np.zeros_like(state.residuals)
        points[:held], residuals[:held] = state.points[:held], state.residuals[:held]
        points[held], residuals[held] = z, displacement
        return points, residuals, held + 1, state.spacing


def is_due(residual: float, last: float, at_anchor: float) -> bool:
    """Whether the anchor moves now."""
    return residual <= SUFFICIENT * at_anchor or (residual <= NECESSARY * at_anchor and residual > last)


def combined(points: Array, residuals: Array) -> Array:
    """The affine combination of the points whose combination of residuals is least."""
    spread = residuals[:-1] - residuals[-1]
    weights = np.linalg.lstsq(spread.T, -residuals[-1], rcond=1e-10)[0]
    return np.asarray(points[-1] + weights @ (points[:-1] - points[-1]))


def _anew(z: Array, residual: float) -> dict[str, Any]:
    return {"anchor": z, "k": 0, "at_anchor": residual, "last": residual, "held": 0, "spacing": 1}
