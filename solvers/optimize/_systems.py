"""Linear systems for randomised methods: the checked matrix, the measures, the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from .._base.result import SolveResult, Status
from .._base.validate import check_finite, real_array

Array = npt.NDArray[Any]

#: What an iteration may find (0: go on).
STAGNATED, DIVERGED = 1, 2
OUTCOMES = {STAGNATED: Status.STAGNATION, DIVERGED: Status.DIVERGED}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SystemResult(SolveResult):
    """Result of a randomised solve: a `SolveResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The last iterate; where a solve stagnates or diverges the best that was met.
    residual_norm : float
        ``norm(b - A @ x)``, recomputed from x.
    normal_residual : float
        ``norm(A.T @ (b - A @ x))``, the same; 0 at a least-squares solution.
    """

    residual_norm: float
    normal_residual: float


@dataclass(frozen=True, eq=False, repr=False)
class System:
    """A system, ready for the methods: all that is asked of A are its rows and its products.

    Where squares of the user's numbers are none, A and b are the user's over powers of two, and so is x.
    """

    #: C-contiguous, or CSR with rising columns.
    A: Any
    b: Array
    x0: Array
    #: Exponents of those powers.
    units: tuple[int, int]
    tol: float
    #: Whether residuals of least squares count, too.
    squares: bool
    every: bool
    seed: int
    max_iter: int
    threads: int
    copies: int
    _memory: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return int(self.A.shape[0])

    @property
    def cols(self) -> int:
        return int(self.A.shape[1])

    @property
    def parts(self) -> tuple[Any, Any]:
        """The matrix as the kernels take it: one of them None."""
        return parts(self.A)

    @property
    def entries(self) -> int:
        return int(self.A.nnz if scipy.sparse.issparse(self.A) else self.A.size)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"least-squares" if self.squares else "linear-system"})

    @property
    def stats(self) -> Mapping[str, Any]:
        return {"copies": self.copies, "threads": self.threads}

    @property
    def title(self) -> str:
        return f"{self.rows} equations, {self.cols} unknowns, {self.entries} entries, tol {self.tol:g}"

    def answer(self, state: Any) -> Array:
        """The point of a state, in the user's units."""
        x: Array = state.x.view() if self.units == (0, 0) else self.outside(state.x)
        x.flags.writeable = False
        return x

    def remember(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` returned when it was first called for this key."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    @property
    def size_of_b(self) -> float:
        """What residuals are divided by."""
        return float(self.remember("b", lambda: norm_of(self.b))) or 1.0

    @property
    def frobenius(self) -> float:
        """The Frobenius norm."""
        values = self.A.data if scipy.sparse.issparse(self.A) else self.A.ravel()
        return float(self.remember("A", lambda: norm_of(values)))

    def outside(self, x: Array) -> Array:
        """x in the user's units; infinite where no number is as large."""
        return np.array(shifted(x, self.units[1] - self.units[0]))

    def norms(self, x: Array) -> tuple[float, float]:
        """norm(b - A @ x) and norm(A.T @ (b - A @ x))."""
        r = self.b - self.A @ x
        return norm_of(r), norm_of(self.A.T @ r)

    def measure(self, residual: float, normal: float) -> float:
        """How far from a solution: of the system, or where `squares` says so of its least-squares problem."""
        relative = residual / self.size_of_b
        if not self.squares or residual == 0:
            return relative
        if self.frobenius == 0:
            return 0.0
        scale = self.frobenius * residual
        # out of the numbers' range it says nothing
        return min(relative, normal / scale) if 0 < scale < np.inf else relative

    def certify(self, x: Array, nit: int, stats: dict[str, Any]) -> SystemResult:
        """The result at x, all recomputed from what is returned."""
        answer, (of_A, of_b) = self.outside(x), self.units
        if not np.isfinite(answer).all():
            answer = np.zeros(self.cols)
        residual, normal = self.norms(shifted(answer, of_A - of_b))
        return SystemResult(
            x=answer, measure=self.measure(residual, normal), residual_norm=float(shifted(residual, of_b)),
            normal_residual=float(shifted(normal, of_A + of_b)), stats=stats,
            success=False, status=Status.MAX_ITER, message="", nit=nit,
        )  # fmt: skip


def exponent_of(v: Array) -> int:
    """That of a power of two near the largest entry where squares of entries leave the numbers' range; else 0."""
    largest = float(np.abs(v).max(initial=0.0))
    if largest == 0 or 1e-100 < largest < 1e100 or not np.isfinite(largest):
        return 0
    return int(np.frexp(largest)[1]) - 1


def unit_of(v: Array) -> float:
    """That power."""
    return float(np.ldexp(1.0, exponent_of(v)))


def shifted(v: Any, exponent: int) -> Any:
    """v times a power of two."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(v, exponent) if exponent else v


def in_range(A: Any, b: Array, x0: Array) -> tuple[Any, Array, Array, tuple[int, int]]:
    """A system over powers of two, whose exponents are told, so that its numbers have squares."""
    values = A.data if scipy.sparse.issparse(A) else A
    of_A, of_b = units = exponent_of(values), exponent_of(b)
    if of_A:
        values = shifted(values, -of_A)
        A = scipy.sparse.csr_array((values, A.indices, A.indptr), A.shape) if scipy.sparse.issparse(A) else values
    return A, shifted(b, -of_b), shifted(x0, of_A - of_b), units


def norm_of(v: Array) -> float:
    """The 2-norm, also of tiny and of huge numbers."""
    unit = unit_of(v)
    return float(np.linalg.norm(v if unit == 1 else v / unit)) * unit


def parts(A: Any) -> tuple[Any, Any]:
    """(dense, (starts, index, value, columns)), one of them None."""
    if not scipy.sparse.issparse(A):
        return A, None
    return None, (A.indptr, A.indices, A.data, A.shape[1])


def checked(A: Any) -> tuple[Any, int]:
    """A as the kernels take it, and the copies that were made."""
    if not scipy.sparse.issparse(A):
        if isinstance(A, scipy.sparse.linalg.LinearOperator):
            raise TypeError("A must be a matrix, dense or sparse: its rows are read one at a time")
        matrix = real_array(A, "A", ndim=2)
        check_finite(matrix, "A")
        ready = np.ascontiguousarray(matrix)
        return ready, int(ready is not A)
    if A.dtype.kind not in "biuf":
        raise TypeError(f"A must be real numbers, not {A.dtype}")
    if A.ndim != 2:
        raise ValueError(f"A must have 2 dimensions, not shape {A.shape}")
    given = scipy.sparse.csr_array(A)
    if max(given.nnz, *given.shape) > np.iinfo(np.int32).max:
        raise ValueError("A is too large: 2**31 - 1 entries, rows and columns at most")
    fits = isinstance(A, scipy.sparse.csr_array | scipy.sparse.csr_matrix) and given.dtype == np.float64
    fits = fits and given.indices.dtype == np.int32 and given.has_canonical_format
    if not fits:
        given = scipy.sparse.csr_array(
            (given.data.astype(np.float64), given.indices.astype(np.int32), given.indptr.astype(np.int32)), given.shape
        )
        given.sum_duplicates()
    check_finite(given.data, "A.data")
    return given, int(not fits)
