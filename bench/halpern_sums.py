"""Finite sums: the worst mixture of groups, variance-reduced and second-order methods beside tuned deterministic ones;
and two of affine parts (halpern_affine.py).

All read the data by the same compiled pass, on one thread. Deterministic methods get the best constant step of a grid
of factors of 2 whose best point is not at its end; ours get no step at all. Random methods run with several seeds, of
which the median counts. The judge recomputes the natural residual by NumPy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize

import solvers
from solvers.equilibrium import _dro_problem

from . import halpern_affine, harness
from .report import Lines, Report, Table, Target

Array = npt.NDArray[Any]

FEATURES, GROUPS, L2 = 30, 8, 1e-3
GOALS = (1e-3, 1e-4, 1e-5)
SIZES = (50_000, 400_000)
#: The grid of steps, and the passes that a run gets.
STEPS = tuple(10.0 * 2**k for k in range(-2, 5))
PASSES = 300
SEEDS = (3, 7, 11, 23, 91)
#: Temperatures of the smoothed maximum for L-BFGS.
TEMPERATURES = (1e-2, 1e-3, 1e-4, 1e-5)


@dataclass(frozen=True)
class Data:
    """Rows, labels and groups."""

    X: Array
    b: Array
    group: Array

    def residual(self, w: Array, q: Array) -> float:
        """|z - P(z - F(z))| by NumPy."""
        margin = self.b * (self.X @ w)
        counts = np.bincount(self.group, minlength=GROUPS)
        losses = np.bincount(self.group, np.logaddexp(0, -margin), GROUPS) / counts
        slope = self.X.T @ (-self.b / (1 + np.exp(margin)) * (q / counts)[self.group]) + L2 * w
        return float(np.hypot(np.linalg.norm(slope), np.linalg.norm(q - projected(q + losses))))


@dataclass(frozen=True)
class Run:
    """The seconds and passes after which a method was first below each goal; infinite where it never was."""

    name: str
    seconds: dict[float, float]
    passes: dict[float, float]


def data(count: int) -> Data:
    """Eight groups of sizes 1 to 8 with means and labels of their own."""
    rng = np.random.default_rng(0)
    group = np.sort(rng.choice(GROUPS, count, p=np.arange(1, GROUPS + 1) / 36))
    means = rng.normal(size=(GROUPS, FEATURES)) * 0.3
    X = (rng.normal(size=(count, FEATURES)) + means[group]) / np.sqrt(FEATURES)
    truth = rng.normal(size=(GROUPS, FEATURES)) * 0.7 + rng.normal(size=FEATURES) * 3
    margin = np.einsum("ij,ij->i", X, truth[group])
    return Data(X, np.where(rng.random(count) < 1 / (1 + np.exp(-margin)), 1.0, -1.0), group)


def projected(q: Array) -> Array:
    """The nearest point of the simplex."""
    u = np.sort(q)[::-1]
    level = (np.cumsum(u) - 1) / np.arange(1, len(q) + 1)
    return np.maximum(q - level[np.flatnonzero(u > level)[-1]], 0)


def report(quick: bool = False) -> Report:
    """A table a size."""
    result = Report(
        "halpern-sums", f"The worst of {GROUPS} groups, logistic, {FEATURES} features: seconds to a residual"
    )
    lines = Lines("residuals", "Natural residual against seconds", ("seconds", "natural residual"))
    for count in (2000,) if quick else SIZES:
        given = data(count)
        with harness.threads(1):
            runs = [_ours(given, "sqp", SEEDS[:1]), _ours(given, "vr-eg", SEEDS[: 2 if quick else None])]
            runs += [_tuned(given, name, step) for name, step in (("EG", extragradient), ("FoRB", reflected))]
            runs.append(_smoothed(given))
        result.tables.append(_table(f"{count} rows", runs))
        for run in runs:
            for goal in GOALS:
                if np.isfinite(run.seconds[goal]):
                    lines.add(f"{count} rows", run.name, run.seconds[goal], goal)
        _targets(result, count, runs)
    for make in (halpern_affine.ranking, halpern_affine.policy):
        problem = make(2000 if quick else halpern_affine.SAMPLES)
        with harness.threads(1):
            result.tables.append(_table(f"{problem.name}, {problem.n} samples", halpern_affine.runs(problem)))
    result.curves.append(lines)
    result.header = harness.versions()
    return result


def _table(what: str, runs: list[Any]) -> Table:
    table = Table(f"{what}: seconds (passes over the rows) to a natural residual")
    for run in runs:
        cells = {f"{goal:.0e}": f"{run.seconds[goal]:.3g} ({run.passes[goal]:.3g})" for goal in run.seconds}
        table.rows.append({"method": run.name, **cells})
    return table


def _targets(result: Report, count: int, runs: list[Run]) -> None:
    goal = GOALS[-1]
    rivals = min(run.seconds[goal] for run in runs if not run.name.startswith("ours"))
    for run in runs[:2]:
        ratio = rivals / run.seconds[goal]
        result.targets.append(
            Target(f"{count} rows to {goal:g}: best tuned deterministic / {run.name}", ">=", 4, ratio)
        )


# ---- the methods ---------------------------------------------------------------------------------


def _ours(given: Data, method: str, seeds: tuple[int, ...]) -> Run:
    """The library's method at each goal as its tolerance; the median over seeds."""
    seconds, passes = {}, {}
    for goal in GOALS:
        times, epochs = [], []
        for seed in seeds:
            start = time.process_time()
            found = solvers.equilibrium.group_dro(
                given.X, given.b, given.group, l2=L2, tol=goal, method=method, rng=seed, max_epochs=PASSES, threads=1
            )
            times.append(time.process_time() - start)
            reached = given.residual(found.coef, found.weights) <= goal * (1 + 1e-9)
            times[-1] = times[-1] if reached else np.inf
            epochs.append(found.epochs)
        seconds[goal], passes[goal] = float(np.median(times)), float(np.median(epochs))
    worst = "" if len(seeds) == 1 else f", median of {len(seeds)} seeds"
    return Run(f"ours, {method}{worst}", seconds, passes)


Step = Callable[[Any, Array, float], Iterator[Array]]


def extragradient(problem: Any, z: Array, step: float) -> Iterator[Array]:
    """Points of the extragradient method, two passes each."""
    half = np.empty_like(z)
    while True:
        problem.resolvent(z - step * problem.evaluate(z), step, half)
        following = np.empty_like(z)
        problem.resolvent(z - step * problem.evaluate(half), step, following)
        z = following
        yield z


def reflected(problem: Any, z: Array, step: float) -> Iterator[Array]:
    """Points of the forward-reflected-backward method, one pass each."""
    before = problem.evaluate(z)
    while True:
        now = problem.evaluate(z)
        following = np.empty_like(z)
        problem.resolvent(z - step * (2 * now - before), step, following)
        z, before = following, now
        yield z


def _tuned(given: Data, name: str, points: Step) -> Run:
    """The method with the step that reaches the tightest goal first; its judging is not timed."""
    runs = [_timed(given, name, points, step) for step in STEPS]
    best = min(runs, key=lambda run: tuple(run.seconds[goal] for goal in reversed(GOALS)))
    at = runs.index(best)
    note = "" if 0 < at < len(STEPS) - 1 else ", the end of the grid"
    return Run(f"{name}, best step {STEPS[at]:g}{note}", best.seconds, best.passes)


def _timed(given: Data, name: str, points: Step, step: float) -> Run:
    problem = _dro_problem.group_dro_problem(
        given.X, given.b, given.group, "logistic", L2, True, None, tol=GOALS[-1], threads=1
    )
    seconds, passes = dict.fromkeys(GOALS, np.inf), dict.fromkeys(GOALS, np.inf)
    spent, source = 0.0, points(problem, problem.z0.copy(), step)
    while problem.operator.nfev < PASSES and np.isinf(seconds[GOALS[-1]]):
        start = time.process_time()
        z = next(source)
        spent += time.process_time() - start
        residual = given.residual(z[:FEATURES], z[FEATURES:]) if np.isfinite(z).all() else np.inf
        if residual > 1e6:
            break
        for goal in GOALS:
            if residual <= goal and np.isinf(seconds[goal]):
                seconds[goal], passes[goal] = spent, float(problem.operator.nfev)
    return Run(name, seconds, passes)


def _smoothed(given: Data) -> Run:
    """SciPy's L-BFGS on the smoothed maximum of the groups' losses, colder and colder, each from the last answer."""
    problem = _dro_problem.group_dro_problem(
        given.X, given.b, given.group, "logistic", L2, True, None, tol=GOALS[-1], threads=1
    )
    seconds, passes = dict.fromkeys(GOALS, np.inf), dict.fromkeys(GOALS, np.inf)
    w, spent, count = np.zeros(FEATURES), 0.0, 0
    for temperature in TEMPERATURES:
        mixture = np.full(GROUPS, 1 / GROUPS)

        def value(w: Array, t: float = temperature) -> tuple[float, Array]:
            nonlocal mixture
            f, J, _ = problem.samples.losses(w)
            top = f.max()
            share = np.exp((f - top) / t)
            mixture = share / share.sum()
            return top + t * np.log(share.sum()) + L2 / 2 * float(w @ w), mixture @ J + L2 * w

        start = time.process_time()
        found = scipy.optimize.minimize(value, w, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-8})
        value(found.x)
        spent += time.process_time() - start
        w, count = found.x, count + found.nfev
        residual = given.residual(w, mixture)
        for goal in GOALS:
            if residual <= goal and np.isinf(seconds[goal]):
                seconds[goal], passes[goal] = spent, float(count)
    return Run("SciPy L-BFGS on the smoothed maximum", seconds, passes)
