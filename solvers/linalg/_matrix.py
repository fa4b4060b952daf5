"""A matrix, analysed once: what the methods need of it, in the orders that they ask for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.validate import check_finite
from . import _kernels

Array = npt.NDArray[Any]


@dataclass(eq=False, repr=False)
class Plan:
    """A square sparse matrix made ready for solves; made by `plan`, and taken by `solve` in place of the matrix.

    Attributes
    ----------
    matrix : csr_array
        The matrix: rows sorted by column, without duplicates; float64 or float32.
    """

    matrix: scipy.sparse.csr_array
    #: Copies of the user's arrays that were made.
    copies: int = 0
    _operands: dict[str, _kernels.Operand] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Rows, and columns."""
        return int(self.matrix.shape[0])

    @property
    def entries(self) -> int:
        """Multiply-adds of a product."""
        return int(self.matrix.nnz)

    @property
    def capability(self) -> str:
        """What a method must be able to serve."""
        return "sparse-matrix"

    def __repr__(self) -> str:
        return f"<plan of a {self.size} x {self.size} matrix, {self.matrix.nnz} entries, {self.matrix.dtype}>"

    def operand(self, ordering: str) -> _kernels.Operand:
        """The matrix in one order, as the kernels take it; kept for the next call."""
        if ordering not in self._operands:
            self._operands[ordering] = _natural(self.matrix)
        return self._operands[ordering]

    def residual(self, b: Array, x: Array) -> Array:
        """b - A x in float64, from the matrix itself."""
        return np.asarray(b - self.matrix.astype(np.float64, copy=False) @ x)


def plan(A: Any, *, check_finite: bool = True) -> Plan:
    """Analyse a matrix once, for any number of solves with it.

    Parameters
    ----------
    A : sparse matrix or array_like, shape (n, n)
        The matrix. CSR in float64 or float32 with sorted rows is read in place; all else is converted once. A dense
        array becomes sparse.
    check_finite : bool, default True
        Whether NaN and infinity are looked for.

    Returns
    -------
    Plan
        What `solve` takes in place of A.

    Raises
    ------
    ValueError
        A that is not square, not finite, or has a diagonal entry that is zero, missing or subnormal.
    TypeError
        A that is not real.

    Examples
    --------
    >>> import scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
    >>> plan = solvers.linalg.plan(A)
    >>> solvers.linalg.solve(plan, [1.0, 0.0, 0.0, 0.0, 1.0]).x.round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if isinstance(A, Plan):
        return A
    matrix, copies = _canonical(A)
    if check_finite:
        _check(matrix)
    return Plan(matrix, copies)


def _check(matrix: scipy.sparse.csr_array) -> None:
    check_finite(matrix.data, "A.data")


def _canonical(A: Any) -> tuple[scipy.sparse.csr_array, int]:
    """A as sorted CSR of float64 or float32, and the copies that it took."""
    given = A if scipy.sparse.issparse(A) else np.asarray(A)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"A must be real numbers, not {given.dtype}")
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise ValueError(f"A must be a square matrix, not of shape {given.shape}")
    dtype = np.float32 if given.dtype == np.float32 else np.float64
    if given.dtype.itemsize == 2 and given.dtype.kind == "f":  # no sparse type
        given = given.astype(np.float32)
    matrix = scipy.sparse.csr_array(given, dtype=dtype)
    copies = int(not (scipy.sparse.issparse(A) and A.format == "csr" and A.dtype == dtype))
    matrix.data = np.ascontiguousarray(matrix.data)
    if not matrix.has_canonical_format:
        warnings.warn("the rows of A are not sorted or have duplicates: they are sorted and summed", stacklevel=4)
        matrix = matrix.copy() if not copies else matrix
        matrix.sum_duplicates()
        copies = 1
    return matrix, copies


def _natural(matrix: scipy.sparse.csr_array) -> _kernels.Operand:
    """The matrix in the order of its rows."""
    starts, columns = matrix.indptr, matrix.indices
    rows = np.repeat(np.arange(matrix.shape[0], dtype=columns.dtype), np.diff(starts))
    at = np.flatnonzero(rows == columns).astype(starts.dtype, copy=False)
    diagonal = np.zeros(matrix.shape[0])
    diagonal[columns[at]] = matrix.data[at]
    tiny = np.abs(diagonal) < np.finfo(np.float64).tiny
    if tiny.any():
        row = int(np.flatnonzero(tiny)[0])
        raise ValueError(f"A must have a nonzero diagonal; A[{row}, {row}] is {diagonal[row]}")
    return _kernels.Csr(starts, columns, matrix.data, at, diagonal, 1 / diagonal)
