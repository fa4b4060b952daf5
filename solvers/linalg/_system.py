"""The current matrix of a sequence: what stays from one to the next, and the cheap facts that arms are judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from . import _kernels
from ._box import Box, Layout, layout
from ._grid import GridOperator
from ._matrix import Plan, planned
from ._problem import for_ssor_cg

Array = npt.NDArray[Any]

#: Rows, spread over the matrix, that the estimate of the condition reads.
SAMPLE = 64
#: Pairs of entries that are compared at each new matrix of a pattern that is symmetric.
PAIRS = 256


class System:
    """The matrix of the current solve; `update` takes the next one.

    Attributes
    ----------
    given : object
        What the user gave.
    operator : Plan or GridOperator
        What `solve` takes.
    matrix : csr_array or None
        The sparse matrix; None for an operator on a grid.
    pattern, values : int
        They go up with every change of the pattern (or the size), and of the entries.
    size, entries : int
        Unknowns, and multiply-adds of a product with the matrix.
    dimension : int
        Of the space that the unknowns seem to live in, by the entries a row.
    """

    def __init__(self) -> None:
        self.given: Any = None
        self.operator: Any = None
        self.matrix: scipy.sparse.csr_array | None = None
        self.pattern, self.values, self.solves = 0, 0, 0
        self.size, self.entries, self.dimension = 0, 0, 1
        self.unchanged = 0  # solves since the values changed
        self._data = np.empty(0)
        self._ours = False  # whether the plan is our own, to be updated
        self._numbers: tuple[Any, ...] = ()  # of a grid: what its entries are made of
        self.indefinite = False
        self._layout: Layout | None = None
        self._was_box = False  # the last matrix of the pattern that was looked at
        self._sample: tuple[Array, Array, Array] | None = None
        self._pairs: tuple[Array, Array] | None = None
        self._facts: dict[str, Any] = {}

    def update(self, A: Any) -> None:
        """Take the matrix of the next solve; what its pattern tells is worked out when the pattern changes."""
        self.solves += 1
        self.unchanged += 1
        if isinstance(A, GridOperator):
            self._update_grid(A)
            return
        given = A if isinstance(A, Plan) else None
        matrix = A.matrix if given is not None else A
        same = (given is not None or _is_plain(A)) and _same_pattern(self.matrix, matrix)
        if not same and given is None and not (_is_plain(A) and A.has_canonical_format):
            matrix = planned(A).matrix
            same = _same_pattern(self.matrix, matrix)
        if not same:
            # what raises must not leave half a change behind
            self.operator, self._ours = (planned(matrix), True) if given is None else (given, False)
            self._new_pattern()
            self._take(matrix)
            self._layout = layout(matrix.indptr, matrix.indices)
        elif not (_same(self._data, matrix.data) and self._held(matrix.data)):
            if given is not None:
                self.operator, self._ours = given, False
            elif self._ours:
                self.operator.update(matrix.data)
            else:
                self.operator, self._ours = planned(matrix), True
            self._new_values()
            self._take(matrix)
        elif given is not None:
            self.operator, self.matrix, self._ours = given, matrix, False
        self.given = A

    def _held(self, data: Array) -> bool:
        """Whether the plan has these values, which are the last ones: the user may have changed those that it reads."""
        its = self.operator.matrix.data
        return its is data or _same(its, data)

    # ---- facts, worked out once a matrix ----------------------------------------------------------

    @property
    def run(self) -> float:
        """For how many solves a matrix is likely to stay: its age, or the mean so far."""
        return max(self.solves / max(self.values, 1), float(self.unchanged))

    @property
    def definite(self) -> bool:
        """Whether it may be symmetric positive definite, for all that is known."""
        return (
            not self.indefinite and self._fact("symmetric", self._symmetric) and self._fact("positive", self._positive)
        )

    @property
    def condition(self) -> float:
        """A crude estimate of the condition of the matrix with its diagonal scaled to 1."""
        return float(self._fact("condition", self._condition))

    @property
    def box(self) -> Box | None:
        """The constant stencil that it seems to be."""
        found: Box | None = self._fact("box", self._box)
        return found

    @property
    def boxed(self) -> bool:
        """Whether it may be such a stencil: as the last one was that was looked at, in hundreds of places."""
        return (self._was_box and self._layout is not None) or self.box is not None

    def no_box(self) -> None:
        """What seemed to be a box is none."""
        self._layout, self._facts["box"], self._was_box = None, None, False

    def residual(self, b: Array, x: Array) -> Array:
        """b - A x in float64."""
        return np.asarray(self.operator.residual(b, x))

    def measure(self, b: Array, x: Array) -> float:
        """The 2-norm of b - A x."""
        operand = self.operator.operand(for_ssor_cg("natural", self.operator))
        return float(operand.residual_norm(operand.packed(b), x))

    def csr(self) -> scipy.sparse.csr_array:
        """The matrix as SciPy's, in float64: others' factors and hierarchies are of the matrix's own type."""
        if self.matrix is None:
            return self._fact("csr", self.operator.to_csr)
        return self.matrix if self.matrix.dtype == np.float64 else self._fact("csr", self._in_double)

    @property
    def capability(self) -> str:
        """What a method must be able to take."""
        return "grid" if self.matrix is None else "sparse-matrix"

    def _fact(self, name: str, compute: Any) -> Any:
        if name not in self._facts:
            self._facts[name] = compute()
        return self._facts[name]

    # ---- changes ----------------------------------------------------------------------------------

    def _new_values(self) -> None:
        self.values += 1
        self.unchanged = 0
        self.indefinite = False
        self._facts = {}

    def _new_pattern(self) -> None:
        self.pattern += 1
        self._new_values()
        self._layout = self._sample = self._pairs = None
        self._was_box = False

    def _take(self, matrix: scipy.sparse.csr_array) -> None:
        """Keep the values aside: the user may write the next ones into the same array."""
        self.matrix = self.operator.matrix
        if self._data.shape != matrix.data.shape or self._data.dtype != matrix.data.dtype:
            self._data = np.empty_like(matrix.data)
        np.copyto(self._data, matrix.data)  # pages that are there already: new ones take longer than the copy
        self.size, self.entries = int(self.operator.size), len(self._data)
        per_row = self.entries / max(self.size, 1)
        self.dimension = 1 if per_row <= 3.1 else 2 if per_row <= 5.1 else 3

    def _update_grid(self, A: GridOperator) -> None:
        before = self.operator
        if not isinstance(before, GridOperator) or (before.grid_shape, before.bc) != (A.grid_shape, A.bc):
            self._new_pattern()
        elif any(a is not b for a, b in zip(_parts(A), self._numbers, strict=True)) or A.spacing != before.spacing:
            # an update of the operator makes these anew
            self._new_values()
        self.given = self.operator = A
        self.matrix, self._numbers = None, _parts(A)
        self.size, self.entries, self.dimension = A.size, A.entries, len(A.grid_shape)

    # ---- how the facts are found ------------------------------------------------------------------

    def _symmetric(self) -> bool:
        if self.matrix is None:
            return True
        # where all entries of an earlier matrix of the pattern were looked at, some tell
        if self._pairs is not None and _kernels.pairs_agree(self._wide(), *self._pairs, 1e-12):
            return True
        symmetric = bool(self.operator.symmetric)
        self._pairs = (self._pairs or _some_pairs(self.matrix)) if symmetric else None
        return symmetric

    def _positive(self) -> bool:
        if self.matrix is None:
            return True
        return bool(self.operator.operand("natural").least_diagonal > 0)

    def _box(self) -> Box | None:
        if self.matrix is None:
            return _grid_box(self.operator)
        found = None if self._layout is None else self._layout.box(self._wide())
        self._was_box = found is not None
        return found

    def _condition(self) -> float:
        if self.size == 0:
            return 1.0
        floor: float = 2.5 / float(max(self.size, 2)) ** (2 / self.dimension)
        if self.matrix is None:
            return 2 / max(float(np.mean(self.operator.mass)) / _usual_diagonal(self.operator), floor)
        ratio = _kernels.median_row(self._wide(), *(self._sample or self._sample_rows(self.matrix)))
        return float(2 / max(2 - ratio, floor))

    def _in_double(self) -> scipy.sparse.csr_array:
        assert self.matrix is not None
        return self.matrix.astype(np.float64)

    def _wide(self) -> Array:
        """The matrix's values in float64."""
        if self._data.dtype == np.float64:
            return self._data
        wide: Array = self._fact("wide", lambda: self._data.astype(np.float64))
        return wide

    def _sample_rows(self, matrix: scipy.sparse.csr_array) -> tuple[Array, Array, Array]:
        rows = np.unique(np.linspace(0, self.size - 1, SAMPLE).astype(np.int64))
        counts = (matrix.indptr[rows + 1] - matrix.indptr[rows]).astype(np.int64)
        starts = np.concatenate(([0], np.cumsum(counts)))
        at = np.arange(starts[-1]) + np.repeat(matrix.indptr[rows] - starts[:-1], counts)
        centre = np.flatnonzero(matrix.indices[at] == np.repeat(rows, counts))
        self._sample = at, starts, centre
        return self._sample


def _parts(grid: GridOperator) -> tuple[Any, ...]:
    """What the entries of a grid's matrix are made of, beside its shape and spacing."""
    return grid.mass, grid.coeff, grid.mask, grid.unknowns, grid.obstacle


def _usual_diagonal(grid: GridOperator) -> float:
    """The diagonal's mean; of constant coefficients what it is away from the ends, which takes no look at the cells."""
    return float(_stencil(grid)[0] if grid.constant else np.mean(grid.diagonal()))


def _grid_box(grid: GridOperator) -> Box | None:
    """The stencil of a grid with constant coefficients."""
    short = any(n < 3 and ends[0] == "periodic" for n, ends in zip(grid.grid_shape, grid.bc, strict=True))
    if not grid.constant or short:
        return None
    return Box(grid.grid_shape, *_stencil(grid), grid.bc)


def _stencil(grid: GridOperator) -> tuple[float, tuple[float, ...]]:
    """The entry on the diagonal away from the ends, and those beside it along each axis; of constant coefficients."""
    coupling = tuple(-grid.coeff / h**2 for h in grid.spacing)
    return grid.mass - 2 * sum(coupling), coupling


def _is_plain(A: Any) -> bool:
    return isinstance(A, scipy.sparse.csr_array) and A.dtype == np.float64


def _same_pattern(old: scipy.sparse.csr_array | None, new: scipy.sparse.csr_array) -> bool:
    return (
        old is not None and old.shape == new.shape and _same(old.indices, new.indices) and _same(old.indptr, new.indptr)
    )


def _same(one: Array, other: Array) -> bool:
    if one.dtype == other.dtype and one.flags.c_contiguous and other.flags.c_contiguous:
        return bool(_kernels.same(one, other))
    return np.array_equal(one, other)


def _some_pairs(matrix: scipy.sparse.csr_array) -> tuple[Array, Array] | None:
    """Some places in the data of A, and those of the mirrored entries; None where not all have one."""
    there = _kernels.images(matrix.indptr, matrix.indices)
    if there is None:
        return None
    few = np.unique(np.linspace(0, matrix.nnz - 1, PAIRS).astype(np.int64))
    return few, there[few]
