"""Runs solvers on CUTEst problems, each in a process of its own, and remembers what the peers did.

A solver that crashes, or takes too long, fails on that problem alone. Results of peers are kept under build/ until
their package, their options or the judge changes; ours are always made anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import solvers.testing.least_squares
import solvers.testing.programs

from . import cutest_peers, harness
from .process import Process, one_thread

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / "build" / "bench" / "cutest"

#: Seconds outside the functions that a solve may take; with them, before it is killed.
LIMIT, KILLED = 10.0, 60.0


@dataclass
class Run:
    """A solver on a problem."""

    stationarity: float = math.inf
    violation: float = math.inf
    fun: float = math.nan
    success: bool = False
    nit: int = 0
    #: Processor time outside the functions, of each round; within them.
    seconds: tuple[float, ...] = ()
    functions: float = math.nan
    #: Evaluations of f, its gradient, the rows, their Jacobian, the Hessian.
    calls: tuple[int, ...] = (0, 0, 0, 0, 0)
    failure: str = ""
    x: tuple[float, ...] = ()

    def solved(self, tolerance: float) -> bool:
        """By the judge, in time."""
        return self.stationarity <= tolerance and self.violation <= tolerance and self.time <= LIMIT

    @property
    def time(self) -> float:
        """Median of the rounds."""
        return sorted(self.seconds)[len(self.seconds) // 2] if self.seconds else math.inf

    @property
    def evaluations(self) -> int:
        """Of f or of the rows, whichever was evaluated more often."""
        return max(self.calls[0], self.calls[2])


def run(
    names: Sequence[str], problems: Sequence[str], rounds: int = 3, fresh: bool = False
) -> dict[str, dict[str, Run]]:
    """Solver -> problem -> run. `fresh` forgets what peers did before."""
    found: dict[str, dict[str, Run]] = {}
    for name in harness.progress(names, "cutest"):
        path = KEPT / f"{name.replace(' ', '-').lower()}.json"
        mark = _mark(name)
        known = {} if fresh or name == "ours" else _read(path, mark)
        missing = [problem for problem in problems if problem not in known]
        for problem, made in _runs(name, missing, rounds):
            known[problem] = made
            if name != "ours":
                _write(path, mark, known)
        if name == "ours":
            _write(path, mark, known)
        found[name] = {problem: known[problem] for problem in problems}
    return found


def _runs(name: str, problems: Sequence[str], rounds: int) -> Iterable[tuple[str, Run]]:
    # what lies on PYTHONPATH here is the peers', so that it is theirs too
    environment = one_thread(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    worker = Process("cutest_serve.py", name, environment=environment)
    try:
        for problem in problems:
            yield problem, _one(worker, problem, rounds)
            if not sys.stderr.isatty():
                print(f"{name}: {problem}", file=sys.stderr, flush=True)
    finally:
        worker.stop()


def _one(worker: Process, problem: str, rounds: int) -> Run:
    made = Run()
    for turn in range(rounds + 1):
        answer = worker.ask({"problem": problem, "count": turn == 0}, KILLED)
        if answer is None or "failure" in answer:
            made.failure = f"killed after {KILLED:g} s, or crashed" if answer is None else answer["failure"]
            return made
        # the first run of a compiled problem counts, which takes longer than the functions
        alone = max(answer["seconds"], 1e-7)
        seconds = (alone,) if turn < 2 and answer["compiled"] else (*made.seconds, alone)
        calls = tuple(answer[name] for name in ("fun", "gradient", "constraints", "jacobian", "hessian"))
        made = Run(
            answer["stationarity"], answer["violation"], answer["value"], answer["success"], answer["nit"], seconds,
            answer["functions"], calls, "", tuple(answer["x"]),
        )  # fmt: skip
        if answer["seconds"] + answer["functions"] > 2.0:
            break
    return made


def _mark(name: str) -> str:
    """What a result depends on."""
    peer = cutest_peers.PEERS[name]
    files = solvers.testing.programs.__file__, solvers.testing.least_squares.__file__
    judge = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:12]
    return f"{cutest_peers.release(peer)}, {peer}, {cutest_peers.MAX_ITER}, {judge}"


def _read(path: Path, mark: str) -> dict[str, Run]:
    if not path.is_file():
        return {}
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["mark"] != mark:
        return {}
    return {problem: Run(**{k: tuple(v) if isinstance(v, list) else v for k, v in made.items()})
            for problem, made in kept["runs"].items()}  # fmt: skip


def _write(path: Path, mark: str, runs: dict[str, Run]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {problem: {f.name: getattr(made, f.name) for f in fields(made)} for problem, made in runs.items()}
    path.write_text(json.dumps({"mark": mark, "runs": plain}), encoding="utf-8")


def peers(names: Iterable[str] | None = None) -> list[str]:
    """Those that are installed, of these or of all."""
    wanted: Any = names or cutest_peers.PEERS
    return [name for name in wanted if cutest_peers.installed(cutest_peers.PEERS[name])]
