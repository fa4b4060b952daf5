"""POT's Sinkhorn methods, brought to the same accuracy as ours.

POT stops on the l2 norm of one marginal's error, which it evaluates every 10 iterations (every 20 in
sinkhorn_stabilized). The threshold that gives the wanted l1 error of the whole plan is found beforehand and
costs the peer nothing: a search runs the method in chunks, each from where the last one stopped, and the judge
weighs the plan after each. The timed run is then one plain call that stops by POT's own rule.
"""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

# POT would otherwise load torch at import, of which nothing is used here.
os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")
import ot as pot

from .check import plan_error
from .problems import Array, Transport

METHODS = ("sinkhorn", "sinkhorn_log", "sinkhorn_stabilized")

#: Iterations between two evaluations of POT's stopping rule.
PERIOD = {"sinkhorn": 10, "sinkhorn_log": 10, "sinkhorn_stabilized": 20}

#: More than any run here needs.
UNLIMITED = 10**8


@dataclass(frozen=True)
class Tuned:
    """What a method needs for one accuracy level, or how far it came."""

    reached: bool
    #: Error of the plan that the judge found, iterations and seconds of that run.
    error: float
    iterations: int
    seconds: float
    #: POT's stopThr.
    threshold: float = 0.0


def solve(
    problem: Transport, reg: float, method: str, threshold: float, iterations: int = UNLIMITED, start: Any = None
) -> tuple[Array, dict[str, Any]]:
    """One call of `ot.sinkhorn`: the plan, and POT's log."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of non-convergence and underflow; the judge sees the result
        plan, log = pot.sinkhorn(
            problem.a, problem.b, problem.cost, reg, method=method, stopThr=threshold, numItermax=iterations, log=True,
            warn=False, warmstart=start,
        )  # fmt: skip
    return plan, log


def count(log: dict[str, Any]) -> int:
    """Iterations of a run that its own rule stopped."""
    return int(log["niter"] if "niter" in log else log["n_iter"]) + 1


def _restart(method: str, log: dict[str, Any]) -> Any:
    """What `warmstart` wants in order to go on; None where the run left the finite numbers."""
    with np.errstate(all="ignore"):
        if method == "sinkhorn":
            pair = np.log(log["u"]), np.log(log["v"])
        elif method == "sinkhorn_log":
            pair = log["log_u"], log["log_v"]
        else:
            pair = log["warmstart"]
    return pair if all(np.isfinite(part).all() for part in pair) else None


def tune(problem: Transport, reg: float, method: str, levels: tuple[float, ...], cap: float) -> dict[float, Tuned]:
    """The thresholds for accuracy levels, the loosest first; the search takes about `cap` seconds at most."""
    found: dict[float, Tuned] = {}
    spent, done, start, error = 0.0, 0, None, float("inf")
    seen: list[tuple[float, float]] = []  # the judge's error and POT's, of the same plans
    pace = _pace(problem, reg, method)
    chunk = _chunk(method, 0, cap / pace)
    for level in levels:
        while chunk and not error <= level:
            clock = time.perf_counter()
            plan, log = solve(problem, reg, method, 0.0, chunk, start)
            seconds = time.perf_counter() - clock
            spent, done, pace = spent + seconds, done + chunk, max(pace, seconds / chunk) if chunk > 1 else pace
            error, start = plan_error(plan, problem, reg), _restart(method, log)
            seen.append((error, float(log["err"][-1])))  # a chunk ends where POT evaluates its rule
            chunk = 0 if start is None else _chunk(method, done, (cap - spent) / pace)
        if not error <= level:
            return found | {lv: Tuned(False, error, done, spent) for lv in levels if lv not in found}
        found[level] = _verified(problem, reg, method, level, _threshold(seen, level))
    return found


def _pace(problem: Transport, reg: float, method: str) -> float:
    """Seconds of an iteration, without the set-up."""
    times = []
    for iterations in (1, 3):
        clock = time.perf_counter()
        solve(problem, reg, method, 0.0, iterations)
        times.append(time.perf_counter() - clock)
    return max((times[1] - times[0]) / 2, 1e-7)


def _chunk(method: str, done: int, affordable: float) -> int:
    """About a quarter of what was done, one past a multiple of POT's period; 0 where time allows no more."""
    period = PERIOD[method]
    if affordable < period:
        return 0 if done else 1
    return max(1, int(min(done / 4, affordable)) // period) * period + 1


def _threshold(seen: list[tuple[float, float]], level: float) -> float:
    """POT's error where the judge's is `level`, between the last two plans that were seen."""
    error, theirs = seen[-1]
    before = [pair for pair in seen if level < pair[0] < np.inf]
    if not error or not before:
        return level * theirs / error if error else level
    larger, their_larger = before[-1]
    share = np.log(level / error) / np.log(larger / error)
    return float(theirs * (their_larger / theirs) ** share)


def _verified(problem: Transport, reg: float, method: str, level: float, threshold: float) -> Tuned:
    """A run with the threshold, tightened until the judge is content."""
    for _ in range(8):
        clock = time.perf_counter()
        plan, log = solve(problem, reg, method, threshold)
        seconds = time.perf_counter() - clock
        error = plan_error(plan, problem, reg)
        if error <= level:
            return Tuned(True, error, count(log), seconds, threshold)
        threshold *= 0.995 * min(1.0, level / error)
    return Tuned(False, error, count(log), seconds)
