"""Penalties with a proximal operator: each coordinate's own, one of each group, or the user's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import nearest
from ..validate import check_finite, real_array

Array = npt.NDArray[Any]

KINDS = ("l1", "group_l2", "nonneg")


class Penalty(Protocol):
    """What descent asks of a penalty P. L: curvatures of the coordinates, or one for all of a block."""

    #: Whether each coordinate has a P of its own.
    separable: bool

    @property
    def none(self) -> bool:
        """Whether P is zero everywhere."""

    def value(self, x: Array, b: Array | slice = ...) -> float: ...
    def common(self, L: Array) -> Array:
        """L made such as prox takes it: the same wherever coordinates share a P."""

    def prox(self, v: Array, L: Any, b: Array | slice = ...) -> Array:
        """argmin over u of sum(L / 2 (u - v)^2) + P(u)."""

    def progress(self, x: Array, g: Array, L: Array) -> Array:
        """What each coordinate could gain at most: max over s of -(g s + L / 2 s^2 + P(x + s) - P(x))."""


@dataclass(frozen=True, eq=False)
class Separable:
    """sum(l1 |x|), on lower <= x <= upper."""

    l1: Array
    lower: Array
    upper: Array
    separable = True

    @functools.cached_property
    def none(self) -> bool:
        return not (self.l1.any() or np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    def value(self, x: Array, b: Array | slice = slice(None)) -> float:
        held = self.l1[b] > 0  # inf * 0 is no number
        return float(self.l1[b][held] @ np.abs(x[held]))

    def common(self, L: Array) -> Array:
        return L

    def prox(self, v: Array, L: Any, b: Array | slice = slice(None)) -> Array:
        shrunk = np.copysign(np.maximum(np.abs(v) - self.l1[b] / L, 0.0), v)
        return np.asarray(np.clip(shrunk, self.lower[b], self.upper[b]))

    def progress(self, x: Array, g: Array, L: Array) -> Array:
        s = self.prox(x - g / L, L) - x
        return np.maximum(-self.model(x, g, L / 2 * s, s), 0.0)

    def model(self, x: Array, g: Array, bent: Array, s: Array, b: Array | slice = slice(None)) -> Array:
        """s (g + bent) + P(x + s) - P(x) of each coordinate; where no sign changes l1 goes into g, for its digits."""
        l1 = np.where(s != 0, self.l1[b], 0.0)
        sign = np.sign(np.where(x != 0, x, s))
        beyond = np.where((x + s) * sign < 0, 2 * np.abs(x + s), 0.0)  # what |.| has more than its linear part
        return np.asarray(s * (g + l1 * sign + bent) + l1 * beyond)


@dataclass(frozen=True, eq=False)
class GroupL2:
    """sum over groups of weight * norm(x_g); the groups are the blocks of the partition."""

    groups: list[Array]
    weights: Array
    group_of: Array
    none = False
    separable = False

    def _norms(self, v: Array) -> Array:
        return np.sqrt(np.bincount(self.group_of, v * v, minlength=len(self.groups)))

    def value(self, x: Array, b: Array | slice = slice(None)) -> float:
        norms = self._norms(x) if isinstance(b, slice) else np.array([np.linalg.norm(x)])
        weights = self.weights if isinstance(b, slice) else self.weights[self.group_of[b[:1]]]
        held = norms > 0  # inf * 0 is no number
        return float(weights[held] @ norms[held])

    def common(self, L: Array) -> Array:
        """One curvature for each group, the largest of its coordinates."""
        each = np.zeros(len(self.groups))
        np.maximum.at(each, self.group_of, L)
        return np.asarray(each[self.group_of])

    def prox(self, v: Array, L: Any, b: Array | slice = slice(None)) -> Array:
        """L is the same for all of a group."""
        norms = self._norms(v)[self.group_of] if isinstance(b, slice) else np.full(len(v), np.linalg.norm(v))
        return np.asarray(v * _shrink(norms, self.weights[self.group_of[b]] / L))

    def progress(self, x: Array, g: Array, L: Array) -> Array:
        """The gain of a group, at each of its coordinates in equal parts."""
        full = self.common(L)
        s = self.prox(x - g / full, full) - x
        norms = (self._norms(x) + self._norms(x + s))[self.group_of]
        held = norms > 0
        # |x + s| - |x| = s'(2 x + s) / (|x + s| + |x|), added before the product for the digits
        pull = np.where(held, self.weights[self.group_of], 0.0) * (2 * x + s) / np.where(held, norms, 1.0)
        gain = np.bincount(self.group_of, -s * (g + pull + full / 2 * s), minlength=len(self.groups))
        return np.asarray(np.maximum(gain / np.bincount(self.group_of), 0.0)[self.group_of])


def _shrink(norms: Array, thresholds: Array) -> Array:
    return np.asarray(np.maximum(1 - thresholds / np.maximum(norms, np.finfo(float).tiny), 0.0))


@dataclass(frozen=True, eq=False)
class Custom:
    """The user's: prox(v, step, block), and value(x) where it is not 0 on its domain."""

    operator: Callable[[Array, float, Array], npt.ArrayLike]
    worth: Callable[[Array], float] | None
    none = False
    separable = False

    def value(self, x: Array, b: Array | slice = slice(None)) -> float:
        if self.worth is None:
            return 0.0
        return float(self.worth(x))

    def common(self, L: Array) -> Array:
        return np.full_like(L, L.max())

    def prox(self, v: Array, L: Any, b: Array | slice = slice(None)) -> Array:
        block = np.arange(len(v)) if isinstance(b, slice) else b
        return np.asarray(self.operator(v.copy(), 1 / float(np.max(L)), block), np.float64)

    def progress(self, x: Array, g: Array, L: Array) -> Array:
        full = self.common(L)
        s = self.prox(x - g / full, full) - x
        return np.asarray(full / 2 * s * s)


def make(given: Any, bounds: Any, count: int, blocks: list[Array] | None) -> Penalty:
    """The penalty that ``penalty=`` and ``bounds=`` ask for; ValueError naming what does not fit."""
    lower, upper = limits(bounds, count)
    if callable(given) or callable(getattr(given, "prox", None)):
        if bounds is not None:
            raise ValueError("bounds go into the user's own prox")
        return Custom(getattr(given, "prox", given), getattr(given, "value", None))
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"penalty must be a mapping, a prox or None, not {given!r}")
    asked = dict(given or {})
    for name in asked:
        if name not in KINDS:
            raise ValueError(f"penalty has no kind {name!r}{nearest(name, KINDS)}")
    if asked.get("nonneg"):
        lower = np.maximum(lower, 0.0)
        _check_order(lower, upper, ", and upper >= 0 with the penalty 'nonneg'")
    if "group_l2" in asked:
        if blocks is None or len(asked) > 1 or bounds is not None:
            raise ValueError("penalty 'group_l2' stands alone, and its groups are the blocks: pass blocks=")
        group_of = np.empty(count, np.intp)
        for k, block in enumerate(blocks):
            group_of[block] = k
        return GroupL2(blocks, weights(asked["group_l2"], len(blocks), "penalty['group_l2']"), group_of)
    return Separable(weights(asked.get("l1", 0.0), count, "penalty['l1']"), lower, upper)


def weights(value: Any, count: int, name: str) -> Array:
    """One weight >= 0 for each, infinity allowed."""
    array = real_array(value, name)
    if array.ndim > 1 or array.shape not in ((), (count,)):
        raise ValueError(f"{name} must be a number or have length {count}, not shape {array.shape}")
    if not (array >= 0).all():
        raise ValueError(f"{name} must be >= 0")
    return np.broadcast_to(array, count).copy()


def limits(bounds: Any, count: int) -> tuple[Array, Array]:
    """Lower and upper limits from pairs, a `scipy.optimize.Bounds`, or None."""
    if bounds is None:
        return np.full(count, -np.inf), np.full(count, np.inf)
    if hasattr(bounds, "lb"):
        low, high = bounds.lb, bounds.ub
    else:
        pairs = list(bounds) if isinstance(bounds, Iterable) else []
        if len(pairs) != count or any(np.size(pair) != 2 for pair in pairs):
            raise ValueError(f"bounds must be {count} pairs, a pair for each coordinate")
        low = [-np.inf if pair[0] is None else pair[0] for pair in pairs]
        high = [np.inf if pair[1] is None else pair[1] for pair in pairs]
    lower, upper = (np.broadcast_to(real_array(side, "bounds"), count).copy() for side in (low, high))
    _check_order(lower, upper, "")
    return lower, upper


def _check_order(lower: Array, upper: Array, where: str) -> None:
    if not (lower <= upper).all():
        raise ValueError(f"bounds must have lower <= upper{where}; see coordinate {int(np.argmin(lower <= upper))}")


def start(value: npt.ArrayLike | None, count: int, penalty: Penalty, name: str = "x0") -> Array:
    """The first point, moved into the penalty's domain."""
    x = np.zeros(count) if value is None else np.array(real_array(value, name, ndim=1))
    if len(x) != count:
        raise ValueError(f"{name} must have length {count}, not {len(x)}")
    check_finite(x, name)
    if isinstance(penalty, Separable):
        x = np.clip(x, penalty.lower, penalty.upper)
        x[np.isinf(penalty.l1)] = 0.0
    return x
