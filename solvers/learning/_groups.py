"""Penalties on the 2-norms of groups of coefficients, with l1 terms and signs: group lasso and sparse group lasso."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from . import _kernels

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Grouped:
    """sum_k norms_k |w_k|_2 + sum_j l1_j |w_j|,  low_j <= w_j <= high_j; each bound is 0 or infinite.

    Every coordinate j belongs to the group `group_of[j]`, that of an intercept to one of norm 0.
    """

    group_of: Indices
    norms: Array
    l1: Array
    low: Array
    high: Array
    kind: ClassVar[str] = "groups"
    #: The penalty of t w is t times that of w, t >= 0: its conjugate is 0 or infinite.
    is_gauge: ClassVar[bool] = True

    @property
    def l2(self) -> Array:
        """The l2 terms, of which there are none."""
        return np.zeros_like(self.l1)

    @property
    def is_coercive(self) -> npt.NDArray[np.bool_]:
        """Whether the penalty or the bounds keep each coordinate from growing at no cost."""
        bounded = np.isfinite(self.low) & np.isfinite(self.high)
        return np.asarray((self.norms[self.group_of] > 0) | (self.l1 > 0) | bounded)

    @property
    def kinked(self) -> npt.NDArray[np.bool_]:
        """The coordinates with an l1 term or a bound of their own."""
        return np.asarray((self.l1 > 0) | (self.low == 0) | (self.high == 0))

    def sizes(self, x: Array) -> Array:
        """The 2-norms of the groups of x."""
        return np.asarray(np.sqrt(np.bincount(self.group_of, x * x, len(self.norms))))

    @cached_property
    def kernel(self) -> _kernels.GroupTerms:
        """The penalty as the kernels want it."""
        return _kernels.GroupTerms(self.group_of, self.norms, self.l1, self.low, self.high)

    def used(self, w: Array) -> npt.NDArray[np.bool_]:
        """The coordinates of groups that are not zero."""
        return np.asarray(self.sizes(w) > 0)[self.group_of]

    def may_be_nonzero(self, u: Array, slack: Array, margin: float = 0.0) -> npt.NDArray[np.bool_]:
        """The coordinates whose groups are not zero for certain where the products with the dual point are within
        `slack` of u: what exceeds the l1 terms, on the sides that the bounds leave, may reach the norm."""
        l1, norms = (1 - margin) * self.l1, (1 - margin) * self.norms
        up = np.where(self.high > 0, u + slack - l1, 0)
        down = np.where(self.low < 0, slack - u - l1, 0)
        return np.asarray(self.sizes(np.maximum(np.maximum(up, down), 0)) > norms)[self.group_of]

    def value(self, w: Array) -> float:
        return self.kernel.value(w)

    def limits(self, u: Array, slack: Array | None = None) -> tuple[float, float]:
        """The t >= 0 for which the conjugate at t u, known to `slack`, is finite."""
        return 0.0, self.kernel.limit(-u, slack)

    def conjugate(self, u: Array, slack: Array | float = 0.0) -> float:
        """The greatest ``u @ w - value(w)`` within the bounds, for u within `limits`."""
        return 0.0

    def slopes(self, norms: Array, w: Array, g: Array) -> tuple[float, float]:
        """As of `SeparableTerms`; the slope along a group is what exceeds its l1 terms and its norm."""
        own = float((g + np.sign(w) * self.l1) @ w) + float(self.norms @ self.sizes(w))
        downhill = np.where(g < 0, self.high > 0, self.low < 0)
        excess = np.where(downhill, np.maximum(np.abs(g) - self.l1, 0.0), 0.0)
        steep = np.maximum(self.sizes(excess) - self.norms, 0.0)[self.group_of]
        some = (excess > 0) & (steep > 0)
        return max(own, 0.0), float(np.max(steep[some] / norms[some], initial=0.0))

    def terms(self) -> GroupedTerms:
        """The penalty as a pass over the data wants it."""
        return GroupedTerms(self)

    def scaled(self, lam: float) -> Grouped:
        """lam times the penalty."""
        return replace(self, norms=lam * self.norms, l1=lam * self.l1)

    def part(self, columns: npt.NDArray[Any]) -> Grouped:
        """The penalty of some of the coordinates, whole groups of them."""
        return Grouped(self.group_of[columns], self.norms, self.l1[columns], self.low[columns], self.high[columns])


class GroupedTerms:
    """What the kernels give of a separable penalty, of one on groups."""

    def __init__(self, penalty: Grouped) -> None:
        self.penalty = penalty

    def kind(self, d: int) -> tuple[float, bool, bool, bool]:
        """Of the first d coordinates: the largest weight, whether there are l2 terms, whether it is a gauge, whether
        each has a penalty or two bounds."""
        p = self.penalty
        largest = max(float(p.norms.max(initial=0.0)), float(p.l1[:d].max(initial=0.0)))
        return largest, False, p.is_gauge, bool(np.all(p.is_coercive[:d]))

    def measure(self, w: Array, g: Array) -> tuple[float, float, float, float]:
        """The value, the largest violation, and the limits of t between which the conjugate at -t g is finite."""
        value, violation, above = self.penalty.kernel.measure(w, g)
        return value, violation, 0.0, above

    def conjugate(self, g: Array, share: float) -> float:
        """The conjugate at -share g, within the limits."""
        return self.penalty.conjugate(-share * g)

    def slopes(self, norms: Array, w: Array, g: Array) -> tuple[float, float]:
        """How much lower than at w the objective may be where ``norms @ abs(w)`` is up to r: the first number, and r
        times the second."""
        return self.penalty.slopes(norms, w, g)


def grouped(
    labels: Indices, strength: float, l1_ratio: float, weights: Array, signs: tuple[Array, Array], ones: int
) -> Grouped:
    """``strength (l1_ratio |w|_1 + (1 - l1_ratio) sum_k weights_k |w_k|_2)``, nothing on `ones` last coordinates."""
    out = np.isinf(weights)
    fixed = out[labels]
    free = np.full(ones, np.inf)
    norms = (1 - l1_ratio) * strength * np.where(out, 0.0, weights)
    low, high = (np.where(fixed, 0.0, side) for side in signs)
    l1 = np.where(fixed, 0.0, l1_ratio * strength)
    # The norm of a single coordinate is an l1 term: one kink where its own term or a bound has one already.
    alone = np.bincount(labels, minlength=len(norms))[labels] == 1
    alone &= (l1 > 0) | (low == 0) | (high == 0)
    l1[alone] += norms[labels[alone]]
    norms[labels[alone]] = 0.0
    return Grouped(
        np.append(labels, np.full(ones, len(norms))),
        np.append(norms, np.zeros(min(ones, 1))),
        np.append(l1, np.zeros(ones)),
        np.append(low, -free),
        np.append(high, free),
    )


def group_labels(groups: Any, d: int) -> Indices:
    """The number of each feature's group, from a list of index arrays, an array of labels or a size."""
    if groups is None:
        raise ValueError("groups must be given with a penalty on groups: index arrays, a label a feature, or a size")
    if isinstance(groups, int | np.integer) and not isinstance(groups, bool):
        if groups < 1:
            raise ValueError(f"groups must be a size >= 1, not {groups}")
        return np.arange(d) // int(min(groups, max(d, 1)))
    if isinstance(groups, np.ndarray) and groups.ndim == 1 and groups.dtype != object:
        if len(groups) != d:
            raise ValueError(f"groups must hold a label for each of the {d} features, not {len(groups)}")
        if np.any(groups != groups):  # NaN is as little a group's name as it is equal to itself
            raise ValueError("groups must hold labels that are not NaN")
        return np.unique(groups, return_inverse=True)[1].astype(np.intp)
    if not isinstance(groups, Sequence | np.ndarray):
        raise TypeError(
            f"groups must be a list of index arrays, an array of labels or a size, not {type(groups).__name__}"
        )
    members = [_members(group, number) for number, group in enumerate(groups)]
    named = np.concatenate([np.empty(0, np.intp), *members])
    numbers = np.repeat(np.arange(len(members)), [len(group) for group in members])
    if np.any((named < 0) | (named >= d)):
        first = numbers[np.argmax((named < 0) | (named >= d))]
        raise ValueError(f"groups[{first}] must hold features from 0 to {d - 1}")
    counts = np.bincount(named, minlength=d)
    if np.any(counts > 1):
        raise ValueError(f"groups must not overlap; feature {int(np.argmax(counts))} is named more than once")
    if np.any(counts == 0):
        raise ValueError(f"groups must hold every feature; feature {int(np.argmin(counts))} is in none")
    labels = np.empty(d, np.intp)
    labels[named] = numbers
    return labels


def _members(group: Any, number: int) -> Indices:
    members = np.asarray(group)
    if members.ndim != 1 or members.dtype.kind not in "iu" or len(members) == 0:
        raise ValueError(f"groups[{number}] must be a list of features, one at least, not {group!r}")
    return members.astype(np.intp, copy=False)
