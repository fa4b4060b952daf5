"""The extragradient method: a step, and the step from where it began by the operator at where it led.

    zh = J_e(z - e F(z)),  z+ = J_e(z - e F(zh))

Differs from the paper in: 1. without a Lipschitz constant the step shrinks until e |F(zh) - F(z)| <= 0.9 |zh - z|,
and grows again by a tenth where the first trial passes with room (Khobotov's search). 2. The answer is the best
iterate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from ._guard import Iterate, Walk
from ._problem import Inclusion
from ._sets import length

Array = npt.NDArray[Any]

#: The search accepts e |F(zh) - F(z)| <= ACCEPTED |zh - z|; below ROOM times that the next step is longer by GROWTH.
ACCEPTED, ROOM, GROWTH = 0.9, 0.7, 1.1


@dataclass(frozen=True)
class Extragradient(Walk):
    """Korpelevich's method."""

    State = Iterate
    share = 0.95

    def move(self, problem: Inclusion, state: Iterate) -> tuple[Array, Array, dict[str, Any]]:
        """One extragradient step."""
        step = state.step
        while True:
            half = state.z - step * state.F
            problem.resolvent(half, step, half)
            Fh = problem.evaluate(half)
            if problem.L is not None:
                break
            ratio = step_ratio(step, half - state.z, Fh - state.F)
            if ratio <= ACCEPTED or step <= 1e-12 * state.step:
                break
            step *= max(0.5, 0.9 * ACCEPTED / ratio) if np.isfinite(ratio) else 0.5
        z = state.z - step * Fh
        problem.resolvent(z, step, z)
        if problem.L is None and ratio < ROOM * ACCEPTED:
            step *= GROWTH
        return z, problem.evaluate(z), {"step": step}


def step_ratio(step: float, move: Array, change: Array) -> float:
    """step |change| / |move|: the step in units of 1 / L as it shows between two points."""
    distance = length(move)
    return step * length(change) / distance if distance > 0.0 else 0.0


METHOD = register(
    Method(
        name="eg",
        family="equilibrium",
        summary="extragradient: two evaluations a step, for any monotone Lipschitz operator",
        reference="Korpelevich (1976), The extragradient method for finding saddle points; Khobotov (1987), its step",
        solver=Extragradient,
        capabilities=frozenset({"inclusion", "sharded"}),
    )
)
