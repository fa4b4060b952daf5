"""A simulation that solves a linear system a step, with a solver that learns which method is the fastest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
import scipy.sparse.linalg
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from solvers.linalg import SequenceSolver

from ..heat import Plate, System
from ..pictures import png_of_figure
from ..progress import Progress
from ..row import Picture, Row

Array = npt.NDArray[Any]

TITLE = "Heat in a plate: hundreds of linear systems in a row"
ORDER = 30

PLATE, BEGIN, STEPS = Plate(nx=100, dt=1e-3), 0.4, 300
RTOL = 1e-8
OMEGAS = (1.0, 1.3, 1.6, 1.8, 1.9)

#: All of the library's arms but the transform, which knows more of the problem than the others may.
LEARNING, ALL, PEER = "SequenceSolver without transform", "SequenceSolver", "scipy cg"
BEST = "best omega of each step"


@dataclass
class Run:
    """One policy's simulation."""

    name: str
    solve: Callable[[System], Array]
    u: Array
    seconds: list[float] = field(default_factory=list)
    worst: float = 0.0

    def play(self, number: int) -> None:
        system = PLATE.step(self.u, BEGIN + number * PLATE.dt)
        start = time.perf_counter()
        self.u = self.solve(system)
        self.seconds.append(time.perf_counter() - start)
        residual = np.linalg.norm(system.b - system.A @ self.u) / np.linalg.norm(system.b)
        self.worst = max(self.worst, float(residual))

    @property
    def total(self) -> float:
        return sum(self.seconds)


def run(progress: Progress, threads: int) -> Row:
    """Every policy simulates for itself, step by step in turns."""
    learned = SequenceSolver([arm for arm in SequenceSolver().arms if arm != "transform"], threads=threads)
    runs = [_sequence(LEARNING, learned), _sequence(ALL, SequenceSolver(threads=threads)), _run(PEER, scipy_cg)]
    fixed = [_sequence(f"ssor-cg({w:g})", SequenceSolver([f"ssor-cg({w:g})"], threads=threads)) for w in OMEGAS]
    everyone = [*runs, _sequence("cg", SequenceSolver(["cg"], threads=threads)), *fixed]
    with progress.stage(f"{STEPS} steps by {len(everyone)} policies in turns") as stage:
        for number in range(STEPS):
            turn = number % len(everyone)
            for one in everyone[turn:] + everyone[:turn]:
                one.play(number)
            stage.at((number + 1) / STEPS)
    ours, _, peer = runs
    apart = max(float(np.abs(one.u - peer.u).max() / np.abs(peer.u).max()) for one in everyone)
    with progress.stage("drawing the costs and the plate"):
        instance = np.min([one.seconds for one in fixed], axis=0)
        pictures = (
            Picture("cost", _COST, png_of_figure(_costs(everyone, instance)), wide=True),
            Picture("learned", "What the solver learned.", png_of_figure(learned.report().figure()), wide=True),
            Picture("plate", "The plate at the end.", png_of_figure(_plate(ours.u))),
        )
    return Row(
        name="heat",
        title=TITLE,
        problem="heat equation, a sequence",
        size=f"{STEPS} x {PLATE.size}",
        method="linalg.SequenceSolver",
        seconds=ours.total,
        peer=f"scipy {scipy.__version__}, cg",
        peer_seconds=peer.total,
        accuracy_label="largest relative residual of all steps, computed by the demo",
        accuracy=max(ours.worst, RTOL),
        peer_accuracy=max(peer.worst, RTOL),
        status="ok"
        if apart < 1e-4 and max(one.worst for one in everyone) <= RTOL * (1 + 1e-6)
        else "a residual is off",
        text=_text(everyone, fixed, instance, apart),
        pictures=pictures,
    )


_COST = (
    "Seconds so far over those of the best omega of each step, the least that any of the fixed ones took there; grey: "
    "CG and the fixed omegas. On the right the totals, and over that of the solver that learns. The best fixed omega "
    "is known in hindsight alone."
)


def _text(everyone: list[Run], fixed: list[Run], instance: Array, apart: float) -> tuple[str, ...]:
    totals = {one.name: one.total for one in everyone}
    best = min(fixed, key=lambda one: one.total)
    return (
        f"The heat equation on {PLATE.nx} x {PLATE.nx} intervals, its conductivity swinging a hundredfold in time: "
        f"{STEPS} implicit steps from t = {BEGIN:g}, with easy systems up to t = 0.5, then stiff ones. Each step calls "
        "the solver once. SequenceSolver tries its arms (SSOR-CG at eight omegas, CG, Chebyshev, incomplete and "
        "complete Cholesky, multigrid where pyamg is installed), times them, and settles; the row has it without the "
        "transform.",
        "With it, it sees that the matrix is a constant stencil on a box and takes a sine transform: "
        f"{totals[ALL]:.3g} s in all, {totals[LEARNING]:.3g} s without. In hindsight the best fixed omega is that of "
        f"{best.name}: {best.total:.3g} s; the best omega of each step would take {instance.sum():.3g} s. All runs end "
        f"at the same temperatures to {apart:.0e}.",
    )


def _sequence(name: str, solver: SequenceSolver) -> Run:
    return _run(name, lambda system: solver.solve(system.A, system.b, system.u).x)


def _run(name: str, solve: Callable[[System], Array]) -> Run:
    return Run(name, solve, PLATE.start())


def scipy_cg(system: System) -> Array:
    """SciPy's conjugate gradients from the last solution; its residual is by recursion, so that it aims a bit lower."""
    x, _ = scipy.sparse.linalg.cg(system.A, system.b, x0=system.u, rtol=0.99 * RTOL)
    return np.asarray(x)


def _costs(everyone: list[Run], instance: Array) -> Figure:
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    steps, least = BEGIN + PLATE.dt * np.arange(STEPS), np.cumsum(instance)
    bold = {LEARNING: "#0b6e99", ALL: "#1c7c4a", PEER: "#c8553d"}
    for one in sorted(everyone, key=lambda one: one.name in bold):
        ratio, color = np.cumsum(one.seconds) / least, bold.get(one.name, "#b8c0c6")
        left.plot(steps, ratio, color=color, linewidth=1.8 if one.name in bold else 1.0, label=one.name)
    left.axhline(1.0, color="#333333", linestyle=":", linewidth=1.2, label=BEST)
    left.set_yscale("log")
    for setter in (left.yaxis.set_major_formatter, left.yaxis.set_minor_formatter):
        setter(lambda value, _: f"{value:g}" if round(value, 6) in (0.5, 1, 1.5, 2, 3, 5, 10, 20) else "")
    left.set_xlabel("time of the simulation")
    left.set_ylabel("seconds so far, over the best omega of each step")
    left.spines[["top", "right"]].set_visible(False)
    named = [line for line in left.lines if line.get_label() in (*bold, BEST)]
    left.legend(handles=named, frameon=False, loc="upper left")
    _totals(right, {one.name: one.total for one in everyone} | {BEST: float(instance.sum())})
    return figure


def _totals(axes: Axes, totals: dict[str, float]) -> None:
    """A table of all policies, the quickest first."""
    axes.set_axis_off()
    ordered = sorted(totals.items(), key=lambda item: item[1])
    cells = [[name, f"{total:.3f} s", f"{total / totals[LEARNING]:.2f}"] for name, total in ordered]
    heads = ["policy", "total", "ratio"]
    table = axes.table(cells, colLabels=heads, loc="center", colWidths=[0.66, 0.2, 0.14], edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.3)
    for (row, column), cell in table.get_celld().items():
        cell.set_text_props(ha="right" if column else "left", weight="bold" if row == 0 else "normal")
        cell.set_edgecolor("#d0d5d9")
        cell.PAD = 0.04


def _plate(u: Array) -> Figure:
    figure = Figure(figsize=(4, 3.4), layout="constrained")
    axes = figure.subplots()
    m = PLATE.nx - 1
    image = axes.imshow(
        u.reshape(m, m).T, origin="lower", extent=(0, 1, 0, 1), cmap="inferno", interpolation="bilinear", vmin=0.0
    )
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    figure.colorbar(image, label="temperature", shrink=0.9)
    return figure
