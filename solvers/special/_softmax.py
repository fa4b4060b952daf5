"""softmax, log_softmax and logsumexp with the calls of `scipy.special`.

The arithmetic is that of the two-pass algorithm over extended-exponent pairs (Dukhan and Ablavatski, 2020,
arXiv 2001.04438), made safe for every input; `_ext/special/softmax.c` tells how and where it differs.
Here the arrays are brought into rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from . import _kernels

Array = npt.NDArray[Any]
Axis = int | tuple[int, ...] | None

_FLOATS = "fd"  # type characters of float32 and float64, whatever the byte order


def softmax(x: npt.ArrayLike, axis: Axis = None, *, out: Array | None = None, threads: int | None = None) -> Any:
    """Exponentials along an axis, divided by their sum.

    ``softmax(x)_i = exp(x_i) / sum_k exp(x_k)``, within 2 ULP of the exact value (float32 and float64),
    whatever the size of x and the length of the axis.

    Parameters
    ----------
    x : array_like
        Real input of any shape. float32 and float64 keep their type; integers and booleans become float64.
    axis : int, tuple of int or None, default None
        The axis or axes to sum over; None means all.
    out : ndarray, optional
        Where the result goes: same shape and dtype as the result. It may be ``x``.
    threads : int, optional
        Threads for this call; by default the library-wide setting. The bits do not depend on it.

    Returns
    -------
    ndarray or scalar
        Same shape as `x`. A slice with a NaN, with +inf, or of -inf alone gives NaN throughout; -inf
        beside a finite value gives 0. An axis of length 0 gives an empty result.

    Raises
    ------
    TypeError
        Input that is not real, or of another floating type (float16, longdouble); `out` of another dtype.
    ValueError
        `out` of another shape or read-only. Nothing is written then.
    numpy.exceptions.AxisError
        An axis that `x` does not have.

    Notes
    -----
    Reads x twice and writes the result once (past the cache where it is large). Contiguous rows are worked
    on in place; other layouts are first gathered into a copy.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.special import softmax
    >>> softmax(np.array([0.0, np.log(3.0)]))
    array([0.25, 0.75])
    >>> softmax([[1e8, 1e8], [0.0, -np.inf]], axis=1)
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return _map(_kernels.softmax, x, axis, out, threads)


def log_softmax(x: npt.ArrayLike, axis: Axis = None, *, out: Array | None = None, threads: int | None = None) -> Any:
    """Logarithm of `softmax`, accurate also where a probability is nearly 1.

    ``log_softmax(x)_i = x_i - log sum_k exp(x_k)``, evaluated as ``(x_i - m) - log1p(sum of the others)``
    with the maximum m, so that no digit is lost: the relative error is a few ULP for every entry.

    Parameters
    ----------
    x, axis, out, threads
        As in `softmax`.

    Returns
    -------
    ndarray or scalar
        Same shape as `x`. A slice with a NaN or of -inf alone gives NaN throughout; in a slice with +inf,
        NaN there and -inf elsewhere; -inf beside a finite value gives -inf.

    Notes
    -----
    Reads x three times and writes the result once; one exponential an element.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.special import log_softmax
    >>> print(log_softmax(np.array([40.0, 0.0])))
    [-4.24835426e-18 -4.00000000e+01]
    """
    return _map(_kernels.log_softmax, x, axis, out, threads)


def logsumexp(
    a: npt.ArrayLike,
    axis: Axis = None,
    b: npt.ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    threads: int | None = None,
) -> Any:
    """Logarithm of a sum of exponentials: ``log sum_k b_k exp(a_k)``.

    Parameters
    ----------
    a : array_like
        Real exponents of any shape; types as in `softmax`.
    axis : int, tuple of int or None, default None
        The axis or axes to sum over; None means all.
    b : array_like, optional
        Weights of any sign, broadcast against `a`. Where a weight is 0 the exponent does not count, even
        if it is infinite or NaN.
    keepdims : bool, default False
        Keep the summed axes with length 1.
    return_sign : bool, default False
        Return the sign of the sum too; the result is then the logarithm of its absolute value. Without
        it a negative sum gives NaN.
    threads : int, optional
        As in `softmax`.

    Returns
    -------
    res : ndarray or scalar
        -inf for an empty axis or where all exponents are -inf; +inf where one is +inf; NaN where one is NaN.
    sgn : ndarray or scalar
        Only with `return_sign`: -1, 0 or 1 (NaN where `res` is NaN).

    Raises
    ------
    TypeError, numpy.exceptions.AxisError
        As in `softmax`.
    ValueError
        `a` and `b` do not broadcast.

    Notes
    -----
    Reads a once; 22 (float32) or 27 operations an element.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.special import logsumexp
    >>> print(logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    >>> value, sign = logsumexp([1.0, 2.0], b=[1, -1], return_sign=True)
    >>> print(value.round(6), sign)
    1.541325 -1.0
    """
    a = _floating(a, "a")
    if b is not None:
        weights = _floating(b, "b")
        dtype = np.result_type(a, b if isinstance(b, (int, float)) else np.asarray(b))  # a plain number has no type
        a, weights = np.broadcast_arrays(a, weights)
        a = np.where(weights == 0, -np.inf, a).astype(dtype, copy=False)
        b = weights.astype(dtype, copy=False)
    axes = _axes(axis, a.ndim)
    rows = _rows(a, axes)
    res, sign = np.empty(len(rows), a.dtype), np.empty(len(rows), a.dtype)
    _kernels.logsumexp(rows, None if b is None else _rows(b, axes), res, sign, _threads.resolve(threads))
    if not return_sign:
        res[sign < 0] = np.nan
    shape = tuple(1 if k in axes else n for k, n in enumerate(a.shape) if keepdims or k not in axes)
    return (res.reshape(shape)[()], sign.reshape(shape)[()]) if return_sign else res.reshape(shape)[()]


def _map(kernel: Callable[..., None], x: npt.ArrayLike, axis: Axis, out: Array | None, threads: int | None) -> Any:
    """Apply a row kernel along the axes."""
    x = _floating(x, "x")
    count = _threads.resolve(threads)
    if out is None:
        out = np.empty(x.shape, x.dtype)
    else:
        _check_out(out, x)
    one = axis is None or (isinstance(axis, int) and -1 <= axis <= 0)
    if one and x.ndim == 1 and x.flags.c_contiguous and out.flags.c_contiguous:
        rows, target = x, out  # nothing to arrange
    else:
        axes = _axes(axis, x.ndim)
        rows, target = _rows(x, axes), _last(out, axes)
    if target.flags.carray and not _overlap(rows, target):
        kernel(rows, target.reshape(rows.shape), count)
    else:
        result = np.empty(rows.shape, x.dtype)
        kernel(rows, result, count)
        target[...] = result.reshape(target.shape)
    return out if out.ndim else out[()]


def _floating(x: npt.ArrayLike, name: str) -> Array:
    array = np.asarray(x)
    if array.dtype.char in _FLOATS:
        ready = array.dtype.isnative and array.flags.aligned
        return array if ready else array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    raise TypeError(f"{name} must be float32, float64, integer or boolean, not {array.dtype}")


def _check_out(out: Array, x: Array) -> None:
    if not isinstance(out, np.ndarray) or out.dtype != x.dtype:
        raise TypeError(f"out must be an array of {x.dtype}, not {getattr(out, 'dtype', type(out).__name__)}")
    if out.shape != x.shape:
        raise ValueError(f"out has shape {out.shape}, the result {x.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as sorted non-negative numbers. A scalar takes axis 0 or -1, as in NumPy's reductions."""
    if axis is None:
        return tuple(range(ndim))
    span = max(ndim, 1)
    axes = []
    for k in axis if isinstance(axis, tuple) else (axis,):
        if not -span <= operator.index(k) < span:
            raise np.exceptions.AxisError(k, ndim)
        axes.append(operator.index(k) % span)
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis has a number twice: {axis}")
    return tuple(sorted(axes)) if ndim else ()


def _last(x: Array, axes: tuple[int, ...]) -> Array:
    """A view with these axes last."""
    return x.transpose([k for k in range(x.ndim) if k not in axes] + list(axes))


def _rows(x: Array, axes: tuple[int, ...]) -> Array:
    """x as a matrix whose rows run over these axes and are contiguous; a view where that can be had."""
    moved = _last(x, axes)
    length = int(np.prod([x.shape[k] for k in axes]))
    if not (moved.ndim == 2 and len(axes) == 1 and moved.strides[1] == x.itemsize):
        count = int(np.prod(moved.shape[: x.ndim - len(axes)]))
        moved = np.ascontiguousarray(moved).reshape(count, length)
    return moved


def _overlap(x: Array, y: Array) -> bool:
    """Whether writing y could spoil x: they share memory and are not the same elements in the same places."""
    if not np.may_share_memory(x, y):
        return False
    same_start = x.__array_interface__["data"] == y.__array_interface__["data"]
    return not (same_start and x.flags.c_contiguous and y.flags.c_contiguous)
