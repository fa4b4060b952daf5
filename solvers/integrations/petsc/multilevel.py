"""The multilevel cycle of each rank's box, and coarse grids that join the boxes.

One application smooths by a cycle of each rank's box, corrects by the next coarse grid, and smooths again: symmetric
and positive definite. A box is cycled with walls half a cell beyond its ends at others, an operator that is at least
the matrix; where the cycle itself overshoots, on coefficients that jump, the box is swept instead. Boxes are halved
each by itself, so that no block of cells belongs to two ranks; couplings and interpolation are those of the hierarchy
on one machine: resistances in series and in parallel. A coarse grid of at most `gather` cells is held whole by every
rank, and cycled by each; one reduction of all its cells, in place of many small messages, ends the way down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from petsc4py import PETSc

from ... import linalg
from .box import Couplings, Neighbours, beside, grid_of, inner, recognised
from .memory import Array, Rows, rows
from .ranks import gathered, together

#: Cells of the grid that every rank holds whole, at most.
GATHER = 20_000

#: A grid that halving would leave with more than this part of its cells is held whole.
LEAST_GAIN = 0.75

#: Steps of the power iteration that looks for overshooting, and its start; where it says more than this the box is
#: smoothed by a symmetric sweep in place of a cycle.
POWER_STEPS, SEED, OVERSHOT = 5, 4_177, 1.3

#: An axis whose couplings are weaker than the strongest by more than this is not halved yet.
ANISOTROPY = 8.0

#: The most that a neighbouring block may count in the interpolation.
LARGEST_SHARE = 0.99

DTYPES = ("float32", "float64")


class Multilevel:
    """`PCPYTHON`: a multilevel cycle on each rank's box of a DMDA, with a coarse correction across ranks.

    For symmetric M-matrices of 3, 5 or 7 points on a DMDA with one unknown a cell: Poisson's and the heat equation,
    with any coefficients, reaction, and obstacles (rows with nothing but a diagonal entry). The DMDA is that of the
    matrix, or of the solver.

    Parameters
    ----------
    gather : int, default 20000
        Cells of the coarse grid that every rank holds whole, at most; option `-pc_solvers_gather`.
    dtype : {"float64", "float32"}, default "float64"
        Of the cycles; option `-pc_solvers_dtype`. In float32 they take half the memory traffic, and are linear to seven
        digits alone: `KSPFCG` or `ConjugateDirections` forgive that.

    Raises
    ------
    ValueError
        At set-up, on all ranks: a matrix of another kind, a DMDA that is missing.

    Notes
    -----
    On one rank it is the cycle of the box alone. On several an application makes two products with the matrix, two
    exchanges of halos a coarse grid, and one gathering of the last of them.
    """

    def __init__(self, gather: int = GATHER, dtype: str = "float64") -> None:
        self.gather, self.dtype = gather, _dtype(dtype)
        self._grid: _Grid | None = None

    def setFromOptions(self, pc: Any) -> None:  # noqa: N802
        options = PETSc.Options(pc.getOptionsPrefix())
        self.gather = options.getInt("pc_solvers_gather", self.gather)
        self.dtype = _dtype(options.getString("pc_solvers_dtype", self.dtype))

    def setUp(self, pc: Any) -> None:
        _, mat = pc.getOperators()
        da, _ = grid_of(pc, mat)
        self._grid = _Grid(mat, Neighbours.of(da), self.gather, self.dtype)

    def apply(self, pc: Any, r: Any, z: Any) -> None:
        assert self._grid is not None
        self._grid.apply(r, z)

    def applyTranspose(self, pc: Any, r: Any, z: Any) -> None:  # noqa: N802
        self.apply(pc, r, z)

    def reset(self, pc: Any) -> None:
        self._grid = None

    def view(self, pc: Any, viewer: Any) -> None:
        shapes = "" if self._grid is None else f", grids {self.shapes()}"
        viewer.printfASCII(f"  Multilevel of solvers: cycles in {self.dtype}{shapes}\n")

    def shapes(self) -> list[tuple[int, ...]]:
        """The grids that are shared out among ranks, and the one that all hold."""
        found, grid = [], self._grid
        while grid is not None:
            found.append(grid.boxes.whole)
            grid = grid.coarse
        return found


class _Grid:
    """One grid across ranks: the rank's box, and the next coarse grid."""

    def __init__(self, mat: Any, boxes: Neighbours, gather: int, dtype: str, held: bool = False) -> None:
        self.mat, self.boxes = mat, boxes
        self.coarse: _Grid | None = None
        joined = recognised(mat, boxes)
        #: Cells that take no part: their rows are a diagonal entry alone.
        self.alone = np.flatnonzero(~inner(joined.active).ravel())
        self.alone_inverse = 1 / mat.getDiagonal().getArray(readonly=True)[self.alone]
        self.gathering: _Gathering | None = None
        if held:
            self.gathering = _Gathering(boxes)
            joined = self.gathering.couplings(joined)
        shared = not held and mat.comm.size > 1
        own = rows(mat) if shared else None
        with together(mat.comm):
            # a box may be shut off from all sinks, as the whole grid may be
            cycle = linalg.multilevel(joined.operator(), nullspace="components", dtype=dtype, threads=1)
            self.smoother: Any = _sweep(own) if own is not None and _overshoots(cycle) else cycle
        if not shared:
            return
        self.interpolation, matrix, coarser = _halved(joined, boxes)
        size, before = int(np.prod(coarser.whole)), int(np.prod(boxes.whole))
        whole = size <= gather or size > LEAST_GAIN * before
        self.coarse = _Grid(matrix, coarser, gather, dtype, held=whole)
        self.work = [mat.createVecLeft() for _ in range(2)]
        self.down, self.up = coarser.da.createGlobalVec(), coarser.da.createGlobalVec()
        self.local = coarser.da.createLocalVec()

    def apply(self, r: Any, z: Any) -> None:
        if self.coarse is None:
            self._smoothed(r, z)
            return
        left, more = self.work
        self._smoothed(r, z)
        self._residual(r, z, left)
        self._corrected(left, more)
        z.axpy(1.0, more)
        self._residual(r, z, left)
        self._smoothed(left, more)
        z.axpy(1.0, more)

    def _residual(self, r: Any, z: Any, out: Any) -> None:
        self.mat.mult(z, out)
        out.aypx(-1.0, r)

    def _smoothed(self, r: Any, z: Any) -> None:
        """The cycle of the box, or of the whole grid where all ranks hold it."""
        values = r.getArray(readonly=True)
        given = values if self.gathering is None else self.gathering.whole(r)
        found = self.smoother.matvec(given)
        out = z.getArray()
        out[:] = found if self.gathering is None else found[self.gathering.own]
        out[self.alone] = self.alone_inverse * values[self.alone]

    def _corrected(self, r: Any, z: Any) -> None:
        """What the coarse grid makes of a residual."""
        assert self.coarse is not None
        da = self.coarse.boxes.da
        self.local.getArray()[:] = self.interpolation.T @ r.getArray(readonly=True)
        self.down.zeroEntries()
        da.localToGlobal(self.local, self.down, addv=PETSc.InsertMode.ADD_VALUES)
        self.coarse.apply(self.down, self.up)
        da.globalToLocal(self.up, self.local)
        z.getArray()[:] = self.interpolation @ self.local.getArray(readonly=True)


def _overshoots(cycle: linalg.Multilevel) -> bool:
    """Whether the cycle exceeds the inverse, on rough coefficients, by so much that what is built on it might not be
    positive definite: it must stay below twice the inverse. By some steps of the power iteration."""
    op = cycle.operator
    v = np.random.default_rng(SEED).normal(size=op.size)
    for _ in range(POWER_STEPS):
        if not (size := float(np.linalg.norm(v))) > 0:
            return False
        v = cycle.matvec(op.matvec(v / size))
    return float(np.linalg.norm(v)) >= OVERSHOT


def _sweep(own: Rows) -> linalg.SsorPreconditioner:
    """A symmetric sweep of the box, the diagonal raised by its couplings with others: never above the inverse."""
    raised = own.own.copy()
    raised.setdiag(raised.diagonal() + own.couplings())
    return linalg.ssor(linalg.plan(raised), 1.0)


class _Gathering:
    """Vectors of a grid that every rank gets whole, in C order."""

    def __init__(self, boxes: Neighbours) -> None:
        self.boxes = boxes
        vector = boxes.da.createGlobalVec()
        self.scatter, self.all = PETSc.Scatter.toAll(vector)
        places = np.arange(int(np.prod(boxes.whole))).reshape(boxes.whole)
        ends = zip(boxes.first[::-1], boxes.shape, strict=True)
        #: This rank's cells in the whole.
        self.own = places[tuple(slice(int(a), int(a) + n) for a, n in ends)].ravel()
        vector.setArray(self.own)
        self.scatter.scatter(vector, self.all)
        self.order = self.all.getArray(readonly=True).astype(np.int64)
        self._vector = vector

    def whole(self, vector: Any) -> Array:
        """All cells of a vector."""
        self.scatter.scatter(vector, self.all)
        out = np.empty(len(self.order))
        out[self.order] = self.all.getArray(readonly=True)
        return out

    def couplings(self, mine: Couplings) -> Couplings:
        """Those of the whole grid."""

        def whole(box: Array) -> Array:
            self._vector.setArray(np.ravel(box))
            return self.whole(self._vector).reshape(self.boxes.whole)

        axes = range(len(self.boxes.whole))
        faces = []
        for axis in axes:
            low = whole(np.delete(mine.faces[axis], -1, axis))
            faces.append(np.concatenate([low, low.take([0], axis)], axis))
        active = whole(inner(mine.active)) > 0
        for axis in axes:
            kind = "wrap" if self.boxes.periodic[axis] else "constant"
            active = np.pad(active, [(int(k == axis),) * 2 for k in axes], mode=kind)  # type: ignore[call-overload]
        return Couplings(faces, whole(mine.mass), whole(mine.walls), active, list(self.boxes.periodic))


def _halved(fine: Couplings, boxes: Neighbours) -> tuple[scipy.sparse.csr_array, Any, Neighbours]:
    """Interpolation from the coarse box and the cells beyond it, the coarse matrix, and its boxes."""
    axes = range(len(fine.shape))
    halved = _axes_to_halve(fine, boxes)
    ranges = [(n + 1) // 2 if half else n for n, half in zip(boxes.ranges, halved, strict=True)]
    coarser = Neighbours(ranges, boxes.periodic, boxes.da.comm)
    starts = [np.arange(0, n, 1 + half) for n, half in zip(fine.shape, halved, strict=True)]
    couplings: list[tuple[Array, Array]] = []
    shares: list[tuple[Array, Array]] = []
    for axis in axes:
        before, after = fine.sides(axis)
        half = _half_blocks(before, after, axis) if halved[axis] else np.zeros(fine.shape)
        beyond = beside(boxes.padded(half), axis)
        place = _places(fine.shape, axis)
        first = place % 2 == 0 if halved[axis] else place >= 0
        last = (place % 2 == 1) | (place == fine.shape[axis] - 1) if halved[axis] else first
        found = []
        for face, side, ends in ((before, beyond[0], first), (after, beyond[1], last)):
            series = half + side + np.divide(1.0, face, out=np.full(fine.shape, np.inf), where=face > 0)
            found.append(np.where(ends, 1 / series, 0.0))
        couplings.append((_summed(found[0], starts), _summed(found[1], starts)))
        shares.append((np.minimum(half * found[0], LARGEST_SHARE), np.minimum(half * found[1], LARGEST_SHARE)))
    sums = _summed(fine.mass, starts) + _summed(fine.walls, starts) / 2
    blocks = [np.arange(n) // (1 + half) for n, half in zip(fine.shape, halved, strict=True)]
    return _interpolation(fine, shares, blocks, coarser), _assembled(coarser, couplings, sums), coarser


def _axes_to_halve(fine: Couplings, boxes: Neighbours) -> list[int]:
    """1 for the axes whose couplings, by their mean over the whole grid, are not much weaker than the strongest."""
    mine = []
    for axis in range(len(fine.shape)):
        before = fine.sides(axis)[0]
        mine += [float(np.log(before[before > 0]).sum()), np.count_nonzero(before)]
    total = gathered(boxes.da.comm, mine).sum(axis=0)
    strength = np.exp(total[::2] / np.maximum(total[1::2], 1)) * (total[1::2] > 0)
    may = [max(n) > 1 for n in boxes.ranges]
    most = max((s for s, can in zip(strength, may, strict=True) if can), default=0.0)
    return [int(can and s * ANISOTROPY >= most) for s, can in zip(strength, may, strict=True)]


def _places(shape: tuple[int, ...], axis: int) -> Array:
    """The cells' places along an axis, to be broadcast."""
    return np.arange(shape[axis]).reshape([-1 if k == axis else 1 for k in range(len(shape))])


def _half_blocks(before: Array, after: Array, axis: int) -> Array:
    """The resistance from the middle of a block of two cells to the middle of each: 0 where a block is one cell."""
    place = _places(before.shape, axis)
    first = place % 2 == 0
    within, across = np.where(first, after, before), np.where(first, before, after)
    # where an obstacle covers the other cell the coupling across stands for the missing one
    coupling = np.where(within > 0, within, across)
    half = np.divide(0.5, coupling, out=np.zeros(before.shape), where=coupling > 0)
    return np.where(first & (place == before.shape[axis] - 1), 0.0, half)


def _summed(values: Array, starts: list[Array]) -> Array:
    """Sums over blocks of cells that begin at these places along each axis."""
    for axis, places in enumerate(starts):
        values = np.add.reduceat(values, places, axis)
    return values


def _interpolation(
    fine: Couplings, shares: list[tuple[Array, Array]], blocks: list[Array], coarser: Neighbours
) -> scipy.sparse.csr_array:
    """From the coarse cells of the box and those beyond it, as PETSc holds them, to the cells of the box.

    Constants are interpolated as such but beside sinks.
    """
    inside, axes = inner(fine.active), range(len(fine.shape))
    numbers = np.full([n + 2 for n in coarser.shape], -1)
    numbers[coarser.place] = np.arange(int(np.prod(coarser.held))).reshape(coarser.held)
    block = np.meshgrid(*[at + 1 for at in blocks], indexing="ij")
    own = np.prod([(1 - low) * (1 - high) for low, high in shares], axis=0)
    columns, values = [numbers[tuple(block)]], [own]
    for axis in axes:
        for shift, share in zip((-1, 1), shares[axis], strict=True):
            columns.append(numbers[tuple(at + shift if k == axis else at for k, at in enumerate(block))])
            values.append(share)
    sides = [side for axis in axes for side in fine.sides(axis)]
    joined, count = sum(sides), sum((side > 0).astype(int) for side in sides)
    towards_zero = 0.5 * count * (fine.mass + fine.walls)
    of_row = np.divide(joined, joined + towards_zero, out=np.ones(fine.shape), where=joined > 0) / sum(values)
    cell = np.broadcast_to(np.arange(inside.size).reshape(fine.shape), (len(values), *fine.shape)).ravel()
    column, value = np.ravel(columns), np.ravel([np.where(inside, of_row * one, 0.0) for one in values])
    kept = (value != 0) & (column >= 0)
    entries = value[kept], (cell[kept], column[kept])
    return scipy.sparse.csr_array(scipy.sparse.coo_array(entries, shape=(inside.size, int(np.prod(coarser.held)))))


def _assembled(boxes: Neighbours, couplings: list[tuple[Array, Array]], sums: Array) -> Any:
    """The matrix of a coarse grid; a row of the identity where no cell of a block takes part."""
    numbers = boxes.padded(boxes.numbers(), -1.0).astype(PETSc.IntType)
    cell = inner(numbers)
    diagonal = sums + sum(side for pair in couplings for side in pair)
    columns, values = [cell], [np.where(diagonal > 0, diagonal, 1.0)]
    for axis, pair in enumerate(couplings):
        for side, coupling in zip(beside(numbers, axis), pair, strict=True):
            columns.append(side)
            values.append(-coupling)
    size = cell.size
    column, value = (np.stack([part.ravel() for part in parts], 1) for parts in (columns, values))
    kept = (value != 0) & (column >= 0)
    order = np.argsort(np.where(kept, column, np.iinfo(PETSc.IntType).max), axis=1, kind="stable")
    column, value, kept = (np.take_along_axis(part, order, 1) for part in (column, value, kept))
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(PETSc.IntType)
    mat = PETSc.Mat().createAIJ(
        size=((size, PETSc.DECIDE), (size, PETSc.DECIDE)), csr=(starts, column[kept], value[kept]),
        comm=boxes.da.comm,
    )  # fmt: skip
    mat.assemble()
    return mat


def _dtype(name: str) -> str:
    if name not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, not {name!r}")
    return name
