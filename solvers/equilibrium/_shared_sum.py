"""Means of components that are shared by ranks: each rank has some, and all draw the same of all.

A batch is drawn by every rank from the numbers of all components, which takes no exchange; each evaluates those that it
has, and one reduction adds up their weighted sum. So the steps are those of one process, up to the order of additions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.reducer import Reducer
from . import _kernels
from ._finite_sum import FiniteSum

Array = npt.NDArray[Any]


class SharedSum(FiniteSum):
    """The mean of all ranks' components; `n` is their number, `own` that of this rank's, from `first` on."""

    def __init__(self, given: Any, size: int, across: Reducer):
        super().__init__(given, size)
        self.across = across
        counts = across.gather(self.n)
        self.own, self.first, self.n = self.n, sum(counts[: across.rank]), sum(counts)
        if self.lipschitz is None:
            self._order = np.arange(self.n)
        else:
            self.lipschitz = np.concatenate(across.gather(self.lipschitz))
            self.table = _kernels.AliasTable(self.lipschitz)

    def _here(self, i: Array) -> npt.NDArray[np.bool_]:
        """Which of the drawn components this rank has."""
        return np.asarray((i >= self.first) & (i < self.first + self.own))

    def _difference(self, i: Array, weights: Array, z: Array, w: Array) -> Array:
        here = self._here(i)
        part = super()._difference(i[here] - self.first, weights[here], z, w) if here.any() else np.zeros(self.size)
        return self.across.sum(part)

    def whole(self, z: Array) -> Array:
        """F(z)."""
        whole = getattr(self.given, "whole", None)
        part = self._total(z, self.own) if whole is None else self.own * np.asarray(whole(z))
        return self.across.sum(part) / self.n

    def _looked_at(self, i: Array, near: Array, z: Array, direction: Array) -> tuple[float, Array]:
        square, moved = super()._looked_at(i[self._here(i)] - self.first, near, z, direction)
        both = self.across.sum(np.append(moved, square))
        return float(both[-1]), both[:-1]
