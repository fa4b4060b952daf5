"""Checks of array arguments, shared by all families. An error names the argument and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FLOAT64 = np.dtype(np.float64)

#: Entries up to which squares are added: a plain sum takes less time, but to silence its warnings takes more. And up to
#: which Python looks at each, before NumPy has begun.
SHORT, FEW = 1 << 13, 16


def real_array(value: Any, name: str, *, ndim: int | None = None, keep_float32: bool = False) -> Array:
    """A native floating array: float64, or float32 where that is kept. Nothing is copied that fits already.

    Integers and booleans become float64; float16 and longdouble become float64 too, where `keep_float32`
    does not ask for the caller's own precision. Objects, strings, complex numbers, and masked and sparse arrays raise
    TypeError.
    """
    if type(value) is np.ndarray and value.dtype is FLOAT64 and ndim in (None, value.ndim):
        return value  # what comes most often, and a tenth of the time of the tests below
    refuse_masked(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists of different lengths, above all
        raise ValueError(f"{name} is no array of numbers: {error}") from None
    if array.dtype == object and hasattr(value, "toarray"):
        raise TypeError(f"{name} is sparse; make it dense with {name}.toarray()")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, not {array.dtype}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim != 1)}, not shape {array.shape}")
    dtype = np.float32 if keep_float32 and array.dtype == np.float32 else np.float64
    return array.astype(dtype, copy=False)


def vector(value: Any, name: str, size: int, of: str = "") -> Array:
    """A contiguous float64 vector of that length, which is that `of` something in the error's words."""
    array = np.ascontiguousarray(real_array(value, name, ndim=1))
    if len(array) != size:
        raise ValueError(f"{name} must have length {size}{of and ', ' + of}, not {len(array)}")
    return array


def refuse_masked(value: Any, name: str) -> None:
    """TypeError for an array whose mask NumPy would drop without a word."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: its mask would be lost; fill it first")


def check_finite(array: Array, name: str) -> None:
    """ValueError naming the first NaN or infinity."""
    if array.ndim == 0 and math.isfinite(array):
        return
    if array.size <= FEW and all(map(math.isfinite, array.ravel().tolist())):
        return
    if array.size <= SHORT:  # the squares' sum is finite for nearly all finite arrays, and this call warns of nothing
        flat = array.ravel(order="K")
        if math.isfinite(np.vdot(flat, flat)) or np.isfinite(flat).all():
            return
    # The sum is a cheap first look: it is finite for nearly all finite arrays.
    with np.errstate(all="ignore"):
        if array.size == 0 or math.isfinite(float(array.sum(dtype=np.float64))):
            return
        finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(k) for k in np.argwhere(~finite)[0])
        place = index[0] if len(index) == 1 else index
        raise ValueError(f"{name} must be finite; {name}[{place}] is {array[index]}")


def positive(value: Any, name: str) -> float:
    """A finite number > 0."""
    number = _number(value, name)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be positive and finite, not {value!r}")
    return number


def nonnegative(value: Any, name: str) -> float:
    """A finite number >= 0."""
    number = _number(value, name)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be finite and >= 0, not {value!r}")
    return number


def integer(value: Any, name: str, least: int = 0, most: int | None = None) -> int:
    """An integer of at least that, and at most."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        upper = "" if most is None else f" and <= {most}"
        raise ValueError(f"{name} must be an integer >= {least}{upper}, not {value!r}")
    return int(value)


def word(value: Any, name: str, words: Iterable[str]) -> str:
    """One of the words."""
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, words))}, not {value!r}")
    return value


def flag(value: Any, name: str) -> bool:
    """True or False, as an integer too; what else Python takes for one of them is a mistake."""
    if not isinstance(value, bool | np.bool_ | int | np.integer):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def _number(value: Any, name: str) -> float:
    """A float; a text that reads like one is none."""
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except OverflowError:  # an int beyond all floats, whose digits nobody wants to read
        raise ValueError(f"{name} must be a number of at most 1.8e308") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
