"""Label propagation on a lattice and on graphs of nearest neighbours: conjugate gradients over forests beside Jacobi's,
SSOR's, algebraic multigrid and a direct solver; the estimator beside scikit-learn's.

4 % of the nodes are labelled; all reach max |Q x - c| <= 1e-10 max |c|, judged outside. Set-up is part of every time.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyamg
import scipy.sparse
import scipy.sparse.linalg
import sklearn.semi_supervised
from sklearn.datasets import make_moons

import solvers

from . import bcd_problems, harness
from .report import Bars, Report, Table, Target

GOAL = 1e-10
#: Points, neighbours, dimension of the graphs of nearest neighbours.
CLOUDS = ((100_000, 5, 2), (100_000, 10, 2), (100_000, 10, 5))


def report(quick: bool = False) -> Report:
    """Times in turns, by processor time: a busy machine changes them less."""
    side, rounds = (40, 1) if quick else (1000, 3)
    result = Report("bcd-lattice", f"Label propagation: a lattice of {side} x {side}, nearest neighbours, one thread")
    result.picture = Bars("peer's processor time / ours (log scale)")
    with harness.threads(1):
        graph = bcd_problems.lattice(side, side * side // 25, 1.0)
        times = _compared(result, f"Lattice of {side} x {side}", graph, rounds)
        for points, neighbours, dimension in ((300, 5, 2),) if quick else CLOUDS:
            name = f"{points} points in {dimension} dimensions, {neighbours} neighbours"
            _compared(result, name, bcd_problems.cloud(points, neighbours, dimension), rounds)
        result.tables.append(_estimators((200,) if quick else (2000, 20_000)))
    ours = min(times["ours, comb"])
    jacobi = min(min(times[name]) for name in ("SciPy cg, Jacobi", "solvers.linalg cg, Jacobi"))
    result.targets += [
        Target("lattice: the faster Jacobi-CG / forest CG", ">=", 1.5, jacobi / ours),
        Target("the same, the paper's specification", ">=", 3.0, jacobi / ours),
        Target("lattice: SciPy spsolve / forest CG", ">=", 1.0, min(times["SciPy spsolve"]) / ours),
    ]
    result.header = harness.versions()
    return result


def _compared(result: Report, name: str, graph: bcd_problems.Graph, rounds: int) -> dict[str, list[float]]:
    """A table of all solvers on a graph, ratios to our fastest."""
    times, found = _measured(_calls(graph), graph, rounds)
    table = result.table(f"{name}: processor time, the least of the rounds")
    ours = min(min(seconds) for label, seconds in times.items() if label.startswith("ours"))
    assert result.picture is not None
    for label, seconds in times.items():
        ratio = min(seconds) / ours
        table.rows.append({"solver": label, "s": min(seconds), "over ours": f"{ratio:.2f}x", **found[label]})
        if not label.startswith("ours"):
            result.picture.add(f"{name.split(',')[0]}: {label}", ratio)
    return times


def _calls(graph: bcd_problems.Graph) -> dict[str, Callable[[], tuple[Any, int]]]:
    Q, c = graph.Q, graph.c
    diagonal = scipy.sparse.diags_array(1 / Q.diagonal())
    # the peers stop by 2-norms: about where the largest entry of the residual meets the goal
    atol = GOAL * float(np.abs(c).max()) * np.sqrt(len(c)) / 16

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

    def multigrid() -> tuple[Any, int]:
        left: list[float] = []
        hierarchy = pyamg.ruge_stuben_solver(scipy.sparse.csr_matrix(Q), max_coarse=100)
        x = hierarchy.solve(c, tol=atol / np.linalg.norm(c), accel="cg", residuals=left)
        return x, len(left) - 1

    calls: dict[str, Callable[[], tuple[Any, int]]] = {}
    if "comb" in graph.partitions:
        calls["ours, comb"] = lambda: ours(blocks=graph.partitions["comb"])
    calls |= {
        "ours, greedy forests": ours,
        "SciPy cg, Jacobi": jacobi,
        "solvers.linalg cg, Jacobi": lambda: linear(method="cg", M="jacobi"),
        "solvers.linalg ssor-cg": lambda: linear(method="ssor-cg"),
        "pyamg Ruge-Stueben, CG": multigrid,
    }
    if "comb" in graph.partitions or Q.nnz < 1_000_000:
        calls["SciPy spsolve"] = lambda: (scipy.sparse.linalg.spsolve(Q.tocsc(), c), 1)
    return calls


def _measured(calls: Any, graph: bcd_problems.Graph, rounds: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    found = {}
    for turn in range(rounds):
        for name, call in calls.items():
            if name in ("SciPy spsolve", "pyamg Ruge-Stueben, CG") and turn:
                continue  # one takes longer than all others
            start = time.process_time()
            x, nit = call()
            times[name].append(time.process_time() - start)
            left = float(np.abs(graph.Q @ x - graph.c).max() / np.abs(graph.c).max())
            found[name] = {"iterations": nit, "max residual": f"{left:.1e}", "rounds": turn + 1}
    return times, found


def _estimators(sizes: tuple[int, ...]) -> Table:
    """`LabelPropagation` beside scikit-learn's, which averages over a directed graph until labels stand still."""
    table = Table("Estimators on two moons, 2 % labelled, 7 neighbours: fit, processor time")
    for points in sizes:
        X, y = make_moons(points, noise=0.15, random_state=0)
        some = np.where(np.random.default_rng(0).random(points) < 0.02, y, -1)
        some[np.argmax(y == 0)], some[np.argmax(y == 1)] = 0, 1
        for name, model in (
            ("ours", solvers.learning.LabelPropagation()),
            ("scikit-learn", sklearn.semi_supervised.LabelPropagation("knn", n_neighbors=7)),
        ):
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # where it has not converged the iterations show it
                model.fit(X, some)
            seconds = time.process_time() - start
            right = float((model.transduction_ == y)[some < 0].mean())
            table.rows.append({
                "points": points, "estimator": name, "s": seconds, "iterations": model.n_iter_, "right": f"{right:.4f}",
            })  # fmt: skip
    return table
