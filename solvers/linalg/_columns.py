"""Several right-hand sides: what goes in for all, and one result of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.result import Status
from .._base.validate import real_array
from ._problem import LinearResult, Matrix

Array = npt.NDArray[Any]

#: Numbers that are transposed at a time. Column by column each of a long matrix's cache lines would be fetched anew for
#: every number in it, which takes as long as half of a solve on a grid.
BLOCK = 2**16
#: Columns that are copied at a time.
TOGETHER = 16


def each(b: Array) -> Iterator[Array]:
    """The columns of b, each contiguous."""
    if b.flags.f_contiguous:
        yield from b.T
        return
    for first in range(0, b.shape[1], TOGETHER):
        some = b[:, first : first + TOGETHER]
        columns = np.empty(some.shape[::-1], b.dtype)
        for rows in _blocks(*some.shape):
            columns[:, rows] = some[rows].T
        yield from columns


def _joined(columns: Sequence[Array]) -> Array:
    """The matrix of these columns."""
    x = np.empty((len(columns[0]), len(columns)), np.result_type(*{column.dtype for column in columns}))
    for rows in _blocks(*x.shape):
        np.stack([column[rows] for column in columns], axis=1, out=x[rows])
    return x


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """Ranges of rows."""
    length = max(BLOCK // max(columns, 1), 16)
    return (slice(first, first + length) for first in range(0, rows, length))


def check_starts(A: Matrix, b: Array, x0: npt.ArrayLike | None) -> Array | None:
    """x0 of the shape of b, whose rows are those of A."""
    if len(b) != A.size:
        raise ValueError(f"b must have {A.size} rows, as A has, not shape {b.shape}")
    starts = None if x0 is None else real_array(x0, "x0", ndim=2)
    if starts is not None and starts.shape != b.shape:
        raise ValueError(f"x0 must have the shape of b, {b.shape}, not {starts.shape}")
    return starts


def of_columns(b: Array, columns: Sequence[LinearResult]) -> LinearResult:
    """The result of all columns: x of b's shape, the rest that of the worst column."""
    if not columns:
        return LinearResult(
            x=np.empty(b.shape), success=True, status=Status.CONVERGED, message=Status.CONVERGED.sentence, nit=0,
            measure=0.0, residual_norm=0.0,
        )  # fmt: skip
    worst = max(columns, key=lambda result: (not result.success, result.measure))
    x = columns[0].x.base  # of those that were solved together
    if not (x is not None and x.shape == b.shape and all(result.x.base is x for result in columns)):
        x = _joined([result.x for result in columns])
    return replace(worst, x=x, nit=max(result.nit for result in columns), state=None, columns=tuple(columns))
