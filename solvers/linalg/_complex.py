"""Complex matrices, for the sweeps of SOR: analysed once as real ones are, and solved in pairs of real numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import LinearOperator

from .._base.validate import real_array, refuse_masked
from . import _kernels
from ._matrix import Analysed, Pattern
from ._problem import IterationState, LinearProblem, LinearResult
from ._smoothing import HALVES, check_options

Array = npt.NDArray[Any]

COMPLEX = np.dtype(np.complex128)

#: The orderings of a complex matrix: for a sweep in one thread the wavefront is the natural order.
ORDERINGS = ("natural", "wavefront")


class ComplexPlan(Analysed):
    """A square sparse matrix of complex numbers made ready for solves by "sor", "gauss-seidel" and "jacobi".

    Made by `plan`, and taken by `solve` in place of the matrix. Sweeps go through the rows in their natural order.

    Attributes
    ----------
    size : int
        Rows, and columns.
    entries : int
        Stored entries, and complex multiply-adds of a product.
    copies : int
        Copies of the user's arrays that were made.
    """

    kinds = "biufc"
    made = ("_in_parts",)

    def _begin(self) -> None:
        self._in_parts: _kernels.Csr | None = None

    def _renew(self) -> None:
        self._in_parts = None

    @property
    def parts(self) -> Parts:
        """The matrix as the methods take it."""
        return Parts(self)

    def in_parts(self) -> _kernels.Csr:
        """What sweeps over it: made once for the values that the plan has."""
        if self._in_parts is None:
            starts, columns, at, _ = self._pattern
            values = self._values.view(self._values.real.dtype)
            diagonals = pairs(self._diagonal), pairs(self._inverse)
            self._in_parts = _kernels.Csr(starts, columns, values, at, *diagonals, paired=True)
        return self._in_parts

    def _take(self, pattern: Pattern, data: Array) -> None:
        super()._take(pattern, data if data.dtype.kind == "c" else data.astype(COMPLEX))

    def _inverted(self, starts: Array, columns: Array, at: Array, data: Array) -> tuple[Array, Array, int]:
        diagonal = data[at].astype(COMPLEX)
        sizes = np.abs(diagonal)
        bad = np.flatnonzero(~((sizes >= np.finfo(data.dtype).tiny) & np.isfinite(sizes)))
        with np.errstate(all="ignore"):
            return diagonal, 1 / diagonal, int(bad[0]) if len(bad) else -1

    def residual(self, b: Array, x: Array) -> Array:
        """b - A x; b and x of shape (n,)."""
        return self.parts.residual(pairs(b), pairs(x)).view(COMPLEX)

    def sweep(
        self,
        x: npt.ArrayLike,
        b: npt.ArrayLike,
        *,
        omega: float = 1.0,
        direction: str = "forward",
        ordering: str = "natural",
        sweeps: int = 1,
    ) -> Array:
        """Sweeps of SOR on x, see `Plan.sweep`: in place where x is a writable, C-contiguous array of complex128."""
        check_options(self, omega, direction, ordering, sweeps, 1)
        _check_ordering(ordering)
        iterate, right = np.asarray(x), np.asarray(b)
        in_place = iterate.dtype == COMPLEX and iterate.flags.c_contiguous and iterate.flags.writeable
        iterate = iterate if in_place else np.array(_numbers(iterate, "x"), order="C")
        if iterate.ndim not in (1, 2) or len(iterate) != self.size:
            raise ValueError(f"x must have shape ({self.size},) or ({self.size}, k), not {iterate.shape}")
        if right.shape != iterate.shape:
            raise ValueError(f"b must have the shape of x, {iterate.shape}, not {right.shape}")
        if self.size == 0:
            return iterate
        columns, rights = iterate.reshape(self.size, -1), _numbers(right, "b").reshape(self.size, -1)
        operand = self.parts.operand(ordering)
        for k in range(columns.shape[1]):
            column, its_right = pairs(columns[:, k].copy()), pairs(rights[:, k].copy())
            for backward in HALVES[direction] * int(sweeps):
                operand.sweep(omega, backward, its_right, column)
            columns[:, k] = column.view(COMPLEX)
        return iterate


class ComplexSsorPreconditioner(LinearOperator):  # type: ignore[misc]
    """The inverse of SSOR's matrix of a complex A, applied as symmetric sweeps from zero; made by `ssor`.

    It has no adjoint, which would take the sweeps of A's.

    Attributes
    ----------
    omega : float
        The relaxation; `set_omega` changes it.
    plan : ComplexPlan
        The matrix; `update` changes its values.
    """

    def __init__(self, A: ComplexPlan, omega: float, ordering: str, sweeps: int) -> None:
        self.plan, self._ordering, self._sweeps = A, ordering, sweeps
        super().__init__(COMPLEX, (A.size, A.size))
        _check_ordering(ordering)
        self.set_omega(omega)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.plan, self.omega, self._ordering, self._sweeps)

    def set_omega(self, omega: float) -> None:
        """Change the relaxation."""
        check_options(self.plan, omega, "symmetric", self._ordering, self._sweeps, 1)
        self.omega = float(omega)

    def update(self, data: npt.ArrayLike) -> None:
        """Take new values in the old pattern, see `ComplexPlan.update`."""
        self.plan.update(data)

    def _matvec(self, r: Array) -> Array:
        return self.plan.sweep(
            np.zeros(self.plan.size, COMPLEX), np.asarray(r).ravel(), omega=self.omega, direction="symmetric",
            ordering=self._ordering, sweeps=self._sweeps,
        )  # fmt: skip


class Parts:
    """A complex matrix as the methods take it: of vectors in which each unknown's two parts stand side by side."""

    capability = "complex-matrix"
    symmetric = False

    def __init__(self, whole: ComplexPlan) -> None:
        self._whole = whole
        self.size, self.entries, self.copies = 2 * whole.size, 4 * whole.entries, whole.copies

    def operand(self, ordering: str) -> _kernels.Operand:
        """See `Plan.operand`."""
        _check_ordering(ordering)
        return self._whole.in_parts()

    def residual(self, b: Array, x: Array) -> Array:
        """b - A x, all in parts."""
        if self.size == 0:
            return b.copy()
        self.operand("natural").residual(b, x, r := np.empty(self.size))
        return r


class ComplexProblem(LinearProblem):
    """A linear system in parts, whose answers are complex."""

    def answer(self, state: Any) -> Array:
        x: Array = super().answer(state).view(COMPLEX)
        return x

    def certify(self, state: IterationState, stats: dict[str, Any], formed: bool = False) -> LinearResult:
        result = super().certify(state, stats, formed)
        return replace(result, x=result.x.view(COMPLEX))


def _check_ordering(ordering: str) -> None:
    if ordering not in ORDERINGS:
        raise ValueError(f"ordering {ordering!r} is for real matrices; a complex one is swept in its natural order")


def pairs(vector: Array) -> Array:
    """The numbers of a vector as their parts, in its own memory where it is contiguous and of complex128."""
    return np.ascontiguousarray(vector, dtype=COMPLEX).view(np.float64)


def in_parts(value: npt.ArrayLike, name: str, plan: ComplexPlan, check_finite: bool) -> Array:
    """A right-hand side, or several in columns, with the parts of each number one below the other."""
    numbers = _numbers(value, name)
    if numbers.ndim not in (1, 2) or len(numbers) != plan.size:
        raise ValueError(f"{name} must have length {plan.size}, that of A's rows, not shape {numbers.shape}")
    parts = pairs(numbers.T).T
    if check_finite and not np.isfinite(parts).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(numbers))[0])
        raise ValueError(f"{name} must be finite; {name}[{', '.join(map(str, at))}] is {numbers[at]}")
    return parts


def _numbers(value: npt.ArrayLike, name: str) -> Array:
    refuse_masked(value, name)
    array = np.asarray(value)
    return (array if array.dtype.kind == "c" else real_array(array, name)).astype(COMPLEX, copy=False)
