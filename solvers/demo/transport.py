"""Entropic transport between two weighted point sets, by this library and by POT, timed and judged alike.

Both are timed from the points to the map that sends each point where its mass goes on average: POT's cost
matrix is part of its time. POT goes first; ours is then asked for at least the accuracy that POT's plan had.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import ot as pot
from threadpoolctl import threadpool_limits

import solvers

from .check import Judgement, agree, judge
from .progress import Progress
from .row import Curve

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Case:
    """A transport problem and how each side is to solve it."""

    X: Array
    Y: Array
    a: Array
    b: Array
    reg: float
    #: POT's `ot.sinkhorn` method, its bound on the l2 error of the columns, and its iterations at most.
    peer_method: str
    peer_stop: float
    peer_max_iter: int
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    repeats: int = 1


@dataclass(frozen=True, eq=False)
class Outcome:
    """Both sides' times, plans' judgements, and the library's result."""

    seconds: float
    peer_seconds: float
    judged: Judgement
    peer_judged: Judgement
    status: str
    result: solvers.ot.TransportResult
    curves: tuple[Curve, ...]

    PEER = f"POT {pot.__version__}"
    CAPTION = (
        "Both in the l2 norm, the one that POT logs every ten iterations. The library's curve is from a run of its own "
        "with that norm; POT's log has no times, so its errors are spread evenly over its time."
    )


def compare(case: Case, progress: Progress, threads: int) -> Outcome:
    """Run both sides, alternating where they are repeated, and judge both plans."""
    with threadpool_limits(limits=threads), warnings.catch_warnings():
        # POT warns where it stops early; here its plan is judged, not its word.
        warnings.simplefilter("ignore")
        _warm_up(case, threads)
        times: list[float] = []
        peer_times: list[float] = []
        with progress.stage(f"{Outcome.PEER}, ot.sinkhorn, {case.peer_method!r}"):
            taken, (peer_plan, log) = _timed(lambda: _run_peer(case))
            peer_times.append(taken)
        with progress.stage("judging its plan"):
            peer_judged = judge(peer_plan, case.X, case.Y, case.a, case.b, case.reg)
            del peer_plan
        tol = peer_judged.marginal_error
        with progress.stage(f"solvers, {case.method!r}, asked for {tol:.1e}") as stage:
            taken, result = _timed(lambda: _run_ours(case, threads, tol=tol, callback=stage.callback(tol)))
            times.append(taken)
        if case.repeats > 1:
            with progress.stage(f"both again, {case.repeats - 1} times") as stage:
                for k in range(1, case.repeats):
                    stage.at(k / case.repeats)
                    peer_times.append(_timed(lambda: _run_peer(case))[0])
                    times.append(_timed(lambda: _run_ours(case, threads, tol=tol))[0])
        with progress.stage("judging ours, and its convergence curve"):
            judged = judge(result.plan.dense(), case.X, case.Y, case.a, case.b, case.reg)
            errors = np.array(log["err"])
            history = _run_ours(case, threads, tol=float(errors[-1]), norm="l2").history
    seconds, peer_seconds = float(np.median(times)), float(np.median(peer_times))
    spread = np.linspace(0.0, peer_seconds, len(errors) + 1)[1:]
    curves = Curve("solvers", history["seconds"], history["measure"]), Curve(Outcome.PEER, spread, errors)
    return Outcome(
        seconds, peer_seconds, judged, peer_judged, _status(result, judged, peer_judged), result, curves
    )  # fmt: skip


def _run_ours(case: Case, threads: int, **keywords: Any) -> solvers.ot.TransportResult:
    result = solvers.ot.solve_sample(
        case.X, case.Y, case.a, case.b, reg=case.reg, method=case.method, options=case.options, threads=threads,
        **keywords,
    )  # fmt: skip
    result.plan.barycentric(case.Y)
    return result


def _run_peer(case: Case) -> tuple[Array, dict[str, Any]]:
    cost = pot.dist(case.X, case.Y)
    plan, log = pot.sinkhorn(
        case.a, case.b, cost, case.reg, method=case.peer_method, stopThr=case.peer_stop,
        numItermax=case.peer_max_iter, log=True, warn=False,
    )  # fmt: skip
    (plan @ case.Y) / plan.sum(axis=1)[:, None]
    return plan, log


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    answer = call()
    return time.perf_counter() - start, answer


def _warm_up(case: Case, threads: int) -> None:
    """A small problem on both sides: the first call of anything pays for loading it."""
    size = min(64, len(case.a), len(case.b))
    a, b = case.a[:size] / case.a[:size].sum(), case.b[:size] / case.b[:size].sum()
    small = Case(
        case.X[:size], case.Y[:size], a, b, 1.0, case.peer_method, case.peer_stop, 20, case.method
    )  # fmt: skip
    _run_peer(small)
    _run_ours(small, threads, tol=1e-3)


def _status(result: solvers.ot.TransportResult, judged: Judgement, peer_judged: Judgement) -> str:
    if not result.success:
        return result.status.name
    return "ok" if agree(judged, peer_judged) else "the plans differ"
