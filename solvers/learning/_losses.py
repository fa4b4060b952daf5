"""Losses of generalised linear models, as sums over the samples.

A loss knows its value, its first and second derivative in the linear predictor z, and its convex conjugate, from
which the dual bound comes. `s` are the weights of the samples, positive.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit, xlogy

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Loss(ABC):
    """A convex loss of the predictor z, given the targets y and the weights s of the samples."""

    y: Array
    s: Array
    #: Whether the second derivative does not depend on z.
    quadratic: ClassVar[bool] = False
    #: The largest second derivative of a term of weight 1; None where there is none.
    curvature: ClassVar[float | None] = 1.0
    #: Whether a sample has several predictors, so that the second derivative is a matrix.
    coupled: ClassVar[bool] = False

    @abstractmethod
    def value(self, z: Array) -> float: ...
    @abstractmethod
    def derivative(self, z: Array) -> Array: ...
    @abstractmethod
    def second(self, z: Array) -> Array: ...

    @abstractmethod
    def conjugate(self, v: Array) -> float:
        """The greatest ``v @ z - value(z)`` over z, for v = t derivative(z), 0 <= t <= 1."""

    def scale(self, v: Array) -> float:
        """The t for which ``-conjugate(t v)`` is largest, where that is known, else 1."""
        return 1.0

    def balanced(self, v: Array) -> Array:
        """A v near this one that sums to zero, where conjugate is finite: what an unpenalised intercept asks of it."""
        return v - self.s * (v.sum() / self.s.sum())  # type: ignore[no-any-return]


class Squared(Loss):
    """1/2 (z - y)^2."""

    quadratic = True

    def value(self, z: Array) -> float:
        r = z - self.y
        return 0.5 * float((self.s * r) @ r)

    def derivative(self, z: Array) -> Array:
        return self.s * (z - self.y)

    def second(self, z: Array) -> Array:
        return self.s

    def conjugate(self, v: Array) -> float:
        return 0.5 * float((v / self.s) @ v) + float(v @ self.y)

    def scale(self, v: Array) -> float:
        square = float((v / self.s) @ v)
        return -float(v @ self.y) / square if square > 0 else 1.0


class Logistic(Loss):
    """log(1 + exp(-y z)), y = +1 or -1."""

    curvature = 0.25

    def value(self, z: Array) -> float:
        margin = self.y * z
        return float(self.s @ (np.log1p(np.exp(-np.abs(margin))) + np.maximum(-margin, 0)))

    def derivative(self, z: Array) -> Array:
        return -self.s * self.y * expit(-self.y * z)  # type: ignore[no-any-return]

    def second(self, z: Array) -> Array:
        e = np.exp(-np.abs(z))
        return self.s * e / (1 + e) ** 2  # type: ignore[no-any-return]

    def conjugate(self, v: Array) -> float:
        u = -self.y * v / self.s
        return float(self.s @ (xlogy(u, u) + xlogy(1 - u, 1 - u)))

    def balanced(self, v: Array) -> Array:
        """The terms of the label that weighs more, scaled down: -y v / s stays within [0, 1]."""
        positive = self.y > 0
        sums = -v[positive].sum(), v[~positive].sum()
        least = min(sums)
        factors = [least / x if x > 0 else 0.0 for x in sums]
        return v * np.where(positive, *factors)


class Huber(Loss):
    """1/2 (z - y)^2 where \\|z - y\\| <= 1, else \\|z - y\\| - 1/2."""

    def value(self, z: Array) -> float:
        r = np.abs(z - self.y)
        return float(self.s @ np.where(r <= 1, 0.5 * r * r, r - 0.5))

    def derivative(self, z: Array) -> Array:
        return self.s * np.clip(z - self.y, -1, 1)

    def second(self, z: Array) -> Array:
        return self.s * (np.abs(z - self.y) <= 1)

    def conjugate(self, v: Array) -> float:
        u = v / self.s
        return 0.5 * float(v @ u) + float(v @ self.y) if np.abs(u).max(initial=0) <= 1 else np.inf


class SquaredHinge(Loss):
    """1/2 max(0, 1 - y z)^2, y = +1 or -1."""

    def value(self, z: Array) -> float:
        short = np.maximum(1 - self.y * z, 0)
        return 0.5 * float((self.s * short) @ short)

    def derivative(self, z: Array) -> Array:
        return -self.s * self.y * np.maximum(1 - self.y * z, 0)

    def second(self, z: Array) -> Array:
        return self.s * (self.y * z < 1)

    def conjugate(self, v: Array) -> float:
        u = -self.y * v / self.s
        return float(self.s @ (0.5 * u * u - u))

    balanced = Logistic.balanced


class Poisson(Loss):
    """exp(z) - y z, y >= 0: the mean is exp(z)."""

    curvature = None

    def value(self, z: Array) -> float:
        with np.errstate(over="ignore"):
            return float(self.s @ (np.exp(z) - self.y * z))

    def derivative(self, z: Array) -> Array:
        return self.s * (np.exp(z) - self.y)

    def second(self, z: Array) -> Array:
        return self.s * np.exp(z)

    def conjugate(self, v: Array) -> float:
        mean = np.maximum(v / self.s + self.y, 0)
        return float(self.s @ (xlogy(mean, mean) - mean))

    def balanced(self, v: Array) -> Array:
        """The means, v / s + y, scaled to the sum of the targets."""
        mean = v + self.s * self.y
        return mean * (float(self.s @ self.y) / mean.sum()) - self.s * self.y if mean.sum() > 0 else v


LOSSES: dict[str, type[Loss]] = {
    "squared": Squared, "logistic": Logistic, "huber": Huber, "squared_hinge": SquaredHinge, "poisson": Poisson,
}  # fmt: skip

#: Losses whose targets are labels of two classes.
TWO_CLASSES = ("logistic", "squared_hinge")
