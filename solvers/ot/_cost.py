"""The cost of a transport problem: a stored matrix, or points from which the kernels or a function make it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.reducer import SERIAL, Reducer, largest
from .._base.validate import positive
from . import _kernels
from ._blocks import BlockCost, BlockFunction

Array = npt.NDArray[Any]

#: Exponents (base 2) beyond this want care; the kernels' fast path is exact far beyond it.
HUGE_EXPONENT = 1e9
#: Exponents beyond this lose enough digits (1e-12 of a plan) to look for what the columns have in common.
LARGE_EXPONENT = 1e4


#: The name of a metric of the kernels, ("minkowski", p), or a function that makes blocks of the cost.
Metric = str | tuple[str, float] | BlockFunction


@dataclass(frozen=True, eq=False)
class Cost:
    """An (n, m) cost with the kernels' handle on it. Exactly one of `matrix` and `points` is given.

    `points` is (x of shape (n, d), y transposed to shape (d, m), metric). `offset` (n,) and `column_offset` (m,) are
    what the kernels subtract from each row and column before they form exponents. Where arcs are forbidden,
    `forbidden` stands for their infinite cost: finite, so that it times 0 is 0, and beyond all exponents.
    """

    matrix: Array | None = None
    points: tuple[Array, Array, Metric] | None = None
    offset: Array | None = None
    column_offset: Array | None = None
    forbidden: float | None = None
    #: The metric that was asked for, where `points` are not the user's.
    asked: str | None = None
    kernel: _kernels.Cost | BlockCost = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", self._handle())

    def _handle(self) -> _kernels.Cost | BlockCost:
        offsets = self.offset, self.column_offset
        if self.points is None:
            return _kernels.Cost(matrix=self.matrix, offset=offsets[0], column_offset=offsets[1])
        x, y, metric = self.points
        if callable(metric):
            return BlockCost(metric, x, np.ascontiguousarray(y.T), *offsets, self.forbidden)
        name, p = metric if isinstance(metric, tuple) else (metric, 2.0)
        return _kernels.Cost(x=x, y=y, metric=name, p=p, offset=offsets[0], column_offset=offsets[1])

    def __reduce__(self) -> tuple[type[Cost], tuple[Any, ...]]:
        return Cost, (self.matrix, self.points, self.offset, self.column_offset, self.forbidden, self.asked)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self.kernel.shape

    @property
    def capability(self) -> str:
        """What a method must be able to do with this cost."""
        if self.matrix is not None:
            return "dense-cost"
        return "block-cost" if isinstance(self.kernel, BlockCost) else "point-cloud"

    def restricted(self, rows: Array, columns: Array) -> Cost:
        """The cost between some rows and columns; copies that part."""
        if self.matrix is not None:
            return Cost(matrix=self.matrix[np.ix_(rows, columns)], forbidden=self.forbidden)
        assert self.points is not None
        x, y, metric = self.points
        part = np.ascontiguousarray(x[rows]), np.ascontiguousarray(y[:, columns]), metric
        return Cost(points=part, forbidden=self.forbidden)

    def with_offset(self, scale: float, across: Reducer = SERIAL) -> Cost:
        """The same cost with the offsets that it needs, if any.

        A part common to a row or a column and larger than what the costs span without it must not reach the exponents,
        since it would cost their digits. Where the exponents `scale` times the span are huge an offset (0 for
        points) also makes the kernels careful; elsewhere they are faster without. Where ranks share the rows, `across`
        sees to it that all have the same offsets of columns.
        """
        span = self.span_of_all(across)
        if scale * span > LARGE_EXPONENT and self.forbidden is None:
            # Two passes over C, little beside a solve with such exponents.
            low = self.row_minima()
            columns = -across.max(-replace(self, offset=low)._column_minima())
            reduced = replace(self, offset=low, column_offset=columns)
            left = reduced.span_of_all(across)
            if columns.max() > left or (self.capability == "point-cloud" and largest(across, low.max()) > left):
                return reduced
        huge = scale * span > HUGE_EXPONENT or self.forbidden is not None
        if self.capability == "point-cloud":
            return replace(self, offset=np.zeros(self.shape[0])) if huge else self
        low = self.row_minima()
        return replace(self, offset=low) if huge or largest(across, np.abs(low).max()) > span else self

    def offset_part(self, row_sums: Array, column_sums: Array) -> float:
        """What the offsets contribute to the cost of a plan with these sums."""
        rows = 0.0 if self.offset is None else float(self.offset @ row_sums)
        return rows + (0.0 if self.column_offset is None else float(self.column_offset @ column_sums))

    @cached_property
    def span(self) -> float:
        """An upper bound of max C_ij - min C_ij within rows, without the offsets, in the cost's units."""
        with np.errstate(over="ignore"):
            if self.forbidden is not None:
                return self._span_of_allowed(self.forbidden)
            if self.column_offset is not None:
                return float(self._row_extreme(-1.0).max())
            if self.matrix is not None:
                low = self.row_minima() if self.offset is None else self.offset
                return float((self._row_range[1] - low).max())
            assert self.points is not None
            if isinstance(self.kernel, BlockCost):
                return float((self._row_extreme(-1.0) + self._row_extreme(1.0)).max())
            return _kernels.cloud_span(self.kernel)

    def span_of_all(self, across: Reducer) -> float:
        """The span where ranks share the rows: that of all, to the bits that one process finds."""
        if across.size > 1 and self.capability == "point-cloud" and self.column_offset is None:
            x, y, metric = self.points  # type: ignore[misc]
            box = across.max(np.array([-x.min(axis=0), x.max(axis=0)])) * [[-1.0], [1.0]]
            return Cost(points=(box, y, metric)).span
        return largest(across, self.span)

    def _span_of_allowed(self, forbidden: float) -> float:
        span = 0.0
        for block in [self.matrix] if self.matrix is not None else self._evaluated():
            allowed = block < forbidden
            high = block.max(axis=1, where=allowed, initial=-np.inf) - block.min(axis=1)
            span = max(span, float(high.max()))
        return span

    def _evaluated(self) -> Iterator[Array]:
        assert isinstance(self.kernel, BlockCost)
        return map(self.kernel.evaluated, self.kernel.row_blocks())

    def unreachable(self) -> tuple[Array, Array]:
        """The rows and the columns in which every arc is forbidden."""
        if self.forbidden is None:
            return np.empty(0, np.intp), np.empty(0, np.intp)
        rows, columns = self.row_minima() >= self.forbidden, self._column_minima() >= self.forbidden
        return np.flatnonzero(rows), np.flatnonzero(columns)

    def row_minima(self) -> Array:
        """min_j C_ij, (n,)."""
        return self._row_minima

    @cached_property
    def _row_minima(self) -> Array:
        return self._row_range[0] if self.matrix is not None else -self._row_extreme(1.0)

    @property
    def finite(self) -> bool:
        """Whether all entries of the matrix are."""
        return self._row_range[2]

    @cached_property
    def _row_range(self) -> tuple[Array, Array, bool]:
        """The least and the largest entry of each row of the matrix, and whether all are finite: of one read."""
        assert isinstance(self.kernel, _kernels.Cost)
        return self.kernel.row_range()

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


def sample_cost(x: Array, y: Array, metric: str | BlockFunction, p: float | None, forbidden: float | None) -> Cost:
    """The cost between two point clouds, x (n, d) and y (m, d), in the metric of a user's call."""
    if p is not None and metric != "minkowski":
        raise ValueError(f"p belongs to the metric 'minkowski', not to {metric!r}")
    if callable(metric):
        return Cost(points=(x, np.ascontiguousarray(y.T), metric), forbidden=forbidden)
    known: Metric = metric
    if metric == "cosine":
        # 1 - cos is half the squared distance of the directions, which loses no digits where they are close
        x, y, known = _directions(x, "X"), _directions(y, "Y"), "sqeuclidean"
    elif metric == "minkowski":
        known = _minkowski(2.0 if p is None else p)
    elif metric not in _kernels.METRICS:
        names = ", ".join(sorted({*_kernels.METRICS, "cosine"}))
        raise ValueError(f"metric must be one of {names} or a function of blocks, not {metric!r}")
    asked = metric if metric == "cosine" else None
    return Cost(points=(np.ascontiguousarray(x), np.ascontiguousarray(y.T), known), asked=asked)


def _minkowski(p: float) -> str | tuple[str, float]:
    """The metric of exponent p, by a faster name where it has one."""
    if p == np.inf:
        return "chebyshev"
    p = positive(p, "p")
    return {1.0: "cityblock", 2.0: "euclidean"}.get(p, ("minkowski", p))


def _directions(points: Array, name: str) -> Array:
    """The points scaled to length sqrt(1/2)."""
    directions, zero = _kernels.directions(np.ascontiguousarray(points))
    if zero < len(points):
        raise ValueError(f"the cosine of a zero vector is not defined; {name}[{zero}] is zero")
    return directions
