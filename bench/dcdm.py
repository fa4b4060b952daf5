"""Deep conjugate directions: iterations against size as in the paper, with the time beside them, and the net's speed.

Each part is a module with `add(report, quick)`.
"""

from __future__ import annotations

from . import dcdm_iterations, dcdm_net, harness
from .report import Report

THREADS = 2


def report(quick: bool = False) -> Report:
    """Both parts."""
    result = Report("dcdm", f"Learned conjugate directions, {THREADS} threads")
    harness.keep_freed_memory()
    with harness.threads(THREADS):
        dcdm_iterations.add(result, quick)
        dcdm_net.add(result, quick, THREADS)
    with harness.threads(1):
        dcdm_net.add(result, quick, 1)
    result.header = harness.versions("pyamg", "torch")
    return result
