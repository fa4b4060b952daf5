"""Sums of exponentials that are put together block by block."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from . import _kernels, _panels
from ._arrays import DOUBLE, SINGLE, Array, Format, Input, checked_axes, take, take_out


class LogSumExpAccumulator:
    """Streaming log-sum-exp: softmax of data that is never in memory as a whole.

    Each entry stands for a line of numbers that arrives in blocks. It keeps the largest number and the sum of the
    others' exponentials, as (hi + lo) * 2^exponent (times e^shift where the line lies outside the safe range),
    so nothing overflows and no digit is lost, whatever the blocks hold. The results do not depend on how the line
    is cut into blocks, or in which order they come, by more than 2 ULP.

    Parameters
    ----------
    shape : int or tuple of int
        The shape of the entries: that of a block without the summed axis. ``()`` for a single line.
    dtype : dtype, default float64
        float32 or float64: what the blocks are computed with, and the type of the results.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype

    Notes
    -----
    Five float64 an entry. An accumulator can be pickled, and filled in one process and merged in another.
    Contiguous rows are read as they lie; other layouts go through a scratch of 256 KiB.

    Examples
    --------
    The softmax of a file that need not fit the memory, 1000 numbers at a time:

    >>> import tempfile
    >>> import numpy as np
    >>> from solvers.special import LogSumExpAccumulator
    >>> with tempfile.TemporaryFile() as file:
    ...     x = np.memmap(file, np.float64, "w+", shape=(4, 5000))
    ...     x[...] = np.arange(5000) / 500
    ...     sums = LogSumExpAccumulator(4)
    ...     for k in range(0, 5000, 1000):
    ...         sums.update(x[:, k : k + 1000], axis=1)
    ...     for k in range(0, 5000, 1000):
    ...         x[:, k : k + 1000] = sums.softmax(x[:, k : k + 1000], axis=1)
    ...     print(sums.logsumexp().round(6), np.allclose(x.sum(axis=1), 1))
    ...     del x
    [16.213563 16.213563 16.213563 16.213563] True
    """

    def __init__(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> None:
        self.shape = (operator.index(shape),) if not isinstance(shape, tuple) else tuple(map(operator.index, shape))
        self.dtype = np.dtype(dtype)
        if self.dtype not in (SINGLE.work, DOUBLE.work):
            raise TypeError(f"dtype must be float32 or float64, not {self.dtype}")
        if any(n < 0 for n in self.shape):
            raise ValueError(f"shape has a negative number: {self.shape}")
        self._sums = _panels.empty_sums(*self.shape)

    def __repr__(self) -> str:
        return f"LogSumExpAccumulator({self.shape}, {self.dtype})"

    def update(self, block: npt.ArrayLike, axis: int = -1, *, threads: int | None = None) -> None:
        """Add the exponentials of a block along an axis.

        Parameters
        ----------
        block : array_like
            Real numbers of any length along `axis`, none too; without `axis`, its shape is that of the accumulator.
        axis : int, default -1
            The axis to sum over.
        threads : int, optional
            As in `softmax`.

        Raises
        ------
        TypeError
            A block that is not real, or of a type that the accumulator's cannot hold.
        ValueError
            A block of another shape.
        """
        taken, axes = self._checked(block, axis)
        count = _threads.resolve(threads)
        rows = _panels.direct_rows(taken.array, axes) if taken.array.dtype == self.dtype else None
        if rows is None:
            _panels.add_to_sums(taken, self._sums, self.dtype, axes, count)
        else:
            _kernels.add_to_sums(rows, self._sums.reshape(-1, 5), count)

    def merge(self, other: LogSumExpAccumulator) -> None:
        """Add what another accumulator of the same shape and dtype has seen.

        Raises
        ------
        TypeError
            `other` is no accumulator, or one of another dtype.
        ValueError
            `other` has another shape.
        """
        if not isinstance(other, LogSumExpAccumulator) or other.dtype != self.dtype:
            raise TypeError(f"other must be a LogSumExpAccumulator of {self.dtype}, not {other!r}")
        if other.shape != self.shape:
            raise ValueError(f"other has shape {other.shape}, this accumulator {self.shape}")
        _kernels.join_sums(self._sums.reshape(-1, 5), other._sums.reshape(-1, 5))

    def logsumexp(self) -> Any:
        """The logarithm of the sum of all exponentials so far; -inf where there were none.

        Returns
        -------
        ndarray or scalar
            Of the accumulator's shape and dtype.
        """
        value = np.empty(self.shape, self.dtype)
        _kernels.log_of_sums(self._sums.reshape(-1, 5), value.reshape(-1))
        return value[()]

    def softmax(self, block: npt.ArrayLike, axis: int = -1, *, out: Any = None, threads: int | None = None) -> Any:
        """The part of the softmax that belongs to a block: its exponentials, divided by the sum of all.

        Parameters
        ----------
        block, axis
            As in `update`. The block need not be one of those that were added.
        out, threads
            As in `solvers.special.softmax`; `out` has the accumulator's dtype.

        Returns
        -------
        ndarray or scalar
            Of the block's shape and the accumulator's dtype. NaN in lines that have seen a NaN, +inf, or nothing
            but -inf.

        Raises
        ------
        TypeError, ValueError
            As in `update`, and for an `out` of another shape or dtype, or read-only.
        """
        return self._map(_panels.SOFTMAX, block, axis, out, threads)

    def log_softmax(self, block: npt.ArrayLike, axis: int = -1, *, out: Any = None, threads: int | None = None) -> Any:
        """The logarithm of `softmax`, accurate also where a probability is nearly 1. Arguments as there."""
        return self._map(_panels.LOG_SOFTMAX, block, axis, out, threads)

    @property
    def _format(self) -> Format:
        return SINGLE if self.dtype == SINGLE.work else DOUBLE

    def _checked(self, block: npt.ArrayLike, axis: int) -> tuple[Input, tuple[int, ...]]:
        taken = take(block, "block")
        if taken.format is DOUBLE and self.dtype == SINGLE.work:
            raise TypeError(f"block of {taken.array.dtype} does not fit an accumulator of float32")
        axes = checked_axes(operator.index(axis), taken.array.ndim)
        shape = tuple(n for k, n in enumerate(taken.array.shape) if k not in axes)
        if shape != self.shape or len(axes) != 1:
            raise ValueError(f"block of shape {taken.array.shape} without axis {axis} is not of shape {self.shape}")
        return taken, axes

    def _map(self, function: _panels.LineMap, block: npt.ArrayLike, axis: int, out: Any, threads: int | None) -> Any:
        taken, axes = self._checked(block, axis)
        count = _threads.resolve(threads)
        array = taken.array
        target = np.empty(array.shape, self.dtype) if out is None else take_out(out, array.shape, self._format)
        result: Array = target
        if out is not None and _panels.spoils(target, array):
            result = np.empty(array.shape, self.dtype)
        rows = _panels.direct_rows(array, axes) if array.dtype == self.dtype else None
        places = _panels.direct_rows(result, axes)
        if rows is None or places is None:
            _panels.map_by_sums(function, taken, self._sums, result, self._format, axes, count)
        else:
            function.by_sums(rows, places, self._sums.reshape(-1, 5), count)
        if result is not target:
            target[...] = result
        return taken.give(target, self._format) if out is None else out
