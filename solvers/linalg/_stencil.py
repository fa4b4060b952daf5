"""Sparse matrices that are stencils on a grid: to couplings, walls and reaction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.validate import check_finite
from ._mask import neighbour

Array = npt.NDArray[Any]

#: What entries and sums may be off by, in parts of the largest entry.
SLACK = 1e-12


def recognised(A: Any, shape: tuple[int, ...], mask: Array | None) -> tuple[tuple[Array, ...], Array, tuple[bool, ...]]:
    """(values of the faces of each axis, mass, whether each axis is periodic) of an M-matrix on a grid."""
    matrix = _checked(A, shape)
    slack = SLACK * float(abs(matrix.data).max(initial=0.0))
    active = np.ones(shape, bool) if mask is None else mask
    entries = matrix.tocoo()
    before, periodic = _couplings(entries, shape, active, slack)
    other = np.flatnonzero(~active.ravel() & (abs(matrix.diagonal() - 1) > SLACK))
    if len(other):
        raise ValueError(f"row {int(other[0])} of A, outside of the mask, is not that of the identity")
    rows = np.asarray(matrix.sum(axis=1)).reshape(shape)
    bad = active & (rows < -slack * (2 * len(shape) + 1))
    if bad.any():
        raise ValueError(f"A is no M-matrix: row {int(np.flatnonzero(bad)[0])} sums to {rows[bad][0]:g}, below 0")
    return _faces(before, np.where(active, np.maximum(rows, 0), 0), active, periodic)


def _checked(A: Any, shape: tuple[int, ...]) -> scipy.sparse.csr_array:
    if not scipy.sparse.issparse(A):
        raise TypeError("A must be a sparse matrix")
    if A.dtype.kind == "c":
        raise TypeError("A must be real")
    size = math.prod(shape)
    if A.shape != (size, size):
        raise ValueError(f"A must be of shape {(size, size)} for a grid of {shape}, not {A.shape}")
    matrix = scipy.sparse.csr_array(A, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    check_finite(matrix.data, "A")
    difference = abs(matrix - matrix.T)
    if difference.nnz and difference.max() > SLACK * abs(matrix.data).max():
        row, column = (int(at[np.argmax(difference.tocoo().data)]) for at in difference.tocoo().coords)
        raise ValueError(f"A is not symmetric: entries {(row, column)} and {(column, row)} differ")
    return matrix


def _couplings(
    entries: Any, shape: tuple[int, ...], active: Array, slack: float
) -> tuple[list[Array], tuple[bool, ...]]:
    """Each cell's coupling with the one before along each axis; which axes are joined around their ends."""
    row, column = entries.coords
    values = entries.data
    off = (row != column) & (np.abs(values) > slack)
    row, column, values = row[off], column[off], values[off]
    places = np.array(np.unravel_index(row, shape)) - np.array(np.unravel_index(column, shape))
    known = np.zeros(len(row), bool)
    before, periodic = [np.zeros(math.prod(shape)) for _ in shape], []
    for axis, n in enumerate(shape):
        others = np.delete(places, axis, 0)
        same = ~others.any(axis=0) if len(others) else np.ones(len(row), bool)
        next_to = same & (np.abs(places[axis]) == 1)
        around = same & (np.abs(places[axis]) == n - 1) & (n > 2)
        for pairs in (same & (places[axis] == 1), around & (places[axis] == 1 - n)):
            before[axis][row[pairs]] = -values[pairs]
        known |= next_to | around
        periodic.append(bool(around.any()))
    outside = ~active.ravel()[row] | ~active.ravel()[column]
    for wrong, why in (
        (~known, "joins cells that are not neighbours on the grid"),
        (values > 0, "is positive, off the diagonal of an M-matrix"),
        (outside, "belongs to a cell outside of the mask"),
    ):
        if wrong.any():
            at = int(np.argmax(wrong))
            raise ValueError(f"A is no stencil on this grid: entry {(int(row[at]), int(column[at]))} {why}")
    return [values.reshape(shape) for values in before], tuple(periodic)


def _faces(
    before: list[Array], sinks: Array, active: Array, periodic: tuple[bool, ...]
) -> tuple[tuple[Array, ...], Array, tuple[bool, ...]]:
    """Faces that hold the couplings, and at walls what the cells there have beyond the least reaction."""
    axes = range(active.ndim)
    closed = [[~neighbour(active, axis, high=high, periodic=periodic[axis]) for high in (False, True)] for axis in axes]
    count = sum((side.astype(int) for pair in closed for side in pair), np.zeros(active.shape, int))
    inner = active & (count == 0)
    least = float(sinks[inner].min()) if inner.any() else 0.0
    mass = np.where(count == 0, sinks, np.minimum(sinks, least))
    of_face = np.divide(sinks - mass, count, out=np.zeros_like(sinks), where=active & (count > 0))
    faces = []
    for axis in axes:
        low = before[axis] + np.where(closed[axis][0], of_face, 0)
        high = np.where(closed[axis][1], of_face, 0)
        all_faces = np.zeros([n + (k == axis) for k, n in enumerate(active.shape)])
        along = np.moveaxis(all_faces, axis, 0)
        along[:-1] += np.moveaxis(low, axis, 0)
        along[1:] += np.moveaxis(high, axis, 0)
        if periodic[axis]:
            along[0] = along[-1] = along[0] + along[-1]
        faces.append(all_faces)
    return tuple(faces), np.where(active, mass, 0.0), periodic
