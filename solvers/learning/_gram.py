"""The Gram matrix of the columns that were worked on so far, which least squares keeps from step to step."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._design import Design

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]


#: A kept matrix is bordered where so many times the columns that join are no more than all.
BORDERED = 3


class GramCache:
    """X' D X of a growing set of columns, in the order in which they came; `limit` is the most bytes it keeps.

    With a `scale`, one over the columns' norms, entries may be wrong by 1e-7 in units of these.
    """

    def __init__(
        self, design: Design, weights: Array | None, limit: float = np.inf, scale: Array | None = None
    ) -> None:
        self.design, self.weights, self.limit, self.scale = design, weights, limit, scale
        #: Where a column is among those that are kept, or -1.
        self._place = np.full(design.width, -1, np.intp)
        self._columns = np.empty(0, np.intp)
        self._kept = np.empty((0, 0))

    def lacking(self, columns: Indices) -> int:
        """How many of these columns are not kept."""
        return int(np.count_nonzero(self._place[columns] < 0))

    def of(self, columns: Indices) -> Array:
        """The Gram matrix of these columns, rising; that of the intercept is among them wherever there is one."""
        if 8.0 * len(columns) ** 2 > self.limit:
            return self._whole(columns)
        new = columns[self._place[columns] < 0]
        if BORDERED * len(new) > len(columns) or 8.0 * (len(new) + len(self._columns)) ** 2 > self.limit:
            self._keep(columns, self._whole(columns))
        elif len(new):
            self._extend(new)
        if np.array_equal(columns, self._columns):
            return self._kept
        places = self._place[columns]
        return np.ascontiguousarray(self._kept[np.ix_(places, places)])

    def _whole(self, columns: Indices) -> Array:
        return self.design.gram(columns, self.weights, None if self.scale is None else self.scale[columns])

    def _keep(self, columns: Indices, gram: Array) -> None:
        self._place[self._columns] = -1
        self._columns, self._kept = columns, gram
        self._place[columns] = np.arange(len(columns))

    def _extend(self, new: Indices) -> None:
        """The kept matrix, bordered by the rows of new features, which come first: the intercept stays the last."""
        design, old = self.design, self._columns
        features = old[old < design.d]
        rows = np.empty((len(new), len(new) + len(old)))
        rows[:, : len(new) + len(features)] = design.border(new, features, self.weights, self.scale)
        if design.ones:
            rows[:, -1] = design.transposed(np.ones(design.n) if self.weights is None else self.weights)[new]
        gram = np.empty((rows.shape[1], rows.shape[1]))
        gram[: len(new)] = rows
        gram[:, : len(new)] = rows.T
        gram[len(new) :, len(new) :] = self._kept
        self._keep(np.concatenate([new, old]), gram)
