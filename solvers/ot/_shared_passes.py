"""The passes over a cost of whose rows each rank has some, with the methods of `_kernels.Cost`.

Every rank has all vectors, those of the rows too, and makes each pass over its own rows; then all get the rows' numbers
and the column sums. The vectors are nothing beside the cost, and so every rank can run the same driver on the same
numbers: no method knows of ranks, and whatever it decides is decided on what one process would have seen.

For the column sums to be the bits of one process, they are added up by leaves of rows (see `_ext/ot/blocks.c`). A leaf
that a cut between two ranks goes through is summed by the rank that has its first row, with rows borrowed from the
ranks behind; these sum such rows for no one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.reducer import Reducer, joined, rows_of_all
from ._blocks import LeafSums
from ._cost import Cost
from ._kernels import LEAF_ROWS

Array = npt.NDArray[Any]

#: Costs of rows that may be lent in all (points are few numbers): with more, the ranks' leaves begin at their own rows.
MOST_LENT = 1 << 24
#: Numbers of a plan that a rank tells the others at a time.
AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Piece:
    """Some rows that this rank passes over: its own, or lent to it."""

    kernel: Any
    rows: slice
    #: Whether their column sums count here.
    counted: bool


class SharedPasses:
    """The handle on a cost of which this rank has the rows `own`."""

    def __init__(self, own: Cost, across: Reducer) -> None:
        self.own, self.across = own, across
        self.counts = [int(count) for count in across.gather(own.shape[0])]
        first = sum(self.counts[: across.rank])
        self.mine = slice(first, first + own.shape[0])
        self.shape = (sum(self.counts), own.shape[1])
        self.pieces = self._cut()

    def _cut(self) -> list[Piece]:
        """This rank's rows before its first leaf, those of whole leaves, and those of a leaf that others complete."""
        starts = np.cumsum([0, *self.counts])
        skipped = np.minimum(-starts[:-1] % LEAF_ROWS, self.counts)
        width = self.own.shape[1] if self.own.matrix is not None else 1
        if not skipped.any() or int(skipped.sum()) * width > MOST_LENT:
            return [Piece(self.own.kernel, self.mine, True)]
        head = int(skipped[self.across.rank])
        lent = self.across.gather(_part(self.own, 0, head))
        count, begin, end = self.own.shape[0], self.mine.start, self.mine.stop
        whole = count if end == self.shape[0] else max(head, count - end % LEAF_ROWS)
        pieces = []
        if head:
            pieces.append(Piece(_cost(self.own, _part(self.own, 0, head)).kernel, slice(begin, begin + head), False))
        if whole > head:
            body = _cost(self.own, _part(self.own, head, whole))
            pieces.append(Piece(body.kernel, slice(begin + head, begin + whole), True))
        if whole < count:
            missing = -end % LEAF_ROWS
            parts = [_part(self.own, whole, count), *lent[self.across.rank + 1 :]]
            rows, offset = (None if parts[0][k] is None else np.concatenate([p[k] for p in parts]) for k in (0, 1))
            size = count - whole + missing
            tail = _cost(self.own, (rows[:size], None if offset is None else offset[:size]))  # type: ignore[index]
            pieces.append(Piece(tail.kernel, slice(begin + whole, begin + whole + tail.shape[0]), True))
        return pieces

    # ---- what is made of the pieces -------------------------------------------------------------------

    def _summed(self, v: Array, sweep: Callable[[Piece, Array, Array], Any]) -> LeafSums:
        """The column sums of the pieces; `sweep` passes over one."""
        total = LeafSums(v)
        for piece in self.pieces:
            sweep(piece, total.part, total.part_lost)
            if piece.counted:
                total.add()
        return total

    def _told(self, total: LeafSums, column_sums: Array, *vectors: Array, paid: float = 0.0) -> float:
        """All ranks get the column sums, what is paid, and the rows of these vectors."""
        rows = np.column_stack([vector[self.mine] for vector in vectors])
        sums, lost = np.append(total.sums, paid), np.append(total.lost, 0.0)
        sums, rows = joined(self.across, sums, lost, rows, self.counts)
        column_sums[:] = sums[:-1]
        for vector, values in zip(vectors, rows.T, strict=True):
            vector[:] = values
        return float(sums[-1])

    # ---- the passes -----------------------------------------------------------------------------------

    def sweep(self, scale: float, a: Array, u: Array, v: Array, column_sums: Array, threads: int) -> None:
        def sweep(piece: Piece, sums: Array, lost: Array) -> None:
            piece.kernel.sweep(scale, a[piece.rows], u[piece.rows], v, sums, threads, lost)

        self._told(self._summed(v, sweep), column_sums, u)

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
    ) -> None:
        kept = 0

        def sweep(piece: Piece, sums: Array, lost: Array) -> None:
            nonlocal kept
            piece.kernel.sweep_thinned(
                scale, a[piece.rows], u[piece.rows], v, sums, share, most, values[kept:], columns[kept:],
                counts[piece.rows], threads, lost,
            )  # fmt: skip
            kept += int(counts[piece.rows].sum())

        total = self._summed(v, sweep)
        kept_of = counts.astype(np.float64)
        self._told(total, column_sums, u, kept_of)
        counts[:] = kept_of
        ends = np.concatenate([[0], np.cumsum(counts)])[np.cumsum([0, *self.counts])]
        entries, mine = np.diff(ends), int(ends[self.across.rank + 1] - ends[self.across.rank])
        for array in (values, columns):  # those of borrowed rows lie behind the rank's own
            array[: ends[-1]] = rows_of_all(self.across, array[:mine, None], entries.tolist())[:, 0]

    def marginals(self, scale: float, u: Array, v: Array, row_sums: Array, column_sums: Array, threads: int) -> float:
        paid = 0.0

        def pass_over(piece: Piece, sums: Array, lost: Array) -> None:
            nonlocal paid
            part = piece.kernel.marginals(scale, u[piece.rows], v, row_sums[piece.rows], sums, threads, lost)
            paid += part if piece.counted else 0.0

        total = self._summed(v, pass_over)
        return self._told(total, column_sums, row_sums, paid=paid)

    def plan_rows(self, scale: float, u: Array, v: Array, first: int, last: int, plan: Array, threads: int) -> None:
        """All rows of the plan: first is 0 and last the number of rows."""
        own = plan[self.mine]
        self.own.kernel.plan_rows(scale, u[self.mine], v, 0, len(own), own, threads)
        self._tell_plan(plan)

    def store(
        self, scale: float, a: Array, u: Array, v: Array, plan: Array, x: Array, column_sums: Array, threads: int
    ) -> None:
        def store(piece: Piece, sums: Array, lost: Array) -> None:
            rows = piece.rows
            piece.kernel.store(scale, a[rows], u[rows], v, plan[rows], x[rows], sums, threads, lost)

        self._told(self._summed(v, store), column_sums, u, x)
        self._tell_plan(plan)

    def _tell_plan(self, plan: Array) -> None:
        """All ranks get all rows of the plan."""
        starts, own = np.cumsum([0, *self.counts]), plan[self.mine]
        step = max(1, AT_A_TIME // self.shape[1])
        for begin in range(0, max(self.counts), step):
            counts = [min(max(count - begin, 0), step) for count in self.counts]
            told = rows_of_all(self.across, own[begin : begin + counts[self.across.rank]], counts)
            for start, part in zip(starts, np.split(told, np.cumsum(counts)[:-1]), strict=False):
                plan[start + begin : start + begin + len(part)] = part

    def column_max(self, scale: float, u: Array, out: Array, threads: int) -> None:
        self.own.kernel.column_max(scale, u[self.mine], out, threads)
        out[:] = self.across.max(out)

    def row_max(self, scale: float, v: Array, w: Array, out: Array, product: Array, threads: int) -> None:
        self.own.kernel.row_max(scale, v, w, out[self.mine], product[self.mine], threads)
        rows = np.column_stack([out[self.mine], product[self.mine]])
        out[:], product[:] = rows_of_all(self.across, rows, self.counts).T

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
        total = LeafSums(v)
        mine = self.mine
        paid = self.own.kernel.scale_below(scale, a[mine], u[mine], v, y, x[mine], row_sums[mine], total.part, threads)
        total.add()
        return self._told(total, column_sums, x, row_sums, paid=paid)


@dataclass(frozen=True, eq=False)
class SharedCost(Cost):
    """The cost of all ranks' rows, of which this one has `own`; offset and span are those of all."""

    own: Cost | None = None
    across: Reducer | None = None
    whole_span: float = field(default=0.0)

    def _handle(self) -> Any:
        assert self.own is not None
        assert self.across is not None
        return SharedPasses(self.own, self.across)

    @property
    def capability(self) -> str:
        assert self.own is not None
        return self.own.capability

    @property
    def span(self) -> float:
        return self.whole_span

    @cached_property
    def _row_minima(self) -> Array:
        passes: Any = self.kernel
        return rows_of_all(passes.across, passes.own.row_minima()[:, None], passes.counts)[:, 0]


def _part(cost: Cost, first: int, last: int) -> tuple[Array, Array | None]:
    """Some rows of a cost, or their points, and their offsets."""
    rows = cost.matrix if cost.points is None else cost.points[0]
    assert rows is not None
    return rows[first:last], None if cost.offset is None else cost.offset[first:last]


def _cost(like: Cost, part: tuple[Array, Array | None]) -> Cost:
    """The cost of such rows."""
    rows, offset = part
    given: dict[str, Any] = {"offset": offset, "column_offset": like.column_offset, "forbidden": like.forbidden}
    if like.points is None:
        return Cost(matrix=rows, **given)
    return Cost(points=(rows, *like.points[1:]), **given)
