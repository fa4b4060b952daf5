"""Picard's iteration z+ = T(z), and Krasnoselskii's, which takes a share of each step: z+ = (1 - r) z + r T(z).

Picard's converges for contractions. Krasnoselskii's does for every nonexpansive map with a fixed point, its residual
like 1 / sqrt(k).

Differs from the literature in: 1. the answer is the best iterate. 2. Krasnoselskii's share is halved where the residual
grows a thousandfold; Picard's iteration ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from ._guard import Iterate, Walk
from ._problem import Inclusion

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Picard(Walk):
    """The map, again and again."""

    State = Iterate
    share = 1.0
    attempts = 0

    def move(self, problem: Inclusion, state: Iterate) -> tuple[Array, Array, dict[str, Any]]:
        """One application of T."""
        z = state.z - state.step * state.F
        return z, problem.evaluate(z), {}


@dataclass(frozen=True)
class Krasnoselskii(Walk):
    """Averages of z and T(z)."""

    relaxation: float = option(0.5, "the share of T(z)", low=0.0, high=1.0, open=True)

    State = Iterate
    share = 1.0

    def move(self, problem: Inclusion, state: Iterate) -> tuple[Array, Array, dict[str, Any]]:
        """One averaged step."""
        z = state.z - (self.relaxation * state.step) * state.F
        return z, problem.evaluate(z), {}


METHOD = register(
    Method(
        name="picard",
        family="equilibrium",
        summary="Picard's iteration of a contraction",
        reference="Picard (1890), Mémoire sur la théorie des équations aux dérivées partielles",
        solver=Picard,
        capabilities=frozenset({"fixed-point"}),
    )
)

AVERAGED = register(
    Method(
        name="krasnoselskii",
        family="equilibrium",
        summary="averaged iteration of a nonexpansive map",
        reference="Krasnoselskii (1955), Two remarks on the method of successive approximations; Mann (1953)",
        solver=Krasnoselskii,
        capabilities=frozenset({"fixed-point"}),
    )
)
