"""Figures 4 to 13 of Nutini, Laradji, Schmidt (2022, JMLR 23(131)), drawn anew: the objective after each block update.

Differs from the paper in:

1. The random instances are our seed's; the reference values beside ours come from another program and another seed of
   the same definitions, so that only their size is to be compared.
2. Greedy rules with a penalty compare what the penalised model could gain; the figures of the penalised problem take
   gsd in that form, which costs one pass over the gradient.
3. Random forests are fixed ones that take the nodes in a random order; the greedy forest is chosen for each update.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse.linalg

from solvers._base.blocks import BlockCoordinateDescent, BlockProblem
from solvers._base.blocks import partition as partitions
from solvers._base.blocks.penalty import make
from solvers._base.blocks.smooth import Quadratic

from . import bcd_problems, harness
from .report import Lines, Report, Table, Target

Array = npt.NDArray[Any]

UPDATES = 500

#: What the processes draw.
PANELS: list[list[Curve]] = []

#: Figure, problem, curve -> value after 500 updates, elsewhere computed from the same definitions.
REFERENCE = {
    ("4, 8", "A, blocks of 5", "random, sort"): 1.8e6, ("4, 8", "A, blocks of 5", "gs, variable"): 2.7e4,
    ("4, 8", "A, blocks of 5", "gsd, variable"): 5.4e3, ("4, 8", "A, blocks of 5", "gsl, sort"): 4.7e3,
    ("5, 11", "A, blocks of 5", "gs, variable"): 2.6e3, ("5, 11", "A, blocks of 5", "gsd, variable"): 5.4e-2,
    ("5, 11", "A, blocks of 5", "gsl, sort"): 2.8e3,
}  # fmt: skip
#: The same for problem D, whose instances differ by many orders of magnitude: the largest hole between labels decides.
LATTICE = {
    "red-black": 8.7, "comb": 3.1e-6, "greedy forest": 1.7e-6, "random forest": 4.2e-2, "alternate columns": 3.5e-6,
}  # fmt: skip
LATTICE_SEEDS = range(8)


@dataclass
class Curve:
    """One run: its rules, and what comes of it."""

    figure: str
    panel: str
    name: str
    smooth: Any
    rules: dict[str, Any]
    size: int | None = None
    blocks: list[Array] | None = None
    penalty: Any = None
    #: What is taken off the objective; NaN: the least that any curve of the problem reached.
    least: float = 0.0
    values: list[float] = field(default_factory=list)


def run(curve: Curve, updates: int = UPDATES, shared: dict[Any, Any] | None = None) -> list[float]:
    """The objective at the start and after each update. Curves of one panel may share their blocks' constants."""
    count = curve.smooth.size
    penalty = make(curve.penalty, None, count, None)
    problem = BlockProblem(
        curve.smooth, penalty, np.zeros(count), tol=1e-300, scale=1.0, blocks=curve.blocks, size=curve.size, seed=1,
        max_iter=updates, every=True, threads=1, capability="function",
        _memory={} if shared is None or curve.blocks else shared,
    )  # fmt: skip
    solver = BlockCoordinateDescent(**{"accel": "none", **curve.rules})
    state = solver.init(problem)
    curve.values = [state.fun]
    while len(curve.values) <= updates:
        if solver.done(problem, state) is None:
            state = solver.step(problem, state)
        curve.values.append(state.fun)
    return curve.values


# ---- the figures ---------------------------------------------------------------------------------


def figures(quick: bool) -> Iterator[list[Curve]]:
    """The curves, problem by problem."""
    n, d, k = (60, 200, 4) if quick else (1000, 10_000, 50)
    sizes = (5,) if quick else (5, 50, 100)
    A, B = bcd_problems.least_squares(n, d), bcd_problems.logistic(n, d)
    C = bcd_problems.multinomial(n, d // 10, k)
    yield from (list(_with_bounds("4, 8", f"{name}, blocks of {size}", f, size))
                for name, f in (("A", A), ("B", B)) for size in (sizes if name == "A" else sizes[:1]))  # fmt: skip
    yield from (list(_with_matrices(A, size)) for size in sizes)
    yield from (list(_searches(A, size)) for size in (sizes if quick else (5, 20, 50)))
    yield from (list(_chunks(A, size)) for size in (sizes if quick else (5, 20, 50)))
    yield from (list(_newton(name, f, size)) for name, f in (("B", B), ("C", C)) for size in sizes)
    yield from (list(_penalised(A, size)) for size in sizes)
    yield list(_trees("D", bcd_problems.lattice(*((10, 8) if quick else (50, 100)))))
    yield list(_trees("E", bcd_problems.moons(*((100, 8) if quick else (2000, 100)))))


def _with_bounds(figure: str, panel: str, f: Any, size: int) -> Iterator[Curve]:
    for rule in ("random", "cyclic", "perm", "lipschitz", "gs", "gsl", "gsd"):
        yield Curve(figure, panel, f"{rule}, sort", f, {"partition": "sort", "selection": rule, "update": "lb"}, size)
    for rule in ("random", "gs", "gsl", "gsd"):
        rules = {"partition": "variable", "selection": rule, "update": "lb"}
        yield Curve(figure, panel, f"{rule}, variable", f, rules, size)


def _with_matrices(f: Any, size: int) -> Iterator[Curve]:
    for partition in ("sort", "variable"):
        for rule in ("random", "gs", "gsl", "gsd", "gsq"):
            rules = {"partition": partition, "selection": rule, "update": "matrix"}
            yield Curve("5, 11", f"A, blocks of {size}", f"{rule}, {partition}", f, rules, size)


def _searches(f: Any, size: int) -> Iterator[Curve]:
    for update in ("lb", "la"):
        for partition, rule in (("sort", "gs"), ("sort", "gsl"), ("variable", "gs"), ("variable", "gsl")):
            rules = {"partition": partition, "selection": rule, "update": update}
            yield Curve("9", f"A, blocks of {size}", f"{update}, {rule}, {partition}", f, rules, size)


def _chunks(f: Any, size: int) -> Iterator[Curve]:
    for partition in ("order", "avg", "sort"):
        for rule in ("random", "gs", "gsl"):
            rules = {"partition": partition, "selection": rule, "update": "lb"}
            yield Curve("10", f"A, blocks of {size}", f"{rule}, {partition}", f, rules, size)


def _newton(name: str, f: Any, size: int) -> Iterator[Curve]:
    for partition, rule in (("sort", "random"), ("sort", "gsd"), ("variable", "gs"), ("variable", "gsd")):
        rules = {"partition": partition, "selection": rule, "update": "newton"}
        yield Curve("12", f"{name}, blocks of {size}", f"{rule}, {partition}", f, rules, size)


def _penalised(f: Any, size: int) -> Iterator[Curve]:
    penalty = {"l1": 50.0 * f.X.shape[0], "nonneg": True}
    for rule in ("random", "gsd"):
        for update in ("lb", "two_metric", "exact"):
            for partition in ("sort", "variable") if rule == "gsd" else ("sort",):
                rules = {"partition": partition, "selection": rule, "update": update}
                yield Curve("7, 13", f"A with l1, blocks of {size}", f"{update}, {rule}, {partition}", f, rules, size,
                            penalty=penalty, least=np.nan)  # fmt: skip


def _trees(name: str, graph: bcd_problems.Graph) -> Iterator[Curve]:
    f = Quadratic(graph.Q, graph.c)
    least = f.start(np.asarray(scipy.sparse.linalg.spsolve(graph.Q.tocsc(), graph.c)))[0]
    assert f.rows is not None
    order = np.random.default_rng(1).permutation(f.size)
    by_chance = np.empty(f.size)
    by_chance[order] = -np.arange(f.size)
    cyclic = {"selection": "cyclic", "update": "exact"}
    fixed = {
        "random forest": partitions.coloured("forest", f.rows, by_chance),
        **{("alternate columns" if key == "columns" else key): blocks for key, blocks in graph.partitions.items()},
    }
    yield Curve("6", name, "red-black", f, {"partition": "red_black", **cyclic}, least=least)
    yield Curve("6", name, "forest by constants", f, {"partition": "forest", **cyclic}, least=least)
    for curve, blocks in fixed.items():
        yield Curve("6", name, curve, f, {"partition": "groups", **cyclic}, blocks=blocks, least=least)
    greedy = {"selection": "gs", "update": "exact"}
    yield Curve("6", name, "greedy forest", f, {"partition": "variable_forest", **greedy}, least=least)
    general = {"partition": "variable", "selection": "gs", "update": "matrix"}
    yield Curve("6", name, "general", f, general, size=round(f.size ** (1 / 3)), least=least)


# ---- the report ----------------------------------------------------------------------------------


def report(quick: bool = False) -> Report:
    """All figures, and the reference values beside ours."""
    result = Report("bcd-paper", "Figures 4 to 13 of Nutini et al. (2022): objectives after 500 block updates")
    table = result.table("Objective less its minimum (A, B, C: the objective) after so many updates")
    pictures: dict[str, Lines] = {}
    start, updates = time.perf_counter(), 20 if quick else UPDATES
    PANELS[:] = figures(quick)
    numbers = range(len(PANELS))
    # processes, each on one thread, that find the panels in their memory
    with harness.threads(1), ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork")) as pool:
        found = pool.map(partial(_panel, updates), numbers)
        for panel, values in zip(PANELS, harness.progress(found, "bcd-paper"), strict=True):
            least = min(each[-1] for each in values)
            for curve, each in zip(panel, values, strict=True):
                curve.values = each
                _add(result, pictures, curve, least if np.isnan(curve.least) else curve.least)
    result.curves = list(pictures.values())
    table.rows = _rows(result.timings, updates, {} if quick else REFERENCE)
    result.timings = []
    if not quick:
        result.tables.append(_lattices(updates))
    result.header = harness.versions()
    result.targets.append(Target("figures 4 to 13 in all", "<=", 300.0, time.perf_counter() - start, "s"))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    result.notes.append(f"The curves took {spent.ru_utime + spent.ru_stime:.0f} s of processor time.")
    assert __doc__ is not None
    result.notes += [" ".join(note.split()) for note in re.split(r"\n\d+\. ", __doc__.split("Differs from")[1])[1:]]
    return result


def _lattices(updates: int) -> Table:
    """Problem D over several seeds: the least, the middle and the largest that is left."""
    found: dict[str, list[float]] = {name: [] for name in LATTICE}
    for seed in LATTICE_SEEDS:
        for curve in _trees("D", bcd_problems.lattice(seed=seed)):
            if curve.name in found:
                found[curve.name].append(run(curve, updates)[-1] - curve.least)
    table = Table(f"Problem D over {len(LATTICE_SEEDS)} seeds: objective less its minimum after {updates} updates")
    for name, left in found.items():
        table.rows.append({
            "blocks": name, "least": min(left), "median": float(np.median(left)), "largest": max(left),
            "reference": LATTICE[name],
        })  # fmt: skip
    return table


def _panel(updates: int, number: int) -> list[list[float]]:
    shared: dict[Any, Any] = {}
    return [run(curve, updates, shared) for curve in PANELS[number]]


def _add(result: Report, pictures: dict[str, Lines], curve: Curve, least: float) -> None:
    name = "figure-" + curve.figure.replace(", ", "-")
    picture = pictures.setdefault(
        name, Lines(name, f"Figure {curve.figure}", ("block updates", "objective"), even=True)
    )
    values = np.maximum(np.array(curve.values) - least, 0.0)
    floor = 1e-15 * abs(values[0])
    for k in range(0, len(values), 5):
        picture.add(curve.panel, curve.name, k, max(float(values[k]), floor))
    result.timings.append({
        "figure": curve.figure, "problem": curve.panel, "rules": curve.name, "start": float(values[0]),
        "half": float(values[len(values) // 2]), "end": float(values[-1]),
    })  # fmt: skip


def _rows(found: list[dict[str, Any]], updates: int, known: dict[Any, float]) -> list[dict[str, Any]]:
    rows = []
    for row in found:
        reference = known.get((row["figure"], row["problem"], row["rules"]))
        ours = row.pop("end")
        rows.append({
            **row, f"after {updates}": ours, "reference": reference,
            "ours / reference": None if reference is None else ours / reference,
        })  # fmt: skip
    return rows
