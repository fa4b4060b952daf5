"""Stencils: -div(coeff grad) + mass on a box, without a matrix."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from .._base import threads as _threads
from .._base.validate import check_finite, integer, real_array
from . import _kernels
from ._mask import checked_mask

Array = npt.NDArray[Any]

KINDS = ("dirichlet", "neumann", "periodic")
OBSTACLES = ("neumann", "dirichlet")
#: Where the unknowns lie -> how many half spacings a Dirichlet wall is nearer than the next unknown would be.
UNKNOWNS = {"nodes": 1.0, "cells": 2.0}
ORDERINGS = ("natural", "redblack")
#: The least number of full precision.
TINY = float(np.finfo(np.float64).tiny)
FLOAT64 = np.dtype(np.float64)


class GridOperator(scipy.sparse.linalg.LinearOperator):  # type: ignore[misc]
    """The finite-volume operator ``-div(coeff grad) + mass`` on a box: 3 points in 1-D, 5 in 2-D, 7 in 3-D.

    Parameters
    ----------
    shape : int or sequence of 1 to 3 ints
        Cells, or nodes, along each axis; vectors are arrays of this shape, or flat in C order.
    coeff : float, array_like or sequence of arrays, default 1.0
        A number; or values at the cells, an array of `shape`, of which a face takes the harmonic mean (at a boundary:
        the cell's own value); or a tuple or list of one array of face values an axis, each one longer than `shape`
        along its axis, the low boundary first. At least 0.
    mass : float or array_like, default 0.0
        What is added to the diagonal; one value, or one a cell.
    spacing : float or sequence of floats, default 1.0
        Distance between cells, along each axis where it is a sequence.
    bc : str or sequence, default "dirichlet"
        "dirichlet" (zero at a wall; where that is `unknowns` says), "neumann" (no flux) or "periodic"; or a sequence of
        one of these for each axis, or of a pair (low end, high end).
    mask : array_like of bool, of `shape`, optional
        False for cells that take no part, an obstacle's. Their rows are those of the identity.
    obstacle : {"neumann", "dirichlet"}, default "neumann"
        What a cell has towards a neighbour that takes no part: no flux, or a wall at zero.
    unknowns : {"nodes", "cells"}, default "nodes"
        "nodes": a wall is one spacing from the last unknown, and adds coeff / spacing^2 to its diagonal. "cells": the
        unknowns are the middles of cells, a wall is half a spacing away and adds 2 coeff / spacing^2.

    Attributes
    ----------
    grid_shape : tuple of int
        The grid's shape; `shape` is the operator's, (size, size).
    size : int
        Unknowns.
    entries : int
        Multiply-adds of a product with a vector.

    Raises
    ------
    ValueError
        A shape, coefficient, mass, mask or boundary that does not fit, or a diagonal that is not positive. With a mask
        a cell may have neither neighbours nor sinks; products and most methods then raise.

    Notes
    -----
    A product reads nothing but vectors where coeff and mass are numbers, else one array of faces an axis and the
    diagonal too. With Neumann or periodic ends all round and no mass the operator is singular: a system is solvable
    where b sums to zero.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.linalg import GridOperator
    >>> grid = GridOperator((2, 3), mass=1.0)
    >>> (grid @ np.ones(6)).tolist()
    [3.0, 2.0, 3.0, 3.0, 2.0, 3.0]
    >>> grid.update(coeff=0.5)
    >>> grid.diagonal().tolist()
    [3.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    """

    #: What a method must be able to take.
    capability = "grid"
    #: Copies of the user's matrix that were made: there is none.
    copies = 0

    def __init__(
        self,
        shape: int | Sequence[int],
        coeff: Any = 1.0,
        mass: Any = 0.0,
        spacing: float | Sequence[float] = 1.0,
        bc: Any = "dirichlet",
        *,
        mask: npt.ArrayLike | None = None,
        obstacle: str = "neumann",
        unknowns: str = "nodes",
    ) -> None:
        self.grid_shape = _checked_shape(shape)
        self.size = math.prod(self.grid_shape)
        self.bc = _checked_ends(bc, len(self.grid_shape))
        self.spacing = _checked_spacing(spacing, len(self.grid_shape))
        self.dtype, self.shape = FLOAT64, (self.size, self.size)  # as SciPy's __init__, which takes longer
        for value, name, known in ((obstacle, "obstacle", OBSTACLES), (unknowns, "unknowns", UNKNOWNS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        self.obstacle, self.unknowns = obstacle, unknowns
        #: How often the values were set.
        self.updates = 0
        self.coeff: Any = None
        self._cells: Array | None = None
        self.mass: Any = None
        self.mask: Array | None = None
        self._outside: Array | None = None
        self.update(coeff=coeff, mass=mass, mask=mask)

    @classmethod
    def from_csr(cls, A: Any, shape: int | Sequence[int], mask: npt.ArrayLike | None = None) -> GridOperator:
        """The operator of a sparse matrix that is one: an M-matrix of 3, 5 or 7 points, rows in C order of the grid.

        Parameters
        ----------
        A : sparse matrix, shape (n, n)
            Symmetric (to 1e-12 of its largest entry), off its diagonal at most 0 and only between neighbours on the
            grid (around its ends too), with row sums of at least 0.
        shape : int or sequence of 1 to 3 ints
            The grid's, of n cells.
        mask : array_like of bool, of `shape`, optional
            False where the rows of A are those of the identity, and no part of the problem.

        Returns
        -------
        GridOperator
            Its `to_csr` has the entries of A, to rounding. What a row sums to counts as reaction where the cell has all
            its neighbours, and beyond the least of those as a wall where it does not.

        Raises
        ------
        ValueError
            Where A is not of this kind; the message names an entry.

        Examples
        --------
        >>> from solvers.linalg import GridOperator
        >>> A = GridOperator((4, 5), 2.0, mass=0.5).to_csr()
        >>> bool(abs(GridOperator.from_csr(A, (4, 5)).to_csr() - A).max() < 1e-12)
        True
        """
        from ._stencil import recognised

        shape = _checked_shape(shape)
        faces, mass, periodic = recognised(A, shape, None if mask is None else checked_mask(mask, shape))
        bc = ["periodic" if wraps else "dirichlet" for wraps in periodic]
        return cls(shape, list(faces), mass, 1.0, bc, mask=mask, obstacle="dirichlet")

    @property
    def entries(self) -> int:
        """Multiply-adds of a product with a vector."""
        return self.size * (1 + 2 * len(self.grid_shape))

    @property
    def outside(self) -> Array:
        """Flat indices of the cells that take no part."""
        if self._outside is None:
            self._outside = np.flatnonzero(~self.mask) if self.mask is not None else np.empty(0, np.intp)
        return self._outside

    @property
    def constant(self) -> bool:
        """Whether coefficient and mass are numbers, so that a product reads vectors alone."""
        return isinstance(self.coeff, float) and isinstance(self.mass, float) and self.mask is None

    @property
    def slants(self) -> bool:
        """Whether, besides, all rows have one number on the diagonal, nothing is periodic, and strips of rows fit."""
        return self._numbers.slants

    def __repr__(self) -> str:
        kind = "constant" if self.constant else "variable"
        return f"<GridOperator of {' x '.join(map(str, self.grid_shape))} cells, {kind} coefficients>"

    def update(self, *, coeff: Any = None, mass: Any = None, mask: npt.ArrayLike | None = None) -> None:
        """Change the coefficient, the mass, the mask or several of them; what is None stays.

        Costs at most one pass over the grid. Operands made before keep their values; `operand` makes new ones.
        """
        new_coeff, cells = (self.coeff, self._cells) if coeff is None else self._checked_coeff(coeff)
        new_mass = self.mass if mass is None else _checked_values(mass, "mass", self.grid_shape)
        new_mask = self.mask if mask is None else checked_mask(mask, self.grid_shape)
        numbers = _kernels.GridNumbers(
            self.grid_shape, self.spacing, self.bc, self.unknowns, self.obstacle, new_coeff, cells, new_mass, new_mask
        )
        constant = isinstance(new_coeff, float) and isinstance(new_mass, float)
        # with a mask it says nothing here, and takes as long as some passes of a hierarchy's set-up, which needs none
        diagonal = None if constant or new_mask is not None else numbers.diagonal()
        if new_mask is None:
            ends = (numbers.least_diagonal(),) * 2 if diagonal is None else (diagonal.min(), diagonal.max())
            if not TINY <= ends[0] <= ends[1] < math.inf:
                raise ValueError(
                    f"coeff and mass must make the diagonal positive and finite; it goes from {ends[0]} to {ends[1]}"
                )
        self.coeff, self._cells, self.mass, self.mask = new_coeff, cells, new_mass, new_mask
        self._numbers, self._diagonal = numbers, diagonal
        self._operands: dict[tuple[str, str], _kernels.Grid] = {}
        self._outside = None
        self.updates += 1
        #: What the multilevel method made of this operator: by `nullspace` a hierarchy, or why there is none.
        self.hierarchies: dict[Any, Any] = {}

    def __reduce__(self) -> Any:
        coeff = self.coeff if self._cells is None else self._cells
        values = self.grid_shape, coeff, self.mass, self.spacing, self.bc
        made = functools.partial(type(self), mask=self.mask, obstacle=self.obstacle, unknowns=self.unknowns)
        return made, values

    def diagonal(self) -> Array:
        """The diagonal, flat; 1 outside of the mask."""
        if self.constant:
            return self._numbers.diagonal()
        if self._diagonal is None:
            self._diagonal = self._numbers.diagonal()
        return self._diagonal.copy()

    def walls(self) -> Array:
        """What Dirichlet walls, of the box and of obstacles, add to the diagonal: an array of the grid's shape."""
        return self._numbers.walls().reshape(self.grid_shape)

    def to_csr(self) -> scipy.sparse.csr_array:
        """The same operator as a sparse matrix, rows in C order of the grid."""
        cell = np.arange(self.size).reshape(self.grid_shape)
        rows, columns, values = [cell.ravel()], [cell.ravel()], [self.diagonal()]
        for axis, before in enumerate(self.couplings()):
            low, high = np.roll(cell, 1, axis).ravel(), cell.ravel()
            joined = np.flatnonzero(before.ravel())
            for row, column in ((low, high), (high, low)):
                rows.append(row[joined])
                columns.append(column[joined])
                values.append(-before.ravel()[joined])
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        matrix = scipy.sparse.csr_array(scipy.sparse.coo_array(entries, shape=self.shape))
        matrix.sum_duplicates()
        return matrix

    def residual(self, b: Array, x: Array) -> Array:
        """b - A x in float64, of b's shape."""
        operand = self.operand("natural")
        packed = operand.pack(x)
        operand.residual(operand.pack(b), packed, r := np.empty_like(packed))
        return operand.unpack(r).reshape(np.shape(b))

    def operand(self, ordering: str, *, dtype: npt.DTypeLike = np.float64) -> _kernels.Grid:
        """The operator in one order, "natural" (lexicographic) or "redblack", as the kernels take it.

        Kept for the next call, until an update. In float32 it has red-black sweeps alone. "slanted", where it
        `slants`, is the natural order in the layout in which SSOR-CG is fastest, with what that needs and no more.
        """
        if not (ordering == "slanted" and self.slants):
            _check_ordering(ordering)
        key = ordering, np.dtype(dtype).char
        if key not in self._operands:
            self._operands[key] = self._made_operand(ordering, np.dtype(dtype))
        return self._operands[key]

    def sweep(
        self,
        x: Array,
        b: npt.ArrayLike,
        *,
        ordering: str = "redblack",
        omega: float = 1.0,
        sweeps: int = 1,
        backward: bool = False,
        threads: int | None = None,
    ) -> None:
        """SOR sweeps of x in place: a smoother.

        Parameters
        ----------
        x : ndarray, C-contiguous, float64 or float32, flat or of the grid's shape
            Changed in place; its type is that of the work in red-black order. Natural order works in float64.
        b : array_like
            The right-hand side, of as many elements.
        ordering : {"redblack", "natural"}
        omega : float, default 1.0
            Relaxation, between 0 and 2.
        sweeps : int, default 1
        backward : bool, default False
            Black before red, or the last row first.
        threads : int, optional
            The bits do not depend on it.
        """
        if not 0 < omega < 2:
            raise ValueError(f"omega must lie between 0 and 2, not {omega!r}")
        sweeps = integer(sweeps, "sweeps")
        if not isinstance(x, np.ndarray) or x.dtype not in (np.float64, np.float32):
            raise TypeError("x must be an array of float64 or float32: it is changed in place")
        if x.size != self.size or not x.flags.c_contiguous or not x.flags.writeable:
            raise ValueError(f"x must be contiguous, writeable and of {self.size} elements")
        right = real_array(b, "b", keep_float32=x.dtype == np.float32)
        if right.size != self.size:
            raise ValueError(f"b must have {self.size} elements, not {right.size}")
        _check_ordering(ordering)
        operand = self.operand(ordering, dtype=x.dtype if ordering == "redblack" else np.float64)
        packed, right = operand.pack(x), operand.pack(right)
        if ordering == "redblack":
            operand.sweeps(omega, backward, right, packed, sweeps, threads=_threads.resolve(threads))
        else:
            for _ in range(sweeps):
                operand.sweep(omega, backward, right, packed)
        x.reshape(-1)[:] = operand.unpack(packed)

    def _matvec(self, x: Array) -> Array:
        operand = self.operand("natural")
        packed = operand.pack(real_array(x, "x"))
        operand.multiply(packed, out := np.empty_like(packed))
        return operand.unpack(out)

    def _adjoint(self) -> GridOperator:
        return self

    def _checked_coeff(self, coeff: Any) -> tuple[Any, Array | None]:
        """A number, or one array of faces an axis; and the values at cells, where it is given by such."""
        axes = len(self.grid_shape)
        if isinstance(coeff, (list, tuple)) and len(coeff) == axes and np.ndim(coeff[0]) == axes:
            faces = (_checked_faces(values, axis, self.grid_shape, self.bc) for axis, values in enumerate(coeff))
            return tuple(faces), None
        values = _checked_values(coeff, "coeff", self.grid_shape)
        least = values if isinstance(values, float) else values.min()
        if least < 0:
            where = "" if isinstance(values, float) else f" at {_index_of(values < 0)}"
            raise ValueError(f"coeff must be >= 0, not {least}{where}")
        if isinstance(values, float):
            return values, None
        return tuple(_faces_between(values, axis, self.bc[axis]) for axis in range(values.ndim)), values

    def couplings(self) -> list[Array]:
        """Each cell's coupling with the one before along each axis, 0 where there is none; entries are minus these."""
        return [self._numbers.coupling(axis).reshape(self.grid_shape) for axis in range(len(self.grid_shape))]

    def _made_operand(self, ordering: str, dtype: np.dtype[Any]) -> _kernels.Grid:
        missing = 3 - len(self.grid_shape)
        shape = (1,) * missing + self.grid_shape
        periodic = [False] * missing + [ends[0] == "periodic" for ends in self.bc]
        if ordering == "redblack":
            for axis, (n, ends) in enumerate(zip(self.grid_shape, self.bc, strict=True)):
                if ends[0] == "periodic" and n > 1 and n % 2:
                    raise ValueError(
                        f"a grid that is periodic along axis {axis} with {n} cells, an odd number, has no red-black "
                        'ordering: take "natural"'
                    )
        operand = _kernels.Grid(shape, periodic, ordering, dtype)
        if ordering == "slanted":
            operand.set_uniform(self._numbers)
        elif self.constant:
            operand.set_constant(self._numbers)
        else:
            nothing = [np.zeros(self.size)] * missing
            diagonal = self.diagonal()
            if self.mask is not None:
                self._check_own(diagonal)
            operand.set_variable(nothing + self.couplings(), diagonal)
        return operand

    def _check_own(self, diagonal: Array) -> None:
        """With a mask a cell may be left without neighbours: a sweep would divide by its zero."""
        if not diagonal.min() >= TINY:
            cell = _index_of((diagonal <= 0).reshape(self.grid_shape))
            raise ValueError(f"the cell {cell} has a diagonal entry of {diagonal.min()}: neither neighbours nor sinks")


def _index_of(where: Array) -> tuple[int, ...]:
    """The first place that is True."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))


def _check_ordering(ordering: Any) -> None:
    if ordering not in ORDERINGS:
        raise ValueError(f"ordering must be one of {', '.join(ORDERINGS)} for a grid, not {ordering!r}")


def _checked_shape(shape: Any) -> tuple[int, ...]:
    given = tuple(shape) if isinstance(shape, tuple) or np.ndim(shape) else (shape,)
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1 for n in given)
    if not 1 <= len(given) <= 3 or not whole:
        raise ValueError(f"shape must be 1, 2 or 3 integers >= 1, not {shape!r}")
    return tuple(int(n) for n in given)


def _checked_spacing(spacing: Any, axes: int) -> tuple[float, ...]:
    same = isinstance(spacing, float) or np.ndim(spacing) == 0
    if not isinstance(spacing, (float, int)):  # float() would read text
        real_array(spacing, "spacing", ndim=0 if same else 1)
    values = tuple(map(float, (spacing,) if same else spacing))
    if len(values) != (1 if same else axes) or not all(h > 0 and TINY <= h * h < 1 / TINY for h in values):
        raise ValueError(f"spacing must be positive, with a finite square, one number or {axes}, not {spacing!r}")
    return values * axes if same else values


def _checked_ends(bc: Any, axes: int) -> tuple[tuple[str, str], ...]:
    """(low end, high end) of each axis."""
    if isinstance(bc, str) and bc in KINDS:  # what comes most often
        return ((bc, bc),) * axes
    given = tuple(bc) if isinstance(bc, (list, tuple, np.ndarray)) else (bc,) * axes
    ends = tuple(tuple(end) if isinstance(end, (list, tuple, np.ndarray)) else (end, end) for end in given)
    if len(ends) != axes or any(len(pair) != 2 for pair in ends):
        raise ValueError(f"bc must be one kind, or {axes} kinds or pairs of kinds, not {bc!r}")
    for pair in ends:
        if any(kind not in KINDS for kind in pair):
            raise ValueError(f"bc must be of {', '.join(KINDS)}, not {pair!r}")
        if pair.count("periodic") == 1:
            raise ValueError(f"bc must be periodic at both ends of an axis or at none, not {pair!r}")
    return ends


def _checked_values(value: Any, name: str, shape: tuple[int, ...]) -> Any:
    """A float, or an array of the grid's shape."""
    if type(value) is float and math.isfinite(value):
        return value  # what comes most often: NumPy takes ten times as long
    array = real_array(value, name)
    check_finite(array, name)
    if array.ndim == 0:
        return float(array)
    if array.shape != shape and array.shape != (math.prod(shape),):
        raise ValueError(f"{name} must be a number or of shape {shape}, not {array.shape}")
    return array.reshape(shape).copy()


def _checked_faces(faces: Any, axis: int, shape: tuple[int, ...], ends: Any) -> Array:
    array = real_array(faces, f"coeff[{axis}]").copy()
    check_finite(array, f"coeff[{axis}]")
    fits = tuple(n + (k == axis) for k, n in enumerate(shape))
    if array.shape != fits:
        raise ValueError(f"coeff[{axis}], faces along axis {axis}, must be of shape {fits}, not {array.shape}")
    if array.min() < 0:
        raise ValueError(f"coeff[{axis}] must be >= 0, not {array.min()} at {_index_of(array < 0)}")
    along = np.moveaxis(array, axis, 0)
    if ends[axis][0] == "periodic" and not np.array_equal(along[0], along[-1]):
        raise ValueError(f"coeff[{axis}] must have the same first and last faces: axis {axis} is periodic")
    return array


def _faces_between(values: Array, axis: int, ends: tuple[str, str]) -> Array:
    """The harmonic means of cells that share a face; at a boundary the cell's own value."""
    cells = np.moveaxis(values, axis, 0)
    low, high = (cells[-1:], cells[:1]) if ends[0] == "periodic" else (cells[:1], cells[-1:])
    before, after = np.concatenate([low, cells]), np.concatenate([cells, high])
    both = before + after
    # halves first: the product of two large coefficients may overflow
    mean = np.divide(before, both, out=np.zeros_like(both), where=both > 0) * after * 2
    return np.ascontiguousarray(np.moveaxis(mean, 0, axis))
