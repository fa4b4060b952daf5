"""Pictures as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from .row import Curve

OURS, PEER = "#0b6e99", "#c8553d"


def png_of_array(picture: npt.NDArray[Any]) -> bytes:
    """An (h, w, 3) picture with channels in [0, 1]; what lies outside is clipped."""
    buffer = io.BytesIO()
    pixels = np.round(255 * np.clip(picture, 0.0, 1.0)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def png_of_figure(figure: Figure) -> bytes:
    """A matplotlib figure, cut to its content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight")
    return buffer.getvalue()


def convergence(curves: Sequence[Curve], label: str) -> bytes:
    """Errors, on a logarithmic axis, against time; the first curve is ours."""
    figure = Figure(figsize=(7.2, 3.2))
    axes = figure.subplots()
    for curve, colour in zip(curves, (OURS, PEER, "#6b8f3c", "#8a6fb0"), strict=False):
        shown = curve.errors > 0
        axes.semilogy(curve.seconds[shown], curve.errors[shown], color=colour, label=curve.label, linewidth=1.8)
    axes.set_xlabel("seconds")
    axes.set_ylabel(label)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return png_of_figure(figure)
