"""The equality-constrained lists with compiled functions: what the solvers themselves take.

All solvers run in one process, in turns, by processor time on one thread. Of the peers' time, what their calls of the
functions cost from Python is taken off (calls, counted in a run of their own, times the cost of a call); ours includes
its functions, which it calls in C.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import harness
from .cutest_match import Run
from .process import one_thread

HERE = Path(__file__).resolve().parent

#: Those that use second derivatives, or are what users of SciPy have.
PEERS = ("ours", "SLSQP", "trust-constr", "IPOPT", "Uno SQP", "Uno IPM", "pounce")


def run(problems: Sequence[str], peers: Sequence[str], rounds: int = 7) -> dict[str, dict[str, Run]]:
    """Peer -> problem -> run."""
    found: dict[str, dict[str, Run]] = {peer: {} for peer in peers}
    for problem in harness.progress(problems, "compiled"):
        figures = _child(problem, peers, rounds)
        for peer in peers:
            found[peer][problem] = _run(figures.get(peer, {"failure": "its process crashed"}))
    return found


def _child(problem: str, peers: Sequence[str], rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-P", str(HERE / "cutest_small_run.py"), problem, str(rounds), *peers]
    environment = {**os.environ, **one_thread()}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=1200, check=True, text=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{problem}: {error}", file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _run(figures: dict[str, Any]) -> Run:
    if "failure" in figures:
        return Run(failure=figures["failure"])
    own = tuple(max(seconds - figures["functions"], 1e-7) for seconds in figures["seconds"])
    calls = figures["calls"]
    return Run(
        figures["stationarity"], figures["violation"], figures["value"], figures["success"], figures["nit"], own,
        figures["functions"], tuple(calls[k] for k in ("fun", "gradient", "constraints", "jacobian", "hessian")),
    )  # fmt: skip


def ratios(ours: dict[str, Run], theirs: dict[str, Run], tolerance: float, *, whole: bool = False) -> list[float]:
    """A peer's time over ours, on the problems that both solve; of whole solves, what the functions take included."""
    return [
        (theirs[problem].time + whole * theirs[problem].functions) / (mine.time + whole * mine.functions)
        for problem, mine in ours.items()
        if mine.solved(tolerance) and theirs[problem].solved(tolerance)
    ]


def geometric_mean(values: Sequence[float]) -> float | None:
    """None where there are no values."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else None
