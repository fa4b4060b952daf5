"""What the methods that step from point to point share: the best point, the step size that is too long, rounding.

A method says in `begin` what it keeps beside the iterate when it starts (anew) at a point, and in `move` how it gets to
the next. Here that becomes the four functions of the house's loop. A residual that has grown a thousandfold, or that is
not finite, sends the iteration back to its best point with half the step; after twenty times it gives up.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from .._base.result import Status
from .._base.state import replace
from ._problem import EquilibriumResult, Inclusion
from ._sets import length

Array = npt.NDArray[Any]

#: The residual over that at the start that counts as divergence, and how often the step is halved for that.
GROWTH, HALVINGS = 1e3, 20
#: Steps stay between these: of an F that does not change none is too long, of one that jumps none is short enough, and
#: a search that multiplies ends neither at infinity nor at zero.
SHORTEST, LONGEST = 1e-100, 1e100
#: Below this, relative to the size of the numbers that the residual is made of, progress can stop for rounding alone:
#: it has stopped when QUIET steps, and that share of all steps, made the measure smaller by less than a percent.
ROUNDING, QUIET, QUIET_SHARE = 1e-13, 100, 0.25
#: <F(u) - F(v), u - v> may be so far below 0, relative to |u - v|^2, in a monotone operator.
MONOTONE = 1e-8
EPSILON = float(np.finfo(float).eps)

S = TypeVar("S", bound="Iterate")


@dataclass(frozen=True, eq=False)
class Iterate:
    """The state: an iterate z with F(z), the best point so far, and the counts of the guard."""

    z: Array
    F: Array
    best: Array
    #: The measure of the best point, that of z, and the step with which the best was found.
    measure: float
    current: float
    best_step: float
    #: The natural residual at the start: what divergence is measured by.
    first: float
    step: float
    nit: int = 0
    halvings: int = 0
    #: When the measure last fell by a percent, and to what.
    since: int = 0
    level: float = math.inf
    monotone: bool = True


class Walk:
    """The base of the methods' solver classes."""

    #: The state's class, and the share of 1 / L that the step is.
    State: ClassVar[type[Any]]
    share: ClassVar[float]
    #: How often a step that diverged is halved.
    attempts: ClassVar[int] = HALVINGS

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """The fields of the state that are the method's own, when it starts at z."""
        return {}

    def move(self, problem: Inclusion, state: Any) -> tuple[Array, Array, dict[str, Any]]:
        """The next iterate, F there, and what else changes."""
        raise NotImplementedError

    def lipschitz(self, problem: Inclusion, z: Array, F: Array) -> float:
        """An estimate of the Lipschitz constant where the user gave none."""
        return estimate(problem, z, F)

    def init(self, problem: Inclusion) -> Any:
        """The start, projected where G is a set's."""
        z = problem.z0
        F = problem.evaluate(z)
        check_start(F)
        step = self.first_step(problem, z, F)
        natural = problem.natural(z, F)
        measure = problem.measure(z, F, step, natural)
        own = self.begin(problem, z, F, step)
        return self.State(
            z=z, F=F, best=z, measure=measure, current=measure, best_step=step, first=natural, step=step,
            level=measure, **own,
        )  # fmt: skip

    def first_step(self, problem: Inclusion, z: Array, F: Array) -> float:
        """The step to begin with."""
        return min(self.share / (problem.L or self.lipschitz(problem, z, F)), LONGEST)

    def step(self, problem: Inclusion, state: Any) -> Any:
        """One iteration."""
        with np.errstate(over="ignore", invalid="ignore"):  # the guard sees what comes of it
            z, F, changes = self.move(problem, state)
            return self._advanced(problem, state, z, F, changes)

    def _advanced(self, problem: Inclusion, state: Any, z: Array, F: Array, changes: dict[str, Any]) -> Any:
        step = changes["step"] = max(min(changes.get("step", state.step), LONGEST), SHORTEST)
        natural = changes.pop("natural", None)
        if natural is None:
            natural = problem.natural(z, F)
        current = problem.measure(z, F, step, natural)
        nit = state.nit + 1
        if not natural <= GROWTH * state.first or math.isnan(current):
            return self._returned(problem, state, nit)
        monotone = state.monotone and (not is_looked_at(nit) or self._is_monotone(problem, state, z, F))
        changes |= {"z": z, "F": F, "current": current, "nit": nit, "monotone": monotone}
        if not current >= state.measure:  # a measure of the user's may be NaN at first
            changes |= {"best": z, "measure": current, "best_step": step}
            if current < 0.99 * state.level:
                changes |= {"level": current, "since": nit}
        return replace(state, **changes)

    def _returned(self, problem: Inclusion, state: Any, nit: int) -> Any:
        """Back at the best point with half the step."""
        step = state.step / 2
        F = problem.evaluate(state.best)
        own = self.begin(problem, state.best, F, step)
        return replace(
            state, z=state.best, F=F, current=state.measure, step=step, nit=nit, halvings=state.halvings + 1, **own
        )

    def _is_monotone(self, problem: Inclusion, state: Any, z: Array, F: Array) -> bool:
        if not problem.monotone:
            return True
        move, change = z - state.z, F - state.F
        size = float(move @ move)
        rounding = 1e3 * EPSILON * (length(F) + length(state.F) + length(z) / state.step) * math.sqrt(size)
        if not float(move @ change) < -MONOTONE * size - rounding:
            return True
        warnings.warn(
            "F is not monotone: a solution may not be found; monotone=False says that this is known",
            RuntimeWarning, stacklevel=6,
        )  # fmt: skip
        return False

    def done(self, problem: Inclusion, state: Any) -> Status | None:
        """Whether to stop."""
        if state.measure <= problem.tol:
            return Status.CONVERGED
        if state.halvings > self.attempts:
            return Status.DIVERGED
        if problem.epochs >= problem.max_epochs:
            return Status.MAX_EVAL
        return Status.STAGNATION if has_stagnated(state) else None

    def finish(self, problem: Inclusion, state: Any) -> EquilibriumResult:
        """The best point."""
        return problem.result(state.best, state.best_step, {"step": state.step, "halvings": state.halvings})


def has_stagnated(state: Any) -> bool:
    """Whether the measure has come down to where rounding rules, and stays there."""
    if state.nit - state.since < max(QUIET, QUIET_SHARE * state.nit):
        return False
    return bool(state.measure <= ROUNDING * ((1 + 1 / state.step) * length(state.best) + length(state.F) + 1))


def is_looked_at(nit: int) -> bool:
    """Whether the operator's monotonicity is looked at in this step: not in all, for it costs three passes."""
    return nit % 32 == 0 or nit & (nit - 1) == 0


def check_start(F: Array) -> None:
    """ValueError where F is not finite at the start."""
    if not np.isfinite(F).all():
        raise ValueError(f"F is not finite at z0: F(z0)[{int(np.argmin(np.isfinite(F)))}] is not a number")


def estimate(problem: Inclusion, z: Array, F: Array) -> float:
    """A lower estimate of the Lipschitz constant by a short move along F, for the searches of the step."""
    size = length(F)
    if size == 0.0:
        return 1.0
    move = 1e-4 * (1 + length(z)) / size
    near = z - move * F
    problem.resolvent(near, move, near)
    distance = length(near - z)
    if distance == 0.0:
        return 1.0
    slope = length(problem.evaluate(near) - F) / distance
    return slope if 1e-12 < slope < math.inf else 1.0
