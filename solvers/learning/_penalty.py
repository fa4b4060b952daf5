"""Penalties that are sums over the coordinates: l1 and l2 terms with weights, and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from . import _kernels

Array = npt.NDArray[np.float64]

#: The share of the l1 terms that each penalty on single coefficients is made of; None where the user gives it.
SHARES: dict[str, float | None] = {"l1": 1.0, "l2": 0.0, "elastic-net": None, "none": 0.0}


@dataclass(frozen=True, eq=False)
class Separable:
    """sum_j  l1_j |w_j| + 1/2 l2_j w_j^2,  low_j <= w_j <= high_j; low <= 0 <= high."""

    l1: Array
    l2: Array
    low: Array
    high: Array
    #: The capability that a method must have.
    kind: ClassVar[str] = "glm"

    @property
    def is_coercive(self) -> npt.NDArray[np.bool_]:
        """Whether the penalty or the bounds keep each coordinate from growing at no cost."""
        return (self.l1 > 0) | (self.l2 > 0) | (np.isfinite(self.low) & np.isfinite(self.high))

    def terms(self) -> _kernels.SeparableTerms:
        """The penalty as the kernels want it."""
        return _kernels.SeparableTerms(self.l1, self.l2, self.low, self.high)

    def value(self, w: Array) -> float:
        return float(self.l1 @ np.abs(w)) + 0.5 * float((self.l2 * w) @ w)

    def _unbounded(self) -> tuple[Array, Array]:
        """Coordinates whose conjugate is finite only above -l1, or only below l1."""
        plain = self.l2 == 0
        return plain & np.isinf(self.low), plain & np.isinf(self.high)

    def limits(self, u: Array, slack: Array | float = 0.0) -> tuple[float, float]:
        """The t for which the conjugate at t u, known to `slack`, is finite: from the first, <= 0, to the second."""
        return -self._most(-u, slack), self._most(u, slack)

    def _most(self, u: Array, slack: Array | float) -> float:
        below, above = self._unbounded()
        excess = np.maximum(np.where(above, u + slack, 0), np.where(below, slack - u, 0))
        some = excess > 0
        return float(np.min(self.l1[some] / excess[some], initial=np.inf))

    def conjugate(self, u: Array, slack: Array | float = 0.0) -> float:
        """The greatest ``u @ w - value(w)`` within the bounds, for u within `limits`; no less where u has a `slack`."""
        if np.any(slack):
            return float(np.maximum(self._conjugates(u + slack), self._conjugates(u - slack)).sum())
        return float(self._conjugates(u).sum())

    def _conjugates(self, u: Array) -> Array:
        beyond = np.sign(u) * np.maximum(np.abs(u) - self.l1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(self.l2 > 0, beyond / self.l2, np.where(beyond == 0, 0, np.copysign(np.inf, beyond)))
        best = np.clip(best, self.low, self.high)
        best[np.isinf(best)] = 0.0  # what is left there is the rounding of `limits`
        return beyond * best - 0.5 * self.l2 * best * best

    def used(self, w: Array) -> npt.NDArray[np.bool_]:
        """The coordinates that are not zero."""
        return np.asarray(w != 0)

    def may_be_nonzero(self, u: Array, slack: Array | float, margin: float = 0.0) -> npt.NDArray[np.bool_]:
        """The coordinates that are not zero for certain where products with the dual point are within `slack` of u."""
        return np.asarray(np.abs(u) + slack >= (1 - margin) * self.l1)

    def scaled(self, lam: float) -> Separable:
        """lam times the penalty."""
        return Separable(lam * self.l1, lam * self.l2, self.low, self.high)

    def part(self, columns: npt.NDArray[Any]) -> Separable:
        return Separable(self.l1[columns], self.l2[columns], self.low[columns], self.high[columns])
