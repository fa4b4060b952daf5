"""The experiment of Cai, Alacaoglu, Diakonikolas (2024), figure 1: residuals against epochs and against seconds.

(a) A game of a policeman and a burglar, 500 houses, from uniform strategies. The published script scales the columns by
the houses' wealth, which leaves the minimiser one best house whatever the other does; the rows are what the game means.
Both are shown. (b) An unconstrained quadratic saddle point of 200 + 200 variables, on which first-order methods are
slow.

Differs from the paper in: 1. the residual is recomputed in full at points of each method's own, never estimated; 2.
methods run as the library has them, with restarts, and `restart="never"` beside where that is the paper's; 3. games are
sums of rows and columns of the centred matrix, whose steps are longer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse.linalg

import solvers
from solvers.equilibrium import Components, GameComponents

from . import harness
from .halpern_problems import policeman
from .halpern_sums import projected
from .report import Lines, Report, Table, Target

Array = npt.NDArray[Any]

GOALS = (1e-2, 1e-4, 1e-6, 1e-8)
SETS = ("simplex", "simplex")
FORCED = {"otherwise": "run"}
#: (label, method, options)
ON_GAMES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("EG", "eg", {}), ("EAG", "eag", {"restart": "never"}), ("FEG, restarted", "feg", {}), ("VR-EG", "vr-eg", {}),
    ("Algorithm 1, forced", "vr-halpern-coco", {**FORCED, "restart": "never"}),
    ("Algorithm 2 + 3", "vr-halpern", {"restart": "never"}), ("Algorithm 2 + 3, restarted", "vr-halpern", {}),
)  # fmt: skip
ON_THE_QUADRATIC = (
    ("EG", "eg", {}), ("OGDA", "ogda", {}), ("EAG", "eag", {"restart": "never"}), ("FEG", "feg", {"restart": "never"}),
    ("EAG, restarted", "eag", {}), ("FEG, restarted", "feg", {}), ("VR-EG", "vr-eg", {}),
    ("Algorithm 2 + 3, restarted", "vr-halpern", {}),
)  # fmt: skip


@dataclass
class Trace:
    """What was seen of a run."""

    name: str
    epochs: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)

    def first(self, goal: float, axis: str) -> float:
        """Epochs or seconds when the residual was first below the goal; infinite where it never was."""
        for place, residual in enumerate(self.residuals):
            if residual <= goal:
                return float(getattr(self, axis)[place])
        return float("inf")


class Counted:
    """Components whose evaluations are counted."""

    def __init__(self, components: Any):
        self.components, self.count = components, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.components, name)
        if name not in ("diff", "difference"):
            return found

        def counted(i: Array, *rest: Any) -> Any:
            self.count += 2 * len(i)
            return found(i, *rest)

        return counted

    def whole(self, z: Array) -> Array:
        self.count += self.components.n
        return np.asarray(self.components.whole(z))

    def __call__(self, i: Array, z: Array, out: Array) -> None:
        self.count += len(i)
        self.components(i, z, out)


def report(quick: bool = False) -> Report:
    """Both orientations of the game, and the quadratic."""
    houses, size, epochs, limit = (30, 10, 200, 2.0) if quick else (500, 200, 5000, 60.0)
    result = Report("halpern-paper", "Variance-reduced Halpern iteration: the paper's figure 1")
    by_epochs = Lines("epochs", "Residual against epochs", ("epochs", "residual"))
    by_seconds = Lines("seconds", "Residual against seconds", ("seconds", "residual"))
    found = {}
    with harness.threads(1):
        for orientation in ("rows", "columns"):
            A = policeman(houses, orientation=orientation)
            game, start = GameComponents(A), np.full(houses, 1 / houses)
            found[f"game, {orientation}"] = [
                _whole("matrix_game", A, True),
                _whole("matrix_game, no exact end", A, False),
                _by_products("PDHG, restarted", A, start, epochs, limit),
            ] + [
                _run(name, game, (start, start), SETS, method, options, epochs, limit)
                for name, method, options in harness.progress(ON_GAMES, orientation)
            ]
        sum_of_rows = quadratic(size)
        found["quadratic"] = [
            _run(name, sum_of_rows, np.full(2 * size, 1 / size), None, method, options, 20 * epochs, limit)
            for name, method, options in harness.progress(ON_THE_QUADRATIC, "quadratic")
        ]
    for problem, traces in found.items():
        result.tables.append(_table(problem, traces))
        for trace in traces:
            for goal in 10.0 ** -np.arange(0, 10, 0.5):
                if np.isfinite(trace.first(goal, "epochs")):
                    by_epochs.add(problem, trace.name, max(trace.first(goal, "epochs"), 0.5), goal)
                    by_seconds.add(problem, trace.name, max(trace.first(goal, "seconds"), 1e-4), goal)
    result.curves += [by_epochs, by_seconds]
    result.targets += [
        _target("game, rows: epochs to 1e-8", 100, found["game, rows"], 1e-8),
        _target("game, columns: epochs to 1e-6", 300, found["game, columns"], 1e-6),
        _target("quadratic: operator calls to 1e-8, without Krylov", 5e4, found["quadratic"], 1e-8),
    ]
    result.notes += [
        "The paper draws (a) to 5000 epochs and (b) to 1e6, without numbers. Epochs count evaluations of F, and of "
        "components over their number.",
        "A deterministic step is an epoch or two; the best point so far counts for every method.",
    ]
    result.header = harness.versions()
    return result


def _run(
    name: str, components: Any, start: Any, sets: Any, method: str, options: dict[str, Any], epochs: float, limit: float
) -> Trace:
    trace, counted = Trace(name), Counted(components)
    begun = time.perf_counter()

    def look(state: Any) -> None:
        trace.epochs.append(counted.count / components.n)
        trace.seconds.append(time.perf_counter() - begun)
        trace.residuals.append(state.measure)

    solvers.equilibrium.solve(
        None, start, prox=sets, components=counted, method=method, options=options, tol=GOALS[-1], max_epochs=epochs,
        max_iter=10**8, time_limit=limit, callback=look, rng=7, threads=1,
    )  # fmt: skip
    return trace


def _whole(name: str, A: Array, exact_end: bool) -> Trace:
    """The library's method for games at each tolerance; its epochs are the entries that it read over two of A's."""
    trace = Trace(name)
    for goal in GOALS:
        begun = time.perf_counter()
        result = solvers.equilibrium.matrix_game(A, tol=goal, method="game-pdhg", polish=exact_end, threads=1)
        trace.seconds.append(time.perf_counter() - begun)
        trace.epochs.append(result.stats["epochs"])
        x, y = result.x, result.y
        off = [z - projected(z - slope) for z, slope in ((x, A.T @ y), (y, -(A @ x)))]
        trace.residuals.append(float(np.linalg.norm(np.concatenate(off))))
    return trace


def _by_products(name: str, A: Array, start: Array, epochs: float, limit: float) -> Trace:
    """Reflected Halpern PDHG, which needs the products with A and A' alone; an epoch is one of each."""
    trace, products = Trace(name), [0]
    begun = time.perf_counter()

    def times(matrix: Array, x: Array) -> Array:
        products[0] += 1
        return np.asarray(matrix @ x)

    def look(state: Any) -> None:
        trace.epochs.append(products[0] / 2)
        trace.seconds.append(time.perf_counter() - begun)
        trace.residuals.append(state.measure)

    K = scipy.sparse.linalg.LinearOperator(A.shape, lambda x: times(A, x), lambda y: times(A.T, y), dtype=np.float64)
    solvers.equilibrium.solve(
        solvers.equilibrium.Bilinear(K), (start, start), prox=SETS, method="pdhg", tol=GOALS[-1],
        max_iter=int(epochs), time_limit=limit, callback=look, threads=1,
    )  # fmt: skip
    return trace


def _table(problem: str, traces: list[Trace]) -> Table:
    table = Table(f"{problem}: epochs (seconds) to a residual")
    for trace in traces:
        cells = {f"{g:.0e}": f"{trace.first(g, 'epochs'):.4g} ({trace.first(g, 'seconds'):.3g})" for g in GOALS}
        table.rows.append({"method": trace.name, **cells, "least": f"{min(trace.residuals, default=np.inf):.1e}"})
    return table


def _target(figure: str, bound: float, traces: list[Trace], goal: float) -> Target:
    best = min(trace.first(goal, "epochs") for trace in traces)
    return Target(figure, "<=", bound, best if np.isfinite(best) else None, "epochs")


def quadratic(size: int) -> Components:
    """F = (H x - h - A'y, A x - b) with H = 2 A'A, A a quarter of the anti-diagonal less the next above it.

    |F|_2 = 0.80898, least singular value 1.9548e-3 and |z*| = 1639.13 at a size of 200. Component i has row i of A.
    """
    A = np.zeros((size, size))
    for i in range(size):
        A[i, size - 1 - i] = 0.25
        if i < size - 1:
            A[i, size - 2 - i] = -0.25
    b, h = np.full(size, 0.25), np.zeros(size)
    h[-1] = 0.25

    def row(i: Array, z: Array, out: Array) -> None:
        x, y = z[:size], z[size:]
        product = A[i] @ x
        out[:] = 0.0
        out[:, :size] = size * ((2 * product - y[i])[:, None] * A[i]) - h
        out[np.arange(len(i)), size + i] = size * (product - b[i])

    def whole(z: Array) -> Array:
        product = A @ z[:size]
        return np.concatenate([A.T @ (2 * product - z[size:]) - h, product - b])

    found = Components(row, size)
    found.whole = whole  # type: ignore[attr-defined]
    return found
