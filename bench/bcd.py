"""Penalised models against celer, skglm, scikit-learn, liblinear, cyanure and SciPy, equally far from the minimum.

On one thread, by processor time. `--problems` and `--data` choose among the cells (bench/bcd_cells.py).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from . import bcd_cells, bcd_match, bcd_peers, bcd_tables, harness
from .bcd_match import Outcome
from .bcd_worker import Shelf, Worker
from .report import Report


def report(quick: bool = False, problems: Sequence[str] = (), data: Sequence[str] = ()) -> Report:
    """All cells, or some."""
    result = Report("bcd", "solvers.learning against other packages: time to a distance from the minimum, one thread")
    effort = bcd_match.QUICK if quick else bcd_match.FULL
    cells = bcd_cells.cells(problems, data, quick)
    outcomes, compiled, missing = _run(cells, effort)
    for name, why in missing.items():
        result.notes.append(f"The set {name} is left out: {why}")
    bcd_tables.add(result, outcomes, effort)
    for name, seconds in compiled.items():
        result.notes.append(f"{name} took {seconds:.3g} s to load and compile what it needed; that is in no time.")
    result.notes += [
        f"{name} is not installed: its columns are missing, and its targets are not measured."
        for name, peer in bcd_peers.PEERS.items() if not bcd_peers.installed(peer)
    ]  # fmt: skip
    result.header = [*harness.versions(), ", ".join(bcd_peers.versions())]
    return result


def _run(
    cells: list[bcd_cells.Cell], effort: bcd_match.Effort
) -> tuple[list[Outcome], dict[str, float], dict[str, str]]:
    """The outcomes; each peer's seconds of compiling; the sets that could not be read, and why."""
    workers = {name: Worker(name) for name, peer in bcd_peers.PEERS.items() if bcd_peers.installed(peer)}
    outcomes: list[Outcome] = []
    missing: dict[str, str] = {}
    try:
        with Shelf() as shelf:
            for cell in harness.progress(cells, "bcd"):
                path = shelf.path(cell.source)
                if not isinstance(path, Path):
                    missing[cell.source.name] = path
                    continue
                outcomes += bcd_match.measure(workers, cell, path, effort)
                _tell(outcomes[-1])
    except KeyboardInterrupt:
        print("interrupted: the report has what was measured", file=sys.stderr)
    finally:
        for worker in workers.values():
            worker.stop()
    return outcomes, {name: worker.compiled for name, worker in workers.items() if worker.compiled > 1}, missing


def _tell(outcome: Outcome) -> None:
    """A line for those who wait, where no progress bar is shown."""
    if not sys.stderr.isatty():
        best = outcome.best
        told = "no peer arrived" if best is None else f"{best.seconds / outcome.ours.seconds:.2f}x, {best.solver}"
        print(f"{outcome.cell.name}: {told}", file=sys.stderr, flush=True)
