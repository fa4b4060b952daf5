"""A rank's box of a DMDA: what joins its cells, and what lies just beyond it on other ranks.

Arrays have a box's shape in C order, which is PETSc's order of a rank's unknowns: axes (z, y, x) where PETSc's are
(x, y, z). A padded array has one cell more at each end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from petsc4py import PETSc

from ...linalg import GridOperator
from .memory import Array
from .ranks import gathered, together

PERIODIC = PETSc.DM.BoundaryType.PERIODIC

#: What entries and row sums may be off by, in parts of the largest entry.
SLACK = 1e-12


def grid_of(pc: Any, mat: Any) -> tuple[Any, tuple[int, ...]]:
    """The DMDA of a preconditioner or of its matrix, and the shape of this rank's box.

    Raises
    ------
    ValueError
        Where there is none, or one of several unknowns a cell.
    """
    for da in (pc.getDM(), mat.getDM()):
        if da and da.getType() == "da":
            if da.getDof() != 1:
                raise ValueError(f"a DMDA of one unknown a cell is needed, not of {da.getDof()}")
            return da, tuple(int(n) for n in da.getCorners()[1][::-1])
    raise ValueError("a matrix made by a DMDA is needed, or a solver to which one was given (KSP.setDM)")


def ends_of(da: Any) -> list[str]:
    """The ends of a rank's box along each axis: periodic where it reaches around."""
    pairs = list(zip(da.getBoundaryType(), da.getProcSizes(), strict=True))[::-1]
    return ["periodic" if kind == PERIODIC and ranks == 1 else "dirichlet" for kind, ranks in pairs]


class Neighbours:
    """Exchanges the cells at the ends of boxes. Made of a DMDA, or of boxes' sizes along each axis.

    Attributes
    ----------
    da : PETSc.DMDA
        With a star of width one.
    shape, whole : tuple of int
        Of this rank's box, and of the grid.
    """

    def __init__(self, ranges: list[Array], periodic: list[bool], comm: Any) -> None:
        self.ranges, self.periodic = ranges, periodic
        self.whole = tuple(int(n.sum()) for n in ranges)
        kinds = [PERIODIC if wraps else PETSc.DM.BoundaryType.NONE for wraps in periodic]
        self.da = PETSc.DMDA().create(
            dim=len(ranges), dof=1, sizes=self.whole[::-1], proc_sizes=[len(n) for n in ranges[::-1]],
            ownership_ranges=[[int(k) for k in n] for n in ranges[::-1]], boundary_type=kinds[::-1],
            stencil_type=PETSc.DMDA.StencilType.STAR, stencil_width=1, comm=comm,
        )  # fmt: skip
        (self.first, shape), (begins, held) = self.da.getCorners(), self.da.getGhostCorners()
        self.shape = tuple(int(n) for n in shape[::-1])
        self.held = tuple(int(n) for n in held[::-1])
        #: Where the box with the cells beyond lies in a padded array.
        self.place = tuple(
            slice(1 + ghost - own, 1 + ghost - own + n)
            for own, ghost, n in zip(self.first[::-1], begins[::-1], held[::-1], strict=True)
        )
        self._own, self._local = self.da.createGlobalVec(), self.da.createLocalVec()

    @classmethod
    def of(cls, da: Any) -> Neighbours:
        """Those of a DMDA of any stencil."""
        ranges = [np.array(n) for n in da.getOwnershipRanges()[::-1]]
        return cls(ranges, [kind == PERIODIC for kind in da.getBoundaryType()[::-1]], da.comm)

    def padded(self, box: Array, beyond: float = 0.0) -> Array:
        """The box with the cells of its neighbours; `beyond` where there are none, and at edges."""
        out = np.full([n + 2 for n in self.shape], beyond)
        self._own.setArray(np.ravel(box))
        self._local.set(beyond)
        self.da.globalToLocal(self._own, self._local)
        out[self.place] = self._local.getArray(readonly=True).reshape(self.held)
        return out

    def numbers(self) -> Array:
        """PETSc's row numbers of the box's cells."""
        first, last = self._own.getOwnershipRange()
        return np.arange(first, last).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Couplings:
    """What joins the cells of a box, or of a whole grid: an M-matrix of 3, 5 or 7 points a row."""

    #: Along each axis, of the faces: one more than the cells. At the ends those with other boxes, or around.
    faces: list[Array]
    #: What rows sum to: reaction, and walls at zero.
    mass: Array
    walls: Array
    #: Padded: the cells that take part.
    active: Array
    #: Axes that reach around within the array.
    around: list[bool]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.mass.shape

    def sides(self, axis: int) -> tuple[Array, Array]:
        """Each cell's coupling with the one before, and with the one after it, along an axis."""
        along = self.faces[axis]
        return np.delete(along, -1, axis), np.delete(along, 0, axis)

    def operator(self) -> GridOperator:
        """The box with walls half a cell beyond its ends at others: at least the matrix, whatever lies there."""
        inside = inner(self.active)
        closed = [[inside & ~side for side in beside(self.active, axis)] for axis in range(inside.ndim)]
        count = sum((side.astype(int) for pair in closed for side in pair), np.zeros(self.shape, int))
        of_face = np.divide(self.walls, 2 * count, out=np.zeros(self.shape), where=count > 0)
        faces = []
        for axis, (low, high) in enumerate(closed):
            values = self.faces[axis].copy()
            along = np.moveaxis(values, axis, 0)
            along[:-1] += np.moveaxis(np.where(low, of_face, 0.0), axis, 0)
            along[1:] += np.moveaxis(np.where(high, of_face, 0.0), axis, 0)
            faces.append(values)
        mass = np.where(inside, self.mass + np.where(count == 0, self.walls, 0.0), 0.0)
        bc = ["periodic" if wraps else "dirichlet" for wraps in self.around]
        mask = None if inside.all() else inside
        return GridOperator(self.shape, faces, mass, bc=bc, mask=mask, obstacle="dirichlet", unknowns="cells")


def inner(padded: Array) -> Array:
    """A padded array without what lies beyond."""
    return padded[(slice(1, -1),) * padded.ndim]


def beside(padded: Array, axis: int) -> tuple[Array, Array]:
    """What lies before each cell and after it along an axis."""
    sides = []
    for shift in (0, 2):
        at = [slice(1, -1)] * padded.ndim
        at[axis] = slice(shift, padded.shape[axis] - 2 + shift)
        sides.append(padded[tuple(at)])
    return sides[0], sides[1]


def recognised(mat: Any, boxes: Neighbours) -> Couplings:
    """The couplings of a rank's rows; two exchanges an axis, and the least reaction is reduced.

    Raises
    ------
    ValueError
        On all ranks where a row of one is none of an M-matrix on the grid.
    """
    numbers = boxes.padded(boxes.numbers(), -1.0).astype(np.int64)
    shape, axes = boxes.shape, range(len(boxes.shape))
    sums = np.zeros(shape)
    faces: list[Array] = []
    with together(mat.comm):
        if any(wraps and n < 3 for wraps, n in zip(boxes.periodic, boxes.whole, strict=True)):
            raise ValueError("a periodic axis needs three cells at least")
        both, diagonal, largest = _read(mat, numbers, len(shape))
        sums = diagonal - sum(side for pair in both for side in pair)
        if (sums < -SLACK * largest * (2 * len(shape) + 1)).any():
            raise ValueError(f"A is no M-matrix: row {_first(numbers, sums < 0)} sums to {sums.min():g}, below 0")
        faces = [_faces(*pair, axis) for axis, pair in enumerate(both)]
    sums = np.maximum(sums, 0.0)
    joined = sum(((side > 0) for pair in both for side in pair), np.zeros(shape, int))
    open_axes = sum(n > 1 for n in boxes.whole)
    inside = joined > 0 if math.prod(boxes.whole) > 1 else np.ones(shape, bool)
    complete = inside & (joined == 2 * open_axes)
    least = gathered(mat.comm, sums[complete].min() if complete.any() else np.inf).min()
    mass = np.where(complete, sums, np.minimum(sums, least if np.isfinite(least) else 0.0))
    around = [boxes.periodic[axis] and len(boxes.ranges[axis]) == 1 for axis in axes]
    active = boxes.padded(inside) > 0
    return Couplings(faces, np.where(inside, mass, 0.0), np.where(inside, sums - mass, 0.0), active, around)


def _read(mat: Any, numbers: Array, dim: int) -> tuple[list[tuple[Array, Array]], Array, float]:
    """The couplings of each cell with those before and after along each axis, and the diagonal."""
    shape = inner(numbers).shape
    starts, columns, values = mat.getValuesCSR()
    if not np.isfinite(values).all():
        raise ValueError("A contains NaN or infinity")
    row = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    own = inner(numbers).ravel()
    at_diagonal = columns == own[row]
    diagonal = np.zeros(len(own))
    diagonal[row[at_diagonal]] = values[at_diagonal]
    if not (diagonal > 0).all():
        raise ValueError(f"A must have a positive diagonal; row {own[int(np.argmin(diagonal))]} has {diagonal.min():g}")
    left = ~at_diagonal & (values != 0)
    both = []
    for axis in range(dim):
        pair = []
        for side in beside(numbers, axis):
            at = left & (columns == side.ravel()[row])
            coupling = np.zeros(len(own))
            coupling[row[at]] = -values[at]
            left &= ~at
            pair.append(coupling.reshape(shape))
        both.append((pair[0], pair[1]))
    largest = float(np.abs(values).max(initial=0.0))
    if left.any() or any(side.min(initial=0.0) < 0 for pair in both for side in pair):
        at = int(np.argmax(left)) if left.any() else int(np.argmax(~at_diagonal & (values > 0)))
        why = "joins cells that are not neighbours on the grid" if left.any() else "is positive, off the diagonal"
        raise ValueError(f"A is no stencil on this grid: entry {(int(own[row[at]]), int(columns[at]))} {why}")
    return both, diagonal.reshape(shape), largest


def _first(numbers: Array, where: Array) -> int:
    return int(inner(numbers)[where][0])


def _faces(low: Array, high: Array, axis: int) -> Array:
    return np.concatenate([low, high.take([-1], axis)], axis)
