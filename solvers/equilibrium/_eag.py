"""The extra anchored gradient method, with varying steps (EAG-V), and with restarts.

    b = 1 / (k + 2):  zh = J_e(z + b (z0 - z) - e F(z)),  z+ = J_e(z + b (z0 - z) - e F(zh))

The step shrinks from iteration to iteration towards a positive limit, by an amount that the constant L determines.

Differs from the paper in: 1. resolvents, after both halves. 2. Without a Lipschitz constant the ratio
|F(zh) - F(z)| / |zh - z| takes its place, and a step that is longer than 0.618 of its inverse is made again. 3.
Restarts: see `_anchored`; the step is then that of the start again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from ._anchored import Anchored, AnchoredIterate
from ._eg import step_ratio
from ._problem import Inclusion

Array = npt.NDArray[Any]

#: The first step in units of 1 / L.
FIRST = 0.618


@dataclass(frozen=True)
class ExtraAnchoredGradient(Anchored):
    """Yoon and Ryu's method."""

    restart: str = option("adaptive", "when the anchor moves", choices=("adaptive", "never"))

    share = FIRST

    def advance(self, problem: Inclusion, state: AnchoredIterate) -> tuple[Array, Array, float]:
        """A pulled extragradient step."""
        pull = 1 / (state.k + 2)
        base = state.z + pull * (state.anchor - state.z)
        step = state.step
        while True:
            half = base - step * state.F
            problem.resolvent(half, step, half)
            Fh = problem.evaluate(half)
            ratio = step_ratio(step, half - state.z, Fh - state.F)
            if problem.L is not None or ratio <= FIRST or step <= 1e-12 * state.step:
                break
            step *= max(0.5, 0.95 * FIRST / ratio) if np.isfinite(ratio) else 0.5
        z = base - step * Fh
        problem.resolvent(z, step, z)
        square = min((step * problem.L if problem.L else ratio) ** 2, 0.5)
        shrunk = step * (1 - square / ((1 - square) * (state.k + 1) * (state.k + 3)))
        return z, problem.evaluate(z), shrunk

    def lengthened(self, problem: Inclusion, state: AnchoredIterate, step: float) -> float:
        """Back to the first step where it is known, else a fifth more."""
        if problem.L is None:
            return super().lengthened(problem, state, step)
        return self.share / problem.L * 0.5**state.halvings


METHOD = register(
    Method(
        name="eag",
        family="equilibrium",
        summary="extra anchored gradient with varying steps and restarts",
        reference="Yoon, Ryu (2021), Accelerated algorithms for smooth convex-concave minimax problems with O(1/k^2) "
        "rate on squared gradient norm, ICML, arXiv 2102.07922",
        solver=ExtraAnchoredGradient,
        capabilities=frozenset({"inclusion", "sharded"}),
    )
)
