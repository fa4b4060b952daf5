"""The problems that the benchmarks share, each by a formula and a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Exponents whose softmax is easy, underflows, overflows when done naively, and does both.
DISTRIBUTIONS = ("normal*10", "uniform(-80,0)", "uniform(900,1000)", "uniform(-1000,1000)")


def exponents(distribution: str, shape: tuple[int, ...], dtype: str, seed: int = 7) -> Array:
    """Input of softmax, drawn from one of `DISTRIBUTIONS` or "normal"."""
    rng = np.random.default_rng(seed)
    kind, _, tail = distribution.partition("(")
    if kind == "uniform":
        low, high = (float(end) for end in tail.rstrip(")").split(","))
        return (low + (high - low) * rng.random(shape)).astype(dtype)
    spread = 10 if kind == "normal*10" else 1
    normal = rng.standard_normal(shape, np.float32) if dtype == "float32" else rng.standard_normal(shape)
    normal *= spread
    return normal


@dataclass(frozen=True)
class Transport:
    """A cost scaled to at most 1 and the weights of its two sides."""

    name: str
    cost: Array
    a: Array
    b: Array

    @property
    def size(self) -> int:
        return len(self.a)


def assignment(n: int, seed: int = 3) -> Transport:
    """Random assignment: independent uniform costs, uniform weights."""
    return Transport(f"assignment n={n}", np.random.default_rng(seed).random((n, n)), *_uniform(n, n))


def digits(metric: str, pair: tuple[int, int] = (3, 7), side: int = 28) -> Transport:
    """Two of scikit-learn's 8 x 8 digits, enlarged linearly to `side` pixels; metric "l1" or "l2" (squared)."""
    from sklearn.datasets import load_digits

    images = load_digits().images
    a, b = (_weights(images[k], side) for k in pair)
    return Transport(f"digits {pair[0]},{pair[1]} {metric} {side}x{side}", _pixel_cost(metric, side), a, b)


def random_fields(metric: str, decay: float, seeds: tuple[int, int] = (0, 1), side: int = 64) -> Transport:
    """Two images exp(Gaussian random field), whose spectrum falls as |xi|^-decay; the larger, the smoother."""
    a, b = (_random_field(seed, decay, side) for seed in seeds)
    return Transport(f"field {decay:g} {metric} {side}x{side}", _pixel_cost(metric, side), a, b)


def _random_field(seed: int, decay: float, side: int) -> Array:
    """White noise, filtered, scaled to variance 1, exponentiated, normalised."""
    frequency = np.fft.fftfreq(side)
    size = np.hypot(frequency[:, None], frequency[None, :])
    size[0, 0] = np.inf  # no mean
    noise = np.random.default_rng(seed).standard_normal((side, side))
    field = np.fft.ifft2(np.fft.fft2(noise) * size**-decay).real
    weights: Array = np.exp(field / field.std()).ravel()
    return weights / weights.sum()


def _pixel_cost(metric: str, side: int) -> Array:
    """Distances (squared for l2) between the pixels of a square of side 1, divided by the largest."""
    ticks = np.arange(side) / (side - 1)
    along = np.abs(ticks[:, None] - ticks) if metric == "l1" else (ticks[:, None] - ticks) ** 2
    apart = along[:, None, :, None] + along[None, :, None, :]
    cost: Array = apart.reshape(side * side, side * side)
    return cost / cost.max()


def _weights(image: Array, side: int) -> Array:
    from scipy.ndimage import zoom

    large = np.clip(zoom(image, side / len(image), order=1), 0, None)
    large = large / large.max() + 0.01
    weights: Array = (large / large.sum()).ravel()
    return weights


def points(n: int, dim: int = 3, seed: int = 11) -> tuple[Array, Array]:
    """Two clouds: uniform in the unit cube, and normal around its middle."""
    rng = np.random.default_rng(seed)
    return rng.random((n, dim)), 0.3 * rng.standard_normal((n, dim)) + 0.5


def cloud(n: int, dim: int = 3, seed: int = 11) -> Transport:
    """Squared distances between two point clouds, divided by the largest."""
    cost = _squared_distances(*points(n, dim, seed))
    return Transport(f"cloud n={n} d={dim}", cost, *_uniform(n, n))


def colours(n: int, seed: int = 7) -> tuple[Array, Array]:
    """Colours in [0, 1] of n pixels each of scikit-learn's two photographs."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(seed)
    pixels = [image.reshape(-1, 3) / 255.0 for image in load_sample_images().images]
    x, y = (colour[rng.choice(len(colour), n, replace=False)] for colour in pixels)
    return x, y


def colour_cloud(n: int) -> Transport:
    """Squared distances between the colours of two photographs, divided by the largest."""
    return Transport(f"colours n={n}", _squared_distances(*colours(n)), *_uniform(n, n))


def _squared_distances(x: Array, y: Array) -> Array:
    """Between all pairs, divided by the largest."""
    cost: Array = (x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1)
    np.maximum(cost, 0, out=cost)
    cost /= cost.max()
    return cost


def _uniform(n: int, m: int) -> tuple[Array, Array]:
    return np.full(n, 1 / n), np.full(m, 1 / m)
