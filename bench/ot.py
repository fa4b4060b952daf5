"""Entropic optimal transport against POT: one iteration, whole solves at equal accuracy, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import solvers

from . import harness, ot_solves, pot_peer
from .harness import Timing, ratio
from .problems import Transport, assignment
from .report import Bars, Report, Target, speed

#: Iterations of the two runs whose difference is timed. Both end one past an evaluation of POT's stopping rule,
#: so that the difference holds it as often as a long run does.
RUNS = {"ours": (21, 121), "sinkhorn": (21, 121), "sinkhorn_stabilized": (21, 61), "sinkhorn_log": (1, 11)}

NEVER = 1e-300


def report(quick: bool = False) -> Report:
    """All three parts."""
    result = Report("ot", "solvers.ot against POT, one thread", picture=Bars(
        "time of POT's best method at the same accuracy / time of ours, method=None (log scale)"))  # fmt: skip
    with harness.threads(1):
        _iteration(result, quick, "malloc as it comes")
        if not quick and harness.keep_freed_memory():
            _iteration(result, quick, "malloc keeps freed memory")
        _iteration_notes(result)
        ot_solves.add(result, quick)
    _memory(result, quick)
    result.header = harness.versions("ot", "sklearn")
    return result


# ---- one iteration ---------------------------------------------------------------------------------


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
    for name, runs in RUNS.items():
        for k in runs:
            if name == "ours":
                calls[f"{name} {k}"] = partial(_ours, problem, reg, k)
            else:
                calls[f"{name} {k}"] = partial(pot_peer.solve, problem, reg, name, 0.0, k)
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
    result.targets.append(Target(figure + "time of POT sinkhorn_log / ours", ">=", 40.0, log_domain))
    result.targets.append(Target(figure + "time of ours / POT sinkhorn (kernel domain)", "<=", 1.5, kernel_domain))


# ---- memory ----------------------------------------------------------------------------------------

#: Run in a fresh process: extra peak memory of a solve, in bytes.
_CHILD = """
import json, resource, sys
import numpy as np
import solvers

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

n, method, options, steps = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(11)
x, y = rng.random((n, 3)), 0.3 * rng.standard_normal((n, 3)) + 0.5
solvers.ot.solve_sample(x[:64], y[:64], reg=0.1, max_iter=1)      # modules that are loaded on first use
try:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")                                          # forget the peak of the imports
    before, peak = status("VmRSS"), lambda: status("VmHWM")
except OSError:
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    before = peak()
result = solvers.ot.solve_sample(x, y, reg=0.1, method=method or None, options=options, max_iter=steps, tol=1e-12)
print(peak() - before, result.method, result.nit, result.stats["threads"])
"""


@dataclass(frozen=True)
class MemoryCase:
    method: str
    options: dict[str, int]
    steps: int


def _memory(result: Report, quick: bool) -> None:
    """Peak memory beyond what the process holds before the call."""
    n = 500 if quick else 20_000
    table = result.table(
        f"Memory: solve_sample, n = m = {n}, 3-D (the cost matrix alone would be {8e-6 * n * n:.0f} MB)"
    )
    for case in (MemoryCase("", {}, 3), MemoryCase("sns", {"warmup": 2}, 4)):
        extra, method, steps, threads = _extra_memory(n, case)
        table.rows.append({
            "method": f"{case.method or None} -> {method}", "steps": steps, "threads": threads,
            "extra peak memory": f"{extra / 1e6:.1f} MB",
        })  # fmt: skip
        figure = f"extra peak memory of solve_sample n={n} 3-D, method={case.method or None}"
        result.targets.append(Target(figure, "<=", 60.0, extra / 1e6, "MB"))
    result.notes.append(
        "Memory: a fresh process; peak resident size during the call less the resident size before it. VmHWM where "
        "/proc has it, since getrusage's peak is inherited from a larger parent; few steps, which all use the same "
        "arrays."
    )


def _extra_memory(n: int, case: MemoryCase) -> tuple[float, str, int, int]:
    command = [sys.executable, "-P", "-c", _CHILD, str(n), case.method, json.dumps(case.options), str(case.steps)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr)
    extra, method, steps, threads = run.stdout.split()
    return float(extra), method, int(steps), int(threads)
