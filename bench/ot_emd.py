"""Exact transport: `emd` against POT's network simplex."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import solvers

from . import harness
from .harness import ratio
from .problems import Transport, assignment, cloud
from .report import Report, speed

SIZES = (1000, 2000, 4000)


def add(result: Report, quick: bool) -> None:
    """Random assignment and clouds in three dimensions."""
    table = result.table("Exact transport: emd against POT's ot.emd")
    makes = [partial(make, n) for make in (_assignment, _cloud) for n in ((40,) if quick else SIZES)]
    with harness.threads(1):
        for make in harness.progress(makes, "ot, emd"):
            table.rows.append(_row(make(), quick))
    result.notes.append(
        "Exact transport: values are <C, P> of the plans returned, computed outside; the error is the l1 norm of both "
        "marginals. POT's numItermax is raised so that it ends at the optimum; its plan is dense, ours sparse."
    )


def _assignment(n: int) -> Transport:
    return assignment(n, 0)


def _cloud(n: int) -> Transport:
    return cloud(n, 3)


def _row(problem: Transport, quick: bool) -> dict[str, Any]:
    import ot as pot

    calls = {
        "ours": lambda: solvers.ot.emd(problem.cost, problem.a, problem.b, threads=1).plan,
        "POT": lambda: pot.emd(problem.a, problem.b, problem.cost, numItermax=10**8),
    }
    seen: dict[str, tuple[float, float]] = {}

    def inspect(name: str, plan: Any) -> None:
        dense = plan.toarray() if hasattr(plan, "toarray") else np.asarray(plan)
        error = np.abs(dense.sum(1) - problem.a).sum() + np.abs(dense.sum(0) - problem.b).sum()
        seen[name] = float((dense * problem.cost).sum()), float(error)

    times = harness.interleave(calls, rounds=2 if quick else 5, budget=10.0, inspect=inspect)
    return {
        "problem": problem.name, "ours": times["ours"], "POT": times["POT"],
        "POT / ours": speed(ratio(times["POT"], times["ours"])),
        "ours: value - POT's": f"{seen['ours'][0] - seen['POT'][0]:.1e}", "ours: error": f"{seen['ours'][1]:.1e}",
        "POT: error": f"{seen['POT'][1]:.1e}",
    }  # fmt: skip
