"""A heater under a limit: the control of a semilinear elliptic equation, beside SciPy's trust-constr."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
import scipy.optimize
from matplotlib.figure import Figure

import solvers

from ..control import Control
from ..pictures import OURS, PEER, png_of_figure
from ..progress import Progress
from ..row import Picture, Row

Array = npt.NDArray[Any]

TITLE = "Optimal control: a state is steered to a ring, and the control has limits"
ORDER = 45

#: The grid of the pictures, and that of the comparison: the peer's time grows with about the fourth power of N.
LARGE, SMALL = 128, 32
LIMIT = 60.0
TOL = 1e-10
ROUNDS = 3


def run(progress: Progress, threads: int) -> Row:
    """Both solvers on the small grid, ours on the large one."""
    large, small = (Control(N, semilinear=True, low=-LIMIT, high=LIMIT) for N in (LARGE, SMALL))
    with progress.stage(f"{LARGE} x {LARGE} points"):
        start = time.perf_counter()
        found, curve = _ours(large, threads)
        seconds_large = time.perf_counter() - start
        away_large, violation_large = large.judged(found.x)
    seconds: list[float] = []
    with progress.stage(f"{SMALL} x {SMALL} points, by us"):
        for _ in range(ROUNDS):
            start = time.perf_counter()
            ours, _ = _ours(small, threads)
            seconds.append(time.perf_counter() - start)
    with progress.stage(f"{SMALL} x {SMALL} points, by scipy's trust-constr"):
        start = time.perf_counter()
        peer = scipy.optimize.minimize(
            small.fun, small.x0, method="trust-constr", **small.arguments(),
            options={"gtol": TOL, "xtol": 1e-12, "barrier_tol": TOL, "maxiter": 500},
        )  # fmt: skip
        peer_seconds = time.perf_counter() - start
    accuracy, peer_accuracy = max(small.judged(ours.x)), max(small.judged(peer.x))
    good = ours.success and found.success and max(away_large, violation_large) < 1e-4
    with progress.stage("drawing target, state and control"):
        pictures = (
            Picture("grids", _GRIDS, png_of_figure(_grids(large, found.x)), wide=True),
            Picture("measure", "The measure of the conditions after each iteration.", png_of_figure(_measure(curve))),
        )
    return Row(
        name="control",
        title=TITLE,
        problem="control of an elliptic equation, with bounds",
        size=f"{2 * small.size} unknowns",
        method="minimize, gala, sparse",
        seconds=float(np.median(seconds)),
        peer=f"scipy {scipy.__version__}, trust-constr",
        peer_seconds=peer_seconds,
        accuracy_label="reduced gradient or violation, whichever is larger, computed by the demo",
        accuracy=max(accuracy, 1e-8),
        peer_accuracy=max(peer_accuracy, 1e-8),
        status="ok" if good else "a solve failed",
        text=(
            "A state w on the unit square obeys -Lap w + w^3 = z and is zero on the edge; the control z, between "
            f"{-LIMIT:g} and {LIMIT:g}, is to bring it to a ring of height 1, and costs 1e-5 times its square. With N "
            "points a line these are 2 N^2 unknowns and N^2 equations; derivatives are exact and sparse.",
            f"On {LARGE} x {LARGE} points ({3 * large.size:,} unknowns and multipliers) {found.nit} iterations, a "
            f"sparse factorisation each, take {seconds_large:.2g} s: reduced gradient {away_large:.0e}, violation "
            f"{violation_large:.0e}, and {_share(found.x[large.size :]):.0%} of the controls at a limit. The row is "
            f"for {SMALL} x {SMALL} points, where trust-constr takes {peer_seconds:.2g} s; it gets no larger grid.",
        ),
        pictures=pictures,
    )


_GRIDS = f"Target, state and control on {LARGE} x {LARGE} points. In the darkest areas the control is at a limit."


def _ours(problem: Control, threads: int) -> tuple[Any, Array]:
    """The result, and the measure after each iteration."""
    measures: list[float] = []
    found = solvers.minimize(
        problem.fun, problem.x0, **problem.arguments(), method="gala", tol=TOL, threads=threads,
        callback=lambda state: measures.append(state.measure),
    )  # fmt: skip
    return found, np.array(measures)


def _share(z: Array) -> float:
    return float(np.mean(np.abs(z) >= LIMIT * (1 - 1e-6)))


def _grids(problem: Control, x: Array) -> Figure:
    figure = Figure(figsize=(11, 3.3), layout="constrained")
    n, N = problem.size, problem.N
    shown = (("target", problem.target, "viridis", (0, 1)), ("state", x[:n], "viridis", (0, 1)),
             ("control", x[n:], "RdBu_r", (-LIMIT, LIMIT)))  # fmt: skip
    for axes, (name, values, colours, (low, high)) in zip(figure.subplots(1, 3), shown, strict=True):
        image = axes.imshow(
            values.reshape(N, N), origin="lower", extent=(0, 1, 0, 1), cmap=colours, vmin=low, vmax=high
        )
        axes.set_title(name, fontsize=10)
        axes.set_xticks([0, 1])
        axes.set_yticks([0, 1])
        figure.colorbar(image, shrink=0.85)
    return figure


def _measure(measures: Array) -> Figure:
    figure = Figure(figsize=(4, 3.3), layout="constrained")
    axes = figure.subplots()
    shown = np.flatnonzero(measures > 0)
    axes.semilogy(shown + 1, measures[shown], "o-", color=OURS, markersize=3, linewidth=1.4)
    axes.axhline(TOL, color=PEER, linestyle=":", linewidth=1.2)
    axes.set_xlabel("iteration")
    axes.set_ylabel("measure")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
