"""Which cells of a grid take part, and what those have that border on others."""

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


def coupled(mask: Array, axis: int, periodic: bool) -> Array:
    """Whether each cell and the one before it along an axis both take part."""
    return mask & neighbour(mask, axis, high=False, periodic=periodic)


def neighbour(mask: Array, axis: int, *, high: bool, periodic: bool) -> Array:
    """Whether the next cell along an axis (`high`), or the one before, is there and takes part."""
    beside = np.roll(mask, -1 if high else 1, axis)
    if not periodic or mask.shape[axis] == 1:
        np.moveaxis(beside, axis, 0)[-1 if high else 0] = False
    return beside


def own_faces(coeff: Any, cells: Array | None, axis: int) -> tuple[Any, Any]:
    """The coefficient that a cell has towards a wall at its low and at its high face: numbers, or arrays."""
    if cells is not None:
        return cells, cells
    if isinstance(coeff, float):
        return coeff, coeff
    faces = np.moveaxis(coeff[axis], axis, 0)
    return np.moveaxis(faces[:-1], 0, axis), np.moveaxis(faces[1:], 0, axis)


def walls(
    values: tuple[Any, Any], axis: int, ends: tuple[str, str], mask: Array | None, shape: tuple[int, ...]
) -> Array:
    """The coefficients of a cell's faces that are walls, summed; `mask` where obstacles have walls, too."""
    total = np.zeros(shape)
    for high in (False, True):
        faces = np.broadcast_to(values[high], shape)
        at, beyond = np.moveaxis(total, axis, 0), np.moveaxis(faces, axis, 0)
        end = -1 if high else 0
        if ends[high] == "dirichlet":
            at[end] += beyond[end]
        if mask is not None:
            inner = ~neighbour(mask, axis, high=high, periodic=ends[high] == "periodic")
            if ends[high] != "periodic" or shape[axis] == 1:
                np.moveaxis(inner, axis, 0)[end] = False
            total += np.where(inner, faces, 0.0)
    return total
