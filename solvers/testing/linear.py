"""Judge results of linear solves: recompute the residual from the user's data, and refuse what is claimed but not so.

Nothing of the solvers is used, only NumPy; rows are summed in extended precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .claims import holds

Array = npt.NDArray[Any]

#: What a reported norm may differ by from the recomputed one, in parts of the sizes that cancel in the residual.
ROUNDING = 2.0**-44


@dataclass(frozen=True)
class LinearReport:
    """What the result of a linear solve is worth.

    Attributes
    ----------
    residual_norm : float
        ``norm(b - A @ x)``; of several right-hand sides the largest.
    relative_residual : float
        The same in parts of ``norm(b)``.
    backward_error : float
        ``max |b - A x| / (|A| |x| + |b|)``, by entries: the relative change of A and b that x would solve exactly
        (Oettli and Prager, 1964). Some 1e-16 is all that float64 allows.
    """

    residual_norm: float
    relative_residual: float
    backward_error: float


def check_linear(
    A: Any,
    b: npt.ArrayLike,
    result: Any,
    *,
    rtol: float = 1e-8,
    atol: float = 0.0,
    x0: npt.ArrayLike | None = None,
    reference: str = "b",
) -> LinearReport:
    """Recompute the residual of a linear solve, and raise where the result claims what is not so.

    Parameters
    ----------
    A : sparse matrix, array_like, or anything with ``to_csr()``, shape (n, n)
        The matrix.
    b : array_like, shape (n,) or (n, k)
        Right-hand side.
    result : LinearResult
        From `solvers.linalg.solve`, or anything with ``x, success`` and ``residual_norm``.
    rtol, atol, x0, reference
        As the solve was asked.

    Returns
    -------
    LinearReport

    Raises
    ------
    AssertionError
        Where the result says success and the residual is above the tolerance; where x is not finite or of another
        shape; where the reported norm is not the recomputed one.

    Examples
    --------
    >>> import numpy as np, scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> report = solvers.testing.check_linear(A, np.ones(50), solvers.linalg.solve(A, np.ones(50)))
    >>> report.relative_residual <= 1e-8
    True
    """
    entries = _entries(A)
    right, x = _wide(b), _wide(result.x)
    holds(x.shape == right.shape, f"x has shape {x.shape}, b has {right.shape}")
    holds(np.isfinite(x).all(), "x is not finite")
    residual, size = right - _product(entries, x), _product(_absolute(entries), abs(x)) + abs(right)
    norms = _norms(residual)
    if reference == "r0":
        start = np.zeros_like(x) if x0 is None else _wide(x0)
        scales = _norms(right - _product(entries, start))
    else:
        scales = _norms(right)
    rounding = ROUNDING * _norms(size)
    if result.success:
        over = norms - np.maximum(rtol * scales, atol)
        holds((over <= rounding).all(), f"success is claimed at a residual of {norms.max():.3g}")
    reported = abs(float(norms.max()) - float(result.residual_norm))
    holds(reported <= rounding.max(), f"residual_norm is {result.residual_norm:.17g}, not {norms.max():.17g}")
    with np.errstate(invalid="ignore", divide="ignore"):
        backward = np.nan_to_num(abs(residual) / size, nan=0.0)
        relative = np.nan_to_num(norms / _norms(right), nan=0.0)
    return LinearReport(*(float(np.max(value, initial=0.0)) for value in (norms, relative, backward)))


def _entries(A: Any) -> tuple[Array, Array, Array]:
    """Rows, columns and values of A."""
    matrix = A.to_csr() if hasattr(A, "to_csr") else A
    if hasattr(matrix, "tocoo"):
        coo = matrix.tocoo()
        return coo.row, coo.col, _wide(coo.data)
    dense = np.asarray(matrix)
    rows, columns = np.nonzero(dense)
    return rows, columns, _wide(dense[rows, columns])


def _wide(value: npt.ArrayLike) -> Array:
    """The numbers in extended precision."""
    array = np.asarray(value)
    return array.astype(np.clongdouble if array.dtype.kind == "c" else np.longdouble)


def _absolute(entries: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    return entries[0], entries[1], abs(entries[2])


def _product(entries: tuple[Array, Array, Array], x: Array) -> Array:
    """A x, or A times each column of x."""
    rows, columns, values = entries
    product = np.zeros(x.shape, np.result_type(x, values))
    np.add.at(product, rows, values.reshape(-1, *[1] * (x.ndim - 1)) * x[columns])
    return product


def _norms(vectors: Array) -> Array:
    """The 2-norms of the columns, in an array of at least one."""
    return np.atleast_1d(np.sqrt((abs(vectors) ** 2).sum(axis=0)))
