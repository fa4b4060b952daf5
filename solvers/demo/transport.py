"""Entropic transport between two weighted point sets by this library and by POT, timed and judged alike.

Both are timed from the points to the map that sends each point where its mass goes on average: POT's cost
matrix is part of its time. POT goes first, with all threads or with one, whichever is faster; ours is then asked
for at least the accuracy that POT's plan had.
"""

from __future__ import annotations

import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import ot as pot
from threadpoolctl import threadpool_limits

import solvers

from .check import Judgement, agree, judge
from .progress import Progress
from .row import Curve, Picture, Row

Array = npt.NDArray[Any]

PEER = f"POT {pot.__version__}"

#: Seconds of rest before each timed run: the threads of a BLAS go on spinning for a while after its last call.
REST = 0.2
#: No run is repeated after this many seconds of repeating.
PATIENCE = 8.0
#: Entries of the kernel that the trial of POT's thread counts reads.
TRIAL = 400 << 20


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
    repeats: int = 1


@dataclass(frozen=True, eq=False)
class Outcome:
    """Both sides' times, plans' judgements and curves, and the library's result."""

    peer: str
    seconds: float
    peer_seconds: float
    judged: Judgement
    peer_judged: Judgement
    result: solvers.ot.TransportResult
    curves: tuple[Curve, ...]

    @property
    def status(self) -> str:
        """ "ok", or what is wrong."""
        if not self.result.success:
            return self.result.status.name
        if not np.isfinite(self.peer_judged.marginal_error):
            return "the peer has no plan"
        return "ok" if agree(self.judged, self.peer_judged) else "the plans differ"


def compare(case: Case, progress: Progress, threads: int) -> Outcome:
    """Run both sides, in turn where they are repeated, and judge both plans. Times are medians."""
    with threadpool_limits(limits=threads), warnings.catch_warnings():
        # POT warns where it stops early; here its plan is judged, not its word.
        warnings.simplefilter("ignore")
        _warm_up(case, threads)
        with progress.stage("a trial: POT with one thread and with all"):
            peer_threads = _best_peer_threads(case, threads)
        with progress.stage(f"{PEER}, {case.peer_method!r}, threads: {peer_threads}"):
            peer_first, (peer_plan, log) = _time_peer(case, peer_threads)
        with progress.stage("judging its plan"):
            peer_judged = _judge(case, peer_plan)
            del peer_plan
        error = peer_judged.marginal_error
        tol = error if np.isfinite(error) else case.peer_stop
        with progress.stage(f"solvers, for an error of {tol:.1e}") as stage:
            first, result = _time_ours(case, threads, tol=tol, callback=stage.callback(tol))
        times, peer_times = [first], [peer_first]
        with progress.stage("both again, in turn") if case.repeats > 1 else nullcontext():
            end = time.perf_counter() + PATIENCE
            while len(times) < case.repeats and time.perf_counter() < end:
                peer_times.append(_time_peer(case, peer_threads)[0])
                times.append(_time_ours(case, threads, tol=tol)[0])
        with progress.stage("judging this plan, and a run for the curve"):
            judged = _judge(case, result.plan.dense())
            curves = _curves(case, threads, np.array(log["err"]), float(np.median(peer_times)))
    peer = f"{PEER}, {case.peer_method}" + (", one thread" if peer_threads < threads else "")
    return Outcome(peer, float(np.median(times)), float(np.median(peer_times)), judged, peer_judged, result, curves)


def to_row(
    case: Case,
    outcome: Outcome,
    *,
    name: str,
    title: str,
    problem: str,
    text: tuple[str, ...],
    pictures: tuple[Picture, ...],
) -> Row:
    """The row of a comparison."""
    return Row(
        name=name,
        title=title,
        problem=problem,
        size=f"{len(case.a)} x {len(case.b)}",
        method=f"ot.solve_sample, {outcome.result.method}",
        seconds=outcome.seconds,
        peer=outcome.peer,
        peer_seconds=outcome.peer_seconds,
        accuracy_label="l1 marginal error of the plan, summed by the demo's own checker",
        accuracy=outcome.judged.marginal_error,
        peer_accuracy=outcome.peer_judged.marginal_error,
        status=outcome.status,
        text=text,
        pictures=pictures,
        curves=outcome.curves,
        curves_label="marginal error (l2)",
        curves_caption="Both in the l2 norm, which is what POT logs every ten iterations. The library's curve is from "
        "a run of its own with that norm; POT's log has no times, so its errors are spread evenly over its time.",
    )


def _time_ours(case: Case, threads: int, **keywords: Any) -> tuple[float, solvers.ot.TransportResult]:
    """The library's seconds and result."""
    time.sleep(REST)
    start = time.perf_counter()
    result = solvers.ot.solve_sample(case.X, case.Y, case.a, case.b, reg=case.reg, threads=threads, **keywords)
    result.plan.barycentric(case.Y)
    return time.perf_counter() - start, result


def _time_peer(case: Case, threads: int) -> tuple[float, tuple[Array, dict[str, Any]]]:
    """POT's seconds, plan and log."""
    with threadpool_limits(limits=threads):
        time.sleep(REST)
        start = time.perf_counter()
        cost = pot.dist(case.X, case.Y)
        plan, log = pot.sinkhorn(
            case.a, case.b, cost, case.reg, method=case.peer_method, stopThr=case.peer_stop,
            numItermax=case.peer_max_iter, log=True, warn=False,
        )  # fmt: skip
        (plan @ case.Y) / plan.sum(axis=1)[:, None]
        return time.perf_counter() - start, (plan, log)


def _best_peer_threads(case: Case, threads: int) -> int:
    """All threads or one: a BLAS with more threads than idle cores can be many times slower than with one."""
    trial = replace(case, peer_max_iter=max(20, TRIAL // (len(case.a) * len(case.b))))
    return min({threads, 1}, key=lambda count: _time_peer(trial, count)[0])


def _warm_up(case: Case, threads: int) -> None:
    """A small problem on both sides: the first call of anything pays for loading it."""
    size = min(64, len(case.a), len(case.b))
    a, b = case.a[:size] / case.a[:size].sum(), case.b[:size] / case.b[:size].sum()
    small = replace(case, X=case.X[:size], Y=case.Y[:size], a=a, b=b, reg=1.0, peer_max_iter=20)
    _time_peer(small, threads)
    _time_ours(small, threads, tol=1e-3)


def _judge(case: Case, plan: Array) -> Judgement:
    return judge(plan, case.X, case.Y, case.a, case.b, case.reg)


def _curves(case: Case, threads: int, peer_errors: Array, peer_seconds: float) -> tuple[Curve, ...]:
    """Ours from a run in the norm that POT logs, and POT's log spread over its time."""
    if not np.isfinite(peer_errors).all() or not peer_errors[-1] > 0:
        return ()
    history = _time_ours(case, threads, tol=float(peer_errors[-1]), norm="l2")[1].history
    spread = np.linspace(0.0, peer_seconds, len(peer_errors) + 1)[1:]
    return Curve("solvers", history["seconds"], history["measure"]), Curve(PEER, spread, peer_errors)
