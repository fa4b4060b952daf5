"""One Sinkhorn iteration of ours against one of each of POT's methods."""

from __future__ import annotations

from functools import partial
from typing import Any

import solvers

from . import harness
from .harness import Timing, ratio
from .peers_ot import Pot
from .problems import Transport, assignment
from .report import Report, Target, speed

#: Iterations of the two runs whose difference is timed. Both end one past an evaluation of POT's stopping rule,
#: so that the difference holds it as often as a long run does.
RUNS = {"ours": (21, 121), "sinkhorn": (21, 121), "sinkhorn_stabilized": (21, 61), "sinkhorn_log": (1, 11)}

NEVER = 1e-300


def add(result: Report, quick: bool) -> None:
    """A table for each state of malloc, and the targets."""
    with harness.threads(1):
        _iteration(result, quick, "malloc as it comes")
        if not quick and harness.keep_freed_memory():
            _iteration(result, quick, "malloc keeps freed memory")
    _iteration_notes(result)


def _iteration(result: Report, quick: bool, memory: str) -> None:
    """Time per iteration from the difference of two runs, and of a whole call."""
    n = 64 if quick else 1024
    table = result.table(f"One Sinkhorn iteration, n = {n}, float64, {memory}")
    for reg in harness.progress([1 / 500] if quick else [1 / 500, 1 / 1200], "ot, iteration"):
        calls = _iteration_calls(assignment(n), reg)
        times = harness.interleave(calls, rounds=2 if quick else harness.ROUNDS)
        alone, whole = {}, {}
        for name, (short, long) in RUNS.items():
            alone[name] = (times[f"{name} {long}"] - times[f"{name} {short}"]) / (long - short)
            whole[name] = times[f"{name} {long}"] / long
        for name, (short, long) in RUNS.items():
            table.rows.append({
                "reg": f"1/{1 / reg:.0f}", "method": name if name == "ours" else f"POT {name}",
                "runs": f"{short}, {long}", "an iteration (difference)": alone[name],
                "over ours": None if name == "ours" else speed(ratio(alone[name], alone["ours"])),
                "an iteration (whole call / iterations)": whole[name],
                "over ours, whole": None if name == "ours" else speed(ratio(whole[name], whole["ours"])),
            })  # fmt: skip
        if reg == 1 / 500:
            _iteration_targets(result, f"one iteration n={n}, {memory}: ", alone)


def _iteration_notes(result: Report) -> None:
    result.notes += [
        "One iteration: POT with stopThr=0 and numItermax=k through ot.sinkhorn(method=...); it evaluates its error "
        "every 10 iterations (every 20 in sinkhorn_stabilized). Ours is solvers.ot.solve(method='sinkhorn', "
        f"tol={NEVER:g}, max_iter=k): the loop in Python, the marginal error of every iteration and the history are "
        "in it. The whole call holds all checks of the data, the set-up, the dense plan, and for ours the certificate.",
        "At reg 1/500, which the targets are for, no entry of exp(-C/reg) is subnormal; at 1/1200 some are, which "
        "slows the peers.",
        "malloc as it comes: a fresh process, in which sinkhorn_log's temporaries go back to the system and come anew "
        "in every iteration. malloc keeps freed memory: the state that a process reaches after freeing a large block, "
        "and that of all that follows here (set by mallopt; glibc only).",
    ]


def _iteration_calls(problem: Transport, reg: float) -> dict[str, Any]:
    calls: dict[str, Any] = {}
    pot = Pot()
    pot.prepared(problem)
    for name, runs in RUNS.items():
        for k in runs:
            if name == "ours":
                calls[f"{name} {k}"] = partial(_ours, problem, reg, k)
            else:
                calls[f"{name} {k}"] = partial(pot.solve, problem, reg, name, 0.0, k)
    return calls


def _ours(problem: Transport, reg: float, iterations: int) -> Any:
    result = solvers.ot.solve(
        problem.cost, problem.a, problem.b, reg=reg, method="sinkhorn", tol=NEVER, max_iter=iterations, threads=1
    )
    if result.nit != iterations:
        raise RuntimeError(f"asked for {iterations} iterations, got {result.nit}: {result.message}")
    return result.plan.dense()


def _iteration_targets(result: Report, figure: str, alone: dict[str, Timing]) -> None:
    log_domain = ratio(alone["sinkhorn_log"], alone["ours"])
    kernel_domain = ratio(alone["ours"], alone["sinkhorn"])
    result.targets.append(Target(figure + "time of POT sinkhorn_log / ours", ">=", 80.0, log_domain))
    result.targets.append(Target(figure + "time of ours / POT sinkhorn (kernel domain)", "<=", 1.0, kernel_domain))
