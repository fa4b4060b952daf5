"""Losses of generalised linear models, as sums over the samples.

A loss knows its value, its first and second derivative in the linear predictor z, and its convex conjugate, from
which the dual bound comes. `s` are the weights of the samples, positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.reducer import SERIAL
from . import _kernels

Array = npt.NDArray[np.float64]
#: Adds up numbers over all ranks that share the samples.
Adding = Callable[[Array], Array]


class Sums(NamedTuple):
    """What one pass over the samples tells of the loss and of its derivative v in z."""

    value: float
    #: sum v^2 / s.
    square: float
    #: v @ y.
    cross: float
    #: sum v.
    total: float


@dataclass(frozen=True, eq=False)
class Loss:
    """A convex loss of the predictor z, given the targets y and the weights s of the samples."""

    y: Array
    s: Array
    #: The number in losses.h.
    kind: ClassVar[int]
    #: Whether the second derivative does not depend on z.
    quadratic: ClassVar[bool] = False
    #: The largest second derivative of a term of weight 1; None where there is none.
    curvature: ClassVar[float | None] = 1.0
    #: Whether a sample has several predictors, so that the second derivative is a matrix.
    coupled: ClassVar[bool] = False
    #: Whether there is a least value at finite z, whatever the targets are.
    attained: ClassVar[bool] = True
    #: Whether no term is ever below zero.
    nonnegative: ClassVar[bool] = True
    #: Whether there is a quadratic that touches the loss at z and lies nowhere below it, of the curvatures `above`.
    has_above: ClassVar[bool] = False
    #: Whether the conjugate is known from the sums, without another look at the samples.
    by_sums: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        """What the kernels know of a loss holds here, too."""
        if "kind" in cls.__dict__:
            largest, in_parts = _kernels.loss_traits(cls.kind)
            cls.curvature = largest if np.isfinite(largest) else None
            cls.attained = cls.by_sums = in_parts

    @cached_property
    def uniform(self) -> bool:
        """Whether all weights are 1."""
        return bool((self.s == 1).all())

    @cached_property
    def terms(self) -> _kernels.LossTerms:
        """The loss as the kernels want it."""
        return _kernels.LossTerms(self.kind, self.y, None if self.uniform else self.s)

    def evaluate(self, z: Array, derivative: Array | None = None, second: Array | None = None) -> Sums:
        """The sums at z; the derivative and the second derivative are written where arrays are given for them."""
        return Sums(*self.terms.evaluate(z, derivative, second))

    def value(self, z: Array) -> float:
        return self.terms.evaluate(z)[0]

    def derivative(self, z: Array) -> Array:
        v = np.empty(len(z))
        self.terms.evaluate(z, v)
        return v

    def second(self, z: Array) -> Array:
        D = np.empty(len(z))
        self.terms.evaluate(z, None, D)
        return D

    def conjugate(self, v: Array, share: float, square: float, cross: float) -> float:
        """The greatest ``share v @ z - value(z)`` over z, for v = t derivative(z), 0 <= share t <= 1.

        `square` is sum v^2 / s and `cross` v @ y; for the losses that are quadratic in parts they say all.
        """
        return share * (0.5 * share * square + cross)

    def scale(self, square: float, cross: float) -> float:
        """The share for which ``-conjugate`` is largest, where that is known, else 1."""
        return 1.0

    def margins(self, z: Array) -> Array:
        """Where z is a direction in the predictors: no term rises along it if none is < 0, and those > 0 fall for ever.

        Zeros here: a loss with a least value has no such direction.
        """
        return np.zeros(len(z))

    def doubt(self, v: Array, share: float) -> Array:
        """Weights of the samples: 0 where the derivative v has come down to this share of its largest size."""
        return (np.abs(v) > share * self.s).astype(np.float64)

    def above(self, z: Array) -> Array:
        """Curvatures of the quadratic that touches the loss at z and lies nowhere below it, where there is one."""
        raise NotImplementedError

    def balanced(self, v: Array, added: Adding = SERIAL.sum) -> Array:
        """A v near this one that sums to zero, where conjugate is finite: what an unpenalised intercept asks of it.

        `added` makes sums over this rank's samples those over all.
        """
        excess, weight = added(np.array([v.sum(), self.s.sum()]))
        return v - self.s * (excess / weight)  # type: ignore[no-any-return]


class Squared(Loss):
    """1/2 (z - y)^2."""

    kind = 0
    quadratic = True

    def scale(self, square: float, cross: float) -> float:
        return -cross / square if square > 0 else 1.0


class Logistic(Loss):
    """log(1 + exp(-y z)), y = +1 or -1."""

    kind = 1

    def margins(self, z: Array) -> Array:
        """How far each sample is on its label's side."""
        return self.y * z

    def conjugate(self, v: Array, share: float, square: float, cross: float) -> float:
        return self.terms.conjugate(v, share)

    def balanced(self, v: Array, added: Adding = SERIAL.sum) -> Array:
        """The terms of the label that weighs more, scaled down: -y v / s stays within [0, 1]."""
        return _sides_balanced(v, self.y < 0, added)


def _sides_balanced(v: Array, upper: npt.NDArray[np.bool_], added: Adding) -> Array:
    """The terms of the heavier side scaled down so that all sum to zero; v >= 0 on the upper side, <= 0 elsewhere."""
    sums = added(np.array([v[upper].sum(), -v[~upper].sum()]))
    least = min(sums)
    return v * np.where(upper, *(least / x if x > 0 else 0.0 for x in sums))


class Huber(Loss):
    """1/2 (z - y)^2 where \\|z - y\\| <= 1, else \\|z - y\\| - 1/2."""

    kind = 2
    has_above = True

    def above(self, z: Array) -> Array:
        """Of an even loss whose slope over the distance never rises, that quotient (reweighted least squares)."""
        return self.s / np.maximum(1.0, np.abs(z - self.y))

    def balanced(self, v: Array, added: Adding = SERIAL.sum) -> Array:
        """The terms of the sign that weighs more, scaled down: \\|v\\| <= s remains."""
        return _sides_balanced(v, v > 0, added)


class SquaredHinge(Loss):
    """1/2 max(0, 1 - y z)^2, y = +1 or -1."""

    kind = 3
    balanced = Logistic.balanced


class Poisson(Loss):
    """exp(z) - y z, y >= 0: the mean is exp(z)."""

    kind = 4
    nonnegative = False

    def margins(self, z: Array) -> Array:
        """Means of counts that are zero may fall for ever; the others must stay."""
        return np.where(self.y > 0, -np.abs(z), -z)

    def doubt(self, v: Array, share: float) -> Array:
        """All counts but zeros of a mean that has come down to this share of one."""
        return ((self.y > 0) | (v > share * self.s)).astype(np.float64)

    def conjugate(self, v: Array, share: float, square: float, cross: float) -> float:
        return self.terms.conjugate(v, share)

    def balanced(self, v: Array, added: Adding = SERIAL.sum) -> Array:
        """The means, v / s + y, scaled to the sum of the targets."""
        mean = v + self.s * self.y
        wanted, there = added(np.array([self.s @ self.y, mean.sum()]))
        return mean * (wanted / there) - self.s * self.y if there > 0 else v


LOSSES: dict[str, type[Loss]] = {
    "squared": Squared, "logistic": Logistic, "huber": Huber, "squared_hinge": SquaredHinge, "poisson": Poisson,
}  # fmt: skip

#: Losses whose targets are labels of two classes.
TWO_CLASSES = ("logistic", "squared_hinge")
