"""Two handwritten digits compared by optimal transport."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

from ..pictures import png_of_figure
from ..progress import Progress
from ..row import Picture, Row
from ..transport import Case, compare, to_row

Array = npt.NDArray[Any]

TITLE = "Two handwritten digits compared"
ORDER = 20

SIDE = 32
REG = 1 / 1200
DIGITS = (0, 6)

#: POT's best here: sinkhorn_log takes a hundred times longer an iteration, sinkhorn_stabilized fails at this reg.
PEER_METHOD, PEER_STOP, PEER_MAX_ITER = "sinkhorn", 1e-7, 20_000

REPEATS = 5


def run(progress: Progress, threads: int) -> Row:
    """Transport between two digits, and what lies between them."""
    with progress.stage("reading two digits"):
        grid = np.indices((SIDE, SIDE)).reshape(2, -1).T
        points = grid / np.hypot(SIDE - 1, SIDE - 1)  # the largest squared distance is 1
        a, b = (digit(number) for number in DIGITS)
    case = Case(points, points, a, b, REG, PEER_METHOD, PEER_STOP, PEER_MAX_ITER, repeats=REPEATS)
    outcome = compare(case, progress, threads)
    with progress.stage("drawing what lies between them"):
        plan = outcome.result.plan.dense()
        pictures = (
            Picture("map", _MAP, png_of_figure(_triptych(plan, grid, a, b)), wide=True),
            Picture("between", _BETWEEN, png_of_figure(_strip(plan, grid)), wide=True),
        )
    return to_row(
        case,
        outcome,
        name="digits",
        title=TITLE,
        problem="two digit images",
        text=(
            f"A {DIGITS[0]} and a {DIGITS[1]} of scikit-learn's digits, each brought to {SIDE} x {SIDE} pixels with a "
            "little ink everywhere and a total of 1. The cost between two pixels is their squared distance over the "
            f"largest one, reg = 1/{round(1 / REG)}. Their transport cost <C, P> is {outcome.result.value_linear:.5f}.",
            f"Medians of {REPEATS} runs (fewer if they take long), one of each in turn, POT's cost matrix included.",
        ),
        pictures=pictures,
    )


BLUE, RED = np.array([0.25, 0.55, 0.8]), np.array([0.85, 0.45, 0.35])

_BETWEEN = (
    "Displacement interpolation: every bit of ink travels on a straight line from its pixel in the first digit to its "
    "pixel in the second. The two digits are at the ends."
)
_MAP = (
    "The two digits, and in the middle where the ink of the first (blue) goes on its way to the second (red): each "
    "arrow ends at the mean of all the places that its pixel's ink goes to."
)


def digit(number: int) -> Array:
    """The first image of a digit as weights (SIDE * SIDE,) of total 1."""
    data = load_digits()
    image = data.images[np.flatnonzero(data.target == number)[0]]
    image = np.maximum(zoom(image, SIDE / image.shape[0], order=1), 0.0)
    image = image / image.max() + 0.01
    weights: Array = (image / image.sum()).ravel()
    return weights


def between(plan: Array, grid: Array, share: float) -> Array:
    """The ink when each bit of it has gone this share of its way, as a (SIDE, SIDE) picture."""
    sources, targets = np.nonzero(plan > 1e-12)
    ink = plan[sources, targets]
    places = (1 - share) * grid[sources] + share * grid[targets]
    low = np.minimum(places.astype(np.int64), SIDE - 2)
    part = places - low
    picture = np.zeros(SIDE * SIDE)
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - part[:, 0]) * np.abs(1 - right - part[:, 1])
            corner = (low[:, 0] + down) * SIDE + low[:, 1] + right
            picture += np.bincount(corner, ink * weight, minlength=SIDE * SIDE)
    return picture.reshape(SIDE, SIDE)


def _strip(plan: Array, grid: Array) -> Figure:
    shares = np.linspace(0.0, 1.0, 7)
    figure = Figure(figsize=(11, 1.8))
    for axes, share in zip(figure.subplots(1, len(shares)), shares, strict=True):
        picture = between(plan, grid, share)
        axes.imshow(picture, cmap="gray_r", interpolation="bilinear", vmin=0, vmax=picture.max())
        axes.set_title(f"{share:.0%}", fontsize=9)
        axes.set_axis_off()
    figure.subplots_adjust(wspace=0.04)
    return figure


def _triptych(plan: Array, grid: Array, a: Array, b: Array) -> Figure:
    figure = Figure(figsize=(11, 3.7))
    left, middle, right = figure.subplots(1, 3)
    tints = tinted(a, BLUE), tinted(a, BLUE) + tinted(b, RED) - 1.0, tinted(b, RED)
    titles = f"the {DIGITS[0]}", "where its ink goes", f"the {DIGITS[1]}"
    for axes, tint, title in zip((left, middle, right), tints, titles, strict=True):
        axes.imshow(np.clip(tint, 0.0, 1.0), interpolation="bilinear")
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    # Arrows from every second pixel that has ink.
    inked = (a > 0.3 * a.max()) & (grid % 2 == 0).all(axis=1)
    start = grid[inked]
    moved = (plan @ grid)[inked] / plan.sum(axis=1)[inked, None] - start
    middle.quiver(
        start[:, 1], start[:, 0], moved[:, 1], moved[:, 0], angles="xy", scale_units="xy", scale=1, width=0.005,
        color="#222222",
    )  # fmt: skip
    figure.subplots_adjust(wspace=0.04)
    return figure


def tinted(weights: Array, colour: Array) -> Array:
    """Weights as ink of a colour on white paper: (SIDE, SIDE, 3)."""
    ink = (weights / weights.max()).reshape(SIDE, SIDE, 1)
    paper: Array = 1.0 - ink * (1.0 - colour)
    return paper
