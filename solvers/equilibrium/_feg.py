"""The fast extragradient method: extragradient steps that an anchor pulls, with restarts. The fallback for inclusions.

    b = 1 / (k + 1):  zh = J_e(z + b (z0 - z) - (1 - b) e F(z)),  z+ = J_e(z + b (z0 - z) - e F(zh))

Differs from the paper in: 1. resolvents, after both halves. 2. Without a Lipschitz constant the step shrinks until
e |F(zh) - F(z)| <= |zh - z|; a given one bounds that search from below. 3. Restarts: see `_anchored`.
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


@dataclass(frozen=True)
class FastExtragradient(Anchored):
    """Lee and Kim's method for monotone operators."""

    restart: str = option("adaptive", "when the anchor moves", choices=("adaptive", "never"))

    share = 1.0

    def advance(self, problem: Inclusion, state: AnchoredIterate) -> tuple[Array, Array, float]:
        """An extragradient step, pulled; more than two evaluations where the search of the step fails."""
        pull = 1 / (state.k + 1)
        base = state.z + pull * (state.anchor - state.z)
        step = state.step
        least = self.share / problem.L * 0.5**state.halvings if problem.L else 1e-12 * step
        while True:
            half = base - ((1 - pull) * step) * state.F
            problem.resolvent(half, step, half)
            Fh = problem.evaluate(half)
            if step <= least:
                break
            ratio = step_ratio(step, half - state.z, Fh - state.F)
            if ratio <= 1.0:
                break
            step = max(least, step * (max(0.5, 0.9 / ratio) if np.isfinite(ratio) else 0.5))
        z = base - step * Fh
        problem.resolvent(z, step, z)
        return z, problem.evaluate(z), step


METHOD = register(
    Method(
        name="feg",
        family="equilibrium",
        summary="fast (anchored) extragradient with restarts and a search of the step; the fallback for inclusions",
        reference="Lee, Kim (2021), Fast extra gradient methods for smooth structured nonconvex-nonconcave minimax "
        "problems, arXiv 2106.02326",
        solver=FastExtragradient,
        capabilities=frozenset({"inclusion", "sharded"}),
    )
)
