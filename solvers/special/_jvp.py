"""The derivative of softmax in a direction."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from . import _kernels, _panels
from ._arrays import Array, Axis, checked_axes, common_format, take, take_out


def softmax_jvp(
    y: npt.ArrayLike, v: npt.ArrayLike, axis: Axis = -1, *, out: Any = None, threads: int | None = None
) -> Any:
    """Derivative of `softmax` in the direction `v`, from its result `y`.

    ``softmax_jvp(y, v)_i = y_i (v_i - sum_k y_k v_k)``. The Jacobian of softmax is symmetric, so this is also
    the gradient with respect to x where `v` is the gradient with respect to y (the vector-Jacobian product).

    Parameters
    ----------
    y : array_like
        A result of `softmax` along `axis`; types as there.
    v : array_like
        The direction, of the same shape.
    axis : int, tuple of int or None, default -1
        The axis or axes of the softmax; None means all.
    out : ndarray, optional
        Where the result goes: same shape and dtype as the result. It may be `y` or `v`, or overlap them.
    threads : int, optional
        Threads for this call; by default the library-wide setting. The bits do not depend on it.

    Returns
    -------
    ndarray or scalar
        Same shape as `y`, of the common type of `y` and `v`; an array of the library that `y` is of.

    Raises
    ------
    TypeError, numpy.exceptions.AxisError
        As in `softmax`.
    ValueError
        `y` and `v` differ in shape; `out` of another shape or read-only. Nothing is written then.

    Notes
    -----
    One pass for the dot product, which is summed in twice the precision, and one for the result. Reads both
    inputs twice (the second time from cache, where a row fits it) and writes once. Contiguous rows are read as
    they lie; other layouts go through a scratch of 256 KiB each, on one thread.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.special import softmax, softmax_jvp
    >>> y = softmax(np.array([0.0, np.log(3.0)]))
    >>> softmax_jvp(y, [1.0, 0.0])
    array([ 0.1875, -0.1875])
    """
    taken, direction = take(y, "y"), take(v, "v")
    if taken.array.shape != direction.array.shape:
        raise ValueError(f"v has shape {direction.array.shape}, y {taken.array.shape}")
    form = common_format(taken, direction)
    axes = checked_axes(axis, taken.array.ndim)
    count = _threads.resolve(threads)
    shape = taken.array.shape
    target = np.empty(shape, form.storage) if out is None else take_out(out, shape, form)
    result = target
    if out is not None and _panels.spoils(target, taken.array, direction.array):
        result = np.empty(shape, form.storage)
    matrices = _direct_rows(taken.array, direction.array, result, axes)
    if matrices is None:
        _panels.jvp_lines(taken, direction, result, form, axes, count)
    else:
        _kernels.softmax_jvp(*matrices, count)
    if result is not target:
        target[...] = result
    return taken.give(target, form) if out is None else out


def _direct_rows(y: Array, v: Array, out: Array, axes: tuple[int, ...]) -> tuple[Array, Array, Array] | None:
    """All three as matrices that the kernel can work on as they lie; None where one must be gathered."""
    if not y.dtype == v.dtype == out.dtype:
        return None
    rows, directions, places = (_panels.direct_rows(array, axes) for array in (y, v, out))
    if rows is None or directions is None or places is None:
        return None
    return rows, directions, places
