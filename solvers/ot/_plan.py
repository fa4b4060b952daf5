"""The transport plan as a linear map that is never stored: its entries are made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._cost import Cost

Array = npt.NDArray[Any]

#: Rows of the plan are made in blocks of about this many bytes.
BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, eq=False)
class Plan:
    """A transport plan ``P_ij = 2**(u_i + v_j - scale * (C_ij - offset_i))`` of shape (n, m).

    Nothing of size n x m is stored. `dense` makes the matrix (``np.asarray(plan)`` does too); the products
    work through blocks of rows. Rows and columns of zero weight are exactly zero.
    """

    cost: Cost
    scale: float
    u: Array
    v: Array
    #: Where the rows and columns of `cost` lie among those of the plan; None means all.
    kept_rows: Array | None
    kept_columns: Array | None
    shape: tuple[int, int]
    threads: int

    def __repr__(self) -> str:
        return f"<transport plan of shape {self.shape}, made on demand>"

    def row_blocks(self) -> Iterator[slice]:
        """The rows of positive weight in blocks of about BLOCK_BYTES."""
        n, m = self.cost.shape
        size = max(1, BLOCK_BYTES // (8 * m))
        return (slice(first, min(first + size, n)) for first in range(0, n, size))

    def _blocks(self) -> Iterator[tuple[slice, Array]]:
        """The entries of the rows of positive weight, block by block; the array is used again for the next block."""
        buffer = np.empty(0)
        for rows in self.row_blocks():
            buffer = buffer if len(buffer) else np.empty((rows.stop, self.cost.shape[1]))
            block = buffer[: rows.stop - rows.start]
            self.cost.kernel.plan_rows(self.scale, self.u, self.v, rows.start, rows.stop, block, self.threads)
            yield rows, block

    def dense(self) -> Array:
        """The plan as an (n, m) float64 array."""
        if self.kept_rows is None and self.kept_columns is None:
            plan = np.empty(self.shape)
            self.cost.kernel.plan_rows(self.scale, self.u, self.v, 0, self.shape[0], plan, self.threads)
            return plan
        plan = np.zeros(self.shape)
        rows, columns = self._kept()
        for where, block in self._blocks():
            plan[np.ix_(rows[where], columns)] = block
        return plan

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("the plan is made on demand: it cannot be viewed without a copy")
        return self.dense().astype(dtype or np.float64, copy=False)

    def matvec(self, x: npt.ArrayLike) -> Array:
        """``P @ x`` for x of shape (m,) or (m, k)."""
        x = self.operand(x, self.shape[1])
        rows, columns = self._kept()
        out = np.zeros((self.shape[0], *x.shape[1:]))
        for where, block in self._blocks():
            out[rows[where]] = block @ x[columns]
        return out

    def rmatvec(self, x: npt.ArrayLike) -> Array:
        """``P.T @ x`` for x of shape (n,) or (n, k)."""
        x = self.operand(x, self.shape[0])
        rows, columns = self._kept()
        out = np.zeros((self.shape[1], *x.shape[1:]))
        for where, block in self._blocks():
            out[columns] += block.T @ x[rows[where]]
        return out

    def barycentric(self, y: npt.ArrayLike) -> Array:
        """Where each source goes on average: ``(P @ y)_i / sum_j P_ij`` for targets y of shape (m, d).

        NaN for sources of zero weight, which go nowhere.
        """
        y = self.operand(y, self.shape[1])
        with np.errstate(invalid="ignore"):
            return (self.matvec(y).T / self.marginals()[0]).T

    def marginals(self) -> tuple[Array, Array]:
        """Row sums (n,) and column sums (m,)."""
        row_sums, column_sums, _ = self.sums()
        return self.spread_rows(row_sums), self.spread_columns(column_sums)

    def sums(self) -> tuple[Array, Array, float]:
        """Over the rows and columns of positive weight: row sums, column sums, sum_ij (C_ij - offset_i) P_ij."""
        row_sums, column_sums = np.empty(len(self.u)), np.empty(len(self.v))
        paid = self.cost.kernel.marginals(self.scale, self.u, self.v, row_sums, column_sums, self.threads)
        return row_sums, column_sums, paid

    def _kept(self) -> tuple[Array, Array]:
        n, m = self.shape
        rows = np.arange(n) if self.kept_rows is None else self.kept_rows
        columns = np.arange(m) if self.kept_columns is None else self.kept_columns
        return rows, columns

    def spread_rows(self, values: Array) -> Array:
        """Values of the rows of positive weight among all (n,), 0 elsewhere."""
        return _spread(values, self.kept_rows, self.shape[0])

    def spread_columns(self, values: Array) -> Array:
        """Values of the columns of positive weight among all (m,), 0 elsewhere."""
        return _spread(values, self.kept_columns, self.shape[1])

    @staticmethod
    def operand(x: npt.ArrayLike, length: int) -> Array:
        """A checked right-hand side."""
        x = np.asarray(x, np.float64)
        if x.ndim not in (1, 2) or x.shape[0] != length:
            raise ValueError(f"expected shape ({length},) or ({length}, k), not {x.shape}")
        return x


def _spread(values: Array, kept: Array | None, size: int) -> Array:
    if kept is None:
        return values
    full = np.zeros(size)
    full[kept] = values
    return full
