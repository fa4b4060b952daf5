"""A multilevel map for grid operators: symmetric positive definite, matrix-free, set up in a few passes.

Blocks of two cells along each axis become one; couplings between blocks come from resistances in series and in
parallel, so that every level has 3, 5 or 7 points a row and is an M-matrix. A cycle sweeps each level once on the way
down, red cells before black ones, and once in the opposite order on the way up; the last level is solved exactly.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse.linalg

from .._base import threads as _threads
from .._base.validate import real_array
from . import _kernels
from ._components import floating
from ._corrections import Corrections, shipped
from ._grid import UNKNOWNS, GridOperator

Array = npt.NDArray[Any]

NULLSPACES = ("constant", "components")

#: How often a cycle goes to each level but the first and the last.
CYCLES = {"V": 1, "W": 2}

#: The trial that decides whether learned corrections are used: steps, and the right-hand side's seed.
TRIAL_STEPS, TRIAL_SEED = 3, 20_770


class Multilevel(scipy.sparse.linalg.LinearOperator):  # type: ignore[misc]
    """An approximate inverse of a `GridOperator`, made by `multilevel`: symmetric positive definite.

    Attributes
    ----------
    shapes : list of tuple of int
        The grids of its levels.
    used_correction : bool
        Whether learned corrections were asked for and, by the trial, found better.
    null : list of ndarray
        Flat indices of the cells of each component that has no sink, where `nullspace` was given.
    """

    #: What a method must be able to take.
    capability = "hierarchy"

    def __init__(
        self,
        operator: GridOperator,
        nullspace: str | None,
        dtype: npt.DTypeLike,
        threads: int | None,
        owned: bool = False,
        corrections: Corrections | None = None,
        gate: bool = True,
        smoother: str = "rb",
        cycle: str = "V",
    ):
        if nullspace is not None and nullspace not in NULLSPACES:
            raise ValueError(f"nullspace must be None or one of {', '.join(NULLSPACES)}, not {nullspace!r}")
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, not {dtype!r}")
        if cycle not in CYCLES:
            raise ValueError(f"cycle must be one of {', '.join(CYCLES)}, not {cycle!r}")
        super().__init__(np.dtype(np.float64), operator.shape)
        # One that its operator keeps must not keep it in turn: the memory of both would wait for a collection of
        # cycles.
        self._operator: Callable[[], GridOperator | None] = weakref.ref(operator) if owned else lambda: operator
        self.nullspace = nullspace
        self._threads = _threads.resolve(threads)
        self.single = np.dtype(dtype) == np.float32
        self._axes = _three(operator)
        self._corrections, self._gate = corrections, gate
        self._line, self._visits = _line(operator, smoother), CYCLES[cycle]
        self._rest = gate, smoother, cycle
        self.used_correction = False
        self.null: list[Array] = []
        self._of = 0
        #: Held while a cycle uses the levels' vectors: solves may share a hierarchy between threads.
        self.lock = threading.Lock()
        #: Vectors that no solve uses.
        self.spare: list[_kernels.MultilevelCg] = []
        self._set_up()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are set up anew, and have an operator of their own."""
        dtype = np.dtype(np.float32 if self.single else np.float64)
        return type(self), (self.operator, self.nullspace, dtype, self.threads, False, self._corrections, *self._rest)

    def update(self, *, coeff: Any = None, mass: Any = None, mask: npt.ArrayLike | None = None) -> None:
        """Change the operator, as its own `update` does, and set up anew in the memory at hand.

        Without arguments: set up for an operator that was changed by its own `update`. Where this raises ValueError,
        for a part without a sink or a mass below 0, both stay as they were.
        """
        op = self.operator
        with self.lock:
            before = op.__dict__.copy()
            op.update(coeff=coeff, mass=mass, mask=mask)
            try:
                self._set_up()
            except ValueError:
                op.__dict__.update(before)
                raise

    @property
    def current(self) -> bool:
        """Whether the operator is as it was when this was set up."""
        return self._of == self.operator.updates

    @property
    def operator(self) -> GridOperator:
        """Whose inverse it approximates."""
        op = self._operator()
        assert op is not None
        return op

    @property
    def threads(self) -> int:
        """Threads of later calls; the bits do not depend on it."""
        return self._threads

    @threads.setter
    def threads(self, count: int) -> None:
        with self.lock:
            self._threads = self.kernel.threads = self.stencil.threads = count

    def _set_up(self) -> None:
        begun = time.perf_counter()
        self._made_levels()
        self._of = self.operator.updates
        #: Of the last set-up.
        self.setup_seconds = time.perf_counter() - begun

    def _made_levels(self) -> None:
        op = self.operator
        if why := refused(op):
            raise ValueError(why)
        self.null = floating(op, self.nullspace)
        self._of = 0
        couplings = [] if isinstance(op.coeff, float) else op.couplings()
        line = None if self._line is None else self._axes.index(self._line)
        levels, odd = _planned(op, self._axes, couplings, line)
        if getattr(self, "levels", None) != levels:
            self.levels, self.spare = levels, []
            shape = [op.grid_shape[axis] if axis is not None else 1 for axis in self._axes]
            periodic = [axis is not None and op.bc[axis][0] == "periodic" for axis in self._axes]
            general = odd or line is not None or self._visits > 1
            self.kernel = _kernels.Multilevel(
                levels, periodic, self.single, self._threads, general, -1 if line is None else line, self._visits
            )
            self.stencil = _kernels.Stencil(shape, periodic, self._threads)
            self.shapes = [_in_order(n, self._axes) for n, _ in levels]
        if isinstance(op.coeff, float) and isinstance(op.mass, float):
            fill = self._filled_constant(op)
        else:
            fill = self._filled_variable(op, couplings or op.couplings())
        self.used_correction = self._corrections is not None
        if self._corrections is not None and self._gate:
            self._make(fill, None)
            by_hand = self._trial()
            self._make(fill, self._corrections)
            self.used_correction = self._trial() < by_hand
            if self.used_correction:
                return
        self._make(fill, self._corrections if self.used_correction else None)

    def _make(self, fill: Callable[[Array | None], None], correct: Corrections | None) -> None:
        fill(None if correct is None else correct.flat)
        self.kernel.solve_last(bool(self.null))

    def _filled_constant(self, op: GridOperator) -> Callable[[Array | None], None]:
        """What fills the levels from numbers and the mask, without arrays of couplings."""
        walls = [0.0 if axis is None else op.coeff / (op.spacing[axis] * op.spacing[axis]) for axis in self._axes]
        factor = UNKNOWNS[op.unknowns]
        sides = [
            (0.0, 0.0) if axis is None else tuple(factor * k * (end == "dirichlet") for end in op.bc[axis])
            for axis, k in zip(self._axes, walls, strict=True)
        ]
        obstacles = [factor * k * (op.obstacle == "dirichlet") for k in walls]
        scale = _kernels.plan_scale(2 * factor * sum(walls) + op.mass)
        self.stencil.set_constant(walls, sides, obstacles, op.mass, op.mask)
        return lambda learned: self.kernel.set_constant(walls, sides, obstacles, op.mass, op.mask, scale, learned)

    def _filled_variable(self, op: GridOperator, couplings: list[Array]) -> Callable[[Array | None], None]:
        diagonal = op.diagonal()
        if op.mask is not None:
            diagonal = np.where(op.mask.ravel(), diagonal, 0.0)
        faces = [None if axis is None else couplings[axis] for axis in self._axes]
        mass = np.broadcast_to(op.mass, op.grid_shape)
        mass = mass if op.mask is None else np.where(op.mask, mass, 0.0)
        self.stencil.set_variable(faces, diagonal)
        walls, scale = op.walls(), _kernels.plan_scale(float(diagonal.max()))
        return lambda learned: self.kernel.set_variable(faces, walls, mass, op.mask, scale, learned)

    def residuals(self, b: Array, steps: int) -> Iterator[float]:
        """Norms of the residual before and after each step of conjugate gradients from 0, by its recurrence."""
        loop = self.spare.pop() if self.spare else _kernels.MultilevelCg(self.stencil, self.kernel)
        numbers = np.zeros(_kernels.MULTILEVEL_NUMBERS)
        loop.take(b)
        left = loop.start(np.zeros(self.operator.size), numbers)
        yield left
        for nit in range(steps):
            _, left, _ = loop.iterate(numbers, 0.0, 0.0, left, nit, 1)
            yield left
        self.spare.append(loop)

    def _trial(self) -> float:
        """What some steps leave of a random right-hand side, always the same."""
        b = np.random.default_rng(TRIAL_SEED).normal(size=self.operator.size)
        if self.operator.mask is not None:
            b[~self.operator.mask.ravel()] = 0
        for cells in self.null:
            _kernels.project(b, cells)
        *_, left = self.residuals(b, TRIAL_STEPS)
        return left

    def apply(self, r: npt.ArrayLike, out: Array | None = None) -> Array:
        """``M r``, as ``M @ r``, into a vector that is at hand.

        Parameters
        ----------
        r : array_like of float, shape (n,)
        out : ndarray of float64, shape (n,), optional
            Contiguous; may be `r` itself. Without it a new one is made.

        Returns
        -------
        ndarray
            `out`.
        """
        given = real_array(r, "r")
        if given.shape != (self.shape[1],):
            raise ValueError(f"r must have shape ({self.shape[1]},), not {given.shape}")
        if out is None:
            out = np.empty(self.shape[0])
        elif not isinstance(out, np.ndarray) or out.dtype != np.float64 or out.shape != given.shape:
            raise ValueError(f"out must be an array of {self.shape[0]} float64")
        elif not out.flags.c_contiguous or not out.flags.writeable:
            raise ValueError("out must be contiguous and writeable")
        with self.lock:
            self.kernel.cycle(given, out)
        return out

    def _matvec(self, r: Array) -> Array:
        return self.apply(np.ravel(r))

    def _adjoint(self) -> Multilevel:
        return self


def multilevel(
    op: GridOperator,
    *,
    nullspace: str | None = None,
    weights: Corrections | str | os.PathLike[str] | None = None,
    gate: bool = True,
    smoother: str = "rb",
    cycle: str = "V",
    dtype: npt.DTypeLike = "float32",
    threads: int | None = None,
) -> Multilevel:
    """A multilevel approximate inverse of a grid operator, for conjugate gradients.

    Parameters
    ----------
    op : GridOperator
        With mass >= 0.
    nullspace : {None, "constant", "components"}, optional
        What is done about cells without a way to any sink, on which the operator is singular: by default that is an
        error; "constant" where it is all cells, "components" for any of them.
    weights : {None, "shipped"}, path or Corrections, optional
        Learned corrections of the coarse levels, made in the set-up: "shipped" for those of the package, or a file that
        ``python -m solvers.linalg.train --arch multilevel`` wrote. By default the hierarchy is the one made by hand.
    gate : bool, default True
        With `weights`: try both hierarchies for three steps on a random right-hand side, and keep the better.
    smoother : {"rb", "line-0", "line-1", "line-2"}, default "rb"
        "rb" relaxes cells, red ones and black ones; "line-k" relaxes whole lines of cells along axis k at once: for
        coefficients that make that axis the stronger one by factors that change from place to place.
    cycle : {"V", "W"}, default "V"
        "W" goes to each coarse level twice.
    dtype : {"float32", "float64"}, default "float32"
        Of the cycle. Conjugate gradients around it run in float64 either way.
    threads : int, optional
        The bits do not depend on it.

    Returns
    -------
    Multilevel
        A SciPy `LinearOperator`: pass it as ``M=`` to `solve`, or to SciPy's `cg`. Its `update` takes a new mask or
        coefficient in place.

    Raises
    ------
    ValueError
        Components without sinks and no `nullspace`; a mass below 0; lines along a periodic axis; a file that holds no
        weights of this kind.

    Notes
    -----
    A cycle takes about the memory traffic of four products with the operator. The counts of iterations do not depend
    on the size. Lines, "W", and periodic axes that are odd (or cannot be halved often enough) take cycles that go step
    by step on one thread: some five times as long. The corrections cost the set-up the time of some four iterations
    more, and the trial that of ten; levels on which one axis waits for the others stay as they are made by hand.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.linalg import GridOperator, multilevel, solve
    >>> grid = GridOperator((64, 64), unknowns="cells")
    >>> result = solve(grid, np.ones(64 * 64), M=multilevel(grid), rtol=1e-6)
    >>> result.method, result.success, result.nit < 10
    ('multilevel-cg', True, True)
    """
    if not isinstance(op, GridOperator):
        raise TypeError(f"op must be a GridOperator, not {type(op).__name__}")
    if isinstance(weights, str) and weights == "shipped":
        weights = shipped()
    elif weights is not None and not isinstance(weights, Corrections):
        weights = Corrections.load(weights)
    return Multilevel(op, nullspace, dtype, threads, corrections=weights, gate=gate, smoother=smoother, cycle=cycle)


def own(op: GridOperator, nullspace: str | None, threads: int | None = None) -> Multilevel:
    """The hierarchy that the operator keeps, made when it is first asked for; ValueError where there is none."""
    if nullspace not in op.hierarchies:
        try:
            op.hierarchies[nullspace] = Multilevel(op, nullspace, np.float32, threads, owned=True)
        except ValueError as error:
            op.hierarchies[nullspace] = str(error)  # it is asked for at each right-hand side
    held: Multilevel | str = op.hierarchies[nullspace]
    if isinstance(held, str):
        raise ValueError(held)
    return held


def refused(op: GridOperator) -> str:
    """Why there is no hierarchy for this operator; empty where there is one."""
    if np.min(op.mass) < 0:
        return f"multilevel needs a mass >= 0, not {np.min(op.mass)}"
    return ""


def _three(op: GridOperator) -> list[int | None]:
    """The operator's axis that is x, y, z; a grid of two has no y."""
    last = len(op.grid_shape) - 1
    return [last, 1 if last == 2 else None, 0 if last else None]


def _in_order(n: tuple[int, ...], axes: list[int | None]) -> tuple[int, ...]:
    """Of (x, y, z) those that are axes of the operator, in its order."""
    return tuple(n[place] for place in (2, 1, 0) if axes[place] is not None)


def _line(op: GridOperator, smoother: str) -> int | None:
    """The operator's axis whose lines are relaxed at once; None for cells."""
    names = [f"line-{axis}" for axis in range(len(op.grid_shape))]
    if smoother == "rb":
        return None
    if smoother not in names:
        raise ValueError(f"smoother must be one of rb, {', '.join(names)}, not {smoother!r}")
    line = names.index(smoother)
    if op.bc[line][0] == "periodic" and op.grid_shape[line] > 1:
        raise ValueError(f"smoother={smoother!r} needs lines with ends: axis {line} is periodic")
    return line


def _planned(
    op: GridOperator, axes: list[int | None], couplings: list[Array], line: int | None
) -> tuple[list[tuple[Any, Any]], bool]:
    """((cells along x, y, z), (whether the next level halves them)) of each level, and whether cycles go step by step.

    line: the axis (of x, y, z) of lines that are relaxed at once; its couplings may be stronger than the others' by any
    amount.
    """
    n = [1 if axis is None else op.grid_shape[axis] for axis in axes]
    periodic = [axis is not None and op.bc[axis][0] == "periodic" for axis in axes]
    strength = [0.0 if axis is None else _strength(op, axis, couplings) for axis in axes]
    return _kernels.plan_levels(n, periodic, strength, -1 if line is None else line)


def _strength(op: GridOperator, axis: int, couplings: list[Array]) -> float:
    """How strong the couplings along an axis are: the median of some thousands of them."""
    if not couplings:
        return float(op.coeff) / (op.spacing[axis] * op.spacing[axis])
    return _kernels.plan_strength(couplings[axis])
