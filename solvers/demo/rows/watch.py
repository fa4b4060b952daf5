"""Where a guard should stand and where a thief should go: a game on the squares of a photograph."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
import scipy.optimize
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_images

import solvers

from ..pictures import png_of_figure
from ..progress import Progress
from ..row import Curve, Picture, Row

Array = npt.NDArray[Any]

TITLE = "Where a guard should stand and where a thief should go"
ORDER = 60

#: Squares of the photograph, down and across; how fast a guard's reach falls with their distance.
DOWN, ACROSS = 26, 40
REACH = 0.8
#: The certified gap that both must reach, and what SciPy's methods are asked for.
GOAL, PEER_TOLERANCE = 1e-9, 1e-10
PEER_METHODS = ("highs-ds", "highs-ipm")
REPEATS = 3
#: Below this a gap is rounding.
LEAST = 1e-16

Answer = tuple[Array, Array]


@dataclass(eq=False)
class Side:
    """A solver, its answer and its times."""

    name: str
    solve: Callable[[Array], Answer]
    answer: Answer = (np.zeros(0), np.zeros(0))
    times: list[float] = field(default_factory=list)

    def play(self, A: Array) -> None:
        start = time.perf_counter()
        self.answer = self.solve(A)
        self.times.append(time.perf_counter() - start)

    @property
    def seconds(self) -> float:
        return float(np.median(self.times))


def run(progress: Progress, threads: int) -> Row:
    """The game solved by both in turns, and the two strategies over the photograph."""
    with progress.stage("reading a photograph and its squares"):
        photograph = load_sample_images().images[0] / 255.0
        wealth = squares(photograph)
        A = game(wealth)
    ours = Side("ours", partial(solve_ours, tolerance=GOAL, threads=threads))
    peers = [Side(f"SciPy linprog, {method}", partial(solve_peer, method=method)) for method in PEER_METHODS]
    with progress.stage("SciPy's methods, once each"):
        for side in peers:
            side.play(A)
        arrived = [side for side in peers if gap(A, *side.answer) <= GOAL] or peers
        peer = min(arrived, key=lambda side: side.seconds)
    with progress.stage(f"the game by both, {REPEATS} times in turns") as stage:
        for turn in range(REPEATS):
            for side in (ours, peer) if turn % 2 else (peer, ours):
                side.play(A)
            stage.at((turn + 1) / REPEATS)
    gaps = gap(A, *ours.answer), gap(A, *peer.answer)
    with progress.stage("the gap against time"):
        end = Curve(peer.name, np.array([peer.seconds] * 2), np.array([1.0, max(gaps[1], LEAST)]))
        curves = (curve("ours", A, threads, True), end, curve("ours, without its exact end", A, threads, False))
    return Row(
        name="watch",
        title=TITLE,
        problem="a guard and a thief, matrix game",
        size=f"{A.shape[0]} x {A.shape[1]}",
        method="equilibrium.matrix_game",
        seconds=ours.seconds,
        peer=f"SciPy {scipy.__version__}, {peer.name.split(', ')[1]}",
        peer_seconds=peer.seconds,
        accuracy_label="certified gap of the two strategies, computed by the demo",
        accuracy=max(gaps[0], GOAL),
        peer_accuracy=max(gaps[1], GOAL),
        status="ok" if max(gaps) <= GOAL else "a gap is too large",
        text=_text(A, ours.answer, gaps),
        pictures=(
            Picture("town", "The photograph: china.jpg (danielbuechele, CC BY 2.0)", png_of_figure(_town(photograph))),
            Picture("guard", "How often the guard stands where.", png_of_figure(_map(photograph, ours.answer[0]))),
            Picture("thief", "How often the thief goes where.", png_of_figure(_map(photograph, ours.answer[1]))),
        ),
        curves=curves,
        curves_label="gap",
        curves_caption="The gap as it falls. Few iterations tell which squares matter; the end is exact.",
    )


def squares(photograph: Array) -> Array:
    """The mean brightness of each square, squared: light is what there is to steal."""
    light = photograph.mean(axis=2)
    rows, columns = (
        np.array_split(np.arange(size), parts) for size, parts in zip(light.shape, (DOWN, ACROSS), strict=True)
    )
    return np.array([[light[np.ix_(r, c)].mean() ** 2 for c in columns] for r in rows])


def game(wealth: Array) -> Array:
    """A[i, j]: what the thief takes in square i where the guard stands in square j."""
    place = np.array(list(np.ndindex(wealth.shape)), float)
    distance = np.sqrt(((place[:, None] - place) ** 2).sum(axis=2))
    return np.asarray(wealth.ravel()[:, None] * (1 - np.exp(-REACH * distance)))


def gap(A: Array, x: Array, y: Array) -> float:
    """What the thief can still gain and the guard still save, together, once both strategies are exact."""
    x, y = (np.maximum(point, 0) / np.maximum(point, 0).sum() for point in (x, y))
    return float((A @ x).max() - (A.T @ y).min())


def solve_ours(A: Array, tolerance: float, threads: int) -> Answer:
    """The guard picks columns and minimises."""
    result = solvers.equilibrium.matrix_game(A, tol=tolerance, threads=threads)
    return np.asarray(result.x), np.asarray(result.y)


def solve_peer(A: Array, method: str) -> Answer:
    """The guard's linear program; its multipliers are the thief's strategy."""
    m, n = A.shape
    found = scipy.optimize.linprog(
        np.append(np.zeros(n), 1.0), np.column_stack([A, np.full(m, -1.0)]), np.zeros(m),
        np.append(np.ones(n), 0.0)[None], [1.0], [(0, None)] * n + [(None, None)], method=method,
        options={"primal_feasibility_tolerance": PEER_TOLERANCE, "dual_feasibility_tolerance": PEER_TOLERANCE},
    )  # fmt: skip
    return np.asarray(found.x[:-1]), -np.asarray(found.ineqlin.marginals)


def curve(label: str, A: Array, threads: int, exact_end: bool) -> Curve:
    """The gap as it falls."""
    result = solvers.equilibrium.matrix_game(A, tol=GOAL, polish=exact_end, threads=threads)
    return Curve(label, result.history["seconds"], np.maximum(result.history["measure"], LEAST))


def _text(A: Array, answer: Answer, gaps: tuple[float, float]) -> tuple[str, ...]:
    x, y = answer
    return (
        f"A guard stands in one of the {A.shape[1]} squares of a photograph, a thief goes to one; light is worth "
        "stealing, and a near guard prevents it. Neither may be predictable: each picks squares at random, so often "
        f"that the other has no better answer. The thief takes {float(y @ A @ x):.4g} on average, of at most "
        f"{A.max():.3g}; the guard uses {np.count_nonzero(x > 0)} squares, the thief {np.count_nonzero(y > 0)}.",
        f"Both answers are certified by the demo: no change of one player's strategy can bring more than the gap, "
        f"{gaps[0]:.0e} for ours and {gaps[1]:.0e} for SciPy's (asked for {GOAL:g}). SciPy solves the guard's linear "
        f"program by HiGHS, by the faster of {' and '.join(PEER_METHODS)}. Medians of {REPEATS} runs in turns.",
    )


def _town(photograph: Array) -> Figure:
    figure = Figure(figsize=(5.4, 3.6))
    axes = figure.subplots()
    axes.imshow(photograph)
    axes.set_axis_off()
    return figure


def _map(photograph: Array, strategy: Array) -> Figure:
    """A strategy over the greyed photograph."""
    height, width = photograph.shape[:2]
    figure = Figure(figsize=(5.4, 3.6))
    axes = figure.subplots()
    axes.imshow(photograph.mean(axis=2), cmap="gray", vmin=-0.5, vmax=1.2)
    share = 100 * strategy.reshape(DOWN, ACROSS)
    shown = np.ma.masked_less_equal(share, 1e-6)
    picture = axes.imshow(shown, cmap="plasma", extent=(0, width, height, 0), alpha=0.85)
    figure.colorbar(picture, ax=axes, shrink=0.8, label="% of the time")
    axes.set_axis_off()
    return figure
