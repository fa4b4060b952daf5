"""Inexact Halpern iteration on the resolvent of F + G, each resolvent by variance-reduced steps, for finite sums.

With e = sqrt(n) / L the outer iteration is u+ = s u0 + (1 - s) v, s = 1 / (k + 2), v near to J_{e (F + G)}(u): the
solution of 0 in B(v) + e G(v), B(v) = e F(v) + v - u, which is 1-strongly monotone. Inner steps, from a snapshot w:

    v+ = J_{r e}(a v + (1 - a) w - r (B(w) + e (F_S(v) - F_S(w_old)) + v - w_old))

r = 0.495 sqrt(p (1 - p) b) / (e L + 1), w_old the snapshot before w, p = b / n the chance that w becomes v+, a = 1 - p.

Differs from the paper in: 1. The inner loop ends when |v - J(v - B(v))| <= 0.3 |u - v| / (k + 2), looked at where the
snapshot moves, instead of after a set number of steps, but after 4 log(k + 2) epochs at most. 2. It starts at the last
v, not at u. 3. Batches of sqrt(n). 4. The snapshot moves after 1 / p steps instead of with the chance p. 5. The
anchor u0 moves to v where its measure has fallen enough (see `_restart`); "never" is the paper. 6. The answer is the
best v: F is known there, the natural residual is that of the inclusion itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from ._guard import Iterate, Walk
from ._problem import Inclusion
from ._restart import wanted
from ._sets import length

Array = npt.NDArray[Any]

ACCURACY, EPOCHS = 0.3, 4.0
INNER = 0.495


@dataclass(frozen=True, eq=False)
class Outer(Iterate):
    """The state: z is v, the last resolvent; also u, the anchor and its measure, the counts, and the draws so far."""

    u: Array = None  # type: ignore[assignment]
    anchor: Array = None  # type: ignore[assignment]
    at_anchor: float = math.inf
    count: int = 0
    total: int = 0
    draws: int = 0


@dataclass(frozen=True)
class InexactHalpern(Walk):
    """Halpern's iteration on the resolvent."""

    batch: int | None = option(None, "components a step; None: sqrt(n)", low=1)
    restart: str = option("adaptive", "when the anchor moves", choices=("adaptive", "never"))

    State = Outer

    def first_step(self, problem: Inclusion, z: Array, F: Array) -> float:
        """The step of the resolvent."""
        return math.sqrt(problem.sums.n) / float(problem.sums.constant(problem, z, F))

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """The anchor is here."""
        return {"u": z, "anchor": z, "count": 0, "at_anchor": problem.measure(z, F, step)}

    def move(self, problem: Inclusion, state: Outer) -> tuple[Array, Array, dict[str, Any]]:
        """One resolvent, and the average with the anchor."""
        k, step = state.count, state.step
        v, F, draws = self._resolvent(problem, state)
        share = 1 / (k + 2)
        own = {"u": share * state.anchor + (1 - share) * v, "count": k + 1, "total": state.total + 1, "draws": draws}
        if self.restart == "adaptive":
            measure = problem.measure(v, F, step)
            if wanted(measure, state.current, state.at_anchor, k + 1, state.total + 1):
                own |= {"u": v, "anchor": v, "at_anchor": measure, "count": 0}
        return v, F, own

    def _resolvent(self, problem: Inclusion, state: Outer) -> tuple[Array, Array, int]:
        """v near to the resolvent of e (F + G) at u, F there, and the next draw."""
        sums, step, u, draws = problem.sums, state.step, state.u, state.draws
        batch = min(self.batch or math.ceil(math.sqrt(sums.n)), sums.n)
        p = batch / sums.n
        steps = max(1, round(1 / p))
        # e L = sqrt(n), and less where the step was halved
        r = INNER * min(1.0, math.sqrt(p * max(1 - p, 0.25) * batch)) / (math.sqrt(sums.n) + 1)
        left = math.ceil(EPOCHS * math.log(state.count + 3) * sums.n / batch)
        w = w_old = v = state.z
        F = F_old = state.F
        while True:
            B = step * F + w - u
            for _ in range(steps):
                if batch == sums.n:
                    change = step * (F - F_old)
                else:
                    i, weights = sums.draw(problem.seed, draws, batch)
                    draws += batch
                    change = step * sums.difference(problem, i, weights, v, w_old)
                change += v - w_old
                new = (1 - p) * v + p * w - r * (B + change)
                problem.resolvent(new, r * step, new)
                v, w_old = new, w
            left -= steps
            w, F_old = v, F
            F = problem.evaluate(w)
            B = step * F + w - u
            moved = w - B
            problem.resolvent(moved, step, moved)
            if left <= 0 or length(w - moved) <= ACCURACY * length(u - w) / (state.count + 2):
                return w, F, draws


METHOD = register(
    Method(
        name="vr-halpern",
        family="equilibrium",
        summary="inexact Halpern iteration on the resolvent, by variance-reduced inner steps, for finite sums",
        reference="Cai, Alacaoglu, Diakonikolas (2024), Variance reduced Halpern iteration for finite-sum monotone "
        "inclusions, ICLR, arXiv 2310.02987, algorithms 2 and 3",
        solver=InexactHalpern,
        capabilities=frozenset({"finite-sum", "sharded"}),
    )
)
