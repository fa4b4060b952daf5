"""Optimistic gradient descent ascent, as forward-reflected-backward splitting: one evaluation a step.

    z+ = J_e(z - e (2 F(z) - F(z_old)))

Differs from the paper in: 1. without a Lipschitz constant the step e shrinks when e |F(z+) - F(z)| > 0.45 |z+ - z| and
the step is made again, and grows by a tenth after a step with room; the reflection is then weighted with the last step:
e F(z) + e_old (F(z) - F(z_old)), which is the paper's own line search. 2. The answer is the best iterate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from ._eg import GROWTH, ROOM, step_ratio
from ._guard import Iterate, Walk
from ._problem import Inclusion

Array = npt.NDArray[Any]

ACCEPTED = 0.45


@dataclass(frozen=True, eq=False)
class Reflected(Iterate):
    """The state: also e_old (F(z) - F(z_old))."""

    reflection: Array = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Optimistic(Walk):
    """Forward-reflected-backward splitting."""

    State = Reflected
    share = 0.475

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """Nothing to reflect yet."""
        return {"reflection": np.zeros_like(z)}

    def move(self, problem: Inclusion, state: Reflected) -> tuple[Array, Array, dict[str, Any]]:
        """One step; more than one evaluation where the search of the step fails."""
        step = state.step
        while True:
            z = state.z - step * state.F
            z -= state.reflection
            problem.resolvent(z, step, z)
            F = problem.evaluate(z)
            change = F - state.F
            if problem.L is not None:
                break
            ratio = step_ratio(step, z - state.z, change)
            if ratio <= ACCEPTED or step <= 1e-12 * state.step:
                break
            step *= max(0.5, 0.9 * ACCEPTED / ratio) if np.isfinite(ratio) else 0.5
        change *= step
        if problem.L is None and ratio < ROOM * ACCEPTED:
            step *= GROWTH
        return z, F, {"reflection": change, "step": step}


METHOD = register(
    Method(
        name="ogda",
        family="equilibrium",
        summary="optimistic gradient descent ascent (forward-reflected-backward): one evaluation a step",
        reference="Malitsky, Tam (2020), A forward-backward splitting method for monotone inclusions without "
        "cocoercivity, SIAM J. Optim. 30(2), arXiv 1808.04162",
        solver=Optimistic,
        capabilities=frozenset({"inclusion", "sharded"}),
    )
)
