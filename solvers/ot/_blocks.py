"""A cost that a Python function makes, a block of rows at a time: the passes of the compiled `Cost`, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.reducer import add_pair, rounded_pair
from .._base.validate import check_finite, real_array
from . import _kernels

Array = npt.NDArray[Any]
#: (rows, d) points and all (m, d) targets to the (rows, m) costs between them.
BlockFunction = Callable[[Array, Array], npt.ArrayLike]

#: Blocks of the cost take about this many bytes.
BLOCK_BYTES = 4 << 20


class BlockCost:
    """The handle on a cost `function(x[rows], y)`, with the methods of `_kernels.Cost`.

    A pass calls the function once for each block of rows and runs the compiled pass on the block; memory is that
    of one block. The blocks depend on m alone, so every number of threads gives the same bits.
    """

    def __init__(
        self,
        function: BlockFunction,
        x: Array,
        y: Array,
        offset: Array | None,
        column_offset: Array | None,
        forbidden: float | None,
    ) -> None:
        self.function, self.x, self.y = function, _locked(x), _locked(y)
        self.offset, self.column_offset, self.forbidden = offset, column_offset, forbidden
        self.shape = (len(x), len(y))

    def evaluated(self, rows: slice) -> Array:
        """The costs of some rows, checked."""
        name = f"metric(X[{rows.start}:{rows.stop}], Y)"
        block = np.ascontiguousarray(real_array(self.function(self.x[rows], self.y), name, keep_float32=True))
        if block.shape != (rows.stop - rows.start, self.shape[1]):
            raise ValueError(f"{name} has shape {block.shape}, not {(rows.stop - rows.start, self.shape[1])}")
        return checked_costs(block, name, self.forbidden)

    def row_blocks(self, first: int = 0, last: int | None = None) -> Iterator[slice]:
        """The rows [first, last) in blocks of about BLOCK_BYTES."""
        size, last = _leaves(BLOCK_BYTES // (8 * self.shape[1])), self.shape[0] if last is None else last
        return (slice(start, min(start + size, last)) for start in range(first, last, size))

    def _parts(self, first: int = 0, last: int | None = None) -> Iterator[tuple[slice, _kernels.Cost]]:
        for rows in self.row_blocks(first, last):
            offset = None if self.offset is None else self.offset[rows]
            yield rows, _kernels.Cost(matrix=self.evaluated(rows), offset=offset, column_offset=self.column_offset)

    def sweep(
        self, scale: float, a: Array, u: Array, v: Array, column_sums: Array, threads: int, rest: Array | None = None
    ) -> None:
        total = LeafSums(v)
        for rows, part in self._parts():
            part.sweep(scale, a[rows], u[rows], v, total.part, threads, total.part_lost)
            total.add()
        total.hand_out(column_sums, rest)

    def sweep_thinned(
        self,
        scale: float,
        a: Array,
        u: Array,
        v: Array,
        column_sums: Array,
        share: float,
        most: int,
        values: Array,
        columns: Array,
        counts: Array,
        threads: int,
        rest: Array | None = None,
    ) -> None:
        total, kept = LeafSums(v), 0
        for rows, part in self._parts():
            part.sweep_thinned(
                scale, a[rows], u[rows], v, total.part, share, most, values[kept:], columns[kept:], counts[rows],
                threads, total.part_lost,
            )  # fmt: skip
            total.add()
            kept += int(counts[rows].sum())
        total.hand_out(column_sums, rest)

    def damped_sweep(
        self,
        scale: float,
        base: Array,
        damping: float,
        u: Array,
        v: Array,
        q: Array,
        column_sums: Array,
        threads: int,
    ) -> None:
        part_sums, total = np.empty_like(v), np.zeros_like(v)
        for rows, part in self._parts():
            part.damped_sweep(scale, base[rows], damping, u[rows], v, q[rows], part_sums, threads)
            total += part_sums
        column_sums[:] = total

    def marginals(
        self,
        scale: float,
        u: Array,
        v: Array,
        row_sums: Array,
        column_sums: Array,
        threads: int,
        rest: Array | None = None,
    ) -> float:
        total, paid = LeafSums(v), 0.0
        for rows, part in self._parts():
            paid += part.marginals(scale, u[rows], v, row_sums[rows], total.part, threads, total.part_lost)
            total.add()
        total.hand_out(column_sums, rest)
        return paid

    def plan_rows(self, scale: float, u: Array, v: Array, first: int, last: int, plan: Array, threads: int) -> None:
        for rows, part in self._parts(first, last):
            count, place = rows.stop - rows.start, rows.start - first
            part.plan_rows(scale, u[rows], v, 0, count, plan[place : place + count], threads)

    def store(
        self,
        scale: float,
        a: Array,
        u: Array,
        v: Array,
        plan: Array,
        x: Array,
        column_sums: Array,
        threads: int,
        rest: Array | None = None,
    ) -> None:
        total = LeafSums(v)
        for rows, part in self._parts():
            part.store(scale, a[rows], u[rows], v, plan[rows], x[rows], total.part, threads, total.part_lost)
            total.add()
        total.hand_out(column_sums, rest)

    def large_entries(
        self,
        scale: float,
        u: Array,
        v: Array,
        first: int,
        last: int,
        threshold: float,
        values: Array,
        columns: Array,
        counts: Array,
        threads: int,
    ) -> None:
        kept = 0
        for rows, part in self._parts(first, last):
            count, found = rows.stop - rows.start, counts[rows.start - first : rows.stop - first]
            part.large_entries(scale, u[rows], v, 0, count, threshold, values[kept:], columns[kept:], found, threads)
            kept += int(found.sum())

    def column_max(self, scale: float, u: Array, out: Array, threads: int) -> None:
        part_max, top = np.empty_like(out), np.full_like(out, -np.inf)
        for rows, part in self._parts():
            part.column_max(scale, u[rows], part_max, threads)
            np.maximum(top, part_max, out=top)
        out[:] = top

    def row_max(self, scale: float, v: Array, w: Array, out: Array, product: Array, threads: int) -> None:
        for rows, part in self._parts():
            part.row_max(scale, v, w, out[rows], product[rows], threads)

    def scale_below(
        self,
        scale: float,
        a: Array,
        u: Array,
        v: Array,
        y: Array,
        x: Array,
        row_sums: Array,
        column_sums: Array,
        threads: int,
    ) -> float:
        part_sums, total, paid = np.empty_like(v), np.zeros_like(v), 0.0
        for rows, part in self._parts():
            paid += part.scale_below(scale, a[rows], u[rows], v, y, x[rows], row_sums[rows], part_sums, threads)
            total += part_sums
        column_sums[:] = total
        return paid

    def apply(self, scale: float, u: Array, v: Array, x: Array, out: Array, threads: int) -> None:
        for rows, part in self._parts():
            part.apply(scale, u[rows], v, x, out[rows], threads)

    def apply_transposed(self, scale: float, u: Array, v: Array, x: Array, out: Array, threads: int) -> None:
        part_out, total = np.empty_like(out), np.zeros_like(out)
        for rows, part in self._parts():
            part.apply_transposed(scale, u[rows], v, x[rows], part_out, threads)
            total += part_out
        out[:] = total


class LeafSums:
    """Column sums of several parts of the rows, each with what its rounding lost; see `_ext/ot/blocks.c`."""

    def __init__(self, like: Array) -> None:
        self.part, self.part_lost = np.empty_like(like), np.zeros_like(like)  # of a pass that tells no rest: nothing
        self.sums, self.lost = np.zeros_like(like), np.zeros_like(like)

    def add(self) -> None:
        """Adds what lies in `part` and `part_lost`."""
        add_pair(self.sums, self.lost, self.part, self.part_lost)

    def hand_out(self, column_sums: Array, rest: Array | None = None) -> None:
        column_sums[:] = rounded_pair(self.sums, self.lost)
        if rest is not None:
            rest[:] = (self.sums - column_sums) + self.lost


def _leaves(rows: int) -> int:
    """The most rows, not above that many, that end where leaves of column sums do, or are a part of one."""
    leaf = _kernels.LEAF_ROWS
    return rows // leaf * leaf if rows >= leaf else 1 << max(rows, 1).bit_length() - 1


def checked_costs(costs: Array, name: str, forbidden: float | None) -> Array:
    """Finite costs; where arcs may be forbidden, `forbidden` in place of +inf (in a float64 copy if there are any)."""
    if forbidden is None or np.isfinite(costs).all():
        check_finite(costs, name)
        return costs
    infinite = costs == np.inf
    costs = np.where(infinite, 0.0, costs).astype(np.float64, copy=False)
    check_finite(costs, name)
    largest = float(np.abs(costs).max())
    if not largest < 1e-6 * forbidden:
        raise ValueError(f"{name} is too large beside infinite costs, in units of reg: it reaches {largest:g}")
    costs[infinite] = forbidden
    return costs


def _locked(array: Array) -> Array:
    """A view that a user's function cannot write to."""
    view = array.view()
    view.flags.writeable = False
    return view
