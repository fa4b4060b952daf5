"""Connected components of a grid operator that have no sink: there it is singular."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import scipy.sparse

from .._base.sparse import components
from . import _kernels
from ._grid import GridOperator

Array = npt.NDArray[Any]


def floating(op: GridOperator, nullspace: str | None) -> list[Array]:
    """Flat indices of the cells of each component without a sink; ValueError where `nullspace` does not allow them."""
    if np.min(op.mass) > 0 or (_joined(op) and _all_drained(op)):
        return []
    count, labels = _components(op)
    sinks = _has_sink(op, count, labels)
    number = int(count - sinks.sum())
    if number == 0:
        return []
    if nullspace is None:
        raise ValueError(
            f"the operator is singular: {number} of {count} components {_named(labels, sinks)} have no sink (no "
            'Dirichlet wall, no mass); pass nullspace="constant" or "components", or leave them out of the mask'
        )
    if nullspace == "constant" and count > 1:
        raise ValueError(
            f'nullspace="constant" is for one component; there are {count}, {number} of them {_named(labels, sinks)} '
            'without a sink: pass "components"'
        )
    flat = labels.ravel()
    if count == 1 and op.mask is None:
        return [np.arange(op.size)]
    order = np.argsort(flat, kind="stable")
    ends = np.searchsorted(flat[order], np.arange(count + 2))
    return [order[ends[c + 1] : ends[c + 2]] for c in range(count) if not sinks[c]]


def _all_drained(op: GridOperator) -> bool:
    """Whether, neighbours being joined, all parts have a sink for a reason that is soon found."""
    if op.mask is None:
        return bool(np.any(op.mass)) or any("dirichlet" in ends for ends in op.bc)
    return _kernels.drained(op.mask, [[end == "dirichlet" for end in ends] for ends in op.bc])


def _components(op: GridOperator) -> tuple[int, Array]:
    """How many there are, and that of each cell from 1 on (0 outside of the mask)."""
    wraps = any(ends[0] == "periodic" for ends in op.bc)
    if op.mask is None and _joined(op):
        return 1, np.ones(op.grid_shape, np.int32)
    if op.mask is not None and _joined(op) and not wraps:
        labels, count = scipy.ndimage.label(op.mask)
        return int(count), labels
    cell = np.arange(op.size).reshape(op.grid_shape)
    pairs = []
    for axis, before in enumerate(op.couplings()):
        at = np.flatnonzero(before)
        pairs.append((at, np.roll(cell, 1, axis).ravel()[at]))
    rows, columns = (np.concatenate(side) for side in zip(*pairs, strict=True))
    _, of_cell = components(scipy.sparse.coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=op.shape))
    active = np.ones(op.size, bool) if op.mask is None else op.mask.ravel()
    names, of_active = np.unique(of_cell[active], return_inverse=True)
    labels = np.zeros(op.size, np.int64)
    labels[active] = of_active + 1
    return len(names), labels.reshape(op.grid_shape)


def _joined(op: GridOperator) -> bool:
    """Whether all neighbours that take part are joined."""
    faces = (op.coeff,) if isinstance(op.coeff, float) else op.coeff
    return all(np.min(values) > 0 for values in faces)


def _has_sink(op: GridOperator, count: int, labels: Array) -> Array:
    """Of each component."""
    if np.min(op.mass) > 0:
        return np.ones(count, bool)
    seen = np.zeros(count + 1, bool)
    if _joined(op):
        for axis, ends in enumerate(op.bc):  # the walls of the box first: they are few, and mostly enough
            along = np.moveaxis(labels, axis, 0)
            for end, kind in zip((0, -1), ends, strict=True):
                if kind == "dirichlet":
                    seen[np.unique(along[end])] = True
    if not seen[1:].all():
        seen[labels[(op.walls() + op.mass) > 0]] = True
    return seen[1:]


def _named(labels: Array, sinks: Array) -> str:
    """Some of them, by a cell."""
    cells = []
    for component in np.flatnonzero(~sinks)[:4] + 1:
        at = np.unravel_index(int(np.argmax(labels == component)), labels.shape)
        cells.append(str(tuple(int(i) for i in at)))
    more = ", ..." if (~sinks).sum() > 4 else ""
    return f"(with the cells {', '.join(cells)}{more})"
