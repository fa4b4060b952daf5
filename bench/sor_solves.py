"""Whole solves along heat equations in time: wall clock a system, set-up included, at the same true residual."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from . import check, harness, sor_methods
from .harness import Timing, ratio
from .linear_problems import Heat, System
from .report import Panels, Report, Row, Target, speed
from .sor_methods import RTOL, Method, Solver
from .sor_peers import Peers

Array = npt.NDArray[Any]

BUDGET = 5.0

#: What rounding may add to a residual that a solver took for small enough.
SLACK = 1e-6


@dataclass(frozen=True)
class Problem:
    """Some consecutive steps of a simulation."""

    name: str
    heat: Heat
    first: int
    count: int
    #: Steps before them, of which a sequence learns; the last is what reused set-up is made from.
    learnt: int
    #: The step at which the simulation begins.
    start: int = 0


#: The first three at the diffusion numbers 4 d nx^2 (dt/2) kappa of about 100 to 155, 2e3 and 4e4.
PROBLEMS = (
    Problem("2-D nx=100", Heat(100, 1e-3), 540, 24, 35),
    Problem("2-D nx=300", Heat(300, 1e-3), 592, 7, 25),
    Problem("2-D nx=400 dt=0.01", Heat(400, 1e-2), 60, 7, 8),
    Problem("2-D nx=100, kappa at its largest", Heat(100, 1e-3), 744, 12, 35),
    Problem("3-D nx=40 dt=0.01, variable coefficients", Heat(40, 1e-2, 3, seed=5), 72, 7, 20, start=52),
)
QUICK = (
    Problem("2-D nx=100", Heat(12, 1e-3), 540, 2, 2),
    Problem("3-D nx=6 dt=0.01, variable coefficients", Heat(6, 1e-2, 3, seed=5), 72, 2, 2, start=70),
)


@dataclass
class Runner:
    """A solver that is called for one system after another."""

    solver: Solver
    systems: list[System]
    answers: list[tuple[int, Any]] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)

    def __call__(self) -> None:
        turn = len(self.answers)
        at = turn % len(self.systems)
        answer = self.solver(self.systems[at], turn == 0)
        self.answers.append((at, answer.x))
        if answer.iterations is not None:
            self.iterations.append(answer.iterations)

    def worst(self) -> float:
        """The largest true residual of all answers, over the norm of b."""
        return max(check.residual(self.systems[at].A, self.systems[at].b, x) for at, x in self.answers)


@dataclass(frozen=True)
class Entry:
    """A method on a problem."""

    method: Method
    timing: Timing
    residual: float
    iterations: float | None

    @property
    def reached(self) -> bool:
        return self.residual <= RTOL * (1 + SLACK)


def add(result: Report, peers: Peers, quick: bool) -> None:
    """A table a problem, the picture, the targets."""
    picture = Panels("solves", "Time of a solve, set-up included, one thread", "ms (log scale)", log=True)
    for problem in harness.progress(QUICK if quick else PROBLEMS, "sor, solves"):
        methods = sor_methods.methods(problem.heat, peers)
        entries = measure(problem, methods, quick)
        heat = problem.heat
        table = result.table(
            f"Whole solves: {problem.name}, n = {heat.size:,}, diffusion number {_number(problem):.3g}"
        )
        ours = [entry for entry in entries if entry.method.ours and entry.reached]
        table.rows += [_row(entry, ours) for entry in entries]
        result.timings += [_record(problem, entry) for entry in entries]
        for entry in sorted(entries, key=lambda e: e.timing.median):
            if entry.reached:
                picture.add(problem.name, entry.method.name, 1e3 * entry.timing.median)
        if problem.name == PROBLEMS[0].name:
            _targets(result, entries)
            _by_themselves(result, problem, methods, entries, quick)
    result.panels.append(picture)
    result.notes += _notes()


def measure(problem: Problem, methods: list[Method], quick: bool) -> list[Entry]:
    """Every method on the same systems, in turns; then all answers judged."""
    steps = problem.learnt + 1 + problem.count  # one for the first call
    systems = list(problem.heat.systems(problem.first - problem.learnt, steps, problem.start))
    before, timed = systems[: problem.learnt], systems[problem.learnt :]
    runners = {method.name: Runner(method.make(problem.heat, before), timed) for method in methods}
    times = harness.interleave(runners, 2 if quick else max(problem.count, harness.ROUNDS), BUDGET)
    entries = []
    for method in methods:
        runner = runners[method.name]
        nit = float(np.mean(runner.iterations)) if runner.iterations else None
        entries.append(Entry(method, times[method.name], runner.worst(), nit))
    return entries


def _number(problem: Problem) -> float:
    """The largest entry that diffusion adds to a diagonal, at the first step."""
    heat = problem.heat
    return float(heat.factor(problem.first) * heat.K.diagonal().max())


# ---- what is told ----------------------------------------------------------------------------------


def _row(entry: Entry, ours: list[Entry]) -> Row:
    row: Row = {
        "method": entry.method.name, "time": entry.timing, "iterations": entry.iterations,
        "residual": f"{entry.residual:.1e}" + ("" if entry.reached else " NOT REACHED"),
        "this / ours best on CSR": None, "this / ours best": None,
    }  # fmt: skip
    if entry.reached:
        for column, among in (("this / ours best on CSR", _on_matrix(ours)), ("this / ours best", ours)):
            if among:
                row[column] = speed(ratio(entry.timing, fastest(among).timing))
    return row


def _on_matrix(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if "CSR" in entry.method.name]


def fastest(entries: list[Entry]) -> Entry:
    return min(entries, key=lambda entry: entry.timing.median)


def _record(problem: Problem, entry: Entry) -> Row:
    low, high = entry.timing.quartiles
    return {
        "benchmark": "solves", "case": problem.name, "threads": 1, "kernel": entry.method.name,
        "median_ms": 1e3 * entry.timing.median, "q1_ms": 1e3 * low, "q3_ms": 1e3 * high,
        "rounds": entry.timing.rounds, "iterations": entry.iterations, "residual": entry.residual,
    }  # fmt: skip


def _targets(result: Report, entries: list[Entry]) -> None:
    """Of the first problem: the fastest of ours against the peers' rows."""
    reached = {entry.method.name: entry for entry in entries if entry.reached}
    ssor = [entry for name, entry in reached.items() if name.startswith("ours ssor-cg")]
    matrix = _on_matrix(ssor)
    stencil = [entry for entry in ssor if entry not in matrix]

    def over(above: list[Entry], below: list[Entry]) -> float | None:
        return ratio(fastest(above).timing, fastest(below).timing) if above and below else None

    def named(start: str) -> list[Entry]:
        return [entry for name, entry in reached.items() if name.startswith(start)]

    title = f"solves, {PROBLEMS[0].name}:"
    result.targets += [
        Target(f"{title} scipy cg / ours ssor-cg on CSR", ">=", 3.8, over(named("scipy cg")[:1], matrix)),
        Target(f"{title} pyamg SA, hierarchy reused / the same", ">=", 6.0, over(named("pyamg SA + cg, hier"), matrix)),
        Target(f"{title} CHOLMOD, symbolic reused / the same", ">=", 6.0, over(named("CHOLMOD, symb"), matrix)),
        Target(f"{title} ours ssor-cg on CSR / on a grid", ">=", 3.0, over(matrix, stencil)),
        Target(f"{title} scipy cg / ours ssor-cg on a grid", ">=", 3.0 * 3.8, over(named("scipy cg")[:1], stencil)),
    ]


def _by_themselves(result: Report, problem: Problem, methods: list[Method], entries: list[Entry], quick: bool) -> None:
    """The best SSOR-CG of either kind again, in turns with no others, whose work takes what they need from the caches.

    A simulation calls one solver step after step; among twenty methods each begins with the caches of its predecessor.
    """
    ssor = [entry for entry in entries if entry.reached and entry.method.name.startswith("ours ssor-cg")]
    kinds = _on_matrix(ssor), [entry for entry in ssor if entry not in _on_matrix(ssor)]
    if not all(kinds):
        return
    names = [fastest(kind).method.name for kind in kinds]
    matrix, grid = measure(problem, [method for name in names for method in methods if method.name == name], quick)
    table = result.table(f"SSOR-CG on CSR and on a grid, in turns with no others: {problem.name}")
    table.rows += [{"method": entry.method.name, "time": entry.timing} for entry in (matrix, grid)]
    title = f"solves, {problem.name}, the two in turns with no others: ours ssor-cg on CSR / on a grid"
    result.targets.append(Target(title, ">=", 3.0, ratio(matrix.timing, grid.timing)))


def _notes() -> list[str]:
    return [
        "Whole solves: heat equations in time by Crank and Nicolson's rule (bench/linear_problems.py; in three "
        "dimensions with a random coefficient field). Each round is the next step of the simulation, which every "
        "method solves from the solution before, to norm(b - A x) <= 1e-8 norm(b); all answers are judged afterwards, "
        "in long double. A time is wall clock of a call with its set-up, unless the row says reused: then that comes "
        "from the step before. The rows 'arms auto' have learnt from "
        f"{', '.join(str(problem.learnt) for problem in PROBLEMS)} steps before, in the order of the tables.",
        f"A method that would take longer than {BUDGET:g} s in all rounds has fewer. The matrix in compressed rows is "
        "made outside, for all; peers that want columns get the same arrays. Iterations are the mean of ours over the "
        "rounds, the first system's for the peers, counted in a call that is not timed.",
    ]
