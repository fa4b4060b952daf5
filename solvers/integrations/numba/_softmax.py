"""softmax, log_softmax and logsumexp in compiled functions.

Of their keywords they know `axis` (None or an integer) and `out` there; arrays are of float32, float64, integers or
booleans; one thread does the work. Of all entries, and along the last axis, they have the bits that they have outside;
another axis is put last first, where columns outside are summed in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.extending import overload

from ... import special
from ._library import external

SUFFIXES = {types.float32: "f32", types.float64: "f64"}


def _kernels(name: str, *signature: Any) -> dict[Any, types.ExternalFunction]:
    """The functions of one name by the type of their numbers, which stands for None in the signature."""
    return {
        real: external(
            f"sv_{name}_{suffix}", types.intc, *(types.CPointer(real) if kind is None else kind for kind in signature)
        )
        for real, suffix in SUFFIXES.items()
    }


def _is_none(kind: Any) -> bool:
    return kind is None or isinstance(kind, types.NoneType) or (isinstance(kind, types.Omitted) and kind.value is None)


def _real(x: Any, name: str) -> Any:
    """The type of numbers in which an array is computed with."""
    if not isinstance(x, types.Array):
        raise TypingError(f"{name} must be an array, not {x}")
    if x.dtype in SUFFIXES:
        return x.dtype
    if isinstance(x.dtype, types.Integer | types.Boolean):
        return types.float64
    raise TypingError(f"{name} must be of float32, float64, integers or booleans in compiled code, not of {x.dtype}")


def _axis(axis: Any) -> bool:
    """Whether one axis is meant, and not all."""
    if _is_none(axis):
        return False
    if isinstance(axis, int | types.Integer) or (isinstance(axis, types.Omitted) and isinstance(axis.value, int)):
        return True
    raise TypingError(f"axis must be None or an integer in compiled code, not {axis}")


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def lengths(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """The numbers of entries before, along and after an axis."""
    ndim = len(shape)
    if axis < -ndim or axis >= ndim:
        raise ValueError("axis is out of bounds")
    axis %= ndim
    before = after = 1
    for k in range(ndim):
        if k < axis:
            before *= shape[k]
        elif k > axis:
            after *= shape[k]
    return before, shape[axis], after


def _packed(x: Any, real: Any) -> Callable[[Any], Any]:
    """What makes an array contiguous and of the real type: nothing where it is."""
    dtype = np.float32 if real == types.float32 else np.float64
    if x.dtype == real:
        return numba.njit(lambda x: np.ascontiguousarray(x))  # type: ignore[no-any-return]
    return numba.njit(lambda x: np.ascontiguousarray(x).astype(dtype))  # type: ignore[no-any-return]


def _shares(name: str) -> Callable[..., Any]:
    """What Numba compiles for softmax and log_softmax."""
    kernels = _kernels(name, None, types.intp, None, types.intp, types.uintp, types.uintp, types.intc)

    def typed(x: Any, axis: Any = None, out: Any = None) -> Any:
        real = _real(x, "x")
        kernel = kernels[real]
        packed, dtype = _packed(x, real), np.float32 if real == types.float32 else np.float64
        inside = not _is_none(out)
        if inside and not (isinstance(out, types.Array) and out.layout == "C" and out.dtype == real):
            raise TypingError(f"out must be a C-contiguous array of {real}, not {out}")

        @numba.njit  # type: ignore[untyped-decorator]
        def room(x: Any, out: Any) -> Any:
            if not inside:
                return np.empty(x.shape, dtype)
            if out.shape != x.shape:
                raise ValueError("out must have the shape of x")
            return out

        def whole(x: Any, axis: Any = None, out: Any = None) -> Any:
            flat, y = packed(x), room(x, out)
            kernel(flat.ctypes, flat.size, y.ctypes, flat.size, 1, flat.size, 1)
            return y

        def along(x: Any, axis: Any = None, out: Any = None) -> Any:
            before, length, after = lengths(x.shape, axis)
            flat, y = packed(x), room(x, out)
            if after == 1:
                kernel(flat.ctypes, length, y.ctypes, length, before, length, 1)
                return y
            blocks, shares = flat.reshape(before, length, after), y.reshape(before, length, after)
            for i in range(before):
                rows = np.ascontiguousarray(blocks[i].T)
                kernel(rows.ctypes, length, rows.ctypes, length, after, length, 1)
                shares[i] = rows.T
            return y

        return along if _axis(axis) else whole

    return typed


#: Of logsumexp; the weights and the signs are left out: NULL, which is a number there.
LOG_OF_SUM = _kernels(
    "logsumexp", None, types.intp, types.intp, types.intp, None, types.intp, types.uintp, types.uintp, types.intc
)


def _logsumexp(a: Any, axis: Any = None) -> Any:
    """What Numba compiles for logsumexp."""
    real = _real(a, "a")
    kernel = LOG_OF_SUM[real]
    packed, dtype, ndim = _packed(a, real), np.float32 if real == types.float32 else np.float64, a.ndim

    def whole(a: Any, axis: Any = None) -> Any:
        flat, result = packed(a), np.empty(1, dtype)
        kernel(flat.ctypes, flat.size, 0, 0, result.ctypes, 0, 1, flat.size, 1)
        return result[0]

    def line(a: Any, axis: Any = None) -> Any:
        lengths(a.shape, axis)
        flat, result = packed(a), np.empty(1, dtype)
        kernel(flat.ctypes, flat.size, 0, 0, result.ctypes, 0, 1, flat.size, 1)
        return result[0]

    def along(a: Any, axis: Any = None) -> Any:
        before, length, after = lengths(a.shape, axis)
        flat, result = packed(a).reshape(before, length, after), np.empty((before, after), dtype)
        if after == 1:
            kernel(flat.ctypes, length, 0, 0, result.ctypes, 0, before, length, 1)
        else:
            for i in range(before):
                rows = np.ascontiguousarray(flat[i].T)
                kernel(rows.ctypes, length, 0, 0, result[i].ctypes, 0, after, length, 1)
        shape = a.shape[:-1]
        for k in range(ndim - 1):
            shape = tuple_setitem(shape, k, a.shape[k if k < axis % ndim else k + 1])
        return result.reshape(shape)

    if not _axis(axis):
        return whole
    return line if ndim == 1 else along


def overloads() -> None:
    """Make them known to Numba."""
    overload(special.softmax)(_shares("softmax"))
    overload(special.log_softmax)(_shares("log_softmax"))
    overload(special.logsumexp)(_logsumexp)
