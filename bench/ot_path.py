"""B5: a path of 20 strengths of the entropy, 1/10 to 1/10000 of the largest cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import solvers

from . import harness, ot_cells, ot_match
from .check import plan_error
from .harness import duration
from .ot_cells import LEVEL, Cell
from .ot_worker import Worker
from .peers_ot import PEERS, installed
from .report import Report, Target, speed

#: Seconds that a peer's first method gets at each point.
CAP = 2.0


def add(result: Report, quick: bool) -> None:
    """solve_path, our solves one by one, and the best method of each peer at each point."""
    cells = ot_cells.path()[: 2 if quick else None]
    problem = cells[0].make()
    regs = [cell.reg for cell in cells]
    common = {"tol": LEVEL, "max_iter": 10**6, "threads": 1}
    calls: dict[str, Callable[[], Any]] = {
        "ours, solve_path": lambda: solvers.ot.solve_path(problem.cost, problem.a, problem.b, regs, **common),
        "ours, one by one": lambda: [
            solvers.ot.solve(problem.cost, problem.a, problem.b, reg=reg, **common) for reg in regs
        ],
        "ours, the smallest reg alone": lambda: [
            solvers.ot.solve(problem.cost, problem.a, problem.b, reg=regs[-1], **common)
        ],
    }
    errors: dict[str, float] = {}

    def inspect(name: str, answers: Any) -> None:
        errors[name] = max(
            plan_error(answer.plan.dense(), problem, reg)
            for answer, reg in zip(answers, regs[-len(answers) :], strict=True)
        )

    with harness.threads(1):
        times = harness.interleave(calls, rounds=2 if quick else 5, budget=30.0, inspect=inspect)
    table = result.table(f"A path of {len(regs)} strengths, {problem.name}, l1 error {LEVEL:g}")
    ours = times["ours, solve_path"].median
    for name, timing in times.items():
        over = None if name == "ours, solve_path" else speed(timing.median / ours)
        table.rows.append({"solver": name, "time": timing, "over ours": over, "worst error": f"{errors[name]:.1e}"})
    alone = harness.ratio(ours, times["ours, the smallest reg alone"])
    result.targets.append(Target(f"path of {len(regs)}: time over its smallest reg alone", "<=", 2.5, alone))
    for peer in [name for name, kind in PEERS.items() if name != "ours" and installed(kind)]:
        total, missed = _peer(peer, cells, 2 * problem.size, CAP / 10 if quick else CAP)
        sign = ">= " if missed else ""
        table.rows.append({
            "solver": f"{peer}, its best method at each", "time": f"{sign}{duration(total)}",
            "over ours": speed(total / ours, bool(missed)), "not reached": missed,
        })  # fmt: skip
    result.notes.append(
        f"The path: peers solve each point from nothing, by the method that suits it best, at most {CAP:g} s for the "
        "most promising; a point that they do not solve counts with that cap. Ours return plans on demand, which are "
        "made for the judge outside the time."
    )


def _peer(peer: str, cells: list[Cell], size: int, cap: float) -> tuple[float, int]:
    """Seconds of all points together, and how many were not solved."""
    worker = Worker(peer)
    try:
        best = [ot_match.best(ot_match.all_methods(worker, cell, size, cap)) for cell in cells]
    finally:
        worker.stop()
    return sum(match.run.seconds if match.reached else cap for match in best), sum(not m.reached for m in best)
