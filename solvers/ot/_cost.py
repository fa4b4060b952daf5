"""The cost of a transport problem: a stored matrix, or points from which the kernels make it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _kernels

Array = npt.NDArray[Any]

#: Exponents (base 2) beyond this want care; the kernels' fast path is exact far beyond it.
HUGE_EXPONENT = 1e9


@dataclass(frozen=True, eq=False)
class Cost:
    """An (n, m) cost with the kernels' handle on it. Exactly one of `matrix` and `points` is given.

    `points` is (x of shape (n, d), y transposed to shape (d, m), metric). `offset` (n,) is what the kernels
    subtract from each row before they form exponents.
    """

    matrix: Array | None = None
    points: tuple[Array, Array, str] | None = None
    offset: Array | None = None
    kernel: _kernels.Cost = field(init=False, repr=False)

    def __post_init__(self) -> None:
        x, y, metric = self.points or (None, None, None)
        kernel = _kernels.Cost(matrix=self.matrix, x=x, y=y, metric=metric, offset=self.offset)
        object.__setattr__(self, "kernel", kernel)

    def __reduce__(self) -> tuple[type[Cost], tuple[Any, ...]]:
        return Cost, (self.matrix, self.points, self.offset)

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
        """The same cost with the offset that it needs, if any.

        A part common to a row and larger than what the costs span must not reach the exponents, since it would
        cost their digits: then the row minima are the offset. Where the exponents `scale` times the span are
        huge the offset (0 for points) also makes the kernels careful; elsewhere they are faster without.
        """
        huge = scale * self.span > HUGE_EXPONENT
        if self.matrix is None:
            return Cost(points=self.points, offset=np.zeros(self.shape[0])) if huge else self
        low = self.matrix.min(axis=1).astype(np.float64)
        return Cost(matrix=self.matrix, offset=low) if huge or np.abs(low).max() > self.span else self

    @cached_property
    def span(self) -> float:
        """An upper bound of max C_ij - min C_ij within rows, in the cost's units."""
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
