"""B6: the colours of one photograph carried to another's, by the barycentric map of the entropic plan."""

from __future__ import annotations

import numpy as np

import solvers

from . import harness, ot_cells, problems
from .ot_solves import FULL, QUICK, run
from .report import Report, speed

LEVEL = 1e-9


def add(result: Report, quick: bool) -> None:
    """The dense solves against all peers, and ours from the points with the map."""
    n = 30 if quick else 3000
    table = result.table(f"Colour transfer, {n} pixels of each photograph, squared distance, l1 error {LEVEL:g}")
    x, y = problems.colours(n)
    largest = float(((x[:, None] - y[None]) ** 2).sum(-1).max())
    for outcome in run(ot_cells.colours(n)[: 1 if quick else None], QUICK if quick else FULL, "ot, colours"):
        reg = outcome.cell.reg * largest
        calls = {"points": lambda reg=reg: _carried(x, y, reg)}
        with harness.threads(1):
            times = harness.interleave(calls, rounds=2 if quick else 5, budget=5.0)
        row = {
            "reg / largest cost": f"1/{outcome.cell.sharpness}", "ours, matrix": outcome.ours.timing,
            "method": outcome.ours.match.run.details.get("method"), "error": f"{outcome.ours.match.run.error:.1e}",
            "ours, points and map": times["points"],
        }  # fmt: skip
        for name, entry in outcome.peers.items():
            row[f"{name}: method"], row[f"{name}: error"] = entry.match.method, entry.match.verdict
            row[f"{name} / ours, matrix"] = speed(outcome.ratio(name), not entry.reached)
        table.rows.append(row)
    result.notes.append(
        "Colour transfer: 'matrix' is the solve from the cost matrix, as in the whole solves; 'points and map' is "
        "solve_sample and plan.barycentric(Y), wall time, the costs being made on the fly. Peers would still have to "
        "make the matrix and the map."
    )


def _carried(x: problems.Array, y: problems.Array, reg: float) -> problems.Array:
    solution = solvers.ot.solve_sample(x, y, reg=reg, tol=LEVEL, max_iter=10**6, time_limit=60.0, threads=1)
    moved: problems.Array = solution.plan.barycentric(y)
    assert np.isfinite(moved).all()
    return moved
