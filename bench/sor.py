"""Sweeps and whole solves of linear systems against pyamg, SciPy, scikit-sparse and ilupp, on one thread.

Each part is a module with `add(report, peers, quick)`.
"""

from __future__ import annotations

from . import harness, sor_peers, sor_solves, sor_sweeps
from .report import Report

PARTS = (sor_sweeps, sor_solves)


def report(quick: bool = False) -> Report:
    """All parts."""
    result = Report("sor", "solvers.linalg against pyamg, SciPy, scikit-sparse and ilupp, one thread")
    peers = sor_peers.load()
    kept = not quick and harness.keep_freed_memory()
    with harness.threads(1):
        for part in PARTS:
            part.add(result, peers, quick)
    result.header = [*harness.versions(), *peers.versions()]
    result.notes.append(f"malloc keeps freed blocks below 32 MB: {kept}.")
    result.notes += [
        f"{name} is not installed: its rows are missing, and its targets are not measured." for name in peers.missing
    ]
    return result
