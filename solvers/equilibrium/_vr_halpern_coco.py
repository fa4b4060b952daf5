"""Halpern iteration with a variance-reduced estimate of F, for finite sums that are cocoercive on average.

    z+ = J_e(s z0 + (1 - s) z - e g),  s = 2 / (k + 4),  e = 1 / (4 L)

With probability p_k = 4 / (k + 5), not below 4 / (sqrt(n) + 5), the estimate g becomes F(z+), else batches S of
sqrt(n) components move it: g+ = g + F_S(z+) - F_S(z). L is the average constant: E|F_i(u) - F_i(v)|^2 is at most
L <F(u) - F(v), u - v>. Operators of bilinear games are not cocoercive; the method refuses what is known not to be.

Differs from the paper in: 1. One step here is all iterations up to the next F(z), because only there the residual is
known: the draws decide how many they are. 2. Restarts: z0 becomes the last such point where its measure has fallen
enough (see `_restart`); "never" is the paper. 3. The answer is the best of those points, not the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from . import _kernels
from ._guard import Iterate, Walk
from ._problem import Inclusion
from ._restart import wanted

Array = npt.NDArray[Any]

#: Streams of the coins; components are drawn from stream 0.
COINS = 1


@dataclass(frozen=True, eq=False)
class Anchored(Iterate):
    """The state where F is known: also the anchor, its measure, iterations since and in all, and the draws so far."""

    anchor: Array = None  # type: ignore[assignment]
    at_anchor: float = math.inf
    count: int = 0
    total: int = 0
    draws: int = 0


@dataclass(frozen=True)
class VarianceReducedHalpern(Walk):
    """Halpern's iteration with estimates between evaluations."""

    batch: int | None = option(None, "components a step; None: sqrt(n)", low=1)
    restart: str = option("adaptive", "when the anchor moves", choices=("adaptive", "never"))
    otherwise: str = option("refuse", "what to do where F is known not to be cocoercive", choices=("refuse", "run"))

    State = Anchored
    share = 0.25

    def first_step(self, problem: Inclusion, z: Array, F: Array) -> float:
        """A quarter of the inverse of the average constant."""
        if problem.cocoercive is False and self.otherwise == "refuse":
            raise ValueError(
                "vr-halpern-coco needs a cocoercive operator, and cocoercive=False: take vr-halpern or vr-eg, or "
                "otherwise='run' in the options"
            )
        return self.share / float(problem.sums.constant(problem, z, F))

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """The anchor is here."""
        return {"anchor": z, "count": 0, "at_anchor": problem.measure(z, F, step)}

    def move(self, problem: Inclusion, state: Anchored) -> tuple[Array, Array, dict[str, Any]]:
        """Iterations with estimates, up to the next evaluation."""
        sums, step = problem.sums, state.step
        batch = min(self.batch or math.ceil(math.sqrt(sums.n)), sums.n)
        z, g, k, draws = state.z, state.F, state.count, state.draws
        while True:
            share = 2 / (k + 4)
            new = share * state.anchor + (1 - share) * z - step * g
            problem.resolvent(new, step, new)
            before, z, k = z, new, k + 1
            # the first two steps evaluate, for 4 / (k + 5) > 1/2 would tell little from so near
            chance = 1.0 if k <= 2 else 4 / (min(k - 1, math.sqrt(sums.n)) + 5)
            if batch == sums.n or _coin(problem, state.total + k - state.count) < chance:
                break
            i, weights = sums.draw(problem.seed, draws, batch)
            draws += batch
            g = g + sums.difference(problem, i, weights, z, before)
        F = problem.evaluate(z)
        own: dict[str, Any] = {"count": k, "total": state.total + k - state.count, "draws": draws}
        if self.restart == "adaptive":
            measure = problem.measure(z, F, step)
            if k > 2 and wanted(measure, state.current, state.at_anchor, k, own["total"]):
                own |= {"anchor": z, "at_anchor": measure, "count": 0}
        return z, F, own


def _coin(problem: Inclusion, k: int) -> float:
    return float(_kernels.uniform_numbers(problem.seed, COINS, k, 1)[0])


METHOD = register(
    Method(
        name="vr-halpern-coco",
        family="equilibrium",
        summary="Halpern iteration with a recursive variance-reduced estimator, for cocoercive finite sums",
        reference="Cai, Alacaoglu, Diakonikolas (2024), Variance reduced Halpern iteration for finite-sum monotone "
        "inclusions, ICLR, arXiv 2310.02987, algorithm 1",
        solver=VarianceReducedHalpern,
        capabilities=frozenset({"cocoercive-sum", "sharded"}),
    )
)
