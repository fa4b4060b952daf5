"""Halpern's iteration of a nonexpansive map T: the average of T(z) and the anchor.

    z+ = b z0 + (1 - b) T(z),  b = 1 / (k + 2)

Of a fixed-point problem T is the user's map; of an inclusion with cocoercive F it is the forward-backward step
J_e(z - e F(z)), e <= 2 / L. Then |z - T(z)| <= 2 |z0 - z*| / (k + 1), which is tight.

Differs from the paper in: 1. Restarts: see `_anchored`. 2. Without a Lipschitz constant the step e shrinks until
e |F(z+) - F(z)|^2 <= 1.9 <F(z+) - F(z), z+ - z> for the step's two ends, which is what cocoercivity promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from .._base.errors import MethodError
from .._base.method import Method, register
from .._base.options import option
from ._anchored import Anchored, AnchoredIterate
from ._problem import Inclusion

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Halpern(Anchored):
    """Halpern's iteration."""

    restart: str = option("adaptive", "when the anchor moves", choices=("adaptive", "never"))

    share = 1.0

    def init(self, problem: Inclusion) -> Any:
        """The start; a problem that is not cocoercive is refused."""
        if problem.cocoercive is False:
            raise MethodError(
                "method 'halpern' needs a cocoercive F, which this one is not; feg, eag, eg and ogda do not"
            )
        return super().init(problem)

    def advance(self, problem: Inclusion, state: AnchoredIterate) -> tuple[Array, Array, float]:
        """A forward-backward step, pulled."""
        pull, step = 1 / (state.k + 2), state.step
        while True:
            z = state.z - step * state.F
            problem.resolvent(z, step, z)
            z -= pull * (z - state.anchor)
            F = problem.evaluate(z)
            if problem.L is not None or step <= 1e-12 * state.step:
                break
            change = F - state.F
            slack = 1.9 * float(change @ (z - state.z)) - step * float(change @ change)
            if slack >= -1e-12 * (float(change @ change) * step):
                break
            step *= 0.5
        return z, F, step

    def lengthened(self, problem: Inclusion, state: AnchoredIterate, step: float) -> float:
        """A search goes on; a given constant is kept to."""
        return super().lengthened(problem, state, step) if problem.L is None else step


METHOD = register(
    Method(
        name="halpern",
        family="equilibrium",
        summary="Halpern's iteration with restarts: of a nonexpansive map, or of forward-backward steps, F cocoercive",
        reference="Halpern (1967), Fixed points of nonexpanding maps; Lieder (2021), On the convergence rate of the "
        "Halpern-iteration, Optim. Lett. 15",
        solver=Halpern,
        capabilities=frozenset({"fixed-point", "inclusion", "sharded"}),
    )
)
