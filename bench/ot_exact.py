"""Exact optimal transport against POT's network simplex, one thread, both to the optimum.

Each answer is judged outside both solvers: the cost of the plan that was returned, and its marginals. POT's limit of
iterations is lifted. Its `emd` and `emd2` run the same program; the quicker call, `emd2` without the dense plan, is
timed, while ours returns the (sparse) plan and the certificate.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np

import solvers

# POT would otherwise load torch at import, of which nothing is used here.
os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")
import ot as pot

from . import harness
from .problems import Transport, assignment, cloud, digits
from .report import Bars, Report, Target

UNLIMITED = 2**31 - 1

#: A peer's call that takes longer is timed once.
BUDGET = 20.0


def report(quick: bool = False) -> Report:
    """Whole solves of both."""
    result = Report("ot-exact", "solvers.ot.emd against POT's emd2, one thread")
    result.picture = Bars("time of POT's emd2 / time of ours (log scale)")
    table = result.table("Exact transport")
    with harness.threads(1):
        for problem in harness.progress(list(_problems(quick)), "ot-exact"):
            table.rows.append(_row(result, problem, quick))
    result.header = harness.versions("ot", "sklearn")
    result.notes.append(" ".join((__doc__ or "").split("\n\n")[1].split()))
    return result


def _problems(quick: bool) -> list[Transport]:
    sizes = (40,) if quick else (100, 250, 500, 1000, 2000, 4000)
    problems = [make(n) for n in sizes for make in (assignment, partial(cloud, dim=2), cloud, partial(cloud, dim=10))]
    sides = (8,) if quick else (28, 64)
    return problems + [digits(metric, side=side) for side in sides for metric in ("l2", "l1")]


def _row(result: Report, problem: Transport, quick: bool) -> dict[str, Any]:
    values: dict[str, float] = {}
    errors: dict[str, float] = {}

    def judge(name: str, answer: Any) -> None:
        if name != "ours":
            values[name] = float(answer)
            return
        plan = answer.plan.tocoo()
        values[name] = float(plan.data @ problem.cost[plan.row, plan.col])
        errors[name] = float(np.abs(plan.sum(1) - problem.a).sum() + np.abs(plan.sum(0) - problem.b).sum())

    calls = {
        "ours": partial(solvers.ot.emd, problem.cost, problem.a, problem.b, threads=1),
        "POT": partial(pot.emd2, problem.a, problem.b, problem.cost, numItermax=UNLIMITED),
    }
    times = harness.interleave(calls, rounds=2 if quick else harness.ROUNDS, budget=BUDGET, inspect=judge)
    faster = harness.ratio(times["POT"], times["ours"])
    assert result.picture is not None
    result.picture.add(problem.name, faster)
    large = problem.size >= 4000
    result.targets.append(Target(f"exact transport, {problem.name}: over POT", ">=", 5.0 if large else 1.0, faster))
    return {
        "problem": problem.name, "ours": times["ours"], "POT emd2": times["POT"], "over ours": f"{faster:.3g}x",
        "cost / POT's cost - 1": f"{values['ours'] / values['POT'] - 1:.1e}", "l1 error": f"{errors['ours']:.1e}",
    }  # fmt: skip
