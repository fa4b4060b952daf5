"""Finite sums whose parts are affine: maximising the area under the ROC curve, and evaluating a policy.

Both are saddle points of a mean over samples that is quadratic (Ying, Wen & Lyu, 2016; Liu et al., 2015), so beside
what draws samples there is another way: to sum the parts into a matrix of d x d, and solve with it. All evaluate the
parts by the same lines of NumPy; deterministic methods get the best constant step of a grid.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import solvers

Array = npt.NDArray[Any]

FEATURES, L2, DISCOUNT = 30, 1e-2, 0.9
SAMPLES = 30_000
GOALS = (1e-3, 1e-5, 1e-6)
#: Steps in parts of 1 / L, and the passes that a run gets.
STEPS = tuple(2.0**k for k in range(-3, 3))
PASSES = 400.0


@dataclass(frozen=True)
class AffineSum:
    """F(z) = mean of F_i(z): `parts(rows, z)` are those of some rows."""

    name: str
    n: int
    size: int
    parts: Callable[[Any, Array], Array]
    #: The mean of the parts at z, faster than that.
    whole: Callable[[Array], Array]

    def __call__(self, i: Array, z: Array, out: Array) -> None:
        out[:] = self.parts(i, z)

    def matrix(self) -> tuple[Array, Array]:
        """M and q of F(z) = M z + q, by evaluations at unit vectors."""
        q = self.whole(np.zeros(self.size))
        return np.stack([self.whole(unit) - q for unit in np.eye(self.size)], axis=1), q


def ranking(n: int, seed: int = 0) -> AffineSum:
    """Area under the ROC curve by squares: z = (w, a, b, alpha), alpha maximises; a tenth of the labels positive."""
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.1
    X = (rng.normal(size=(n, FEATURES)) + positive[:, None] * rng.normal(size=FEATURES) * 0.5) / np.sqrt(FEATURES)
    p = positive.mean()
    weight, sign = np.where(positive, 1 - p, p), np.where(positive, -(1 - p), p)

    def slopes(rows: Any, z: Array) -> tuple[Array, Array, Array]:
        u, (a, b, alpha) = X[rows] @ z[:-3], z[-3:]
        off = 2 * weight[rows] * (u - np.where(positive[rows], a, b))
        return off + 2 * (1 + alpha) * sign[rows], off, 2 * (p * (1 - p) * alpha - sign[rows] * u)

    def parts(rows: Any, z: Array) -> Array:
        slope, off, rise = slopes(rows, z)
        ends = [-off * positive[rows], -off * ~positive[rows], rise]
        return np.column_stack([X[rows] * slope[:, None] + L2 * z[:-3], *ends])

    def whole(z: Array) -> Array:
        slope, off, rise = slopes(slice(None), z)
        ends = [-(off @ positive) / n, -(off @ ~positive) / n, rise.mean()]
        return np.concatenate([X.T @ slope / n + L2 * z[:-3], ends])

    return AffineSum("area under the ROC curve", n, FEATURES + 3, parts, whole)


def policy(n: int, seed: int = 0) -> AffineSum:
    """The projected Bellman error of a policy: z = (theta, w), w maximises w'(b - A theta) - w'C w / 2."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(FEATURES, FEATURES)))[0]
    now = rng.normal(size=(n, FEATURES)) * np.linspace(0.3, 1.5, FEATURES)
    change = now - DISCOUNT * (0.8 * now @ turn + 0.6 * rng.normal(size=(n, FEATURES)))
    reward = now @ rng.normal(size=FEATURES) + rng.normal(size=n)

    def sides(rows: Any, z: Array) -> tuple[Array, Array]:
        theta, w = z[:FEATURES], z[FEATURES:]
        along = now[rows] @ w
        return along, change[rows] @ theta + along - reward[rows]

    def parts(rows: Any, z: Array) -> Array:
        along, off = sides(rows, z)
        return np.hstack([L2 * z[:FEATURES] - change[rows] * along[:, None], now[rows] * off[:, None]])

    def whole(z: Array) -> Array:
        along, off = sides(slice(None), z)
        return np.concatenate([L2 * z[:FEATURES] - change.T @ along / n, now.T @ off / n])

    return AffineSum("projected Bellman error", n, 2 * FEATURES, parts, whole)


@dataclass
class Run:
    """Seconds and passes to each goal; infinite where it was not reached."""

    name: str
    seconds: dict[float, float]
    passes: dict[float, float]


def runs(problem: AffineSum) -> list[Run]:
    """All methods on a problem."""
    found = [_sampled(problem), _searching(problem), _summed(problem)]
    L = float(np.linalg.norm(problem.matrix()[0], 2))
    for name, ahead in (("EG", 2), ("FoRB", 1)):
        tried = [_constant(problem, name, ahead, share / L) for share in STEPS]
        best = min(tried, key=lambda run: tuple(run.seconds[goal] for goal in reversed(GOALS)))
        at = tried.index(best)
        end = "" if 0 < at < len(STEPS) - 1 else ", the end of the grid"
        found.append(Run(f"{name}, best step {STEPS[at]:g} / L{end}", best.seconds, best.passes))
    return found


def _judged(name: str, problem: AffineSum, solve: Callable[[float], tuple[Array, float]]) -> Run:
    """One solve a goal, which counts where the residual that we compute meets it."""
    run = Run(name, {}, {})
    for goal in GOALS:
        start = time.process_time()
        z, passes = solve(goal)
        seconds = time.process_time() - start
        reached = float(np.linalg.norm(problem.whole(z))) <= goal * (1 + 1e-9)
        run.seconds[goal], run.passes[goal] = (seconds, passes) if reached else (np.inf, np.inf)
    return run


def _sampled(problem: AffineSum) -> Run:
    def solve(goal: float) -> tuple[Array, float]:
        found = solvers.equilibrium.solve(
            None, np.zeros(problem.size), components=problem, method="vr-eg", tol=goal, max_epochs=PASSES,
            max_iter=10**7, threads=1,
        )  # fmt: skip
        return found.x, found.epochs

    return _judged("ours, vr-eg", problem, solve)


def _searching(problem: AffineSum) -> Run:
    def solve(goal: float) -> tuple[Array, float]:
        found = solvers.equilibrium.solve(
            problem.whole, np.zeros(problem.size), tol=goal, max_epochs=PASSES, max_iter=10**7, threads=1
        )
        return found.x, found.epochs

    return _judged("ours, feg", problem, solve)


def _summed(problem: AffineSum) -> Run:
    def solve(goal: float) -> tuple[Array, float]:
        affine = solvers.equilibrium.Affine(*problem.matrix())
        return solvers.equilibrium.solve(affine, np.zeros(problem.size), tol=goal, threads=1).x, problem.size + 1.0

    return _judged("ours, summed, krylov", problem, solve)


def _constant(problem: AffineSum, name: str, ahead: int, step: float) -> Run:
    """EG (two evaluations a step) or FoRB (one) with a constant step; a look at the residual is not timed."""
    run = Run(name, dict.fromkeys(GOALS, np.inf), dict.fromkeys(GOALS, np.inf))
    z, spent, passes = np.zeros(problem.size), 0.0, 0
    before = problem.whole(z)
    while passes < PASSES:
        start = time.process_time()
        now = problem.whole(z)
        z = z - step * (problem.whole(z - step * now) if ahead == 2 else 2 * now - before)
        before = now
        spent, passes = spent + time.process_time() - start, passes + ahead
        residual = float(np.linalg.norm(problem.whole(z)))
        if not residual < 1e6:
            break
        for goal in GOALS:
            if residual <= goal and np.isinf(run.seconds[goal]):
                run.seconds[goal], run.passes[goal] = spent, float(passes)
        if residual <= GOALS[-1]:
            break
    return run
