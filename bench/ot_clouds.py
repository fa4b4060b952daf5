"""B3 beyond dense matrices: point clouds whose costs are made on the fly; time, memory and error of each.

Every run is a process of its own (bench/ot_cloud_run.py), so that its peak memory can be told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import harness
from .harness import duration
from .peers_ot import ONE_THREAD, PEERS, installed
from .report import Report, Row, Target

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Run:
    """A solver on two clouds of n points; with `steps` only so many iterations."""

    solver: str
    n: int
    sharpness: int
    level: float
    steps: int | None = None
    dim: int = 3
    #: A method of ours, and its options.
    method: str | None = None
    options: str = "{}"


#: Whole solves where the peers end in time; above that two iterations of theirs, and all of ours. ott 0.6 keeps the
#: matrix, since its batches fail with jax 0.10, and is left out at 20000 points.
FULL = (
    *(Run(solver, 5000, 100, 1e-6) for solver in ("ours", "POT lazy", "ott PointCloud")),
    Run("ours", 20_000, 100, 1e-6), Run("POT lazy", 20_000, 100, 1e-6, 2),
    Run("POT lazy, batch 1000", 20_000, 100, 1e-6, 2), Run("ours", 50_000, 100, 1e-6),
    Run("ours", 20_000, 20, 1e-12, 3), Run("ours", 20_000, 20, 1e-12, 4, method="sns", options='{"warmup": 2}'),
)  # fmt: skip

QUICK = (Run("ours", 200, 100, 1e-6), Run("POT lazy", 200, 100, 1e-6, 2))

#: Seconds of one process; a run that takes longer is shown as such.
CAP = 200.0


def add(result: Report, quick: bool) -> None:
    """The table and the targets."""
    table = result.table("Point clouds of 3 dimensions, costs made on the fly; reg in units of the largest cost")
    for run in harness.progress(QUICK if quick else FULL, "ot, clouds"):
        if run.solver == "ours" or installed(PEERS[run.solver.split()[0]]):
            table.rows.append(_row(result, run))
    result.notes.append(
        "Clouds: processor time of one run in a fresh process with one thread (ott's holds its compilation). Memory: "
        "peak resident size during the call less the resident size before. The error is the l1 norm of both marginals "
        "of the plan that the potentials give, recomputed in NumPy; beyond 5000 points estimated from 2000 rows and "
        "2000 columns. A matrix of 20000 x 20000 would take 3200 MB."
    )


def _row(result: Report, run: Run) -> Row:
    row: Row = {
        "n": run.n, "reg": f"1/{run.sharpness}", "solver": run.solver + (f", {run.method}" if run.method else ""),
        "asked for": f"{run.level:g}" if run.steps is None else f"{run.steps} iterations",
    }  # fmt: skip
    answer = _child(run)
    if answer is None:
        return {**row, "time": f"> {CAP:g} s"}
    figures = {
        "time": duration(answer["seconds"]), "iterations": answer["iterations"],
        "an iteration": duration(answer["seconds"] / max(answer["iterations"], 1)),
        "extra peak memory": f"{answer['memory'] / 1e6:.0f} MB", "error": f"{answer['error']:.1e}",
        "method": answer["method"],
    }  # fmt: skip
    if run.solver == "ours":
        _targets(result, run, answer)
    return {**row, **figures}


def _targets(result: Report, run: Run, answer: dict[str, Any]) -> None:
    memory = answer["memory"] / 1e6
    if run.steps is not None:
        figure = f"extra peak memory of solve_sample n={run.n} 3-D, method={run.method}, {run.steps} steps"
        result.targets.append(Target(figure, "<=", 60.0, memory, "MB"))
    elif run.n == 50_000:
        figure = f"cloud n={run.n} 3-D, reg 1/{run.sharpness} of the largest cost, to {run.level:g}:"
        result.targets.append(Target(f"{figure} extra peak memory", "<=", 300.0, memory, "MB"))
        result.targets.append(Target(f"{figure} error / level", "<=", 1.0, answer["error"] / run.level, ""))


def _child(run: Run) -> dict[str, Any] | None:
    """The figures of a run; None if it took too long."""
    command = [sys.executable, "-P", str(HERE / "ot_cloud_run.py"), json.dumps(vars(run))]
    environment = {**os.environ, **ONE_THREAD}
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, timeout=CAP, check=True)
    except subprocess.TimeoutExpired:
        return None
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
