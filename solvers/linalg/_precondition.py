"""Preconditioners: SSOR and incomplete Cholesky as SciPy operators, and what `M=` may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .._base.validate import check_finite, integer, real_array
from . import _kernels
from ._complex import ComplexPlan, ComplexSsorPreconditioner
from ._matrix import Plan, is_complex, planned
from ._plan import plan
from ._problem import ORDERINGS, LinearProblem, Matrix, prepared
from ._symmetry import is_symmetric

Array = npt.NDArray[Any]

#: Names that `M=` may have.
NAMES = ("jacobi", "ssor", "ic0")

#: A pivot at most this part of its diagonal entry breaks the factorisation; the shifts that are then tried.
LEAST_PIVOT = 1e-8
SHIFTS = (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0)


class _Operator(LinearOperator):  # type: ignore[misc]
    """A symmetric preconditioner over an operand of the compiled core."""

    _operand: _kernels.Operand
    _preconditioner: _kernels.Preconditioner
    #: Whether the operand keeps the user's order.
    natural = True

    def __init__(self, A: Matrix) -> None:
        self.plan = A
        super().__init__(np.dtype(np.float64), (A.size, A.size))

    def _matvec(self, r: Array) -> Array:
        packed = self._operand.pack(np.ascontiguousarray(r, dtype=np.float64).ravel())
        z = np.zeros(self._operand.size)
        self._preconditioner.apply(packed, z)
        return self._operand.unpack(z)

    def _adjoint(self) -> _Operator:
        if not is_symmetric(self.plan):
            raise NotImplementedError("A is not symmetric, nor is its preconditioner: the adjoint is that of A.T")
        return self

    def _transpose(self) -> _Operator:
        return self._adjoint()


class SsorPreconditioner(_Operator):
    """The inverse of SSOR's matrix M; made by `ssor`.

    Attributes
    ----------
    omega : float
        The relaxation; `set_omega` changes it.
    plan : Plan or GridOperator
        The matrix; `update` changes its values.
    """

    def __init__(self, A: Matrix, omega: float, ordering: str, sweeps: int) -> None:
        super().__init__(A)
        self._ordering, self._sweeps, self.natural = ordering, sweeps, ordering == "natural"
        self.set_omega(omega)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.plan, self.omega, self._ordering, self._sweeps)

    def set_omega(self, omega: float) -> None:
        """Change the relaxation; nothing is analysed or factored again."""
        if not 0 < omega < 2:
            raise ValueError(f"omega must lie between 0 and 2, not {omega!r}")
        self.omega = float(omega)
        self._operand = self.plan.operand(self._ordering)
        self._preconditioner = _kernels.Ssor(self._operand, self.omega, self._sweeps)

    def _matvec(self, r: Array) -> Array:
        self.plan.operand(self._ordering)  # gets the values that the plan was given meanwhile
        return super()._matvec(r)

    def update(self, data: npt.ArrayLike) -> None:
        """Take new values in the old pattern, see `Plan.update`."""
        self.plan.update(data)  # type: ignore[attr-defined]
        self.set_omega(self.omega)


def ssor(
    A: Any, omega: float = 1.0, *, ordering: str = "natural", sweeps: int = 1
) -> SsorPreconditioner | ComplexSsorPreconditioner:
    """SSOR as a preconditioner: a `scipy.sparse.linalg.LinearOperator` for ``M=`` of SciPy's solvers and of `solve`.

    Applies the inverse of ``M = (D + omega L) D^-1 (D + omega U) / (omega (2 - omega))``, for A = L + D + U.

    Parameters
    ----------
    A : sparse matrix, array_like, Plan, ComplexPlan or GridOperator, shape (n, n)
        The matrix.
    omega : float, default 1
        Relaxation, between 0 and 2.
    ordering : {"natural", "wavefront", "multicolor", "redblack", "blocks"}, default "natural"
        Order of the unknowns; of a complex matrix one of the first two.
    sweeps : int, default 1
        Symmetric sweeps an application.

    Returns
    -------
    SsorPreconditioner, or ComplexSsorPreconditioner where A is complex
        Symmetric (complex: Hermitian), and positive definite where A is. `set_omega` and `update` change it in place.
        Where A is not symmetric it has no adjoint: ``ssor(A.T)`` serves as that.

    Raises
    ------
    ValueError
        omega outside of (0, 2), an unknown ordering, a matrix that `plan` refuses.

    Notes
    -----
    An application reads the matrix once, a complex one twice. With `solve` rather take the method "ssor-cg": its
    iteration reads the matrix once in all.

    Examples
    --------
    >>> import numpy as np, scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50)).tocsr()
    >>> x, info = scipy.sparse.linalg.cg(A, np.ones(50), M=solvers.linalg.ssor(A, 1.5), rtol=1e-10)
    >>> info, bool(np.allclose(A @ x, 1))
    (0, True)
    """
    if ordering not in ORDERINGS[:-1]:
        raise ValueError(f"ordering must be one of {', '.join(ORDERINGS[:-1])}, not {ordering!r}")
    sweeps = integer(sweeps, "sweeps", 1)
    if isinstance(A, ComplexPlan) or (not callable(getattr(A, "operand", None)) and is_complex(A)):
        return ComplexSsorPreconditioner(plan(A), omega, ordering, sweeps)  # type: ignore[arg-type]
    return SsorPreconditioner(prepared(A), omega, ordering, sweeps)


class Ic0Preconditioner(_Operator):
    """The inverse of an incomplete Cholesky factorisation; made by `ic0`.

    Attributes
    ----------
    shift : float
        What was added to A's diagonal, in parts of it, for the factorisation to exist.
    plan : Plan
        The matrix; `update` changes its values.
    """

    def __init__(self, A: Plan) -> None:
        super().__init__(A)
        if not is_symmetric(A):
            raise ValueError("A is not symmetric")
        self._mirror = _kernels.images(A.matrix.indptr, A.matrix.indices)
        if self._mirror is None:
            raise ValueError("the pattern of A is not symmetric")
        self._factor()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.plan,)

    def update(self, data: npt.ArrayLike) -> None:
        """Take new values in the old pattern, see `Plan.update`, and factor them."""
        self.plan.update(data)  # type: ignore[attr-defined]
        self._factor()

    def _factor(self) -> None:
        matrix = self.plan.matrix  # type: ignore[attr-defined]
        values = np.empty(matrix.nnz)
        self.shift = factored(matrix, values)
        assert self._mirror is not None
        places = np.arange(matrix.nnz)
        np.copyto(values, values[self._mirror], where=self._mirror > places)
        factor = scipy.sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
        self._operand = planned(factor, False).operand("natural")
        self._preconditioner = _kernels.Ssor(self._operand, 1.0)


def factored(matrix: scipy.sparse.csr_array, out: Array) -> float:
    """Write the lower triangle of the factor to `out`; the shift that it took."""
    rows = np.repeat(np.arange(matrix.shape[0], dtype=matrix.indices.dtype), np.diff(matrix.indptr))
    at = np.flatnonzero(rows == matrix.indices).astype(matrix.indptr.dtype)
    values = matrix.data.astype(np.float64, copy=False)
    if not (len(at) == matrix.shape[0] and (values[at] > 0).all()):
        raise ValueError("A must have a positive diagonal")
    for shift in SHIFTS:
        if _kernels.ic0(matrix.indptr, matrix.indices, at, values, shift, LEAST_PIVOT, out) < 0:
            return shift
    raise ValueError("A has no incomplete Cholesky factorisation, even with 11 times its diagonal")


def ic0(A: Any) -> Ic0Preconditioner:
    """Incomplete Cholesky factorisation without fill as a preconditioner for SciPy's solvers and `solve`.

    The factor has the pattern of A's lower triangle, in the natural order. Where a pivot fails, A plus a part of its
    diagonal is factored: 0.001 first, and more until it succeeds (attribute `shift`).

    Parameters
    ----------
    A : sparse matrix, array_like, Plan or GridOperator, shape (n, n)
        Symmetric positive definite matrix; of a grid the sparse matrix is made.

    Returns
    -------
    Ic0Preconditioner
        A `scipy.sparse.linalg.LinearOperator`; `update` takes new values.

    Raises
    ------
    ValueError
        A that is not symmetric, or whose diagonal is not positive.

    References
    ----------
    Meijerink and van der Vorst (1977), An iterative solution method for linear systems of which the coefficient matrix
    is a symmetric M-matrix; Manteuffel (1980), An incomplete factorization technique for positive definite linear
    systems.

    Examples
    --------
    >>> import numpy as np, scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> solvers.linalg.solve(A, np.ones(50), method="cg", M=solvers.linalg.ic0(A)).nit  # exact without fill
    1
    """
    return Ic0Preconditioner(planned(A.to_csr() if hasattr(A, "to_csr") else A))


def preconditioner(problem: LinearProblem) -> _kernels.Preconditioner | None:
    """What the problem's M is to the compiled loop: made once a problem."""
    if problem.M is None:
        return None
    return problem.remember("M", lambda: _made(problem))  # type: ignore[no-any-return]


def _made(problem: LinearProblem) -> _kernels.Preconditioner:
    M, operand = problem.M, problem.operand("natural")
    if isinstance(M, str):
        if M not in NAMES:
            raise ValueError(f"M must be one of {', '.join(NAMES)}, an array or an operator, not {M!r}")
        if M == "jacobi":
            return _kernels.Diagonal(operand, 1 / operand.diagonal)
        M = ssor(problem.A) if M == "ssor" else ic0(problem.A)
    if isinstance(M, _Operator) and M.natural and M.shape[0] == problem.A.size == M._operand.size == operand.size:
        return M._preconditioner
    if not isinstance(M, LinearOperator) and np.ndim(M) == 1 and not scipy.sparse.issparse(M):
        diagonal = real_array(M, "M", ndim=1)
        check_finite(diagonal, "M")
        if len(diagonal) != problem.A.size or not (diagonal > 0).all():
            raise ValueError(f"M as an array is a diagonal, of {problem.A.size} numbers > 0")
        return _kernels.Diagonal(operand, operand.pack(diagonal))
    linear = aslinearoperator(M)
    if getattr(linear.dtype, "kind", "f") == "c":
        raise TypeError("M must be real numbers, as A is")
    if linear.shape != (problem.A.size, problem.A.size):
        raise ValueError(f"M must have the shape of A, {(problem.A.size, problem.A.size)}, not {linear.shape}")
    return _kernels.Called(operand, lambda r: np.asarray(linear.matvec(r), dtype=np.float64))
