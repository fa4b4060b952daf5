"""B4: a thousand problems of 64 x 64 in one call."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import solvers

from . import harness
from .harness import duration
from .problems import Array
from .report import Report, Target, speed

REG, LEVEL = 0.02, 1e-9

#: Seconds of all rounds of a solver.
BUDGET = 10.0


def add(result: Report, quick: bool) -> None:
    """solve_batch against the peers' batches, and against their solves one by one."""
    count, n = (3, 32) if quick else (1000, 64)
    costs = np.random.default_rng(3).random((count, n, n))
    weights = np.full((count, n), 1 / n)
    calls = _calls(costs, weights)
    errors: dict[str, float] = {}

    def inspect(name: str, answer: Any) -> None:
        errors[name] = max(_errors(_plans(answer), weights))

    with harness.threads(1):
        for name in [name for name in calls if name.startswith("ott")]:
            calls[name]()  # compiles
        times = harness.interleave(calls, 2 if quick else 5, 0.1 if quick else BUDGET, inspect)
    table = result.table(f"Batch: {count} problems {n} x {n}, uniform random costs, reg {REG:g}, l1 error {LEVEL:g}")
    ours = times["ours, solve_batch"]
    for name, timing in times.items():
        reached = errors[name] <= LEVEL
        table.rows.append({
            "solver": name, "time": timing, "a problem": duration(timing.median / count),
            "over ours": None if name.startswith("ours, solve_batch") else speed(timing.median / ours.median),
            "worst error": f"{errors[name]:.1e}" + ("" if reached else " NOT REACHED"),
        })  # fmt: skip
    loop = times.get("POT sinkhorn, one by one")
    measured = None if loop is None else harness.ratio(loop, ours)
    result.targets.append(
        Target(f"batch: POT's sinkhorn over {count} problems / ours, plans included", ">=", 150.0, measured)
    )
    result.notes.append(
        "Batch: wall time; the worst error is that of the plan that is worst. POT stops on the l2 norm of one "
        "marginal, so it is asked for 1/sqrt(n) of the level. ott's compilation is not timed."
    )


def _calls(costs: Array, weights: Array) -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {
        "ours, solve_batch": lambda: solvers.ot.solve_batch(
            costs, weights, weights, reg=REG, tol=LEVEL, dense=True, threads=1
        ).plan.dense(),
        "ours, solve one by one": lambda: [
            solvers.ot.solve(cost, a, a, reg=REG, tol=LEVEL, threads=1).plan.dense()
            for cost, a in zip(costs, weights, strict=True)
        ],
    }
    pot = harness.peer("ot")
    if pot is not None:
        for method in ("sinkhorn", "sinkhorn_stabilized"):
            calls[f"POT {method}, one by one"] = partial(_pot_loop, pot, costs, weights, method)
        calls["POT solve_batch"] = partial(_pot_batch, pot, costs, weights)
    for variable, value in (("NPROC", "1"), ("JAX_PLATFORMS", "cpu"), ("JAX_ENABLE_X64", "1")):
        os.environ.setdefault(variable, value)  # XLA sizes its pool when it is loaded
    if harness.peer("ott") is not None:
        calls["ott vmap, lse"] = _ott(costs, weights, True)
        calls["ott vmap, kernel"] = _ott(costs, weights, False)
    return calls


def _pot_loop(pot: Any, costs: Array, weights: Array, method: str) -> list[Array]:
    # one marginal's l2 norm; the other is exact, and the l1 norm is up to sqrt(n) larger
    threshold = LEVEL / np.sqrt(weights.shape[1])
    return [
        pot.sinkhorn(a, a, cost, REG, method=method, stopThr=threshold, numItermax=10**5)
        for cost, a in zip(costs, weights, strict=True)
    ]


def _pot_batch(pot: Any, costs: Array, weights: Array) -> Array:
    # its log domain computes the same iterates, at eight times the price
    threshold = LEVEL / np.sqrt(weights.shape[1])
    plans: Array = pot.solve_batch(
        costs, reg=REG, a=weights, b=weights, max_iter=10**5, tol=threshold, method="sinkhorn", grad="detach"
    ).plan
    return plans


def _ott(costs: Array, weights: Array, lse_mode: bool) -> Callable[[], Array]:
    import jax
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    jax.config.update("jax_enable_x64", True)

    def one(cost: Any, a: Any) -> Any:
        problem = linear_problem.LinearProblem(geometry.Geometry(cost_matrix=cost, epsilon=REG), a=a, b=a)
        solver = sinkhorn.Sinkhorn(threshold=LEVEL, max_iterations=20_000, lse_mode=lse_mode, implicit_diff=None)
        return solver(problem).matrix

    call = jax.jit(jax.vmap(one))
    given = jax.numpy.asarray(costs), jax.numpy.asarray(weights)
    return lambda: np.asarray(call(*given))


def _plans(answer: Any) -> Array:
    return np.asarray(answer, np.float64)


def _errors(plans: Array, weights: Array) -> Array:
    """The l1 error of both marginals of each plan; inf where a plan is none."""
    errors: Array = np.abs(plans.sum(axis=2) - weights).sum(axis=1) + np.abs(plans.sum(axis=1) - weights).sum(axis=1)
    return np.where(np.isfinite(errors) & (plans.min(axis=(1, 2)) >= 0), errors, np.inf)
