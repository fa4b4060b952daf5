"""One KKT system, by whichever linear algebra suits it: `kkt_solve`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator

from .._base.result import SolveResult, Status
from .._base.sparse import canonical_csr
from .._base.validate import check_finite, integer, positive, real_array
from ._kernels import LDL, equilibrated
from ._krylov import KrylovKKT, Precondition
from ._sparse import TINY, SparseKKT, refined
from ._systems import norm_of, unit_of

Array = npt.NDArray[Any]

METHODS = ("auto", "dense", "sparse", "minres", "projected-cg")
#: Up to this order, and up to the second where more than the share is filled, the matrix is taken as a dense one.
DENSE, FILLED, SHARE = 200, 3000, 0.25


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class KKTResult(SolveResult):
    """Result of `kkt_solve`: a `SolveResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (n + m,)
        The solution: the step, then the multipliers.
    residual_norm : float
        ``norm(b - K @ x)``, recomputed in float64; `measure` is its share of ``norm(b)``.
    inertia : tuple of int, or None
        How many eigenvalues of K are above, below and equal to 0; None where the method cannot count them.
    method : str
        What ran; `message` says why.
    """

    residual_norm: float
    inertia: tuple[int, int, int] | None


def kkt_solve(
    H: Any,
    J: Any,
    b: npt.ArrayLike,
    method: str = "auto",
    *,
    dx: npt.ArrayLike = 0.0,
    dc: npt.ArrayLike = 0.0,
    rtol: float = 1e-10,
    precond: Precondition = None,
    max_iter: int = 1000,
) -> KKTResult:
    """Solve ``[[H + diag(dx), J'], [J, -diag(dc)]] z = b``.

    Parameters
    ----------
    H : array_like, sparse array or LinearOperator, shape (n, n)
        Symmetric, and given whole.
    J : array_like, sparse array or LinearOperator, shape (m, n)
        m may be 0.
    b : array_like, shape (n + m,)
        Right-hand side.
    method : {"auto", "dense", "sparse", "minres", "projected-cg"}
        "dense" and "sparse" factor the matrix as L D L', whatever its inertia; a sparse one with 200,000 unknowns from
        a grid on a plane takes about half a second. "minres" and "projected-cg" use products: with a `precond`, or a
        diagonal instead of H. "projected-cg" needs an H that is positive definite where ``J p = dc y``; it says so
        where it meets negative curvature, and returns no solution then.
    dx, dc : array_like, shapes (n,) and (m,), or numbers
        What is added to the diagonal; dc >= 0.
    rtol : float, default 1e-10
        The solve succeeds where ``norm(b - K z) <= rtol * norm(b)``.
    precond : LinearOperator or callable, optional
        An approximate inverse of the matrix, of order n + m, or a function of ``(H, J, dx, dc)`` that returns one; for
        "minres" symmetric positive definite.
    max_iter : int, default 1000
        Krylov steps at most, for each of up to six rounds.

    Returns
    -------
    KKTResult
        With `x`, `residual_norm`, `inertia`, `method`, `success`.

    Raises
    ------
    ValueError
        Shapes that do not fit, an H that is not symmetric, NaN or infinity, an unknown method.
    TypeError
        Operators where the method needs entries.

    Notes
    -----
    A singular system is solved where it is consistent; else the status is STAGNATION, or BREAKDOWN without a solution.

    References
    ----------
    Duff, Reid (1983), The multifrontal solution of indefinite sparse symmetric linear equations; Amestoy, Davis, Duff
    (1996), An approximate minimum degree ordering algorithm; Paige, Saunders (1975); Gould, Hribar, Nocedal (2001), On
    the solution of equality constrained quadratic programming problems arising in optimization.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> result = solvers.optimize.kkt_solve(np.diag([2.0, 4.0]), [[1.0, 1.0]], [0.0, 0.0, 3.0])
    >>> result.success, result.x.round(6).tolist(), result.inertia
    (True, [2.0, 1.0, -4.0], (2, 1, 0))
    """
    H, J = _matrix(H, "H"), _matrix(J, "J")
    n, m = _check_shapes(H, J)
    rhs = real_array(b, "b", ndim=1)
    check_finite(rhs, "b")
    if len(rhs) != n + m:
        raise ValueError(f"b must have length {n + m}, not {len(rhs)}")
    diagonals = _diagonal(dx, n, "dx"), _diagonal(dc, m, "dc")
    if (diagonals[1] < 0).any():
        raise ValueError("dc must be at least 0")
    rtol, max_iter = positive(rtol, "rtol"), integer(max_iter, "max_iter", 1)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    name, why = choose(H, J, precond) if method == "auto" else (method, "")
    if precond is not None and name in ("dense", "sparse"):
        raise ValueError(f"precond is for products; method {name!r} uses none")
    if name in ("dense", "sparse") and (isinstance(H, LinearOperator) or isinstance(J, LinearOperator)):
        raise TypeError(f"method {name!r} needs the entries of H and J, not operators")
    solver: Any
    if name == "dense":
        solver = DenseKKT()
    elif name == "sparse":
        solver = SparseKKT(n, m)
    else:
        solver = KrylovKKT(n, m, name, precond, max_iter)
    negative, zero = solver.factor(H, J, *diagonals)
    unit = unit_of(rhs)
    z = solver.solve(rhs / unit, rtol)
    return _result(z, rhs / unit, unit, rtol, H, J, *diagonals, name, why, (negative, zero), solver)


def choose(H: Any, J: Any, precond: Precondition) -> tuple[str, str]:
    """The method for matrices of these kinds, and why."""
    N = H.shape[0] + J.shape[0]
    if precond is not None:
        return "minres", "Chose minres, for the preconditioner that is given."
    if isinstance(J, LinearOperator):
        return "minres", "Chose minres: J is known by its products alone."
    if isinstance(H, LinearOperator):
        return "projected-cg", "Chose projected-cg: H is known by its products alone."
    filled = sum(A.size if isinstance(A, np.ndarray) else A.nnz for A in (H, J, J)) / max(N, 1) ** 2
    if N <= DENSE or (filled > SHARE and N <= FILLED):
        return "dense", f"Chose dense: of order {N}, {filled:.0%} filled."
    return "sparse", f"Chose sparse: of order {N}, {filled:.2%} filled."


def _matrix(value: Any, name: str) -> Any:
    if isinstance(value, LinearOperator):
        return value
    if sp.issparse(value):
        matrix = canonical_csr(value, name)
        check_finite(matrix.data, name)
        return matrix
    dense = real_array(value, name, ndim=2)
    check_finite(dense, name)
    return dense


def _check_shapes(H: Any, J: Any) -> tuple[int, int]:
    n = H.shape[1]
    if H.shape[0] != n or n == 0:
        raise ValueError(f"H must be square and not empty, not of shape {H.shape}")
    if J.shape[1] != n:
        raise ValueError(f"J must have {n} columns, one for each row of H, not {J.shape[1]}")
    if not isinstance(H, LinearOperator):
        apart = abs(H - H.T).max() if H.size else 0.0
        if apart > 1e-8 * abs(H).max():
            raise ValueError("H must be symmetric")
    return n, J.shape[0]


def _diagonal(value: npt.ArrayLike, size: int, name: str) -> Array:
    array = real_array(value, name)
    check_finite(array, name)
    if array.ndim != 0 and array.shape != (size,):
        raise ValueError(f"{name} must be a number or have shape ({size},), not {array.shape}")
    return np.array(np.broadcast_to(array, (size,)))


def _result(
    z: Array | None, rhs: Array, unit: float, rtol: float, H: Any, J: Any, dx: Array, dc: Array, name: str, why: str,
    counts: tuple[int, int], solver: Any,
) -> KKTResult:  # fmt: skip
    n, m = len(dx), len(dc)
    with np.errstate(over="ignore"):
        answer = np.zeros(n + m) if z is None else z * unit
    if not np.isfinite(answer).all():  # no number is as large as the solution
        z, answer = None, np.zeros(n + m)
    # what is judged is what is returned: entries may have become zero
    x, y = answer[:n] / unit, answer[n:] / unit
    residual = rhs - np.concatenate([H @ x + dx * x + J.T @ y, J @ x - dc * y])
    norm, size = norm_of(residual), norm_of(rhs)
    measure = norm / size if size > 0 else norm
    negative, zero = counts
    failed = Status.BREAKDOWN if z is None else Status.STAGNATION
    status = Status.CONVERGED if measure <= rtol else failed
    steps = getattr(solver, "steps", 0)
    return KKTResult(
        x=answer, success=measure <= rtol, status=status, message=" ".join(filter(None, (status.sentence, why))),
        nit=steps, measure=measure, method=name, residual_norm=norm * unit,
        inertia=None if negative < 0 else (n + m - negative - zero, negative, zero),
        stats={"products": solver.products} if hasattr(solver, "products") else {},
    )  # fmt: skip


class DenseKKT:
    """K as a dense matrix, factored whole."""

    def factor(self, H: Any, J: Any, dx: Array, dc: Array) -> tuple[int, int]:
        """The counts of eigenvalues < 0 and = 0."""
        H, J = (A if isinstance(A, np.ndarray) else A.toarray() for A in (H, J))
        self.K = np.block([[H + np.diag(dx), J.T], [J, -np.diag(dc)]])
        N = len(self.K)
        starts, index = np.arange(0, N * N + 1, N, dtype=np.int32), np.tile(np.arange(N, dtype=np.int32), N)
        self._s, scaled = equilibrated(starts, index, self.K.ravel())
        self._ldl = LDL(scaled.reshape(N, N), TINY)
        return self._ldl.negative, self._ldl.zero

    def _apply(self, r: Array) -> Array:
        return self._s * self._ldl.solve(self._s * r)

    def solve(self, rhs: Array, rtol: float) -> Array | None:
        """``K z = rhs``, refined; None where it stays wrong."""
        z, good = refined(self.K, self._apply, rhs, rtol)
        return z if good else None
