"""Several right-hand sides: what goes in for all, and one result of all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import state as _state
from .._base.result import Status
from .._base.validate import real_array
from ._problem import LinearResult, Matrix

Array = npt.NDArray[Any]

#: Numbers that are transposed at a time. Column by column each of a long matrix's cache lines would be fetched anew for
#: every number in it, which takes as long as half of a solve on a grid.
BLOCK = 2**12
#: Columns that are copied at a time.
TOGETHER = 16


def answers(A: Matrix, shape: tuple[int, ...]) -> Array:
    """Room for the answers to right-hand sides, whose array has this shape, in columns."""
    if A.capability == "complex-matrix":  # its right-hand sides are in parts
        return np.empty((shape[0] // 2, *shape[1:]), np.complex128, order="F")
    return np.empty(shape, order="F")


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


def gathered(x: Array, results: Iterable[LinearResult]) -> Iterator[LinearResult]:
    """The results of the columns, with the columns of x for their answers.

    Each answer goes there as soon as it is known, and its own memory to the next: memory that is new takes as long as
    some of the iteration's passes.
    """
    for k, result in enumerate(results):
        if result.x.base is x:  # of those that were solved together
            yield result
            continue
        column = x[:, k]
        column[:] = result.x
        held = {name: column for name, value in vars(result.state).items() if value is result.x}
        yield replace(result, x=column, state=_state.replace(result.state, **held))


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


def of_columns(A: Matrix, b: Array, columns: Sequence[LinearResult]) -> LinearResult:
    """The result of all columns, whose answers are columns of one array; what is no answer is that of the worst."""
    if not columns:
        return LinearResult(
            x=answers(A, b.shape), success=True, status=Status.CONVERGED, message=Status.CONVERGED.sentence, nit=0,
            measure=0.0, residual_norm=0.0,
        )  # fmt: skip
    worst = max(columns, key=lambda result: (not result.success, result.measure))
    x, nit = columns[0].x.base, max(result.nit for result in columns)
    assert x is not None
    return replace(worst, x=x, nit=nit, state=None, columns=tuple(columns))
