"""Whole solves on grids, set-up included: one right-hand side, many, a moving obstacle; and the memory's share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse.linalg

from solvers._base import _runtime
from solvers.linalg import GridOperator, _kernels, multilevel, solve
from solvers.testing import GridProblem, grid_problem

from . import controls, grid_petsc, harness
from .grid_counts import active_system, makers
from .harness import duration, ratio
from .report import Report, Row, Target, speed
from .sor_peers import Peers

Array = npt.NDArray[Any]

RTOL = 1e-6
#: What rounding may add to a residual that a solver took for small enough.
SLACK = 1e-3
THREADS = 2
BUDGET = 12.0

OURS, TRANSFORM = "ours multilevel-cg", "sine transform"
HYPRE = grid_petsc.HYPRE
#: The first solve of a process pays for pages of memory that later ones find.
ANEW = "ours, all memory new"


@dataclass(frozen=True)
class Case:
    """A problem, and what is to be reached on it."""

    family: str
    shape: tuple[int, ...]
    #: A peer's time over ours.
    targets: tuple[tuple[str, float], ...] = ()
    #: Whether pyamg and SciPy are left out: for the sine transform alone.
    alone: bool = False


CASES = (
    Case("uniform", (512, 512)),
    Case("neumann", (1024, 1024), (("pyamg SA + cg", 20),)),
    Case("jumps", (512, 512)),
    Case("uniform", (128, 128, 128), alone=True),
    Case("smoke", (64, 64, 64)),
    Case("smoke", (128, 128, 128), (("pyamg SA + cg", 40), ("scipy cg", 60), (HYPRE, 10))),
)
QUICK = (Case("uniform", (24, 24)), Case("smoke", (12, 12, 12)))

#: Unknowns up to which a direct solver is tried.
DIRECT_MOST = {2: 300_000, 3: 40_000}
#: And up to which classical multigrid is: in space its coarse matrices fill up.
CLASSICAL_MOST = 1_200_000


def add(result: Report, peers: Peers, quick: bool) -> None:
    """A table a case, then many right-hand sides, the moving obstacle, the memory."""
    for case in harness.progress(QUICK if quick else CASES, "grid, solves"):
        _one(result, case, peers, quick)
    _many(result, peers, 12 if quick else 64, 2 if quick else 100)
    _moving(result, peers, 12 if quick else 128, 2 if quick else 20)
    _memory(result, 24 if quick else 128)
    result.notes += [
        "Whole solves to a true residual of 1e-6, wall clock of 2 threads, set-up included (ours: from the mask or the "
        "coefficients; a peer's: from its matrix, which holds the active cells alone and was assembled outside). "
        "pyamg and SciPy work on one thread; 'processor' is the time of all threads of the fastest round. Peers that "
        f"would take longer than {BUDGET:g} s in all rounds have fewer. Peers aim at the residual by their own "
        "recurrence; all answers are judged afterwards by the matrix in float64.",
        "PETSc runs in processes of its own, one a thread of ours, right after the others' rounds; its matrix is "
        "assembled outside of the time.",
        "The vectors of our solves lie in blocks of memory that rest between solves and are used again, as they do in "
        f"a program that solves more than once; '{ANEW}' gives them back to the system before each solve.",
        "The sine transform solves the uniform box alone and knows its eigenvalues: nothing iterative can beat it.",
    ]


def _one(result: Report, case: Case, peers: Peers, quick: bool) -> None:
    problem = grid_problem(case.family, case.shape, 1)
    A, b = active_system(problem)
    processor: dict[str, list[float]] = {}
    answers: dict[str, Any] = {}

    def timed(name: str, call: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> None:
            start = time.process_time()
            answers[name] = call()
            processor.setdefault(name, []).append(time.process_time() - start)

        return run

    calls = {name: timed(name, call) for name, call in _methods(problem, A, b, peers, case.alone).items()}
    times = harness.interleave(calls, 2 if quick else 5, BUDGET)
    table = result.table(f"Whole solves: {case.family}, {' x '.join(map(str, case.shape))}, {len(b):,} unknowns")
    for name, answer in ({} if case.alone else _petsc(result, A, b, 1 if quick else 3)).items():
        times[name], answers[name] = answer.timing, (answer.x, answer.count)
    norm = float(np.linalg.norm(b))
    reached = {}
    for name, timing in times.items():
        x, count = answers[name]
        left = float(np.linalg.norm(b - A @ x)) / norm
        reached[name] = left <= RTOL * (1 + SLACK)
        table.rows.append({
            "method": name, "time": timing, "processor": duration(min(processor[name])) if name in processor else None,
            "ns an unknown": 1e9 * timing.median / len(b), "iterations": count,
            "residual": f"{left:.1e}" + ("" if reached[name] else " NOT REACHED"),
            "this / ours": speed(ratio(timing, times[OURS])) if reached[name] and name != OURS else None,
            "this / ours, all memory new": speed(ratio(timing, times[ANEW])) if reached[name] else None,
        })  # fmt: skip
    title = f"{case.family} {'x'.join(map(str, case.shape))}:"
    for peer, bound in case.targets:
        measured = ratio(times[peer], times[OURS]) if peer in times and reached[OURS] else None
        result.targets.append(Target(f"{title} {peer} / ours", ">=", bound, measured))
    if TRANSFORM in times:
        result.targets.append(Target(f"{title} ours / {TRANSFORM}", "<=", 3, ratio(times[OURS], times[TRANSFORM])))
    if case.family == "smoke":
        each = 1e9 * times[OURS].median / len(b)
        result.targets.append(Target(f"{title} ns an unknown, set-up included", "<=", 120, each, "ns"))


def _petsc(
    result: Report, A: Any, b: Array, rounds: int, names: tuple[str, ...] = grid_petsc.SOLVERS
) -> dict[str, grid_petsc.Answer]:
    """PETSc's answers; a note tells its version, or why there are none."""
    found, note = grid_petsc.solve(A, b, RTOL, rounds, THREADS, names)
    if note not in result.notes:
        result.notes.append(note)
    return found


def _methods(problem: GridProblem, A: Any, b: Array, peers: Peers, alone: bool) -> dict[str, Callable[[], Any]]:
    """Name -> what returns the unknowns and the iterations."""
    calls: dict[str, Callable[[], Any]] = {OURS: lambda: _ours(problem), ANEW: lambda: _ours(problem, anew=True)}
    for name, make in ({} if alone else makers(peers)).items():
        if "RS" not in name or len(b) <= CLASSICAL_MOST:
            calls[name] = lambda make=make: _pyamg(make, A, b)
    if not alone:
        calls["scipy cg"] = lambda: _scipy(A, b)
        calls["ours cg, IC(0)"] = lambda: _incomplete(A, b)
    if not alone and len(b) <= DIRECT_MOST[len(problem.shape)]:
        calls["scipy spsolve"] = lambda: (scipy.sparse.linalg.spsolve(A.tocsc(), b), None)
    if problem.name == "uniform":
        calls[TRANSFORM] = lambda: (_transform(problem, b), None)
    return calls


def _ours(problem: GridProblem, anew: bool = False) -> tuple[Array, int]:
    if anew:
        _runtime.scratch_release()
    grid = GridOperator(**problem.arguments)
    answer = solve(grid, problem_right(problem), rtol=RTOL, threads=THREADS)
    return (answer.x if problem.mask is None else answer.x[problem.mask.ravel()]), answer.nit


@lru_cache(maxsize=1)
def problem_right(problem: GridProblem) -> Array:
    """The right-hand side, made once: that is no part of a solve."""
    return problem.right()


def _pyamg(make: Any, A: Any, b: Array) -> tuple[Array, int]:
    residuals: list[float] = []
    x = make(A).solve(b, tol=RTOL, accel="cg", residuals=residuals, maxiter=500)
    return x, len(residuals) - 1


def _scipy(A: Any, b: Array) -> tuple[Array, int]:
    count: list[int] = []
    x, _ = scipy.sparse.linalg.cg(A, b, rtol=RTOL, callback=lambda _: count.append(1))
    return x, len(count)


def _incomplete(A: Any, b: Array) -> tuple[Array, int]:
    """The reference for incomplete factors without fill; SciPy has none for symmetric matrices."""
    answer = solve(A, b, method="cg", M="ic0", rtol=RTOL, threads=THREADS)
    return answer.x, answer.nit


def _transform(problem: GridProblem, b: Array) -> Array:
    """Dirichlet walls half a cell away: the sine transform of the second kind."""
    value: Any = 0.0
    for axis, n in enumerate(problem.shape):
        of_axis = 4 * np.sin(np.pi * np.arange(1, n + 1) / (2 * n)) ** 2
        value = value + of_axis.reshape([-1 if k == axis else 1 for k in range(len(problem.shape))])
    waves = scipy.fft.dstn(b.reshape(problem.shape), type=2, workers=THREADS)
    return np.asarray(scipy.fft.idstn(waves / value, type=2, workers=THREADS)).ravel()


# ---- one hierarchy for many ------------------------------------------------------------------------


def _many(result: Report, peers: Peers, n: int, count: int) -> None:
    """Right-hand sides with one set-up."""
    problem = grid_problem("smoke", (n, n, n), 1)
    A, _ = active_system(problem)
    some = max(1, count // 10)  # the peer's tenth, by ten
    rights = [problem.right(seed=seed) for seed in range(count)]
    there = problem.mask.ravel()

    block = np.stack(rights, axis=1)

    def ours() -> None:
        assert solve(GridOperator(**problem.arguments), block, rtol=RTOL, threads=THREADS).success

    def one_by_one() -> None:
        grid = GridOperator(**problem.arguments)
        for right in rights:
            solve(grid, right, rtol=RTOL, threads=THREADS)

    calls: dict[str, Callable[[], Any]] = {OURS: ours, "ours, one by one": one_by_one}
    if peers.pyamg is not None:
        hierarchy = peers.pyamg.smoothed_aggregation_solver(A)
        calls["pyamg SA + cg"] = lambda: [
            hierarchy.solve(right[there], tol=RTOL, accel="cg") for right in rights[:some]
        ]
    times = harness.interleave(calls, 3, BUDGET)
    table = result.table(f"{count} right-hand sides, one set-up: smoke, {n}^3")
    factor = {"pyamg SA + cg": count / some}
    total = {name: timing.median * factor.get(name, 1.0) for name, timing in times.items()}
    for name, answer in _petsc(result, A, np.stack([right[there] for right in rights]), 1, (HYPRE,)).items():
        total[name] = answer.timing.median
        left = float(np.linalg.norm(rights[-1][there] - A @ answer.x) / np.linalg.norm(rights[-1][there]))
        assert left <= RTOL * (1 + SLACK), f"{name} left a residual of {left:.2g}"
    table.rows += [
        {"method": name, "time of all": duration(seconds), "this / ours": speed(seconds / total[OURS])}
        for name, seconds in total.items()
    ]
    for peer, bound in (("pyamg SA + cg", 25), (HYPRE, 6)):
        measured = total[peer] / total[OURS] if peer in total else None
        result.targets.append(Target(f"{count} right-hand sides, {n}^3: {peer} / ours", ">=", bound, measured))
    result.notes.append(
        f"Many right-hand sides: pyamg solved {some} of the {count}, its set-up left out of its time; PETSc all of "
        "them, one after another, in one round, its set-up in its time."
    )


def _moving(result: Report, peers: Peers, n: int, steps: int) -> None:
    """A ball that moves through the box: set up anew at each step."""
    z, y, x = np.meshgrid(*((np.arange(n) + 0.5) / n,) * 3, indexing="ij", sparse=True)
    bc = (("neumann", "dirichlet"), ("neumann", "neumann"), ("neumann", "neumann"))
    b = np.random.default_rng(1).normal(size=(n, n, n))
    masks = [(z - 0.3 - 0.4 * t / steps) ** 2 + (y - 0.5) ** 2 + (x - 0.5) ** 2 > 0.15**2 for t in range(steps)]
    grid = GridOperator((n, n, n), bc=bc, unknowns="cells")
    hierarchy = multilevel(grid, threads=THREADS)
    set_up, whole, counts = [], [], []
    for mask in masks:
        right = np.where(mask, b, 0).ravel()
        start = time.perf_counter()
        hierarchy.update(mask=mask)
        set_up.append(time.perf_counter() - start)
        counts.append(solve(grid, right, M=hierarchy, rtol=RTOL, threads=THREADS).nit)
        whole.append(time.perf_counter() - start)
    table = result.table(f"A moving obstacle: {steps} steps, {n}^3, set-up at each")
    rows: list[Row] = [{
        "method": OURS, "time of a step": duration(float(np.median(whole))),
        "of it set-up": duration(float(np.median(set_up))), "iterations": f"{min(counts)}-{max(counts)}",
        "steps timed": steps, "this / ours": None,
    }]  # fmt: skip
    measured = None
    if peers.pyamg is not None:
        A = scipy.sparse.csr_matrix(grid.to_csr())
        there = np.flatnonzero(masks[-1].ravel())
        A = A[there][:, there]
        start = time.perf_counter()
        _, count = _pyamg(peers.pyamg.smoothed_aggregation_solver, A, b.ravel()[there])
        seconds = time.perf_counter() - start
        measured = seconds / float(np.median(whole))
        rows.append({
            "method": "pyamg SA + cg", "time of a step": duration(seconds), "of it set-up": None, "iterations": count,
            "steps timed": 1, "this / ours": speed(measured),
        })  # fmt: skip
    table.rows += rows
    result.targets.append(Target(f"moving obstacle {n}^3: pyamg SA + cg / ours", ">=", 40, measured))


# ---- the memory's share ----------------------------------------------------------------------------


def _memory(result: Report, n: int) -> None:
    """The bytes that an iteration must move, a second, beside those of a triad of the same threads."""
    rng = np.random.default_rng(0)
    field = np.exp(rng.normal(size=(n, n, n)))
    grids = {
        "constant": GridOperator((n, n, n), unknowns="cells"),
        "variable": GridOperator((n, n, n), field, unknowns="cells"),
    }
    calls: dict[str, Callable[[], Any]] = {}
    moved: dict[str, float] = {}
    b = rng.normal(size=n**3)
    for name, grid in grids.items():
        hierarchy = multilevel(grid, threads=THREADS)
        moved[name] = hierarchy.kernel.bytes_per_iteration(hierarchy.stencil) / n**3
        numbers = np.zeros(_kernels.MULTILEVEL_NUMBERS)
        loop = _kernels.MultilevelCg(hierarchy.stencil, hierarchy.kernel)
        loop.take(b)
        first = loop.start(np.zeros_like(b), numbers)
        numbers[:2] = first
        calls[name] = lambda loop=loop, numbers=numbers, first=first: loop.iterate(numbers, 0.0, 0.0, first, 0, 4)
    arrays = [np.ones(max(n**3, 1000)) for _ in range(3)]
    triads = controls.triads(*arrays, threads=THREADS)
    times = harness.interleave({**calls, **triads}, 7, BUDGET)
    rates = {name: controls.TRIAD_BYTES * len(arrays[0]) / times[name].minimum for name in triads}
    best = max(rates.values(), default=0.0)
    table = result.table(f"Bytes of an iteration, {n}^3, {THREADS} threads")
    for name, timing in ((name, times[name]) for name in grids):
        seconds = timing.minimum / 4 / n**3
        rate = moved[name] / seconds
        table.rows.append({
            "coefficients": name, "ns a cell and iteration": 1e9 * seconds, "bytes a cell": moved[name],
            "GB/s": rate / 1e9, "of the triad": rate / best if best else None,
        })  # fmt: skip
        result.targets.append(
            Target(
                f"{name} coefficients, {n}^3: share of the triad's rate", ">=", 0.6, rate / best if best else None, ""
            )
        )
