"""The colours of one photograph moved onto another."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter
from sklearn.datasets import load_sample_images

from ..pictures import png_of_array
from ..progress import Progress
from ..row import Picture, Row
from ..transport import Case, compare, to_row

Array = npt.NDArray[Any]

TITLE = "The colours of one photograph moved onto another"
ORDER = 10

BITS = 5
REG = 0.005

#: POT's best here: its log-domain and stabilised methods take many times longer an iteration, and the kernel
#: exp(-C / reg) does not underflow. At this bound its plan has an l1 error of about 1e-6.
PEER_METHOD, PEER_STOP, PEER_MAX_ITER = "sinkhorn", 1e-7, 5000


def run(progress: Progress, threads: int) -> Row:
    """Transport between the two colour histograms, and both photographs recoloured by the plan."""
    with progress.stage("reading two photographs and their colours"):
        temple, flower = (picture / 255.0 for picture in load_sample_images().images)
        X, a, bins_x = palette(temple)
        Y, b, bins_y = palette(flower)
    case = Case(X, Y, a, b, REG, PEER_METHOD, PEER_STOP, PEER_MAX_ITER)
    outcome = compare(case, progress, threads)
    with progress.stage("recolouring both photographs"):
        plan = outcome.result.plan
        back = plan.rmatvec(X) / plan.marginals()[1][:, None]
        pictures = (
            Picture("before", "Before: china.jpg (danielbuechele, CC BY 2.0)", png_of_array(temple)),
            Picture("palette", "The palette: flower.jpg (vultilion, CC BY 2.0)", png_of_array(flower)),
            Picture(
                "after",
                "After: the temple in the flower's colours",
                png_of_array(recoloured(temple, (plan.barycentric(Y) - X)[bins_x])),
            ),
            Picture(
                "back",
                "The other way, from the same plan: the flower in the temple's colours",
                png_of_array(recoloured(flower, (back - Y)[bins_y])),
            ),
        )
    return to_row(
        case,
        outcome,
        name="colours",
        title=TITLE,
        problem="colours of a photograph",
        text=(
            f"Each photograph of {temple.shape[1]} x {temple.shape[0]} pixels becomes a cloud of colours (RGB in "
            f"[0, 1], {BITS} bits a channel, each bin at its mean) weighted by how many pixels have them: {len(X)} "
            f"and {len(Y)} colours. The cost is the squared distance, reg = {REG}.",
            "Both times run from the two clouds to where each colour of the first goes, POT's cost matrix included. "
            "Each pixel then moves by the displacement of its colour, smoothed within the objects of the picture by "
            "a guided filter (He, Sun, Tang 2013); that last step is the same for any solver and is not timed.",
        ),
        pictures=pictures,
    )


def palette(picture: Array) -> tuple[Array, Array, Array]:
    """The mean colours (n, 3) of the occupied bins, their weights (n,), and each pixel's bin (h, w)."""
    levels = np.minimum((picture * 2**BITS).astype(np.int64), 2**BITS - 1)
    keys = (levels[..., 0] << 2 * BITS) | (levels[..., 1] << BITS) | levels[..., 2]
    _, bins, counts = np.unique(keys.ravel(), return_inverse=True, return_counts=True)
    channels = picture.reshape(-1, 3).T
    colours = np.stack([np.bincount(bins, channel) / counts for channel in channels], axis=1)
    return colours, counts / counts.sum(), bins.reshape(keys.shape)


def recoloured(picture: Array, displacement: Array, radius: int = 20, edge: float = 1e-3) -> Array:
    """The picture plus its displacement (h, w, 3), that smoothed by a guided filter with the picture as guide.

    In a window the filter fits displacement = A picture + c, so it follows the picture's edges and smooths
    what has none: neighbours in a clear sky fall into different bins, and should not part company.
    """

    def mean(values: Array) -> Array:
        width = 2 * radius + 1
        smoothed: Array = uniform_filter(values, (width, width) + (1,) * (values.ndim - 2), mode="reflect")
        return smoothed

    colour, moved = mean(picture), mean(displacement)
    variance = mean(picture[..., :, None] * picture[..., None, :]) - colour[..., :, None] * colour[..., None, :]
    covariance = mean(picture[..., :, None] * displacement[..., None, :]) - colour[..., :, None] * moved[..., None, :]
    slope = np.linalg.solve(variance + edge * np.eye(3), covariance)
    constant = moved - np.einsum("hwi,hwij->hwj", colour, slope)
    result: Array = picture + np.einsum("hwi,hwij->hwj", picture, mean(slope)) + mean(constant)
    return result
