"""Variance-reduced extragradient steps for finite sums.

From a snapshot w, where F is known, K steps are made of which each draws components S:

    zb = a z + (1 - a) w,  zh = J_e(zb - e F(w)),  z+ = J_e(zb - e (F(w) + F_S(zh) - F_S(w)))

and the last z is the next snapshot. With p = 1/K, a = 1 - p and L the average Lipschitz constant of the components,
e = 0.99 sqrt(p b) / L for batches of b, and at most 0.99 / L.

Differs from the paper in: 1. the snapshot moves after K steps instead of with probability 1/K at each. 2. Batches: by
default of sqrt(n / 2) components, from where on e is as long as that of the extragradient method. K = n / (2 b), so
that an epoch goes into the steps for each that goes into a snapshot. 3. Where the snapshots' measure falls slowly, that
of the mean of the points zh since the last such look is evaluated; the iteration goes on from there if it is smaller.
4. Without a constant from the user the step follows that which the batches of the last snapshot show: e = 1.2 sqrt(p)
|zh - w| / |F_S(zh) - F_S(w)|. 5. Where the best measure stays for many snapshots, and where the measure grows a
thousandfold, the step is halved and the iteration goes on from the best point. 6. With one component, or batches of
all, the steps are extragradient steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.state import replace
from ._guard import Iterate, Walk
from ._problem import Inclusion

Array = npt.NDArray[Any]

#: A snapshot that has fallen to less than FAST of the last one needs no look at the mean; between looks LOOK snapshots.
FAST, LOOK = 0.7, 4
#: The step is halved after so many snapshots without a percent of progress, twice as many the next time, so often.
PATIENCE, SHORTER = 30, 4
#: The step over the bound for the constant that showed.
BOLD = 1.2


@dataclass(frozen=True, eq=False)
class Snapshot(Iterate):
    """The state between snapshots: also the sum of the extrapolated points, and the draws that were used."""

    sum: Array = None  # type: ignore[assignment]
    count: int = 0
    looked: int = 0
    draws: int = 0
    shortened: int = 0
    waited: int = 0


@dataclass(frozen=True)
class VarianceReduced(Walk):
    """Extragradient steps with differences of a few components from a snapshot."""

    batch: int | None = option(None, "components a step; None: by the rule for the problem", low=1)
    length: float | None = option(None, "epochs of components a snapshot; None: by the rule", low=0.0, open=True)

    State = Snapshot
    share = 0.99

    def first_step(self, problem: Inclusion, z: Array, F: Array) -> float:
        """By the average constant of the components."""
        return float(problem.sums.plan(problem, self.batch, self.length, z, F).step)

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """An empty mean."""
        return {"sum": np.zeros_like(z), "count": 0, "looked": 0}

    def move(self, problem: Inclusion, state: Snapshot) -> tuple[Array, Array, dict[str, Any]]:
        """The steps of one snapshot, and F at the next."""
        sums = problem.sums
        if state.nit - max(state.since, state.waited) >= PATIENCE << state.shortened and state.shortened < SHORTER:
            state = self._shorter(problem, state)
        plan = sums.plan(problem, self.batch, self.length)
        z, total, draws, found = sums.steps(problem, plan, state.z, state.F, state.step, state.draws)
        F = sums.at(problem, z)
        own = {"sum": state.sum + total, "count": state.count + plan.steps, "looked": state.looked + 1, "draws": draws}
        own |= {
            "step": _fitting(problem, state, plan.steps, found),
            "shortened": state.shortened,
            "waited": state.waited,
        }
        if plan.steps > 1 and own["looked"] >= LOOK and not problem.measure(z, F, state.step) < FAST * state.current:
            mean = own["sum"] / own["count"]
            problem.resolvent(mean, 1e-300, mean)  # not outside of the set by rounding
            Fm = sums.at(problem, mean)
            own |= {"sum": np.zeros_like(z), "count": 0, "looked": 0}
            if problem.measure(mean, Fm, state.step) < problem.measure(z, F, state.step):
                z, F = mean, Fm
        return z, F, own

    def _shorter(self, problem: Inclusion, state: Snapshot) -> Snapshot:
        """From the best point with half the step."""
        F, step = problem.sums.at(problem, state.best), state.step / 2
        own = self.begin(problem, state.best, F, step)
        return replace(
            state, z=state.best, F=F, current=state.measure, step=step, shortened=state.shortened + 1,
            waited=state.nit, **own,
        )  # fmt: skip


def _fitting(problem: Inclusion, state: Snapshot, steps: int, found: float) -> float:
    """The step for the constant that showed, where the user gave none: not below half the last, not above twice."""
    if problem.L is not None or not 0 < found < math.inf:
        return state.step
    share = (BOLD if steps > 1 else 0.9) * 0.5 ** (state.shortened + state.halvings)
    return min(max(share / (math.sqrt(steps) * found), state.step / 2), state.step * 2)


METHOD = register(
    Method(
        name="vr-eg",
        family="equilibrium",
        summary="variance-reduced extragradient: batches of components from snapshots, for finite sums",
        reference="Alacaoglu, Malitsky (2022), Stochastic variance reduction for variational inequality methods, "
        "COLT, arXiv 2102.08352",
        solver=VarianceReduced,
        capabilities=frozenset({"finite-sum", "group-dro", "sharded"}),
    )
)
