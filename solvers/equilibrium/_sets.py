"""Sets with exact projections, their products, and what a user's proximal operator must do.

A proximal operator is ``prox(z, step, out)``: it writes ``argmin_u step g(u) + |u - z|^2 / 2`` to out. For a set C,
whose g is 0 inside and infinite outside, that is the projection, whatever the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.errors import nearest
from .._base.validate import check_finite, positive, real_array
from . import _kernels

Array = npt.NDArray[Any]
Prox = Callable[[Array, float, Array], Any]


class ConvexSet:
    """A closed convex set: calling it projects."""

    def __call__(self, z: Array, step: float, out: Array) -> None:
        """Write the point of the set nearest to z to out, which may be z."""
        raise NotImplementedError

    def lowest(self, g: Array) -> float:
        """The least <g, u> over u in the set; -inf where there is none."""
        raise NotImplementedError

    def check_size(self, size: int, name: str) -> None:
        """ValueError where the set has another dimension than `size`, or no point at all there."""


@dataclass(frozen=True)
class Simplex(ConvexSet):
    """The points z >= 0 with ``sum(z) = total``.

    Parameters
    ----------
    total : float, default 1
        Positive.
    """

    total: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", positive(self.total, "total"))

    def __call__(self, z: Array, step: float, out: Array) -> None:
        project_simplex(z, self.total, out)

    def lowest(self, g: Array) -> float:
        return self.total * float(g.min())

    def check_size(self, size: int, name: str) -> None:
        if size == 0:
            raise ValueError(f"{name}: a simplex of dimension 0 is empty")


@dataclass(frozen=True, eq=False)
class Box(ConvexSet):
    """The points with ``lower <= z <= upper``.

    Parameters
    ----------
    lower, upper : float or array_like, default 0 and 1
        May be infinite.
    """

    lower: Any = 0.0
    upper: Any = 1.0

    def __post_init__(self) -> None:
        low, high = real_array(self.lower, "lower"), real_array(self.upper, "upper")
        if np.isnan(low).any() or np.isnan(high).any():
            raise ValueError("bounds must not be NaN")
        crossed = np.argwhere(np.atleast_1d(~(low <= high) | (low == np.inf) | (high == -np.inf)))
        if len(crossed):
            raise ValueError(f"lower must not be above upper: no point satisfies bound {int(crossed[0][0])}")
        object.__setattr__(self, "lower", low)
        object.__setattr__(self, "upper", high)

    def __call__(self, z: Array, step: float, out: Array) -> None:
        np.maximum(z, self.lower, out=out)
        np.minimum(out, self.upper, out=out)

    def lowest(self, g: Array) -> float:
        with np.errstate(invalid="ignore"):
            corner = np.where(g > 0, g * self.lower, g * self.upper)
        return float(np.where(g == 0, 0.0, corner).sum())

    def check_size(self, size: int, name: str) -> None:
        for bound in (self.lower, self.upper):
            if bound.ndim > 1 or bound.size not in (1, size):
                raise ValueError(f"{name}: bounds of shape {bound.shape} do not fit {size} coordinates")


@dataclass(frozen=True)
class NonNegative(ConvexSet):
    """The points z >= 0."""

    def __call__(self, z: Array, step: float, out: Array) -> None:
        np.maximum(z, 0.0, out=out)

    def lowest(self, g: Array) -> float:
        return 0.0 if not len(g) or g.min() >= 0 else -math.inf


@dataclass(frozen=True, eq=False)
class L2Ball(ConvexSet):
    """The points with ``|z - center|_2 <= radius``.

    Parameters
    ----------
    radius : float, default 1
    center : float or array_like, default 0
    """

    radius: float = 1.0
    center: Any = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", positive(self.radius, "radius"))
        center = real_array(self.center, "center")
        check_finite(center, "center")
        object.__setattr__(self, "center", center)

    def __call__(self, z: Array, step: float, out: Array) -> None:
        np.subtract(z, self.center, out=out)
        norm = length(out)
        if norm > self.radius:
            out *= self.radius / norm
        out += self.center

    def lowest(self, g: Array) -> float:
        return float((g * self.center).sum()) - self.radius * length(g)

    def check_size(self, size: int, name: str) -> None:
        if self.center.ndim > 1 or self.center.size not in (1, size):
            raise ValueError(f"{name}: a center of shape {self.center.shape} does not fit {size} coordinates")


@dataclass(frozen=True)
class L1Ball(ConvexSet):
    """The points with ``sum(|z|) <= radius``.

    Parameters
    ----------
    radius : float, default 1
    """

    radius: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", positive(self.radius, "radius"))

    def __call__(self, z: Array, step: float, out: Array) -> None:
        size = np.abs(z)
        if float(size.sum()) <= self.radius:
            np.copyto(out, z)
            return
        project_simplex(size, self.radius, size)
        np.copysign(size, z, out=out)

    def lowest(self, g: Array) -> float:
        return -self.radius * float(np.abs(g).max(initial=0.0))


@dataclass(frozen=True, eq=False)
class Whole(ConvexSet):
    """All points: no constraint, as a factor of a product."""

    def __call__(self, z: Array, step: float, out: Array) -> None:
        np.copyto(out, z)

    def lowest(self, g: Array) -> float:
        return 0.0 if not g.any() else -math.inf


@dataclass(frozen=True, eq=False)
class Product:
    """Sets or proximal operators side by side, one a block of z."""

    factors: tuple[Prox, ...]
    slices: tuple[slice, ...]

    def __call__(self, z: Array, step: float, out: Array) -> None:
        for factor, part in zip(self.factors, self.slices, strict=True):
            target = out[part]
            returned = factor(z[part], step, target)
            if returned is not None and returned is not target:
                target[:] = returned

    def lowest(self, g: Array) -> float:
        """The least <g, u>: -inf as soon as one factor has none."""
        return sum(f.lowest(g[part]) for f, part in zip(self.factors, self.slices, strict=True))  # type: ignore[attr-defined]

    @property
    def is_set(self) -> bool:
        """Whether every factor is a set that knows its `lowest`."""
        return all(isinstance(f, ConvexSet) for f in self.factors)


#: The names that stand for a set with its default parameters.
NAMED: dict[str, ConvexSet] = {
    "box": Box(), "free": Whole(), "l1ball": L1Ball(), "l2ball": L2Ball(), "nonneg": NonNegative(),
    "simplex": Simplex(),
}  # fmt: skip


def as_prox(value: Any, sizes: Sequence[int], name: str = "prox") -> Prox | None:
    """The proximal operator that was meant: None, a name, a set, a callable, or a tuple of those, one a block of z."""
    if value is None or isinstance(value, Whole):
        return None
    if isinstance(value, tuple):
        if len(value) != len(sizes):
            raise ValueError(f"{name} has {len(value)} factors, but z0 {len(sizes)} blocks: pass it as a tuple, too")
        factors = tuple(
            as_prox(v, (n,), f"{name}[{i}]") or NAMED["free"] for i, (v, n) in enumerate(zip(value, sizes, strict=True))
        )
        ends = np.cumsum(sizes).tolist()
        return Product(factors, tuple(slice(end - n, end) for end, n in zip(ends, sizes, strict=True)))
    if isinstance(value, str):
        if value not in NAMED:
            raise ValueError(f"{name}: no set is called {value!r}{nearest(value, NAMED)}")
        value = NAMED[value]
        if isinstance(value, Whole):
            return None
    if isinstance(value, ConvexSet):
        value.check_size(sum(sizes), name)
    elif not callable(value):
        raise TypeError(f"{name} must be a set, its name, a callable prox(z, step, out) or a tuple of those")
    return value  # type: ignore[no-any-return]


def project_simplex(z: Array, total: float, out: Array) -> None:
    """Write the nearest point of ``{u >= 0, sum(u) = total}`` to out, which may be z."""
    if not math.isfinite(float(z.sum())):  # the kernel looks for a threshold among finite numbers
        out.fill(math.nan)
        return
    _kernels.project_simplex(z, total, out)


def length(v: Array) -> float:
    """The Euclidean norm of a vector, inf or NaN where that is not finite: numpy.linalg.norm in a third of its time."""
    square = float(v.dot(v))
    if 1e-290 < square < 1e290 or (square == 0.0 and not v.any()):
        return math.sqrt(square)
    return float(np.linalg.norm(v / scale) * scale) if 0.0 < (scale := float(np.abs(v).max())) < math.inf else scale
