"""The cost of a transport problem: a stored matrix, or points from which the kernels make it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _kernels

Array = npt.NDArray[Any]

#: Exponents (base 2) beyond this want care; the kernels' fast path is exact far beyond it.
HUGE_EXPONENT = 1e9
#: Exponents beyond this lose enough digits (1e-12 of a plan) to look for what the columns have in common.
LARGE_EXPONENT = 1e4


@dataclass(frozen=True, eq=False)
class Cost:
    """An (n, m) cost with the kernels' handle on it. Exactly one of `matrix` and `points` is given.

    `points` is (x of shape (n, d), y transposed to shape (d, m), metric). `offset` (n,) and `column_offset` (m,) are
    what the kernels subtract from each row and column before they form exponents.
    """

    matrix: Array | None = None
    points: tuple[Array, Array, str] | None = None
    offset: Array | None = None
    column_offset: Array | None = None
    kernel: _kernels.Cost = field(init=False, repr=False)

    def __post_init__(self) -> None:
        x, y, metric = self.points or (None, None, None)
        kernel = _kernels.Cost(
            matrix=self.matrix, x=x, y=y, metric=metric, offset=self.offset, column_offset=self.column_offset
        )
        object.__setattr__(self, "kernel", kernel)

    def __reduce__(self) -> tuple[type[Cost], tuple[Any, ...]]:
        return Cost, (self.matrix, self.points, self.offset, self.column_offset)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self.kernel.shape

    def restricted(self, rows: Array, columns: Array) -> Cost:
        """The cost between some rows and columns; copies that part."""
        if self.matrix is not None:
            return Cost(matrix=self.matrix[np.ix_(rows, columns)])
        assert self.points is not None
        x, y, metric = self.points
        return Cost(points=(np.ascontiguousarray(x[rows]), np.ascontiguousarray(y[:, columns]), metric))

    def with_offset(self, scale: float) -> Cost:
        """The same cost with the offsets that it needs, if any.

        A part common to a row or a column and larger than what the costs span without it must not reach the exponents,
        since it would cost their digits. Where the exponents `scale` times the span are huge an offset (0 for
        points) also makes the kernels careful; elsewhere they are faster without.
        """
        if scale * self.span > LARGE_EXPONENT:
            # Two passes over C, little beside a solve with such exponents.
            low = self._row_minima()
            columns = replace(self, offset=low)._column_minima()
            reduced = replace(self, offset=low, column_offset=columns)
            if columns.max() > reduced.span or (self.matrix is None and low.max() > reduced.span):
                return reduced
        huge = scale * self.span > HUGE_EXPONENT
        if self.matrix is None:
            return replace(self, offset=np.zeros(self.shape[0])) if huge else self
        low = self._row_minima()
        return replace(self, offset=low) if huge or np.abs(low).max() > self.span else self

    def offset_part(self, row_sums: Array, column_sums: Array) -> float:
        """What the offsets contribute to the cost of a plan with these sums."""
        rows = 0.0 if self.offset is None else float(self.offset @ row_sums)
        return rows + (0.0 if self.column_offset is None else float(self.column_offset @ column_sums))

    @cached_property
    def span(self) -> float:
        """An upper bound of max C_ij - min C_ij within rows, without the offsets, in the cost's units."""
        if self.column_offset is not None:
            return float(self._row_extreme(-1.0).max())
        if self.matrix is not None:
            low = self.matrix.min(axis=1) if self.offset is None else self.offset
            with np.errstate(over="ignore"):
                return float((self.matrix.max(axis=1) - low).max())
        assert self.points is not None
        x, y, metric = self.points
        with np.errstate(over="ignore"):
            widths = np.maximum(x.max(axis=0), y.max(axis=1)) - np.minimum(x.min(axis=0), y.min(axis=1))
            by_metric = {"sqeuclidean": (widths**2).sum(), "cityblock": widths.sum()}
            return float(by_metric.get(metric, np.sqrt((widths**2).sum())))

    def _row_minima(self) -> Array:
        if self.matrix is not None:
            low: Array = self.matrix.min(axis=1).astype(np.float64)
            return low
        return -self._row_extreme(1.0)

    def _row_extreme(self, scale: float) -> Array:
        """max_j -scale C_ij, without the offsets."""
        n, m = self.shape
        out, zeros = np.empty(n), np.zeros(m)
        self.kernel.row_max(scale, zeros, zeros, out, np.empty(n), 1)
        return out

    def _column_minima(self) -> Array:
        n, m = self.shape
        out = np.empty(m)
        self.kernel.column_max(1.0, np.zeros(n), out, 1)
        return -out
