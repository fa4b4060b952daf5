"""The transport plan as a linear map that is never stored: its entries are made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._base.validate import real_array
from . import _kernels
from ._cost import Cost

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = npt.NDArray[Any]

#: Rows of the plan are made in blocks of about this many bytes.
BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, eq=False)
class Plan:
    """A transport plan ``P_ij = 2**(u_i + v_j - scale * (C_ij - offset_i))`` of shape (n, m).

    Nothing of size n x m is stored. `dense` makes the matrix (``np.asarray(plan)`` does too), `csr` its large
    entries; the products make each row in cache. Rows and columns of zero weight are exactly zero. The bits of all
    answers are the same for every number of threads.
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

    def blocks(self) -> Iterator[tuple[slice, Array]]:
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
        rows, columns = self.kept()
        for where, block in self.blocks():
            plan[np.ix_(rows[where], columns)] = block
        return plan

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("the plan is made on demand: it cannot be viewed without a copy")
        return self.dense().astype(dtype or np.float64, copy=False)

    def csr(self, threshold: float) -> csr_array:
        """The entries that are at least `threshold`, as a `scipy.sparse.csr_array` of shape (n, m).

        Memory is that of the kept entries and of one block of rows; one pass over the cost.
        """
        from scipy.sparse import csr_array

        threshold = float(threshold)
        if not threshold > 0:
            raise ValueError(f"threshold must be positive, not {threshold!r}; dense() has all entries")
        rows, columns = self.kept()
        counts, blocks = np.zeros(self.shape[0], np.intp), list(self.row_blocks())
        room = blocks[0].stop * self.cost.shape[1]  # the first block is the largest
        buffers = np.empty(room), np.empty(room, np.intc)
        values, places = [], []
        for where in blocks:
            found = np.empty(where.stop - where.start, np.intp)
            self.cost.kernel.large_entries(
                self.scale, self.u, self.v, where.start, where.stop, threshold, *buffers, found, self.threads
            )
            counts[rows[where]] = found
            kept = int(found.sum())
            values.append(buffers[0][:kept].copy())
            places.append(columns[buffers[1][:kept]])
        starts = np.concatenate([[0], np.cumsum(counts)])
        return csr_array((np.concatenate(values), np.concatenate(places), starts), shape=self.shape)

    def argmax(self, axis: int = 1) -> Array:
        """Where each source sends most (axis 1, shape (n,)), or each target gets most from (axis 0, shape (m,)).

        The first such place; -1 for sources and targets of zero weight. Nothing of size n x m is stored.
        """
        if axis not in (-2, -1, 0, 1):
            raise ValueError(f"axis must be 0 or 1, not {axis!r}")
        rows, columns = self.kept()
        best = np.full(self.shape[1 - axis % 2], -1, np.intp)
        top = np.full(len(columns), -1.0)
        for where, block in self.blocks():
            if axis % 2:
                best[rows[where]] = columns[block.argmax(1)]
                continue
            place = block.argmax(0)
            largest = block[place, np.arange(len(columns))]
            better = largest > top
            top[better] = largest[better]
            best[columns[better]] = rows[where.start + place[better]]
        return best

    def matvec(self, x: npt.ArrayLike) -> Array:
        """``P @ x`` for x of shape (m,) or (m, k). Up to 4 vectors share one pass over the cost."""
        x = self.operand(x, self.shape[1])
        rows, columns = self.kept()
        out = np.zeros((self.shape[0], *x.shape[1:]))
        if x.size <= _kernels.PRODUCT_MAX * len(x):
            vectors = np.ascontiguousarray(np.atleast_2d(x[columns].T))
            product = np.empty((len(rows), len(vectors)))
            if len(vectors):
                self.cost.kernel.apply(self.scale, self.u, self.v, vectors, product, self.threads)
            out[rows] = product.reshape(len(rows), *x.shape[1:])
            return out
        for where, block in self.blocks():
            out[rows[where]] = block @ x[columns]
        return out

    def rmatvec(self, x: npt.ArrayLike) -> Array:
        """``P.T @ x`` for x of shape (n,) or (n, k). Up to 4 vectors share one pass over the cost."""
        x = self.operand(x, self.shape[0])
        rows, columns = self.kept()
        out = np.zeros((self.shape[1], *x.shape[1:]))
        if x.size <= _kernels.PRODUCT_MAX * len(x):
            vectors = np.ascontiguousarray(x[rows]).reshape(len(rows), -1)
            product = np.empty((vectors.shape[1], len(columns)))
            if len(product):
                self.cost.kernel.apply_transposed(self.scale, self.u, self.v, vectors, product, self.threads)
            out[columns] = product.T.reshape(len(columns), *x.shape[1:])
            return out
        for where, block in self.blocks():
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

    def kept(self) -> tuple[Array, Array]:
        """The rows and the columns of positive weight."""
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
        x = real_array(x, "the operand")
        if x.ndim not in (1, 2) or x.shape[0] != length:
            raise ValueError(f"expected shape ({length},) or ({length}, k), not {x.shape}")
        return x


def _spread(values: Array, kept: Array | None, size: int) -> Array:
    if kept is None:
        return values
    full = np.zeros(size)
    full[kept] = values
    return full
