"""Arrays in and out: element types, arrays of other libraries, axes, `out`.

Half-precision numbers are computed with in float32. bfloat16, which NumPy does not have, is handled as its bits:
they are the upper half of a float32. Arrays of other libraries come in through DLPack without a copy, and the result
goes back the same way.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.validate import refuse_masked
from . import _kernels

Array = npt.NDArray[Any]
Axis = int | tuple[int, ...] | None

#: Devices of DLPack whose memory the processor reads: its own, and pages pinned for CUDA.
_HOST_MEMORY = (1, 3)


@dataclass(frozen=True, slots=True)
class Format:
    """The type of a result: its name, what an array of it holds, and what is computed with."""

    name: str
    storage: Any
    work: Any


HALF = Format("float16", np.dtype(np.float16), np.dtype(np.float32))
BFLOAT16 = Format("bfloat16", np.dtype(np.uint16), np.dtype(np.float32))
SINGLE = Format("float32", np.dtype(np.float32), np.dtype(np.float32))
DOUBLE = Format("float64", np.dtype(np.float64), np.dtype(np.float64))
_FORMATS = {"e": HALF, "f": SINGLE, "d": DOUBLE}


@dataclass(frozen=True, slots=True)
class Input:
    """An argument: its numbers (bits, if `format` is BFLOAT16), the format of its results, and how they go back."""

    array: Array
    format: Format
    give: Callable[[Array, Format], Any]


def take(x: Any, name: str) -> Input:
    """An argument of real numbers; TypeError with its name for anything else."""
    if not isinstance(x, np.ndarray) and hasattr(x, "__dlpack__"):
        return _take_foreign(x, name)
    array = _from_numpy(x, name)
    if _is_bfloat16(array.dtype):
        return Input(array.view(np.uint16), BFLOAT16, partial(_to_bfloat16, array.dtype))
    return Input(array, _format(array.dtype, name), _to_numpy)


def take_plain(x: Any, name: str) -> Array:
    """An argument of any type as an array of NumPy."""
    if not isinstance(x, np.ndarray) and hasattr(x, "__dlpack__"):
        return _from_dlpack(x, name)
    return _from_numpy(x, name)


def take_out(out: Any, shape: tuple[int, ...], form: Format) -> Array:
    """The array to write to, which must have this shape and format; bits, if that is bfloat16."""
    if isinstance(out, np.ndarray):
        refuse_masked(out, "out")
        array, dtype = (out.view(np.uint16) if _is_bfloat16(out.dtype) else out), out.dtype
        fits = form is BFLOAT16 if array is not out else form is not BFLOAT16 and dtype == form.storage
    elif hasattr(out, "__dlpack__"):
        taken = _take_foreign(out, "out")
        array, dtype = taken.array, getattr(out, "dtype", taken.array.dtype)
        fits = taken.format is form and array.dtype == form.storage
    else:
        raise TypeError(f"out must be an array of {form.name}, not {type(out).__name__}")
    if not fits:
        raise TypeError(f"out must be an array of {form.name}, not {dtype}")
    if array.shape != shape:
        raise ValueError(f"out has shape {array.shape}, the result {shape}")
    if not array.flags.writeable:
        raise ValueError("out is read-only")
    return array


def common_format(a: Input, b: Input) -> Format:
    """The format of a result of both. Integers in `a` count as float64, booleans in `b` adapt.

    bfloat16 stays beside itself and booleans; beside other types it counts as float32.
    """
    if a.format is BFLOAT16 and (b.format is BFLOAT16 or b.array.dtype == np.bool_):
        return BFLOAT16
    first = a.format.work if a.format is BFLOAT16 else a.format.storage
    second = b.format.work if b.format is BFLOAT16 else b.array.dtype
    return _format(np.result_type(first, second), "b")


def checked_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
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


# ---- numbers into the type that is computed with, and back --------------------------------------------


def load(target: Array, source: Array, form: Format) -> None:
    """target (float32 or float64, contiguous) = source."""
    if form is BFLOAT16:
        narrow = target if target.itemsize == 4 else np.empty(target.shape, np.float32)
        bits = narrow.view(np.uint32)
        bits[...] = source
        bits <<= 16
        if narrow is not target:
            target[...] = narrow
    elif form is HALF and target.itemsize == 4:
        halves = np.ascontiguousarray(source, form.storage)
        _kernels.half_to_float(halves.view(np.uint16).reshape(-1), target.reshape(-1))
    elif _tiles_serve(target, source):
        _kernels.copy(target, source)
    else:
        np.copyto(target, source, casting="unsafe")


def store(target: Array, source: Array, form: Format) -> None:
    """target = source, rounded to nearest, ties to even. May spoil the source."""
    if form is BFLOAT16:
        nan = np.isnan(source)
        bits = source.view(np.uint32)
        bits += ((bits >> 16) & 1) + np.uint32(0x7FFF)
        bits >>= 16
        bits[nan] = 0x7FC0
        np.copyto(target, bits, casting="unsafe")
    elif form is HALF:
        halves = np.empty(source.shape, form.storage)
        _kernels.float_to_half(np.ascontiguousarray(source).reshape(-1), halves.view(np.uint16).reshape(-1))
        target[...] = halves
    elif _tiles_serve(target, source):
        _kernels.copy(target, source)
    else:
        with np.errstate(over="ignore", under="ignore"):
            np.copyto(target, source, casting="same_kind")


def _tiles_serve(x: Array, y: Array) -> bool:
    """Whether one runs across the other, which NumPy's copy takes no care of, and both are of one plain type."""
    if x.ndim < 2 or x.dtype != y.dtype or x.dtype.char not in "fd" or x.strides[-1] == y.strides[-1]:
        return False
    return y.flags.aligned and x.flags.aligned and not any(step % x.itemsize for step in (*x.strides, *y.strides))


# ---- hosts -------------------------------------------------------------------------------------------


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """The type of `ml_dtypes`, known by its name: the package is not needed here."""
    return dtype.kind == "V" and dtype.name == "bfloat16"


def _format(dtype: np.dtype[Any], name: str) -> Format:
    form = _FORMATS.get(dtype.char)
    if form is not None:
        return form
    if dtype.kind in "biu":
        return DOUBLE
    raise TypeError(f"{name} must be float16, bfloat16, float32, float64, integer or boolean, not {dtype}")


def _from_numpy(x: Any, name: str) -> Array:
    refuse_masked(x, name)
    return np.asarray(x)


def _to_numpy(result: Array, form: Format) -> Any:
    return result[()]


def _to_bfloat16(dtype: np.dtype[Any], result: Array, form: Format) -> Any:
    return result.view(dtype)[()] if form is BFLOAT16 else result[()]


def _to_torch(result: Array, form: Format) -> Any:
    torch: Any = sys.modules["torch"]
    if form is BFLOAT16:
        return torch.from_dlpack(result.view(np.int16)).view(torch.bfloat16)
    return torch.from_dlpack(result)


def _to_namespace(namespace: Any, result: Array, form: Format) -> Any:
    return namespace.from_dlpack(result)


def _take_foreign(x: Any, name: str) -> Input:
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        if x.requires_grad:
            raise TypeError(f"{name} requires a gradient, which is not passed on: give {name}.detach()")
        if x.dtype == torch.bfloat16:
            return Input(_from_dlpack(x.view(torch.int16), name).view(np.uint16), BFLOAT16, _to_torch)
        array = _from_dlpack(x, name)
        return Input(array, _format(array.dtype, name), _to_torch)
    array = _from_dlpack(x, name)
    form = _format(array.dtype, name)
    if hasattr(x, "__array_namespace__"):
        return Input(array, form, partial(_to_namespace, x.__array_namespace__()))
    return Input(array, form, _to_numpy)


def _from_dlpack(x: Any, name: str) -> Array:
    try:
        device = int(x.__dlpack_device__()[0])
    except (ValueError, BufferError, RuntimeError):
        device = 0
    if device not in _HOST_MEMORY:
        place = getattr(x, "device", "another device")
        raise ValueError(f"{name} lies on {place}; only arrays in the processor's memory are taken: copy it there")
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise TypeError(f"{name} cannot be read through DLPack: {error}") from error
