"""All solvers in turns on one compiled problem, in one process; driven by bench/cutest_small.py.

    python -P bench/cutest_small_run.py PROBLEM ROUNDS PEER ...

Prints a line of JSON: peer -> what it found, its calls, and processor seconds of its solves.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

#: Seconds of a sample: shorter solves are repeated within it. A solve that takes longer than the last is timed once.
SAMPLE, LONG = 0.005, 0.5


def measured(name: str, rounds: int, peers: list[str]) -> dict[str, dict[str, Any]]:
    """The figures of each peer."""
    from bench.cutest_compiled import CompiledProblem
    from bench.cutest_peers import PEERS

    problem = CompiledProblem(name)
    cost = problem.cost()
    found: dict[str, dict[str, Any]] = {}
    calls: dict[str, Callable[[], Any]] = {}
    for peer in peers:
        calls[peer] = lambda peer=peer: PEERS[peer].solve(problem)
        try:
            found[peer] = _judged(problem, name, calls[peer], cost, ours=peer == "ours")
        except Exception as error:
            found[peer] = {"failure": f"{type(error).__name__}: {error}"[:120]}
    alive = [peer for peer in peers if "failure" not in found[peer]]
    repeats = {peer: _repeats(calls[peer]) for peer in alive}
    for turn in range(rounds):
        for peer in alive[turn % len(alive) :] + alive[: turn % len(alive)]:
            if turn and not repeats[peer]:
                continue
            found[peer]["seconds"].append(_seconds(calls[peer], max(repeats[peer], 1)))
    return found


def _judged(problem: Any, name: str, call: Callable[[], Any], cost: dict[str, float], ours: bool) -> dict[str, Any]:
    """One solve that counts."""
    from solvers.testing import cutest, kkt

    problem.count(True)
    try:
        answer = call()
        counted, asked = dict(problem.calls), dict(problem.asked)
    finally:
        problem.count(False)
    report = kkt(answer.x, cutest(name))
    figures = {
        "stationarity": report.stationarity, "violation": report.violation, "value": report.fun, "nit": answer.nit,
        "success": answer.success, "calls": counted, "seconds": [],
        "functions": sum(count * cost[kind] for kind, count in asked.items()),
    }  # fmt: skip
    if ours:  # nothing in Python was called
        figures["calls"], figures["functions"] = answer.calls, 0.0
    return figures


def _repeats(call: Callable[[], Any]) -> int:
    """How many solves make a sample; 0 where one is long."""
    call()
    seconds = _seconds(call, 1)
    return 0 if seconds > LONG else max(1, int(SAMPLE / max(seconds, 1e-6)))


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


if __name__ == "__main__":
    # neither this folder nor the repository's root may stay on the path
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what peers print is no answer
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]), sys.argv[3:])), file=answers, flush=True)
