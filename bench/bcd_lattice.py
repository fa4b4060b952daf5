"""Label propagation on a lattice: conjugate gradients over two forests beside Jacobi's, SSOR's and a direct solver.

4 % of the nodes are labelled; all reach max |Q x - c| <= 1e-10 max |c|, judged outside. Set-up is part of every time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import solvers

from . import bcd_problems, harness
from .report import Bars, Report, Target

GOAL = 1e-10


def report(quick: bool = False) -> Report:
    """Times in turns, by processor time: a busy machine changes them less."""
    side = 40 if quick else 1000
    result = Report("bcd-lattice", f"Label propagation on a lattice of {side} x {side}, 4 % labelled, one thread")
    result.picture = Bars("peer's processor time / ours over the comb (log scale)")
    with harness.threads(1):
        graph = bcd_problems.lattice(side, side * side // 25, 1.0)
        times, found = _measured(_calls(graph), graph, 1 if quick else 3)
    table = result.table("Processor time, the least of the rounds")
    ours = min(times["ours, comb"])
    for name, seconds in times.items():
        ratio = min(seconds) / ours
        table.rows.append({"solver": name, "s": min(seconds), "over ours": f"{ratio:.2f}x", **found[name]})
        if not name.startswith("ours"):
            result.picture.add(name, ratio)
    jacobi = min(min(times[name]) for name in ("SciPy cg, Jacobi", "solvers.linalg cg, Jacobi"))
    result.targets += [
        Target("the faster Jacobi-CG / forest CG", ">=", 1.5, jacobi / ours),
        Target("the same, the paper's specification", ">=", 3.0, jacobi / ours),
        Target("SciPy spsolve / forest CG", ">=", 1.0, min(times["SciPy spsolve"]) / ours),
    ]
    result.header = harness.versions()
    return result


def _calls(graph: bcd_problems.Graph) -> dict[str, Callable[[], tuple[Any, int]]]:
    Q, c = graph.Q, graph.c
    diagonal = scipy.sparse.diags_array(1 / Q.diagonal())
    # the peers stop by 2-norms: about where the largest entry of the residual meets the goal
    atol = GOAL * float(np.abs(c).max()) * np.sqrt(len(c)) / 4

    def ours(**given: Any) -> tuple[Any, int]:
        found = solvers.learning.quadratic(Q, c, tol=GOAL, options={"accel": "cg"}, threads=1, **given)
        return found.x, found.nit

    def jacobi() -> tuple[Any, int]:
        steps = [0]

        def count(x: Any) -> None:
            steps[0] += 1

        return scipy.sparse.linalg.cg(Q, c, rtol=0, atol=atol, M=diagonal, callback=count)[0], steps[0]

    def linear(**given: Any) -> tuple[Any, int]:
        found = solvers.linalg.solve(Q, c, rtol=0, atol=atol, threads=1, **given)
        return found.x, found.nit

    return {
        "ours, comb": lambda: ours(blocks=graph.partitions["comb"]),
        "ours, greedy forests": ours,
        "SciPy cg, Jacobi": jacobi,
        "solvers.linalg cg, Jacobi": lambda: linear(method="cg", M="jacobi"),
        "solvers.linalg ssor-cg": lambda: linear(method="ssor-cg"),
        "SciPy spsolve": lambda: (scipy.sparse.linalg.spsolve(Q.tocsc(), c), 1),
    }


def _measured(calls: Any, graph: bcd_problems.Graph, rounds: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    found = {}
    for turn in range(rounds):
        for name, call in calls.items():
            if name == "SciPy spsolve" and turn:
                continue  # one takes longer than all others
            start = time.process_time()
            x, nit = call()
            times[name].append(time.process_time() - start)
            left = float(np.abs(graph.Q @ x - graph.c).max() / np.abs(graph.c).max())
            found[name] = {"iterations": nit, "max residual": f"{left:.1e}", "rounds": turn + 1}
    return times, found
