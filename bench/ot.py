"""Entropic optimal transport against POT, regot, ott-jax and mdot-tnt, on one thread.

Each part is a module with `add(report, quick)`; a part is switched on by its name in PARTS.
"""

from __future__ import annotations

from . import harness, ot_batch, ot_clouds, ot_colour, ot_iteration, ot_path, ot_solves, peers_ot
from .report import Bars, Report

PARTS = (ot_iteration, ot_solves, ot_batch, ot_path, ot_colour, ot_clouds)


def report(quick: bool = False) -> Report:
    """All parts."""
    result = Report("ot", "solvers.ot against POT, regot, ott-jax and mdot-tnt, one thread", picture=Bars(
        "time of a peer's best method at the same accuracy / time of ours, method=None (log scale)"))  # fmt: skip
    for part in PARTS:
        part.add(result, quick)
    result.header = [*harness.versions("sklearn"), ", ".join(peers_ot.versions())]
    result.notes += [
        f"{name} is not installed: its columns are missing, and its targets are not measured."
        for name, peer in peers_ot.PEERS.items()
        if not peers_ot.installed(peer)
    ]
    return result
