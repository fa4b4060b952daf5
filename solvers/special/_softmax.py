"""softmax, log_softmax and logsumexp with the calls of `scipy.special`.

The arithmetic is that of the two-pass algorithm over extended-exponent pairs (Dukhan and Ablavatski, 2020,
arXiv 2001.04438), made safe for every input; `_ext/special/softmax.c` tells how and where it differs.
Here the arguments are checked. Contiguous rows go to the kernels as they lie, all else through `_panels.py`.
"""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from . import _kernels, _panels
from ._arrays import Array, Axis, Input, checked_axes, common_format, store, take, take_out, take_plain

#: How softmax goes over its rows, in the order of the enumeration in rows.h.
METHODS = (
    "auto",
    "two-pass",
    "one-exponential",
    "three-pass-recompute",
    "three-pass-reload",
    "online",
)


def softmax(
    x: npt.ArrayLike,
    axis: Axis = None,
    *,
    where: npt.ArrayLike | None = None,
    temperature: npt.ArrayLike = 1.0,
    out: Any = None,
    threads: int | None = None,
    method: str = "auto",
) -> Any:
    """Exponentials along an axis, divided by their sum.

    ``softmax(x)_i = exp(x_i) / sum_k exp(x_k)``, within 2 ULP of the exact value (float32 and float64),
    whatever the size of x and the length of the axis.

    Parameters
    ----------
    x : array_like
        Real input of any shape. float16, bfloat16 (of `ml_dtypes`), float32 and float64 keep their type; integers
        and booleans become float64. Half-precision numbers are computed with in float32. An array of another
        library that has ``__dlpack__`` and lies in the processor's memory (PyTorch, JAX, array-api-strict) is
        read without a copy.
    axis : int, tuple of int or None, default None
        The axis or axes to sum over; None means all.
    where : array_like of bool, optional
        Broadcasts to the shape of `x`. Only elements where it is True count, and only they get a share:
        elsewhere the result is 0, whatever `x` has there. Where a slice has no True, all of it is 0.
    temperature : array_like, default 1.0
        The result is that of ``x / temperature`` in the precision of the computation. A positive number, or an
        array that broadcasts to the shape of `x` and has length 1 along the summed axes.
    out : ndarray, optional
        Where the result goes: same shape and dtype as the result. It may be ``x``, or overlap it.
    threads : int, optional
        Threads for this call; by default the library-wide setting. The bits do not depend on it.
    method : str, default "auto"
        How the rows are gone over: "auto" takes the faster of "two-pass" (the
        published one; for long rows) and "one-exponential" (the terms wait in the cache). "three-pass-recompute",
        "three-pass-reload" and "online" are the textbook's, for comparison: slower, and tens of ULP from exact.

    Returns
    -------
    ndarray or scalar
        Same shape as `x`; an array of the library that `x` is of. A slice with a NaN, with +inf, or of -inf alone
        gives NaN throughout; -inf beside a finite value gives 0. An axis of length 0 gives an empty result.

    Raises
    ------
    TypeError
        Input that is not real, or of another floating type (longdouble); a masked array, whose mask would be lost; a
        tensor that requires a gradient; `where` that is not boolean; `out` of another dtype.
    ValueError
        `out` of another shape or read-only; an unknown `method`, or one that does not serve here; `where` or
        `temperature` that do not fit; a temperature that is not positive; an array on another device. Nothing is
        written then.
    numpy.exceptions.AxisError
        An axis that `x` does not have.

    Notes
    -----
    One exponential an element where a row fits the cache, two where it does not and in columns; the result is written
    past the cache where it is large. Contiguous rows, and columns of contiguous arrays (with masks and temperatures
    too), are read as they lie. Other layouts and types, masks and temperatures of rows go through a scratch of
    256 KiB, on one thread.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.special import softmax
    >>> softmax(np.array([0.0, np.log(3.0)]))
    array([0.25, 0.75])
    >>> softmax([[1e8, 1e8], [0.0, -np.inf]], axis=1)
    array([[0.5, 0.5],
           [1. , 0. ]])

    A mask, and a temperature:

    >>> softmax([5.0, 5.0, 9.0], where=[True, True, False])
    array([0.5, 0.5, 0. ])
    >>> softmax(np.array([0.0, 2.0 * np.log(3.0)]), temperature=2.0)
    array([0.25, 0.75])
    """
    number = 0 if method == "auto" else _number_of(method)
    result = _kernels.softmax_of(x, axis, where, temperature, out, threads, number)
    if result is not None:
        return result
    function = _softmax_by(number) if number else _panels.SOFTMAX
    return _map(function, x, axis, where, temperature, out, threads)


def log_softmax(
    x: npt.ArrayLike,
    axis: Axis = None,
    *,
    where: npt.ArrayLike | None = None,
    temperature: npt.ArrayLike = 1.0,
    out: Any = None,
    threads: int | None = None,
) -> Any:
    """Logarithm of `softmax`, accurate also where a probability is nearly 1.

    ``log_softmax(x)_i = x_i - log sum_k exp(x_k)``, evaluated as ``(x_i - m) - log1p(sum of the others)``
    with the maximum m, so that no digit is lost: the relative error is a few ULP for every entry.

    Parameters
    ----------
    x, axis, temperature, out, threads
        As in `softmax`.
    where : array_like of bool, optional
        As in `softmax`, but the result is -inf where an element does not count.

    Returns
    -------
    ndarray or scalar
        Same shape as `x`; an array of the library that `x` is of. A slice with a NaN or of -inf alone gives NaN
        throughout; in a slice with +inf, NaN there and -inf elsewhere; -inf beside a finite value gives -inf.

    Notes
    -----
    Reads x once from memory (columns, and rows from 65536 elements on: twice) and writes the result once; one
    exponential an element.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.special import log_softmax
    >>> print(log_softmax(np.array([40.0, 0.0])))
    [-4.24835426e-18 -4.00000000e+01]
    """
    result = _kernels.log_softmax_of(x, axis, where, temperature, out, threads)
    if result is not None:
        return result
    return _map(_panels.LOG_SOFTMAX, x, axis, where, temperature, out, threads)


def logsumexp(
    a: npt.ArrayLike,
    axis: Axis = None,
    b: npt.ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    where: npt.ArrayLike | None = None,
    temperature: npt.ArrayLike = 1.0,
    out: Any = None,
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
    where : array_like of bool, optional
        Broadcasts to the shape of `a` (and `b`). Only terms where it is True count.
    temperature : array_like, default 1.0
        As in `softmax`; it divides the exponents alone.
    out : ndarray, optional
        Where `res` goes: same shape and dtype. It may overlap `a` and `b`.
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
        As in `softmax`; `a` and `b` that do not broadcast.

    Notes
    -----
    Reads a once; 22 (float32) or 27 operations an element. Layouts as in `softmax`; with weights all lines are
    gathered, and whole.

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
    plain = b is None and where is None and type(temperature) is float and temperature == 1.0
    if plain and out is None and not keepdims and not return_sign:
        result = _kernels.logsumexp_of(a, axis, threads)
        if result is not None:
            return result
    taken = take(a, "a")
    weights, form = None, taken.format
    if b is not None:
        weights = take(b, "b")
        if not isinstance(b, (bool, int, float)):  # a plain number has no type
            form = common_format(taken, weights)
        exponents, factors = np.broadcast_arrays(taken.array, weights.array)
        taken, weights = Input(exponents, taken.format, taken.give), Input(factors, weights.format, weights.give)
    axes = checked_axes(axis, taken.array.ndim)
    options = _checked_options(where, temperature, taken.array, axes, form.work)
    count = _threads.resolve(threads)
    shape = tuple(1 if k in axes else n for k, n in enumerate(taken.array.shape) if keepdims or k not in axes)
    target = np.empty(shape, form.storage) if out is None else take_out(out, shape, form)
    rows = _panels.direct_rows(taken.array, axes) if weights is None else None
    order = _panels.column_order(axes, taken.array) if weights is None and rows is None else None
    if rows is not None and not options.any:
        value, sign = np.empty(len(rows), form.work), np.empty(len(rows), form.work)
        _kernels.logsumexp(rows, None, value, sign, count)
    elif order is not None:
        value, sign = _panels.reduce_columns(taken.array, axes[0], order, options, count)
    else:
        value, sign = _panels.reduce_lines(taken, weights, form.work, axes, options, count)
    if not return_sign:
        value[sign < 0] = np.nan
    store(target, value.reshape(shape), form)
    result = taken.give(target, form) if out is None else out
    if not return_sign:
        return result
    signs = np.empty(shape, form.storage)
    store(signs, sign.reshape(shape), form)
    return result, taken.give(signs, form)


def _number_of(method: str) -> int:
    """The place of a method in `METHODS`."""
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, 1) if isinstance(method, str) else []
        hint = f"; did you mean {near[0]!r}?" if near else f": one of {', '.join(METHODS)}"
        raise ValueError(f"method {method!r} is unknown{hint}")
    return METHODS.index(method)


def _softmax_by(number: int) -> _panels.LineMap:
    """softmax of whole rows by a method of one's choice."""

    def rows(x: Array, y: Array, threads: int) -> None:
        _kernels.softmax(x, y, threads, number)

    return _panels.LineMap(rows, _refuse_parts, 0.0)


def _refuse_parts(x: Array, y: Array, sums: Array, threads: int) -> None:
    """What all methods but "auto" do with a row that must be gone over in parts."""
    raise ValueError("method: only 'auto' serves lines this long that are not contiguous float32 or float64 rows")


def _map(
    function: _panels.LineMap,
    x: Any,
    axis: Axis,
    where: npt.ArrayLike | None,
    temperature: npt.ArrayLike,
    out: Any,
    threads: int | None,
) -> Any:
    """Apply a function of lines along the axes."""
    taken = take(x, "x")
    form, array = taken.format, taken.array
    axes = checked_axes(axis, array.ndim)
    options = _checked_options(where, temperature, array, axes, form.work)
    count = _threads.resolve(threads)
    target = np.empty(array.shape, form.storage) if out is None else take_out(out, array.shape, form)
    result = target
    if out is not None and _panels.spoils(target, array, options.where):
        result = np.empty(array.shape, form.storage)
    rows, places = _panels.direct_rows(array, axes), _panels.direct_rows(result, axes)
    order = None
    if rows is None or places is None:
        order = _panels.column_order(axes, array, result)
    if rows is not None and places is not None and not options.any:
        function.rows(rows, places, count)
    elif function.columns is not None and order is not None:
        _panels.map_columns(function, array, result, axes[0], order, options, count)
    else:
        _panels.map_lines(function, taken, result, axes, options, count)
    if result is not target:
        target[...] = result
    return taken.give(target, form) if out is None else out


def _checked_options(
    where: npt.ArrayLike | None, temperature: npt.ArrayLike, x: Array, axes: tuple[int, ...], work: np.dtype[Any]
) -> _panels.Options:
    mask = None if where is None else _checked_mask(where, x.shape)
    if type(temperature) is float and temperature == 1.0:
        return _panels.Options(mask)
    return _panels.Options(mask, _checked_temperature(temperature, x.shape, axes, work))


def _checked_mask(where: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    mask = take_plain(where, "where")
    if mask.dtype != np.bool_:
        raise TypeError(f"where must be boolean, not {mask.dtype}")
    return _broadcast(mask, "where", shape)


def _checked_temperature(
    temperature: npt.ArrayLike, shape: tuple[int, ...], axes: tuple[int, ...], work: np.dtype[Any]
) -> Array:
    given = take_plain(temperature, "temperature")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"temperature must be real numbers, not {given.dtype}")
    with np.errstate(over="ignore", under="ignore"):
        divisor = given.astype(work)  # a copy: out may lie where the temperature did
    if not (divisor > 0).all():
        raise ValueError("temperature must be > 0")
    first = len(shape) - divisor.ndim
    if any(k >= first and divisor.shape[k - first] != 1 for k in axes):
        raise ValueError(f"temperature of shape {given.shape} varies along the summed axes")
    return _broadcast(divisor, "temperature", shape)


def _broadcast(array: Array, name: str, shape: tuple[int, ...]) -> Array:
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{name} has shape {array.shape}, which does not broadcast to {shape}") from None
