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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._guard import Iterate, Walk
from ._problem import Inclusion
from ._restart import fallen
from ._sets import length

Array = npt.NDArray[Any]

#: The residual has fallen so far below that at the anchor; or so far, and it rises.
SUFFICIENT, NECESSARY = 0.1, 0.5
#: Iterates in memory; the share of the residual that a guess must come down to where no restart is due.
MEMORY, WORTH = 10, 0.5
#: Entries of the vectors that are factorised at a time.
PART = 8192
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
    #: Points since the anchor with their residuals, so many iterations apart.
    points: Sequence[Array] = ()
    residuals: Sequence[Array] = ()
    spacing: int = 1
    restarts: int = 0

    #: What has no fixed shape.
    varying: ClassVar = ("points", "residuals")


class Anchored(Walk):
    """The base of the anchored methods."""

    State = AnchoredIterate
    restart: str

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """Everything anew at z."""
        residual = length(problem.displacement(z, F, problem.scratch("displacement")))
        return _anew(z, residual)

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
        due = fallen(residual, state.last, state.at_anchor, SUFFICIENT, NECESSARY)
        points, residuals = state.points, state.residuals
        if (state.k + 1) % state.spacing == 0:
            points, residuals = (*points, z), (*residuals, displacement)
        full = len(points) == MEMORY
        if (due or full) and len(points) > 1:
            guess = combined(points, residuals)
            problem.resolvent(guess, step, guess)
            there = problem.evaluate(guess)
            found = length(problem.displacement(guess, there, problem.scratch("displacement")))
            if found < (1.0 if due else WORTH) * residual:
                z, F, residual, due = guess, there, found, True
        if due:
            anew = {**_anew(z, residual), "restarts": state.restarts + 1}
            return z, F, {**changes, **anew, "natural": residual, "step": self.lengthened(problem, state, step)}
        if full:
            points, residuals = points[1::2], residuals[1::2]
            changes["spacing"] = 2 * state.spacing
        return z, F, {**changes, "points": points, "residuals": residuals}

    def lengthened(self, problem: Inclusion, state: AnchoredIterate, step: float) -> float:
        """The step that is tried at a new anchor."""
        return GROWTH * step


def combined(points: Sequence[Array], residuals: Sequence[Array]) -> Array:
    """The affine combination of the points whose combination of residuals is least."""
    last = residuals[-1]
    # The triangle of a QR factorisation, by parts that fit in cache: three times as fast as one of long vectors.
    parts: list[Array] = []
    for first in range(0, len(last), PART):
        here = slice(first, first + PART)
        columns = [r[here] - last[here] for r in residuals[:-1]]
        parts.append(_triangle(np.stack([*columns, last[here]], axis=1)))
    R = _triangle(np.vstack(parts)) if len(parts) > 1 else parts[0]
    weights = np.linalg.lstsq(R[:, :-1], -R[:, -1], rcond=1e-10)[0]
    guess = points[-1].copy()
    for weight, point in zip(weights, points[:-1], strict=True):
        guess += weight * (point - points[-1])
    return guess


def _triangle(A: Array) -> Array:
    return np.asarray(np.linalg.qr(A, mode="r"))


def _anew(z: Array, residual: float) -> dict[str, Any]:
    anew: dict[str, Any] = {"anchor": z, "k": 0, "at_anchor": residual, "last": residual}
    return {**anew, "points": (), "residuals": (), "spacing": 1}
