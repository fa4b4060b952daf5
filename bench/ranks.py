"""Shared rows on ranks of MPI: strong scaling of a transport and of a fit, and what the ranks' messages take.

The speed-up is that of two ranks with a thread each over one rank with one, by the same method, in processes of their
own that take turns; the answers are compared. A model of three rates, made from one and two ranks, is checked at four.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .harness import Timing, ratio, versions
from .process import one_thread
from .report import Report, Table, Target

#: Seconds for a run of all solves.
LIMIT = 900.0
MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}
#: Ranks for which the model predicts.
MANY = (1, 2, 4, 16, 64, 256, 1000)
TARGET = 1.7
SAME = 1e-12


def launched(ranks: int, wanted: dict[str, Any]) -> dict[str, Any]:
    """The answers of a run on so many ranks."""
    mpiexec = Path(sysconfig.get_path("scripts")) / "mpiexec"
    with tempfile.TemporaryDirectory() as folder:
        settings, answers = Path(folder, "settings.json"), Path(folder, "answers.npz")
        settings.write_text(json.dumps(wanted), encoding="utf-8")
        program = Path(__file__).with_name("ranks_run.py")
        subprocess.run(
            [mpiexec, "--oversubscribe", "-n", str(ranks), sys.executable, "-P", program, settings, answers],
            env={**os.environ, **one_thread(), **MPI}, check=True, timeout=LIMIT,
        )  # fmt: skip
        with np.load(answers) as found:
            return {name: found[name] if found[name].ndim else found[name].item() for name in found.files}


def report(quick: bool = False) -> Report:
    n, samples, features, rounds = (2000, 4000, 10, 1) if quick else (20_000, 2_000_000, 30, 7)
    wanted = {"transport": {"n": n, "reg": 1.0}, "small reg": {"n": n // 2, "reg": 0.01}}
    wanted["fit"] = {"n": samples, "d": features}
    wanted["messages"] = {"size": n, "repeats": 5 if quick else 101}
    runs: dict[int, list[dict[str, Any]]] = {1: [], 2: [], 4: []}
    for k in range(rounds):
        for ranks in (1, 2) if k else (1, 2, 4):
            runs[ranks].append(launched(ranks, wanted))
    result = Report("ranks", "Shared rows on ranks", versions("mpi4py"))
    names = {"transport": f"{n} x {n} points, sinkhorn", "small reg": f"{n // 2} x {n // 2} points, newton"}
    _scaling(result, runs, {**names, "fit": f"{samples} x {features} logistic"})
    result.tables.append(_messages(runs, n))
    result.tables.append(_predicted(runs, n))
    return result


def _scaling(result: Report, runs: dict[int, list[dict[str, Any]]], names: dict[str, str]) -> None:
    table = Table("Strong scaling, a thread a rank")
    for kind, name in names.items():
        alone = runs[1][0][f"{kind} answer"]
        times = {p: Timing(tuple(run[f"{kind} seconds"] for run in of)) for p, of in runs.items()}
        for p, of in runs.items():
            apart = max(float(np.abs(run[f"{kind} answer"] - alone).max() / np.abs(alone).max()) for run in of)
            table.rows.append(
                {
                    "problem": name, "ranks": p, "time": times[p], "speed-up": ratio(times[1], times[p]),
                    "steps": of[0][f"{kind} steps"], "differs by": apart, "same": apart <= SAME,
                }
            )  # fmt: skip
        result.targets.append(Target(f"{name}: 2 ranks over 1", ">=", TARGET, ratio(times[1], times[2])))
        worst = max(float(row["differs by"]) for row in table.rows if row["problem"] == name)
        result.targets.append(Target(f"{name}: largest difference from one rank", "<=", SAME, worst, ""))
    result.tables.append(table)


def _messages(runs: dict[int, list[dict[str, Any]]], size: int) -> Table:
    table = Table(f"Sums of {size} numbers in the order of the ranks, beside Allreduce; microseconds")
    for p, of in runs.items():
        median = {name: 1e6 * float(np.median([run[f"messages {name}"] for run in of])) for name in _timed(of[0])}
        table.rows.append({"ranks": p, **median, "over Allreduce": median["sum"] / median["Allreduce"]})
    return table


def _timed(run: dict[str, Any]) -> list[str]:
    return [name.removeprefix("messages ") for name in run if name.startswith("messages ")]


def exchange_seconds(numbers: int, ranks: int, latency: float, per_number: float) -> float:
    """A sum in the order of the ranks: each sends its parts to all others, adds up its own, and sends the sum round."""
    return 2 * (ranks - 1) * latency + 2 * numbers * (ranks - 1) / ranks * per_number


def _predicted(runs: dict[int, list[dict[str, Any]]], size: int) -> Table:
    """T(p) = W / p + S + steps * exchange: W and S from one and two ranks, on as many cores as there are ranks."""
    table = Table("Predicted from the rates at one and two ranks, a core a rank; measured beside it")
    cores = os.cpu_count() or 1
    medians = {
        p: {name: float(np.median([run[name] for run in of])) for name in of[0] if not name.endswith("answer")}
        for p, of in runs.items()
    }
    latency = medians[2]["messages message"]
    per_number = max(medians[2]["messages long message"] - latency, 0.0) / size
    for kind in ("transport", "small reg", "fit"):
        numbers, steps = int(medians[1][f"{kind} numbers"]), medians[1][f"{kind} steps"]
        one, two = medians[1][f"{kind} seconds"], medians[2][f"{kind} seconds"]
        both = steps * exchange_seconds(numbers, 2, latency, per_number)
        work = min(max(2 * (one - two + both), 0.0), one)
        for p in MANY:
            shared = max(1.0, p / cores)  # ranks that take turns on a core
            there = work / p + one - work + steps * exchange_seconds(numbers, p, latency, per_number)
            row: dict[str, Any] = {"problem": kind, "ranks": p, "predicted s": there, "speed-up": one / there}
            row["numbers a step and rank"] = 2 * numbers * (p - 1) // p
            if p in medians:
                crowded = work / min(p, cores) + (one - work) * shared
                row |= {"predicted here s": crowded, "measured s": medians[p][f"{kind} seconds"]}
            table.rows.append(row)
    return table
