"""Which cells of a grid take part, and which border on others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def checked_mask(mask: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    """The mask as an array of bool of the grid's shape; a copy."""
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise TypeError(f"mask must be an array of bool, not of {array.dtype}")
    if array.size != np.prod(shape) or array.shape not in (shape, (array.size,)):
        raise ValueError(f"mask must be of shape {shape}, not {array.shape}")
    return np.ascontiguousarray(array.reshape(shape)).copy()


def neighbour(mask: Array, axis: int, *, high: bool, periodic: bool) -> Array:
    """Whether the next cell along an axis (`high`), or the one before, is there and takes part."""
    beside = np.roll(mask, -1 if high else 1, axis)
    if not periodic or mask.shape[axis] == 1:
        np.moveaxis(beside, axis, 0)[-1 if high else 0] = False
    return beside
