"""Systems on grids: counts of iterations, and whole solves against pyamg, SciPy and the sine transform, two threads.

Each part is a module with `add(report, peers, quick)`.
"""

from __future__ import annotations

from . import grid_counts, grid_fluid, grid_solves, harness, sor_peers
from .report import Report

PARTS = (grid_counts, grid_solves, grid_fluid)

THREADS = 2


def report(quick: bool = False) -> Report:
    """All parts."""
    result = Report(
        "grid", f"solvers.linalg's multilevel-cg against pyamg, SciPy and the sine transform, {THREADS} threads"
    )
    peers = sor_peers.load()
    if not quick:
        harness.keep_freed_memory()
    with harness.threads(THREADS):
        for part in PARTS:
            part.add(result, peers, quick)
    result.header = harness.versions() + peers.versions()
    return result
