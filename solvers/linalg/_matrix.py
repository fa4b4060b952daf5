"""A matrix, analysed once: what the methods need of it, in the orders that they ask for."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base import threads as _threads
from .._base.validate import check_finite
from . import _kernels
from ._orderings import ORDERINGS, in_groups
from ._smoothing import Nodes, sweep
from ._symmetry import Symmetry

Array = npt.NDArray[Any]

#: Rows sorted by column and without duplicates, and the place of each diagonal entry; where the user's were not so, the
#: entry that each of the user's adds to.
Pattern = tuple[Array, Array, Array, Array | None]


class Analysed(ABC):
    """A pattern, looked at once, and the values in it: what the plans of real and of complex matrices share."""

    size: int
    entries: int
    copies: int
    #: Of the numbers that the matrix may have.
    kinds: str = "biuf"
    #: What `_begin` sets.
    made: tuple[str, ...]
    _pattern: Pattern
    _values: Array

    def __init__(self, A: Any, *, check_finite: bool = True) -> None:
        self._check = check_finite
        self._analyse(A)

    def _analyse(self, A: Any) -> None:
        given, copies = _as_csr(A, self.kinds)
        pattern = _pattern(given)
        self._take(pattern, _values(given.data, pattern))
        self._pattern, self._given = pattern, (given.indptr, given.indices)
        self._frame: scipy.sparse.csr_array | None = None
        self.size, self.entries = len(pattern[0]) - 1, len(pattern[1])
        self.copies = int(copies or pattern[3] is not None)
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """Forget what was made for an earlier pattern."""

    def __getstate__(self) -> dict[str, Any]:
        """All but what a copy has made anew for the kernels."""
        return {name: value for name, value in self.__dict__.items() if name not in self.made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def _take(self, pattern: Pattern, data: Array) -> None:
        """The values, checked before anything is changed."""
        starts, columns, at, _ = pattern
        diagonal, inverse, flaw = self._inverted(starts, columns, at, data)
        if flaw >= 0:
            value = data[at[flaw]].item()
            what = f"{value}, subnormal" if value != 0 and np.isfinite(value) else f"{value}"
            raise ValueError(f"A must have a nonzero, finite diagonal; A[{flaw}, {flaw}] is {what}")
        if self._check:
            _check_finite(data)
        self._values, self._diagonal, self._inverse = data, diagonal, inverse
        self._matrix: scipy.sparse.csr_array | None = None

    @abstractmethod
    def _inverted(self, starts: Array, columns: Array, at: Array, data: Array) -> tuple[Array, Array, int]:
        """The diagonal, one over it, and the first row where that is no number, else -1."""

    @property
    def matrix(self) -> scipy.sparse.csr_array:
        """The matrix: rows sorted by column, without duplicates; float64 or float32, or complex numbers of these."""
        if self._matrix is None:
            if self._frame is None:
                self._frame = _csr(*self._pattern[:2], self._values)
            # SciPy's constructor takes as long as a product with a small matrix
            self._matrix = copy(self._frame)
            self._matrix.data = self._values
        return self._matrix

    def __repr__(self) -> str:
        return f"<plan of a {self.size} x {self.size} matrix, {self.entries} entries, {self._values.dtype}>"

    def update(self, data: Any, *, allow_replan: bool = False) -> None:
        """Give the matrix other values in the same places; O(z), the pattern is not looked at again.

        Parameters
        ----------
        data : array_like, shape (entries,), or sparse matrix, shape (n, n)
            The new values in the order of those that the plan was made of: of ``A.data`` where A was CSR, of
            ``plan.matrix.data`` else. Contiguous float64 or float32 is read in place by later solves. A sparse matrix
            must have the pattern of the first.
        allow_replan : bool, default False
            Whether a sparse matrix of another pattern is analysed anew instead of refused.

        Raises
        ------
        ValueError
            Another number of values, another pattern, a diagonal entry that is zero, subnormal or not finite, NaN or
            infinity elsewhere. The plan is then as before.
        TypeError
            Values that are not real, where the plan is of a real matrix.

        Examples
        --------
        >>> import scipy.sparse, solvers
        >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4), format="csr")
        >>> plan = solvers.linalg.plan(A)
        >>> plan.update(2 * A.data)
        >>> solvers.linalg.solve(plan, [2.0, 0.0, 0.0, 2.0]).x.round(6).tolist()
        [1.0, 1.0, 1.0, 1.0]
        """
        if scipy.sparse.issparse(data):
            given, _ = _as_csr(data, self.kinds)
            if not self._fits(given):
                if not allow_replan:
                    raise ValueError("data has another pattern than the plan; allow_replan=True would analyse it anew")
                self._analyse(data)
                return
            values = given.data
        else:
            _check_unmasked(data, "data")
            values = np.asarray(data)
            _check_kind(values.dtype, "data", self.kinds)
            expected = len(self._given[1])
            if values.shape != (expected,):
                raise ValueError(f"data must have shape ({expected},), as the plan's, not {values.shape}")
        self._take(self._pattern, _values(values, self._pattern))
        self._renew()

    @abstractmethod
    def _renew(self) -> None:
        """Pass the new values on."""

    def _fits(self, other: scipy.sparse.csr_array) -> bool:
        pairs = zip((other.indptr, other.indices), self._given, strict=True)
        return other.shape == (self.size, self.size) and all(a is b or np.array_equal(a, b) for a, b in pairs)


class Plan(Analysed):
    """A square sparse matrix made ready for solves; made by `plan`, and taken by `solve` in place of the matrix.

    What an ordering needs is analysed when it is first asked for, and kept. `update` gives the matrix other values
    with no further analysis.

    Attributes
    ----------
    size : int
        Rows, and columns.
    entries : int
        Stored entries, and multiply-adds of a product.
    copies : int
        Copies of the user's arrays that were made.
    """

    made = "_symmetry", "_operands", "_stale", "_nodes"

    def _begin(self) -> None:
        self._symmetry = Symmetry(*self._pattern[:2])
        self._operands: dict[str, _kernels.Csr | _kernels.Sell] = {}
        self._stale: set[int] = set()  # those that have earlier values
        self._nodes: dict[int, Nodes] = {}

    def _take(self, pattern: Pattern, data: Array) -> None:
        super()._take(pattern, data)
        self._symmetric: bool | None = None

    def _inverted(self, starts: Array, columns: Array, at: Array, data: Array) -> tuple[Array, Array, int]:
        return _kernels.diagonal_values(starts, columns, at, data)

    @property
    def symmetric(self) -> bool:
        """Whether the values look symmetric: see `Symmetry`."""
        if self._symmetric is None:
            self._symmetric = self._symmetry.holds(self._values, self._diagonal)
        return self._symmetric

    @property
    def capability(self) -> str:
        """What a method must be able to serve."""
        return "sparse-matrix"

    def operand(self, ordering: str) -> _kernels.Operand:
        """The matrix in one order, as the kernels take it; kept for the next call.

        After an `update` of the plan those but the natural one have their new values once they are asked for again.

        Parameters
        ----------
        ordering : {"natural", "wavefront", "multicolor", "redblack", "blocks"}
            "natural" is the order of the rows. "wavefront" has the same results up to rounding, from groups of rows
            that are independent of one another; where such groups are too small to pay it is the natural order itself.
            "multicolor" has few large groups, but its sweeps are another iteration; "redblack" is that with two groups,
            for graphs without a cycle of odd length.
            "blocks" is the natural order inside blocks of rows, 16 at most, that have colours: an iteration between
            "wavefront" and "multicolor", in which threads wait for one another once a colour.

        Raises
        ------
        ValueError
            An unknown ordering; "redblack" on a graph with an odd cycle; 2**31 rows or more but in the natural order.
        """
        if ordering not in ORDERINGS:
            raise ValueError(f"ordering must be one of {', '.join(map(repr, ORDERINGS))}, not {ordering!r}")
        if ordering not in self._operands:
            self._operands[ordering] = self._ordered(ordering)
        operand = self._operands[ordering]
        if id(operand) in self._stale:
            operand.update(self._values, self._diagonal, self._inverse)
            self._stale.discard(id(operand))
        return operand

    def _ordered(self, ordering: str) -> _kernels.Csr | _kernels.Sell:
        starts, columns, at, _ = self._pattern
        values = self._values, self._diagonal, self._inverse
        if ordering != "natural":
            operand = in_groups(starts, columns, ordering)
            if operand is not None:
                operand.update(*values)
                return operand
            natural = self.operand("natural")
            assert isinstance(natural, _kernels.Csr)
            return natural
        return _kernels.Csr(starts, columns, values[0], at, *values[1:])

    def _renew(self) -> None:
        # Groups of rows are copies, made when they are asked for: not every solve of a sequence needs all orders.
        self._stale = {id(operand) for operand in self._operands.values()}
        if "natural" in self._operands:
            self.operand("natural")
        self._nodes.clear()

    def residual(self, b: Array, x: Array) -> Array:
        """b - A x in float64, from the matrix itself; b and x of shape (n,)."""
        b, x = np.ascontiguousarray(b, np.float64), np.ascontiguousarray(x, np.float64)
        if self.size == 0:
            return b.copy()
        self.operand("natural").residual(b, x, r := np.empty(self.size))
        return r

    def sweep(
        self,
        x: npt.ArrayLike,
        b: npt.ArrayLike,
        *,
        omega: float = 1.0,
        direction: str = "forward",
        ordering: str = "natural",
        sweeps: int = 1,
        block_size: int = 1,
        threads: int | None = None,
    ) -> Array:
        """Sweeps of SOR on x, as multigrid methods smooth with them; nothing is tested for convergence.

        Parameters
        ----------
        x : array_like, shape (n,) or (n, k)
            The iterate. Changed in place where it is a writable, C-contiguous float64 array; else a copy is.
        b : array_like, of the shape of x
            Right-hand sides. The matrix is read once for up to eight columns in the natural order.
        omega : float, default 1.0
            Relaxation, between 0 and 2; 1 is Gauss and Seidel's.
        direction : {"forward", "backward", "symmetric"}
            A symmetric sweep is a forward and then a backward one.
        ordering : {"natural", "wavefront", "multicolor", "redblack", "blocks"}
            As of `operand`. All but the natural one reorder x and b, once a call.
        sweeps : int, default 1
            Their number.
        block_size : int, default 1
            2 to 8: unknowns of a node, which are relaxed all at once by the inverse of their block on the diagonal, in
            the natural order. Blocks are inverted in the first call.
        threads : int, optional
            Threads, for orderings that have groups. The bits do not depend on it.

        Returns
        -------
        ndarray, of the shape of x
            x, or the changed copy.

        Raises
        ------
        ValueError
            Shapes that do not fit, omega out of range, a block on the diagonal that is singular, or a block size that
            does not divide n, is out of range, or comes with an ordering other than the natural one.
        TypeError
            Data that is not real.

        Notes
        -----
        x and b are not searched for NaN and infinity. The columns of x become what they would become one by one, to the
        same bits.

        Examples
        --------
        >>> import numpy as np, scipy.sparse, solvers
        >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4))
        >>> x = np.zeros(4)
        >>> solvers.linalg.plan(A).sweep(x, np.ones(4), sweeps=2, direction="symmetric") is x
        True
        >>> x.round(3).tolist()
        [1.578, 2.157, 2.103, 1.429]
        """
        return sweep(self, x, b, omega, direction, ordering, sweeps, block_size, _threads.resolve(threads))

    def nodes(self, block_size: int) -> Nodes:
        """The matrix in blocks, those on the diagonal inverted; kept for the next call."""
        if block_size not in self._nodes:
            self._nodes[block_size] = Nodes(self.matrix, block_size)
        return self._nodes[block_size]


def planned(A: Any, check_finite: bool = True) -> Plan:
    """The plan of a real matrix: A itself where it is one."""
    if isinstance(A, Analysed) and not isinstance(A, Plan):
        A = A.matrix  # complex: refused in the words that fit
    return A if isinstance(A, Plan) else Plan(A, check_finite=check_finite)


def is_complex(A: Any) -> bool:
    """Whether A is a matrix, or array, of complex numbers."""
    return getattr(A if hasattr(A, "dtype") else np.asarray(A), "dtype", np.dtype(float)).kind == "c"


def _check_kind(dtype: np.dtype[Any], name: str, kinds: str) -> None:
    if dtype.kind not in kinds:
        advice = ": complex matrices are for ssor and solve's sor, gauss-seidel, jacobi" if dtype.kind == "c" else ""
        raise TypeError(f"{name} must be {'real ' if 'c' not in kinds else ''}numbers, not {dtype}{advice}")


def _check_unmasked(array: Any, name: str) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: its mask would be lost; fill it first")


def _stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The precision in which such numbers are kept."""
    kept = dtype in (np.float32, np.complex64)
    return dtype if kept else np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def _as_csr(A: Any, kinds: str) -> tuple[scipy.sparse.csr_array, bool]:
    """A as CSR in a precision that is kept, and whether that took a copy."""
    _check_unmasked(A, "A")
    given: Any = A if scipy.sparse.issparse(A) else np.asarray(A)
    if given.dtype == object and given.ndim == 0:
        raise TypeError(
            f"A must be a matrix, a plan or a GridOperator, not {type(A).__name__}: the methods read entries "
            "(scipy.sparse.linalg.cg takes operators, and ssor and multilevel precondition it)"
        )
    _check_kind(given.dtype, "A", kinds)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise ValueError(f"A must be a square matrix, not of shape {given.shape}")
    dtype = _stored(given.dtype)
    if scipy.sparse.issparse(A) and given.format == "csr" and given.dtype == dtype:
        return given, False
    return scipy.sparse.csr_array(given, dtype=dtype), True


def _check_finite(data: Array) -> None:
    parts = data.view(data.real.dtype)
    # a norm is the cheapest look
    if parts.dtype == np.float64 and math.isfinite(_kernels.norm(parts)):
        return
    for part in (data.real, data.imag) if data.dtype.kind == "c" else (data,):
        check_finite(part, "A.data")


def _csr(starts: Array, columns: Array, data: Array) -> scipy.sparse.csr_array:
    """A CSR array of these very arrays: the constructor would make 64-bit indices narrower."""
    size = len(starts) - 1
    matrix = scipy.sparse.csr_array((size, size), dtype=data.dtype)
    matrix.indptr, matrix.indices, matrix.data = starts, columns, data
    matrix.has_canonical_format = True
    return matrix


def _pattern(given: scipy.sparse.csr_array) -> Pattern:
    """Raises ValueError where the index arrays are not those of a matrix with a full diagonal."""
    wide = np.int64 if np.int64 in (given.indptr.dtype, given.indices.dtype) else np.int32
    starts, columns = (np.ascontiguousarray(part, dtype=wide) for part in (given.indptr, given.indices))
    if len(starts) == 1:
        return starts, columns[:0], columns[:0], None
    if len(columns) == 0:
        raise ValueError("A must have a nonzero diagonal; A[0, 0] is missing")
    last = int(starts[-1])
    columns = columns[:last] if 0 < last < len(columns) else columns
    if last != len(columns):
        raise ValueError(f"A.indptr must end with the number of A.indices, {len(columns)}, not with {last}")
    at, flaw, row = _kernels.diagonal_places(starts, columns)
    sources = None
    if flaw == "sorting":
        warnings.warn("the rows of A are not sorted or have duplicates: they are sorted and summed", stacklevel=5)
        starts, columns, sources = _sorted(starts, columns)
        at, flaw, row = _kernels.diagonal_places(starts, columns)
    if flaw == "starts":
        raise ValueError(f"A.indptr must begin with 0 and ascend; it does not at row {row}")
    if flaw == "column":
        raise ValueError(f"A.indices must lie in [0, {len(starts) - 1}); those of row {row} do not")
    if flaw == "diagonal":
        raise ValueError(f"A must have a nonzero diagonal; A[{row}, {row}] is missing")
    return starts, columns, at, sources


def _sorted(starts: Array, columns: Array) -> tuple[Array, Array, Array]:
    """Sorted rows without duplicates, and which of their entries each of the given adds to."""
    size = len(starts) - 1
    rows = np.repeat(np.arange(size, dtype=starts.dtype), np.diff(starts))
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    new = np.concatenate(([True], (np.diff(rows) != 0) | (np.diff(columns) != 0)))
    sources = np.empty(len(order), np.int64)
    sources[order] = np.cumsum(new) - 1
    counts = np.bincount(rows[new], minlength=size)
    return np.concatenate(([0], np.cumsum(counts))).astype(starts.dtype), columns[new], sources


def _values(data: Array, pattern: Pattern) -> Array:
    """The values of a pattern's entries, from those in the user's order."""
    dtype = _stored(data.dtype)
    if pattern[3] is None:
        return np.ascontiguousarray(data[: len(pattern[1])], dtype=dtype)

    def summed(weights: Array) -> Array:
        return np.bincount(sources, weights=weights[: len(sources)], minlength=len(pattern[1]))

    sources = pattern[3]
    sums = summed(data.real) + 1j * summed(data.imag) if dtype.kind == "c" else summed(data)
    return sums.astype(dtype, copy=False)
