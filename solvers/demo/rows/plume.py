"""A smoke plume past a disc: a pressure system a step, by the multilevel method."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
import scipy.sparse.linalg
from matplotlib.figure import Figure

import solvers
from solvers.linalg import GridOperator, Multilevel, multilevel

from ..pictures import png_of_figure
from ..plume import Plume
from ..progress import Progress
from ..row import Curve, Picture, Row

Array = npt.NDArray[Any]

TITLE = "Smoke past a disc: a pressure system a step"
ORDER = 40

N, STEPS = 160, 100
RTOL = 1e-6
OURS, PEER = "multilevel-cg", "scipy splu"


@dataclass
class Flow:
    """One solver's simulation."""

    name: str
    threads: int
    plume: Plume = field(default_factory=lambda: Plume(N))
    seconds: float = 0.0
    worst: float = 0.0
    iterations: list[int] = field(default_factory=list)
    hierarchy: Multilevel | None = None
    factors: Any = None

    def play(self) -> Array:
        """A step; returns the system's right-hand side."""
        return -self.plume.step(self._pressure)

    def _pressure(self, operator: GridOperator, b: Array) -> Array:
        matrix = None if self.name == OURS or self.factors is not None else operator.to_csr().tocsc()
        start = time.perf_counter()
        x = self._multilevel(operator, b) if self.name == OURS else self._direct(matrix, b)
        self.seconds += time.perf_counter() - start
        size = float(np.linalg.norm(b))
        self.worst = max(self.worst, float(np.linalg.norm(operator.residual(b, x))) / size if size else 0.0)
        return x

    def _multilevel(self, operator: GridOperator, b: Array) -> Array:
        if self.hierarchy is None:  # its set-up is timed, too
            self.hierarchy = multilevel(operator, threads=self.threads)
        result = solvers.linalg.solve(operator, b, M=self.hierarchy, rtol=RTOL, threads=self.threads)
        self.iterations.append(result.nit)
        return np.asarray(result.x)

    def _direct(self, matrix: Any, b: Array) -> Array:
        if self.factors is None:  # timed, like our set-up
            self.factors = scipy.sparse.linalg.splu(matrix, "MMD_AT_PLUS_A", options={"SymmetricMode": True})
        return np.asarray(self.factors.solve(b))


def run(progress: Progress, threads: int) -> Row:
    """Both simulate for themselves, step by step in turns."""
    ours, peer = Flow(OURS, threads), Flow(PEER, threads)
    with progress.stage(f"{STEPS} steps of the smoke by two solvers in turns") as stage:
        for number in range(STEPS):
            for flow in (ours, peer) if number % 2 else (peer, ours):
                b = flow.play()
            stage.at((number + 1) / STEPS)
    apart = float(np.abs(ours.plume.smoke - peer.plume.smoke).max())
    left = float(np.abs(ours.plume.divergence()).max())
    curves = residual_curves(ours.plume.operator, b, threads)
    return Row(
        name="plume",
        title=TITLE,
        problem="smoke past a disc",
        size=f"{STEPS} x {ours.plume.mask.size}",
        method="linalg.solve, multilevel-cg",
        seconds=ours.seconds,
        peer=f"scipy {scipy.__version__}, splu, once",
        peer_seconds=peer.seconds,
        accuracy_label="largest relative residual of all steps, computed by the demo",
        accuracy=max(ours.worst, RTOL),
        peer_accuracy=max(peer.worst, RTOL),
        status="ok" if max(ours.worst, peer.worst) <= RTOL * (1 + 1e-6) and apart < 0.05 else "a residual is off",
        text=_text(ours, peer, apart, left),
        pictures=(Picture("smoke", "The smoke after the last step.", png_of_figure(_smoke(ours.plume))),),
        curves=curves,
        curves_label="relative residual",
        curves_caption="The true residual of the last step's system after each iteration, from p = 0.",
    )


def residual_curves(operator: GridOperator, b: Array, threads: int) -> tuple[Curve, ...]:
    """True residuals of the last system, iteration after iteration."""
    curves, size = [], float(np.linalg.norm(b))
    for method in (OURS, "ssor-cg", "cg"):
        residuals, seconds = [1.0], [0.0]

        def note(result: Any, residuals: list[float] = residuals, seconds: list[float] = seconds) -> None:
            residuals.append(float(np.linalg.norm(operator.residual(b, result.x))) / size)
            seconds.append(result.stats["seconds"])

        solvers.linalg.solve(operator, b, method=method, rtol=RTOL, threads=threads, callback=note)
        curves.append(Curve(f"ours, {method}", np.array(seconds), np.array(residuals)))
    return tuple(curves)


def _text(ours: Flow, peer: Flow, apart: float, left: float) -> tuple[str, ...]:
    return (
        f"Smoke rises in a box of {ours.plume.n} x {ours.plume.height} cells with an open top, past a disc: {STEPS} "
        "steps of a semi-Lagrangian scheme on a staggered grid. Each step solves for the pressure that makes the flow "
        f"free of divergence, to a relative residual of {RTOL:g}: no flux through walls and disc, zero at the top.",
        f"multilevel-cg takes {min(ours.iterations)} to {max(ours.iterations)} iterations a step. The peer factorises "
        "the matrix once, which a disc that moves would not allow, and solves by the factors, to more digits than the "
        f"flow needs. The two simulations end with smoke that differs by at most {apart:.0e}; the largest divergence "
        f"left in a cell of ours is {left:.0e}.",
    )


def _smoke(plume: Plume) -> Figure:
    figure = Figure(figsize=(3.6, 5.0), layout="constrained")
    axes = figure.subplots()
    picture = np.ma.masked_where(~plume.mask, plume.smoke)
    axes.set_facecolor("#c8553d")
    axes.imshow(picture, origin="lower", cmap="bone", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
    return figure
